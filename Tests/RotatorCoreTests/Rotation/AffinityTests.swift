// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Affinity") struct AffinityTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func pool(_ ids: some Sequence<Int>, weight: (Int) -> Int = { _ in 1 }) -> RotatingKeyPool {
        RotatingKeyPool(
            service: ServiceID(1), kind: .llm, strategy: .affinity, keys: ids.map { .numbered($0, weight: weight($0)) }, seed: .random(in: 0 ... .max),
            at: start)
    }

    /// The key of each of so many conversations.
    private func keys(_ count: Int, _ pool: RotatingKeyPool, model: String? = nil, excluding tried: TriedKeys = TriedKeys(), at now: Moment) -> [Int] {
        (0..<count).map { pool.spend(model: model, conversation: UInt64($0), excluding: tried, at: now) ?? 0 }
    }

    private func tally(_ numbers: [Int]) -> [Int: Int] { Dictionary(numbers.map { ($0, 1) }, uniquingKeysWith: +) }

    private func switchOff(_ number: Int, _ pool: RotatingKeyPool, at now: Moment) {
        pool.update(KeyID(Int64(number)), name: "", weight: 1, isActive: false, at: now)
    }

    @Test(arguments: [7, 100, 3_000])
    func `a conversation has one key, on every replica and whatever came before`(_ count: Int) {
        let first = pool(1...count)
        let choices = keys(2_000, first, at: start)
        #expect(choices == keys(2_000, first, at: after(1)))
        // Another order of arrival, keys that came and went: other positions, the same ids.
        var second = pool((count / 2 + 1)...count)
        second = second.adding((count + 1...count + 50).map { .numbered($0) }, at: start)
        second = second.adding((1...count / 2).reversed().map { .numbered($0) }, at: start)
        second = second.removing(Set((count + 1...count + 50).map { KeyID(Int64($0)) }))
        #expect(choices == keys(2_000, second, at: start))
    }

    @Test(arguments: [10, 256, 257, 2_000])
    func `conversations spread evenly`(_ count: Int) {
        let each = 40
        let tally = tally(keys(count * each, pool(1...count), at: start))
        #expect(tally.count == count)
        // Poisson: a deviation of √each; seven of them never come in so few keys.
        #expect(tally.values.allSatisfy { abs(Double($0 - each)) < 7 * Double(each).squareRoot() })
    }

    @Test(arguments: [10, 1_500])
    func `when a key rests its conversations alone move, to many others, and they come back`(_ count: Int) {
        let pool = pool(1...count)
        let conversations = 20 * count
        let before = keys(conversations, pool, at: start)
        let resting = before[0]
        switchOff(resting, pool, at: start)
        let during = keys(conversations, pool, at: after(1))
        for (old, new) in zip(before, during) { #expect(old == resting ? new != resting : new == old) }
        #expect(Set(zip(before, during).filter { $0.0 == resting }.map(\.1)).count > 5)
        pool.update(KeyID(Int64(resting)), name: "", weight: 1, isActive: true, at: after(2))
        #expect(keys(conversations, pool, at: after(3)) == before)
    }

    @Test func `a request that has tried its key falls through in the order that a rest would give`() {
        let pool = pool(1...1_000)
        for conversation in 0..<50 as Range<UInt64> {
            let first = pool.spend(conversation: conversation, at: start) ?? 0
            let second = pool.spend(conversation: conversation, excluding: TriedKeys(first), at: start) ?? 0
            let third = pool.spend(conversation: conversation, excluding: TriedKeys(first, second), at: start) ?? 0
            #expect(Set([first, second, third]).count == 3)
            switchOff(first, pool, at: start)
            #expect(pool.spend(conversation: conversation, at: start) == second)
            switchOff(second, pool, at: start)
            #expect(pool.spend(conversation: conversation, at: start) == third)
            for number in [first, second] { pool.update(KeyID(Int64(number)), name: "", weight: 1, isActive: true, at: start) }
        }
    }

    @Test func `a rest for one model moves the conversations of that model alone`() {
        let pool = pool(1...20)
        let before = keys(400, pool, model: "m", at: start)
        pool.spend(.rateLimited(until: after(30), reason: ""), model: "m", conversation: 0, at: start)
        let during = keys(400, pool, model: "m", at: after(1))
        #expect(zip(before, during).allSatisfy { $0 == before[0] ? $1 != before[0] : $1 == $0 })
        #expect(keys(400, pool, model: "other", at: after(1)) == before)
        #expect(keys(400, pool, model: "m", at: after(30)) == before)
    }

    @Test func `the last key that is left takes everything`() {
        let pool = pool(1...600)
        for number in 1...600 where number != 77 { switchOff(number, pool, at: start) }
        #expect(Set(keys(300, pool, at: start)) == [77])
        switchOff(77, pool, at: start)
        #expect(pool.spend(conversation: 5, at: start) == nil)
    }

    @Test(arguments: [(100, 0.02), (2_000, 0.01)])
    func `a new key takes little more than its share`(_ count: Int, _ most: Double) {
        let old = pool(1...count)
        let before = keys(20_000, old, at: start)
        let after = keys(20_000, old.adding([.numbered(count + 1)], at: start), at: start)
        let moved = zip(before, after).count { $0 != $1 }
        #expect(Double(moved) / 20_000 < most)
        #expect(after.contains(count + 1))
    }

    @Test(arguments: [20, 800])
    func `weights are respected`(_ count: Int) {
        let pool = pool(1...count) { $0 <= count / 2 ? 3 : 1 }
        let heavy = keys(40_000, pool, at: start).count { $0 <= count / 2 }
        #expect(abs(Double(heavy) / 40_000 - 0.75) < 0.02)
        // A weight that is changed in place counts as one that was there from the beginning.
        let changed = self.pool(1...count)
        for number in 1...count / 2 { changed.update(KeyID(Int64(number)), name: "", weight: 3, isActive: true, at: start) }
        #expect(keys(500, changed, at: start) == keys(500, pool, at: start))
    }

    @Test func `what has no conversation takes turns`() {
        let pool = pool(1...4)
        #expect((0..<6).map { _ in pool.spend(at: start) } == [1, 2, 3, 4, 1, 2])
        #expect(pool.followsConversations)
        #expect(!pool.using(.roundRobin).followsConversations)
    }

    @Test func `choices are the same in every build`() {
        // A change of these numbers moves every conversation of every installation.
        #expect(keys(8, pool(1...10), at: start) == [9, 5, 7, 2, 9, 1, 10, 2])
        #expect(keys(8, pool(1...1_000), at: start) == [119, 738, 637, 418, 296, 680, 891, 192])
        #expect(keys(8, pool(1...10) { $0 }, at: start) == [9, 5, 7, 7, 9, 6, 10, 6])
    }
}
