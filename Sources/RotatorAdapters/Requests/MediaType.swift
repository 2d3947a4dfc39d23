// SPDX-License-Identifier: MIT

internal import RotatorCore

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
        var value = contentType
        self = value.withUTF8 { octets in
            var end = 0
            while end < octets.count, unsafe octets[end] != 0x3B { end += 1 }
            var start = 0
            while start < end, unsafe octets[start] == 0x20 || octets[start] == 0x09 { start += 1 }
            var last = end
            while last > start, unsafe octets[last - 1] == 0x20 || octets[last - 1] == 0x09 { last -= 1 }
            let essence = unsafe octets[start..<last]
            if unsafe essence.isEmpty || essence.elementsEqual(ignoringASCIICase: "application/json".utf8) { return .json }
            if unsafe essence.suffix(5).elementsEqual(ignoringASCIICase: "+json".utf8) { return .json }
            if unsafe essence.elementsEqual(ignoringASCIICase: "multipart/form-data".utf8) {
                return unsafe FormParts.boundary(in: Array(octets[end...])).map { .form(boundary: $0) } ?? .other
            }
            return .other
        }
    }
}
