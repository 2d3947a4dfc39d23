// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// How much of what a source holds is in a target, service by service.
struct CatalogueComparison: Sendable, Hashable {
    /// One service of the source.
    struct Row: Sendable, Hashable {
        var slug: String
        /// Whether the target has a service of this slug.
        var isThere: Bool
        /// The source's keys, and those of them whose value the target has in this service.
        var keys = Pair()
        /// The same by state; on the target's side as they stand there.
        var states: [KeyState: Pair] = [:]
        /// The source's keys that have attributes, and those of them that have the same in the target.
        var attributes = Pair()
    }

    /// A number in the source and its counterpart in the target.
    struct Pair: Sendable, Hashable, CustomStringConvertible {
        var source = 0
        var target = 0

        var description: String { source == target ? "\(source)" : "\(source) → \(target)" }

        static func + (one: Pair, other: Pair) -> Pair { Pair(source: one.source + other.source, target: one.target + other.target) }
    }

    /// In the order of the source.
    var rows: [Row] = []
    /// The source's documents that can be moved, and those of them that the target has under their number and name.
    var documents: [DocumentKind: Pair] = [:]
    /// The source's rows of history that can be moved, and those of them that the target has, alike.
    var history = Pair()

    /// Reads both stores. A `target` of nil has nothing.
    init(source: any Store, target: (any Store)?) async throws(StoreError) {
        var there: [String: ServiceID] = [:]
        for service in try await target?.services() ?? [] { there[service.configuration.slug] = service.id }
        var numbers = CatalogueNumbers()
        for service in try await source.services() {
            let slug = service.configuration.slug
            var row = Row(slug: slug, isThere: there[slug] != nil)
            var wanted: [[UInt8]: (id: KeyID, attributes: KeyAttributes)] = [:]
            numbers.add(service.id, is: there[slug] ?? service.id)
            for key in try await source.keys(of: service.id) {
                wanted[KeyDigest.sha256(of: key.secret)] = (key.id, key.attributes)
                row.keys.source += 1
                row.states[key.state, default: Pair()].source += 1
                if key.attributes != KeyAttributes() { row.attributes.source += 1 }
            }
            if let target, let id = there[slug] {
                for key in try await target.keys(of: id) {
                    guard let counterpart = wanted.removeValue(forKey: KeyDigest.sha256(of: key.secret)) else { continue }
                    numbers.add(counterpart.id, is: key.id)
                    row.keys.target += 1
                    row.states[key.state, default: Pair()].target += 1
                    if key.attributes != KeyAttributes(), key.attributes == counterpart.attributes { row.attributes.target += 1 }
                }
            }
            for missing in wanted.values { numbers.add(missing.id, is: missing.id) }
            rows.append(row)
        }
        try await compareDocuments(of: source, with: target, numbers)
        try await compareHistory(of: source, with: target, numbers)
    }

    private mutating func compareDocuments(of source: any Store, with target: (any Store)?, _ numbers: CatalogueNumbers) async throws(StoreError) {
        for kind in DocumentKind.allCases where numbers.areKept || !kind.namesKeysByNumber {
            let there = try await CatalogueCopy.names(of: kind, in: target)
            let wanted = try await CatalogueCopy.names(of: kind, in: source)
            if !wanted.isEmpty { documents[kind] = Pair(source: wanted.count, target: wanted.count { there[$0.key] == $0.value }) }
        }
    }

    private mutating func compareHistory(of source: any Store, with target: (any Store)?, _ numbers: CatalogueNumbers) async throws(StoreError) {
        for resolution in HistoryResolution.allCases {
            var position = Int64.min
            while let start = try await source.historyStart(resolution, after: position) {
                position = start
                for dimension in HistoryDimension.allCases {
                    let wanted = try await source.history(resolution, dimension, subject: nil, from: start, to: start + 1).compactMap(numbers.counterpart(of:))
                    if wanted.isEmpty { continue }
                    let there = Set(try await target?.history(resolution, dimension, subject: nil, from: start, to: start + 1) ?? [])
                    history = history + Pair(source: wanted.count, target: wanted.count(where: there.contains))
                }
            }
        }
    }

    /// Whether everything of the source that can be moved is in the target.
    var isComplete: Bool {
        rows.allSatisfy { $0.isThere && $0.keys.source == $0.keys.target } && documents.values.allSatisfy { $0.source == $0.target }
            && history.source == history.target
    }

    /// Whether keys stand in the target as they do in the source.
    var isSameByState: Bool { rows.allSatisfy { $0.states.values.allSatisfy { $0.source == $0.target } } }

    /// Whether keys have the attributes in the target that they have in the source.
    var isSameByAttributes: Bool { rows.allSatisfy { $0.attributes.source == $0.attributes.target } }

    /// How many services there are, and how many of them the target has.
    var serviceCounts: Pair { Pair(source: rows.count, target: rows.count(where: \.isThere)) }

    /// How many keys there are, and how many of them the target has.
    var keyCounts: Pair { rows.map(\.keys).reduce(Pair(), +) }

    /// The rows with their sum, and below them what else there is. A number stands alone where both sides have it, else as `source → target`.
    var table: String {
        var lines = [["service", "keys"] + KeyState.allCases.map(\.rawValue)]
        for row in rows {
            lines.append([row.isThere ? row.slug : "\(row.slug) (missing)", "\(row.keys)"] + KeyState.allCases.map { "\(row.states[$0] ?? Pair())" })
        }
        let sums = KeyState.allCases.map { state in rows.compactMap { $0.states[state] }.reduce(Pair(), +) }
        lines.append(["\(serviceCounts) services", "\(keyCounts)"] + sums.map(\.description))
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        var texts = lines.map { line in
            var text = ""
            for (cell, width) in zip(line, widths) { text += cell + String(repeating: " ", count: width - cell.count + 2) }
            return text.trimmed
        }
        for kind in DocumentKind.allCases { if let pair = documents[kind] { texts.append("documents of kind \(kind.rawValue): \(pair)") } }
        if history.source > 0 { texts.append("rows of history: \(history)") }
        return texts.joined(separator: "\n")
    }
}

extension KeyRecord {
    /// Where it stands, as it was last written down.
    fileprivate var state: KeyState {
        if !isActive { return .disabled }
        switch standing.state {
        case .active: return .active
        case .cooling: return .cooling
        case .exhausted: return .exhausted
        case .invalid: return .invalid
        }
    }
}
