// SPDX-License-Identifier: MIT

public import RotatorCore

/// What is done to many keys of a service at once.
public enum KeyBulkAction: Sendable, Hashable {
    /// Switches them on or off.
    case enable, disable
    /// Clears their rests and failures.
    case reset
    /// Removes them.
    case delete
    /// Gives them tags, or takes tags from them.
    case tag([String]), untag([String])

    /// The word by which the API and the audit log know it.
    var word: String {
        switch self {
        case .enable: "enable"
        case .disable: "disable"
        case .reset: "reset"
        case .delete: "delete"
        case .tag: "tag"
        case .untag: "untag"
        }
    }
}

/// The pool of a service seen as a whole, and changed as a whole.
extension Administration {
    /// Why the keys of a service would or would not be chosen now: one page of them, counts over all, and who would be next.
    func explanation(
        of id: ServiceID, model: String?, conversation: UInt64?, after: KeyID?, limit: Int
    ) throws(AdministrationError) -> PoolExplanation {
        let entry = try entry(id)
        let now = clock()
        return PoolExplanation(
            strategy: entry.record.configuration.rotationStrategy,
            choice: entry.pool.preview(model: model, conversation: conversation, at: now), quotaGroupCount: entry.pool.quotaGroups().count,
            verdicts: entry.pool.verdicts(model: model, at: now), keys: entry.pool.explain(model: model, after: after, limit: limit, at: now))
    }

    /// The quota groups of a service that are known, by name.
    public func quotaGroups(of id: ServiceID) throws(AdministrationError) -> [QuotaGroupView] { try entry(id).pool.quotaGroups() }

    /// Does the same to many keys of a service, in one transaction of the store: those among `ids` (nil: all) that `isWanted` accepts.
    ///
    /// - Returns: how many there were, and for how many of them there was something to do.
    public func changeKeys(
        of service: ServiceID, _ action: KeyBulkAction, ids: Set<KeyID>?, where isWanted: @escaping @Sendable (KeyView) -> Bool, by actor: String
    ) async throws(AdministrationError) -> (matched: Int, changed: Int) {
        if case .tag(let tags) = action {
            for tag in tags {
                if let reason = KeyRules.fault(ofTag: tag) { throw .invalid(member: "tags", reason: reason) }
            }
        }
        return try await change { () async throws(AdministrationError) in
            let entry = try self.entry(service)
            let now = self.clock()
            let found: [KeyView]
            if let ids {
                found = ids.sorted().compactMap { entry.pool.view(of: $0, at: now) }.filter(isWanted)
            } else {
                found = entry.pool.views(after: nil, limit: .max, at: now, where: isWanted)
            }
            let changed =
                switch action {
                case .reset: try await self.reset(found.map(\.id), of: entry)
                case .delete: try await self.delete(found.map(\.id), of: entry)
                case .enable, .disable, .tag, .untag: try await self.revise(found, of: entry, action)
                }
            if changed > 0 { await self.audit("keys.\(action.word)", "\(changed) keys of service \(service)", by: actor) }
            return (found.count, changed)
        }
    }

    private func revise(_ keys: [KeyView], of entry: Entry, _ action: KeyBulkAction) async throws(AdministrationError) -> Int {
        var revised: [KeyView] = []
        for var key in keys {
            let before = (key.isActive, key.attributes)
            switch action {
            case .enable: key.isActive = true
            case .disable: key.isActive = false
            case .tag(let tags):
                for tag in tags where !key.attributes.tags.contains(tag) { key.attributes.tags.append(tag) }
                if key.attributes.tags.count > KeyAttributes.tagsMax {
                    throw .invalid(member: "tags", reason: "would be more than \(KeyAttributes.tagsMax) on key \(key.id)")
                }
            case .untag(let tags): key.attributes.tags.removeAll { tags.contains($0) }
            case .reset, .delete: preconditionFailure("a reset and a removal revise nothing")
            }
            if before != (key.isActive, key.attributes) { revised.append(key) }
        }
        if revised.isEmpty { return 0 }
        let changes = revised.map {
            CatalogueChange.updateKey($0.id, name: $0.name, weight: $0.weight, isActive: $0.isActive, attributes: $0.attributes)
        }
        _ = try await write { () async throws(StoreError) in try await self.store.apply(changes) }
        let now = clock()
        for key in revised {
            entry.pool.update(key.id, name: key.name, weight: key.weight, isActive: key.isActive, attributes: key.attributes, at: now)
        }
        return revised.count
    }

    private func reset(_ ids: [KeyID], of entry: Entry) async throws(AdministrationError) -> Int {
        let now = clock()
        var standings: [KeyID: StandingRecord] = [:]
        for id in ids { standings[id] = entry.pool.standingAfterReset(of: id, at: now) }
        if standings.isEmpty { return 0 }
        let updates = standings.mapValues { StandingUpdate(standing: $0) }
        // As for one key: written before it is done.
        try await write { () async throws(StoreError) in try await self.store.record(updates) }
        for (id, standing) in standings { entry.pool.reset(id, to: standing, at: now) }
        await link?.announce(standings)
        return standings.count
    }

    private func delete(_ ids: [KeyID], of entry: Entry) async throws(AdministrationError) -> Int {
        if ids.isEmpty { return 0 }
        let service = entry.record.id
        let count = try await write(notFound: .serviceNotFound(service)) { () async throws(StoreError) in
            try await self.store.deleteKeys(ids, of: service)
        }
        var entry = entry
        entry.pool = entry.pool.removing(Set(ids))
        publish(entry)
        return count
    }
}

/// What is told of a pool at a moment.
struct PoolExplanation {
    var strategy: RotationStrategyName
    var choice: ChoicePreview
    var quotaGroupCount: Int
    var verdicts: [KeyExplanation.Verdict: Int]
    var keys: [KeyExplanation]
}
