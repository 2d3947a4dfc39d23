// SPDX-License-Identifier: MIT

public import RotatorCore

/// A store in one SQLite database: the embedded default, for one process on one machine.
///
/// Writes go through one connection on one thread, in the order in which they come; reads through a second connection on a second thread, so
/// that an import does not hold up a listing. Neither is ever a caller's thread. A call that finds 1,024 others waiting throws `unavailable`.
///
/// In a file (`sqlite:PATH`) a write that has returned survives `kill -9` and the loss of power: it is in the write-ahead log and the log is
/// on disk (`synchronous=FULL`). The file has mode 0600; `PATH.lock` beside it is held while the store is open and stays behind empty of meaning.
public final class SQLiteStore: Store {
    /// How many calls may wait for a connection.
    private static let waitingLimit = 1024

    private let writer: WorkerThread<SQLiteSession>
    // Nil in memory, where there is but one connection.
    private let reader: WorkerThread<SQLiteSession>?
    // Nil in memory.
    private let file: SQLiteFile?
    private let lastHealth = OutOfLineMutex(StoreHealth.reachable)

    private init(writer: WorkerThread<SQLiteSession>, reader: WorkerThread<SQLiteSession>? = nil, file: SQLiteFile? = nil) {
        self.writer = writer
        self.reader = reader
        self.file = file
    }

    /// Opens the database at `url`, or makes an empty one with the directories above it (mode 0700).
    ///
    /// - Throws: `misconfigured` for a database of another program or a newer version, `wrongEncryptionKey`, `damaged` for what is not a
    ///   database or does not pass SQLite's `quick_check`, `locked` when another process has it open, `notWritable` or `unavailable`. An
    ///   existing database is not changed by an attempt that throws.
    public static func open(_ url: StoreURL, sealing keys: MasterKeyRing) async throws(StoreError) -> SQLiteStore {
        let sealer = Sealer(keys)
        switch url.place {
        case .sqliteInMemory:
            let writer = try await WorkerThread.start(waitingLimit: waitingLimit) { () throws(StoreError) in
                try SQLiteSession.inMemory(sealing: sealer)
            }
            return SQLiteStore(writer: writer)
        case .sqlite(let path):
            let found = OutOfLineMutex<SQLiteFile?>(nil)
            let writer = try await WorkerThread.start(waitingLimit: waitingLimit) { () throws(StoreError) in
                let file = try SQLiteFile(path: path)
                do throws(StoreError) {
                    let session = try SQLiteSession.writing(file, sealing: sealer)
                    found.withLock { $0 = file }
                    return session
                } catch {
                    file.removeTraces()
                    // At once, for whoever tries again: the thread itself may take a moment to go.
                    file.lock.release()
                    throw error
                }
            }
            guard let file = found.withLock({ $0 }) else { preconditionFailure("a writer has its file") }
            do throws(StoreError) {
                let reader = try await WorkerThread.start(waitingLimit: waitingLimit) { () throws(StoreError) in
                    try SQLiteSession.reading(file, sealing: sealer)
                }
                return SQLiteStore(writer: writer, reader: reader, file: file)
            } catch {
                await writer.close()
                file.lock.release()
                throw error
            }
        case .postgreSQL, .redis:
            throw StoreError(.misconfigured, "\(url) is no SQLite database")
        }
    }

    public func migrate() async throws(StoreError) {
        try await write { session throws(StoreError) in try session.migrate() }
    }

    public func close() async {
        await reader?.close()
        // The last connection writes the log back into the database.
        await writer.close()
        file?.lock.release()
        lastHealth.withLock { $0 = .failing(StoreError(.unavailable, "the store is closed")) }
    }

    public func ping() async throws(StoreError) {
        try await write { session throws(StoreError) in try session.ping() }
    }

    public var health: StoreHealth { lastHealth.withLock { $0 } }

    public func reseal(limit: Int) async throws(StoreError) -> Int {
        try await write { session throws(StoreError) in try session.reseal(limit: limit) }
    }

    private func write<Value: Sendable>(
        _ work: @escaping @Sendable (inout SQLiteSession) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value { try await run(writer, work) }

    private func read<Value: Sendable>(
        _ work: @escaping @Sendable (inout SQLiteSession) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value { try await run(reader ?? writer, work) }

    private func run<Value: Sendable>(
        _ worker: WorkerThread<SQLiteSession>, _ work: @escaping @Sendable (inout SQLiteSession) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        do throws(StoreError) {
            let value = try await worker.run(work)
            lastHealth.withLock { $0 = .reachable }
            return value
        } catch {
            lastHealth.withLock { $0 = StoreHealth(after: error) }
            throw error
        }
    }
}

extension SQLiteStore: UpstreamCatalog {
    public func services() async throws(StoreError) -> [ServiceRecord] {
        try await read { session throws(StoreError) in try session.services() }
    }

    public func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try await write { session throws(StoreError) in try session.insertService(configuration) }
    }

    public func updateService(_ service: ServiceRecord) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.updateService(service) }
    }

    public func deleteService(_ id: ServiceID) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.deleteService(id) }
    }

    public func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        try await read { session throws(StoreError) in try session.keys(of: service) }
    }

    public func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try await write { session throws(StoreError) in try session.insertKeys(keys, into: service) }
    }

    public func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes) }
    }

    public func deleteKey(_ id: KeyID) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.deleteKey(id) }
    }

    public func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int {
        try await write { session throws(StoreError) in try session.deleteKeys(of: service) }
    }

    public func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        try await write { session throws(StoreError) in try session.deleteKeys(ids, of: service) }
    }

    public func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        try await write { session throws(StoreError) in try session.apply(changes) }
    }
}

extension SQLiteStore: KeyLedger {
    public func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        guard !updates.isEmpty else { return }
        try await write { session throws(StoreError) in try session.record(updates, batch: batch) }
    }

    public func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] {
        try await read { session throws(StoreError) in try session.counts(of: keys) }
    }
}

extension SQLiteStore: SettingStore {
    public func setting(_ name: String) async throws(StoreError) -> [UInt8]? {
        try await read { session throws(StoreError) in try session.setting(name) }
    }

    public func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.setSetting(name, to: value) }
    }

    public func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8] {
        try await write { session throws(StoreError) in
            if let present = try session.setting(name) { return present }
            try session.setSetting(name, to: value)
            return value
        }
    }
}

extension SQLiteStore: AuditLog {
    public func append(_ entry: AuditEntry) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.append(entry) }
    }

    public func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        guard limit > 0 else { return [] }
        return try await read { session throws(StoreError) in try session.auditEntries(after: after, limit: limit) }
    }

    public func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        guard limit > 0 else { return [] }
        return try await read { session throws(StoreError) in try session.auditEntries(before: before, limit: limit) }
    }
}

extension SQLiteStore: DocumentStore {
    public func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        guard limit > 0 else { return [] }
        return try await read { session throws(StoreError) in try session.documents(kind, after: after, limit: limit) }
    }

    public func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        try await read { session throws(StoreError) in try session.document(kind, named: name) }
    }

    public func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try await write { session throws(StoreError) in try session.insertDocument(kind, named: name, body: body) }
    }

    public func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(StoreError) -> Int64 {
        try await write { session throws(StoreError) in try session.replaceDocument(kind, id, named: name, body: body, expecting: revision) }
    }

    public func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        try await write { session throws(StoreError) in try session.deleteDocument(kind, id) }
    }

    public func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int {
        guard !documents.isEmpty else { return 0 }
        return try await write { session throws(StoreError) in try session.restoreDocuments(documents, of: kind) }
    }
}

extension SQLiteStore: HistoryStore {
    public func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        guard !rows.isEmpty else { return }
        try await write { session throws(StoreError) in try session.writeHistory(rows) }
    }

    public func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        try await read { session throws(StoreError) in try session.history(resolution, dimension, subject: subject, from: from, to: to) }
    }

    public func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        while try await write({ session throws(StoreError) in try session.deleteFirstStretch(resolution, before: start) }) {}
    }

    public func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64? {
        try await read { session throws(StoreError) in try session.historyStart(resolution, after: start) }
    }
}
