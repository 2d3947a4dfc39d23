// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorStore
import RotatorTestKit
import Synchronization
import Testing

@testable import RotatorHTTP

@Suite("Replication") struct ReplicationTests {
    /// Administrations over one store, each with its replication running until the test ends.
    private struct Replicas: ~Copyable {
        let shared = SharedDouble()
        let all: [Administration]
        private let tasks: [Task<Void, Never>]

        init(_ count: Int = 2) async throws {
            let shared = shared
            var all: [Administration] = []
            for number in 0..<count {
                let replica = ReplicaDouble(shared, writer: number)
                let clock = TestClock()
                let administration = Administration(
                    store: replica, link: replica, catalogue: Catalogue(), adapter: { PlainAdapter(format: $0) }, clock: { clock.now },
                    logger: LogCapture().logger)
                try await administration.load()
                all.append(administration)
            }
            self.all = all
            tasks = all.flatMap { one in [Task { await one.runReplication() }, Task { await one.runStandingWriter() }] }
        }

        subscript(number: Int) -> Administration { all[number] }

        deinit { for task in tasks { task.cancel() } }
    }

    private static let service = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://a.example/v1")

    /// Whether `condition` comes to hold. How soon it does is measured where nothing else runs; here the whole suite does, on a few cores.
    private func soon(_ condition: () async throws -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            if (try? await condition()) ?? false { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    /// A lease on the next key, as a request takes it.
    private func hold(on replica: Administration) -> HeldLease? {
        (replica.catalogue.snapshot.upstreams["one"]?.pool as? RotatingKeyPool)?.hold(at: replica.clock())
    }

    private func keys(_ values: [String], of administration: Administration, in service: ServiceID) async throws -> [KeyID] {
        try await administration.addKeys(values.map { NewKey(secret: Secret($0.utf8)) }, to: service, by: "ada").compactMap {
            if case .added(let id) = $0 { id } else { nil }
        }
    }

    @Test(arguments: [true, false])
    func `what one replica changes is in force on the other, also when the push is lost`(isPushed: Bool) async throws {
        let replicas = try await Replicas()
        if !isPushed { replicas.shared.stopPushing() }
        let other = replicas[1]
        let record = try await replicas[0].addService(Self.service, by: "ada")
        #expect(try await soon { other.catalogue.snapshot.upstreams["one"] != nil })
        let ids = try await keys(["k1", "k2", "k3"], of: replicas[0], in: record.id)
        #expect(try await soon { try other.keys(of: record.id, after: nil, limit: 10).count == 3 })
        _ = try await replicas[0].changeKey(ids[0], KeyChange(name: "first", weight: 7, isActive: false), by: "ada")
        #expect(try await soon { try other.key(ids[0]).state == .disabled && other.key(ids[0]).weight == 7 })
        try await replicas[0].removeKey(ids[1], by: "ada")
        #expect(try await soon { try other.keys(of: record.id, after: nil, limit: 10).count == 2 })
        try await replicas[0].changeService(record.id, by: "ada") { configuration throws(AdministrationError) in
            var configuration = configuration
            configuration.slug = "renamed"
            return configuration
        }
        #expect(try await soon { other.catalogue.snapshot.upstreams["renamed"] != nil && other.catalogue.snapshot.upstreams["one"] == nil })
        try await replicas[0].removeService(record.id, by: "ada")
        #expect(try await soon { other.catalogue.snapshot.upstreams.isEmpty })
    }

    @Test func `a change is made on what another replica has just changed`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        for (number, member) in ["first", "second", "third", "fourth"].enumerated() {
            try await replicas[number % 2].changeService(record.id, by: "ada") { configuration throws(AdministrationError) in
                var configuration = configuration
                configuration.extraHeaders[member] = "x"
                return configuration
            }
        }
        #expect(try replicas[1].service(record.id).configuration.extraHeaders.count == 4)
    }

    @Test(arguments: [true, false])
    func `a rest that one replica decides is in force on the other, also when the push is lost`(isPushed: Bool) async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let ids = try await keys(["k1", "k2"], of: replicas[0], in: record.id)
        let other = replicas[1]
        #expect(try await soon { try other.keys(of: record.id, after: nil, limit: 10).count == 2 })
        if !isPushed { replicas.shared.stopPushing() }
        let now = replicas[0].clock()
        let lease = try #require(hold(on: replicas[0]))
        let id = KeyID(Int64(lease.number))
        lease.settle(.exhausted(until: now + .seconds(600), reason: "insufficient_quota"), at: now)
        #expect(try await soon { try other.key(id).state == .exhausted && other.key(id).stateReason == "insufficient_quota" })
        _ = try await other.resetKey(id, by: "ada")
        let first = replicas[0]
        #expect(try await soon { try first.key(id).state == .active })
        #expect(ids.contains(id))
    }

    @Test func `counts are shown over all replicas`() async throws {
        let replicas = try await Replicas(3)
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let id = try await keys(["k1"], of: replicas[0], in: record.id)[0]
        for replica in replicas.all {
            #expect(try await soon { replica.catalogue.snapshot.upstreams["one"].map { $0.pool.hasKey(model: nil, excluding: TriedKeys(), at: replica.clock()) } ?? false })
            for _ in 0..<10 { try #require(hold(on: replica)).settle(.success, at: replica.clock()) }
        }
        for replica in replicas.all { #expect(try await soon { try await replica.presentKey(id).successCount == 30 }) }
        let listed = try await replicas[2].presentKeys(of: record.id, after: nil, limit: 10) { _ in true }
        #expect(listed.map(\.successCount) == [30])
    }

    @Test func `requests that alternate between replicas take the keys in one strict order`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let ids = try await keys((0..<5).map { "k\($0)" }, of: replicas[0], in: record.id)
        let other = replicas[1]
        #expect(try await soon { try other.keys(of: record.id, after: nil, limit: 10).count == 5 })
        func spend(on replica: Administration) async throws -> KeyID? {
            // As at a low rate: the next ticket has come before the next request.
            try await Task.sleep(for: .milliseconds(20))
            let lease = hold(on: replica)
            lease?.settle(.success, at: replica.clock())
            return lease.map { KeyID(Int64($0.number)) }
        }
        var order: [KeyID?] = []
        for number in 0..<40 { order.append(try await spend(on: replicas[number % 2])) }
        // The first of each may have gone by itself, before its first ticket came.
        let settled = order.dropFirst(10)
        for (one, next) in zip(settled, settled.dropFirst(5)) { #expect(one == next) }
        #expect(Set(settled.compactMap(\.self)) == Set(ids))
    }

    @Test func `while the store is away changes are refused, and afterwards all agree`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let ids = try await keys(["k1", "k2"], of: replicas[0], in: record.id)
        let other = replicas[1]
        #expect(try await soon { try other.keys(of: record.id, after: nil, limit: 10).count == 2 })
        replicas.shared.fail(.unavailable)
        await #expect(throws: AdministrationError.self) { try await other.removeKey(ids[1], by: "ada") }
        let now = other.clock()
        let lease = try #require(hold(on: other), "requests go on from memory")
        let id = KeyID(Int64(lease.number))
        lease.settle(.rateLimited(until: now + .seconds(600), reason: "rate_limited"), at: now)
        try await Task.sleep(for: .milliseconds(300))
        replicas.shared.fail(nil)
        let first = replicas[0]
        let hasHeard = try await soon { try first.key(id).state == .cooling }
        let hasHeardLater = try await soon { try first.key(id).state == .cooling }
        #expect(hasHeard || hasHeardLater, "what was decided meanwhile is told afterwards")
        try await other.removeKey(ids[1], by: "ada")
        #expect(try await soon { try first.keys(of: record.id, after: nil, limit: 10).count == 1 })
    }

    @Test func `counts whose writing was done and never confirmed are counted once`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let id = try await keys(["k1"], of: replicas[0], in: record.id)[0]
        let store = replicas.shared.store
        replicas.shared.state.withLock { $0.failureAfterRecording = .unavailable }
        for round in 1...3 {
            for _ in 0..<10 { try #require(hold(on: replicas[0])).settle(.success, at: replicas[0].clock()) }
            // The first ten are written again and again; what comes after them waits.
            #expect(try await soon { try await store.counts(of: [id])[id]?.successes == 10 }, "round \(round)")
            try await Task.sleep(for: .milliseconds(300))
        }
        replicas.shared.state.withLock { $0.failureAfterRecording = nil }
        #expect(try await soon { try await store.counts(of: [id])[id]?.successes == 30 })
        let first = replicas[0]
        #expect(try await soon { try await first.presentKey(id).successCount == 30 })
    }

    @Test func `a store that was set back to an older state is followed from there`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let id = try await keys(["k1"], of: replicas[0], in: record.id)[0]
        let other = replicas[1]
        let shared = replicas.shared
        #expect(try await soon { try other.key(id).state == .active })
        // As a restored backup: the numbers are lower than those that were seen.
        shared.push { state in
            state.epoch = ReplicaEpoch(catalogue: 0, standings: 0)
            state.changes = []
            state.recordCount = 0
        }
        try await Task.sleep(for: .milliseconds(1200))
        let quiet = shared.state.withLock { $0.recordCount }
        #expect(quiet <= 2, "nobody writes the same down again and again: \(quiet)")
        let now = replicas[0].clock()
        try #require(hold(on: replicas[0])).settle(.exhausted(until: now + .seconds(600), reason: ""), at: now)
        #expect(try await soon { try other.key(id).state == .exhausted })
    }

    @Test func `a listing does not wait for a store that is mute`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        let id = try await keys(["k1"], of: replicas[0], in: record.id)[0]
        // Somebody is writing, and it takes long.
        try await replicas[0].standingGate.enter()
        let duration = try await ContinuousClock().measure { _ = try await replicas[0].presentKey(id) }
        replicas[0].standingGate.leave()
        #expect(duration < .seconds(5))
    }

    @Test func `when shared state is lost, every replica tells again what it knows`() async throws {
        let replicas = try await Replicas()
        let record = try await replicas[0].addService(Self.service, by: "ada")
        _ = try await keys(["k1"], of: replicas[0], in: record.id)
        let now = replicas[0].clock()
        let lease = try #require(hold(on: replicas[0]))
        let id = KeyID(Int64(lease.number))
        lease.settle(.exhausted(until: now + .seconds(600), reason: ""), at: now)
        let shared = replicas.shared
        #expect(try await soon { shared.state.withLock { $0.standings[id] != nil } })
        shared.loseSharedState()
        #expect(shared.state.withLock { $0.standings[id] == nil })
        #expect(try await soon { shared.state.withLock { $0.standings[id]?.record.state == .exhausted } })
    }
}
