// SPDX-License-Identifier: MIT

// The one place where octets are loaded. Every load is checked against the span's bounds, so a slip in a parser stops the process
// instead of reading a neighbour's memory.
extension RawSpan {
    /// The octet at `index`.
    @inline(__always) func octet(_ index: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self) }

    /// The eight octets from `index` on, the first one lowest.
    @inline(__always) func word(_ index: Int) -> UInt64 {
        unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
    }

    /// The octets of `range` read as UTF-8, with repairs.
    func text(_ range: Range<Int>) -> String {
        unsafe extracting(range).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// A copy of the octets of `range`.
    func copy(_ range: Range<Int>) -> [UInt8] {
        unsafe extracting(range).withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// Whether the octets of `range` are those of `text`.
    @inline(__always) func equals(_ text: StaticString, in range: Range<Int>) -> Bool {
        let count = text.utf8CodeUnitCount
        guard range.upperBound - range.lowerBound == count else { return false }
        var offset = 0
        while offset < count {
            if unsafe octet(range.lowerBound + offset) != text.utf8Start[offset] { return false }
            offset += 1
        }
        return true
    }

    /// Whether the octets from `index` on begin with `text`.
    func begins(_ text: StaticString, at index: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        return index >= 0 && index <= byteCount - count && equals(text, in: index..<index + count)
    }

    /// The first place at or after `index`, and before `end`, where `octet` stands.
    func first(_ octet: UInt8, from index: Int, to end: Int) -> Int? {
        var index = index
        let pattern = UInt64(octet) &* Lanes.ones
        while index + 8 <= end {
            let hits = Lanes.zeros(word(index) ^ pattern)
            if hits != 0 { return index + hits.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < end {
            if self.octet(index) == octet { return index }
            index += 1
        }
        return nil
    }
}

/// Eight octets looked at as one word (the classic zero-in-word test; see Hacker's Delight §6–1).
enum Lanes {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highs: UInt64 = 0x8080_8080_8080_8080

    /// Non-zero where `word` holds a zero octet. The lowest set bit is exact; higher ones may be echoes of a lower hit.
    @inline(__always) static func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highs }

    /// Non-zero where `word` holds `first` or `second`; the lowest set bit is exact.
    @inline(__always) static func hits(_ word: UInt64, _ first: UInt8, _ second: UInt8) -> UInt64 {
        zeros(word ^ UInt64(first) &* ones) | zeros(word ^ UInt64(second) &* ones)
    }
}
