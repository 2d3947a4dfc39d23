// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Alert messages") struct AlertMessageTests {
    private let at = Moment(milliseconds: 1_800_000_000_250)
    private let service = Alert.Service(
        ServiceRecord(
            id: ServiceID(3),
            configuration: ServiceConfiguration(
                name: "Open <AI> & co", slug: "openai", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://api.openai.com")))
    private let key = Alert.Key(KeyView(id: KeyID(7), serviceID: ServiceID(3), masked: "sk-a…wxyz", name: "<main> & only"))

    private func webhook(_ shape: WebhookShape, secret: String? = nil) -> Webhook {
        var webhook = Webhook(id: WebhookID(1), name: "ops", url: Secret(Array("https://example.com/hook".utf8)), shape: shape)
        webhook.secret = secret.map { Secret(Array($0.utf8)) }
        webhook.chatID = shape == .telegram ? "-100123" : nil
        return webhook
    }

    private func json(_ event: Alert.Event, _ shape: WebhookShape = .generic) throws -> JSONValue? {
        try JSONParser.parse(AlertMessage(Alert(event, at: at, replica: "host-1"), deliveryID: "the-id", for: webhook(shape)).body)
    }

    @Test func `a signature is the HMAC of the time and the body`() {
        // openssl dgst -sha256 -hmac whsec_0123456789abcdef over 1800000000.{"a":1}
        let signature = AlertMessage.signature(of: Array(#"{"a":1}"#.utf8), with: Secret(Array("whsec_0123456789abcdef".utf8)), seconds: 1_800_000_000)
        #expect(signature == "t=1800000000,v1=0cce34cc4ceb50514f7750d02eb315ceeef28c45ee42851f4611ac00df3d49fe")
    }

    @Test func `generic alerts are signed with the time of the attempt, and the same otherwise`() {
        let message = AlertMessage(Alert(.test(webhook: "ops"), at: at, replica: "h"), deliveryID: "the-id", for: webhook(.generic, secret: "0123456789abcdef"))
        let (first, second) = (HeaderFields(message.fields(at: at)), HeaderFields(message.fields(at: at + .seconds(60))))
        #expect(first["X-Rotator-Event"] == "test")
        #expect(first["X-Rotator-Delivery"] == "the-id")
        #expect(second["X-Rotator-Delivery"] == "the-id")
        #expect(first["X-Rotator-Signature"]?.hasPrefix("t=1800000000,v1=") == true)
        #expect(second["X-Rotator-Signature"]?.hasPrefix("t=1800000060,v1=") == true)
    }

    @Test func `alerts without a secret are not signed`() {
        let message = AlertMessage(Alert(.test(webhook: "ops"), at: at, replica: "h"), deliveryID: "the-id", for: webhook(.generic))
        #expect(HeaderFields(message.fields(at: at))["X-Rotator-Signature"] == nil)
    }

    @Test func `a low pool is told with its numbers`() throws {
        let body = try json(.poolLow(service, usable: 1, total: 5, minimum: 2))
        #expect(body.names == ["id", "event", "at", "replica", "service", "detail", "text"])
        #expect(body["id"].string == "the-id")
        #expect(body["event"].string == "pool_low")
        #expect(body["at"].string == "2027-01-15T08:00:00.250Z")
        #expect(body["replica"].string == "host-1")
        #expect(body["service"]["id"].integer == 3)
        #expect(body["service"]["slug"].string == "openai")
        #expect(body["service"]["name"].string == "Open <AI> & co")
        #expect(body["detail"]["usable"].integer == 1)
        #expect(body["detail"]["total"].integer == 5)
        #expect(body["detail"]["minimum"].integer == 2)
        #expect(body["text"].string == "Service openai has 1 usable key of 5, fewer than 2.")
    }

    @Test func `an invalid key is told by its number and mask`() throws {
        let body = try json(.keyInvalid(key, service, reason: "key_rejected"))
        #expect(body["event"].string == "key_invalid")
        #expect(body["key"]["key_id"].integer == 7)
        #expect(body["key"]["key_masked"].string == "sk-a…wxyz")
        #expect(body["key"]["name"].string == "<main> & only")
        #expect(body["detail"]["reason"].string == "key_rejected")
        #expect(
            body["text"].string == "Key 7 (sk-a…wxyz, “<main> & only”) of service openai is no longer accepted by its provider (key_rejected).")
    }

    @Test func `an exhausted key is told with the end of its rest`() throws {
        let body = try json(.keyExhausted(key, service, reason: "insufficient_quota", until: at + .seconds(3_600)))
        #expect(body["event"].string == "key_exhausted")
        #expect(body["detail"]["until"].string == "2027-01-15T09:00:00.250Z")
    }

    @Test func `a client over its budget is told with both numbers`() throws {
        let body = try json(.clientOverBudget(Alert.Client(id: ClientID(4), name: "bob"), used: 1_001, budget: 1_000))
        #expect(body["event"].string == "client_over_budget")
        #expect(body["client"]["id"].integer == 4)
        #expect(body["client"]["name"].string == "bob")
        #expect(body["detail"]["tokens_this_month"].integer == 1_001)
        #expect(body["detail"]["monthly_token_budget"].integer == 1_000)
        #expect(body["service"] == nil)
    }

    @Test func `the end of an outage is told with its length`() throws {
        let body = try json(.storeUp(since: at + .seconds(-90)))
        #expect(body["event"].string == "store_up")
        #expect(body["detail"]["seconds"].integer == 90)
        #expect(body["text"].string == "The store is back for host-1, after 90 s.")
    }

    @Test func `Slack gets text in which nothing is markup`() throws {
        let body = try json(.keyInvalid(key, service, reason: ""), .slack)
        #expect(body.names == ["text"])
        #expect(
            body["text"].string == "Key 7 (sk-a…wxyz, “&lt;main&gt; &amp; only”) of service openai is no longer accepted by its provider.")
    }

    @Test func `Telegram gets plain text for its chat`() throws {
        let body = try json(.keyInvalid(key, service, reason: ""), .telegram)
        #expect(body.names == ["chat_id", "text", "disable_web_page_preview"])
        #expect(body["chat_id"].string == "-100123")
        #expect(body["disable_web_page_preview"].bool == true)
        #expect(body["text"].string == "Key 7 (sk-a…wxyz, “<main> & only”) of service openai is no longer accepted by its provider.")
    }
}
