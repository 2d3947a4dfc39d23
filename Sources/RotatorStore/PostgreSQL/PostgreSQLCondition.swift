// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What is known of the server, for all sessions of a store and for whoever asks from outside. Any thread; never waits.
final class PostgreSQLCondition: Sendable {
    private struct Content {
        var health = StoreHealth.reachable
        var outage: StoreError?
        /// Grows each time that the server is back: then no session trusts a connection that it made before.
        var recoveries = 0
        /// Grows with each connection that is made: then no session goes on by a refusal of its own.
        var admissions = 0
        var isCheckWanted = false
        var isClosing = false
        /// What the listening session waits for at present.
        var listenerWait: FirstOutcome<StoreLoop.Readiness>?
        var endsForChecks = false
    }

    private let content = OutOfLineMutex(Content())

    /// How the last call ended, or the outage that was noticed since.
    var health: StoreHealth { content.withLock { $0.health } }

    /// Why the server is taken to be away; nil while it is not. As long as it is, no call waits for it.
    var outage: StoreError? { content.withLock { $0.outage } }

    /// How often the server has come back.
    var recoveries: Int { content.withLock { $0.recoveries } }

    /// How often the server has let a session in.
    var admissions: Int { content.withLock { $0.admissions } }

    /// The server has let a session in.
    func sessionIsAdmitted() { content.withLock { $0.admissions += 1 } }

    /// Whether the store is being closed, so that nothing is to be begun.
    var isClosing: Bool { content.withLock { $0.isClosing } }

    /// A call has ended, well or with `error`.
    func callEnded(_ error: StoreError?) {
        content.withLock { content in
            // A call that went well says nothing against an outage which was noticed since: its answer was on the way before.
            if error != nil || content.outage == nil { content.health = StoreHealth(after: error) }
        }
    }

    /// The server does not answer. Unless the listening session says so itself, it looks for itself at once.
    func serverIsAway(_ error: StoreError, isFromListener: Bool = false) {
        let wait = content.withLock { content -> FirstOutcome<StoreLoop.Readiness>? in
            if content.outage == nil || isFromListener { content.outage = error }
            content.health = .failing(error)
            if isFromListener { return nil }
            content.isCheckWanted = true
            return content.endsForChecks ? content.listenerWait : nil
        }
        wait?.resume([])
    }

    /// The server answers, though it may answer by refusing the listening session.
    func serverIsThere(refusing error: StoreError? = nil) {
        content.withLock { content in
            if let error { content.health = .failing(error) }
            guard content.outage != nil else { return }
            content.outage = nil
            content.recoveries += 1
            if error == nil, case .failing(let last) = content.health, last.code == .unavailable { content.health = .reachable }
        }
    }

    /// The store is being closed: the listening session stops waiting.
    func close() {
        let wait = content.withLock { content in
            content.isClosing = true
            return content.listenerWait
        }
        wait?.resume([])
    }

    /// The store is closed.
    func hasClosed() {
        content.withLock { $0.health = .failing(StoreError(.unavailable, "the store is closed")) }
    }

    /// The listening session begins to wait. What came up before it did ends the wait at once: the closing of the store, or a check where it ends for one.
    func listenerWaits(_ wait: FirstOutcome<StoreLoop.Readiness>, orCheck endsForChecks: Bool) {
        let isOver = content.withLock { content in
            content.listenerWait = wait
            content.endsForChecks = endsForChecks
            return content.isClosing || content.isCheckWanted && endsForChecks
        }
        if isOver { wait.resume([]) }
    }

    /// Whether somebody wants to know if the server still answers; asked once, it is taken to be done.
    func takeCheck() -> Bool {
        content.withLock { content in
            defer { content.isCheckWanted = false }
            return content.isCheckWanted
        }
    }
}
