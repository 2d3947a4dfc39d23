// SPDX-License-Identifier: MIT

internal import Synchronization

/// Any key, each with the same probability. O(1) under its own lock.
public final class RandomChoice: RotationStrategy {
    private struct State: Sendable {
        var generator: SplitMix64
        /// The candidates without gaps.
        var positions: [Int] = []
        /// Where each position stands in `positions`; -1 = not a candidate.
        var places: [Int32] = []
    }

    private static let drawsMax = 32

    private let state: Mutex<State>

    /// Draws that follow from `seed` alone.
    public init(seed: UInt64) { state = Mutex(State(generator: SplitMix64(seed: seed))) }

    private init(_ present: State) { state = Mutex(present) }

    public func next(among candidates: borrowing Candidates) -> Int? {
        state.withLock { state in
            guard !state.positions.isEmpty else { return nil }
            // Only the few keys that this request has tried are drawn in vain.
            for _ in 0..<Self.drawsMax {
                let position = state.positions[Int.random(in: 0..<state.positions.count, using: &state.generator)]
                if candidates.contains(position) { return position }
            }
            return candidates.first(from: state.positions[Int.random(in: 0..<state.positions.count, using: &state.generator)])
        }
    }

    public func copy() -> RandomChoice {
        RandomChoice(
            state.withLock { state in
                var copy = state
                copy.generator = SplitMix64(seed: state.generator.next())
                return copy
            })
    }

    public func candidateJoined(_ position: Int, weight: Int, inFlight: Int) {
        state.withLock { state in
            if position >= state.places.count {
                state.places.append(contentsOf: repeatElement(-1, count: max(position + 1, state.places.count * 2) - state.places.count))
            }
            guard state.places[position] < 0 else { return }
            state.places[position] = Int32(truncatingIfNeeded: state.positions.count)
            state.positions.append(position)
        }
    }

    public func candidateLeft(_ position: Int) {
        state.withLock { state in
            guard position < state.places.count, state.places[position] >= 0 else { return }
            let place = Int(state.places[position])
            state.places[position] = -1
            let last = state.positions.removeLast()
            if place < state.positions.count {
                state.positions[place] = last
                state.places[last] = Int32(truncatingIfNeeded: place)
            }
        }
    }
}

extension RotationStrategy where Self == RandomChoice {
    /// Any key, each with the same probability.
    public static func random(seed: UInt64) -> RandomChoice { RandomChoice(seed: seed) }
}
