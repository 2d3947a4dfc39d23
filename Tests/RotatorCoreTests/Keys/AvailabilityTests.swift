// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Availability and trials") struct AvailabilityTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    /// A pool of two keys, the circuit of the first of which is open until five seconds after the start.
    private func halfBroken(_ strategy: RotationStrategyName) -> RotatingKeyPool {
        let pool = RotatingKeyPool.numbered(2, strategy: strategy, at: start)
        for _ in 1...3 { #expect(pool.spend(.upstreamFailed(reason: ""), excluding: TriedKeys(2), at: start) == 1) }
        return pool
    }

    @Test(arguments: [RotationStrategyName.roundRobin, .weighted, .random, .leastInFlight])
    func `a half-open key gets its trial though another key is well`(_ strategy: RotationStrategyName) {
        let pool = halfBroken(strategy)
        #expect((1...20).allSatisfy { _ in pool.spend(at: after(4)) == 2 })
        #expect((1...100).contains { _ in pool.spend(at: after(6)) == 1 })
    }

    @Test func `an answer that is noted ends the trial before the attempt does`() throws {
        let pool = halfBroken(.roundRobin)
        guard case .granted(let trial) = pool.lease(model: nil, excluding: TriedKeys(2), at: after(6)) else {
            Issue.record("no trial was granted")
            return
        }
        #expect(pool.hold(excluding: TriedKeys(2), at: after(6)) == nil)
        trial.noteAnswer(model: nil, at: after(7))
        #expect(pool.spend(excluding: TriedKeys(2), at: after(7)) == 1)
        trial.settle(.success, model: nil, at: after(8))
        #expect(pool.view(of: KeyID(1), at: after(8))?.successCount == 2)
    }

    @Test func `asking whether there is a key costs none its turn`() {
        let pool = RotatingKeyPool.numbered(3, at: start)
        for round in 0..<6 {
            #expect(pool.hasKey(model: nil, excluding: TriedKeys(1, 2), at: start))
            #expect(!pool.hasKey(model: nil, excluding: TriedKeys(1, 2, 3), at: start))
            #expect(pool.nextAvailability(model: nil, at: start) == start)
            #expect(pool.spend(at: start) == round % 3 + 1)
        }
    }

    @Test func `the next availability is the first return for the model that is asked for`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        pool.spend(.rateLimited(until: after(30), reason: ""), model: "m", excluding: TriedKeys(2), at: start)
        pool.spend(.rateLimited(until: after(20), reason: ""), model: "m", excluding: TriedKeys(1), at: start)
        #expect(pool.nextAvailability(model: "m", at: start) == after(20))
        #expect(pool.nextAvailability(model: "other", at: start) == start)
        #expect(!pool.hasKey(model: "m", excluding: TriedKeys(), at: start))
        pool.update(KeyID(1), name: "", weight: 1, isActive: false, at: start)
        pool.update(KeyID(2), name: "", weight: 1, isActive: false, at: start)
        #expect(pool.nextAvailability(model: nil, at: start) == nil)
    }
}
