// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

extension ProviderRules {
    /// The table of a format, as a table and not as what a port shows of it.
    static func builtIn(_ format: APIFormat) -> ProviderRules {
        guard let adapter = AdapterRegistry.builtIn[format] as? any RuledAdapter else { preconditionFailure("the built-in adapters have tables") }
        return adapter.table
    }
}

@Suite("Rules as documents") struct RuleDocumentTests {
    private func fault(of document: String) -> RuleFault? {
        do {
            _ = try ProviderRules(document: Array(document.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: APIFormat.allCases)
    func `a built-in table is the same after it was written and read`(_ format: APIFormat) throws {
        let table = ProviderRules.builtIn(format)
        #expect(!table.rules.isEmpty)
        #expect(table.document.count < ProviderRules.documentOctetsMax)
        let read = try ProviderRules(document: table.document)
        #expect(read == table)
        #expect(read.document == table.document)
        #expect(try AdapterRegistry.builtIn[format].rules(from: table.document).document == AdapterRegistry.builtIn[format].rules.document)
    }

    @Test func `a rule of every kind is written as people write it`() throws {
        let table = ProviderRules([
            ProviderRule([429, 503], .field("X-Kind", contains: "Short"), .field("x-there", contains: ""), .saysWhen, means: .rateLimited(until: .said), "one"),
            ProviderRule(.serverError, .json(["/a~1b/*/c"], .exists), .json(["", "/x"], .number([1, -2])), means: .upstreamFailed, "two"),
            ProviderRule(
                402, .says(["Straße \"x\""]), .body(contains: ["y"]), .json(["/a"], .equals(["e"])), .json(["/a"], .contains(["c", "d"])),
                .json(["/a"], .begins(["b"])), means: .exhausted(until: [.field("X-Back"), .midnightPacific, .monthStartUTC], scope: .group), "three"),
        ])
        #expect(
            String(decoding: table.document, as: UTF8.self) == #"""
                [{"statuses":[429,503],"conditions":[{"header":"x-kind","contains":"short"},{"header":"x-there"},{"says_when":true}],"verdict":"rate_limited",\#
                "scope":"usual","until":["retry_after","reset_fields",{"json":"/error/details/*/retryDelay"}],"reason":"one"},\#
                {"statuses":["500-599"],"conditions":[{"json":["/a~1b/*/c"],"exists":true},{"json":["","/x"],"number":[1,-2]}],"verdict":"upstream_failed",\#
                "reason":"two"},\#
                {"statuses":[402],"conditions":[{"says":["straße \"x\""]},{"body_contains":["y"]},{"json":["/a"],"equals":["e"]},{"json":["/a"],"contains":["c","d"]},\#
                {"json":["/a"],"begins":["b"]}],"verdict":"exhausted","scope":"group","until":[{"field":"x-back"},"midnight_pacific","month_start_utc"],\#
                "reason":"three"}]
                """#)
        #expect(try ProviderRules(document: table.document) == table)
        #expect(Array("[".utf8) + table.document(of: 0) + Array(",".utf8) + table.document(of: 1) + Array(",".utf8) + table.document(of: 2) + Array("]".utf8) == table.document)
    }

    @Test func `what a rule leaves out has its default, and white space and order mean nothing`() throws {
        let read = try ProviderRules(document: Array(#" [ { "reason" : "tea" , "verdict":"rate_limited","statuses" : [ 418 ] } ] "#.utf8))
        #expect(read == ProviderRules([ProviderRule(418, means: .rateLimited(until: .unsaid), "tea")]))
        #expect(try ProviderRules(document: Array("[]".utf8)) == ProviderRules([]))
    }

    @Test func `a rule that was read decides, with its scope`() throws {
        let rules = try ProviderRules(
            document: Array(
                #"[{"statuses":["400-499"],"conditions":[{"json":["/kind"],"equals":["Empty"]}],"verdict":"exhausted","scope":"key","until":[{"json":"/back"}],"reason":"empty"}]"#.utf8))
        let answer = UpstreamAnswer(status: 418, bodyPrefix: Array(#"{"kind":"EMPTY","back":"90s"}"#.utf8))
        #expect(rules.outcome(of: answer, at: .recorded) == .exhausted(until: .after(.seconds(90)), reason: "empty", scope: .key))
        #expect(rules.decidingRule(for: answer, at: .recorded) == 0)
        #expect(rules.decidingRule(for: UpstreamAnswer(status: 418), at: .recorded) == nil)
    }

    @Test(arguments: [501, 505, 200, 304])
    func `no rule decides about what says nothing of a key`(_ status: Int) {
        let rules = ProviderRules([ProviderRule(.init(200...599), means: .keyRejected, "any")])
        #expect(rules.decidingRule(for: UpstreamAnswer(status: status), at: .recorded) == nil)
        #expect(rules.outcome(of: UpstreamAnswer(status: status), at: .recorded) == .success)
    }

    private static let rule = #""statuses":[429],"verdict":"rate_limited","reason":"r""#

    @Test(arguments: [
        ("", ""), ("null", ""), ("{}", ""), ("[", ""), ("[] []", ""), ("[1]", "/0"), ("[{}]", "/0/statuses"), ("[{} {}]", ""), ("[{},]", ""), ("[}", ""),
        ("[{\(rule)},{\(rule),\"when\":[]}]", "/1/when"), ("[{\(rule),\"a/b~c\":1}]", "/0/a~1b~0c"), ("[{\(rule),\"reason\":\"s\"}]", "/0/reason"),
        (#"[{"statuses":[429],"reason":"r"}]"#, "/0/verdict"), (#"[{"statuses":[429],"verdict":"rate_limited"}]"#, "/0/reason"),
        (#"[{"statuses":429,"verdict":"success","reason":"r"}]"#, "/0/statuses"), (#"[{"statuses":[],"verdict":"success","reason":"r"}]"#, "/0/statuses"),
        (#"[{"statuses":[429,399],"verdict":"success","reason":"r"}]"#, "/0/statuses/1"), (#"[{"statuses":[600],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"),
        (#"[{"statuses":[501],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"), (#"[{"statuses":["429"],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"),
        (#"[{"statuses":["500-499"],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"), (#"[{"statuses":["+50-499"],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"),
        (#"[{"statuses":[429.5],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"), (#"[{"statuses":[true],"verdict":"success","reason":"r"}]"#, "/0/statuses/0"),
        (#"[{"statuses":[429],"verdict":"abandoned","reason":"r"}]"#, "/0/verdict"), (#"[{"statuses":[429],"verdict":7,"reason":"r"}]"#, "/0/verdict"),
        (#"[{"statuses":[429],"verdict":"success","reason":"R"}]"#, "/0/reason"), (#"[{"statuses":[429],"verdict":"success","reason":""}]"#, "/0/reason"),
        ("[{\"statuses\":[429],\"verdict\":\"success\",\"reason\":\"\(String(repeating: "r", count: 65))\"}]", "/0/reason"),
        (#"[{"statuses":[429],"verdict":"success","scope":"key","reason":"r"}]"#, "/0/scope"), (#"[{"statuses":[429],"verdict":"forbidden","until":[],"reason":"r"}]"#, "/0/until"),
        ("[{\(rule),\"scope\":\"all\"}]", "/0/scope"), ("[{\(rule),\"scope\":null}]", "/0/scope"), ("[{\(rule),\"until\":\"retry_after\"}]", "/0/until"),
        ("[{\(rule),\"until\":[\"soon\"]}]", "/0/until/0"), ("[{\(rule),\"until\":[\"retry_after\",{}]}]", "/0/until/1"), ("[{\(rule),\"until\":[5]}]", "/0/until/0"),
        ("[{\(rule),\"until\":[{\"field\":\"a b\"}]}]", "/0/until/0/field"), ("[{\(rule),\"until\":[{\"json\":\"a\"}]}]", "/0/until/0/json"),
        ("[{\(rule),\"until\":[{\"field\":\"a\",\"json\":\"/a\"}]}]", "/0/until/0"),
        ("[{\(rule),\"conditions\":{}}]", "/0/conditions"), ("[{\(rule),\"conditions\":[7]}]", "/0/conditions/0"), ("[{\(rule),\"conditions\":[{}]}]", "/0/conditions/0"),
        ("[{\(rule),\"conditions\":[{\"says\":[\"a\"],\"says_when\":true}]}]", "/0/conditions/0"), ("[{\(rule),\"conditions\":[{\"says_when\":false}]}]", "/0/conditions/0/says_when"),
        ("[{\(rule),\"conditions\":[{\"contains\":\"a\"}]}]", "/0/conditions/0"), ("[{\(rule),\"conditions\":[{\"like\":\"a\"}]}]", "/0/conditions/0/like"),
        ("[{\(rule),\"conditions\":[{\"header\":\"\"}]}]", "/0/conditions/0/header"), ("[{\(rule),\"conditions\":[{\"header\":\"a:\"}]}]", "/0/conditions/0/header"),
        ("[{\(rule),\"conditions\":[{\"header\":\"a\",\"contains\":[\"b\"]}]}]", "/0/conditions/0/contains"),
        ("[{\(rule),\"conditions\":[{\"header\":\"a\",\"equals\":[\"b\"]}]}]", "/0/conditions/0/equals"),
        ("[{\(rule),\"conditions\":[{\"says\":[]}]}]", "/0/conditions/0/says"), ("[{\(rule),\"conditions\":[{\"says\":[\"\"]}]}]", "/0/conditions/0/says/0"),
        ("[{\(rule),\"conditions\":[{\"says\":[\"a\"],\"exists\":true}]}]", "/0/conditions/0/exists"), ("[{\(rule),\"conditions\":[{\"body_contains\":\"a\"}]}]", "/0/conditions/0/body_contains"),
        ("[{\(rule),\"conditions\":[{\"json\":[\"/a\"]}]}]", "/0/conditions/0"), ("[{\(rule),\"conditions\":[{\"json\":[\"/a\"],\"equals\":[\"a\"],\"begins\":[\"a\"]}]}]", "/0/conditions/0"),
        ("[{\(rule),\"conditions\":[{\"json\":[\"a\"],\"exists\":true}]}]", "/0/conditions/0/json/0"), ("[{\(rule),\"conditions\":[{\"json\":[\"/a~2\"],\"exists\":true}]}]", "/0/conditions/0/json/0"),
        ("[{\(rule),\"conditions\":[{\"json\":[\"/a~\"],\"exists\":true}]}]", "/0/conditions/0/json/0"), ("[{\(rule),\"conditions\":[{\"json\":[\"/a\"],\"exists\":1}]}]", "/0/conditions/0/exists"),
        ("[{\(rule),\"conditions\":[{\"json\":[\"/a\"],\"number\":[1,\"2\"]}]}]", "/0/conditions/0/number/1"), ("[{\(rule),\"conditions\":[{\"json\":[\"/a\"],\"equals\":[1]}]}]", "/0/conditions/0/equals/0"),
    ])
    func `a fault is named by its place`(_ document: String, _ place: String) {
        #expect(fault(of: document)?.place == place, "\(document)")
    }

    @Test func `a table may have 500 rules and 64 KiB`() {
        let rule = "{\(RuleDocumentTests.rule)}"
        func table(_ count: Int) -> String { "[\(Array(repeating: rule, count: count).joined(separator: ","))]" }
        #expect(fault(of: table(500)) == nil)
        #expect(fault(of: table(501))?.place == "")
        #expect(fault(of: table(1) + String(repeating: " ", count: 65_536 - table(1).utf8.count)) == nil)
        #expect(fault(of: table(1) + String(repeating: " ", count: 65_537 - table(1).utf8.count))?.place == "")
    }

    @Test func `damaged documents never trap`() {
        var random = SplitMix(seed: 11)
        for format in APIFormat.allCases {
            let document = ProviderRules.builtIn(format).document
            for _ in 0..<200 {
                let damaged = random.damaged(document)
                // Whatever is read can be written and read again.
                if let read = try? ProviderRules(document: damaged) { #expect((try? ProviderRules(document: read.document)) == read) }
            }
            for end in stride(from: 0, to: document.count, by: 37) { #expect((try? ProviderRules(document: Array(document[..<end]))) == nil) }
        }
    }
}
