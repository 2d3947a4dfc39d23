// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Explanations") struct ExplanationTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func only(_ number: Int, of count: Int) -> TriedKeys {
        var tried = TriedKeys()
        for other in 1...count where other != number { tried.insert(KeyID(Int64(other))) }
        return tried
    }

    @Test func `each verdict is told with its reason and its end`() {
        let count = 12
        var limits = KeyAttributes()
        limits.limits.requestsPerMinute = 1
        var records = (1...count).map { KeyRecord.numbered($0) }
        records[9] = .numbered(10, attributes: limits)
        let pool = RotatingKeyPool(service: ServiceID(1), kind: .llm, strategy: .roundRobin, keys: records, seed: 1, at: start)
        func spend(_ number: Int, _ outcome: AttemptOutcome, at now: Moment) {
            pool.spend(outcome, model: "m", excluding: only(number, of: count), at: now)
        }
        pool.update(KeyID(1), name: "one", weight: 1, isActive: false, at: start)
        for second in [0, 40, 200] { spend(2, .keyRejected(reason: ""), at: after(second)) }
        for number in [7, 8] { for _ in 0..<3 { spend(number, .upstreamFailed(reason: ""), at: after(290)) } }
        let now = after(300)
        pool.spend(.rateLimited(until: after(400), reason: "slow_down", scope: .key), excluding: only(3, of: count), at: now)
        spend(4, .exhausted(until: after(500), reason: "insufficient_quota"), at: now)
        spend(5, .rateLimited(until: after(350), reason: ""), at: now)
        for _ in 0..<3 { spend(6, .upstreamFailed(reason: ""), at: now) }
        let trial = pool.hold(model: "m", excluding: only(8, of: count), at: now)
        #expect(trial != nil)
        let empty = pool.hold(model: "m", excluding: only(9, of: count), at: now)
        empty?.noteAccount(
            model: "m", quota: QuotaReading([QuotaReading.Amount(.tokens, limit: 5, remaining: 0, resetsAt: after(333))]), at: now)
        spend(10, .success, at: now)

        let all = pool.explain(model: "m", after: nil, limit: 100, at: now)
        #expect(all.map(\.keyID.rawValue) == Array(1...12))
        #expect(
            all.map(\.verdict) == [
                .disabled, .invalid, .cooling, .exhausted, .coolingModel, .circuitOpen, .circuitTrial, .trialRunning, .quotaEmpty, .paced, .available,
                .available,
            ])
        #expect(
            all.map(\.reason) == [
                nil, "key_rejected", "slow_down", "insufficient_quota", "rate_limited", nil, nil, nil, nil, "requests_per_minute", nil, nil,
            ])
        #expect(
            all.map(\.until) == [
                nil, nil, after(400), after(500), after(350), after(305), nil, nil, after(333), after(360), nil, nil,
            ])
        #expect(all.first?.name == "one")
        #expect(pool.verdicts(model: "m", at: now)[.available] == 2)
        #expect(pool.verdicts(model: "m", at: now).values.reduce(0, +) == 12)
        // What is eligible is what is granted.
        let granted = Set((0..<40).compactMap { _ in pool.spend(model: "m", at: now) })
        #expect(granted == Set(all.filter(\.verdict.isEligible).map { Int($0.keyID.rawValue) }))
        #expect(pool.explain(model: "other", after: KeyID(4), limit: 1, at: now).map(\.verdict) == [.available])
        #expect(pool.explain(model: "m", after: KeyID(12), limit: 5, at: now).isEmpty)
    }

    @Test(arguments: RotationStrategyName.allCases)
    func `a preview names the key that is granted next, and moves nothing`(_ strategy: RotationStrategyName) {
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: strategy, keys: (1...7).map { .numbered($0, weight: $0) }, seed: 3, at: start)
        let twin = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: strategy, keys: (1...7).map { .numbered($0, weight: $0) }, seed: 3, at: start)
        for step in 0..<60 {
            let preview = pool.preview(model: "m", at: after(step))
            let outcome: AttemptOutcome = step % 7 == 3 ? .rateLimited(until: after(step + 5), reason: "") : .success
            let granted = pool.spend(outcome, model: "m", at: after(step))
            #expect(granted == twin.spend(outcome, model: "m", at: after(step)))
            if strategy == .random {
                #expect(preview == ChoicePreview(keyID: nil, isCertain: false))
            } else {
                #expect(preview == ChoicePreview(keyID: granted.map { KeyID(Int64($0)) }, isCertain: true), "step \(step)")
            }
        }
    }

    @Test func `a preview for a conversation names its key`() {
        let pool = RotatingKeyPool.numbered(50, strategy: .affinity, at: start)
        for conversation in 0..<20 as Range<UInt64> {
            let preview = pool.preview(model: nil, conversation: conversation, at: start)
            #expect(preview.isCertain)
            #expect(preview.keyID.map { Int($0.rawValue) } == pool.spend(conversation: conversation, at: start))
        }
    }

    @Test func `where nobody may be chosen, nobody is named`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        pool.spend(.rateLimited(until: after(5), reason: ""), at: start)
        #expect(pool.preview(model: nil, at: after(1)) == ChoicePreview(keyID: nil, isCertain: true))
        #expect(pool.preview(model: nil, at: after(5)) == ChoicePreview(keyID: KeyID(1), isCertain: true))
    }
}
