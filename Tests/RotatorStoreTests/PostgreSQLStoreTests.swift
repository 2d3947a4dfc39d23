// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Testing

@testable import RotatorStore

@Suite("PostgreSQL store") struct PostgreSQLStoreTests {
    private let key = MasterKeyRing.generate()
    private let service = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://upstream.example")

    // MARK: Opening

    @Test func `calls before the migration are misconfigured, and opening changes nothing`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let store = try await PostgreSQLStore.open(StoreURL(server.location(of: database)), sealing: key)
        #expect(await code { try await store.ping() } == .misconfigured)
        #expect(await code { try await store.services() } == .misconfigured)
        #expect(await code { try await store.insertService(service) } == .misconfigured)
        #expect(await code { try await store.epoch() } == .misconfigured)
        #expect(!store.isReachable)
        #expect(try await server.query("SELECT count(*) FROM pg_class WHERE relname LIKE 'rotator%'", in: database) == "0")
        try await store.migrate()
        try await store.ping()
        #expect(store.isReachable)
        await store.close()
    }

    @Test func `another key is told before anything is read or written`() async throws {
        let place = try await PostgreSQLServer.shared.newPlace()
        await (try opened(place)).close()
        #expect(await code { try await PostgreSQLStore.open(place, sealing: .generate()) } == .wrongEncryptionKey)
        await (try opened(place)).close()
    }

    @Test func `of two that migrate one place at once under different keys, one is told so`() async throws {
        let place = try await PostgreSQLServer.shared.newPlace()
        let stores = [try await PostgreSQLStore.open(place, sealing: key), try await PostgreSQLStore.open(place, sealing: .generate())]
        async let first = code { try await stores[0].migrate() }
        async let second = code { try await stores[1].migrate() }
        let codes = await [first, second]
        #expect(codes.count { $0 == nil } == 1)
        #expect(codes.count { $0 == .wrongEncryptionKey } == 1)
        for store in stores { await store.close() }
    }

    @Test func `a database of a newer version is misconfigured and stays as it is`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let place = try StoreURL(server.location(of: database))
        await (try opened(place)).close()
        _ = try await server.query("UPDATE rotator_schema SET version = 99", in: database)
        let error = await #expect(throws: StoreError.self) { try await PostgreSQLStore.open(place, sealing: key) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("99") == true)
    }

    @Test func `an older version's database is brought to this version and keeps everything`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let place = try StoreURL(server.location(of: database))
        let store = try await opened(place)
        let owner = try await store.insertService(service)
        let keys = try await insert(["a", "b"], into: owner.id, of: store)
        try await store.record([keys[1].id: StandingUpdate(standing: nil, counts: KeyCounts(successes: 3, failures: 1, lastUsedAt: nil))])
        let epoch = try await store.epoch()
        await store.close()
        let columns = "SELECT string_agg(table_name || column_name || data_type, ',' ORDER BY table_name, column_name) FROM information_schema.columns WHERE table_schema = 'public'"
        _ = try await server.query(
            """
            DROP TABLE rotator_documents, rotator_document_numbers, rotator_history; ALTER TABLE rotator_keys DROP COLUMN attributes;
            UPDATE rotator_schema SET version = 1
            """, in: database)
        // The very schema that the version made.
        let made = try await server.newDatabase()
        _ = try await server.query(PostgreSQLSchema.steps[0], in: made)
        #expect(try await server.query(columns, in: database) == server.query(columns, in: made))

        let older = try await PostgreSQLStore.open(place, sealing: key)
        #expect(await code { try await older.keys(of: owner.id) } == .misconfigured)
        #expect(await code { try await older.document(.client, named: "x") } == .misconfigured)
        try await older.migrate()
        let found = try await older.keys(of: owner.id)
        #expect(found.map(\.id) == keys.map(\.id) && found.map(\.counts.successes) == [0, 3] && found.map(\.attributes) == [KeyAttributes(), KeyAttributes()])
        #expect(try await older.services() == [owner])
        #expect(try await older.epoch() == epoch)
        #expect(try await older.insertDocument(.client, named: "one", body: [1]).id == 1)
        await older.close()
        #expect(try await server.query("SELECT version FROM rotator_schema", in: database) == "2")
    }

    @Test func `a replica of the version before can go on over a database of this one`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let store = try await opened(StoreURL(server.location(of: database)))
        _ = try await store.insertService(service)
        // What that version writes: a key without attributes.
        _ = try await server.query(
            "INSERT INTO rotator_services (slug, document, sealed_headers) SELECT 'other', document, sealed_headers FROM rotator_services", in: database)
        _ = try await store.insertDocument(.webhook, named: "hook", body: [1])
        // And what it reads of a change that it does not know: a service that is not there.
        #expect(try await server.query("SELECT service_id FROM rotator_changes ORDER BY revision DESC LIMIT 1", in: database) == "-3")
        await store.close()
    }

    @Test func `tables of another program do not matter, unless they have our names`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let place = try StoreURL(server.location(of: database))
        _ = try await server.query("CREATE TABLE services (id int); CREATE TABLE settings (id int); CREATE TABLE keys (id int)", in: database)
        let store = try await opened(place)
        _ = try await store.insertService(service)
        await store.close()
        let other = try await server.newDatabase()
        _ = try await server.query("CREATE TABLE rotator_keys (id int)", in: other)
        #expect(await code { try await PostgreSQLStore.open(StoreURL(server.location(of: other)), sealing: key) } == .misconfigured)
    }

    @Test func `two installations live in two schemas of one database and hear nothing of each other`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        _ = try await server.query("CREATE SCHEMA blue; CREATE SCHEMA green", in: database)
        func place(_ schema: String) throws -> StoreURL { try StoreURL(server.location(of: database) + "&options=-csearch_path%3D\(schema)") }
        let blue = try await opened(place("blue"))
        let green = try await opened(place("green"), key: .generate())
        var news = green.news().makeAsyncIterator()
        await news.next()
        _ = try await blue.insertService(service)
        #expect(try await green.services().isEmpty)
        // What it hears next is its own.
        let epoch = try await green.epoch()
        let heard = Task { [stream = green.news()] in
            var count = 0
            for await _ in stream { count += 1 }
            return count
        }
        try await Task.sleep(for: .milliseconds(100))
        await blue.close()
        await green.close()
        // One, because the connection was there already.
        #expect(await heard.value == 1)
        #expect(epoch.catalogue > 0)
    }

    @Test(arguments: [
        "postgres://nobody@127.0.0.1:1/none", "postgres:///none?host=/nowhere", "postgres://127.0.0.1:1,127.0.0.1:2/none", "postgres://u:hunter2@no-such-host.invalid/d",
    ])
    func `a server that is not there is unavailable, soon and without the password`(_ location: String) async throws {
        let url = try StoreURL(location)
        let clock = ContinuousClock()
        let duration = await clock.measure {
            let error = await #expect(throws: StoreError.self) { try await PostgreSQLStore.open(url, sealing: key) }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("hunter2") == false)
            #expect(error?.message.contains("\n") == false)
        }
        #expect(duration < .seconds(5))
    }

    @Test func `a location that libpq does not understand is misconfigured, and nothing of it is repeated`() async throws {
        let url = try StoreURL("postgres://u:secret-1@h/d?hunter2=secret-2")
        let error = await #expect(throws: StoreError.self) { try await PostgreSQLStore.open(url, sealing: key) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("hunter2") == false && error?.message.contains("secret") == false)
    }

    @Test func `a database or user that does not exist is unavailable, in our own words`() async throws {
        let server = try await PostgreSQLServer.shared
        for location in [server.location(of: "nowhere"), server.location(of: "postgres", user: "nobody")] {
            let error = await #expect(throws: StoreError.self) { try await PostgreSQLStore.open(StoreURL(location), sealing: key) }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("SQLSTATE") == true)
        }
    }

    // MARK: Whole or not at all

    @Test func `a connection that is ended in the middle of an import leaves nothing of it, and the next call is served`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let store = try await opened(StoreURL(server.location(of: database)))
        let owner = try await store.insertService(service)
        let epoch = try await store.epoch()
        let keys = (0..<30_000).map { NewKey(secret: Secret("key-\($0)".utf8)) }
        let insertion = Task { try await store.insertKeys(keys, into: owner.id) }
        var isEnded = false
        for _ in 0..<2000 where !isEnded {
            let ended = try await server.query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '\(database)' AND query LIKE 'INSERT INTO rotator_keys%'", in: "postgres")
            isEnded = ended != "0"
        }
        #expect(isEnded)
        #expect(await code { try await insertion.value } == .unavailable)
        try await eventually { try await store.keys(of: owner.id).isEmpty }
        #expect(try await store.epoch() == epoch)
        try await eventually { try await store.insertKeys(Array(keys[..<10]), into: owner.id).count == 10 }
        await store.close()
    }

    @Test func `transactions that stand in each other's way are tried again`() async throws {
        let place = try await PostgreSQLServer.shared.newPlace()
        let stores = [try await opened(place), try await PostgreSQLStore.open(place, sealing: key)]
        let owner = try await stores[0].insertService(service)
        let ids = try await insert((0..<50).map { "k\($0)" }, into: owner.id, of: stores[0]).map(\.id)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for store in stores {
                for round in 1...20 {
                    group.addTask {
                        var standing = StandingRecord()
                        standing.decidedAt = Moment(seconds: Int64(round))
                        let update = StandingUpdate(standing: standing, counts: KeyCounts(successes: 1, failures: 0, lastUsedAt: nil))
                        try await store.record(Dictionary(uniqueKeysWithValues: ids.map { ($0, update) }))
                    }
                }
                group.addTask { for id in ids.suffix(10) { _ = await code { try await store.deleteKey(id) } } }
            }
            try await group.waitForAll()
        }
        let found = try await stores[1].keys(of: owner.id)
        #expect(found.map(\.id) == Array(ids.dropLast(10)))
        #expect(Set(found.map(\.counts.successes)) == [40])
        #expect(Set(found.map(\.standing.decidedAt)) == [Moment(seconds: 20)])
        for store in stores { await store.close() }
    }

    // MARK: Replicas

    @Test func `changes beyond the last ten thousand are not remembered`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let stores = [try await opened(StoreURL(server.location(of: database))), try await opened(StoreURL(server.location(of: database)))]
        let start = try await stores[1].epoch().catalogue
        let owner = try await stores[0].insertService(service)
        _ = try await server.query(
            """
            WITH e AS (UPDATE rotator_epoch SET catalogue = catalogue + 20000 RETURNING catalogue)
            INSERT INTO rotator_changes SELECT catalogue - 20000 + n, 1, 'other' FROM e, generate_series(1, 20000) AS n
            """, in: database)
        #expect(try await stores[1].catalogueChanges(after: start).changedServices == [owner.id])
        try await stores[0].updateService(owner)
        #expect(try await server.query("SELECT count(*) FROM rotator_changes", in: database) == "10000")
        let found = try await stores[1].catalogueChanges(after: start)
        #expect(found.changedServices == nil)
        #expect(found.revision == start + 20_002)
        #expect(try await stores[1].catalogueChanges(after: found.revision - 10_000).changedServices == [owner.id])
        #expect(try await stores[1].catalogueChanges(after: found.revision - 10_001).changedServices == nil)
        for store in stores { await store.close() }
    }

    @Test func `a database that was set back to an older state makes everyone read everything`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let store = try await opened(StoreURL(server.location(of: database)))
        let owner = try await store.insertService(service)
        let id = try await insert(["a"], into: owner.id, of: store)[0].id
        var standing = StandingRecord()
        standing.state = .invalid
        try await store.record([id: StandingUpdate(standing: standing)])
        let known = try await store.epoch()
        _ = try await server.query("UPDATE rotator_epoch SET catalogue = catalogue - 1, standings = standings - 1", in: database)
        #expect(try await store.catalogueChanges(after: known.catalogue) == CatalogueNews(changedServices: nil, revision: known.catalogue - 1))
        let news = try await store.standings(after: known.standings)
        #expect(news == StandingNews(standings: [id: standing], epoch: known.standings - 1, isComplete: false))
        await store.close()
    }

    @Test func `an import that takes long holds up no ticket and no client's meter`() async throws {
        let store = try await opened(try await PostgreSQLServer.shared.newPlace())
        let owner = try await store.insertService(service)
        _ = try await store.leaseTickets(1, of: owner.id)
        _ = try await store.insertDocument(.clientMeter, named: "1", body: [0])
        let keys = (0..<20_000).map { NewKey(secret: Secret("key-\($0)".utf8)) }
        let isOver = Task { try await store.insertKeys(keys, into: owner.id).count }
        var slowest = Duration.zero
        for _ in 0..<50 {
            slowest = max(slowest, try await ContinuousClock().measure { _ = try await store.leaseTickets(1, of: owner.id) })
            slowest = max(
                slowest,
                try await ContinuousClock().measure {
                    let found = try #require(try await store.document(.clientMeter, named: "1"))
                    _ = try await store.replaceDocument(.clientMeter, found.id, named: "1", body: [1], expecting: found.revision)
                })
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(slowest < .seconds(1))
        #expect(try await isOver.value == 20_000)
        await store.close()
    }

    // MARK: Secrets

    @Test func `no value that was sealed is in a dump or in the log of a server that logs all statements`() async throws {
        let server = try await PostgreSQLServer.start(settings: ["log_statement": "all", "log_parameter_max_length_on_error": "-1", "log_min_error_statement": "info"])
        let database = try await server.newDatabase()
        let store = try await opened(StoreURL(server.location(of: database)))
        let canary = "sk-canary-1234567890abcdef"
        var configuration = service
        configuration.extraHeaders = ["X-Token": canary + "-header"]
        let owner = try await store.insertService(configuration)
        _ = try await insert([canary], into: owner.id, of: store)
        _ = try await store.insertKeys([NewKey(secret: Secret(canary.utf8))], into: owner.id)
        #expect(await code { try await store.insertService(configuration) } == .conflict)
        try await store.setSetting("token", to: Array((canary + "-setting").utf8))
        #expect(try await store.setting("token") == Array((canary + "-setting").utf8))
        let client = try await store.insertDocument(.client, named: "one", body: Array((canary + "-document").utf8))
        _ = try await store.replaceDocument(.client, client.id, named: "two", body: Array((canary + "-replaced").utf8), expecting: 1)
        await store.close()
        let dump = try await server.dump(of: database)
        let log = try server.log
        #expect(dump.contains("INSERT INTO") && dump.contains("rotator_keys"))
        #expect(log.contains("INSERT INTO rotator_keys"))
        let hexadecimal = Array(canary.utf8).map { String($0, radix: 16) }.joined()
        let digest = KeyDigest.sha256(of: Secret(canary.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        for text in [dump, log] {
            for trace in [canary, hexadecimal, digest] { #expect(!text.lowercased().contains(trace)) }
        }
        try await server.stop()
    }

    @Test func `sealed values that change places do not open`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let store = try await opened(StoreURL(server.location(of: database)))
        let owner = try await store.insertService(service)
        _ = try await insert(["a", "b"], into: owner.id, of: store)
        _ = try await server.query("UPDATE rotator_keys SET sealed_value = (SELECT sealed_value FROM rotator_keys WHERE id = 1) WHERE id = 2", in: database)
        let error = await #expect(throws: StoreError.self) { try await store.keys(of: owner.id) }
        #expect(error?.code == .damaged)
        for kind in [DocumentKind.client, .webhook] { _ = try await store.insertDocument(kind, named: "one", body: [1]) }
        _ = try await server.query(
            "UPDATE rotator_documents SET sealed_body = (SELECT sealed_body FROM rotator_documents WHERE kind = 'client') WHERE kind = 'webhook'", in: database)
        #expect(await code { try await store.document(.webhook, named: "one") } == .damaged)
        await store.close()
    }

    // MARK: The change of the master key

    @Test func `values are sealed anew in steps, and the old key no longer opens the store`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        let place = try StoreURL(server.location(of: database))
        let new = MasterKey.generate()
        let before = try await opened(place)
        var configuration = service
        configuration.extraHeaders = ["X-Token": "t"]
        let owner = try await before.insertService(configuration)
        _ = try await insert((0..<25).map { "k\($0)" }, into: owner.id, of: before)
        try await before.setSetting("token", to: [1, 2, 3])
        await before.close()

        let both = try await opened(place, key: MasterKeyRing(new, accepting: [key.sealing]))
        // Known under its old digest.
        let again = try await both.insertKeys([NewKey(secret: Secret("k3".utf8)), NewKey(secret: Secret("new".utf8))], into: owner.id)
        #expect(again.map { if case .duplicate = $0 { true } else { false } } == [true, false])
        #expect(try await both.reseal(limit: 2) == 2)
        #expect(await code { try await PostgreSQLStore.open(place, sealing: key) } == .wrongEncryptionKey)
        var counts: [Int] = []
        while let count = try? await both.reseal(limit: 10), count > 0 { counts.append(count) }
        #expect(counts == [10, 10, 6])
        #expect(try await both.reseal(limit: 10) == 0)
        await both.close()

        let after = try await opened(place, key: MasterKeyRing(new))
        #expect(try await after.services() == [owner])
        #expect(try await after.keys(of: owner.id).count == 26)
        #expect(try await after.setting("token") == [1, 2, 3])
        let known = try await after.insertKeys([NewKey(secret: Secret("k3".utf8))], into: owner.id)
        #expect(known.map { if case .duplicate = $0 { true } else { false } } == [true])
        await after.close()
    }

    // MARK: Size

    @Test func `a hundred thousand keys go in by one call, come out again and are removed by one`() async throws {
        let store = try await opened(try await PostgreSQLServer.shared.newPlace())
        let owner = try await store.insertService(service)
        let keys = (0..<100_000).map { NewKey(secret: Secret("sk-proj-\($0)-0123456789abcdef0123456789abcdef".utf8)) }
        let duration = try await ContinuousClock().measure {
            let insertions = try await store.insertKeys(keys + keys[..<100], into: owner.id)
            #expect(insertions.count { if case .inserted = $0 { true } else { false } } == 100_000)
        }
        #if DEBUG
        // Unoptimised, and perhaps on a busy machine.
        #expect(duration < .seconds(100))
        #else
        #expect(duration < .seconds(5))
        #endif
        let found = try await store.keys(of: owner.id)
        #expect(found.count == 100_000)
        #expect(found.map(\.id) == found.map(\.id).sorted())
        #expect(try await store.deleteKeys(found.dropFirst().map(\.id), of: owner.id) == 99_999)
        #expect(try await store.keys(of: owner.id).map(\.id) == [found[0].id])
        await store.close()
    }

    @Test func `a store that is forgotten gives its connections back`() async throws {
        let server = try await PostgreSQLServer.shared
        let database = try await server.newDatabase()
        do { _ = try await opened(StoreURL(server.location(of: database))) }
        try await eventually { try await server.query("SELECT count(*) FROM pg_stat_activity WHERE datname = '\(database)'", in: "postgres") == "0" }
    }

    // MARK: What the tests are made with

    private func opened(_ place: StoreURL, key: MasterKeyRing? = nil) async throws -> PostgreSQLStore {
        let store = try await PostgreSQLStore.open(place, sealing: key ?? self.key)
        do { try await store.migrate() } catch {
            await store.close()
            throw error
        }
        return store
    }

    private func insert(_ values: [String], into service: ServiceID, of store: PostgreSQLStore) async throws -> [KeyRecord] {
        try await store.insertKeys(values.map { NewKey(secret: Secret($0.utf8)) }, into: service).compactMap {
            if case .inserted(let record) = $0 { record } else { nil }
        }
    }
}

/// Waits until `condition` holds and throws nothing, five seconds at most.
func eventually(within limit: Duration = .seconds(5), line: Int = #line, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if (try? await condition()) == true { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    #expect(try await condition(), "after \(limit), line \(line)")
}
