// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorTestKit
import Synchronization
import Testing

@Suite("Shared rotation") struct TicketTests {
    private let start = Moment(seconds: 1_800_000_000)

    /// The counter that replicas share, and who asked for tickets.
    private final class Counter: Sendable {
        let next = Mutex<Int64>(0)
        func lease(_ count: Int) -> TicketLease {
            next.withLock { next in
                defer { next += Int64(count) }
                return TicketLease(first: next, count: count, epoch: ReplicaEpoch(catalogue: 0, standings: 0))
            }
        }
    }

    /// How often tickets were asked for.
    private final class Mailbox: Sendable {
        private let asked = Mutex<TicketDesk?>(nil)
        func post(_ desk: TicketDesk) { asked.withLock { $0 = desk } }
        /// Who asked since the last time.
        func take() -> TicketDesk? {
            asked.withLock { asked in
                defer { asked = nil }
                return asked
            }
        }
    }

    private final class Replica: Sendable {
        let pool: RotatingKeyPool
        private let mailbox = Mailbox()

        init(keys: Int, strategy: RotationStrategyName = .roundRobin, at now: Moment) {
            pool = .numbered(keys, strategy: strategy, at: now)
            pool.shareRotation { [mailbox] in mailbox.post($0) }
        }

        /// Whether tickets were asked for since the last time.
        func takeRequest() -> TicketDesk? { mailbox.take() }

        /// Answers what was asked for.
        func serve(_ count: Int, from counter: Counter) {
            takeRequest()?.supply(counter.lease(count))
        }

        func spend(at now: Moment) -> Int { pool.spend(at: now) ?? 0 }
    }

    @Test func `replicas that lease one ticket at a time keep one strict order`() {
        let counter = Counter()
        let replicas = (0..<3).map { _ in Replica(keys: 7, at: start) }
        for replica in replicas { replica.serve(1, from: counter) }
        let order = (0..<70).map { round in
            let replica = replicas[round % 3]
            defer { replica.serve(1, from: counter) }
            return replica.spend(at: start)
        }
        #expect(order == (0..<70).map { $0 % 7 + 1 })
    }

    @Test(arguments: [1, 2, 4], [1, 3, 10, 250])
    func `each key gets its share over all replicas, give or take one for each of them`(_ replicaCount: Int, _ keys: Int) {
        let counter = Counter()
        var random = SystemRandomNumberGenerator()
        let replicas = (0..<replicaCount).map { _ in Replica(keys: keys, at: start) }
        var counts = [Int: Int]()
        let requests = 5000
        for _ in 0..<requests {
            let replica = replicas.randomElement(using: &random)!
            // Now and then a lease is late, and the replica goes on by itself.
            if Int.random(in: 0..<10, using: &random) > 0 { replica.serve(max(1, 256 / keys) * keys, from: counter) }
            counts[replica.spend(at: start), default: 0] += 1
        }
        for key in 1...keys {
            #expect(abs(Double(counts[key] ?? 0) - Double(requests) / Double(keys)) <= Double(replicaCount), "key \(key): \(counts)")
        }
    }

    @Test func `a replica whose tickets do not come goes on by itself, round after round`() {
        let replica = Replica(keys: 5, at: start)
        let desk = replica.takeRequest()
        #expect((0..<20).map { _ in replica.spend(at: start) } == (0..<20).map { $0 % 5 + 1 })
        #expect(replica.takeRequest() == nil, "what was asked for and has not come is not asked for again")
        desk?.supply(nil)
        _ = (0..<5).map { _ in replica.spend(at: start) }
        #expect(replica.takeRequest() != nil)
    }

    @Test func `tickets that come in the middle of a round of its own wait for the end of the round`() {
        let replica = Replica(keys: 4, at: start)
        #expect(replica.spend(at: start) == 1)
        replica.takeRequest()?.supply(TicketLease(first: 6, count: 2, epoch: ReplicaEpoch(catalogue: 0, standings: 0)))
        #expect((0..<5).map { _ in replica.spend(at: start) } == [2, 3, 4, 3, 4])
    }

    @Test func `tickets go round the keys that are fit`() {
        let replica = Replica(keys: 4, at: start)
        for _ in 0..<4 { _ = replica.spend(at: start) }
        replica.pool.update(KeyID(2), name: "", weight: 1, isActive: false, at: start)
        replica.takeRequest()?.supply(TicketLease(first: 300, count: 6, epoch: ReplicaEpoch(catalogue: 0, standings: 0)))
        #expect((0..<6).map { _ in replica.spend(at: start) } == [1, 3, 4, 1, 3, 4])
    }

    @Test(arguments: [RotationStrategyName.sequential, .weighted, .random, .leastInFlight])
    func `strategies that keep an order of their own ask for nothing more and never stand still`(_ strategy: RotationStrategyName) {
        let replica = Replica(keys: 3, strategy: strategy, at: start)
        _ = replica.takeRequest()
        for _ in 0..<10 { #expect(replica.spend(at: start) > 0) }
        #expect(replica.spend(at: start) > 0)
        replica.pool.spend(.rateLimited(until: start + .seconds(60), reason: ""), at: start)
        for _ in 0..<10 { #expect(replica.spend(at: start) > 0) }
        #expect(replica.takeRequest() == nil)
    }

    @Test func `a pool without keys asks once and grants nothing; keys that are added have their turns`() {
        let replica = Replica(keys: 0, at: start)
        #expect(replica.takeRequest() != nil)
        #expect(replica.pool.spend(at: start) == nil)
        let successor = replica.pool.adding([.numbered(1), .numbered(2)], at: start)
        #expect((0..<4).map { _ in successor.spend(at: start) } == [1, 2, 1, 2])
    }

    @Test func `turns are exact over threads, whichever of them begins a stretch`() async {
        let counter = Counter()
        let pool = RotatingKeyPool.numbered(10, at: start)
        // Answered right where it was asked for: the worst of all interleavings is left to the threads.
        let mailbox = Mailbox()
        pool.shareRotation { mailbox.post($0) }
        let now = start
        let counts = await withTaskGroup(of: [Int].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    await withCheckedContinuation { done in
                        Thread.detachNewThread {
                            var counts = [Int](repeating: 0, count: 11)
                            for _ in 0..<25_000 {
                                counts[pool.spend(at: now) ?? 0] += 1
                                mailbox.take()?.supply(counter.lease(50))
                            }
                            done.resume(returning: counts)
                        }
                    }
                }
            }
            return await group.reduce(into: [Int](repeating: 0, count: 11)) { for index in $1.indices { $0[index] += $1[index] } }
        }
        #expect(counts[0] == 0)
        for key in 1...10 { #expect(abs(counts[key] - 10_000) <= 1, "\(counts)") }
    }
}

@Suite("Ticket pacing") struct TicketPacingTests {
    private let start = Moment(seconds: 1_800_000_000)

    @Test func `a low rate leases one at a time`() {
        var pacing = TicketPacing()
        for request in 0..<200 {
            // 400 a second.
            #expect(pacing.blockSize(turns: Int64(request), fitCount: 10, at: start + .microseconds(2500 * request)) == 1)
        }
    }

    @Test(arguments: [(1, 250), (3, 249), (100, 200), (256, 256), (1000, 1000), (100_000, 250)])
    func `a high rate leases whole rounds of what is used in fifty milliseconds`(_ fitCount: Int, _ expected: Int) {
        var pacing = TicketPacing()
        _ = pacing.blockSize(turns: 0, fitCount: fitCount, at: start)
        // 5,000 a second.
        #expect(pacing.blockSize(turns: 500, fitCount: fitCount, at: start + .milliseconds(100)) == expected)
        // And back to one when it is over.
        #expect(pacing.blockSize(turns: 501, fitCount: fitCount, at: start + .seconds(5)) == 1)
    }

    @Test func `a burst is believed at once, and a block is never above its limit`() {
        var pacing = TicketPacing()
        _ = pacing.blockSize(turns: 0, fitCount: 10, at: start)
        #expect(pacing.blockSize(turns: 64, fitCount: 10, at: start + .milliseconds(1)) == 2_040)
        #expect(pacing.blockSize(turns: 1_000_000, fitCount: 0, at: start + .milliseconds(1)) == TicketPacing.blockMax)
    }

    @Test func `a round of more keys than the rate fills is leased whole while it fits a block`() {
        var pacing = TicketPacing()
        _ = pacing.blockSize(turns: 0, fitCount: 200, at: start)
        #expect(pacing.blockSize(turns: 60, fitCount: 200, at: start + .milliseconds(100)) == 200)
    }
}
