// SPDX-License-Identifier: MIT

internal import Synchronization

/// What answers tell of a key's quota and organisation, and what exchanges used of its limits.
///
/// All of it stays on this replica and is forgotten with the process: the next answer tells it again.
extension RotatingKeyPool {
    /// The longest name of a quota group that is learned, in octets of UTF-8.
    private static let groupOctetsMax = 256

    public func noteAccount(_ key: any LeasedKey, model: String?, quota: QuotaReading?, group: String?, at now: Moment) {
        guard let entry = key as? KeyEntry else { preconditionFailure("an account is noted by the pool that granted the key") }
        if let group, entry.learnedGroupHash.load(ordering: .relaxed) != KeyBoard.hash(of: group) { learn(group: group, of: entry) }
        guard let quota, !quota.amounts.isEmpty else { return }
        let model = kind == .llm ? model : nil
        let emptyUntil = quota.emptyUntil(at: now)
        // Where nothing is empty, nothing was, and no strategy asks, the reading is for people alone: it is passed over rather than waited for.
        guard emptyUntil != nil || entry.isEmpty.load(ordering: .relaxed) || board.rotation.observesHeadroom else {
            _ = entry.quota.withLockIfAvailable { $0.note(quota, model: model, at: now) }
            return
        }
        entry.quota.withLock { $0.note(quota, model: model, at: now) }
        family.withLock { state in
            let now = max(now, state.latest)
            let until = emptyUntil.flatMap { $0 > now ? $0 : nil }
            let hasHolds = unsafe entry.holds != nil
            if until != nil || hasHolds, entry.ensureHolds().noteEmpty(until: until, model: model) {
                family.refresh(entry, in: &state, at: now)
            } else {
                family.tellHeadroom(of: entry, in: &state, at: now)
            }
        }
    }

    public func noteTokens(_ key: any LeasedKey, _ count: Int64, at now: Moment) {
        guard let entry = key as? KeyEntry else { preconditionFailure("tokens are noted by the pool that granted the key") }
        guard count > 0, entry.isPaced.load(ordering: .relaxed) || board.rotation.observesHeadroom else { return }
        family.withLock { state in
            let now = max(now, state.latest)
            family.noteTokens(count, in: &state)
            unsafe entry.holds?.pacing?.used(tokens: count, at: now)
            family.refreshIfPaceChanged(entry, in: &state, at: now)
        }
    }

    private func learn(group: String, of entry: KeyEntry) {
        guard !group.isEmpty, group.utf8.count <= Self.groupOctetsMax else { return }
        family.withLock { state in
            entry.learnedGroupHash.store(KeyBoard.hash(of: group), ordering: .relaxed)
            // One copy of the name for all of its members.
            unsafe entry.learnedGroup = state.groups.index(forKey: group).map { state.groups.keys[$0] } ?? group
            if state.boards.contains(where: { $0.contains(entry) }) { family.updateGroup(of: entry, in: &state) }
        }
    }
}
