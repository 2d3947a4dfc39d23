// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization

/// A store in memory that can be told to fail.
final class CatalogueDouble: UpstreamCatalog, KeyLedger, AuditLog, Sendable {
    struct State {
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
        try await write { state throws(StoreError) in
            if state.services.contains(where: { $0.configuration.slug == configuration.slug }) { throw StoreError(.conflict, "slug") }
            state.lastService += 1
            let record = ServiceRecord(id: ServiceID(state.lastService), configuration: configuration)
            state.services.append(record)
            return record
        }
    }

    func updateService(_ service: ServiceRecord) async throws(StoreError) {
        try await write { state throws(StoreError) in
            guard let index = state.services.firstIndex(where: { $0.id == service.id }) else { throw StoreError(.notFound, "service") }
            if state.services.contains(where: { $0.configuration.slug == service.configuration.slug && $0.id != service.id }) {
                throw StoreError(.conflict, "slug")
            }
            state.services[index] = service
        }
    }

    func deleteService(_ id: ServiceID) async throws(StoreError) {
        try await write { state throws(StoreError) in
            guard let index = state.services.firstIndex(where: { $0.id == id }) else { throw StoreError(.notFound, "service") }
            state.services.remove(at: index)
            state.keys.removeAll { $0.serviceID == id }
            state.values[id] = nil
        }
    }

    func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            return state.keys.filter { $0.serviceID == service }
        }
    }

    func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try await write { state throws(StoreError) in
            guard state.services.contains(where: { $0.id == service }) else { throw StoreError(.notFound, "service") }
            var results: [KeyInsertion] = []
            var values = state.values[service] ?? []
            for key in keys {
                guard values.insert(octets(of: key.secret)).inserted else {
                    results.append(.duplicate)
                    continue
                }
                state.lastKey += 1
                let record = KeyRecord(
                    id: KeyID(state.lastKey), serviceID: service, secret: key.secret, name: key.name, weight: key.weight, isActive: key.isActive,
                    attributes: key.attributes)
                state.keys.append(record)
                results.append(.inserted(record))
            }
            state.values[service] = values
            return results
        }
    }

    func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        _ = try await apply([.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)])
    }

    /// Changes of keys alone.
    func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        try await write { state throws(StoreError) in
            let places = Dictionary(uniqueKeysWithValues: state.keys.enumerated().map { ($0.element.id, $0.offset) })
            var keys = state.keys
            for change in changes {
                guard case .updateKey(let id, let name, let weight, let isActive, let attributes) = change else {
                    throw StoreError(.misconfigured, "not a change of a key")
                }
                guard let index = places[id] else { throw StoreError(.notFound, "key") }
                keys[index].name = name
                keys[index].weight = weight
                keys[index].isActive = isActive
                keys[index].attributes = attributes
            }
            state.keys = keys
            return changes.map { _ in .done }
        }
    }

    func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        try await write { state throws(StoreError) in
            let ids = Set(ids)
            let before = state.keys.count
            for key in state.keys where ids.contains(key.id) && key.serviceID == service { state.values[service]?.remove(octets(of: key.secret)) }
            state.keys.removeAll { ids.contains($0.id) && $0.serviceID == service }
            return before - state.keys.count
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
}

func octets(of secret: Secret) -> [UInt8] { unsafe secret.withUnsafeBytes { unsafe Array($0) } }
