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
    /// From a request's head to the beginning of the attempt that gave its answer: what was added to the provider's own time. Of services alone.
    public var additions = DurationHistogram()

    /// Nothing yet.
    public init() {}

    /// Whether nothing was counted.
    public var isEmpty: Bool { requests == 0 && attempts == 0 }

    /// Takes in what was counted elsewhere.
    public mutating func add(_ other: TrafficTally) {
        requests = requests.addingCapped(other.requests)
        failures = failures.addingCapped(other.failures)
        attempts = attempts.addingCapped(other.attempts)
        unknownUsage = unknownUsage.addingCapped(other.unknownUsage)
        usage.add(other.usage)
        durations.add(other.durations)
        firstBytes.add(other.firstBytes)
        additions.add(other.additions)
    }

    // MARK: As octets

    /// The tally in a compact form that ``init(octets:)`` reads: a version, then numbers of variable length.
    public var octets: [UInt8] {
        var out: [UInt8] = [additions.isEmpty ? 1 : 2]
        for number in [requests, failures, attempts, unknownUsage, usage.input, usage.output, usage.cachedInput, usage.reasoning] {
            out.appendVariableLength(UInt64(max(0, number)))
        }
        for histogram in [durations, firstBytes] { histogram.append(to: &out) }
        // The first version had no more than that, and a tally without additions is written as it was.
        if !additions.isEmpty { additions.append(to: &out) }
        return out
    }

    /// The tally that ``octets`` wrote; nil for anything else.
    public init?(octets: [UInt8]) {
        var rest = octets[...]
        guard let version = rest.popFirst(), 1...2 ~= version else { return nil }
        var numbers: [Int64] = []
        for _ in 0..<8 {
            guard let number = rest.popVariableLength(), number <= UInt64(Int64.max) else { return nil }
            numbers.append(Int64(number))
        }
        guard let durations = DurationHistogram(from: &rest), let firstBytes = DurationHistogram(from: &rest) else { return nil }
        if version == 2 {
            guard let additions = DurationHistogram(from: &rest), !additions.isEmpty else { return nil }
            self.additions = additions
        }
        guard rest.isEmpty else { return nil }
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
    /// No bucket counts further than this, so that a sum of all of them can be counted in 64 bits.
    private static let countMax = UInt64(Int64.max) / UInt64(bucketCount)

    /// The first bucket that holds any; 0 where none does.
    private(set) var first = 0
    /// From ``first`` on, up to the last bucket that holds any.
    private(set) var counts: [UInt64] = []

    /// None yet.
    public init() {}

    /// Whether there are none.
    public var isEmpty: Bool { counts.isEmpty }

    /// How many there were.
    public var count: UInt64 { counts.reduce(0, +) }

    /// Takes in one duration in nanoseconds.
    public mutating func observe(_ nanoseconds: Int64) { add(1, to: Self.bucket(of: nanoseconds)) }

    /// Takes in one duration of the bucket that ``bucket(of:)`` named.
    package mutating func observe(bucket: Int) { add(1, to: bucket) }

    /// Takes in what was observed elsewhere.
    public mutating func add(_ other: DurationHistogram) {
        if counts.isEmpty {
            self = other
            return
        }
        for (index, count) in other.counts.enumerated() where count > 0 { add(count, to: other.first + index) }
    }

    private mutating func add(_ count: UInt64, to bucket: Int) {
        if counts.isEmpty { first = bucket }
        if bucket < first {
            counts.insert(contentsOf: repeatElement(0, count: first - bucket), at: 0)
            first = bucket
        }
        let index = bucket - first
        if counts.count <= index { counts.append(contentsOf: repeatElement(0, count: index + 1 - counts.count)) }
        counts[index] = min(Self.countMax, counts[index] + count)
    }

    /// The duration, in nanoseconds, below which the given part of all lies; nil where there is none. The middle of its bucket.
    public func quantile(_ part: Double) -> Double? {
        let all = count
        guard all > 0 else { return nil }
        let wanted = max(1, UInt64((min(max(part, 0), 1) * Double(all)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen += count
            if seen >= wanted { return Self.middle(of: first + index) }
        }
        return Self.middle(of: first + counts.count - 1)
    }

    private static let ends: [Double] = (0..<bucketCount - 1).map { bucket in (0..<bucket).reduce(least) { end, _ in end * growth } }

    /// The bucket of a duration in nanoseconds.
    package static func bucket(of nanoseconds: Int64) -> Int {
        let value = Double(nanoseconds)
        let ends = ends
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
        out.appendVariableLength(UInt64(first))
        out.appendVariableLength(UInt64(counts.count))
        for count in counts { out.appendVariableLength(count) }
    }

    fileprivate init?(from octets: inout ArraySlice<UInt8>) {
        guard let first = octets.popVariableLength(), let held = octets.popVariableLength(), first <= UInt64(Self.bucketCount),
            held <= UInt64(Self.bucketCount), first + held <= UInt64(Self.bucketCount), held > 0 || first == 0
        else { return nil }
        for _ in 0..<held {
            guard let count = octets.popVariableLength(), count <= Self.countMax else { return nil }
            counts.append(count)
        }
        // As it was written: with something in the buckets at both ends.
        guard counts.first != 0, counts.last != 0 else { return nil }
        self.first = Int(first)
    }
}

extension [UInt8] {
    /// Appends a number, seven bits an octet, the least significant first (LEB128).
    package mutating func appendVariableLength(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

extension ArraySlice<UInt8> {
    /// Takes out the number that stands at the beginning; nil where none does, or one that is longer than it need be.
    package mutating func popVariableLength() -> UInt64? {
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while let octet = popFirst() {
            if shift == 63, octet > 1 { return nil }
            number |= UInt64(octet & 0x7F) << shift
            if octet & 0x80 == 0 { return octet == 0 && shift > 0 ? nil : number }
            shift += 7
            if shift > 63 { return nil }
        }
        return nil
    }
}
