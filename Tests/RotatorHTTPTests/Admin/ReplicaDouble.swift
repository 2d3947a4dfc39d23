// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorStore
import Synchronization

/// A store that several replicas share, in memory; each replica holds a ``ReplicaDouble`` of its own.
final class SharedDouble: Sendable {
    struct State {
        var changes: [(revision: Int64, service: ServiceID?, documents: DocumentKind?, writer: Int)] = []
        var firstRevision: Int64 = 0
        var standings: [KeyID: (epoch: Int64, record: StandingRecord)] = [:]
        var epoch = ReplicaEpoch(catalogue: 0, standings: 0)
        var tickets: [ServiceID: Int64] = [:]
        var listeners: [AsyncStream<Void>.Continuation] = []
        var isPushing = true
        var failure: StoreError.Code?
        var failureAfterRecording: StoreError.Code?
        var recordCount = 0
        var isComplete = true
    }

    let store = MemoryStore()
    let state = Mutex(State())

    /// Every call fails so from now on; nil: none.
    func fail(_ code: StoreError.Code?) { state.withLock { $0.failure = code } }

    /// News is lost from now on.
    func stopPushing() { state.withLock { $0.isPushing = false } }

    /// Shared state is lost, as when a Redis comes back empty; the catalogue is not.
    func loseSharedState() {
        state.withLock { state in
            state.standings = [:]
            state.epoch.standings += 1_000_000
            state.epoch.catalogue += 1_000_000
            state.firstRevision = state.epoch.catalogue
            state.changes = []
            state.isComplete = false
        }
    }

    func requireUp() throws(StoreError) {
        if let code = state.withLock(\.failure) { throw StoreError(code, "told to fail") }
    }

    func changed(_ service: ServiceID? = nil, documents: DocumentKind? = nil, by writer: Int) {
        push { state in
            state.epoch.catalogue += 1
            state.changes.append((state.epoch.catalogue, service, documents, writer))
        }
    }

    func push(_ change: (inout State) -> Void) {
        let listeners = state.withLock { state in
            change(&state)
            return state.isPushing ? state.listeners : []
        }
        for listener in listeners { listener.yield() }
    }
}

/// One replica's view of a ``SharedDouble``.
struct ReplicaDouble: UpstreamCatalog, KeyLedger, AuditLog, DocumentStore, HistoryStore, ReplicaLink {
    let shared: SharedDouble
    let writer: Int
    private var store: MemoryStore { shared.store }

    init(_ shared: SharedDouble, writer: Int) {
        self.shared = shared
        self.writer = writer
    }

    func services() async throws(StoreError) -> [ServiceRecord] {
        try shared.requireUp()
        return try await store.services()
    }

    func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try shared.requireUp()
        let record = try await store.insertService(configuration)
        shared.changed(record.id, by: writer)
        return record
    }

    func updateService(_ service: ServiceRecord) async throws(StoreError) {
        try shared.requireUp()
        try await store.updateService(service)
        shared.changed(service.id, by: writer)
    }

    func deleteService(_ id: ServiceID) async throws(StoreError) {
        try shared.requireUp()
        try await store.deleteService(id)
        shared.changed(id, by: writer)
    }

    func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        try shared.requireUp()
        return try await store.keys(of: service)
    }

    func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try shared.requireUp()
        let results = try await store.insertKeys(keys, into: service)
        shared.changed(service, by: writer)
        return results
    }

    func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        try shared.requireUp()
        try await store.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
        shared.changed(try await owner(of: id), by: writer)
    }

    func deleteKey(_ id: KeyID) async throws(StoreError) {
        try shared.requireUp()
        let service = try await owner(of: id)
        try await store.deleteKey(id)
        shared.changed(service, by: writer)
    }

    func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int {
        try shared.requireUp()
        let count = try await store.deleteKeys(of: service)
        shared.changed(service, by: writer)
        return count
    }

    func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        try shared.requireUp()
        let count = try await store.deleteKeys(ids, of: service)
        shared.changed(service, by: writer)
        return count
    }

    func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        try shared.requireUp()
        // Asked before: afterwards they may be gone.
        var owners: [KeyID: ServiceID] = [:]
        for case .updateKey(let id, _, _, _, _) in changes { owners[id] = try await owner(of: id) }
        let results = try await store.apply(changes)
        for (change, result) in zip(changes, results) {
            switch (change, result) {
            case (.insertService, .service(let record)): shared.changed(record.id, by: writer)
            case (.updateService(let record), _): shared.changed(record.id, by: writer)
            case (.insertKeys(_, .existing(let id)), _): shared.changed(id, by: writer)
            case (.updateKey(let id, _, _, _, _), _): if let owner = owners[id] { shared.changed(owner, by: writer) }
            case (.deleteService(let id), _), (.deleteKeys(_, let id), _): shared.changed(id, by: writer)
            case (.insertDocument(let kind, _, _), _), (.replaceDocument(let kind, _, _, _), _), (.deleteDocument(let kind, _), _): documentsChanged(kind)
            default: break
            }
        }
        return results
    }

    func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        try shared.requireUp()
        return try await store.documents(kind, after: after, limit: limit)
    }

    func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        try shared.requireUp()
        return try await store.document(kind, named: name)
    }

    func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try shared.requireUp()
        let document = try await store.insertDocument(kind, named: name, body: body)
        documentsChanged(kind)
        return document
    }

    func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(StoreError) -> Int64 {
        try shared.requireUp()
        let revision = try await store.replaceDocument(kind, id, named: name, body: body, expecting: revision)
        documentsChanged(kind)
        return revision
    }

    func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        try shared.requireUp()
        try await store.deleteDocument(kind, id)
        documentsChanged(kind)
    }

    private func documentsChanged(_ kind: DocumentKind) {
        if kind.isFollowed { shared.changed(documents: kind, by: writer) }
    }

    func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        try shared.requireUp()
        try await store.writeHistory(rows)
    }

    func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        try shared.requireUp()
        return try await store.history(resolution, dimension, subject: subject, from: from, to: to)
    }

    func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        try shared.requireUp()
        try await store.deleteHistory(resolution, before: start)
    }

    private func owner(of id: KeyID) async throws(StoreError) -> ServiceID {
        for service in try await store.services() where try await store.keys(of: service.id).contains(where: { $0.id == id }) { return service.id }
        throw StoreError(.notFound, "key")
    }

    func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        try shared.requireUp()
        try await store.record(updates, batch: batch)
        shared.state.withLock { $0.recordCount += 1 }
        // Written, and nobody hears of it.
        if let code = shared.state.withLock({ $0.failureAfterRecording }) { throw StoreError(code, "told to fail") }
        let standings = updates.compactMapValues(\.standing)
        guard !standings.isEmpty else { return }
        shared.push { state in
            state.epoch.standings += 1
            for (id, record) in standings {
                if let known = state.standings[id], record.isOlder(than: known.record) { continue }
                state.standings[id] = (state.epoch.standings, record)
            }
        }
    }

    func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] {
        try shared.requireUp()
        return try await store.counts(of: keys)
    }

    func append(_ entry: AuditEntry) async throws(StoreError) {
        try shared.requireUp()
        try await store.append(entry)
    }

    func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try shared.requireUp()
        return try await store.auditEntries(after: after, limit: limit)
    }

    func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try shared.requireUp()
        return try await store.auditEntries(before: before, limit: limit)
    }

    func leaseTickets(_ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease {
        try shared.requireUp()
        return shared.state.withLock { state in
            defer { state.tickets[service, default: 0] += Int64(count) }
            return TicketLease(first: state.tickets[service, default: 0], count: count, epoch: state.epoch)
        }
    }

    func epoch() async throws(StoreError) -> ReplicaEpoch {
        try shared.requireUp()
        return shared.state.withLock(\.epoch)
    }

    func catalogueChanges(after revision: Int64) async throws(StoreError) -> CatalogueNews {
        try shared.requireUp()
        return shared.state.withLock { state in
            let changed = state.changes.filter { $0.revision > revision && $0.writer != writer }
            return CatalogueNews(
                changedServices: revision < state.firstRevision ? nil : Array(Set(changed.compactMap(\.service))),
                changedDocuments: Set(changed.compactMap(\.documents)), revision: state.epoch.catalogue)
        }
    }

    func standings(after epoch: Int64) async throws(StoreError) -> StandingNews {
        try shared.requireUp()
        return shared.state.withLock { state in
            StandingNews(
                standings: state.standings.filter { $0.value.epoch > epoch }.mapValues(\.record), epoch: state.epoch.standings,
                isComplete: state.isComplete || epoch >= state.firstRevision)
        }
    }

    func news() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        shared.state.withLock { $0.listeners.append(continuation) }
        return stream
    }
}
