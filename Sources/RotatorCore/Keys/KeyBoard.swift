// SPDX-License-Identifier: MIT

internal import Synchronization

/// The keys of one pool that may be used, and the strategy that orders them; one for the pool and one for each model for which some keys rest.
@safe final class KeyRotation: Sendable {
    let fit: PositionSet
    let cursor: RotationCursor
    let strategy: any RotationStrategy
    /// Asked for once: the strategy's own answer costs a copy of its box.
    let observesInFlight: Bool
    let observesHeadroom: Bool
    let followsConversations: Bool
    private let isRoundRobin: Bool
    // Nil where every replica orders by itself: rotations for single models, and strategies that do not follow turns.
    private let desk: TicketDesk?
    // Guarded by the family's lock: the answer to "when is the first back", and the change for which it was worked out.
    nonisolated(unsafe) var firstReturn: (change: Int, until: Moment?) = (-1, nil)

    init(capacity: Int, cursor: RotationCursor, strategy: any RotationStrategy, desk: TicketDesk? = nil) {
        fit = PositionSet(capacity: capacity)
        self.cursor = cursor
        self.strategy = strategy
        observesInFlight = strategy.observesInFlight
        observesHeadroom = strategy.observesHeadroom
        followsConversations = strategy.followsConversations
        isRoundRobin = strategy is RoundRobin
        self.desk = strategy.followsTurns ? desk : nil
    }

    /// A rotation over the same keys in the same state, in which a choice changes nothing.
    init(previewing original: KeyRotation) {
        fit = original.fit
        cursor = RotationCursor()
        cursor.put(at: original.cursor.position)
        strategy = original.strategy.copy()
        observesInFlight = original.observesInFlight
        observesHeadroom = original.observesHeadroom
        followsConversations = original.followsConversations
        isRoundRobin = original.isRoundRobin
        desk = nil
    }

    /// Whether a choice of a moment later would be the same, as far as it can be told beforehand: not where it is drawn, nor where another stretch of
    /// turns is about to begin.
    var isPredictable: Bool { !(strategy is RandomChoice) && !(takesTurns && cursor.isAtEnd) }

    /// The strategy's choice; the default one is asked without a detour through its box.
    func next(among candidates: borrowing Candidates) -> Int? {
        isRoundRobin ? RoundRobin().next(among: candidates) : strategy.next(among: candidates)
    }

    /// Whether the strategy is to be told of each grant.
    var observesGrants: Bool { observesInFlight || observesHeadroom }

    /// Whether each choice takes one of the cursor's turns.
    var takesTurns: Bool { desk != nil }

    /// Makes sure that there is a turn to be taken, where the rotation is shared.
    func beginStretchIfNeeded() {
        if let desk, cursor.isAtEnd { desk.beginStretch(of: cursor, among: fit) }
    }

    /// Makes `entry` a candidate, or no longer one. Under the family's lock.
    func set(_ entry: KeyEntry, isCandidate: Bool) {
        if isCandidate {
            if fit.insert(entry.position) {
                unsafe strategy.candidateJoined(entry.position, weight: entry.weight, inFlight: entry.inFlight.load(ordering: .relaxed))
            }
        } else if fit.remove(entry.position) {
            strategy.candidateLeft(entry.position)
        }
    }
}

/// Which keys of one pool may be used: what leases read without a lock, and what is counted over them.
///
/// Membership never changes. Fitness changes under the family's lock, on every board that holds the key.
@safe final class KeyBoard: Sendable {
    /// Models for which some keys may rest at a time; beyond that the whole key rests.
    static let modelsMax = 256

    /// By position; nil where another pool of the family has or had a key.
    let entries: ContiguousArray<KeyEntry?>
    /// The members in the order of their ids.
    let members: ContiguousArray<KeyEntry>
    /// All keys that are fit.
    let rotation: KeyRotation

    // The rotations for models, by the family's number of the model. A rotation stays for the next model of that number, so readers need no lock;
    // the hash says which model it stands for now, 0 = none. A reader that is overtaken chooses among the keys of a moment ago: harmless.
    private nonisolated(unsafe) let modelHashes: UnsafeMutablePointer<Atomic<Int>>
    private nonisolated(unsafe) let modelRotations: UnsafeMutablePointer<AtomicLazyReference<KeyRotation>>
    private let modelCount = Atomic<Int>(0)

    // Guarded by the family's lock.
    private(set) nonisolated(unsafe) var stateCounts: [KeyState: Int] = [:]
    /// Members that are switched on.
    private(set) nonisolated(unsafe) var enabledCount = 0
    /// Those of them that the provider keeps rejecting.
    private(set) nonisolated(unsafe) var rejectedCount = 0
    /// What strategies were told of members whose headroom is not full.
    private nonisolated(unsafe) var headrooms: [Int: KeyHeadroom] = [:]

    /// A board for `members`, in the order of their ids, on which no key is fit yet.
    init(members: ContiguousArray<KeyEntry>, cursor: RotationCursor, desk: TicketDesk, strategy: any RotationStrategy) {
        let capacity = (members.lazy.map(\.position).max() ?? -1) + 1
        var entries = ContiguousArray<KeyEntry?>(repeating: nil, count: capacity)
        for member in members { entries[member.position] = member }
        self.entries = entries
        self.members = members
        rotation = KeyRotation(capacity: capacity, cursor: cursor, strategy: strategy, desk: desk)
        unsafe modelHashes = .allocate(capacity: Self.modelsMax)
        unsafe modelRotations = .allocate(capacity: Self.modelsMax)
        for slot in 0..<Self.modelsMax {
            unsafe (modelHashes + slot).initialize(to: Atomic(0))
            unsafe (modelRotations + slot).initialize(to: AtomicLazyReference())
        }
    }

    deinit {
        unsafe modelHashes.deinitialize(count: Self.modelsMax)
        unsafe modelRotations.deinitialize(count: Self.modelsMax)
        unsafe modelHashes.deallocate()
        unsafe modelRotations.deallocate()
    }

    /// The rotation for requests of `model`. Any thread, without a lock.
    func rotation(for model: String?) -> KeyRotation {
        let count = modelCount.load(ordering: .acquiring)
        guard count > 0, let model else { return rotation }
        let hash = Self.hash(of: model)
        for slot in 0..<count where unsafe modelHashes[slot].load(ordering: .acquiring) == hash {
            if let found = unsafe modelRotations[slot].load() { return found }
        }
        return rotation
    }

    /// What `model` is recognised by; never 0.
    static func hash(of model: String) -> Int {
        let hash = model.hashValue
        return hash == 0 ? 1 : hash
    }

    /// Whether `entry` is a member.
    func contains(_ entry: KeyEntry) -> Bool { entry.position < entries.count && entries[entry.position] === entry }

    /// The member with this id.
    func member(_ id: KeyID) -> KeyEntry? {
        let index = firstIndex(after: KeyID(id.rawValue - 1))
        return index < members.count && members[index].id == id ? members[index] : nil
    }

    /// The index in ``members`` of the first with an id above `id`.
    func firstIndex(after id: KeyID) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].id <= id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Under the family's lock

    /// Counts and indexes all members, going on from where `predecessor` stands when the strategy is a copy of its.
    func fill(continuing predecessor: KeyBoard?) {
        if rotation.strategy.observesMembers {
            rotation.strategy.membersChanged(to: members.map { unsafe RotationMember(position: $0.position, id: $0.id, weight: $0.weight) })
        }
        if let predecessor {
            for entry in predecessor.members where predecessor.rotation.fit.contains(entry.position) {
                if contains(entry) { rotation.fit.insert(entry.position) } else { rotation.strategy.candidateLeft(entry.position) }
            }
        }
        for entry in members { unsafe show(entry, entry.shown, instead: nil) }
    }

    /// Counts and indexes a member as `shown`, having counted it as `former`.
    func show(_ entry: KeyEntry, _ shown: KeyEntry.Shown, instead former: KeyEntry.Shown?) {
        if let former {
            unsafe stateCounts[former.state, default: 0] -= 1
            if former.isEnabled { unsafe enabledCount -= 1 }
            if former.isRejected { unsafe rejectedCount -= 1 }
        }
        unsafe stateCounts[shown.state, default: 0] += 1
        if shown.isEnabled { unsafe enabledCount += 1 }
        if shown.isRejected { unsafe rejectedCount += 1 }
        rotation.set(entry, isCandidate: shown.isFit)
    }

    /// Begins a rotation of its own for `model`, whose keys rest as their ``KeyEntry/restingModels`` say.
    func beginModel(_ model: String, slot: Int, cursor: RotationCursor) {
        let own: KeyRotation
        if let present = unsafe modelRotations[slot].load() {
            own = present
            // Nobody told it of attempts while it stood idle: let every key join anew.
            if own.observesInFlight { for entry in members { own.set(entry, isCandidate: false) } }
            for entry in members { set(entry, in: own, slot: slot) }
            if own.observesHeadroom {
                for entry in members { own.strategy.candidate(entry.position, hasHeadroom: unsafe headrooms[entry.position] ?? .full) }
            }
        } else {
            own = KeyRotation(capacity: entries.count, cursor: cursor, strategy: rotation.strategy.copy())
            for entry in members where rotation.fit.contains(entry.position) {
                own.fit.insert(entry.position)
            }
            for entry in members { set(entry, in: own, slot: slot) }
            _ = unsafe modelRotations[slot].storeIfNil(own)
        }
        unsafe own.firstReturn = (-1, nil)
        unsafe modelHashes[slot].store(Self.hash(of: model), ordering: .releasing)
        if modelCount.load(ordering: .relaxed) <= slot { modelCount.store(slot + 1, ordering: .releasing) }
    }

    /// Ends the rotation of a model for which no key rests any more. `count`: one more than the highest number that is still in use.
    func endModel(slot: Int, count: Int) {
        unsafe modelHashes[slot].store(0, ordering: .releasing)
        modelCount.store(count, ordering: .releasing)
    }

    /// Makes a member a candidate for a model, or no longer one.
    func set(_ entry: KeyEntry, inModel slot: Int) {
        if let own = unsafe modelRotations[slot].load() { set(entry, in: own, slot: slot) }
    }

    /// Tells every strategy how many attempts are under way with a member.
    func inFlightChanged(_ entry: KeyEntry, to count: Int) {
        rotation.strategy.candidate(entry.position, hasInFlight: count)
        for slot in 0..<modelCount.load(ordering: .relaxed) {
            if let own = unsafe modelRotations[slot].load() { own.strategy.candidate(entry.position, hasInFlight: count) }
        }
    }

    /// Tells every strategy how much is left of a member.
    func headroomChanged(_ entry: KeyEntry, to headroom: KeyHeadroom) {
        if headroom == .full {
            if unsafe headrooms.removeValue(forKey: entry.position) == nil { return }
        } else {
            unsafe headrooms[entry.position] = headroom
        }
        rotation.strategy.candidate(entry.position, hasHeadroom: headroom)
        for slot in 0..<modelCount.load(ordering: .relaxed) {
            if let own = unsafe modelRotations[slot].load() { own.strategy.candidate(entry.position, hasHeadroom: headroom) }
        }
    }

    /// Tells every strategy that a member's weight is another.
    func weightChanged(_ entry: KeyEntry) {
        reenter(entry, rotation)
        for slot in 0..<modelCount.load(ordering: .relaxed) {
            if let own = unsafe modelRotations[slot].load() { reenter(entry, own) }
        }
    }

    private func reenter(_ entry: KeyEntry, _ rotation: KeyRotation) {
        guard rotation.fit.contains(entry.position) else { return }
        rotation.set(entry, isCandidate: false)
        rotation.set(entry, isCandidate: true)
    }

    private func set(_ entry: KeyEntry, in own: KeyRotation, slot: Int) {
        unsafe own.set(entry, isCandidate: entry.shown.isFit && !entry.restingModels.contains(slot))
    }
}
