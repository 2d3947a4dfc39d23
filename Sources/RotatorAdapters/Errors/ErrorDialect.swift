// SPDX-License-Identifier: MIT

public import RotatorCore

/// The shape in which one of the rotator's own errors goes out, so that the SDK in use parses it.
public enum ErrorDialect: Sendable, Hashable, CaseIterable {
    /// `{"error":{"message","type","param","code"}}` (developers.openai.com/docs/guides/error-codes).
    case openAI
    /// `{"type":"error","error":{"type","message"}}` (docs.anthropic.com/en/api/errors).
    case anthropic
    /// `{"error":{"code","message","status"}}` (google.rpc.Status as JSON, cloud.google.com/apis/design/errors).
    case gemini
    /// `application/problem+json` (RFC 9457) with our code as the extension member `code`.
    case problem

    /// `error` in this shape.
    ///
    /// Our code stands in a member of its own where the dialect has one to spare, else at the beginning of the message: SDKs choose their
    /// exception classes by status and type, which stay the provider's.
    public func body(for error: ProxyError) -> ErrorBody {
        let status = error.code.status
        let code = error.code.rawValue
        var text = JSONText()
        switch self {
        case .openAI:
            text.object {
                $0.name("error")
                $0.object {
                    $0.member("message", error.message)
                    $0.member("type", ErrorDialect.openAIType(status))
                    $0.null("param")
                    $0.member("code", code)
                }
            }
        case .anthropic:
            text.object {
                $0.member("type", "error")
                $0.name("error")
                $0.object {
                    $0.member("type", ErrorDialect.anthropicType(status))
                    $0.member("message", "\(code): \(error.message)")
                }
            }
        case .gemini:
            text.object {
                $0.name("error")
                $0.object {
                    $0.member("code", status)
                    $0.member("message", "\(code): \(error.message)")
                    $0.member("status", ErrorDialect.googleStatus(status))
                }
            }
        case .problem:
            text.object {
                // RFC 9457 §4.2.1: about:blank says that the status is all there is to know of the type; the title is then its phrase.
                $0.member("type", "about:blank")
                $0.member("title", ErrorDialect.phrase(status))
                $0.member("status", status)
                $0.member("detail", error.message)
                $0.member("code", code)
            }
        }
        return ErrorBody(contentType: self == .problem ? "application/problem+json" : "application/json", octets: text.octets)
    }

    private static func openAIType(_ status: Int) -> String {
        switch status {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 429: "rate_limit_error"
        case ..<500: "invalid_request_error"
        default: "server_error"
        }
    }

    /// The literals of anthropic-sdk-python's `types/shared/*_error.py`.
    private static func anthropicType(_ status: Int) -> String {
        switch status {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case ..<500: "invalid_request_error"
        case 503, 529: "overloaded_error"
        case 504: "timeout_error"
        default: "api_error"
        }
    }

    /// The names of google.rpc.Code by their HTTP mapping (googleapis/googleapis google/rpc/code.proto).
    private static func googleStatus(_ status: Int) -> String {
        switch status {
        case 401: "UNAUTHENTICATED"
        case 403: "PERMISSION_DENIED"
        case 404: "NOT_FOUND"
        case 429: "RESOURCE_EXHAUSTED"
        case 408, 504: "DEADLINE_EXCEEDED"
        case ..<500: "INVALID_ARGUMENT"
        case 501, 505: "UNIMPLEMENTED"
        case 502, 503: "UNAVAILABLE"
        default: "INTERNAL"
        }
    }

    /// The reason phrases of RFC 9110 §15, RFC 6585 for 429 and 431.
    private static func phrase(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 417: "Expectation Failed"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Internal Server Error"
        }
    }
}
