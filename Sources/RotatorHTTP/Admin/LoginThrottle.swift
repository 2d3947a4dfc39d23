// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Remembers failed logins per address: ten within a minute, and the address waits.
final class LoginThrottle: Sendable {
    private static let failuresMax = 10
    private static let window = Duration.seconds(60)
    /// What an attacker with many addresses can make us remember.
    private static let addressesMax = 10_000

    /// The last failures of each address, oldest first, at most ten.
    private let failures = OutOfLineMutex<[String: [Moment]]>([:])

    /// How long `address` has to wait; nil when it need not.
    func wait(for address: String, at now: Moment) -> Duration? {
        failures.withLock { Self.wait(after: $0[address], at: now) }
    }

    /// Notes a failed login and says how long the address had to wait already: parallel attempts that all began in time do not get more than ten
    /// answers together.
    func loginFailed(from address: String, at now: Moment) -> Duration? {
        failures.withLock { failures in
            if let wait = Self.wait(after: failures[address], at: now) { return wait }
            if failures[address] == nil && failures.count >= Self.addressesMax { Self.makeRoom(in: &failures, at: now) }
            let recent = (failures[address] ?? []).filter { now - $0 < Self.window }
            failures[address] = recent.suffix(Self.failuresMax - 1) + [now]
            return nil
        }
    }

    private static func wait(after moments: [Moment]?, at now: Moment) -> Duration? {
        guard let moments, moments.count >= failuresMax, let oldest = moments.first, now - oldest < window else { return nil }
        return window - (now - oldest)
    }

    private static func makeRoom(in failures: inout [String: [Moment]], at now: Moment) {
        failures = failures.filter { entry in entry.value.last.map { now - $0 < window } ?? false }
        guard failures.count >= addressesMax else { return }
        // Still full: those that failed longest ago go, a tenth at once so that the sorting is rare.
        let oldest = failures.sorted { ($0.value.last ?? .distantPast) < ($1.value.last ?? .distantPast) }.prefix(addressesMax / 10)
        for entry in oldest { failures[entry.key] = nil }
    }
}
