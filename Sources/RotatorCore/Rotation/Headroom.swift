// SPDX-License-Identifier: MIT

internal import Synchronization

/// The key of which the greatest part of its quota is left, as far as the provider and the key's own limits tell; where nothing is known it counts as
/// whole. Among equals the one that was used least recently. O(log K) under its own lock.
///
/// A key has one headroom, the least over the models that its provider told of lately. A grant counts at once, before the pool tells what it made of
/// it, so a burst spreads although no answer has come.
public final class Headroom: RotationStrategy {
    private struct Rank: Comparable, Sendable {
        var headroom: KeyHeadroom
        /// Which grant of the strategy was the key's last; 0 = none.
        var lastGrant: Int

        static func < (lhs: Rank, rhs: Rank) -> Bool {
            if lhs.headroom < rhs.headroom { return false }
            return rhs.headroom < lhs.headroom || lhs.lastGrant < rhs.lastGrant
        }

        static func == (lhs: Rank, rhs: Rank) -> Bool { !(lhs < rhs) && !(rhs < lhs) }
    }

    private struct State: Sendable {
        var heap = PositionHeap<Rank>()
        /// The last grant of each position, kept when it leaves.
        var lastGrants: [Int] = []
        /// What was told of positions that are not whole.
        var headrooms: [Int: KeyHeadroom] = [:]
        var grantCount = 0

        func rank(of position: Int) -> Rank { Rank(headroom: headrooms[position] ?? .full, lastGrant: lastGrants[position]) }

        mutating func next(among candidates: borrowing Candidates) -> Int? {
            var aside: [(position: Int, rank: Rank)] = []
            defer { for (position, rank) in aside { heap.set(position, to: rank) } }
            while let (position, rank) = heap.first {
                if candidates.contains(position) {
                    grant(position, rank: rank)
                    return position
                }
                heap.remove(position)
                aside.append((position, rank))
            }
            return nil
        }

        private mutating func grant(_ position: Int, rank: Rank) {
            grantCount += 1
            lastGrants[position] = grantCount
            var headroom = rank.headroom
            headroom.share = max(0, headroom.share - headroom.grantShare)
            if headroom != .full { headrooms[position] = headroom }
            heap.set(position, to: Rank(headroom: headroom, lastGrant: grantCount))
        }
    }

    private let state: Mutex<State>

    /// Every key whole.
    public init() { state = Mutex(State()) }

    private init(_ present: State) { state = Mutex(present) }

    public var observesHeadroom: Bool { true }

    public func next(among candidates: borrowing Candidates) -> Int? { state.withLock { $0.next(among: candidates) } }

    public func copy() -> Headroom { Headroom(state.withLock { $0 }) }

    public func candidateJoined(_ position: Int, weight: Int, inFlight: Int) {
        state.withLock { state in
            if position >= state.lastGrants.count {
                state.lastGrants.append(contentsOf: repeatElement(0, count: position + 1 - state.lastGrants.count))
            }
            state.heap.set(position, to: state.rank(of: position))
        }
    }

    public func candidateLeft(_ position: Int) {
        state.withLock { $0.heap.remove(position) }
    }

    public func candidate(_ position: Int, hasHeadroom headroom: KeyHeadroom) {
        state.withLock { state in
            state.headrooms[position] = headroom == .full ? nil : headroom
            if state.heap.contains(position) { state.heap.set(position, to: state.rank(of: position)) }
        }
    }
}

extension RotationStrategy where Self == Headroom {
    /// The key with the most quota left.
    public static var headroom: Headroom { Headroom() }
}
