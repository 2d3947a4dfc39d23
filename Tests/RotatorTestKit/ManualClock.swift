// SPDX-License-Identifier: MIT

public import RotatorCore

/// A clock that moves only when a test says so.
public struct ManualClock: Sendable {
    /// The present moment.
    public private(set) var now: Moment

    /// A clock that stands at `start`.
    public init(start: Moment = Moment(seconds: 1_800_000_000)) { now = start }

    /// Moves the clock on.
    public mutating func advance(by duration: Duration) { now = now + duration }
}
