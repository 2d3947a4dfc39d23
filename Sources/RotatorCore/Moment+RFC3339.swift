// SPDX-License-Identifier: MIT

extension Moment {
    /// RFC 3339 in UTC with milliseconds, such as `2026-07-14T09:30:00.125Z`.
    package var timestamp: String {
        var day = milliseconds / 86_400_000
        var rest = milliseconds % 86_400_000
        if rest < 0 {
            rest += 86_400_000
            day -= 1
        }
        let date = CivilDate(daysSinceEpoch: Int(day))
        func padded(_ number: some BinaryInteger, to width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let time = "\(padded(rest / 3_600_000, to: 2)):\(padded(rest / 60_000 % 60, to: 2)):\(padded(rest / 1_000 % 60, to: 2))"
        return "\(padded(date.year, to: 4))-\(padded(date.month, to: 2))-\(padded(date.day, to: 2))T\(time).\(padded(rest % 1_000, to: 3))Z"
    }

    /// The moment that `text` spells as RFC 3339 §5.6 has it, with `T` and `Z` in any case, a space for the `T`, and any offset; nil for anything else. A
    /// moment before 1970 counts as its beginning, one that is too late to be told as the last.
    package init?(timestamp text: String) {
        let octets = Array(text.utf8)
        func number(_ start: Int, _ count: Int) -> Int? {
            guard start + count <= octets.count else { return nil }
            var number = 0
            for octet in octets[start..<start + count] {
                guard 0x30...0x39 ~= octet else { return nil }
                number = number * 10 + Int(octet - 0x30)
            }
            return number
        }
        func isOctet(_ octet: UInt8, at index: Int) -> Bool { index < octets.count && octets[index] == octet }
        guard let year = number(0, 4), isOctet(0x2D, at: 4), let month = number(5, 2), isOctet(0x2D, at: 7), let day = number(8, 2),
            isOctet(0x54, at: 10) || isOctet(0x74, at: 10) || isOctet(0x20, at: 10), let hour = number(11, 2), isOctet(0x3A, at: 13), let minute = number(14, 2),
            isOctet(0x3A, at: 16), let second = number(17, 2), let date = CivilDate(year: year, month: month, day: day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if isOctet(0x2E, at: index) {
            index += 1
            let start = index
            var unit: Int64 = 100_000_000
            while index < octets.count, 0x30...0x39 ~= octets[index] {
                fraction += Int64(octets[index] - 0x30) * unit
                unit /= 10
                index += 1
            }
            guard index > start else { return nil }
        }
        var offset = 0
        if isOctet(0x5A, at: index) || isOctet(0x7A, at: index) {
            index += 1
        } else {
            guard isOctet(0x2B, at: index) || isOctet(0x2D, at: index), let hours = number(index + 1, 2), isOctet(0x3A, at: index + 3),
                let minutes = number(index + 4, 2), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 3_600 + minutes * 60) * (octets[index] == 0x2D ? -1 : 1)
            index += 6
        }
        guard index == octets.count else { return nil }
        let seconds = date.daysSinceEpoch * 86_400 + hour * 3_600 + minute * 60 + second - offset
        let (nanoseconds, isTooLate) = Int64(max(0, seconds)).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isTooLateStill) = nanoseconds.addingReportingOverflow(seconds < 0 ? 0 : fraction)
        self.init(nanoseconds: isTooLate || isTooLateStill ? .max : sum)
    }
}
