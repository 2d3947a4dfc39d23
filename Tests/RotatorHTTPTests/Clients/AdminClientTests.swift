// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin API: client keys") struct AdminClientTests {
    @Test func `a client is made with a key that no other answer shows`() async throws {
        let harness = try await AdminHarness()
        let made = await harness.call("POST", "/admin/client-keys", #"{"name":"ci","requests_per_minute":60,"models":["gpt-*"]}"#)
        #expect(made.status == 201)
        let value = try #require(made.json["key_value"].string)
        #expect(value.hasPrefix("rk-") && value.utf8.count == 43)
        #expect(made.json["requests_per_minute"] == .number(60) && made.json["tokens_per_minute"] == .null && made.json["is_active"] == .bool(true))
        for target in ["/admin/client-keys", "/admin/client-keys/1"] {
            let answer = await harness.call("GET", target)
            #expect(answer.status == 200 && !answer.text.contains(value))
        }
        #expect(!harness.log.lines.joined().contains(value))
        #expect(harness.store.auditEntries.map(\.action) == ["client.create"])
        #expect(harness.administration.clientDirectory.snapshot.clients.values.map(\.name).sorted() == ["ci"])
    }

    @Test func `a change leaves what it does not name, and null takes a limit away`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/client-keys", #"{"name":"ci","requests_per_minute":60,"services":["a"],"expires_at":"2030-01-01T00:00:00Z"}"#)
        let changed = await harness.call("PATCH", "/admin/client-keys/1", #"{"requests_per_minute":null,"name":"build"}"#)
        #expect(changed.status == 200)
        #expect(changed.json["requests_per_minute"] == .null && changed.json["name"].string == "build")
        #expect(changed.json["services"] == .array([.string("a")]) && changed.json["expires_at"].string == "2030-01-01T00:00:00.000Z")
    }

    @Test func `clients and what they have used outlive a restart`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/client-keys", #"{"name":"ci","monthly_token_budget":100}"#)
        let meter = try #require(harness.administration.clientDirectory.meter(of: ClientID(1)))
        guard case .admitted = meter.admit(at: harness.clock.now, answer: { _ in }) else {
            Issue.record("the first request is admitted")
            return
        }
        meter.ended(tokens: 140, at: harness.clock.now)
        #expect(await harness.administration.flushStandings())
        let again = try await AdminHarness(restarting: harness)
        let answer = await again.call("GET", "/admin/client-keys/1")
        #expect(answer.json["usage"]["tokens_this_month"] == .number(140))
        let refusing = try #require(again.administration.clientDirectory.meter(of: ClientID(1)))
        guard case .refused(let refusal) = refusing.admit(at: again.clock.now, answer: { _ in }) else {
            Issue.record("the budget is used up")
            return
        }
        #expect(refusal.limit == .monthlyTokenBudget)
    }

    @Test func `accounts are written once a second, however often standings are`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/client-keys", #"{"name":"ci","monthly_token_budget":100}"#)
        let meter = try #require(harness.administration.clientDirectory.meter(of: ClientID(1)))
        meter.ended(tokens: 1, at: harness.clock.now)
        await harness.administration.flushStandings()
        let first = harness.store.peek { $0.documents[.clientMeter]?.first?.revision }
        meter.ended(tokens: 1, at: harness.clock.now)
        await harness.administration.flushStandings()
        #expect(harness.store.peek { $0.documents[.clientMeter]?.first?.revision } == first)
        harness.clock.advance(by: .seconds(1))
        await harness.administration.flushStandings()
        #expect(harness.store.peek { $0.documents[.clientMeter]?.first?.revision } == first.map { $0 + 1 })
    }

    @Test(arguments: [
        (#"{"name":"x","services":[""]}"#, "services[0]"), (#"{"name":"x","requests_per_minute":0}"#, "requests_per_minute"),
        (#"{"name":"x","tokens_per_minute":4503599627370497}"#, "tokens_per_minute"), (#"{"name":"x","expires_at":"2030-13-01T00:00:00Z"}"#, "expires_at"),
        (#"{"name":"\u0007"}"#, "name"), (#"{"name":"x","key_value":"mine"}"#, "key_value"), (#"{}"#, "name"),
    ])
    func `what is not accepted is named`(_ body: String, _ member: String) async throws {
        let harness = try await AdminHarness()
        let answer = await harness.call("POST", "/admin/client-keys", body)
        #expect(answer.status == 400 && answer.text.contains(member))
    }

    @Test func `a store that is away leaves everything as it was`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/client-keys", #"{"name":"ci"}"#)
        harness.store.fail(.unavailable)
        #expect(await harness.call("POST", "/admin/client-keys", #"{"name":"other"}"#).status == 503)
        #expect(await harness.call("PATCH", "/admin/client-keys/1", #"{"is_active":false}"#).status == 503)
        #expect(await harness.call("DELETE", "/admin/client-keys/1").status == 503)
        harness.store.fail(nil)
        let answer = await harness.call("GET", "/admin/client-keys")
        #expect(answer.json["items"].items.count == 1 && answer.json["items"][0]["is_active"] == .bool(true))
    }
}
