// SPDX-License-Identifier: MIT

internal import RotatorCore

/// An error of the admin API, in the shape of RFC 9457.
struct AdminProblem: Error, Sendable, Hashable {
    /// The stable words that clients can act on. The OpenAPI document lists them.
    enum Code: String, Sendable, Hashable, CaseIterable {
        case invalidJSON = "invalid_json"
        case unknownMember = "unknown_member"
        case missingMember = "missing_member"
        case invalidMember = "invalid_member"
        case invalidParameter = "invalid_parameter"
        case invalidBody = "invalid_body"
        case invalidPassphrase = "invalid_passphrase"
        case wrongPassphrase = "wrong_passphrase"
        case invalidCredentials = "invalid_credentials"
        case invalidToken = "invalid_token"
        case routeNotFound = "route_not_found"
        case serviceNotFound = "service_not_found"
        case keyNotFound = "key_not_found"
        case clientNotFound = "client_not_found"
        case requestNotFound = "request_not_found"
        case jobNotFound = "job_not_found"
        case webhookNotFound = "webhook_not_found"
        case methodNotAllowed = "method_not_allowed"
        case duplicateSlug = "duplicate_slug"
        case duplicateKey = "duplicate_key"
        case duplicateName = "duplicate_name"
        case jobRunning = "job_running"
        case jobEnded = "job_ended"
        case tooManyJobs = "too_many_jobs"
        case tooManyWebhooks = "too_many_webhooks"
        case bodyTooLarge = "body_too_large"
        case tooManyAttempts = "too_many_attempts"
        case storeUnavailable = "store_unavailable"
        case tooManyListeners = "too_many_listeners"
        case internalError = "internal_error"

        var status: Int {
            switch self {
            case .invalidJSON, .unknownMember, .missingMember, .invalidMember, .invalidParameter, .invalidBody, .invalidPassphrase, .wrongPassphrase: 400
            case .invalidCredentials, .invalidToken: 401
            case .routeNotFound, .serviceNotFound, .keyNotFound, .clientNotFound, .requestNotFound, .jobNotFound, .webhookNotFound: 404
            case .methodNotAllowed: 405
            case .duplicateSlug, .duplicateKey, .duplicateName, .jobRunning, .jobEnded, .tooManyJobs, .tooManyWebhooks: 409
            case .bodyTooLarge: 413
            case .tooManyAttempts: 429
            case .storeUnavailable, .tooManyListeners: 503
            case .internalError: 500
            }
        }
    }

    var code: Code
    var detail: String
    var fields: [HeaderField] = []

    /// The answer that says so.
    var response: LocalResponse {
        var json = JSONWriter()
        json.openObject()
        json.member("type", "about:blank")
        json.member("title", title)
        json.member("status", code.status)
        json.member("detail", detail)
        json.member("code", code.rawValue)
        json.closeObject()
        return LocalResponse(
            status: code.status, fields: HeaderFields([HeaderField("Content-Type", "application/problem+json")] + fields), body: json.octets)
    }

    // RFC 9457 §4.2.1: with `about:blank`, the title is the status' own phrase.
    private var title: String {
        switch code.status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 429: "Too Many Requests"
        case 503: "Service Unavailable"
        default: "Internal Server Error"
        }
    }
}

extension AdminProblem {
    static func invalidJSON(_ detail: String) -> AdminProblem { AdminProblem(code: .invalidJSON, detail: detail) }
    static func unknownMember(_ detail: String) -> AdminProblem { AdminProblem(code: .unknownMember, detail: detail) }
    static func missingMember(_ name: String) -> AdminProblem { AdminProblem(code: .missingMember, detail: "“\(name)” is required.") }
    static func invalidMember(_ name: String, _ reason: String) -> AdminProblem {
        AdminProblem(code: .invalidMember, detail: "“\(name)” \(reason).")
    }
    static func invalidParameter(_ name: String, _ reason: String) -> AdminProblem {
        AdminProblem(code: .invalidParameter, detail: "The query parameter “\(name)” \(reason).")
    }
    static func invalidCredential(_ code: Code, _ detail: String) -> AdminProblem {
        AdminProblem(code: code, detail: detail, fields: [HeaderField("WWW-Authenticate", "Bearer")])
    }
    static func storeUnavailable(_ detail: String) -> AdminProblem {
        AdminProblem(code: .storeUnavailable, detail: detail, fields: [HeaderField("Retry-After", "1")])
    }

    /// What an error of the administration means to a client of the API.
    init(_ error: AdministrationError) {
        switch error {
        case .invalid(let member, let reason): self = .invalidMember(member, reason)
        case .serviceNotFound(let id): self.init(code: .serviceNotFound, detail: "There is no service \(id).")
        case .keyNotFound(let id): self.init(code: .keyNotFound, detail: "There is no key \(id).")
        case .clientNotFound(let id): self.init(code: .clientNotFound, detail: "There is no client key \(id).")
        case .clientNameTaken(let name): self.init(code: .duplicateName, detail: "Another client key has the name “\(name)”.")
        case .webhookNotFound(let id): self.init(code: .webhookNotFound, detail: "There is no webhook \(id).")
        case .webhookNameTaken(let name): self.init(code: .duplicateName, detail: "Another webhook has the name “\(name)”.")
        case .tooManyWebhooks(let limit): self.init(code: .tooManyWebhooks, detail: "There are \(limit) webhooks already; more are not kept.")
        case .slugTaken(let slug): self.init(code: .duplicateSlug, detail: "Another service has the slug “\(slug)”.")
        case .keyExists: self.init(code: .duplicateKey, detail: "The service has a key with this value already.")
        case .busy: self = .storeUnavailable("Too many changes wait for their turn. Try again in a moment.")
        case .store(let error):
            switch error.code {
            case .unavailable, .locked: self = .storeUnavailable("The store cannot be reached now; nothing was changed. Try again in a moment.")
            case .notWritable: self = .storeUnavailable("The store cannot be written; nothing was changed. Look at its disk and permissions.")
            case .conflict, .notFound: self = .storeUnavailable("The store changed at the same time; nothing was changed here. Try again.")
            case .wrongEncryptionKey, .damaged, .misconfigured:
                self = .storeUnavailable("The store cannot be read with the present configuration. The server's log says why.")
            }
        }
    }
}
