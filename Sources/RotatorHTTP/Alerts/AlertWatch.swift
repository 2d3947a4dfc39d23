// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// Looks each second for what somebody wants to be told of, and has it sent.
///
/// Each replica looks by itself, and sees the same: before it sends an alert it claims it in the store, so that one replica sends it. Where the store
/// cannot be asked, each sends it: rather twice than not at all. What a replica has to tell of its own connection to the store it does not claim.
public final class AlertWatch: Sendable {
    struct Topic: Hashable {
        var webhook: WebhookID
        var kind: AlertKind
        var subject: String
    }

    /// What is remembered from one look to the next. One task's alone.
    struct Memory {
        var conditions: [Topic: ConditionWatch] = [:]
        var outage = OutageWatch()
        var sweepsFrom: Int64 = 0
        var nextSweep = Moment.distantPast
    }

    private let administration: Administration
    private let sender: WebhookSender
    private let claims: AlertClaims
    private let isStoreReachable: @Sendable () -> Bool
    private let clock: @Sendable () -> Moment
    private let logger: Logger

    private static let lookInterval = Duration.seconds(1)
    private static let sweepInterval = Duration.seconds(600)

    /// A watch over what `administration` knows.
    ///
    /// - Parameters:
    ///   - isStoreReachable: whether the store served its last call; asked each second.
    public init(
        administration: Administration, sender: WebhookSender, isStoreReachable: @escaping @Sendable () -> Bool,
        clock: @escaping @Sendable () -> Moment, logger: Logger
    ) {
        self.administration = administration
        self.sender = sender
        claims = AlertClaims(documents: administration.store)
        self.isStoreReachable = isStoreReachable
        self.clock = clock
        self.logger = logger
    }

    /// Looks until the task is cancelled; then once more, and lets what waits be tried once, for up to `grace`.
    public func run(grace: Duration) async {
        var memory = Memory()
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: Self.lookInterval)
            if Task.isCancelled { break }
            await look(&memory)
        }
        // What the last requests taught is told too, where that takes no waiting for a store that is away.
        if isStoreReachable() { await administration.flushStandings() }
        await look(&memory)
        await sender.drain(within: grace)
    }

    /// One look.
    func look(_ memory: inout Memory) async {
        let now = clock()
        let known = administration.knownWebhooks
        sender.retainRecords(of: Set(known.map(\.id)))
        let webhooks = known.filter(\.isActive)
        let (incidents, dropped) = administration.keyIncidents.take()
        let outage = memory.outage.looked(isReachable: isStoreReachable(), at: now)
        var conditions: [Topic: ConditionWatch] = [:]
        func looked(_ webhook: Webhook, _ kind: AlertKind, _ subject: String, isStanding: Bool) -> ConditionWatch.News? {
            let topic = Topic(webhook: webhook.id, kind: kind, subject: subject)
            var watch = memory.conditions[topic] ?? ConditionWatch()
            // What is not looked at any more is forgotten with this look.
            defer { conditions[topic] = watch }
            return watch.looked(isStanding: isStanding, interval: .seconds(webhook.minIntervalSeconds), at: now)
        }
        var round = Round(watch: self, now: now, asksStore: isStoreReachable())
        for webhook in webhooks { tellStore(outage, to: webhook, at: now, looked) }
        if dropped > 0 { logger.warning("more keys became useless than alerts can be sent of", metadata: ["count": "\(dropped)"]) }
        for incident in incidents { await round.tell(incident, to: webhooks) }
        await round.tellPools(to: webhooks, looked)
        await round.tellClients(to: webhooks, looked)
        memory.conditions = conditions
        if round.asksStore, now >= memory.nextSweep, !webhooks.isEmpty {
            memory.nextSweep = now + Self.sweepInterval
            // What could not be swept now is swept the next time.
            memory.sweepsFrom = (try? await claims.sweep(after: memory.sweepsFrom, at: now)) ?? memory.sweepsFrom
        }
    }

    private typealias Look = (Webhook, AlertKind, String, _ isStanding: Bool) -> ConditionWatch.News?

    /// `store_up` follows a `store_down` that was told, or would have been to somebody who wants to hear of it.
    private func tellStore(_ outage: (isDown: Bool, since: Moment)?, to webhook: Webhook, at now: Moment, _ looked: Look) {
        guard webhook.wants(.storeDown) || webhook.wants(.storeUp) else { return }
        switch looked(webhook, .storeDown, "store", outage?.isDown ?? false) {
        case .began?:
            guard let outage, webhook.wants(.storeDown) else { return }
            sender.send(Alert(.storeDown(since: outage.since), at: now, replica: sender.replica), to: webhook.id)
        case .ended?:
            guard let outage, webhook.wants(.storeUp) else { return }
            sender.send(Alert(.storeUp(since: outage.since), at: now, replica: sender.replica), to: webhook.id)
        case nil:
            return
        }
    }

    /// One look: what it sends, and whether the store is asked before.
    private struct Round {
        let watch: AlertWatch
        let now: Moment
        /// False once the store has failed: a look must not wait for it again and again.
        var asksStore: Bool

        /// Sends an alert unless another replica has; nobody sends the same of this subject again before `until`.
        mutating func send(_ event: Alert.Event, of subject: String, to webhook: Webhook, until: Moment? = nil) async {
            let alert = Alert(event, at: now, replica: watch.sender.replica)
            let end = until ?? now + max(AlertClaims.shortest, .seconds(webhook.minIntervalSeconds))
            if asksStore {
                do {
                    guard try await watch.claims.claim("\(webhook.id):\(alert.kind.rawValue):\(subject)", until: end, at: now) else { return }
                } catch {
                    asksStore = false
                    watch.logger.debug("an alert cannot be claimed", metadata: ["error": "\(error)"])
                }
            }
            watch.sender.send(alert, to: webhook.id)
        }

        mutating func tell(_ incident: KeyIncident, to webhooks: [Webhook]) async {
            let kind: AlertKind = incident.standing.state == .invalid ? .keyInvalid : .keyExhausted
            guard webhooks.contains(where: { $0.wants(kind) }) else { return }
            // Removed meanwhile: nobody has to look after it any more.
            guard let view = try? watch.administration.key(incident.key), let record = try? watch.administration.service(view.serviceID) else { return }
            let (key, service) = (Alert.Key(view), Alert.Service(record))
            for webhook in webhooks where webhook.wants(kind, of: service.slug) {
                let reason = incident.standing.reason
                let event: Alert.Event =
                    kind == .keyInvalid
                    ? .keyInvalid(key, service, reason: reason) : .keyExhausted(key, service, reason: reason, until: incident.standing.until)
                await send(event, of: "key \(key.id)", to: webhook)
            }
        }

        /// A key counts as usable while its state is `active`: one whose circuit is open or that rests for one model alone does, too. A pool that has no
        /// keys at all is empty, not low.
        mutating func tellPools(to webhooks: [Webhook], _ looked: Look) async {
            guard webhooks.contains(where: { $0.wants(.poolLow) }), let services = try? watch.administration.services() else { return }
            for record in services where record.configuration.isActive {
                let service = Alert.Service(record)
                let interested = webhooks.filter { $0.wants(.poolLow, of: service.slug) }
                guard !interested.isEmpty, let counts = try? watch.administration.keyCounts(of: service.id) else { continue }
                let (usable, total) = (counts[.active] ?? 0, counts.values.reduce(0, +))
                for webhook in interested {
                    let isLow = total > 0 && usable < webhook.poolMinimum
                    guard looked(webhook, .poolLow, "service \(service.id)", isLow) == .began else { continue }
                    let event = Alert.Event.poolLow(service, usable: usable, total: total, minimum: webhook.poolMinimum)
                    await send(event, of: "service \(service.id)", to: webhook)
                }
            }
        }

        mutating func tellClients(to webhooks: [Webhook], _ looked: Look) async {
            let interested = webhooks.filter { $0.wants(.clientOverBudget) }
            guard !interested.isEmpty else { return }
            for meter in watch.administration.clientDirectory.meters {
                let account = meter.account
                guard let budget = account.policy.monthlyTokenBudget else { continue }
                let used = account.monthTokens(at: now)
                for webhook in interested {
                    // Another budget is another thing to tell of, and so is another month.
                    let subject = "client \(meter.client):\(budget):\(now.monthUTC)"
                    guard looked(webhook, .clientOverBudget, subject, used >= budget) == .began else { continue }
                    guard let client = try? watch.administration.client(meter.client) else { continue }
                    let event = Alert.Event.clientOverBudget(Alert.Client(id: meter.client, name: client.record.name), used: used, budget: budget)
                    await send(event, of: subject, to: webhook, until: now.startOfNextMonthUTC)
                }
            }
        }
    }
}
