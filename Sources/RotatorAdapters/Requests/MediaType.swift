// SPDX-License-Identifier: MIT

/// What a request body is, as far as facts can be read from it.
enum MediaType {
    /// `application/json`, a `+json` suffix (RFC 6839 §3.1), or no media type at all: then the body shows whether it is JSON.
    case json
    /// `multipart/form-data` with its boundary (RFC 7578 §4.1).
    case form(boundary: [UInt8])
    case other

    /// The type that a `Content-Type` value names (RFC 9110 §8.3).
    init(_ contentType: String?) {
        guard let contentType else {
            self = .json
            return
        }
        // What nearly every request says.
        if contentType == "application/json" {
            self = .json
            return
        }
        let essence = String(contentType.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" })
        if essence.isEmpty || essence.equals("application/json") || String(essence.suffix(5)).equals("+json") {
            self = .json
        } else if essence.equals("multipart/form-data"), let boundary = FormParts.boundary(in: Array(contentType.utf8.drop { $0 != 0x3B })) {
            self = .form(boundary: boundary)
        } else {
            self = .other
        }
    }
}
