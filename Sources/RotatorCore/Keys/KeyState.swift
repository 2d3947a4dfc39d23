// SPDX-License-Identifier: MIT

/// What people see of a key's standing, as one word.
public enum KeyState: String, Sendable, Hashable, CaseIterable {
    /// May be used; a rest for one model alone or an open circuit leaves it so.
    case active
    /// Rests for a while, because the provider said so.
    case cooling
    /// Out of money or quota: rests for long.
    case exhausted
    /// The provider does not accept it; a reset brings it back, or a probe that succeeds.
    case invalid
    /// Switched off by an administrator.
    case disabled
}

/// A key as people see it: never its value.
public struct KeyView: Sendable, Hashable {
    /// Its number.
    public var id: KeyID
    /// The service whose pool it belongs to.
    public var serviceID: ServiceID
    /// Enough of the value to recognise it, see ``Secret/masked``.
    public var masked: String
    /// A name for people; may be empty.
    public var name: String
    /// Its share under the weighted strategy, 1…1,000,000.
    public var weight: Int
    /// False when an administrator switched it off.
    public var isActive: Bool
    /// Tags, quota group and limits.
    public var attributes: KeyAttributes
    /// Where it stands.
    public var state: KeyState
    /// Why, in a stable word such as `rate_limited`; nil when there is nothing to say. An open circuit is `active` with `circuit_open`, a limit of the
    /// key's own that is reached is `active` with `paced`, and a quota of which the provider said that nothing is left `active` with `quota_empty`.
    public var stateReason: String?
    /// When the rest, the open circuit or the hold ends; nil when there is none or it does not end by itself.
    public var coolingUntil: Moment?
    /// Rests for one model alone that are running; of those with the reason `quota_empty` this replica alone knows.
    public var coolingModels: [StandingRecord.ModelRest]
    /// When it was last granted; nil when never.
    public var lastUsedAt: Moment?
    /// Attempts that succeeded, ever.
    public var successCount: Int64
    /// Attempts that failed by the key's or the provider's fault, ever.
    public var failureCount: Int64
    /// Attempts that are under way now.
    public var inFlight: Int
    /// The quota group that counts: what an administrator says, else what the provider said since the process began.
    public var quotaGroup: String?
    /// What the provider last said of the key's quota.
    public var quota: [QuotaReading.Amount] = []
    /// How far the key's own limits are used on this replica.
    public var pacing: [KeyLimitUse] = []

    /// A key as people see it.
    public init(
        id: KeyID, serviceID: ServiceID, masked: String, name: String = "", weight: Int = 1, isActive: Bool = true,
        attributes: KeyAttributes = KeyAttributes(), state: KeyState = .active, stateReason: String? = nil, coolingUntil: Moment? = nil,
        coolingModels: [StandingRecord.ModelRest] = [], lastUsedAt: Moment? = nil, successCount: Int64 = 0, failureCount: Int64 = 0, inFlight: Int = 0
    ) {
        self.id = id
        self.serviceID = serviceID
        self.masked = masked
        self.name = name
        self.weight = weight
        self.isActive = isActive
        self.attributes = attributes
        self.state = state
        self.stateReason = stateReason
        self.coolingUntil = coolingUntil
        self.coolingModels = coolingModels
        self.lastUsedAt = lastUsedAt
        self.successCount = successCount
        self.failureCount = failureCount
        self.inFlight = inFlight
    }
}

extension Secret {
    /// Enough of the octets for people to recognise the credential: the first and the last 4 from 20 octets up, of shorter ones at most the
    /// first 2, and never more than a quarter.
    public var masked: String {
        unsafe withUnsafeBytes { bytes in
            guard bytes.count >= 20 else {
                return unsafe String(decoding: bytes.prefix(min(2, bytes.count / 4)), as: UTF8.self) + "…"
            }
            return unsafe String(decoding: bytes.prefix(4), as: UTF8.self) + "…" + String(decoding: bytes.suffix(4), as: UTF8.self)
        }
    }
}
