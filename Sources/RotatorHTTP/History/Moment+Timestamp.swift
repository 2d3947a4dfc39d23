// SPDX-License-Identifier: MIT

internal import RotatorCore

extension Moment {
    /// The moment that an RFC 3339 date and time names, such as `2026-07-14T09:30:00Z` or `2026-07-14T11:30:00.5+02:00`; nil for anything else.
    /// What lies before 1970 or after 2200 is the ``distantPast`` or the ``distantFuture``.
    init?(timestamp text: String) {
        var rest = Array(text.utf8)[...]
        func digits(_ count: Int) -> Int64? {
            guard rest.count >= count, rest.prefix(count).allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count).reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        func skip(_ octet: Character) -> Bool {
            guard rest.first == octet.asciiValue else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = digits(4), skip("-"), let month = digits(2), skip("-"), let day = digits(2), skip("T") || skip("t") || skip(" "),
            let hour = digits(2), skip(":"), let minute = digits(2), skip(":"), let second = digits(2),
            1...12 ~= month, 1...31 ~= day, hour < 24, minute < 60, second <= 60
        else { return nil }
        var nanoseconds: Int64 = 0
        if skip(".") {
            guard let first = digits(1) else { return nil }
            nanoseconds = first * 100_000_000
            var unit: Int64 = 10_000_000
            while let digit = digits(1) {
                nanoseconds += digit * unit
                unit /= 10
            }
        }
        var offset: Int64 = 0
        if !(skip("Z") || skip("z")) {
            let isEast = skip("+")
            guard isEast || skip("-"), let hours = digits(2), skip(":"), let minutes = digits(2), hours < 24, minutes < 60 else { return nil }
            offset = (hours * 60 + minutes) * (isEast ? 60 : -60)
        }
        guard rest.isEmpty else { return nil }
        // Year, month and day to days, by eras of 400 years that begin on 1 March; an era later, so that no number is negative.
        let shifted = (month <= 2 ? year - 1 : year) + 400
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468 - 146_097
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
        let isLeapYear = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        guard day <= [31, isLeapYear ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][Int(month) - 1] else { return nil }
        switch year {
        case ..<1_970: self = .distantPast
        case 2_201...: self = .distantFuture
        default: self.init(nanoseconds: max(0, seconds * 1_000_000_000 + nanoseconds))
        }
    }
}
