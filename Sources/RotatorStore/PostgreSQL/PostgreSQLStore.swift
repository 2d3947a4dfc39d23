// SPDX-License-Identifier: MIT

public import RotatorCore

/// A store in a PostgreSQL database, for any number of processes at once, over libpq's asynchronous interface.
///
/// It has a thread of its own that waits for its connections, five at most, each for one purpose: what changes the catalogue, what reads it, what is
/// written down in passing, what a rotation waits for, and what listens. So a rotation does not wait behind an import, nor a rest behind a listing.
/// Connections are made when they are needed; one that was lost is made again. While the server is away no call waits for it: it throws `unavailable`
/// at once, and the connection that listens goes on trying until the server is back.
///
/// Whatever libpq understands goes into the location (`postgres://…`): TLS, several hosts, a service file, the `PG*` variables.
public final class PostgreSQLStore: Store {
    private let server: PostgreSQLServerSessions
    private let calls = CallCount()

    private init(_ server: PostgreSQLServerSessions) { self.server = server }

    // A store that is forgotten ends its thread and its connections, too.
    deinit {
        if !calls.isClosing { Task { [server] in await server.close() } }
    }

    /// Connects to the database at `url` and looks whose it is. Nothing is changed.
    ///
    /// - Throws: `unavailable` when the server cannot be reached or refuses the connection, `misconfigured` for a location that libpq does not
    ///   understand or a database of a newer version, `wrongEncryptionKey`, or `damaged`.
    public static func open(_ url: StoreURL, sealing keys: MasterKeyRing) async throws(StoreError) -> PostgreSQLStore {
        guard case .postgreSQL(let location) = url.place else { throw StoreError(.misconfigured, "\(url) is no PostgreSQL database") }
        let server = try await PostgreSQLServerSessions(location, sealing: Sealer(keys))
        do throws(StoreError) {
            try await server.rotation.inspect()
        } catch {
            await server.close()
            throw error
        }
        server.startListening()
        return PostgreSQLStore(server)
    }

    public func migrate() async throws(StoreError) { try await run { () async throws(StoreError) in try await server.writer.migrate() } }

    public func close() async { await calls.close { await server.close() } }

    public func ping() async throws(StoreError) { try await run { () async throws(StoreError) in try await server.rotation.ping() } }

    public var health: StoreHealth { server.condition.health }

    public func reseal(limit: Int) async throws(StoreError) -> Int {
        try await run { () async throws(StoreError) in try await server.writer.reseal(limit: limit) }
    }

    public var replicaLink: (any ReplicaLink)? { self }

    /// Does `body` unless the store was closed, which waits for it, and notes how it ended.
    private func run<Value>(_ body: () async throws(StoreError) -> Value) async throws(StoreError) -> Value {
        try await calls.during { () async throws(StoreError) in
            do throws(StoreError) {
                let value = try await body()
                server.condition.callEnded(nil)
                return value
            } catch {
                server.condition.callEnded(error)
                throw error
            }
        }
    }
}

extension PostgreSQLStore: UpstreamCatalog {
    public func services() async throws(StoreError) -> [ServiceRecord] {
        try await run { () async throws(StoreError) in try await server.reader.services() }
    }

    public func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try await run { () async throws(StoreError) in try await server.writer.insertService(configuration) }
    }

    public func updateService(_ service: ServiceRecord) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.writer.updateService(service) }
    }

    public func deleteService(_ id: ServiceID) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.writer.deleteService(id) }
    }

    public func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        try await run { () async throws(StoreError) in try await server.reader.keys(of: service) }
    }

    public func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try await run { () async throws(StoreError) in try await server.writer.insertKeys(keys, into: service) }
    }

    public func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.writer.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes) }
    }

    public func deleteKey(_ id: KeyID) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.writer.deleteKey(id) }
    }

    public func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int {
        try await run { () async throws(StoreError) in try await server.writer.deleteKeys(of: service) }
    }

    public func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        try await run { () async throws(StoreError) in try await server.writer.deleteKeys(ids, of: service) }
    }

    public func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        try await run { () async throws(StoreError) in try await server.writer.apply(changes) }
    }
}

extension PostgreSQLStore: KeyLedger {
    public func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        guard !updates.isEmpty else { return }
        try await run { () async throws(StoreError) in try await server.ledger.record(updates, batch: batch) }
    }

    public func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] {
        try await run { () async throws(StoreError) in try await server.reader.counts(of: keys) }
    }
}

extension PostgreSQLStore: SettingStore {
    public func setting(_ name: String) async throws(StoreError) -> [UInt8]? {
        try await run { () async throws(StoreError) in try await server.ledger.setting(name) }
    }

    public func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.ledger.setSetting(name, to: value) }
    }

    public func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8] {
        try await run { () async throws(StoreError) in try await server.ledger.insertSetting(name, value) }
    }
}

extension PostgreSQLStore: AuditLog {
    public func append(_ entry: AuditEntry) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.ledger.append(entry) }
    }

    public func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        guard limit > 0 else { return [] }
        return try await run { () async throws(StoreError) in try await server.reader.auditEntries(after: after, limit: limit) }
    }

    public func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        guard limit > 0 else { return [] }
        return try await run { () async throws(StoreError) in try await server.reader.auditEntries(before: before, limit: limit) }
    }
}

extension PostgreSQLStore: DocumentStore {
    public func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        guard limit > 0 else { return [] }
        return try await run { () async throws(StoreError) in try await server.reader.documents(kind, after: after, limit: limit) }
    }

    public func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        let (session, limit) = server.session(reading: kind)
        return try await run { () async throws(StoreError) in try await session.document(kind, named: name, within: limit) }
    }

    public func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try await run { () async throws(StoreError) in try await server.session(changing: kind).session.insertDocument(kind, named: name, body: body) }
    }

    public func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(StoreError) -> Int64 {
        let (session, limit) = server.session(changing: kind)
        return try await run { () async throws(StoreError) in
            try await session.replaceDocument(kind, id, named: name, body: body, expecting: revision, within: limit)
        }
    }

    public func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        try await run { () async throws(StoreError) in try await server.session(changing: kind).session.deleteDocument(kind, id) }
    }

    public func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int {
        guard !documents.isEmpty else { return 0 }
        return try await run { () async throws(StoreError) in try await server.writer.restoreDocuments(documents, of: kind) }
    }
}

extension PostgreSQLStore: HistoryStore {
    public func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        guard !rows.isEmpty else { return }
        try await run { () async throws(StoreError) in try await server.writer.writeHistory(rows) }
    }

    public func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        try await run { () async throws(StoreError) in
            try await server.reader.history(resolution, dimension, subject: subject, from: from, to: to)
        }
    }

    public func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        while try await run({ () async throws(StoreError) in try await server.writer.deleteSomeHistory(resolution, before: start) }) {}
    }

    public func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64? {
        try await run { () async throws(StoreError) in try await server.reader.historyStart(resolution, after: start) }
    }
}

extension PostgreSQLStore: ReplicaLink {
    public func leaseTickets(_ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease {
        try await run { () async throws(StoreError) in try await server.rotation.leaseTickets(count, of: service) }
    }

    public func epoch() async throws(StoreError) -> ReplicaEpoch {
        try await run { () async throws(StoreError) in try await server.rotation.epoch() }
    }

    public func catalogueChanges(after revision: Int64) async throws(StoreError) -> CatalogueNews {
        try await run { () async throws(StoreError) in try await server.rotation.catalogueChanges(after: revision) }
    }

    public func standings(after epoch: Int64) async throws(StoreError) -> StandingNews {
        try await run { () async throws(StoreError) in try await server.rotation.standings(after: epoch) }
    }

    public func news() -> AsyncStream<Void> { server.news.stream() }
}

/// The connections of one store, by purpose, with the thread that they live on.
private final class PostgreSQLServerSessions: Sendable {
    let condition = PostgreSQLCondition()
    let news = StoreNews()
    /// Changes services, keys and documents that are followed, and writes history: what may take long.
    let writer: PostgreSQLSession
    /// Reads what may be long.
    let reader: PostgreSQLSession
    /// Writes standings, settings, the audit log and documents that are not followed: what must not wait behind an import.
    let ledger: PostgreSQLSession
    /// Leases tickets, counts clients and tells epochs: what must not wait behind anything.
    let rotation: PostgreSQLSession
    private let listener: PostgreSQLSession
    private let loop: StoreLoop
    private let listening = OutOfLineMutex<Task<Void, Never>?>(nil)

    init(_ location: PostgreSQLLocation, sealing sealer: Sealer) async throws(StoreError) {
        let connector = try await PostgreSQLConnector(to: location)
        let loop = try StoreLoop.start()
        let storeID = randomOctets(count: 12).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let session = { [condition] in PostgreSQLSession(loop: loop, connector: connector, condition: condition, sealer: sealer, storeID: storeID) }
        (writer, reader, ledger, rotation, listener) = (session(), session(), session(), session(), session())
        self.loop = loop
    }

    /// Who reads a single document of a kind, and how long that may take.
    func session(reading kind: DocumentKind) -> (session: PostgreSQLSession, limit: Duration) {
        switch kind {
        // Requests wait for it.
        case .clientMeter: (rotation, PostgreSQLSession.Limit.quick)
        case .client, .webhook, .alertClaim, .job, .jobPart: (reader, PostgreSQLSession.Limit.short)
        }
    }

    /// Who changes a single document of a kind, and how long that may take.
    func session(changing kind: DocumentKind) -> (session: PostgreSQLSession, limit: Duration) {
        switch kind {
        case .client, .webhook: (writer, PostgreSQLSession.Limit.short)
        case .clientMeter: (rotation, PostgreSQLSession.Limit.quick)
        case .alertClaim, .job, .jobPart: (ledger, PostgreSQLSession.Limit.short)
        }
    }

    func startListening() {
        listening.withLock { listening in listening = Task { [listener, news] in await listener.listen(news) } }
    }

    /// To be called once, when no call is under way: after it no session may be touched.
    func close() async {
        condition.close()
        await listening.withLock { $0 }?.value
        for session in [writer, reader, ledger, rotation, listener] { await session.disconnect() }
        loop.stop()
        news.close()
        condition.hasClosed()
    }
}
