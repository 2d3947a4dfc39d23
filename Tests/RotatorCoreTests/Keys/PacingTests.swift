// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Synchronization
import Testing

@Suite("Limits of keys") struct PacingTests {
    // A midnight, UTC, and 10 h.
    private let start = Moment(seconds: 1_800_000_000 / 86_400 * 86_400 + 36_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func attributes(_ set: (inout KeyLimits) -> Void) -> KeyAttributes {
        var attributes = KeyAttributes()
        set(&attributes.limits)
        return attributes
    }

    private func pool(_ count: Int = 1, strategy: RotationStrategyName = .roundRobin, _ set: (inout KeyLimits) -> Void) -> RotatingKeyPool {
        RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: strategy, keys: (1...count).map { .numbered($0, attributes: attributes(set)) }, seed: 1,
            at: start)
    }

    @Test func `a key at its requests per minute rests until the first of them is a minute old`() {
        let pool = pool { $0.requestsPerMinute = 3 }
        for second in 0..<3 { #expect(pool.spend(at: after(second * 10)) == 1) }
        #expect(pool.spend(at: after(30)) == nil)
        #expect(pool.nextAvailability(model: nil, at: after(30)) == after(60))
        let view = pool.view(of: KeyID(1), at: after(30))
        #expect(view?.state == .active)
        #expect(view?.stateReason == "paced")
        #expect(view?.coolingUntil == after(60))
        #expect(view?.pacing == [KeyLimitUse(.requestsPerMinute, maximum: 3, used: 3)])
        #expect(pool.spend(at: after(60).advanced(byNanoseconds: -1)) == nil)
        #expect(pool.spend(at: after(60)) == 1)
        #expect(pool.spend(at: after(69)) == nil)
        #expect(pool.spend(at: after(70)) == 1)
        #expect(pool.view(of: KeyID(1), at: after(200))?.stateReason == nil)
    }

    @Test(arguments: RotationStrategyName.allCases, 0..<3 as Range<UInt64>)
    func `no key is granted more than its limit in any minute, and none idles below it`(_ strategy: RotationStrategyName, seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let pool = pool(3, strategy: strategy) { $0.requestsPerMinute = 60 }
        var grants: [Int: [Moment]] = [:]
        var now = start
        for _ in 0..<3_000 {
            now = now.advanced(byNanoseconds: .random(in: 0...400_000_000, using: &random))
            let within = { (key: Int) in (grants[key] ?? []).reversed().prefix { now - $0 < .seconds(60) }.count }
            let used = (1...3).map(within)
            guard let key = pool.spend(at: now) else {
                #expect(used == [60, 60, 60])
                continue
            }
            #expect(used[key - 1] < 60)
            grants[key, default: []].append(now)
        }
        #expect(grants.values.allSatisfy { $0.count > 300 })
    }

    @Test func `a limit holds over many threads`() async {
        let pool = pool(2) { $0.requestsPerMinute = 500 }
        let now = start
        let granted = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread.detachNewThread { done.resume(returning: (0..<400).count { _ in pool.spend(at: now) != nil }) }
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(granted == 1_000)
    }

    @Test func `requests of a day end with the day, UTC`() {
        let pool = pool { $0.requestsPerDay = 2 }
        #expect(pool.spend(at: start) == 1)
        #expect(pool.spend(at: after(3_600)) == 1)
        #expect(pool.spend(at: after(7_200)) == nil)
        let midnight = Moment(seconds: start.nanoseconds / 1_000_000_000 - 36_000 + 86_400)
        #expect(pool.nextAvailability(model: "m", at: after(7_200)) == midnight)
        #expect(pool.spend(at: midnight.advanced(byNanoseconds: -1)) == nil)
        #expect(pool.spend(at: midnight) == 1)
    }

    @Test func `tokens are checked before and charged after`() {
        let pool = pool { $0.tokensPerMinute = 1_000 }
        let first = pool.hold(at: start)
        first?.noteTokens(999, at: after(1))
        first?.settle(.success, at: after(1))
        let second = pool.hold(at: after(2))
        #expect(second != nil)
        second?.noteTokens(5_000, at: after(3))
        second?.settle(.success, at: after(3))
        #expect(pool.spend(at: after(4)) == nil)
        #expect(pool.view(of: KeyID(1), at: after(4))?.pacing == [KeyLimitUse(.tokensPerMinute, maximum: 1_000, used: 5_999)])
        // Limits above 600 are counted in tenths of a second.
        #expect(pool.spend(at: after(62)) == nil)
        #expect(pool.spend(at: after(64)) == 1)
    }

    @Test func `tokens of a day are charged on the day on which they are told`() {
        let pool = pool { $0.tokensPerDay = 10 }
        let lease = pool.hold(at: start)
        lease?.noteTokens(10, at: start)
        lease?.settle(.success, at: start)
        #expect(pool.spend(at: after(60)) == nil)
        #expect(pool.spend(at: after(86_400)) == 1)
    }

    @Test func `attempts under way are no more than the limit, and the end of one makes room at once`() {
        let pool = pool(2) { $0.concurrentRequests = 2 }
        var leases = (0..<4).map { _ in pool.hold(at: start) }
        #expect(leases.compactMap { $0?.number }.sorted() == [1, 1, 2, 2])
        #expect(pool.hold(at: after(1)) == nil)
        #expect(pool.view(of: KeyID(1), at: after(1))?.stateReason == "paced")
        #expect(pool.view(of: KeyID(1), at: after(1))?.coolingUntil == nil)
        leases.removeAll { $0?.number == 2 }
        #expect(pool.spend(at: after(2)) == 2)
        leases.first??.settle(.success, at: after(3))
        #expect(Set((0..<4).compactMap { _ in pool.spend(at: after(4)) }) == [1, 2])
    }

    @Test func `other keys do the work of one that is at its limit`() {
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .roundRobin,
            keys: [.numbered(1, attributes: attributes { $0.requestsPerMinute = 1 }), .numbered(2), .numbered(3)], seed: 1, at: start)
        #expect((0..<7).map { _ in pool.spend(at: start) } == [1, 2, 3, 2, 3, 2, 3])
        #expect((0..<3).map { _ in pool.spend(at: after(60)) }.contains(1))
    }

    @Test func `changed limits are in force for the next lease`() {
        let pool = RotatingKeyPool.numbered(1, at: start)
        #expect(pool.spend(at: start) == 1)
        let limits = attributes { $0.requestsPerMinute = 2 }
        pool.update(KeyID(1), name: "", weight: 1, isActive: true, attributes: limits, at: start)
        // Counted from here on.
        #expect((0..<3).map { _ in pool.spend(at: after(1)) } == [1, 1, nil])
        pool.update(KeyID(1), name: "", weight: 1, isActive: true, attributes: attributes { $0.requestsPerMinute = 3 }, at: after(1))
        #expect((0..<2).map { _ in pool.spend(at: after(2)) } == [1, nil])
        pool.update(KeyID(1), name: "", weight: 1, isActive: true, attributes: KeyAttributes(), at: after(2))
        #expect((0..<9).allSatisfy { _ in pool.spend(at: after(2)) == 1 })
    }

    @Test func `a key that rests and is at its limit is back when both have ended`() {
        let pool = pool { $0.requestsPerMinute = 1 }
        pool.spend(.rateLimited(until: after(30), reason: ""), at: start)
        #expect(pool.nextAvailability(model: nil, at: after(1)) == after(60))
        #expect(pool.spend(at: after(31)) == nil)
        pool.spend(.rateLimited(until: after(200), reason: ""), at: after(60))
        #expect(pool.nextAvailability(model: nil, at: after(61)) == after(200))
        #expect(pool.spend(at: after(121)) == nil)
        #expect(pool.spend(at: after(200)) == 1)
    }

    @Test func `successors and removed keys keep their counts to themselves`() {
        let pool = pool(2) { $0.requestsPerMinute = 1 }
        #expect(pool.spend(at: start) == 1)
        let successor = pool.adding([.numbered(3)], at: start)
        #expect((0..<3).map { _ in successor.spend(at: start) } == [2, 3, 3])
        #expect(successor.removing([KeyID(3)]).spend(at: after(59)) == nil)
        #expect(successor.removing([KeyID(3)]).spend(at: after(60)) == 1)
    }
}
