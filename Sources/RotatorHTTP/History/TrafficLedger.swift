// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What this process has counted: the present minute, hour and day of each subject, and rows of ended stretches that are not in the store yet.
///
/// A value without I/O and clock. Exchanges are added to one tally for each subject; those are added to the three stretches when rows are wanted, so a
/// record costs one addition for each of its subjects. A stretch ends when something comes that belongs to the next; what comes late counts where the
/// ledger stands.
struct TrafficLedger: Sendable {
    /// How much is kept.
    struct Bounds: Sendable {
        /// Clients, and as many models, that are told apart within a day; the others are counted together as ``TrafficLedger/others``.
        var namesMax = 10_000
        /// Keys and services that are told apart within a day.
        var numbersMax = 200_000
        /// Rows of ended stretches that wait for the store.
        var rowsMax = 100_000
    }

    /// A subject in one stretch.
    struct RowKey: Hashable, Sendable {
        var resolution: HistoryResolution
        var start: Int64
        var dimension: HistoryDimension
        var subject: String
    }

    /// What was counted of a subject in one stretch.
    struct Row: Sendable {
        var key: RowKey
        var tally: TrafficTally
    }

    private struct Subject: Sendable {
        let dimension: HistoryDimension
        let name: String
        /// What has not been added to the stretches.
        var fresh = TrafficTally()
        var minute = TrafficTally()
        var hour = TrafficTally()
        var day = TrafficTally()
        var isTouched = false
        /// Whether a present stretch says more than what was handed out for the store.
        var isDirty = false

        init(_ dimension: HistoryDimension, _ name: String) {
            self.dimension = dimension
            self.name = name
        }

        subscript(resolution: HistoryResolution) -> TrafficTally {
            get {
                switch resolution {
                case .minute: minute
                case .hour: hour
                case .day: day
                }
            }
            set {
                switch resolution {
                case .minute: minute = newValue
                case .hour: hour = newValue
                case .day: day = newValue
                }
            }
        }

        mutating func mergeFresh() {
            minute.add(fresh)
            hour.add(fresh)
            day.add(fresh)
            fresh = TrafficTally()
            isTouched = false
        }
    }

    /// The subject of what is not told apart.
    static let others = "other"
    /// Longer names are cut, in octets.
    static let nameOctetsMax = 256

    private let bounds: Bounds
    private var starts: [HistoryResolution: Int64]
    /// When the present minute ends, in nanoseconds.
    private var minuteEnd: Int64
    private var subjects = ContiguousArray<Subject>()
    private var services: [ServiceID: Int] = [:]
    private var keys: [KeyID: Int] = [:]
    private var clients: [String: Int] = [:]
    private var models: [String: Int] = [:]
    // Consecutive exchanges are mostly the same service's and client's.
    private var lastService: (id: ServiceID, index: Int)?
    private var lastClient: (name: String, index: Int)?
    private var lastModel: (name: String, index: Int)?
    private var touched: [Int] = []
    private var dirty = FIFO<Int>()
    private var ended = EndedRows()
    /// Rows that were handed out and are not known to be written, in that order.
    private var handedOut: [(key: RowKey, tally: TrafficTally)] = []
    /// Rows of ended stretches that found no room.
    private(set) var droppedRows: Int64 = 0
    /// What was counted of each service since the process began.
    private(set) var totals: [ServiceID: ServiceTotals] = [:]
    /// Times since they were taken last, while somebody wants them.
    private var moments: MomentaryTimes?

    /// A ledger that begins at `now`.
    init(at now: Moment, bounds: Bounds = Bounds()) {
        self.bounds = bounds
        starts = Dictionary(uniqueKeysWithValues: HistoryResolution.allCases.map { ($0, $0.start(of: now)) })
        minuteEnd = Self.end(ofMinuteOf: now)
    }

    private static func end(ofMinuteOf moment: Moment) -> Int64 { (HistoryResolution.minute.start(of: moment) + 60) * 1_000_000_000 }

    /// When the present stretch began, in seconds.
    func start(_ resolution: HistoryResolution) -> Int64 { starts[resolution, default: 0] }

    // MARK: Counting

    /// Counts exchanges that have ended by `now`, each in the minute in which it did, unless the ledger has come further: ``timePassed(at:)`` is for when no more is at hand.
    mutating func take(_ records: [ExchangeRecord], at now: Moment) {
        // As a span: a record is seven texts and an array, and here it is only read.
        let records = records.span
        for index in records.indices {
            let end = records[index].startedAt.advanced(byNanoseconds: records[index].duration)
            if end.nanoseconds >= minuteEnd, now.nanoseconds >= minuteEnd { begin(at: min(end, now)) }
            count(records, at: index)
        }
    }

    /// Ends the stretches that are over.
    mutating func timePassed(at now: Moment) {
        if now.nanoseconds >= minuteEnd { begin(at: now) }
    }

    private mutating func count(_ records: Span<ExchangeRecord>, at place: Int) {
        let sample = TrafficSample(records, at: place)
        if let service = records[place].service {
            let index = index(of: service)
            add(sample, to: index)
            sample.observe(additions: &subjects[index].fresh.additions)
            moments?.add(sample)
            totals[service, default: ServiceTotals()].add(records, at: place)
        }
        if !records[place].client.isEmpty { add(sample, to: index(ofClient: records[place].client)) }
        if let model = records[place].model, !model.isEmpty { add(sample, to: index(ofModel: model)) }
        let attempts = records[place].attempts.span
        let last = attempts.count == records[place].attemptCount ? attempts.count - 1 : -1
        for number in attempts.indices {
            add(TrafficSample(attempts[number], answering: number == last ? sample : nil), to: index(of: attempts[number].key))
        }
    }

    private mutating func add(_ sample: TrafficSample, to index: Int) {
        subjects[index].fresh.add(sample)
        if !subjects[index].isTouched {
            subjects[index].isTouched = true
            touched.append(index)
        }
    }

    private mutating func index(of service: ServiceID) -> Int {
        if let lastService, lastService.id == service { return lastService.index }
        let index = services[service] ?? enter(.service, service.description, isRoom: services.count < bounds.numbersMax)
        services[service] = index
        lastService = (service, index)
        return index
    }

    private mutating func index(of key: KeyID) -> Int {
        if let index = keys[key] { return index }
        let index = enter(.key, key.description, isRoom: keys.count < bounds.numbersMax)
        keys[key] = index
        return index
    }

    private mutating func index(ofClient name: String) -> Int {
        if let lastClient, lastClient.name == name { return lastClient.index }
        let index = index(of: name, .client, in: \.clients)
        lastClient = (name, index)
        return index
    }

    private mutating func index(ofModel name: String) -> Int {
        if let lastModel, lastModel.name == name { return lastModel.index }
        let index = index(of: name, .model, in: \.models)
        lastModel = (name, index)
        return index
    }

    private mutating func index(of name: String, _ dimension: HistoryDimension, in table: WritableKeyPath<TrafficLedger, [String: Int]>) -> Int {
        let name = Self.bounded(name)
        if let index = self[keyPath: table][name] { return index }
        guard self[keyPath: table].count < bounds.namesMax else {
            if let index = self[keyPath: table][Self.others] { return index }
            let index = enter(dimension, Self.others, isRoom: true)
            self[keyPath: table][Self.others] = index
            return index
        }
        let index = enter(dimension, name, isRoom: true)
        self[keyPath: table][name] = index
        return index
    }

    /// Begins to count a subject.
    private mutating func enter(_ dimension: HistoryDimension, _ name: String, isRoom: Bool) -> Int {
        if !isRoom, let index = subjects.firstIndex(where: { $0.dimension == dimension && $0.name == Self.others }) { return index }
        subjects.append(Subject(dimension, isRoom ? name : Self.others))
        return subjects.count - 1
    }

    /// A name that every store takes: of bounded length, without control characters.
    static func bounded(_ name: String) -> String {
        let isPlain = name.utf8.count <= nameOctetsMax && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        if isPlain { return name }
        var bounded = ""
        for scalar in name.unicodeScalars {
            let scalar: Unicode.Scalar = scalar.value < 0x20 || scalar.value == 0x7F ? "\u{FFFD}" : scalar
            if bounded.utf8.count + UTF8.width(scalar) > nameOctetsMax { break }
            bounded.unicodeScalars.append(scalar)
        }
        return bounded
    }

    private mutating func mergeFresh() {
        for index in touched {
            subjects[index].mergeFresh()
            markDirty(index)
        }
        touched.removeAll(keepingCapacity: true)
    }

    private mutating func markDirty(_ index: Int) {
        if subjects[index].isDirty { return }
        subjects[index].isDirty = true
        dirty.append(index)
    }

    /// The times of the exchanges that were counted since the last call.
    ///
    /// - Parameter isWanted: whether they are to be kept from now on.
    mutating func takeMomentaryTimes(andKeep isWanted: Bool) -> MomentaryTimes {
        defer { moments = isWanted ? MomentaryTimes() : nil }
        return moments ?? MomentaryTimes()
    }

    // MARK: Stretches

    /// Ends what is over at `moment`, which lies beyond the present minute.
    private mutating func begin(at moment: Moment) {
        mergeFresh()
        for resolution in HistoryResolution.allCases {
            let start = resolution.start(of: moment)
            guard start > self.start(resolution) else { continue }
            for index in subjects.indices {
                let subject = subjects[index]
                if subject.isDirty, !subject[resolution].isEmpty {
                    ended.append(RowKey(resolution: resolution, start: self.start(resolution), dimension: subject.dimension, subject: subject.name), subject[resolution])
                }
                subjects[index][resolution] = TrafficTally()
            }
            starts[resolution] = start
            if resolution == .day { forgetSubjects() }
        }
        droppedRows += Int64(ended.shrink(to: bounds.rowsMax))
        minuteEnd = Self.end(ofMinuteOf: moment)
    }

    private mutating func forgetSubjects() {
        subjects.removeAll()
        services.removeAll()
        keys.removeAll()
        clients.removeAll()
        models.removeAll()
        (lastService, lastClient, lastModel) = (nil, nil, nil)
        dirty = FIFO()
    }

    // MARK: For the store

    /// Hands out up to `limit` rows that say more than the store was told: ended stretches first, then what has waited longest. One hand-out at a time, until ``rowsWritten()``
    /// or ``rowsNotWritten()``.
    mutating func takeRows(limit: Int) -> [Row] {
        precondition(handedOut.isEmpty, "rows are handed out one batch after the other")
        mergeFresh()
        while handedOut.count < limit, let row = ended.popFirst() { handedOut.append(row) }
        while handedOut.count + HistoryResolution.allCases.count <= limit, let index = dirty.popFirst() {
            subjects[index].isDirty = false
            let subject = subjects[index]
            for resolution in HistoryResolution.allCases where !subject[resolution].isEmpty {
                handedOut.append((RowKey(resolution: resolution, start: start(resolution), dimension: subject.dimension, subject: subject.name), subject[resolution]))
            }
        }
        return handedOut.map { Row(key: $0.key, tally: $0.tally) }
    }

    /// What was handed out last is in the store.
    mutating func rowsWritten() { handedOut.removeAll() }

    /// Nobody knows whether what was handed out last is in the store. Rows are absolute, so it is handed out again.
    mutating func rowsNotWritten() {
        for (key, tally) in handedOut {
            if key.start == start(key.resolution) {
                if let index = presentIndex(of: key) { markDirty(index) }
            } else {
                ended.appendUnlessThere(key, tally)
            }
        }
        handedOut.removeAll()
        droppedRows += Int64(ended.shrink(to: bounds.rowsMax))
    }

    private func presentIndex(of key: RowKey) -> Int? {
        let index: Int? =
            switch key.dimension {
            case .service: Int64(key.subject).flatMap { services[ServiceID($0)] }
            case .key: Int64(key.subject).flatMap { keys[KeyID($0)] }
            case .client: clients[key.subject]
            case .model: models[key.subject]
            }
        return index ?? subjects.firstIndex { $0.dimension == key.dimension && $0.name == key.subject }
    }

    // MARK: For readers

    /// What is held of stretches that begin in `range`, be it in the store as well or not.
    mutating func rows(_ resolution: HistoryResolution, _ dimension: HistoryDimension, in range: Range<Int64>) -> [Row] {
        mergeFresh()
        var rows: [RowKey: TrafficTally] = [:]
        func isWanted(_ key: RowKey) -> Bool { key.resolution == resolution && key.dimension == dimension && range.contains(key.start) }
        for (key, tally) in handedOut where isWanted(key) { rows[key] = tally }
        ended.forEach { key, tally in if isWanted(key) { rows[key] = tally } }
        if range.contains(start(resolution)) {
            for subject in subjects where subject.dimension == dimension && !subject[resolution].isEmpty {
                rows[RowKey(resolution: resolution, start: start(resolution), dimension: dimension, subject: subject.name)] = subject[resolution]
            }
        }
        return rows.map { Row(key: $0.key, tally: $0.value) }
    }
}

/// How long exchanges took within a short time, for those who look on.
struct MomentaryTimes: Sendable {
    var durations = DurationHistogram()
    var firstBytes = DurationHistogram()
    var additions = DurationHistogram()

    mutating func add(_ sample: TrafficSample) { sample.observe(durations: &durations, firstBytes: &firstBytes, additions: &additions) }
}

/// What was counted of a service since the process began.
struct ServiceTotals: Sendable, Hashable {
    /// Its slug at the time of its last exchange.
    var slug = ""
    var requests: Int64 = 0
    var failures: Int64 = 0
    var unknownUsage: Int64 = 0
    var usage = TokenUsage()

    mutating func add(_ records: Span<ExchangeRecord>, at index: Int) {
        if slug != records[index].slug { slug = records[index].slug }
        requests += 1
        if ExchangeRecord.isFailure(status: records[index].status, ending: records[index].ending, errorCode: records[index].errorCode) { failures += 1 }
        if let used = records[index].usage { usage.add(used) } else if 200..<300 ~= records[index].status { unknownUsage += 1 }
    }
}
