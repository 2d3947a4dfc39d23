// SPDX-License-Identifier: MIT

extension RawSpan {
    /// The octets of `range` with each `%XX` (RFC 3986 §2.1) decoded once. A `%` without two digits stays as it is.
    func percentDecoded(_ range: Range<Int>) -> [UInt8] {
        guard first(0x25, from: range.lowerBound, to: range.upperBound) != nil else { return copy(range) }
        var octets: [UInt8] = []
        octets.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let octet = self.octet(index)
            if octet == 0x25, index + 2 < range.upperBound, let high = self.octet(index + 1).hexDigitValue, let low = self.octet(index + 2).hexDigitValue {
                octets.append(high << 4 | low)
                index += 3
            } else {
                octets.append(octet)
                index += 1
            }
        }
        return octets
    }
}

extension UInt8 {
    /// The value of a hexadecimal digit, 0…15; nil for any other octet.
    var hexDigitValue: UInt8? {
        switch self {
        case 0x30...0x39: self &- 0x30
        case 0x41...0x46: self &- 0x37
        case 0x61...0x66: self &- 0x57
        default: nil
        }
    }

    /// Whether the octet is one of 0–9.
    var isDigit: Bool { self &- 0x30 < 10 }
}
