// SPDX-License-Identifier: MIT

internal import Glibc

/// Octets on their way: appended at the end, consumed at the front. Confined to one reactor.
@safe final class ByteBuffer {
    /// The size in which pooled buffers come: a usual head and a short body.
    static let pooledCapacity = 8192

    private var base: UnsafeMutableRawPointer
    private(set) var capacity: Int
    private var start = 0
    private var end = 0
    // The furthest that octets reached since the last erasure.
    private var reach = 0

    init(capacity: Int = ByteBuffer.pooledCapacity) {
        self.capacity = capacity
        unsafe base = unsafe malloc(capacity)
    }

    deinit { unsafe free(base) }

    /// How many octets are held.
    @inline(__always) var count: Int { end - start }
    @inline(__always) var isEmpty: Bool { end == start }

    /// The held octets, valid until the next change.
    @inline(__always) var view: ByteView { unsafe ByteView(base + start, count: end - start) }

    /// Forgets all octets; keeps the memory.
    @inline(__always) func removeAll() {
        if end > reach { reach = end }
        start = 0
        end = 0
    }

    /// Forgets the first `number` octets.
    @inline(__always) func consume(_ number: Int) {
        precondition(number <= count)
        start += number
        if start == end { removeAll() }
    }

    /// Forgets the last `number` octets.
    func removeLast(_ number: Int) {
        precondition(number <= count)
        end -= number
    }

    /// Makes room for `number` more octets.
    @inline(__always) func reserve(_ number: Int) {
        if capacity - end < number { makeRoom(number) }
    }

    @inline(never) private func makeRoom(_ number: Int) {
        if start > 0 {
            if end > reach { reach = end }
            unsafe memmove(base, base + start, end - start)
            end -= start
            start = 0
        }
        reach = max(reach, end)
        guard capacity - end < number else { return }
        var wanted = capacity
        while wanted - end < number { wanted *= 2 }
        // Not realloc: what is left behind may hold a credential.
        let larger: UnsafeMutableRawPointer = unsafe malloc(wanted)
        unsafe memcpy(larger, base, end)
        unsafe explicit_bzero(base, max(reach, end))
        unsafe free(base)
        unsafe base = larger
        capacity = wanted
    }

    @inline(__always) func append(_ bytes: ByteView) {
        reserve(bytes.count)
        unsafe memcpy(base + end, bytes.base, bytes.count)
        end += bytes.count
    }

    @inline(__always) func append(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        reserve(length)
        unsafe memcpy(base + end, text.utf8Start, length)
        end += length
    }

    @inline(__always) func append(_ octet: UInt8) {
        reserve(1)
        unsafe base.storeBytes(of: octet, toByteOffset: end, as: UInt8.self)
        end += 1
    }

    func append(_ octets: [UInt8]) {
        unsafe octets.withUnsafeBytes { unsafe append(ByteView($0)) }
    }

    /// Appends text that is not known at compile time. Under a label, lest literals, which prefer `String`, come this way.
    func append(text: String) {
        var text = text
        text.withUTF8 { unsafe append(ByteView(UnsafeRawBufferPointer($0))) }
    }

    /// Appends `number` in decimal digits.
    func append(decimal number: Int) {
        reserve(20)
        if number < 0 {
            append(UInt8(ascii: "-"))
        }
        var rest = number.magnitude
        var digits = 1
        var power: UInt = 10
        while digits < 20, rest >= power {
            digits += 1
            let (next, overflow) = power.multipliedReportingOverflow(by: 10)
            if overflow { break }
            power = next
        }
        reserve(digits)
        var index = digits
        while index > 0 {
            index -= 1
            unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + rest % 10), toByteOffset: end + index, as: UInt8.self)
            rest /= 10
        }
        end += digits
    }

    /// Appends `number` in lower-case hexadecimal digits.
    func append(hexadecimal number: Int) {
        var shift = number == 0 ? 0 : (63 - number.leadingZeroBitCount) / 4 * 4
        reserve(16)
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: (number >> shift) & 15)
            append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            shift -= 4
        }
    }

    /// Takes out the octets of `range`, counted from the first held one.
    func remove(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        unsafe memmove(base + start + range.lowerBound, base + start + range.upperBound, count - range.upperBound)
        end -= range.count
    }

    /// Puts `octets` in the place of `range`, counted from the first held octet.
    func replace(_ range: Range<Int>, with octets: [UInt8]) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        let tail = count - range.upperBound
        if octets.count > range.count { reserve(octets.count - range.count) }
        let place = start + range.lowerBound
        unsafe memmove(base + place + octets.count, base + start + range.upperBound, tail)
        unsafe octets.withUnsafeBytes { source in
            if let address = source.baseAddress { unsafe memcpy(base + place, address, source.count) }
        }
        end += octets.count - range.count
    }

    /// Appends the octets of a span.
    func append(_ span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe append(ByteView($0)) }
    }

    /// Overwrites what was held, for buffers that carried a credential.
    func erase() {
        unsafe explicit_bzero(base, max(reach, end))
        reach = 0
        start = 0
        end = 0
    }
}

/// Spare buffers of one reactor, so that a request costs no allocation. Buffers that grew are freed, not kept.
final class BufferPool {
    private var spare: [ByteBuffer] = []
    private let limit = 256

    func take() -> ByteBuffer { spare.popLast() ?? ByteBuffer() }

    func give(_ buffer: consuming ByteBuffer) {
        guard spare.count < limit, buffer.capacity == ByteBuffer.pooledCapacity else { return }
        buffer.removeAll()
        spare.append(buffer)
    }
}
