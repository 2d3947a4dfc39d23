// SPDX-License-Identifier: MIT

/// A text that is compared without regard to ASCII case; keeps its octets in lower case, ready to be looked for.
public struct FoldedText: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// Its octets, A–Z turned into a–z.
    let octets: [UInt8]

    /// The text `text`, case aside.
    public init(_ text: String) { octets = text.utf8.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } }

    /// The text with these octets, which are in lower case.
    init(octets: some Sequence<UInt8>) { self.octets = Array(octets) }

    public init(stringLiteral value: String) { self.init(value) }

    /// The text in lower case.
    public var description: String { String(decoding: octets, as: UTF8.self) }
}

// Written out over concrete types: the generic forms of the standard library are not specialised for them across modules.
extension String {
    /// Whether the text is `other`, case aside.
    func equals(_ other: FoldedText) -> Bool {
        guard utf8.count == other.octets.count else { return false }
        return begins(with: other)
    }

    /// Whether the text begins with `other`, case aside.
    func begins(with other: FoldedText) -> Bool {
        var copy = self
        return copy.withUTF8 { unsafe $0.count >= other.octets.count && $0.matches(other.octets, at: 0) }
    }

    /// Whether `other` stands somewhere in the text, case aside.
    func contains(_ other: FoldedText) -> Bool {
        var copy = self
        return copy.withUTF8 { unsafe $0.contains(other.octets) }
    }
}

extension [UInt8] {
    /// Whether `text` stands somewhere in the first `limit` octets, case aside.
    func contains(_ text: FoldedText, inFirst limit: Int = .max) -> Bool {
        unsafe withUnsafeBufferPointer { unsafe UnsafeBufferPointer(rebasing: $0.prefix(limit)).contains(text.octets) }
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Whether the octets from `start` on are `folded`, which is in lower case. There must be enough of them.
    @inline(__always) fileprivate func matches(_ folded: [UInt8], at start: Int) -> Bool {
        var offset = 0
        while offset < folded.count {
            let octet = unsafe self[start + offset]
            if (octet &- 0x41 < 26 ? octet | 0x20 : octet) != folded[offset] { return false }
            offset += 1
        }
        return true
    }

    fileprivate func contains(_ folded: [UInt8]) -> Bool {
        guard let first = folded.first else { return true }
        let last = count - folded.count
        let octets = UnsafeRawBufferPointer(self)
        // Bit 0x20 makes letters lower-case, and other octets look like one here and there: those are compared in vain, no more.
        let pattern = UInt64(first | 0x20) &* Lanes.ones
        var start = 0
        while start <= last {
            if start + 8 <= count {
                let word = unsafe UInt64(littleEndian: octets.loadUnaligned(fromByteOffset: start, as: UInt64.self))
                let hits = Lanes.zeros((word | 0x2020_2020_2020_2020) ^ pattern)
                guard hits != 0 else {
                    start += 8
                    continue
                }
                start += hits.trailingZeroBitCount / 8
                guard start <= last else { return false }
            }
            if unsafe matches(folded, at: start) { return true }
            start += 1
        }
        return false
    }
}
