// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Lets one task at a time through, in the order in which they came.
///
/// An actor would not do: it admits the next call at every `await`, and a change must hold its place from the first read to the publication.
final class SerialGate: Sendable {
    /// More tasks wait already than the gate has room for.
    struct Full: Error {}

    private struct State {
        var isTaken = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = OutOfLineMutex(State())
    private let waitingMax: Int

    /// A gate at which at most `waitingMax` tasks queue.
    init(waitingMax: Int) { self.waitingMax = waitingMax }

    /// Returns when the caller is alone; it must call ``leave()`` once.
    func enter() async throws(Full) {
        guard state.withLock({ $0.isTaken && $0.waiting.count >= waitingMax }) == false else { throw Full() }
        await withCheckedContinuation { continuation in
            let mayEnter = state.withLock { state in
                if state.isTaken {
                    // A burst may pass the check above together and overshoot by as many as run at once: the limit guards memory, not a count.
                    state.waiting.append(continuation)
                    return false
                }
                state.isTaken = true
                return true
            }
            if mayEnter { continuation.resume() }
        }
    }

    /// How many wait.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Lets the next one in.
    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            precondition(state.isTaken, "a gate is left once for each time it was entered")
            // The gate stays taken when it passes to the next in line, so that nobody can slip in between.
            if state.waiting.isEmpty {
                state.isTaken = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
