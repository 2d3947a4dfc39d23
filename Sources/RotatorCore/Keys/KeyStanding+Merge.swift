// SPDX-License-Identifier: MIT

/// How the accounts of several replicas become one.
///
/// The rules give the same result in whatever order accounts arrive, and however often, so replicas that have heard of each other's decisions
/// agree. Of two accounts between which an administrator cleared the key, the later counts alone. Else each rest lasts until the later of its ends, and
/// everything that is counted in a row is taken from the account that was decided later. Circuits are each replica's own.
extension KeyStanding {
    /// Takes in another account of the same key.
    ///
    /// - Returns: whether this one has changed, and whether it knew something that `record` does not say.
    mutating func merge(_ record: StandingRecord, at now: Moment) -> (hasChanged: Bool, knewMore: Bool) {
        let before = self.record
        if record.resetCount > resetCount {
            reset(to: record, at: max(now, record.decidedAt))
            adopt(record, isNewer: true, at: now)
        } else if record.resetCount == resetCount {
            adopt(record, isNewer: record.decidedAt > decidedAt, at: now)
        }
        decidedAt = max(decidedAt, record.decidedAt)
        let after = self.record
        return (after != before, !after.saysTheSame(as: record, at: now) || after.decidedAt != record.decidedAt || after.resetCount != record.resetCount)
    }

    private mutating func adopt(_ record: StandingRecord, isNewer: Bool, at now: Moment) {
        if isNewer {
            rateLimit.adopt(level: record.rateLimitLevel, decidedAt: record.decidedAt)
            exhaustion.adopt(level: record.exhaustionLevel, decidedAt: record.decidedAt)
            rejection.adopt(level: record.rejections, decidedAt: record.decidedAt)
            forbidden.adopt(level: record.forbiddenLevel, decidedAt: record.decidedAt)
        }
        switch (state, record.state) {
        case (.invalid, .invalid):
            break
        case (_, .invalid):
            if isNewer { set(.invalid, until: nil, reason: record.reason) }
        case (.invalid, _):
            // Somebody has seen it work since: a rest that runs is all that is left.
            if isNewer { set(record.state, until: record.until, reason: record.reason) }
        case (.active, _), (.cooling, _), (.exhausted, _):
            if record.state != .active, let end = record.until, end > (until ?? .distantPast) { set(record.state, until: end, reason: record.reason) }
        }
        timePassed(at: now)
        for rest in record.models { adopt(rest, decidedAt: record.decidedAt, isNewer: isNewer) }
        if isNewer {
            // A model that the later account does not name is at the beginning of its rests again.
            for index in models.indices where !record.models.contains(where: { $0.model == models[index].model }) {
                models[index].cooldown.adopt(level: 0, decidedAt: record.decidedAt)
            }
        }
    }

    private mutating func adopt(_ rest: StandingRecord.ModelRest, decidedAt: Moment, isNewer: Bool) {
        guard let index = models.firstIndex(where: { $0.model == rest.model }) else {
            if models.count >= Self.modelsMax { models.removeAll { $0.slot == nil } }
            models.append(ModelStanding(rest, decidedAt: decidedAt))
            return
        }
        if isNewer {
            let backoff = ModelStanding.backoff(of: rest.reason)
            if models[index].cooldown.backoff != backoff { models[index].cooldown = Cooldown(backoff) }
            models[index].cooldown.adopt(level: rest.level, decidedAt: decidedAt)
        }
        if rest.until > models[index].until {
            models[index].until = rest.until
            models[index].reason = rest.reason
        }
    }
}

extension StandingRecord {
    /// Whether `other` decides the same about the key at `now`, circuits and the times of the decisions aside.
    func saysTheSame(as other: StandingRecord, at now: Moment) -> Bool {
        func essence(_ record: StandingRecord) -> StandingRecord {
            var record = record
            // What is over says nothing, whether it was taken out of the account already or not.
            if record.state != .active, let until = record.until, until <= now {
                record.state = .active
                record.until = nil
                record.reason = ""
            }
            record.models.removeAll { $0.until <= now && $0.level == 0 }
            for index in record.models.indices where record.models[index].until <= now {
                record.models[index].until = .distantPast
                record.models[index].reason = ""
            }
            record.upstreamFailures = 0
            record.circuitLevel = 0
            record.circuitUntil = nil
            record.decidedAt = .distantPast
            record.resetCount = 0
            record.models.sort { $0.model < $1.model }
            return record
        }
        return essence(self) == essence(other)
    }
}
