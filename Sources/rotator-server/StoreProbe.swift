// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore
internal import RotatorStore

/// Keeps the store's health fresh while nobody uses it, so that `/readyz` and `rotator_store_up` tell the truth and cost the store nothing.
struct StoreProbe: Sendable {
    /// The store that is asked.
    let store: any Store
    /// Told when the store goes and when it comes back.
    let logger: Logger

    /// Asks every five seconds, every second while the store fails, until the task is cancelled.
    func run() async {
        var wasReachable = true
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: wasReachable ? .seconds(5) : .seconds(1))
            if Task.isCancelled { break }
            do throws(StoreError) {
                try await store.ping()
                if !wasReachable { logger.notice("the store is back") }
                wasReachable = true
            } catch {
                if wasReachable { logger.error("the store fails", metadata: ["reason": "\(error)"]) }
                wasReachable = false
            }
        }
    }
}
