// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import Testing

@testable import RotatorStore

@Suite("SQLite store") struct SQLiteStoreTests {
    private let directory: TemporaryDirectory
    private let key = MasterKeyRing.generate()
    private let service = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://upstream.example")

    init() throws { directory = try TemporaryDirectory() }

    // MARK: Durability

    // What `kill -9` leaves is what stands in the files at that moment, whichever process wrote it; so files that are copied while the store
    // is open, with nothing flushed or closed, are what the next start would find.
    @Test func `an acknowledged write is found by whoever starts after a kill`() async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        let keys = try await insert((0..<50).map { "key-\($0)" }, into: owner.id, of: store)
        var standing = StandingRecord()
        standing.state = .invalid
        try await store.record([keys[7].id: StandingUpdate(standing: standing)])
        try await store.setSetting("token", to: [1, 2, 3])
        for name in ["rotator.db", "rotator.db-wal"] {
            try FileManager.default.copyItem(atPath: "\(directory.path)/\(name)", toPath: "\(directory.path)/copy" + name.dropFirst("rotator".count))
        }
        let copy = try await opened("copy.db")
        #expect(try await copy.services() == [owner])
        let found = try await copy.keys(of: owner.id)
        #expect(found.map { value($0.secret) } == (0..<50).map { "key-\($0)" })
        #expect(found[7].standing == standing)
        #expect(try await copy.setting("token") == [1, 2, 3])
        await copy.close()
        await store.close()
    }

    @Test func `a commit waits for the disk, so a loss of power takes nothing that was acknowledged`() throws {
        let session = try session("rotator.db")
        #expect(try session.connection.text("PRAGMA journal_mode") == "wal")
        #expect(try session.connection.integer("PRAGMA synchronous") == 2)
        #expect(try session.connection.integer("PRAGMA foreign_keys") == 1)
        #expect(try session.connection.integer("PRAGMA secure_delete") == 1)
    }

    // MARK: One process

    @Test func `a second opener is refused until the first has closed, whatever name it uses`() async throws {
        let store = try await opened("rotator.db")
        try FileManager.default.createSymbolicLink(atPath: "\(directory.path)/other.db", withDestinationPath: "rotator.db")
        for name in ["rotator.db", "other.db", "../" + directory.path.split(separator: "/").last! + "/rotator.db"] {
            let error = await #expect(throws: StoreError.self) { try await opened(name) }
            #expect(error?.code == .locked)
            #expect(error?.message.contains("(\(ProcessInfo.processInfo.processIdentifier))") == true)
        }
        await store.close()
        for _ in 0..<20 { await (try opened("rotator.db")).close() }
    }

    @Test func `another process's lock is seen, and ends with that process however it ends`() async throws {
        await (try opened("rotator.db")).close()
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        // -o: the command that flock runs does not inherit the lock.
        holder.arguments = ["-n", "-o", "\(directory.path)/rotator.db.lock", "sh", "-c", "echo held; exec cat"]
        let input = Pipe()
        let output = Pipe()
        holder.standardInput = input
        holder.standardOutput = output
        try holder.run()
        #expect(output.fileHandleForReading.availableData == Data("held\n".utf8))
        #expect(await code { try await opened("rotator.db") } == .locked)
        kill(holder.processIdentifier, SIGKILL)
        try await openedSoon("rotator.db")
        // Ends the command, which outlives its parent.
        try input.fileHandleForWriting.close()
        holder.waitUntilExit()
    }

    @Test func `a store that is forgotten gives its lock back`() async throws {
        do { _ = try await opened("rotator.db") }
        try await openedSoon("rotator.db")
    }

    // MARK: Files

    @Test func `files are the owner's alone, and so are the directories that are made`() async throws {
        let store = try await opened("a/b/rotator.db")
        _ = try await store.insertService(service)
        for name in ["rotator.db", "rotator.db-wal", "rotator.db-shm", "rotator.db.lock"] { #expect(try mode("a/b/\(name)") == 0o600, "\(name)") }
        #expect(try mode("a") == 0o700)
        #expect(try mode("a/b") == 0o700)
        await store.close()
    }

    @Test func `a directory that cannot be written is notWritable and stays as it is`() async throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: directory.path)
        #expect(asUnprivileged { code { _ = try session("rotator.db") } } == .notWritable)
        #expect(asUnprivileged { code { _ = try session("deeper/rotator.db") } } == .notWritable)
        #expect(try directory.names == [])
    }

    @Test func `a database that cannot be written is notWritable and stays as it is`() async throws {
        await (try opened("rotator.db")).close()
        let before = directory.contents("rotator.db")
        for (name, mode) in [("rotator.db", 0o444), ("rotator.db.lock", 0o666)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(directory.path)/\(name)")
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: directory.path)
        #expect(asUnprivileged { code { _ = try session("rotator.db") } } == .notWritable)
        #expect(directory.contents("rotator.db") == before)
    }

    @Test func `a full disk is notWritable, nothing is half done, and work goes on when there is room again`() throws {
        var session = try session("rotator.db")
        try session.migrate()
        let owner = try session.insertService(service)
        // To SQLite, a database that may not grow is a full disk.
        try session.connection.execute("PRAGMA max_page_count = 40")
        let keys = (0..<5000).map { NewKey(secret: Secret("key-\($0)".utf8)) }
        #expect(code { _ = try session.insertKeys(keys, into: owner.id) } == .notWritable)
        #expect(try session.keys(of: owner.id).isEmpty)
        #expect(try session.services() == [owner])
        try session.connection.execute("PRAGMA max_page_count = 100000")
        #expect(try session.insertKeys(keys, into: owner.id).count == 5000)
    }

    @Test func `a directory in the place of the file is misconfigured`() async throws {
        try FileManager.default.createDirectory(atPath: "\(directory.path)/rotator.db", withIntermediateDirectories: false)
        #expect(await code { try await opened("rotator.db") } == .misconfigured)
    }

    @Test func `what is not a database is damaged and stays as it is`() async throws {
        let text = Data("This is a diary and no database at all, however long it may be. ".utf8 + [UInt8](repeating: 0x2E, count: 5000))
        try text.write(to: URL(fileURLWithPath: "\(directory.path)/rotator.db"))
        #expect(await code { try await opened("rotator.db") } == .damaged)
        #expect(directory.contents("rotator.db") == [UInt8](text))
    }

    @Test(arguments: [100, 2048, 4096, 5000, 40_960, -4096, -1])
    func `a truncated database is damaged and stays as it is`(_ count: Int) async throws {
        let whole = try await filled("rotator.db")
        let rest = Array(whole.prefix(count > 0 ? count : whole.count + count))
        try Data(rest).write(to: URL(fileURLWithPath: "\(directory.path)/rotator.db"))
        #expect(await code { try await opened("rotator.db") } == .damaged)
        #expect(directory.contents("rotator.db") == rest)
    }

    @Test func `a database whose pages were overwritten is damaged and stays as it is`() async throws {
        var octets = try await filled("rotator.db")
        for offset in stride(from: 8192, to: octets.count, by: 4096) { octets.replaceSubrange(offset..<offset + 64, with: [UInt8](repeating: 0xA5, count: 64)) }
        try Data(octets).write(to: URL(fileURLWithPath: "\(directory.path)/rotator.db"))
        #expect(await code { try await opened("rotator.db") } == .damaged)
        #expect(directory.contents("rotator.db") == octets)
    }

    @Test func `another program's database is misconfigured and stays as it is`() async throws {
        try makeFile("rotator.db") { try $0.execute("CREATE TABLE proxy_configs (id INTEGER PRIMARY KEY); INSERT INTO proxy_configs VALUES (1)") }
        let before = directory.contents("rotator.db")
        #expect(await code { try await opened("rotator.db") } == .misconfigured)
        #expect(directory.contents("rotator.db") == before)
    }

    // MARK: Versions

    @Test func `an empty file and an empty database are brought to this version, and a second time changes nothing`() async throws {
        try Data().write(to: URL(fileURLWithPath: "\(directory.path)/empty.db"))
        try makeFile("vacant.db") { try $0.execute("VACUUM") }
        for name in ["empty.db", "vacant.db", "missing.db"] {
            let store = try await SQLiteStore.open(url(name), sealing: key)
            #expect(await code { _ = try await store.services() } == .misconfigured)
            #expect(await code { try await store.record([KeyID(1): StandingUpdate(standing: StandingRecord())]) } == .misconfigured)
            try await store.migrate()
            try await store.migrate()
            #expect(try await store.services() == [])
            await store.close()
            let session = try session(name)
            #expect(try session.connection.integer("PRAGMA user_version") == SQLiteSchema.version)
            #expect(try session.connection.integer("PRAGMA application_id") == SQLiteSchema.applicationID)
        }
    }

    @Test(arguments: [1, 2])
    func `an older version's database is brought to this version and keeps everything`(_ version: Int) async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        let keys = try await insert(["a", "b"], into: owner.id, of: store)
        let counts = KeyCounts(successes: 3, failures: 1, lastUsedAt: Moment(seconds: 5))
        try await store.record([keys[1].id: StandingUpdate(standing: nil, counts: counts)])
        try await store.setSetting("token", to: [1, 2, 3])
        try await store.append(AuditEntry(at: Moment(seconds: 1), actor: "a", action: "b", subject: "c"))
        await store.close()
        try makeFile("rotator.db") {
            try $0.execute("DROP TABLE documents; DROP TABLE document_numbers; DROP TABLE history; ALTER TABLE upstream_keys DROP COLUMN attributes; PRAGMA user_version = 2")
            if version < 2 {
                try $0.execute("DROP TABLE writers; ALTER TABLE standings DROP COLUMN decided_at_ns; ALTER TABLE standings DROP COLUMN reset_count; PRAGMA user_version = 1")
            }
        }
        // The very schema that the version made.
        let made = try await SQLiteStore.open(url("made.db"), sealing: key)
        await made.close()
        try makeFile("made.db") { for step in SQLiteSchema.steps[..<version] { try $0.execute(step) } }
        func tables(_ name: String) throws -> String {
            let session = try SQLiteConnection(path: "\(directory.path)/\(name)")
            return try session.text("SELECT group_concat(name || (SELECT group_concat(name || type) FROM pragma_table_info(m.name))) FROM sqlite_schema AS m WHERE name NOT LIKE 'sqlite%' ORDER BY name")
        }
        #expect(try tables("rotator.db") == tables("made.db"))

        let migrated = try await SQLiteStore.open(url("rotator.db"), sealing: key)
        #expect(await code { _ = try await migrated.services() } == .misconfigured)
        #expect(await code { _ = try await migrated.document(.client, named: "x") } == .misconfigured)
        try await migrated.migrate()
        #expect(try await migrated.services() == [owner])
        let found = try await migrated.keys(of: owner.id)
        #expect(found.map { value($0.secret) } == ["a", "b"] && found.map(\.attributes) == [KeyAttributes(), KeyAttributes()])
        #expect(found.map(\.counts) == [KeyCounts(), counts])
        #expect(try await migrated.setting("token") == [1, 2, 3])
        #expect(try await migrated.auditEntries(after: 0, limit: 9).count == 1)
        #expect(try await migrated.insertDocument(.client, named: "one", body: [1]).id == 1)
        try await migrated.updateKey(keys[0].id, name: "", weight: 1, isActive: true, attributes: tagged)
        #expect(try await migrated.keys(of: owner.id)[0].attributes == tagged)
        await migrated.close()
    }

    @Test func `a newer version's database is misconfigured and stays as it is`() async throws {
        await (try opened("rotator.db")).close()
        try makeFile("rotator.db") { try $0.execute("PRAGMA user_version = 99") }
        let before = directory.contents("rotator.db")
        let error = await #expect(throws: StoreError.self) { try await opened("rotator.db") }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("99") == true)
        #expect(directory.contents("rotator.db") == before)
    }

    // MARK: Sealing

    @Test(arguments: [true, false])
    func `a wrong master key is told and changes no byte`(leavesLog: Bool) async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        _ = try await insert(["a", "b"], into: owner.id, of: store)
        // With a log beside it, as after a kill, and without.
        if leavesLog {
            for name in ["rotator.db", "rotator.db-wal"] {
                try FileManager.default.copyItem(atPath: "\(directory.path)/\(name)", toPath: "\(directory.path)/copy" + name.dropFirst("rotator".count))
            }
        }
        await store.close()
        if !leavesLog { try FileManager.default.copyItem(atPath: "\(directory.path)/rotator.db", toPath: "\(directory.path)/copy.db") }
        let before = [directory.contents("copy.db"), directory.contents("copy.db-wal")]
        #expect(before[1].isEmpty == !leavesLog)
        for _ in 0..<2 {
            let error = await #expect(throws: StoreError.self) { try await SQLiteStore.open(url("copy.db"), sealing: .generate()) }
            #expect(error?.code == .wrongEncryptionKey)
        }
        #expect([directory.contents("copy.db"), directory.contents("copy.db-wal")] == before)
        let copy = try await opened("copy.db")
        #expect(try await copy.keys(of: owner.id).count == 2)
        await copy.close()
    }

    @Test func `no secret is in any file, nor in what is thrown`() async throws {
        let canary = "CANARY-3f9a-canary-key-value"
        let store = try await opened("rotator.db")
        var configuration = service
        configuration.extraHeaders = ["X-Token": canary + "-header"]
        let owner = try await store.insertService(configuration)
        _ = try await insert([canary], into: owner.id, of: store)
        _ = try await store.insertKeys([NewKey(secret: Secret(canary.utf8))], into: owner.id)
        try await store.setSetting("token", to: Array((canary + "-setting").utf8))
        let client = try await store.insertDocument(.client, named: "one", body: Array((canary + "-document").utf8))
        _ = try await store.replaceDocument(.client, client.id, named: "two", body: Array((canary + "-replaced").utf8), expecting: 1)
        func search() throws {
            for name in try directory.names {
                let octets = Data(directory.contents(name))
                #expect(octets.range(of: Data(canary.utf8)) == nil, "\(name)")
                #expect(octets.range(of: Data(KeyDigest.sha256(of: Secret(canary.utf8)))) == nil, "\(name)")
            }
        }
        #expect(try directory.names == ["rotator.db", "rotator.db-shm", "rotator.db-wal", "rotator.db.lock"])
        try search()
        await store.close()
        try search()
        // Damaged rows are told by their number.
        try makeFile("rotator.db") { try $0.execute("UPDATE upstream_keys SET sealed_value = zeroblob(60)") }
        let damaged = try await opened("rotator.db")
        let error = await #expect(throws: StoreError.self) { _ = try await damaged.keys(of: owner.id) }
        #expect(error?.code == .damaged)
        #expect(error?.message.contains(canary) == false)
        await damaged.close()
    }

    @Test func `sealed values that change places do not open`() async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        _ = try await insert(["a", "b"], into: owner.id, of: store)
        try await store.setSetting("one", to: [1])
        try await store.setSetting("two", to: [2])
        for name in ["one", "two"] { _ = try await store.insertDocument(.client, named: name, body: [1]) }
        _ = try await store.insertDocument(.webhook, named: "one", body: [1])
        await store.close()
        try makeFile("rotator.db") {
            try $0.execute(
                """
                UPDATE upstream_keys SET sealed_value = (SELECT sealed_value FROM upstream_keys WHERE id = 1) WHERE id = 2;
                UPDATE settings SET sealed_value = (SELECT sealed_value FROM settings WHERE name = 'one') WHERE name = 'two';
                UPDATE documents SET sealed_body = (SELECT sealed_body FROM documents WHERE kind = 'client' AND id = 1) WHERE id = 2 OR kind = 'webhook'
                """)
        }
        let tampered = try await opened("rotator.db")
        #expect(await code { _ = try await tampered.keys(of: owner.id) } == .damaged)
        #expect(try await tampered.setting("one") == [1])
        #expect(await code { _ = try await tampered.setting("two") } == .damaged)
        #expect(try await tampered.document(.client, named: "one")?.body == [1])
        #expect(await code { _ = try await tampered.document(.client, named: "two") } == .damaged)
        #expect(await code { _ = try await tampered.documents(.webhook, after: 0, limit: 1) } == .damaged)
        await tampered.close()
    }

    @Test func `nothing of a deleted key lingers, sealed or not`() async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        let keys = try await insert((0..<20).map { "key-\($0)" }, into: owner.id, of: store)
        let sealer = Sealer(key)
        let traces = keys.map { Data(sealer.digest(of: $0.secret, in: owner.id)) }
        func present() throws -> [Bool] {
            try traces.map { trace in try directory.names.contains { Data(directory.contents($0)).range(of: trace) != nil } }
        }
        #expect(try present() == Array(repeating: true, count: 20))
        try await store.deleteKey(keys[3].id)
        #expect(try present() == (0..<20).map { $0 != 3 })
        #expect(try await store.deleteKeys(of: owner.id) == 19)
        #expect(try present() == Array(repeating: false, count: 20))
        await store.close()
    }

    // MARK: Size

    @Test func `a hundred thousand keys go in by one call`() async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        let keys = (0..<100_000).map { NewKey(secret: Secret("sk-proj-\($0)-0123456789abcdef0123456789abcdef".utf8)) }
        let duration = try await ContinuousClock().measure {
            let insertions = try await store.insertKeys(keys + keys[..<100], into: owner.id)
            #expect(insertions.count { if case .inserted = $0 { true } else { false } } == 100_000)
        }
        #if DEBUG
        // Unoptimised, and perhaps on a busy machine.
        #expect(duration < .seconds(180))
        #else
        #expect(duration < .seconds(5))
        #endif
        #expect(try await store.keys(of: owner.id).count == 100_000)
        await store.close()
    }

    @Test func `a hundred thousand keys are removed by one call`() async throws {
        let store = try await opened("rotator.db")
        let owner = try await store.insertService(service)
        let ids = try await insert((0..<100_001).map { "sk-\($0)" }, into: owner.id, of: store).map(\.id)
        let gone = Array(ids.dropFirst().reversed())
        let duration = try await ContinuousClock().measure {
            let count = try await store.deleteKeys(gone, of: owner.id)
            #expect(count == 100_000)
        }
        #expect(duration < .seconds(60))
        #expect(try await store.keys(of: owner.id).map(\.id) == [ids[0]])
        await store.close()
    }

    // MARK: What the tests are made with

    private var tagged: KeyAttributes {
        var attributes = KeyAttributes()
        attributes.tags = ["t"]
        return attributes
    }

    private func url(_ name: String) -> StoreURL { StoreURL(.sqlite(path: "\(directory.path)/\(name)")) }

    private func opened(_ name: String) async throws -> SQLiteStore {
        let store = try await SQLiteStore.open(url(name), sealing: key)
        try await store.migrate()
        return store
    }

    /// Opens and closes the store within five seconds.
    private func openedSoon(_ name: String) async throws {
        for _ in 0..<500 {
            if let store = try? await opened(name) { return await store.close() }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("the lock is still held after five seconds")
    }

    /// The store's own connection, on this thread.
    private func session(_ name: String) throws(StoreError) -> SQLiteSession {
        try SQLiteSession.writing(SQLiteFile(path: "\(directory.path)/\(name)"), sealing: Sealer(key))
    }

    /// A database as another program would change it.
    private func makeFile(_ name: String, _ change: (borrowing SQLiteConnection) throws -> Void) throws {
        try FileSystem.createEmptyFile(at: "\(directory.path)/\(name)")
        try change(SQLiteConnection(path: "\(directory.path)/\(name)"))
    }

    /// The octets of a closed store with a few hundred keys.
    private func filled(_ name: String) async throws -> [UInt8] {
        let store = try await opened(name)
        let owner = try await store.insertService(service)
        _ = try await insert((0..<500).map { "key-\($0)" }, into: owner.id, of: store)
        await store.close()
        return directory.contents(name)
    }

    private func insert(_ values: [String], into service: ServiceID, of store: SQLiteStore) async throws -> [KeyRecord] {
        try await store.insertKeys(values.map { NewKey(secret: Secret($0.utf8)) }, into: service).compactMap {
            if case .inserted(let record) = $0 { record } else { nil }
        }
    }

    private func value(_ secret: Secret) -> String { unsafe secret.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }

    private func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: "\(directory.path)/\(name)")[.posixPermissions] as? Int
    }
}

/// The code of what `body` throws; nil when it throws nothing.
func code(_ body: () async throws -> Void) async -> StoreError.Code? {
    do { try await body() } catch { return (error as? StoreError)?.code }
    return nil
}

func code(_ body: () throws -> Void) -> StoreError.Code? {
    do { try body() } catch { return (error as? StoreError)?.code }
    return nil
}

func code<Value>(_ body: () async throws -> Value) async -> StoreError.Code? {
    await code { () async throws -> Void in _ = try await body() }
}

/// Does `body` with the file rights of an ordinary user, on this thread alone: root may write anywhere.
func asUnprivileged<Value>(_ body: () -> Value) -> Value {
    // Found by name, because Swift's Glibc does not show it.
    guard let address = unsafe dlsym(nil, "setfsuid") else { preconditionFailure("Linux has setfsuid") }
    let setFileSystemUser = unsafe unsafeBitCast(address, to: (@convention(c) (uid_t) -> CInt).self)
    let user = setFileSystemUser(65534)
    defer { _ = setFileSystemUser(uid_t(user)) }
    return body()
}
