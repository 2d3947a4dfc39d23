// SPDX-License-Identifier: MIT

import RotatorAdapters
import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin rules") struct AdminRulesTests {
    private static let teapot =
        #"{"statuses":[418],"conditions":[],"verdict":"rate_limited","scope":"usual","until":["retry_after"],"reason":"teapot"}"#

    private func harness(restarting: AdminHarness? = nil) async throws -> AdminHarness {
        try await AdminHarness(restarting: restarting, adapter: { AdapterRegistry.builtIn[$0] })
    }

    private func path(_ id: Int) -> String { "/admin/proxy-configs/\(id)/rules" }

    private func outcome(_ harness: AdminHarness, slug: String = "openai", status: Int) throws -> AttemptOutcome {
        try #require(harness.catalogue.snapshot.upstreams[slug]).rules.outcome(of: UpstreamAnswer(status: status), at: harness.clock.now)
    }

    // MARK: A service's table

    @Test func `a service has the rules of its format until it gets others`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let answer = await harness.call("GET", path(id))
        #expect(answer.status == 200)
        #expect(answer.json["is_default"].bool == true)
        #expect(answer.json["rules"] == (await harness.call("GET", "/admin/rules/openai_compatible")).json["rules"])
        #expect(answer.json["rules"].items.count > 20)
    }

    @Test func `rules of its own are in force at once, audited, and kept`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        #expect(try outcome(harness, status: 418) == .success)
        let answer = await harness.call("PUT", path(id), #"{"rules": [\#(Self.teapot)]}"#)
        #expect(answer.status == 200)
        #expect(answer.text == #"{"is_default":false,"rules":[\#(Self.teapot)]}"#)
        #expect(await harness.call("GET", path(id)).text == answer.text)
        #expect(try outcome(harness, status: 418) == .rateLimited(until: nil, reason: "teapot"))
        // The table is replaced, not added to.
        #expect(try outcome(harness, status: 401) == .success)
        #expect(harness.store.auditEntries.last.map { [$0.actor, $0.action, $0.subject] } == ["ada", "service.rules", "service \(id)"])
        let restarted = try await self.harness(restarting: harness)
        #expect(await restarted.call("GET", path(id)).text == answer.text)
        #expect(try outcome(restarted, status: 418) == .rateLimited(until: nil, reason: "teapot"))
    }

    @Test func `what is left out of a rule is told with its default`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let answer = await harness.call("PUT", path(id), #"{"rules":[{"reason":"teapot","verdict":"rate_limited","statuses":[418],"until":["retry_after"]}]}"#)
        #expect(answer.text == #"{"is_default":false,"rules":[\#(Self.teapot)]}"#)
    }

    @Test func `a table may be empty: then every answer is passed on`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        #expect(await harness.call("PUT", path(id), #"{"rules":[]}"#).text == #"{"is_default":false,"rules":[]}"#)
        #expect(try outcome(harness, status: 429) == .success)
    }

    @Test func `DELETE brings the format's rules back`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let first = await harness.call("GET", path(id))
        await harness.call("PUT", path(id), #"{"rules":[]}"#)
        let answer = await harness.call("DELETE", path(id))
        #expect(answer.status == 204)
        #expect(answer.text.isEmpty)
        #expect(await harness.call("GET", path(id)).text == first.text)
        #expect(try outcome(harness, status: 401) == .keyRejected(reason: "unauthorized"))
        #expect(harness.store.auditEntries.last?.action == "service.rules")
    }

    @Test func `the rules stay when the service is replaced, changed or switched, and are no member of it`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let rules = await harness.call("PUT", path(id), #"{"rules":[\#(Self.teapot)]}"#).text
        #expect(await harness.call("PUT", "/admin/proxy-configs/\(id)", AdminHarness.service(slug: "other")).status == 200)
        #expect(await harness.call("GET", path(id)).text == rules)
        let patched = await harness.call("PATCH", "/admin/proxy-configs/\(id)", #"{"name":"B","api_format":"anthropic_native"}"#)
        #expect(patched.status == 200 && !patched.json.names.contains("rules"))
        await harness.call("PUT", "/admin/proxy-configs/\(id)/status", #"{"is_active":false}"#)
        #expect(await harness.call("GET", path(id)).text == rules)
        let refused = await harness.call("PATCH", "/admin/proxy-configs/\(id)", #"{"rules":[]}"#)
        #expect(refused.status == 400 && refused.code == "unknown_member")
    }

    @Test(arguments: [
        (#"{"rules":[{}]}"#, "invalid_member", "“/rules/0/statuses” is required"),
        (#"{"rules":{}}"#, "invalid_member", "“/rules” must be an array"),
        (#"{"rules":null}"#, "invalid_member", "“/rules” must be an array"),
        (#"{"rules":[{"statuses":[429.5],"verdict":"success","reason":"r"}]}"#, "invalid_member", "“/rules/0/statuses/0” must be a status"),
        (#"{"rules":[{"statuses":[429],"verdict":"success","reason":"r","a~/b":1}]}"#, "invalid_member", "“/rules/0/a~0~1b” is unknown"),
        (#"{"rules":[{"statuses":[429],"conditions":[{"json":["x"],"exists":true}],"verdict":"success","reason":"r"}]}"#, "invalid_member", "“/rules/0/conditions/0/json/0”"),
        (#"{"rule":[]}"#, "unknown_member", "“rule”"), ("{}", "missing_member", "“rules”"), ("[]", "invalid_json", "object"), ("{", "invalid_json", ""),
    ])
    func `a fault is 400, named by its JSON pointer, and changes nothing`(_ body: String, _ code: String, _ detail: String) async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let before = await harness.call("GET", path(id)).text
        let answer = await harness.call("PUT", path(id), body)
        #expect(answer.status == 400)
        #expect(answer.code == code)
        #expect(answer.detail.contains(detail), "\(answer.detail)")
        #expect(await harness.call("GET", path(id)).text == before)
        #expect(harness.store.auditEntries.allSatisfy { $0.action != "service.rules" })
    }

    @Test func `too many rules, and too long a table, are refused`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let short = #"{"statuses":[429],"verdict":"success","reason":"r"}"#
        let many = await harness.call("PUT", path(id), "{\"rules\":[\(Array(repeating: short, count: 501).joined(separator: ","))]}")
        #expect(many.status == 400 && many.detail.contains("500"))
        let long = #"{"statuses":[429],"conditions":[{"says":["\#(String(repeating: "a", count: 1_000))"]}],"verdict":"success","reason":"r"}"#
        let large = await harness.call("PUT", path(id), "{\"rules\":[\(Array(repeating: long, count: 66).joined(separator: ","))]}")
        #expect(large.status == 400 && large.detail.contains("65536"))
        #expect(await harness.call("PUT", path(id), String(repeating: " ", count: 1_024 * 1_024 + 1)).status == 413)
    }

    @Test(arguments: ["GET", "PUT", "DELETE"])
    func `a service that is not there is 404, and nothing is told without a token`(_ method: String) async throws {
        let harness = try await harness()
        let answer = await harness.call(method, path(7), #"{"rules":[]}"#)
        #expect(answer.status == 404 && answer.code == "service_not_found")
        #expect(await harness.send(method, path(7), #"{"rules":[]}"#, token: nil).status == 401)
        #expect(await harness.send("POST", "/admin/rules/explain", "{}", token: nil).status == 401)
    }

    @Test func `a store that is away gives 503 and leaves the rules as they were`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        harness.store.fail(.unavailable)
        #expect(await harness.call("PUT", path(id), #"{"rules":[]}"#).status == 503)
        #expect(await harness.call("DELETE", path(id)).status == 503)
        #expect(try outcome(harness, status: 401) == .keyRejected(reason: "unauthorized"))
        #expect(await harness.call("GET", path(id)).json["is_default"].bool == true)
    }

    @Test func `stored rules that cannot be read give way to the format's, and the log says so`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        harness.store.peek { $0.services[0].configuration.rules = Array(#"[{"statuses":[418],"verdict":"divine","reason":"r"}]"#.utf8) }
        let restarted = try await self.harness(restarting: harness)
        #expect(await restarted.call("GET", path(id)).json["is_default"].bool == true)
        #expect(try outcome(restarted, status: 401) == .keyRejected(reason: "unauthorized"))
        #expect(restarted.log.lines.contains { $0.hasPrefix("warning") && $0.contains("openai") && $0.contains("/0/verdict") })
    }

    @Test func `a dialect without a table has nothing to show and takes none`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        #expect(await harness.call("GET", path(id)).text == #"{"is_default":true,"rules":[]}"#)
        let answer = await harness.call("PUT", path(id), #"{"rules":[]}"#)
        #expect(answer.status == 400 && answer.code == "invalid_member")
        #expect(await harness.call("POST", "/admin/rules/explain", #"{"status":429,"service_id":\#(id)}"#).json["rule"].isNull)
    }

    // MARK: A format's table

    @Test(arguments: APIFormat.allCases)
    func `the rules of a format can be read and sent back`(_ format: APIFormat) async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let answer = await harness.call("GET", "/admin/rules/\(format.rawValue)")
        #expect(answer.status == 200)
        #expect(answer.json["api_format"].string == format.rawValue)
        let prefix = #"{"api_format":"\#(format.rawValue)","#
        #expect(answer.text.hasPrefix(prefix))
        let sent = await harness.call("PUT", path(id), "{" + answer.text.dropFirst(prefix.count))
        #expect(sent.status == 200)
        #expect(sent.json["rules"] == answer.json["rules"])
    }

    // MARK: Explaining

    private func explain(_ harness: AdminHarness, _ members: String) async -> Answer { await harness.call("POST", "/admin/rules/explain", "{\(members)}") }

    @Test func `an explanation names the rule and what it does to key and request`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let answer = await explain(
            harness,
            #""service_id":\#(id),"status":429,"headers":{"Retry-After":" 30 ","Content-Encoding":"gzip"},"model":"gpt-4o","body":"{\"error\":{\"message\":\"x\"}}""#)
        #expect(answer.status == 200)
        #expect(answer.json["outcome"].string == "rate_limited")
        #expect(answer.json["reason"].string == "rate_limited")
        #expect(answer.json["scope"].string == "usual")
        #expect(answer.json["until"].string == "2027-01-15T08:00:30.000Z")
        #expect(answer.json["rule"]["reason"].string == "rate_limited")
        let index = try #require(answer.json["rule_index"].integer)
        #expect(answer.json["rule"] == (await harness.call("GET", path(id))).json["rules"][index])
        #expect(
            answer.json["key_effect"].string
                == "The key rests for the model “gpt-4o” alone until 2027-01-15T08:00:30.000Z, and so does every key of its quota group where one is known.")
        #expect(answer.json["request_effect"].string == "The next key is tried at once; where no key or attempt is left, the client gets this answer.")
    }

    @Test func `a body under a content coding is taken as it was pasted`() async throws {
        let harness = try await harness()
        let answer = await explain(
            harness, #""api_format":"openai_compatible","status":429,"headers":{"content-encoding":"br"},"body":"{\"error\":{\"code\":\"insufficient_quota\"}}""#)
        #expect(answer.json["outcome"].string == "exhausted")
        #expect(answer.json["until"].isNull)
    }

    @Test func `fields may come as an array, in which a name may stand twice`() async throws {
        let harness = try await harness()
        let fields = #"[{"name":"x-ratelimit-remaining-tokens","value":"0"},{"name":"x-ratelimit-reset-tokens","value":"6m0s"},{"name":"Via","value":"a"},{"value":"b","name":"via"}]"#
        let answer = await explain(harness, #""api_format":"openai_compatible","status":429,"headers":\#(fields)"#)
        #expect(answer.json["until"].string == "2027-01-15T08:06:00.000Z")
    }

    @Test(arguments: [
        (#""status":401"#, "key_rejected", "The key is cooling for every model until 2027-01-15T08:00:30.000Z; 30 s doubling to 1 h, and the third in a row", "at once"),
        (#""status":402"#, "exhausted", "The key is exhausted for every model until 2027-01-15T09:00:00.000Z", "at once"),
        (#""status":403"#, "forbidden", "The key is cooling for every model until 2027-01-15T08:01:00.000Z; 60 s doubling to 1 h", "at once"),
        (#""status":403,"model":"m""#, "forbidden", "The key rests for the model “m” alone until 2027-01-15T08:01:00.000Z", "at once"),
        (#""status":429,"model":null"#, "rate_limited", "The key is cooling for every model until 2027-01-15T08:00:01.000Z", "at once"),
        (#""status":429,"headers":{"retry-after":"0"}"#, "rate_limited", "does not rest", "at once"),
        (#""status":500"#, "upstream_failed", "3 in a row open the key's circuit for 5 s doubling to 60 s", "after a pause of at most 100 ms"),
        (#""status":529"#, "upstream_failed", "3 in a row", "after a pause"),
        (#""status":404"#, "success", "has done its work", "passed on"), (#""status":200"#, "success", "has done its work", "passed on"),
        (#""status":501"#, "success", "has done its work", "passed on"),
    ])
    func `each outcome has its effects`(_ members: String, _ outcome: String, _ key: String, _ request: String) async throws {
        let answer = await explain(try await harness(), #""api_format":"openai_compatible",\#(members)"#)
        #expect(answer.status == 200)
        #expect(answer.json["outcome"].string == outcome)
        #expect(answer.json["key_effect"].string?.contains(key) == true, "\(answer.text)")
        #expect(answer.json["request_effect"].string?.contains(request) == true, "\(answer.text)")
        #expect(answer.json["rule"].isNull == (outcome == "success"))
        #expect(answer.json["rule_index"].isNull == (outcome == "success"))
    }

    @Test func `a generic service rejects what an llm service forbids, and tells methods apart`() async throws {
        let harness = try await harness()
        let refused = await explain(harness, #""api_format":"generic","status":403"#)
        #expect(refused.json["outcome"].string == "key_rejected")
        #expect(refused.json["key_effect"].string?.hasPrefix("The key is cooling until") == true)
        let failed = await explain(harness, #""api_format":"generic","status":503"#)
        #expect(failed.json["request_effect"].string?.hasPrefix("GET, HEAD, OPTIONS, PUT and DELETE: the next key is tried after a pause") == true)
        #expect(failed.json["request_effect"].string?.contains("Other methods: the client gets this answer, since “replay”") == true)
    }

    @Test func `a service's own replay counts`() async throws {
        let harness = try await harness()
        let id = await harness.call("POST", "/admin/proxy-configs", AdminHarness.service(#""replay":"refused""#)).json["id"].integer ?? -1
        let answer = await explain(harness, #""service_id":\#(id),"status":500"#)
        #expect(answer.json["request_effect"].string?.hasPrefix("The client gets this answer, since “replay”") == true)
        // 529 says that nothing was processed.
        #expect((await explain(harness, #""service_id":\#(id),"status":529"#)).json["request_effect"].string?.contains("next key") == true)
    }

    @Test func `a table can be tried without being saved`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let tried = await explain(harness, #""service_id":\#(id),"status":418,"headers":{"Retry-After":"2"},"rules":[\#(Self.teapot)]"#)
        #expect(tried.json["reason"].string == "teapot")
        #expect(tried.json["rule_index"].integer == 0)
        #expect(tried.json["until"].string == "2027-01-15T08:00:02.000Z")
        #expect((await explain(harness, #""service_id":\#(id),"status":418"#)).json["outcome"].string == "success")
        await harness.call("PUT", path(id), #"{"rules":[\#(Self.teapot)]}"#)
        #expect((await explain(harness, #""service_id":\#(id),"status":418"#)).json["reason"].string == "teapot")
    }

    @Test(arguments: [
        ("{}", "missing_member", "status"), (#"{"status":429}"#, "missing_member", "api_format"), (#"{"status":"429","api_format":"generic"}"#, "invalid_member", "status"),
        (#"{"status":199,"api_format":"generic"}"#, "invalid_member", "status"), (#"{"status":600,"api_format":"generic"}"#, "invalid_member", "status"),
        (#"{"status":429,"api_format":"generic","service_id":1}"#, "invalid_member", "api_format"), (#"{"status":429,"api_format":"x"}"#, "invalid_member", "api_format"),
        (#"{"status":429,"service_id":0}"#, "invalid_member", "service_id"), (#"{"status":429,"service_id":9}"#, "service_not_found", "9"),
        (#"{"status":429,"api_format":"generic","body":{}}"#, "invalid_member", "body"), (#"{"status":429,"api_format":"generic","model":7}"#, "invalid_member", "model"),
        (#"{"status":429,"api_format":"generic","model":""}"#, "invalid_member", "model"), (#"{"status":429,"api_format":"generic","extra":7}"#, "unknown_member", "extra"),
        (#"{"status":429,"api_format":"generic","headers":"a: b"}"#, "invalid_member", "headers"), (#"{"status":429,"api_format":"generic","headers":{"a b":"c"}}"#, "invalid_member", "headers"),
        (#"{"status":429,"api_format":"generic","headers":{"a":1}}"#, "invalid_member", "headers.a"), (#"{"status":429,"api_format":"generic","headers":{"a":"b\n"}}"#, "invalid_member", "headers.a"),
        (#"{"status":429,"api_format":"generic","rules":[{"statuses":[429],"verdict":"success","reason":"-"}]}"#, "invalid_member", "“/rules/0/reason”"),
        (#"{"status":429,"api_format":"generic","headers":[{"name":"a"}]}"#, "invalid_member", "headers"),
        (#"{"status":429,"api_format":"generic","headers":[{"name":"a","value":"b","x":1}]}"#, "invalid_member", "headers"),
    ])
    func `a request for an explanation that is not understood is told why`(_ body: String, _ code: String, _ detail: String) async throws {
        let answer = await (try await harness()).call("POST", "/admin/rules/explain", body)
        #expect(answer.status == (code == "service_not_found" ? 404 : 400))
        #expect(answer.code == code)
        #expect(answer.detail.contains(detail))
    }

    @Test func `a pasted body may have 64 KiB`() async throws {
        let harness = try await harness()
        #expect(await explain(harness, #""api_format":"generic","status":429,"body":"\#(String(repeating: "a", count: 65_536))""#).status == 200)
        #expect(await explain(harness, #""api_format":"generic","status":429,"body":"\#(String(repeating: "a", count: 65_537))""#).status == 400)
    }

    @Test func `the OpenAPI document has the members that rules and explanations have`() async throws {
        let harness = try await harness()
        let id = await harness.makeService()
        let schemas = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))["components"]["schemas"]
        let rules = await harness.call("GET", path(id)).json
        #expect(schemas["ServiceRules"]["properties"].names == rules.names)
        #expect(schemas["FormatRules"]["properties"].names == (await harness.call("GET", "/admin/rules/generic")).json.names)
        #expect(schemas["RuleExplanation"]["properties"].names == (await explain(harness, #""api_format":"generic","status":429"#)).json.names)
        #expect(schemas["Rule"]["properties"].names == rules["rules"].items.reduce(into: Set()) { $0.formUnion(Optional($1).names) })
    }
}
