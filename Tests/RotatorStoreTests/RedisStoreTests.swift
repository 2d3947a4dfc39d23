// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Testing

@testable import RotatorStore

/// What a Redis store does besides what every store promises. Each test of an outage has a server of its own.
@Suite("Redis store", .serialized) struct RedisStoreTests {
    private let key = MasterKeyRing.generate()
    private let service = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://upstream.example")
    private let clock = ContinuousClock()

    private func opened(_ place: RedisLocation, sealing key: MasterKeyRing? = nil) async throws -> RedisStore {
        let store = try await RedisStore.open(StoreURL(.redis(place)), sealing: key ?? self.key)
        try await store.migrate()
        return store
    }

    private func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do { try await body() } catch { return (error as? StoreError)?.code }
        return nil
    }

    private func eventually(within limit: Duration = .seconds(5), _ condition: () async -> Bool) async throws {
        let end = clock.now + limit
        while await !condition() {
            try #require(clock.now < end, "it has not come true within \(limit)")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func standing(_ seconds: Int64) -> StandingRecord {
        var standing = StandingRecord()
        standing.state = .exhausted
        standing.until = Moment(seconds: 4_000_000_000)
        standing.decidedAt = Moment(seconds: seconds)
        return standing
    }

    // MARK: Outages

    @Test func `a server that is killed is noticed by nobody asking; calls fail at once, and it is reached again by itself`() async throws {
        let server = try await RedisServer.start(settings: ["--appendonly", "yes", "--appendfsync", "always"])
        let store = try await opened(server.newPlace())
        let owner = try await store.insertService(service)
        let last = try await store.leaseTickets(10, of: owner.id)
        try await server.kill()
        try await eventually(within: .seconds(1)) { !store.isReachable }
        for _ in 0..<5 {
            let duration = await clock.measure {
                #expect(await code { try await store.ping() } == .unavailable)
                #expect(await code { _ = try await store.services() } == .unavailable)
                #expect(await code { _ = try await store.leaseTickets(1, of: owner.id) } == .unavailable)
                #expect(await code { _ = try await store.insertService(service) } == .unavailable)
            }
            #expect(duration < .milliseconds(500))
        }
        try await server.restart()
        try await eventually(within: .seconds(3)) { store.isReachable }
        #expect(try await store.services() == [owner])
        #expect(try await store.leaseTickets(1, of: owner.id).first == last.first + 10)
        await store.close()
    }

    @Test func `a frozen server costs one call its deadline and the others nothing, and heals within three seconds`() async throws {
        let server = try await RedisServer.start()
        let store = try await opened(server.newPlace())
        let owner = try await store.insertService(service)
        try await server.freeze()
        let first = await clock.measure { #expect(await code { _ = try await store.leaseTickets(1, of: owner.id) } == .unavailable) }
        #expect(first < .seconds(3))
        #expect(!store.isReachable)
        let later = await clock.measure { for _ in 0..<10 { #expect(await code { _ = try await store.services() } == .unavailable) } }
        #expect(later < .seconds(1))
        try await server.thaw()
        try await eventually(within: .seconds(3)) { store.isReachable }
        #expect(try await store.services() == [owner])
        await store.close()
    }

    @Test func `an emptied database is never taken for an empty catalogue`() async throws {
        let server = try await RedisServer.start()
        let place = try server.newPlace()
        let store = try await opened(place)
        let owner = try await store.insertService(service)
        let epoch = try await store.epoch()
        try await server.command("FLUSHALL", at: place)
        #expect(await code { _ = try await store.services() } == .misconfigured)
        #expect(await code { _ = try await store.keys(of: owner.id) } == .misconfigured)
        #expect(await code { _ = try await store.epoch() } == .misconfigured)
        #expect(await code { _ = try await store.insertService(service) } == .misconfigured)
        #expect(!store.isReachable)
        // Whoever starts anew gets an empty store, whose numbers are greater than all that were.
        let next = try await opened(place)
        #expect(try await next.epoch().catalogue > epoch.catalogue)
        #expect(try await next.services() == [])
        await next.close()
        await store.close()
    }

    @Test func `shared state that is lost begins anew and is told again what the catalogue's store knows`() async throws {
        let redis = try await RedisServer.start()
        let postgres = try await PostgreSQLServer.shared.newPlace()
        let place = try redis.newPlace()
        let store = try await openStore(postgres, sharing: place, sealing: key)
        try await store.migrate()
        let link = try #require(store.replicaLink)
        let owner = try await store.insertService(service)
        guard case .inserted(let made)? = try await store.insertKeys([NewKey(secret: Secret("a".utf8))], into: owner.id).first else { return }
        try await store.record([made.id: StandingUpdate(standing: standing(1))])
        let ticket = try await link.leaseTickets(7, of: owner.id)
        try await redis.kill()
        try await eventually { !store.isReachable }
        // Everything but tickets goes on.
        #expect(await code { _ = try await link.leaseTickets(1, of: owner.id) } == .unavailable)
        try await store.record([made.id: StandingUpdate(standing: standing(2))])
        #expect(try await link.standings(after: 0).standings[made.id] == standing(2))
        #expect(try await store.services() == [owner])
        try await redis.restart()
        try await eventually { store.isReachable }
        #expect(try await link.leaseTickets(1, of: owner.id).first > ticket.first + 6)
        try await eventually { ((try? await redis.command("KEYS", "*standing:*", at: place)) ?? "").contains("standing:\(made.id)") }
        await store.close()
    }

    @Test func `a password that is changed is an outage, and one that is changed back its end`() async throws {
        let server = try await RedisServer.start(settings: ["--requirepass", "first-password"])
        let number = try server.newPlace().database
        let place = RedisLocation(.unix(path: "\(server.directory)/s"), password: "first-password", database: number)
        let store = try await opened(place)
        try await store.ping()
        let wrong = RedisLocation(.unix(path: "\(server.directory)/s"), password: "canary-password", database: number)
        let error = await #expect(throws: StoreError.self) { _ = try await RedisStore.open(StoreURL(.redis(wrong)), sealing: key) }
        #expect(error?.code == .unavailable && error?.message.contains("canary") == false && error?.message.contains("WRONGPASS") == true)
        let admin = RedisLocation(.unix(path: "\(server.directory)/s"), database: 0)
        try await server.command("-a", "first-password", "--no-auth-warning", "CONFIG", "SET", "requirepass", "second", at: admin)
        try await server.command("-a", "second", "--no-auth-warning", "CLIENT", "KILL", "TYPE", "normal", at: admin)
        try await eventually { !store.isReachable }
        #expect(await code { try await store.ping() } == .unavailable)
        try await server.command("-a", "second", "--no-auth-warning", "CONFIG", "SET", "requirepass", "first-password", at: admin)
        try await eventually(within: .seconds(5)) { store.isReachable }
        try await store.ping()
        await store.close()
    }

    @Test func `an ACL user with a password is let in`() async throws {
        let server = try await RedisServer.start()
        let place = try server.newPlace()
        try await server.command("ACL", "SETUSER", "rotator", "on", ">its-password", "~rotator:*", "&rotator:*", "+@all", at: place)
        let store = try await opened(RedisLocation(.unix(path: "\(server.directory)/s"), user: "rotator", password: "its-password", database: place.database))
        #expect(try await store.services() == [])
        await store.close()
    }

    // MARK: What is in it

    @Test func `a wrong master key is told, and so is a newer version; nothing is changed`() async throws {
        let server = try await RedisServer.shared
        let place = try server.newPlace()
        let store = try await opened(place)
        await store.close()
        #expect(await code { _ = try await RedisStore.open(StoreURL(.redis(place)), sealing: .generate()) } == .wrongEncryptionKey)
        try await server.command("HSET", "rotator:meta", "schema", "99", at: place)
        #expect(await code { _ = try await RedisStore.open(StoreURL(.redis(place)), sealing: key) } == .misconfigured)
    }

    @Test func `an older version's database is brought to this version and keeps everything`() async throws {
        let server = try await RedisServer.shared
        let place = try server.newPlace()
        let store = try await opened(place)
        let owner = try await store.insertService(service)
        _ = try await store.insertKeys([NewKey(secret: Secret("a".utf8))], into: owner.id)
        let epoch = try await store.epoch()
        await store.close()
        try await server.command("HSET", "rotator:meta", "schema", "1", at: place)
        let older = try await RedisStore.open(StoreURL(.redis(place)), sealing: key)
        #expect(await code { _ = try await older.services() } == .misconfigured)
        #expect(await code { _ = try await older.document(.client, named: "x") } == .misconfigured)
        try await older.migrate()
        #expect(try await server.command("HGET", "rotator:meta", "schema", at: place).contains("2"))
        #expect(try await older.services() == [owner])
        #expect(try await older.keys(of: owner.id).map(\.attributes) == [KeyAttributes()])
        #expect(try await older.epoch() == epoch)
        #expect(try await older.insertDocument(.client, named: "one", body: [1]).id == 1)
        await older.close()
    }

    @Test func `sealed bodies that change places do not open`() async throws {
        let server = try await RedisServer.shared
        let place = try server.newPlace()
        let store = try await opened(place)
        for name in ["one", "two"] { _ = try await store.insertDocument(.client, named: name, body: [1]) }
        try await server.command(
            "EVAL", "return redis.call('HSET', KEYS[1], '2', redis.call('HGET', KEYS[1], '1'))", "1", "rotator:documents:client", at: place)
        #expect(try await store.document(.client, named: "one")?.body == [1])
        #expect(await code { _ = try await store.document(.client, named: "two") } == .damaged)
        await store.close()
    }

    @Test func `what a client has used is waited for no longer than a ticket`() async throws {
        let server = try await RedisServer.start()
        let store = try await opened(server.newPlace())
        let meter = try await store.insertDocument(.clientMeter, named: "1", body: [1])
        try await server.freeze()
        let duration = await clock.measure {
            #expect(await code { _ = try await store.replaceDocument(.clientMeter, meter.id, named: "1", body: [2], expecting: 1) } == .unavailable)
        }
        #expect(duration < .seconds(3))
        try await server.thaw()
        await store.close()
    }

    @Test func `nothing that was laid ready is left, whether it was written or refused`() async throws {
        let server = try await RedisServer.shared
        let place = try server.newPlace()
        let store = try await opened(place)
        let owner = try await store.insertService(service)
        let keys = CatalogueChange.insertKeys([NewKey(secret: Secret("a".utf8))], into: .existing(owner.id))
        _ = try await store.apply([keys, .insertDocument(.client, name: "one", body: [1])])
        #expect(await code { _ = try await store.apply([keys, .insertService(service)]) } == .conflict)
        try await store.writeHistory([HistoryRow(resolution: .day, start: 0, dimension: .model, subject: "m", writer: "w", tally: [1])])
        _ = try await store.restoreDocuments([StoredDocument(id: 9, name: "nine", body: [9], revision: 9)], of: .job)
        #expect(try await !server.command("KEYS", "rotator:stage:*", at: place).contains("stage"))
        await store.close()
    }

    @Test func `scripts that the server has forgotten are sent again`() async throws {
        let server = try await RedisServer.start()
        let place = try server.newPlace()
        let store = try await opened(place)
        let owner = try await store.insertService(service)
        try await server.command("SCRIPT", "FLUSH", at: place)
        #expect(try await store.services() == [owner])
        await store.close()
    }

    @Test func `no value of a key is in what the server keeps or is sent`() async throws {
        let canary = "CANARY-51c0-canary-key-value"
        let server = try await RedisServer.start()
        let place = try server.newPlace()
        let store = try await opened(place)
        var configuration = service
        configuration.extraHeaders = ["X-Secret": canary]
        let owner = try await store.insertService(configuration)
        _ = try await store.insertKeys([NewKey(secret: Secret(canary.utf8))], into: owner.id)
        try await store.setSetting("token", to: Array(canary.utf8))
        _ = try await store.insertDocument(.client, named: "one", body: Array(canary.utf8))
        try await server.command("SAVE", at: place)
        let dump = try Data(contentsOf: URL(fileURLWithPath: "\(server.directory)/dump.rdb"))
        #expect(dump.count > 100)
        #expect(dump.range(of: Data(canary.utf8)) == nil)
        #expect(dump.range(of: Data(Data(canary.utf8).base64EncodedString().utf8)) == nil)
        await store.close()
    }

    @Test func `a hundred thousand keys go in by one call and come out again, while tickets are leased`() async throws {
        let server = try await RedisServer.start()
        let store = try await opened(server.newPlace())
        let owner = try await store.insertService(service)
        let keys = (0..<100_000).map { NewKey(secret: Secret("sk-proj-\($0)-0123456789abcdef0123456789abcdef".utf8)) }
        let insertions = try await store.insertKeys(keys + keys[..<100], into: owner.id)
        #expect(insertions.count { if case .inserted = $0 { true } else { false } } == 100_000)
        let ids = try await store.keys(of: owner.id).map(\.id)
        #expect(ids.count == 100_000)
        #expect(try await store.deleteKeys(ids + ids, of: owner.id) == 100_000)
        #expect(try await store.keys(of: owner.id).isEmpty)
        _ = try await store.insertKeys(keys, into: owner.id)
        #expect(try await store.deleteKeys(of: owner.id) == 100_000)
        await store.close()
    }

    @Test func `whether Redis keeps anything on disk is told`() async throws {
        let forgetful = try await RedisServer.start()
        let store = try await opened(forgetful.newPlace())
        #expect(await store.durabilityWarning()?.contains("appendonly no") == true)
        await store.close()
        let lasting = try await RedisServer.start(settings: ["--appendonly", "yes"])
        let other = try await opened(lasting.newPlace())
        #expect(await other.durabilityWarning() == nil)
        await other.close()
    }
}

@Suite("A standing as text") struct StandingDocumentTests {
    @Test func `it is read back exactly, and its beginning tells the age`() throws {
        var record = StandingRecord()
        record.until = Moment(nanoseconds: .max)
        record.models = [StandingRecord.ModelRest(model: "a\"b\u{1F511}", until: Moment(nanoseconds: 1), reason: "r", level: 7)]
        record.decidedAt = Moment(nanoseconds: .max - 1)
        record.resetCount = 3
        #expect(StandingDocument.decode(StandingDocument.encode(record)) == record)
        var later = record
        later.resetCount = 20
        later.decidedAt = Moment(nanoseconds: 5)
        let age = { (record: StandingRecord) in String(decoding: StandingDocument.encode(record)[..<StandingDocument.ageLength], as: UTF8.self) }
        #expect(age(record) < age(later))
        #expect(record.isOlder(than: later))
        for bad in ["", "x", String(repeating: "1", count: 40), String(repeating: "1", count: 40) + "{}"] { #expect(StandingDocument.decode(Array(bad.utf8)) == nil) }
    }
}
