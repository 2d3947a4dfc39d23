// SPDX-License-Identifier: MIT

/// Each key in its turn, in the order of positions.
///
/// Exact without a lock: the cursor moves by compare-and-swap from one candidate to the next, so the grants of all threads together are one
/// walk round the circle, and a key that is skipped hands its turn to nobody. Replicas that share the rotation walk it in stretches.
public struct RoundRobin: RotationStrategy {
    /// Each key in its turn.
    public init() {}

    public func next(among candidates: borrowing Candidates) -> Int? {
        while true {
            let cursor = candidates.cursor
            guard let chosen = candidates.first(from: cursor + 1) else { return nil }
            if candidates.moveCursor(from: cursor, to: chosen) { return chosen }
        }
    }

    public func copy() -> RoundRobin { self }

    public var followsTurns: Bool { true }
}

extension RotationStrategy where Self == RoundRobin {
    /// Each key in its turn.
    public static var roundRobin: RoundRobin { RoundRobin() }
}
