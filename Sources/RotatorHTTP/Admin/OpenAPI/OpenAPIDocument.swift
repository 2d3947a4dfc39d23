// SPDX-License-Identifier: MIT

/// What `GET /openapi.json` answers.
enum OpenAPIDocument {
    static func octets(version: String) -> [UInt8] { Array("{}".utf8) }
}
