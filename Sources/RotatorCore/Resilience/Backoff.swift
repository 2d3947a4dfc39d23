// SPDX-License-Identifier: MIT

/// A delay that doubles with each rest in a row, up to a limit.
public struct Backoff: Sendable, Hashable {
    /// The delay at level 1.
    public let first: Duration
    /// The longest delay.
    public let limit: Duration

    /// A delay that starts at `first` and doubles up to `limit`.
    public init(first: Duration, limit: Duration) {
        self.first = first
        self.limit = limit
    }

    /// The delay of the `level`-th rest in a row; levels below 1 count as 1.
    public func delay(level: Int) -> Duration {
        var delay = first
        var level = level
        while level > 1, delay < limit {
            delay *= 2
            level -= 1
        }
        return min(delay, limit)
    }

    /// 429 without a time of the provider's own: 1 s to 60 s.
    public static let rateLimit = Backoff(first: .seconds(1), limit: .seconds(60))
    /// Out of quota without a time of the provider's own: 1 h to 24 h.
    public static let exhaustion = Backoff(first: .seconds(3600), limit: .seconds(86_400))
    /// A key that the provider does not accept: 30 s to 1 h.
    public static let rejection = Backoff(first: .seconds(30), limit: .seconds(3600))
    /// A key that may not do this: 60 s to 1 h.
    public static let forbidden = Backoff(first: .seconds(60), limit: .seconds(3600))
    /// A key whose attempts keep failing by the provider's fault: 5 s to 60 s.
    public static let circuit = Backoff(first: .seconds(5), limit: .seconds(60))
}
