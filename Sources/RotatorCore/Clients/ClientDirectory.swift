// SPDX-License-Identifier: MIT

internal import Synchronization

/// All clients at one point in time. Immutable: a change publishes another.
public final class ClientSnapshot: Sendable {
    /// By the SHA-256 of their keys' octets.
    public let clients: [[UInt8]: Client]
    /// Grows by one with each publication.
    public let version: Int

    init(clients: [[UInt8]: Client], version: Int) {
        self.clients = clients
        self.version = version
    }
}

/// The one place where the present clients stand: those from the environment, and those that were made here. Read as the ``Catalogue`` is.
public final class ClientDirectory: Sendable {
    private struct State {
        var environment: [ClientKey]?
        var made: [ClientRecord] = []
        var meters: [ClientID: ClientMeter] = [:]
        var snapshot = ClientSnapshot(clients: [:], version: 0)
    }

    private let state: Mutex<State>
    private let publishedVersion = Atomic<Int>(0)
    private let areKnown = Atomic<Bool>(false)

    /// Clients from the environment; nil: not known yet, see ``setEnvironment(_:)``.
    public init(environment: [ClientKey]?) {
        state = Mutex(State(environment: environment))
        publish { _ in }
    }

    /// Whether anybody's key can be told from a stranger's yet.
    public var isKnown: Bool { areKnown.load(ordering: .acquiring) }

    /// The version of the present snapshot.
    public var version: Int { publishedVersion.load(ordering: .acquiring) }

    /// The present snapshot.
    public var snapshot: ClientSnapshot { state.withLock { $0.snapshot } }

    /// The names of clients from the environment.
    public var environmentNames: Set<String> { state.withLock { Set(($0.environment ?? []).map(\.name)) } }

    /// The meters of all clients that have a limit.
    public var meters: [ClientMeter] { state.withLock { Array($0.meters.values) } }

    /// The meter of a client; nil where nothing of it is limited.
    public func meter(of client: ClientID) -> ClientMeter? { state.withLock { $0.meters[client] } }

    /// These are the clients from the environment from now on.
    public func setEnvironment(_ keys: [ClientKey]) { publish { $0.environment = keys } }

    /// These are the clients that were made here from now on. Meters of those that stay live on under the new policies.
    ///
    /// - Parameter meter: makes the meter of a client that has none yet.
    public func setMade(_ records: [ClientRecord], meter: (ClientRecord) -> ClientMeter) {
        publish { state in
            state.made = records
            let limited = records.filter { $0.policy.isLimited }
            var meters: [ClientID: ClientMeter] = [:]
            for record in limited {
                let present = state.meters[record.id] ?? meter(record)
                present.adopt(record.policy)
                meters[record.id] = present
            }
            state.meters = meters
        }
    }

    private func publish(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            var clients: [[UInt8]: Client] = [:]
            for record in state.made { clients[record.digest] = Client(record, meter: state.meters[record.id]) }
            // A key that stands in the environment too is the operator's own.
            for key in state.environment ?? [] { clients[key.digest] = Client(key) }
            state.snapshot = ClientSnapshot(clients: clients, version: state.snapshot.version + 1)
            publishedVersion.store(state.snapshot.version, ordering: .releasing)
            areKnown.store(state.environment != nil, ordering: .releasing)
        }
    }
}

extension ClientPolicy {
    /// Whether anything has to be counted.
    public var isLimited: Bool { requestsPerMinute != nil || tokensPerMinute != nil || concurrentRequests != nil || monthlyTokenBudget != nil }
}
