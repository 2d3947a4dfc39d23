// SPDX-License-Identifier: MIT

/// When to try again what has failed: at random within 50 ms at first, within twice as long each time, and within two seconds at last, so that many
/// replicas do not come at the same moment.
struct ReconnectionBackoff {
    private(set) var failures = 0

    /// The pause after one more failure.
    mutating func next() -> Duration {
        failures += 1
        let longest = min(2_000_000, 50_000 << min(failures - 1, 6))
        return .microseconds(Int.random(in: 0...longest))
    }

    /// What was tried went well.
    mutating func reset() { failures = 0 }
}
