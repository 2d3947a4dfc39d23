// SPDX-License-Identifier: MIT

internal import CZlib

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
        case "gzip", "x-gzip": return inflate(octets, windowBits: 15 + 16)
        // Some servers send raw DEFLATE (RFC 1951) where the zlib format (RFC 1950) is meant.
        case "deflate": return inflate(octets, windowBits: 15) ?? inflate(octets, windowBits: -15)
        default: return nil
        }
    }

    /// The corresponding C functions are `inflateInit2`, `inflate` and `inflateEnd`.
    private static func inflate(_ octets: [UInt8], windowBits: Int32) -> [UInt8]? {
        guard !octets.isEmpty else { return nil }
        // zlib keeps the stream's address and refuses one that moved, so it lives on the heap.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        defer { unsafe stream.deallocate() }
        guard unsafe inflateInit2_(stream, windowBits, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { _ = unsafe inflateEnd(stream) }

        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        var input = octets
        unsafe input.withUnsafeMutableBufferPointer { input in
            unsafe stream.pointee.next_in = input.baseAddress
            unsafe stream.pointee.avail_in = UInt32(input.count)
            while output.count < octetsMax {
                let (status, produced) = unsafe chunk.withUnsafeMutableBufferPointer { chunk in
                    unsafe stream.pointee.next_out = chunk.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(min(chunk.count, octetsMax - output.count))
                    let room = unsafe Int(stream.pointee.avail_out)
                    let status = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                    return unsafe (status, room - Int(stream.pointee.avail_out))
                }
                output.append(contentsOf: chunk[..<produced])
                // Cut-off input ends with Z_BUF_ERROR, damaged input with Z_DATA_ERROR: what came before counts.
                if status != Z_OK || produced == 0 { break }
            }
        }
        return output.isEmpty ? nil : output
    }
}
