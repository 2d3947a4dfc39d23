// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@Suite("Probing") struct ProbingTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func pool(_ count: Int) -> RotatingKeyPool {
        let keys = (1...count).map { KeyRecord(id: KeyID(Int64($0)), serviceID: ServiceID(1), secret: Secret("key-\($0)".utf8)) }
        return RotatingKeyPool(service: ServiceID(1), kind: .llm, strategy: .roundRobin, keys: keys, seed: 1, at: start)
    }

    private func state(_ id: Int64, _ pool: RotatingKeyPool, at now: Moment) -> KeyState? { pool.view(of: KeyID(id), at: now)?.state }

    // `#require` takes no value that cannot be copied.
    private func lease(_ key: KeyID, of pool: RotatingKeyPool, at now: Moment) throws -> KeyLease {
        guard let lease = pool.leaseForProbe(key, at: now) else { throw NotLeased() }
        return lease
    }

    private struct NotLeased: Error {}

    @Test func `a key that was judged invalid is no longer granted, and is to be written down`() {
        let pool = pool(2)
        _ = pool.takeUnrecorded(at: start)
        #expect(pool.judgeInvalid(KeyID(1), reason: "validation_rejected", at: start))
        #expect(state(1, pool, at: start) == .invalid)
        #expect(pool.view(of: KeyID(1), at: start)?.stateReason == "validation_rejected")
        #expect(pool.takeUnrecorded(at: start)[KeyID(1)]?.standing?.state == .invalid)
        for _ in 0..<4 {
            guard case .granted(let lease) = pool.lease(model: nil, excluding: TriedKeys(), at: start) else {
                Issue.record("the other key is fit")
                return
            }
            #expect(lease.key.id == KeyID(2))
            lease.settle(.success, model: nil, at: start)
        }
    }

    @Test func `the last key that is not rejected is not judged invalid: the provider is at fault`() {
        let pool = pool(2)
        #expect(pool.judgeInvalid(KeyID(1), reason: "", at: start))
        #expect(!pool.judgeInvalid(KeyID(2), reason: "", at: start))
        #expect(state(2, pool, at: start) == .active)
    }

    @Test func `an invalid key is leased to a probe, and a success brings it back`() throws {
        let pool = pool(2)
        _ = pool.judgeInvalid(KeyID(1), reason: "", at: start)
        let later = start + .seconds(60)
        let lease = try lease(KeyID(1), of: pool, at: later)
        #expect(pool.view(of: KeyID(1), at: later)?.inFlight == 1)
        lease.settle(.success, model: nil, at: later)
        #expect(state(1, pool, at: later) == .active)
        #expect(pool.view(of: KeyID(1), at: later)?.inFlight == 0)
    }

    @Test func `what was under way when a key was judged does not bring it back`() throws {
        let pool = pool(2)
        let lease = try lease(KeyID(1), of: pool, at: start)
        _ = pool.judgeInvalid(KeyID(1), reason: "", at: start + .seconds(1))
        lease.settle(.success, model: nil, at: start + .seconds(2))
        #expect(state(1, pool, at: start + .seconds(2)) == .invalid)
    }

    @Test func `a rejected probe of an invalid key moves on when it was decided`() throws {
        let pool = pool(2)
        _ = pool.judgeInvalid(KeyID(1), reason: "", at: start)
        let later = start + .seconds(86_400)
        let lease = try lease(KeyID(1), of: pool, at: later)
        lease.settle(.keyRejected(reason: ""), model: nil, at: later)
        let invalid = pool.invalidKeys(after: nil, limit: 10)
        #expect(invalid.map(\.id) == [KeyID(1)])
        #expect(invalid.first.map { $0.decidedAt >= later } == true)
    }

    @Test func `a probe of a half-open circuit is its trial`() throws {
        let pool = pool(2)
        for second in 0..<3 {
            let moment = start + .seconds(second)
            let lease = try lease(KeyID(1), of: pool, at: moment)
            lease.settle(.upstreamFailed(reason: ""), model: nil, at: moment)
        }
        #expect(pool.view(of: KeyID(1), at: start + .seconds(3))?.stateReason == "circuit_open")
        let due = start + .seconds(10)
        // Whoever leases notices that the time has come.
        _ = pool.hasKey(model: nil, excluding: TriedKeys(), at: due)
        #expect(pool.keysAwaitingTrial(since: due, limit: 10) == [KeyID(1)])
        #expect(pool.keysAwaitingTrial(since: start + .seconds(7), limit: 10) == [])
        let trial = try lease(KeyID(1), of: pool, at: due)
        #expect(pool.keysAwaitingTrial(since: due + .seconds(1), limit: 10) == [])
        trial.settle(.upstreamFailed(reason: ""), model: nil, at: due)
        #expect(pool.view(of: KeyID(1), at: due)?.coolingUntil == due + .seconds(10))
    }

    @Test func `a key that the pool has not is neither leased nor judged`() {
        let pool = pool(1)
        let isLeased = pool.leaseForProbe(KeyID(9), at: start) != nil
        #expect(!isLeased)
        #expect(pool.judgeInvalid(KeyID(9), reason: "", at: start))
    }
}
