// SPDX-License-Identifier: MIT

public import RotatorCore

extension KeyRecord {
    /// A key that nothing is known of but its number; its value is `sk-test-` and the number in 20 digits.
    public static func numbered(
        _ number: Int, weight: Int = 1, isActive: Bool = true, attributes: KeyAttributes = KeyAttributes(), standing: StandingRecord = StandingRecord()
    ) -> KeyRecord {
        let digits = String(number)
        let value = "sk-test-" + String(repeating: "0", count: max(0, 20 - digits.count)) + digits
        return KeyRecord(
            id: KeyID(Int64(number)), serviceID: ServiceID(1), secret: Secret(value.utf8), weight: weight, isActive: isActive, attributes: attributes,
            standing: standing)
    }

    /// A numbered key as it is read back after `update` was written down.
    public static func numbered(_ number: Int, weight: Int = 1, isActive: Bool = true, update: StandingUpdate?) -> KeyRecord {
        var record = numbered(number, weight: weight, isActive: isActive, standing: update?.standing ?? StandingRecord())
        record.counts = update?.counts ?? KeyCounts()
        return record
    }
}

extension RotatingKeyPool {
    /// A pool of keys numbered from 1.
    public static func numbered(
        _ count: Int, kind: ServiceKind = .llm, strategy: RotationStrategyName = .roundRobin, seed: UInt64 = 1, at now: Moment
    ) -> RotatingKeyPool {
        RotatingKeyPool(
            service: ServiceID(1), kind: kind, strategy: strategy, keys: count == 0 ? [] : (1...count).map { KeyRecord.numbered($0) }, seed: seed,
            at: now)
    }

    /// A lease to keep for a while, or nil when the pool grants none.
    public func hold(
        model: String? = nil, conversation: UInt64? = nil, excluding tried: TriedKeys = TriedKeys(), at now: Moment
    ) -> HeldLease? {
        switch lease(model: model, conversation: conversation, excluding: tried, at: now) {
        case .granted(let lease): HeldLease(lease)
        case .resting: nil
        case .allTried: nil
        case .noKeys: nil
        }
    }

    /// Grants a key and settles it at once. Returns its number, nil when none was granted.
    @discardableResult
    public func spend(
        _ outcome: AttemptOutcome = .success, model: String? = nil, conversation: UInt64? = nil, excluding tried: TriedKeys = TriedKeys(), at now: Moment
    ) -> Int? {
        guard let lease = hold(model: model, conversation: conversation, excluding: tried, at: now) else { return nil }
        lease.settle(outcome, model: model, at: now)
        return lease.number
    }
}

extension TriedKeys {
    /// These keys have been spent.
    public init(_ numbers: Int...) {
        self.init()
        for number in numbers { insert(KeyID(Int64(number))) }
    }
}

/// A lease that can be kept in variables and arrays. Settled as abandoned when it is forgotten.
public final class HeldLease {
    /// The number of the granted key.
    public let number: Int
    private var lease: KeyLease?

    /// Holds `lease`.
    public init(_ lease: consuming KeyLease) {
        number = Int(lease.key.id.rawValue)
        self.lease = consume lease
    }

    /// Tells what the answer said of the key's quota and organisation.
    public func noteAccount(model: String? = nil, quota: QuotaReading? = nil, group: String? = nil, at now: Moment) {
        lease?.noteAccount(model: model, quota: quota, group: group, at: now)
    }

    /// Tells how many tokens the exchange has used.
    public func noteTokens(_ count: Int64, at now: Moment) { lease?.noteTokens(count, at: now) }

    /// Settles the lease; nothing happens the second time.
    public func settle(_ outcome: AttemptOutcome, model: String? = nil, at now: Moment) { lease.take()?.settle(outcome, model: model, at: now) }
}
