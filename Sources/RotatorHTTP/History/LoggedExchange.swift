// SPDX-License-Identifier: MIT

internal import RotatorCore

/// A record of the request log under its number, and its form in octets.
struct LoggedExchange: Sendable, Hashable {
    /// Microseconds since 1970 at which it was taken in, moved on where that was taken: grows within a log, over restarts too.
    var id: Int64
    var record: ExchangeRecord
}

/// How records stand in a segment: length and checksum, four octets each, then the record itself; numbers with the least significant octet first.
///
/// A segment ends where a length is 0 or leads beyond its end: so a tail that was torn off is recognised. A record whose checksum is wrong is passed over.
enum ExchangeFraming {
    static let headerCount = 8
    /// No record is longer: every text in it is cut at ``textOctetsMax``.
    static let recordOctetsMax = 65_536
    static let textOctetsMax = 256

    /// Where the records of a segment are, in order.
    static func records(in octets: [UInt8]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var offset = 0
        while offset + headerCount <= octets.count {
            let length = Int(octets.fixedNumber(at: offset, count: 4))
            guard 1...recordOctetsMax ~= length, offset + headerCount + length <= octets.count else { break }
            ranges.append((offset + headerCount)..<(offset + headerCount + length))
            offset += headerCount + length
        }
        return ranges
    }

    /// The record at a place that ``records(in:)`` named; nil where it is damaged.
    static func record(in octets: [UInt8], at range: Range<Int>) -> LoggedExchange? {
        guard octets.fixedNumber(at: range.lowerBound - 4, count: 4) == UInt64(checksum(octets, range)) else { return nil }
        var reader = OctetReader(octets[range])
        return LoggedExchange(from: &reader)
    }

    /// The number of the record at a place that ``records(in:)`` named.
    static func id(in octets: [UInt8], at range: Range<Int>) -> Int64 { range.count < 8 ? 0 : Int64(bitPattern: octets.fixedNumber(at: range.lowerBound, count: 8)) }

    /// Whether the record at a place is of this request.
    static func isRecord(of requestID: [UInt8], in octets: [UInt8], at range: Range<Int>) -> Bool {
        let start = range.lowerBound + 18
        guard start <= range.upperBound, octets.fixedNumber(at: start - 2, count: 2) == UInt64(requestID.count), start + requestID.count <= range.upperBound else { return false }
        return octets[start..<(start + requestID.count)].elementsEqual(requestID)
    }

    /// Appends the record at a place under its number.
    ///
    /// Handed over as a value it would be copied, and a copy counts seven texts and an array.
    static func append(_ records: Span<ExchangeRecord>, at index: Int, id: Int64, to octets: inout [UInt8]) {
        let start = octets.count
        octets.append(addingCapacity: headerCount + LoggedExchange.octetsMax(attempts: records[index].attempts.count)) { out in
            out.append(fixed: 0, count: headerCount)
            LoggedExchange.append(records, at: index, id: id, to: &out)
        }
        let range = (start + headerCount)..<octets.count
        let checksum = checksum(octets, range)
        for index in 0..<4 {
            octets[start + index] = UInt8(truncatingIfNeeded: range.count >> (8 * index))
            octets[start + 4 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index)))
        }
    }

    /// Tells a whole record from a torn one; no protection against intent.
    private static func checksum(_ octets: [UInt8], _ range: Range<Int>) -> UInt32 {
        unsafe octets.withUnsafeBytes { bytes in
            var hash = UInt64(range.count) &* 0x9E37_79B9_7F4A_7C15
            var index = range.lowerBound
            func mix(_ word: UInt64) {
                hash = (hash ^ word) &* 0xBF58_476D_1CE4_E5B9
                hash ^= hash >> 29
            }
            while index + 8 <= range.upperBound {
                mix(unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian)
                index += 8
            }
            var rest: UInt64 = 0
            while index < range.upperBound {
                rest = rest << 8 | UInt64(unsafe bytes[index])
                index += 1
            }
            mix(rest)
            return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
        }
    }
}

extension LoggedExchange {
    private enum Flag {
        static let isStream: UInt8 = 1
        static let service: UInt8 = 2
        static let clientID: UInt8 = 4
        static let model: UInt8 = 8
        static let errorCode: UInt8 = 16
        static let firstByte: UInt8 = 32
        static let usage: UInt8 = 64
    }

    /// No record with so many attempts is longer.
    fileprivate static func octetsMax(attempts: Int) -> Int {
        let text = 2 + ExchangeFraming.textOctetsMax, number = 10
        return 16 + 6 * text + 2 + 10 * number + 1 + min(attempts, ExchangeRecord.attemptsMax) * (4 * number + 2 * text)
    }

    fileprivate static func append(_ records: Span<ExchangeRecord>, at place: Int, id: Int64, to octets: inout OutputSpan<UInt8>) {
        octets.append(fixed: UInt64(bitPattern: id), count: 8)
        octets.append(fixed: UInt64(bitPattern: records[place].startedAt.nanoseconds), count: 8)
        octets.append(text: records[place].requestID)
        var flags: UInt8 = records[place].isStream ? Flag.isStream : 0
        if records[place].service != nil { flags |= Flag.service }
        if records[place].clientID != nil { flags |= Flag.clientID }
        if records[place].model != nil { flags |= Flag.model }
        if records[place].errorCode != nil { flags |= Flag.errorCode }
        if records[place].firstByte != nil { flags |= Flag.firstByte }
        if records[place].usage != nil { flags |= Flag.usage }
        octets.append(flags)
        let ending: UInt8 = switch records[place].ending {
            case .complete: 0
            case .clientLeft: 1
            case .upstreamBrokeOff: 2
        }
        octets.append(ending)
        octets.append(number: Int64(records[place].status))
        if let service = records[place].service { octets.append(number: service.rawValue) }
        if let client = records[place].clientID { octets.append(number: client.rawValue) }
        octets.append(text: records[place].slug)
        octets.append(text: records[place].client)
        if let model = records[place].model { octets.append(text: model) }
        octets.append(text: records[place].method)
        if let code = records[place].errorCode { octets.append(text: code.rawValue) }
        octets.append(number: records[place].duration)
        if let firstByte = records[place].firstByte { octets.append(number: firstByte) }
        if let usage = records[place].usage {
            octets.append(number: usage.input)
            octets.append(number: usage.output)
            octets.append(number: usage.cachedInput)
            octets.append(number: usage.reasoning)
        }
        octets.append(number: Int64(records[place].attemptCount))
        let attempts = records[place].attempts.prefix(ExchangeRecord.attemptsMax)
        octets.append(UInt8(attempts.count))
        for attempt in attempts {
            octets.append(number: attempt.key.rawValue)
            octets.append(number: Int64(attempt.status ?? 0))
            octets.append(text: attempt.verdict)
            octets.append(text: attempt.reason)
            octets.append(number: attempt.began)
            octets.append(number: attempt.duration)
        }
    }

    /// The record that ``append(_:at:id:to:)`` wrote; nil for anything else.
    fileprivate init?(from octets: inout OctetReader) {
        id = Int64(bitPattern: octets.fixed(8))
        let startedAt = Moment(nanoseconds: Int64(bitPattern: octets.fixed(8)))
        let requestID = octets.text()
        let flags = octets.octet()
        let ending = octets.octet()
        let status = Int(octets.number())
        let service = flags & Flag.service != 0 ? ServiceID(octets.number()) : nil
        let clientID = flags & Flag.clientID != 0 ? ClientID(octets.number()) : nil
        let slug = octets.text()
        let client = octets.text()
        let model = flags & Flag.model != 0 ? octets.text() : nil
        record = ExchangeRecord(requestID: requestID, startedAt: startedAt, slug: slug, method: octets.text())
        record.isStream = flags & Flag.isStream != 0
        switch ending {
        case 0: record.ending = .complete
        case 1: record.ending = .clientLeft
        case 2: record.ending = .upstreamBrokeOff
        default: return nil
        }
        record.status = status
        record.service = service
        record.clientID = clientID
        record.client = client
        record.model = model
        if flags & Flag.errorCode != 0 { record.errorCode = ProxyError.Code(rawValue: octets.text()) }
        record.duration = octets.number()
        if flags & Flag.firstByte != 0 { record.firstByte = octets.number() }
        if flags & Flag.usage != 0 {
            record.usage = TokenUsage(input: octets.number(), output: octets.number(), cachedInput: octets.number(), reasoning: octets.number())
        }
        record.attemptCount = Int(octets.number())
        for _ in 0..<octets.octet() {
            let key = KeyID(octets.number())
            let status = Int(octets.number())
            record.attempts.append(
                AttemptRecord(
                    key: key, status: status == 0 ? nil : status, verdict: octets.text(), reason: octets.text(), began: octets.number(),
                    duration: octets.number()))
        }
        guard octets.isWhole else { return nil }
    }
}

/// Takes octets apart; what is missing is read as nothing, and told at the end.
private struct OctetReader {
    private var rest: ArraySlice<UInt8>
    private var isShort = false

    init(_ octets: ArraySlice<UInt8>) { rest = octets }

    /// Whether everything that was asked for was there, and nothing is left.
    var isWhole: Bool { !isShort && rest.isEmpty }

    mutating func octet() -> UInt8 {
        guard let octet = rest.popFirst() else {
            isShort = true
            return 0
        }
        return octet
    }

    mutating func fixed(_ count: Int) -> UInt64 {
        var number: UInt64 = 0
        for index in 0..<count { number |= UInt64(octet()) << (8 * UInt64(index)) }
        return number
    }

    mutating func number() -> Int64 {
        guard let number = rest.popVariableLength() else {
            isShort = true
            return 0
        }
        return Int64(bitPattern: number)
    }

    mutating func text() -> String {
        let count = Int(fixed(2))
        guard count <= rest.count else {
            isShort = true
            return ""
        }
        defer { rest = rest.dropFirst(count) }
        return String(decoding: rest.prefix(count), as: UTF8.self)
    }
}

extension OutputSpan<UInt8> {
    fileprivate mutating func append(fixed number: UInt64, count: Int) {
        precondition(count <= 8)
        unsafe Swift.withUnsafeBytes(of: number.littleEndian) { octets in unsafe append(copyOf: UnsafeRawBufferPointer(rebasing: octets.prefix(count))) }
    }

    /// In seven bits an octet, the least significant first.
    fileprivate mutating func append(number: Int64) {
        var rest = UInt64(bitPattern: number)
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    fileprivate mutating func append(text: String) {
        let count = text.utf8.count
        guard count <= ExchangeFraming.textOctetsMax else { return append(text: TrafficLedger.bounded(text)) }
        append(fixed: UInt64(count), count: 2)
        var text = text
        text.withUTF8 { unsafe append(copyOf: UnsafeRawBufferPointer($0)) }
    }

    private mutating func append(copyOf octets: UnsafeRawBufferPointer) {
        precondition(octets.count <= freeCapacity, "there is room for the longest record")
        unsafe withUnsafeMutableBufferPointer { buffer, initializedCount in
            guard let base = octets.baseAddress, let start = buffer.baseAddress else { return }
            unsafe UnsafeMutableRawPointer(start + initializedCount).copyMemory(from: base, byteCount: octets.count)
            initializedCount += octets.count
        }
    }
}

extension [UInt8] {
    /// The number whose octets begin at `offset`, the least significant first.
    fileprivate func fixedNumber(at offset: Int, count: Int) -> UInt64 {
        var number: UInt64 = 0
        for index in 0..<count { number |= UInt64(self[offset + index]) << (8 * UInt64(index)) }
        return number
    }
}
