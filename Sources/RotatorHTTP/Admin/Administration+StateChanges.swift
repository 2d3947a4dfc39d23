// SPDX-License-Identifier: MIT

internal import Logging
public import RotatorCore

extension Administration {
    /// The changes of all keys' states since the last call, each with its service's slug, in order for each service; the first call finds nothing. One taker.
    ///
    /// Whatever changes a state is among them: answers, administrators, other replicas, and time.
    public func takeKeyStateChanges() -> [(change: KeyStateChange, service: String)] {
        let now = clock()
        var changes: [(change: KeyStateChange, service: String)] = []
        let entries = state.withLock { state in
            state.watchesKeyStates = true
            return Array(state.entries.values)
        }
        for entry in entries {
            let (taken, lostCount) = entry.pool.takeStateChanges(at: now)
            if lostCount > 0 { logger.debug("changes of keys' states were lost", metadata: ["service": "\(entry.record.id)", "count": "\(lostCount)"]) }
            changes += taken.map { ($0, entry.record.configuration.slug) }
        }
        return changes
    }
}
