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
    case keyBulk(ServiceID)
    case explanation(ServiceID)
    case summary(ServiceID)
    case key(KeyID)
    case keyReset(KeyID)
    case audit

    /// Each route once, under the template by which the OpenAPI document knows it. Numbers are 1.
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
        ("/admin/proxy-configs/{id}/keys/bulk", .keyBulk(ServiceID(1))),
        ("/admin/proxy-configs/{id}/explain", .explanation(ServiceID(1))),
        ("/admin/proxy-configs/{id}/summary", .summary(ServiceID(1))),
        ("/admin/keys/{id}", .key(KeyID(1))),
        ("/admin/keys/{id}/reset", .keyReset(KeyID(1))),
        ("/admin/audit", .audit),
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
        case ("proxy-configs", 1): self = .services
        case ("proxy-configs", 2...):
            guard let id = Self.number(rest[1]).map(ServiceID.init) else { return nil }
            switch rest.dropFirst(2).joined(separator: "/") {
            case "" where rest.count == 2: self = .service(id)
            case "status": self = .serviceStatus(id)
            case "keys": self = .keys(id)
            case "keys/batch": self = .keyBatch(id)
            case "keys/export": self = .keyExport(id)
            case "keys/bulk": self = .keyBulk(id)
            case "explain": self = .explanation(id)
            case "summary": self = .summary(id)
            default: return nil
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
        case .openAPI, .appConfig, .keyExport, .explanation, .summary, .audit: ["GET", "HEAD"]
        case .login, .keyBatch, .keyBulk, .keyReset: ["POST"]
        case .services: ["GET", "HEAD", "POST"]
        case .service: ["GET", "HEAD", "PUT", "PATCH", "DELETE"]
        case .serviceStatus: ["PUT"]
        case .keys: ["GET", "HEAD", "POST", "DELETE"]
        case .key: ["GET", "HEAD", "PATCH", "DELETE"]
        }
    }

    /// Whether the route answers without a token.
    var isOpen: Bool {
        switch self {
        case .openAPI, .login, .appConfig: true
        case .services, .service, .serviceStatus, .keys, .keyBatch, .keyExport, .keyBulk, .explanation, .summary, .key, .keyReset, .audit:
            false
        }
    }

    private static func number(_ segment: Substring) -> Int64? {
        guard let first = segment.utf8.first, 0x31...0x39 ~= first, segment.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        return Int64(segment)
    }
}
