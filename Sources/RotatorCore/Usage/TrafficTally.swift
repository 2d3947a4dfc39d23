// SPDX-License-Identifier: MIT

/// What was counted of the traffic of one subject in one stretch of time. Tallies of other stretches and other processes add up.
public struct TrafficTally: Sendable, Hashable {
    /// Exchanges that ended.
    public var requests: Int64 = 0
    /// Those of them that failed (``ExchangeRecord/isFailure``).
    public var failures: Int64 = 0
    /// Attempts that were made for them.
    public var attempts: Int64 = 0
    /// Exchanges with an answer of 2xx whose tokens are not known.
    public var unknownUsage: Int64 = 0
    /// Tokens of the others.
    public var usage = TokenUsage()
    /// From a request's head to the end of its answer.
    public var durations = DurationHistogram()
    /// From a request's head to the first octet of its answer.
    public var firstBytes = DurationHistogram()

    /// Nothing yet.
    public init() {}

    /// Takes in what was counted elsewhere.
    public mutating func add(_ other: TrafficTally) {
        requests = requests.addingCapped(other.requests)
        failures = failures.addingCapped(other.failures)
        attempts = attempts.addingCapped(other.attempts)
        unknownUsage = unknownUsage.addingCapped(other.unknownUsage)
        usage.add(other.usage)
        durations.add(other.durations)
        firstBytes.add(other.firstBytes)
    }

    // MARK: As octets

    /// The tally in a compact form that ``init(octets:)`` reads: a version, then numbers of variable length.
    public var octets: [UInt8] {
        var out: [UInt8] = [1]
        for number in [requests, failures, attempts, unknownUsage, usage.input, usage.output, usage.cachedInput, usage.reasoning] {
            out.appendVariableLength(UInt64(max(0, number)))
        }
        for histogram in [durations, firstBytes] { histogram.append(to: &out) }
        return out
    }

    /// The tally that ``octets`` wrote; nil for anything else.
    public init?(octets: [UInt8]) {
        var rest = octets[...]
        guard rest.popFirst() == 1 else { return nil }
        var numbers: [Int64] = []
        for _ in 0..<8 {
            guard let number = rest.popVariableLength(), number <= UInt64(Int64.max) else { return nil }
            numbers.append(Int64(number))
        }
        guard let durations = DurationHistogram(from: &rest), let firstBytes = DurationHistogram(from: &rest), rest.isEmpty else { return nil }
        (requests, failures, attempts, unknownUsage) = (numbers[0], numbers[1], numbers[2], numbers[3])
        usage = TokenUsage(input: numbers[4], output: numbers[5], cachedInput: numbers[6], reasoning: numbers[7])
        self.durations = durations
        self.firstBytes = firstBytes
    }
}

/// How many durations lay where, in buckets that grow by a sixth: quantiles are right within 8 %. Histograms add up.
public struct DurationHistogram: Sendable, Hashable {
    /// The first bucket ends here, in nanoseconds; the last one, 140, holds everything from 18 h on.
    private static let least = 16_384.0
    private static let growth = 1.17
    static let bucketCount = 141

    /// By bucket, up to the last one that holds any.
    private(set) var counts: [UInt64] = []

    /// None yet.
    public init() {}

    /// How many there were.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// Takes in one duration in nanoseconds.
    public mutating func observe(_ nanoseconds: Int64) {
        let bucket = Self.bucket(of: nanoseconds)
        if counts.count <= bucket { counts.append(contentsOf: repeatElement(0, count: bucket + 1 - counts.count)) }
        counts[bucket] &+= 1
    }

    /// Takes in what was observed elsewhere.
    public mutating func add(_ other: DurationHistogram) {
        if counts.count < other.counts.count { counts.append(contentsOf: repeatElement(0, count: other.counts.count - counts.count)) }
        for (bucket, count) in other.counts.enumerated() { counts[bucket] &+= count }
    }

    /// The duration, in nanoseconds, below which the given part of all lies; nil where there is none. The middle of its bucket.
    public func quantile(_ part: Double) -> Double? {
        let all = count
        guard all > 0 else { return nil }
        let wanted = max(1, UInt64((min(max(part, 0), 1) * Double(all)).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen &+= count
            if seen >= wanted { return Self.middle(of: bucket) }
        }
        return Self.middle(of: counts.count - 1)
    }

    private static let ends: [Double] = (0..<bucketCount - 1).map { bucket in (0..<bucket).reduce(least) { end, _ in end * growth } }

    private static func bucket(of nanoseconds: Int64) -> Int {
        let value = Double(nanoseconds)
        var low = 0
        var high = ends.count
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func middle(of bucket: Int) -> Double {
        if bucket == 0 { return ends[0] / 2 }
        if bucket >= ends.count { return ends[ends.count - 1] }
        return (ends[bucket - 1] + ends[bucket]) / 2
    }

    // MARK: As octets

    fileprivate func append(to out: inout [UInt8]) {
        let first = counts.firstIndex { $0 > 0 } ?? 0
        let held = counts.isEmpty ? [] : counts[first...]
        out.appendVariableLength(UInt64(first))
        out.appendVariableLength(UInt64(held.count))
        for count in held { out.appendVariableLength(count) }
    }

    fileprivate init?(from octets: inout ArraySlice<UInt8>) {
        guard let first = octets.popVariableLength(), let held = octets.popVariableLength(), first <= UInt64(Self.bucketCount),
            held <= UInt64(Self.bucketCount), first + held <= UInt64(Self.bucketCount)
        else { return nil }
        counts = held == 0 ? [] : Array(repeating: 0, count: Int(first))
        for _ in 0..<held {
            guard let count = octets.popVariableLength() else { return nil }
            counts.append(count)
        }
    }
}

extension [UInt8] {
    /// Seven bits an octet, the least significant first (LEB128).
    fileprivate mutating func appendVariableLength(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

extension ArraySlice<UInt8> {
    /// The number that stands at the beginning; nil where none does.
    fileprivate mutating func popVariableLength() -> UInt64? {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let octet = popFirst() else { return nil }
            number |= UInt64(octet & 0x7F) << shift
            if octet & 0x80 == 0 { return number }
        }
        return nil
    }
}
