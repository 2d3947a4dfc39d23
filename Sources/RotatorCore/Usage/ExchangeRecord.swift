// SPDX-License-Identifier: MIT

/// What is remembered of one proxied request: never a body, a query, or a credential.
public struct ExchangeRecord: Sendable, Hashable {
    /// How the exchange ended, as the client saw it.
    public enum Ending: String, Sendable, Hashable, CaseIterable {
        /// The whole answer went out, be it an error.
        case complete
        /// The client went away before it had the whole answer.
        case clientLeft = "client_left"
        /// The upstream broke off in the body, and so did we.
        case upstreamBrokeOff = "upstream_broke_off"
    }

    /// What `x-rotator-request-id` said.
    public var requestID: String
    /// When the request's head was whole.
    public var startedAt: Moment
    /// The service; nil where none was found.
    public var service: ServiceID?
    /// The slug as the service had it; empty where none was found.
    public var slug: String
    /// The client's name; empty where nobody was recognised.
    public var client: String
    /// The client's number; nil for keys from the environment.
    public var clientID: ClientID?
    /// The model that was asked for; nil where none could be read.
    public var model: String?
    /// The request's method.
    public var method: String
    /// The status that went to the client; 499 where it left before one did.
    public var status: Int
    /// Our own error's code; nil where an upstream's answer was passed on.
    public var errorCode: ProxyError.Code?
    /// Whether the answer was a stream.
    public var isStream: Bool
    /// How it ended.
    public var ending: Ending
    /// From the request's head to the end of the answer, in nanoseconds.
    public var duration: Int64
    /// From the request's head to the first octet of the answer, in nanoseconds; nil where none went out.
    public var firstByte: Int64?
    /// What was tried, in order; at most ``attemptsMax`` of them.
    public var attempts: [AttemptRecord]
    /// How many attempts there were in all.
    public var attemptCount: Int
    /// Tokens as the provider counted them, as far as the answer came; nil: unknown.
    public var usage: TokenUsage?

    /// More attempts than these are counted and not kept one by one.
    public static let attemptsMax = 16

    /// A record of an exchange that has begun.
    public init(requestID: String, startedAt: Moment, slug: String, method: String) {
        self.requestID = requestID
        self.startedAt = startedAt
        self.slug = slug
        self.method = method
        client = ""
        status = 0
        isStream = false
        ending = .complete
        duration = 0
        attempts = []
        attemptCount = 0
    }

    /// A whole record, made in place: not inlined, it would be made elsewhere and copied.
    @inlinable package init(
        requestID: String, startedAt: Moment, service: ServiceID?, slug: String, client: String, clientID: ClientID?, model: String?, method: String, status: Int,
        errorCode: ProxyError.Code?, isStream: Bool, ending: Ending, duration: Int64, firstByte: Int64?, attempts: [AttemptRecord], attemptCount: Int, usage: TokenUsage?
    ) {
        self.requestID = requestID
        self.startedAt = startedAt
        self.service = service
        self.slug = slug
        self.client = client
        self.clientID = clientID
        self.model = model
        self.method = method
        self.status = status
        self.errorCode = errorCode
        self.isStream = isStream
        self.ending = ending
        self.duration = duration
        self.firstByte = firstByte
        self.attempts = attempts
        self.attemptCount = attemptCount
        self.usage = usage
    }

    /// Whether it counts as failed: what the client got was an error that is not of its own making, or broke off.
    public var isFailure: Bool { Self.isFailure(status: status, ending: ending, errorCode: errorCode) }

    package static func isFailure(status: Int, ending: Ending, errorCode: ProxyError.Code?) -> Bool {
        // A client that is over a limit of its own was served as it should be.
        if errorCode == .clientRateLimited { return false }
        return status >= 500 || status == 429 || ending == .upstreamBrokeOff || errorCode == .noAvailableKey
    }
}

/// One attempt of an exchange.
public struct AttemptRecord: Sendable, Hashable {
    /// The key that was spent.
    public var key: KeyID
    /// The upstream's status; nil where no answer came.
    public var status: Int?
    /// What it meant: `success`, `rate_limited`, `exhausted`, `key_rejected`, `forbidden`, `upstream_failed`, `abandoned`.
    public var verdict: String
    /// Why, in a stable word; empty for successes.
    public var reason: String
    /// From the request's head to the attempt's beginning, in nanoseconds.
    public var began: Int64
    /// How long until it was judged, in nanoseconds.
    public var duration: Int64

    /// One attempt.
    public init(key: KeyID, status: Int?, verdict: String, reason: String, began: Int64, duration: Int64) {
        self.key = key
        self.status = status
        self.verdict = verdict
        self.reason = reason
        self.began = began
        self.duration = duration
    }
}
