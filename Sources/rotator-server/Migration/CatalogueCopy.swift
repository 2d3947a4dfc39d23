// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// Copies what a store holds into another one, adding what is missing there and changing nothing else.
///
/// Whatever has broken it off, it can be done again: what is in the target already stays as it is. One exception closes the gap between a key
/// and its standing: a key of which the target knows nothing but its value takes the source's standing and counts.
struct CatalogueCopy {
    let source: any Store
    /// Nil when there is none yet and none is to be made.
    let target: (any Store)?
    /// False: looks and tells, and writes nothing.
    let writes: Bool
    /// Told in one line each what is worth knowing.
    let tell: (String) -> Void

    /// How many keys, or audit entries, go in one piece.
    static let chunk = 500

    /// Copies services, keys, settings and the audit log, in this order.
    func run() async throws(StoreError) {
        var present: [String: ServiceRecord] = [:]
        for service in try await target?.services() ?? [] { present[service.configuration.slug] = service }
        for service in try await source.services() { try await copy(service, onto: present[service.configuration.slug]) }
        try await copySettings()
        try await copyAudit()
    }

    // MARK: Services and keys

    private func copy(_ service: ServiceRecord, onto present: ServiceRecord?) async throws(StoreError) {
        let configuration = service.configuration
        let keys = try await source.keys(of: service.id)
        var present = present
        if let present, present.configuration != configuration {
            tell("service \(configuration.slug): is there already with another configuration, which stays as it is")
        }
        if present == nil, writes { present = try await target?.insertService(configuration) }

        var known: [[UInt8]: KeyRecord] = [:]
        if let target, let present {
            for key in try await target.keys(of: present.id) { known[KeyDigest.sha256(of: key.secret)] = key }
        }
        var missing: [KeyRecord] = []
        var bare: [KeyID: StandingUpdate] = [:]
        for key in keys {
            guard let there = known[KeyDigest.sha256(of: key.secret)] else {
                missing.append(key)
                continue
            }
            if there.isUntouched, !key.isUntouched { bare[there.id] = key.update }
        }
        guard writes, let target, let present else {
            return tell("service \(configuration.slug): would add \(missing.count) of \(keys.count) keys" + (present == nil ? " and the service itself" : ""))
        }
        var added = 0
        for start in stride(from: 0, to: missing.count, by: Self.chunk) {
            let piece = missing[start..<min(start + Self.chunk, missing.count)]
            let insertions = try await target.insertKeys(piece.map(\.asNew), into: present.id)
            var updates: [KeyID: StandingUpdate] = [:]
            for (key, insertion) in zip(piece, insertions) {
                guard case .inserted(let record) = insertion else { continue }
                added += 1
                if !key.isUntouched { updates[record.id] = key.update }
            }
            if !updates.isEmpty { try await target.record(updates) }
            if missing.count > Self.chunk { tell("service \(configuration.slug): \(added) of \(missing.count) keys") }
        }
        let ids = bare.keys.sorted()
        for start in stride(from: 0, to: ids.count, by: Self.chunk) {
            try await target.record(ids[start..<min(start + Self.chunk, ids.count)].reduce(into: [:]) { $0[$1] = bare[$1] })
        }
        tell("service \(configuration.slug): added \(added) of \(keys.count) keys" + (added == keys.count ? "" : ", the others were there"))
    }

    // MARK: Settings

    private func copySettings() async throws(StoreError) {
        for name in Installation.SettingName.all {
            guard let value = try await source.setting(name) else { continue }
            if let target, try await target.setting(name) != nil {
                if try await target.setting(name) != value { tell("setting \(name): the target has its own, which stays as it is") }
                continue
            }
            if writes, let target { try await target.setSetting(name, to: value) }
            tell("setting \(name): \(writes ? "added" : "would be added")")
        }
    }

    // MARK: The audit log

    /// Appends what the target's log lacks of the source's, where the target's is empty or the beginning of the source's.
    private func copyAudit() async throws(StoreError) {
        var position: Int64 = 0
        var targetPosition: Int64 = 0
        var targetIsAtItsEnd = target == nil
        var count = 0
        while true {
            let entries = try await source.auditEntries(after: position, limit: Self.chunk)
            guard let last = entries.last else { break }
            position = last.id
            var there: [(id: Int64, entry: AuditEntry)] = []
            if let target, !targetIsAtItsEnd {
                there = try await target.auditEntries(after: targetPosition, limit: entries.count)
                targetPosition = there.last?.id ?? targetPosition
                targetIsAtItsEnd = there.count < entries.count
                guard zip(there, entries).allSatisfy({ $0.entry == $1.entry }) else {
                    return tell("audit log: the target has its own, so the source's was not added")
                }
            }
            for (_, entry) in entries.dropFirst(there.count) {
                if writes, let target { try await target.append(entry) }
                count += 1
            }
        }
        if count > 0 { tell("audit log: \(writes ? "added" : "would add") \(count) entries") }
    }
}

extension KeyRecord {
    /// Whether nothing is known of it but what an administrator said.
    fileprivate var isUntouched: Bool { standing == StandingRecord() && counts == KeyCounts() }

    fileprivate var asNew: NewKey { NewKey(secret: secret, name: name, weight: weight, isActive: isActive) }

    fileprivate var update: StandingUpdate { StandingUpdate(standing: standing, counts: counts) }
}
