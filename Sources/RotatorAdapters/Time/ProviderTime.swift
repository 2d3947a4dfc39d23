// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Reads the times that providers send, in every notation that was seen.
///
/// Nothing here traps or overflows: what is no time is nil, what is absurd becomes ``bounded(_:at:)``.
enum ProviderTime {
    /// The longest rest that a provider can ask for.
    static let restMax: Duration = .seconds(31 * 86_400)

    private static let second: Int64 = 1_000_000_000

    /// `moment`, but not before `now` and not more than 31 days after it.
    static func bounded(_ moment: Moment, at now: Moment) -> Moment { min(max(moment, now), now + restMax) }

    /// `Retry-After`: seconds (a fraction is tolerated) or an HTTP date (RFC 9110 §10.2.3).
    static func retryAfter(_ text: String, at now: Moment) -> Moment? {
        if let nanoseconds = number(text, unit: second) { return bounded(now + .nanoseconds(nanoseconds), at: now) }
        return httpDate(text, at: now).map { bounded($0, at: now) }
    }

    /// `retry-after-ms`: milliseconds, as Azure and the OpenAI SDKs know it.
    static func retryAfterMilliseconds(_ text: String, at now: Moment) -> Moment? {
        number(text, unit: 1_000_000).map { bounded(now + .nanoseconds($0), at: now) }
    }

    /// A reset field: a Go duration ("6m0s"), RFC 3339, an HTTP date, seconds from now, or seconds or milliseconds since 1970.
    static func reset(_ text: String, at now: Moment) -> Moment? {
        if let whole = number(text, unit: 1) {
            // A number of 31 years in seconds is no delay: it counts from 1970; from a trillion on, in milliseconds.
            if whole >= 1_000_000_000_000 { return bounded(Moment(nanoseconds: saturating(whole, times: 1_000_000)), at: now) }
            if whole >= 1_000_000_000 { return bounded(Moment(nanoseconds: saturating(whole, times: second)), at: now) }
            return number(text, unit: second).map { bounded(now + .nanoseconds($0), at: now) }
        }
        if let nanoseconds = goDuration(text) { return bounded(now + .nanoseconds(nanoseconds), at: now) }
        return (rfc3339(text) ?? httpDate(text, at: now)).map { bounded($0, at: now) }
    }

    /// The start of the next day in California, when Gemini's daily quotas return (ai.google.dev/gemini-api/docs/rate-limits).
    ///
    /// Daylight saving time as 15 U.S.C. §260a has it since 2007: from the second Sunday in March, 02:00 standard time, to the first Sunday in
    /// November, 02:00 daylight time.
    static func midnightPacific(after now: Moment) -> Moment {
        let seconds = Int(now.nanoseconds / second)
        let year = CivilDate(daysSinceEpoch: seconds / 86_400).year
        let summerStart = CivilDate.sunday(2, of: 3, in: year).daysSinceEpoch
        let summerEnd = CivilDate.sunday(1, of: 11, in: year).daysSinceEpoch
        let isSummer = seconds >= summerStart * 86_400 + 10 * 3600 && seconds < summerEnd * 86_400 + 9 * 3600
        let tomorrow = (seconds - (isSummer ? 7 : 8) * 3600) / 86_400 + 1
        // Neither change happens at midnight: on the day summer begins midnight is still standard time, on the day it ends still daylight time.
        let offset = tomorrow > summerStart && tomorrow <= summerEnd ? 7 : 8
        return Moment(seconds: Int64(tomorrow * 86_400 + offset * 3600))
    }

    /// The start of the next month in UTC, when Anthropic's spend limits return.
    static func monthStartUTC(after now: Moment) -> Moment {
        let today = CivilDate(daysSinceEpoch: Int(now.nanoseconds / second / 86_400))
        return Moment(seconds: Int64(today.startOfNextMonth.daysSinceEpoch * 86_400))
    }

    // MARK: - Notations

    /// A decimal number of `unit` nanoseconds; a negative one is 0. Nil where `text` is not a number alone.
    static func number(_ text: String, unit: Int64) -> Int64? {
        var reader = TimeReader(text)
        let isNegative = reader.skip(0x2D)
        if !isNegative { _ = reader.skip(0x2B) }
        guard let value = reader.decimal(), reader.isAtEnd else { return nil }
        return isNegative ? 0 : value.nanoseconds(unit: unit)
    }

    /// A duration as Go writes it ("1h2m3.5s", "12ms"; pkg.go.dev/time#ParseDuration) and as protobuf's JSON does ("38.6s"); "2d" is tolerated.
    /// In nanoseconds; a negative one is 0.
    static func goDuration(_ text: String) -> Int64? {
        var reader = TimeReader(text)
        let isNegative = reader.skip(0x2D)
        if !isNegative { _ = reader.skip(0x2B) }
        guard !reader.isAtEnd else { return nil }
        var total: Int64 = 0
        while !reader.isAtEnd {
            guard let value = reader.decimal(), let unit = reader.goUnit() else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(value.nanoseconds(unit: unit))
            total = overflow ? .max : sum
        }
        return isNegative ? 0 : total
    }

    /// A date and time as RFC 3339 §5.6 has it; a space may stand for the `T`.
    static func rfc3339(_ text: String) -> Moment? {
        var reader = TimeReader(text)
        guard let year = reader.digits(4), reader.skip(0x2D), let month = reader.digits(2), reader.skip(0x2D), let day = reader.digits(2),
            let date = CivilDate(year: year, month: month, day: day), reader.skip(0x54) || reader.skip(0x74) || reader.skip(0x20),
            let time = reader.clock()
        else { return nil }
        var fraction: Int64 = 0
        if reader.skip(0x2E) {
            guard let nanoseconds = reader.fraction() else { return nil }
            fraction = nanoseconds
        }
        var offset = 0
        if !reader.skip(0x5A), !reader.skip(0x7A) {
            let isWest = reader.skip(0x2D)
            guard isWest || reader.skip(0x2B), let hours = reader.digits(2), reader.skip(0x3A), let minutes = reader.digits(2), hours < 24, minutes < 60 else {
                return nil
            }
            offset = (hours * 60 + minutes) * (isWest ? -60 : 60)
        }
        guard reader.isAtEnd else { return nil }
        return moment(date, seconds: time - offset, nanoseconds: fraction)
    }

    /// An HTTP date in any of the three forms of RFC 9110 §5.6.7.
    static func httpDate(_ text: String, at now: Moment) -> Moment? {
        var reader = TimeReader(text)
        guard reader.word() != nil else { return nil }
        if reader.skip(0x2C) {
            // Sun, 06 Nov 1994 08:49:37 GMT · Sunday, 06-Nov-94 08:49:37 GMT
            guard reader.skip(0x20), let day = reader.digits(2) else { return nil }
            let isObsolete = reader.skip(0x2D)
            guard isObsolete || reader.skip(0x20), let month = reader.month(), reader.skip(isObsolete ? 0x2D : 0x20), var year = reader.digits(isObsolete ? 2 : 4) else {
                return nil
            }
            if isObsolete {
                // A year more than 50 years in the future is the most recent past year with the same last two digits.
                let present = CivilDate(daysSinceEpoch: Int(now.nanoseconds / second / 86_400)).year
                year += present - present % 100
                if year > present + 50 { year -= 100 }
            }
            guard let date = CivilDate(year: year, month: month, day: day), reader.skip(0x20), let time = reader.clock(), reader.skip(0x20),
                reader.word() == "gmt", reader.isAtEnd
            else { return nil }
            return moment(date, seconds: time)
        }
        // Sun Nov  6 08:49:37 1994
        guard reader.skip(0x20), let month = reader.month(), reader.skip(0x20), let day = reader.skip(0x20) ? reader.digits(1) : reader.digits(2),
            reader.skip(0x20), let time = reader.clock(), reader.skip(0x20), let year = reader.digits(4), reader.isAtEnd,
            let date = CivilDate(year: year, month: month, day: day)
        else { return nil }
        return moment(date, seconds: time)
    }

    private static func moment(_ date: CivilDate, seconds: Int, nanoseconds: Int64 = 0) -> Moment {
        let whole = saturating(Int64(date.daysSinceEpoch * 86_400 + seconds), times: second)
        let (sum, overflow) = whole.addingReportingOverflow(nanoseconds)
        return Moment(nanoseconds: overflow ? .max : sum)
    }

    private static func saturating(_ value: Int64, times factor: Int64) -> Int64 {
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? (value < 0 ? .min : .max) : product
    }
}

/// A number with a fraction, as read from a text.
struct Decimal {
    /// The part before the point, at most ``wholeMax``.
    var whole: Int64 = 0
    /// The part behind the point, in billionths.
    var billionths: Int64 = 0

    /// Where counting stops: far beyond every sensible time in any unit.
    static let wholeMax: Int64 = 1_000_000_000_000_000_000

    /// The number times `unit` nanoseconds; stops at the largest `Int64`.
    func nanoseconds(unit: Int64) -> Int64 {
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        if overflow { return .max }
        // Millionths of the fraction times thousandths of the unit: an hour's 3.6e12 ns times 1e9 would not fit.
        let part = unit < 1000 ? billionths / 1000 * unit / 1_000_000 : billionths / 1000 * (unit / 1000) / 1000
        let (sum, sumOverflow) = product.addingReportingOverflow(part)
        return sumOverflow ? .max : sum
    }
}

/// Reads a short text octet by octet.
struct TimeReader {
    private let octets: [UInt8]
    private var index = 0

    /// Begins at the first octet of `text` that is no white space, and ends before trailing white space.
    init(_ text: String) {
        var octets = Array(text.utf8)
        if octets.count > 128 { octets.removeLast(octets.count - 128) }
        while let last = octets.last, last == 0x20 || last == 0x09 { octets.removeLast() }
        self.octets = octets
        while let first = present, first == 0x20 || first == 0x09 { index += 1 }
    }

    var isAtEnd: Bool { index == octets.count }

    private var present: UInt8? { index < octets.count ? octets[index] : nil }

    /// Goes on by one if `octet` stands here.
    mutating func skip(_ octet: UInt8) -> Bool {
        guard present == octet else { return false }
        index += 1
        return true
    }

    /// The number that exactly `count` digits spell.
    mutating func digits(_ count: Int) -> Int? {
        guard index + count <= octets.count else { return nil }
        var value = 0
        for octet in octets[index..<index + count] {
            guard octet.isDigit else { return nil }
            value = value * 10 + Int(octet - 0x30)
        }
        index += count
        return value
    }

    /// `HH:MM:SS` in seconds; a leap second is the second before it.
    mutating func clock() -> Int? {
        guard let hours = digits(2), skip(0x3A), let minutes = digits(2), skip(0x3A), let seconds = digits(2), hours < 24, minutes < 60, seconds <= 60 else {
            return nil
        }
        return hours * 3600 + minutes * 60 + min(seconds, 59)
    }

    /// Digits behind a point, in billionths; those beyond the ninth count nothing.
    mutating func fraction() -> Int64? {
        guard let first = present, first.isDigit else { return nil }
        var value: Int64 = 0
        var scale: Int64 = 100_000_000
        while let octet = present, octet.isDigit {
            value += Int64(octet - 0x30) * scale
            scale /= 10
            index += 1
        }
        return value
    }

    /// Digits, with a point and digits behind them where there are any.
    mutating func decimal() -> Decimal? {
        guard let first = present, first.isDigit || first == 0x2E else { return nil }
        var value = Decimal()
        while let octet = present, octet.isDigit {
            value.whole = min(value.whole &* 10 &+ Int64(octet - 0x30), Decimal.wholeMax / 100)
            index += 1
        }
        if skip(0x2E) {
            if let billionths = fraction() { value.billionths = billionths } else if first == 0x2E { return nil }
        }
        return value
    }

    /// The unit of a Go duration, in nanoseconds.
    mutating func goUnit() -> Int64? {
        let start = index
        while let octet = present, !octet.isDigit, octet != 0x2E { index += 1 }
        switch index - start {
        case 1: return seconds(octets[start])
        case 2 where octets[start + 1] == 0x73:
            switch octets[start] {
            case 0x6E: return 1
            case 0x75: return 1000
            case 0x6D: return 1_000_000
            default: return nil
            }
        // The micro sign, and the Greek letter that stands for it.
        case 3 where octets[start..<index].elementsEqual([0xC2, 0xB5, 0x73]) || octets[start..<index].elementsEqual([0xCE, 0xBC, 0x73]): return 1000
        default: return nil
        }
    }

    /// The nanoseconds of `s`, `m`, `h` or `d`.
    private func seconds(_ letter: UInt8) -> Int64? {
        switch letter {
        case 0x73: 1_000_000_000
        case 0x6D: 60_000_000_000
        case 0x68: 3_600_000_000_000
        case 0x64: 86_400_000_000_000
        default: nil
        }
    }

    /// A run of letters, in lower case.
    mutating func word() -> String? {
        let start = index
        while let octet = present, octet.lowercasedASCII &- 0x61 < 26 { index += 1 }
        return start == index ? nil : String(decoding: octets[start..<index].map(\.lowercasedASCII), as: UTF8.self)
    }

    /// The number of the month whose English abbreviation stands here.
    mutating func month() -> Int? {
        let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        return word().flatMap { name in names.firstIndex(of: name).map { $0 + 1 } }
    }
}
