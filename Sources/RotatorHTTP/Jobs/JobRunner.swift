// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// Jobs: what takes longer than a request and survives the process. Starts them, carries them out, tells of them; and probes keys in the background.
///
/// A job is a document in the store. Of the replicas that share one, exactly one carries a job out; when nothing has been heard of it for 15 s, another
/// goes on where its last written part ends. Any task may call any member.
public final class JobRunner: Sendable {
    private struct State: Sendable {
        var running: [Int64: ValidationRun] = [:]
        var watch = SilenceWatch()
        /// Every job up to this number has ended.
        var floor: Int64 = 0
        var retentionDue = Moment.distantPast
    }

    let administration: Administration
    let ledger: JobLedger
    private let sender: any ProbeSender
    private let isShared: Bool
    private let revalidationInterval: Duration?
    private let failureBackoff: Backoff
    private let logger: Logger
    private let state = OutOfLineMutex(State())
    private let wakes = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    /// What this process is known by among those that share the store.
    private let owner = String(UInt64.random(in: .min ... .max), radix: 36)

    /// Validations that run at the same time, over all replicas.
    static let runningMax = 4

    /// Jobs over `documents`, which reach upstreams as `settings` say.
    ///
    /// - Parameters:
    ///   - administration: the services and keys; its store and `documents` belong together.
    ///   - isShared: whether other replicas use the same store: else a job that is running by its document was left by a process that is gone.
    ///   - revalidationInterval: how long an invalid key waits for its next probe, about; nil: it is never probed by itself.
    public convenience init(
        administration: Administration, documents: any DocumentStore, settings: ProxySettings, isShared: Bool, revalidationInterval: Duration?, logger: Logger
    ) {
        self.init(
            administration: administration, documents: documents, sender: KeyProber(settings: settings), isShared: isShared,
            revalidationInterval: revalidationInterval, logger: logger)
    }

    init(
        administration: Administration, documents: any DocumentStore, sender: any ProbeSender, isShared: Bool, revalidationInterval: Duration?, logger: Logger,
        failureBackoff: Backoff = Backoff(first: .seconds(1), limit: .seconds(30))
    ) {
        self.administration = administration
        ledger = JobLedger(documents: documents)
        self.sender = sender
        self.isShared = isShared
        self.revalidationInterval = revalidationInterval
        self.failureBackoff = failureBackoff
        self.logger = logger
    }

    /// Carries jobs out and probes keys in the background, until the task is cancelled; jobs that are under way then are left for the next process.
    public func run() async {
        let prover = ProbeProver(sender: sender)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.carryOutJobs() }
            if let interval = self.revalidationInterval {
                let lease = self.isShared ? ReplicaLease(documents: self.ledger.documents, name: "revalidation", owner: self.owner) : nil
                group.addTask {
                    await Revalidation(administration: self.administration, prover: prover, interval: interval, lease: lease, logger: self.logger).run()
                }
            }
            group.addTask { await CircuitTrials(administration: self.administration, prover: prover).run() }
        }
    }

    private func carryOutJobs() async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    self.wakes.continuation.yield()
                    // Cancellation ends the pause early; the loop then ends by its own condition.
                    try? await Task.sleep(for: self.isShared ? .seconds(1) : .seconds(5))
                }
            }
            for await _ in wakes.stream {
                if Task.isCancelled { break }
                for run in await takeJobs() {
                    group.addTask {
                        await run.run()
                        self.state.withLock { _ = $0.running.removeValue(forKey: run.id) }
                    }
                }
                await forgetOldJobs()
            }
            group.cancelAll()
        }
    }

    /// Jobs that nobody is at, now this replica's.
    private func takeJobs() async -> [ValidationRun] {
        guard administration.isLoaded, let jobs = try? await runningJobs() else { return [] }
        let now = administration.clock()
        var taken: [ValidationRun] = []
        for job in jobs {
            let isOurs = state.withLock { state in
                guard state.running[job.id] == nil, state.running.count < Self.runningMax else { return false }
                let owner = job.record.owner
                let isSilent = state.watch.isSilent(job.id, revision: job.revision, at: now)
                return owner.isEmpty || owner == self.owner || !isShared || isSilent
            }
            guard isOurs else { continue }
            var job = job
            job.record.owner = owner
            // Of several who try, the one whose revision is the present one.
            guard let revision = try? await ledger.replace(job) else { continue }
            job.revision = revision
            let run = ValidationRun(job, administration: administration, ledger: ledger, sender: sender, failureBackoff: failureBackoff, logger: logger)
            state.withLock { $0.running[job.id] = run }
            taken.append(run)
        }
        return taken
    }

    private func runningJobs() async throws(StoreError) -> [JobLedger.Job] {
        let jobs = try await ledger.jobs(after: state.withLock(\.floor), limit: 1_000)
        let running = jobs.filter { $0.record.state == .running }
        state.withLock { state in
            // Jobs never run again once they have ended, and later ones have higher numbers.
            if let last = jobs.last { state.floor = (running.first?.id ?? last.id + 1) - 1 }
            state.watch.keep(Set(running.map(\.id)))
        }
        return running
    }

    private func forgetOldJobs() async {
        let now = administration.clock()
        guard state.withLock({ $0.retentionDue <= now }) else { return }
        do {
            for job in JobRetention.expired(try await ledger.jobs(after: 0, limit: 10_000), at: now) { try await ledger.delete(job) }
            state.withLock { state in
                state.retentionDue = now + .seconds(600)
                // Looked at from the beginning now and then: a store that was restored from a backup has gone back.
                state.floor = 0
            }
        } catch {
            logger.debug("old jobs were not forgotten", metadata: ["error": "\(error)"])
        }
    }
}

/// What the admin API asks of jobs.
extension JobRunner {
    /// Why a job was not started, or not done with as was asked.
    enum Refusal: Error, Sendable {
        case administration(AdministrationError)
        /// There is no job with this number.
        case jobNotFound
        /// The service is being validated, or the job is still running.
        case isRunning
        /// As many jobs run as may.
        case tooManyJobs
        /// The job has ended.
        case hasEnded
        /// No call is known that could tell anything of a key.
        case noProbe
    }

    /// Starts a validation.
    func start(_ service: ServiceID, _ options: ValidationOptions, by actor: String) async throws(Refusal) -> JobLedger.Job {
        let entry: Administration.Entry
        do { entry = try administration.entry(service) } catch { throw .administration(error) }
        guard let upstream = administration.publishedUpstream(of: entry), ProbeCall(upstream, given: options.probe) != nil else { throw .noProbe }
        let running = try await asking { () async throws(StoreError) in try await self.runningJobs() }
        if running.contains(where: { $0.record.service == service }) { throw .isRunning }
        if running.count >= Self.runningMax { throw .tooManyJobs }
        let now = administration.clock()
        var record = JobRecord(service: service, createdAt: now, actor: actor)
        var options = options
        // In their order and once: the order in which they are finished.
        options.ids = options.ids.map { Set($0).sorted() }
        record.options = options
        record.owner = owner
        record.total = try await total(options, of: entry.pool, at: now)
        let job: JobLedger.Job
        do {
            job = try await ledger.insert(record)
        } catch {
            if error.code == .conflict { throw .isRunning }
            throw .administration(.store(error))
        }
        state.withLock { $0.floor = min($0.floor, job.id - 1) }
        await administration.audit("keys.validate", "service \(service), job \(job.id)", by: actor)
        wakes.continuation.yield()
        return job
    }

    private func total(_ options: ValidationOptions, of pool: RotatingKeyPool, at now: Moment) async throws(Refusal) -> Int {
        if let ids = options.ids { return ids.count }
        if let earlier = options.retestOf {
            let job = try await job(earlier)
            return job.record.counts.reduce(0) { $0 + ($1.key == .ok ? 0 : $1.value) }
        }
        return options.state.map { pool.counts(at: now)[$0] ?? 0 } ?? pool.keyCount
    }

    /// A new job over the keys that an earlier one did not find good, by the same call.
    func retest(_ id: Int64, by actor: String) async throws(Refusal) -> JobLedger.Job {
        let earlier = try await job(id)
        if earlier.record.state == .running { throw .isRunning }
        var options = earlier.record.options
        options.ids = nil
        options.state = nil
        options.retestOf = id
        return try await start(earlier.record.service, options, by: actor)
    }

    /// Ends a job; what it has found out stays. Returns when no further probe is sent by this replica.
    func cancel(_ id: Int64, by actor: String) async throws(Refusal) -> JobLedger.Job {
        if try await job(id).record.state != .running { throw .hasEnded }
        if let run = state.withLock({ $0.running[id] }) {
            run.cancel()
            for _ in 0..<100 where state.withLock({ $0.running[id] === run }) { try? await Task.sleep(for: .milliseconds(20)) }
        }
        // Another replica's, or one that nobody is at: whoever is at it notices within a second that it has been replaced.
        var job = try await job(id)
        for _ in 0..<5 where job.record.state == .running {
            job.record.state = .failed
            job.record.reason = .cancelled
            job.record.finishedAt = administration.clock()
            job.record.owner = ""
            job.record.done = job.record.counts.values.reduce(0, +)
            do {
                job.revision = try await ledger.replace(job)
            } catch {
                guard error.code == .conflict else { throw .administration(.store(error)) }
                job = try await self.job(id)
            }
        }
        await administration.audit("job.cancel", "job \(id)", by: actor)
        return job
    }

    /// Removes the keys that a job found rejected and that are invalid still; says how many.
    func deleteRejected(of id: Int64, by actor: String) async throws(Refusal) -> Int {
        let job = try await job(id)
        if job.record.state == .running { throw .isRunning }
        let service = job.record.service
        var doomed: [KeyID] = []
        let pool: RotatingKeyPool
        do { pool = try administration.entry(service).pool } catch { throw .administration(error) }
        let now = administration.clock()
        for number in job.record.partEnds.indices {
            let results = try await asking { () async throws(StoreError) in try await self.ledger.part(number, of: id) }
            doomed += results.lazy.filter { $0.verdict == .rejected }.map { KeyID($0.key) }.filter { pool.view(of: $0, at: now)?.state == .invalid }
        }
        do {
            return try await administration.removeInvalidKeys(doomed, of: service, job: id, by: actor)
        } catch {
            throw .administration(error)
        }
    }

    /// One job.
    func job(_ id: Int64) async throws(Refusal) -> JobLedger.Job {
        guard let job = try await asking({ () async throws(StoreError) in try await self.ledger.job(id) }) else { throw .jobNotFound }
        return job
    }

    /// Jobs with a number above `after`, by number, at most `limit`.
    func jobs(after: Int64, limit: Int) async throws(Refusal) -> [JobLedger.Job] {
        try await asking { () async throws(StoreError) in try await self.ledger.jobs(after: after, limit: limit) }
    }

    /// Results of a job for keys above `after`, in the order of the keys' ids, at most `limit`.
    func results(of job: JobLedger.Job, after: Int64, limit: Int) async throws(Refusal) -> [ProbeResult] {
        try await asking { () async throws(StoreError) in try await self.ledger.results(of: job, after: after, limit: limit) }
    }

    private func asking<Answer: Sendable>(_ body: () async throws(StoreError) -> Answer) async throws(Refusal) -> Answer {
        do { return try await body() } catch { throw .administration(.store(error)) }
    }
}

extension Administration {
    /// The service as requests see it; nil when it has just been replaced.
    func publishedUpstream(of entry: Entry) -> Upstream? {
        let upstream = catalogue.snapshot.upstreams[entry.record.configuration.slug]
        return upstream?.record.id == entry.record.id ? upstream : nil
    }

    /// Removes those of `ids` that are invalid still when their turn comes; says how many.
    func removeInvalidKeys(_ ids: [KeyID], of service: ServiceID, job: Int64, by actor: String) async throws(AdministrationError) -> Int {
        if ids.isEmpty { return 0 }
        return try await change { () async throws(AdministrationError) in
            var entry = try self.entry(service)
            let pool = entry.pool
            let now = self.clock()
            let doomed = ids.filter { pool.view(of: $0, at: now)?.state == .invalid }
            let count = try await self.write(notFound: .serviceNotFound(service)) { () async throws(StoreError) in
                try await self.store.deleteKeys(doomed, of: service)
            }
            entry.pool = pool.removing(Set(doomed))
            self.publish(entry)
            await self.audit("keys.delete_rejected", "\(count) keys of service \(service), job \(job)", by: actor)
            return count
        }
    }
}
