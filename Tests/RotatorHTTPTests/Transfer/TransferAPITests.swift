// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Transfer over the admin API") struct TransferAPITests {
    @Test func `a catalogue goes from one server to another`() async throws {
        let (source, target) = (try await FullCatalogue.harness(), try await FullCatalogue.emptyHarness())
        let answer = await source.transfer("GET", "/admin/export", passphrase: passphrase)
        #expect(answer.status == 200)
        #expect(answer["Content-Type"] == "application/json")
        #expect(answer["Content-Disposition"] == "attachment; filename=\"catalogue.json\"")
        #expect(answer["Cache-Control"] == "no-store")
        #expect(!answer.text.contains("canary"))
        #expect(answer.json["kdf"]["n"].integer == 131_072)

        let told = await target.transfer("POST", "/admin/import?dry_run=true", answer.text, passphrase: passphrase)
        #expect(told.status == 200 && told.json["dry_run"].bool == true)
        #expect(told.json["keys"]["created"].integer == 3)
        #expect(try target.content.isEmpty)
        let done = await target.transfer("POST", "/admin/import?mode=replace", answer.text, passphrase: passphrase)
        #expect(done.status == 200)
        #expect(done.text == told.text.replacing(#""dry_run":true"#, with: #""dry_run":false"#))
        #expect(try target.content == source.content)
        #expect(!done.text.contains("canary") && !source.log.lines.joined().contains("canary") && !target.log.lines.joined().contains("canary"))
        #expect(!(source.log.lines + target.log.lines).joined().contains(passphrase))

        let wrong = await target.transfer("POST", "/admin/import", answer.text, passphrase: "another passphrase")
        #expect(wrong.status == 400 && wrong.code == "wrong_passphrase")
        #expect(await target.transfer("POST", "/admin/import", answer.text, passphrase: nil).code == "invalid_passphrase")

        // With the salt of the first, the second is the same.
        guard let salt = answer.json["kdf"]["salt"].string else { return #expect(Bool(false), "no salt") }
        let encoded = salt.replacing("+", with: "%2B").replacing("/", with: "%2F").replacing("=", with: "%3D")
        #expect(await source.transfer("GET", "/admin/export?salt=\(encoded)", passphrase: passphrase).text == answer.text)
    }

    @Test(arguments: [nil, "", "elevenchars", String(repeating: "x", count: 1_025), "twelve \u{FFFD} chars"])
    func `an export wants a passphrase of twelve characters`(_ passphrase: String?) async throws {
        let harness = try await FullCatalogue.harness()
        let count = harness.store.auditEntries.count
        let answer = await harness.transfer("GET", "/admin/export", passphrase: passphrase)
        #expect(answer.status == 400 && answer.code == "invalid_passphrase")
        #expect(answer.detail.contains("X-Passphrase"))
        #expect(harness.store.auditEntries.count == count)
        if let passphrase {
            #expect(await harness.transfer("POST", "/admin/import", document(#""services":[]"#), passphrase: passphrase).code == "invalid_passphrase")
        }
    }

    @Test func `without keys an export needs none, and holds nothing secret`() async throws {
        let harness = try await FullCatalogue.harness()
        let answer = await harness.transfer("GET", "/admin/export?keys=false", passphrase: nil)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["format", "version", "services"])
        #expect(answer.json["services"].items.allSatisfy { !Optional($0).names.contains("keys") })
        #expect(!answer.text.contains("sealed") && !answer.text.contains("canary"))
        #expect(harness.store.auditEntries.last?.subject == "2 services, 0 keys, 0 clients")
    }

    @Test(arguments: [
        ("GET", "/admin/export?keys=no", "keys"), ("GET", "/admin/export?salt=AAAA", "salt"), ("GET", "/admin/export?salt=%21", "salt"),
        ("GET", "/admin/export?mode=merge", "mode"), ("POST", "/admin/import?dry_run=1", "dry_run"), ("POST", "/admin/import?mode=Replace", "mode"),
        ("POST", "/admin/import?keys=false", "keys"),
    ])
    func `a parameter that is not understood is 400 and named`(_ method: String, _ target: String, _ name: String) async throws {
        let answer = await (try await FullCatalogue.emptyHarness()).transfer(method, target, document(#""services":[]"#), passphrase: passphrase)
        #expect(answer.code == "invalid_parameter" && answer.detail.contains("“\(name)”"))
    }

    @Test func `a document that is refused changes nothing`() async throws {
        let harness = try await FullCatalogue.harness()
        let before = try harness.content
        let text = document(#""services":[\#(handwritten("new", #""keys":[{"key_value":"canary-new"}]"#)),\#(handwritten("bad", #""keys":[{"key_value":"canary bad"}]"#))]"#)
        let answer = await harness.transfer("POST", "/admin/import", text, passphrase: nil)
        #expect(answer.status == 400 && answer.code == "invalid_member")
        #expect(answer.detail == "/services/1/keys/0: “key_value” holds something other than visible ASCII characters.")
        #expect(try harness.content == before)
    }

    @Test func `a store that is away is 503`() async throws {
        let harness = try await FullCatalogue.harness()
        harness.store.fail(.unavailable)
        #expect(await harness.transfer("GET", "/admin/export?keys=false", passphrase: nil).status == 503)
        let text = document(#""services":[\#(handwritten("new"))]"#)
        #expect(await harness.transfer("POST", "/admin/import", text, passphrase: nil).status == 503)
        harness.store.fail(nil)
        #expect(await harness.transfer("POST", "/admin/import", text, passphrase: nil).json["services"]["created"].integer == 1)
    }

    @Test func `the OpenAPI document has the members that a catalogue has`() async throws {
        let harness = try await FullCatalogue.harness()
        let catalogue = Optional(try JSONParser.parse(try await harness.export()))
        let schemas = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))["components"]["schemas"]
        #expect(schemas["Catalogue"]["properties"].names == catalogue.names)
        #expect(schemas["CatalogueKDF"]["properties"].names == catalogue["kdf"].names)
        #expect(schemas["CatalogueService"]["properties"].names == catalogue["services"][0].names)
        #expect(schemas["CatalogueKey"]["properties"].names.subtracting(["key_value"]) == catalogue["services"][0]["keys"][0].names)
        #expect(schemas["KeyLimits"]["properties"].names == catalogue["services"][0]["keys"][0]["limits"].names)
        #expect(schemas["CatalogueClient"]["properties"].names.subtracting(["key_value", "digest"]) == catalogue["clients"][0].names)
        var json = JSONWriter()
        ImportReport(changes: [.init(action: .create, kind: .key, subject: "")]).write(to: &json)
        let report = Optional(try JSONParser.parse(json.octets))
        #expect(schemas["ImportReport"]["properties"].names == report.names)
        #expect(schemas["ImportTally"]["properties"].names == report["keys"].names)
        #expect(schemas["ImportChange"]["properties"].names == report["changes"][0].names)
    }
}
