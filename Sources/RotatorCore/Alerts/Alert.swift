// SPDX-License-Identifier: MIT

/// What an alert is about, as one word.
public enum AlertKind: String, Sendable, Hashable, CaseIterable {
    /// A pool has fewer usable keys than its watcher wants.
    case poolLow = "pool_low"
    /// A provider no longer accepts a key.
    case keyInvalid = "key_invalid"
    /// A key is out of money or quota.
    case keyExhausted = "key_exhausted"
    /// A client has used its budget of the month.
    case clientOverBudget = "client_over_budget"
    /// The store has been away for longer than a moment.
    case storeDown = "store_down"
    /// The store is back.
    case storeUp = "store_up"
    /// Somebody tries whether a webhook works.
    case test

    /// What a webhook can be told of; everybody can be sent a test.
    public static let subscribable = allCases.filter { $0 != .test }
}

/// Something that somebody wants to be told of. Never holds a credential.
public struct Alert: Sendable, Hashable {
    /// A service, as people know it.
    public struct Service: Sendable, Hashable {
        /// Its number.
        public var id: ServiceID
        /// Its slug.
        public var slug: String
        /// Its name.
        public var name: String

        /// The service of a record.
        public init(_ record: ServiceRecord) {
            id = record.id
            slug = record.configuration.slug
            name = record.configuration.name
        }
    }

    /// A key, as people know it.
    public struct Key: Sendable, Hashable {
        /// Its number.
        public var id: KeyID
        /// Enough of its value to recognise it.
        public var masked: String
        /// Its name; may be empty.
        public var name: String

        /// The key of a view.
        public init(_ view: KeyView) {
            id = view.id
            masked = view.masked
            name = view.name
        }
    }

    /// A client, as people know it.
    public struct Client: Sendable, Hashable {
        /// Its number.
        public var id: ClientID
        /// Its name.
        public var name: String

        /// A client by its name.
        public init(id: ClientID, name: String) {
            self.id = id
            self.name = name
        }
    }

    /// What has happened, with what there is to tell of it.
    public enum Event: Sendable, Hashable {
        case poolLow(Service, usable: Int, total: Int, minimum: Int)
        case keyInvalid(Key, Service, reason: String)
        case keyExhausted(Key, Service, reason: String, until: Moment?)
        case clientOverBudget(Client, used: Int64, budget: Int64)
        case storeDown(since: Moment)
        case storeUp(since: Moment)
        case test(webhook: String)
    }

    /// What has happened.
    public var event: Event
    /// When it was seen.
    public var at: Moment
    /// Which replica has seen it, under the name that it goes by.
    public var replica: String

    /// An alert.
    public init(_ event: Event, at: Moment, replica: String) {
        self.event = event
        self.at = at
        self.replica = replica
    }

    /// The event as one word.
    public var kind: AlertKind {
        switch event {
        case .poolLow: .poolLow
        case .keyInvalid: .keyInvalid
        case .keyExhausted: .keyExhausted
        case .clientOverBudget: .clientOverBudget
        case .storeDown: .storeDown
        case .storeUp: .storeUp
        case .test: .test
        }
    }

    /// The service that it is about; nil where it is about none.
    public var service: Service? {
        switch event {
        case .poolLow(let service, _, _, _), .keyInvalid(_, let service, _), .keyExhausted(_, let service, _, _): service
        case .clientOverBudget, .storeDown, .storeUp, .test: nil
        }
    }

    /// The key that it is about; nil where it is about none.
    public var key: Key? {
        switch event {
        case .keyInvalid(let key, _, _), .keyExhausted(let key, _, _, _): key
        case .poolLow, .clientOverBudget, .storeDown, .storeUp, .test: nil
        }
    }

    /// The client that it is about; nil where it is about none.
    public var client: Client? {
        switch event {
        case .clientOverBudget(let client, _, _): client
        case .poolLow, .keyInvalid, .keyExhausted, .storeDown, .storeUp, .test: nil
        }
    }

    /// What has happened, as one sentence for people.
    public var text: String {
        switch event {
        case .poolLow(let service, let usable, let total, let minimum):
            "Service \(service.slug) has \(usable) usable \(usable == 1 ? "key" : "keys") of \(total), fewer than \(minimum)."
        case .keyInvalid(let key, let service, let reason):
            "\(name(of: key)) of service \(service.slug) is no longer accepted by its provider\(clause(reason))."
        case .keyExhausted(let key, let service, let reason, let until):
            "\(name(of: key)) of service \(service.slug) is exhausted\(until.map { " until \($0.timestamp)" } ?? "")\(clause(reason))."
        case .clientOverBudget(let client, let used, let budget):
            "Client “\(client.name)” has used \(used) tokens of its \(budget) for this month, and is refused until the next."
        case .storeDown(let since):
            "The store has been away from \(replica) since \(since.timestamp): requests go on from memory, changes are refused."
        case .storeUp(let since):
            "The store is back for \(replica), after \((at - since).components.seconds) s."
        case .test(let webhook):
            "This is a test of the webhook “\(webhook)”."
        }
    }

    private func name(of key: Key) -> String {
        key.name.isEmpty ? "Key \(key.id) (\(key.masked))" : "Key \(key.id) (\(key.masked), “\(key.name)”)"
    }

    private func clause(_ reason: String) -> String { reason.isEmpty ? "" : " (\(reason))" }
}
