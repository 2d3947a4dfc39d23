// SPDX-License-Identifier: MIT

internal import Crypto
internal import RotatorCore

/// What makes a catalogue what a document says: the changes for the store, and the account of them for people.
///
/// Services are matched by slug, keys by value within their service, clients by name, else by key. Removals come first.
struct CataloguePlan: Sendable {
    private(set) var changes: [CatalogueChange] = []
    private(set) var report = ImportReport()

    private var removals: [CatalogueChange] = []
    private var serviceLines: [ImportReport.Change] = []
    private var clientLines: [ImportReport.Change] = []
    private var keyLines: [ImportReport.Change] = []

    /// Plans. Throws ``AdministrationError/invalid(member:reason:)`` with the place in the document for what does not go with what is there.
    init(_ document: CatalogueDocument, onto present: PresentCatalogue, mode: ImportMode, at now: Moment) throws(AdministrationError) {
        if let services = document.services {
            // What is removed stands first, so that the indices which added services are referred to by are known.
            if mode == .replace { planRemovals(beside: services, present) }
            let known = Dictionary(present.services.map { ($0.record.configuration.slug, $0) }, uniquingKeysWith: { first, _ in first })
            var pools: [(keys: [CatalogueDocument.Key], present: PresentCatalogue.Service?, change: Int, slug: String)] = []
            for (index, service) in services.enumerated() {
                let match = known[service.configuration.slug]
                let change = try plan(service, at: "/services/\(index)", onto: match)
                if let keys = service.keys { pools.append((keys, match, change, service.configuration.slug)) }
            }
            for pool in pools { planKeys(pool.keys, of: pool.slug, addedBy: pool.change, onto: pool.present, mode: mode) }
        }
        if let clients = document.clients { try plan(clients, onto: present, mode: mode, at: now) }
        report.changes = Array((serviceLines + clientLines + keyLines).prefix(ImportReport.changesMax))
        changes = Self.assemble(removals, then: changes)
    }

    /// Puts the removals before all else; references to added services move with them.
    private static func assemble(_ removals: [CatalogueChange], then changes: [CatalogueChange]) -> [CatalogueChange] {
        removals + changes.map { change in
            if case .insertKeys(let keys, .added(let index)) = change { return .insertKeys(keys, into: .added(by: index + removals.count)) }
            return change
        }
    }

    // MARK: Services

    private mutating func planRemovals(beside services: [CatalogueDocument.Service], _ present: PresentCatalogue) {
        let slugs = Set(services.map(\.configuration.slug))
        for service in present.services.sorted(by: { $0.record.id < $1.record.id }) where !slugs.contains(service.record.configuration.slug) {
            removals.append(.deleteService(service.record.id))
            report.services.deleted += 1
            report.keys.deleted += service.keys.count
            serviceLines.append(.init(action: .delete, kind: .service, subject: service.record.configuration.slug))
        }
    }

    /// The index of the change that adds the service, where one does.
    private mutating func plan(_ service: CatalogueDocument.Service, at place: String, onto present: PresentCatalogue.Service?) throws(AdministrationError) -> Int {
        var configuration = service.configuration
        for name in service.withheldHeaders {
            guard let value = present?.record.configuration.extraHeaders[name] else {
                throw .invalid(member: "\(place)/extra_headers/\(name.prefix(64))", reason: "was left out of the document, and there is no value to keep")
            }
            configuration.extraHeaders[name] = value
        }
        let slug = configuration.slug
        guard let present else {
            report.services.created += 1
            serviceLines.append(.init(action: .create, kind: .service, subject: slug))
            changes.append(.insertService(configuration))
            return changes.count - 1
        }
        if present.record.configuration == configuration {
            report.services.unchanged += 1
        } else {
            report.services.updated += 1
            let members = ServiceDocument.members(of: present.record.configuration, thatDifferFrom: configuration)
            serviceLines.append(.init(action: .update, kind: .service, subject: slug, members: members))
            changes.append(.updateService(ServiceRecord(id: present.record.id, configuration: configuration)))
        }
        return changes.count - 1
    }

    // MARK: Keys

    private mutating func planKeys(
        _ keys: [CatalogueDocument.Key], of slug: String, addedBy change: Int, onto present: PresentCatalogue.Service?, mode: ImportMode
    ) {
        var known: [SHA256Digest: PresentCatalogue.Key] = [:]
        known.reserveCapacity(present?.keys.count ?? 0)
        for key in present?.keys ?? [] { known[key.secret.sha256] = key }
        var seen: Set<SHA256Digest> = []
        seen.reserveCapacity(keys.count)
        var new: [NewKey] = []
        for key in keys {
            guard seen.insert(key.digest).inserted else {
                report.duplicateKeys += 1
                continue
            }
            guard let match = known[key.digest] else {
                new.append(key.key)
                continue
            }
            plan(key.key, onto: match, of: slug)
        }
        if !new.isEmpty {
            report.keys.created += new.count
            tell(.init(action: .create, kind: .key, subject: "keys of \(slug)", count: new.count))
            changes.append(.insertKeys(new, into: present.map { .existing($0.record.id) } ?? .added(by: change)))
        }
        guard mode == .replace, let present else { return }
        let gone = present.keys.filter { !seen.contains($0.secret.sha256) }
        if gone.isEmpty { return }
        report.keys.deleted += gone.count
        for key in gone { tell(.init(action: .delete, kind: .key, subject: "key \(key.id) of \(slug)")) }
        removals.append(.deleteKeys(gone.map(\.id), of: present.record.id))
    }

    private mutating func plan(_ key: NewKey, onto present: PresentCatalogue.Key, of slug: String) {
        var members: [String] = []
        if key.name != present.name { members.append("name") }
        if key.weight != present.weight { members.append("weight") }
        if key.isActive != present.isActive { members.append("is_active") }
        if key.attributes.tags != present.attributes.tags { members.append("tags") }
        if key.attributes.quotaGroup != present.attributes.quotaGroup { members.append("quota_group") }
        if key.attributes.limits != present.attributes.limits { members.append("limits") }
        if members.isEmpty {
            report.keys.unchanged += 1
            return
        }
        report.keys.updated += 1
        tell(.init(action: .update, kind: .key, subject: "key \(present.id) of \(slug)", members: members))
        changes.append(.updateKey(present.id, name: key.name, weight: key.weight, isActive: key.isActive, attributes: key.attributes))
    }

    private mutating func tell(_ line: ImportReport.Change) {
        if keyLines.count < ImportReport.changesMax { keyLines.append(line) }
    }

    // MARK: Clients

    private mutating func plan(
        _ clients: [CatalogueDocument.Client], onto present: PresentCatalogue, mode: ImportMode, at now: Moment
    ) throws(AdministrationError) {
        let byName = Dictionary(present.clients.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let byDigest = Dictionary(present.clients.map { ($0.digest, $0) }, uniquingKeysWith: { first, _ in first })
        // Names first: a client that is named keeps its number whatever key it gets.
        var matches: [Int: ClientRecord] = [:]
        for (index, client) in clients.enumerated() { matches[index] = byName[client.name] }
        var taken = Set(matches.values.map(\.id))
        for (index, client) in clients.enumerated() where matches[index] == nil {
            if let match = byDigest[client.digest], taken.insert(match.id).inserted { matches[index] = match }
        }
        let staying = mode == .merge ? present.clients.filter { !taken.contains($0.id) } : []
        let stayingDigests = Dictionary(staying.map { ($0.digest, $0.name) }, uniquingKeysWith: { first, _ in first })
        if mode == .replace {
            for client in present.clients.sorted(by: { $0.id < $1.id }) where !taken.contains(client.id) {
                removals.append(.deleteDocument(.client, client.id.rawValue))
                report.clients.deleted += 1
                clientLines.append(.init(action: .delete, kind: .client, subject: client.name))
            }
        }
        for (index, client) in clients.enumerated() {
            if present.environmentNames.contains(client.name) {
                throw .invalid(member: "/clients/\(index)/name", reason: "is that of a key of GLOBAL_PROXY_KEYS")
            }
            if let other = stayingDigests[client.digest] { throw .invalid(member: "/clients/\(index)", reason: "has the key of the client “\(other)”") }
            plan(client, onto: matches[index], at: now)
        }
    }

    private mutating func plan(_ client: CatalogueDocument.Client, onto present: ClientRecord?, at now: Moment) {
        guard let present else {
            report.clients.created += 1
            clientLines.append(.init(action: .create, kind: .client, subject: client.name))
            let record = ClientRecord(
                id: ClientID(0), name: client.name, digest: client.digest, masked: client.masked ?? "", policy: client.policy, createdAt: now)
            changes.append(.insertDocument(.client, name: client.name, body: ClientDocument.body(of: record)))
            return
        }
        var record = present
        record.name = client.name
        record.digest = client.digest
        record.masked = client.masked ?? (client.digest == present.digest ? present.masked : "")
        record.policy = client.policy
        if record == present {
            report.clients.unchanged += 1
            return
        }
        report.clients.updated += 1
        clientLines.append(.init(action: .update, kind: .client, subject: client.name, members: ClientDocument.members(of: present, thatDifferFrom: record)))
        changes.append(.replaceDocument(.client, present.id.rawValue, name: record.name, body: ClientDocument.body(of: record)))
    }
}
