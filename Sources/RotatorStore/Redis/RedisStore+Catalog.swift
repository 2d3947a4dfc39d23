// SPDX-License-Identifier: MIT

public import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension RedisStore: UpstreamCatalog {
    /// Keys that are sent at once at most: so many are sealed before the connection serves others again.
    private static let keysPerStage = 1000

    public func services() async throws(StoreError) -> [ServiceRecord] {
        let found = try await client.run(.services, within: RedisSession.Limit.long).elements.map(\.elements)
        guard found.count == 4 else { throw client.unexpected }
        var records: [ServiceRecord] = []
        for index in found[0].indices {
            guard let number = found[0][index].integer, let slug = found[1][index].text, let document = found[2][index].text, let sealed = found[3][index].octets
            else { throw client.unexpected }
            let id = ServiceID(number)
            let headers = try opened("the headers of service \(id)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .headers(id)) }
            guard let configuration = ServiceDocument.decode(document, slug: slug, headers: headers) else {
                throw StoreError(.damaged, "\(client.place): service \(id) cannot be read")
            }
            records.append(ServiceRecord(id: id, configuration: configuration))
        }
        return records.sorted { $0.id < $1.id }
    }

    public func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        // The number is part of what is sealed, so it must be known before the service is written.
        let record = ServiceRecord(id: ServiceID(try await numbers("last_service", 1)), configuration: configuration)
        try await write(record, isNew: true)
        return record
    }

    public func updateService(_ service: ServiceRecord) async throws(StoreError) { try await write(service, isNew: false) }

    private func write(_ service: ServiceRecord, isNew: Bool) async throws(StoreError) {
        let result = try await client.run(.writeService, members(of: service) + [writer, [UInt8](text: isNew ? "1" : "0")]).integer
        if result == -1 { throw Self.noService(service.id) }
        if result == -2 { throw Self.slugIsTaken(service.configuration) }
    }

    /// Number, slug, document and sealed headers.
    func members(of service: ServiceRecord) -> [[UInt8]] {
        let configuration = service.configuration
        return [
            [UInt8](number: service.id.rawValue), [UInt8](text: configuration.slug), [UInt8](text: ServiceDocument.encode(configuration)),
            sealer.seal(ServiceDocument.encodeHeaders(configuration), for: .headers(service.id)),
        ]
    }

    public func deleteService(_ id: ServiceID) async throws(StoreError) {
        let result = try await client.run(.deleteService, [[UInt8](number: id.rawValue), writer], within: RedisSession.Limit.long).integer
        if result == -1 { throw Self.noService(id) }
    }

    public func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        let found = try await client.run(.keys, [[UInt8](number: service.rawValue)], within: RedisSession.Limit.long).elements.map(\.elements)
        guard found.count == 8 else { throw client.unexpected }
        var records: [KeyRecord] = []
        records.reserveCapacity(found[0].count)
        for index in found[0].indices {
            guard let number = found[0][index].integer, let sealed = found[1][index].octets, let info = found[2][index].text.flatMap(KeyInfo.init) else {
                throw client.unexpected
            }
            let id = KeyID(number)
            let secret = try opened("key \(id)") { () throws(Sealer.Failure) in try sealer.openSecret(sealed, for: .key(id)) }
            guard let attributes = KeyAttributesDocument.decode(found[3][index].text ?? "{}") else {
                throw StoreError(.damaged, "\(client.place): the attributes of key \(id) cannot be read")
            }
            var record = KeyRecord(
                id: id, serviceID: service, secret: secret, name: info.name, weight: info.weight, isActive: info.isActive, attributes: attributes)
            if let octets = found[4][index].octets {
                guard let standing = StandingDocument.decode(octets) else { throw StoreError(.damaged, "\(client.place): the standing of key \(id) cannot be read") }
                record.standing = standing
            }
            record.counts = Self.counts(found[5][index], found[6][index], found[7][index])
            records.append(record)
        }
        return records.sorted { $0.id < $1.id }
    }

    public func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        let first = try await numbers("last_key", keys.count)
        let token = newToken()
        try await stage(keys, numberedFrom: first, for: service, token: token)
        let reply = try await client.run(.insertKeys, [[UInt8](number: service.rawValue), writer, token], within: RedisSession.Limit.long)
        if reply.integer == -1 { throw Self.noService(service) }
        return try insertions(of: keys, numberedFrom: first, into: service, reply.elements)
    }

    /// Lays keys ready for a script that inserts them.
    func stage(_ keys: [NewKey], numberedFrom first: Int64, for service: ServiceID, token: [UInt8]) async throws(StoreError) {
        for start in stride(from: 0, to: keys.count, by: Self.keysPerStage) {
            var arguments = [token]
            for (offset, key) in keys[start..<min(start + Self.keysPerStage, keys.count)].enumerated() {
                let id = KeyID(first + Int64(start + offset))
                arguments.append([UInt8](number: id.rawValue))
                arguments.append(sealer.digest(of: key.secret, in: service) + sealer.otherDigests(of: key.secret, in: service).flatMap(\.self))
                arguments.append(sealer.seal(key.secret, for: .key(id)))
                arguments.append([UInt8](text: KeyInfo(isActive: key.isActive, weight: key.weight, name: key.name).text))
                arguments.append([UInt8](text: KeyAttributesDocument.encode(key.attributes)))
            }
            _ = try await client.run(.stage, arguments, within: RedisSession.Limit.long)
        }
    }

    /// What a script has made of keys that were laid ready.
    func insertions(
        of keys: [NewKey], numberedFrom first: Int64, into service: ServiceID, _ results: [RedisReply]
    ) throws(StoreError) -> [KeyInsertion] {
        guard results.count == keys.count else { throw wasLost }
        return zip(keys.indices, keys).map { index, key in
            results[index].integer == 1 ? .inserted(KeyRecord(id: KeyID(first + Int64(index)), serviceID: service, key)) : .duplicate
        }
    }

    public func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        let info = KeyInfo(isActive: isActive, weight: weight, name: name)
        let arguments = [[UInt8](number: id.rawValue), [UInt8](text: info.text), [UInt8](text: KeyAttributesDocument.encode(attributes)), writer]
        if try await client.run(.updateKey, arguments).integer == -1 { throw Self.noKey(id) }
    }

    public func deleteKey(_ id: KeyID) async throws(StoreError) {
        if try await client.run(.deleteKey, [[UInt8](number: id.rawValue), writer]).integer == -1 { throw Self.noKey(id) }
    }

    public func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int {
        let count = try await client.run(.deleteKeys, [[UInt8](number: service.rawValue), writer], within: RedisSession.Limit.long).integer ?? 0
        if count < 0 { throw Self.noService(service) }
        return Int(count)
    }

    public func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        let arguments = [[UInt8](number: service.rawValue), writer] + ids.map { [UInt8](number: $0.rawValue) }
        return Int(try await client.run(.deleteSomeKeys, arguments, within: RedisSession.Limit.long).integer ?? 0)
    }

    static func noService(_ id: ServiceID) -> StoreError { StoreError(.notFound, "there is no service \(id)") }
    static func slugIsTaken(_ configuration: ServiceConfiguration) -> StoreError { StoreError(.conflict, "the slug \(configuration.slug) is taken") }
    static func noKey(_ id: KeyID) -> StoreError { StoreError(.notFound, "there is no key \(id)") }

    /// What was to be written as one could not be, because a part of it was gone.
    var wasLost: StoreError { StoreError(.unavailable, "\(client.place): what was laid ready was lost before it was written") }

    /// Names what is laid ready for one call.
    func newToken() -> [UInt8] { writer + [UInt8](text: ":" + randomOctets(count: 8).map { String($0, radix: 16) }.joined()) }

    /// The first of `count` new numbers in a row; asks nobody where none is needed.
    func numbers(_ counter: String, _ count: Int, within limit: Duration = RedisSession.Limit.short) async throws(StoreError) -> Int64 {
        if count == 0 { return 0 }
        guard let last = try await client.run(.numbers, [[UInt8](text: counter), [UInt8](number: Int64(count))], within: limit).integer else {
            throw client.unexpected
        }
        return last - Int64(count) + 1
    }
}

/// What an administrator may change of a key, as one text.
struct KeyInfo {
    var isActive: Bool
    var weight: Int
    var name: String

    var text: String { "\(isActive ? 1 : 0) \(weight) \(name)" }

    init(isActive: Bool, weight: Int, name: String) {
        self.isActive = isActive
        self.weight = weight
        self.name = name
    }

    init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let weight = Int(parts[1]) else { return nil }
        self.init(isActive: parts[0] == "1", weight: weight, name: String(parts[2]))
    }
}

extension RedisStore: AuditLog {
    private struct AuditDocument: Codable {
        var at_ns: Int64
        var actor: String
        var action: String
        var subject: String
    }

    public func append(_ entry: AuditEntry) async throws(StoreError) {
        let document = AuditDocument(at_ns: entry.at.nanoseconds, actor: entry.actor, action: entry.action, subject: entry.subject)
        guard let data = try? JSONEncoder().encode(document) else { preconditionFailure("strings and integers are always JSON") }
        _ = try await client.run(.append, [[UInt8](data)])
    }

    public func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await auditEntries(.auditEntries, from: max(0, after), limit: limit)
    }

    public func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await auditEntries(.latestAuditEntries, from: before, limit: limit)
    }

    private func auditEntries(_ script: RedisScript, from number: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        guard limit > 0 else { return [] }
        var entries: [(id: Int64, entry: AuditEntry)] = []
        for (number, text) in try await client.run(script, [[UInt8](number: number), [UInt8](number: Int64(limit))]).pairs {
            guard let id = number.integer, let octets = text.octets, let read = try? JSONDecoder().decode(AuditDocument.self, from: Data(octets)) else { continue }
            entries.append((id, AuditEntry(at: Moment(nanoseconds: read.at_ns), actor: read.actor, action: read.action, subject: read.subject)))
        }
        return entries
    }
}

/// The change of the master key.
extension RedisStore {
    public func reseal(limit: Int) async throws(StoreError) -> Int {
        var left = max(0, limit)
        let found = try await client.run(.sealed, within: RedisSession.Limit.long).elements
        guard found.count == 3 else { throw client.unexpected }
        var arguments: [[UInt8]] = []
        func renew(_ hash: String, _ field: [UInt8], _ sealed: [UInt8], for subject: Sealer.Subject, _ what: @autoclosure () -> String) throws(StoreError) {
            guard left > 0, !sealed.starts(with: sealer.prefix) else { return }
            let octets = try opened(what()) { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: subject) }
            arguments += [[UInt8](text: hash), field, sealed, sealer.seal(octets, for: subject)]
            left -= 1
        }
        // The check value first: from then on, whoever knows the old key alone is told so at the start.
        try renew("meta", [UInt8](text: "check"), found[0].octets ?? [], for: .check, "the value that tells its encryption key")
        for (name, value) in found[1].pairs { try renew("settings", name.octets ?? [], value.octets ?? [], for: .setting(name.text ?? ""), "a setting") }
        for (id, value) in found[2].pairs {
            try renew("headers", id.octets ?? [], value.octets ?? [], for: .headers(ServiceID(id.integer ?? 0)), "the headers of a service")
        }
        if !arguments.isEmpty { _ = try await client.run(.replace, arguments, within: RedisSession.Limit.long) }
        if left > 0 { left -= try await resealDocuments(limit: left) }
        if left > 0 { left -= try await resealKeys(limit: left) }
        return max(0, limit) - left
    }

    private func resealKeys(limit: Int) async throws(StoreError) -> Int {
        let found = try await client.run(.outdatedKeys, [[UInt8](number: Int64(limit)), sealer.prefix], within: RedisSession.Limit.long).elements
        var arguments: [[UInt8]] = []
        for start in stride(from: 0, to: found.count - 2, by: 3) {
            guard let service = found[start].integer, let number = found[start + 1].integer, let sealed = found[start + 2].octets else { throw client.unexpected }
            let id = KeyID(number)
            let secret = try opened("key \(id)") { () throws(Sealer.Failure) in try sealer.openSecret(sealed, for: .key(id)) }
            arguments += [
                [UInt8](number: service), [UInt8](number: number), sealed, sealer.seal(secret, for: .key(id)), sealer.digest(of: secret, in: ServiceID(service)),
            ]
        }
        if !arguments.isEmpty { _ = try await client.run(.replaceKeys, arguments, within: RedisSession.Limit.long) }
        return arguments.count / 5
    }
}
