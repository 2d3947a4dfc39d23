// SPDX-License-Identifier: MIT

/// An upstream key as the catalogue keeps it.
public struct KeyRecord: Sendable {
    /// Its number.
    public var id: KeyID
    /// The service whose pool it belongs to.
    public var serviceID: ServiceID
    /// What is shown to the provider.
    public var secret: Secret
    /// A name for people; may be empty.
    public var name: String
    /// Its share under the weighted strategy, 1…1,000,000.
    public var weight: Int
    /// False when an administrator switched it off.
    public var isActive: Bool
    /// Tags, quota group and limits.
    public var attributes: KeyAttributes
    /// Rests and failures as last written down.
    public var standing: StandingRecord
    /// What was counted of it, over all replicas, as last written down.
    public var counts: KeyCounts

    /// A key as the catalogue keeps it.
    public init(
        id: KeyID, serviceID: ServiceID, secret: Secret, name: String = "", weight: Int = 1, isActive: Bool = true,
        attributes: KeyAttributes = KeyAttributes(), standing: StandingRecord = StandingRecord(), counts: KeyCounts = KeyCounts()
    ) {
        self.id = id
        self.serviceID = serviceID
        self.secret = secret
        self.name = name
        self.weight = weight
        self.isActive = isActive
        self.attributes = attributes
        self.standing = standing
        self.counts = counts
    }
}

/// What is counted of a key. Adds up over replicas.
public struct KeyCounts: Sendable, Hashable {
    /// Attempts that succeeded.
    public var successes: Int64 = 0
    /// Attempts that failed by the key's or the provider's fault.
    public var failures: Int64 = 0
    /// When it was last granted; nil when never.
    public var lastUsedAt: Moment?

    /// A key that was never used.
    public init() {}

    /// What was counted of a key.
    public init(successes: Int64, failures: Int64, lastUsedAt: Moment?) {
        self.successes = successes
        self.failures = failures
        self.lastUsedAt = lastUsedAt
    }

    /// Takes in what was counted elsewhere or since: counts add up (and stop at the greatest number), the later use stays.
    public mutating func add(_ other: KeyCounts) {
        let (successes, isFull) = successes.addingReportingOverflow(other.successes)
        self.successes = isFull ? .max : successes
        let (failures, isFullOfFailures) = failures.addingReportingOverflow(other.failures)
        self.failures = isFullOfFailures ? .max : failures
        if let used = other.lastUsedAt { lastUsedAt = max(lastUsedAt ?? used, used) }
    }
}

/// A key that is to be added to a pool.
public struct NewKey: Sendable {
    /// What is shown to the provider: 1 to 8,192 visible ASCII octets.
    public var secret: Secret
    /// A name for people.
    public var name: String
    /// Its share under the weighted strategy, 1…1,000,000.
    public var weight: Int
    /// Whether it may be used at once.
    public var isActive: Bool
    /// Tags, quota group and limits.
    public var attributes: KeyAttributes

    /// A key to be added.
    public init(secret: Secret, name: String = "", weight: Int = 1, isActive: Bool = true, attributes: KeyAttributes = KeyAttributes()) {
        self.secret = secret
        self.name = name
        self.weight = weight
        self.isActive = isActive
        self.attributes = attributes
    }
}

/// What is remembered of a key's standing over a restart. All times are absolute.
public struct StandingRecord: Sendable, Hashable {
    /// The provider-given part of a key's state (an administrator's `disabled` is ``KeyRecord/isActive``).
    public enum State: String, Sendable, Hashable, CaseIterable { case active, cooling, exhausted, invalid }

    /// A rest of this key for one model alone.
    public struct ModelRest: Sendable, Hashable {
        /// The model as the request named it.
        public var model: String
        /// When it may be tried again.
        public var until: Moment
        /// Why, in a stable word such as `rate_limited` or `forbidden`.
        public var reason: String
        /// How many rests in a row; drives the doubling.
        public var level: Int

        /// A rest for one model.
        public init(model: String, until: Moment, reason: String, level: Int) {
            self.model = model
            self.until = until
            self.reason = reason
            self.level = level
        }
    }

    /// The state that was last decided; `cooling` and `exhausted` end by themselves at `until`.
    public var state: State = .active
    /// When the rest ends; nil when the state does not end by itself.
    public var until: Moment?
    /// Why, in a stable word; empty when active.
    public var reason: String = ""
    /// Rests for one model alone.
    public var models: [ModelRest] = []
    /// 401-like refusals in a row.
    public var rejections: Int = 0
    /// Rests in a row by 429 without a time of the provider's own; drives the doubling from 1 s to 60 s.
    public var rateLimitLevel: Int = 0
    /// `exhausted` in a row; drives the doubling from 1 h to 24 h.
    public var exhaustionLevel: Int = 0
    /// Rests of the whole key in a row because it may not do what was asked; drives the doubling from 60 s to 1 h.
    public var forbiddenLevel: Int = 0
    /// 5xx-like failures in a row.
    public var upstreamFailures: Int = 0
    /// How often in a row the circuit opened; drives the doubling from 5 s to 60 s.
    public var circuitLevel: Int = 0
    /// When the open circuit admits a trial; nil when it is closed.
    public var circuitUntil: Moment?
    /// When this was decided, for telling the later of two records of one key; grows with every decision, whatever the clocks of replicas say.
    public var decidedAt: Moment = .distantPast
    /// How often the key was cleared, by an administrator or by working although it was invalid: what was decided before the last time no longer
    /// counts.
    public var resetCount: Int64 = 0

    /// A key that nothing is known of.
    public init() {}

    /// Whether this was decided before `other`, so that writing it down must not replace `other`.
    public func isOlder(than other: StandingRecord) -> Bool {
        resetCount != other.resetCount ? resetCount < other.resetCount : decidedAt < other.decidedAt
    }
}

/// What one replica has to tell of a key since it last did.
public struct StandingUpdate: Sendable, Hashable {
    /// The key's standing; nil when it has not changed.
    public var standing: StandingRecord?
    /// What has been counted since, to be added; its `lastUsedAt` counts where it is later than what is known.
    public var counts: KeyCounts

    /// What there is to tell of a key.
    public init(standing: StandingRecord?, counts: KeyCounts = KeyCounts()) {
        self.standing = standing
        self.counts = counts
    }

    /// Takes in what has come since.
    public mutating func add(_ later: StandingUpdate) {
        if let standing = later.standing { self.standing = standing }
        counts.add(later.counts)
    }
}
