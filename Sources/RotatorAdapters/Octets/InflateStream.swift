// SPDX-License-Identifier: MIT

internal import CZlib

/// Undoes gzip or deflate of a body that comes in pieces (RFC 1952, RFC 1950). Owns a `z_stream`; keeps zlib's window and nothing of what comes out.
///
/// Stops for good at damage, and where so little becomes so much that only a bomb can be meant: CPU has a bound as memory has.
@safe struct InflateStream: ~Copyable {
    enum Coding {
        case gzip, deflate
    }

    /// What may come out of nothing, and for each octet that goes in.
    private static let allowance = 4 << 20
    private static let ratioMax = 256
    private static let chunkOctets = 16 * 1024

    // zlib keeps the stream's address and refuses one that moved, so it lives on the heap.
    private let stream: UnsafeMutablePointer<z_stream>
    private var allowed = InflateStream.allowance
    /// Nothing more will come out: enough was asked for, or the octets are damaged or a bomb.
    private(set) var isOver = false
    /// Deflate: whether the zlib format or raw DEFLATE comes is not known yet.
    private var isUndecided: Bool
    /// The first octet, while the second has not come.
    private var first: UInt8?

    /// Nil where zlib has no memory. The corresponding C function is `inflateInit2`.
    init?(_ coding: Coding) {
        unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        isUndecided = coding == .deflate
        guard unsafe inflateInit2_(stream, coding == .gzip ? 15 + 16 : 15, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            unsafe stream.deallocate()
            return nil
        }
    }

    deinit {
        _ = unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Takes the next octets and hands on, in pieces, what they hold, until `emit` says that it has enough.
    mutating func feed(_ octets: RawSpan, emit: (RawSpan) -> Bool) {
        guard !isOver, octets.byteCount > 0 else { return }
        if isUndecided {
            guard let first = first ?? (octets.byteCount >= 2 ? octets.octet(0) : nil) else {
                self.first = octets.octet(0)
                return
            }
            isUndecided = false
            let second = octets.octet(self.first == nil ? 1 : 0)
            // RFC 1950 §2.2. Some servers send raw DEFLATE (RFC 1951) where the zlib format is meant.
            if first & 0x0F != 8 || (Int(first) << 8 | Int(second)) % 31 != 0 { _ = unsafe inflateReset2(stream, -15) }
            if self.first != nil {
                let octets = [first]
                unsafe octets.withUnsafeBytes { unsafe inflate($0, emit) }
            }
        }
        unsafe octets.withUnsafeBytes { unsafe inflate($0, emit) }
    }

    /// The corresponding C function is `inflate`.
    private mutating func inflate(_ input: UnsafeRawBufferPointer, _ emit: (RawSpan) -> Bool) {
        let (sum, isFull) = allowed.addingReportingOverflow(input.count.multipliedReportingOverflow(by: InflateStream.ratioMax).partialValue)
        allowed = isFull ? .max : sum
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        unsafe stream.pointee.avail_in = UInt32(clamping: input.count)
        unsafe withUnsafeTemporaryAllocation(byteCount: InflateStream.chunkOctets, alignment: 1) { chunk in
            while !isOver {
                unsafe stream.pointee.next_out = chunk.bindMemory(to: UInt8.self).baseAddress
                unsafe stream.pointee.avail_out = UInt32(chunk.count)
                let status = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                let produced = unsafe chunk.count - Int(stream.pointee.avail_out)
                if produced > 0, unsafe !emit(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: chunk[..<produced]))) { isOver = true }
                allowed -= produced
                switch status {
                case Z_OK: if allowed < 0 { isOver = true }
                // RFC 1952 §2.2: another member may follow.
                case Z_STREAM_END: if unsafe inflateReset(stream) != Z_OK { isOver = true }
                // No input is left.
                case Z_BUF_ERROR: return
                default: isOver = true
                }
                if unsafe stream.pointee.avail_in == 0, unsafe stream.pointee.avail_out > 0 { return }
            }
        }
    }
}
