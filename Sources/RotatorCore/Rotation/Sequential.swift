// SPDX-License-Identifier: MIT

/// Stays on one key until it rests, then goes on to the next.
public struct Sequential: RotationStrategy {
    /// Stays on one key until it rests.
    public init() {}

    public func next(among candidates: borrowing Candidates) -> Int? {
        while true {
            let cursor = candidates.cursor
            guard let present = candidates.first(from: cursor, includingTried: true) else { return nil }
            // A key that this request has tried but that is still fit stays the one for everybody else.
            if present == cursor || candidates.moveCursor(from: cursor, to: present) { return candidates.first(from: present) }
        }
    }

    public func copy() -> Sequential { self }
}

extension RotationStrategy where Self == Sequential {
    /// Stays on one key until it rests.
    public static var sequential: Sequential { Sequential() }
}
