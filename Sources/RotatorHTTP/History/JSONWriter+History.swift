// SPDX-License-Identifier: MIT

internal import RotatorCore

extension JSONWriter {
    /// Tokens; null where they are not known.
    mutating func write(_ usage: TokenUsage?) {
        guard let usage else { return write(String?.none) }
        openObject()
        member("input", usage.input)
        member("output", usage.output)
        member("cached_input", usage.cachedInput)
        member("reasoning", usage.reasoning)
        member("total", usage.total)
        closeObject()
    }

    /// The members that every tally has.
    mutating func members(of tally: TrafficTally) {
        member("requests", tally.requests)
        member("failures", tally.failures)
        member("success_rate", tally.requests == 0 ? nil : 1 - Double(tally.failures) / Double(tally.requests), places: 6)
        member("attempts", tally.attempts)
        name("tokens")
        write(tally.usage)
        member("unknown_usage", tally.unknownUsage)
        name("latency_ms")
        write(tally.durations)
        name("first_byte_ms")
        write(tally.firstBytes)
        name("added_ms")
        write(tally.additions)
    }

    mutating func write(_ histogram: DurationHistogram) {
        openObject()
        member("p50", histogram.quantile(0.5).map { $0 / 1e6 }, places: 3)
        member("p95", histogram.quantile(0.95).map { $0 / 1e6 }, places: 3)
        member("p99", histogram.quantile(0.99).map { $0 / 1e6 }, places: 3)
        closeObject()
    }

    /// Nanoseconds as milliseconds; null where there are none.
    mutating func member(_ name: StaticString, nanoseconds: Int64?) { member(name, nanoseconds.map { Double($0) / 1e6 }, places: 3) }
}
