// SPDX-License-Identifier: MIT

internal import Synchronization

/// What a pool and its successors share: the lock under which standing changes, the cursor, and the queue of keys that come back.
///
/// Lock order: this lock, then the locks inside strategies. Nothing that holds it calls out of the module but to strategies.
final class KeyFamily: Sendable {
    /// What the lock guards, beside the guarded members of entries, boards and rotations.
    struct State: Sendable {
        /// The boards of all pools that live: at most one for each thread that has not looked at the catalogue since a change, and the present one.
        var boards: [KeyBoard] = []
        var returns = ReturnQueue()
        var models = ModelTable()
        /// The keys of each quota group that is known, those included that a pool of the past alone has.
        var groups: [String: ContiguousArray<KeyEntry>] = [:]
        /// What exchanges took on average lately, in tokens; an attempt under way is expected to take as many.
        var tokensPerGrant: Int64 = 1_000
        /// Grows with each change of standing.
        var change = 0
        /// The latest moment that was handed in: threads' clocks may differ by a little, and standing never goes back in time.
        var latest = Moment.distantPast
        /// Changes of state for whoever watches them; nil while nobody does.
        var stateChanges: StateChangeLog?
    }

    /// Keys that one lease brings back at most when they are due, so that none pays for a whole pool.
    static let returnsMax = 256

    let cursor = RotationCursor()
    let desk = TicketDesk()
    /// Whether something has not been handed out for writing down.
    let hasUnrecorded = Atomic<Bool>(false)
    /// Whether a standing is among it: other replicas wait for that, and not for mere counts.
    let hasUnrecordedStanding = Atomic<Bool>(false)
    /// When the first key comes back, in nanoseconds since the Unix epoch. Leases compare it with their `now`.
    private let nextReturn = Atomic<Int64>(.max)
    private let state = Mutex(State())

    func withLock<R>(_ body: (inout State) -> R) -> R { state.withLock { body(&$0) } }

    /// Brings back keys that are due, unless another thread is at it. Cheap when none is.
    func returnKeysIfDue(at now: Moment) {
        if nextReturn.load(ordering: .relaxed) > now.nanoseconds { return }
        _ = state.withLockIfAvailable { returnKeys(in: &$0, at: now, limit: Self.returnsMax) }
    }

    // MARK: Under the lock

    /// Brings back keys that are due.
    func returnKeys(in state: inout State, at now: Moment, limit: Int = .max) {
        var left = limit
        while left > 0, let entry = state.returns.popFirst(at: now) {
            left -= 1
            if state.boards.contains(where: { $0.contains(entry) }) { refresh(entry, in: &state, at: now) }
        }
        nextReturn.store(state.returns.first.nanoseconds, ordering: .relaxed)
    }

    /// Makes what everybody sees of a key agree with its standing. To be called after each change of it.
    func refresh(_ entry: KeyEntry, in state: inout State, at now: Moment) {
        state.change &+= 1
        state.latest = max(state.latest, now)
        let now = state.latest
        unsafe entry.standing.timePassed(at: now)
        let holds = unsafe entry.holds
        holds?.update(inFlight: entry.inFlight.load(ordering: .relaxed), at: now)
        updateModels(of: entry, in: &state, at: now)

        let standing = unsafe entry.standing
        let former = unsafe entry.shown
        let shown = KeyEntry.Shown(standing, isHeld: holds?.isHeld ?? false)
        unsafe entry.shown = shown
        if shown.state != former.state, state.stateChanges != nil {
            let isTold = shown.state != .active && shown.state != .disabled
            state.stateChanges?.append(
                KeyStateChange(
                    key: entry.id, service: entry.serviceID, from: former.state, to: shown.state, reason: isTold ? standing.reason : "",
                    until: isTold ? standing.until : nil, at: now))
        }
        entry.memory.store(standing.memory, ordering: .relaxed)
        entry.isGrantedUnderLock.store(standing.circuit.awaitsTrial || holds?.pacing != nil, ordering: .releasing)
        entry.isPaced.store(holds?.pacing != nil, ordering: .relaxed)
        entry.isEmpty.store(holds?.isEmpty ?? false, ordering: .relaxed)
        for board in state.boards where board.contains(entry) {
            if shown != former { board.show(entry, shown, instead: former) }
            for slot in state.models.slots { board.set(entry, inModel: slot) }
        }
        queue(entry, at: standing.nextChange, in: &state)
        queue(entry, at: holds?.nextChange, in: &state)
        tellHeadroom(of: entry, in: &state, at: now)
    }

    /// Has the queue come back to a key at `moment`.
    private func queue(_ entry: KeyEntry, at moment: Moment?, in state: inout State) {
        guard let moment, unsafe moment < entry.queuedAt else { return }
        state.returns.insert(entry, at: moment)
        nextReturn.store(state.returns.first.nanoseconds, ordering: .relaxed)
    }

    /// Has a key's standing handed out for writing down.
    func markUnrecordedStanding(_ entry: KeyEntry) {
        unsafe entry.hasUnrecordedStanding = true
        entry.isUnrecorded.store(true, ordering: .sequentiallyConsistent)
        hasUnrecorded.store(true, ordering: .sequentiallyConsistent)
        hasUnrecordedStanding.store(true, ordering: .sequentiallyConsistent)
    }

    /// Whether a rest for `model` alone can be told apart from those for other models.
    func canRest(_ model: String, in state: State) -> Bool { state.models.hasRoom(for: model) }

    /// Enters the board of a new pool.
    func enter(_ board: KeyBoard, continuing predecessor: KeyBoard?, in state: inout State) {
        board.fill(continuing: predecessor)
        for slot in state.models.slots {
            if let model = state.models.name(of: slot) { board.beginModel(model, slot: slot, cursor: state.models.cursor(of: slot)) }
        }
        state.boards.append(board)
        if board.rotation.observesHeadroom {
            for entry in board.members { tellHeadroom(of: entry, in: &state, at: state.latest) }
        }
    }

    /// Strikes out the board of a pool that nobody holds any more, and forgets keys that no other pool has.
    func leave(_ board: KeyBoard) {
        withLock { state in
            state.boards.removeAll { $0 === board }
            let boards = state.boards
            state.returns.removeAll { entry in
                let isGone = !boards.contains { $0.contains(entry) }
                if isGone { unsafe entry.queuedAt = .distantFuture }
                return isGone
            }
            for (name, members) in state.groups {
                let stay = ContiguousArray(members.lazy.filter { entry in boards.contains { $0.contains(entry) } })
                if stay.count == members.count { continue }
                for entry in members { unsafe entry.group = nil }
                for (index, entry) in stay.enumerated() { unsafe entry.group = (name, index) }
                state.groups[name] = stay.isEmpty ? nil : stay
            }
        }
    }

    /// Tells strategies that want to know how many attempts are under way with a key.
    func inFlightChanged(_ entry: KeyEntry, in state: State) {
        let count = entry.inFlight.load(ordering: .relaxed)
        for board in state.boards where board.rotation.observesInFlight && board.contains(entry) {
            board.inFlightChanged(entry, to: count)
        }
    }

    private func updateModels(of entry: KeyEntry, in state: inout State, at now: Moment) {
        let holds = unsafe entry.holds
        if unsafe entry.standing.models.isEmpty && entry.restingModels.isEmpty && holds?.emptyModels.isEmpty ?? true { return }
        var begun: [Int] = []
        var resting = ModelSlots()
        for index in unsafe entry.standing.models.indices {
            let rest = unsafe entry.standing.models[index]
            let slot = slot(for: rest.model, until: rest.until, present: rest.slot, begun: &begun, in: &state, at: now)
            unsafe entry.standing.models[index].slot = slot
            if let slot { resting.insert(slot) }
        }
        if let holds {
            for index in holds.emptyModels.indices {
                let empty = holds.emptyModels[index]
                let slot = slot(for: empty.model, until: empty.until, present: empty.slot, begun: &begun, in: &state, at: now)
                holds.emptyModels[index].slot = slot
                if let slot { resting.insert(slot) }
            }
            // Those that are over, and those for which there are too many models: a hint is not worth the whole key.
            holds.emptyModels.removeAll { $0.slot == nil }
        }
        unsafe entry.restingModels = resting
        unsafe entry.standing.forgetModels(at: now)
        for slot in begun {
            guard let model = state.models.name(of: slot) else { continue }
            for board in state.boards { board.beginModel(model, slot: slot, cursor: state.models.cursor(of: slot)) }
        }
    }

    /// The number for a rest of one key for `model`: taken while it runs, given back when it is over.
    private func slot(for model: String, until: Moment, present: Int?, begun: inout [Int], in state: inout State, at now: Moment) -> Int? {
        if until > now {
            if let present { return present }
            guard let slot = state.models.acquire(model, cursor: cursor.position) else { return nil }
            if slot.isNew { begun.append(slot.number) }
            return slot.number
        }
        if let present, state.models.release(present) {
            let count = state.models.count
            for board in state.boards { board.endModel(slot: present, count: count) }
        }
        return nil
    }
}

// MARK: Quota, under the lock

extension KeyFamily {
    /// How soon a key whose headroom is not full is looked at again where a strategy follows it: its own limits free themselves as time passes.
    private static let headroomInterval = Duration.seconds(15)

    /// A key was granted for `model`: counts it against its limits and tells strategies.
    func granted(_ entry: KeyEntry, model: String?, in state: inout State, at now: Moment) {
        let now = max(now, state.latest)
        if let holds = unsafe entry.holds, holds.pacing != nil {
            holds.pacing?.granted(at: now)
            refreshIfPaceChanged(entry, in: &state, at: now)
        }
        inFlightChanged(entry, in: state)
        if state.boards.contains(where: { $0.rotation.observesHeadroom }) {
            entry.quota.withLock { $0.granted(model: model) }
            tellHeadroom(of: entry, in: &state, at: now)
        }
    }

    /// Looks again at a key's own limits: an attempt has ended, or tokens were counted.
    func refreshIfPaceChanged(_ entry: KeyEntry, in state: inout State, at now: Moment) {
        guard let holds = unsafe entry.holds else { return }
        let now = max(now, state.latest)
        if holds.pacing?.hold(inFlight: entry.inFlight.load(ordering: .relaxed), at: now) != holds.pace { refresh(entry, in: &state, at: now) }
    }

    /// Tells strategies that want to know how much is left of a key.
    func tellHeadroom(of entry: KeyEntry, in state: inout State, at now: Moment) {
        guard state.boards.contains(where: { $0.rotation.observesHeadroom && $0.contains(entry) }) else { return }
        let headroom = entry.headroom(tokensPerGrant: state.tokensPerGrant, at: now)
        for board in state.boards where board.rotation.observesHeadroom && board.contains(entry) { board.headroomChanged(entry, to: headroom) }
        if headroom.share < 1 {
            let reset = entry.quota.withLock { $0.nextReset(after: now) }
            queue(entry, at: min(reset ?? .distantFuture, now + Self.headroomInterval), in: &state)
        }
    }

    /// An exchange took so many tokens.
    func noteTokens(_ count: Int64, in state: inout State) {
        state.tokensPerGrant = max(1, (state.tokensPerGrant * 15 + min(count, 1 << 32)) / 16)
    }

    /// Makes the groups agree with what is known of a key's.
    func updateGroup(of entry: KeyEntry, in state: inout State) {
        let name = entry.quotaGroup
        guard unsafe entry.group?.name != name else { return }
        if let (old, index) = unsafe entry.group {
            if let last = state.groups[old]?.popLast(), last !== entry {
                state.groups[old]?[index] = last
                unsafe last.group?.index = index
            }
            if state.groups[old]?.isEmpty ?? false { state.groups[old] = nil }
            unsafe entry.group = nil
        }
        guard let name else { return }
        state.groups[name, default: []].append(entry)
        unsafe entry.group = (name, (state.groups[name]?.count ?? 1) - 1)
    }

    /// The other keys of the quota group of `entry`.
    func siblings(of entry: KeyEntry, in state: State) -> ContiguousArray<KeyEntry> {
        guard let name = unsafe entry.group?.name, var members = state.groups[name] else { return [] }
        members.removeAll { $0 === entry }
        return members
    }
}

/// The models for which at least one key of a family rests, by number.
struct ModelTable: Sendable {
    private struct Model: Sendable {
        var name: String
        var hash: Int
        var restCount: Int
    }

    private var models: [Model?] = []
    private var cursors: [RotationCursor] = []
    private var numbers: [String: Int] = [:]

    /// The numbers in use.
    var slots: some Sequence<Int> { models.indices.lazy.filter { models[$0] != nil } }

    /// One more than the highest number in use.
    var count: Int { (models.lastIndex { $0 != nil } ?? -1) + 1 }

    /// The name of the model with this number.
    func name(of slot: Int) -> String? { models[slot]?.name }

    /// The cursor for the model with this number.
    func cursor(of slot: Int) -> RotationCursor { cursors[slot] }

    /// Whether ``acquire(_:cursor:)`` would succeed.
    func hasRoom(for name: String) -> Bool {
        if numbers[name] != nil { return true }
        let hash = KeyBoard.hash(of: name)
        return numbers.count < KeyBoard.modelsMax && !models.contains { $0?.hash == hash }
    }

    /// Counts one more key that rests for `name`. A model's rotation begins where the pool's `cursor` stands. Nil when there are too many models.
    mutating func acquire(_ name: String, cursor: Int) -> (number: Int, isNew: Bool)? {
        if let number = numbers[name] {
            models[number]?.restCount += 1
            return (number, false)
        }
        guard hasRoom(for: name) else { return nil }
        let number: Int
        if let free = models.firstIndex(where: { $0 == nil }) {
            number = free
        } else {
            number = models.count
            models.append(nil)
            cursors.append(RotationCursor())
        }
        models[number] = Model(name: name, hash: KeyBoard.hash(of: name), restCount: 1)
        cursors[number].put(at: cursor)
        numbers[name] = number
        return (number, true)
    }

    /// Counts one key less. True when none rests for the model any more, and its number is free.
    mutating func release(_ slot: Int) -> Bool {
        guard var model = models[slot] else { return false }
        model.restCount -= 1
        models[slot] = model.restCount > 0 ? model : nil
        if model.restCount > 0 { return false }
        numbers[model.name] = nil
        return true
    }
}
