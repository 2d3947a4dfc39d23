// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Headroom") struct HeadroomTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    /// Spends each key once, in the order of their numbers; key n's answer says `readings[n - 1]`.
    private func tell(_ readings: [QuotaReading?], _ pool: RotatingKeyPool, at now: Moment) {
        let leases = readings.map { _ in pool.hold(at: now) }
        for lease in leases {
            guard let lease else { continue }
            lease.noteAccount(quota: readings[lease.number - 1], at: now)
            lease.settle(.success, at: now)
        }
    }

    private func requests(_ remaining: Int64, of limit: Int64?, resetsAt: Moment? = nil) -> QuotaReading {
        QuotaReading([QuotaReading.Amount(.requests, limit: limit, remaining: remaining, resetsAt: resetsAt ?? after(600))])
    }

    private func spend(_ count: Int, _ pool: RotatingKeyPool, at now: Moment) -> [Int] { (0..<count).compactMap { _ in pool.spend(at: now) } }

    @Test func `the key with the greatest part of its quota left comes next`() {
        let pool = RotatingKeyPool.numbered(3, strategy: .headroom, at: start)
        tell([requests(50, of: 100), requests(900, of: 1_000), requests(6, of: 10)], pool, at: start)
        // 90 % is more than 60 % is more than 50 %, and each grant takes its part at once.
        #expect(spend(1, pool, at: after(1)) == [2])
        let keys = spend(500, pool, at: after(1))
        #expect(keys.first { $0 != 2 } == 3)
        #expect(Set(keys) == [1, 2, 3])
    }

    @Test func `of several kinds the one that is most used counts`() {
        let pool = RotatingKeyPool.numbered(2, strategy: .headroom, at: start)
        tell(
            [
                QuotaReading([
                    QuotaReading.Amount(.requests, limit: 1_000, remaining: 1_000, resetsAt: after(60)),
                    QuotaReading.Amount(.tokens, limit: 1_000_000, remaining: 100_000, resetsAt: after(60)),
                ]),
                requests(500, of: 1_000),
            ], pool, at: start)
        #expect(spend(20, pool, at: after(1)).allSatisfy { $0 == 2 })
    }

    @Test func `what is not known counts as whole, and equals take turns`() {
        let pool = RotatingKeyPool.numbered(4, strategy: .headroom, at: start)
        tell([requests(999, of: 1_000), nil, nil, nil], pool, at: start)
        #expect(spend(6, pool, at: after(1)) == [2, 3, 4, 2, 3, 4])
    }

    @Test func `where no limit is known the part of the most that was ever left counts, then the number`() {
        let pool = RotatingKeyPool.numbered(2, strategy: .headroom, at: start)
        tell([requests(10, of: nil), requests(500, of: nil)], pool, at: start)
        #expect(spend(1, pool, at: after(1)) == [2])
        let lease = pool.hold(at: after(2))
        #expect(lease?.number == 1)
        lease?.noteAccount(quota: requests(2, of: nil), at: after(2))
        lease?.settle(.success, at: after(2))
        #expect(spend(50, pool, at: after(3)).allSatisfy { $0 == 2 })
    }

    @Test func `a reading is over at its reset`() {
        let pool = RotatingKeyPool.numbered(2, strategy: .headroom, at: start)
        tell([requests(1, of: 100, resetsAt: after(10)), requests(50, of: 100, resetsAt: after(1_000))], pool, at: start)
        #expect(spend(3, pool, at: after(9)) == [2, 2, 2])
        #expect(spend(3, pool, at: after(10)) == [1, 1, 1])
    }

    @Test func `a burst spreads before any answer has come`() {
        let pool = RotatingKeyPool.numbered(2, strategy: .headroom, at: start)
        tell([requests(100, of: 100), requests(100, of: 100)], pool, at: start)
        let leases = (0..<40).compactMap { _ in pool.hold(at: after(1)) }
        #expect(leases.count { $0.number == 1 } == 20)
    }

    @Test func `own limits count like the provider's`() {
        var attributes = KeyAttributes()
        attributes.limits.requestsPerMinute = 10
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .headroom, keys: [.numbered(1, attributes: attributes), .numbered(2)], seed: 1, at: start)
        #expect(spend(5, pool, at: start) == [1, 2, 2, 2, 2])
        // What was used is free again after a minute, without anything happening.
        #expect(Set(spend(4, pool, at: after(80))) == [1, 2])
    }

    @Test func `an empty key is not tried, and a model's rest does not hide what is left`() {
        let pool = RotatingKeyPool.numbered(3, strategy: .headroom, at: start)
        tell([requests(0, of: 100), requests(90, of: 100), requests(95, of: 100)], pool, at: start)
        #expect(spend(20, pool, at: after(1)).allSatisfy { $0 != 1 })
        let third = pool.hold(model: "m", excluding: TriedKeys(1, 2), at: after(1))
        third?.settle(.rateLimited(until: after(50), reason: ""), model: "m", at: after(1))
        #expect(pool.spend(model: "m", at: after(2)) == 2)
    }

    @Test func `a pool that is told to look at headroom knows what was said before`() {
        let pool = RotatingKeyPool.numbered(2, strategy: .roundRobin, at: start)
        tell([requests(10, of: 100), requests(60, of: 100)], pool, at: start)
        let successor = pool.using(.headroom)
        #expect(spend(10, successor, at: after(1)).allSatisfy { $0 == 2 })
        let larger = successor.adding([.numbered(3)], at: after(1))
        #expect(spend(3, larger, at: after(1)) == [3, 3, 3])
        #expect(larger.removing([KeyID(3)]).spend(at: after(1)) == 2)
    }
}
