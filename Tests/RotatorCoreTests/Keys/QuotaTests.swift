// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Testing

@Suite("What providers say of quotas") struct QuotaTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func reading(_ remaining: Int64, limit: Int64? = 100, resetsAt: Moment?, kind: QuotaReading.Kind = .requests) -> QuotaReading {
        QuotaReading([QuotaReading.Amount(kind, limit: limit, remaining: remaining, resetsAt: resetsAt)])
    }

    /// Spends key `number` of `pool`, whose answer says `quota`.
    private func answer(
        _ number: Int, _ pool: RotatingKeyPool, says quota: QuotaReading? = nil, group: String? = nil, model: String? = "m", at now: Moment
    ) {
        var tried = TriedKeys()
        for _ in 0..<pool.keyCount {
            guard let lease = pool.hold(model: model, excluding: tried, at: now) else { return }
            if lease.number == number {
                lease.noteAccount(model: model, quota: quota, group: group, at: now)
                return lease.settle(.success, model: model, at: now)
            }
            tried.insert(KeyID(Int64(lease.number)))
        }
    }

    @Test func `a key of which nothing is left is not tried for that model until the reset`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        answer(1, pool, says: reading(0, resetsAt: after(30)), at: start)
        #expect((0..<4).map { _ in pool.spend(model: "m", at: after(1)) } == [2, 2, 2, 2])
        #expect(Set((0..<4).map { _ in pool.spend(model: "other", at: after(1)) }) == [1, 2])
        let view = pool.view(of: KeyID(1), at: after(1))
        #expect(view?.state == .active)
        #expect(view?.coolingModels == [StandingRecord.ModelRest(model: "m", until: after(30), reason: "quota_empty", level: 0)])
        #expect(view?.quota == [QuotaReading.Amount(.requests, limit: 100, remaining: 0, resetsAt: after(30))])
        #expect(Set((0..<4).map { _ in pool.spend(model: "m", at: after(30)) }) == [1, 2])
        #expect(pool.view(of: KeyID(1), at: after(30))?.coolingModels == [])
    }

    @Test func `on generic services, and without a model, the whole key is not tried`() {
        let generic = RotatingKeyPool.numbered(2, kind: .generic, at: start)
        answer(1, generic, says: reading(0, resetsAt: after(30)), at: start)
        #expect((0..<3).map { _ in generic.spend(model: "other", at: after(1)) } == [2, 2, 2])
        #expect(generic.view(of: KeyID(1), at: after(1))?.stateReason == "quota_empty")
        #expect(generic.view(of: KeyID(1), at: after(1))?.coolingUntil == after(30))
        #expect(Set((0..<4).map { _ in generic.spend(at: after(30)) }) == [1, 2])
        let pool = RotatingKeyPool.numbered(1, at: start)
        answer(1, pool, says: reading(0, resetsAt: after(30)), model: nil, at: start)
        #expect(pool.spend(model: "m", at: after(1)) == nil)
        #expect(pool.nextAvailability(model: "m", at: after(1)) == after(30))
    }

    @Test func `a later reading with something left ends it`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        let early = pool.hold(model: "m", at: start)
        answer(1, pool, says: reading(0, resetsAt: after(30)), at: start)
        #expect(pool.spend(model: "m", at: after(1)) == nil)
        early?.noteAccount(model: "m", quota: reading(3, resetsAt: after(30)), at: after(2))
        #expect(pool.spend(model: "m", at: after(3)) == 1)
        #expect(pool.view(of: KeyID(1), at: after(3))?.coolingModels == [])
    }

    @Test func `nobody is punished for nonsense`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        for quota in [
            reading(0, resetsAt: nil), reading(0, resetsAt: start), reading(0, resetsAt: .distantPast), reading(0, limit: 0, resetsAt: after(10)),
            reading(-1, limit: -1, resetsAt: after(10)), reading(.max, limit: .min, resetsAt: .distantFuture), QuotaReading([]),
        ] {
            answer(1, pool, says: quota, at: start)
            #expect(pool.spend(model: "m", at: start) == 1, "\(quota)")
        }
    }

    @Test func `a reset more than a day away is believed for a minute`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        answer(1, pool, says: reading(0, resetsAt: after(86_401)), at: start)
        #expect(pool.spend(model: "m", at: after(59)) == nil)
        #expect(pool.spend(model: "m", at: after(60)) == 1)
        answer(1, pool, says: reading(0, resetsAt: after(100 + 86_400)), at: after(100))
        #expect(pool.spend(model: "m", at: after(86_499)) == nil)
    }

    @Test func `of several kinds that are empty the last to be whole again counts`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        answer(
            1, pool,
            says: QuotaReading([
                QuotaReading.Amount(.requests, limit: 10, remaining: 0, resetsAt: after(5)),
                QuotaReading.Amount(.tokens, limit: 10, remaining: 0, resetsAt: after(9)),
                QuotaReading.Amount(.inputTokens, limit: 10, remaining: 4, resetsAt: after(90)),
            ]), at: start)
        #expect(pool.nextAvailability(model: "m", at: after(1)) == after(9))
    }

    @Test func `what the provider said is a hint of this replica's, not a decision`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        answer(1, pool, says: reading(0, resetsAt: after(30)), at: start)
        #expect(!pool.hasUnrecordedStanding)
        #expect(pool.takeUnrecorded(at: after(1))[KeyID(1)]?.standing == nil)
    }

    @Test func `a reset by an administrator ends it`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        answer(1, pool, says: reading(0, resetsAt: after(30)), at: start)
        pool.reset(KeyID(1), at: after(1))
        #expect(pool.spend(model: "m", at: after(1)) == 1)
    }

    @Test func `a rest and an empty quota for one model end when the later of them ends`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        let lease = pool.hold(model: "m", at: start)
        lease?.noteAccount(model: "m", quota: reading(0, resetsAt: after(10)), at: start)
        lease?.settle(.rateLimited(until: after(20), reason: ""), model: "m", at: start)
        #expect(pool.spend(model: "m", at: after(10)) == nil)
        #expect(pool.spend(model: "m", at: after(20)) == 1)
        let again = pool.hold(model: "m", at: after(30))
        again?.noteAccount(model: "m", quota: reading(0, resetsAt: after(60)), at: after(30))
        again?.settle(.rateLimited(until: after(40), reason: ""), model: "m", at: after(30))
        #expect(pool.spend(model: "m", at: after(40)) == nil)
        #expect(pool.spend(model: "m", at: after(60)) == 1)
    }

    @Test(arguments: [RotationStrategyName.roundRobin, .headroom, .affinity])
    func `many threads may tell at once, and what is told in the end is what counts`(_ strategy: RotationStrategyName) async {
        var attributes = KeyAttributes()
        attributes.limits.concurrentRequests = 3
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: strategy, keys: (1...20).map { .numbered($0, attributes: $0 % 2 == 0 ? attributes : KeyAttributes()) },
            seed: 1, at: start)
        await withTaskGroup(of: Void.self) { group in
            for seed in 0..<8 as Range<UInt64> {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread.detachNewThread {
                            work(seed: seed)
                            done.resume()
                        }
                    }
                }
            }
        }
        @Sendable func work(seed: UInt64) {
            var random = SplitMix64(seed: seed)
            for step in 0..<500 {
                let now = start + .milliseconds(step)
                guard let lease = pool.hold(model: "m\(step % 3)", conversation: .random(in: 0...100_000, using: &random), at: now) else { continue }
                let quota = reading(.random(in: 0...2, using: &random), resetsAt: now + .milliseconds(.random(in: 1...40, using: &random)))
                lease.noteAccount(model: "m\(step % 3)", quota: quota, group: "org-\(Int.random(in: 0..<3, using: &random))", at: now)
                lease.noteTokens(10, at: now)
                let refusal = AttemptOutcome.rateLimited(until: now + .milliseconds(30), reason: "")
                lease.settle(step % 10 == 0 ? refusal : .success, model: "m\(step % 3)", at: now)
            }
        }
        let end = after(60)
        #expect(pool.views(after: nil, limit: 99, at: end) { $0.inFlight == 0 && $0.coolingModels.isEmpty && $0.stateReason == nil }.count == 20)
        #expect(pool.quotaGroups().reduce(0) { $0 + $1.keyCount } == 20)
        #expect(pool.verdicts(model: "m1", at: end) == [.available: 20])
        #expect(Set((0..<400 as Range<UInt64>).map { pool.spend(model: "m1", conversation: $0, at: end) }).count > 10)
    }

    @Test func `models without number cost a bounded memory and never the whole key`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        for number in 0..<400 { answer(1, pool, says: reading(0, resetsAt: after(3_000)), model: "model-\(number)", at: start) }
        #expect(pool.view(of: KeyID(1), at: start)?.coolingModels.count == 256)
        #expect(pool.spend(model: "another", at: start) == 1)
    }
}

@Suite("Quota groups") struct QuotaGroupTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    /// Keys from 1 on, each in the group of that name; nil: in none.
    private func pool(_ groups: [String?], kind: ServiceKind = .llm) -> RotatingKeyPool {
        let keys = groups.enumerated().map { index, group in
            var attributes = KeyAttributes()
            attributes.quotaGroup = group
            return KeyRecord.numbered(index + 1, attributes: attributes)
        }
        return RotatingKeyPool(service: ServiceID(1), kind: kind, strategy: .roundRobin, keys: keys, seed: 1, at: start)
    }

    private func available(_ pool: RotatingKeyPool, model: String?, at now: Moment) -> Set<Int> {
        Set(pool.explain(model: model, after: nil, limit: 1_000, at: now).filter(\.verdict.isEligible).map { Int($0.keyID.rawValue) })
    }

    @Test func `a refusal rests the model for every key of the group, and no attempt is wasted on a sibling`() {
        let pool = pool(["a", "a", "b", "a", nil])
        #expect(pool.spend(.rateLimited(until: after(30), reason: ""), model: "m", at: start) == 1)
        #expect((0..<4).map { _ in pool.spend(model: "m", at: after(1)) } == [3, 5, 3, 5])
        #expect(available(pool, model: "other", at: after(1)) == [1, 2, 3, 4, 5])
        let reasons = pool.explain(model: "m", after: nil, limit: 9, at: after(1))
        #expect(reasons.map(\.verdict) == [.coolingModel, .coolingModel, .available, .coolingModel, .available])
        #expect(reasons.map(\.restsWithGroup) == [false, true, false, true, false])
        #expect(reasons[1].reason == "rate_limited")
        #expect(reasons[1].until == after(30))
        #expect(available(pool, model: "m", at: after(30)) == [1, 2, 3, 4, 5])
    }

    @Test func `on generic services, and without a model, the whole keys of the group rest`() {
        let generic = pool(["a", "a", "b"], kind: .generic)
        generic.spend(.rateLimited(until: after(30), reason: ""), model: "m", at: start)
        #expect(available(generic, model: nil, at: after(1)) == [3])
        #expect(generic.view(of: KeyID(2), at: after(1))?.state == .cooling)
        let llm = pool(["a", "a", "b"])
        llm.spend(.rateLimited(until: nil, reason: ""), at: start)
        #expect(available(llm, model: "m", at: start) == [3])
        #expect(available(llm, model: "m", at: after(1)) == [1, 2, 3])
    }

    @Test func `an organisation that is out of money is so with all of its keys`() {
        let pool = pool(["a", "a", "b"])
        pool.spend(.exhausted(until: nil, reason: "insufficient_quota"), model: "m", at: start)
        #expect(available(pool, model: "other", at: after(1)) == [3])
        #expect(pool.view(of: KeyID(2), at: after(1))?.state == .exhausted)
        #expect(pool.view(of: KeyID(2), at: after(1))?.stateReason == "insufficient_quota")
        #expect(pool.view(of: KeyID(2), at: after(1))?.coolingUntil == after(3_600))
    }

    @Test func `the scope of a refusal is obeyed`() {
        for (scope, others) in [(.key, []), (.model, []), (.group, [2]), (.usual, [2])] as [(RestScope, Set<Int>)] {
            let limited = pool(["a", "a", "b"])
            limited.spend(.rateLimited(until: after(30), reason: "", scope: scope), model: "m", at: start)
            #expect(available(limited, model: "m", at: after(1)) == Set([2, 3] as [Int]).subtracting(others), "\(scope)")
            #expect(available(limited, model: "x", at: after(1)) == (scope == .key ? [2, 3] : [1, 2, 3]), "\(scope)")
            let exhausted = pool(["a", "a", "b"])
            exhausted.spend(.exhausted(until: after(30), reason: "", scope: scope), model: "m", at: start)
            #expect(available(exhausted, model: "m", at: after(1)) == Set([2, 3] as [Int]).subtracting(others), "\(scope)")
            let elsewhere: Set<Int> = scope == .model ? [1, 2, 3] : Set([2, 3] as [Int]).subtracting(others)
            #expect(available(exhausted, model: "x", at: after(1)) == elsewhere, "\(scope)")
        }
    }

    @Test func `a group is learned from answers, and may change`() {
        let pool = RotatingKeyPool.numbered(4, at: start)
        for group in ["org-1", "org-1", "org-2", "org-2"] {
            let lease = pool.hold(model: "m", at: start)
            lease?.noteAccount(model: "m", group: group, at: start)
            lease?.settle(.success, model: "m", at: start)
        }
        #expect(pool.quotaGroups() == [QuotaGroupView(name: "org-1", keyCount: 2), QuotaGroupView(name: "org-2", keyCount: 2)])
        #expect(pool.view(of: KeyID(1), at: start)?.quotaGroup == "org-1")
        pool.spend(.rateLimited(until: after(30), reason: ""), model: "m", at: start)
        #expect(available(pool, model: "m", at: after(1)) == [3, 4])
        let moved = pool.hold(model: "m", at: after(1))
        moved?.noteAccount(model: "m", group: "org-1", at: after(1))
        // Who joins a group that rests does not join the rest.
        #expect(available(pool, model: "m", at: after(1)) == [3, 4])
        #expect(pool.quotaGroups() == [QuotaGroupView(name: "org-1", keyCount: 3), QuotaGroupView(name: "org-2", keyCount: 1)])
    }

    @Test func `what an administrator says of a group stands over what the provider says`() {
        let pool = pool(["mine", "mine"])
        let lease = pool.hold(at: start)
        lease?.noteAccount(group: "org-9", at: start)
        #expect(pool.quotaGroups() == [QuotaGroupView(name: "mine", keyCount: 2)])
        pool.update(KeyID(1), name: "", weight: 1, isActive: true, attributes: KeyAttributes(), at: start)
        #expect(pool.view(of: KeyID(1), at: start)?.quotaGroup == "org-9")
        #expect(pool.quotaGroups() == [QuotaGroupView(name: "mine", keyCount: 1), QuotaGroupView(name: "org-9", keyCount: 1)])
    }

    @Test func `names without end are not learned`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        let lease = pool.hold(at: start)
        lease?.noteAccount(group: String(repeating: "x", count: 257), at: start)
        lease?.noteAccount(group: "", at: start)
        #expect(pool.quotaGroups() == [])
    }

    @Test func `rests of a group follow each other in one row, and a success of any key ends it`() {
        let pool = pool(["a", "a", "a"])
        #expect(pool.spend(.rateLimited(until: nil, reason: ""), model: "m", at: start) == 1)
        #expect(pool.nextAvailability(model: "m", at: start) == after(1))
        #expect(pool.spend(.rateLimited(until: nil, reason: ""), model: "m", at: after(1)) == 2)
        #expect(pool.nextAvailability(model: "m", at: after(1)) == after(3))
        #expect(pool.spend(.rateLimited(until: nil, reason: ""), model: "m", at: after(3)) == 3)
        #expect(pool.nextAvailability(model: "m", at: after(3)) == after(7))
        #expect(pool.spend(.success, model: "m", at: after(7)) == 1)
        #expect(pool.spend(.rateLimited(until: nil, reason: ""), model: "m", at: after(8)) == 2)
        #expect(pool.nextAvailability(model: "m", at: after(8)) == after(9))
    }

    @Test func `attempts of siblings that were under way make a group's rest no longer`() {
        let pool = pool(["a", "a", "a"])
        let leases = (0..<3).map { _ in pool.hold(model: "m", at: start) }
        for lease in leases { lease?.settle(.rateLimited(until: nil, reason: ""), model: "m", at: after(1)) }
        #expect(pool.nextAvailability(model: "m", at: after(1)) == after(2))
    }

    @Test func `of the refusals of what was under way a group hears those that make its rest longer by more than a second`() {
        let pool = pool(["a", "a", "a", "a"])
        let leases = (0..<3).map { _ in pool.hold(model: "m", at: start) }
        leases[0]?.settle(.rateLimited(until: after(20), reason: ""), model: "m", at: after(1))
        leases[1]?.settle(.rateLimited(until: after(21), reason: ""), model: "m", at: after(1))
        #expect(pool.explain(model: "m", after: nil, limit: 9, at: after(2)).map(\.until) == [after(20), after(21), after(20), after(20)])
        leases[2]?.settle(.rateLimited(until: after(30), reason: ""), model: "m", at: after(2))
        #expect(pool.explain(model: "m", after: nil, limit: 9, at: after(3)).map(\.until) == [after(30), after(30), after(30), after(30)])
    }

    @Test func `each key's part of a group's rest is told to other replicas`() {
        let here = pool(["a", "a", "b"])
        let there = pool([nil, nil, nil])
        here.spend(.rateLimited(until: after(30), reason: ""), model: "m", at: start)
        let told = here.takeUnrecorded(at: after(1)).compactMapValues(\.standing)
        #expect(Set(told.keys) == [KeyID(1), KeyID(2)])
        there.merge(told, at: after(1))
        #expect(available(there, model: "m", at: after(1)) == [3])
        // Nothing comes back as news.
        here.merge(there.takeUnrecorded(at: after(1)).compactMapValues(\.standing), at: after(1))
        #expect(here.takeUnrecorded(at: after(1)).isEmpty)
    }

    @Test func `an invalid sibling stays invalid, a longer rest stays longer, and a switched-off key is found resting`() {
        let pool = pool(["a", "a", "a", "a"])
        var others = TriedKeys(1, 3, 4)
        for second in [0, 40, 200] { pool.spend(.keyRejected(reason: ""), excluding: others, at: after(second)) }
        others = TriedKeys(1, 2, 4)
        pool.spend(.rateLimited(until: after(900), reason: "long", scope: .key), excluding: others, at: after(210))
        pool.update(KeyID(4), name: "", weight: 1, isActive: false, at: after(210))
        pool.spend(.rateLimited(until: after(300), reason: ""), at: after(220))
        #expect(pool.view(of: KeyID(2), at: after(230))?.state == .invalid)
        #expect(pool.view(of: KeyID(3), at: after(230))?.coolingUntil == after(900))
        pool.update(KeyID(4), name: "", weight: 1, isActive: true, at: after(230))
        #expect(pool.view(of: KeyID(4), at: after(230))?.coolingUntil == after(300))
    }

    @Test func `removed keys leave their group`() {
        var pool = pool(["a", "a", "b"])
        pool = pool.removing([KeyID(1), KeyID(3)])
        #expect(pool.quotaGroups() == [QuotaGroupView(name: "a", keyCount: 1)])
        pool = pool.adding([.numbered(4)], at: start)
        pool.spend(.rateLimited(until: after(30), reason: ""), at: start)
        #expect(available(pool, model: nil, at: after(1)) == [4])
    }

    @Test func `five hundred keys of three organisations waste one attempt on each`() {
        let pool = pool((0..<500).map { "org-\($0 % 3)" })
        var refused = 0
        var tried = TriedKeys()
        while let lease = pool.hold(model: "m", excluding: tried, at: start) {
            tried.insert(KeyID(Int64(lease.number)))
            lease.settle(.rateLimited(until: after(60), reason: ""), model: "m", at: start)
            refused += 1
        }
        #expect(refused == 3)
        #expect(pool.quotaGroups().map(\.keyCount) == [167, 167, 166])
        #expect(pool.nextAvailability(model: "m", at: after(1)) == after(60))
    }
}
