// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Validation") struct ValidationTests {
    private var fast: ValidationOptions {
        var options = ValidationOptions()
        options.ratePerSecond = 10_000
        return options
    }

    @Test func `each key gets a verdict, and a rejected one becomes invalid`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 401, 402, 403, 429, 503])
        let (record, results) = try await harness.running {
            let job = try await harness.runner.start(service, fast, by: "ada")
            let record = try await harness.ended(job.id)
            return (record, try await harness.runner.results(of: try await harness.runner.job(job.id), after: 0, limit: 100))
        }
        #expect(record.state == .done)
        #expect(record.done == 6 && record.total == 6)
        #expect(results.map(\.verdict) == [.ok, .rejected, .exhausted, .forbidden, .rateLimited, .upstreamFailed])
        #expect(results.map(\.status) == [200, 401, 402, 403, 429, 503])
        #expect(try keys.map(harness.state) == [.active, .invalid, .exhausted, .active, .cooling, .active])
        #expect(try harness.administration.key(keys[1]).stateReason == "validation_rejected")
    }

    @Test func `a made-up key is tried first, and once`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200, 200])
        try await harness.running { _ = try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id) }
        let (first, probes) = harness.provider.peek { ($0.order[0], $0.probes) }
        #expect(first.hasPrefix("sk-test-") && !["sk-test-10000", "sk-test-10001"].contains(first))
        #expect(probes.values.allSatisfy { $0 == 1 } && probes.count == 3)
    }

    @Test func `where a made-up key is accepted, the job fails and no key is tried`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200, 401])
        harness.provider.peek { $0.otherwise = 200 }
        let record = try await harness.running { try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id) }
        #expect(record.state == .failed && record.reason == .probeProvesNothing)
        #expect(harness.provider.peek { $0.probes.count } == 1)
    }

    @Test func `while every key is rejected, none becomes invalid, and the job says so`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([401, 401, 401])
        let record = try await harness.running { try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id) }
        #expect(record.state == .done && record.isProviderAtFault)
        #expect(record.counts == [.rejected: 3])
        #expect(try keys.allSatisfy { try harness.state(of: $0) != .invalid })
    }

    @Test func `keys that were rejected before the first good one become invalid too`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService(Array(repeating: 401, count: 1_000) + [200])
        let record = try await harness.running { try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id) }
        #expect(record.partEnds.count == 2 && !record.isProviderAtFault)
        #expect(try harness.state(of: keys[0]) == .invalid && harness.state(of: keys[999]) == .invalid)
    }

    @Test func `a job that does not apply leaves the keys alone`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 401, 429])
        var options = fast
        options.applies = false
        let chosen = options
        let record = try await harness.running { try await harness.ended(try await harness.runner.start(service, chosen, by: "ada").id) }
        #expect(record.counts == [.ok: 1, .rejected: 1, .rateLimited: 1])
        for key in keys {
            let view = try harness.administration.key(key)
            #expect(view.state == .active && view.successCount == 0 && view.failureCount == 0)
        }
    }

    @Test func `a key that is switched off is skipped, unless it is named`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 200])
        try await harness.administration.changeKey(keys[1], KeyChange(isActive: false), by: "ada")
        var named = fast
        named.ids = [keys[1]]
        let chosen = named
        let (all, one) = try await harness.running {
            let all = try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id)
            return (all, try await harness.ended(try await harness.runner.start(service, chosen, by: "ada").id))
        }
        #expect(all.counts == [.ok: 1, .skipped: 1])
        #expect(one.counts == [.ok: 1])
    }

    @Test func `an invalid key that the provider accepts again is active again`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 401])
        try await harness.running {
            _ = try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id)
            #expect(try harness.state(of: keys[1]) == .invalid)
            harness.provider.peek { $0.statuses["sk-test-10001"] = 200 }
            _ = try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id)
        }
        #expect(try harness.state(of: keys[1]) == .active)
    }

    @Test func `concurrency is bounded by what was asked`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService(Array(repeating: 200, count: 200))
        var options = fast
        options.concurrency = 3
        let chosen = options
        try await harness.running { _ = try await harness.ended(try await harness.runner.start(service, chosen, by: "ada").id) }
        #expect(harness.provider.peek { $0.runningMost } <= 3)
    }

    @Test func `a job goes on after a crash where its last part ended`() async throws {
        let first = try await JobHarness()
        let (service, _) = try await first.makeService(Array(repeating: 200, count: 2_500))
        // Dies in the third part.
        first.provider.peek { $0.holdAfter = 2_200 }
        let id = try await first.running {
            let job = try await first.runner.start(service, fast, by: "ada")
            try await eventually { first.provider.peek { $0.probes.values.reduce(0, +) } >= 2_200 }
            first.way.cut()
            return job.id
        }
        first.provider.peek { $0.holdAfter = nil }
        let second = try await JobHarness(beside: first)
        let record = try await second.running { try await second.ended(id) }
        #expect(record.state == .done && record.counts == [.ok: 2_500])
        let probes = first.provider.peek(\.probes)
        #expect(probes.count == 2_501, "all keys and one made-up key: what has been proven stays so")
        #expect((10_000..<12_000).allSatisfy { probes["sk-test-\($0)"] == 1 })
        #expect((12_000..<12_500).allSatisfy { 1...2 ~= probes["sk-test-\($0)"] ?? 0 })
    }

    @Test func `a job of a replica that has fallen silent is taken over after 15 s, and not before`() async throws {
        let clock = TestClock()
        let first = try await JobHarness(isShared: true, clock: { clock.now })
        let (service, _) = try await first.makeService([200, 200])
        // Written down and never carried out: its owner is gone.
        let job = try await first.runner.start(service, fast, by: "ada")
        let second = try await JobHarness(beside: first, isShared: true, clock: { clock.now })
        let record = try await second.running {
            // A look that began now is over when one more than the next has been made.
            func look() async throws {
                let before = second.way.listings
                try await eventually { second.way.listings > before + 1 }
            }
            try await look()
            clock.advance(by: .seconds(14))
            try await look()
            #expect(first.provider.peek { $0.probes.isEmpty })
            clock.advance(by: .seconds(2))
            return try await second.ended(job.id)
        }
        #expect(record.counts == [.ok: 2])
    }

    @Test func `who was taken for dead notices it, and leaves the job to the other`() async throws {
        let harness = try await JobHarness(isShared: true)
        let (service, _) = try await harness.makeService([200, 200, 200])
        harness.provider.peek { $0.holdAfter = 2 }
        try await harness.running {
            let id = try await harness.runner.start(service, fast, by: "ada").id
            try await eventually { harness.provider.peek { $0.running } == 2 }
            try await eventually {
                var job = try await harness.runner.job(id)
                job.record.owner = "another"
                return (try? await harness.runner.ledger.replace(job)) != nil
            }
            let taken = try await harness.runner.job(id)
            try await eventually { harness.provider.peek { $0.running } == 0 }
            #expect(try await harness.runner.job(id) == taken)
        }
    }

    @Test func `a process that goes down writes down what it has found out, and leaves the rest`() async throws {
        let first = try await JobHarness()
        let (service, _) = try await first.makeService(Array(repeating: 200, count: 50))
        first.provider.peek { $0.holdAfter = 31 }
        var options = fast
        options.concurrency = 1
        let chosen = options
        let id = try await first.running {
            let job = try await first.runner.start(service, chosen, by: "ada")
            try await eventually { first.provider.peek { $0.probes.count } > 31 }
            return job.id
        }
        let left = try await first.runner.job(id).record
        #expect(left.state == .running && left.owner.isEmpty && left.done == 30)
        first.provider.peek { $0.holdAfter = nil }
        let second = try await JobHarness(beside: first)
        let record = try await second.running { try await second.ended(id) }
        #expect(record.counts == [.ok: 50])
        #expect(first.provider.peek { $0.probes.values.filter { $0 > 1 }.count } <= 1)
    }

    @Test func `a cancelled job ends at once and keeps its results`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService(Array(repeating: 200, count: 50))
        harness.provider.peek { $0.holdAfter = 21 }
        let (record, results) = try await harness.running {
            let job = try await harness.runner.start(service, fast, by: "ada")
            try await eventually { harness.provider.peek { $0.probes.count } > 21 }
            let clock = ContinuousClock()
            let began = clock.now
            let ended = try await harness.runner.cancel(job.id, by: "ada")
            #expect(clock.now - began < .seconds(1))
            return (ended.record, try await harness.runner.results(of: ended, after: 0, limit: 100))
        }
        #expect(record.state == .failed && record.reason == .cancelled)
        #expect(record.done == 20 && results.count == 20)
    }

    @Test func `a job whose service is gone ends, and says so`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200])
        let job = try await harness.runner.start(service, fast, by: "ada")
        try await harness.administration.removeService(service, by: "ada")
        let record = try await harness.running { try await harness.ended(job.id) }
        #expect(record.state == .failed && record.reason == .serviceChanged)
    }

    @Test func `a service whose target is for another method than GET wants a call`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200], kind: .generic)
        try await harness.administration.changeService(service, by: "ada") { configuration in
            var configuration = configuration
            configuration.method = "POST"
            return configuration
        }
        let answer = try await harness.call("POST", "/admin/proxy-configs/\(service)/keys/validate")
        #expect(answer.status == 400 && answer.detail.contains("“probe”"))
    }

    @Test func `a provider that fails altogether ends the job, after a few attempts`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200])
        harness.provider.peek { $0.otherwise = 0 }
        let record = try await harness.running { try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id) }
        #expect(record.state == .failed && record.reason == .upstreamFailed)
        #expect(harness.provider.peek { $0.probes.count } == 4, "made-up keys alone")
    }

    @Test func `invalid keys are tried again in the background, and come back when the provider accepts them`() async throws {
        let harness = try await JobHarness(revalidationInterval: .milliseconds(200))
        let (service, keys) = try await harness.makeService([200, 401, 401])
        try await harness.running {
            _ = try await harness.ended(try await harness.runner.start(service, fast, by: "ada").id)
            harness.provider.peek { $0.statuses["sk-test-10001"] = 200 }
            try await eventually { try harness.state(of: keys[1]) == .active }
        }
        #expect(try harness.state(of: keys[2]) == .invalid)
    }

    @Test func `of several replicas one tries invalid keys again`() async throws {
        let clock = TestClock()
        let documents = CatalogueDouble()
        let one = ReplicaLease(documents: documents, name: "revalidation", owner: "a")
        let other = ReplicaLease(documents: documents, name: "revalidation", owner: "b")
        #expect(await one.hold(at: clock.now))
        #expect(await other.hold(at: clock.now) == false)
        clock.advance(by: .seconds(14))
        #expect(await one.hold(at: clock.now))
        #expect(await other.hold(at: clock.now) == false)
        clock.advance(by: .seconds(14))
        #expect(await other.hold(at: clock.now) == false)
        clock.advance(by: .seconds(1))
        #expect(await other.hold(at: clock.now))
        #expect(await one.hold(at: clock.now) == false)
    }

    /// A pool of two keys, the first of which has a circuit that waits for its trial.
    private func halfOpen(_ clock: TestClock, keys: Int) async throws -> (harness: JobHarness, pool: RotatingKeyPool, trials: CircuitTrials) {
        let harness = try await JobHarness(clock: { clock.now })
        let (service, keys) = try await harness.makeService(Array(repeating: 200, count: keys))
        let pool = try harness.administration.entry(service).pool
        for _ in 0..<3 {
            clock.advance(by: .seconds(1))
            pool.leaseForProbe(keys[0], at: clock.now)?.settle(.upstreamFailed(reason: ""), model: nil, at: clock.now)
        }
        clock.advance(by: .seconds(10))
        _ = pool.nextAvailability(model: nil, at: clock.now)
        let prover = ProbeProver(sender: harness.provider)
        return (harness, pool, CircuitTrials(administration: harness.administration, prover: prover))
    }

    @Test func `a circuit whose provider still fails opens again without a client's help`() async throws {
        let clock = TestClock()
        let (harness, pool, trials) = try await halfOpen(clock, keys: 2)
        harness.provider.peek { $0.statuses["sk-test-10000"] = 0 }
        #expect(await trials.tryCircuits(except: [:], at: clock.now).isEmpty)
        let view = try #require(pool.views(after: nil, limit: 1, at: clock.now) { _ in true }.first)
        #expect(view.stateReason == "circuit_open" && view.coolingUntil == clock.now + .seconds(10))
    }

    @Test func `a circuit whose provider answers is left to the next request`() async throws {
        let clock = TestClock()
        let (_, pool, trials) = try await halfOpen(clock, keys: 2)
        let key = try #require(pool.views(after: nil, limit: 1, at: clock.now) { _ in true }.first?.id)
        #expect(await trials.tryCircuits(except: [:], at: clock.now) == [key])
        #expect(pool.keysAwaitingTrial(since: clock.now, limit: 1) == [key])
    }

    @Test func `the only way out is never taken away from the requests`() async throws {
        let clock = TestClock()
        let (harness, _, trials) = try await halfOpen(clock, keys: 1)
        _ = await trials.tryCircuits(except: [:], at: clock.now)
        #expect(harness.provider.peek { $0.probes.isEmpty })
    }
}
