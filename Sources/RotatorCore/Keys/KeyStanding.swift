// SPDX-License-Identifier: MIT

/// What is known of one key, and what each outcome makes of it (contract.md §3, "What an upstream answer does"). A value: no clock, no lock.
struct KeyStanding: Sendable {
    /// A rest of the key for one model alone.
    struct ModelStanding: Sendable {
        var model: String
        var until: Moment
        var reason: String
        var cooldown: Cooldown
        /// Whether the rest was brought about by a sibling of the same quota group. Not written down.
        var isOfGroup = false
        /// The pool's number for the model while the rest runs; nil when the pool has not heard of the rest or it is over.
        var slot: Int?

        init(model: String, until: Moment, reason: String, cooldown: Cooldown) {
            self.model = model
            self.until = until
            self.reason = reason
            self.cooldown = cooldown
        }

        /// A rest as it was written down. `decidedAt`: when it was decided elsewhere.
        init(_ rest: StandingRecord.ModelRest, decidedAt: Moment = .distantPast) {
            self.init(model: rest.model, until: rest.until, reason: rest.reason, cooldown: Cooldown(Self.backoff(of: rest.reason)))
            cooldown.adopt(level: rest.level, decidedAt: decidedAt)
        }

        /// How rests for this reason follow each other.
        static func backoff(of reason: String) -> Backoff { reason == Reason.forbidden ? .forbidden : .rateLimit }
    }

    /// Rejections in a row that make a key invalid.
    static let rejectionLimit = 3
    /// Models that are remembered for one key, those whose rest is over included.
    static let modelsMax = 256

    /// False when an administrator switched the key off.
    var isActive: Bool
    private(set) var state: StandingRecord.State = .active
    private(set) var until: Moment?
    private(set) var reason = ""
    var rateLimit = Cooldown(.rateLimit)
    var exhaustion = Cooldown(.exhaustion)
    /// Its level counts the rejections in a row.
    var rejection = Cooldown(.rejection)
    var forbidden = Cooldown(.forbidden)
    private(set) var circuit = CircuitBreaker()
    /// Whether the rest of the whole key was brought about by a sibling of the same quota group. Not written down.
    private(set) var isOfGroup = false
    var models: [ModelStanding] = []
    /// See ``StandingRecord/decidedAt``.
    var decidedAt = Moment.distantPast
    /// See ``StandingRecord/resetCount``.
    var resetCount: Int64 = 0

    /// A key's standing as it was last written down.
    init(_ record: StandingRecord, isActive: Bool) {
        self.isActive = isActive
        state = record.state
        until = record.state == .invalid ? nil : record.until
        reason = record.reason
        rateLimit = Cooldown(.rateLimit, level: record.rateLimitLevel)
        exhaustion = Cooldown(.exhaustion, level: record.exhaustionLevel)
        rejection = Cooldown(.rejection, level: record.rejections)
        forbidden = Cooldown(.forbidden, level: record.forbiddenLevel)
        decidedAt = record.decidedAt
        resetCount = record.resetCount
        circuit = CircuitBreaker(failures: record.upstreamFailures, level: record.circuitLevel, until: record.circuitUntil)
        models = record.models.prefix(Self.modelsMax).map { ModelStanding($0) }
    }

    /// What is to be written down.
    var record: StandingRecord {
        var record = StandingRecord()
        record.state = state
        record.until = until
        record.reason = reason
        record.models = models.map { StandingRecord.ModelRest(model: $0.model, until: $0.until, reason: $0.reason, level: $0.cooldown.level) }
        record.rejections = rejection.level
        record.rateLimitLevel = rateLimit.level
        record.exhaustionLevel = exhaustion.level
        record.forbiddenLevel = forbidden.level
        record.upstreamFailures = circuit.failures
        record.circuitLevel = circuit.level
        record.decidedAt = decidedAt
        record.resetCount = resetCount
        switch circuit.state {
        case .closed: record.circuitUntil = nil
        case .open(let until): record.circuitUntil = until
        // After a restart the trial is due at once.
        case .halfOpen, .trying: record.circuitUntil = circuit.began
        }
        return record
    }

    /// Whether the key may be used for a model that does not rest.
    var isFit: Bool { isActive && state == .active && circuit.isFlowing }

    /// Whether the provider has kept rejecting the key: part of the judgement that the provider is at fault.
    var isRejected: Bool { state == .invalid || rejection.level > 0 }

    /// The state as people see it.
    var keyState: KeyState {
        guard isActive else { return .disabled }
        return switch state {
        case .active: .active
        case .cooling: .cooling
        case .exhausted: .exhausted
        case .invalid: .invalid
        }
    }

    /// When time alone changes something next; nil when it never does.
    var nextChange: Moment? {
        var next = until
        if let open = circuit.openUntil { next = min(next ?? open, open) }
        for rest in models where rest.slot != nil { next = min(next ?? rest.until, rest.until) }
        return next
    }

    /// When the key may be used for `model`; nil when that does not happen by itself. While a trial runs, its end is unknown: within a second.
    func returnsAt(model: String?, now: Moment) -> Moment? {
        guard isActive, state != .invalid else { return nil }
        var moment = max(until ?? now, circuit.openUntil ?? now)
        if case .trying = circuit.state { moment = max(moment, now + .seconds(1)) }
        if let model, let rest = models.first(where: { $0.model == model }) { moment = max(moment, rest.until) }
        return moment
    }

    /// Time has passed: rests that are over end.
    mutating func timePassed(at now: Moment) {
        switch state {
        case .cooling, .exhausted:
            if (until ?? now) <= now { end() }
        case .active, .invalid:
            break
        }
        circuit.timePassed(at: now)
    }

    /// The half-open circuit's one trial has been granted.
    mutating func trialBegan(at now: Moment) { circuit.trialBegan(at: now) }

    /// An attempt with the key has ended.
    ///
    /// - Parameters:
    ///   - model: the model that alone is to rest where the rules say so; nil: the whole key.
    ///   - grantedAt: when the attempt's lease was granted.
    ///   - began: when a rest begins that this outcome brings about: `now`, or the last grant where another thread's clock was ahead.
    ///   - isProviderAtFault: whether every other key of the service keeps being rejected too.
    /// - Returns: whether there is something new to be written down, and the rest that keys of the same quota group share.
    mutating func settle(
        _ outcome: AttemptOutcome, model: String?, grantedAt: Moment, began: Moment, at now: Moment, isProviderAtFault: Bool
    ) -> (hasChanged: Bool, groupRest: GroupRest?) {
        var groupRest: GroupRest?
        let hasChanged = change(at: now) { standing in
            groupRest = standing.decide(
                outcome, model: model, grantedAt: grantedAt, began: began, at: now, isProviderAtFault: isProviderAtFault)
        }
        return (hasChanged, groupRest)
    }

    /// Makes a change, and says whether there is something new to be written down.
    mutating func change(at now: Moment, _ body: (inout KeyStanding) -> Void) -> Bool {
        let before = record
        body(&self)
        let after = record
        if after == before { return false }
        // The circuit is each replica's own affair: its changes are written down, and decide nothing for the others.
        if !after.saysTheSame(as: before, at: now) { decidedAt = nextDecision(at: now) }
        return true
    }

    /// When a decision of `now` counts as made: after every one that is known.
    func nextDecision(at now: Moment) -> Moment { max(now, decidedAt.advanced(byNanoseconds: 1)) }

    private mutating func decide(
        _ outcome: AttemptOutcome, model: String?, grantedAt: Moment, began: Moment, at now: Moment, isProviderAtFault: Bool
    ) -> GroupRest? {
        switch outcome {
        case .success:
            succeeded(model: model, grantedAt: grantedAt)
        case .rateLimited(let until, let reason, let scope):
            circuit.answered(grantedAt: grantedAt)
            let reason = reason.or(Reason.rateLimited)
            if let model, scope != .key {
                guard let rested = rest(for: model, .rateLimit, until: until, reason: reason, grantedAt: grantedAt, began: began, at: now),
                    rested.isNews
                else { return nil }
                return GroupRest(scope, .cooling, model: model, until: rested.until, reason: reason, level: rested.level)
            }
            let isOldNews = rateLimit.isOldNews(grantedAt: grantedAt)
            guard let until = rateLimit.refused(until: until, grantedAt: grantedAt, began: began, at: now) else { return nil }
            let isNews = GroupRest.isNews(until: until, running: self.until, isOldNews: isOldNews)
            rest(.cooling, until: until, reason: reason, at: now)
            return isNews ? GroupRest(scope, .cooling, model: nil, until: until, reason: reason, level: rateLimit.level) : nil
        case .exhausted(let until, let reason, let scope):
            circuit.answered(grantedAt: grantedAt)
            let reason = reason.or(Reason.exhausted)
            if let model, scope == .model {
                _ = rest(for: model, .exhaustion, until: until, reason: reason, grantedAt: grantedAt, began: began, at: now)
                return nil
            }
            let isOldNews = exhaustion.isOldNews(grantedAt: grantedAt)
            guard let until = exhaustion.refused(until: until, grantedAt: grantedAt, began: began, at: now) else { return nil }
            let isNews = GroupRest.isNews(until: until, running: self.until, isOldNews: isOldNews)
            rest(.exhausted, until: until, reason: reason, at: now)
            return isNews ? GroupRest(scope, .exhausted, model: nil, until: until, reason: reason, level: exhaustion.level) : nil
        case .keyRejected(let reason):
            circuit.answered(grantedAt: grantedAt)
            guard let until = rejection.refused(until: nil, grantedAt: grantedAt, began: began, at: now) else { return nil }
            if rejection.level >= Self.rejectionLimit, !isProviderAtFault {
                state = .invalid
                self.until = nil
                self.reason = reason.or(Reason.rejected)
            } else {
                rest(.cooling, until: until, reason: reason.or(Reason.rejected), at: now)
            }
        case .forbidden(let reason):
            circuit.answered(grantedAt: grantedAt)
            if let model {
                _ = rest(for: model, .forbidden, until: nil, reason: reason.or(Reason.forbidden), grantedAt: grantedAt, began: began, at: now)
            } else if let until = forbidden.refused(until: nil, grantedAt: grantedAt, began: began, at: now) {
                rest(.cooling, until: until, reason: reason.or(Reason.forbidden), at: now)
            }
        case .upstreamFailed:
            circuit.failed(grantedAt: grantedAt, began: began, at: now)
        case .abandoned:
            circuit.abandoned(grantedAt: grantedAt)
        }
        return nil
    }

    /// An administrator says that the key is good: no rests, no failures; attempts granted up to `moment` are old news. `record` tells when.
    mutating func reset(to record: StandingRecord, at moment: Moment) {
        decidedAt = max(decidedAt, record.decidedAt)
        resetCount = max(resetCount, record.resetCount)
        end()
        rateLimit.reset(at: moment)
        exhaustion.reset(at: moment)
        rejection.reset(at: moment)
        forbidden.reset(at: moment)
        circuit.reset(at: moment)
        for index in models.indices {
            models[index].until = .distantPast
            models[index].cooldown.reset(at: moment)
        }
    }

    /// Forgets models whose rest is over and whose next rest would be a first one.
    mutating func forgetModels(at now: Moment) {
        models.removeAll { $0.slot == nil && $0.until <= now && $0.cooldown.level == 0 }
    }

    /// Which successes would change something: 0 = none, bit 63 = any, else one of the models whose bit is set (see ``memoryBit(of:)``).
    var memory: UInt64 {
        var memory: UInt64 = 0
        let isUntouched = rejection.level == 0 && rateLimit.level == 0 && exhaustion.level == 0 && forbidden.level == 0
        if !isUntouched || state == .invalid || !circuit.isAtRest { memory |= 1 << 63 }
        for rest in models where rest.cooldown.level > 0 { memory |= Self.memoryBit(of: rest.model) }
        return memory
    }

    /// The bit of ``memory`` that a model shares with few others.
    static func memoryBit(of model: String) -> UInt64 { 1 << (UInt64(bitPattern: Int64(model.hashValue)) % 63) }

    private mutating func succeeded(model: String?, grantedAt: Moment) {
        if state == .invalid, !rejection.isOldNews(grantedAt: grantedAt) {
            end()
            // As if an administrator had cleared it: no other account from before may bring it back.
            resetCount += 1
        }
        // Even an attempt that began before the last rejection shows that the key is one: rather too late invalid than wrongly.
        rejection.forget()
        rateLimit.succeeded(grantedAt: grantedAt)
        exhaustion.succeeded(grantedAt: grantedAt)
        forbidden.succeeded(grantedAt: grantedAt)
        circuit.answered(grantedAt: grantedAt)
        if let model, let index = models.firstIndex(where: { $0.model == model }) { models[index].cooldown.succeeded(grantedAt: grantedAt) }
    }

    private mutating func rest(_ state: StandingRecord.State, until: Moment, reason: String, isOfGroup: Bool = false, at now: Moment) {
        guard self.state != .invalid, until > now else { return }
        if let running = self.until, running >= until { return }
        set(state, until: until, reason: reason)
        self.isOfGroup = isOfGroup
    }

    /// Returns until when the model rests by this refusal, how often in a row, and whether that is news for a quota group; nil when it is old news
    /// without a time of its own.
    private mutating func rest(
        for model: String, _ backoff: Backoff, until: Moment?, reason: String, grantedAt: Moment, began: Moment, at now: Moment
    ) -> (until: Moment, level: Int, isNews: Bool)? {
        let index = index(of: model, backoff)
        let isOldNews = models[index].cooldown.isOldNews(grantedAt: grantedAt)
        guard let until = models[index].cooldown.refused(until: until, grantedAt: grantedAt, began: began, at: now) else { return nil }
        let isNews = GroupRest.isNews(until: until, running: models[index].until, isOldNews: isOldNews)
        restModel(at: index, until: until, reason: reason, isOfGroup: false, at: now)
        return (until, models[index].cooldown.level, isNews)
    }

    private mutating func restModel(at index: Int, until: Moment, reason: String, isOfGroup: Bool, at now: Moment) {
        guard until > now, until > models[index].until else { return }
        models[index].until = until
        models[index].reason = reason
        models[index].isOfGroup = isOfGroup
    }

    /// Where the rests for `model` stand, of which those of this kind are in a row.
    private mutating func index(of model: String, _ backoff: Backoff) -> Int {
        if let known = models.firstIndex(where: { $0.model == model }) {
            // Rests of another kind are not "in a row" with these.
            if models[known].cooldown.backoff != backoff { models[known].cooldown = Cooldown(backoff) }
            return known
        }
        if models.count >= Self.modelsMax { models.removeAll { $0.slot == nil } }
        models.append(ModelStanding(model: model, until: .distantPast, reason: "", cooldown: Cooldown(backoff)))
        return models.count - 1
    }

    private mutating func end() { set(.active, until: nil, reason: "") }

    mutating func set(_ state: StandingRecord.State, until: Moment?, reason: String) {
        self.state = state
        self.until = until
        self.reason = reason
        isOfGroup = false
    }

    /// The words for `state_reason` where the outcome has none of its own.
    enum Reason {
        static let rateLimited = "rate_limited"
        static let exhausted = "quota_exhausted"
        static let rejected = "key_rejected"
        static let forbidden = "forbidden"
        static let circuitOpen = "circuit_open"
        static let paced = "paced"
        static let quotaEmpty = "quota_empty"
    }
}

/// What keys of one quota group share of each other's refusals: the limits are the organisation's, and so are the rests and how often they follow
/// each other.
extension KeyStanding {
    /// A rest that every key of a quota group takes.
    struct GroupRest: Sendable {
        var state: StandingRecord.State
        /// Nil: the whole keys rest.
        var model: String?
        var until: Moment
        var reason: String
        var level: Int

        /// Whether the group is to hear of a refusal. Attempts that were under way when it began to rest come back one by one, each with a time a little
        /// later than the last: only one that is later by more than a second is worth a walk over all keys.
        static func isNews(until: Moment, running: Moment?, isOldNews: Bool) -> Bool {
            guard isOldNews, let running else { return true }
            return until > running + .seconds(1)
        }

        /// Nil where the scope is the key that was refused alone.
        init?(_ scope: RestScope, _ state: StandingRecord.State, model: String?, until: Moment, reason: String, level: Int) {
            switch scope {
            case .usual, .group: break
            case .key, .model: return nil
            }
            self.state = state
            self.model = model
            self.until = until
            self.reason = reason
            self.level = level
        }
    }

    /// A sibling was refused. Attempts granted up to `began` are old news. Returns whether there is something new to be written down.
    ///
    /// Compares by itself what it may change: a group may have as many keys as the pool.
    mutating func siblingRested(_ rest: GroupRest, began: Moment, at now: Moment) -> Bool {
        let hasChanged: Bool
        if let model = rest.model {
            let index = index(of: model, .rateLimit)
            let before = (models[index].until, models[index].cooldown.level)
            models[index].cooldown.join(level: rest.level, began: began)
            restModel(at: index, until: rest.until, reason: rest.reason, isOfGroup: true, at: now)
            hasChanged = before != (models[index].until, models[index].cooldown.level)
        } else {
            let before = (until, rateLimit.level, exhaustion.level)
            if rest.state == .exhausted {
                exhaustion.join(level: rest.level, began: began)
            } else {
                rateLimit.join(level: rest.level, began: began)
            }
            self.rest(rest.state, until: rest.until, reason: rest.reason, isOfGroup: true, at: now)
            hasChanged = before != (until, rateLimit.level, exhaustion.level)
        }
        if hasChanged { decidedAt = nextDecision(at: now) }
        return hasChanged
    }

    /// An attempt with a sibling succeeded: the next rest that the group shares is a first one again. Returns whether there is something new to be
    /// written down.
    mutating func siblingSucceeded(model: String?, grantedAt: Moment, at now: Moment) -> Bool {
        change(at: now) { standing in
            standing.rateLimit.succeeded(grantedAt: grantedAt)
            standing.exhaustion.succeeded(grantedAt: grantedAt)
            if let index = standing.models.firstIndex(where: { $0.model == model }), standing.models[index].cooldown.backoff == .rateLimit {
                standing.models[index].cooldown.succeeded(grantedAt: grantedAt)
            }
        }
    }

    /// How many rests in a row there were of those that a group shares.
    func groupLevel(model: String?) -> Int {
        rateLimit.level + exhaustion.level + (models.first { $0.model == model && $0.cooldown.backoff == .rateLimit }?.cooldown.level ?? 0)
    }
}

extension String {
    /// Itself, or `word` when it is empty.
    fileprivate func or(_ word: String) -> String { isEmpty ? word : self }
}
