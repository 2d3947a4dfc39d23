// SPDX-License-Identifier: MIT

/// What `GET /openapi.json` answers: the admin API as OpenAPI 3.1.
///
/// Written by hand, as the text that goes out but for what ``refusals(_:)`` stands for: a reader of the source sees what a reader of the API sees. A test
/// holds it equal to the routes.
enum OpenAPIDocument {
    /// The document for a server of this version.
    static func octets(version: String) -> [UInt8] {
        var json = JSONWriter()
        json.write(version)
        return Array("{\"openapi\":\"3.1.0\",\"info\":{\"version\":".utf8) + json.octets + [UInt8(ascii: ",")]
            + Array(information.utf8) + Array(",\"paths\":".utf8) + Array(paths.utf8)
            + Array(",\"components\":".utf8) + Array(components.utf8) + [UInt8(ascii: "}")]
    }

    /// The refusals that an operation may answer, as members of its `responses`: each status means the same everywhere.
    static func refusals(_ statuses: Int...) -> String {
        statuses.map { "\"\($0)\": { \"$ref\": \"#/components/responses/\(refusal($0))\" }" }.joined(separator: ", ")
    }

    /// The component that says what a status means.
    private static func refusal(_ status: Int) -> String {
        switch status {
        case 400: "BadRequest"
        case 401: "Unauthorized"
        case 404: "NotFound"
        case 405: "MethodNotAllowed"
        case 409: "Conflict"
        case 413: "ContentTooLarge"
        case 429: "TooManyRequests"
        case 503: "ServiceUnavailable"
        default: preconditionFailure("no refusal of every route: \(status)")
        }
    }

    private static let information = #"""
        "title": "API Key Rotator",
          "summary": "Administration of services and their pools of keys",
          "license": { "name": "MIT", "identifier": "MIT" }
        },
        "servers": [{ "url": "/" }],
        "security": [{ "adminToken": [] }],
        "tags": [
          { "name": "session", "description": "Login and what the console needs first" },
          { "name": "services", "description": "Upstreams under their slugs" },
          { "name": "keys", "description": "The pool of a service" },
          { "name": "transfer", "description": "The whole catalogue as one document" },
          { "name": "clients", "description": "Proxy keys that are made here" },
          { "name": "rules", "description": "What upstream answers mean" },
          { "name": "jobs", "description": "What takes longer than a request" },
          { "name": "alerts", "description": "Webhooks that are told what somebody has to look at" },
          { "name": "history", "description": "What was counted, requested and changed" },
          { "name": "description", "description": "This document" }
        ]
        """#
}
