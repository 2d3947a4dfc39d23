// SPDX-License-Identifier: MIT

/// What the result of one attempt says about the key that was spent and the upstream that was asked.
///
/// Adapters say it; the pool and the exchange act on it.
public enum AttemptOutcome: Sendable, Hashable {
    /// The key works: 2xx, 3xx, and client errors that are no fault of the key.
    case success
    /// The key is over a limit: 429, or a 503 or 529 that says when to come back. `until` is the provider's own time, nil when it gave none.
    case rateLimited(until: Moment?, reason: String, scope: RestScope = .usual)
    /// The key is out of money or quota for long. `until` is the provider's own time, nil when it gave none.
    case exhausted(until: Moment?, reason: String, scope: RestScope = .usual)
    /// The provider does not accept the key: 401 and its like, 403 on generic services.
    case keyRejected(reason: String)
    /// The key may not do this: 403 on llm services.
    case forbidden(reason: String)
    /// The provider's or the network's fault: 500, 502, 503, 504, 529, connect error, timeout before the first byte, cut before the head.
    case upstreamFailed(reason: String)
    /// Nothing was learned: the client left, or the process is going down.
    case abandoned
}

/// What rests because of one answer.
public enum RestScope: String, Sendable, Hashable, CaseIterable {
    /// Over a limit: the model where one can be read, on llm; else the key. Out of money: the key. Where the key's quota group is known, the same for
    /// every key of the group.
    case usual
    /// The key alone, for every model.
    case key
    /// The key alone, for the request's model.
    case model
    /// Every key of the quota group, for the request's model where the key is over a limit and one can be read.
    case group
}

/// How an attempt ended when no usable response head came.
public enum NoAnswer: Sendable, Hashable {
    /// No connection was made (name, TCP, TLS, outbound proxy): nothing was sent.
    case notConnected
    /// Nothing, or not a whole head, came within the first-byte timeout.
    case timedOut
    /// The connection ended before the head was whole.
    case cut
    /// What came is not valid HTTP.
    case invalid
}
