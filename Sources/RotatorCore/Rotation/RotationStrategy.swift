// SPDX-License-Identifier: MIT

/// Orders the keys of a pool: says which one comes next.
///
/// A strategy knows nothing of health, time or HTTP. It sees positions, small numbers that stand for keys; `candidates` holds those that may be
/// used now and that the request has not tried, so failover is "take the next". The simplest strategy is one method and no state of its own
/// (see ``RoundRobin``). One that keeps a structure over the candidates is told of each that joins or leaves, and of its weight.
///
/// Every member may be called on any thread, several at once: keep state in a `Mutex`. The calls that tell of changes come one after the other and
/// while the pool's lock is held, so they must not call the pool. A choice that was overtaken by such a change is harmless: the pool looks again.
public protocol RotationStrategy: Sendable {
    /// The position to spend next, one that `candidates` contains; nil when there is none.
    func next(among candidates: borrowing Candidates) -> Int?

    /// A strategy of its own in the same state: for a pool whose membership has changed, and for a model for which some keys rest.
    func copy() -> Self

    /// Whether ``candidate(_:hasInFlight:)`` is wanted. It makes each grant and each settlement take the pool's lock. False by default.
    var observesInFlight: Bool { get }

    /// Whether the order follows from the cursor's turns, so that replicas which share them keep one order. False by default: then each replica
    /// orders by itself.
    var followsTurns: Bool { get }

    /// Whether a choice depends on ``Candidates/conversation``. False by default: then nobody works out which conversation a request belongs to.
    var followsConversations: Bool { get }

    /// Whether ``candidate(_:hasHeadroom:)`` is wanted. It makes each grant take the pool's lock. False by default.
    var observesHeadroom: Bool { get }

    /// Whether ``membersChanged(to:)`` is wanted. False by default.
    var observesMembers: Bool { get }

    /// These are the keys of the pool from now on, those that may not be chosen now included. Comes before anything is told of a position that is new.
    /// Does nothing by default.
    func membersChanged(to members: [RotationMember])

    /// The key at `position` may be chosen from now on. Does nothing by default.
    func candidateJoined(_ position: Int, weight: Int, inFlight: Int)

    /// The key at `position` may no longer be chosen. Does nothing by default.
    func candidateLeft(_ position: Int)

    /// So many attempts are now under way with the key at `position`. Does nothing by default.
    func candidate(_ position: Int, hasInFlight count: Int)

    /// So much is now left to be asked of the key at `position`, whether it may be chosen or not; full until this is called. Does nothing by default.
    func candidate(_ position: Int, hasHeadroom headroom: KeyHeadroom)
}

extension RotationStrategy {
    public var observesInFlight: Bool { false }
    public var followsTurns: Bool { false }
    public var followsConversations: Bool { false }
    public var observesHeadroom: Bool { false }
    public var observesMembers: Bool { false }
    public func membersChanged(to members: [RotationMember]) {}
    public func candidateJoined(_ position: Int, weight: Int, inFlight: Int) {}
    public func candidateLeft(_ position: Int) {}
    public func candidate(_ position: Int, hasInFlight count: Int) {}
    public func candidate(_ position: Int, hasHeadroom headroom: KeyHeadroom) {}
}

/// A key of a pool as strategies see it that want to know all of them.
public struct RotationMember: Sendable, Hashable {
    /// What stands for it in this pool and its successors, in this process.
    public var position: Int
    /// What stands for it everywhere and for ever.
    public var id: KeyID
    /// Its share, 1 or more. A new weight is told by ``RotationStrategy/candidateJoined(_:weight:inFlight:)``.
    public var weight: Int
}

/// The keys among which a strategy chooses, by position, and the pool's cursor. Reading it takes no lock.
public struct Candidates: ~Copyable {
    let rotation: KeyRotation
    let board: KeyBoard
    /// Nil when the request has tried none.
    let tried: TriedKeys?
    /// A hash of the conversation that the request belongs to, the same in every process; nil where none is known.
    public let conversation: UInt64?

    /// Positions are 0 ..< positionCount.
    public var positionCount: Int { rotation.fit.capacity }

    /// Where the last choice of a strategy that uses the cursor stands; -1 before the first. All threads share it. Where replicas share a rotation
    /// whose strategy ``RotationStrategy/followsTurns``, it may jump between two choices.
    public var cursor: Int {
        rotation.beginStretchIfNeeded()
        return rotation.cursor.position
    }

    /// Moves the cursor; false when another thread was faster, and the choice must be made again.
    public func moveCursor(from old: Int, to new: Int) -> Bool {
        rotation.cursor.move(from: old, to: new, takingTurn: rotation.takesTurns)
    }

    /// Whether the key at `position` may be used now and has not been tried by this request.
    public func contains(_ position: Int) -> Bool { rotation.fit.contains(position) && !isTried(position) }

    /// The first candidate at or after `position`, going on from 0 after the last position; nil when there is none.
    ///
    /// - Parameter includingTried: whether keys count that this request has tried.
    public func first(from position: Int, includingTried: Bool = false) -> Int? {
        guard let tried, !includingTried else { return rotation.fit.first(from: position) }
        var start = position
        // Of any count + 1 neighbours at least one is untried, or the search has come round.
        for _ in 0...tried.count {
            guard let found = rotation.fit.first(from: start) else { return nil }
            if !isTried(found) { return found }
            start = found + 1
        }
        return nil
    }

    private func isTried(_ position: Int) -> Bool {
        guard let tried, let entry = board.entries[position] else { return false }
        return tried.contains(entry.id)
    }
}

extension RotationStrategyName {
    /// A fresh strategy of this name.
    public func makeStrategy(seed: UInt64) -> any RotationStrategy {
        switch self {
        case .roundRobin: RoundRobin()
        case .sequential: Sequential()
        case .weighted: Weighted()
        case .random: RandomChoice(seed: seed)
        case .leastInFlight: LeastInFlight()
        case .headroom: Headroom()
        case .affinity: Affinity()
        }
    }
}
