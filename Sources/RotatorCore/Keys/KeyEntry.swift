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
    /// Whether the next grant is the trial of a half-open circuit. Written under the lock.
    let awaitsTrial = Atomic<Bool>(false)
    /// Whether there is something that has not been handed out for writing down.
    let isUnrecorded = Atomic<Bool>(false)

    // Guarded by the family's lock.
    nonisolated(unsafe) var name: String
    nonisolated(unsafe) var weight: Int
    nonisolated(unsafe) var attributes: KeyAttributes
    nonisolated(unsafe) var standing: KeyStanding
    /// What the boards have been told last.
    nonisolated(unsafe) var shown: Shown
    /// The family's numbers of the models for which the key rests.
    nonisolated(unsafe) var restingModels = ModelSlots()
    /// The earliest moment at which the queue of returns comes back to this key.
    nonisolated(unsafe) var queuedAt: Moment = .distantFuture
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

        init(_ standing: KeyStanding) {
            isFit = standing.isFit
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
        unsafe shown = Shown(standing)
        unsafe knownCounts = record.counts
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

    func contains(_ slot: Int) -> Bool { word(slot >> 6) & bit(slot) != 0 }

    mutating func insert(_ slot: Int) { setWord(slot >> 6, to: word(slot >> 6) | bit(slot)) }

    mutating func remove(_ slot: Int) { setWord(slot >> 6, to: word(slot >> 6) & ~bit(slot)) }

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
