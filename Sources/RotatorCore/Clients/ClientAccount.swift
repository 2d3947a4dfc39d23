// SPDX-License-Identifier: MIT

/// Why a client's request is refused.
public struct ClientRefusal: Error, Sendable, Hashable {
    /// What is limited.
    public enum Limit: String, Sendable, Hashable, CaseIterable {
        case requestsPerMinute = "requests_per_minute"
        case tokensPerMinute = "tokens_per_minute"
        case concurrentRequests = "concurrent_requests"
        case monthlyTokenBudget = "monthly_token_budget"
    }

    /// What was exceeded.
    public var limit: Limit
    /// How much of it there is.
    public var amount: Int64
    /// When it is worth coming back.
    public var until: Moment

    /// A refusal.
    public init(_ limit: Limit, amount: Int64, until: Moment) {
        self.limit = limit
        self.amount = amount
        self.until = until
    }

    /// What was exceeded, in words for the client's owner.
    public var message: String {
        switch limit {
        case .requestsPerMinute: "This proxy key is limited to \(amount) requests per minute."
        case .tokensPerMinute: "This proxy key is limited to \(amount) tokens per minute."
        case .concurrentRequests: "This proxy key is limited to \(amount) requests at the same time."
        case .monthlyTokenBudget: "This proxy key has used its budget of \(amount) tokens for this month."
        }
    }
}

/// What a client has used: decides whether it may go on. A value: no clock, no lock. Shared between replicas as ``octets``.
public struct ClientAccount: Sendable {
    /// What one process has under way.
    private struct Holding: Sendable, Hashable {
        var inFlight: Int64
        /// When that was last said: a process that is gone holds nothing.
        var at: Moment
    }

    /// After so long without a word from a process its requests count as ended.
    public static let holdingLifetime = Duration.seconds(15)

    /// By what it decides.
    public private(set) var policy: ClientPolicy
    private var requests: SlidingWindow
    private var tokens: SlidingWindow
    private var month = 0
    private var monthTokens: Int64 = 0
    private var holdings: [String: Holding] = [:]

    /// Nothing used yet.
    public init(_ policy: ClientPolicy) {
        self.policy = policy
        requests = SlidingWindow(limit: policy.requestsPerMinute ?? .max)
        tokens = SlidingWindow(limit: policy.tokensPerMinute ?? .max)
    }

    /// Takes over another policy; what was used stays used.
    public mutating func adopt(_ policy: ClientPolicy) {
        guard policy != self.policy else { return }
        if policy.requestsPerMinute != self.policy.requestsPerMinute { requests.limit = policy.requestsPerMinute ?? .max }
        if policy.tokensPerMinute != self.policy.tokensPerMinute { tokens.limit = policy.tokensPerMinute ?? .max }
        self.policy = policy
    }

    /// Admits up to `count` requests of the process `holder`, at once or not at all: how many are in, and why not the others.
    public mutating func admit(_ count: Int, by holder: String, at now: Moment) -> (admitted: Int, refusal: ClientRefusal?) {
        turnMonth(at: now)
        if let budget = policy.monthlyTokenBudget, monthTokens >= budget {
            return (0, ClientRefusal(.monthlyTokenBudget, amount: budget, until: now.startOfNextMonthUTC))
        }
        if let limit = policy.tokensPerMinute, tokens.used(at: now) >= limit {
            return (0, ClientRefusal(.tokensPerMinute, amount: limit, until: tokens.nextAdmission(at: now) ?? now))
        }
        var wanted = Int64(count)
        var refusal: ClientRefusal?
        if let limit = policy.concurrentRequests {
            let room = max(0, limit - inFlight(at: now))
            // When one ends is not known; a second is what clients wait.
            if room < wanted { refusal = ClientRefusal(.concurrentRequests, amount: limit, until: now + .seconds(1)) }
            wanted = min(wanted, room)
        }
        if let limit = policy.requestsPerMinute {
            let admitted = wanted > 0 ? requests.admit(wanted, at: now) : 0
            if admitted < wanted { refusal = ClientRefusal(.requestsPerMinute, amount: limit, until: requests.nextAdmission(at: now) ?? now) }
            wanted = admitted
        }
        if policy.concurrentRequests != nil { hold((holdings[holder]?.inFlight ?? 0) + wanted, by: holder, at: now) }
        return (Int(wanted), refusal)
    }

    /// Charges tokens that were used.
    public mutating func charge(_ count: Int64, at now: Moment) {
        guard count > 0 else { return }
        turnMonth(at: now)
        monthTokens = monthTokens.addingCapped(count)
        if policy.tokensPerMinute != nil { tokens.charge(count, at: now) }
    }

    /// The process `holder` has so many requests under way.
    public mutating func hold(_ inFlight: Int64, by holder: String, at now: Moment) {
        holdings = holdings.filter { $0.value.at + Self.holdingLifetime > now }
        holdings[holder] = inFlight > 0 ? Holding(inFlight: inFlight, at: now) : nil
    }

    /// Tokens of this month, UTC.
    public func monthTokens(at now: Moment) -> Int64 { now.monthUTC == month ? monthTokens : 0 }

    /// Requests and tokens of the last 60 s, as far as they are limited.
    public func lastMinute(at now: Moment) -> (requests: Int64, tokens: Int64) { (requests.used(at: now), tokens.used(at: now)) }

    /// Requests under way, as far as they are limited.
    public func inFlight(at now: Moment) -> Int64 {
        holdings.values.reduce(0) { $1.at + Self.holdingLifetime > now ? $0.addingCapped($1.inFlight) : $0 }
    }

    private mutating func turnMonth(at now: Moment) {
        let present = now.monthUTC
        guard month != present else { return }
        month = present
        monthTokens = 0
    }

    // MARK: As octets

    /// Everything but the policy, in a form that ``init(octets:policy:)`` reads.
    public var octets: [UInt8] {
        var out: [UInt8] = [1]
        out.append(number: Int64(month))
        out.append(number: monthTokens)
        out.append(run: requests.octets)
        out.append(run: tokens.octets)
        out.append(number: Int64(holdings.count))
        for (holder, holding) in holdings.sorted(by: { $0.key < $1.key }) {
            out.append(run: Array(holder.utf8))
            out.append(number: holding.inFlight)
            out.append(number: holding.at.nanoseconds)
        }
        return out
    }

    /// What ``octets`` wrote, under `policy`; nil for anything else.
    public init?(octets: [UInt8], policy: ClientPolicy) {
        var rest = octets[...]
        guard rest.popFirst() == 1, let month = rest.popNumber(), let monthTokens = rest.popNumber(), let requests = rest.popRun(), let tokens = rest.popRun(),
            let count = rest.popNumber(), 0...10_000 ~= count
        else { return nil }
        self.init(policy)
        self.month = Int(month)
        self.monthTokens = monthTokens
        // A window of another limit begins anew rather than make the whole account unreadable.
        self.requests = SlidingWindow(octets: requests, limit: policy.requestsPerMinute ?? .max) ?? self.requests
        self.tokens = SlidingWindow(octets: tokens, limit: policy.tokensPerMinute ?? .max) ?? self.tokens
        for _ in 0..<count {
            guard let holder = rest.popRun(), let inFlight = rest.popNumber(), let at = rest.popNumber() else { return nil }
            holdings[String(decoding: holder, as: UTF8.self)] = Holding(inFlight: inFlight, at: Moment(nanoseconds: at))
        }
    }
}

extension Moment {
    /// Months since the year 0, UTC.
    package var monthUTC: Int {
        let date = CivilDate(daysSinceEpoch: Int(nanoseconds / 86_400_000_000_000))
        return date.year * 12 + date.month - 1
    }

    /// The first of the next month, 00:00 UTC.
    package var startOfNextMonthUTC: Moment {
        Moment(seconds: Int64(CivilDate(daysSinceEpoch: Int(nanoseconds / 86_400_000_000_000)).startOfNextMonth.daysSinceEpoch) * 86_400)
    }
}

extension [UInt8] {
    fileprivate mutating func append(number: Int64) {
        for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: number >> Int64(shift))) }
    }

    fileprivate mutating func append(run: [UInt8]) {
        append(number: Int64(run.count))
        append(contentsOf: run)
    }
}

extension ArraySlice<UInt8> {
    fileprivate mutating func popNumber() -> Int64? {
        guard count >= 8 else { return nil }
        let number = prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        removeFirst(8)
        return Int64(bitPattern: number)
    }

    fileprivate mutating func popRun() -> [UInt8]? {
        guard let length = popNumber(), length >= 0, length <= count else { return nil }
        let run = [UInt8](prefix(Int(length)))
        removeFirst(Int(length))
        return run
    }
}
