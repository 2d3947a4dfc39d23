// SPDX-License-Identifier: MIT

/// A point in time, in nanoseconds since 1970-01-01T00:00:00Z.
///
/// Core reads no clock: whoever calls it hands a `Moment` in. A process derives its moments from the wall clock at
/// start plus the monotonic clock since, so they never run backwards and can be shown to people as they are.
public struct Moment: Sendable, Hashable, Comparable {
    /// Nanoseconds since the Unix epoch.
    public var nanoseconds: Int64

    /// The moment that lies `nanoseconds` after the Unix epoch.
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The moment that lies `milliseconds` after the Unix epoch.
    public init(milliseconds: Int64) { self.nanoseconds = milliseconds &* 1_000_000 }

    /// The moment that lies `seconds` after the Unix epoch.
    public init(seconds: Int64) { self.nanoseconds = seconds &* 1_000_000_000 }

    /// Whole milliseconds since the Unix epoch, rounded down.
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// Later than every other moment: "never by itself".
    public static let distantFuture = Moment(nanoseconds: .max)

    /// Earlier than every moment that a clock gives.
    public static let distantPast = Moment(nanoseconds: 0)

    public static func < (lhs: Moment, rhs: Moment) -> Bool { lhs.nanoseconds < rhs.nanoseconds }

    /// The moment `duration` later; stops at ``distantFuture`` instead of overflowing.
    public static func + (lhs: Moment, duration: Duration) -> Moment {
        let (sum, overflow) = lhs.nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
        return overflow ? .distantFuture : Moment(nanoseconds: sum)
    }

    /// The moment `nanoseconds` later, for spans that were taken apart beforehand. Must not overflow.
    @inlinable public func advanced(byNanoseconds nanoseconds: Int64) -> Moment { Moment(nanoseconds: self.nanoseconds &+ nanoseconds) }

    /// The time from `rhs` to `lhs`; negative when `rhs` is later.
    public static func - (lhs: Moment, rhs: Moment) -> Duration {
        .nanoseconds(lhs.nanoseconds.subtractingReportingOverflow(rhs.nanoseconds).partialValue)
    }
}

extension Duration {
    /// The duration in nanoseconds, clamped to what an `Int64` holds (292 years).
    public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }
}
