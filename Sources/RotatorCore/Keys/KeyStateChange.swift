// SPDX-License-Identifier: MIT

/// A key's state has changed, by whatever cause: an answer, an administrator, another replica, or time.
public struct KeyStateChange: Sendable, Hashable {
    /// The key.
    public var key: KeyID
    /// The service whose key it is.
    public var service: ServiceID
    /// What it was.
    public var from: KeyState
    /// What it is.
    public var to: KeyState
    /// Why, in a stable word; empty where the state needs no reason.
    public var reason: String
    /// When the state ends by itself; nil where it does not.
    public var until: Moment?
    /// When it was noticed.
    public var at: Moment

    /// A change.
    public init(key: KeyID, service: ServiceID, from: KeyState, to: KeyState, reason: String, until: Moment?, at: Moment) {
        self.key = key
        self.service = service
        self.from = from
        self.to = to
        self.reason = reason
        self.until = until
        self.at = at
    }
}

/// Changes of state that nobody has taken yet, in their order; the oldest make room.
struct StateChangeLog: Sendable {
    static let changesMax = 4_096

    private(set) var changes: [KeyStateChange] = []
    private(set) var lostCount = 0

    mutating func append(_ change: KeyStateChange) {
        if changes.count == Self.changesMax {
            // Half at once, so that a flood does not move all of them for each.
            changes.removeFirst(Self.changesMax / 2)
            lostCount += Self.changesMax / 2
        }
        changes.append(change)
    }
}

extension RotatingKeyPool {
    /// The changes of its keys' states since the last call, in order, rests that have just ended included, and how many were lost because too many came.
    ///
    /// One taker. The first call begins to take note, and finds nothing. Costs one lock, and nothing to anybody while no state changes.
    public func takeStateChanges(at now: Moment) -> (changes: [KeyStateChange], lostCount: Int) {
        family.withLock { state in
            family.returnKeys(in: &state, at: now)
            let log = state.stateChanges ?? StateChangeLog()
            state.stateChanges = StateChangeLog()
            return (log.changes, log.lostCount)
        }
    }
}
