// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import Testing

@testable import RotatorStore

@Suite("Taking over the Go service's rows") struct ImportCatalogueTests {
    private func row(_ values: [String: String]) -> ForeignRow {
        let columns = values.keys.sorted()
        return ForeignRow(columns: columns, values: columns.map { .octets(Array(values[$0]!.utf8)) })
    }

    private func catalogue(services: [[String: String]], keys: [[String: String]] = [], fault: (ServiceConfiguration) -> String? = { _ in nil }) -> ImportedCatalogue {
        var rows = GoServiceRows()
        for key in keys { rows.add(row(key), to: .keys) }
        for service in services { rows.add(row(service), to: .services) }
        return rows.catalogue(fault: fault)
    }

    private func llm(_ more: [String: String] = [:]) -> [String: String] {
        ["id": "1", "name": "S", "slug": "s", "config_type": "LLM", "target_base_url": "http://h/v1"].merging(more) { $1 }
    }

    private func generic(_ more: [String: String] = [:]) -> [String: String] {
        ["id": "1", "name": "S", "slug": "s", "config_type": "GENERIC", "target_url": "http://h/x", "method": "get", "api_key_location": "header", "api_key_name": "X-Key"]
            .merging(more) { $1 }
    }

    private func key(_ id: Int, _ value: String, of service: Int = 1, _ more: [String: String] = [:]) -> [String: String] {
        ["id": "\(id)", "key_value": value, "proxy_config_id": "\(service)", "is_active": "1"].merging(more) { $1 }
    }

    private func values(_ keys: [NewKey]) -> [String] {
        keys.map { key in unsafe key.secret.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
    }

    @Test func `an LLM service of each format keeps its target, formats and switch`() throws {
        for format in ["openai_compatible", "anthropic_native", "gemini_native"] {
            let found = catalogue(services: [llm(["api_format": format, "output_format": "anthropic", "is_active": "0"])])
            let made = try #require(found.services.first).configuration
            #expect(made.kind == .llm && made.apiFormat.rawValue == format && made.outputFormat == .anthropic && made.targetURL == "http://h/v1" && !made.isActive)
            #expect(found.notes.isEmpty && found.omissions.isEmpty)
        }
    }

    @Test func `columns that an older version lacks take that version's defaults`() throws {
        let made = try #require(catalogue(services: [llm()]).services.first).configuration
        #expect(made.apiFormat == .openAICompatible && made.outputFormat == .none && made.isActive && made.apiKeyLocation == nil && made.apiKeyName == nil && made.apiKeyPrefix == nil)
    }

    @Test(arguments: [
        // format, location, name, the prefix that ours has to be told
        ("openai_compatible", nil, nil, nil), ("openai_compatible", "header", "authorization", nil), ("openai_compatible", "header", "X-Api-Key", "Bearer "),
        ("openai_compatible", "query", "key", nil), ("anthropic_native", "header", "x-api-key", nil), ("gemini_native", "header", "x-goog-api-key", nil),
        ("gemini_native", "query", "key", nil),
    ] as [(String, String?, String?, String?)])
    func `a key goes out as the Go service sent it`(_ format: String, _ location: String?, _ name: String?, _ prefix: String?) throws {
        var row = llm(["api_format": format])
        row["api_key_location"] = location
        row["api_key_name"] = name
        let made = try #require(catalogue(services: [row]).services.first).configuration
        #expect(made.apiKeyLocation?.rawValue == location && made.apiKeyName == name && made.apiKeyPrefix == prefix)
    }

    @Test func `a generic service sends its keys bare, or with the word that they all begin with`() throws {
        let bare = catalogue(services: [generic(["api_key_name": "Authorization"])], keys: [key(1, "one"), key(2, "two")])
        #expect(bare.services[0].configuration.apiKeyPrefix == "" && bare.services[0].configuration.method == "GET")
        let worded = catalogue(services: [generic(["api_key_name": "Authorization"])], keys: [key(1, "Token one"), key(2, "Token two")])
        #expect(worded.services[0].configuration.apiKeyPrefix == "Token " && values(worded.services[0].keys) == ["one", "two"] && worded.notes.count == 1)
        let mixed = catalogue(services: [generic()], keys: [key(1, "Token one"), key(2, "two")])
        #expect(values(mixed.services[0].keys) == ["two"] && mixed.omissions == ["api_keys 1: not made of visible ASCII characters alone: left out"])
    }

    @Test func `keys come in the order of their numbers, each value once, active where one of its rows is`() {
        let found = catalogue(
            services: [llm()], keys: [key(9, "c"), key(2, "a"), key(5, "b", ["is_active": "0"]), key(7, "b"), key(8, "d", ["is_active": "false"])])
        #expect(values(found.services[0].keys) == ["a", "b", "d", "c"] && found.services[0].keys.map(\.isActive) == [true, true, false, true])
        #expect(found.omissions.isEmpty && found.notes.count == 1 && found.notes[0].hasPrefix("api_keys 7:"))
    }

    @Test func `rows that cannot be taken over are named by table and number, never by value`() {
        let long = "sk-secret" + String(repeating: "x", count: 8_192)
        let found = catalogue(
            services: [llm(), llm(["id": "2", "slug": "t", "target_base_url": ""]), llm(["id": "3", "slug": "u", "config_type": "?", "target_base_url": ""])],
            keys: [key(1, ""), key(2, "sk-secret ü"), key(3, long), key(4, "sk-secret", of: 77), key(5, "sk-secret", ["is_active": "perhaps"]), key(6, "sk-secret", of: 2), ["id": "7"], ["key_value": "sk-secret"]])
        #expect(found.services.map(\.configuration.slug) == ["s"] && found.services[0].keys.isEmpty)
        let text = found.omissions.joined(separator: "\n")
        for words in [
            "api_keys 1: empty", "api_keys 2: not made of visible ASCII", "api_keys 3: longer than 8192", "api_keys 4: of service 77, which is not there",
            "api_keys 5: neither active nor inactive", "api_keys 7: of no service", "api_keys: the row at place 8 has no number", "proxy_configs 2: without target_base_url: left out with its 1 keys",
            "proxy_configs 3: its config_type is not known, and it has no target",
        ] { #expect(text.contains(words), "\(words) in \(text)") }
        #expect(!(text + found.notes.joined()).contains("sk-secret"))
    }

    @Test func `words that are not known become the nearest equivalent, and that is told`() throws {
        let found = catalogue(services: [llm(["config_type": "CHAT", "api_format": "cohere", "output_format": "xml", "api_key_location": "cookie"])])
        let made = try #require(found.services.first).configuration
        #expect(made.kind == .llm && made.apiFormat == .openAICompatible && made.outputFormat == .none && made.apiKeyLocation == nil)
        #expect(found.notes.count == 4 && found.omissions.isEmpty)
    }

    @Test func `a query is cut off a target without being repeated, and rows that are marked as deleted are counted`() {
        let found = catalogue(services: [generic(["target_url": "http://h/x?token=sk-secret"]), generic(["id": "2", "deleted_at": "2025-01-01"])])
        #expect(found.services.map(\.configuration.targetURL) == ["http://h/x"])
        #expect(found.notes.count == 2 && !found.notes.joined().contains("sk-secret"))
    }

    @Test func `what the server's own rules refuse is left out with its keys`() {
        let found = catalogue(services: [llm()], keys: [key(1, "a"), key(2, "b")]) { _ in "target_base_url must begin with http:// or https://" }
        #expect(found.services.isEmpty && found.omissions == ["proxy_configs 1: target_base_url must begin with http:// or https://: left out with its 2 keys"])
    }

    @Test func `slugs of another grammar become ours, apart from each other and from those that were right, whatever the order`() {
        var slugs = ImportedSlugs(["my-api", "My API", "my api!", "日本", "--", "ok"])
        #expect(slugs.make(from: "My API", number: 1) == "my-api-2")
        #expect(slugs.make(from: "my api!", number: 2) == "my-api-3")
        #expect(slugs.make(from: "my-api", number: 3) == "my-api")
        #expect(slugs.make(from: "日本", number: 4) == "service-4")
        #expect(slugs.make(from: "--", number: 5) == "service-5")
        #expect(slugs.make(from: "_a_é_B", number: 6) == "a-b")
        let long = String(repeating: "x", count: 70)
        #expect(slugs.make(from: long, number: 7) == String(long.prefix(63)))
        #expect(slugs.make(from: long + "!", number: 8) == String(long.prefix(61)) + "-2")
    }
}

@Suite("Reading other programs' files") struct ImportFileTests {
    @Test func `the Go service's database is told from ours, from others and from what is none`() async throws {
        let directory = try TemporaryDirectory()
        let ours = directory.path + "/ours.db"
        let store = try await openStore(try StoreURL("sqlite:\(ours)"), sealing: .generate())
        try await store.migrate()
        await store.close()
        #expect(!GoServiceDatabase.isThere(at: ours))
        #expect(!GoServiceDatabase.isThere(at: directory.path + "/none.db"))
        #expect(!GoServiceDatabase.isThere(at: directory.path))
        let text = directory.path + "/text.db"
        try "CREATE TABLE proxy_configs; CREATE TABLE api_keys".write(toFile: text, atomically: false, encoding: .utf8)
        #expect(!GoServiceDatabase.isThere(at: text))
        #expect(try directory.names.contains("none.db") == false)
    }

    private func list(_ octets: [UInt8]) throws -> (values: [String], catalogue: ImportedCatalogue) {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/keys.txt"
        try Data(octets).write(to: URL(fileURLWithPath: path))
        let configuration = ServiceConfiguration(name: "s", slug: "s", kind: .llm, apiFormat: .openAICompatible, targetURL: "http://h/v1")
        let catalogue = try KeyList.catalogue(at: path, for: configuration)
        let values = catalogue.services[0].keys.map { key in unsafe key.secret.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
        return (values, catalogue)
    }

    @Test(arguments: ["a\nb\nc\n", "a\r\nb\r\n\r\nc", "\u{FEFF}a\nb\nc", "  a \n\tb\n\n\nc\n", #"["a","b","c"]"#, "\n[ \"a\",\n\"b\", \"c\" ]\n"])
    func `a list of keys has one a line, or is an array in JSON`(_ text: String) throws {
        let (values, catalogue) = try list(Array(text.utf8))
        #expect(values == ["a", "b", "c"] && catalogue.omissions.isEmpty && catalogue.notes.isEmpty)
    }

    @Test func `lines that are no keys are named by their place, repeated keys are counted`() throws {
        let text = "sk-secret\nsk secret\nsk-secret\nschlüssel\n" + String(repeating: "x", count: 8_193) + "\n" + String(repeating: "y", count: 8_192)
        let (values, catalogue) = try list(Array(text.utf8))
        #expect(values == ["sk-secret", String(repeating: "y", count: 8_192)])
        #expect(catalogue.omissions.map { $0.prefix(7) } == ["line 2:", "line 4:", "line 5:"] && catalogue.omissions[2].contains("8192"))
        #expect(catalogue.notes == ["1 keys stand in the file more than once: one key each"])
    }

    @Test func `JSON of another form is told without its content`() throws {
        let error = #expect(throws: StoreError.self) { _ = try list(Array(#"[{"key":"sk-secret"}]"#.utf8)) }
        #expect(error?.code == .damaged && error?.message.contains("sk-secret") == false)
    }
}
