// SPDX-License-Identifier: MIT

internal import Glibc
internal import RotatorCore

/// Octets that somebody else owns, valid during the call they are handed to and no longer.
///
/// The one place where a foreign pointer is read: every access is checked against the bounds, so that no text a peer sends can reach
/// beyond them.
@safe struct ByteView {
    let base: UnsafePointer<UInt8>
    let count: Int

    @inline(__always) init(_ base: UnsafePointer<UInt8>, count: Int) {
        unsafe self.base = unsafe base
        self.count = count
    }

    @inline(__always) init(_ base: UnsafeMutableRawPointer, count: Int) {
        unsafe self.base = UnsafePointer(base.assumingMemoryBound(to: UInt8.self))
        self.count = count
    }

    @inline(__always) init(_ buffer: UnsafeRawBufferPointer) {
        if let address = buffer.baseAddress, buffer.count > 0 {
            unsafe self.base = address.assumingMemoryBound(to: UInt8.self)
        } else {
            unsafe self.base = ByteView.nothing
        }
        self.count = buffer.count
    }

    // An address for views of no octets; never read.
    private nonisolated(unsafe) static let nothing: UnsafePointer<UInt8> = unsafe UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

    static var empty: ByteView { unsafe ByteView(nothing, count: 0) }

    var isEmpty: Bool { count == 0 }

    @inline(__always) subscript(index: Int) -> UInt8 {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "octet outside its view")
        return unsafe base[index]
    }

    @inline(__always) subscript(range: Range<Int>) -> ByteView {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "octets outside their view")
        return unsafe ByteView(base + range.lowerBound, count: range.count)
    }

    @inline(__always) func dropFirst(_ number: Int) -> ByteView { self[number..<count] }

    /// The octets as a buffer, valid as long as the view.
    var raw: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }

    /// The index of the first `octet` at or after `start`; nil when there is none.
    @inline(__always) func firstIndex(of octet: UInt8, from start: Int = 0) -> Int? {
        guard start < count else { return nil }
        precondition(start >= 0)
        guard let found = unsafe memchr(base + start, Int32(octet), count - start) else { return nil }
        return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    /// Whether the octets equal `text`'s without regard to ASCII case. `text` is in lower case.
    @inline(__always) func equals(lowercase text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let other = unsafe text.utf8Start
        for index in 0..<count where unsafe base[index].lowercasedASCII != other[index] { return false }
        return true
    }

    /// Whether the octets equal `text`'s.
    @inline(__always) func equals(_ text: StaticString) -> Bool {
        unsafe count == text.utf8CodeUnitCount && memcmp(base, text.utf8Start, count) == 0
    }

    /// Whether the octets begin with `text`'s.
    @inline(__always) func hasPrefix(_ text: StaticString) -> Bool {
        unsafe count >= text.utf8CodeUnitCount && memcmp(base, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    /// Whether both views hold the same octets.
    func equals(_ other: ByteView) -> Bool { unsafe count == other.count && memcmp(base, other.base, count) == 0 }

    /// Whether both views hold the same octets, A–Z and a–z being equal.
    func equalsIgnoringCase(_ other: ByteView) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where unsafe base[index].lowercasedASCII != other.base[index].lowercasedASCII { return false }
        return true
    }

    /// How many octets at and after `start` belong to a token (RFC 9110 §5.6.2).
    ///
    /// Eight at a time as long as they are letters, digits and hyphens, of which nearly every name is made.
    @inline(__always) func tokenCount(from start: Int = 0) -> Int {
        precondition(start >= 0 && start <= count)
        var index = start
        while index + 8 <= count {
            let word = unsafe UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self).littleEndian
            let strangers = ByteView.strangers(toNamesIn: word)
            if strangers == 0 {
                index += 8
                continue
            }
            index += strangers.trailingZeroBitCount / 8
            if unsafe !isToken(base[index]) { return index - start }
            index += 1
        }
        while index < count, unsafe isToken(base[index]) { index += 1 }
        return index - start
    }

    /// The highest bit of each octet that is neither letter nor digit nor hyphen.
    @inline(__always) private static func strangers(toNamesIn word: UInt64) -> UInt64 {
        let highest: UInt64 = 0x8080_8080_8080_8080
        // With the highest bits cleared, no sum carries into the next octet.
        let plain = word & ~highest
        let lower = plain | 0x2020_2020_2020_2020
        @inline(__always) func atLeast(_ octet: UInt64, _ octets: UInt64) -> UInt64 { octets &+ (0x80 - octet) &* 0x0101_0101_0101_0101 }
        let letters = atLeast(0x61, lower) & ~atLeast(0x7B, lower)
        let digits = atLeast(0x30, plain) & ~atLeast(0x3A, plain)
        let hyphens = atLeast(0x2D, plain) & ~atLeast(0x2E, plain)
        return (~(letters | digits | hyphens) | word) & highest
    }

    /// Whether all octets are `field-vchar`, SP or HTAB (RFC 9110 §5.5); eight at a time.
    @inline(__always) var isFieldValue: Bool {
        var index = 0
        while index < count {
            if index + 8 > count {
                if count < 8 { break }
                // The last octets are looked at together with some before them once more.
                index = count - 8
            }
            let word = unsafe UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
            // Octets below 0x20 and octets 0x7F, each told by its highest bit; a borrow from one octet into the next can only tell too many.
            let delete = word ^ 0x7F7F_7F7F_7F7F_7F7F
            let suspects = ((word &- 0x2020_2020_2020_2020) & ~word | (delete &- 0x0101_0101_0101_0101) & ~delete) & 0x8080_8080_8080_8080
            if suspects != 0 {
                for offset in index..<(index + 8) where unsafe !isFieldText(base[offset]) { return false }
            }
            index += 8
        }
        while index < count {
            if unsafe !isFieldText(base[index]) { return false }
            index += 1
        }
        return true
    }

    /// The octets as text, repaired where they are not UTF-8.
    var string: String { unsafe String(decoding: UnsafeBufferPointer(start: base, count: count), as: UTF8.self) }

    /// A copy of the octets.
    var array: [UInt8] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }
}
