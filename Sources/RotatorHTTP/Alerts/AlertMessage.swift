// SPDX-License-Identifier: MIT

internal import Crypto
internal import RotatorCore

/// An alert as one webhook receives it. The octets are the same however often they are sent; the signature is made anew each time.
struct AlertMessage {
    /// The body.
    let body: [UInt8]
    private let alert: Alert
    private let deliveryID: String
    private let secret: Secret?

    /// `alert` in the shape that `webhook` takes; `deliveryID` tells this delivery from others.
    init(_ alert: Alert, deliveryID: String, for webhook: Webhook) {
        self.alert = alert
        self.deliveryID = deliveryID
        secret = webhook.shape == .generic ? webhook.secret : nil
        var json = JSONWriter()
        switch webhook.shape {
        case .generic: Self.write(alert, deliveryID: deliveryID, to: &json)
        case .slack:
            json.openObject()
            json.member("text", Self.slackText(alert.text))
            json.closeObject()
        case .telegram:
            json.openObject()
            json.member("chat_id", webhook.chatID)
            json.member("text", alert.text)
            json.member("disable_web_page_preview", true)
            json.closeObject()
        }
        body = json.octets
    }

    /// The field lines of an attempt at `now`.
    func fields(at now: Moment) -> [HeaderField] {
        var fields = [
            HeaderField("Content-Type", "application/json"), HeaderField("User-Agent", "api-key-rotator"), HeaderField("X-Rotator-Event", alert.kind.rawValue),
            HeaderField("X-Rotator-Delivery", deliveryID),
        ]
        if let secret { fields.append(HeaderField("X-Rotator-Signature", Self.signature(of: body, with: secret, seconds: now.milliseconds / 1_000))) }
        return fields
    }

    /// `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">`: the time is signed too, so that an old delivery cannot pass for a new one.
    static func signature(of body: [UInt8], with secret: Secret, seconds: Int64) -> String {
        let key = unsafe secret.withUnsafeBytes { unsafe SymmetricKey(data: $0) }
        let code = HMAC<SHA256>.authenticationCode(for: Array("\(seconds).".utf8) + body, using: key)
        return "t=\(seconds),v1=\(Array(code).hexadecimal)"
    }

    /// Text that Slack shows as it stands: <https://api.slack.com/reference/surfaces/formatting#escaping>.
    static func slackText(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }

    private static func write(_ alert: Alert, deliveryID: String, to json: inout JSONWriter) {
        json.openObject()
        json.member("id", deliveryID)
        json.member("event", alert.kind.rawValue)
        json.member("at", alert.at)
        json.member("replica", alert.replica)
        if let service = alert.service {
            json.name("service")
            json.openObject()
            json.member("id", service.id.rawValue)
            json.member("slug", service.slug)
            json.member("name", service.name)
            json.closeObject()
        }
        if let key = alert.key {
            json.name("key")
            json.openObject()
            json.member("key_id", key.id.rawValue)
            json.member("key_masked", key.masked)
            json.member("name", key.name)
            json.closeObject()
        }
        if let client = alert.client {
            json.name("client")
            json.openObject()
            json.member("id", client.id.rawValue)
            json.member("name", client.name)
            json.closeObject()
        }
        json.name("detail")
        writeDetail(of: alert, to: &json)
        json.member("text", alert.text)
        json.closeObject()
    }

    private static func writeDetail(of alert: Alert, to json: inout JSONWriter) {
        json.openObject()
        switch alert.event {
        case .poolLow(_, let usable, let total, let minimum):
            json.member("usable", usable)
            json.member("total", total)
            json.member("minimum", minimum)
        case .keyInvalid(_, _, let reason):
            json.member("reason", reason)
        case .keyExhausted(_, _, let reason, let until):
            json.member("reason", reason)
            json.member("until", until)
        case .clientOverBudget(_, let used, let budget):
            json.member("tokens_this_month", used)
            json.member("monthly_token_budget", budget)
        case .storeDown(let since):
            json.member("since", since)
        case .storeUp(let since):
            json.member("since", since)
            json.member("seconds", (alert.at - since).components.seconds)
        case .test:
            break
        }
        json.closeObject()
    }
}
