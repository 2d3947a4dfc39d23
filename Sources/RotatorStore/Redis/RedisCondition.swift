// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What is known of a Redis server, for all sessions of a store and for whoever asks from outside. Any thread; never waits.
final class RedisCondition: Sendable {
    private struct Content {
        var health = StoreHealth.reachable
        var outage: StoreError?
        var recoveries = 0
        var isClosing = false
    }

    private let content = OutOfLineMutex(Content())

    /// How the last call ended, or the outage that was noticed since.
    var health: StoreHealth { content.withLock { $0.health } }

    /// Why the server is taken to be away; nil while it is not. As long as it is, no call waits for it.
    var outage: StoreError? { content.withLock { $0.outage } }

    /// How often the server has come back.
    var recoveries: Int { content.withLock { $0.recoveries } }

    /// Whether the store is being closed, so that nothing is to be begun.
    var isClosing: Bool { content.withLock { $0.isClosing } }

    /// A call has ended, well or with `error`.
    func callEnded(_ error: StoreError?) {
        content.withLock { content in
            // A call that went well says nothing against an outage which was noticed since: its answer was on the way before.
            if error != nil || content.outage == nil { content.health = StoreHealth(after: error) }
        }
    }

    /// The server does not answer.
    func serverIsAway(_ error: StoreError) {
        content.withLock { content in
            content.outage = error
            content.health = .failing(error)
        }
    }

    /// The server answers, though it may answer that it does not hold what it should.
    func serverIsThere(refusing error: StoreError? = nil) {
        content.withLock { content in
            guard content.outage != nil else { return }
            content.outage = nil
            content.recoveries += 1
            content.health = StoreHealth(after: error)
        }
    }

    /// The store is being closed.
    func close() { content.withLock { $0.isClosing = true } }

    /// The store is closed.
    func hasClosed() { content.withLock { $0.health = .failing(StoreError(.unavailable, "the store is closed")) } }
}
