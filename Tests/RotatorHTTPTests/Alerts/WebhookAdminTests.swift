// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Webhook administration") struct WebhookAdminTests {
    private static let minimal = #"{"name":"ops","url":"https://hooks.slack.com/services/T0/B0/canary-path?x=canary-query","shape":"generic"}"#

    @Test func `a webhook is made with defaults, and its URL and secret are not shown`() async throws {
        let harness = try await AdminHarness()
        let body = Self.minimal.replacing("}", with: #","secret":"canary-secret-0123"}"#)
        let made = await harness.call("POST", "/admin/webhooks", body)
        #expect(made.status == 201)
        #expect(made["Location"] == "/admin/webhooks/1")
        #expect(made.json["id"].integer == 1)
        #expect(made.json["url_masked"].string == "https://hooks.slack.com/…")
        #expect(made.json["has_secret"].bool == true)
        #expect(made.json["events"].items.count == 6)
        #expect(made.json["services"].isNull)
        #expect(made.json["pool_minimum"].integer == 1)
        #expect(made.json["min_interval_seconds"].integer == 300)
        #expect(made.json["is_active"].bool == true)
        let shown = await harness.call("GET", "/admin/webhooks/1")
        let listed = await harness.call("GET", "/admin/webhooks")
        #expect(shown.text == made.text)
        #expect(listed.json["items"][0] == made.json)
        for text in [made.text, listed.text] + harness.log.lines { #expect(!text.contains("canary-path") && !text.contains("canary-secret") && !text.contains("canary-query")) }
        #expect(harness.store.auditEntries.map(\.action) == ["webhook.create"])
    }

    @Test func `webhooks are there after a restart, credentials included`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/webhooks", Self.minimal.replacing("}", with: #","secret":"canary-secret-0123","events":["pool_low"],"services":["a*"]}"#))
        let again = try await AdminHarness(restarting: harness)
        let webhook = try again.administration.webhook(WebhookID(1))
        #expect(unsafe webhook.url.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } == "https://hooks.slack.com/services/T0/B0/canary-path?x=canary-query")
        #expect(unsafe webhook.secret?.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } == "canary-secret-0123")
        #expect(webhook.events == [.poolLow])
        #expect(webhook.services == ["a*"])
    }

    @Test(arguments: [
        (#"{"url":"https://a/","shape":"slack"}"#, "name"), (#"{"name":"a","shape":"slack"}"#, "url"), (#"{"name":"a","url":"https://a/"}"#, "shape"),
        (#"{"name":" ","url":"https://a/","shape":"slack"}"#, "name"), (#"{"name":"a","url":"file:///etc/passwd","shape":"slack"}"#, "url"),
        (#"{"name":"a","url":"ftp://a/","shape":"slack"}"#, "url"), (#"{"name":"a","url":"https://u:p@a/","shape":"slack"}"#, "url"),
        (#"{"name":"a","url":"https://a/#x","shape":"slack"}"#, "url"), (#"{"name":"a","url":"https://a/?q=a b","shape":"slack"}"#, "url"),
        (#"{"name":"a","url":"https://a/…","shape":"slack"}"#, "url"), (#"{"name":"a","url":"https://a/","shape":"Slack"}"#, "shape"),
        (#"{"name":"a","url":"https://a/","shape":"telegram"}"#, "chat_id"), (#"{"name":"a","url":"https://a/","shape":"telegram","chat_id":null}"#, "chat_id"),
        (#"{"name":"a","url":"https://a/","shape":"slack","chat_id":"1"}"#, "chat_id"),
        (#"{"name":"a","url":"https://a/","shape":"slack","secret":"0123456789abcdef"}"#, "secret"),
        (#"{"name":"a","url":"https://a/","shape":"generic","secret":"short"}"#, "secret"),
        (#"{"name":"a","url":"https://a/","shape":"generic","events":[]}"#, "events"),
        (#"{"name":"a","url":"https://a/","shape":"generic","events":["test"]}"#, "events[0]"),
        (#"{"name":"a","url":"https://a/","shape":"generic","events":["pool_low","pool_low"]}"#, "events[1]"),
        (#"{"name":"a","url":"https://a/","shape":"generic","events":"pool_low"}"#, "events"),
        (#"{"name":"a","url":"https://a/","shape":"generic","services":[""]}"#, "services[0]"),
        (#"{"name":"a","url":"https://a/","shape":"generic","services":[1]}"#, "services[0]"),
        (#"{"name":"a","url":"https://a/","shape":"generic","pool_minimum":0}"#, "pool_minimum"),
        (#"{"name":"a","url":"https://a/","shape":"generic","min_interval_seconds":604801}"#, "min_interval_seconds"),
        (#"{"name":"a","url":"https://a/","shape":"generic","is_active":1}"#, "is_active"),
        (#"{"name":"a","url":"https://a/","shape":"generic","urls":1}"#, "urls"),
    ])
    func `what is not accepted is 400 and named`(_ body: String, _ member: String) async throws {
        let harness = try await AdminHarness()
        let answer = await harness.call("POST", "/admin/webhooks", body)
        #expect(answer.status == 400)
        #expect(answer.detail.contains("“\(member)”"), "\(answer.detail)")
        #expect(harness.store.peek { $0.documents[.webhook]?.count ?? 0 } == 0)
    }

    @Test func `a longer URL than 2,048 octets is refused`() async throws {
        let harness = try await AdminHarness()
        let base = "https://a/" + String(repeating: "x", count: 1_000) + "?"
        let (most, more) = (String(repeating: "y", count: 2_048 - base.utf8.count), String(repeating: "y", count: 2_049 - base.utf8.count))
        #expect(await harness.call("POST", "/admin/webhooks", #"{"name":"a","url":"\#(base)\#(more)","shape":"generic"}"#).status == 400)
        #expect(await harness.call("POST", "/admin/webhooks", #"{"name":"a","url":"\#(base)\#(most)","shape":"generic"}"#).status == 201)
    }

    @Test func `a change keeps what it does not name, and a name is taken once`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/webhooks", Self.minimal.replacing("}", with: #","secret":"canary-secret-0123"}"#))
        await harness.call("POST", "/admin/webhooks", Self.minimal.replacing("ops", with: "other"))
        let changed = await harness.call("PATCH", "/admin/webhooks/1", #"{"pool_minimum":5,"is_active":false}"#)
        #expect(changed.status == 200)
        #expect(changed.json["pool_minimum"].integer == 5)
        #expect(changed.json["has_secret"].bool == true)
        #expect(harness.administration.activeWebhook(WebhookID(1)) == nil)
        let taken = await harness.call("PATCH", "/admin/webhooks/1", #"{"name":"other"}"#)
        #expect(taken.status == 409)
        #expect(taken.code == "duplicate_name")
        #expect(await harness.call("POST", "/admin/webhooks", Self.minimal).status == 409)
    }

    @Test func `another shape loses what it has no use for`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/webhooks", Self.minimal.replacing("}", with: #","secret":"canary-secret-0123"}"#))
        #expect(await harness.call("PATCH", "/admin/webhooks/1", #"{"shape":"telegram"}"#).status == 400)
        let telegram = await harness.call("PATCH", "/admin/webhooks/1", #"{"shape":"telegram","chat_id":"@ops"}"#)
        #expect(telegram.json["chat_id"].string == "@ops")
        #expect(telegram.json["has_secret"].bool == false)
        #expect(await harness.call("PATCH", "/admin/webhooks/1", #"{"shape":"slack"}"#).json["chat_id"].isNull)
    }

    @Test func `a webhook that is not there is 404 on every route`() async throws {
        let harness = try await AdminHarness()
        for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")] {
            let answer = await harness.call(method, "/admin/webhooks/9\(path)", method == "PATCH" ? "{}" : "")
            #expect(answer.status == 404)
            #expect(answer.code == "webhook_not_found")
        }
    }

    @Test func `a removed webhook is gone`() async throws {
        let harness = try await AdminHarness()
        await harness.call("POST", "/admin/webhooks", Self.minimal)
        #expect(await harness.call("DELETE", "/admin/webhooks/1").status == 204)
        #expect(await harness.call("GET", "/admin/webhooks/1").status == 404)
        #expect(harness.store.auditEntries.map(\.action) == ["webhook.create", "webhook.delete"])
    }

    @Test func `a hundred webhooks are kept and no more`() async throws {
        let harness = try await AdminHarness()
        for number in 1...100 { #expect(await harness.call("POST", "/admin/webhooks", Self.minimal.replacing("ops", with: "n\(number)")).status == 201) }
        let answer = await harness.call("POST", "/admin/webhooks", Self.minimal)
        #expect(answer.status == 409)
        #expect(answer.code == "too_many_webhooks")
    }

    @Test func `a store that is away refuses changes, and nothing is half done`() async throws {
        let harness = try await AdminHarness()
        harness.store.fail(.unavailable)
        #expect(await harness.call("POST", "/admin/webhooks", Self.minimal).status == 503)
        harness.store.fail(nil)
        #expect(await harness.call("GET", "/admin/webhooks").json["items"].items.isEmpty)
    }

    @Test func `a test tells why nothing came of it, and is among the deliveries`() async throws {
        let harness = try await AdminHarness()
        // Port 1 is nobody's.
        await harness.call("POST", "/admin/webhooks", #"{"name":"a","url":"http://127.0.0.1:1/canary","shape":"generic","is_active":false}"#)
        let answer = await harness.call("POST", "/admin/webhooks/1/test")
        #expect(answer.status == 200)
        #expect(answer.text == #"{"delivered":false,"status":null,"error":"connection_refused"}"#)
        let deliveries = await harness.call("GET", "/admin/webhooks/1/deliveries")
        #expect(deliveries.json["next"].isNull)
        #expect(deliveries.json["items"].items.count == 1)
        let delivery = deliveries.json["items"][0]
        #expect(delivery["event"].string == "test")
        #expect(delivery["state"].string == "failed")
        #expect(delivery["attempts"].integer == 1)
        #expect(delivery["error"].string == "connection_refused")
        #expect(!deliveries.text.contains("canary"))
    }

    @Test func `the OpenAPI document has the members that webhooks have`() async throws {
        let harness = try await AdminHarness()
        let made = await harness.call("POST", "/admin/webhooks", Self.minimal)
        let schemas = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))["components"]["schemas"]
        #expect(schemas["Webhook"]["properties"].names == made.json.names)
        #expect(schemas["NewWebhook"]["properties"].names == WebhookDocument.changeable)
        #expect(schemas["WebhookChange"]["properties"].names == WebhookDocument.changeable)
    }
}
