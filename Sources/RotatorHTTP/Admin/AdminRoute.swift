// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What a path of the admin API names.
enum AdminRoute: Hashable {
    case openAPI
    case login
    case appConfig
    case services
    case service(ServiceID)
    case serviceStatus(ServiceID)
    case keys(ServiceID)
    case keyBatch(ServiceID)
    case keyExport(ServiceID)
    case rules(ServiceID)
    case formatRules(APIFormat)
    case rulesExplanation
    case keyBulk(ServiceID)
    case explanation(ServiceID)
    case summary(ServiceID)
    case key(KeyID)
    case keyReset(KeyID)
    case clients
    case client(ClientID)
    case webhooks
    case webhook(WebhookID)
    case webhookTest(WebhookID)
    case webhookDeliveries(WebhookID)
    case audit
    case stats
    case exchanges
    /// All exchanges under one request id.
    case exchange(String)
    case events
    case keyValidation(ServiceID)
    case jobs
    case job(Int64)
    case jobCall(Int64, JobCall)

    /// What can be done with a job.
    enum JobCall: String, Hashable, CaseIterable {
        case cancel
        case deleteRejected = "delete-rejected"
        case retest
    }
    case catalogueExport
    case catalogueImport

    /// Each route once, under the template by which the OpenAPI document knows it. Numbers are 1, the format is `generic`.
    static let all: [(template: String, route: AdminRoute)] = [
        ("/openapi.json", .openAPI),
        ("/admin/login", .login),
        ("/admin/app-config", .appConfig),
        ("/admin/proxy-configs", .services),
        ("/admin/proxy-configs/{id}", .service(ServiceID(1))),
        ("/admin/proxy-configs/{id}/status", .serviceStatus(ServiceID(1))),
        ("/admin/proxy-configs/{id}/keys", .keys(ServiceID(1))),
        ("/admin/proxy-configs/{id}/keys/batch", .keyBatch(ServiceID(1))),
        ("/admin/proxy-configs/{id}/keys/export", .keyExport(ServiceID(1))),
        ("/admin/proxy-configs/{id}/rules", .rules(ServiceID(1))),
        ("/admin/rules/{api_format}", .formatRules(.generic)),
        ("/admin/rules/explain", .rulesExplanation),
        ("/admin/proxy-configs/{id}/keys/bulk", .keyBulk(ServiceID(1))),
        ("/admin/proxy-configs/{id}/explain", .explanation(ServiceID(1))),
        ("/admin/proxy-configs/{id}/summary", .summary(ServiceID(1))),
        ("/admin/keys/{id}", .key(KeyID(1))),
        ("/admin/keys/{id}/reset", .keyReset(KeyID(1))),
        ("/admin/client-keys", .clients),
        ("/admin/client-keys/{id}", .client(ClientID(1))),
        ("/admin/webhooks", .webhooks),
        ("/admin/webhooks/{id}", .webhook(WebhookID(1))),
        ("/admin/webhooks/{id}/test", .webhookTest(WebhookID(1))),
        ("/admin/webhooks/{id}/deliveries", .webhookDeliveries(WebhookID(1))),
        ("/admin/audit", .audit),
        ("/admin/stats", .stats),
        ("/admin/requests", .exchanges),
        ("/admin/requests/{id}", .exchange("1")),
        ("/admin/events", .events),
        ("/admin/proxy-configs/{id}/keys/validate", .keyValidation(ServiceID(1))),
        ("/admin/jobs", .jobs),
        ("/admin/jobs/{id}", .job(1)),
        ("/admin/jobs/{id}/cancel", .jobCall(1, .cancel)),
        ("/admin/jobs/{id}/delete-rejected", .jobCall(1, .deleteRejected)),
        ("/admin/jobs/{id}/retest", .jobCall(1, .retest)),
        ("/admin/export", .catalogueExport),
        ("/admin/import", .catalogueImport),
    ]

    /// The route of `path`; nil where there is none. Ids are positive integers without sign or leading zeros.
    init?(path: String) {
        if path == "/openapi.json" {
            self = .openAPI
            return
        }
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard segments.first == "admin" else { return nil }
        let rest = Array(segments.dropFirst())
        switch (rest.first, rest.count) {
        case ("login", 1): self = .login
        case ("app-config", 1): self = .appConfig
        case ("audit", 1): self = .audit
        case ("export", 1): self = .catalogueExport
        case ("import", 1): self = .catalogueImport
        case ("client-keys", 1): self = .clients
        case ("client-keys", 2):
            guard let id = Self.number(rest[1]).map(ClientID.init) else { return nil }
            self = .client(id)
        case ("stats", 1): self = .stats
        case ("events", 1): self = .events
        case ("requests", 1): self = .exchanges
        case ("requests", 2):
            guard let id = AdminQuery.decoded(rest[1], plusIsSpace: false), !id.isEmpty, id.utf8.count <= 256 else { return nil }
            self = .exchange(id)
        case ("webhooks", 1): self = .webhooks
        case ("webhooks", 2...):
            guard let id = Self.number(rest[1]).map(WebhookID.init) else { return nil }
            switch rest.dropFirst(2).joined(separator: "/") {
            case "" where rest.count == 2: self = .webhook(id)
            case "test": self = .webhookTest(id)
            case "deliveries": self = .webhookDeliveries(id)
            default: return nil
            }
        case ("proxy-configs", 1): self = .services
        case ("proxy-configs", 2...):
            guard let id = Self.number(rest[1]).map(ServiceID.init) else { return nil }
            switch rest.dropFirst(2).joined(separator: "/") {
            case "" where rest.count == 2: self = .service(id)
            case "status": self = .serviceStatus(id)
            case "keys": self = .keys(id)
            case "keys/batch": self = .keyBatch(id)
            case "keys/export": self = .keyExport(id)
            case "keys/validate": self = .keyValidation(id)
            case "rules": self = .rules(id)
            case "keys/bulk": self = .keyBulk(id)
            case "explain": self = .explanation(id)
            case "summary": self = .summary(id)
            default: return nil
            }
        case ("rules", 2) where rest[1] == "explain": self = .rulesExplanation
        case ("rules", 2):
            guard let format = APIFormat(rawValue: String(rest[1])) else { return nil }
            self = .formatRules(format)
        case ("jobs", 1): self = .jobs
        case ("jobs", 2...3):
            guard let id = Self.number(rest[1]) else { return nil }
            if rest.count == 2 {
                self = .job(id)
            } else {
                guard let call = JobCall(rawValue: String(rest[2])) else { return nil }
                self = .jobCall(id, call)
            }
        case ("keys", 2...):
            guard let id = Self.number(rest[1]).map({ KeyID($0) }) else { return nil }
            switch rest.dropFirst(2).joined(separator: "/") {
            case "" where rest.count == 2: self = .key(id)
            case "reset": self = .keyReset(id)
            default: return nil
            }
        default: return nil
        }
    }

    /// The methods that the route takes; HEAD goes with GET.
    var methods: [String] {
        switch self {
        case .openAPI, .appConfig, .keyExport, .explanation, .summary, .formatRules, .audit, .stats, .exchanges, .exchange, .events, .jobs, .job,
            .webhookDeliveries, .catalogueExport: ["GET", "HEAD"]
        case .login, .keyBatch, .keyBulk, .keyReset, .rulesExplanation, .keyValidation, .jobCall, .webhookTest, .catalogueImport: ["POST"]
        case .services, .clients, .webhooks: ["GET", "HEAD", "POST"]
        case .service: ["GET", "HEAD", "PUT", "PATCH", "DELETE"]
        case .serviceStatus: ["PUT"]
        case .rules: ["GET", "HEAD", "PUT", "DELETE"]
        case .keys: ["GET", "HEAD", "POST", "DELETE"]
        case .key, .client, .webhook: ["GET", "HEAD", "PATCH", "DELETE"]
        }
    }

    /// Whether the route answers without a token.
    var isOpen: Bool {
        switch self {
        case .openAPI, .login, .appConfig: true
        case .services, .service, .serviceStatus, .keys, .keyBatch, .keyExport, .key, .keyReset, .audit: false
        case .keyBulk, .explanation, .summary: false
        case .rules, .formatRules, .rulesExplanation: false
        case .clients, .client: false
        case .stats, .exchanges, .exchange, .events: false
        case .keyValidation, .jobs, .job, .jobCall: false
        case .webhooks, .webhook, .webhookTest, .webhookDeliveries: false
        case .catalogueExport, .catalogueImport: false
        }
    }

    private static func number(_ segment: Substring) -> Int64? {
        guard let first = segment.utf8.first, 0x31...0x39 ~= first, segment.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        return Int64(segment)
    }
}
