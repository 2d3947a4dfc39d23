// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// Posts alerts to webhooks, by libcurl's own HTTP engine, on a thread of its own: a receiver that is slow or away keeps nobody waiting.
///
/// Any task may call any member. The thread begins with the first delivery and ends when none has waited for ten seconds. Redirects are never followed;
/// answers are not read. What could not be delivered is tried again up to eight times within an hour.
public final class WebhookSender: Sendable {
    private struct Test: Sendable {
        var message: AlertMessage
        var url: Secret
        var continuation: CheckedContinuation<DeliveryResult, Never>
    }

    private struct State: Sendable {
        var queue = DeliveryQueue()
        var tests: [Test] = []
        /// What the thread works with; nil while there is no thread.
        var multi: TransferMulti?
        /// Alerts that found no room.
        var dropCount = 0
    }

    /// The name of this process among those that share a store; stands in each alert.
    let replica: String
    private let settings: ProxySettings
    private let webhook: @Sendable (WebhookID) -> Webhook?
    private let clock: @Sendable () -> Moment
    private let logger: Logger
    private let state = OutOfLineMutex(State())

    private static let idleMilliseconds: Int32 = 10_000
    /// More tests than this do not run at once.
    private static let testsMax = 16

    /// A sender that has nothing to send.
    ///
    /// - Parameters:
    ///   - settings: which outbound proxies and trust roots there are.
    ///   - replica: the name of this process among those that share a store, such as its host's.
    ///   - webhook: a webhook as it is now; nil where it is gone or switched off. Asked before each attempt.
    ///   - clock: the present moment.
    ///   - logger: for what could not be delivered.
    public init(
        settings: ProxySettings, replica: String, webhook: @escaping @Sendable (WebhookID) -> Webhook?, clock: @escaping @Sendable () -> Moment, logger: Logger
    ) {
        CurlLibrary.initialise()
        self.settings = settings
        self.replica = replica
        self.webhook = webhook
        self.clock = clock
        self.logger = logger
    }

    /// Has an alert delivered to a webhook, soon. Where too many wait it is dropped, counted, and told to the log.
    public func send(_ alert: Alert, to webhook: WebhookID) {
        let now = clock()
        let drops = state.withLock { state -> Int? in
            if state.queue.enqueue(alert, for: webhook, deliveryID: Self.makeID(), at: now) { return nil }
            state.dropCount += 1
            return state.dropCount
        }
        guard let drops else { return wakeThread() }
        // A flood of alerts is not to become one of lines.
        if drops % 100 == 1 { logger.warning("alerts are dropped: too many wait to be delivered", metadata: ["since_start": "\(drops)"]) }
    }

    /// Sends a test at once, once, and says what came of it.
    func sendTest(to webhook: Webhook) async -> DeliveryResult {
        let alert = Alert(.test(webhook: webhook.name), at: clock(), replica: replica)
        var record = DeliveryRecord(id: Self.makeID(), at: alert.at, event: .test)
        let message = AlertMessage(alert, deliveryID: record.id, for: webhook)
        let result = await withCheckedContinuation { continuation in
            let hasRoom = state.withLock { state in
                guard state.tests.count < Self.testsMax else { return false }
                state.tests.append(Test(message: message, url: webhook.url, continuation: continuation))
                return true
            }
            if hasRoom { wakeThread() } else { continuation.resume(returning: .failed(reason: "too_many_tests")) }
        }
        record.attemptEnded(result)
        if case .answered(200...299, _) = result { record.state = .delivered } else { record.state = .failed }
        state.withLock { [record] in $0.queue.note(record, of: webhook.id) }
        return result
    }

    /// The last deliveries to a webhook, the latest first.
    func deliveries(to webhook: WebhookID) -> [DeliveryRecord] { state.withLock { $0.queue.records(of: webhook) } }

    /// Forgets what became of deliveries to webhooks that are gone.
    func retainRecords(of webhooks: Set<WebhookID>) { state.withLock { $0.queue.retainRecords(of: webhooks) } }

    /// What became of all alerts so far: the event, `delivered`, `failed` or `dropped`, and how many.
    public var counts: [(event: String, result: String, count: Int)] {
        state.withLock { $0.queue.counts }.sorted { $0.key.rawValue < $1.key.rawValue }.flatMap { kind, counts in
            [(kind.rawValue, "delivered", counts.delivered), (kind.rawValue, "failed", counts.failed), (kind.rawValue, "dropped", counts.dropped)]
        }
    }

    /// Tries once what waits, and returns when that is over or `grace` has passed. What comes later is dropped.
    public func drain(within grace: Duration) async {
        let now = clock()
        let isEmpty = state.withLock { state in
            state.queue.drain(at: now)
            return state.queue.isEmpty
        }
        guard !isEmpty else { return }
        wakeThread()
        // A task of its own, waited for right here: the caller's is cancelled already.
        let left = await Task {
            while clock() < now + grace, !state.withLock({ $0.queue.isEmpty }) { try? await Task.sleep(for: .milliseconds(20)) }
            return state.withLock { $0.queue.count }
        }.value
        if left > 0 { logger.warning("alerts could not be delivered before the end", metadata: ["count": "\(left)"]) }
    }

    // MARK: The thread

    private func wakeThread() {
        let (running, begun) = state.withLock { state -> (TransferMulti?, TransferMulti?) in
            if let multi = state.multi { return (multi, nil) }
            let multi = TransferMulti(connectionsMax: 16)
            state.multi = multi
            return (nil, multi)
        }
        running?.wake()
        guard let begun, !begun.startThread({ self.work(with: $0) }) else { return }
        // Without a thread nothing can be sent now; whoever comes next tries again.
        let tests = state.withLock { state in
            defer { state.tests = [] }
            state.multi = nil
            return state.tests
        }
        for test in tests { test.continuation.resume(returning: .failed(reason: "no_thread")) }
    }

    private enum Purpose {
        case delivery(DeliveryQueue.Delivery, WebhookID)
        case test(CheckedContinuation<DeliveryResult, Never>)
    }

    private func work(with multi: TransferMulti) {
        var transfers: [UInt: (transfer: WebhookTransfer, purpose: Purpose)] = [:]
        while true {
            let now = clock()
            let (due, tests) = state.withLock { state in
                defer { state.tests = [] }
                return (state.queue.takeDue(at: now), state.tests)
            }
            // Whatever ends makes room for what waits.
            var hasEnded = false
            for test in tests {
                let purpose = Purpose.test(test.continuation)
                if !begin(test.message, to: test.url, for: purpose, with: multi, in: &transfers, at: now) { hasEnded = true }
            }
            for delivery in due {
                // As it is now: a webhook that was corrected meanwhile gets what had to wait for that.
                guard let webhook = webhook(delivery.webhook) else {
                    state.withLock { $0.queue.withdraw(delivery.number) }
                    hasEnded = true
                    continue
                }
                let message = AlertMessage(delivery.alert, deliveryID: delivery.record.id, for: webhook)
                if !begin(message, to: webhook.url, for: .delivery(delivery, webhook.id), with: multi, in: &transfers, at: now) { hasEnded = true }
            }
            multi.perform { address, code in
                guard let (transfer, purpose) = transfers.removeValue(forKey: address) else { return }
                unsafe multi.remove(transfer.easy)
                ended(purpose, transfer.result(code))
                hasEnded = true
            }
            if hasEnded { continue }
            let untilDue = state.withLock { $0.queue.nextDue(after: now) }.map { Int32(clamping: ($0 - clock()).wholeNanoseconds / 1_000_000 + 1) }
            let wasWoken = multi.wait(max(0, min(untilDue ?? Self.idleMilliseconds, transfers.isEmpty ? Self.idleMilliseconds : 1_000)))
            guard transfers.isEmpty, !wasWoken else { continue }
            let isOver = state.withLock { state in
                if state.queue.isEmpty, state.tests.isEmpty { state.multi = nil }
                return state.multi == nil
            }
            if isOver { return }
        }
    }

    /// False when it has ended already.
    private func begin(
        _ message: AlertMessage, to url: Secret, for purpose: Purpose, with multi: TransferMulti,
        in transfers: inout [UInt: (transfer: WebhookTransfer, purpose: Purpose)], at now: Moment
    ) -> Bool {
        guard let transfer = WebhookTransfer(message, to: url, settings: settings, at: now) else {
            ended(purpose, .failed(reason: "no_memory"))
            return false
        }
        transfers[transfer.address] = (transfer, purpose)
        unsafe multi.add(transfer.easy)
        return true
    }

    private func ended(_ purpose: Purpose, _ result: DeliveryResult) {
        switch purpose {
        case .test(let continuation): continuation.resume(returning: result)
        case .delivery(let delivery, let webhook):
            let now = clock()
            let verdict = state.withLock { $0.queue.attemptEnded(delivery.number, result, at: now) }
            switch verdict {
            case .delivered: break
            case .retry: logger.debug("an alert will be tried again", metadata: metadata(delivery, webhook, result))
            case .givenUp: logger.warning("an alert could not be delivered", metadata: metadata(delivery, webhook, result))
            }
        }
    }

    private func metadata(_ delivery: DeliveryQueue.Delivery, _ webhook: WebhookID, _ result: DeliveryResult) -> Logger.Metadata {
        let outcome =
            switch result {
            case .answered(let status, _): "\(status)"
            case .failed(let reason): reason
            }
        return ["webhook": "\(webhook)", "event": "\(delivery.alert.kind.rawValue)", "delivery": "\(delivery.record.id)", "outcome": "\(outcome)"]
    }

    /// A random UUID (RFC 9562, version 4).
    private static func makeID() -> String {
        var octets = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        octets[6] = octets[6] & 0x0F | 0x40
        octets[8] = octets[8] & 0x3F | 0x80
        let digits = Array(octets.hexadecimal)
        return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]].map { String($0) }.joined(separator: "-")
    }
}
