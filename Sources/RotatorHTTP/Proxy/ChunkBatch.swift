// SPDX-License-Identifier: MIT

internal import Glibc

/// The runs of a chunked body that one read brought, pushed together where they lie and framed as one chunk, so that they leave in one call.
///
/// Works inside a reactor's scratch memory, whose margins leave room for the frame (``Reactor/scratchMargin``).
@safe struct ChunkBatch {
    private var start: UnsafeMutableRawPointer?
    private var count = 0

    var isEmpty: Bool { count == 0 }

    /// Adds a run, which lies in the scratch memory behind all that were added before.
    @inline(__always) mutating func add(_ run: ByteView) {
        let address = unsafe UnsafeMutableRawPointer(mutating: run.base)
        if let start = unsafe start {
            unsafe memmove(start + count, address, run.count)
        } else {
            unsafe start = address
        }
        count += run.count
    }

    /// What was added, in one piece; valid until the scratch memory is used again.
    var octets: ByteView {
        guard let start = unsafe start else { return ByteView.empty }
        return unsafe ByteView(start, count: count)
    }

    /// The framed chunk, with the last chunk behind it where `isLast`; valid until the scratch memory is used again. Leaves the batch empty.
    @inline(__always) mutating func take(isLast: Bool) -> ByteView {
        guard let start = unsafe start, count > 0 else { return ByteView.empty }
        // 65,536 octets are 0x10000: at most five digits and CRLF before them, at most seven octets behind.
        var head = unsafe start - 2
        unsafe head.storeBytes(of: 0x0D, as: UInt8.self)
        unsafe head.storeBytes(of: 0x0A, toByteOffset: 1, as: UInt8.self)
        var rest = count
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            unsafe head -= 1
            unsafe head.storeBytes(of: digit < 10 ? 0x30 + digit : 0x57 + digit, as: UInt8.self)
            rest >>= 4
        } while rest > 0
        let tail: StaticString = isLast ? "\r\n0\r\n\r\n" : "\r\n"
        unsafe memcpy(start + count, tail.utf8Start, tail.utf8CodeUnitCount)
        let framed = unsafe ByteView(head, count: start - head + count + tail.utf8CodeUnitCount)
        unsafe self.start = nil
        count = 0
        return framed
    }
}
