// SPDX-License-Identifier: MIT

/// Decides when somebody is told of something that lasts: once when it begins, and not again before it has ended.
///
/// Somebody who was told of the same thing a moment ago is told when the interval is over, if it still lasts then: so what comes and goes does not
/// ring each time, and what stays is never kept from anybody.
public struct ConditionWatch: Sendable, Hashable {
    /// What there is to tell.
    public enum News: Sendable, Hashable {
        /// It lasts, and that is to be told now.
        case began
        /// It was told, and is over.
        case ended
    }

    private enum State: Hashable {
        /// It does not last, or nobody has been told yet. Moves to `told` when it lasts and may be told.
        case untold
        /// It was told. Moves to `untold` when it is over.
        case told
    }

    private var state = State.untold
    private var lastTold: Moment?

    /// Nothing was told yet.
    public init() {}

    /// Somebody has looked. `interval` is how long the same is not told again.
    public mutating func looked(isStanding: Bool, interval: Duration, at now: Moment) -> News? {
        switch (state, isStanding) {
        case (.untold, true):
            if let lastTold, now < lastTold + interval { return nil }
            state = .told
            lastTold = now
            return .began
        case (.told, false):
            state = .untold
            return .ended
        case (.untold, false), (.told, true):
            return nil
        }
    }
}

/// Tells an outage from a blip: what has failed for five seconds on end.
public struct OutageWatch: Sendable, Hashable {
    /// What lasts shorter than this is no outage.
    public static let patience = Duration.seconds(5)

    private var failingSince: Moment?
    private var isDown = false

    /// Everything is well.
    public init() {}

    /// Somebody has looked. Since when the outage lasts, or lasted when it is over with this look; nil where there is none.
    public mutating func looked(isReachable: Bool, at now: Moment) -> (isDown: Bool, since: Moment)? {
        guard !isReachable else {
            defer { (failingSince, isDown) = (nil, false) }
            return isDown ? failingSince.map { (false, $0) } : nil
        }
        let since = failingSince ?? now
        failingSince = since
        isDown = isDown || now - since >= Self.patience
        return isDown ? (true, since) : nil
    }
}
