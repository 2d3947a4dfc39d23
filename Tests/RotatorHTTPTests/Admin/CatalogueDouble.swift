// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization

/// A store in memory that can be told to fail.
final class CatalogueDouble: UpstreamCatalog, KeyLedger, AuditLog, DocumentStore, HistoryStore, Sendable {
    struct State {
        var documents: [DocumentKind: [StoredDocument]] = [:]
        var lastDocument: [DocumentKind: Int64] = [:]
        var history: [HistoryRow] = []
        var services: [ServiceRecord] = []
        var keys: [KeyRecord] = []
        var values: [ServiceID: Set<[UInt8]>] = [:]
        var audit: [AuditEntry] = []
        var standings: [[KeyID: StandingUpdate]] = []
        var lastService: Int64 = 0
        var lastKey: Int64 = 0
        var failure: StoreError.Code?
        var failureAfterWriting: StoreError.Code?
        var auditFailure: StoreError.Code?
        var running = 0
        var runningMost = 0
    }

    let state = Mutex(State())

    /// Looks at, or changes, what is stored behind the API's back.
    @discardableResult
    func peek<Value: Sendable>(_ body: (inout State) -> Value) -> Value { state.withLock { body(&$0) } }

    /// Makes every call fail, or none.
    func fail(_ code: StoreError.Code?) { state.withLock { $0.failure = code } }

    var auditEntries: [AuditEntry] { state.withLock(\.audit) }
    var batches: [[KeyID: StandingUpdate]] { state.withLock(\.standings) }

    private func write<Value: Sendable>(_ body: (inout State) throws(StoreError) -> Value) async throws(StoreError) -> Value {
        state.withLock { state in
            state.running += 1
            state.runningMost = max(state.runningMost, state.running)
        }
        defer { state.withLock { $0.running -= 1 } }
        await Task.yield()
        return try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            let value = try body(&state)
            if let code = state.failureAfterWriting { throw StoreError(code, "told to fail when done") }
            return value
        }
    }

    func services() async throws(StoreError) -> [ServiceRecord] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return state.services
        }
    }

    func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try await write { state throws(StoreError) in try state.insertService(configuration) }
    }

    func updateService(_ service: ServiceRecord) async throws(StoreError) {
        try await write { state throws(StoreError) in try state.updateService(service) }
    }

    func deleteService(_ id: ServiceID) async throws(StoreError) {
        try await write { state throws(StoreError) in try state.deleteService(id) }
    }

    func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return state.keys.filter { $0.serviceID == service }
        }
    }

    func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try await write { state throws(StoreError) in try state.insertKeys(keys, into: service) }
    }

    func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        try await write { state throws(StoreError) in
            try state.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
        }
    }

    func deleteKey(_ id: KeyID) async throws(StoreError) {
        try await write { state throws(StoreError) in
            guard let index = state.keys.firstIndex(where: { $0.id == id }) else { throw StoreError(.notFound, "key") }
            let key = state.keys.remove(at: index)
            state.values[key.serviceID]?.remove(octets(of: key.secret))
        }
    }

    func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int {
        try await write { state throws(StoreError) in
            guard state.services.contains(where: { $0.id == service }) else { throw StoreError(.notFound, "service") }
            let count = state.keys.count { $0.serviceID == service }
            state.keys.removeAll { $0.serviceID == service }
            state.values[service] = nil
            return count
        }
    }

    func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        try await write { state throws(StoreError) in state.deleteKeys(ids, of: service) }
    }

    func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        try await write { state throws(StoreError) in
            var changed = state
            var results: [CatalogueChangeResult] = []
            for change in changes { results.append(try changed.apply(change, after: results)) }
            state = changed
            return results
        }
    }

    func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return Array((state.documents[kind] ?? []).filter { $0.id > after }.prefix(max(0, limit)))
        }
    }

    func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        try await documents(kind, after: 0, limit: .max).first { $0.name == name }
    }

    func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try await write { state throws(StoreError) in try state.insertDocument(kind, named: name, body: body) }
    }

    func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(StoreError) -> Int64 {
        try await write { state throws(StoreError) in
            try state.replaceDocument(kind, id, named: name, body: body, expecting: revision).revision
        }
    }

    func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        try await write { state throws(StoreError) in try state.deleteDocument(kind, id) }
    }

    func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        try await write { state throws(StoreError) in
            for row in rows {
                state.history.removeAll { present in
                    var present = present
                    present.tally = row.tally
                    return present == row
                }
                state.history.append(row)
            }
        }
    }

    func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return state.history.filter {
                $0.resolution == resolution && $0.dimension == dimension && (subject ?? $0.subject) == $0.subject && $0.start >= from && $0.start < to
            }.sorted { $0.start < $1.start }
        }
    }

    func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        try await write { state throws(StoreError) in state.history.removeAll { $0.resolution == resolution && $0.start < start } }
    }

    func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        try await write { state throws(StoreError) in
            state.standings.append(updates)
            for index in state.keys.indices {
                guard let update = updates[state.keys[index].id] else { continue }
                if let standing = update.standing { state.keys[index].standing = standing }
                state.keys[index].counts.add(update.counts)
            }
        }
    }

    func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return state.keys.reduce(into: [:]) { if keys.contains($1.id) { $0[$1.id] = $1.counts } }
        }
    }

    func append(_ entry: AuditEntry) async throws(StoreError) {
        try await write { state throws(StoreError) in
            if let code = state.auditFailure { throw StoreError(code, "told to fail") }
            state.audit.append(entry)
        }
    }

    func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return state.audit.enumerated().map { (Int64($0.offset + 1), $0.element) }.filter { $0.0 > after }.prefix(limit).map { ($0.0, $0.1) }
        }
    }

    func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await auditEntries(after: 0, limit: .max).reversed().filter { $0.id < before }.prefix(limit).map { ($0.id, $0.entry) }
    }
}

/// What single calls and lists of changes do.
extension CatalogueDouble.State {
    mutating func insertService(_ configuration: ServiceConfiguration) throws(StoreError) -> ServiceRecord {
        if services.contains(where: { $0.configuration.slug == configuration.slug }) { throw StoreError(.conflict, "slug") }
        lastService += 1
        let record = ServiceRecord(id: ServiceID(lastService), configuration: configuration)
        services.append(record)
        return record
    }

    mutating func updateService(_ service: ServiceRecord) throws(StoreError) {
        guard let index = services.firstIndex(where: { $0.id == service.id }) else { throw StoreError(.notFound, "service") }
        if services.contains(where: { $0.configuration.slug == service.configuration.slug && $0.id != service.id }) { throw StoreError(.conflict, "slug") }
        services[index] = service
    }

    mutating func insertKeys(_ new: [NewKey], into service: ServiceID) throws(StoreError) -> [KeyInsertion] {
        guard services.contains(where: { $0.id == service }) else { throw StoreError(.notFound, "service") }
        var results: [KeyInsertion] = []
        for key in new {
            guard values[service, default: []].insert(octets(of: key.secret)).inserted else {
                results.append(.duplicate)
                continue
            }
            lastKey += 1
            let record = KeyRecord(
                id: KeyID(lastKey), serviceID: service, secret: key.secret, name: key.name, weight: key.weight, isActive: key.isActive,
                attributes: key.attributes)
            keys.append(record)
            results.append(.inserted(record))
        }
        return results
    }

    mutating func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) throws(StoreError) {
        // In the order of their numbers, as they were added.
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].id < id { low = middle + 1 } else { high = middle }
        }
        guard low < keys.count, keys[low].id == id else { throw StoreError(.notFound, "key") }
        let index = low
        keys[index].name = name
        keys[index].weight = weight
        keys[index].isActive = isActive
        keys[index].attributes = attributes
    }

    mutating func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) throws(StoreError) -> StoredDocument {
        if documents[kind]?.contains(where: { $0.name == name }) == true { throw StoreError(.conflict, "name") }
        lastDocument[kind, default: 0] += 1
        let document = StoredDocument(id: lastDocument[kind] ?? 0, name: name, body: body, revision: 1)
        documents[kind, default: []].append(document)
        return document
    }

    mutating func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) throws(StoreError) -> StoredDocument {
        guard let index = documents[kind]?.firstIndex(where: { $0.id == id }), let present = documents[kind]?[index] else {
            throw StoreError(.notFound, "document")
        }
        if let revision, revision != present.revision { throw StoreError(.conflict, "revision") }
        if documents[kind]?.contains(where: { $0.name == name && $0.id != id }) == true { throw StoreError(.conflict, "name") }
        let document = StoredDocument(id: id, name: name, body: body, revision: present.revision + 1)
        documents[kind]?[index] = document
        return document
    }

    mutating func deleteService(_ id: ServiceID) throws(StoreError) {
        guard let index = services.firstIndex(where: { $0.id == id }) else { throw StoreError(.notFound, "service") }
        services.remove(at: index)
        keys.removeAll { $0.serviceID == id }
        values[id] = nil
    }

    mutating func deleteKeys(_ ids: [KeyID], of service: ServiceID) -> Int {
        let gone = keys.filter { $0.serviceID == service && ids.contains($0.id) }
        keys.removeAll { $0.serviceID == service && ids.contains($0.id) }
        for key in gone { values[service]?.remove(octets(of: key.secret)) }
        return gone.count
    }

    mutating func deleteDocument(_ kind: DocumentKind, _ id: Int64) throws(StoreError) {
        guard let index = documents[kind]?.firstIndex(where: { $0.id == id }) else { throw StoreError(.notFound, "document") }
        documents[kind]?.remove(at: index)
    }

    mutating func apply(_ change: CatalogueChange, after results: [CatalogueChangeResult]) throws(StoreError) -> CatalogueChangeResult {
        switch change {
        case .insertService(let configuration): return .service(try insertService(configuration))
        case .updateService(let service):
            try updateService(service)
            return .done
        case .insertKeys(let keys, .existing(let service)): return .keys(try insertKeys(keys, into: service))
        case .insertKeys(let keys, .added(let index)):
            guard results.indices.contains(index), case .service(let record) = results[index] else { throw StoreError(.notFound, "change") }
            return .keys(try insertKeys(keys, into: record.id))
        case .updateKey(let id, let name, let weight, let isActive, let attributes):
            try updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
            return .done
        case .insertDocument(let kind, let name, let body): return .document(try insertDocument(kind, named: name, body: body))
        case .replaceDocument(let kind, let id, let name, let body):
            return .document(try replaceDocument(kind, id, named: name, body: body, expecting: nil))
        case .deleteService(let id): try deleteService(id)
        case .deleteKeys(let ids, let service): _ = deleteKeys(ids, of: service)
        case .deleteDocument(let kind, let id): try deleteDocument(kind, id)
        }
        return .done
    }
}

func octets(of secret: Secret) -> [UInt8] { unsafe secret.withUnsafeBytes { unsafe Array($0) } }
