// SPDX-License-Identifier: MIT

/// An error that the rotator itself answers with; never carries a credential.
public struct ProxyError: Error, Sendable, Hashable {
    /// What happened: the stable word that clients see.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case invalidProxyKey = "invalid_proxy_key"
        case notAllowed = "not_allowed"
        case serviceNotFound = "service_not_found"
        case methodNotAllowed = "method_not_allowed"
        case invalidPath = "invalid_path"
        case bodyTooLarge = "body_too_large"
        case clientRateLimited = "client_rate_limited"
        case noKeys = "no_keys"
        case noAvailableKey = "no_available_key"
        case upstreamUnreachable = "upstream_unreachable"
        case upstreamInvalidResponse = "upstream_invalid_response"
        case upstreamTimeout = "upstream_timeout"
        case shuttingDown = "shutting_down"
        case storeUnavailable = "store_unavailable"
        case badRequest = "bad_request"
        case requestTimeout = "request_timeout"
        case uriTooLong = "uri_too_long"
        case fieldsTooLarge = "fields_too_large"
        case notImplemented = "not_implemented"
        case versionNotSupported = "version_not_supported"
        case expectationFailed = "expectation_failed"
        case notFound = "not_found"
        case internalError = "internal_error"

        /// The status code that goes with it.
        public var status: Int {
            switch self {
            case .invalidProxyKey: 401
            case .notAllowed: 403
            case .serviceNotFound, .notFound: 404
            case .methodNotAllowed: 405
            case .invalidPath, .badRequest: 400
            case .bodyTooLarge: 413
            case .clientRateLimited: 429
            case .noKeys, .noAvailableKey, .shuttingDown, .storeUnavailable: 503
            case .upstreamUnreachable, .upstreamInvalidResponse: 502
            case .upstreamTimeout: 504
            case .requestTimeout: 408
            case .uriTooLong: 414
            case .fieldsTooLarge: 431
            case .notImplemented: 501
            case .versionNotSupported: 505
            case .expectationFailed: 417
            case .internalError: 500
            }
        }
    }

    /// What happened.
    public var code: Code
    /// What happened, what was tried and what to do, for people.
    public var message: String
    /// When it is worth coming back; goes out as `Retry-After`, rounded up to whole seconds.
    public var retryAfter: Duration?

    /// An error with its words.
    public init(_ code: Code, _ message: String, retryAfter: Duration? = nil) {
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
    }
}
