// SPDX-License-Identifier: MIT

/// How the accounts of several replicas become one.
///
/// The rules give the same result in whatever order accounts arrive, and however often (a join of a lattice), so replicas that have heard of each
/// other's decisions agree. Of two accounts between which the key was cleared, the later counts alone. Else `invalid` stays, each rest lasts until the
/// later of its ends, and what is counted in a row is taken from the account that was decided later. Circuits are each replica's own.
extension KeyStanding {
    /// Takes in another account of the same key.
    ///
    /// - Returns: whether this one has changed, and whether it knew something that `record` does not say.
    mutating func merge(_ record: StandingRecord, at now: Moment) -> (hasChanged: Bool, knewMore: Bool) {
        let before = self.record
        if record.resetCount > resetCount {
            reset(to: record, at: record.decidedAt)
            models.removeAll { $0.slot == nil }
            adopt(record, order: .later, at: now)
        } else if record.resetCount == resetCount {
            adopt(record, order: record.decidedAt == decidedAt ? .same : record.decidedAt > decidedAt ? .later : .earlier, at: now)
            decidedAt = max(decidedAt, record.decidedAt)
        }
        let after = self.record
        return (after != before, !after.saysTheSame(as: record, at: now) || after.decidedAt != record.decidedAt || after.resetCount != record.resetCount)
    }

    /// When another account was decided, beside this one.
    private enum Order {
        case earlier, same, later

        /// The number in a row that counts.
        func choice(_ own: Int, _ other: Int) -> Int {
            switch self {
            case .earlier: own
            case .same: max(own, other)
            case .later: other
            }
        }
    }

    private mutating func adopt(_ record: StandingRecord, order: Order, at now: Moment) {
        let moment = record.decidedAt
        rateLimit.adopt(level: order.choice(rateLimit.level, record.rateLimitLevel), decidedAt: moment)
        exhaustion.adopt(level: order.choice(exhaustion.level, record.exhaustionLevel), decidedAt: moment)
        rejection.adopt(level: order.choice(rejection.level, record.rejections), decidedAt: moment)
        forbidden.adopt(level: order.choice(forbidden.level, record.forbiddenLevel), decidedAt: moment)
        if record.outlasts(self.record) { set(record.state, until: record.until, reason: record.reason) }
        timePassed(at: now)

        for index in models.indices {
            let level = record.models.first { $0.model == models[index].model }?.level ?? 0
            models[index].cooldown.adopt(level: order.choice(models[index].cooldown.level, level), decidedAt: moment)
        }
        for rest in record.models {
            guard let index = models.firstIndex(where: { $0.model == rest.model }) else {
                if models.count >= Self.modelsMax { models.removeAll { $0.slot == nil } }
                var standing = ModelStanding(rest, decidedAt: moment)
                standing.cooldown.adopt(level: order.choice(0, rest.level), decidedAt: moment)
                models.append(standing)
                continue
            }
            if (rest.until, rest.reason) > (models[index].until, models[index].reason) {
                models[index].until = rest.until
                models[index].reason = rest.reason
            }
        }
    }
}

extension StandingRecord {
    /// Whether the whole key rests longer by this account than by `other`; between two that end at once the words decide, so that everybody decides alike.
    func outlasts(_ other: StandingRecord) -> Bool {
        func rank(_ record: StandingRecord) -> (Moment, String, String) {
            switch record.state {
            case .active: (.distantPast, "", "")
            case .cooling, .exhausted: (record.until ?? .distantPast, record.state.rawValue, record.reason)
            case .invalid: (.distantFuture, record.state.rawValue, record.reason)
            }
        }
        return rank(self) > rank(other)
    }

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
