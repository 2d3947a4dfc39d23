// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore
internal import RotatorStore

/// Keeps the store's health fresh while nobody uses it, so that `/readyz` and `rotator_store_up` tell the truth, and tells the log once each way.
struct StoreProbe: Sendable {
    /// The store that is asked.
    let store: any Store
    /// Told when the store goes and when it comes back.
    let logger: Logger

    /// Asks every five seconds, every second where others share the store or while it fails, until the task is cancelled. What calls of others have
    /// found out meanwhile is told within a quarter of a second.
    func run() async {
        var wasReachable = true
        var roundsLeft = 0
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: .milliseconds(250))
            if Task.isCancelled { break }
            roundsLeft -= 1
            if roundsLeft <= 0 {
                // What it throws stands in the store's health.
                try? await store.ping()
                roundsLeft = store.replicaLink == nil && wasReachable ? 20 : 4
            }
            switch store.health {
            case .reachable:
                if !wasReachable { logger.notice("the store is back: what was decided while it was away is written down now") }
                wasReachable = true
            case .failing(let error):
                if wasReachable { logger.error("the store fails; requests go on from memory, changes are refused", metadata: ["reason": "\(error)"]) }
                wasReachable = false
            }
        }
    }
}
