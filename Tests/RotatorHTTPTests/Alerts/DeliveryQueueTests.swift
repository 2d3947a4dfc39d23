// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Deliveries") struct DeliveryQueueTests {
    private let start = Moment(seconds: 1_800_000_000)
    private let hook = WebhookID(1)
    private var alert: Alert { Alert(.storeDown(since: start), at: start, replica: "h") }

    private func queue(_ count: Int, of webhook: WebhookID? = nil) -> DeliveryQueue {
        var queue = DeliveryQueue()
        for number in 0..<count { _ = queue.enqueue(alert, for: webhook ?? hook, deliveryID: "d\(number)", at: start) }
        return queue
    }

    @Test func `failures are tried again after 1 s, doubling, eight times in all`() throws {
        var queue = queue(1)
        var now = start
        var pauses: [Int64] = []
        while let delivery = queue.takeDue(at: now).first {
            guard case .retry(let moment) = queue.attemptEnded(delivery.number, .answered(status: 500, retryAfter: nil), at: now) else { break }
            #expect(queue.takeDue(at: moment.advanced(byNanoseconds: -1)).isEmpty)
            #expect(queue.nextDue(after: now) == moment)
            pauses.append((moment - now).components.seconds)
            now = moment
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 64])
        #expect(queue.isEmpty)
        #expect(queue.records(of: hook).map(\.attempts) == [8])
        #expect(queue.records(of: hook).map(\.state) == [.failed])
        #expect(queue.counts == [.storeDown: .init(failed: 1)])
    }

    @Test(arguments: [
        (DeliveryResult.answered(status: 200, retryAfter: nil), DeliveryQueue.Verdict.delivered),
        (.answered(status: 204, retryAfter: nil), .delivered),
        (.answered(status: 302, retryAfter: nil), .givenUp),
        (.answered(status: 400, retryAfter: nil), .givenUp),
        (.answered(status: 404, retryAfter: .seconds(9)), .givenUp),
        (.answered(status: 429, retryAfter: nil), .retry(at: Moment(seconds: 1_800_000_001))),
        (.answered(status: 429, retryAfter: .seconds(30)), .retry(at: Moment(seconds: 1_800_000_030))),
        (.answered(status: 503, retryAfter: .seconds(30)), .retry(at: Moment(seconds: 1_800_000_030))),
        (.answered(status: 599, retryAfter: nil), .retry(at: Moment(seconds: 1_800_000_001))),
        (.failed(reason: "connection_refused"), .retry(at: Moment(seconds: 1_800_000_001))),
    ])
    func `an answer says whether to try again`(_ result: DeliveryResult, _ verdict: DeliveryQueue.Verdict) {
        #expect(DeliveryQueue.verdict(on: result, attempts: 1, since: start, at: start) == verdict)
    }

    @Test func `nothing is tried again after an hour, nor with a longer pause than five minutes of its own`() {
        let late = start + .seconds(3_599)
        #expect(DeliveryQueue.verdict(on: .failed(reason: "x"), attempts: 1, since: start, at: late) == .retry(at: start + .seconds(3_600)))
        #expect(DeliveryQueue.verdict(on: .failed(reason: "x"), attempts: 2, since: start, at: late) == .givenUp)
        #expect(DeliveryQueue.verdict(on: .answered(status: 429, retryAfter: .seconds(3_601)), attempts: 1, since: start, at: start) == .givenUp)
        #expect(DeliveryQueue.backoff.delay(level: 40) == .seconds(300))
    }

    @Test func `one receiver has four deliveries on their way at most, all together sixteen`() {
        var queue = queue(6)
        #expect(queue.takeDue(at: start).count == 4)
        #expect(queue.takeDue(at: start).isEmpty)
        for other in 2...9 {
            for number in 0..<3 { _ = queue.enqueue(alert, for: WebhookID(Int64(other)), deliveryID: "o\(other)\(number)", at: start) }
        }
        #expect(queue.takeDue(at: start).count == 12)
    }

    @Test func `the oldest goes first`() {
        var queue = queue(3)
        #expect(queue.takeDue(at: start).map(\.record.id) == ["d0", "d1", "d2"])
    }

    @Test func `one receiver's alerts leave room for those of others, and what finds no room is counted`() {
        var queue = queue(501)
        #expect(queue.count == 500)
        #expect(queue.counts == [.storeDown: .init(dropped: 1)])
        for number in 0..<501 { _ = queue.enqueue(alert, for: WebhookID(2), deliveryID: "e\(number)", at: start) }
        #expect(queue.count == 1_000)
        #expect(queue.enqueue(alert, for: WebhookID(3), deliveryID: "f", at: start) == false)
        #expect(queue.counts == [.storeDown: .init(dropped: 3)])
    }

    @Test func `the last fifty are remembered, the latest first`() {
        var queue = DeliveryQueue()
        for number in 0..<60 {
            _ = queue.enqueue(alert, for: hook, deliveryID: "d\(number)", at: start)
            for delivery in queue.takeDue(at: start) { _ = queue.attemptEnded(delivery.number, .answered(status: 200, retryAfter: nil), at: start) }
        }
        let records = queue.records(of: hook)
        #expect(records.count == 50)
        #expect(records.first?.id == "d59")
        #expect(records.last?.id == "d10")
        queue.retainRecords(of: [])
        #expect(queue.records(of: hook).isEmpty)
    }

    @Test func `a record tells the last answer, or why none came`() {
        var queue = queue(1)
        var delivery = queue.takeDue(at: start)[0]
        _ = queue.attemptEnded(delivery.number, .failed(reason: "timed_out"), at: start)
        #expect(queue.records(of: hook)[0] == DeliveryRecord(id: "d0", at: start, event: .storeDown, attempts: 1, error: "timed_out"))
        delivery = queue.takeDue(at: start + .seconds(1))[0]
        _ = queue.attemptEnded(delivery.number, .answered(status: 200, retryAfter: nil), at: start + .seconds(1))
        #expect(queue.records(of: hook)[0] == DeliveryRecord(id: "d0", at: start, event: .storeDown, state: .delivered, attempts: 2, status: 200))
    }

    @Test func `at the end what waits is tried once more and no longer`() {
        var queue = queue(1)
        let delivery = queue.takeDue(at: start)[0]
        _ = queue.attemptEnded(delivery.number, .answered(status: 500, retryAfter: .seconds(600)), at: start)
        queue.drain(at: start + .seconds(1))
        #expect(queue.enqueue(alert, for: hook, deliveryID: "late", at: start + .seconds(1)) == false)
        #expect(queue.takeDue(at: start + .seconds(1)).map(\.record.id) == ["d0"])
        #expect(queue.attemptEnded(delivery.number, .answered(status: 500, retryAfter: nil), at: start + .seconds(2)) == .givenUp)
        #expect(queue.isEmpty)
    }

    @Test func `what waits for a webhook that is gone is withdrawn`() {
        var queue = queue(1)
        queue.withdraw(queue.takeDue(at: start)[0].number)
        #expect(queue.isEmpty)
        #expect(queue.records(of: hook).map(\.error) == ["webhook_inactive"])
        #expect(queue.counts == [.storeDown: .init(dropped: 1)])
    }
}

@Suite("Alert claims") struct AlertClaimTests {
    private let start = Moment(seconds: 1_800_000_000)

    @Test func `of several who claim the same, one gets it, until its time is over`() async throws {
        let store = CatalogueDouble()
        let (one, other) = (AlertClaims(documents: store), AlertClaims(documents: store))
        let until = start + .seconds(300)
        #expect(try await one.claim("a", until: until, at: start))
        #expect(try await !other.claim("a", until: until, at: start + .seconds(1)))
        #expect(try await !one.claim("a", until: until, at: start + .seconds(299)))
        #expect(try await other.claim("b", until: until, at: start))
        #expect(try await other.claim("a", until: until + .seconds(300), at: until))
        #expect(try await !one.claim("a", until: until + .seconds(300), at: until))
    }

    @Test func `of fifty who claim the same at once, one gets it`() async throws {
        let store = CatalogueDouble()
        let start = self.start
        for until in [start + .seconds(1), start + .seconds(2)] {
            let winners = try await withThrowingTaskGroup { group in
                for _ in 0..<50 {
                    group.addTask { try await AlertClaims(documents: store).claim("a", until: until, at: until + .seconds(-1)) }
                }
                return try await group.reduce(into: 0) { if $1 { $0 += 1 } }
            }
            #expect(winners == 1)
        }
    }

    @Test func `claims that ended a day ago are swept`() async throws {
        let store = CatalogueDouble()
        let claims = AlertClaims(documents: store)
        _ = try await claims.claim("old", until: start, at: start)
        _ = try await claims.claim("new", until: start + .seconds(60), at: start)
        #expect(try await claims.sweep(after: 0, at: start + .seconds(86_430)) == 0)
        #expect(try await store.documents(.alertClaim, after: 0, limit: 10).map(\.name) == ["new"])
    }
}
