// SPDX-License-Identifier: MIT

/// Follows the lines of a `text/event-stream` that comes in pieces of any size (WHATWG HTML §9.2.5), and keeps none of them.
///
/// For those who may not hold an event back or together, however long it is; ``EventStreamFramer`` reads whole events.
struct EventLines {
    /// What stands next in the stream.
    enum Piece {
        /// Octets of a line, its end aside; the same line may go on in the next piece.
        case octets(Range<Int>)
        /// A line with octets is over.
        case lineEnd
        /// The blank line that ends an event has come.
        case eventEnd
    }

    /// Whether octets of an event have come whose blank line has not.
    private(set) var isInsideEvent = false
    private var isLineEmpty = true
    /// The last octet was CR: an LF now belongs to it.
    private(set) var followsCR = false

    /// Whether the next octet is the first of something new.
    var isBetweenEvents: Bool { !isInsideEvent && !followsCR }

    /// What stands at `index`, which is moved behind it; nil where the octets end before anything does.
    mutating func next(in bytes: RawSpan, from index: inout Int) -> Piece? {
        let count = bytes.byteCount
        while index < count {
            let octet = bytes.octet(index)
            if followsCR {
                followsCR = false
                if octet == 0x0A {
                    index += 1
                    continue
                }
            }
            guard octet == 0x0A || octet == 0x0D else {
                let start = index
                index = bytes.lineEnd(from: index + 1, to: count)
                isLineEmpty = false
                isInsideEvent = true
                return .octets(start..<index)
            }
            followsCR = octet == 0x0D
            index += 1
            guard isLineEmpty else {
                isLineEmpty = true
                return .lineEnd
            }
            // A blank line between events ends nothing.
            guard isInsideEvent else { continue }
            isInsideEvent = false
            if followsCR, index < count, bytes.octet(index) == 0x0A {
                followsCR = false
                index += 1
            }
            return .eventEnd
        }
        return nil
    }

    /// The LF that belongs to the last CR has been taken by somebody else.
    mutating func lineFeedTaken() { followsCR = false }
}

// What lets whole events pass at the price of one search.
extension RawSpan {
    /// How far the octets from `index` on, where an event begins, hold whole events that say nothing of usage: `index` itself where the first one may, or is
    /// not whole.
    func quietEnd(from index: Int) -> Int {
        var end = usageMention(from: index) ?? byteCount
        // Back to the last blank line: LF behind LF, or behind CRLF.
        while end - index >= 2 {
            if octet(end - 1) == 0x0A, octet(end - 2) == 0x0A || (octet(end - 2) == 0x0D && end - index >= 3 && octet(end - 3) == 0x0A) { return end }
            end -= 1
        }
        return index
    }

    /// The first place at or after `start` where `"usage` stands and `":null` does not follow, as it does on each chunk of OpenAI's but the last.
    ///
    /// Every octet of every stream passes here: 32 places are looked at together, without a check of bounds for each.
    func usageMention(from start: Int) -> Int? {
        var index = start + 4
        let count = byteCount
        precondition(start >= 0)
        while index + 32 <= count {
            if (pairs(at: index) | pairs(at: index &+ 8) | pairs(at: index &+ 16) | pairs(at: index &+ 24)) & Lanes.highs != 0 {
                for place in index..<(index + 32) where octet(place) == 0x67 && isUsageMention(place) { return place - 4 }
            }
            index += 32
        }
        while index < count {
            if octet(index) == 0x67, isUsageMention(index) { return index - 4 }
            index += 1
        }
        return nil
    }

    /// The highest bit of some octet is set where a g behind an a, which is what events hold least of, may stand at one of the eight places from `index` on: all
    /// of them, and the one before, lie within the octets.
    @inline(__always) private func pairs(at index: Int) -> UInt64 {
        let here = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt64.self) ^ 0x6767_6767_6767_6767
        let before = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: index &- 1, as: UInt64.self) ^ 0x6161_6161_6161_6161
        return (here &- Lanes.ones) & ~here & (before &- Lanes.ones) & ~before
    }

    /// Whether the g at `place` is that of `"usage`. Before it there are four octets.
    @inline(__always) private func isUsageMention(_ place: Int) -> Bool {
        guard octet(place - 1) == 0x61 else { return false }
        guard place + 9 <= byteCount else { return begins("\"usage", at: place - 4) }
        let name = word(place - 4)
        // "usage":
        guard name == 0x3A22_6567_6173_7522 else { return name & 0xFFFF_FFFF_FFFF == 0x6567_6173_7522 }
        // null, behind a space or none.
        let value = octet(place + 4) == 0x20 ? place + 5 : place + 4
        return !begins("null", at: value)
    }

    /// The first CR or LF at or after `index`, or `end` where there is none before it.
    func lineEnd(from index: Int, to end: Int) -> Int {
        var index = index
        while index + 8 <= end {
            let hits = Lanes.hits(word(index), 0x0A, 0x0D)
            if hits != 0 { return index + hits.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < end, octet(index) != 0x0A, octet(index) != 0x0D { index += 1 }
        return index
    }
}
