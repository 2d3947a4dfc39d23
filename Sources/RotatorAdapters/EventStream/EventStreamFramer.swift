// SPDX-License-Identifier: MIT

/// One event of a stream: where its parts lie in the octets that are handed over beside it, valid during the call only.
public struct EventStreamEvent: Sendable, Hashable {
    /// The value of its last `event` field; empty where it has none (then it is a `message`).
    public var type: Range<Int>
    /// Its data, lines joined by LF; empty where it has none.
    public var data: Range<Int>
    /// Whether it has a `data` field at all. Comments, and events of other fields alone, have none, and a browser would not see them.
    public var hasData: Bool
    /// False where the event was longer than the framer keeps: then only its end is known, and `type` and `data` are empty.
    public var isWhole: Bool
    /// The index after the event's blank line in the octets that were fed. Where that line ends with CR and the octets with it, the event is
    /// over; an LF that the next octets begin with belongs to neither event.
    public var end: Int
}

/// Finds the events in a stream of `text/event-stream` octets (WHATWG HTML §9.2.5 and §9.2.6), fed in pieces of any size. Performs no I/O.
///
/// Lines end with CR, LF or CRLF, a byte order mark at the stream's start is skipped, and any split of the input gives the same events. An event that
/// lies whole in the fed octets is reported where it lies; only one that began in an earlier piece, or has several lines of data, is put
/// together in a buffer first. That buffer never grows over `eventOctetsMax`.
public struct EventStreamFramer: Sendable {
    /// The most that is kept of an event that is not complete.
    public let eventOctetsMax: Int
    /// Whether octets of an event have come whose blank line has not. At the stream's end such an event is lost (WHATWG HTML §9.2.6).
    public var hasUnfinishedEvent: Bool { isInsideEvent }

    /// Octets of the present event that came in earlier pieces.
    private var kept: [UInt8] = []
    private var isOverlong = false
    private var isInsideEvent = false
    /// The present line holds no octet yet.
    private var isLineEmpty = true
    /// The last octet was CR: an LF now belongs to it.
    private var followsCR = false
    /// No event has been reported: a byte order mark may stand before the first.
    private var isFirst = true

    /// A framer at the start of a stream.
    public init(eventOctetsMax: Int = 256 * 1024) { self.eventOctetsMax = eventOctetsMax }

    /// Takes the next octets of the stream and reports each event that they complete, in order, beside the octets in which its parts lie:
    /// `bytes` itself, or the framer's buffer. When `onEvent` throws, what stands behind its event is not looked at.
    public mutating func feed<E: Error>(_ bytes: RawSpan, onEvent: (EventStreamEvent, RawSpan) throws(E) -> Void) throws(E) {
        var eventStart = 0
        var index = 0
        let count = bytes.byteCount
        while index < count {
            let octet = bytes.octet(index)
            if followsCR {
                followsCR = false
                if octet == 0x0A {
                    index += 1
                    // The LF of a blank line's CRLF, cut from it: it belongs to the event that is over.
                    if !isInsideEvent { eventStart = index }
                    continue
                }
            }
            guard octet == 0x0A || octet == 0x0D else {
                isLineEmpty = false
                isInsideEvent = true
                index = bytes.lineEnd(from: index + 1, to: count)
                continue
            }
            followsCR = octet == 0x0D
            index += 1
            let isBlank = isLineEmpty
            isLineEmpty = true
            guard isBlank else { continue }
            if followsCR, index < count, bytes.octet(index) == 0x0A {
                followsCR = false
                index += 1
            }
            // A blank line between events ends nothing.
            if isInsideEvent { try report(bytes, eventStart..<index, onEvent) }
            eventStart = index
        }
        if isInsideEvent { keep(bytes, eventStart..<count) }
    }

    private mutating func keep(_ bytes: RawSpan, _ range: Range<Int>) {
        guard !isOverlong else { return }
        guard kept.count + range.count <= eventOctetsMax else {
            isOverlong = true
            kept = []
            return
        }
        kept.append(contentsOf: bytes.copy(range))
    }

    private mutating func report<E: Error>(_ bytes: RawSpan, _ range: Range<Int>, _ onEvent: (EventStreamEvent, RawSpan) throws(E) -> Void) throws(E) {
        let wasFirst = isFirst
        isFirst = false
        isInsideEvent = false
        let isInPlace = kept.isEmpty && !isOverlong && range.count <= eventOctetsMax
        if !isInPlace { keep(bytes, range) }
        if isOverlong {
            isOverlong = false
            try onEvent(EventStreamEvent(type: 0..<0, data: 0..<0, hasData: false, isWhole: false, end: range.upperBound), bytes)
            return
        }
        if isInPlace {
            try EventFields(in: bytes, range, skippingMark: wasFirst).report(in: bytes, end: range.upperBound, onEvent)
        } else {
            // Taken out for the call, then put back empty: its room serves the next event.
            var event: [UInt8] = []
            swap(&event, &kept)
            defer {
                event.removeAll(keepingCapacity: true)
                swap(&event, &kept)
            }
            let octets = unsafe event.span.bytes
            try EventFields(in: octets, 0..<octets.byteCount, skippingMark: wasFirst).report(in: octets, end: range.upperBound, onEvent)
        }
    }
}

/// The fields of one whole event (WHATWG HTML §9.2.6).
private struct EventFields {
    private var type = 0..<0
    private var data = 0..<0
    private var dataLines = 0
    /// All lines of data, once there are two.
    private var joined: [UInt8] = []

    init(in bytes: RawSpan, _ range: Range<Int>, skippingMark: Bool) {
        var start = range.lowerBound
        if skippingMark, bytes.begins("\u{FEFF}", at: start) { start += 3 }
        while start < range.upperBound {
            let end = bytes.lineEnd(from: start, to: range.upperBound)
            line(bytes, start..<end)
            // A CRLF is met as an empty line between: it says nothing.
            start = end + 1
        }
    }

    private mutating func line(_ bytes: RawSpan, _ line: Range<Int>) {
        let colon = bytes.first(0x3A, from: line.lowerBound, to: line.upperBound)
        let name = line.lowerBound..<(colon ?? line.upperBound)
        var valueStart = colon.map { $0 + 1 } ?? line.upperBound
        if valueStart < line.upperBound, bytes.octet(valueStart) == 0x20 { valueStart += 1 }
        let value = valueStart..<line.upperBound
        if bytes.equals("data", in: name) {
            dataLines += 1
            if dataLines == 1 {
                data = value
            } else {
                if dataLines == 2 { joined = bytes.copy(data) }
                joined.append(0x0A)
                joined.append(contentsOf: bytes.copy(value))
            }
        } else if bytes.equals("event", in: name) {
            type = value
        }
    }

    func report<E: Error>(in bytes: RawSpan, end: Int, _ onEvent: (EventStreamEvent, RawSpan) throws(E) -> Void) throws(E) {
        guard dataLines > 1 else {
            try onEvent(EventStreamEvent(type: type, data: data, hasData: dataLines > 0, isWhole: true, end: end), bytes)
            return
        }
        let typeOctets = bytes.copy(type)
        let octets = joined + typeOctets
        try onEvent(
            EventStreamEvent(type: joined.count..<octets.count, data: 0..<joined.count, hasData: true, isWhole: true, end: end), unsafe octets.span.bytes)
    }
}
