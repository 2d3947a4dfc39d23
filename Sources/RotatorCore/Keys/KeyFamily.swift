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
            unsafe entry.queuedAt = .distantFuture
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
        updateModels(of: entry, in: &state, at: now)

        let standing = unsafe entry.standing
        let former = unsafe entry.shown
        let shown = KeyEntry.Shown(standing)
        unsafe entry.shown = shown
        if shown.state != former.state, state.stateChanges != nil {
            let isTold = shown.state != .active && shown.state != .disabled
            state.stateChanges?.append(
                KeyStateChange(
                    key: entry.id, service: entry.serviceID, from: former.state, to: shown.state, reason: isTold ? standing.reason : "",
                    until: isTold ? standing.until : nil, at: now))
        }
        entry.memory.store(standing.memory, ordering: .relaxed)
        entry.awaitsTrial.store(standing.circuit.awaitsTrial, ordering: .releasing)
        for board in state.boards where board.contains(entry) {
            if shown != former { board.show(entry, shown, instead: former) }
            for slot in state.models.slots { board.set(entry, inModel: slot) }
        }
        if let next = standing.nextChange, unsafe next < entry.queuedAt {
            unsafe entry.queuedAt = next
            state.returns.insert(entry, at: next)
            nextReturn.store(state.returns.first.nanoseconds, ordering: .relaxed)
        }
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
        var begun: [Int] = []
        for index in unsafe entry.standing.models.indices {
            let rest = unsafe entry.standing.models[index]
            if rest.until > now {
                guard rest.slot == nil, let slot = state.models.acquire(rest.model, cursor: cursor.position) else { continue }
                unsafe entry.standing.models[index].slot = slot.number
                unsafe entry.restingModels.insert(slot.number)
                if slot.isNew { begun.append(slot.number) }
            } else if let slot = rest.slot {
                unsafe entry.standing.models[index].slot = nil
                unsafe entry.restingModels.remove(slot)
                if state.models.release(slot) {
                    let count = state.models.count
                    for board in state.boards { board.endModel(slot: slot, count: count) }
                }
            }
        }
        unsafe entry.standing.forgetModels(at: now)
        for slot in begun {
            guard let model = state.models.name(of: slot) else { continue }
            for board in state.boards { board.beginModel(model, slot: slot, cursor: state.models.cursor(of: slot)) }
        }
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
