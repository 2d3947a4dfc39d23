// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Synchronization
import Testing

@Suite("Rotation") struct RotationTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func spend(_ count: Int, _ pool: RotatingKeyPool, model: String? = nil, at now: Moment) -> [Int] {
        (0..<count).compactMap { _ in pool.spend(model: model, at: now) }
    }

    private func tally(_ numbers: [Int]) -> [Int: Int] { Dictionary(numbers.map { ($0, 1) }, uniquingKeysWith: +) }

    /// What `count` grants on each of several threads come to, by key.
    private func hammer(_ pools: [RotatingKeyPool], count: Int, model: String? = nil, at now: Moment) async -> [Int: Int] {
        await withTaskGroup(of: [Int: Int].self) { group in
            for pool in pools {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread.detachNewThread {
                            var tally: [Int: Int] = [:]
                            for _ in 0..<count { if let key = pool.spend(model: model, at: now) { tally[key, default: 0] += 1 } }
                            done.resume(returning: tally)
                        }
                    }
                }
            }
            return await group.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        }
    }

    @Test(arguments: [RotationStrategyName.roundRobin, .headroom, .affinity, .leastInFlight, .weighted])
    func `equal keys take turns in order`(_ strategy: RotationStrategyName) {
        let pool = RotatingKeyPool.numbered(5, strategy: strategy, at: start)
        #expect(spend(12, pool, at: start) == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2])
    }

    @Test(arguments: [1, 2, 3, 7, 64, 65, 200])
    func `round robin is exact over many threads`(_ keyCount: Int) async {
        let pool = RotatingKeyPool.numbered(keyCount, at: start)
        let tally = await hammer(Array(repeating: pool, count: 8), count: 1003, at: start)
        let share = 8 * 1003 / keyCount
        #expect(tally.count == keyCount)
        #expect(tally.values.allSatisfy { $0 == share || $0 == share + 1 })
    }

    @Test func `resting keys hand their turn to nobody`() async {
        let pool = RotatingKeyPool.numbered(10, at: start)
        for _ in 1...3 { pool.spend(.rateLimited(until: start + .seconds(1000), reason: ""), at: start) }
        let tally = await hammer(Array(repeating: pool, count: 4), count: 700, at: start)
        #expect(tally == Dictionary(uniqueKeysWithValues: (4...10).map { ($0, 400) }))
    }

    @Test func `resting keys of one model hand their turn to nobody`() async {
        let pool = RotatingKeyPool.numbered(10, at: start)
        for _ in 1...3 { pool.spend(.rateLimited(until: start + .seconds(1000), reason: ""), model: "m", at: start) }
        let tally = await hammer(Array(repeating: pool, count: 4), count: 700, model: "m", at: start)
        #expect(tally == Dictionary(uniqueKeysWithValues: (4...10).map { ($0, 400) }))
        let other = await hammer(Array(repeating: pool, count: 4), count: 700, model: "other", at: start)
        #expect(other == Dictionary(uniqueKeysWithValues: (1...10).map { ($0, 280) }))
    }

    @Test func `a pool and its successors are exact together`() async {
        let old = RotatingKeyPool.numbered(6, at: start)
        #expect(spend(4, old, at: start) == [1, 2, 3, 4])
        let new = old.configured(kind: .llm, strategy: .roundRobin)
        #expect(spend(1, new, at: start) == [5])
        #expect(spend(2, old, at: start) == [6, 1])
        let tally = await hammer([old, new, old, new], count: 600, at: start)
        #expect(tally.values.allSatisfy { $0 == 400 })
    }

    @Test func `a successor goes on where its predecessor stands`() {
        let pool = RotatingKeyPool.numbered(4, at: start)
        #expect(spend(2, pool, at: start) == [1, 2])
        let larger = pool.adding([.numbered(5), .numbered(6)], at: start)
        #expect(spend(5, larger, at: start) == [3, 4, 5, 6, 1])
        let smaller = larger.removing([KeyID(2), KeyID(3)])
        #expect(spend(5, smaller, at: start) == [4, 5, 6, 1, 4])
        #expect(pool.keyCount == 4 && larger.keyCount == 6 && smaller.keyCount == 4)
    }

    @Test(arguments: RotationStrategyName.allCases)
    func `every strategy passes over what was tried, rests, or is switched off`(_ strategy: RotationStrategyName) {
        let pool = RotatingKeyPool.numbered(5, strategy: strategy, at: start)
        pool.update(KeyID(2), name: "", weight: 1, isActive: false, at: start)
        var tried = TriedKeys(1, 2, 4, 5)
        for _ in 0..<20 { #expect(pool.spend(excluding: tried, at: start) == 3) }
        tried.insert(KeyID(3))
        guard case .allTried = pool.lease(model: nil, excluding: tried, at: start) else {
            Issue.record("all have been tried")
            return
        }
        #expect(pool.spend(.exhausted(until: nil, reason: ""), excluding: TriedKeys(1, 2, 4, 5), at: start) == 3)
        let rest = Set(spend(100, pool, at: start))
        #expect(strategy == .sequential ? rest == [1] : rest == [1, 4, 5])
    }

    @Test func `sequential stays on one key until it rests`() {
        let pool = RotatingKeyPool.numbered(3, strategy: .sequential, at: start)
        #expect(spend(4, pool, at: start) == [1, 1, 1, 1])
        // A request that has tried the key goes elsewhere; the others stay.
        #expect(pool.spend(excluding: TriedKeys(1), at: start) == 2)
        #expect(spend(2, pool, at: start) == [1, 1])
        pool.spend(.rateLimited(until: start + .seconds(5), reason: ""), at: start)
        #expect(spend(3, pool, at: start) == [2, 2, 2])
        // It does not go back when the first has returned.
        #expect(spend(2, pool, at: start + .seconds(6)) == [2, 2])
    }

    @Test(arguments: [[5, 1, 1], [1, 2, 3, 4], [50] + Array(repeating: 1, count: 50), [1000, 1], [7, 7, 7], [1_000_000, 3]])
    func `weighted is exact in each cycle and never a whole turn ahead`(_ weights: [Int]) {
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .weighted, keys: weights.enumerated().map { .numbered($0 + 1, weight: $1) }, seed: 1,
            at: start)
        var counts = Array(repeating: 0, count: weights.count)
        let total = weights.reduce(0, +)
        var ahead = 0
        var behind = 0
        for step in 1...min(3 * total, 20_000) {
            if let key = pool.spend(at: start) { counts[key - 1] += 1 }
            for (count, weight) in zip(counts, weights) {
                ahead = max(ahead, count * total - step * weight)
                behind = max(behind, step * weight - count * total)
            }
            if step % total == 0 { #expect(counts == weights.map { $0 * (step / total) }) }
        }
        #expect(ahead < total)
        #expect(behind < total)
    }

    @Test func `weighted interleaves`() {
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .weighted, keys: [.numbered(1, weight: 3), .numbered(2), .numbered(3)], seed: 1, at: start)
        #expect(spend(10, pool, at: start) == [1, 2, 1, 3, 1, 1, 2, 1, 3, 1])
    }

    @Test func `weighted keys that come back make up for nothing`() {
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .weighted, keys: [.numbered(1, weight: 2), .numbered(2, weight: 2), .numbered(3, weight: 4)],
            seed: 1, at: start)
        pool.update(KeyID(3), name: "", weight: 4, isActive: false, at: start)
        #expect(tally(spend(40, pool, at: start)) == [1: 20, 2: 20])
        pool.update(KeyID(3), name: "", weight: 4, isActive: true, at: start)
        #expect(tally(spend(80, pool, at: start)) == [1: 20, 2: 20, 3: 40])
        pool.update(KeyID(1), name: "", weight: 10, isActive: true, at: start)
        let after = tally(spend(160, pool, at: start))
        for (key, share) in [1: 100, 2: 20, 3: 40] { #expect(abs((after[key] ?? 0) - share) <= 1, "\(after)") }
    }

    @Test func `weighted goes on in a successor`() {
        var pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .weighted, keys: (1...4).map { .numbered($0) }, seed: 1, at: start)
        var all: [Int] = []
        for _ in 0..<20 {
            all += spend(1, pool, at: start)
            pool = pool.configured(kind: .llm, strategy: .weighted)
        }
        #expect(tally(all) == [1: 5, 2: 5, 3: 5, 4: 5])
    }

    @Test func `weighted is exact over many threads`() async {
        let pool = RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .weighted, keys: [.numbered(1, weight: 5), .numbered(2, weight: 3), .numbered(3, weight: 2)],
            seed: 1, at: start)
        #expect(await hammer(Array(repeating: pool, count: 4), count: 500, at: start) == [1: 1000, 2: 600, 3: 400])
    }

    @Test func `random is uniform over the keys that are fit, and follows from the seed`() {
        let pool = RotatingKeyPool.numbered(8, strategy: .random, seed: 42, at: start)
        pool.update(KeyID(8), name: "", weight: 1, isActive: false, at: start)
        let numbers = spend(7000, pool, at: start)
        let tally = tally(numbers)
        #expect(Set(tally.keys) == Set(1...7))
        #expect(tally.values.allSatisfy { abs($0 - 1000) < 150 })
        let twin = RotatingKeyPool.numbered(8, strategy: .random, seed: 42, at: start)
        twin.update(KeyID(8), name: "", weight: 1, isActive: false, at: start)
        #expect(spend(7000, twin, at: start) == numbers)
    }

    @Test func `least in flight takes the key with the fewest attempts, then the one used least recently`() {
        let pool = RotatingKeyPool.numbered(3, strategy: .leastInFlight, at: start)
        let first = pool.hold(at: start)
        let second = pool.hold(at: start)
        let third = pool.hold(at: start)
        #expect([first?.number, second?.number, third?.number] == [1, 2, 3])
        second?.settle(.success, model: nil, at: start)
        #expect(spend(3, pool, at: start) == [2, 2, 2])
        first?.settle(.success, model: nil, at: start)
        #expect(spend(2, pool, at: start) == [1, 2])
        third?.settle(.success, model: nil, at: start)
        #expect(spend(3, pool, at: start) == [3, 1, 2])
    }

    @Test func `least in flight knows the attempts of other models and of successors`() {
        let pool = RotatingKeyPool.numbered(3, strategy: .leastInFlight, at: start)
        pool.spend(.rateLimited(until: start + .seconds(100), reason: ""), model: "m", at: start)
        let held = pool.hold(model: "other", at: start)
        #expect(held?.number == 2)
        #expect((0..<3).map { _ in pool.spend(model: "m", at: start) } == [3, 3, 3])
        let successor = pool.configured(kind: .llm, strategy: .leastInFlight)
        #expect((0..<3).map { _ in successor.spend(model: "m", at: start) } == [3, 3, 3])
        held?.settle(.success, model: "other", at: start)
        #expect(successor.spend(model: "m", at: start) == 2)
    }

    @Test func `a strategy of one's own needs one method`() {
        struct LastFirst: RotationStrategy {
            func next(among candidates: borrowing Candidates) -> Int? {
                (0..<candidates.positionCount).last { candidates.contains($0) }
            }
            func copy() -> LastFirst { self }
        }
        let pool = RotatingKeyPool(service: ServiceID(1), kind: .llm, strategy: LastFirst(), keys: (1...4).map { .numbered($0) }, at: start)
        #expect(spend(2, pool, at: start) == [4, 4])
        #expect(pool.spend(excluding: TriedKeys(4), at: start) == 3)
        #expect(pool.adding([.numbered(9)], at: start).spend(at: start) == 9)
        #expect(pool.using(.roundRobin).spend(at: start) == 1)
    }

    @Test func `a strategy that names nobody or a resting key is not obeyed`() {
        struct Stubborn: RotationStrategy {
            var choice: Int?
            func next(among candidates: borrowing Candidates) -> Int? { choice }
            func copy() -> Stubborn { self }
        }
        for choice in [nil, 0, 99, -1] {
            let pool = RotatingKeyPool(service: ServiceID(1), kind: .llm, strategy: Stubborn(choice: choice), keys: [.numbered(1), .numbered(2)], at: start)
            pool.update(KeyID(1), name: "", weight: 1, isActive: false, at: start)
            #expect(pool.spend(at: start) == 2)
        }
    }

    @Test(arguments: [RotationStrategyName.roundRobin, .weighted, .random, .leastInFlight, .sequential, .headroom, .affinity])
    func `a hundred thousand keys cost no more than ten`(_ strategy: RotationStrategyName) {
        let pool = RotatingKeyPool.numbered(100_000, strategy: strategy, at: start)
        let clock = ContinuousClock()
        let time = clock.measure { for _ in 0..<500 { pool.spend(at: start) } }
        // Generous: an unoptimised build on a busy machine. A walk over the keys would take minutes.
        #expect(time < .seconds(10))
        for _ in 0..<50 { pool.spend(.rateLimited(until: start + .seconds(60), reason: ""), model: "m", at: start) }
        #expect(clock.measure { for _ in 0..<500 { pool.spend(model: "m", at: start) } } < .seconds(10))
    }
}
