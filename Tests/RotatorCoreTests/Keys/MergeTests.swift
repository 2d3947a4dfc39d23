// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Replicas' accounts of a key") struct MergeTests {
    private let start = Moment(seconds: 1_800_000_000)
    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    /// A replica that has every key, and what it has told the others.
    private struct Replica {
        var pool: RotatingKeyPool
        init(keys: Int = 2, at now: Moment) { pool = .numbered(keys, at: now) }

        func told(at now: Moment) -> [KeyID: StandingRecord] { pool.takeUnrecorded(at: now).compactMapValues(\.standing) }
        func view(_ id: Int, at now: Moment) -> KeyView? { pool.view(of: KeyID(Int64(id)), at: now) }
        func standing(_ id: Int, at now: Moment) -> StandingRecord? {
            pool.markStandingsUnrecorded()
            return told(at: now)[KeyID(Int64(id))]
        }
    }

    /// Replicas tell each other what is new until nobody has anything to say. Returns how often somebody did.
    @discardableResult
    private func talk(_ replicas: [Replica], at now: Moment) -> Int {
        var rounds = 0
        while rounds < 20 {
            let news = replicas.map { $0.told(at: now) }
            if news.allSatisfy(\.isEmpty) { break }
            rounds += 1
            for (listener, replica) in replicas.enumerated() {
                for (speaker, standings) in news.enumerated() where speaker != listener { replica.pool.merge(standings, at: now) }
            }
        }
        return rounds
    }

    private func spend(_ outcome: AttemptOutcome, on replica: Replica, model: String? = nil, at now: Moment) {
        #expect(replica.pool.spend(outcome, model: model, excluding: TriedKeys(2), at: now) == 1)
    }

    @Test func `a rest that one decides is in force on the others`() {
        let replicas = (0..<3).map { _ in Replica(at: start) }
        spend(.rateLimited(until: after(30), reason: "rate_limited"), on: replicas[0], at: start)
        #expect(talk(replicas, at: after(1)) == 1)
        for replica in replicas {
            #expect(replica.view(1, at: after(1))?.state == .cooling)
            #expect(replica.view(1, at: after(1))?.coolingUntil == after(30))
            #expect(replica.view(1, at: after(1))?.stateReason == "rate_limited")
            #expect(replica.pool.spend(excluding: TriedKeys(2), at: after(29)) == nil)
            #expect(replica.pool.spend(excluding: TriedKeys(2), at: after(30)) == 1)
        }
    }

    @Test func `of two rests that two replicas decide at once the longer one stays, on both`() {
        let replicas = (0..<2).map { _ in Replica(at: start) }
        spend(.rateLimited(until: after(30), reason: "a"), on: replicas[0], at: after(1))
        spend(.exhausted(until: after(60), reason: "b"), on: replicas[1], at: start)
        #expect(talk(replicas, at: after(2)) <= 2)
        for replica in replicas {
            #expect(replica.view(1, at: after(2))?.state == .exhausted)
            #expect(replica.view(1, at: after(2))?.coolingUntil == after(60))
        }
        #expect(replicas[0].standing(1, at: after(2)) == replicas[1].standing(1, at: after(2)))
    }

    @Test func `rests for one model each are put together`() {
        let replicas = (0..<2).map { _ in Replica(at: start) }
        spend(.rateLimited(until: after(30), reason: "a"), on: replicas[0], model: "m", at: start)
        spend(.forbidden(reason: "b"), on: replicas[1], model: "n", at: after(1))
        spend(.rateLimited(until: after(50), reason: "c"), on: replicas[1], model: "m", at: after(2))
        talk(replicas, at: after(3))
        for replica in replicas {
            let rests = replica.view(1, at: after(3))?.coolingModels.sorted { $0.model < $1.model }
            #expect(rests?.map(\.model) == ["m", "n"])
            #expect(rests?.map(\.until) == [after(50), after(61)])
            #expect(replica.pool.spend(model: "m", excluding: TriedKeys(2), at: after(49)) == nil)
            #expect(replica.pool.spend(model: "other", excluding: TriedKeys(2), at: after(4)) == 1)
        }
    }

    @Test func `rejections count in a row over all replicas, and the third makes the key invalid everywhere`() {
        let replicas = (0..<2).map { _ in Replica(at: start) }
        spend(.keyRejected(reason: "invalid_api_key"), on: replicas[0], at: start)
        talk(replicas, at: after(1))
        spend(.keyRejected(reason: "invalid_api_key"), on: replicas[1], at: after(31))
        talk(replicas, at: after(32))
        spend(.keyRejected(reason: "invalid_api_key"), on: replicas[0], at: after(100))
        talk(replicas, at: after(101))
        for replica in replicas { #expect(replica.view(1, at: after(101))?.state == .invalid) }
    }

    @Test func `a success on one replica ends the row of rejections on all`() {
        let replicas = (0..<2).map { _ in Replica(at: start) }
        spend(.keyRejected(reason: ""), on: replicas[0], at: start)
        talk(replicas, at: after(1))
        spend(.success, on: replicas[1], at: after(31))
        talk(replicas, at: after(32))
        #expect(replicas[0].standing(1, at: after(32))?.rejections == 0)
        spend(.keyRejected(reason: ""), on: replicas[0], at: after(33))
        #expect(replicas[0].view(1, at: after(33))?.coolingUntil == after(63))
    }

    @Test func `what an administrator clears on one replica is cleared on all, whatever they decided before`() {
        let replicas = (0..<3).map { _ in Replica(at: start) }
        let underWay = replicas[1].pool.hold(excluding: TriedKeys(2), at: start)
        for seconds in [0, 31, 95] { spend(.keyRejected(reason: ""), on: replicas[0], at: after(seconds)) }
        talk(replicas, at: after(96))
        #expect(replicas[2].view(1, at: after(96))?.state == .invalid)
        #expect(replicas[0].pool.reset(KeyID(1), at: after(97)))
        // One decides once more before it hears of the reset, and by a clock that is ahead.
        underWay?.settle(.exhausted(until: after(9000), reason: ""), at: after(98))
        talk(replicas, at: after(99))
        for replica in replicas { #expect(replica.view(1, at: after(99))?.state == .active) }
        spend(.keyRejected(reason: ""), on: replicas[1], at: after(99))
        talk(replicas, at: after(99))
        for replica in replicas { #expect(replica.view(1, at: after(99))?.coolingUntil == after(129), "a first rest again") }
    }

    @Test func `an attempt that was under way when another replica's rest began makes it no longer`() {
        let replicas = (0..<2).map { _ in Replica(at: start) }
        let underWay = replicas[1].pool.hold(excluding: TriedKeys(2), at: start)
        spend(.rateLimited(until: nil, reason: ""), on: replicas[0], at: after(1))
        talk(replicas, at: after(1))
        underWay?.settle(.rateLimited(until: nil, reason: ""), at: after(1))
        #expect(replicas[1].view(1, at: after(1))?.coolingUntil == after(2))
    }

    @Test func `circuits stay each replica's own`() {
        let replicas = (0..<2).map { _ in Replica(at: start) }
        for seconds in 0..<3 { spend(.upstreamFailed(reason: ""), on: replicas[0], at: after(seconds)) }
        talk(replicas, at: after(3))
        #expect(replicas[0].view(1, at: after(3))?.stateReason == "circuit_open")
        #expect(replicas[1].view(1, at: after(3))?.stateReason == nil)
        #expect(replicas[1].pool.spend(excluding: TriedKeys(2), at: after(3)) == 1)
    }

    @Test func `whatever is decided in whatever order, all end up with the same and fall silent`() {
        var random = SeededGenerator(seed: 7)
        for round in 0..<200 {
            let replicas = (0..<3).map { _ in Replica(at: start) }
            for step in 0..<12 {
                let replica = replicas[Int.random(in: 0..<3, using: &random)]
                let now = after(step * Int.random(in: 1...40, using: &random))
                let outcomes: [AttemptOutcome] = [
                    .success, .rateLimited(until: nil, reason: "r"), .rateLimited(until: now + .seconds(45), reason: "s"), .exhausted(until: nil, reason: "e"),
                    .keyRejected(reason: "k"), .forbidden(reason: "f"), .upstreamFailed(reason: "u"),
                ]
                replica.pool.spend(outcomes.randomElement(using: &random)!, model: [nil, "m", "n"].randomElement(using: &random)!, at: now)
                if Int.random(in: 0..<4, using: &random) == 0 { talk(Array(replicas[..<2]), at: now) }
                if Int.random(in: 0..<20, using: &random) == 0 { replica.pool.reset(KeyID(1), at: now) }
            }
            let now = after(500)
            // What two of them told each other the third one missed: it reads it now.
            for replica in replicas { replica.pool.markStandingsUnrecorded() }
            #expect(talk(replicas, at: now) < 20, "round \(round)")
            for id in 1...2 {
                let standings = replicas.map { essence($0.standing(id, at: now), at: now) }
                #expect(standings[0] == standings[1] && standings[1] == standings[2], "round \(round): \(standings)")
            }
        }
    }

    /// What replicas agree on: circuits are their own, and what is over says nothing.
    private func essence(_ record: StandingRecord?, at now: Moment) -> StandingRecord? {
        guard var record else { return nil }
        record.upstreamFailures = 0
        record.circuitLevel = 0
        record.circuitUntil = nil
        record.models.removeAll { $0.until <= now && $0.level == 0 }
        for index in record.models.indices where record.models[index].until <= now { record.models[index].until = .distantPast; record.models[index].reason = "" }
        record.models.sort { $0.model < $1.model }
        return record
    }

    private struct SeededGenerator: RandomNumberGenerator {
        private var state: UInt64
        init(seed: UInt64) { state = seed }
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var word = state
            word ^= word >> 33
            return word &* 0xff51_afd7_ed55_8ccd
        }
    }
}
