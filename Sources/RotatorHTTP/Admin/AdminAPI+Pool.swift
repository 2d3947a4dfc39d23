// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func explainKeys(of service: ServiceID, _ query: AdminQuery) throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let after = KeyID(try query.after())
        let explanation: PoolExplanation
        do throws(AdministrationError) {
            explanation = try administration.explanation(
                of: service, model: query["model"].flatMap { $0.isEmpty ? nil : $0 }, conversation: query["conversation"].map(Self.conversation),
                after: after, limit: limit + 1)
        } catch {
            throw AdminProblem(error)
        }
        var json = JSONWriter()
        json.openObject()
        json.member("strategy", explanation.strategy.rawValue)
        json.name("choice")
        json.openObject()
        json.member("key_id", explanation.choice.keyID?.rawValue)
        json.member("certain", explanation.choice.isCertain)
        json.closeObject()
        json.member("quota_groups", explanation.quotaGroupCount)
        json.name("keys_by_verdict")
        json.openObject()
        for verdict in KeyExplanation.Verdict.allCases {
            json.name(verdict.rawValue)
            json.write(explanation.verdicts[verdict] ?? 0)
        }
        json.closeObject()
        json.name("items")
        json.openArray()
        let page = explanation.keys.prefix(limit)
        for key in page { Self.write(key, to: &json) }
        json.closeArray()
        json.member("next", explanation.keys.count > limit ? page.last?.keyID.rawValue : nil)
        json.closeObject()
        return .json(json.octets)
    }

    func summarizeKeys(of service: ServiceID) throws(AdminProblem) -> LocalResponse {
        let counts: [KeyState: Int]
        let groups: [QuotaGroupView]
        do throws(AdministrationError) {
            counts = try administration.keyCounts(of: service)
            groups = try administration.quotaGroups(of: service)
        } catch {
            throw AdminProblem(error)
        }
        let keyCount = counts.values.reduce(0, +)
        var json = JSONWriter()
        json.openObject()
        json.member("keys", keyCount)
        json.name("keys_by_state")
        json.openObject()
        for state in KeyState.allCases {
            json.name(state.rawValue)
            json.write(counts[state] ?? 0)
        }
        json.closeObject()
        json.member("quota_groups", groups.count)
        json.member("keys_without_quota_group", max(0, keyCount - groups.reduce(0) { $0 + $1.keyCount }))
        json.name("largest_quota_groups")
        json.openArray()
        for group in groups.sorted(by: { ($1.keyCount, $0.name) < ($0.keyCount, $1.name) }).prefix(Self.groupsShownMax) {
            json.openObject()
            json.member("quota_group", group.name)
            json.member("keys", group.keyCount)
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
        return .json(json.octets)
    }

    func changeKeys(of service: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(service)
        let (action, ids, search) = try KeyBulkDocument.read(request.body)
        let outcome: (matched: Int, changed: Int)
        do throws(AdministrationError) {
            outcome = try await administration.changeKeys(of: service, action, ids: ids, where: { search.matches($0) }, by: user)
        } catch {
            throw AdminProblem(error)
        }
        var json = JSONWriter()
        json.openObject()
        json.member("matched_count", outcome.matched)
        json.member("changed_count", outcome.changed)
        json.closeObject()
        return .json(json.octets)
    }

    private static let groupsShownMax = 20

    /// What the proxy makes of a conversation that a client names in a field (FNV-1a, 64 bits).
    private static func conversation(named name: String) -> UInt64 {
        name.utf8.stableHash
    }

    private static func write(_ key: KeyExplanation, to json: inout JSONWriter) {
        json.openObject()
        json.member("key_id", key.keyID.rawValue)
        json.member("key_masked", key.masked)
        json.member("name", key.name)
        json.member("eligible", key.verdict.isEligible)
        json.member("verdict", key.verdict.rawValue)
        json.member("reason", key.reason)
        json.member("until", key.until)
        json.member("quota_group", key.quotaGroup)
        json.member("rests_with_group", key.restsWithGroup)
        json.closeObject()
    }
}

/// The JSON form of a change of many keys.
enum KeyBulkDocument {
    static func read(_ body: [UInt8]) throws(AdminProblem) -> (action: KeyBulkAction, ids: Set<KeyID>?, search: KeySearch) {
        let document = try MemberReader(body, known: ["action", "ids", "filter", "tags"])
        guard document.has("ids") || document.has("filter") else {
            throw AdminProblem(code: .missingMember, detail: "“ids” or “filter” is required; an empty filter takes every key.")
        }
        return (try action(in: document), try ids(in: document), try search(in: document))
    }

    private static func action(in document: MemberReader) throws(AdminProblem) -> KeyBulkAction {
        guard let word = try document.string("action") else { throw .missingMember("action") }
        let tags = try KeyDocument.texts("tags", in: document)
        let takesTags = word == "tag" || word == "untag"
        if takesTags, tags?.isEmpty ?? true { throw .missingMember("tags") }
        if !takesTags, tags != nil { throw .invalidMember("tags", "goes with “tag” and “untag” alone") }
        switch word {
        case "enable": return .enable
        case "disable": return .disable
        case "reset": return .reset
        case "delete": return .delete
        case "tag": return .tag(tags ?? [])
        case "untag": return .untag(tags ?? [])
        default: throw .invalidMember("action", "must be one of “enable”, “disable”, “reset”, “delete”, “tag”, “untag”")
        }
    }

    private static func ids(in document: MemberReader) throws(AdminProblem) -> Set<KeyID>? {
        guard let value = document.value("ids") else { return nil }
        guard case .array(let elements) = value else { throw .invalidMember("ids", "must be an array of integers, not \(value.kind)") }
        if elements.count > KeyBatch.keysMax { throw .invalidMember("ids", "are more than \(KeyBatch.keysMax)") }
        var ids: Set<KeyID> = []
        for (index, element) in elements.enumerated() {
            guard case .number(let number?) = element, number > 0 else { throw .invalidMember("ids[\(index)]", "must be an integer, 1 or more") }
            ids.insert(KeyID(Int64(number)))
        }
        return ids
    }

    private static func search(in document: MemberReader) throws(AdminProblem) -> KeySearch {
        var words: [String: String] = [:]
        if let value = document.value("filter") {
            guard case .object(let members) = value else { throw .invalidMember("filter", "must be an object, not \(value.kind)") }
            for member in members {
                guard ["state", "tag", "quota_group", "reason", "q"].contains(member.name) else {
                    throw .unknownMember("Unknown member: “filter.\(member.name.prefix(64))”.")
                }
                guard case .string(let text) = member.value else {
                    throw .invalidMember("filter.\(member.name)", "must be a string, not \(member.value.kind)")
                }
                words[member.name] = text
            }
        }
        guard let search = KeySearch({ words[$0] }) else { throw .invalidMember("filter.state", KeySearch.stateFault) }
        return search
    }
}
