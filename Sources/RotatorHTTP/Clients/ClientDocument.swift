// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The JSON forms of a client key: how one is read from a request, shown in an answer, and kept in the store.
enum ClientDocument {
    static let changeable: Set<String> = [
        "name", "services", "models", "requests_per_minute", "tokens_per_minute", "concurrent_requests", "monthly_token_budget", "expires_at", "is_active",
    ]
    /// How many patterns a client may have, and how long each may be in octets.
    private static let patternsMax = 1_000
    private static let patternOctetsMax = 256
    private static let amountMax: Int64 = 1 << 52

    /// What `document` makes of `present`: members that it leaves out stay as they are, null takes a limit away.
    static func revise(_ present: ClientPolicy, from document: MemberReader) throws(AdminProblem) -> ClientPolicy {
        var policy = present
        policy.services = try patterns("services", in: document, present.services)
        policy.models = try patterns("models", in: document, present.models)
        policy.requestsPerMinute = try amount("requests_per_minute", in: document, present.requestsPerMinute)
        policy.tokensPerMinute = try amount("tokens_per_minute", in: document, present.tokensPerMinute)
        policy.concurrentRequests = try amount("concurrent_requests", in: document, present.concurrentRequests)
        policy.monthlyTokenBudget = try amount("monthly_token_budget", in: document, present.monthlyTokenBudget)
        if document.isNull("expires_at") {
            policy.expiresAt = nil
        } else if let text = try document.string("expires_at") {
            guard let moment = Moment(timestamp: text) else { throw .invalidMember("expires_at", "must be an RFC 3339 time such as 2030-01-31T00:00:00Z, or null") }
            policy.expiresAt = moment
        }
        policy.isActive = try document.bool("is_active") ?? present.isActive
        return policy
    }

    /// A name; nil where the member is missing.
    static func name(in document: MemberReader) throws(AdminProblem) -> String? {
        guard let name = try document.string("name") else { return nil }
        if let fault = KeyRules.fault(ofName: name) { throw .invalidMember("name", fault) }
        guard name.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { throw .invalidMember("name", "must not be blank") }
        return name
    }

    private static func amount(_ name: String, in document: MemberReader, _ present: Int64?) throws(AdminProblem) -> Int64? {
        if document.isNull(name) { return nil }
        guard let amount = try document.integer(name) else { return present }
        guard 1...amountMax ~= Int64(amount) else { throw .invalidMember(name, "must be from 1 to \(amountMax), or null for no limit") }
        return Int64(amount)
    }

    private static func patterns(_ name: String, in document: MemberReader, _ present: [String]?) throws(AdminProblem) -> [String]? {
        switch document.value(name) {
        case nil: return present
        case .null?: return nil
        case .array(let elements)?:
            if elements.count > patternsMax { throw .invalidMember(name, "has more than \(patternsMax) elements") }
            var patterns: [String] = []
            for (index, element) in elements.enumerated() {
                guard case .string(let text) = element else { throw .invalidMember("\(name)[\(index)]", "must be a string, not \(element.kind)") }
                guard !text.isEmpty, text.utf8.count <= patternOctetsMax, !text.unicodeScalars.contains(where: \.isControl) else {
                    throw .invalidMember("\(name)[\(index)]", "must be 1 to \(patternOctetsMax) octets without control characters")
                }
                patterns.append(text)
            }
            return patterns
        case let other?: throw .invalidMember(name, "must be an array of strings or null, not \(other.kind)")
        }
    }

    /// A client as people see it; `value` at its creation only.
    static func write(_ view: ClientView, value: String? = nil, to json: inout JSONWriter) {
        json.openObject()
        json.member("id", view.record.id.rawValue)
        if let value { json.member("key_value", value) }
        json.member("key_masked", view.record.masked)
        json.member("name", view.record.name)
        write(view.record.policy, to: &json)
        json.member("created_at", view.record.createdAt)
        json.name("usage")
        json.openObject()
        json.member("requests_last_minute", view.requestsLastMinute)
        json.member("tokens_last_minute", view.tokensLastMinute)
        json.member("concurrent_requests", view.concurrentRequests)
        json.member("tokens_this_month", view.tokensThisMonth)
        json.closeObject()
        json.closeObject()
    }

    static func write(_ policy: ClientPolicy, to json: inout JSONWriter) {
        for (name, patterns) in [("services", policy.services), ("models", policy.models)] {
            json.name(name)
            guard let patterns else {
                json.write(String?.none)
                continue
            }
            json.openArray()
            for pattern in patterns { json.write(pattern) }
            json.closeArray()
        }
        json.member("requests_per_minute", policy.requestsPerMinute)
        json.member("tokens_per_minute", policy.tokensPerMinute)
        json.member("concurrent_requests", policy.concurrentRequests)
        json.member("monthly_token_budget", policy.monthlyTokenBudget)
        json.member("expires_at", policy.expiresAt)
        json.member("is_active", policy.isActive)
    }

    // MARK: In the store

    /// The client as the store keeps it; its number and name stand beside it.
    static func body(of record: ClientRecord) -> [UInt8] {
        var json = JSONWriter()
        json.openObject()
        json.member("digest", record.digest.hexadecimal)
        json.member("masked", record.masked)
        write(record.policy, to: &json)
        json.member("created_at", record.createdAt)
        json.closeObject()
        return json.octets
    }

    /// The client that a document of the store tells of; nil where it cannot be read.
    static func record(_ document: StoredDocument) -> ClientRecord? {
        guard
            let reader = try? MemberReader(document.body, known: changeable.union(["digest", "masked", "created_at"])),
            let digest = try? reader.string("digest")?.hexadecimalOctets, digest.count == 32, let masked = try? reader.string("masked"),
            let created = (try? reader.string("created_at")).flatMap({ $0 }).flatMap({ Moment(timestamp: $0) }), let policy = try? revise(ClientPolicy(), from: reader)
        else { return nil }
        return ClientRecord(id: ClientID(document.id), name: document.name, digest: digest, masked: masked, policy: policy, createdAt: created)
    }
}

extension [UInt8] {
    /// Two lower-case hexadecimal digits an octet.
    var hexadecimal: String {
        let digits = Array<UInt8>("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension String {
    /// The octets that hexadecimal digits spell; nil where the text is something else.
    var hexadecimalOctets: [UInt8]? {
        let digits = utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == utf8.count, digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
