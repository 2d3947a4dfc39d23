// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// Takes the records of ended exchanges in: counts them into the history, keeps the latest in the request log, and tells those who listen to events.
///
/// Give it to ``HTTPServer`` as its sink and to ``AdminAPI``, ``attach(_:)`` the store, and ``run(_:)`` it beside the requests. Any thread may call any member;
/// ``take(_:)`` costs its caller one lock around one append.
public final class TrafficRecorder: UsageSink {
    private struct Inbox: Sendable {
        var batches: [[ExchangeRecord]] = []
        var count = 0
        var dropped: Int64 = 0
    }

    /// More records than these do not wait: a fifth of a second of more than 150,000 a second.
    static let inboxMax = 32_768
    /// How many rows one round writes at most, and how many one transaction holds.
    private static let rowsPerRound = 20_000
    private static let rowsPerWrite = 1_000

    /// What those who listen are told.
    let events: EventFeed
    /// The latest exchanges.
    let log: RequestLog
    /// What this process's records are known by among those of other replicas: see ``init(replica:log:clock:logger:)``.
    let replica: String
    /// What this process's rows are known by in the store.
    let writer = String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
    private let clock: @Sendable () -> Moment
    private let logger: Logger
    private let inbox = OutOfLineMutex(Inbox())
    private let ledger: OutOfLineMutex<TrafficLedger>
    private let store = OutOfLineMutex<(any HistoryStore)?>(nil)
    private let storeGate = SerialGate(waitingMax: 16)

    /// A recorder that has counted nothing.
    ///
    /// - Parameters:
    ///   - replica: what people call this process; stands in each item of the request log.
    ///   - log: how much the request log keeps. Its directory is made and read when ``run(_:)`` begins; until then it is in memory.
    ///   - clock: the present moment.
    ///   - logger: for what cannot be written.
    public convenience init(replica: String = "", log: RequestLogSettings = RequestLogSettings(), clock: @escaping @Sendable () -> Moment, logger: Logger) {
        self.init(replica: replica, log: log, bounds: TrafficLedger.Bounds(), clock: clock, logger: logger)
    }

    init(replica: String = "", log: RequestLogSettings, bounds: TrafficLedger.Bounds, clock: @escaping @Sendable () -> Moment, logger: Logger) {
        self.replica = replica
        self.clock = clock
        self.logger = logger
        self.log = RequestLog(log, logger: logger)
        events = EventFeed()
        ledger = OutOfLineMutex(TrafficLedger(at: clock(), bounds: bounds))
    }

    /// Where history is kept from now on. Until then it is kept in memory, within bounds.
    public func attach(_ store: any HistoryStore) { self.store.withLock { $0 = store } }

    public func take(_ records: [ExchangeRecord]) {
        inbox.withLock { inbox in
            if inbox.count + records.count > Self.inboxMax {
                inbox.dropped += Int64(records.count)
            } else {
                inbox.count += records.count
                inbox.batches.append(records)
            }
        }
    }

    /// Records, writes down and tells until the task is cancelled; then once more. What the store cannot take now is kept, within bounds, and tried again.
    ///
    /// - Parameter source: what there is to tell beside exchanges.
    public func run(_ source: EventSource = EventSource()) async {
        log.open()
        var pace = RecorderPace(at: clock())
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: RecorderPace.round)
            if Task.isCancelled { break }
            let now = clock()
            fold()
            let due = pace.due(at: now)
            if due.contains(.telling) {
                log.flush(at: now)
                await tell(source, at: now)
            }
            if due.contains(.writing) { await flush() }
            if due.contains(.forgetting) { await forget(at: now) }
        }
        events.close()
        fold()
        log.flush(at: clock())
        await flush()
    }

    /// Counts what has been taken.
    func fold() {
        let now = clock()
        ledger.withLock { ledger in
            // Taken inside the lock of the ledger, so that two who do this keep the order.
            let batches = inbox.withLock { inbox in
                defer { (inbox.batches, inbox.count) = ([], 0) }
                return inbox.batches
            }
            for records in batches {
                ledger.take(records, at: now)
                log.append(records, at: now)
            }
            ledger.timePassed(at: now)
        }
    }

    // MARK: The store

    /// Writes what has changed since the last time, in at most 20 transactions.
    ///
    /// - Returns: whether everything that was tried is in the store now.
    @discardableResult
    func flush() async -> Bool {
        do { try await storeGate.enter() } catch { return false }
        defer { storeGate.leave() }
        // A task of its own, waited for right here: the last flush runs while its caller is already cancelled.
        return await Task { await self.writeRows() }.value
    }

    private func writeRows() async -> Bool {
        fold()
        guard let store = store.withLock({ $0 }) else { return false }
        for _ in 0..<(Self.rowsPerRound / Self.rowsPerWrite) {
            let rows = ledger.withLock { $0.takeRows(limit: Self.rowsPerWrite) }
            if rows.isEmpty {
                ledger.withLock { $0.rowsWritten() }
                return true
            }
            do {
                try await store.writeHistory(rows.map { row in
                    HistoryRow(
                        resolution: row.key.resolution, start: row.key.start, dimension: row.key.dimension, subject: row.key.subject, writer: writer,
                        tally: row.tally.octets)
                })
                ledger.withLock { $0.rowsWritten() }
            } catch {
                logger.debug("history was not written", metadata: ["error": "\(error)", "rows": "\(rows.count)"])
                ledger.withLock { $0.rowsNotWritten() }
                return false
            }
        }
        return true
    }

    /// Has the store forget what is too old. Any replica may do it.
    func forget(at now: Moment) async {
        guard let store = store.withLock({ $0 }) else { return }
        for resolution in HistoryResolution.allCases {
            do {
                try await store.deleteHistory(resolution, before: resolution.start(of: now) - resolution.retention)
            } catch {
                logger.debug("old history was not deleted", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: Reading

    /// What is told of a window, over all replicas, up to this moment.
    ///
    /// - Parameters:
    ///   - service: only this one's; clients and models are not told apart by service.
    ///   - isOwn: which keys' numbers are wanted.
    func report(on window: StatsWindow, service: ServiceID?, wantsKey: (String) -> Bool) async throws(StoreError) -> StatsReport {
        fold()
        var report = StatsReport(window, at: clock())
        // A few hundred stretches at a time, so that the rows of a whole day are never held together.
        var start = report.range.lowerBound
        while start < report.range.upperBound {
            let end = min(report.range.upperBound, start + max(21_600, window.resolution.rawValue * 168))
            report.addServices(try await rows(window.resolution, .service, subject: service?.description, in: start..<end))
            start = end
        }
        for (resolution, range) in window.resolution.tiles(report.range) {
            report.add(try await rows(resolution, .key, subject: nil, in: range).filter { wantsKey($0.key.subject) })
            if service != nil { continue }
            report.add(try await rows(resolution, .client, subject: nil, in: range))
            report.add(try await rows(resolution, .model, subject: nil, in: range))
        }
        return report
    }

    /// What is told of one key in a window, over all replicas, up to this moment.
    func report(on window: StatsWindow, key: KeyID) async throws(StoreError) -> StatsReport {
        fold()
        var report = StatsReport(window, at: clock())
        report.addSeries(try await rows(window.resolution, .key, subject: key.description, in: report.range))
        return report
    }

    /// The rows of all writers.
    private func rows(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, in range: Range<Int64>
    ) async throws(StoreError) -> [TrafficLedger.Row] {
        // In this order: what is written down in between is then there twice, and known to be.
        let (present, presentStart) = ledger.withLock { ledger in
            (ledger.rows(resolution, dimension, in: range).filter { subject == nil || $0.key.subject == subject }, ledger.start(resolution))
        }
        guard let store = store.withLock({ $0 }) else { return present }
        let stored = try await store.history(resolution, dimension, subject: subject, from: range.lowerBound, to: range.upperBound)
        return TrafficLedger.combine(stored, with: present, of: writer, presentStart: presentStart)
    }

    /// What was counted since the process began, for metrics.
    public var counters: TrafficCounters {
        fold()
        let (totals, droppedRows) = ledger.withLock { ($0.totals, $0.droppedRows) }
        var counters = TrafficCounters()
        for total in totals.values {
            counters.services[total.slug, default: TrafficCounters.Service()].usage.add(total.usage)
            counters.services[total.slug, default: TrafficCounters.Service()].unknownUsage += total.unknownUsage
        }
        counters.droppedRequests = inbox.withLock(\.dropped)
        counters.droppedRows = droppedRows
        counters.droppedLogRecords = log.droppedRecords
        return counters
    }

    // MARK: Events

    /// Tells those who listen what has happened since the last time.
    func tell(_ source: EventSource, at now: Moment) async {
        let hasListeners = events.hasListeners
        let (totals, times) = ledger.withLock { ($0.totals, $0.takeMomentaryTimes(andKeep: hasListeners)) }
        events.tell(
            keyChanges: source.keyChanges(), isStoreUp: source.isStoreUp(), totals: totals, times: times,
            openStreams: hasListeners ? await source.openStreams() : 0, at: now)
    }
}

/// What is due in a round of the recorder.
struct RecorderPace: Sendable {
    struct Work: OptionSet, Sendable {
        let rawValue: Int
        /// Events, and what the request log has in memory: each second.
        static let telling = Work(rawValue: 1)
        /// Rows for the store: each five seconds.
        static let writing = Work(rawValue: 2)
        /// Old rows of the store: each hour, a minute after the start.
        static let forgetting = Work(rawValue: 4)
    }

    /// From one round to the next.
    static let round = Duration.milliseconds(200)

    private var nextTelling: Moment
    private var nextWriting: Moment
    private var nextForgetting: Moment

    init(at now: Moment) {
        nextTelling = now + .seconds(1)
        nextWriting = now + .seconds(5)
        nextForgetting = now + .seconds(60)
    }

    mutating func due(at now: Moment) -> Work {
        var due: Work = []
        if now >= nextTelling {
            due.insert(.telling)
            // In step with the clock, not with the rounds; what was missed is not made up for.
            nextTelling = max(nextTelling + .seconds(1), now + .milliseconds(500))
        }
        if now >= nextWriting {
            due.insert(.writing)
            nextWriting = now + .seconds(5)
        }
        if now >= nextForgetting {
            due.insert(.forgetting)
            nextForgetting = now + .seconds(3_600)
        }
        return due
    }
}

/// What a recorder has counted since the process began.
public struct TrafficCounters: Sendable {
    /// What was counted of a service.
    public struct Service: Sendable, Hashable {
        /// Tokens, as far as they are known.
        public var usage = TokenUsage()
        /// Exchanges with an answer of 2xx whose tokens are not known.
        public var unknownUsage: Int64 = 0

        /// Nothing.
        public init() {}
    }

    /// By slug.
    public var services: [String: Service] = [:]
    /// Exchanges that are in no statistics because too many came at once.
    public var droppedRequests: Int64 = 0
    /// Rows of history that were given up because the store was away for too long.
    public var droppedRows: Int64 = 0
    /// Exchanges that are not in the request log because its disk did not keep up.
    public var droppedLogRecords: Int64 = 0

    /// Nothing.
    public init() {}
}
