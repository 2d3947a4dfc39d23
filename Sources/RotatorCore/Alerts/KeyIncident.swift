// SPDX-License-Identifier: MIT

/// A key that has become useless, by the decision of this replica.
public struct KeyIncident: Sendable, Hashable {
    /// Which key.
    public var key: KeyID
    /// Its standing: `invalid` or `exhausted`.
    public var standing: StandingRecord

    /// A key with its standing.
    public init(key: KeyID, standing: StandingRecord) {
        self.key = key
        self.standing = standing
    }
}

/// Sees which keys become useless. What other replicas decided is theirs to tell.
public struct KeyIncidentWatch: Sendable {
    private struct Known: Sendable {
        var state: StandingRecord.State
        var resetCount: Int64
        var decidedAt: Moment
    }

    /// The keys that are known to be useless.
    private var known: [KeyID: Known] = [:]
    /// Beyond this everything is forgotten, which costs a repetition and no memory.
    private static let knownMax = 262_144

    /// Nothing is known.
    public init() {}

    /// This replica has decided so about a key. What there is to tell; nil where it was known or the key is of use.
    public mutating func decided(_ standing: StandingRecord, of key: KeyID) -> KeyIncident? {
        let before = known[key]
        learned(standing, of: key)
        guard let after = known[key] else { return nil }
        if let before, before.state == after.state, before.resetCount == after.resetCount { return nil }
        return KeyIncident(key: key, standing: standing)
    }

    /// A key stands so by what the store or another replica says.
    public mutating func learned(_ standing: StandingRecord, of key: KeyID) {
        // Accounts of replicas cross each other on their way: the older one takes nothing back.
        if let known = known[key], (standing.resetCount, standing.decidedAt) < (known.resetCount, known.decidedAt) { return }
        switch standing.state {
        case .active, .cooling:
            // A rest that is over proves nothing: a key that is exhausted again without a success in between is no news.
            if known[key]?.state == .exhausted, standing.exhaustionLevel > 0 { return }
            known[key] = nil
        case .exhausted, .invalid:
            if known.count >= Self.knownMax { known = [:] }
            known[key] = Known(state: standing.state, resetCount: standing.resetCount, decidedAt: standing.decidedAt)
        }
    }
}
