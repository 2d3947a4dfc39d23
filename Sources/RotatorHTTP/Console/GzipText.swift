// SPDX-License-Identifier: MIT

internal import CZlib

/// Texts in the gzip format (RFC 1952), as small as zlib makes them: for what is compressed once and sent often.
enum GzipText {
    /// Any thread; takes its time.
    static func compressed(_ octets: [UInt8]) -> [UInt8] {
        var stream = unsafe z_stream()
        // 15 bits of window, and 16 for gzip's frame in place of zlib's.
        let isReady = unsafe deflateInit2_(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        precondition(isReady == Z_OK, "zlib takes these parameters")
        defer { unsafe deflateEnd(&stream) }
        let bound = unsafe Int(deflateBound(&stream, uLong(octets.count)))
        return unsafe [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            let status = unsafe octets.withUnsafeBufferPointer { input in
                // zlib reads from here and never writes.
                unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                unsafe stream.avail_in = uInt(input.count)
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = uInt(bound)
                return unsafe deflate(&stream, Z_FINISH)
            }
            precondition(status == Z_STREAM_END, "the bound is large enough")
            count = unsafe bound - Int(stream.avail_out)
        }
    }
}
