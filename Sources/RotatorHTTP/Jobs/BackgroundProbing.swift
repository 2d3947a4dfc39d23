// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// Probes keys by their services' own calls, once a call has been shown to prove something. Remembers for a while what was shown.
final class ProbeProver: Sendable {
    private let sender: any ProbeSender
    private let proofs = OutOfLineMutex<[ProbeCall.Identity: (proof: ProbeProof, until: Moment)]>([:])

    private static let proofsMax = 1_000

    init(sender: any ProbeSender) { self.sender = sender }

    /// Whether `call` tells good keys from bad ones: by a made-up key like `sample`, or as was found within the hour.
    func isProven(_ call: ProbeCall, like sample: Secret, at now: @Sendable () -> Moment) async -> Bool {
        let present = now()
        let known = proofs.withLock { proofs in proofs[call.identity].flatMap { $0.until > present ? $0.proof : nil } }
        if let known { return known == .proves }
        let proof = await call.prove(by: sender, like: sample, at: now)
        let until = now() + (proof == .unclear ? .seconds(60) : .seconds(3_600))
        proofs.withLock { proofs in
            if proofs.count >= Self.proofsMax { proofs = [:] }
            proofs[call.identity] = (proof, until)
        }
        return proof == .proves
    }

    /// Probes one key as an attempt of its pool; `lesson` says what the outcome teaches it. The outcome, or nil where the key is gone.
    func probe(
        _ key: KeyID, of pool: RotatingKeyPool, by call: ProbeCall, at now: @Sendable () -> Moment, lesson: (AttemptOutcome) -> AttemptOutcome
    ) async -> AttemptOutcome? {
        guard let lease = pool.leaseForProbe(key, at: now()) else { return nil }
        let answer = await sender.send(call, with: lease.key.secret)
        let outcome = call.outcome(of: answer, at: now())
        lease.settle(lesson(outcome), model: call.model, at: now())
        return outcome
    }
}

/// When an invalid key is probed again. A value: time is handed in.
struct RevalidationSchedule: Sendable {
    /// About how long a key waits.
    let interval: Duration
    private var tried: [KeyID: Moment] = [:]

    /// How long a key waits at least whose probe taught nothing.
    private static let retryPause = Duration.seconds(3_600)
    private static let triedMax = 10_000

    /// Each key about once in `interval`.
    init(interval: Duration) { self.interval = interval }

    /// Whether a key that the provider rejected last at `decidedAt` is due: three to five quarters of the interval after that, each key at its own
    /// time, so that a pool that was rejected at once does not come back at once.
    func isDue(_ key: KeyID, decidedAt: Moment, at now: Moment) -> Bool {
        let share = Double((UInt64(bitPattern: key.rawValue) &* 0x9E37_79B9_7F4A_7C15) >> 32) / Double(UInt32.max)
        guard decidedAt + interval * (0.75 + share / 2) <= now else { return false }
        return tried[key].map { now - $0 >= min(Self.retryPause, interval) } ?? true
    }

    /// A key is being probed.
    mutating func willTry(_ key: KeyID, at now: Moment) {
        // Forgetting costs a probe that teaches nothing, and no more.
        if tried.count >= Self.triedMax { tried = [:] }
        tried[key] = now
    }
}

/// Probes invalid keys again, by one replica at a time: what the provider accepts once more comes back.
struct Revalidation: Sendable {
    let administration: Administration
    let prover: ProbeProver
    let interval: Duration
    /// Who may do it, where several share the store; nil: this process alone.
    let lease: ReplicaLease?
    let logger: Logger

    /// Keys that one round probes of one service at most, and probes at the same time: five in a second.
    private static let roundMax = 25
    private static let pageSize = 1_000
    private static let concurrency = 4

    func run() async {
        var schedule = RevalidationSchedule(interval: interval)
        let round = min(Duration.seconds(5), interval / 4)
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: max(round, .milliseconds(100)) * Double.random(in: 0.8...1.2))
            if Task.isCancelled { break }
            if let lease, await !lease.hold(at: administration.clock()) { continue }
            await probeDue(&schedule)
        }
    }

    private func probeDue(_ schedule: inout RevalidationSchedule) async {
        guard let entries = try? administration.loadedEntries() else { return }
        for entry in entries.values where entry.record.configuration.isActive {
            let now = administration.clock()
            var due: [KeyID] = []
            var last: KeyID?
            repeat {
                let page = entry.pool.invalidKeys(after: last, limit: Self.pageSize)
                last = page.last?.id
                for key in page where due.count < Self.roundMax && schedule.isDue(key.id, decidedAt: key.decidedAt, at: now) { due.append(key.id) }
            } while last != nil && due.count < Self.roundMax
            guard let first = due.first, let sample = entry.pool.secret(of: first), let upstream = administration.publishedUpstream(of: entry),
                let call = ProbeCall(upstream), await prover.isProven(call, like: sample, at: administration.clock)
            else { continue }
            for key in due { schedule.willTry(key, at: now) }
            await probe(due, of: entry, by: call)
        }
    }

    private func probe(_ keys: [KeyID], of entry: Administration.Entry, by call: ProbeCall) async {
        await withDiscardingTaskGroup { group in
            for lane in 0..<min(Self.concurrency, keys.count) {
                group.addTask {
                    for index in stride(from: lane, to: keys.count, by: Self.concurrency) where !Task.isCancelled {
                        let outcome = await prover.probe(keys[index], of: entry.pool, by: call, at: administration.clock, lesson: call.lesson)
                        guard outcome == .success else { continue }
                        logger.notice("an invalid key works again", metadata: ["service": "\(entry.record.configuration.slug)", "key": "\(keys[index])"])
                    }
                }
            }
        }
    }
}

/// Tries half-open circuits of llm services in the background while others of their keys serve the requests, so that no client waits for a provider that
/// is still down.
///
/// A failure opens the circuit again, as the trial of a request would. An answer closes none: that a provider lists its models does not show that it
/// completes anything, so the next request is the trial then.
struct CircuitTrials: Sendable {
    let administration: Administration
    let prover: ProbeProver

    /// How long a request may take the trial first; and how long a key that was answered is left to the requests.
    private static let patience = Duration.seconds(1)
    private static let answeredPause = Duration.seconds(60)
    private static let perService = 4
    private static let answeredMax = 10_000

    func run() async {
        var answered: [KeyID: Moment] = [:]
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: Self.patience)
            if Task.isCancelled { break }
            let now = administration.clock()
            answered = answered.filter { now - $0.value < Self.answeredPause }
            if answered.count >= Self.answeredMax { continue }
            for key in await tryCircuits(except: answered, at: now) { answered[key] = now }
        }
    }

    /// One round: probes circuits that have waited. The keys that were answered.
    func tryCircuits(except left: [KeyID: Moment], at now: Moment) async -> [KeyID] {
        guard let entries = try? administration.loadedEntries() else { return [] }
        return await withTaskGroup(of: KeyID?.self) { group in
            for entry in entries.values where entry.record.configuration.kind == .llm && entry.record.configuration.isActive {
                let waiting = entry.pool.keysAwaitingTrial(since: now.advanced(byNanoseconds: -Self.patience.wholeNanoseconds), limit: Self.perService)
                var tried = TriedKeys()
                for key in waiting { tried.insert(key) }
                // A service whose only ways out are these leaves them to its requests: while a trial runs, its key is not granted.
                guard let first = waiting.first, entry.pool.hasKey(model: nil, excluding: tried, at: now), let sample = entry.pool.secret(of: first),
                    let upstream = administration.publishedUpstream(of: entry), let call = ProbeCall(upstream)
                else { continue }
                for key in waiting where left[key] == nil {
                    group.addTask {
                        guard await prover.isProven(call, like: sample, at: administration.clock) else { return key }
                        let outcome = await prover.probe(key, of: entry.pool, by: call, at: administration.clock) { outcome in
                            switch outcome {
                            case .success, .forbidden, .abandoned: .abandoned
                            case .rateLimited, .exhausted, .keyRejected, .upstreamFailed: outcome
                            }
                        }
                        if case .upstreamFailed = outcome { return nil }
                        return key
                    }
                }
            }
            return await group.reduce(into: []) { if let key = $1 { $0.append(key) } }
        }
    }
}

/// What one of several replicas does for all, as long as it is heard of: a document that the holder replaces again and again.
final class ReplicaLease: Sendable {
    private let documents: any DocumentStore
    private let name: String
    private let owner: String
    private let watch = OutOfLineMutex(SilenceWatch())

    init(documents: any DocumentStore, name: String, owner: String) {
        self.documents = documents
        self.name = name
        self.owner = owner
    }

    /// Takes the lease or keeps it; to be called at least every ten seconds. False while another replica has it, and while the store is away.
    func hold(at now: Moment) async -> Bool {
        do {
            guard let present = try await documents.document(.job, named: name) else {
                _ = try await documents.insertDocument(.job, named: name, body: body)
                return true
            }
            guard present.body == body || watch.withLock({ $0.isSilent(present.id, revision: present.revision, at: now) }) else { return false }
            _ = try await documents.replaceDocument(.job, present.id, named: name, body: body, expecting: present.revision)
            return true
        } catch {
            return false
        }
    }

    private var body: [UInt8] {
        var json = JSONWriter()
        json.openObject()
        json.member("kind", "lease")
        json.member("owner", owner)
        json.closeObject()
        return json.octets
    }
}
