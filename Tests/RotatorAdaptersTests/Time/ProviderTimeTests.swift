// SPDX-License-Identifier: MIT

@testable internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("Times that providers send") struct ProviderTimeTests {
    @Test(arguments: [
        ("6m0s", 360_000_000_000), ("12ms", 12_000_000), ("1h2m3.5s", 3_723_500_000_000), ("38.6s", 38_600_000_000), ("1us", 1000), ("2\u{B5}s", 2000), ("7ns", 7),
        ("1.5h", 5_400_000_000_000), ("0s", 0), ("-3s", 0), ("2d", 172_800_000_000_000), (".5s", 500_000_000), ("99999999999999999999h", Int64.max),
    ])
    func `Go durations are read`(_ text: String, _ nanoseconds: Int64) { #expect(ProviderTime.goDuration(text) == nanoseconds) }

    @Test(arguments: ["", "s", "5", "5 s", "5s ago", "5q", "-", "1..5s", ".s", "m5"])
    func `what is no Go duration is none`(_ text: String) { #expect(ProviderTime.goDuration(text) == nil) }

    @Test(arguments: [
        ("2027-01-15T08:00:00Z", 0), ("2027-01-15T08:00:01.5Z", 1_500_000_000), ("2027-01-15t09:00:00+01:00", 0), ("2027-01-15 03:00:00-05:00", 0),
        ("2027-01-15T08:00:00.1234567891z", 123_456_789),
    ])
    func `RFC 3339 is read`(_ text: String, _ offset: Int64) { #expect(ProviderTime.rfc3339(text) == .after(.nanoseconds(offset))) }

    @Test(arguments: ["2027-02-29T00:00:00Z", "2027-01-15", "2027-13-01T00:00:00Z", "2027-01-15T25:00:00Z", "2027-01-15T08:00:00", "2027-01-15T08:00:00Zx", "x"])
    func `what is no RFC 3339 time is none`(_ text: String) { #expect(ProviderTime.rfc3339(text) == nil) }

    @Test func `the three HTTP dates of RFC 9110 are one moment`() {
        let expected = Moment(seconds: 784_111_777)
        // A two-digit year more than 50 years ahead lies in the past.
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            #expect(ProviderTime.httpDate(text, at: .recorded) == expected)
        }
        for text in ["Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Nov", ","] {
            #expect(ProviderTime.httpDate(text, at: .recorded) == nil)
        }
    }

    @Test(arguments: [
        // Winter: midnight is 08:00 UTC; exactly at midnight the next one counts.
        (1_800_000_000, 1_800_086_400), (1_799_999_999, 1_800_000_000),
        // Summer, 2027-07-01T12:00Z: midnight is 07:00 UTC.
        (1_814_443_200, 1_814_511_600),
        // 2027-03-14, the day summer begins: from 00:30 PST to the next midnight are 22.5 hours.
        (1_805_013_000, 1_805_094_000),
        // 2027-03-13 23:00 PST: that midnight is still standard time.
        (1_805_007_600, 1_805_011_200),
        // 2027-11-07, the day it ends: from 00:30 PDT to the next midnight are 24.5 hours.
        (1_825_572_600, 1_825_660_800),
    ])
    func `midnight in California follows daylight saving time`(_ now: Int64, _ midnight: Int64) {
        #expect(ProviderTime.midnightPacific(after: Moment(seconds: now)) == Moment(seconds: midnight))
    }

    @Test func `the next month begins at its first day`() {
        #expect(ProviderTime.monthStartUTC(after: .recorded) == .nextMonthUTC)
        // 2026-12-31T23:59:59Z
        #expect(ProviderTime.monthStartUTC(after: Moment(seconds: 1_798_761_599)) == Moment(seconds: 1_798_761_600))
    }

    @Test func `days and dates agree over four centuries`() {
        var previous = CivilDate(daysSinceEpoch: -1)
        for days in 0..<146_097 {
            let date = CivilDate(daysSinceEpoch: days)
            // One expectation for each day would take seconds.
            if date.daysSinceEpoch != days || date == previous || CivilDate(year: date.year, month: date.month, day: date.day) != date {
                Issue.record("day \(days) is \(date)")
            }
            previous = date
        }
    }

    @Test func `no text traps`() {
        var random = SplitMix(seed: 3)
        let seeds = ["6m0s", "2027-01-15T08:00:00Z", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "1800000000000", "-9e99", "18446744073709551616"]
        for seed in seeds {
            for _ in 0..<500 {
                let text = String(decoding: random.damaged(Array(seed.utf8)), as: UTF8.self)
                for now in [Moment.recorded, .distantPast, .distantFuture] {
                    for time in [ProviderTime.reset(text, at: now), ProviderTime.retryAfter(text, at: now), ProviderTime.retryAfterMilliseconds(text, at: now)] {
                        if let time, time < now || time > now + ProviderTime.restMax { Issue.record("\(text) is \(time)") }
                    }
                }
            }
        }
        for now in [Moment.distantPast, .distantFuture] {
            _ = ProviderTime.midnightPacific(after: now)
            _ = ProviderTime.monthStartUTC(after: now)
        }
    }
}
