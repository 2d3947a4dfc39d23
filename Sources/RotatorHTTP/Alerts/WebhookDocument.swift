// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The JSON forms of a webhook: how one is read from a request, shown in an answer, and kept in the store.
enum WebhookDocument {
    static let changeable: Set<String> = [
        "name", "url", "shape", "secret", "chat_id", "events", "services", "pool_minimum", "min_interval_seconds", "is_active",
    ]
    private static let secretOctets = 16...256
    private static let chatOctetsMax = 128
    private static let patternsMax = 1_000
    private static let poolMinimums = 1...1_000_000
    private static let intervals = 0...604_800

    /// The webhook that `document` describes, with defaults for what it leaves out. Its number is not known yet.
    static func make(from document: MemberReader) throws(AdminProblem) -> Webhook {
        guard let name = try name(in: document) else { throw .missingMember("name") }
        guard let url = try url(in: document) else { throw .missingMember("url") }
        guard let shape = try document.word("shape", WebhookShape.self) else { throw .missingMember("shape") }
        return try revise(Webhook(id: WebhookID(0), name: name, url: url, shape: shape), from: document)
    }

    /// What `document` makes of `present`: members that it leaves out stay as they are.
    static func revise(_ present: Webhook, from document: MemberReader) throws(AdminProblem) -> Webhook {
        var webhook = present
        webhook.name = try name(in: document) ?? present.name
        webhook.url = try url(in: document) ?? present.url
        webhook.shape = try document.word("shape", WebhookShape.self) ?? present.shape
        webhook.secret = try secret(in: document, present.secret, shape: webhook.shape)
        webhook.chatID = try chat(in: document, present.chatID, shape: webhook.shape)
        webhook.events = try events(in: document) ?? present.events
        webhook.services = try services(in: document, present.services)
        webhook.poolMinimum = try number("pool_minimum", within: poolMinimums, in: document) ?? present.poolMinimum
        webhook.minIntervalSeconds = try number("min_interval_seconds", within: intervals, in: document) ?? present.minIntervalSeconds
        webhook.isActive = try document.bool("is_active") ?? present.isActive
        return webhook
    }

    private static func name(in document: MemberReader) throws(AdminProblem) -> String? {
        guard let name = try document.string("name") else { return nil }
        if let fault = KeyRules.fault(ofName: name) { throw .invalidMember("name", fault) }
        guard name.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { throw .invalidMember("name", "must not be blank") }
        return name
    }

    private static func url(in document: MemberReader) throws(AdminProblem) -> Secret? {
        guard let url = try document.string("url") else { return nil }
        if let fault = WebhookURL.fault(of: url) { throw .invalidMember("url", fault) }
        return Secret(Array(url.utf8))
    }

    // A credential that the shape does not use is not kept.
    private static func secret(in document: MemberReader, _ present: Secret?, shape: WebhookShape) throws(AdminProblem) -> Secret? {
        if document.isNull("secret") { return nil }
        guard let text = try document.string("secret") else { return shape == .generic ? present : nil }
        guard shape == .generic else { throw .invalidMember("secret", "is for the shape “generic” alone") }
        guard secretOctets ~= text.utf8.count, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw .invalidMember("secret", "must be \(secretOctets.lowerBound) to \(secretOctets.upperBound) visible ASCII characters, or null")
        }
        return Secret(Array(text.utf8))
    }

    private static func chat(in document: MemberReader, _ present: String?, shape: WebhookShape) throws(AdminProblem) -> String? {
        let text = document.isNull("chat_id") ? nil : try document.string("chat_id")
        if text != nil, shape != .telegram { throw .invalidMember("chat_id", "is for the shape “telegram” alone") }
        guard shape == .telegram else { return nil }
        guard let chat = text ?? (document.has("chat_id") ? nil : present) else { throw .missingMember("chat_id") }
        guard 1...chatOctetsMax ~= chat.utf8.count, chat.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw .invalidMember("chat_id", "must be 1 to \(chatOctetsMax) visible ASCII characters")
        }
        return chat
    }

    private static func events(in document: MemberReader) throws(AdminProblem) -> Set<AlertKind>? {
        guard let elements = try texts("events", in: document) else { return nil }
        var events: Set<AlertKind> = []
        for (index, text) in elements.enumerated() {
            guard let event = AlertKind.subscribable.first(where: { $0.rawValue == text }) else {
                let words = AlertKind.subscribable.map { "“\($0.rawValue)”" }.joined(separator: ", ")
                throw .invalidMember("events[\(index)]", "must be one of \(words)")
            }
            guard events.insert(event).inserted else { throw .invalidMember("events[\(index)]", "stands there twice") }
        }
        if events.isEmpty { throw .invalidMember("events", "must not be empty") }
        return events
    }

    private static func services(in document: MemberReader, _ present: [String]?) throws(AdminProblem) -> [String]? {
        if document.isNull("services") { return nil }
        guard let patterns = try texts("services", in: document) else { return present }
        for (index, text) in patterns.enumerated() {
            guard 1...256 ~= text.utf8.count, !text.unicodeScalars.contains(where: \.isControl) else {
                throw .invalidMember("services[\(index)]", "must be 1 to 256 octets without control characters")
            }
        }
        return patterns
    }

    private static func texts(_ name: String, in document: MemberReader) throws(AdminProblem) -> [String]? {
        guard let value = document.value(name) else { return nil }
        guard case .array(let elements) = value else { throw .invalidMember(name, "must be an array of strings, not \(value.kind)") }
        if elements.count > patternsMax { throw .invalidMember(name, "has more than \(patternsMax) elements") }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element else { throw .invalidMember("\(name)[\(index)]", "must be a string, not \(element.kind)") }
            texts.append(text)
        }
        return texts
    }

    private static func number(_ name: String, within range: ClosedRange<Int>, in document: MemberReader) throws(AdminProblem) -> Int? {
        guard let number = try document.integer(name) else { return nil }
        guard range ~= number else { throw .invalidMember(name, "must be from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    /// A webhook as people see it: never its URL's path, nor its secret.
    static func write(_ webhook: Webhook, to json: inout JSONWriter) {
        json.openObject()
        json.member("id", webhook.id.rawValue)
        json.member("name", webhook.name)
        json.member("url_masked", WebhookURL.masked(webhook.url))
        json.member("has_secret", webhook.secret != nil)
        writePolicy(of: webhook, to: &json)
        json.closeObject()
    }

    private static func writePolicy(of webhook: Webhook, to json: inout JSONWriter) {
        json.member("shape", webhook.shape.rawValue)
        json.member("chat_id", webhook.chatID)
        json.name("events")
        json.openArray()
        for event in AlertKind.subscribable where webhook.events.contains(event) { json.write(event.rawValue) }
        json.closeArray()
        json.name("services")
        if let services = webhook.services {
            json.openArray()
            for pattern in services { json.write(pattern) }
            json.closeArray()
        } else {
            json.write(String?.none)
        }
        json.member("pool_minimum", webhook.poolMinimum)
        json.member("min_interval_seconds", webhook.minIntervalSeconds)
        json.member("is_active", webhook.isActive)
    }

    /// A delivery as people see it.
    static func write(_ record: DeliveryRecord, to json: inout JSONWriter) {
        json.openObject()
        json.member("id", record.id)
        json.member("at", record.at)
        json.member("event", record.event.rawValue)
        json.member("state", record.state.rawValue)
        json.member("attempts", record.attempts)
        json.member("status", record.status)
        json.member("error", record.error)
        json.closeObject()
    }

    // MARK: In the store

    /// The webhook as the store keeps it, sealed; its number stands beside it.
    static func body(of webhook: Webhook) -> [UInt8] {
        var json = JSONWriter()
        json.openObject()
        json.member("name", webhook.name)
        json.member("url", unsafe webhook.url.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) })
        json.member("secret", unsafe webhook.secret?.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) })
        writePolicy(of: webhook, to: &json)
        json.closeObject()
        return json.octets
    }

    /// The webhook that a document of the store tells of; nil where it cannot be read.
    static func webhook(_ document: StoredDocument) -> Webhook? {
        guard let reader = try? MemberReader(document.body, known: changeable), var webhook = try? make(from: reader) else { return nil }
        webhook.id = WebhookID(document.id)
        return webhook
    }
}
