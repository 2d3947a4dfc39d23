// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@Suite("SlidingWindow") struct SlidingWindowTests {
    private static let start = Moment(seconds: 1_790_000_000)

    /// The most that lies within any 60 s, of what was admitted at these moments, ascending.
    private static func peak(of admissions: [(at: Moment, amount: Int64)]) -> Int64 {
        var first = 0
        var sum: Int64 = 0
        var peak: Int64 = 0
        for admission in admissions {
            sum += admission.amount
            while admission.at - admissions[first].at >= .seconds(60) {
                sum -= admissions[first].amount
                first += 1
            }
            peak = max(peak, sum)
        }
        return peak
    }

    @Test(arguments: [1, 7, 60, 599, 600] as [Int64], 0..<6 as Range<UInt64>)
    func `a small limit is met to the one in any minute, whatever the arrivals`(limit: Int64, seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var window = SlidingWindow(limit: limit)
        var now = Self.start
        var admissions: [(at: Moment, amount: Int64)] = []
        var model: [(at: Moment, amount: Int64)] = []
        for _ in 0..<6_000 {
            // Mostly bursts, with pauses now and then.
            let pause: Int64 = switch Int.random(in: 0..<10, using: &random) {
            case 0: .random(in: 0...20_000_000_000, using: &random)
            case 1...4: .random(in: 0...300_000_000, using: &random)
            default: .random(in: 0...1_000, using: &random)
            }
            now = now.advanced(byNanoseconds: pause)
            let amount = Int64.random(in: 1...3, using: &random)
            model.removeAll { now - $0.at >= .seconds(60) }
            let expected = min(amount, limit - model.reduce(0) { $0 + $1.amount })
            let admitted = window.admit(amount, at: now)
            #expect(admitted == max(0, expected))
            if admitted > 0 {
                admissions.append((now, admitted))
                model.append((now, admitted))
            }
            #expect(window.used(at: now) == model.reduce(0) { $0 + $1.amount })
        }
        #expect(Self.peak(of: admissions) <= limit)
    }

    @Test(arguments: [601, 1_000, 25_000] as [Int64], 0..<4 as Range<UInt64>)
    func `a great limit is never passed in any minute, and is reached within a tenth of a second more`(limit: Int64, seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var window = SlidingWindow(limit: limit)
        var now = Self.start
        let end = now + .seconds(300)
        var admissions: [(at: Moment, amount: Int64)] = []
        while now < end {
            now = now.advanced(byNanoseconds: .random(in: 0...40_000_000, using: &random))
            let admitted = window.admit(limit / 500 + 1, at: now)
            if admitted > 0 { admissions.append((now, admitted)) }
        }
        #expect(Self.peak(of: admissions) <= limit)
        // More was asked for than the limit: in any five minutes as much as 299 windows of 60.1 s in 60 let through, less one request's grain.
        let total = admissions.reduce(0) { $0 + $1.amount }
        #expect(total >= limit * 300 / 61)
    }

    @Test func `what is charged over the limit holds everything back until enough of it is past`() {
        var window = SlidingWindow(limit: 100)
        #expect(window.nextAdmission(at: Self.start) == nil)
        window.charge(90, at: Self.start)
        window.charge(50, at: Self.start + .seconds(10))
        #expect(window.used(at: Self.start + .seconds(10)) == 140)
        #expect(window.admit(at: Self.start + .seconds(20)) == 0)
        #expect(window.nextAdmission(at: Self.start + .seconds(20)) == Self.start + .seconds(60))
        #expect(window.admit(60, at: Self.start + .seconds(60)) == 50)
        #expect(window.nextAdmission(at: Self.start + .seconds(60)) == Self.start + .seconds(70))
    }

    @Test func `the moment that is named for the next admission is the first that admits`() {
        var random = SplitMix64(seed: 5)
        for limit in [3, 40, 700] as [Int64] {
            var window = SlidingWindow(limit: limit)
            var now = Self.start
            for _ in 0..<2_000 {
                now = now.advanced(byNanoseconds: .random(in: 0...3_000_000_000 / limit, using: &random))
                window.charge(.random(in: 1...2, using: &random), at: now)
                guard let next = window.nextAdmission(at: now) else { continue }
                #expect(next > now)
                var before = window
                #expect(before.admit(at: next.advanced(byNanoseconds: -1)) == 0)
                var after = window
                #expect(after.admit(at: next) == 1)
            }
        }
    }

    @Test func `a window stays small whatever is charged, and forgets nothing too early`() {
        var window = SlidingWindow(limit: 10)
        var charged: Int64 = 0
        for step in 0..<50_000 as Range<Int64> {
            window.charge(1, at: Self.start.advanced(byNanoseconds: step * 1_000))
            charged += 1
        }
        #expect(window.octets.count < 20 * SlidingWindow.entriesMax)
        #expect(window.used(at: Self.start + .seconds(59)) == charged)
        window.charge(.max, at: Self.start + .seconds(59))
        #expect(window.used(at: Self.start + .seconds(59)) > 0)
        #expect(window.used(at: Self.start + .seconds(180)) == 0)
    }

    @Test func `clocks of threads that differ a little take nothing back`() {
        var window = SlidingWindow(limit: 2)
        #expect(window.admit(at: Self.start + .seconds(1)) == 1)
        #expect(window.admit(at: Self.start) == 1)
        #expect(window.admit(at: Self.start) == 0)
        #expect(window.used(at: Self.start + .seconds(60)) == 2)
        #expect(window.used(at: Self.start + .seconds(61)) == 0)
    }

    @Test(arguments: [5, 60, 5_000] as [Int64])
    func `octets give the same window again, and under another limit what was counted stays`(limit: Int64) throws {
        var random = SplitMix64(seed: UInt64(limit))
        var window = SlidingWindow(limit: limit)
        var now = Self.start
        for _ in 0..<1_000 {
            now = now.advanced(byNanoseconds: .random(in: 0...200_000_000, using: &random))
            _ = window.admit(.random(in: 1...4, using: &random), at: now)
        }
        var again = try #require(SlidingWindow(octets: window.octets, limit: limit))
        #expect(again.used(at: now) == window.used(at: now))
        #expect(again.nextAdmission(at: now) == window.nextAdmission(at: now))
        let later = now + .seconds(1)
        #expect(again.admit(3, at: later) == window.admit(3, at: later))
        let other = try #require(SlidingWindow(octets: window.octets, limit: 1))
        #expect(other.used(at: later) == window.used(at: later))
        #expect(try #require(SlidingWindow(octets: SlidingWindow(limit: 3).octets, limit: 3)).used(at: now) == 0)
    }

    @Test func `octets that are no window are refused and never trap`() {
        var random = SplitMix64(seed: 9)
        var window = SlidingWindow(limit: 50)
        for second in 0..<40 as Range<Int64> { window.charge(second + 1, at: Self.start + .seconds(second)) }
        let whole = window.octets
        #expect(SlidingWindow(octets: [], limit: 1) == nil)
        #expect(SlidingWindow(octets: [9], limit: 1) == nil)
        #expect(SlidingWindow(octets: [1] + Array(repeating: 0xFF, count: 40), limit: 1) == nil)
        #expect(SlidingWindow(octets: [1] + Array(repeating: 1, count: 4 * SlidingWindow.entriesMax), limit: 1) == nil)
        for _ in 0..<5_000 {
            var octets = whole
            for _ in 0..<3 { octets[Int.random(in: 1..<octets.count, using: &random)] = .random(in: 0...255, using: &random) }
            octets.removeLast(Int.random(in: 0...8, using: &random))
            guard var read = SlidingWindow(octets: octets, limit: 50) else { continue }
            read.charge(1, at: Self.start)
            _ = read.admit(at: Self.start + .seconds(30))
            _ = read.nextAdmission(at: Self.start + .seconds(90))
        }
    }
}
