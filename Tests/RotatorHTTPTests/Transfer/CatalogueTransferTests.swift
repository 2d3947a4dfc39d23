// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Catalogue transfer") struct CatalogueTransferTests {
    /// Which stored members of two values look the same.
    private func alike(_ one: Any, _ other: Any) -> [String] {
        zip(Mirror(reflecting: one).children, Mirror(reflecting: other).children).filter { "\($0.value)" == "\($1.value)" }.compactMap(\.0.label)
    }

    @Test func `everything that can be configured survives export and import`() async throws {
        // First that the fixture leaves nothing at its default: whoever adds a member is sent here, and then to the document.
        let plain = ServiceConfiguration(name: "", slug: "", kind: .llm, apiFormat: .generic, targetURL: "")
        #expect(alike(FullCatalogue.service, plain) == [])
        #expect(alike(FullCatalogue.attributes, KeyAttributes()) == [])
        #expect(alike(FullCatalogue.attributes.limits, KeyLimits()) == [])
        #expect(alike(FullCatalogue.policy, ClientPolicy()) == [])

        let source = try await FullCatalogue.harness()
        let target = try await FullCatalogue.emptyHarness()
        let report = try await target.take(try await source.export())
        #expect(try target.content == source.content)
        #expect(report.services.created == 2 && report.keys.created == 3 && report.clients.created == 1)
        #expect(report.changes.map { "\($0.action.rawValue) \($0.kind.rawValue) \($0.subject) \($0.count)" } == [
            "create service full 1", "create service plain 1", "create client ci ü 1", "create key keys of full 1", "create key keys of plain 2",
        ])
        // And in force: requests see it, clients are known.
        #expect(target.catalogue.snapshot.upstreams.keys.sorted() == ["full", "plain"])
        #expect(target.administration.clientDirectory.snapshot.clients.count == 1)
    }

    @Test func `what was exported changes nothing where it came from, and leaves no trace there`() async throws {
        let harness = try await FullCatalogue.harness()
        let octets = try await harness.export()
        let (version, audit) = (harness.catalogue.version, harness.store.auditEntries.count)
        for mode in ImportMode.allCases {
            let report = try await harness.take(octets, mode: mode)
            #expect(report.isEmpty)
            #expect(report.services.unchanged == 2 && report.keys.unchanged == 3 && report.clients.unchanged == 1)
            #expect(report.changes.isEmpty)
        }
        #expect(harness.catalogue.version == version)
        #expect(harness.store.auditEntries.count == audit)
    }

    @Test(arguments: ImportMode.allCases) func `a dry run tells exactly what the import then does, and does nothing`(_ mode: ImportMode) async throws {
        let harness = try await FullCatalogue.harness()
        let text = document(
            """
            "services":[\(handwritten("plain", #""max_attempts":4,"keys":[{"key_value":"canary-key-2","weight":3},{"key_value":"new"},{"key_value":"new"}]"#)),\
            \(handwritten("other", #""keys":[{"key_value":"k"}]"#))],"clients":[{"name":"made","key_value":"canary-client-key"}]
            """)
        let before = try harness.content
        let told = try await harness.take(text, mode: mode, isDryRun: true)
        #expect(try harness.content == before)
        var done = try await harness.take(text, mode: mode)
        #expect(told.isDryRun && !done.isDryRun)
        done.isDryRun = true
        #expect(told == done)
        let isMerge = mode == .merge
        #expect(done.services == .init(created: 1, updated: 1, unchanged: 0, deleted: isMerge ? 0 : 1))
        #expect(done.keys == .init(created: 2, updated: 1, unchanged: 0, deleted: isMerge ? 0 : 2))
        #expect(done.clients == .init(created: 1, updated: 0, unchanged: 0, deleted: isMerge ? 0 : 1))
        #expect(done.duplicateKeys == 1)
        #expect(try await harness.take(text, mode: mode).isEmpty)
        #expect(try harness.content.count == (isMerge ? 3 + 5 + 2 : 2 + 3 + 1))
    }

    @Test func `replacing makes the catalogue exactly what the document says`() async throws {
        let source = try await FullCatalogue.harness()
        let octets = try await source.export()
        let target = try await FullCatalogue.emptyHarness()
        let other = await target.makeService(slug: "other")
        _ = await target.makeKey("gone", in: other)
        let plain = await target.makeService(slug: "plain")
        let kept = await target.makeKey("canary-key-2", in: plain)
        _ = await target.makeKey("gone", in: plain)
        _ = try await target.administration.addClient(named: "gone", ClientPolicy(), by: "ada")
        _ = try await target.take(octets, mode: .replace)
        #expect(try target.content == source.content)
        #expect(await target.call("GET", "/admin/keys/\(kept)").status == 200)
        #expect(target.catalogue.snapshot.upstreams.keys.sorted() == ["full", "plain"])
        #expect(target.administration.clientDirectory.snapshot.clients.count == 1)
        // What memory says is what the store says.
        try await target.administration.load()
        #expect(try target.content == source.content)
    }

    @Test func `a document that says nothing of keys and clients leaves them alone`() async throws {
        let harness = try await FullCatalogue.harness()
        let keyCount = harness.store.peek { $0.keys.count }
        let octets = try await harness.administration.exportCatalogue(seal: nil, includesKeys: false, by: "ada")
        #expect(try await harness.take(octets, mode: .replace).isEmpty)
        #expect(harness.store.peek { $0.keys.count } == keyCount)
        let text = String(decoding: octets, as: UTF8.self)
        #expect(text.contains(#""X-Org": null"#) && !text.contains("canary") && !text.contains("clients"))
        // Where there is no value to keep, it must be given.
        await #expect(throws: AdministrationError.invalid(
            member: "/services/0/extra_headers/X-Org", reason: "was left out of the document, and there is no value to keep")
        ) { try await FullCatalogue.emptyHarness().take(octets) }
    }

    @Test func `an export holds no secret as it is`() async throws {
        let harness = try await FullCatalogue.harness()
        let text = String(decoding: try await harness.export(), as: UTF8.self)
        #expect(!text.contains("canary"))
        for client in try harness.administration.clients(after: nil, limit: 9) { #expect(!text.contains(client.record.digest.hexadecimal)) }
        #expect(text.hasSuffix("}\n"))
    }

    @Test func `under the same salt two documents differ in what has changed alone`() async throws {
        let harness = try await FullCatalogue.harness()
        let first = try await harness.export()
        #expect(try await harness.export() == first)
        _ = try await harness.administration.addKeys([NewKey(secret: Secret("canary-key-3".utf8))], to: ServiceID(2), by: "ada")
        let (before, after) = (lines(first), lines(try await harness.export()))
        // The new line, and the comma behind the one before it.
        #expect(after.count == before.count + 1)
        #expect(after.filter { !before.contains($0) }.count == 2)
        let reimported = try await FullCatalogue.emptyHarness()
        try await reimported.take(try await harness.export())
        #expect(lines(try await reimported.export()) == after)
    }

    private func lines(_ octets: [UInt8]) -> [Substring] { String(decoding: octets, as: UTF8.self).split(separator: "\n") }

    @Test func `keys that stay keep their standing and their counts`() async throws {
        let harness = try await FullCatalogue.harness()
        let pool = try harness.administration.entry(ServiceID(2)).pool
        var standing = StandingRecord()
        standing.state = .exhausted
        standing.until = harness.clock.now + .seconds(3_600)
        standing.reason = "quota"
        standing.decidedAt = harness.clock.now
        pool.merge([KeyID(2): standing], at: harness.clock.now)
        let text = document(#""services":[\#(handwritten("plain", #""rotation_strategy":"weighted","keys":[{"key_value":"canary-key-1","weight":5}]"#))]"#)
        #expect(try await harness.take(text, mode: .replace).keys.deleted == 2)
        let view = try harness.administration.key(KeyID(2))
        #expect(view.state == .exhausted && view.weight == 5)
        #expect(try harness.administration.service(ServiceID(2)).configuration.rotationStrategy == .weighted)
    }

    @Test func `an import is published as one step and audited once`() async throws {
        let source = try await FullCatalogue.harness()
        let octets = try await source.export()
        let target = try await FullCatalogue.emptyHarness()
        let version = target.catalogue.version
        try await target.take(octets)
        #expect(target.catalogue.version == version + 1)
        #expect(target.store.auditEntries.map(\.action) == ["catalogue.import"])
        #expect(target.store.auditEntries.first?.subject == "services: 2 created; keys: 3 created; clients: 1 created")
        #expect(source.store.auditEntries.last?.action == "catalogue.export")
        #expect(source.store.auditEntries.last?.subject == "2 services, 3 keys, 1 clients")
    }

    @Test func `a store that fails leaves everything as it was`() async throws {
        let octets = try await FullCatalogue.harness().export()
        let target = try await FullCatalogue.emptyHarness()
        let version = target.catalogue.version
        target.store.fail(.unavailable)
        await #expect(throws: AdministrationError.self) { try await target.take(octets) }
        target.store.fail(nil)
        #expect(target.catalogue.version == version)
        #expect(target.store.peek { $0.services.isEmpty && $0.keys.isEmpty })
        #expect(try await target.take(octets).services.created == 2)
    }

    @Test func `an export that cannot be audited is not handed out`() async throws {
        let harness = try await FullCatalogue.harness()
        harness.store.peek { $0.auditFailure = .unavailable }
        await #expect(throws: AdministrationError.self) { try await harness.export() }
    }

    @Test func `what another replica has done meanwhile is read, and the import tried again`() async throws {
        let harness = try await FullCatalogue.emptyHarness()
        harness.store.peek { state in
            state.lastService = 1
            state.services.append(ServiceRecord(
                id: ServiceID(1), configuration: ServiceConfiguration(name: "Name", slug: "plain", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://api.example.com")))
        }
        let report = try await harness.take(document(#""services":[\#(handwritten("plain", #""keys":[{"key_value":"k"}]"#))]"#))
        #expect(report.services.unchanged == 1 && report.keys.created == 1)
        #expect(harness.store.peek { $0.services.count } == 1)
    }

    @Test func `clients are matched by name, else by key`() async throws {
        let harness = try await FullCatalogue.emptyHarness()
        func import_(_ clients: String) async throws -> ImportReport { try await harness.take(document(#""clients":[\#(clients)]"#)) }
        #expect(try await import_(#"{"name":"one","key_value":"key-1"},{"name":"two","key_value":"key-2"}"#).clients.created == 2)
        // Another key for the same name, another name for the same key.
        let changed = try await import_(#"{"name":"one","key_value":"key-3"},{"name":"zwei","key_value":"key-2"}"#)
        #expect(changed.clients.updated == 2 && changed.clients.created == 0)
        #expect(changed.changes.map(\.members) == [["digest"], ["name"]])
        #expect(try harness.administration.clients(after: nil, limit: 9).map(\.record.name) == ["one", "zwei"])
        // A key that wanders from one name to another.
        #expect(try await import_(#"{"name":"one","key_value":"key-4"},{"name":"three","key_value":"key-3"}"#).clients.created == 1)
        await #expect(throws: AdministrationError.invalid(member: "/clients/0", reason: "has the key of the client “zwei”")) {
            _ = try await import_(#"{"name":"one","key_value":"key-2"}"#)
        }
        harness.administration.clientDirectory.setEnvironment([ClientKey(name: "env", digest: [])])
        await #expect(throws: AdministrationError.invalid(member: "/clients/0/name", reason: "is that of a key of GLOBAL_PROXY_KEYS")) {
            _ = try await import_(#"{"name":"env","key_value":"key-9"}"#)
        }
    }

    @Test func `at most a thousand changes are told one by one`() async throws {
        let harness = try await FullCatalogue.emptyHarness()
        func keys(_ weight: Int) -> String { (0..<1_200).map { #"{"key_value":"k\#($0)","weight":\#(weight)}"# }.joined(separator: ",") }
        #expect(try await harness.take(document(#""services":[\#(handwritten("plain", #""keys":[\#(keys(1))]"#))]"#)).changes.count == 2)
        let report = try await harness.take(document(#""services":[\#(handwritten("plain", #""keys":[\#(keys(2))],"max_attempts":1"#))]"#))
        #expect(report.keys.updated == 1_200 && report.changes.count == 1_000)
        #expect(report.changes.first?.members == ["max_attempts"])
        #expect(report.changes.last?.members == ["weight"])
    }
}
