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
