// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

/// The rows of contract.md §3, "What an upstream answer does".
@Suite("Key standing") struct KeyStandingTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func view(_ pool: RotatingKeyPool, _ number: Int = 1, at now: Moment) -> KeyView {
        pool.view(of: KeyID(Int64(number)), at: now) ?? KeyView(id: KeyID(0), serviceID: ServiceID(0), masked: "")
    }

    /// When the pool says that the first key is back; nil when it says anything else.
    private func rest(_ pool: RotatingKeyPool, model: String? = nil, at now: Moment) -> Moment?? {
        switch pool.lease(model: model, excluding: TriedKeys(), at: now) {
        case .resting(let until): .some(until)
        case .granted: nil
        case .allTried: nil
        case .noKeys: nil
        }
    }

    // MARK: 429

    @Test func `429 rests the key until the provider's own time`() {
        let pool = RotatingKeyPool.numbered(1, kind: .generic, at: start)
        pool.spend(.rateLimited(until: after(20), reason: ""), at: start)
        #expect(view(pool, at: start).state == .cooling)
        #expect(view(pool, at: start).stateReason == "rate_limited")
        #expect(view(pool, at: start).coolingUntil == after(20))
        #expect(rest(pool, at: after(19)) == after(20))
        #expect(pool.spend(at: after(20)) == 1)
        #expect(view(pool, at: after(20)).state == .active)
        #expect(view(pool, at: after(20)).stateReason == nil)
    }

    @Test func `429 without a time doubles from 1 s to 60 s until a success`() {
        let pool = RotatingKeyPool.numbered(1, kind: .generic, at: start)
        var now = start
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            #expect(pool.spend(.rateLimited(until: nil, reason: "too_many"), at: now) == 1)
            #expect(view(pool, at: now).stateReason == "too_many")
            #expect(rest(pool, at: now) == now + .seconds(seconds))
            now = now + .seconds(seconds)
        }
        pool.spend(at: now)
        pool.spend(.rateLimited(until: nil, reason: ""), at: now + .seconds(1))
        #expect(rest(pool, at: now + .seconds(1)) == now + .seconds(2))
    }

    @Test func `429 on llm rests the key for the request's model alone`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        pool.spend(.rateLimited(until: after(20), reason: ""), model: "a", at: start)
        #expect(view(pool, at: start).state == .active)
        #expect(view(pool, at: start).coolingModels.map(\.model) == ["a"])
        #expect(view(pool, at: start).coolingModels.first?.until == after(20))
        #expect(view(pool, at: start).coolingModels.first?.reason == "rate_limited")
        #expect(rest(pool, model: "a", at: start) == after(20))
        #expect(pool.spend(model: "b", at: start) == 1)
        #expect(pool.spend(at: start) == 1)
        #expect(pool.spend(model: "a", at: after(20)) == 1)
        #expect(view(pool, at: after(20)).coolingModels.isEmpty)
    }

    @Test func `the doubling is the model's own`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        var now = start
        for seconds in [1, 2, 4] {
            pool.spend(.rateLimited(until: nil, reason: ""), model: "a", at: now)
            #expect(rest(pool, model: "a", at: now) == now + .seconds(seconds))
            pool.spend(.success, model: "b", at: now)
            now = now + .seconds(seconds)
        }
        pool.spend(.rateLimited(until: nil, reason: ""), model: "b", at: now)
        #expect(rest(pool, model: "b", at: now) == now + .seconds(1))
        pool.spend(.success, model: "a", at: now)
        pool.spend(.rateLimited(until: nil, reason: ""), model: "a", at: now)
        #expect(rest(pool, model: "a", at: now) == now + .seconds(1))
    }

    @Test func `429 on llm without a model, and on generic with one, rests the whole key`() {
        for (kind, model) in [(ServiceKind.llm, nil), (.generic, "a")] {
            let pool = RotatingKeyPool.numbered(1, kind: kind, at: start)
            pool.spend(.rateLimited(until: after(5), reason: ""), model: model, at: start)
            #expect(view(pool, at: start).state == .cooling)
            #expect(rest(pool, model: "b", at: start) == after(5))
        }
    }

    @Test func `late failures of earlier attempts neither count nor escalate`() {
        let pool = RotatingKeyPool.numbered(1, kind: .generic, at: start)
        let early = pool.hold(at: start)
        let late = pool.hold(at: start)
        let later = pool.hold(at: start)
        pool.spend(.rateLimited(until: nil, reason: ""), at: after(1))
        early?.settle(.rateLimited(until: nil, reason: ""), model: nil, at: after(1))
        #expect(rest(pool, at: after(1)) == after(2))
        late?.settle(.rateLimited(until: nil, reason: ""), model: nil, at: after(3))
        #expect(pool.spend(.rateLimited(until: nil, reason: ""), at: after(3)) == 1)
        #expect(rest(pool, at: after(3)) == after(5))
        // A time of the provider's own is taken whenever it comes.
        later?.settle(.rateLimited(until: after(50), reason: ""), model: nil, at: after(4))
        #expect(rest(pool, at: after(4)) == after(50))
    }

    // MARK: 402 and quota

    @Test func `exhausted keys rest for an hour, doubling to a day`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        var now = start
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            #expect(pool.spend(.exhausted(until: nil, reason: "insufficient_quota"), model: "a", at: now) == 1)
            #expect(view(pool, at: now).state == .exhausted)
            #expect(view(pool, at: now).stateReason == "insufficient_quota")
            #expect(rest(pool, model: "b", at: now) == now + .seconds(hours * 3600))
            now = now + .seconds(hours * 3600)
        }
        pool.spend(at: now)
        pool.spend(.exhausted(until: now + .seconds(77), reason: ""), at: now)
        #expect(view(pool, at: now).coolingUntil == now + .seconds(77))
        #expect(view(pool, at: now).stateReason == "quota_exhausted")
    }

    @Test func `a new rest never shortens a running one`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        let leases = (pool.hold(at: start), pool.hold(at: start))
        pool.spend(.exhausted(until: nil, reason: ""), at: start)
        leases.0?.settle(.rateLimited(until: after(2), reason: ""), model: nil, at: start)
        leases.1?.settle(.keyRejected(reason: ""), model: nil, at: start)
        #expect(view(pool, at: start).state == .exhausted)
        #expect(view(pool, at: start).coolingUntil == after(3600))
    }

    @Test func `a new rest for a model never shortens a running one`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        let lease = pool.hold(model: "a", at: start)
        pool.spend(.rateLimited(until: after(100), reason: ""), model: "a", at: start)
        lease?.settle(.rateLimited(until: after(50), reason: ""), model: "a", at: start)
        #expect(rest(pool, model: "a", at: start) == after(100))
    }

    // MARK: 401

    @Test func `a rejected key cools 30 s doubling and is invalid at the third in a row`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        var now = start
        for seconds in [30, 60] {
            #expect(pool.spend(.keyRejected(reason: ""), excluding: TriedKeys(2), at: now) == 1)
            #expect(view(pool, at: now).state == .cooling)
            #expect(view(pool, at: now).stateReason == "key_rejected")
            #expect(view(pool, at: now).coolingUntil == now + .seconds(seconds))
            now = now + .seconds(seconds)
        }
        #expect(pool.spend(.keyRejected(reason: "account_suspended"), excluding: TriedKeys(2), at: now) == 1)
        #expect(view(pool, at: now).state == .invalid)
        #expect(view(pool, at: now).stateReason == "account_suspended")
        #expect(view(pool, at: now).coolingUntil == nil)
        #expect((0..<4).map { _ in pool.spend(at: now + .seconds(1_000_000)) } == [2, 2, 2, 2])
    }

    @Test func `a success in between begins the row anew`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        var now = start
        for _ in 0..<5 {
            pool.spend(.keyRejected(reason: ""), excluding: TriedKeys(2), at: now)
            now = now + .seconds(30)
            pool.spend(.keyRejected(reason: ""), excluding: TriedKeys(2), at: now)
            now = now + .seconds(60)
            #expect(pool.spend(.success, excluding: TriedKeys(2), at: now) == 1)
        }
        #expect(view(pool, at: now).state == .active)
    }

    @Test func `rejections of requests sent before the cooling began do not count again`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        let leases = (0..<8).compactMap { _ in pool.hold(excluding: TriedKeys(2), at: start) }
        #expect(leases.count == 8)
        for box in leases { box.settle(.keyRejected(reason: ""), at: start) }
        #expect(view(pool, at: start).state == .cooling)
        #expect(view(pool, at: start).coolingUntil == after(30))
        #expect(view(pool, at: start).failureCount == 8)
    }

    @Test(arguments: [1, 2, 5])
    func `while every key fails so, none becomes invalid`(_ count: Int) {
        let pool = RotatingKeyPool.numbered(count, at: start)
        var now = start
        for round in 1...12 {
            for _ in 1...count { #expect(pool.spend(.keyRejected(reason: ""), at: now) != nil) }
            #expect(pool.counts(at: now) == [.cooling: count])
            now = now + Backoff.rejection.delay(level: round)
        }
        // One key works again: the next rejection of another is its own fault.
        guard count > 1 else { return }
        let good = pool.spend(at: now) ?? 0
        let bad = pool.spend(.keyRejected(reason: ""), excluding: TriedKeys(good), at: now) ?? 0
        #expect(view(pool, bad, at: now).state == .invalid)
    }

    @Test func `disabled keys do not excuse the others`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        pool.update(KeyID(2), name: "", weight: 1, isActive: false, at: start)
        var now = start
        for round in 1...4 {
            pool.spend(.keyRejected(reason: ""), at: now)
            now = now + Backoff.rejection.delay(level: round)
        }
        #expect(view(pool, at: now).state != .invalid)
        #expect(pool.adding([.numbered(3)], at: now).spend(.keyRejected(reason: ""), excluding: TriedKeys(3), at: now) == 1)
        #expect(view(pool, at: now).state == .cooling || view(pool, at: now).state == .invalid)
    }

    // MARK: 403

    @Test func `403 on llm rests the key for the model alone, 60 s doubling to an hour, and never makes it invalid`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        var now = start
        for seconds in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            #expect(pool.spend(.forbidden(reason: ""), model: "a", excluding: TriedKeys(2), at: now) == 1)
            #expect(view(pool, at: now).state == .active)
            #expect(view(pool, at: now).coolingModels.map(\.reason) == ["forbidden"])
            #expect(view(pool, at: now).coolingModels.map(\.until) == [now + .seconds(seconds)])
            now = now + .seconds(seconds)
        }
    }

    @Test func `403 on llm without a model rests the whole key`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        var now = start
        for seconds in [60, 120, 240, 480] {
            #expect(pool.spend(.forbidden(reason: ""), at: now) == 1)
            #expect(view(pool, at: now).state == .cooling)
            #expect(rest(pool, model: "a", at: now) == now + .seconds(seconds))
            now = now + .seconds(seconds)
        }
    }

    @Test func `403 on generic counts as 401`() {
        let pool = RotatingKeyPool.numbered(2, kind: .generic, at: start)
        pool.spend(.forbidden(reason: ""), model: "a", excluding: TriedKeys(2), at: start)
        #expect(view(pool, at: start).coolingUntil == after(30))
        pool.spend(.forbidden(reason: ""), excluding: TriedKeys(2), at: after(30))
        pool.spend(.forbidden(reason: ""), excluding: TriedKeys(2), at: after(90))
        #expect(view(pool, at: after(90)).state == .invalid)
    }

    // MARK: 5xx

    @Test func `three failures in a row open the circuit, then exactly one trial is granted`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        for _ in 1...2 {
            #expect(pool.spend(.upstreamFailed(reason: "500"), at: start) == 1)
            #expect(view(pool, at: start).stateReason == nil)
        }
        pool.spend(.upstreamFailed(reason: "500"), at: start)
        #expect(view(pool, at: start).state == .active)
        #expect(view(pool, at: start).stateReason == "circuit_open")
        #expect(view(pool, at: start).coolingUntil == after(5))
        #expect(rest(pool, at: after(4)) == after(5))

        var now = after(5)
        for seconds in [10, 20, 40, 60, 60] {
            let trial = pool.hold(at: now)
            #expect(trial != nil)
            #expect(pool.hold(at: now) == nil)
            #expect(pool.hold(at: now + .seconds(100)) == nil)
            trial?.settle(.upstreamFailed(reason: ""), model: nil, at: now + .seconds(100))
            now = now + .seconds(100)
            #expect(rest(pool, at: now) == now + .seconds(seconds))
            now = now + .seconds(seconds)
        }
        let trial = pool.hold(at: now)
        trial?.settle(.success, model: nil, at: now)
        #expect(view(pool, at: now).stateReason == nil)
        #expect((0..<3).map { _ in pool.spend(at: now) } == [1, 1, 1])
    }

    @Test func `a trial that is abandoned allows another`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        for _ in 1...3 { pool.spend(.upstreamFailed(reason: ""), excluding: TriedKeys(2), at: start) }
        do {
            let trial = pool.hold(excluding: TriedKeys(2), at: after(5))
            #expect(trial?.number == 1)
            #expect((0..<3).map { _ in pool.spend(at: after(5)) } == [2, 2, 2])
            // Forgotten here: settled as abandoned by its end.
        }
        #expect(pool.spend(excluding: TriedKeys(2), at: after(6)) == 1)
        #expect(view(pool, at: after(6)).stateReason == nil)
    }

    @Test func `failures of attempts that began before the circuit opened do not reopen it further`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        let leases = (0..<9).compactMap { _ in pool.hold(at: start) }
        for box in leases { box.settle(.upstreamFailed(reason: ""), at: start) }
        #expect(rest(pool, at: start) == after(5))
        #expect(pool.spend(at: after(5)) == 1)
    }

    @Test func `a success in between keeps the circuit closed`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        for _ in 1...10 {
            pool.spend(.upstreamFailed(reason: ""), at: start)
            pool.spend(.upstreamFailed(reason: ""), at: start)
            pool.spend(.success, at: start)
        }
        #expect(view(pool, at: start).stateReason == nil)
    }

    // MARK: The pool's answer

    @Test func `resting tells when the first key is back, for the model that is asked`() {
        let pool = RotatingKeyPool.numbered(3, at: start)
        pool.spend(.rateLimited(until: after(30), reason: ""), model: "a", at: start)
        pool.spend(.rateLimited(until: after(20), reason: ""), model: "a", at: start)
        pool.spend(.rateLimited(until: after(10), reason: ""), model: "a", at: start)
        #expect(rest(pool, model: "a", at: start) == after(10))
        // The whole of key 3 rests for longer than the model.
        #expect(pool.spend(.exhausted(until: after(50), reason: ""), excluding: TriedKeys(1, 2), at: start) == 3)
        #expect(rest(pool, model: "a", at: start) == after(20))
        pool.update(KeyID(2), name: "", weight: 1, isActive: false, at: start)
        #expect(rest(pool, model: "a", at: start) == after(30))
        #expect(pool.spend(at: start) == 1)
    }

    @Test func `keys that do not come back by themselves give no time`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        pool.update(KeyID(1), name: "", weight: 1, isActive: false, at: start)
        #expect(rest(pool, at: start) == .some(nil))
        #expect(view(pool, at: start).state == .disabled)
        guard case .noKeys = pool.removingAll().lease(model: nil, excluding: TriedKeys(), at: start) else {
            Issue.record("a pool without keys says so")
            return
        }
    }

    @Test func `at most 256 models rest by themselves, beyond that the whole key does`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        for number in 1...256 { #expect(pool.spend(.rateLimited(until: after(100), reason: ""), model: "m\(number)", at: start) == 1) }
        #expect(view(pool, at: start).coolingModels.count == 256)
        #expect(view(pool, at: start).state == .active)
        #expect(rest(pool, model: "m256", at: start) == after(100))
        #expect(pool.spend(model: "m257", at: start) == 1)
        pool.spend(.rateLimited(until: after(100), reason: ""), model: "m257", at: start)
        #expect(view(pool, at: start).state == .cooling)
        // All over: the numbers are free for other models.
        pool.spend(.rateLimited(until: after(300), reason: ""), model: "n", at: after(200))
        #expect(rest(pool, model: "n", at: after(200)) == after(300))
        #expect(pool.spend(model: "m1", at: after(200)) == 1)
        #expect(view(pool, at: after(200)).coolingModels.map(\.model) == ["n"])
    }

    @Test func `a rest for a model is in force on the predecessor and its successors`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        let successor = pool.adding([.numbered(3)], at: start)
        pool.spend(.rateLimited(until: after(10), reason: ""), model: "a", excluding: TriedKeys(2), at: start)
        successor.spend(.rateLimited(until: after(20), reason: ""), model: "a", excluding: TriedKeys(1, 3), at: start)
        #expect(rest(pool, model: "a", at: start) == after(10))
        #expect((0..<3).map { _ in successor.spend(model: "a", at: start) } == [3, 3, 3])
        let later = successor.removing([KeyID(3)])
        #expect(rest(later, model: "a", at: start) == after(10))
        #expect(later.spend(model: "a", at: after(10)) == 1)
        #expect(later.using(.weighted).spend(model: "a", at: after(10)) == 1)
    }
}
