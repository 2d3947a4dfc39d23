// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin pools") struct AdminPoolTests {
    /// A harness with one service of as many keys, `sk-…` and their numbers from 1.
    private func harness(keys count: Int) async throws -> AdminHarness {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        #expect(id == 1)
        let lines = (1...count).map { "sk-canary-0123456789-\($0)" }.joined(separator: "\n")
        _ = await harness.call("POST", "/admin/proxy-configs/1/keys/batch", lines, type: "text/plain")
        return harness
    }

    private func pool(_ harness: AdminHarness) throws -> any KeyPool { try #require(harness.catalogue.snapshot.upstreams["openai"]?.pool) }

    /// Spends the next key; its answer says `quota` and `group`.
    private func spend(
        _ harness: AdminHarness, _ outcome: AttemptOutcome = .success, model: String? = nil, quota: QuotaReading? = nil, group: String? = nil
    ) throws {
        switch try pool(harness).lease(model: model, excluding: TriedKeys(), at: harness.clock.now) {
        case .granted(let lease):
            lease.noteAccount(model: model, quota: quota, group: group, at: harness.clock.now)
            lease.settle(outcome, model: model, at: harness.clock.now)
        case .resting: Issue.record("every key rests")
        case .allTried: Issue.record("every key was tried")
        case .noKeys: Issue.record("there is no key")
        }
    }

    private func ids(_ answer: Answer) -> [Int?] { answer.json["items"].items.map { Optional($0)["key_id"].integer } }

    // MARK: Attributes

    @Test func `attributes are set at creation, shown, changed in part and cleared by null`() async throws {
        let harness = try await AdminHarness()
        _ = await harness.makeService()
        let made = await harness.call(
            "POST", "/admin/proxy-configs/1/keys",
            #"{"key_value":"k","tags":["a","b","a"],"quota_group":"org","limits":{"requests_per_minute":60,"concurrent_requests":2}}"#)
        #expect(made.status == 201)
        #expect(made.json["tags"] == .array([.string("a"), .string("b")]))
        #expect(made.json["quota_group"].string == "org")
        #expect(made.json["quota"] == .array([]))
        #expect(made.json["in_flight"].integer == 0)
        #expect(made.json["limits"].names == ["requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day", "concurrent_requests"])
        #expect(made.json["limits"]["requests_per_minute"].integer == 60)
        #expect(made.json["limits"]["tokens_per_day"].isNull)
        let changed = await harness.call("PATCH", "/admin/keys/1", #"{"limits":{"requests_per_minute":null,"tokens_per_day":1000}}"#)
        #expect(changed.json["limits"]["requests_per_minute"].isNull)
        #expect(changed.json["limits"]["tokens_per_day"].integer == 1000)
        #expect(changed.json["limits"]["concurrent_requests"].integer == 2)
        #expect(changed.json["quota_group"].string == "org")
        // What the store has is what a restart reads.
        let restarted = try await AdminHarness(restarting: harness)
        #expect(await restarted.call("GET", "/admin/keys/1").json == changed.json)
        let cleared = await harness.call("PATCH", "/admin/keys/1", #"{"tags":null,"quota_group":null,"limits":null}"#)
        #expect(cleared.json["tags"] == .array([]))
        #expect(cleared.json["quota_group"].isNull)
        #expect(cleared.json["limits"]["concurrent_requests"].isNull)
    }

    @Test(arguments: [
        (#"{"tags":"a"}"#, "tags"), (#"{"tags":[1]}"#, "tags[0]"), (#"{"tags":[""]}"#, "tags"), (#"{"tags":["\u0007"]}"#, "tags"),
        (#"{"quota_group":""}"#, "quota_group"), (#"{"quota_group":5}"#, "quota_group"), (#"{"limits":[]}"#, "limits"),
        (#"{"limits":{"requests_per_minute":0}}"#, "limits.requests_per_minute"), (#"{"limits":{"requests_per_minute":1.5}}"#, "limits.requests_per_minute"),
        (#"{"limits":{"requests_per_minute":"1"}}"#, "limits.requests_per_minute"), (#"{"limits":{"requests_per_hour":1}}"#, "limits.requests_per_hour"),
    ])
    func `attributes that are none are 400 and named, and nothing changes`(_ body: String, _ name: String) async throws {
        let harness = try await harness(keys: 1)
        let before = await harness.call("GET", "/admin/keys/1").text
        for (method, path) in [("PATCH", "/admin/keys/1"), ("POST", "/admin/proxy-configs/1/keys")] {
            let text = method == "POST" ? "{\"key_value\":\"other\"," + body.dropFirst() : body
            let answer = await harness.call(method, path, text)
            #expect(answer.status == 400, "\(text)")
            #expect(answer.detail.contains("“\(name)”"), "\(answer.detail)")
        }
        #expect(await harness.call("GET", "/admin/keys/1").text == before)
        #expect(ids(await harness.call("GET", "/admin/proxy-configs/1/keys")) == [1])
    }

    @Test func `more tags than a key may have, and tags without end, are 400`() async throws {
        let harness = try await harness(keys: 1)
        for tags in [(1...33).map(String.init), [String(repeating: "x", count: 65)]] {
            let list = tags.map { "\"\($0)\"" }.joined(separator: ",")
            #expect(await harness.call("PATCH", "/admin/keys/1", "{\"tags\":[\(list)]}").status == 400)
        }
    }

    @Test func `limits that are set are in force for the next request, and told`() async throws {
        let harness = try await harness(keys: 1)
        _ = await harness.call("PATCH", "/admin/keys/1", #"{"limits":{"requests_per_minute":1}}"#)
        try spend(harness)
        let key = await harness.call("GET", "/admin/keys/1")
        #expect(key.json["state"].string == "active")
        #expect(key.json["state_reason"].string == "paced")
        #expect(key.json["cooling_until"].string == (harness.clock.now + .seconds(60)).timestamp)
        #expect(try pool(harness).nextAvailability(model: nil, at: harness.clock.now) == harness.clock.now + .seconds(60))
    }

    // MARK: Filters and the summary

    @Test func `a listing can be narrowed to a tag, a quota group and a reason`() async throws {
        let harness = try await harness(keys: 4)
        _ = await harness.call("PATCH", "/admin/keys/2", #"{"tags":["paid"],"quota_group":"org-1"}"#)
        try spend(harness, .rateLimited(until: nil, reason: "slow_down"), model: "m", group: "org-9")
        let path = "/admin/proxy-configs/1/keys?"
        #expect(ids(await harness.call("GET", path + "tag=paid")) == [2])
        #expect(ids(await harness.call("GET", path + "quota_group=org-1")) == [2])
        #expect(ids(await harness.call("GET", path + "quota_group=org-9")) == [1])
        #expect(ids(await harness.call("GET", path + "reason=slow_down")) == [1])
        #expect(ids(await harness.call("GET", path + "tag=paid&quota_group=org-9")) == [])
        #expect(ids(await harness.call("GET", path + "tag=pai")) == [])
    }

    @Test func `the summary counts keys by state and quota groups`() async throws {
        let harness = try await harness(keys: 5)
        for group in ["org-1", "org-2", "org-1", "org-1"] { try spend(harness, group: group) }
        try spend(harness, .exhausted(until: nil, reason: ""))
        _ = await harness.call("PATCH", "/admin/keys/2", #"{"is_active":false}"#)
        let summary = await harness.call("GET", "/admin/proxy-configs/1/summary")
        #expect(summary.status == 200)
        #expect(summary.json["keys"].integer == 5)
        #expect(summary.json["keys_by_state"].names == Set(KeyState.allCases.map(\.rawValue)))
        #expect(summary.json["keys_by_state"]["active"].integer == 3)
        #expect(summary.json["keys_by_state"]["disabled"].integer == 1)
        #expect(summary.json["keys_by_state"]["exhausted"].integer == 1)
        #expect(summary.json["quota_groups"].integer == 2)
        #expect(summary.json["keys_without_quota_group"].integer == 1)
        #expect(summary.json["largest_quota_groups"][0]["quota_group"].string == "org-1")
        #expect(summary.json["largest_quota_groups"][0]["keys"].integer == 3)
        #expect(await harness.call("GET", "/admin/proxy-configs/2/summary").code == "service_not_found")
    }

    // MARK: Explanations

    @Test func `an explanation tells of each key, in pages, and who is next`() async throws {
        let harness = try await harness(keys: 3)
        try spend(harness, .rateLimited(until: nil, reason: ""), model: "m")
        let now = harness.clock.now
        try spend(
            harness, model: "m",
            quota: QuotaReading([QuotaReading.Amount(.tokens, limit: 1_000, remaining: 0, resetsAt: now + .seconds(30))]), group: "org-1")
        let path = "/admin/proxy-configs/1/explain"
        let answer = await harness.call("GET", path + "?model=m&limit=2")
        #expect(answer.status == 200)
        #expect(answer.json["strategy"].string == "round_robin")
        #expect(answer.json["choice"]["key_id"].integer == 3)
        #expect(answer.json["choice"]["certain"].bool == true)
        #expect(answer.json["quota_groups"].integer == 1)
        #expect(answer.json["keys_by_verdict"].names == Set(KeyExplanation.Verdict.allCases.map(\.rawValue)))
        #expect(answer.json["keys_by_verdict"]["available"].integer == 1)
        #expect(ids(answer) == [1, 2])
        #expect(answer.json["next"].integer == 2)
        let (first, second) = (answer.json["items"][0], answer.json["items"][1])
        #expect(first["verdict"].string == "cooling_model")
        #expect(first["reason"].string == "rate_limited")
        #expect(first["eligible"].bool == false)
        #expect(first["until"].string == (now + .seconds(1)).timestamp)
        #expect(first["rests_with_group"].bool == false)
        #expect(second["verdict"].string == "quota_empty")
        #expect(second["quota_group"].string == "org-1")
        let last = await harness.call("GET", path + "?model=m&limit=2&after=2")
        #expect(ids(last) == [3])
        #expect(last.json["next"].isNull)
        #expect(await harness.call("GET", path).json["keys_by_verdict"]["available"].integer == 3)
        let key = await harness.call("GET", "/admin/keys/2")
        #expect(key.json["quota"][0]["kind"].string == "tokens")
        #expect(key.json["quota"][0]["remaining"].integer == 0)
        #expect(key.json["quota"][0]["resets_at"].string == (now + .seconds(30)).timestamp)
        #expect(key.json["cooling_models"][0]["state_reason"].string == "quota_empty")
        // Looking has moved nothing.
        #expect(await harness.call("GET", path + "?model=m").json["choice"]["key_id"].integer == 3)
    }

    @Test func `an explanation for a conversation names the key that the conversation has`() async throws {
        let harness = try await harness(keys: 30)
        _ = await harness.call("PATCH", "/admin/proxy-configs/1", #"{"rotation_strategy":"affinity"}"#)
        var chosen: Set<Int> = []
        for name in ["alpha", "beta", "gamma", "delta", "epsilon"] {
            let answer = await harness.call("GET", "/admin/proxy-configs/1/explain?limit=1&conversation=\(name)")
            // FNV-1a, as the proxy hashes the field.
            let hash = name.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
            switch try pool(harness).lease(model: nil, conversation: hash, excluding: TriedKeys(), at: harness.clock.now) {
            case .granted(let lease): #expect(answer.json["choice"]["key_id"].integer == Int(lease.key.id.rawValue))
            case .resting: Issue.record("every key rests")
        case .allTried: Issue.record("every key was tried")
        case .noKeys: Issue.record("there is no key")
            }
            chosen.insert(answer.json["choice"]["key_id"].integer ?? 0)
        }
        #expect(chosen.count > 1)
    }

    @Test func `where the key is drawn none is named`() async throws {
        let harness = try await harness(keys: 3)
        _ = await harness.call("PATCH", "/admin/proxy-configs/1", #"{"rotation_strategy":"random"}"#)
        let answer = await harness.call("GET", "/admin/proxy-configs/1/explain")
        #expect(answer.json["choice"]["key_id"].isNull)
        #expect(answer.json["choice"]["certain"].bool == false)
    }

    @Test func `an explanation of no service is 404, and strange parameters are 400`() async throws {
        let harness = try await harness(keys: 1)
        #expect(await harness.call("GET", "/admin/proxy-configs/9/explain").code == "service_not_found")
        #expect(await harness.call("GET", "/admin/proxy-configs/1/explain?limit=0").status == 400)
        #expect(await harness.call("GET", "/admin/proxy-configs/1/explain?models=m").status == 400)
        #expect(await harness.call("GET", "/admin/proxy-configs/1/summary?x=1").status == 400)
    }

    // MARK: Many keys at once

    private func bulk(_ harness: AdminHarness, _ body: String) async -> Answer { await harness.call("POST", "/admin/proxy-configs/1/keys/bulk", body) }

    private func counts(_ answer: Answer) -> [Int?] { [answer.json["matched_count"].integer, answer.json["changed_count"].integer] }

    @Test func `keys are switched, tagged, reset and removed together, and each is audited`() async throws {
        let harness = try await harness(keys: 6)
        #expect(counts(await bulk(harness, #"{"action":"tag","ids":[1,2,3,99],"tags":["x","y"]}"#)) == [3, 3])
        #expect(counts(await bulk(harness, #"{"action":"tag","ids":[1,4],"tags":["x"]}"#)) == [2, 1])
        #expect(counts(await bulk(harness, #"{"action":"untag","filter":{"tag":"y"},"tags":["y"]}"#)) == [3, 3])
        #expect(counts(await bulk(harness, #"{"action":"disable","filter":{"tag":"x"},"ids":[1,2,5]}"#)) == [2, 2])
        #expect(ids(await harness.call("GET", "/admin/proxy-configs/1/keys?state=disabled")) == [1, 2])
        #expect(counts(await bulk(harness, #"{"action":"enable","filter":{}}"#)) == [6, 2])
        for _ in 0..<6 { try spend(harness, .exhausted(until: nil, reason: "insufficient_quota")) }
        #expect(counts(await bulk(harness, #"{"action":"reset","filter":{"reason":"insufficient_quota","q":"3"}}"#)) == [1, 1])
        #expect(ids(await harness.call("GET", "/admin/proxy-configs/1/keys?state=active")) == [3])
        #expect(counts(await bulk(harness, #"{"action":"delete","filter":{"state":"exhausted"}}"#)) == [5, 5])
        #expect(ids(await harness.call("GET", "/admin/proxy-configs/1/keys")) == [3])
        #expect(counts(await bulk(harness, #"{"action":"delete","ids":[]}"#)) == [0, 0])
        let audit = harness.store.auditEntries.suffix(7).map { "\($0.action): \($0.subject)" }
        #expect(
            audit == [
                "keys.tag: 3 keys of service 1", "keys.tag: 1 keys of service 1", "keys.untag: 3 keys of service 1", "keys.disable: 2 keys of service 1",
                "keys.enable: 2 keys of service 1", "keys.reset: 1 keys of service 1", "keys.delete: 5 keys of service 1",
            ])
        // What the store has is what memory has.
        let restarted = try await AdminHarness(restarting: harness)
        #expect(ids(await restarted.call("GET", "/admin/proxy-configs/1/keys?state=active&tag=x")) == [3])
    }

    @Test(arguments: [
        (#"{"ids":[1]}"#, "action"), (#"{"action":"disable"}"#, "ids"), (#"{"action":"explode","ids":[1]}"#, "action"),
        (#"{"action":"disable","ids":["1"]}"#, "ids[0]"), (#"{"action":"disable","ids":[0]}"#, "ids[0]"), (#"{"action":"disable","ids":5}"#, "ids"),
        (#"{"action":"tag","ids":[1]}"#, "tags"), (#"{"action":"tag","ids":[1],"tags":[]}"#, "tags"), (#"{"action":"tag","ids":[1],"tags":[""]}"#, "tags"),
        (#"{"action":"disable","ids":[1],"tags":["x"]}"#, "tags"), (#"{"action":"disable","filter":[]}"#, "filter"),
        (#"{"action":"disable","filter":{"stat":"active"}}"#, "filter.stat"), (#"{"action":"disable","filter":{"state":"on"}}"#, "filter.state"),
        (#"{"action":"disable","filter":{"q":5}}"#, "filter.q"), (#"{"action":"disable","ids":[1],"force":true}"#, "force"),
    ])
    func `a bulk change that is not understood is 400 and named, and nothing changes`(_ body: String, _ name: String) async throws {
        let harness = try await harness(keys: 2)
        let before = await harness.call("GET", "/admin/proxy-configs/1/keys").text
        let answer = await bulk(harness, body)
        #expect(answer.status == 400)
        #expect(answer.detail.contains("“\(name)”"), "\(answer.detail)")
        #expect(await harness.call("GET", "/admin/proxy-configs/1/keys").text == before)
    }

    @Test func `a bulk change of no service is 404`() async throws {
        let harness = try await harness(keys: 1)
        #expect(await harness.call("POST", "/admin/proxy-configs/7/keys/bulk", #"{"action":"disable","filter":{}}"#).code == "service_not_found")
    }

    @Test(arguments: ["disable", "reset", "delete"])
    func `a store that is away refuses a bulk change whole`(_ action: String) async throws {
        let harness = try await harness(keys: 3)
        for _ in 0..<3 { try spend(harness, .exhausted(until: nil, reason: "")) }
        let before = await harness.call("GET", "/admin/proxy-configs/1/keys").text
        harness.store.fail(.unavailable)
        let answer = await bulk(harness, "{\"action\":\"\(action)\",\"filter\":{}}")
        #expect(answer.status == 503)
        #expect(answer.code == "store_unavailable")
        harness.store.fail(nil)
        #expect(await harness.call("GET", "/admin/proxy-configs/1/keys").text == before)
    }

    @Test func `a key that would have too many tags refuses the change of all`() async throws {
        let harness = try await harness(keys: 2)
        let many = (1...31).map { "\"\($0)\"" }.joined(separator: ",")
        _ = await bulk(harness, "{\"action\":\"tag\",\"ids\":[2],\"tags\":[\(many)]}")
        let answer = await bulk(harness, #"{"action":"tag","filter":{},"tags":["a","b"]}"#)
        #expect(answer.status == 400)
        #expect(answer.detail.contains("key 2"))
        #expect(await harness.call("GET", "/admin/keys/1").json["tags"] == .array([]))
    }

    @Test func `a hundred thousand keys are switched off in one call`() async throws {
        let harness = try await harness(keys: 100_000)
        let clock = ContinuousClock()
        var answer: Answer?
        let time = await clock.measure { answer = await bulk(harness, #"{"action":"disable","filter":{}}"#) }
        #expect(answer.map(counts) == [100_000, 100_000])
        // Generous: an unoptimised build on a busy machine. A change of each key by itself would copy the catalogue 100,000 times.
        #expect(time < .seconds(60))
        #expect(await harness.call("GET", "/admin/proxy-configs/1/summary").json["keys_by_state"]["disabled"].integer == 100_000)
    }
}
