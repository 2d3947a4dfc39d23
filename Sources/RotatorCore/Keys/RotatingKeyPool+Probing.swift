// SPDX-License-Identifier: MIT

internal import Synchronization

/// What asks the provider about one given key, aside from the requests.
extension RotatingKeyPool {
    /// A lease on one key, whatever its state, for a probe that was asked for: what its settlement teaches is learned as from any attempt, so a success
    /// brings an invalid key back. On a half-open circuit it is the trial. Nil when the pool has no such key.
    public func leaseForProbe(_ id: KeyID, at now: Moment) -> KeyLease? {
        guard let entry = board.member(id) else { return nil }
        family.withLock { state in
            entry.inFlight.add(1, ordering: .relaxed)
            entry.lastUsed.store(now.nanoseconds, ordering: .relaxed)
            if unsafe entry.standing.circuit.awaitsTrial {
                unsafe entry.standing.trialBegan(at: now)
                family.refresh(entry, in: &state, at: now)
            }
            family.granted(entry, model: nil, in: &state, at: now)
        }
        return KeyLease(on: entry, of: self, at: now)
    }

    /// Makes a key invalid that the provider has rejected twice under a deliberate probe.
    ///
    /// - Returns: false when that would say more about the provider than about the key, since every other key that is switched on keeps being rejected
    ///   too; nothing is done then. True also where the key is gone, switched off or invalid already.
    public func judgeInvalid(_ id: KeyID, reason: String, at now: Moment) -> Bool {
        guard let entry = board.member(id) else { return true }
        return family.withLock { state in
            let now = max(now, state.latest)
            let shown = unsafe entry.shown
            guard shown.isEnabled, shown.state != .invalid else { return true }
            let othersRejected = unsafe board.rejectedCount - (shown.isRejected ? 1 : 0)
            let othersEnabled = unsafe board.enabledCount - 1
            if othersRejected == othersEnabled { return false }
            unsafe entry.standing.judgeInvalid(reason: reason, began: max(now, entry.lastUsedAt ?? now), at: now)
            family.refresh(entry, in: &state, at: now)
            family.markUnrecordedStanding(entry)
            return true
        }
    }

    /// Invalid keys in the order of their ids, each with the moment at which that was last decided: the provider's latest rejection.
    ///
    /// - Parameters:
    ///   - id: the listing begins after this one; nil: with the first.
    ///   - limit: how many at most.
    public func invalidKeys(after id: KeyID?, limit: Int) -> [(id: KeyID, decidedAt: Moment)] {
        var found: [(id: KeyID, decidedAt: Moment)] = []
        var index = id.map(board.firstIndex(after:)) ?? 0
        // The lock is given back now and then: a pool may be large, and requests may wait for it.
        while index < board.members.count, found.count < limit {
            let end = min(index + 1_024, board.members.count)
            found += family.withLock { _ in
                board.members[index..<end].lazy.filter { unsafe $0.shown.state == .invalid }.prefix(limit - found.count)
                    .map { unsafe ($0.id, $0.standing.decidedAt) }
            }
            index = end
        }
        return found
    }

    /// Keys whose circuit has been half-open since before `moment` and waits for its trial, at most `limit`. Takes no lock where there is none.
    public func keysAwaitingTrial(since moment: Moment, limit: Int) -> [KeyID] {
        var found: [KeyID] = []
        for entry in board.members where entry.isGrantedUnderLock.load(ordering: .relaxed) {
            if found.count >= limit { break }
            let halfOpenSince = family.withLock { _ in unsafe entry.standing.circuit.halfOpenSince }
            if let halfOpenSince, halfOpenSince < moment { found.append(entry.id) }
        }
        return found
    }
}

extension KeyStanding {
    /// A deliberate probe was rejected and a second one confirmed it: as if the last rejection in a row had come.
    mutating func judgeInvalid(reason: String, began: Moment, at now: Moment) {
        repeat {
            _ = rejection.refused(until: nil, grantedAt: .distantFuture, began: began, at: now)
        } while rejection.level < Self.rejectionLimit
        set(.invalid, until: nil, reason: reason.isEmpty ? Reason.rejected : reason)
        decidedAt = nextDecision(at: now)
    }
}

extension CircuitBreaker {
    /// Since when the trial is due; nil when none is.
    var halfOpenSince: Moment? { state == .halfOpen ? began + Backoff.circuit.delay(level: level) : nil }
}
