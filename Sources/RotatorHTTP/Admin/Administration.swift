// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// The services and keys of one process: read from the store, changed store-first, published to the requests.
///
/// Every change is written to the store, then published in the `Catalogue`, then audited; one change at a time, so memory and store cannot
/// tell different stories. A change that the store refused leaves memory as it was. Once begun, a change runs to its end even when the task that
/// asked for it is cancelled. Any task may call any member.
public final class Administration: Sendable {
    /// What the process knows of one service.
    struct Entry: Sendable {
        var record: ServiceRecord
        var pool: RotatingKeyPool
    }

    struct State: Sendable {
        var entries: [ServiceID: Entry] = [:]
        var clients: [ClientID: ClientRecord] = [:]
        var webhooks: [WebhookID: Webhook] = [:]
        /// What clients have used was read; from then on memory knows better than the store.
        var areAccountsRead = false
        /// Under which numbers the accounts stand, and when they were last written.
        var accountDocuments: [ClientID: Int64] = [:]
        var accountsWrittenAt = Moment.distantPast
        /// The store has been read at least once.
        var isLoaded = false
        /// A write ended without an answer: the store may know something that memory does not.
        var isInDoubt = false
        /// Done changes that the audit log could not take yet.
        var auditBacklog: [AuditEntry] = []
        /// Entries that found no room in the backlog.
        var auditEntriesLost = 0
        /// What was taken from the pools: a batch that is not known to be written, and what has come since.
        var unwritten: StandingBatch?
        var waiting: [KeyID: StandingUpdate] = [:]
        var lastBatchNumber: Int64 = 0
        /// Up to where this replica has followed the others; nil until the store has been read.
        var seen: ReplicaEpoch?
        /// Somebody is told of keys' states: new pools take note from their beginning.
        var watchesKeyStates = false
        /// How each pool's tickets are leased. One task at a time for each.
        var pacings: [ServiceID: TicketPacing] = [:]
    }

    /// What pools have learned, on its way to the store.
    struct StandingBatch: Sendable {
        var mark: LedgerBatch
        var updates: [KeyID: StandingUpdate]
    }

    /// Where requests find the services.
    public let catalogue: Catalogue
    /// Where requests find the clients.
    public let clientDirectory: ClientDirectory
    /// Where the accounts of clients are shared with other replicas; nil where the store is this process's alone.
    let clientDesk: SharedClientDesk?
    /// Keys that somebody may want to be told of.
    let keyIncidents = KeyIncidents()

    let store: any UpstreamCatalog & KeyLedger & AuditLog & DocumentStore
    let clock: @Sendable () -> Moment
    let logger: Logger
    let state = OutOfLineMutex(State())
    let standingGate = SerialGate(waitingMax: 256)
    /// What the store knows this process's batches by.
    let ledgerWriter = String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
    /// What is shared with other replicas over the store; nil where the store is this process's alone.
    let link: (any ReplicaLink)?
    /// Pools that want tickets. Each stands in it once at most.
    let ticketRequests = AsyncStream<(service: ServiceID, desk: TicketDesk)>.makeStream()
    /// Something may have happened elsewhere.
    let replicationWakes = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let adapter: @Sendable (APIFormat) -> any Adapter
    /// Where whole catalogues are sealed and opened.
    let sealingQueue = SealingQueue()
    private let changeGate = SerialGate(waitingMax: 256)

    static let auditBacklogMax = 10_000

    /// An administration that knows nothing until ``load()`` has been called.
    ///
    /// - Parameters:
    ///   - store: where services, keys, standing and audit entries are kept.
    ///   - link: what is shared with other replicas over that store; nil where the store is this process's alone. With it, call ``runReplication()``.
    ///   - catalogue: where changes are published.
    ///   - clients: where changes of client keys are published.
    ///   - adapter: the dialect of each format.
    ///   - clock: the present moment.
    ///   - logger: for one line per change and per store failure.
    public init(
        store: any UpstreamCatalog & KeyLedger & AuditLog & DocumentStore,
        link: (any ReplicaLink)? = nil,
        catalogue: Catalogue,
        clients: ClientDirectory = ClientDirectory(environment: []),
        adapter: @escaping @Sendable (APIFormat) -> any Adapter,
        clock: @escaping @Sendable () -> Moment,
        logger: Logger
    ) {
        self.store = store
        self.link = link
        self.catalogue = catalogue
        clientDirectory = clients
        clientDesk = link == nil ? nil : SharedClientDesk(documents: store, clock: clock, logger: logger)
        self.adapter = adapter
        self.clock = clock
        self.logger = logger
    }

    /// Whether the store has been read.
    public var isLoaded: Bool { state.withLock(\.isLoaded) }

    /// Reads all services and keys and publishes them. May be called again: brings memory to what the store has, keeping the standing of the
    /// keys that stay.
    public func load() async throws(AdministrationError) {
        try await serially { () async throws(AdministrationError) in try await self.reconcile() }
    }

    // MARK: Reading

    /// All services, by number.
    public func services() throws(AdministrationError) -> [ServiceRecord] {
        try loadedEntries().values.map(\.record).sorted { $0.id < $1.id }
    }

    /// One service.
    public func service(_ id: ServiceID) throws(AdministrationError) -> ServiceRecord { try entry(id).record }

    /// How many keys of a service are in each state.
    public func keyCounts(of id: ServiceID) throws(AdministrationError) -> [KeyState: Int] { try entry(id).pool.counts(at: clock()) }

    /// Keys of a service with a number above `after`, by number, at most `limit`, that `isIncluded` accepts.
    public func keys(
        of id: ServiceID, after: KeyID?, limit: Int, where isIncluded: (KeyView) -> Bool = { _ in true }
    ) throws(AdministrationError) -> [KeyView] {
        try entry(id).pool.views(after: after, limit: limit, at: clock(), where: isIncluded)
    }

    /// One key, of whatever service.
    public func key(_ id: KeyID) throws(AdministrationError) -> KeyView {
        let now = clock()
        for entry in try loadedEntries().values {
            if let view = entry.pool.view(of: id, at: now) { return view }
        }
        throw .keyNotFound(id)
    }

    /// The audit log's entries with a number above `after`, oldest first, at most `limit`.
    public func auditEntries(after: Int64, limit: Int) async throws(AdministrationError) -> [(id: Int64, entry: AuditEntry)] {
        do throws(StoreError) { return try await store.auditEntries(after: after, limit: limit) } catch { throw .store(error) }
    }

    /// The audit log's entries with a number below `before`, newest first, at most `limit`.
    public func auditEntries(before: Int64, limit: Int) async throws(AdministrationError) -> [(id: Int64, entry: AuditEntry)] {
        do throws(StoreError) { return try await store.auditEntries(before: before, limit: limit) } catch { throw .store(error) }
    }

    // MARK: What changes are made of

    func loadedEntries() throws(AdministrationError) -> [ServiceID: Entry] {
        let (isLoaded, entries) = state.withLock { ($0.isLoaded, $0.entries) }
        guard isLoaded else { throw .store(StoreError(.unavailable, "The store has not been read yet.")) }
        return entries
    }

    func entry(_ id: ServiceID) throws(AdministrationError) -> Entry {
        guard let entry = try loadedEntries()[id] else { throw .serviceNotFound(id) }
        return entry
    }

    /// The entry of the service that has this key.
    func entry(of id: KeyID) throws(AdministrationError) -> Entry {
        let now = clock()
        for entry in try loadedEntries().values where entry.pool.view(of: id, at: now) != nil { return entry }
        throw .keyNotFound(id)
    }

    /// Runs one change: alone, on what the store has, and to its end.
    func change<Result: Sendable>(
        _ body: @escaping @Sendable () async throws(AdministrationError) -> Result
    ) async throws(AdministrationError) -> Result {
        try await serially { () async throws(AdministrationError) in
            let mustRead = self.state.withLock { !$0.isLoaded || $0.isInDoubt }
            if mustRead {
                try await self.reconcile()
            } else {
                // A change is made on what the others have made of it.
                try await self.catchUpCatalogue()
            }
            return try await body()
        }
    }

    /// Calls the store for a write; `notFound` and `conflict` say what these answers of the store mean here.
    ///
    /// A failure that leaves open whether the write was done makes the next change read the store again first.
    func write<Result: Sendable>(
        notFound: AdministrationError? = nil, conflict: AdministrationError? = nil, _ body: () async throws(StoreError) -> Result
    ) async throws(AdministrationError) -> Result {
        do throws(StoreError) {
            return try await body()
        } catch {
            switch error.code {
            case .conflict:
                throw conflict ?? .store(error)
            case .notFound:
                // Known here and gone there: another process changed it.
                state.withLock { $0.isInDoubt = true }
                throw notFound ?? .store(error)
            case .unavailable, .notWritable, .locked, .damaged, .wrongEncryptionKey, .misconfigured:
                state.withLock { $0.isInDoubt = true }
                logger.info("the store refused a change", metadata: ["error": "\(error)"])
                throw .store(error)
            }
        }
    }

    /// Publishes `entry`, in the place of the service's earlier one.
    func publish(_ entry: Entry) {
        let earlier = state.withLock { $0.entries.updateValue(entry, forKey: entry.record.id) }
        let upstream = upstream(of: entry)
        catalogue.publish { upstreams in
            // By number, not by slug alone: the slug may have passed to another service since.
            if let old = earlier?.record.configuration.slug, upstreams[old]?.record.id == entry.record.id { upstreams[old] = nil }
            upstreams[entry.record.configuration.slug] = upstream
        }
    }

    /// The service as requests are to see it.
    private func upstream(of entry: Entry) -> Upstream {
        let upstream = Upstream(record: entry.record, pool: entry.pool, adapter: adapter(entry.record.configuration.apiFormat))
        if let fault = upstream.ruleFault {
            logger.warning("a service's rules cannot be read; those of its format are in force", metadata: [
                "service": "\(entry.record.configuration.slug)", "place": "\(fault.place)", "reason": "\(fault.reason)",
            ])
        }
        return upstream
    }

    /// Makes `entries` all that there are, and shows the requests those of `changed` anew, as one step.
    func publish(_ entries: [ServiceID: Entry], changed: Set<ServiceID>) {
        state.withLock { $0.entries = entries }
        let made = changed.compactMap { entries[$0] }.map(upstream)
        catalogue.publish { upstreams in
            upstreams = upstreams.filter { !changed.contains($0.value.record.id) }
            for upstream in made { upstreams[upstream.record.configuration.slug] = upstream }
        }
    }

    /// Takes a service away from the requests.
    func withdraw(_ id: ServiceID) {
        guard let entry = state.withLock({ $0.entries.removeValue(forKey: id) }) else { return }
        let slug = entry.record.configuration.slug
        catalogue.publish { upstreams in
            if upstreams[slug]?.record.id == id { upstreams[slug] = nil }
        }
    }

    func makePool(for record: ServiceRecord, keys: [KeyRecord]) -> RotatingKeyPool {
        let pool = RotatingKeyPool(
            service: record.id, kind: record.configuration.kind, strategy: record.configuration.rotationStrategy, keys: keys,
            seed: .random(in: .min ... .max), at: clock()
        )
        if state.withLock(\.watchesKeyStates) { _ = pool.takeStateChanges(at: clock()) }
        if link != nil {
            let requests = ticketRequests.continuation
            pool.shareRotation { requests.yield((record.id, $0)) }
        }
        return pool
    }

    /// Writes down that a change was made. The change stands already: an entry that the store cannot take now is kept and tried again.
    func audit(_ action: String, _ subject: String, by actor: String) async {
        let entry = AuditEntry(at: clock(), actor: actor, action: action, subject: subject)
        logger.info("administration", metadata: ["action": "\(action)", "subject": "\(subject)", "actor": "\(actor)"])
        do {
            // Behind what still waits, so that the log keeps the order of events.
            guard state.withLock(\.auditBacklog.isEmpty) else { return keepForLater(entry) }
            try await store.append(entry)
        } catch {
            keepForLater(entry)
        }
    }

    private func keepForLater(_ entry: AuditEntry) {
        state.withLock { state in
            if state.auditBacklog.count < Self.auditBacklogMax { state.auditBacklog.append(entry) } else { state.auditEntriesLost += 1 }
        }
    }

    func serially<Result: Sendable>(
        _ body: @escaping @Sendable () async throws(AdministrationError) -> Result
    ) async throws(AdministrationError) -> Result {
        do { try await changeGate.enter() } catch { throw .busy }
        defer { changeGate.leave() }
        // A task of its own, waited for right here: it does not inherit the caller's cancellation, so no change is given up half-way because
        // a client hung up.
        let outcome = await Task { () -> Swift.Result<Result, AdministrationError> in
            do throws(AdministrationError) { return .success(try await body()) } catch { return .failure(error) }
        }.value
        return try outcome.get()
    }

    /// Makes memory what the store is, for all services or for some. Called inside the gate only.
    func reconcile(only wanted: Set<ServiceID>? = nil) async throws(AdministrationError) {
        var read: [(ServiceRecord, [KeyRecord])] = []
        let epoch: ReplicaEpoch?
        do throws(StoreError) {
            // Asked before anything is read: what changes meanwhile is news once more.
            epoch = try await link?.epoch()
            for record in try await store.services() {
                let isWanted = wanted?.contains(record.id) ?? true
                read.append((record, isWanted ? try await store.keys(of: record.id) : []))
            }
        } catch {
            throw .store(error)
        }
        if wanted == nil {
            try await reconcileClients()
            try await reconcileWebhooks()
        }
        keyIncidents.learned(read.reduce(into: [:]) { known, part in
            for key in part.1 where key.standing.decidedAt > .distantPast { known[key.id] = key.standing }
        })
        let now = clock()
        let known = state.withLock(\.entries)
        var entries: [ServiceID: Entry] = [:]
        for (record, keys) in read {
            if let wanted, !wanted.contains(record.id) {
                entries[record.id] = known[record.id]
                continue
            }
            let pool = known[record.id].map { bring($0, to: record, keys: keys, at: now) } ?? makePool(for: record, keys: keys)
            entries[record.id] = Entry(record: record, pool: pool)
        }
        let published = entries.values.map(upstream)
        state.withLock { state in
            state.entries = entries
            state.isLoaded = true
            state.pacings = state.pacings.filter { entries[$0.key] != nil }
            if wanted == nil {
                state.isInDoubt = false
                state.seen = epoch
            }
        }
        catalogue.publish { upstreams in
            upstreams = Dictionary(published.map { ($0.record.configuration.slug, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// The successor of a pool that has exactly `keys`, with the standing of those that it knew.
    private func bring(_ entry: Entry, to record: ServiceRecord, keys: [KeyRecord], at now: Moment) -> RotatingKeyPool {
        var pool = entry.pool
        let had = Set(pool.secrets.map(\.id))
        let has = Set(keys.map(\.id))
        let gone = had.subtracting(has)
        if !gone.isEmpty { pool = pool.removing(gone) }
        let new = keys.filter { !had.contains($0.id) }
        if !new.isEmpty { pool = pool.adding(new, at: now) }
        pool.merge(keys.reduce(into: [:]) { if $1.standing.decidedAt > .distantPast { $0[$1.id] = $1.standing } }, at: now)
        for key in keys where had.contains(key.id) {
            guard let view = pool.view(of: key.id, at: now) else { continue }
            if view.name != key.name || view.weight != key.weight || view.isActive != key.isActive || view.attributes != key.attributes {
                _ = pool.update(key.id, name: key.name, weight: key.weight, isActive: key.isActive, attributes: key.attributes, at: now)
            }
        }
        let (old, present) = (entry.record.configuration, record.configuration)
        if old.kind != present.kind || old.rotationStrategy != present.rotationStrategy {
            pool = pool.configured(kind: present.kind, strategy: present.rotationStrategy)
        }
        return pool
    }
}
