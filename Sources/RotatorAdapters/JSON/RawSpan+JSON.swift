// SPDX-License-Identifier: MIT

/// Why a JSON text could not be read on.
enum JSONFlaw: Error {
    /// The octets end before the value does.
    case cut
    /// The octets are not JSON (RFC 8259).
    case malformed
}

// JSON read where it lies: no tree is built, nothing is decoded but what is asked for, and nesting is counted rather than recursed into.
extension RawSpan {
    /// Where the white space that begins at `index` ends (RFC 8259 §2).
    @inline(__always) func jsonWhiteSpaceEnd(from index: Int) -> Int {
        var index = index
        while index < byteCount {
            switch octet(index) {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return index
            }
        }
        return index
    }

    /// Where the first value begins: after a byte order mark, which RFC 8259 §8.1 lets parsers ignore, and white space.
    func jsonStart() -> Int { jsonWhiteSpaceEnd(from: begins("\u{FEFF}", at: 0) ? 3 : 0) }

    /// The index after the closing quote of the string whose opening quote stands at `open`.
    @inline(__always) func jsonStringEnd(from open: Int) throws(JSONFlaw) -> Int {
        var index = open + 1
        let count = byteCount
        while true {
            // Sixteen at a time: long strings are what request bodies are made of.
            while index + 16 <= count {
                let low = Lanes.hits(word(index), 0x22, 0x5C)
                let high = Lanes.hits(word(index + 8), 0x22, 0x5C)
                if low | high != 0 {
                    index += low != 0 ? low.trailingZeroBitCount / 8 : 8 + high.trailingZeroBitCount / 8
                    break
                }
                index += 16
            }
            guard index < count else { throw .cut }
            switch octet(index) {
            case 0x22: return index + 1
            case 0x5C: index += 2
            default: index += 1
            }
        }
    }

    /// The index after the value that begins at `start`.
    func jsonValueEnd(from start: Int) throws(JSONFlaw) -> Int {
        let count = byteCount
        guard start < count else { throw .cut }
        switch octet(start) {
        case 0x22: return try jsonStringEnd(from: start)
        case 0x7B, 0x5B: return try jsonContainerEnd(from: start)
        case 0x2D, 0x30...0x39, 0x74, 0x66, 0x6E:
            var index = start + 1
            while index < count {
                switch octet(index) {
                case 0x2C, 0x7D, 0x5D, 0x20, 0x0A, 0x0D, 0x09: return index
                case 0x22, 0x5B, 0x7B, 0x3A: throw .malformed
                default: index += 1
                }
            }
            // A number may go on where the octets end, so its end was not seen.
            throw .cut
        default: throw .malformed
        }
    }

    /// The index after the object or array that begins at `start`. Depth is a count, so nesting costs neither stack nor memory.
    private func jsonContainerEnd(from start: Int) throws(JSONFlaw) -> Int {
        let count = byteCount
        var depth = 0
        var index = start
        while index < count {
            switch octet(index) {
            case 0x22: index = try jsonStringEnd(from: index)
            case 0x7B, 0x5B:
                depth += 1
                index += 1
            case 0x7D, 0x5D:
                depth -= 1
                index += 1
                if depth == 0 { return index }
            default:
                index += 1
                // Long runs of numbers (token arrays): on to the next word that holds a quote or a bracket. Bit 0x20 maps `[` on `{` and
                // `]` on `}`; what else it maps on them is looked at again by the switch.
                while index + 8 <= count {
                    let folded = word(index) | 0x2020_2020_2020_2020
                    let hits = Lanes.hits(folded, 0x7B, 0x7D) | Lanes.zeros(folded ^ 0x2222_2222_2222_2222)
                    if hits != 0 {
                        index += hits.trailingZeroBitCount / 8
                        break
                    }
                    index += 8
                }
            }
        }
        throw .cut
    }

    /// The decoded text of the string value in `range`, quotes included; nil where it is no string. An escape that means nothing is the octet
    /// behind its backslash, a lone surrogate becomes U+FFFD.
    func jsonString(_ range: Range<Int>) -> String? {
        guard range.count >= 2, octet(range.lowerBound) == 0x22, octet(range.upperBound - 1) == 0x22 else { return nil }
        let inside = range.lowerBound + 1..<range.upperBound - 1
        guard first(0x5C, from: inside.lowerBound, to: inside.upperBound) != nil else { return text(inside) }
        var octets: [UInt8] = []
        octets.reserveCapacity(inside.count)
        var index = inside.lowerBound
        while index < inside.upperBound {
            guard octet(index) == 0x5C, index + 1 < inside.upperBound else {
                octets.append(octet(index))
                index += 1
                continue
            }
            let escape = octet(index + 1)
            index += 2
            switch escape {
            case 0x62: octets.append(0x08)
            case 0x66: octets.append(0x0C)
            case 0x6E: octets.append(0x0A)
            case 0x72: octets.append(0x0D)
            case 0x74: octets.append(0x09)
            case 0x75:
                let (scalar, end) = jsonUnicodeEscape(digits: index, to: inside.upperBound)
                octets.append(contentsOf: String(scalar).utf8)
                index = end
            default: octets.append(escape)
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }

    /// The scalar that `\u` and the digits at `digits` mean, a surrogate pair taken together (RFC 8259 §7), and where it ends.
    private func jsonUnicodeEscape(digits: Int, to end: Int) -> (scalar: Unicode.Scalar, end: Int) {
        guard let unit = jsonHexUnit(digits, to: end) else { return ("\u{FFFD}", digits) }
        if let scalar = Unicode.Scalar(unit) { return (scalar, digits + 4) }
        let second = digits + 4
        if unit < 0xDC00, second + 1 < end, octet(second) == 0x5C, octet(second + 1) == 0x75, let low = jsonHexUnit(second + 2, to: end), low & 0xFC00 == 0xDC00,
            let scalar = Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF)
        {
            return (scalar, second + 6)
        }
        return ("\u{FFFD}", digits + 4)
    }

    private func jsonHexUnit(_ index: Int, to end: Int) -> UInt32? {
        guard index + 4 <= end else { return nil }
        var unit: UInt32 = 0
        for offset in 0..<4 {
            guard let digit = octet(index + offset).hexDigitValue else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }
}

/// Walks the members of one JSON object, in order, without looking into their values.
struct JSONMembers {
    /// One member of an object.
    struct Member {
        /// Where the comma before it stands; nil for the first.
        var comma: Int?
        /// Its name as it stands between the quotes.
        var name: Range<Int>
        /// Its value, quotes and brackets included.
        var value: Range<Int>
    }

    private var index: Int
    private var isFirst = true
    /// The index after the object's closing brace; nil until ``next(in:)`` has come to it.
    private(set) var end: Int?

    /// The members of the object whose brace stands at `open`.
    init(open: Int) { index = open + 1 }

    /// The members that follow the one whose value ends before `end`.
    init(behind end: Int) {
        index = end
        isFirst = false
    }

    /// The next member of the object in `bytes`; nil after the last.
    @inline(__always) mutating func next(in bytes: RawSpan) throws(JSONFlaw) -> Member? {
        guard let head = try nextHead(in: bytes) else { return nil }
        let end = try bytes.jsonValueEnd(from: head.value)
        valueEnded(at: end)
        return Member(comma: head.comma, name: head.name, value: head.value..<end)
    }

    /// The next member's comma, its name, and where its value begins; nil after the last. ``valueEnded(at:)`` must follow before the next call.
    @inline(__always) mutating func nextHead(in bytes: RawSpan) throws(JSONFlaw) -> (comma: Int?, name: Range<Int>, value: Int)? {
        var cursor = bytes.jsonWhiteSpaceEnd(from: index)
        guard cursor < bytes.byteCount else { throw .cut }
        var comma: Int?
        if bytes.octet(cursor) == 0x7D {
            end = cursor + 1
            return nil
        }
        if !isFirst {
            guard bytes.octet(cursor) == 0x2C else { throw .malformed }
            comma = cursor
            cursor = bytes.jsonWhiteSpaceEnd(from: cursor + 1)
            guard cursor < bytes.byteCount else { throw .cut }
        }
        isFirst = false
        guard bytes.octet(cursor) == 0x22 else { throw .malformed }
        let nameEnd = try bytes.jsonStringEnd(from: cursor)
        let name = cursor + 1..<nameEnd - 1
        cursor = bytes.jsonWhiteSpaceEnd(from: nameEnd)
        guard cursor < bytes.byteCount else { throw .cut }
        guard bytes.octet(cursor) == 0x3A else { throw .malformed }
        return (comma, name, bytes.jsonWhiteSpaceEnd(from: cursor + 1))
    }

    /// Goes on behind the value of the member that ``nextHead(in:)`` gave.
    @inline(__always) mutating func valueEnded(at end: Int) { index = end }
}

/// Walks the elements of one JSON array, in order, without looking into them.
struct JSONElements {
    private var index: Int

    /// The elements of the array whose bracket stands at `open`.
    init(open: Int) { index = open + 1 }

    /// The next element of the array in `bytes`; nil behind the last, and where a flaw or the end of the octets comes first.
    mutating func next(in bytes: RawSpan) -> Range<Int>? {
        var start = bytes.jsonWhiteSpaceEnd(from: index)
        if start < bytes.byteCount, bytes.octet(start) == 0x2C { start = bytes.jsonWhiteSpaceEnd(from: start + 1) }
        guard start < bytes.byteCount, bytes.octet(start) != 0x5D, let end = try? bytes.jsonValueEnd(from: start) else { return nil }
        index = end
        return start..<end
    }
}
