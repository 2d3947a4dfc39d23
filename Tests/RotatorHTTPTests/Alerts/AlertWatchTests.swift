// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization
import Testing

@testable import RotatorHTTP

/// A replica with its watch. What it sends goes to a port at which nobody listens; the deliveries tell what was sent.
private final class Replica {
    let harness: AdminHarness
    let sender: WebhookSender
    let watch: AlertWatch
    var memory = AlertWatch.Memory()

    init(_ harness: AdminHarness, name: String = "one") {
        self.harness = harness
        let (administration, clock) = (harness.administration, harness.clock)
        sender = WebhookSender(
            settings: ProxySettings(), replica: name, webhook: { administration.activeWebhook($0) }, clock: { clock.now }, logger: harness.log.logger)
        let reachable = Reachable()
        self.reachable = reachable
        watch = AlertWatch(
            administration: administration, sender: sender, isStoreReachable: { reachable.value.withLock { $0 } }, clock: { clock.now },
            logger: harness.log.logger)
    }

    private final class Reachable: Sendable { let value = Mutex(true) }
    private let reachable: Reachable

    func reach(_ isReachable: Bool) { reachable.value.withLock { $0 = isReachable } }

    /// What was sent to the first webhook so far, in order.
    func look(after seconds: Int = 1) async -> [AlertKind] {
        harness.clock.advance(by: .seconds(seconds))
        await watch.look(&memory)
        return sender.deliveries(to: WebhookID(1)).map(\.event).reversed()
    }
}

@Suite("Alert watch") struct AlertWatchTests {
    private static func webhook(_ more: String = "") -> String {
        #"{"name":"ops","url":"http://127.0.0.1:1/","shape":"generic"\#(more)}"#
    }

    private func replica(_ more: String = "") async throws -> Replica {
        let replica = Replica(try await AdminHarness())
        #expect(await replica.harness.call("POST", "/admin/webhooks", Self.webhook(more)).status == 201)
        return replica
    }

    @Test func `a pool that falls below what a webhook wants is told once, and again when it has recovered and the interval is over`() async throws {
        let replica = try await replica(#","pool_minimum":2"#)
        let service = await replica.harness.makeService()
        #expect(await replica.look() == [], "an empty pool is not low")
        var keys: [Int] = []
        for value in ["k1", "k2", "k3"] { keys.append(await replica.harness.makeKey(value, in: service)) }
        func switchTwo(_ isActive: Bool) async {
            for key in keys.prefix(2) { await replica.harness.call("PATCH", "/admin/keys/\(key)", #"{"is_active":\#(isActive)}"#) }
        }
        #expect(await replica.look() == [])
        await switchTwo(false)
        #expect(await replica.look() == [.poolLow])
        #expect(await replica.look() == [.poolLow])
        await switchTwo(true)
        #expect(await replica.look() == [.poolLow])
        await switchTwo(false)
        #expect(await replica.look() == [.poolLow], "it was told a moment ago")
        #expect(await replica.look(after: 296) == [.poolLow])
        #expect(await replica.look() == [.poolLow, .poolLow])
    }

    @Test func `a service that is switched off or not asked for is not told of`() async throws {
        let replica = try await replica(#","pool_minimum":9,"services":["open*"]"#)
        for slug in ["openai", "other"] {
            let service = await replica.harness.makeService(slug: slug)
            _ = await replica.harness.makeKey("k", in: service)
        }
        await replica.harness.call("PUT", "/admin/proxy-configs/1/status", #"{"is_active":false}"#)
        #expect(await replica.look() == [])
        await replica.harness.call("PUT", "/admin/proxy-configs/1/status", #"{"is_active":true}"#)
        #expect(await replica.look() == [.poolLow])
    }

    /// The next attempt of a service turns out so.
    private func settle(_ service: Int, _ replica: Replica, as outcome: AttemptOutcome) throws {
        let now = replica.harness.clock.now
        let pool = try replica.harness.administration.entry(ServiceID(Int64(service))).pool
        switch pool.lease(model: nil, conversation: nil, excluding: TriedKeys(), at: now) {
        case .granted(let lease): lease.settle(outcome, model: nil, at: now)
        default: Issue.record("there is a key")
        }
    }

    @Test func `an exhausted key is told when its standing is written down, once`() async throws {
        let replica = try await replica()
        let service = await replica.harness.makeService()
        for value in ["k1", "k2"] { _ = await replica.harness.makeKey(value, in: service) }
        try settle(service, replica, as: .exhausted(until: nil, reason: "insufficient_quota"))
        await replica.harness.administration.flushStandings()
        #expect(await replica.look() == [.keyExhausted])
        await replica.harness.administration.flushStandings()
        #expect(await replica.look() == [.keyExhausted])
    }

    @Test func `a client over its budget is told once a month, and again when it is over another budget`() async throws {
        let replica = try await replica(#","min_interval_seconds":0"#)
        await replica.harness.call("POST", "/admin/client-keys", #"{"name":"bob","monthly_token_budget":100}"#)
        let directory = replica.harness.administration.clientDirectory
        let meter = try #require(directory.meter(of: ClientID(1)))
        func use(_ tokens: Int64) {
            _ = meter.admit(at: replica.harness.clock.now) { _ in }
            meter.ended(tokens: tokens, at: replica.harness.clock.now)
        }
        use(99)
        #expect(await replica.look() == [])
        use(1)
        #expect(await replica.look() == [.clientOverBudget])
        #expect(await replica.look(after: 3_600) == [.clientOverBudget])
        await replica.harness.call("PATCH", "/admin/client-keys/1", #"{"monthly_token_budget":150}"#)
        #expect(await replica.look() == [.clientOverBudget])
        use(60)
        #expect(await replica.look() == [.clientOverBudget, .clientOverBudget])
        #expect(await replica.look(after: 31 * 86_400) == [.clientOverBudget, .clientOverBudget], "a new month begins with nothing used")
        use(200)
        #expect(await replica.look() == [.clientOverBudget, .clientOverBudget, .clientOverBudget])
    }

    @Test func `an outage of the store is told after five seconds, and so is its end`() async throws {
        let replica = try await replica()
        #expect(await replica.look() == [])
        replica.harness.store.fail(.unavailable)
        replica.reach(false)
        #expect(await replica.look() == [])
        #expect(await replica.look(after: 4) == [])
        #expect(await replica.look() == [.storeDown])
        #expect(await replica.look(after: 600) == [.storeDown])
        replica.harness.store.fail(nil)
        replica.reach(true)
        #expect(await replica.look() == [.storeDown, .storeUp])
    }

    @Test func `of two replicas that see the same, one tells`() async throws {
        let one = try await replica(#","pool_minimum":9"#)
        let service = await one.harness.makeService()
        _ = await one.harness.makeKey("k", in: service)
        let other = Replica(try await AdminHarness(restarting: one.harness), name: "other")
        let (first, second) = (await one.look(), await other.look())
        #expect(first + second == [.poolLow])
    }

    @Test func `while the store cannot be asked each replica tells`() async throws {
        let one = try await replica(#","events":["pool_low"],"pool_minimum":9"#)
        let service = await one.harness.makeService()
        _ = await one.harness.makeKey("k", in: service)
        let other = Replica(try await AdminHarness(restarting: one.harness), name: "other")
        one.harness.store.fail(.unavailable)
        #expect(await one.look() == [.poolLow])
        #expect(await other.look() == [.poolLow])
    }

    @Test func `webhooks that are switched off, and those that want other things, are told nothing`() async throws {
        let replica = try await replica(#","events":["store_up"],"pool_minimum":9"#)
        await replica.harness.call("POST", "/admin/webhooks", Self.webhook(#","is_active":false,"pool_minimum":9"#).replacing("ops", with: "off"))
        let service = await replica.harness.makeService()
        _ = await replica.harness.makeKey("k", in: service)
        #expect(await replica.look() == [])
        #expect(replica.sender.deliveries(to: WebhookID(2)).isEmpty)
    }
}
