// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// Copies what a store holds into another one, adding what is missing there and changing nothing else.
///
/// Whatever has broken it off, it can be done again: what is in the target already stays as it is. One exception closes the gap between a key
/// and its standing: a key of which the target knows nothing but its value takes the source's standing and counts.
///
/// Documents keep their numbers, for history names clients by them. Services and keys may get other numbers: their history is written under those, and
/// jobs, which name them by number, stay behind where any differs.
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
    /// How many documents, each up to 1 MiB, go in one piece.
    static let documentChunk = 16
    /// How many rows of history go in one piece.
    static let historyChunk = 5000

    /// Copies services, keys, settings, documents, history and the audit log, in this order.
    func run() async throws(StoreError) {
        var present: [String: ServiceRecord] = [:]
        for service in try await target?.services() ?? [] { present[service.configuration.slug] = service }
        var numbers = CatalogueNumbers()
        for service in try await source.services() { try await copy(service, onto: present[service.configuration.slug], &numbers) }
        try await copySettings()
        for kind in DocumentKind.allCases { try await copyDocuments(of: kind, numbers) }
        try await copyHistory(numbers)
        try await copyAudit()
    }

    // MARK: Services and keys

    private func copy(_ service: ServiceRecord, onto present: ServiceRecord?, _ numbers: inout CatalogueNumbers) async throws(StoreError) {
        let configuration = service.configuration
        let keys = try await source.keys(of: service.id)
        var present = present
        if let present, present.configuration != configuration {
            tell("service \(configuration.slug): is there already with another configuration, which stays as it is")
        }
        if present == nil, writes { present = try await target?.insertService(configuration) }
        // What is only looked at would have the same number, as far as can be known.
        numbers.add(service.id, is: present?.id ?? service.id)

        var known: [[UInt8]: KeyRecord] = [:]
        if let target, let present {
            for key in try await target.keys(of: present.id) { known[KeyDigest.sha256(of: key.secret)] = key }
        }
        var missing: [KeyRecord] = []
        var bare: [KeyID: StandingUpdate] = [:]
        for key in keys {
            guard let there = known[KeyDigest.sha256(of: key.secret)] else {
                missing.append(key)
                if !writes { numbers.add(key.id, is: key.id) }
                continue
            }
            numbers.add(key.id, is: there.id)
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
                numbers.add(key.id, is: record.id)
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
            let known = try await target?.setting(name)
            if known == nil, !writes { tell("setting \(name): would be added") }
            // A server that starts meanwhile may make one of its own: the first one stays.
            let present = if writes, known == nil { try await target?.insertSetting(name, value) } else { known }
            guard let present else { continue }
            if present != value {
                tell("setting \(name): the target has its own, which stays as it is")
            } else if known == nil {
                tell("setting \(name): added")
            }
        }
    }

    // MARK: Documents

    private func copyDocuments(of kind: DocumentKind, _ numbers: CatalogueNumbers) async throws(StoreError) {
        var count = 0
        var added = 0
        var taken = 0
        let present = try await Self.names(of: kind, in: target)
        let names = Set(present.values)
        var position: Int64 = 0
        while true {
            let piece = try await source.documents(kind, after: position, limit: Self.documentChunk)
            guard let last = piece.last else { break }
            position = last.id
            count += piece.count
            if kind.namesKeysByNumber, !numbers.areKept { continue }
            let missing = piece.filter { present[$0.id] == nil && !names.contains($0.name) }
            taken += piece.count { present[$0.id] == nil ? names.contains($0.name) : present[$0.id] != $0.name }
            if writes, let target, !missing.isEmpty {
                added += try await target.restoreDocuments(missing, of: kind)
            } else {
                added += missing.count
            }
        }
        if count == 0 { return }
        if kind.namesKeysByNumber, !numbers.areKept {
            return tell("documents of kind \(kind.rawValue): \(count) stay behind, because services or keys have other numbers in the target")
        }
        if added > 0 { tell("documents of kind \(kind.rawValue): \(writes ? "added" : "would add") \(added) of \(count)") }
        if taken > 0 { tell("documents of kind \(kind.rawValue): the target has others of the number or name of \(taken), which stay as they are") }
    }

    /// The names of a store's documents, by number.
    static func names(of kind: DocumentKind, in store: (any Store)?) async throws(StoreError) -> [Int64: String] {
        var names: [Int64: String] = [:]
        var position: Int64 = 0
        while let store {
            let piece = try await store.documents(kind, after: position, limit: documentChunk)
            guard let last = piece.last else { break }
            position = last.id
            for document in piece { names[document.id] = document.name }
        }
        return names
    }

    // MARK: History

    /// Writes what the target lacks of each row. Rows are absolute, so writing one again does no harm.
    private func copyHistory(_ numbers: CatalogueNumbers) async throws(StoreError) {
        var added = 0
        var left = 0
        var missing: [HistoryRow] = []
        for resolution in HistoryResolution.allCases {
            var position = Int64.min
            while let start = try await source.historyStart(resolution, after: position) {
                position = start
                for dimension in HistoryDimension.allCases {
                    let rows = try await source.history(resolution, dimension, subject: nil, from: start, to: start + 1)
                    if rows.isEmpty { continue }
                    let there = Set(try await target?.history(resolution, dimension, subject: nil, from: start, to: start + 1) ?? [])
                    for row in rows {
                        guard let counterpart = numbers.counterpart(of: row) else {
                            left += 1
                            continue
                        }
                        if !there.contains(counterpart) { missing.append(counterpart) }
                    }
                    if missing.count >= Self.historyChunk { added += try await write(&missing) }
                }
            }
        }
        added += try await write(&missing)
        if added > 0 { tell("history: \(writes ? "added" : "would add") \(added) rows") }
        if left > 0 { tell("history: \(left) rows of services and keys that are gone stay behind") }
    }

    private func write(_ rows: inout [HistoryRow]) async throws(StoreError) -> Int {
        defer { rows = [] }
        if writes, let target, !rows.isEmpty { try await target.writeHistory(rows) }
        return rows.count
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

    fileprivate var asNew: NewKey { NewKey(secret: secret, name: name, weight: weight, isActive: isActive, attributes: attributes) }

    fileprivate var update: StandingUpdate { StandingUpdate(standing: standing, counts: counts) }
}
