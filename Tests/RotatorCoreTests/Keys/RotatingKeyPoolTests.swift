// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Testing

@Suite("Key pool") struct RotatingKeyPoolTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    @Test func `standing survives a restart`() {
        let pool = RotatingKeyPool.numbered(6, at: start)
        let others = { (key: Int) in
            var tried = TriedKeys()
            for number in 1...6 where number != key { tried.insert(KeyID(Int64(number))) }
            return tried
        }
        pool.spend(.rateLimited(until: after(100), reason: ""), excluding: others(1), at: start)
        pool.spend(.exhausted(until: nil, reason: ""), excluding: others(2), at: start)
        for (round, seconds) in [0, 30, 90].enumerated() {
            #expect(pool.spend(.keyRejected(reason: ""), excluding: others(3), at: after(seconds)) == 3, "round \(round)")
        }
        for _ in 1...3 { pool.spend(.upstreamFailed(reason: ""), excluding: others(4), at: after(95)) }
        pool.spend(.forbidden(reason: ""), model: "m", excluding: others(5), at: after(95))
        pool.spend(.success, excluding: others(6), at: after(95))
        pool.update(KeyID(6), name: "six", weight: 3, isActive: false, at: after(95))

        let records = pool.takeUnrecorded(at: after(96))
        #expect(records.count == 6)
        let keys = (1...6).map { KeyRecord.numbered($0, weight: $0 == 6 ? 3 : 1, isActive: $0 != 6, update: records[KeyID(Int64($0))]) }
        let again = RotatingKeyPool(service: ServiceID(1), kind: .llm, strategy: .roundRobin, keys: keys, seed: 1, at: after(97))
        for number in 1...6 {
            let id = KeyID(Int64(number))
            var old = pool.view(of: id, at: after(97))
            old?.name = ""
            #expect(again.view(of: id, at: after(97)) == old)
        }
        #expect(again.counts(at: after(97)) == [.cooling: 1, .exhausted: 1, .invalid: 1, .active: 2, .disabled: 1])
        #expect(again.takeUnrecorded(at: after(97)).isEmpty)
        // The circuit's trial and the model's rest are where they were.
        #expect((0..<2).map { _ in again.spend(model: "n", at: after(99)) } == [5, 5])
        #expect(again.spend(.upstreamFailed(reason: ""), excluding: others(4), at: after(100)) == 4)
        #expect(again.view(of: KeyID(4), at: after(100))?.coolingUntil == after(110))
        #expect(again.spend(model: "m", excluding: others(5), at: after(154)) == nil)
        #expect(again.spend(model: "m", excluding: others(5), at: after(155)) == 5)
    }

    @Test func `rests that ended while the process was down are over`() {
        var standing = StandingRecord()
        standing.state = .cooling
        standing.until = after(10)
        standing.reason = "rate_limited"
        standing.rateLimitLevel = 3
        let pool = RotatingKeyPool(service: ServiceID(1), kind: .generic, strategy: .roundRobin, keys: [.numbered(1, standing: standing)], seed: 1, at: after(10))
        #expect(pool.view(of: KeyID(1), at: after(10))?.state == .active)
        #expect(pool.spend(.rateLimited(until: nil, reason: ""), at: after(10)) == 1)
        #expect(pool.view(of: KeyID(1), at: after(10))?.coolingUntil == after(18))
    }

    @Test func `each change is handed out for writing once`() {
        let pool = RotatingKeyPool.numbered(3, at: start)
        #expect(pool.takeUnrecorded(at: start).isEmpty)
        pool.spend(at: start)
        pool.spend(.upstreamFailed(reason: ""), at: after(1))
        let first = pool.takeUnrecorded(at: after(2))
        #expect(Set(first.keys) == [KeyID(1), KeyID(2)])
        #expect(first[KeyID(1)]?.counts.successes == 1)
        #expect(first[KeyID(1)]?.counts.lastUsedAt == start)
        #expect(first[KeyID(2)]?.counts.failures == 1)
        #expect(first[KeyID(2)]?.standing?.upstreamFailures == 1)
        #expect(pool.takeUnrecorded(at: after(2)).isEmpty)
        // A lease of an old pool settles after the successor was made.
        let lease = pool.hold(at: after(3))
        let successor = pool.adding([.numbered(4)], at: after(3))
        _ = successor.takeUnrecorded(at: after(3))
        lease?.settle(.success, model: nil, at: after(4))
        #expect(Set(successor.takeUnrecorded(at: after(4)).keys) == [KeyID(3)])
    }

    @Test func `no count is lost between threads that settle and one that writes down`() async {
        let pool = RotatingKeyPool.numbered(4, at: start)
        let now = start
        let settled = await withTaskGroup(of: Int64.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread.detachNewThread {
                            for _ in 0..<5000 { pool.spend(at: now) }
                            done.resume(returning: 5000)
                        }
                    }
                }
            }
            return await group.reduce(0, +)
        }
        let total = pool.takeUnrecorded(at: now).values.reduce(0) { $0 + $1.counts.successes }
        #expect(total == settled)
    }

    @Test func `reset clears rests and failures`() {
        let pool = RotatingKeyPool.numbered(2, at: start)
        var now = start
        for seconds in [30, 60, 0] {
            pool.spend(.keyRejected(reason: ""), excluding: TriedKeys(2), at: now)
            now = now + .seconds(seconds)
        }
        let early = pool.hold(at: now)
        pool.spend(.rateLimited(until: now + .seconds(500), reason: ""), model: "m", at: now)
        pool.spend(.exhausted(until: nil, reason: ""), at: now)
        #expect(pool.view(of: KeyID(1), at: now)?.state == .invalid)
        #expect(pool.view(of: KeyID(2), at: now)?.state == .exhausted)
        #expect(pool.reset(KeyID(1), at: now) && pool.reset(KeyID(2), at: now))
        #expect(!pool.reset(KeyID(3), at: now))
        early?.settle(.keyRejected(reason: ""), model: nil, at: now)
        for number in 1...2 {
            let view = pool.view(of: KeyID(Int64(number)), at: now)
            #expect(view?.state == .active && view?.stateReason == nil && view?.coolingModels.isEmpty == true)
        }
        #expect(Set((0..<2).map { _ in pool.spend(model: "m", at: now) }) == [1, 2])
        // The next rest is a first one and a short one, whatever was queued before.
        pool.spend(.exhausted(until: now + .seconds(1), reason: ""), at: now + .seconds(1))
        pool.spend(.rateLimited(until: now + .seconds(3), reason: ""), excluding: TriedKeys(1), at: now + .seconds(1))
        #expect(Set((0..<2).map { _ in pool.spend(at: now + .seconds(3)) }) == [1, 2])
    }

    @Test func `a key switched off or on is so for the next lease, on the predecessor too`() {
        let pool = RotatingKeyPool.numbered(3, at: start)
        let successor = pool.configured(kind: .generic, strategy: .weighted)
        #expect(successor.update(KeyID(2), name: "second", weight: 7, isActive: false, at: start))
        #expect(!successor.update(KeyID(4), name: "", weight: 1, isActive: true, at: start))
        #expect((0..<4).map { _ in pool.spend(at: start) } == [1, 3, 1, 3])
        #expect(pool.view(of: KeyID(2), at: start)?.name == "second")
        #expect(pool.view(of: KeyID(2), at: start)?.weight == 7)
        pool.update(KeyID(2), name: "", weight: 1, isActive: true, at: start)
        #expect(Set((0..<3).map { _ in successor.spend(at: start) }) == [1, 2, 3])
    }

    @Test func `listings go by id, page by page`() {
        let pool = RotatingKeyPool.numbered(3, at: start).adding([.numbered(9), .numbered(7)], at: start).adding([.numbered(5), .numbered(7)], at: start)
        let ids = { (views: [KeyView]) in views.map(\.id.rawValue) }
        #expect(pool.keyCount == 6)
        #expect(ids(pool.views(after: nil, limit: 4, at: start) { _ in true }) == [1, 2, 3, 5])
        #expect(ids(pool.views(after: KeyID(5), limit: 4, at: start) { _ in true }) == [7, 9])
        #expect(ids(pool.views(after: KeyID(9), limit: 4, at: start) { _ in true }) == [])
        #expect(ids(pool.views(after: KeyID(2), limit: 2, at: start) { $0.id != KeyID(3) }) == [5, 7])
        #expect(pool.secrets.map(\.id.rawValue) == [1, 2, 3, 5, 7, 9])
        #expect(pool.secret(of: KeyID(7)) === pool.secrets[4].secret)
        #expect(pool.secret(of: KeyID(8)) == nil)
        #expect(pool.view(of: KeyID(8), at: start) == nil)
    }

    @Test(arguments: [
        ("", "…"), ("abc", "…"), ("abcdefgh", "ab…"), (String(repeating: "x", count: 19), "xx…"), ("sk-a1234567890123wxyz", "sk-a…wxyz"),
        ("12345678901234567890", "1234…7890"),
    ])
    func `a masked value shows just enough`(_ value: String, _ masked: String) {
        #expect(Secret(value.utf8).masked == masked)
    }

    @Test func `numbers of removed keys are taken again, and leases on removed keys still settle`() {
        var pool = RotatingKeyPool.numbered(300, at: start)
        let lease = pool.hold(at: start)
        pool = pool.removing(Set((1...290).map { KeyID($0) }))
        lease?.settle(.rateLimited(until: after(5), reason: ""), model: nil, at: start)
        pool = pool.adding((301...310).map { .numbered($0) }, at: start)
        #expect(Set((0..<20).compactMap { _ in pool.spend(at: start) }) == Set(291...310))
        pool = pool.removingAll().adding((400...403).map { .numbered($0) }, at: start)
        #expect(Set((0..<4).compactMap { _ in pool.spend(at: start) }) == Set(400...403))
    }

    @Test func `a pool never says resting while a key is fit`() async {
        let pool = RotatingKeyPool.numbered(8, kind: .generic, at: start)
        let now = start
        let refusals = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread.detachNewThread {
                            var refused = 0
                            // Each thread has one key at rest at a time, so four of the eight are fit at any moment.
                            for _ in 0..<2000 {
                                if pool.spend(at: now) == nil { refused += 1 }
                                if let resting = pool.spend(.rateLimited(until: now + .seconds(5), reason: ""), at: now) {
                                    if pool.spend(at: now) == nil { refused += 1 }
                                    pool.reset(KeyID(Int64(resting)), at: now)
                                } else {
                                    refused += 1
                                }
                            }
                            done.resume(returning: refused)
                        }
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(refusals == 0)
        #expect(pool.counts(at: start + .seconds(10)) == [.active: 8])
    }
}
