// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What came of one attempt to deliver.
enum DeliveryResult: Sendable, Hashable {
    /// The receiver answered.
    case answered(status: Int, retryAfter: Duration?)
    /// No answer came, for a reason in a stable word.
    case failed(reason: String)
}

/// A delivery as people see it.
struct DeliveryRecord: Sendable, Hashable {
    /// Where a delivery stands.
    enum State: String, Sendable, Hashable, CaseIterable { case pending, delivered, failed }

    /// As the receiver sees it in `X-Rotator-Delivery`.
    var id: String
    /// When the alert was made.
    var at: Moment
    var event: AlertKind
    var state: State = .pending
    var attempts = 0
    /// The last answer's status; nil where none came.
    var status: Int?
    /// Why no answer came, the last time.
    var error: String?

    /// Takes in what came of an attempt.
    mutating func attemptEnded(_ result: DeliveryResult) {
        attempts += 1
        switch result {
        case .answered(let status, _): (self.status, error) = (status, nil)
        case .failed(let reason): (status, error) = (nil, reason)
        }
    }
}

/// Which alerts wait to be delivered, which are on their way, and what became of the last ones. A value: no clock, no network.
struct DeliveryQueue: Sendable {
    /// An alert on its way to one webhook.
    struct Delivery: Sendable {
        /// Tells it from others within the process.
        let number: UInt64
        let webhook: WebhookID
        let alert: Alert
        var record: DeliveryRecord
        fileprivate let since: Moment
        fileprivate var due: Moment
        fileprivate var isRunning = false
    }

    /// What became of alerts of one kind.
    struct Counts: Sendable, Hashable {
        var delivered = 0
        var failed = 0
        var dropped = 0
    }

    /// What an ended attempt means.
    enum Verdict: Sendable, Hashable {
        case delivered
        case retry(at: Moment)
        /// It is not tried again.
        case givenUp
    }

    static let countMax = 1_000
    /// One receiver that does not answer must leave room for the others.
    static let countPerWebhookMax = 500
    static let runningMax = 16
    static let runningPerWebhookMax = 4
    static let attemptsMax = 8
    static let lifetime = Duration.seconds(3_600)
    static let backoff = Backoff(first: .seconds(1), limit: .seconds(300))
    static let recordsPerWebhookMax = 50

    /// What became of all alerts so far.
    private(set) var counts: [AlertKind: Counts] = [:]
    private var deliveries: [UInt64: Delivery] = [:]
    private var records: [WebhookID: [DeliveryRecord]] = [:]
    private var lastNumber: UInt64 = 0
    private var isDraining = false

    /// Whether nothing waits and nothing is on its way.
    var isEmpty: Bool { deliveries.isEmpty }

    /// How many wait or are on their way.
    var count: Int { deliveries.count }

    /// Lets an alert wait for its first attempt, which is due at once. False where there is no room: then it is dropped and counted.
    mutating func enqueue(_ alert: Alert, for webhook: WebhookID, deliveryID: String, at now: Moment) -> Bool {
        let record = DeliveryRecord(id: deliveryID, at: alert.at, event: alert.kind)
        guard !isDraining, deliveries.count < Self.countMax, deliveries.values.count(where: { $0.webhook == webhook }) < Self.countPerWebhookMax else {
            counts[alert.kind, default: Counts()].dropped += 1
            return false
        }
        lastNumber += 1
        deliveries[lastNumber] = Delivery(number: lastNumber, webhook: webhook, alert: alert, record: record, since: now, due: now)
        note(record, of: webhook)
        return true
    }

    /// What is to be sent now; each is on its way until its attempt has ended.
    mutating func takeDue(at now: Moment) -> [Delivery] {
        let running = deliveries.values.filter(\.isRunning)
        var room = Self.runningMax - running.count
        var runningOf = running.reduce(into: [WebhookID: Int]()) { $0[$1.webhook, default: 0] += 1 }
        var taken: [Delivery] = []
        for delivery in deliveries.values.filter({ !$0.isRunning && $0.due <= now }).sorted(by: { ($0.due, $0.number) < ($1.due, $1.number) }) {
            guard room > 0 else { break }
            guard runningOf[delivery.webhook, default: 0] < Self.runningPerWebhookMax else { continue }
            room -= 1
            runningOf[delivery.webhook, default: 0] += 1
            deliveries[delivery.number]?.isRunning = true
            taken.append(delivery)
        }
        return taken
    }

    /// When the next attempt is due after `now`; nil where there is none. What was due before waits for one that is under way.
    func nextDue(after now: Moment) -> Moment? { deliveries.values.lazy.filter { !$0.isRunning && $0.due > now }.map(\.due).min() }

    /// An attempt has ended.
    mutating func attemptEnded(_ number: UInt64, _ result: DeliveryResult, at now: Moment) -> Verdict {
        guard var delivery = deliveries[number] else { return .givenUp }
        delivery.record.attemptEnded(result)
        delivery.isRunning = false
        let verdict = Self.verdict(on: result, attempts: delivery.record.attempts, since: delivery.since, at: now, mayRetry: !isDraining)
        switch verdict {
        case .delivered:
            delivery.record.state = .delivered
            counts[delivery.alert.kind, default: Counts()].delivered += 1
            deliveries[number] = nil
        case .retry(let moment):
            delivery.due = moment
            deliveries[number] = delivery
        case .givenUp:
            delivery.record.state = .failed
            counts[delivery.alert.kind, default: Counts()].failed += 1
            deliveries[number] = nil
        }
        note(delivery.record, of: delivery.webhook)
        return verdict
    }

    /// Its webhook is gone or switched off: it is not sent any more.
    mutating func withdraw(_ number: UInt64) {
        guard var delivery = deliveries.removeValue(forKey: number) else { return }
        delivery.record.state = .failed
        delivery.record.error = "webhook_inactive"
        counts[delivery.alert.kind, default: Counts()].dropped += 1
        note(delivery.record, of: delivery.webhook)
    }

    /// Notes a delivery that did not wait here: a test.
    mutating func note(_ record: DeliveryRecord, of webhook: WebhookID) {
        var list = records[webhook] ?? []
        if let index = list.lastIndex(where: { $0.id == record.id }) { list[index] = record } else { list.append(record) }
        if list.count > Self.recordsPerWebhookMax { list.removeFirst() }
        records[webhook] = list
    }

    /// The last deliveries to a webhook, the latest first.
    func records(of webhook: WebhookID) -> [DeliveryRecord] { (records[webhook] ?? []).reversed() }

    /// Forgets what became of deliveries to webhooks that are gone.
    mutating func retainRecords(of webhooks: Set<WebhookID>) { records = records.filter { webhooks.contains($0.key) } }

    /// Everything that waits is due once more, now, and nothing is tried again after that.
    mutating func drain(at now: Moment) {
        isDraining = true
        for number in deliveries.keys { deliveries[number]?.due = now }
    }

    /// A success is a 2xx; 5xx, 429 and what no answer came to are tried again, ever more slowly.
    static func verdict(on result: DeliveryResult, attempts: Int, since: Moment, at now: Moment, mayRetry: Bool = true) -> Verdict {
        var pause = backoff.delay(level: attempts)
        switch result {
        case .answered(200...299, _): return .delivered
        case .answered(let status, let retryAfter):
            guard status == 429 || 500...599 ~= status else { return .givenUp }
            pause = max(pause, retryAfter ?? .zero)
        case .failed: break
        }
        let next = now + pause
        guard mayRetry, attempts < attemptsMax, next <= since + lifetime else { return .givenUp }
        return .retry(at: next)
    }
}
