// SPDX-License-Identifier: MIT

internal import Synchronization

extension RotatingKeyPool {
    /// How many keys the pool has.
    public var keyCount: Int { board.members.count }

    /// Changes what an administrator may change of a key, in force for the next lease; attributes stay where none are given. False when the pool has no such key.
    @discardableResult
    public func update(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes? = nil, at now: Moment) -> Bool {
        guard let entry = board.member(id) else { return false }
        family.withLock { state in
            unsafe entry.name = name
            if let attributes {
                unsafe entry.attributes = attributes
                entry.setLimits(attributes.limits)
                family.updateGroup(of: entry, in: &state)
            }
            unsafe entry.standing.isActive = isActive
            family.refresh(entry, in: &state, at: now)
            if unsafe entry.weight != weight {
                unsafe entry.weight = weight
                for board in state.boards where board.contains(entry) { board.weightChanged(entry) }
            }
        }
        return true
    }

    /// The standing that a key would have after ``reset(_:to:at:)``, to be written down before; nil when the pool has no such key.
    public func standingAfterReset(of id: KeyID, at now: Moment) -> StandingRecord? {
        guard let entry = board.member(id) else { return nil }
        return family.withLock { _ in
            var record = StandingRecord()
            record.resetCount = unsafe entry.standing.resetCount + 1
            record.decidedAt = unsafe entry.standing.nextDecision(at: now)
            return record
        }
    }

    /// Ends all rests of a key and forgets its failures, as `record` says, which ``standingAfterReset(of:at:)`` gave; an invalid key is active
    /// again. False when the pool has no such key.
    @discardableResult
    public func reset(_ id: KeyID, to record: StandingRecord, at now: Moment) -> Bool {
        guard let entry = board.member(id) else { return false }
        family.withLock { state in
            let now = max(now, state.latest)
            unsafe entry.standing.reset(to: record, at: max(now, entry.lastUsedAt ?? now))
            unsafe entry.holds?.forgetEmpty()
            family.refresh(entry, in: &state, at: now)
        }
        return true
    }

    /// Ends all rests of a key and forgets its failures; an invalid key is active again. False when the pool has no such key. What is to be written
    /// down of it is handed out by the next ``takeUnrecorded(at:)``.
    @discardableResult
    public func reset(_ id: KeyID, at now: Moment) -> Bool {
        guard let entry = board.member(id), let record = standingAfterReset(of: id, at: now) else { return false }
        reset(id, to: record, at: now)
        family.withLock { _ in family.markUnrecordedStanding(entry) }
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

    /// Whether a standing has changed that ``takeUnrecorded(at:)`` has not handed out. Costs one load.
    public var hasUnrecordedStanding: Bool { family.hasUnrecordedStanding.load(ordering: .relaxed) }

    /// What is to be written down since the last call: standings that have changed, and what was counted. Each change is handed out once: keep it until
    /// it is written. One task at a time. Costs a look at each key when anything has changed, and nothing to the other threads.
    public func takeUnrecorded(at now: Moment) -> [KeyID: StandingUpdate] {
        guard family.hasUnrecorded.exchange(false, ordering: .sequentiallyConsistent) else { return [:] }
        family.hasUnrecordedStanding.store(false, ordering: .sequentiallyConsistent)
        var updates: [KeyID: StandingUpdate] = [:]
        for entry in board.members {
            // Taken before the counters are read: whoever counts after that marks the key again.
            guard entry.isUnrecorded.load(ordering: .relaxed), entry.isUnrecorded.exchange(false, ordering: .sequentiallyConsistent) else { continue }
            updates[entry.id] = family.withLock { _ in
                let own = entry.ownCounts
                var counts = own
                unsafe counts.successes -= entry.recordedCounts.successes
                unsafe counts.failures -= entry.recordedCounts.failures
                unsafe entry.recordedCounts = own
                guard unsafe entry.hasUnrecordedStanding else { return StandingUpdate(standing: nil, counts: counts) }
                unsafe entry.hasUnrecordedStanding = false
                var standing = unsafe entry.standing
                standing.timePassed(at: now)
                return StandingUpdate(standing: standing.record, counts: counts)
            }
        }
        return updates
    }

    /// Has every standing handed out again that says more than that a key is well: for a store that has lost what it knew.
    public func markStandingsUnrecorded() {
        family.withLock { _ in
            for entry in board.members where unsafe entry.standing.decidedAt > .distantPast { family.markUnrecordedStanding(entry) }
        }
    }

    /// Takes in what other replicas have decided about keys: every rest that still runs anywhere runs here too, and nothing that an administrator
    /// has cleared comes back. Keys that the pool does not have are passed over. Where this replica knew more, its account is handed out by the next
    /// ``takeUnrecorded(at:)``, so that all end up with the same.
    public func merge(_ standings: [KeyID: StandingRecord], at now: Moment) {
        for (id, record) in standings {
            guard let entry = board.member(id) else { continue }
            family.withLock { state in
                let now = max(now, state.latest)
                unsafe entry.standing.timePassed(at: now)
                let outcome = unsafe entry.standing.merge(record, at: now)
                if outcome.hasChanged { family.refresh(entry, in: &state, at: now) }
                if outcome.knewMore { family.markUnrecordedStanding(entry) }
            }
        }
    }

    /// Takes in what all replicas together have recorded of these keys, this one's part included. Not while something that was taken is not written.
    public func learn(_ totals: [KeyID: KeyCounts]) {
        family.withLock { _ in
            for (id, total) in totals {
                guard let entry = board.member(id) else { continue }
                unsafe entry.knownCounts = KeyCounts(
                    successes: total.successes - entry.recordedCounts.successes, failures: total.failures - entry.recordedCounts.failures,
                    lastUsedAt: total.lastUsedAt)
            }
        }
    }

    func view(of entry: KeyEntry, at now: Moment) -> KeyView {
        let inFlight = entry.inFlight.load(ordering: .relaxed)
        var (standing, name, weight, attributes, counts, group, holds) = family.withLock { _ in
            unsafe (
                entry.standing, entry.name, entry.weight, entry.attributes, entry.counts, entry.quotaGroup,
                entry.holds.map { HoldsView($0, inFlight: inFlight, at: now) })
        }
        standing.timePassed(at: now)
        var view = KeyView(
            id: entry.id, serviceID: entry.serviceID, masked: entry.secret.masked, name: name, weight: weight, isActive: standing.isActive,
            attributes: attributes, state: standing.keyState, lastUsedAt: counts.lastUsedAt, successCount: counts.successes, failureCount: counts.failures,
            inFlight: inFlight)
        view.quotaGroup = group
        view.quota = entry.quota.withLock { $0.latest }
        view.pacing = holds?.uses ?? []
        switch view.state {
        case .cooling, .exhausted, .invalid:
            view.stateReason = standing.reason
            view.coolingUntil = standing.until
        case .active:
            if !standing.circuit.isFlowing {
                view.stateReason = KeyStanding.Reason.circuitOpen
                view.coolingUntil = standing.circuit.openUntil
            } else if let pace = holds?.pace {
                view.stateReason = KeyStanding.Reason.paced
                view.coolingUntil = pace.until
            } else if let until = holds?.emptyUntil {
                view.stateReason = KeyStanding.Reason.quotaEmpty
                view.coolingUntil = until
            }
        case .disabled:
            break
        }
        view.coolingModels = standing.models.filter { $0.until > now }
            .map { StandingRecord.ModelRest(model: $0.model, until: $0.until, reason: $0.reason, level: $0.cooldown.level) }
        for empty in holds?.emptyModels ?? [] where !view.coolingModels.contains(where: { $0.model == empty.model }) {
            view.coolingModels.append(
                StandingRecord.ModelRest(model: empty.model, until: empty.until, reason: KeyStanding.Reason.quotaEmpty, level: 0))
        }
        return view
    }

    /// What is shown of a key's holds.
    private struct HoldsView {
        var pace: KeyPacing.Hold?
        var uses: [KeyLimitUse]
        var emptyUntil: Moment?
        var emptyModels: [KeyHolds.EmptyModel]

        init(_ holds: KeyHolds, inFlight: Int, at now: Moment) {
            pace = holds.pacing?.hold(inFlight: inFlight, at: now)
            uses = holds.pacing?.uses(inFlight: inFlight, at: now) ?? []
            emptyUntil = holds.emptyUntil.flatMap { $0 > now ? $0 : nil }
            emptyModels = holds.emptyModels.filter { $0.until > now }
        }
    }
}
