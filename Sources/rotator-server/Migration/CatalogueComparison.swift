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

    /// Reads both stores. A `target` of nil has nothing.
    init(source: any Store, target: (any Store)?) async throws(StoreError) {
        var there: [String: ServiceID] = [:]
        for service in try await target?.services() ?? [] { there[service.configuration.slug] = service.id }
        for service in try await source.services() {
            let slug = service.configuration.slug
            var row = Row(slug: slug, isThere: there[slug] != nil)
            var wanted: Set<[UInt8]> = []
            for key in try await source.keys(of: service.id) {
                wanted.insert(KeyDigest.sha256(of: key.secret))
                row.keys.source += 1
                row.states[key.state, default: Pair()].source += 1
            }
            if let target, let id = there[slug] {
                for key in try await target.keys(of: id) where wanted.remove(KeyDigest.sha256(of: key.secret)) != nil {
                    row.keys.target += 1
                    row.states[key.state, default: Pair()].target += 1
                }
            }
            rows.append(row)
        }
    }

    /// Whether every service and every key of the source is in the target.
    var isComplete: Bool { rows.allSatisfy { $0.isThere && $0.keys.source == $0.keys.target } }

    /// Whether keys stand in the target as they do in the source.
    var isSameByState: Bool { rows.allSatisfy { $0.states.values.allSatisfy { $0.source == $0.target } } }

    /// How many services there are, and how many of them the target has.
    var serviceCounts: Pair { Pair(source: rows.count, target: rows.count(where: \.isThere)) }

    /// How many keys there are, and how many of them the target has.
    var keyCounts: Pair { rows.map(\.keys).reduce(Pair(), +) }

    /// The rows with their sum. A number stands alone where both sides have it, else as `source → target`.
    var table: String {
        var lines = [["service", "keys"] + KeyState.allCases.map(\.rawValue)]
        for row in rows {
            lines.append([row.isThere ? row.slug : "\(row.slug) (missing)", "\(row.keys)"] + KeyState.allCases.map { "\(row.states[$0] ?? Pair())" })
        }
        let sums = KeyState.allCases.map { state in rows.compactMap { $0.states[state] }.reduce(Pair(), +) }
        lines.append(["\(serviceCounts) services", "\(keyCounts)"] + sums.map(\.description))
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            var text = ""
            for (cell, width) in zip(line, widths) { text += cell + String(repeating: " ", count: width - cell.count + 2) }
            return text.trimmed
        }.joined(separator: "\n")
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
