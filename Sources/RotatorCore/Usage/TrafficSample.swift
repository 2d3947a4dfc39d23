// SPDX-License-Identifier: MIT

/// What one exchange, or one attempt of it, adds to a tally: read from its record once, added to as many tallies as it counts for.
package struct TrafficSample: Sendable {
    fileprivate var failures: Int64
    fileprivate var attempts: Int64
    fileprivate var unknownUsage: Int64
    fileprivate var usage: TokenUsage?
    fileprivate var duration: Int
    fileprivate var firstByte: Int?

    /// What a whole exchange adds: to its service, its client and its model.
    package init(_ record: ExchangeRecord) {
        failures = record.isFailure ? 1 : 0
        attempts = Int64(record.attemptCount)
        unknownUsage = record.usage == nil && 200..<300 ~= record.status ? 1 : 0
        usage = record.usage
        duration = DurationHistogram.bucket(of: record.duration)
        firstByte = record.firstByte.map(DurationHistogram.bucket)
    }

    /// What an attempt adds to its key: a request that fails where the attempt did. Tokens are the last attempt's, which gave the answer.
    package init(_ attempt: AttemptRecord, answering whole: TrafficSample?) {
        failures = attempt.verdict == "success" || attempt.verdict == "abandoned" ? 0 : 1
        attempts = 1
        unknownUsage = whole?.unknownUsage ?? 0
        usage = whole?.usage
        duration = DurationHistogram.bucket(of: attempt.duration)
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
