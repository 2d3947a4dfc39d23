// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@Suite("Backoff, cooldown and circuit breaker") struct BackoffTests {
    private let start = Moment(seconds: 1_800_000_000)

    @Test(arguments: [
        (Backoff.rateLimit, [1, 2, 4, 8, 16, 32, 60, 60]),
        (.circuit, [5, 10, 20, 40, 60, 60]),
        (.rejection, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (.forbidden, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (.exhaustion, [3600, 7200, 14_400, 28_800, 57_600, 86_400, 86_400]),
    ])
    func `a delay doubles up to its limit`(_ backoff: Backoff, _ seconds: [Int]) {
        #expect((1...seconds.count).map { backoff.delay(level: $0) } == seconds.map { .seconds($0) })
        #expect(backoff.delay(level: 0) == backoff.first)
        #expect(backoff.delay(level: .max) == backoff.limit)
    }

    @Test func `the provider's own time neither doubles nor is doubled`() {
        var cooldown = Cooldown(.rateLimit)
        #expect(cooldown.refused(until: start + .seconds(20), grantedAt: start, began: start, at: start) == start + .seconds(20))
        #expect(cooldown.level == 0)
        let later = start + .seconds(20)
        #expect(cooldown.refused(until: nil, grantedAt: later, began: later, at: later) == later + .seconds(1))
    }

    @Test func `what was under way when a rest began makes it no longer`() {
        var cooldown = Cooldown(.rateLimit)
        let now = start + .seconds(5)
        #expect(cooldown.refused(until: nil, grantedAt: start, began: now, at: now) == now + .seconds(1))
        #expect(cooldown.refused(until: nil, grantedAt: start + .seconds(4), began: now, at: now) == nil)
        #expect(cooldown.refused(until: now + .seconds(9), grantedAt: start, began: now, at: now) == now + .seconds(9))
        #expect(cooldown.level == 1)
        cooldown.succeeded(grantedAt: start)
        #expect(cooldown.level == 1)
        cooldown.succeeded(grantedAt: now + .seconds(1))
        #expect(cooldown.level == 0)
    }

    @Test func `a circuit opens at the third failure in a row, admits one trial and closes by its success`() {
        var circuit = CircuitBreaker()
        var now = start
        for _ in 0..<2 {
            circuit.failed(grantedAt: now, began: now, at: now)
            #expect(circuit.isFlowing)
        }
        circuit.failed(grantedAt: now, began: now, at: now)
        #expect(!circuit.isFlowing)
        #expect(circuit.openUntil == now + .seconds(5))
        now = now + .seconds(5)
        circuit.timePassed(at: now)
        #expect(circuit.awaitsTrial)
        circuit.trialBegan(at: now)
        #expect(!circuit.isFlowing)
        circuit.failed(grantedAt: now, began: now, at: now)
        #expect(circuit.openUntil == now + .seconds(10))
        now = now + .seconds(10)
        circuit.timePassed(at: now)
        circuit.trialBegan(at: now)
        circuit.abandoned(grantedAt: now)
        #expect(circuit.awaitsTrial)
        circuit.trialBegan(at: now)
        circuit.answered(grantedAt: now)
        #expect(circuit.isAtRest)
    }

    @Test func `an answer in between ends a row of failures`() {
        var circuit = CircuitBreaker()
        for _ in 0..<5 {
            circuit.failed(grantedAt: start, began: start, at: start)
            circuit.failed(grantedAt: start, began: start, at: start)
            circuit.answered(grantedAt: start)
        }
        #expect(circuit.isAtRest)
    }

    @Test func `what was under way when a circuit opened neither closes it nor opens it further`() {
        var circuit = CircuitBreaker(failures: 2)
        circuit.failed(grantedAt: start, began: start, at: start)
        circuit.failed(grantedAt: start, began: start + .seconds(1), at: start + .seconds(1))
        circuit.answered(grantedAt: start)
        #expect(circuit.openUntil == start + .seconds(5))
        circuit.timePassed(at: start + .seconds(5))
        circuit.trialBegan(at: start + .seconds(5))
        circuit.answered(grantedAt: start)
        #expect(!circuit.isFlowing)
        #expect(circuit.level == 1)
    }
}
