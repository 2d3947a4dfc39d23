// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The JSON form of a key: how one is read from a request and shown in an answer. The value is read, never shown.
enum KeyDocument {
    /// One new key.
    static func newKey(from body: [UInt8]) throws(AdminProblem) -> NewKey {
        let document = try MemberReader(body, known: Set(["key_value", "name", "weight", "is_active"]).union(attributeMembers))
        guard let value = try document.string("key_value") else { throw .missingMember("key_value") }
        var attributes = KeyAttributes()
        try attributeChange(in: document)?(&attributes)
        return NewKey(
            secret: Secret(Array(value.utf8)), name: try name(in: document) ?? "", weight: try document.integer("weight") ?? 1,
            isActive: try document.bool("is_active") ?? true, attributes: attributes)
    }

    /// What is to change of a key.
    static func change(from body: [UInt8]) throws(AdminProblem) -> KeyChange {
        let document = try MemberReader(body, known: Set(["name", "weight", "is_active"]).union(attributeMembers))
        return KeyChange(
            name: try name(in: document), weight: try document.integer("weight"), isActive: try document.bool("is_active"),
            attributes: try attributeChange(in: document))
    }

    /// Null is no name.
    private static func name(in document: MemberReader) throws(AdminProblem) -> String? {
        document.isNull("name") ? "" : try document.string("name")
    }

    static func write(_ key: KeyView, to json: inout JSONWriter) {
        json.openObject()
        json.member("key_id", key.id.rawValue)
        json.member("key_masked", key.masked)
        json.member("name", key.name)
        json.member("weight", key.weight)
        json.member("is_active", key.isActive)
        json.member("state", key.state.rawValue)
        json.member("state_reason", key.stateReason)
        json.member("cooling_until", key.coolingUntil)
        json.name("cooling_models")
        json.openArray()
        for rest in key.coolingModels {
            json.openObject()
            json.member("model", rest.model)
            json.member("cooling_until", rest.until)
            json.member("state_reason", rest.reason)
            json.closeObject()
        }
        json.closeArray()
        json.member("last_used_at", key.lastUsedAt)
        json.member("success_count", key.successCount)
        json.member("failure_count", key.failureCount)
        writeAttributes(of: key, to: &json)
        json.closeObject()
    }
}

/// Many keys in one body.
enum KeyBatch {
    /// Ten times the largest pool that the rotator is built for.
    static let keysMax = 1_000_000

    /// The keys of a body, each with its position in the input (element or line, from 0).
    static func keys(from body: [UInt8], contentType: String?) throws(AdminProblem) -> (positions: [Int], keys: [NewKey]) {
        let type = contentType?.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" } ?? ""
        return type.utf8.elementsEqual(ignoringASCIICase: "text/plain".utf8) ? try lines(of: body) : try elements(of: body)
    }

    private static func elements(of body: [UInt8]) throws(AdminProblem) -> (positions: [Int], keys: [NewKey]) {
        let document = try MemberReader(body, known: ["keys"])
        guard let value = document.value("keys") else { throw .missingMember("keys") }
        guard case .array(let elements) = value else { throw .invalidMember("keys", "must be an array of strings, not \(value.kind)") }
        if elements.count > keysMax { throw tooMany }
        var keys: [NewKey] = []
        keys.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard case .string(var text) = element else { throw .invalidMember("keys[\(index)]", "must be a string, not \(element.kind)") }
            keys.append(NewKey(secret: text.withUTF8 { unsafe Secret($0) }))
        }
        return (Array(keys.indices), keys)
    }

    /// One key a line, ended by LF or CRLF; blanks around a key and blank lines do not count.
    private static func lines(of body: [UInt8]) throws(AdminProblem) -> (positions: [Int], keys: [NewKey]) {
        var positions: [Int] = []
        var keys: [NewKey] = []
        var line = 0
        var start = body.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        while start < body.count {
            var end = start
            while end < body.count, body[end] != 0x0A { end += 1 }
            var (first, last) = (start, end)
            while first < last, isBlank(body[first]) { first += 1 }
            while first < last, isBlank(body[last - 1]) { last -= 1 }
            if first < last {
                if keys.count == keysMax { throw tooMany }
                positions.append(line)
                keys.append(NewKey(secret: Secret(body[first..<last])))
            }
            line += 1
            start = end + 1
        }
        return (positions, keys)
    }

    private static func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || octet == 0x09 || octet == 0x0D }

    private static var tooMany: AdminProblem {
        AdminProblem(code: .bodyTooLarge, detail: "One call takes at most \(keysMax) keys; send the rest in another.")
    }
}
