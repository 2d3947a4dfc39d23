// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Tags, quota group and limits of a key, as they are read and shown.
extension KeyDocument {
    static let attributeMembers: Set<String> = ["tags", "quota_group", "limits"]

    /// What a body makes of a key's attributes; nil where it says nothing of them. Null clears a member; of `limits` those that are given change.
    static func attributeChange(in document: MemberReader) throws(AdminProblem) -> (@Sendable (inout KeyAttributes) -> Void)? {
        guard attributeMembers.contains(where: document.has) else { return nil }
        let tags = try document.isNull("tags") ? [] : texts("tags", in: document)
        let setsGroup = document.has("quota_group")
        let group = try document.isNull("quota_group") ? nil : document.string("quota_group")
        let limits = try limitChanges(in: document)
        let clearsLimits = document.isNull("limits")
        return { attributes in
            if let tags { attributes.tags = tags.reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }
            if setsGroup { attributes.quotaGroup = group }
            if clearsLimits { attributes.limits = KeyLimits() }
            for (limit, maximum) in limits { attributes.limits[limit] = maximum }
        }
    }

    /// An array of strings; nil where the member is missing.
    static func texts(_ name: String, in document: MemberReader) throws(AdminProblem) -> [String]? {
        guard let value = document.value(name) else { return nil }
        guard case .array(let elements) = value else { throw .invalidMember(name, "must be an array of strings, not \(value.kind)") }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element else { throw .invalidMember("\(name)[\(index)]", "must be a string, not \(element.kind)") }
            texts.append(text)
        }
        return texts
    }

    private static func limitChanges(in document: MemberReader) throws(AdminProblem) -> [(KeyLimit, Int64?)] {
        guard let value = document.value("limits"), value != .null else { return [] }
        guard case .object(let members) = value else { throw .invalidMember("limits", "must be an object, not \(value.kind)") }
        var changes: [(KeyLimit, Int64?)] = []
        for member in members {
            guard let limit = KeyLimit(rawValue: member.name) else {
                throw .unknownMember("Unknown member: “limits.\(member.name.prefix(64))”.")
            }
            switch member.value {
            case .null: changes.append((limit, nil))
            case .number(let number?) where number >= 1: changes.append((limit, Int64(number)))
            case .number: throw .invalidMember("limits.\(member.name)", "must be an integer, 1 or more, or null for none")
            case .bool, .string, .array, .object:
                throw .invalidMember("limits.\(member.name)", "must be an integer or null, not \(member.value.kind)")
            }
        }
        return changes
    }

    /// The members that tell of a key's attributes and quota.
    static func writeAttributes(of key: KeyView, to json: inout JSONWriter) {
        json.name("tags")
        json.openArray()
        for tag in key.attributes.tags { json.write(tag) }
        json.closeArray()
        json.member("quota_group", key.quotaGroup)
        json.name("quota")
        json.openArray()
        for amount in key.quota {
            json.openObject()
            json.member("kind", amount.kind.rawValue)
            json.member("limit", amount.limit)
            json.member("remaining", amount.remaining)
            json.member("resets_at", amount.resetsAt)
            json.closeObject()
        }
        json.closeArray()
        json.name("limits")
        json.openObject()
        for limit in KeyLimit.allCases {
            json.name(limit.rawValue)
            json.write(key.attributes.limits[limit])
        }
        json.closeObject()
        json.member("in_flight", max(0, key.inFlight))
    }
}

extension KeyLimits {
    /// The limit of that name; nil where there is none.
    subscript(limit: KeyLimit) -> Int64? {
        get {
            switch limit {
            case .requestsPerMinute: requestsPerMinute
            case .requestsPerDay: requestsPerDay
            case .tokensPerMinute: tokensPerMinute
            case .tokensPerDay: tokensPerDay
            case .concurrentRequests: concurrentRequests
            }
        }
        set {
            switch limit {
            case .requestsPerMinute: requestsPerMinute = newValue
            case .requestsPerDay: requestsPerDay = newValue
            case .tokensPerMinute: tokensPerMinute = newValue
            case .tokensPerDay: tokensPerDay = newValue
            case .concurrentRequests: concurrentRequests = newValue
            }
        }
    }
}
