// SPDX-License-Identifier: MIT

public import RotatorCore

/// A store in the memory of this process, gone with it: for tests and for embedding. Seals nothing, because nothing leaves the process.
public actor MemoryStore: Store {
    private struct Pool {
        var configuration: ServiceConfiguration
        /// Ascending: numbers only grow.
        var keyIDs: [KeyID] = []
        /// Which values are there, as hashes, so that no second copy of a key is kept.
        var digests: Set<[UInt8]> = []
    }

    private var pools: [ServiceID: Pool] = [:]
    private var records: [KeyID: KeyRecord] = [:]
    private var lastService: Int64 = 0
    private var lastKey: Int64 = 0
    private var settings: [String: [UInt8]] = [:]
    private var audit: [AuditEntry] = []
    private var lastBatches: [String: Int64] = [:]
    var shelves: [DocumentKind: DocumentShelf] = [:]
    var tallies: [HistoryPlace: [UInt8]] = [:]
    private let isClosed = OutOfLineMutex(false)

    /// An empty store, ready for use.
    public init() {}

    /// An empty store; `url` and `sealing` do not matter.
    public static func open(_ url: StoreURL, sealing: MasterKeyRing) async throws(StoreError) -> MemoryStore { MemoryStore() }

    public func migrate() throws(StoreError) { try requireOpen() }

    public func close() { isClosed.withLock { $0 = true } }

    public func ping() throws(StoreError) { try requireOpen() }

    public func reseal(limit: Int) throws(StoreError) -> Int {
        try requireOpen()
        return 0
    }

    public nonisolated var health: StoreHealth { isClosed.withLock { $0 } ? .failing(Self.closed) : .reachable }

    private static let closed = StoreError(.unavailable, "the store is closed")

    func requireOpen() throws(StoreError) {
        if isClosed.withLock({ $0 }) { throw Self.closed }
    }
}

extension MemoryStore: UpstreamCatalog {
    public func services() throws(StoreError) -> [ServiceRecord] {
        try requireOpen()
        return pools.map { ServiceRecord(id: $0.key, configuration: $0.value.configuration) }.sorted { $0.id < $1.id }
    }

    public func insertService(_ configuration: ServiceConfiguration) throws(StoreError) -> ServiceRecord {
        try requireOpen()
        try requireFree(configuration.slug, for: nil)
        lastService += 1
        let id = ServiceID(lastService)
        pools[id] = Pool(configuration: configuration)
        return ServiceRecord(id: id, configuration: configuration)
    }

    public func updateService(_ service: ServiceRecord) throws(StoreError) {
        try requireOpen()
        _ = try pool(service.id)
        try requireFree(service.configuration.slug, for: service.id)
        pools[service.id]?.configuration = service.configuration
    }

    public func deleteService(_ id: ServiceID) throws(StoreError) {
        try requireOpen()
        for key in try pool(id).keyIDs { records[key] = nil }
        pools[id] = nil
    }

    public func keys(of service: ServiceID) throws(StoreError) -> [KeyRecord] {
        try requireOpen()
        return pools[service]?.keyIDs.compactMap { records[$0] } ?? []
    }

    public func insertKeys(_ keys: [NewKey], into service: ServiceID) throws(StoreError) -> [KeyInsertion] {
        try requireOpen()
        var pool = try pool(service)
        pools[service] = nil
        defer { pools[service] = pool }
        return keys.map { key in
            guard pool.digests.insert(KeyDigest.sha256(of: key.secret)).inserted else { return .duplicate }
            lastKey += 1
            let record = KeyRecord(id: KeyID(lastKey), serviceID: service, key)
            records[record.id] = record
            pool.keyIDs.append(record.id)
            return .inserted(record)
        }
    }

    public func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) throws(StoreError) {
        try requireOpen()
        guard var record = records[id] else { throw Self.noKey(id) }
        record.name = name
        record.weight = weight
        record.isActive = isActive
        record.attributes = attributes
        records[id] = record
    }

    public func deleteKey(_ id: KeyID) throws(StoreError) {
        try requireOpen()
        guard let record = records.removeValue(forKey: id) else { throw Self.noKey(id) }
        pools[record.serviceID]?.keyIDs.removeAll { $0 == id }
        pools[record.serviceID]?.digests.remove(KeyDigest.sha256(of: record.secret))
    }

    public func deleteKeys(of service: ServiceID) throws(StoreError) -> Int {
        try requireOpen()
        let ids = try pool(service).keyIDs
        for id in ids { records[id] = nil }
        pools[service]?.keyIDs = []
        pools[service]?.digests = []
        return ids.count
    }

    public func deleteKeys(_ ids: [KeyID], of service: ServiceID) throws(StoreError) -> Int {
        try requireOpen()
        guard var pool = pools[service] else { return 0 }
        let gone = Set(ids.filter { records[$0]?.serviceID == service })
        for id in gone {
            if let record = records.removeValue(forKey: id) { pool.digests.remove(KeyDigest.sha256(of: record.secret)) }
        }
        pool.keyIDs.removeAll(where: gone.contains)
        pools[service] = pool
        return gone.count
    }

    public func apply(_ changes: [CatalogueChange]) throws(StoreError) -> [CatalogueChangeResult] {
        try requireOpen()
        let before = (pools, records, lastService, lastKey, shelves)
        do throws(StoreError) {
            var results: [CatalogueChangeResult] = []
            for change in changes { results.append(try apply(change, after: results)) }
            return results
        } catch {
            (pools, records, lastService, lastKey, shelves) = before
            throw error
        }
    }

    private func apply(_ change: CatalogueChange, after results: [CatalogueChangeResult]) throws(StoreError) -> CatalogueChangeResult {
        switch change {
        case .insertService(let configuration): return .service(try insertService(configuration))
        case .updateService(let service):
            try updateService(service)
            return .done
        case .insertKeys(let keys, let reference): return .keys(try insertKeys(keys, into: try results.service(reference)))
        case .updateKey(let id, let name, let weight, let isActive, let attributes):
            try updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
            return .done
        case .insertDocument(let kind, let name, let body): return .document(try insertDocument(kind, named: name, body: body))
        case .replaceDocument(let kind, let id, let name, let body):
            let revision = try replaceDocument(kind, id, named: name, body: body, expecting: nil)
            return .document(StoredDocument(id: id, name: name, body: body, revision: revision))
        case .deleteService(let id): try deleteService(id)
        case .deleteKeys(let ids, let service): _ = try deleteKeys(ids, of: service)
        case .deleteDocument(let kind, let id): try deleteDocument(kind, id)
        }
        return .done
    }

    private static func noKey(_ id: KeyID) -> StoreError { StoreError(.notFound, "there is no key \(id)") }

    private func pool(_ id: ServiceID) throws(StoreError) -> Pool {
        guard let pool = pools[id] else { throw StoreError(.notFound, "there is no service \(id)") }
        return pool
    }

    private func requireFree(_ slug: String, for id: ServiceID?) throws(StoreError) {
        if pools.contains(where: { $0.key != id && $0.value.configuration.slug == slug }) {
            throw StoreError(.conflict, "the slug \(slug) is taken")
        }
    }
}

extension MemoryStore: KeyLedger, SettingStore, AuditLog {
    public func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) throws(StoreError) {
        try requireOpen()
        if let batch {
            if let last = lastBatches[batch.writer], batch.number <= last { return }
            lastBatches[batch.writer] = batch.number
        }
        for (id, update) in updates {
            guard var record = records[id] else { continue }
            if let standing = update.standing, !standing.isOlder(than: record.standing) { record.standing = standing }
            record.counts.add(update.counts)
            records[id] = record
        }
    }

    public func counts(of keys: [KeyID]) throws(StoreError) -> [KeyID: KeyCounts] {
        try requireOpen()
        return keys.reduce(into: [:]) { counts, id in counts[id] = records[id]?.counts }
    }

    public func setting(_ name: String) throws(StoreError) -> [UInt8]? {
        try requireOpen()
        return settings[name]
    }

    public func setSetting(_ name: String, to value: [UInt8]) throws(StoreError) {
        try requireOpen()
        settings[name] = value
    }

    public func insertSetting(_ name: String, _ value: [UInt8]) throws(StoreError) -> [UInt8] {
        try requireOpen()
        if let present = settings[name] { return present }
        settings[name] = value
        return value
    }

    public func append(_ entry: AuditEntry) throws(StoreError) {
        try requireOpen()
        audit.append(entry)
    }

    public func auditEntries(after: Int64, limit: Int) throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try requireOpen()
        guard limit > 0, after < Int64(audit.count) else { return [] }
        let first = Int(max(0, after))
        return audit[first...].prefix(limit).enumerated().map { (id: Int64(first + $0.offset + 1), entry: $0.element) }
    }

    public func auditEntries(before: Int64, limit: Int) throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try requireOpen()
        let last = Int(min(max(0, before - 1), Int64(audit.count)))
        return (0..<last).reversed().prefix(max(0, limit)).map { (id: Int64($0 + 1), entry: audit[$0]) }
    }
}
