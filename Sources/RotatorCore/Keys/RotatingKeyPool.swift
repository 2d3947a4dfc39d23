// SPDX-License-Identifier: MIT

internal import Synchronization

/// The keys of one service, in memory: grants them in the order of a strategy and rests them as their attempts turn out.
///
/// Which keys belong to a pool never changes. ``adding(_:at:)``, ``removing(_:)`` and the like return a successor that shares everything else with
/// its predecessor: standing, counters, attempts under way, the cursor. Publish it in the ``Catalogue``; requests in flight finish under the
/// old one. What changes in place (``update(_:name:weight:isActive:at:)``, ``reset(_:at:)``) is in force at once, in both.
///
/// Any thread may call any member. Under `round_robin` and `sequential`, ``lease(model:conversation:excluding:at:)`` takes no lock unless a rest has just
/// ended, no key is left or the key has limits of its own, and a success that ends no row of failures takes none either; neither depends on the number of keys.
public final class RotatingKeyPool: KeyPool {
    /// The service whose keys these are.
    public let service: ServiceID
    /// What kind of service it is: on llm services some rests are for one model alone.
    public let kind: ServiceKind

    let board: KeyBoard
    let family: KeyFamily
    private let strategyName: RotationStrategyName?
    private let seed: UInt64

    /// A pool with the keys that a store remembers, rests that are still running included.
    ///
    /// - Parameters:
    ///   - seed: what the random strategy's draws follow from.
    ///   - now: the present moment.
    public convenience init(
        service: ServiceID, kind: ServiceKind, strategy: RotationStrategyName, keys: [KeyRecord], seed: UInt64, at now: Moment
    ) {
        self.init(service: service, kind: kind, strategy: strategy.makeStrategy(seed: seed), name: strategy, keys: keys, seed: seed, at: now)
    }

    /// A pool under a strategy of your own. ``using(_:)`` and ``configured(kind:strategy:)`` replace it by a built-in one.
    public convenience init(service: ServiceID, kind: ServiceKind, strategy: some RotationStrategy, keys: [KeyRecord], seed: UInt64 = 0, at now: Moment) {
        self.init(service: service, kind: kind, strategy: strategy, name: nil, keys: keys, seed: seed, at: now)
    }

    private init(
        service: ServiceID, kind: ServiceKind, strategy: any RotationStrategy, name: RotationStrategyName?, keys: [KeyRecord], seed: UInt64,
        at now: Moment
    ) {
        let family = KeyFamily()
        let entries = Self.entries(for: keys, positions: 0..., at: now)
        board = family.withLock { state in
            Self.enterBoard(
                of: entries, newcomers: entries, strategy: strategy, continuing: nil, in: family, state: &state, at: now)
        }
        self.service = service
        self.kind = kind
        self.family = family
        self.strategyName = name
        self.seed = seed
    }

    private init(
        after predecessor: RotatingKeyPool, kind: ServiceKind? = nil, strategy: RotationStrategyName? = nil,
        members: ContiguousArray<KeyEntry>? = nil, newcomers: ContiguousArray<KeyEntry> = [], at now: Moment = .distantPast
    ) {
        let isSame = strategy == nil || strategy == predecessor.strategyName
        let family = predecessor.family
        self.service = predecessor.service
        self.kind = kind ?? predecessor.kind
        self.family = family
        self.strategyName = strategy ?? predecessor.strategyName
        self.seed = predecessor.seed
        board = family.withLock { state in
            let own: any RotationStrategy
            if let strategy, !isSame {
                own = strategy.makeStrategy(seed: predecessor.seed)
            } else {
                own = predecessor.board.rotation.strategy.copy()
            }
            return Self.enterBoard(
                of: members ?? predecessor.board.members, newcomers: newcomers, strategy: own, continuing: isSame ? predecessor.board : nil,
                in: family, state: &state, at: now)
        }
    }

    deinit { family.leave(board) }

    // MARK: Leases

    public func lease(model: String?, conversation: UInt64?, excluding tried: TriedKeys, at now: Moment) -> LeaseDecision {
        family.returnKeysIfDue(at: now)
        let rotation = board.rotation(for: model)
        let chosen = rotation.next(among: candidates(of: rotation, conversation: conversation, excluding: tried))
        if let position = chosen, rotation.fit.contains(position), let entry = board.entries[position],
            !entry.isGrantedUnderLock.load(ordering: .acquiring)
        {
            grant(entry, at: now)
            if rotation.observesGrants { family.withLock { family.granted(entry, model: model, in: &$0, at: now) } }
            return .granted(KeyLease(on: entry, of: self, at: now))
        }
        // No candidate, one that was overtaken by a change, a trial to be granted once, or limits to be counted: look again where nothing moves.
        switch family.withLock({ choose(chosen, model: model, conversation: conversation, excluding: tried, in: &$0, at: now) }) {
        case .key(let entry): return .granted(KeyLease(on: entry, of: self, at: now))
        case .allTried: return .allTried
        case .resting(let until): return .resting(until: until)
        case .noKeys: return .noKeys
        }
    }

    public var followsConversations: Bool { board.rotation.followsConversations }

    public func settle(_ key: any LeasedKey, as outcome: AttemptOutcome, model: String?, grantedAt: Moment, at now: Moment) {
        guard let entry = key as? KeyEntry else { preconditionFailure("a lease is settled by the pool that granted it") }
        entry.inFlight.subtract(1, ordering: .relaxed)
        switch outcome {
        case .success:
            entry.successCount.add(1, ordering: .sequentiallyConsistent)
            learnSuccess(entry, model: model, grantedAt: grantedAt, at: now)
        case .abandoned:
            if entry.memory.load(ordering: .relaxed) >> 63 != 0 { learn(entry, outcome, model: model, grantedAt: grantedAt, at: now) }
        case .rateLimited, .exhausted, .keyRejected, .forbidden, .upstreamFailed:
            entry.failureCount.add(1, ordering: .sequentiallyConsistent)
            learn(entry, outcome, model: model, grantedAt: grantedAt, at: now)
        }
        markUnrecorded(entry)
        if entry.isPaced.load(ordering: .relaxed) { family.withLock { family.refreshIfPaceChanged(entry, in: &$0, at: now) } }
        if board.rotation.observesInFlight { family.withLock { family.inFlightChanged(entry, in: $0) } }
    }

    public func hasKey(model: String?, excluding tried: TriedKeys, at now: Moment) -> Bool {
        family.returnKeysIfDue(at: now)
        return candidates(of: board.rotation(for: model), conversation: nil, excluding: tried).first(from: 0) != nil
    }

    public func noteAnswer(_ key: any LeasedKey, model: String?, grantedAt: Moment, at now: Moment) {
        guard let entry = key as? KeyEntry else { preconditionFailure("an attempt is noted by the pool that granted its lease") }
        learnSuccess(entry, model: model, grantedAt: grantedAt, at: now)
    }

    /// Takes no lock where nothing is remembered that a success would end.
    private func learnSuccess(_ entry: KeyEntry, model: String?, grantedAt: Moment, at now: Moment) {
        let memory = entry.memory.load(ordering: .relaxed)
        if memory != 0, memory >> 63 != 0 || model.map({ memory & KeyStanding.memoryBit(of: $0) != 0 }) ?? false {
            learn(entry, .success, model: model, grantedAt: grantedAt, at: now)
        }
    }

    public func nextAvailability(model: String?, at now: Moment) -> Moment? {
        family.returnKeysIfDue(at: now)
        let rotation = board.rotation(for: model)
        if !rotation.fit.isEmpty { return now }
        return family.withLock { state in
            family.returnKeys(in: &state, at: now)
            return rotation.fit.isEmpty ? firstReturn(to: rotation, model: model, in: state, at: now) : now
        }
    }

    private enum Choice {
        case key(KeyEntry), allTried, resting(until: Moment?), noKeys
    }

    private func candidates(of rotation: KeyRotation, conversation: UInt64?, excluding tried: TriedKeys) -> Candidates {
        Candidates(rotation: rotation, board: board, tried: tried.count > 0 ? tried : nil, conversation: conversation)
    }

    private func grant(_ entry: KeyEntry, at now: Moment) {
        entry.inFlight.add(1, ordering: .relaxed)
        entry.lastUsed.store(now.nanoseconds, ordering: .relaxed)
    }

    /// The same decision under the lock, where it is exact.
    ///
    /// `chosen` is the strategy's choice of a moment ago: a key whose turn it is must not lose it because its trial is granted here, else it
    /// never gets one where every other turn is another's.
    private func choose(
        _ chosen: Int?, model: String?, conversation: UInt64?, excluding tried: TriedKeys, in state: inout KeyFamily.State, at now: Moment
    ) -> Choice {
        if board.members.isEmpty { return .noKeys }
        family.returnKeys(in: &state, at: now)
        let rotation = board.rotation(for: model)
        let candidates = candidates(of: rotation, conversation: conversation, excluding: tried)
        // A strategy that finds nobody where there is somebody, or names a key that may not be used, is not obeyed.
        var position = chosen
        if position.map({ !candidates.contains($0) }) ?? true { position = rotation.next(among: candidates) }
        if let choice = position, !candidates.contains(choice) { position = nil }
        if let position = position ?? candidates.first(from: rotation.cursor.position + 1), let entry = board.entries[position] {
            grant(entry, at: now)
            if unsafe entry.standing.circuit.awaitsTrial {
                unsafe entry.standing.trialBegan(at: now)
                family.refresh(entry, in: &state, at: now)
            }
            family.granted(entry, model: model, in: &state, at: now)
            return .key(entry)
        }
        return rotation.fit.isEmpty ? .resting(until: firstReturn(to: rotation, model: model, in: state, at: now)) : .allTried
    }

    /// When the first key may be used for `model`; worked out once for each change of standing.
    private func firstReturn(to rotation: KeyRotation, model: String?, in state: KeyFamily.State, at now: Moment) -> Moment? {
        let known = unsafe rotation.firstReturn
        if known.change == state.change, known.until.map({ $0 > now }) ?? true { return known.until }
        var first: Moment?
        for entry in board.members {
            if let moment = entry.returnsAt(model: model, now: now) { first = min(first ?? moment, moment) }
        }
        unsafe rotation.firstReturn = (state.change, first)
        return first
    }

    private func learn(_ entry: KeyEntry, _ outcome: AttemptOutcome, model: String?, grantedAt: Moment, at now: Moment) {
        family.withLock { state in
            let now = max(now, state.latest)
            let shown = unsafe entry.shown
            let othersRejected = unsafe board.rejectedCount - (shown.isRejected ? 1 : 0)
            let othersEnabled = unsafe board.enabledCount - (shown.isEnabled ? 1 : 0)
            var outcome = outcome
            if kind == .generic, case .forbidden(let reason) = outcome { outcome = .keyRejected(reason: reason) }
            // A success ends what is remembered for its model; a failure may rest the model alone on llm services, while there is room for it.
            var model = model
            if outcome != .success, let name = model, kind != .llm || !family.canRest(name, in: state) { model = nil }
            unsafe entry.standing.timePassed(at: now)
            let level = unsafe entry.standing.groupLevel(model: model)
            let began = max(now, entry.lastUsedAt ?? now)
            let settled = unsafe entry.standing.settle(
                outcome, model: model, grantedAt: grantedAt, began: began, at: now, isProviderAtFault: othersRejected == othersEnabled)
            family.refresh(entry, in: &state, at: now)
            if settled.hasChanged { family.markUnrecordedStanding(entry) }
            if let rest = settled.groupRest, rest.until > now {
                changeSiblings(of: entry, in: &state, at: now) { $0.siblingRested(rest, began: max(now, $1 ?? now), at: now) }
            } else if outcome == .success, unsafe level > entry.standing.groupLevel(model: model) {
                changeSiblings(of: entry, in: &state, at: now) { standing, _ in
                    standing.siblingSucceeded(model: model, grantedAt: grantedAt, at: now)
                }
            }
        }
    }

    /// Makes a change to the other keys of a quota group, each told to replicas as its own decision. `change` gets when the key was last granted, and
    /// says whether it has changed.
    private func changeSiblings(
        of entry: KeyEntry, in state: inout KeyFamily.State, at now: Moment, _ change: (inout KeyStanding, _ lastUsedAt: Moment?) -> Bool
    ) {
        for sibling in family.siblings(of: entry, in: state) {
            unsafe sibling.standing.timePassed(at: now)
            guard unsafe change(&sibling.standing, sibling.lastUsedAt) else { continue }
            family.refresh(sibling, in: &state, at: now)
            family.markUnrecordedStanding(sibling)
        }
    }

    private func markUnrecorded(_ entry: KeyEntry) {
        // Read first: the lines are shared by all threads. The counters above were written before, in one order for everybody, so a drainer that
        // takes the mark between them and this read sees them.
        if !entry.isUnrecorded.load(ordering: .sequentiallyConsistent) { entry.isUnrecorded.store(true, ordering: .sequentiallyConsistent) }
        if !family.hasUnrecorded.load(ordering: .sequentiallyConsistent) { family.hasUnrecorded.store(true, ordering: .sequentiallyConsistent) }
    }

    // MARK: Successors

    /// A pool with `keys` as well; those that it has already are passed over.
    public func adding(_ keys: [KeyRecord], at now: Moment) -> RotatingKeyPool {
        var known = Set<KeyID>()
        let fresh = keys.filter { board.member($0.id) == nil && known.insert($0.id).inserted }
        let newcomers = Self.entries(for: fresh, positions: freePositions(count: fresh.count), at: now)
        var members = board.members + newcomers
        let isSorted = (board.members.last?.id ?? KeyID(0)) < (newcomers.first?.id ?? KeyID(.max))
        if !isSorted { members.sort { $0.id < $1.id } }
        return RotatingKeyPool(after: self, members: members, newcomers: newcomers, at: now)
    }

    /// A pool without these keys. Attempts that are under way with them finish.
    public func removing(_ ids: Set<KeyID>) -> RotatingKeyPool {
        RotatingKeyPool(after: self, members: board.members.filter { !ids.contains($0.id) })
    }

    /// A pool without any key.
    public func removingAll() -> RotatingKeyPool { RotatingKeyPool(after: self, members: []) }

    /// A pool that orders the same keys otherwise.
    public func using(_ strategy: RotationStrategyName) -> RotatingKeyPool { RotatingKeyPool(after: self, strategy: strategy) }

    /// A pool for the same service after its configuration has changed.
    public func configured(kind: ServiceKind, strategy: RotationStrategyName) -> RotatingKeyPool {
        RotatingKeyPool(after: self, kind: kind, strategy: strategy)
    }

    /// Entries for `keys` in the order of their ids.
    private static func entries(for keys: [KeyRecord], positions: some Sequence<Int>, at now: Moment) -> ContiguousArray<KeyEntry> {
        let sorted = zip(keys, keys.dropFirst()).allSatisfy { $0.id < $1.id } ? keys : keys.sorted { $0.id < $1.id }
        return ContiguousArray(zip(sorted, positions).lazy.map { KeyEntry($0, position: $1, at: now) })
    }

    /// Positions for newcomers: after the last, so that the order of positions is that of ids, until more than half of them lie idle.
    private func freePositions(count: Int) -> [Int] {
        let idle = board.entries.count - board.members.count
        guard idle > max(64, board.members.count) else { return Array(board.entries.count..<board.entries.count + count) }
        var free = Array(board.entries.indices.lazy.filter { self.board.entries[$0] == nil }.prefix(count))
        free.append(contentsOf: board.entries.count..<board.entries.count + (count - free.count))
        return free
    }

    private static func enterBoard(
        of members: ContiguousArray<KeyEntry>, newcomers: ContiguousArray<KeyEntry>, strategy: any RotationStrategy,
        continuing predecessor: KeyBoard?, in family: KeyFamily, state: inout KeyFamily.State, at now: Moment
    ) -> KeyBoard {
        for entry in newcomers {
            family.updateGroup(of: entry, in: &state)
            family.refresh(entry, in: &state, at: now)
        }
        let board = KeyBoard(members: members, cursor: family.cursor, desk: family.desk, strategy: strategy)
        family.enter(board, continuing: predecessor, in: &state)
        return board
    }
}
