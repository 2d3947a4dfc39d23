// SPDX-License-Identifier: MIT

/// The keys of one service and their standing; the only thing that grants leases.
///
/// Any thread may call any member; ``lease(model:conversation:excluding:at:)`` under the default strategy takes no lock and allocates nothing beyond
/// the lease.
public protocol KeyPool: AnyObject, Sendable {
    /// Grants the right to spend one key on one attempt.
    ///
    /// - Parameters:
    ///   - model: the model that the request is for; nil where none can be read.
    ///   - conversation: a stable hash of the conversation that the request belongs to, for strategies that keep one on one key; nil: none is known.
    ///   - tried: keys that this request has spent already; never granted again.
    ///   - now: the present moment.
    func lease(model: String?, conversation: UInt64?, excluding tried: TriedKeys, at now: Moment) -> LeaseDecision

    /// Whether a key could be granted now that is not in `tried`. Grants nothing and moves nothing.
    func hasKey(model: String?, excluding tried: TriedKeys, at now: Moment) -> Bool

    /// An attempt that is still under way was answered in order: rows of failures end and a trial has succeeded, now and not at its settlement.
    func noteAnswer(_ key: any LeasedKey, model: String?, grantedAt: Moment, at now: Moment)

    /// Whether ``lease(model:conversation:excluding:at:)`` makes something of a conversation.
    var followsConversations: Bool { get }

    /// What an answer said of the key's quota and of the organisation that it belongs to. Cheap where neither says anything new.
    func noteAccount(_ key: any LeasedKey, model: String?, quota: QuotaReading?, group: String?, at now: Moment)

    /// An exchange with the key has used so many tokens.
    func noteTokens(_ key: any LeasedKey, _ count: Int64, at now: Moment)

    /// When a key can be spent on `model`: `now` where one can be at once, nil where none comes back by itself. Grants nothing.
    func nextAvailability(model: String?, at now: Moment) -> Moment?

    /// Takes a lease back with what the attempt taught. Called by ``KeyLease/settle(_:model:at:)``, once for each lease.
    func settle(_ key: any LeasedKey, as outcome: AttemptOutcome, model: String?, grantedAt: Moment, at now: Moment)
}

extension KeyPool {
    public var followsConversations: Bool { false }
    public func noteAccount(_ key: any LeasedKey, model: String?, quota: QuotaReading?, group: String?, at now: Moment) {}
    public func noteTokens(_ key: any LeasedKey, _ count: Int64, at now: Moment) {}

    /// As ``lease(model:conversation:excluding:at:)``, where no conversation is known.
    public func lease(model: String?, excluding tried: TriedKeys, at now: Moment) -> LeaseDecision {
        lease(model: model, conversation: nil, excluding: tried, at: now)
    }
}

/// What a pool answers to a request for a key.
public enum LeaseDecision: ~Copyable, Sendable {
    /// This key is to be spent.
    case granted(KeyLease)
    /// Keys exist, but none may be used now. `until` is when the first is back; nil when none comes back by itself.
    case resting(until: Moment?)
    /// Every key that may be used now has been tried by this request.
    case allTried
    /// The pool has no key.
    case noKeys
}

/// The keys that one request has spent, in order. Holds four without allocating.
public struct TriedKeys: Sendable {
    private var first: (Int64, Int64, Int64, Int64) = (0, 0, 0, 0)
    private var more: [Int64] = []
    /// How many were spent.
    public private(set) var count = 0

    /// None yet.
    public init() {}

    /// Remembers that `key` was spent.
    public mutating func insert(_ key: KeyID) {
        switch count {
        case 0: first.0 = key.rawValue
        case 1: first.1 = key.rawValue
        case 2: first.2 = key.rawValue
        case 3: first.3 = key.rawValue
        default: more.append(key.rawValue)
        }
        count += 1
    }

    /// Whether `key` was spent.
    public func contains(_ key: KeyID) -> Bool {
        let id = key.rawValue
        return count > 0 && (first.0 == id || first.1 == id || first.2 == id || first.3 == id || more.contains(id))
    }
}

/// The pool's own handle on a granted key: what a settlement needs.
public protocol LeasedKey: AnyObject, Sendable {
    /// The key's number.
    var id: KeyID { get }
    /// What is shown to the provider.
    var secret: Secret { get }
}

/// The right to spend one key on one attempt; settled exactly once.
public struct KeyLease: ~Copyable, Sendable {
    private let pool: any KeyPool
    /// The granted key.
    public let key: any LeasedKey
    /// When the pool granted it: what was learned before a rest began does not count again.
    public let grantedAt: Moment
    private var isSettled = false

    /// A lease on `key`. For pools to make.
    public init(on key: any LeasedKey, of pool: any KeyPool, at now: Moment) {
        self.pool = pool
        self.key = key
        self.grantedAt = now
    }

    /// Tells the pool that the attempt was answered in order, while its body is still under way.
    public borrowing func noteAnswer(model: String?, at now: Moment) {
        pool.noteAnswer(key, model: model, grantedAt: grantedAt, at: now)
    }

    /// Tells the pool what an answer said of the key's quota and organisation. Cheap where neither says anything new.
    public borrowing func noteAccount(model: String?, quota: QuotaReading?, group: String?, at now: Moment) {
        pool.noteAccount(key, model: model, quota: quota, group: group, at: now)
    }

    /// Tells the pool how many tokens the exchange has used.
    public borrowing func noteTokens(_ count: Int64, at now: Moment) { pool.noteTokens(key, count, at: now) }

    /// Gives the key back with what the attempt taught.
    public consuming func settle(_ outcome: AttemptOutcome, model: String?, at now: Moment) {
        pool.settle(key, as: outcome, model: model, grantedAt: grantedAt, at: now)
        isSettled = true
    }

    // Forgotten: nothing was learned, but the key is no longer in flight.
    deinit {
        if !isSettled { pool.settle(key, as: .abandoned, model: nil, grantedAt: grantedAt, at: grantedAt) }
    }
}
