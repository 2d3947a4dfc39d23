// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Services and keys.
extension PostgreSQLSession {
    func services() async throws(StoreError) -> [ServiceRecord] {
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            let found = try await session.run("SELECT id, slug, document, sealed_headers FROM rotator_services ORDER BY id")
            var services: [ServiceRecord] = []
            for row in found.rows {
                let id = ServiceID(found.integer(row, 0))
                let sealed = found.octets(row, 3)
                let headers = try session.opened("the headers of service \(id)") { () throws(Sealer.Failure) in
                    try session.sealer.openOctets(sealed, for: .headers(id))
                }
                guard let configuration = ServiceDocument.decode(found.text(row, 2), slug: found.text(row, 1), headers: headers) else {
                    throw PostgreSQLError(.damaged, "\(session.connector.place): service \(id) cannot be read")
                }
                services.append(ServiceRecord(id: id, configuration: configuration))
            }
            return services
        }
    }

    func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            let record = try await session.addService(configuration)
            try await session.announceChange(of: .service(record.id))
            return record
        }
    }

    func updateService(_ service: ServiceRecord) async throws(StoreError) {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            try await session.changeService(service)
            try await session.announceChange(of: .service(service.id))
        }
    }

    func deleteService(_ id: ServiceID) async throws(StoreError) {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            try await session.removeService(id)
            try await session.announceChange(of: .service(id))
        }
    }

    func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord] {
        try await transaction(.reading, within: Limit.long) { session throws(PostgreSQLError) in
            var keys: [KeyRecord] = []
            while true {
                let found = try await session.run(
                    """
                    SELECT k.id, k.sealed_value, k.name, k.weight, k.is_active, s.success_count, s.failure_count, s.last_used_at_ns,
                        s.state, s.until_ns, s.reason, s.model_rests, s.rejections, s.rate_limit_level, s.exhaustion_level, s.forbidden_level,
                        s.upstream_failures, s.circuit_level, s.circuit_until_ns, s.decided_at_ns, s.reset_count, k.attributes
                    FROM rotator_keys AS k LEFT JOIN rotator_standings AS s ON s.key_id = k.id
                    WHERE k.service_id = $1 AND k.id > $2 ORDER BY k.id LIMIT $3
                    """, .integer(service.rawValue), .integer(keys.last?.id.rawValue ?? 0), .integer(Int64(Self.rowsPerStatement)))
                for row in found.rows {
                    if row % Self.rowsPerTurn == 0 { await Task.yield() }
                    let id = KeyID(found.integer(row, 0))
                    let sealed = found.octets(row, 1)
                    let secret = try session.opened("key \(id)") { () throws(Sealer.Failure) in try session.sealer.openSecret(sealed, for: .key(id)) }
                    guard let attributes = KeyAttributesDocument.decode(found.text(row, 21)) else {
                        throw PostgreSQLError(.damaged, "\(session.connector.place): the attributes of key \(id) cannot be read")
                    }
                    var key = KeyRecord(
                        id: id, serviceID: service, secret: secret, name: found.text(row, 2), weight: Int(found.integer(row, 3)),
                        isActive: found.boolean(row, 4), attributes: attributes)
                    if found.optionalInteger(row, 5) != nil {
                        key.counts = Self.counts(in: found, row, from: 5)
                        key.standing = try session.standing(of: id, in: found, row, from: 8)
                    }
                    keys.append(key)
                }
                if found.rows.count < Self.rowsPerStatement { return keys }
            }
        }
    }

    func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion] {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            let insertions = try await session.addKeys(keys, into: service)
            if insertions.hasAny { try await session.announceChange(of: .service(service)) }
            return insertions
        }
    }

    private func insert(_ keys: ArraySlice<NewKey>, into service: ServiceID) async throws(PostgreSQLError) -> [KeyInsertion] {
        let known = try await keysUnderOtherDigests(keys, of: service)
        // The numbers are part of what is sealed, so they must be known before the rows are. Those of duplicates are never given to anybody.
        let numbers = try await run(
            "SELECT nextval(pg_get_serial_sequence('rotator_keys', 'id')) FROM generate_series(1, $1)", .integer(Int64(keys.count)))
        var rows: [(id: KeyID, key: NewKey, position: Int)] = []
        var digests: [[UInt8]] = []
        var values: [[UInt8]] = []
        for (position, key) in zip(numbers.rows, keys) where !known.contains(position) {
            if position % Self.rowsPerTurn == 0 { await Task.yield() }
            let id = KeyID(numbers.integer(position, 0))
            rows.append((id, key, position))
            digests.append(sealer.digest(of: key.secret, in: service))
            values.append(sealer.seal(key.secret, for: .key(id)))
        }
        let inserted = try await run(
            """
            INSERT INTO rotator_keys (id, service_id, digest, sealed_value, name, weight, is_active, attributes)
            SELECT n.id, $1, n.digest, n.sealed_value, n.name, n.weight, n.is_active, n.attributes
            FROM unnest($2, $3, $4, $5, $6, $7, $8) AS n (id, digest, sealed_value, name, weight, is_active, attributes)
            ON CONFLICT (service_id, digest) DO NOTHING RETURNING id
            """,
            .integer(service.rawValue), .integers(rows.map(\.id.rawValue)), .octetStrings(digests), .octetStrings(values), .texts(rows.map(\.key.name)),
            .integers(rows.map { Int64($0.key.weight) }), .booleans(rows.map(\.key.isActive)),
            .texts(rows.map { KeyAttributesDocument.encode($0.key.attributes) }))
        let newIDs = Set(inserted.rows.map { KeyID(inserted.integer($0, 0)) })
        var insertions = [KeyInsertion](repeating: .duplicate, count: keys.count)
        for row in rows where newIDs.contains(row.id) {
            insertions[row.position] = .inserted(KeyRecord(id: row.id, serviceID: service, row.key))
        }
        return insertions
    }

    /// Which of `keys`, by position, are there under their digest of another master key; none unless the master key is being changed.
    private func keysUnderOtherDigests(_ keys: ArraySlice<NewKey>, of service: ServiceID) async throws(PostgreSQLError) -> Set<Int> {
        guard sealer.isChangingKeys else { return [] }
        let digests = keys.map { sealer.otherDigests(of: $0.secret, in: service) }
        let found = try await run(
            "SELECT digest FROM rotator_keys WHERE service_id = $1 AND digest = ANY ($2)", .integer(service.rawValue), .octetStrings(digests.flatMap { $0 }))
        let known = Set(found.rows.map { found.octets($0, 0) })
        return Set(digests.indices.filter { digests[$0].contains { known.contains($0) } })
    }

    func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError) {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            let service = try await session.changeKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
            try await session.announceChange(of: .service(service))
        }
    }

    func deleteKey(_ id: KeyID) async throws(StoreError) {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            let deleted = try await session.run("DELETE FROM rotator_keys WHERE id = $1 RETURNING service_id", .integer(id.rawValue))
            guard let service = deleted.rows.first.map({ ServiceID(deleted.integer($0, 0)) }) else { throw Self.noKey(id) }
            try await session.announceChange(of: .service(service))
        }
    }

    func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            try await session.lockService(service)
            let count = try await session.run("DELETE FROM rotator_keys WHERE service_id = $1", .integer(service.rawValue)).changeCount
            if count > 0 { try await session.announceChange(of: .service(service)) }
            return count
        }
    }

    func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            let count = try await session.removeKeys(ids, of: service)
            if count > 0 { try await session.announceChange(of: .service(service)) }
            return count
        }
    }

    /// How many numbers of rows a statement takes at most that takes nothing else.
    private static let numbersPerStatement = 10_000

    // MARK: Within a transaction

    func removeService(_ id: ServiceID) async throws(PostgreSQLError) {
        try await lockService(id)
        _ = try await run("DELETE FROM rotator_services WHERE id = $1", .integer(id.rawValue))
        _ = try await run("DELETE FROM rotator_tickets WHERE service_id = $1", .integer(id.rawValue))
    }

    func removeKeys(_ ids: [KeyID], of service: ServiceID) async throws(PostgreSQLError) -> Int {
        // In the order of numbers, so that writers who meet wait for each other, and not for ever.
        let ids = ids.sorted()
        var count = 0
        for start in stride(from: 0, to: ids.count, by: Self.numbersPerStatement) {
            count += try await run(
                "DELETE FROM rotator_keys WHERE service_id = $1 AND id = ANY ($2)", .integer(service.rawValue),
                .integers(ids[start..<min(start + Self.numbersPerStatement, ids.count)].map(\.rawValue))
            ).changeCount
        }
        return count
    }

    func addService(_ configuration: ServiceConfiguration) async throws(PostgreSQLError) -> ServiceRecord {
        // The number is part of what is sealed, so it must be known before the row is.
        let id = ServiceID(try await run("SELECT nextval(pg_get_serial_sequence('rotator_services', 'id'))").integer(0, 0))
        let sealed = sealer.seal(ServiceDocument.encodeHeaders(configuration), for: .headers(id))
        try await slugConflicts(configuration) { session throws(PostgreSQLError) in
            _ = try await session.run(
                "INSERT INTO rotator_services (id, slug, document, sealed_headers) VALUES ($1, $2, $3, $4)",
                .integer(id.rawValue), .text(configuration.slug), .text(ServiceDocument.encode(configuration)), .octets(sealed))
        }
        return ServiceRecord(id: id, configuration: configuration)
    }

    func changeService(_ service: ServiceRecord) async throws(PostgreSQLError) {
        let configuration = service.configuration
        let sealed = sealer.seal(ServiceDocument.encodeHeaders(configuration), for: .headers(service.id))
        try await slugConflicts(configuration) { session throws(PostgreSQLError) in
            let updated = try await session.run(
                "UPDATE rotator_services SET slug = $2, document = $3, sealed_headers = $4 WHERE id = $1",
                .integer(service.id.rawValue), .text(configuration.slug), .text(ServiceDocument.encode(configuration)), .octets(sealed))
            if updated.changeCount == 0 { throw Self.noService(service.id) }
        }
    }

    func addKeys(_ keys: [NewKey], into service: ServiceID) async throws(PostgreSQLError) -> [KeyInsertion] {
        // One import into a service at a time, so that two with the same values do not wait for each other's rows.
        try await lockService(service)
        var insertions: [KeyInsertion] = []
        insertions.reserveCapacity(keys.count)
        for start in stride(from: 0, to: keys.count, by: Self.rowsPerStatement) {
            insertions += try await insert(keys[start..<min(start + Self.rowsPerStatement, keys.count)], into: service)
        }
        return insertions
    }

    /// Returns the key's service.
    func changeKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(PostgreSQLError) -> ServiceID {
        let updated = try await run(
            "UPDATE rotator_keys SET name = $2, weight = $3, is_active = $4, attributes = $5 WHERE id = $1 RETURNING service_id",
            .integer(id.rawValue), .text(name), .integer(Int64(weight)), .boolean(isActive), .text(KeyAttributesDocument.encode(attributes)))
        guard let service = updated.rows.first.map({ ServiceID(updated.integer($0, 0)) }) else { throw Self.noKey(id) }
        return service
    }

    private static func noService(_ id: ServiceID) -> PostgreSQLError { PostgreSQLError(.notFound, "there is no service \(id)") }
    private static func noKey(_ id: KeyID) -> PostgreSQLError { PostgreSQLError(.notFound, "there is no key \(id)") }

    /// Holds the service until the transaction ends, against whoever else would lock it. Throws `notFound`.
    private func lockService(_ id: ServiceID) async throws(PostgreSQLError) {
        let found = try await run("SELECT 1 FROM rotator_services WHERE id = $1 FOR NO KEY UPDATE", .integer(id.rawValue))
        if found.rows.isEmpty { throw Self.noService(id) }
    }

    /// Does `body`; a unique value that is taken can only be the slug.
    private func slugConflicts(
        _ configuration: ServiceConfiguration, _ body: (isolated PostgreSQLSession) async throws(PostgreSQLError) -> Void
    ) async throws(PostgreSQLError) {
        do throws(PostgreSQLError) {
            try await body(self)
        } catch {
            throw error.sqlState == "23505" ? PostgreSQLError(.conflict, "the slug \(configuration.slug) is taken") : error
        }
    }
}
