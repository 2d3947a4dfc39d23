// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Catalogue document") struct CatalogueDocumentTests {
    private func problem(_ text: String, passphrase: String? = passphrase) -> AdminProblem? {
        do {
            _ = try CatalogueDocument(
                Array(text.utf8), passphrase: passphrase.map { Secret($0.utf8) }, adapter: { TableAdapter(format: $0) }, variables: nil)
            return nil
        } catch {
            return error
        }
    }

    private func sealedText() async throws -> String { String(decoding: try await FullCatalogue.harness().export(), as: UTF8.self) }

    @Test(arguments: [
        (#"{"version":1}"#, AdminProblem.Code.missingMember, "“format”"), (#"{"format":"x","version":1}"#, .invalidMember, "“format”"),
        (#"{"format":"api-key-rotator/catalogue","version":2}"#, .invalidMember, "“version”"), ("[]", .invalidJSON, "object"), ("{", .invalidJSON, "octet"),
        (document(#""webhook":[]"#), .unknownMember, "“webhook”"), (document(#""services":{}"#), .invalidMember, "“services”"),
        (document(#""services":[1]"#), .invalidMember, "/services/0: must be an object"),
        (document(#""services":[{}]"#), .missingMember, "/services/0: “name”"),
        (document(#""services":[\#(handwritten("a", #""id":1"#))]"#), .unknownMember, "/services/0: Unknown member: “id”"),
        (document(#""services":[\#(handwritten("a")),\#(handwritten("A"))]"#), .invalidMember, "/services/1: “slug”"),
        (document(#""services":[\#(handwritten("a")),\#(handwritten("a"))]"#), .invalidMember, "“/services/1/slug” is that of /services/0 too"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k"},{"key_value":"a b"}]"#))]"#), .invalidMember, "/services/0/keys/1: “key_value”"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k","weight":0}]"#))]"#), .invalidMember, "/services/0/keys/0: “weight”"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"name":"k"}]"#))]"#), .missingMember, "/services/0/keys/0: “key_value”"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k","sealed":"x"}]"#))]"#), .invalidMember, "/keys/0: “key_value” stands there beside"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"sealed":"x"}]"#))]"#), .invalidMember, "/keys/0: “sealed” cannot be opened"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"${KEY}"}]"#))]"#), .invalidMember, "ROTATOR_CATALOGUE alone"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k","state":"active"}]"#))]"#), .unknownMember, "/services/0/keys/0: Unknown"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k","tags":[""]}]"#))]"#), .invalidMember, "“tags” hold an empty one"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k","limits":{"tokens_per_day":0}}]"#))]"#), .invalidMember, "“limits.tokens_per_day”"),
        (document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"k","limits":{"a":0}}]"#))]"#), .unknownMember, "“limits.a”"),
        (document(#""services":[\#(handwritten("a", #""quota_group":"g""#))]"#), .unknownMember, "“quota_group”"),
        (document(#""services":[\#(handwritten("a", #""extra_headers":{"Host":"x"}"#))]"#), .invalidMember, "extra_headers.Host"),
        (document(#""services":[\#(handwritten("a", #""extra_headers":{"X":1}"#))]"#), .invalidMember, "extra_headers.X"),
        (document(#""services":[\#(handwritten("a", #""rules":[{"verdict":"nonsense"}]"#))]"#), .invalidMember, "/services/0: “/rules/0/verdict” is unknown"),
        (document(#""services":[\#(handwritten("a", #""max_attempts":0"#))]"#), .invalidMember, "/services/0: “max_attempts”"),
        (document(#""clients":[{"name":"a"}]"#), .missingMember, "/clients/0: “key_value”"),
        (document(#""clients":[{"name":"a","digest":"ab"}]"#), .invalidMember, "/clients/0: “digest”"),
        (document(#""clients":[{"name":"a","key_value":"k"},{"name":"a","key_value":"l"}]"#), .invalidMember, "“/clients/1/name”"),
        (document(#""clients":[{"name":"a","key_value":"k"},{"name":"b","key_value":"k"}]"#), .invalidMember, "“/clients/1” has the key of /clients/0"),
        (document(#""clients":[{"name":"a","key_value":"k","tokens_per_minute":0}]"#), .invalidMember, "/clients/0: “tokens_per_minute”"),
        (document(#""kdf":{"name":"scrypt"}"#), .missingMember, "/kdf: “n”"), (document(#""kdf":{"name":"argon2"}"#), .invalidMember, "/kdf: “name” must be “scrypt”"),
    ])
    func `what is wrong is said with its place`(_ text: String, _ code: AdminProblem.Code, _ words: String) {
        let problem = problem(text)
        #expect(problem?.code == code)
        #expect(problem?.detail.contains(words) == true, "\(problem?.detail ?? "nothing")")
    }

    @Test(arguments: [
        "\"n\": 2147483648", "\"n\": 1000", "\"n\": 3000", "\"n\": 0", "\"n\": -1024", "\"n\": 9007199254740991", "\"r\": 0", "\"r\": 1000000", "\"p\": 4096", "\"p\": 0",
        "\"salt\": \"AAAA\"", "\"salt\": \"AAECAwQFBgcICQoLDA0ODwECAwQFBgcICQoLDA0ODw==\"",
    ])
    func `a document cannot have the server spend more than it would itself`(_ member: String) async throws {
        let name = String(member.prefix { $0 != ":" })
        let text = try await sealedText().split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.contains(name + ":") && !line.contains("\"name\"") ? "    \(member)," : String(line)
        }.joined(separator: "\n")
        let started = ContinuousClock.now
        let problem = problem(text)
        #expect(problem?.code == .invalidMember && problem?.detail.hasPrefix("/kdf: n, r, p and salt") == true, "\(problem?.detail ?? "nothing")")
        #expect(ContinuousClock.now - started < .seconds(1))
    }

    @Test func `the largest cost that is taken is four times our own in time and twice in memory`() {
        var parameters = PassphraseSeal.Parameters()
        #expect(parameters.isBearable)
        parameters.p = 4
        #expect(parameters.isBearable)
        parameters.n *= 2
        #expect(!parameters.isBearable)
        parameters.p = 2
        #expect(parameters.isBearable)
        parameters.n *= 2
        parameters.p = 1
        #expect(!parameters.isBearable, "512 MiB")
    }

    @Test func `a wrong passphrase is told from a damaged document`() async throws {
        let text = try await sealedText()
        #expect(problem(text) == nil)
        #expect(problem(text, passphrase: "another passphrase")?.code == .wrongPassphrase)
        #expect(problem(text, passphrase: nil)?.code == .invalidPassphrase)
        // Each sealed value in turn, with one character changed.
        var count = 0
        for range in text.ranges(of: #""sealed": ""#) {
            var changed = text
            let index = text.index(range.upperBound, offsetBy: 20)
            changed.replaceSubrange(index...index, with: changed[index] == "A" ? "B" : "A")
            let problem = problem(changed)
            #expect(problem?.code == .invalidMember)
            #expect(problem?.detail.contains("is not what was sealed for this place") == true)
            count += 1
        }
        #expect(count == 2 + 3 + 1)
    }

    @Test func `what was sealed for one place opens at no other`() async throws {
        let text = try await sealedText()
        #expect(problem(text.replacing(#""slug": "plain""#, with: #""slug": "plane""#))?.detail.contains("/services/1/keys/0: “sealed” is not") == true)
        #expect(problem(text.replacing("\"X-Org\"", with: "\"X-Organisation\""))?.detail.contains("“sealed” is not") == true)
        #expect(problem(text.replacing("\"ci ü\"", with: "\"cd\""))?.detail.contains("/clients/0: “sealed” is not") == true)
    }

    @Test func `references are filled in from the environment where there is one`() throws {
        func read(_ text: String) throws -> CatalogueDocument {
            try CatalogueDocument(
                Array(text.utf8), passphrase: nil, adapter: { TableAdapter(format: $0) }, variables: { ["KEY_1": "from-the-environment", "BAD": "a b"][$0] })
        }
        let service = handwritten("a", #""keys":[{"key_value":"${KEY_1}"},{"key_value":"$KEY_1"}],"extra_headers":{"X-Key":"${KEY_1}","X-Plain":"x"}"#)
        let made = try read(document(#""services":[\#(service)],"clients":[{"name":"c","key_value":"${KEY_1}"}]"#))
        #expect(made.services?[0].keys?.map { String(decoding: octets(of: $0.key.secret), as: UTF8.self) } == ["from-the-environment", "$KEY_1"])
        #expect(made.services?[0].configuration.extraHeaders == ["X-Key": "from-the-environment", "X-Plain": "x"])
        #expect(made.clients?[0].digest == Array(Secret("from-the-environment".utf8).sha256))
        for (reference, words) in [("${NONE}", "the environment variable NONE, which is not set"), ("${bad name}", "capital letters"), ("${BAD}", "visible ASCII"), ("${}", "capital letters")] {
            do {
                _ = try read(document(#""services":[\#(handwritten("a", #""keys":[{"key_value":"\#(reference)"}]"#))]"#))
                Issue.record("\(reference) was taken")
            } catch {
                let detail = (error as? AdminProblem)?.detail ?? ""
                #expect(detail.contains(words) && !detail.contains("a b"), "\(detail)")
            }
        }
    }

    @Test func `an object that is left out of the text has its default`() throws {
        let made = try CatalogueDocument(
            Array(document(#""services":[\#(handwritten("a"))]"#).utf8), passphrase: nil, adapter: { TableAdapter(format: $0) }, variables: nil)
        #expect(made.services?[0].configuration == ServiceConfiguration(name: "Name", slug: "a", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://api.example.com"))
        #expect(made.services?[0].keys == nil && made.clients == nil)
    }

    @Test func `sealing is repeatable, and tells places, values and passphrases apart`() throws {
        let seal = try cheapSeal()
        let texts = [
            seal.seal(Array("k".utf8), at: .key(service: "a")), seal.seal(Array("k".utf8), at: .key(service: "b")), seal.seal(Array("l".utf8), at: .key(service: "a")),
            seal.seal(Array("k".utf8), at: .client("a")), seal.seal(Array("k".utf8), at: .header("a", service: "b")),
            seal.seal(Array("k".utf8), at: .header("b", service: "a")), try cheapSeal("another passphrase").seal(Array("k".utf8), at: .key(service: "a")),
        ]
        #expect(Set(texts).count == texts.count)
        #expect(seal.seal(Array("k".utf8), at: .key(service: "a")) == texts[0])
        #expect(seal.open(texts[0], at: .key(service: "a")) == Array("k".utf8))
        #expect(seal.open(texts[0], at: .key(service: "b")) == nil)
        #expect(seal.open("nonsense", at: .key(service: "b")) == nil && seal.open("", at: .check) == nil)
    }

    @Test func `a text is laid out down to a depth`() {
        let compact = #"{"a":[],"b":{},"c":[1,{"d":[1,2]}],"e":"{,:\"}"}"#
        let laidOut = """
            {
              "a": [],
              "b": {},
              "c": [
                1,
                {"d": [1, 2]}
              ],
              "e": "{,:\\"}"
            }

            """
        #expect(String(decoding: JSONLayout.lines(Array(compact.utf8), depth: 2), as: UTF8.self) == laidOut)
    }
}
