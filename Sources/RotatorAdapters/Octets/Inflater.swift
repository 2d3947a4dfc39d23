// SPDX-License-Identifier: MIT

/// Undoes the content codings gzip and deflate of an error body, aside: what is forwarded stays as it came.
enum Inflater {
    /// The most that is inflated of one body.
    static let octetsMax = 256 * 1024

    /// The first octets of what `octets`, whole or cut off, hold under `contentEncoding` (RFC 9110 §8.4.1); nil where the coding is not known
    /// or nothing can be read.
    static func decode(_ octets: [UInt8], contentEncoding: String?) -> [UInt8]? {
        var coding: String?
        for part in (contentEncoding ?? "").split(separator: ",") {
            let name = part.lowercased().filter { $0 != " " && $0 != "\t" }
            if name.isEmpty || name == "identity" { continue }
            // Two codings on one body do not occur in practice.
            if coding != nil { return nil }
            coding = name
        }
        switch coding {
        case nil: return octets
        case "gzip", "x-gzip": return inflate(octets, .gzip)
        case "deflate": return inflate(octets, .deflate)
        default: return nil
        }
    }

    private static func inflate(_ octets: [UInt8], _ coding: InflateStream.Coding) -> [UInt8]? {
        guard var stream = InflateStream(coding) else { return nil }
        var output: [UInt8] = []
        // Cut-off and damaged input: what came before counts.
        unsafe stream.feed(octets.span.bytes) { piece in
            output.append(contentsOf: piece.copy(0..<min(piece.byteCount, octetsMax - output.count)))
            return output.count < octetsMax
        }
        return output.isEmpty ? nil : output
    }
}
