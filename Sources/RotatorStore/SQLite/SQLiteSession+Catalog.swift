// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Services and keys.
extension SQLiteSession {
    mutating func services() throws(StoreError) -> [ServiceRecord] {
        try requireTables()
        return try mapping("SELECT id, slug, document, sealed_headers FROM services ORDER BY id") { statement throws(StoreError) in
            let id = ServiceID(statement.integer(0))
            let sealed = statement.octets(3)
            let headers = try opened("the headers of service \(id)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .headers(id)) }
            guard let configuration = ServiceDocument.decode(statement.text(2), slug: statement.text(1), headers: headers) else {
                throw StoreError(.damaged, "service \(id) cannot be read")
            }
            return ServiceRecord(id: id, configuration: configuration)
        }
    }

    mutating func insertService(_ configuration: ServiceConfiguration) throws(StoreError) -> ServiceRecord {
        try requireTables()
        return try connection.write { () throws(StoreError) in try addService(configuration) }
    }

    mutating func updateService(_ service: ServiceRecord) throws(StoreError) {
        try requireTables()
        try connection.write { () throws(StoreError) in try changeService(service) }
    }

    mutating func deleteService(_ id: ServiceID) throws(StoreError) {
        try requireTables()
        try connection.write { () throws(StoreError) in try removeService(id) }
        truncateLog()
    }

    mutating func keys(of service: ServiceID) throws(StoreError) -> [KeyRecord] {
        try requireTables()
        return try connection.read { () throws(StoreError) in
            var rests = try modelRests(of: service)
            return try mapping(
                """
                SELECT k.id, k.sealed_value, k.name, k.weight, k.is_active, s.state, s.until_ns, s.reason, s.rejections, s.rate_limit_level,
                    s.exhaustion_level, s.upstream_failures, s.circuit_level, s.circuit_until_ns, s.success_count, s.failure_count, s.last_used_at_ns,
                    s.forbidden_level, s.decided_at_ns, s.reset_count, k.attributes
                FROM upstream_keys AS k LEFT JOIN standings AS s ON s.key_id = k.id WHERE k.service_id = ?1 ORDER BY k.id
                """, on: service.rawValue
            ) { statement throws(StoreError) in
                let id = KeyID(statement.integer(0))
                let sealed = statement.octets(1)
                let secret = try opened("key \(id)") { () throws(Sealer.Failure) in try sealer.openSecret(sealed, for: .key(id)) }
                guard let attributes = KeyAttributesDocument.decode(statement.text(20)) else {
                    throw StoreError(.damaged, "the attributes of key \(id) cannot be read")
                }
                var key = KeyRecord(
                    id: id, serviceID: service, secret: secret, name: statement.text(2), weight: Int(statement.integer(3)),
                    isActive: statement.integer(4) != 0, attributes: attributes)
                if statement.optionalInteger(8) != nil {
                    guard let state = StandingRecord.State(rawValue: statement.text(5)) else {
                        throw StoreError(.damaged, "the state of key \(id) cannot be read")
                    }
                    key.standing.state = state
                    key.standing.until = statement.optionalInteger(6).map { Moment(nanoseconds: $0) }
                    key.standing.reason = statement.text(7)
                    key.standing.rejections = Int(statement.integer(8))
                    key.standing.rateLimitLevel = Int(statement.integer(9))
                    key.standing.exhaustionLevel = Int(statement.integer(10))
                    key.standing.upstreamFailures = Int(statement.integer(11))
                    key.standing.circuitLevel = Int(statement.integer(12))
                    key.standing.circuitUntil = statement.optionalInteger(13).map { Moment(nanoseconds: $0) }
                    key.counts = Self.counts(in: statement, from: 14)
                    key.standing.forbiddenLevel = Int(statement.integer(17))
                    key.standing.decidedAt = Moment(nanoseconds: statement.integer(18))
                    key.standing.resetCount = statement.integer(19)
                    key.standing.models = rests.removeValue(forKey: id) ?? []
                }
                return key
            }
        }
    }

    mutating func insertKeys(_ keys: [NewKey], into service: ServiceID) throws(StoreError) -> [KeyInsertion] {
        try requireTables()
        return try connection.write { () throws(StoreError) in try addKeys(keys, into: service) }
    }

    mutating func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) throws(StoreError) {
        try requireTables()
        try changeKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
    }

    mutating func deleteKey(_ id: KeyID) throws(StoreError) {
        try requireTables()
        if try run("DELETE FROM upstream_keys WHERE id = ?1", on: id.rawValue) == 0 { throw Self.noKey(id) }
        truncateLog()
    }

    mutating func deleteKeys(of service: ServiceID) throws(StoreError) -> Int {
        try requireTables()
        let count = try connection.write { () throws(StoreError) in
            try requireService(service)
            return try run("DELETE FROM upstream_keys WHERE service_id = ?1", on: service.rawValue)
        }
        truncateLog()
        return count
    }

    mutating func deleteKeys(_ ids: [KeyID], of service: ServiceID) throws(StoreError) -> Int {
        try requireTables()
        let count = try connection.write { () throws(StoreError) in try removeKeys(ids, of: service) }
        truncateLog()
        return count
    }
}

/// What the calls above and a list of changes do within a transaction.
extension SQLiteSession {
    func removeService(_ id: ServiceID) throws(StoreError) {
        if try run("DELETE FROM services WHERE id = ?1", on: id.rawValue) == 0 { throw Self.noService(id) }
    }

    func removeKeys(_ ids: [KeyID], of service: ServiceID) throws(StoreError) -> Int {
        try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("DELETE FROM upstream_keys WHERE id = ?1 AND service_id = ?2", on: connection)
            try statement.bind(service.rawValue, at: 2)
            var count = 0
            // In the order of numbers, so that pages are written one after the other.
            for id in ids.sorted() {
                try statement.bind(id.rawValue, at: 1)
                try statement.run()
                count += connection.changeCount
            }
            return count
        }
    }

    func addService(_ configuration: ServiceConfiguration) throws(StoreError) -> ServiceRecord {
        // The number is part of what is sealed, so it must be known before the row is.
        let id = ServiceID(try nextNumber("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'services'"))
        let sealed = sealer.seal(ServiceDocument.encodeHeaders(configuration), for: .headers(id))
        try slugConflicts(configuration) { connection throws(SQLiteError) in
            var statement = try PreparedStatement("INSERT INTO services (id, slug, document, sealed_headers) VALUES (?1, ?2, ?3, ?4)", on: connection)
            try statement.bind(id.rawValue, at: 1)
            try statement.bind(configuration.slug, at: 2)
            try statement.bind(ServiceDocument.encode(configuration), at: 3)
            try statement.bind(sealed, at: 4)
            try statement.run()
        }
        return ServiceRecord(id: id, configuration: configuration)
    }

    func changeService(_ service: ServiceRecord) throws(StoreError) {
        let configuration = service.configuration
        let sealed = sealer.seal(ServiceDocument.encodeHeaders(configuration), for: .headers(service.id))
        try slugConflicts(configuration) { connection throws(SQLiteError) in
            var statement = try PreparedStatement("UPDATE services SET slug = ?2, document = ?3, sealed_headers = ?4 WHERE id = ?1", on: connection)
            try statement.bind(service.id.rawValue, at: 1)
            try statement.bind(configuration.slug, at: 2)
            try statement.bind(ServiceDocument.encode(configuration), at: 3)
            try statement.bind(sealed, at: 4)
            try statement.run()
        }
        if connection.changeCount == 0 { throw Self.noService(service.id) }
    }

    func addKeys(_ keys: [NewKey], into service: ServiceID) throws(StoreError) -> [KeyInsertion] {
        try requireService(service)
        var number = try nextNumber("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'upstream_keys'")
        return try naming { connection throws(SQLiteError) in
            var known = try PreparedStatement("SELECT 1 FROM upstream_keys WHERE service_id = ?1 AND digest = ?2", on: connection)
            try known.bind(service.rawValue, at: 1)
            var statement = try PreparedStatement(
                """
                INSERT INTO upstream_keys (id, service_id, digest, sealed_value, name, weight, is_active, attributes)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                ON CONFLICT (service_id, digest) DO NOTHING
                """, on: connection)
            try statement.bind(service.rawValue, at: 2)
            var insertions: [KeyInsertion] = []
            insertions.reserveCapacity(keys.count)
            for key in keys {
                let id = KeyID(number)
                // While the master key is being changed, the value may be there under its digest of another key.
                var isKnown = false
                for digest in sealer.otherDigests(of: key.secret, in: service) {
                    try known.bind(digest, at: 2)
                    isKnown = try known.step() || isKnown
                    known.reset()
                }
                if isKnown {
                    insertions.append(.duplicate)
                    continue
                }
                try statement.bind(id.rawValue, at: 1)
                try statement.bind(sealer.digest(of: key.secret, in: service), at: 3)
                try statement.bind(sealer.seal(key.secret, for: .key(id)), at: 4)
                try statement.bind(key.name, at: 5)
                try statement.bind(Int64(key.weight), at: 6)
                try statement.bind(key.isActive ? 1 : 0, at: 7)
                try statement.bind(KeyAttributesDocument.encode(key.attributes), at: 8)
                try statement.run()
                if connection.changeCount == 0 {
                    insertions.append(.duplicate)
                } else {
                    number += 1
                    insertions.append(.inserted(KeyRecord(id: id, serviceID: service, key)))
                }
            }
            return insertions
        }
    }

    func changeKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) throws(StoreError) {
        let count = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(
                "UPDATE upstream_keys SET name = ?2, weight = ?3, is_active = ?4, attributes = ?5 WHERE id = ?1", on: connection)
            try statement.bind(id.rawValue, at: 1)
            try statement.bind(name, at: 2)
            try statement.bind(Int64(weight), at: 3)
            try statement.bind(isActive ? 1 : 0, at: 4)
            try statement.bind(KeyAttributesDocument.encode(attributes), at: 5)
            try statement.run()
            return connection.changeCount
        }
        if count == 0 { throw Self.noKey(id) }
    }

    private static func noService(_ id: ServiceID) -> StoreError { StoreError(.notFound, "there is no service \(id)") }
    private static func noKey(_ id: KeyID) -> StoreError { StoreError(.notFound, "there is no key \(id)") }

    private func requireService(_ id: ServiceID) throws(StoreError) {
        let isThere = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("SELECT 1 FROM services WHERE id = ?1", on: connection)
            try statement.bind(id.rawValue, at: 1)
            return try statement.step()
        }
        if !isThere { throw Self.noService(id) }
    }

    /// The number that the next row will have: one above the highest that was ever given, deleted ones included.
    private func nextNumber(_ sql: StaticString) throws(StoreError) -> Int64 {
        max(1, try naming { connection throws(SQLiteError) in try connection.integer(sql) })
    }

    /// Does `body`; a unique value that is taken can only be the slug.
    private func slugConflicts(_ configuration: ServiceConfiguration, _ body: (borrowing SQLiteConnection) throws(SQLiteError) -> Void) throws(StoreError) {
        do throws(StoreError) {
            try naming(body)
        } catch {
            throw error.code == .conflict ? StoreError(.conflict, "the slug \(configuration.slug) is taken") : error
        }
    }

    private func modelRests(of service: ServiceID) throws(StoreError) -> [KeyID: [StandingRecord.ModelRest]] {
        var rests: [KeyID: [StandingRecord.ModelRest]] = [:]
        _ = try mapping(
            """
            SELECT r.key_id, r.model, r.until_ns, r.reason, r.level FROM model_rests AS r JOIN upstream_keys AS k ON k.id = r.key_id
            WHERE k.service_id = ?1 ORDER BY r.key_id, r.position
            """, on: service.rawValue
        ) { statement throws(StoreError) in
            rests[KeyID(statement.integer(0)), default: []].append(
                StandingRecord.ModelRest(
                    model: statement.text(1), until: Moment(nanoseconds: statement.integer(2)), reason: statement.text(3), level: Int(statement.integer(4))))
        }
        return rests
    }
}

/// The standing of keys, and what was counted of them.
extension SQLiteSession {
    mutating func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) throws(StoreError) {
        try requireTables()
        try connection.write { () throws(StoreError) in
            if let batch, try !isNew(batch) { return }
            try naming { connection throws(SQLiteError) in
                var count = try PreparedStatement(
                    """
                    INSERT INTO standings SELECT ?1, 'active', NULL, '', 0, 0, 0, 0, 0, NULL, ?2, ?3, ?4, 0, 0, 0
                    WHERE EXISTS (SELECT 1 FROM upstream_keys WHERE id = ?1)
                    ON CONFLICT (key_id) DO UPDATE SET
                        success_count = CASE WHEN success_count > 9223372036854775807 - ?2 THEN 9223372036854775807 ELSE success_count + ?2 END,
                        failure_count = CASE WHEN failure_count > 9223372036854775807 - ?3 THEN 9223372036854775807 ELSE failure_count + ?3 END,
                        last_used_at_ns = CASE WHEN ?4 > coalesce(last_used_at_ns, 0) THEN ?4 ELSE last_used_at_ns END
                    """, on: connection)
                var stand = try PreparedStatement(
                    """
                    UPDATE standings SET state = ?2, until_ns = ?3, reason = ?4, rejections = ?5, rate_limit_level = ?6, exhaustion_level = ?7,
                        upstream_failures = ?8, circuit_level = ?9, circuit_until_ns = ?10, forbidden_level = ?11, decided_at_ns = ?12, reset_count = ?13
                    WHERE key_id = ?1 AND (?13 > reset_count OR (?13 = reset_count AND ?12 >= decided_at_ns))
                    """, on: connection)
                var clearRests = try PreparedStatement("DELETE FROM model_rests WHERE key_id = ?1", on: connection)
                var writeRest = try PreparedStatement(
                    "INSERT INTO model_rests (key_id, position, model, until_ns, reason, level) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", on: connection)
                // In the order of numbers, so that pages are written one after the other.
                for (id, update) in updates.sorted(by: { $0.key < $1.key }) {
                    try count.bind(id.rawValue, at: 1)
                    try count.bind(update.counts.successes, at: 2)
                    try count.bind(update.counts.failures, at: 3)
                    try count.bind(update.counts.lastUsedAt?.nanoseconds, at: 4)
                    try count.run()
                    guard connection.changeCount > 0, let standing = update.standing else { continue }
                    try stand.bind(id.rawValue, at: 1)
                    try stand.bind(standing.state.rawValue, at: 2)
                    try stand.bind(standing.until?.nanoseconds, at: 3)
                    try stand.bind(standing.reason, at: 4)
                    try stand.bind(Int64(standing.rejections), at: 5)
                    try stand.bind(Int64(standing.rateLimitLevel), at: 6)
                    try stand.bind(Int64(standing.exhaustionLevel), at: 7)
                    try stand.bind(Int64(standing.upstreamFailures), at: 8)
                    try stand.bind(Int64(standing.circuitLevel), at: 9)
                    try stand.bind(standing.circuitUntil?.nanoseconds, at: 10)
                    try stand.bind(Int64(standing.forbiddenLevel), at: 11)
                    try stand.bind(standing.decidedAt.nanoseconds, at: 12)
                    try stand.bind(standing.resetCount, at: 13)
                    try stand.run()
                    if connection.changeCount == 0 { continue }
                    try clearRests.bind(id.rawValue, at: 1)
                    try clearRests.run()
                    for (position, rest) in standing.models.enumerated() {
                        try writeRest.bind(id.rawValue, at: 1)
                        try writeRest.bind(Int64(position), at: 2)
                        try writeRest.bind(rest.model, at: 3)
                        try writeRest.bind(rest.until.nanoseconds, at: 4)
                        try writeRest.bind(rest.reason, at: 5)
                        try writeRest.bind(Int64(rest.level), at: 6)
                        try writeRest.run()
                    }
                }
            }
        }
    }

    /// Notes a batch; false when it has been written. The file serves one process: other writers are of the past, and leave with its first batch.
    private func isNew(_ batch: LedgerBatch) throws(StoreError) -> Bool {
        try naming { connection throws(SQLiteError) in
            if batch.number == 1 {
                var others = try PreparedStatement("DELETE FROM writers WHERE name <> ?1", on: connection)
                try others.bind(batch.writer, at: 1)
                try others.run()
            }
            var statement = try PreparedStatement(
                "INSERT INTO writers (name, batch) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET batch = ?2 WHERE batch < ?2", on: connection)
            try statement.bind(batch.writer, at: 1)
            try statement.bind(batch.number, at: 2)
            try statement.run()
            return connection.changeCount > 0
        }
    }

    mutating func counts(of keys: [KeyID]) throws(StoreError) -> [KeyID: KeyCounts] {
        try requireTables()
        return try connection.read { () throws(StoreError) in
            try naming { connection throws(SQLiteError) in
                var statement = try PreparedStatement(
                    """
                    SELECT s.success_count, s.failure_count, s.last_used_at_ns FROM upstream_keys AS k LEFT JOIN standings AS s ON s.key_id = k.id
                    WHERE k.id = ?1
                    """, on: connection)
                var counts: [KeyID: KeyCounts] = [:]
                for id in keys {
                    try statement.bind(id.rawValue, at: 1)
                    if try statement.step() { counts[id] = Self.counts(in: statement, from: 0) }
                    statement.reset()
                }
                return counts
            }
        }
    }

    private static func counts(in statement: borrowing PreparedStatement, from column: CInt) -> KeyCounts {
        KeyCounts(
            successes: statement.integer(column), failures: statement.integer(column + 1),
            lastUsedAt: statement.optionalInteger(column + 2).map { Moment(nanoseconds: $0) })
    }
}

/// Settings and the audit log.
extension SQLiteSession {
    mutating func setting(_ name: String) throws(StoreError) -> [UInt8]? {
        try requireTables()
        let sealed: [UInt8]? = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("SELECT sealed_value FROM settings WHERE name = ?1", on: connection)
            try statement.bind(name, at: 1)
            return try statement.step() ? statement.octets(0) : nil
        }
        guard let sealed else { return nil }
        return try opened("the setting \(name)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .setting(name)) }
    }

    mutating func setSetting(_ name: String, to value: [UInt8]) throws(StoreError) {
        try requireTables()
        let sealed = sealer.seal(value, for: .setting(name))
        try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(
                "INSERT INTO settings (name, sealed_value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET sealed_value = ?2", on: connection)
            try statement.bind(name, at: 1)
            try statement.bind(sealed, at: 2)
            try statement.run()
        }
    }

    mutating func append(_ entry: AuditEntry) throws(StoreError) {
        try requireTables()
        try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("INSERT INTO audit (at_ns, actor, action, subject) VALUES (?1, ?2, ?3, ?4)", on: connection)
            try statement.bind(entry.at.nanoseconds, at: 1)
            try statement.bind(entry.actor, at: 2)
            try statement.bind(entry.action, at: 3)
            try statement.bind(entry.subject, at: 4)
            try statement.run()
        }
    }

    mutating func auditEntries(after: Int64, limit: Int) throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try requireTables()
        return try mapping(
            "SELECT id, at_ns, actor, action, subject FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2", on: after, Int64(limit)
        ) { statement throws(StoreError) in
            let entry = AuditEntry(
                at: Moment(nanoseconds: statement.integer(1)), actor: statement.text(2), action: statement.text(3), subject: statement.text(4))
            return (id: statement.integer(0), entry: entry)
        }
    }
}

/// The change of the master key.
extension SQLiteSession {
    mutating func reseal(limit: Int) throws(StoreError) -> Int {
        try requireTables()
        return try connection.write { () throws(StoreError) in
            var count = 0
            func outdated(_ sql: StaticString, _ body: (borrowing PreparedStatement) throws(StoreError) -> [UInt8], then update: StaticString) throws(StoreError) {
                guard count < limit else { return }
                let rows = try mapping(sql, on: Int64(limit - count), prefix: sealer.prefix) { statement throws(StoreError) in
                    (row: statement.integer(0), sealed: try body(statement))
                }
                try naming { connection throws(SQLiteError) in
                    var write = try PreparedStatement(update, on: connection)
                    for row in rows {
                        try write.bind(row.row, at: 1)
                        try write.bind(row.sealed, at: 2)
                        try write.run()
                    }
                }
                count += rows.count
            }
            // The check value first: from then on, whoever knows the old key alone is told so at the start.
            try outdated(
                "SELECT id, check_value FROM sealing WHERE substr(check_value, 1, 5) <> ?2 LIMIT ?1",
                { statement throws(StoreError) in try resealed(statement.octets(1), for: .check, "the value that tells the encryption key") },
                then: "UPDATE sealing SET check_value = ?2 WHERE id = ?1")
            try outdated(
                "SELECT id, sealed_headers FROM services WHERE substr(sealed_headers, 1, 5) <> ?2 LIMIT ?1",
                { statement throws(StoreError) in
                    let id = ServiceID(statement.integer(0))
                    return try resealed(statement.octets(1), for: .headers(id), "the headers of service \(id)")
                },
                then: "UPDATE services SET sealed_headers = ?2 WHERE id = ?1")
            count += try resealSettings(limit: limit - count)
            count += try resealDocuments(limit: limit - count)
            count += try resealKeys(limit: limit - count)
            return count
        }
    }

    func resealed(_ sealed: [UInt8], for subject: Sealer.Subject, _ what: @autoclosure () -> String) throws(StoreError) -> [UInt8] {
        sealer.seal(try opened(what()) { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: subject) }, for: subject)
    }

    private func resealSettings(limit: Int) throws(StoreError) -> Int {
        guard limit > 0 else { return 0 }
        let rows = try mapping("SELECT name, sealed_value FROM settings WHERE substr(sealed_value, 1, 5) <> ?2 LIMIT ?1", on: Int64(limit), prefix: sealer.prefix) {
            statement throws(StoreError) in
            let name = statement.text(0)
            return (name: name, sealed: try resealed(statement.octets(1), for: .setting(name), "the setting \(name)"))
        }
        try naming { connection throws(SQLiteError) in
            var write = try PreparedStatement("UPDATE settings SET sealed_value = ?2 WHERE name = ?1", on: connection)
            for row in rows {
                try write.bind(row.name, at: 1)
                try write.bind(row.sealed, at: 2)
                try write.run()
            }
        }
        return rows.count
    }

    private func resealKeys(limit: Int) throws(StoreError) -> Int {
        guard limit > 0 else { return 0 }
        let rows = try mapping(
            "SELECT id, sealed_value, service_id FROM upstream_keys WHERE substr(sealed_value, 1, 5) <> ?2 ORDER BY id LIMIT ?1", on: Int64(limit),
            prefix: sealer.prefix
        ) { statement throws(StoreError) in
            let id = KeyID(statement.integer(0))
            let sealed = statement.octets(1)
            let secret = try opened("key \(id)") { () throws(Sealer.Failure) in try sealer.openSecret(sealed, for: .key(id)) }
            return (id: id, sealed: sealer.seal(secret, for: .key(id)), digest: sealer.digest(of: secret, in: ServiceID(statement.integer(2))))
        }
        try naming { connection throws(SQLiteError) in
            // A value that came in twice while both keys were in use keeps its old digest, which stands in nobody's way.
            var write = try PreparedStatement(
                """
                UPDATE upstream_keys AS k SET sealed_value = ?2, digest = CASE
                    WHEN EXISTS (SELECT 1 FROM upstream_keys AS o WHERE o.service_id = k.service_id AND o.digest = ?3 AND o.id <> k.id) THEN k.digest
                    ELSE ?3 END
                WHERE k.id = ?1
                """, on: connection)
            for row in rows {
                try write.bind(row.id.rawValue, at: 1)
                try write.bind(row.sealed, at: 2)
                try write.bind(row.digest, at: 3)
                try write.run()
            }
        }
        return rows.count
    }

    /// As below, with the limit as the first parameter and a prefix as the second.
    private func mapping<Value>(
        _ sql: StaticString, on limit: Int64, prefix: [UInt8], transform: (borrowing PreparedStatement) throws(StoreError) -> Value
    ) throws(StoreError) -> [Value] {
        var statement = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(sql, on: connection)
            try statement.bind(limit, at: 1)
            try statement.bind(prefix, at: 2)
            return statement
        }
        return try all(&statement, transform: transform)
    }
}

extension SQLiteSession {
    /// What `transform` makes of each row; the parameters are bound in their order.
    func mapping<Value>(
        _ sql: StaticString, on parameters: Int64..., transform: (borrowing PreparedStatement) throws(StoreError) -> Value
    ) throws(StoreError) -> [Value] {
        var statement = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(sql, on: connection)
            for (index, value) in parameters.enumerated() { try statement.bind(value, at: CInt(index + 1)) }
            return statement
        }
        return try all(&statement, transform: transform)
    }

    func all<Value>(
        _ statement: inout PreparedStatement, transform: (borrowing PreparedStatement) throws(StoreError) -> Value
    ) throws(StoreError) -> [Value] {
        var values: [Value] = []
        while try naming({ _ throws(SQLiteError) in try statement.step() }) { values.append(try transform(statement)) }
        return values
    }

    /// Runs a statement of one parameter and says how many rows it changed.
    private func run(_ sql: StaticString, on parameter: Int64) throws(StoreError) -> Int {
        try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(sql, on: connection)
            try statement.bind(parameter, at: 1)
            try statement.run()
            return connection.changeCount
        }
    }
}
