// SPDX-License-Identifier: MIT

internal import Synchronization

/// The key with the fewest attempts under way; among equals the one that was used least recently. O(log K) under its own lock.
public final class LeastInFlight: RotationStrategy {
    private struct Load: Comparable, Sendable {
        var inFlight: Int
        /// Which grant of the strategy was the key's last; 0 = none.
        var lastGrant: Int

        static func < (lhs: Load, rhs: Load) -> Bool { (lhs.inFlight, lhs.lastGrant) < (rhs.inFlight, rhs.lastGrant) }
    }

    private struct State: Sendable {
        var heap = PositionHeap<Load>()
        /// The last grant of each position, kept when it leaves.
        var lastGrants: [Int] = []
        var grantCount = 0
    }

    private let state: Mutex<State>

    /// No key used yet.
    public init() { state = Mutex(State()) }

    private init(_ present: State) { state = Mutex(present) }

    public var observesInFlight: Bool { true }

    public func next(among candidates: borrowing Candidates) -> Int? {
        state.withLock { state in
            var aside: [(position: Int, load: Load)] = []
            defer { for (position, load) in aside { state.heap.set(position, to: load) } }
            while let (position, load) = state.heap.first {
                if candidates.contains(position) {
                    state.grantCount += 1
                    state.lastGrants[position] = state.grantCount
                    // Counted at once, so that the next choice sees it before the pool tells.
                    state.heap.set(position, to: Load(inFlight: load.inFlight + 1, lastGrant: state.grantCount))
                    return position
                }
                state.heap.remove(position)
                aside.append((position, load))
            }
            return nil
        }
    }

    public func copy() -> LeastInFlight { LeastInFlight(state.withLock { $0 }) }

    public func candidateJoined(_ position: Int, weight: Int, inFlight: Int) {
        state.withLock { state in
            if position >= state.lastGrants.count {
                state.lastGrants.append(contentsOf: repeatElement(0, count: position + 1 - state.lastGrants.count))
            }
            state.heap.set(position, to: Load(inFlight: inFlight, lastGrant: state.lastGrants[position]))
        }
    }

    public func candidateLeft(_ position: Int) {
        state.withLock { $0.heap.remove(position) }
    }

    public func candidate(_ position: Int, hasInFlight count: Int) {
        state.withLock { state in
            guard state.heap.contains(position) else { return }
            state.heap.set(position, to: Load(inFlight: count, lastGrant: state.lastGrants[position]))
        }
    }
}

extension RotationStrategy where Self == LeastInFlight {
    /// The key with the fewest attempts under way.
    public static var leastInFlight: LeastInFlight { LeastInFlight() }
}
