// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Traffic tally") struct TrafficTallyTests {
    private func tally(_ seed: UInt64, requests: Int = 200, additions: Bool = true) -> TrafficTally {
        var random = Numbers(seed)
        var tally = TrafficTally()
        for _ in 0..<requests {
            var record = ExchangeRecord(requestID: "r", startedAt: Moment(seconds: 1), slug: "s", method: "POST")
            record.status = random.next() % 4 == 0 ? 503 : 200
            record.duration = Int64(random.next() % 5_000_000_000)
            record.firstByte = random.next() % 8 == 0 ? nil : record.duration / 3
            record.attemptCount = Int(random.next() % 3)
            record.usage = random.next() % 3 == 0 ? nil : TokenUsage(input: Int64(random.next() % 100_000), output: 7, cachedInput: 3, reasoning: 1)
            record.attempts = (0..<record.attemptCount).map {
                AttemptRecord(key: KeyID(1), status: 200, verdict: "success", reason: "", began: Int64(random.next() % 9_000_000) * Int64($0 + 1), duration: 1)
            }
            let sample = TrafficSample(record)
            tally.add(sample)
            if additions { sample.observe(additions: &tally.additions) }
        }
        return tally
    }

    @Test func `what was added to the provider's time is when the attempt that gave the answer began`() {
        var record = ExchangeRecord(requestID: "r", startedAt: Moment(seconds: 1), slug: "s", method: "POST")
        record.attempts = [0, 40_000_000].map { AttemptRecord(key: KeyID(1), status: 200, verdict: "success", reason: "", began: $0, duration: 1) }
        record.attemptCount = 2
        var additions = DurationHistogram()
        TrafficSample(record).observe(additions: &additions)
        #expect(additions.count == 1)
        let told = additions.quantile(0.5) ?? 0
        #expect(abs(told - 40_000_000) < 0.08 * 40_000_000)
        // Where not every attempt is known, neither is the last one's beginning.
        record.attemptCount = 3
        TrafficSample(record).observe(additions: &additions)
        record.attempts = []
        record.attemptCount = 0
        TrafficSample(record).observe(additions: &additions)
        #expect(additions.count == 1)
    }

    @Test func `what the first version wrote, without additions, is read as it was`() {
        let old = tally(3, additions: false)
        #expect(old.octets.first == 1)
        #expect(TrafficTally(octets: old.octets) == old)
        #expect(tally(3).octets.first == 2)
    }

    @Test func `what is written as octets is read again`() {
        for requests in [0, 1, 2, 50, 500] {
            let tally = tally(UInt64(requests) + 1, requests: requests)
            #expect(TrafficTally(octets: tally.octets) == tally)
        }
    }

    @Test func `what is cut short, longer or of another version is nothing`() {
        let octets = tally(5).octets
        for count in 0..<octets.count { #expect(TrafficTally(octets: Array(octets.prefix(count))) == nil) }
        #expect(TrafficTally(octets: octets + [0]) == nil)
        #expect(TrafficTally(octets: [1] + octets.dropFirst()) == nil)
        #expect(TrafficTally(octets: [3] + octets.dropFirst()) == nil)
    }

    @Test func `whatever octets come are read or refused, and what is read can be added and asked`() {
        var random = Numbers(7)
        let good = tally(9).octets
        for _ in 0..<20_000 {
            var octets = good
            for _ in 0..<Int.random(in: 1...6, using: &random) { octets[Int.random(in: 0..<octets.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            guard var read = TrafficTally(octets: octets) else { continue }
            #expect(TrafficTally(octets: read.octets) == read)
            let other = read
            for _ in 0..<4 { read.add(other) }
            _ = read.durations.quantile(0.99)
            _ = read.usage.total
        }
    }

    @Test func `counts beyond all measure neither trap nor wrap`() {
        // Version, eight numbers of the greatest size, two histograms of one bucket each.
        let greatest: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
        let numbers = Array(repeating: greatest, count: 8).joined()
        var count: [UInt8] = []
        count.appendVariableLength(UInt64(Int64.max) / 141)
        #expect(TrafficTally(octets: [1] + numbers + [0x8D, 1, 1] + count + [0, 0]) == nil, "a bucket that there is not")
        let tally = TrafficTally(octets: [1] + numbers + [0x8C, 1, 1] + count + [0, 0])
        guard var tally else { return #expect(Bool(false), "it is a tally") }
        let other = tally
        tally.add(other)
        #expect(tally.requests == .max && tally.usage.input == .max && tally.usage.total == .max)
        #expect(tally.durations.count == UInt64(Int64.max) / 141)
        #expect(tally.durations.quantile(1) != nil)
        #expect(TrafficTally(octets: [1] + numbers + [0, 1] + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01] + [0, 0]) == nil, "a count that overflows a sum")
    }

    @Test func `a number that is longer than it need be is none`() {
        var rest = ([0x80, 0x00] as [UInt8])[...]
        #expect(rest.popVariableLength() == nil)
        rest = ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02] as [UInt8])[...]
        #expect(rest.popVariableLength() == nil)
        for number in [0, 1, 127, 128, 300, UInt64(UInt32.max), UInt64.max] {
            var octets: [UInt8] = []
            octets.appendVariableLength(number)
            var read = octets[...]
            #expect(read.popVariableLength() == number && read.isEmpty)
        }
    }

    @Test func `adding is the same in any order and grouping`() {
        let (a, b, c) = (tally(1), tally(2, requests: 3), tally(3, requests: 77))
        var left = a
        left.add(b)
        left.add(c)
        var right = c
        var middle = b
        middle.add(a)
        right.add(middle)
        #expect(left == right)
        var alone = TrafficTally()
        alone.add(a)
        #expect(alone == a)
    }

    @Test func `quantiles are right within eight percent`() {
        var random = Numbers(11)
        for scale in [100_000, 5_000_000, 2_000_000_000, 600_000_000_000] as [UInt64] {
            var histogram = DurationHistogram()
            var durations: [Int64] = []
            for _ in 0..<4_001 {
                let duration = Int64(random.next() % scale + scale / 2)
                durations.append(duration)
                histogram.observe(duration)
            }
            durations.sort()
            for part in [0.5, 0.95, 0.99, 1] {
                let exact = Double(durations[max(0, Int((part * Double(durations.count)).rounded(.up)) - 1)])
                let told = histogram.quantile(part) ?? 0
                #expect(abs(told - exact) <= exact * 0.085, "\(part) of \(scale)")
            }
        }
    }

    @Test(arguments: [Int64.min, -1, 0, 1, 16_383, 16_384, .max])
    func `any duration has its bucket`(_ duration: Int64) {
        var histogram = DurationHistogram()
        histogram.observe(duration)
        #expect(histogram.count == 1)
        #expect(histogram.quantile(0.5) != nil)
    }

    @Test func `nothing has no quantile`() { #expect(DurationHistogram().quantile(0.5) == nil) }

    @Test(arguments: [
        (200, nil, .complete, false), (404, nil, .complete, false), (401, .invalidProxyKey, .complete, false), (499, nil, .clientLeft, false), (429, nil, .complete, true),
        (429, .clientRateLimited, .complete, false), (500, nil, .complete, true), (503, .noAvailableKey, .complete, true), (200, nil, .upstreamBrokeOff, true),
    ] as [(Int, ProxyError.Code?, ExchangeRecord.Ending, Bool)])
    func `an exchange fails by the provider's fault or ours, never by the client's`(_ status: Int, _ code: ProxyError.Code?, _ ending: ExchangeRecord.Ending, _ hasFailed: Bool) {
        var record = ExchangeRecord(requestID: "r", startedAt: Moment(nanoseconds: 0), slug: "s", method: "POST")
        record.status = status
        record.errorCode = code
        record.ending = ending
        var tally = TrafficTally()
        tally.add(TrafficSample(record))
        #expect(record.isFailure == hasFailed && tally.failures == (hasFailed ? 1 : 0))
    }

    @Test func `an answer of 2xx without tokens is unknown, any other is not`() {
        var tally = TrafficTally()
        var record = ExchangeRecord(requestID: "r", startedAt: Moment(seconds: 1), slug: "s", method: "POST")
        for status in [200, 204, 299, 404, 502] {
            record.status = status
            tally.add(TrafficSample(record))
        }
        record.status = 200
        record.usage = TokenUsage(input: 1, output: 2)
        tally.add(TrafficSample(record))
        #expect(tally.unknownUsage == 3)
        #expect(tally.requests == 6)
        #expect(tally.failures == 1)
        #expect(tally.usage == TokenUsage(input: 1, output: 2))
    }

    @Test(arguments: [("success", 0), ("abandoned", 0), ("rate_limited", 1), ("exhausted", 1), ("key_rejected", 1), ("forbidden", 1), ("upstream_failed", 1)])
    func `an attempt fails unless it succeeded or was given up`(_ verdict: String, _ failures: Int64) {
        var tally = TrafficTally()
        let attempt = AttemptRecord(key: KeyID(1), status: 200, verdict: verdict, reason: "", began: 0, duration: 5)
        tally.add(TrafficSample(attempt, answering: nil))
        #expect(tally.requests == 1 && tally.attempts == 1 && tally.failures == failures)
    }
}

/// The same numbers each time.
struct Numbers: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
