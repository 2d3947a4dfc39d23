// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorStore
import Synchronization
import Testing

@testable import rotator_server

/// A store whose writes go well so many times; every one after that is refused, as if the process had been killed between two of them.
private actor BreakingStore: Store {
    private let store: any Store
    private var writesLeft: Int

    init(_ store: any Store, writes: Int) {
        self.store = store
        writesLeft = writes
    }

    static func open(_ url: StoreURL, sealing: MasterKeyRing) async throws(StoreError) -> BreakingStore { throw StoreError(.misconfigured, "made of another store") }

    private func write() throws(StoreError) {
        guard writesLeft > 0 else { throw StoreError(.unavailable, "broken off") }
        writesLeft -= 1
    }

    func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try write()
        return try await store.insertService(configuration)
    }

    func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try write()
        return try await store.insertKeys(keys, into: service)
    }

    func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        try write()
        try await store.record(updates)
    }

    func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) {
        try write()
        try await store.setSetting(name, to: value)
    }

    func append(_ entry: AuditEntry) async throws(StoreError) {
        try write()
        try await store.append(entry)
    }

    func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int {
        try write()
        return try await store.restoreDocuments(documents, of: kind)
    }

    func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        try write()
        try await store.writeHistory(rows)
    }

    func services() async throws(StoreError) -> [ServiceRecord] { try await store.services() }
    func updateService(_ service: ServiceRecord) async throws(StoreError) { preconditionFailure("a migration changes no service") }
    func deleteService(_ id: ServiceID) async throws(StoreError) { preconditionFailure("a migration deletes nothing") }
    func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] { try await store.keys(of: service) }
    func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) { preconditionFailure("a migration changes no key") }
    func deleteKey(_ id: KeyID) async throws(StoreError) { preconditionFailure("a migration deletes nothing") }
    func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int { preconditionFailure("a migration deletes nothing") }
    func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int { preconditionFailure("a migration deletes nothing") }
    func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] { preconditionFailure("a migration goes piece by piece") }
    func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] { try await store.documents(kind, after: after, limit: limit) }
    func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? { try await store.document(kind, named: name) }
    func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument { preconditionFailure("a migration keeps numbers") }
    func replaceDocument(_ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?) async throws(StoreError) -> Int64 { preconditionFailure("a migration changes no document") }
    func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) { preconditionFailure("a migration deletes nothing") }
    func history(_ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64) async throws(StoreError) -> [HistoryRow] {
        try await store.history(resolution, dimension, subject: subject, from: from, to: to)
    }
    func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) { preconditionFailure("a migration deletes nothing") }
    func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64? { try await store.historyStart(resolution, after: start) }
    func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] { try await store.counts(of: keys) }
    func setting(_ name: String) async throws(StoreError) -> [UInt8]? { try await store.setting(name) }
    func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] { try await store.auditEntries(after: after, limit: limit) }
    func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] { preconditionFailure("a migration reads in order") }
    func migrate() async throws(StoreError) {}
    func close() async {}
    func ping() async throws(StoreError) {}
    nonisolated var health: StoreHealth { .reachable }
    func reseal(limit: Int) async throws(StoreError) -> Int { 0 }
}

@Suite("Moving a catalogue") struct MigrationTests {
    private static let audit = (1...3).map { AuditEntry(at: Moment(seconds: Int64($0)), actor: "admin", action: "keys.add", subject: "service \($0)") }

    /// Keys in every state, more than go in one piece, with settings, documents, history and an audit log.
    private func source(keys: Int = 1_203) async throws -> MemoryStore {
        let store = MemoryStore()
        var configuration = ServiceConfiguration(name: "LLM", slug: "llm", kind: .llm, apiFormat: .openAICompatible, targetURL: "http://h/v1")
        configuration.extraHeaders = ["X-Team": "blue"]
        let service = try await store.insertService(configuration)
        let news = (0..<keys).map { NewKey(secret: Secret("sk-\($0)".utf8), name: "n\($0)", weight: $0 % 9 + 1, isActive: $0 % 10 != 9, attributes: attributes($0)) }
        var updates: [KeyID: StandingUpdate] = [:]
        for (number, insertion) in try await store.insertKeys(news, into: service.id).enumerated() {
            guard case .inserted(let key) = insertion else { continue }
            var standing = StandingRecord()
            standing.state = StandingRecord.State.allCases[number % 4]
            guard standing.state != .active else { continue }
            standing.until = standing.state == .invalid ? nil : Moment(seconds: 9_000_000_000)
            standing.reason = "told"
            standing.decidedAt = Moment(seconds: 1_000)
            standing.models = [StandingRecord.ModelRest(model: "m", until: Moment(seconds: 9_000_000_000), reason: "rate_limited", level: 2)]
            updates[key.id] = StandingUpdate(standing: standing, counts: KeyCounts(successes: Int64(number), failures: 7, lastUsedAt: Moment(seconds: 5)))
        }
        try await store.record(updates)
        _ = try await store.insertService(ServiceConfiguration(name: "Empty", slug: "empty", kind: .generic, apiFormat: .generic, targetURL: "http://h"))
        for name in Installation.SettingName.all { try await store.setSetting(name, to: Array("value of \(name)".utf8)) }
        for kind in DocumentKind.allCases {
            // Some have been deleted, some replaced; more than go in one piece.
            for number in 1...20 { _ = try await store.insertDocument(kind, named: "\(kind) \(number)", body: [UInt8(number)]) }
            for id in [Int64(1), 5] { try await store.deleteDocument(kind, id) }
            _ = try await store.replaceDocument(kind, 7, named: "renamed", body: [77], expecting: 1)
        }
        let pool = try await store.keys(of: service.id)
        try await store.writeHistory(
            pool.map { HistoryRow(resolution: .minute, start: 60, dimension: .key, subject: "\($0.id)", writer: "w", tally: Array($0.name.utf8)) })
        for resolution in HistoryResolution.allCases {
            for (dimension, subject) in [(HistoryDimension.service, "\(service.id)"), (.client, "team"), (.model, "gpt-5")] {
                let starts = [0, resolution.rawValue, 40 * resolution.rawValue]
                try await store.writeHistory(
                    starts.map { HistoryRow(resolution: resolution, start: $0, dimension: dimension, subject: subject, writer: "w", tally: [9]) })
            }
        }
        for entry in Self.audit { try await store.append(entry) }
        return store
    }

    /// Every third key has some.
    private func attributes(_ number: Int) -> KeyAttributes {
        var attributes = KeyAttributes()
        if number % 3 == 0 { attributes.tags = ["tag \(number)"] }
        return attributes
    }

    /// All that `store` holds, less the numbers of services and keys, in a form that can be compared.
    private func contents(_ store: any Store) async throws -> [String] {
        var lines: [String] = []
        for service in try await store.services() {
            lines.append("\(service.configuration)")
            for key in try await store.keys(of: service.id) {
                lines.append("\(text(key.secret) ?? "") \(key.name) \(key.weight) \(key.isActive) \(key.attributes) \(key.standing) \(key.counts)")
                for row in try await store.history(.minute, .key, subject: "\(key.id)", from: 0, to: .max) { lines.append("\(row.start) \(row.writer) \(row.tally)") }
            }
            for resolution in HistoryResolution.allCases {
                for row in try await store.history(resolution, .service, subject: "\(service.id)", from: 0, to: .max) { lines.append("\(row.start) \(row.tally)") }
            }
        }
        for kind in DocumentKind.allCases { lines += try await store.documents(kind, after: 0, limit: 100).map { "\(kind) \($0)" } }
        for resolution in HistoryResolution.allCases {
            for dimension in [HistoryDimension.client, .model] {
                lines += try await store.history(resolution, dimension, subject: nil, from: 0, to: .max).map { "\($0)" }
            }
        }
        for name in Installation.SettingName.all { lines.append("\(name) \(try await store.setting(name) ?? [])") }
        for (_, entry) in try await store.auditEntries(after: 0, limit: 100) { lines.append("\(entry)") }
        return lines
    }

    private func copy(_ source: any Store, to target: (any Store)?, writes: Bool = true) async throws -> [String] {
        var told: [String] = []
        try await CatalogueCopy(source: source, target: target, writes: writes) { told.append($0) }.run()
        return told
    }

    @Test func `everything arrives, in order, and the source stays as it was`() async throws {
        let source = try await source()
        let before = try await contents(source)
        let target = try await openStore(try StoreURL("sqlite::memory:"), sealing: .generate())
        try await target.migrate()
        _ = try await copy(source, to: target)
        #expect(try await contents(target) == before)
        #expect(try await contents(source) == before)
        let comparison = try await CatalogueComparison(source: source, target: target)
        #expect(comparison.isComplete && comparison.isSameByState && comparison.isSameByAttributes)
        #expect(comparison.keyCounts == CatalogueComparison.Pair(source: 1_203, target: 1_203))
        #expect(comparison.documents.values.map(\.target) == DocumentKind.allCases.map { _ in 18 } && comparison.history.target == 1_203 + 27)
        await target.close()
    }

    @Test func `a second run adds nothing and counts nothing twice`() async throws {
        let source = try await source(keys: 40)
        let target = MemoryStore()
        _ = try await copy(source, to: target)
        let after = try await contents(target)
        let told = try await copy(source, to: target)
        #expect(try await contents(target) == after)
        #expect(told.contains { $0.contains("added 0 of 40 keys") })
        for word in ["audit log", "setting", "documents", "history"] { #expect(!told.contains { $0.hasPrefix(word) }, "\(word)") }
    }

    @Test func `broken off after any of its writes, it is run again until everything is there, once`() async throws {
        let source = try await source(keys: 1_203)
        let expected = try await contents(source)
        // A service, three pieces of keys with their standings, a service, three settings, six kinds of documents in two pieces, history, three entries.
        for writes in 0...27 {
            let target = MemoryStore()
            let breaking = BreakingStore(target, writes: writes)
            do {
                _ = try await copy(source, to: breaking)
                #expect(writes == 27)
            } catch {
                #expect(error as? StoreError == StoreError(.unavailable, "broken off") && writes < 27, "\(writes)")
                #expect(try await CatalogueComparison(source: source, target: target).isComplete == (writes >= 24), "\(writes)")
            }
            _ = try await copy(source, to: target)
            #expect(try await contents(target) == expected, "after \(writes) writes")
        }
    }

    @Test func `what the target has stays: configuration, switches, standing, settings, audit log`() async throws {
        let source = try await source(keys: 8)
        let target = MemoryStore()
        let own = try await target.insertService(ServiceConfiguration(name: "Mine", slug: "llm", kind: .llm, apiFormat: .anthropicNative, targetURL: "http://mine"))
        let inserted = try await target.insertKeys([NewKey(secret: Secret("own".utf8)), NewKey(secret: Secret("sk-1".utf8), name: "mine", weight: 3, isActive: false)], into: own.id)
        guard case .inserted(let touched) = inserted[1] else { preconditionFailure("it is new") }
        let standing = StandingUpdate(standing: nil, counts: KeyCounts(successes: 1, failures: 0, lastUsedAt: nil))
        try await target.record([touched.id: standing])
        try await target.setSetting(Installation.SettingName.tokenSecret, to: [1])
        try await target.append(AuditEntry(at: Moment(seconds: 99), actor: "me", action: "mine", subject: "mine"))

        let told = try await copy(source, to: target)
        let record = try #require(try await target.services().first { $0.id == own.id })
        #expect(record.configuration.name == "Mine")
        let keys = try await target.keys(of: own.id)
        #expect(keys.map { text($0.secret) } == ["own", "sk-1", "sk-0", "sk-2", "sk-3", "sk-4", "sk-5", "sk-6", "sk-7"])
        #expect(keys[1].name == "mine" && !keys[1].isActive && keys[1].counts.successes == 1 && keys[1].standing == StandingRecord())
        #expect(try await target.setting(Installation.SettingName.tokenSecret) == [1])
        #expect(try await target.setting(Installation.SettingName.proxyKeyDigest) != nil)
        #expect(try await target.auditEntries(after: 0, limit: 9).count == 1)
        for words in ["another configuration", "setting jwt_secret: the target has its own", "audit log: the target has its own"] {
            #expect(told.contains { $0.contains(words) }, "\(words)")
        }
        let comparison = try await CatalogueComparison(source: source, target: target)
        #expect(comparison.isComplete && !comparison.isSameByState)
    }

    @Test func `history is written under the numbers of the target, and jobs stay behind where they differ`() async throws {
        let source = try await source(keys: 8)
        // Its key is gone, and the number is another's in the target.
        let gone = HistoryRow(resolution: .day, start: 0, dimension: .key, subject: "99", writer: "w", tally: [1])
        try await source.writeHistory([gone])
        let target = MemoryStore()
        for slug in ["a", "b"] {
            let other = try await target.insertService(ServiceConfiguration(name: "A", slug: slug, kind: .llm, apiFormat: .openAICompatible, targetURL: "http://h"))
            _ = try await target.insertKeys((0..<60).map { NewKey(secret: Secret("\(slug)-\($0)".utf8)) }, into: other.id)
        }
        let told = try await copy(source, to: target)
        let service = try #require(try await target.services().first { $0.configuration.slug == "llm" })
        for key in try await target.keys(of: service.id) {
            let rows = try await target.history(.minute, .key, subject: "\(key.id)", from: 0, to: .max)
            #expect(rows.map(\.tally) == [Array(key.name.utf8)])
        }
        #expect(try await target.history(.minute, .key, subject: nil, from: 0, to: .max).count == 8)
        #expect(try await target.history(.day, .key, subject: nil, from: 0, to: .max).isEmpty)
        #expect(try await target.history(.day, .service, subject: "\(service.id)", from: 0, to: .max).count == 3)
        #expect(try await target.documents(.client, after: 0, limit: 100) == source.documents(.client, after: 0, limit: 100))
        for kind in [DocumentKind.job, .jobPart] { #expect(try await target.documents(kind, after: 0, limit: 100).isEmpty) }
        for words in ["kind job: 18 stay behind", "kind job_part: 18 stay behind", "history: 1 rows of services and keys that are gone"] {
            #expect(told.contains { $0.contains(words) }, "\(words) in \(told)")
        }
        #expect(try await CatalogueComparison(source: source, target: target).isComplete)
    }

    @Test func `a document whose number or name the target has given away stays behind, and is told of`() async throws {
        let source = try await source(keys: 3)
        let target = MemoryStore()
        let own = try await target.restoreDocuments(
            [StoredDocument(id: 2, name: "mine", body: [1], revision: 1), StoredDocument(id: 90, name: "renamed", body: [2], revision: 1)], of: .client)
        #expect(own == 2)
        let told = try await copy(source, to: target)
        #expect(told.contains("documents of kind client: added 16 of 18"), "\(told)")
        #expect(told.contains("documents of kind client: the target has others of the number or name of 2, which stay as they are"), "\(told)")
        for (name, id) in [("mine", Int64(2)), ("renamed", 90)] { #expect(try await target.document(.client, named: name)?.id == id) }
        let comparison = try await CatalogueComparison(source: source, target: target)
        #expect(!comparison.isComplete && comparison.documents[.client] == CatalogueComparison.Pair(source: 18, target: 16))
        #expect(comparison.table.contains("documents of kind client: 18 → 16") && comparison.table.contains("rows of history: 30"), "\(comparison.table)")
    }

    @Test func `a dry run writes nothing, whether there is a target or not`() async throws {
        let source = try await source(keys: 5)
        let target = MemoryStore()
        for one in [target, nil] {
            let told = try await copy(source, to: one, writes: false)
            #expect(told.contains("service llm: would add 5 of 5 keys and the service itself") && told.contains("audit log: would add 3 entries"))
            #expect(told.contains("documents of kind client: would add 18 of 18") && told.contains("history: would add 32 rows"), "\(told)")
        }
        #expect(try await target.services().isEmpty)
        #expect(try await target.documents(.client, after: 0, limit: 9).isEmpty)
        #expect(try await target.historyStart(.minute, after: .min) == nil)
        #expect(try await target.setting(Installation.SettingName.tokenSecret) == nil)
    }

    @Test func `the table shows both sides where they differ, and names what is missing`() async throws {
        let source = try await source(keys: 20)
        let target = MemoryStore()
        let service = try await target.insertService(ServiceConfiguration(name: "LLM", slug: "llm", kind: .llm, apiFormat: .openAICompatible, targetURL: "http://h/v1"))
        _ = try await target.insertKeys([NewKey(secret: Secret("sk-0".utf8)), NewKey(secret: Secret("other".utf8))], into: service.id)
        let comparison = try await CatalogueComparison(source: source, target: target)
        #expect(!comparison.isComplete)
        #expect(comparison.table.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ") } == [
            "service keys active cooling exhausted invalid disabled", "llm 20 → 1 5 → 1 4 → 0 5 → 0 4 → 0 2 → 0", "empty (missing) 0 0 0 0 0 0",
            "2 → 1 services 20 → 1 5 → 1 4 → 0 5 → 0 4 → 0 2 → 0", "documents of kind client: 18 → 0", "documents of kind client_meter: 18 → 0",
            "documents of kind webhook: 18 → 0", "documents of kind alert_claim: 18 → 0", "documents of kind job: 18 → 0", "documents of kind job_part: 18 → 0", "rows of history: 47 → 0",
        ])
    }
}

@Suite("The ends of a migration") struct MigrationEndTests {
    /// What a migration told and concluded, and how it ended.
    private func migrate(
        from: String, to: String, in directory: TemporaryDirectory, _ variables: [String: String] = [:], change: (inout Migration) -> Void = { _ in }
    ) async throws -> (status: ProcessExit, text: String) {
        let lines = Mutex<[String]>([])
        let say: @Sendable (String) -> Void = { line in lines.withLock { $0.append(line) } }
        let configuration = try configuration(["DATA_DIR": directory.path + "/data"].merging(variables) { $1 })
        var migration = Migration(configuration: configuration, from: from, to: to, tell: say, conclude: say)
        change(&migration)
        let status = await migration.run()
        return (status, lines.withLock { $0 }.joined(separator: "\n"))
    }

    private static let one = String(repeating: "1", count: 64)
    private static let two = String(repeating: "2", count: 64)

    /// A SQLite store sealed under `key`, with one service and two keys.
    private func makeStore(_ path: String, sealing key: MasterKey) async throws {
        let store = try await openStore(try StoreURL("sqlite:\(path)"), sealing: MasterKeyRing(key))
        try await store.migrate()
        let service = try await store.insertService(ServiceConfiguration(name: "S", slug: "s", kind: .llm, apiFormat: .openAICompatible, targetURL: "http://h/v1"))
        _ = try await store.insertKeys(["sk-one", "sk-two"].map { NewKey(secret: Secret($0.utf8)) }, into: service.id)
        await store.close()
    }

    @Test func `the source's key is found by itself: named, beside the file, in the environment or in the data directory`() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/old/rotator.db"
        try await makeStore(file, sealing: try MasterKey(Self.one))
        func attempt(_ variables: [String: String], _ number: Int) async throws -> (status: ProcessExit, text: String) {
            try await migrate(from: "sqlite:\(file)", to: "sqlite:\(directory.path)/new\(number)/rotator.db", in: directory, ["DATA_DIR": "\(directory.path)/data\(number)"].merging(variables) { $1 })
        }
        #expect(try await attempt(["SOURCE_ENCRYPTION_KEY": Self.one, "ENCRYPTION_KEY": Self.two], 1).status == .success)
        #expect(try await attempt(["ENCRYPTION_KEY": Self.one], 2).status == .success)
        #expect(try await attempt(["ENCRYPTION_KEY": Self.two, "ENCRYPTION_KEYS_ACCEPTED": Self.one], 3).status == .success)
        let nothing = try await attempt([:], 4)
        #expect(nothing.status == .configuration && nothing.text.contains("SOURCE_ENCRYPTION_KEY"))
        #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/new4"))
        #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/data4"))
        // A key that was named is the only one that is tried.
        #expect(try await attempt(["SOURCE_ENCRYPTION_KEY": Self.two, "ENCRYPTION_KEY": Self.one], 5).status == .configuration)
        _ = try directory.write("old/master.key", Self.one)
        #expect(try await attempt([:], 6).status == .success)
        #expect(FileManager.default.fileExists(atPath: "\(directory.path)/data6/master.key"), "the target's own key, as the server makes it")
        #expect(try await attempt(["ENCRYPTION_KEY": Self.two], 7).status == .success)
    }

    @Test(arguments: [
        ("sqlite:none.db", "sqlite:t.db", "--from"), ("sqlite::memory:", "sqlite:t.db", "--from"), ("mysql-dump:none.sql", "sqlite:t.db", "--from"),
        ("gpt-load:none.txt", "sqlite:t.db", "--from"), ("mysql://u:hunter2@h/d", "sqlite:t.db", "--from"), ("", "sqlite:t.db", "--from"),
        ("FILE", "mysql-dump:x", "--to"), ("FILE", "sqlite::memory:", "--to"), ("FILE", "FILE", "same store"), ("FILE", "redis://u:hunter2@h:0x/0", "--to"),
    ])
    func `a bad location ends it with 78 and without a password in the line`(_ from: String, _ to: String, _ words: String) async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/f.db"
        try await makeStore(file, sealing: try MasterKey(Self.one))
        func place(_ text: String) -> String {
            text == "FILE" ? "sqlite:\(file)" : text.replacingOccurrences(of: "none", with: directory.path + "/none").replacingOccurrences(of: "t.db", with: directory.path + "/t.db")
        }
        let (status, text) = try await migrate(from: place(from), to: place(to), in: directory, ["ENCRYPTION_KEY": Self.one])
        #expect(status == .configuration && text.contains(words) && !text.contains("hunter2"), "\(text)")
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/t.db") && !FileManager.default.fileExists(atPath: directory.path + "/none.db"))
    }

    @Test func `a dry run makes neither store nor key`() async throws {
        let directory = try TemporaryDirectory()
        try await makeStore(directory.path + "/f.db", sealing: try MasterKey(Self.one))
        let (status, text) = try await migrate(
            from: "sqlite:\(directory.path)/f.db", to: "sqlite:\(directory.path)/new/t.db", in: directory, ["SOURCE_ENCRYPTION_KEY": Self.one]
        ) { $0.isDryRun = true }
        #expect(status == .success && text.contains("would add 2 of 2 keys"), "\(text)")
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/new") && !FileManager.default.fileExists(atPath: directory.path + "/data"))
    }

    @Test(arguments: [
        ([:], "--service"), (["service": "pool"], "no service \"pool\""), (["service": "Pool!", "url": "http://h/v1", "format": "openai_compatible"], "slug"),
        (["service": "pool", "url": "ftp://h", "format": "openai_compatible"], "target_base_url"), (["service": "pool", "url": "http://h", "format": "cohere"], "accepted: openai_compatible"),
        (["service": "pool", "url": "http://h"], "belong together"),
    ])
    func `a list of keys wants a service that is there or can be made`(_ options: [String: String], _ words: String) async throws {
        let directory = try TemporaryDirectory()
        let list = try directory.write("keys.txt", "sk-one\n")
        let (status, text) = try await migrate(from: "gpt-load:\(list)", to: "sqlite:\(directory.path)/t.db", in: directory, ["ENCRYPTION_KEY": Self.one]) {
            $0.slug = options["service"]
            $0.targetURL = options["url"]
            $0.apiFormat = options["format"]
        }
        #expect(status == .configuration && text.contains(words), "\(text)")
    }

    @Test func `accepted keys and the source's are parsed, checked and known to the redaction net`() throws {
        let base64 = Data(repeating: 7, count: 32).base64EncodedString()
        let configuration = try configuration(["ENCRYPTION_KEYS_ACCEPTED": "\(Self.one), \(base64),", "SOURCE_ENCRYPTION_KEY": Self.two])
        #expect(configuration.acceptedEncryptionKeys.map(\.count) == [32, 32] && configuration.sourceEncryptionKey?.count == 32)
        #expect(Set(configuration.secrets.map { text($0) }).isSuperset(of: [Self.one, base64, Self.two]))
        #expect(configuration.notices.contains { $0.contains("ENCRYPTION_KEYS_ACCEPTED") })
        for bad in [",", "\(Self.one),abc", Self.one + Self.two] {
            let lines = problems(["ENCRYPTION_KEYS_ACCEPTED": bad])
            #expect(lines.count == 1 && lines[0].hasPrefix("ENCRYPTION_KEYS_ACCEPTED: read ‹") && !lines[0].contains(Self.one))
        }
    }
}

@Suite("Changing the master key") struct MigrationRekeyTests {
    private func rekey(_ variables: [String: String], interruptedAfter batches: Int = .max) async throws -> (status: ProcessExit, lines: [String]) {
        let lines = Mutex<[String]>([])
        let asked = Mutex(0)
        let rekeying = Rekeying(
            configuration: try configuration(variables), tell: { line in lines.withLock { $0.append(line) } },
            isInterrupted: {
                asked.withLock { asked in
                    asked += 1
                    return asked >= batches
                }
            })
        let status = await rekeying.run()
        return (status, lines.withLock { $0 })
    }

    @Test func `it goes batch by batch, can be interrupted between two and ends when none is left`() async throws {
        let directory = try TemporaryDirectory()
        let (old, new) = (String(repeating: "1", count: 64), String(repeating: "2", count: 64))
        let url = try StoreURL("sqlite:\(directory.path)/rotator.db")
        let store = try await openStore(url, sealing: MasterKeyRing(try MasterKey(old)))
        try await store.migrate()
        let service = try await store.insertService(ServiceConfiguration(name: "S", slug: "s", kind: .llm, apiFormat: .openAICompatible, targetURL: "http://h/v1"))
        _ = try await store.insertKeys((0..<1_200).map { NewKey(secret: Secret("sk-\($0)".utf8)) }, into: service.id)
        let variables = ["DATA_DIR": directory.path, "ENCRYPTION_KEY": new, "ENCRYPTION_KEYS_ACCEPTED": old]
        let held = try await rekey(variables)
        #expect(held.status == .failure && held.lines.count == 1 && held.lines[0].contains("while its server is stopped"))
        await store.close()

        // The value that tells the key, the headers of the service, and the keys.
        let first = try await rekey(variables, interruptedAfter: 1)
        #expect(first.status == .failure && first.lines.first == "500 values sealed anew" && first.lines.last?.hasPrefix("interrupted after 500 values") == true)
        let unknown = try await rekey(["DATA_DIR": directory.path, "ENCRYPTION_KEY": new])
        #expect(unknown.status == .configuration && unknown.lines.contains { $0.hasPrefix("ENCRYPTION_KEY: ") && $0.contains("key 499") }, "\(unknown.lines)")
        let second = try await rekey(variables)
        #expect(second.status == .success && second.lines == ["500 values sealed anew", "702 values sealed anew", "702 values sealed anew, none left"])
        let again = try await rekey(["DATA_DIR": directory.path, "ENCRYPTION_KEY": new])
        #expect(again.status == .success && again.lines.last == "0 values sealed anew, none left")

        let reopened = try await openStore(url, sealing: MasterKeyRing(try MasterKey(new)))
        try await reopened.migrate()
        #expect(try await reopened.keys(of: service.id).map { text($0.secret) } == (0..<1_200).map { "sk-\($0)" })
        await reopened.close()
    }

    @Test func `documents are sealed anew, too`() async throws {
        let directory = try TemporaryDirectory()
        let (old, new) = (String(repeating: "1", count: 64), String(repeating: "2", count: 64))
        let url = try StoreURL("sqlite:\(directory.path)/rotator.db")
        let store = try await openStore(url, sealing: MasterKeyRing(try MasterKey(old)))
        try await store.migrate()
        var documents: [StoredDocument] = []
        for number in 0..<600 { documents.append(try await store.insertDocument(.client, named: "c\(number)", body: [UInt8(number % 256)])) }
        await store.close()
        let variables = ["DATA_DIR": directory.path, "ENCRYPTION_KEY": new, "ENCRYPTION_KEYS_ACCEPTED": old]
        let (status, lines) = try await rekey(variables)
        #expect(status == .success && lines == ["500 values sealed anew", "601 values sealed anew", "601 values sealed anew, none left"], "\(lines)")
        let reopened = try await openStore(url, sealing: MasterKeyRing(try MasterKey(new)))
        try await reopened.migrate()
        #expect(try await reopened.documents(.client, after: 0, limit: 1_000) == documents)
        await reopened.close()
    }

    @Test func `a key that lives in the data directory is changed by putting another in its place`() async throws {
        let directory = try TemporaryDirectory()
        let (old, new) = (String(repeating: "1", count: 64), String(repeating: "2", count: 64))
        let store = try await openStore(try StoreURL("sqlite:\(directory.path)/rotator.db"), sealing: MasterKeyRing(try MasterKey(old)))
        try await store.migrate()
        await store.close()
        _ = try directory.write("master.key", new + "\n")
        #expect(try await rekey(["DATA_DIR": directory.path]).status == .configuration)
        #expect(try await rekey(["DATA_DIR": directory.path, "ENCRYPTION_KEYS_ACCEPTED": old]).status == .success)
        #expect(try await rekey(["DATA_DIR": directory.path]).status == .success)
    }

    @Test(arguments: [("sqlite::memory:", "in memory"), (nil, "no store at")])
    func `where there is no store, none is made`(_ url: String?, _ words: String) async throws {
        let directory = try TemporaryDirectory()
        var variables = ["DATA_DIR": directory.path]
        variables["DATABASE_URL"] = url
        let (status, lines) = try await rekey(variables)
        #expect(status == .configuration && lines.count == 1 && lines[0].contains(words))
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
    }
}
