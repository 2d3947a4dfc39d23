// SPDX-License-Identifier: MIT

/// Why a key would or would not be chosen at a moment.
public struct KeyExplanation: Sendable, Hashable {
    /// What decides.
    public enum Verdict: String, Sendable, Hashable, CaseIterable {
        /// May be chosen.
        case available
        /// May be chosen; the attempt is the trial of its half-open circuit.
        case circuitTrial = "circuit_trial"
        /// An administrator switched it off.
        case disabled
        /// The provider does not accept it.
        case invalid
        /// Rests for every model.
        case cooling
        /// Out of money or quota.
        case exhausted
        /// Rests for this model.
        case coolingModel = "cooling_model"
        /// Its attempts kept failing by the provider's fault.
        case circuitOpen = "circuit_open"
        /// The trial of its half-open circuit is under way.
        case trialRunning = "trial_running"
        /// One of its own limits is reached; the reason says which.
        case paced
        /// The provider said that nothing is left, for this model or for all.
        case quotaEmpty = "quota_empty"

        /// Whether the key may be chosen.
        public var isEligible: Bool {
            switch self {
            case .available, .circuitTrial: true
            case .disabled, .invalid, .cooling, .exhausted, .coolingModel, .circuitOpen, .trialRunning, .paced, .quotaEmpty: false
            }
        }
    }

    /// The key.
    public var keyID: KeyID
    /// Enough of the value to recognise it, see ``Secret/masked``.
    public var masked: String
    /// A name for people; may be empty.
    public var name: String
    /// What decides.
    public var verdict: Verdict
    /// More of it in a stable word: why it rests, or which limit is reached; nil where there is no more.
    public var reason: String?
    /// When this ends; nil when it does not by itself, or nobody knows when.
    public var until: Moment?
    /// The quota group that the key is known to belong to.
    public var quotaGroup: String?
    /// Whether it rests because another key of its quota group was refused. As far as this replica knows.
    public var restsWithGroup: Bool
}

/// Which key a strategy would choose next.
public struct ChoicePreview: Sendable, Hashable {
    /// The key; nil where none may be chosen, or where it is drawn.
    public var keyID: KeyID?
    /// Whether it is certain as long as nothing else happens.
    public var isCertain: Bool

    /// What would be chosen.
    public init(keyID: KeyID?, isCertain: Bool) {
        self.keyID = keyID
        self.isCertain = isCertain
    }
}

/// A quota group as people see it.
public struct QuotaGroupView: Sendable, Hashable {
    /// Its name, from an administrator or the provider.
    public var name: String
    /// How many keys of the pool belong to it.
    public var keyCount: Int

    /// A group.
    public init(name: String, keyCount: Int) {
        self.name = name
        self.keyCount = keyCount
    }
}

extension RotatingKeyPool {
    /// Why each key would or would not be chosen at `now` for `model`, in the order of their ids.
    ///
    /// - Parameters:
    ///   - id: begins after this one; nil: with the first.
    ///   - limit: how many at most.
    public func explain(model: String?, after id: KeyID?, limit: Int, at now: Moment) -> [KeyExplanation] {
        bringBack(at: now)
        return board.members[(id.map(board.firstIndex(after:)) ?? 0)...].prefix(max(0, limit)).map { explanation(of: $0, model: model, at: now) }
    }

    /// How many keys there are of each verdict for `model` at `now`; verdicts without any are left out.
    public func verdicts(model: String?, at now: Moment) -> [KeyExplanation.Verdict: Int] {
        bringBack(at: now)
        var counts: [KeyExplanation.Verdict: Int] = [:]
        for entry in board.members {
            let verdict = family.withLock { _ in finding(on: entry, model: model, at: now).verdict }
            counts[verdict, default: 0] += 1
        }
        return counts
    }

    /// Which key a request would be granted next, without granting it or moving anything.
    public func preview(model: String?, conversation: UInt64? = nil, at now: Moment) -> ChoicePreview {
        bringBack(at: now)
        let original = board.rotation(for: model)
        guard !original.fit.isEmpty else { return ChoicePreview(keyID: nil, isCertain: true) }
        // Where it is drawn, not even a copy is asked: drawing would move what is drawn from.
        if original.strategy is RandomChoice { return ChoicePreview(keyID: nil, isCertain: false) }
        let rotation = KeyRotation(previewing: original)
        let candidates = Candidates(rotation: rotation, board: board, tried: nil, conversation: conversation)
        var position = rotation.next(among: candidates)
        if position.map({ !candidates.contains($0) }) ?? true { position = candidates.first(from: original.cursor.position + 1) }
        let isCertain = original.isPredictable || original.followsConversations && conversation != nil
        return ChoicePreview(keyID: position.flatMap { board.entries[$0]?.id }, isCertain: isCertain)
    }

    /// The quota groups that are known, by name: those that administrators set, and those that answers told of since the process began.
    public func quotaGroups() -> [QuotaGroupView] {
        let groups = family.withLock { state in
            state.groups.map { name, members in QuotaGroupView(name: name, keyCount: members.count(where: board.contains)) }
        }
        return groups.filter { $0.keyCount > 0 }.sorted { $0.name < $1.name }
    }

    private func bringBack(at now: Moment) { family.withLock { family.returnKeys(in: &$0, at: now) } }

    private func explanation(of entry: KeyEntry, model: String?, at now: Moment) -> KeyExplanation {
        family.withLock { _ in
            let finding = finding(on: entry, model: model, at: now)
            return KeyExplanation(
                keyID: entry.id, masked: entry.secret.masked, name: unsafe entry.name, verdict: finding.verdict, reason: finding.reason,
                until: finding.until, quotaGroup: entry.quotaGroup, restsWithGroup: finding.isOfGroup)
        }
    }

    private struct Finding {
        var verdict: KeyExplanation.Verdict
        var reason: String?
        var until: Moment?
        var isOfGroup = false

        init(_ verdict: KeyExplanation.Verdict, reason: String? = nil, until: Moment? = nil, isOfGroup: Bool = false) {
            self.verdict = verdict
            self.reason = reason
            self.until = until
            self.isOfGroup = isOfGroup
        }
    }

    /// Under the family's lock.
    private func finding(on entry: KeyEntry, model: String?, at now: Moment) -> Finding {
        var standing = unsafe entry.standing
        standing.timePassed(at: now)
        switch standing.keyState {
        case .disabled: return Finding(.disabled)
        case .invalid: return Finding(.invalid, reason: standing.reason)
        case .cooling: return Finding(.cooling, reason: standing.reason, until: standing.until, isOfGroup: standing.isOfGroup)
        case .exhausted: return Finding(.exhausted, reason: standing.reason, until: standing.until, isOfGroup: standing.isOfGroup)
        case .active: break
        }
        switch standing.circuit.state {
        case .open(let until): return Finding(.circuitOpen, until: until)
        case .trying: return Finding(.trialRunning)
        case .closed, .halfOpen: break
        }
        if let model, let rest = standing.models.first(where: { $0.model == model && $0.until > now }) {
            return Finding(.coolingModel, reason: rest.reason, until: rest.until, isOfGroup: rest.isOfGroup)
        }
        if let holds = unsafe entry.holds {
            if let pace = holds.pace { return Finding(.paced, reason: pace.limit.rawValue, until: pace.until) }
            if let until = holds.emptyUntil { return Finding(.quotaEmpty, until: until) }
            if let model, let empty = holds.emptyModels.first(where: { $0.model == model && $0.until > now }) {
                return Finding(.quotaEmpty, until: empty.until)
            }
        }
        return Finding(standing.circuit.awaitsTrial ? .circuitTrial : .available)
    }
}
