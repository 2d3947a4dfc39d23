// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Changes of keys' states") struct KeyStateChangeTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func watched(_ count: Int) -> RotatingKeyPool {
        let pool = RotatingKeyPool.numbered(count, at: start)
        #expect(pool.takeStateChanges(at: start).changes.isEmpty)
        return pool
    }

    @Test func `a rest is told with its reason and end, and so is its end, though nobody asked for the key`() {
        let pool = watched(1)
        pool.spend(.rateLimited(until: after(10), reason: "rate_limited"), at: after(1))
        var change = KeyStateChange(
            key: KeyID(1), service: ServiceID(1), from: .active, to: .cooling, reason: "rate_limited", until: after(10), at: after(1))
        #expect(pool.takeStateChanges(at: after(2)).changes == [change])
        #expect(pool.takeStateChanges(at: after(3)).changes == [])
        change = KeyStateChange(key: KeyID(1), service: ServiceID(1), from: .cooling, to: .active, reason: "", until: nil, at: after(10))
        #expect(pool.takeStateChanges(at: after(10)).changes == [change])
    }

    @Test func `what an administrator does is told`() {
        let pool = watched(2)
        pool.update(KeyID(2), name: "", weight: 1, isActive: false, at: after(1))
        pool.spend(.exhausted(until: nil, reason: "insufficient_quota"), at: after(2))
        pool.reset(KeyID(1), at: after(3))
        pool.update(KeyID(2), name: "", weight: 1, isActive: true, at: after(4))
        let changes = pool.takeStateChanges(at: after(5)).changes
        #expect(changes.map(\.key) == [KeyID(2), KeyID(1), KeyID(1), KeyID(2)])
        #expect(changes.map(\.to) == [.disabled, .exhausted, .active, .active])
    }

    @Test func `what another replica decided is told`() {
        let pool = watched(1)
        var standing = StandingRecord()
        standing.state = .exhausted
        standing.until = after(60)
        standing.reason = "insufficient_quota"
        standing.decidedAt = after(1)
        pool.merge([KeyID(1): standing], at: after(2))
        #expect(pool.takeStateChanges(at: after(2)).changes.map(\.to) == [.exhausted])
    }

    @Test func `a successor of the pool goes on telling`() {
        let pool = watched(1)
        let successor = pool.adding([.numbered(2)], at: after(1))
        pool.update(KeyID(1), name: "", weight: 1, isActive: false, at: after(2))
        successor.update(KeyID(2), name: "", weight: 1, isActive: false, at: after(3))
        #expect(successor.takeStateChanges(at: after(4)).changes.map(\.key) == [KeyID(1), KeyID(2)])
    }

    @Test func `more changes than are kept are counted, and the latest stay`() {
        let pool = watched(1)
        for round in 0..<6_000 { pool.update(KeyID(1), name: "", weight: 1, isActive: round % 2 == 1, at: after(round)) }
        let (changes, lostCount) = pool.takeStateChanges(at: after(6_000))
        #expect(changes.count + lostCount == 6_000)
        #expect(changes.count <= 4_096 && lostCount > 0)
        #expect(changes.last?.to == .active)
        #expect(pool.takeStateChanges(at: after(6_001)).lostCount == 0)
    }

    @Test func `nothing is kept where nobody watches`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        pool.update(KeyID(1), name: "", weight: 1, isActive: false, at: after(1))
        #expect(pool.takeStateChanges(at: after(2)).changes.isEmpty)
    }
}
