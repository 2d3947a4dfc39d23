// SPDX-License-Identifier: MIT

/// What one exchange, or one attempt of it, adds to a tally: read from its record once, added to as many tallies as it counts for.
package struct TrafficSample: Sendable {
    fileprivate var failures: Int64
    fileprivate var attempts: Int64
    fileprivate var unknownUsage: Int64
    fileprivate var usage: TokenUsage?
    fileprivate var duration: Int
    fileprivate var firstByte: Int?
    private var addition: Int?

    /// What a whole exchange adds: to its service, its client and its model.
    ///
    /// Read member by member where it lies: a copy of a record counts seven texts and an array.
    package init(_ records: Span<ExchangeRecord>, at index: Int) {
        let status = records[index].status
        usage = records[index].usage
        failures = ExchangeRecord.isFailure(status: status, ending: records[index].ending, errorCode: records[index].errorCode) ? 1 : 0
        attempts = Int64(records[index].attemptCount)
        unknownUsage = usage == nil && 200..<300 ~= status ? 1 : 0
        duration = DurationHistogram.bucket(of: records[index].duration)
        firstByte = records[index].firstByte.map(DurationHistogram.bucket)
        let last = records[index].attempts.count - 1
        if last >= 0, last + 1 == attempts { addition = DurationHistogram.bucket(of: records[index].attempts[last].began) }
    }

    /// What a whole exchange adds.
    package init(_ record: ExchangeRecord) { self.init([record].span, at: 0) }

    /// What an attempt adds to its key: a request that fails where the attempt did. Tokens are the last attempt's, which gave the answer.
    package init(_ attempt: borrowing AttemptRecord, answering whole: TrafficSample?) {
        failures = attempt.verdict == "success" || attempt.verdict == "abandoned" ? 0 : 1
        attempts = 1
        unknownUsage = whole?.unknownUsage ?? 0
        usage = whole?.usage
        duration = DurationHistogram.bucket(of: attempt.duration)
    }

    /// Takes the exchange's times into histograms.
    package func observe(durations: inout DurationHistogram, firstBytes: inout DurationHistogram, additions: inout DurationHistogram) {
        durations.observe(bucket: duration)
        if let firstByte { firstBytes.observe(bucket: firstByte) }
        observe(additions: &additions)
    }

    /// Takes in what was added to the provider's own time, where that is known.
    package func observe(additions: inout DurationHistogram) {
        if let addition { additions.observe(bucket: addition) }
    }
}

extension TrafficTally {
    /// Takes in one exchange, or one attempt.
    package mutating func add(_ sample: TrafficSample) {
        requests = requests.addingCapped(1)
        failures = failures.addingCapped(sample.failures)
        attempts = attempts.addingCapped(sample.attempts)
        unknownUsage = unknownUsage.addingCapped(sample.unknownUsage)
        if let used = sample.usage { usage.add(used) }
        durations.observe(bucket: sample.duration)
        if let firstByte = sample.firstByte { firstBytes.observe(bucket: firstByte) }
    }
}
