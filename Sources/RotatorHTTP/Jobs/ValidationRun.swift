// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore
internal import Synchronization

/// One validation, carried out by this replica: tries the keys of a service in the order of their ids and writes down what came of them.
///
/// The job's document is the bookmark: a part of up to 1,000 results is written, then the document that counts it. Whoever goes on after a crash begins
/// behind the last part. The document is written each second besides, and only by whoever knows its revision: so a replica that was taken for dead
/// notices that another is at it.
final class ValidationRun: Sendable {
    /// How a run ends.
    enum End: Sendable, Hashable {
        /// The job has ended so.
        case ended(JobRecord.State, JobRecord.Reason?)
        /// An administrator has ended it.
        case cancelled
        /// Another replica is at it, or it is gone.
        case lost
        /// This process goes down: somebody else is to go on.
        case stopped
    }

    private struct State: Sendable {
        var job: JobLedger.Job
        var pace: ProbePace
        /// The part under way: its keys in order, what is known of them, and what is not to count yet.
        var page: [KeyID] = []
        var results: [Int64: ProbeResult] = [:]
        var unconfirmed: Set<Int64> = []

        func isFinished(_ key: KeyID) -> Bool { results[key.rawValue] != nil && !unconfirmed.contains(key.rawValue) }
    }

    private enum Saving { case written, away, lost }

    let id: Int64
    /// What this replica wrote itself down as.
    private let owner: String
    private let administration: Administration
    private let ledger: JobLedger
    private let sender: any ProbeSender
    private let failureBackoff: Backoff
    private let logger: Logger
    private let state: OutOfLineMutex<State>
    private let saveGate = SerialGate(waitingMax: 8)
    private let cancellations = AsyncStream<Void>.makeStream()

    private static let beatInterval = Duration.seconds(1)
    private static let retryPause = Duration.seconds(1)
    /// The same at the end, when the process may be waiting for it.
    private static let farewellPause = Duration.milliseconds(200)
    /// How often in a row the provider may fail altogether.
    private static let failuresMax = 4

    /// A run of a job that this replica has taken.
    ///
    /// - Parameter failureBackoff: how long it waits while the provider fails altogether.
    init(_ job: JobLedger.Job, administration: Administration, ledger: JobLedger, sender: any ProbeSender, failureBackoff: Backoff, logger: Logger) {
        id = job.id
        owner = job.record.owner
        self.administration = administration
        self.ledger = ledger
        self.sender = sender
        self.failureBackoff = failureBackoff
        self.logger = logger
        var job = job
        // What was under way when it was left is begun anew.
        job.record.done = job.record.counts.values.reduce(0, +)
        state = OutOfLineMutex(State(job: job, pace: ProbePace(perSecond: job.record.options.ratePerSecond)))
    }

    private var record: JobRecord { state.withLock { $0.job.record } }
    private func now() -> Moment { administration.clock() }

    /// Has the run end as cancelled.
    func cancel() { cancellations.continuation.yield() }

    /// Carries the job out, until it ends or the task is cancelled.
    func run() async {
        let end = await firstEnd()
        logger.debug("a job's run has ended", metadata: ["job": "\(id)", "end": "\(end)"])
        // A task of its own: what is written now must not be given up because the process goes down.
        await Task { await self.writeDown(end) }.value
    }

    private func firstEnd() async -> End {
        await withTaskGroup(of: End?.self) { group in
            group.addTask { await self.beat() }
            group.addTask { await self.work() }
            group.addTask {
                for await _ in self.cancellations.stream { return .cancelled }
                return nil
            }
            while let end = await group.next() {
                guard let end else { continue }
                group.cancelAll()
                return end
            }
            return .stopped
        }
    }

    private func writeDown(_ end: End) async {
        switch end {
        case .lost: return
        case .stopped:
            // Only what stands before the first gap: whoever goes on begins right behind it.
            await writeRest { state in state.page.prefix(while: state.isFinished) }
            state.withLock { $0.job.record.owner = "" }
        case .cancelled:
            await writeRest { state in state.page.filter(state.isFinished)[...] }
            finish(.failed, .cancelled)
        case .ended(let state, let reason):
            finish(state, reason)
            let record = record
            logger.notice(
                "a validation has ended",
                metadata: [
                    "job": "\(id)", "service": "\(record.service)", "state": "\(reason?.rawValue ?? state.rawValue)", "keys": "\(record.done)",
                    "ok": "\(record.counts[.ok] ?? 0)", "rejected": "\(record.counts[.rejected] ?? 0)",
                ])
        }
        // Should the store stay away, the job is still running by its document, and is taken up again.
        for _ in 0..<5 {
            if await save() != .away { return }
            try? await Task.sleep(for: Self.farewellPause)
        }
    }

    private func finish(_ state: JobRecord.State, _ reason: JobRecord.Reason?) {
        let now = now()
        self.state.withLock { content in
            content.job.record.state = state
            content.job.record.reason = reason
            content.job.record.finishedAt = now
            content.job.record.owner = ""
            content.job.record.done = content.job.record.counts.values.reduce(0, +)
            if state == .done { content.job.record.total = content.job.record.done }
        }
    }

    private func writeRest(_ choose: (State) -> ArraySlice<KeyID>) async {
        let results = state.withLock { state in
            let chosen = choose(state)
            defer { state.page = [] }
            return chosen.compactMap { state.results[$0.rawValue] }
        }
        guard !results.isEmpty else { return }
        if record.options.applies { _ = await administration.flushStandings() }
        do {
            try await ledger.writePart(record.partEnds.count, of: id, results)
            count(results)
        } catch {
            logger.debug("a part of a job was not written", metadata: ["job": "\(id)", "error": "\(error)"])
        }
    }

    // MARK: Telling that it lives

    private func beat() async -> End? {
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: Self.beatInterval)
            if Task.isCancelled { break }
            if await save() == .lost { return .lost }
        }
        return nil
    }

    private func save() async -> Saving {
        do { try await saveGate.enter() } catch { return .away }
        defer { saveGate.leave() }
        let job = state.withLock { state in
            var job = state.job
            if job.record.state == .running { job.record.done += state.results.count - state.unconfirmed.count }
            return job
        }
        do {
            let revision = try await ledger.replace(job)
            state.withLock { $0.job.revision = revision }
            return .written
        } catch {
            guard error.code == .conflict || error.code == .notFound else { return .away }
            // Perhaps our own last write, which was done although nothing was heard of it.
            do {
                guard let present = try await ledger.job(id) else { return .lost }
                guard present.record.state == .running, present.record.owner == owner else { return .lost }
                state.withLock { $0.job.revision = present.revision }
                return .away
            } catch {
                return .away
            }
        }
    }

    // MARK: The work

    private func work() async -> End? {
        var failures = 0
        while !Task.isCancelled {
            guard let service = service() else { return .ended(.failed, .serviceChanged) }
            let page: [KeyID]
            do {
                guard let next = try await nextPage(of: service.pool) else { return .ended(.failed, .serviceChanged) }
                page = next
            } catch {
                if await !pause(Self.retryPause) { return nil }
                continue
            }
            guard let first = page.first else {
                if await !judgeRest(in: service.pool) { return nil }
                return .ended(.done, nil)
            }
            if !record.isProven {
                guard let sample = service.pool.secret(of: first) ?? service.pool.secrets.first?.secret else { return .ended(.done, nil) }
                switch await service.call.prove(by: sender, like: sample, at: now) {
                case .proves: state.withLock { $0.job.record.isProven = true }
                case .provesNothing: return .ended(.failed, .probeProvesNothing)
                case .unclear:
                    failures += 1
                    if failures >= Self.failuresMax { return .ended(.failed, .upstreamFailed) }
                    if await !pause(failureBackoff.delay(level: failures)) { return nil }
                    continue
                }
            }
            await probe(page, of: service)
            if Task.isCancelled { return nil }
            let probed = state.withLock { $0.results.values.filter { $0.verdict != .skipped } }
            let hasFailed = !probed.isEmpty && probed.allSatisfy { $0.verdict == .upstreamFailed }
            failures = hasFailed ? failures + 1 : 0
            if hasFailed, failures < Self.failuresMax {
                forgetPart()
                if await !pause(failureBackoff.delay(level: failures)) { return nil }
                continue
            }
            if await !writePart(in: service.pool) { return nil }
            if hasFailed { return .ended(.failed, .upstreamFailed) }
        }
        return nil
    }

    private struct Service: Sendable {
        var pool: RotatingKeyPool
        var call: ProbeCall
    }

    /// The service as it is now; nil when it is gone, or no call can be made any more.
    private func service() -> Service? {
        let record = record
        guard let entry = try? administration.entry(record.service), let upstream = administration.publishedUpstream(of: entry),
            let call = ProbeCall(upstream, given: record.options.probe)
        else { return nil }
        return Service(pool: entry.pool, call: call)
    }

    /// The keys that come next; empty when all are finished, nil when what they were to be taken from is gone.
    private func nextPage(of pool: RotatingKeyPool) async throws(StoreError) -> [KeyID]? {
        let record = record
        let cursor = record.cursor
        if let ids = record.options.ids { return Array(ids.lazy.filter { $0.rawValue > cursor }.prefix(JobPart.keysMax)) }
        if let earlier = record.options.retestOf {
            guard let job = try await ledger.job(earlier) else { return nil }
            return try await ledger.results(of: job, after: cursor, limit: JobPart.keysMax) { $0.verdict != .ok }.map { KeyID($0.key) }
        }
        let wanted = record.options.state
        return pool.views(after: KeyID(cursor), limit: JobPart.keysMax, at: now()) { wanted == nil || $0.state == wanted }.map(\.id)
    }

    /// Probes the keys of a part, then once more those whose verdict wants a confirmation.
    private func probe(_ page: [KeyID], of service: Service) async {
        state.withLock { state in
            state.page = page
            state.results = [:]
            state.unconfirmed = []
        }
        await probeEach(page, of: service) { result in
            self.state.withLock { state in
                state.results[result.key] = result
                if result.verdict.wantsConfirmation { state.unconfirmed.insert(result.key) }
            }
        }
        let doubtful = state.withLock { state in page.filter { state.unconfirmed.contains($0.rawValue) } }
        await probeEach(doubtful, of: service) { result in
            self.state.withLock { state in
                state.results[result.key] = result
                state.unconfirmed.remove(result.key)
            }
        }
    }

    private func probeEach(_ keys: [KeyID], of service: Service, _ take: @escaping @Sendable (ProbeResult) -> Void) async {
        let counter = Counter()
        let options = record.options
        await withDiscardingTaskGroup { group in
            for _ in 0..<min(options.concurrency, keys.count) {
                group.addTask {
                    while !Task.isCancelled {
                        let index = counter.next()
                        guard index < keys.count else { return }
                        if let result = await self.probe(keys[index], of: service, options) { take(result) }
                    }
                }
            }
        }
    }

    /// Tells each of several who ask another number, from 0.
    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)

        func next() -> Int { value.add(1, ordering: .relaxed).oldValue }
    }

    /// Nil when it was given up.
    private func probe(_ key: KeyID, of service: Service, _ options: ValidationOptions) async -> ProbeResult? {
        let skipped = ProbeResult(key: key.rawValue, verdict: .skipped, status: 0)
        guard let view = service.pool.view(of: key, at: now()) else { return skipped }
        // Switched off means not to be spent, unless it was named.
        if !view.isActive, options.ids == nil, options.state != .disabled { return skipped }
        let present = now()
        let turn = state.withLock { $0.pace.take(at: present) }
        if await !pause(turn - now()) { return nil }
        let answer: ProbeAnswer
        let outcome: AttemptOutcome
        if options.applies {
            guard let lease = service.pool.leaseForProbe(key, at: now()) else { return skipped }
            answer = await sender.send(service.call, with: lease.key.secret)
            outcome = service.call.outcome(of: answer, at: now())
            service.call.noteGroup(of: answer, on: lease, at: now())
            lease.settle(service.call.lesson(of: outcome), model: service.call.model, at: now())
        } else {
            guard let secret = service.pool.secret(of: key) else { return skipped }
            answer = await sender.send(service.call, with: secret)
            outcome = service.call.outcome(of: answer, at: now())
        }
        guard let verdict = ProbeVerdict(outcome) else { return nil }
        return ProbeResult(key: key.rawValue, verdict: verdict, status: answer.status)
    }

    // MARK: Parts

    private func forgetPart() {
        state.withLock { state in
            state.page = []
            state.results = [:]
            state.unconfirmed = []
        }
    }

    /// Writes down the part that has been probed. False when the run is to end.
    private func writePart(in pool: RotatingKeyPool) async -> Bool {
        let results = state.withLock { state in state.page.compactMap { state.results[$0.rawValue] } }
        let record = record
        if record.options.applies {
            let recognises = results.contains { $0.verdict.isRecognised }
            if recognises, !record.hasRecognised {
                if await !judgeParts(of: record, in: pool) { return false }
                state.withLock { $0.job.record.hasRecognised = true }
            }
            if recognises || record.hasRecognised { judge(results, in: pool) }
        }
        // What was decided about keys is written before the part that counts them: after a crash nobody looks at them again.
        while true {
            let isWritten = record.options.applies ? await administration.flushStandings() : true
            if isWritten, (try? await ledger.writePart(record.partEnds.count, of: id, results)) != nil { break }
            if await !pause(Self.retryPause) { return false }
        }
        count(results)
        while await save() == .away {
            if await !pause(Self.retryPause) { return false }
        }
        return !Task.isCancelled
    }

    /// Takes the part's results over into the account of the job.
    private func count(_ results: [ProbeResult]) {
        state.withLock { state in
            guard let end = results.last?.key else { return }
            state.job.record.partEnds.append(end)
            for result in results { state.job.record.counts[result.verdict, default: 0] += 1 }
            state.job.record.done = state.job.record.counts.values.reduce(0, +)
            state.page = []
            state.results = [:]
            state.unconfirmed = []
        }
    }

    // MARK: Judgement

    /// Where the provider has accepted no key at all, the other keys of the pool decide whether that is the keys' fault. False when the run is to end.
    private func judgeRest(in pool: RotatingKeyPool) async -> Bool {
        let record = record
        guard record.options.applies, !record.hasRecognised else { return true }
        guard await judgeParts(of: record, in: pool) else { return false }
        while await !administration.flushStandings() {
            if await !pause(Self.retryPause) { return false }
        }
        return true
    }

    private func judgeParts(of record: JobRecord, in pool: RotatingKeyPool) async -> Bool {
        for number in record.partEnds.indices {
            while true {
                if let results = try? await ledger.part(number, of: id) {
                    judge(results, in: pool)
                    break
                }
                if await !pause(Self.retryPause) { return false }
            }
        }
        return true
    }

    private func judge(_ results: [ProbeResult], in pool: RotatingKeyPool) {
        for result in results where result.verdict == .rejected {
            if !pool.judgeInvalid(KeyID(result.key), reason: "validation_rejected", at: now()) {
                state.withLock { $0.job.record.isProviderAtFault = true }
            }
        }
    }

    /// False when the run is to end.
    private func pause(_ duration: Duration) async -> Bool {
        if duration > .zero { try? await Task.sleep(for: duration) }
        return !Task.isCancelled
    }
}

extension ProbeAnswer {
    /// The HTTP status; 0 where no answer came.
    var status: Int { if case .answered(let answer) = self { answer.status } else { 0 } }
}

extension ProbeCall {
    /// What an outcome of this call teaches about the key. A key that may not make the dialect's own call may well do what it is for.
    func lesson(of outcome: AttemptOutcome) -> AttemptOutcome {
        if case .forbidden = outcome, !isConfigured { return .abandoned }
        return outcome
    }

    /// Tells the pool to which organisation the key belongs, where the answer says so: whoever validates a pool has its quota groups.
    func noteGroup(of answer: ProbeAnswer, on lease: borrowing KeyLease, at now: Moment) {
        guard case .answered(let answer) = answer, let group = upstream.adapter.quotaGroup(in: answer.fields) else { return }
        lease.noteAccount(model: model, quota: nil, group: group, at: now)
    }

    /// Tries the call with a made-up key of the shape of `sample`.
    func prove(by sender: any ProbeSender, like sample: Secret, at now: () -> Moment) async -> ProbeProof {
        var random = SystemRandomNumberGenerator()
        let answer = await sender.send(self, with: sample.madeUpSibling(using: &random))
        return ProbeProof(outcome(of: answer, at: now()))
    }
}
