// SPDX-License-Identifier: MIT

public import RotatorCore

/// A store beside which a Redis database holds what replicas share: tickets, the latest standings, news.
///
/// The catalogue's store keeps everything that must last; Redis makes rotation exact over replicas at no cost per request. While Redis is away,
/// standings still reach the others through the catalogue's store where that can be shared, and no tickets can be leased. While the catalogue's store
/// is away, standings reach the others through Redis. Made by ``openStore(_:sharing:sealing:)``.
public final class SharingStore: Store {
    /// The setting by which an installation knows its names in Redis from those of others.
    static let installationSetting = "installation_id"

    private let catalogue: any Store
    private let location: RedisLocation
    // Made by `migrate`, because its names depend on what the catalogue's store knows.
    private let shared = OutOfLineMutex<RedisSharedState?>(nil)
    private let repairs = OutOfLineMutex<Task<Void, Never>?>(nil)
    private let positions = OutOfLineMutex(Positions())

    /// How far what others have published has been followed.
    private struct Positions {
        /// What the catalogue's store said last.
        var epoch = ReplicaEpoch(catalogue: 0, standings: 0)
        /// What Redis said with the last lease.
        var leaseEpoch: ReplicaEpoch?
        /// Up to where Redis has been read since the catalogue's store is away.
        var awayEpoch: Int64 = 0
    }

    init(_ catalogue: any Store, sharing location: RedisLocation) {
        self.catalogue = catalogue
        self.location = location
    }

    /// Not for a single location: throws `misconfigured`.
    public static func open(_ url: StoreURL, sealing: MasterKeyRing) async throws(StoreError) -> SharingStore {
        throw StoreError(.misconfigured, "a store beside a Redis of shared state has two locations")
    }

    public func migrate() async throws(StoreError) {
        try await catalogue.migrate()
        let made = randomOctets(count: 12).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let installation = try await catalogue.insertSetting(Self.installationSetting, Array(made.utf8))
        guard shared.withLock({ $0 }) == nil else { return }
        let state = try RedisSharedState(location, installation: String(decoding: installation, as: UTF8.self))
        let isFirst = shared.withLock { shared in
            if shared == nil {
                shared = state
                return true
            }
            return false
        }
        guard isFirst else { return await state.client.close() }
        repairs.withLock { repairs in repairs = Task { [weak self] in await self?.repair(state) } }
    }

    public func close() async {
        let repairs = repairs.withLock { $0 }
        repairs?.cancel()
        await repairs?.value
        await shared.withLock { $0 }?.client.close()
        await catalogue.close()
    }

    public func ping() async throws(StoreError) {
        let state = try sharedState()
        async let isSharedThere: Void = state.ping()
        try await catalogue.ping()
        // Errors of both are in their healths; what is thrown is the first.
        do { try await isSharedThere } catch let error as StoreError { throw error } catch { preconditionFailure("a ping throws what a store throws") }
    }

    public var health: StoreHealth {
        let healths = [catalogue.health] + (shared.withLock { $0 }.map { [$0.client.condition.health] } ?? [])
        let failures = healths.compactMap { health -> StoreError? in if case .failing(let error) = health { error } else { nil } }
        guard let first = failures.first else { return .reachable }
        return .failing(StoreError(first.code, failures.map(\.message).joined(separator: "; ")))
    }

    public func reseal(limit: Int) async throws(StoreError) -> Int { try await catalogue.reseal(limit: limit) }

    public var replicaLink: (any ReplicaLink)? { self }

    private func sharedState() throws(StoreError) -> RedisSharedState {
        guard let state = shared.withLock({ $0 }) else {
            throw StoreError(.misconfigured, "the store has not been brought to this version's schema: migrate it first")
        }
        return state
    }

    /// Tells Redis again what the catalogue's store knows, whenever Redis has been away or missed something.
    private func repair(_ state: RedisSharedState) async {
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: .milliseconds(250))
            if Task.isCancelled || !state.takeNeedToRepeat() { continue }
            guard let link = catalogue.replicaLink, let known = try? await link.standings(after: 0).standings else { continue }
            try? await state.publish(known.filter { $0.value.decidedAt > .distantPast })
        }
    }
}

extension RedisSharedState {
    func ping() async throws(StoreError) { _ = try await client.epoch(.sharedEpoch) }
}

extension SharingStore: UpstreamCatalog {
    public func services() async throws(StoreError) -> [ServiceRecord] { try await catalogue.services() }

    public func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try await catalogue.insertService(configuration)
    }

    public func updateService(_ service: ServiceRecord) async throws(StoreError) { try await catalogue.updateService(service) }

    public func deleteService(_ id: ServiceID) async throws(StoreError) { try await catalogue.deleteService(id) }

    public func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] { try await catalogue.keys(of: service) }

    public func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try await catalogue.insertKeys(keys, into: service)
    }

    public func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        try await catalogue.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
    }

    public func deleteKey(_ id: KeyID) async throws(StoreError) { try await catalogue.deleteKey(id) }

    public func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int { try await catalogue.deleteKeys(of: service) }

    public func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int { try await catalogue.deleteKeys(ids, of: service) }

    public func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] { try await catalogue.apply(changes) }
}

/// What clients have used is kept there, too: it must last, and is asked for once per batch of requests.
extension SharingStore: DocumentStore {
    public func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        try await catalogue.documents(kind, after: after, limit: limit)
    }

    public func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        try await catalogue.document(kind, named: name)
    }

    public func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try await catalogue.insertDocument(kind, named: name, body: body)
    }

    public func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(StoreError) -> Int64 {
        try await catalogue.replaceDocument(kind, id, named: name, body: body, expecting: revision)
    }

    public func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) { try await catalogue.deleteDocument(kind, id) }

    public func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int {
        try await catalogue.restoreDocuments(documents, of: kind)
    }
}

extension SharingStore: HistoryStore {
    public func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) { try await catalogue.writeHistory(rows) }

    public func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] { try await catalogue.history(resolution, dimension, subject: subject, from: from, to: to) }

    public func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        try await catalogue.deleteHistory(resolution, before: start)
    }

    public func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64? {
        try await catalogue.historyStart(resolution, after: start)
    }
}

extension SharingStore: KeyLedger {
    public func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        try await catalogue.record(updates, batch: batch)
    }

    public func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] { try await catalogue.counts(of: keys) }
}

extension SharingStore: SettingStore {
    public func setting(_ name: String) async throws(StoreError) -> [UInt8]? { try await catalogue.setting(name) }

    public func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) { try await catalogue.setSetting(name, to: value) }

    public func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8] { try await catalogue.insertSetting(name, value) }
}

extension SharingStore: AuditLog {
    public func append(_ entry: AuditEntry) async throws(StoreError) { try await catalogue.append(entry) }

    public func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await catalogue.auditEntries(after: after, limit: limit)
    }

    public func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await catalogue.auditEntries(before: before, limit: limit)
    }
}

extension SharingStore: ReplicaLink {
    public func leaseTickets(_ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease {
        var lease = try await sharedState().client.lease(.sharedLease, count, of: service)
        // Redis numbers its own copy of the standings; replicas go by the numbers of the catalogue's store. That there is something new is told all
        // the same, should the message have been lost.
        guard catalogue.replicaLink != nil else { return lease }
        let isNews = positions.withLock { positions in
            defer { positions.leaseEpoch = lease.epoch }
            return positions.leaseEpoch != lease.epoch
        }
        if isNews { try sharedState().client.news.publish() }
        lease.epoch = nil
        return lease
    }

    public func epoch() async throws(StoreError) -> ReplicaEpoch {
        guard let link = catalogue.replicaLink else { return try await sharedState().client.epoch(.sharedEpoch) }
        do throws(StoreError) {
            let epoch = try await link.epoch()
            positions.withLock { positions in
                positions.epoch = epoch
                positions.awayEpoch = 0
            }
            return epoch
        } catch where error.code == .unavailable {
            // The catalogue stays what it was; that there are standings to be read is told by any other number.
            let present = try await sharedState().client.epoch(.sharedEpoch).standings
            return positions.withLock { positions in
                var epoch = positions.epoch
                if positions.awayEpoch != present { epoch.standings += 1 }
                return epoch
            }
        }
    }

    public func catalogueChanges(after revision: Int64) async throws(StoreError) -> CatalogueNews {
        if let link = catalogue.replicaLink { return try await link.catalogueChanges(after: revision) }
        // Nobody else can change it.
        return CatalogueNews(changedServices: revision < 0 ? nil : [], revision: try await epoch().catalogue)
    }

    public func standings(after epoch: Int64) async throws(StoreError) -> StandingNews {
        let state = try sharedState()
        guard let link = catalogue.replicaLink else { return try await state.client.standings(.sharedStandings, after: epoch) }
        do throws(StoreError) {
            return try await link.standings(after: epoch)
        } catch where error.code == .unavailable {
            // An epoch of the catalogue's store is nothing to Redis: what it has and has not told since the other is away.
            var news = try await state.client.standings(.sharedStandings, after: positions.withLock { $0.awayEpoch })
            positions.withLock { [present = news.epoch] in $0.awayEpoch = present }
            (news.epoch, news.isComplete) = (epoch, true)
            return news
        }
    }

    /// By Redis, whether or not the catalogue's store is there to write it down.
    public func announce(_ standings: [KeyID: StandingRecord]) async { try? await sharedState().publish(standings) }

    public func news() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let sources = [catalogue.replicaLink?.news(), shared.withLock { $0 }?.client.news.stream()].compactMap(\.self)
        let forwarding = Task {
            await withTaskGroup { group in
                for source in sources { group.addTask { for await _ in source { continuation.yield() } } }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in forwarding.cancel() }
        return stream
    }
}
