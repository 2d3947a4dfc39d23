// SPDX-License-Identifier: MIT

/// What becomes of objects that a document does not have.
public enum ImportMode: String, Sendable, Hashable, CaseIterable {
    /// They stay.
    case merge
    /// They are removed.
    case replace
}

/// What an import did, or would do. Names and numbers, never values.
public struct ImportReport: Sendable, Hashable {
    /// How many objects of a kind became what.
    public struct Tally: Sendable, Hashable {
        public var created = 0
        public var updated = 0
        public var unchanged = 0
        public var deleted = 0

        /// How many did not stay as they were.
        public var changed: Int { created + updated + deleted }
    }

    /// One change.
    public struct Change: Sendable, Hashable {
        public enum Action: String, Sendable, Hashable { case create, update, delete }
        public enum Kind: String, Sendable, Hashable { case service, key, client }

        public var action: Action
        public var kind: Kind
        /// A service's slug, a client's name, or `key 7 of openai`; new keys, which have no number yet, are told of together, as `keys of openai`.
        public var subject: String
        /// How many objects it is about.
        public var count = 1
        /// Which members change, where an object is updated.
        public var members: [String] = []
    }

    public var isDryRun = false
    public var services = Tally()
    public var keys = Tally()
    public var clients = Tally()
    /// Keys that stood in the document more than once under the same service.
    public var duplicateKeys = 0
    /// Services first, then clients, then keys; at most ``changesMax``.
    public var changes: [Change] = []

    /// How many changes are told one by one.
    public static let changesMax = 1_000

    /// Whether everything is as the document says already.
    public var isEmpty: Bool { services.changed + keys.changed + clients.changed == 0 }

    /// The numbers in words, without those that are zero.
    public var summary: String {
        if isEmpty { return "nothing changes" }
        return [("services", services), ("keys", keys), ("clients", clients)].compactMap { name, tally in
            let parts = [(tally.created, "created"), (tally.updated, "updated"), (tally.deleted, "deleted")].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
            return parts.isEmpty ? nil : "\(name): \(parts.joined(separator: ", "))"
        }.joined(separator: "; ")
    }

    func write(to json: inout JSONWriter) {
        json.openObject()
        json.member("dry_run", isDryRun)
        json.name("services")
        write(services, to: &json)
        json.name("keys")
        write(keys, duplicates: duplicateKeys, to: &json)
        json.name("clients")
        write(clients, to: &json)
        json.name("changes")
        json.openArray()
        for change in changes {
            json.openObject()
            json.member("action", change.action.rawValue)
            json.member("kind", change.kind.rawValue)
            json.member("subject", change.subject)
            json.member("count", change.count)
            json.name("members")
            json.openArray()
            for member in change.members { json.write(member) }
            json.closeArray()
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
    }

    private func write(_ tally: Tally, duplicates: Int? = nil, to json: inout JSONWriter) {
        json.openObject()
        json.member("created", tally.created)
        json.member("updated", tally.updated)
        json.member("unchanged", tally.unchanged)
        json.member("deleted", tally.deleted)
        if let duplicates { json.member("duplicate", duplicates) }
        json.closeObject()
    }
}
