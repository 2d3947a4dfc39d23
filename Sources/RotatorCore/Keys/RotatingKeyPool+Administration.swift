// SPDX-License-Identifier: MIT

internal import Synchronization

extension RotatingKeyPool {
    /// How many keys the pool has.
    public var keyCount: Int { board.members.count }

    /// Changes what an administrator may change of a key, in force for the next lease. False when the pool has no such key.
    @discardableResult
    public func update(_ id: KeyID, name: String, weight: Int, isActive: Bool, at now: Moment) -> Bool {
        guard let entry = board.member(id) else { return false }
        family.withLock { state in
            unsafe entry.name = name
            unsafe entry.standing.isActive = isActive
            family.refresh(entry, in: &state, at: now)
            if unsafe entry.weight != weight {
                unsafe entry.weight = weight
                for board in state.boards where board.contains(entry) { board.weightChanged(entry) }
            }
        }
        return true
    }

    /// Ends all rests of a key and forgets its failures; an invalid key is active again. False when the pool has no such key.
    @discardableResult
    public func reset(_ id: KeyID, at now: Moment) -> Bool {
        guard let entry = board.member(id) else { return false }
        family.withLock { state in
            let now = max(now, state.latest)
            unsafe entry.standing.reset(at: max(now, entry.lastUsedAt ?? now))
            family.refresh(entry, in: &state, at: now)
        }
        return true
    }

    /// A key as people see it at `now`; nil when the pool has no such key.
    public func view(of id: KeyID, at now: Moment) -> KeyView? { board.member(id).map { view(of: $0, at: now) } }

    /// Keys in the order of their ids.
    ///
    /// - Parameters:
    ///   - id: the listing begins after this one; nil: with the first.
    ///   - limit: how many at most.
    ///   - isWanted: which ones.
    public func views(after id: KeyID?, limit: Int, at now: Moment, where isWanted: (KeyView) -> Bool) -> [KeyView] {
        var views: [KeyView] = []
        for entry in board.members[(id.map(board.firstIndex(after:)) ?? 0)...] {
            if views.count >= limit { break }
            let view = view(of: entry, at: now)
            if isWanted(view) { views.append(view) }
        }
        return views
    }

    /// How many keys are in each state at `now`; states without any are left out.
    public func counts(at now: Moment) -> [KeyState: Int] {
        family.withLock { state in
            family.returnKeys(in: &state, at: now)
            return unsafe board.stateCounts.filter { $0.value > 0 }
        }
    }

    /// The value of a key: for export, and for looking for duplicates.
    public func secret(of id: KeyID) -> Secret? { board.member(id)?.secret }

    /// All values in the order of their ids.
    public var secrets: [(id: KeyID, secret: Secret)] { board.members.map { ($0.id, $0.secret) } }

    /// What has changed since the last call and is to be written down, last uses and counters included. Each change is handed out once; give ids
    /// back with ``markUnrecorded(_:)`` when writing fails. Costs a look at each key when anything has changed, and nothing to the other threads.
    public func takeUnrecordedStandings(at now: Moment) -> [KeyID: StandingRecord] {
        guard family.hasUnrecorded.exchange(false, ordering: .sequentiallyConsistent) else { return [:] }
        var standings: [KeyID: StandingRecord] = [:]
        for entry in board.members {
            // Taken before the counters are read: whoever counts after that marks the key again.
            guard entry.isUnrecorded.load(ordering: .relaxed), entry.isUnrecorded.exchange(false, ordering: .sequentiallyConsistent) else { continue }
            standings[entry.id] = record(of: entry, at: now)
        }
        return standings
    }

    /// Has these keys handed out by the next ``takeUnrecordedStandings(at:)`` again.
    public func markUnrecorded(_ ids: some Sequence<KeyID>) {
        for id in ids { board.member(id)?.isUnrecorded.store(true, ordering: .sequentiallyConsistent) }
        family.hasUnrecorded.store(true, ordering: .sequentiallyConsistent)
    }

    private func record(of entry: KeyEntry, at now: Moment) -> StandingRecord {
        var standing = family.withLock { _ in unsafe entry.standing }
        standing.timePassed(at: now)
        var record = standing.record
        record.successCount = entry.successCount.load(ordering: .relaxed)
        record.failureCount = entry.failureCount.load(ordering: .relaxed)
        record.lastUsedAt = entry.lastUsedAt
        return record
    }

    private func view(of entry: KeyEntry, at now: Moment) -> KeyView {
        var (standing, name, weight) = family.withLock { _ in unsafe (entry.standing, entry.name, entry.weight) }
        standing.timePassed(at: now)
        var view = KeyView(
            id: entry.id, serviceID: entry.serviceID, masked: entry.secret.masked, name: name, weight: weight, isActive: standing.isActive,
            state: standing.keyState, lastUsedAt: entry.lastUsedAt, successCount: entry.successCount.load(ordering: .relaxed),
            failureCount: entry.failureCount.load(ordering: .relaxed), inFlight: entry.inFlight.load(ordering: .relaxed))
        switch view.state {
        case .cooling, .exhausted, .invalid:
            view.stateReason = standing.reason
            view.coolingUntil = standing.until
        case .active:
            if !standing.circuit.isFlowing {
                view.stateReason = KeyStanding.Reason.circuitOpen
                view.coolingUntil = standing.circuit.openUntil
            }
        case .disabled:
            break
        }
        view.coolingModels = standing.models.filter { $0.until > now }
            .map { StandingRecord.ModelRest(model: $0.model, until: $0.until, reason: $0.reason, level: $0.cooldown.level) }
        return view
    }
}
