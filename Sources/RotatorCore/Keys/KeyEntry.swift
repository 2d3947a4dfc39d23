// SPDX-License-Identifier: MIT

internal import Synchronization

/// One key in its pool, for as long as any pool, lease or snapshot knows it.
///
/// What each grant and settlement touches is atomic. What changes rarely is guarded by the lock of the ``KeyFamily`` that the key belongs to:
/// only code that holds the lock may touch those members.
@safe final class KeyEntry: LeasedKey {
    let id: KeyID
    let serviceID: ServiceID
    let secret: Secret
    /// Its number within the family; never changes.
    let position: Int

    /// Attempts that are under way.
    let inFlight = Atomic<Int>(0)
    /// Nanoseconds since the Unix epoch at the last grant by this process; 0 = never granted.
    let lastUsed = Atomic<Int64>(0)
    /// Attempts that ended since this process began.
    let successCount = Atomic<Int64>(0)
    let failureCount = Atomic<Int64>(0)
    /// See ``KeyStanding/memory``. Written under the lock.
    let memory = Atomic<UInt64>(0)
    /// Whether grants are decided under the lock: the next one is the trial of a half-open circuit, or the key has limits. Written under the lock.
    let isGrantedUnderLock = Atomic<Bool>(false)
    /// Whether the end of an attempt, or tokens that one used, may change what the key's limits allow. Written under the lock.
    let isPaced = Atomic<Bool>(false)
    /// Whether the provider said of a model that nothing is left. Written under the lock.
    let isEmpty = Atomic<Bool>(false)
    /// What ``learnedGroup`` is recognised by; 0 = none. Written under the lock.
    let learnedGroupHash = Atomic<Int>(0)
    /// Whether there is something that has not been handed out for writing down.
    let isUnrecorded = Atomic<Bool>(false)

    /// What the provider last said of the key's quota. A lock of its own, in which nothing is called: attempts with this one key share it.
    let quota = Mutex(QuotaBook())

    // Guarded by the family's lock.
    nonisolated(unsafe) var name: String
    nonisolated(unsafe) var weight: Int
    nonisolated(unsafe) var attributes: KeyAttributes
    nonisolated(unsafe) var standing: KeyStanding
    /// What the boards have been told last.
    nonisolated(unsafe) var shown: Shown
    /// The family's numbers of the models for which the key rests.
    nonisolated(unsafe) var restingModels = ModelSlots()
    /// What keeps the key back on this replica alone; nil when nothing ever did.
    nonisolated(unsafe) var holds: KeyHolds?
    /// The quota group that the provider named last.
    nonisolated(unsafe) var learnedGroup: String?
    /// The quota group among whose members the family has the key, and where it stands there.
    nonisolated(unsafe) var group: (name: String, index: Int)?
    /// The earliest moment at which the queue of returns comes back to this key.
    nonisolated(unsafe) var queuedAt: Moment = .distantFuture
    /// Which of the queue's nodes is the key's; see ``ReturnQueue``.
    nonisolated(unsafe) var queueSerial: UInt32 = 0
    /// Whether the standing is among what has not been handed out for writing down.
    nonisolated(unsafe) var hasUnrecordedStanding = false
    /// What was counted elsewhere and before, as far as it is known.
    nonisolated(unsafe) var knownCounts: KeyCounts
    /// What this process counted and has handed out for writing down.
    nonisolated(unsafe) var recordedCounts = KeyCounts()

    /// What boards count and index of a key.
    struct Shown: Equatable {
        var isFit: Bool
        var isEnabled: Bool
        var isRejected: Bool
        var state: KeyState

        init(_ standing: KeyStanding, isHeld: Bool) {
            isFit = standing.isFit && !isHeld
            isEnabled = standing.isActive
            isRejected = standing.isActive && standing.isRejected
            state = standing.keyState
        }
    }

    init(_ record: KeyRecord, position: Int, at now: Moment) {
        id = record.id
        serviceID = record.serviceID
        secret = record.secret
        self.position = position
        var standing = KeyStanding(record.standing, isActive: record.isActive)
        standing.timePassed(at: now)
        unsafe name = record.name
        unsafe weight = record.weight
        unsafe attributes = record.attributes
        unsafe self.standing = standing
        unsafe shown = Shown(standing, isHeld: false)
        unsafe knownCounts = record.counts
        setLimits(record.attributes.limits)
    }

    /// Sets what may be asked of the key. Under the family's lock, and followed by a refresh.
    func setLimits(_ limits: KeyLimits) {
        if limits.isEmpty {
            unsafe holds?.pacing = nil
        } else if let holds = unsafe holds, holds.pacing != nil {
            holds.pacing?.change(to: limits)
        } else {
            ensureHolds().pacing = KeyPacing(limits)
        }
    }

    /// The quota group that counts: what an administrator says, else what the provider said. Under the family's lock.
    var quotaGroup: String? { unsafe attributes.quotaGroup ?? learnedGroup }

    /// What keeps the key back on this replica, to be written into. Under the family's lock.
    func ensureHolds() -> KeyHolds {
        if let holds = unsafe holds { return holds }
        let holds = KeyHolds()
        unsafe self.holds = holds
        return holds
    }

    /// When the key may be used for `model`; nil when that does not happen by itself. Under the family's lock.
    func returnsAt(model: String?, now: Moment) -> Moment? {
        guard let moment = unsafe standing.returnsAt(model: model, now: now) else { return nil }
        return max(moment, unsafe holds?.returnsAt(model: model, now: now) ?? moment)
    }

    /// What is left to be asked of the key, by the provider's account and by its own limits. Under the family's lock.
    func headroom(tokensPerGrant: Int64, at now: Moment) -> KeyHeadroom {
        var headroom = quota.withLock { $0.headroom(tokensPerGrant: tokensPerGrant, at: now) }
        for use in unsafe holds?.pacing?.uses(inFlight: inFlight.load(ordering: .relaxed), at: now) ?? [] {
            let cost: Int64 =
                switch use.limit {
                case .requestsPerMinute, .requestsPerDay, .concurrentRequests: 1
                case .tokensPerMinute, .tokensPerDay: tokensPerGrant
                }
            let whole = Double(use.maximum)
            headroom = min(headroom, KeyHeadroom(share: max(0, Double(use.maximum - use.used)) / whole, grantShare: Double(cost) / whole))
        }
        return headroom
    }

    /// When this process last granted it.
    var lastUsedAt: Moment? {
        let nanoseconds = lastUsed.load(ordering: .relaxed)
        return nanoseconds == 0 ? nil : Moment(nanoseconds: nanoseconds)
    }

    /// What this process counted.
    var ownCounts: KeyCounts {
        KeyCounts(successes: successCount.load(ordering: .relaxed), failures: failureCount.load(ordering: .relaxed), lastUsedAt: lastUsedAt)
    }

    /// What was counted in all, as far as it is known. Under the family's lock.
    var counts: KeyCounts {
        var counts = unsafe knownCounts
        counts.add(ownCounts)
        return counts
    }
}

/// A set of the numbers 0…255.
struct ModelSlots: Sendable, Equatable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    var isEmpty: Bool { self == ModelSlots() }

    func contains(_ slot: Int) -> Bool { word(slot >> 6) & bit(slot) != 0 }

    mutating func insert(_ slot: Int) { setWord(slot >> 6, to: word(slot >> 6) | bit(slot)) }

    static func == (lhs: ModelSlots, rhs: ModelSlots) -> Bool { lhs.words == rhs.words }

    private func bit(_ slot: Int) -> UInt64 { 1 << UInt64(slot & 63) }

    private func word(_ index: Int) -> UInt64 {
        switch index {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }

    private mutating func setWord(_ index: Int, to word: UInt64) {
        switch index {
        case 0: words.0 = word
        case 1: words.1 = word
        case 2: words.2 = word
        default: words.3 = word
        }
    }
}
