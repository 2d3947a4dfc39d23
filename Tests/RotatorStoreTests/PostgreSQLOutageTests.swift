// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Synchronization
import Testing

@testable import RotatorStore

/// What a store does while its server is away, and how it heals. Each test has a server of its own.
@Suite("PostgreSQL outages", .serialized) struct PostgreSQLOutageTests {
    private let key = MasterKeyRing.generate()
    private let service = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://upstream.example")
    private let clock = ContinuousClock()

    @Test func `a server that ends is noticed by nobody asking, and so is its return`() async throws {
        let server = try await PostgreSQLServer.start()
        let store = try await opened(server)
        let owner = try await store.insertService(service)
        var news = store.news().makeAsyncIterator()
        await news.next()
        try await server.stop()
        try await eventually(within: .seconds(1)) { !store.isReachable }
        for _ in 0..<5 {
            let duration = await clock.measure {
                #expect(await code { try await store.ping() } == .unavailable)
                #expect(await code { try await store.services() } == .unavailable)
                #expect(await code { try await store.leaseTickets(1, of: owner.id) } == .unavailable)
                #expect(await code { try await store.insertService(service) } == .unavailable)
            }
            #expect(duration < .milliseconds(500))
        }
        #expect(!store.isReachable)
        try await server.restart()
        try await eventually(within: .seconds(3)) { store.isReachable }
        // Each connection is made anew by its first call, which is served.
        #expect(try await store.services() == [owner])
        var changed = owner
        changed.configuration.name = "Changed"
        try await store.updateService(changed)
        try await store.append(AuditEntry(at: Moment(seconds: 1), actor: "a", action: "b", subject: "c"))
        _ = try await store.leaseTickets(1, of: owner.id)
        // News comes again.
        await news.next()
        await store.close()
    }

    @Test func `tickets that were handed out before a crash of the server do not come again after it`() async throws {
        let server = try await PostgreSQLServer.start()
        let store = try await opened(server)
        let owner = try await store.insertService(service)
        var last: Int64 = -1
        for _ in 0..<20 { last = try await store.leaseTickets(65_536, of: owner.id).first + 65_535 }
        try await server.stop()
        try await server.restart()
        try await eventually { store.isReachable }
        let lease = try await store.leaseTickets(1, of: owner.id)
        #expect(lease.first > last)
        await store.close()
    }

    @Test func `a frozen server costs one call its deadline and the others nothing, and heals within three seconds`() async throws {
        let server = try await PostgreSQLServer.start()
        let store = try await opened(server)
        let owner = try await store.insertService(service)
        _ = try await store.leaseTickets(1, of: owner.id)
        try await server.freeze()
        let first = await clock.measure { #expect(await code { try await store.leaseTickets(1, of: owner.id) } == .unavailable) }
        #expect(first < .seconds(3))
        #expect(!store.isReachable)
        for _ in 0..<10 {
            let later = await clock.measure {
                #expect(await code { try await store.ping() } == .unavailable)
                #expect(await code { try await store.services() } == .unavailable)
                #expect(await code { try await store.updateService(owner) } == .unavailable)
            }
            #expect(later < .milliseconds(200))
            try await Task.sleep(for: .milliseconds(400))
        }
        let healing = try await clock.measure {
            try await server.thaw()
            try await eventually(within: .seconds(5)) { store.isReachable }
        }
        #expect(healing < .seconds(3))
        #expect(try await store.services() == [owner])
        _ = try await store.leaseTickets(1, of: owner.id)
        await store.close()
    }

    @Test func `what a client has used is waited for no longer than a ticket`() async throws {
        let server = try await PostgreSQLServer.start()
        let store = try await opened(server)
        let meter = try await store.insertDocument(.clientMeter, named: "1", body: [1])
        try await server.freeze()
        let duration = await clock.measure { #expect(await code { try await store.document(.clientMeter, named: "1") } == .unavailable) }
        #expect(duration < .seconds(3))
        try await server.thaw()
        try await eventually(within: .seconds(5)) { store.isReachable }
        _ = try await store.document(.clientMeter, named: "1")
        try await server.freeze()
        let later = await clock.measure {
            #expect(await code { try await store.replaceDocument(.clientMeter, meter.id, named: "1", body: [2], expecting: 1) } == .unavailable)
        }
        #expect(later < .seconds(3))
        try await server.thaw()
        await store.close()
    }

    @Test func `a write that is under way when the server freezes ends within its deadline and is whole or not there`() async throws {
        let server = try await PostgreSQLServer.start()
        let store = try await opened(server)
        let owner = try await store.insertService(service)
        let keys = (0..<20_000).map { NewKey(secret: Secret("key-\($0)".utf8)) }
        let insertion = Task { try await store.insertKeys(keys, into: owner.id) }
        try await Task.sleep(for: .milliseconds(150))
        try await server.freeze()
        // The outage is noticed by whoever asks for something quick.
        #expect(await code { try await store.ping() } == .unavailable)
        try await server.thaw()
        try await eventually { store.isReachable }
        let result = await insertion.result
        let expected = if case .success = result { keys.count } else { 0 }
        #expect(try await store.keys(of: owner.id).count == expected)
        await store.close()
    }

    @Test func `a store is closed in time, whether its server is stopped or frozen`() async throws {
        let server = try await PostgreSQLServer.start()
        let stores = [try await opened(server), try await opened(server)]
        try await server.freeze()
        let frozen = await clock.measure { await stores[0].close() }
        #expect(frozen < .seconds(1))
        let call = Task { await code { try await stores[1].ping() } }
        try await eventually { !stores[1].isReachable }
        let waiting = await clock.measure { await stores[1].close() }
        #expect(waiting < .seconds(1))
        #expect(await call.value == .unavailable)
        #expect(await code { try await stores[1].ping() } == .unavailable)
        try await server.thaw()
        try await server.stop()
    }

    @Test func `a replica that is frozen in the middle of a transaction does not hold up the others for long`() async throws {
        let server = try await PostgreSQLServer.start(settings: ["log_min_messages": "fatal"])
        let store = try await opened(server)
        let owner = try await store.insertService(service)
        // What a replica that has stopped in mid-transaction leaves: an open transaction that holds the row of the epochs.
        let other = try await LoneSession(server)
        let held = Task { await other.holdEpoch() }
        try await eventually { other.isHolding }
        let duration = try await clock.measure {
            try await eventually(within: .seconds(20)) {
                try await store.updateService(owner)
                return true
            }
        }
        #expect(duration < .seconds(15))
        _ = await held.value
        await other.close()
        await store.close()
    }

    @Test func `too many connections are unavailable, and heal when there is room`() async throws {
        let server = try await PostgreSQLServer.start(settings: ["max_connections": "5", "superuser_reserved_connections": "0", "max_wal_senders": "0"])
        let url = try StoreURL(server.location(of: "postgres"))
        var stores: [PostgreSQLStore] = []
        var refusal: StoreError?
        for _ in 0..<6 where refusal == nil {
            do { stores.append(try await PostgreSQLStore.open(url, sealing: key)) } catch { refusal = error }
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(refusal?.code == .unavailable)
        #expect(refusal?.message.contains("53300") == true)
        for store in stores { await store.close() }
        try await eventually {
            let store = try await PostgreSQLStore.open(url, sealing: key)
            await store.close()
            return true
        }
    }

    @Test func `once one connection is let in again, no other goes on saying that it was refused`() async throws {
        let server = try await PostgreSQLServer.start()
        let database = try await server.newDatabase()
        let store = try await opened(server, in: database)
        let entry = AuditEntry(at: Moment(seconds: 1), actor: "a", action: "b", subject: "c")
        // One call for each connection that is not the ping's: what reads, what writes, what is written in passing.
        func codes() async -> [StoreError.Code?] {
            [
                await code { try await store.services() }, await code { try await store.deleteHistory(.minute, before: 0) },
                await code { try await store.append(entry) },
            ]
        }
        #expect(await codes() == [nil, nil, nil])
        // Pauses are at random: three times, so that one of them is under way when the ping's connection is let in.
        for _ in 0..<3 {
            _ = try await server.query("ALTER DATABASE \(database) ALLOW_CONNECTIONS false", in: "postgres")
            _ = try await server.query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '\(database)'", in: "postgres")
            // Until pauses are as long as half a second.
            let end = clock.now + .milliseconds(1_500)
            while clock.now < end {
                #expect(await codes() == [.unavailable, .unavailable, .unavailable])
                try await Task.sleep(for: .milliseconds(10))
            }
            _ = try await server.query("ALTER DATABASE \(database) ALLOW_CONNECTIONS true", in: "postgres")
            try await eventually(within: .seconds(3)) { await code { try await store.ping() } == nil }
            #expect(await codes() == [nil, nil, nil])
            #expect(store.isReachable)
        }
        await store.close()
    }

    private func opened(_ server: PostgreSQLServer, in database: String = "postgres") async throws -> PostgreSQLStore {
        let store = try await PostgreSQLStore.open(StoreURL(server.location(of: database)), sealing: key)
        try await store.migrate()
        return store
    }
}

/// A session by itself, as a replica has it.
private final class LoneSession: Sendable {
    private let loop: StoreLoop
    private let session: PostgreSQLSession
    private let holding = Atomic(false)

    init(_ server: PostgreSQLServer) async throws {
        loop = try StoreLoop.start()
        guard case .postgreSQL(let location) = try StoreURL(server.location(of: "postgres")).place else { preconditionFailure("a PostgreSQL location") }
        session = PostgreSQLSession(
            loop: loop, connector: try await PostgreSQLConnector(to: location), condition: PostgreSQLCondition(), sealer: Sealer(.generate()), storeID: "test")
    }

    var isHolding: Bool { holding.load(ordering: .acquiring) }

    /// Opens a transaction, takes the row of the epochs and does nothing for as long as the server bears it.
    func holdEpoch() async {
        _ = await code { [self] in
            try await session.transaction(within: .seconds(60)) { session throws(PostgreSQLError) in
                _ = try await session.nextStandingEpoch()
                self.holding.store(true, ordering: .releasing)
                await loop.sleep(until: .now + .seconds(12))
            }
        }
    }

    func close() async {
        await session.disconnect()
        loop.stop()
    }
}
