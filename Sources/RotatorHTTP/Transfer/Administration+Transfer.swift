// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// The whole catalogue as one document.
extension Administration {
    /// The document of all services, keys and clients. Audited first: what is not written down is not handed out.
    ///
    /// - Parameters:
    ///   - seal: seals what is secret; nil leaves it out.
    ///   - includesKeys: whether upstream keys are wanted.
    func exportCatalogue(seal: PassphraseSeal?, includesKeys: Bool, by actor: String) async throws(AdministrationError) -> [UInt8] {
        let catalogue = try await change { () async throws(AdministrationError) in
            var catalogue = try self.presentCatalogue()
            if !includesKeys || seal == nil {
                for index in catalogue.services.indices { catalogue.services[index].keys = [] }
            }
            if seal == nil { catalogue.clients = [] }
            let entry = AuditEntry(at: self.clock(), actor: actor, action: "catalogue.export", subject: catalogue.summary)
            try await self.write { () async throws(StoreError) in try await self.store.append(entry) }
            self.logger.notice("administration", metadata: ["action": "catalogue.export", "subject": "\(entry.subject)", "actor": "\(actor)"])
            return catalogue
        }
        do {
            return try await sealingQueue.run { CatalogueDocument.octets(of: catalogue, seal: seal, includesKeys: includesKeys) }
        } catch {
            throw .busy
        }
    }

    /// Makes the catalogue what `document` says, in one transaction, and tells what that was. Keys that stay keep their standing and their counts.
    ///
    /// Throws ``AdministrationError/invalid(member:reason:)`` with the place in the document for what does not go with what is there; nothing is done then.
    ///
    /// - Parameter isDryRun: only tell.
    public func importCatalogue(
        _ document: CatalogueDocument, mode: ImportMode, isDryRun: Bool = false, by actor: String
    ) async throws(AdministrationError) -> ImportReport {
        do {
            return try await importOnce(document, mode: mode, isDryRun: isDryRun, by: actor)
        } catch .store(let error) where error.code == .conflict || error.code == .notFound {
            // Another replica has made a change that this one had not heard of, such as the same import. On what is there now it goes, or never.
            state.withLock { $0.isInDoubt = true }
            return try await importOnce(document, mode: mode, isDryRun: isDryRun, by: actor)
        }
    }

    private func importOnce(
        _ document: CatalogueDocument, mode: ImportMode, isDryRun: Bool, by actor: String
    ) async throws(AdministrationError) -> ImportReport {
        try await change { () async throws(AdministrationError) in
            let plan = try CataloguePlan(document, onto: try self.presentCatalogue(), mode: mode, at: self.clock())
            var report = plan.report
            report.isDryRun = isDryRun
            if isDryRun || plan.changes.isEmpty { return report }
            let results = try await self.write { () async throws(StoreError) in try await self.store.apply(plan.changes) }
            precondition(results.count == plan.changes.count, "a store answers once for each change")
            await self.publish(plan.changes, results, countingDuplicatesIn: &report)
            await self.audit("catalogue.import", report.summary, by: actor)
            return report
        }
    }

    private func presentCatalogue() throws(AdministrationError) -> PresentCatalogue {
        let now = clock()
        var catalogue = PresentCatalogue()
        for entry in try loadedEntries().values {
            // Both by number, and no key comes or goes while a change has its turn.
            let keys = zip(entry.pool.secrets, entry.pool.views(after: nil, limit: .max, at: now) { _ in true }).map { key, view in
                PresentCatalogue.Key(
                    id: key.id, secret: key.secret, name: view.name, weight: view.weight, isActive: view.isActive, attributes: view.attributes)
            }
            catalogue.services.append(PresentCatalogue.Service(record: entry.record, keys: keys))
        }
        catalogue.clients = Array(state.withLock(\.clients).values)
        catalogue.environmentNames = clientDirectory.environmentNames
        return catalogue
    }

    /// Brings memory to what the store has made of `changes`, and publishes it as one step.
    private func publish(_ changes: [CatalogueChange], _ results: [CatalogueChangeResult], countingDuplicatesIn report: inout ImportReport) async {
        let now = clock()
        var entries = state.withLock(\.entries)
        var touched: Set<ServiceID> = []
        var clients = state.withLock(\.clients)
        var goneClients: [ClientID] = []
        for (change, result) in zip(changes, results) {
            switch (change, result) {
            case (.insertService, .service(let record)):
                entries[record.id] = Entry(record: record, pool: makePool(for: record, keys: []))
                touched.insert(record.id)
            case (.updateService(let record), _):
                guard var entry = entries[record.id] else { continue }
                let (old, new) = (entry.record.configuration, record.configuration)
                if old.kind != new.kind || old.rotationStrategy != new.rotationStrategy {
                    entry.pool = entry.pool.configured(kind: new.kind, strategy: new.rotationStrategy)
                }
                entry.record = record
                entries[record.id] = entry
                touched.insert(record.id)
            case (.insertKeys(_, let reference), .keys(let insertions)):
                guard let id = Self.service(reference, in: results) else { continue }
                var records: [KeyRecord] = []
                records.reserveCapacity(insertions.count)
                for case .inserted(let record) in insertions { records.append(record) }
                let duplicates = insertions.count - records.count
                if duplicates > 0 {
                    // The store knew keys that memory does not.
                    report.keys.created -= duplicates
                    report.duplicateKeys += duplicates
                    state.withLock { $0.isInDoubt = true }
                }
                if let pool = entries[id]?.pool.adding(records, at: now) { entries[id]?.pool = pool }
                touched.insert(id)
            case (.updateKey(let id, let name, let weight, let isActive, let attributes), _):
                let pool = entries.values.first { $0.pool.secret(of: id) != nil }?.pool
                _ = pool?.update(id, name: name, weight: weight, isActive: isActive, attributes: attributes, at: now)
            case (.deleteService(let id), _):
                entries[id] = nil
                touched.insert(id)
            case (.deleteKeys(let ids, let service), _):
                if let pool = entries[service]?.pool.removing(Set(ids)) { entries[service]?.pool = pool }
                touched.insert(service)
            case (.insertDocument(.client, _, _), .document(let document)), (.replaceDocument(.client, _, _, _), .document(let document)):
                if let record = ClientDocument.record(document) { clients[record.id] = record }
            case (.deleteDocument(.client, let id), _):
                clients[ClientID(id)] = nil
                goneClients.append(ClientID(id))
            case (.insertService, _), (.insertKeys, _), (.insertDocument, _), (.replaceDocument, _), (.deleteDocument, _):
                preconditionFailure("a store answers each change in its kind, and an import makes no other documents")
            }
        }
        publish(entries, changed: touched)
        if report.clients.changed > 0 {
            let present = clients
            publishClients { $0 = present }
        }
        for client in goneClients { await forgetAccount(of: client) }
    }

    private static func service(_ reference: CatalogueChange.ServiceReference, in results: [CatalogueChangeResult]) -> ServiceID? {
        switch reference {
        case .existing(let id): return id
        case .added(let index):
            guard case .service(let record) = results[index] else { return nil }
            return record.id
        }
    }
}
