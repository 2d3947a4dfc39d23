// SPDX-License-Identifier: MIT

/// One of the limits of ``KeyLimits``, by the name that people know it by.
public enum KeyLimit: String, Sendable, Hashable, CaseIterable {
    case requestsPerMinute = "requests_per_minute"
    case requestsPerDay = "requests_per_day"
    case tokensPerMinute = "tokens_per_minute"
    case tokensPerDay = "tokens_per_day"
    case concurrentRequests = "concurrent_requests"
}

/// How far one limit of a key is used, on this replica.
public struct KeyLimitUse: Sendable, Hashable {
    /// Which limit.
    public var limit: KeyLimit
    /// What it allows, 1 or more.
    public var maximum: Int64
    /// How much of it is used now; more than the maximum where tokens were charged afterwards.
    public var used: Int64

    /// How far a limit is used.
    public init(_ limit: KeyLimit, maximum: Int64, used: Int64) {
        self.limit = limit
        self.maximum = maximum
        self.used = used
    }
}

/// What was asked of a key beside its limits. A value: no clock, no lock.
///
/// Each replica counts for itself, from the moment at which a limit was set.
struct KeyPacing: Sendable {
    /// A limit that is reached.
    struct Hold: Sendable, Equatable {
        var limit: KeyLimit
        /// Until when; nil where an attempt must end first.
        var until: Moment?
    }

    private(set) var limits = KeyLimits()
    private var requests: SlidingWindow?
    private var tokens: SlidingWindow?
    private var requestsToday = DayCount()
    private var tokensToday = DayCount()

    init(_ limits: KeyLimits) { change(to: limits) }

    /// Other limits are in force; what was counted under limits of the same kind stays.
    mutating func change(to limits: KeyLimits) {
        self.limits = limits
        Self.change(&requests, to: limits.requestsPerMinute)
        Self.change(&tokens, to: limits.tokensPerMinute)
    }

    /// The key was granted.
    mutating func granted(at now: Moment) {
        requests?.charge(1, at: now)
        requestsToday.add(1, at: now)
    }

    /// An exchange has used so many tokens.
    mutating func used(tokens count: Int64, at now: Moment) {
        tokens?.charge(count, at: now)
        tokensToday.add(count, at: now)
    }

    /// The limit that keeps the key from being granted now, of several the one that lasts longest; nil where it may be granted.
    func hold(inFlight: Int, at now: Moment) -> Hold? {
        var hold: Hold?
        func add(_ limit: KeyLimit, until: Moment?) {
            guard let until, until > hold?.until ?? .distantPast else { return }
            hold = Hold(limit: limit, until: until)
        }
        if let maximum = limits.concurrentRequests, inFlight >= maximum { hold = Hold(limit: .concurrentRequests, until: nil) }
        add(.requestsPerMinute, until: requests?.nextAdmission(at: now))
        add(.tokensPerMinute, until: tokens?.nextAdmission(at: now))
        add(.requestsPerDay, until: requestsToday.nextAdmission(limit: limits.requestsPerDay, at: now))
        add(.tokensPerDay, until: tokensToday.nextAdmission(limit: limits.tokensPerDay, at: now))
        return hold
    }

    /// How far each limit is used.
    func uses(inFlight: Int, at now: Moment) -> [KeyLimitUse] {
        let all: [(KeyLimit, Int64?, Int64)] = [
            (.requestsPerMinute, limits.requestsPerMinute, requests?.used(at: now) ?? 0),
            (.requestsPerDay, limits.requestsPerDay, requestsToday.count(at: now)),
            (.tokensPerMinute, limits.tokensPerMinute, tokens?.used(at: now) ?? 0),
            (.tokensPerDay, limits.tokensPerDay, tokensToday.count(at: now)),
            (.concurrentRequests, limits.concurrentRequests, Int64(inFlight)),
        ]
        return all.compactMap { limit, maximum, used in maximum.map { KeyLimitUse(limit, maximum: $0, used: used) } }
    }

    private static func change(_ window: inout SlidingWindow?, to limit: Int64?) {
        guard let limit else { return window = nil }
        if window == nil { window = SlidingWindow(limit: limit) } else { window?.limit = limit }
    }
}

/// What was counted on one day, UTC.
struct DayCount: Sendable {
    private static let length: Int64 = 86_400_000_000_000

    /// Days since 1970-01-01.
    private var day: Int64 = 0
    private var count: Int64 = 0

    mutating func add(_ amount: Int64, at now: Moment) {
        guard amount > 0 else { return }
        // A thread whose clock is a little behind at midnight counts for the day that has begun.
        let today = max(day, now.nanoseconds / Self.length)
        if today > day { count = 0 }
        day = today
        let (sum, isFull) = count.addingReportingOverflow(amount)
        count = isFull ? .max : sum
    }

    func count(at now: Moment) -> Int64 { now.nanoseconds / Self.length > day ? 0 : count }

    /// The midnight at which something may be counted again; nil where something may be now.
    func nextAdmission(limit: Int64?, at now: Moment) -> Moment? {
        guard let limit, count(at: now) >= limit else { return nil }
        let (midnight, isFull) = (day + 1).multipliedReportingOverflow(by: Self.length)
        return isFull ? .distantFuture : Moment(nanoseconds: midnight)
    }
}
