// SPDX-License-Identifier: MIT

internal import RotatorCore

extension UsageDialect {
    /// A meter of this dialect for a body of this form; nil where there is none for such.
    func meter(for form: AnswerForm) -> (any UsageMeter)? {
        let meter: any UsageMeter
        switch form.media {
        case .json: meter = DocumentMeter(self, length: form.coding == .identity ? form.length : nil)
        case .eventStream: meter = EventStreamMeter(self)
        case .other: return nil
        }
        switch form.coding {
        case .identity: return meter
        case .gzip: return InflatingMeter(.gzip, meter)
        case .deflate: return InflatingMeter(.deflate, meter)
        case .unknown: return nil
        }
    }
}

/// Reads the usage of a JSON body.
private final class DocumentMeter: UsageMeter {
    private let dialect: UsageDialect
    private var scanner: UsageScanner
    private var reading = UsageReading()
    /// How long the whole body is, where that is known and nothing of it has come.
    private var length: Int?

    init(_ dialect: UsageDialect, length: Int?) {
        self.dialect = dialect
        self.length = length
        scanner = UsageScanner(dialect)
    }

    var usage: TokenUsage? { reading.usage }

    func watch(_ octets: RawSpan) {
        let isWhole = octets.byteCount == length
        length = nil
        if isWhole, reading.take(onlyMentionIn: octets, in: dialect) { return }
        scanner.scan(octets, 0..<octets.byteCount, into: &reading)
    }
}

/// Reads the usage of an event stream.
///
/// Whole events that do not speak of usage cost one search. The others, and those that are cut, are looked at as they come: an event may be a finished
/// response with its pictures, so none is kept.
private final class EventStreamMeter: UsageMeter {
    private var lines = EventLines()
    private var field = DataField()
    private var scanner: UsageScanner
    private var reading = UsageReading()

    init(_ dialect: UsageDialect) { scanner = UsageScanner(dialect) }

    var usage: TokenUsage? { reading.usage }

    func watch(_ octets: RawSpan) {
        var index = 0
        while index < octets.byteCount {
            if lines.isBetweenEvents {
                let end = octets.quietEnd(from: index)
                if end > index {
                    field.lineEnded()
                    index = end
                    continue
                }
            }
            // To the event's end without another search.
            while let piece = lines.next(in: octets, from: &index) {
                switch piece {
                case .octets(let range):
                    if let value = field.value(in: octets, range) { scanner.scan(octets, value, into: &reading) }
                    continue
                case .lineEnd:
                    if field.isData { scanner.lineBroke() }
                    field.lineEnded()
                    continue
                case .eventEnd: scanner.reset()
                }
                break
            }
        }
    }
}

/// Tells the values of `data` fields from the other octets of a stream's lines (WHATWG HTML §9.2.6).
private struct DataField {
    /// How much of `data:` has come; before 0, of a byte order mark, which the stream's first line may have.
    private var matched = -3

    private static let none = 7

    /// Whether the present line is one of data.
    var isData: Bool { matched >= 5 && matched < DataField.none }

    /// The part of `range`, octets of one line, that belongs to a value.
    mutating func value(in bytes: RawSpan, _ range: Range<Int>) -> Range<Int>? {
        var index = range.lowerBound
        while index < range.upperBound {
            let octet = bytes.octet(index)
            switch matched {
            case -3 where octet != 0xEF:
                matched = 0
                continue
            case ..<0: matched = octet == DataField.mark(matched) ? matched + 1 : DataField.none
            case 0..<5: matched = octet == DataField.letter(matched) ? matched + 1 : DataField.none
            case 5:
                matched = 6
                if octet != 0x20 { continue }
            case 6: return index..<range.upperBound
            default: return nil
            }
            index += 1
        }
        return nil
    }

    /// The next octet begins a line.
    mutating func lineEnded() { matched = 0 }

    private static func mark(_ matched: Int) -> UInt8 { matched == -3 ? 0xEF : matched == -2 ? 0xBB : 0xBF }

    private static func letter(_ matched: Int) -> UInt8 {
        switch matched {
        case 0: 0x64
        case 1, 3: 0x61
        case 2: 0x74
        default: 0x3A
        }
    }
}

/// Undoes a content coding for another meter.
private final class InflatingMeter: UsageMeter {
    private var inflation: InflateStream
    private let meter: any UsageMeter

    init?(_ coding: InflateStream.Coding, _ meter: any UsageMeter) {
        guard let inflation = InflateStream(coding) else { return nil }
        self.inflation = inflation
        self.meter = meter
    }

    var usage: TokenUsage? { meter.usage }

    func watch(_ octets: RawSpan) {
        inflation.feed(octets) {
            meter.watch($0)
            return true
        }
    }
}
