// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Settings and the audit log.
extension PostgreSQLSession {
    func setting(_ name: String) async throws(StoreError) -> [UInt8]? {
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            let found = try await session.run("SELECT sealed_value FROM rotator_settings WHERE name = $1", .text(name))
            guard let sealed = found.rows.first.map({ found.octets($0, 0) }) else { return nil }
            return try session.opened("the setting \(name)") { () throws(Sealer.Failure) in try session.sealer.openOctets(sealed, for: .setting(name)) }
        }
    }

    func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) {
        let sealed = sealer.seal(value, for: .setting(name))
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            _ = try await session.run(
                "INSERT INTO rotator_settings (name, sealed_value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET sealed_value = excluded.sealed_value",
                .text(name), .octets(sealed))
        }
    }

    func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8] {
        let sealed = sealer.seal(value, for: .setting(name))
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            _ = try await session.run(
                "INSERT INTO rotator_settings (name, sealed_value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", .text(name), .octets(sealed))
        }
        // Settings are never removed.
        return try await setting(name) ?? value
    }

    func append(_ entry: AuditEntry) async throws(StoreError) {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            // One at a time over all replicas, so that numbers appear in their order: whoever reads page by page misses none.
            _ = try await session.run("LOCK TABLE rotator_audit IN SHARE ROW EXCLUSIVE MODE")
            _ = try await session.run(
                "INSERT INTO rotator_audit (at_ns, actor, action, subject) VALUES ($1, $2, $3, $4)",
                .integer(entry.at.nanoseconds), .text(entry.actor), .text(entry.action), .text(entry.subject))
        }
    }

    func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await auditEntries("SELECT id, at_ns, actor, action, subject FROM rotator_audit WHERE id > $1 ORDER BY id LIMIT $2", from: after, limit: limit)
    }

    func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await auditEntries("SELECT id, at_ns, actor, action, subject FROM rotator_audit WHERE id < $1 ORDER BY id DESC LIMIT $2", from: before, limit: limit)
    }

    private func auditEntries(_ sql: StaticString, from id: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            let found = try await session.run(sql, .integer(id), .integer(Int64(limit)))
            return found.rows.map { row in
                let entry = AuditEntry(
                    at: Moment(nanoseconds: found.integer(row, 1)), actor: found.text(row, 2), action: found.text(row, 3), subject: found.text(row, 4))
                return (id: found.integer(row, 0), entry: entry)
            }
        }
    }
}

/// The change of the master key.
extension PostgreSQLSession {
    func reseal(limit: Int) async throws(StoreError) -> Int {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            var left = max(0, limit)
            // The check value first: from then on, whoever knows the old key alone is told so at the start.
            left -= try await session.resealCheckValue(limit: left)
            left -= try await session.resealHeaders(limit: left)
            left -= try await session.resealSettings(limit: left)
            left -= try await session.resealDocuments(limit: left)
            while left > 0 {
                let count = try await session.resealKeys(limit: min(left, Self.rowsPerStatement))
                if count == 0 { break }
                left -= count
            }
            return max(0, limit) - left
        }
    }

    func resealed(_ sealed: [UInt8], for subject: Sealer.Subject, _ what: @autoclosure () -> String) throws(PostgreSQLError) -> [UInt8] {
        sealer.seal(try opened(what()) { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: subject) }, for: subject)
    }

    private func resealCheckValue(limit: Int) async throws(PostgreSQLError) -> Int {
        let found = try await run(
            "SELECT check_value FROM rotator_schema WHERE substr(check_value, 1, 5) <> $2 LIMIT $1 FOR UPDATE", .integer(Int64(limit)), .octets(sealer.prefix))
        for row in found.rows {
            let sealed = try resealed(found.octets(row, 0), for: .check, "the value that tells the encryption key")
            _ = try await run("UPDATE rotator_schema SET check_value = $1", .octets(sealed))
        }
        return found.rows.count
    }

    private func resealHeaders(limit: Int) async throws(PostgreSQLError) -> Int {
        let found = try await run(
            "SELECT id, sealed_headers FROM rotator_services WHERE substr(sealed_headers, 1, 5) <> $2 ORDER BY id LIMIT $1 FOR UPDATE", .integer(Int64(limit)),
            .octets(sealer.prefix))
        for row in found.rows {
            let id = ServiceID(found.integer(row, 0))
            let sealed = try resealed(found.octets(row, 1), for: .headers(id), "the headers of service \(id)")
            _ = try await run("UPDATE rotator_services SET sealed_headers = $2 WHERE id = $1", .integer(id.rawValue), .octets(sealed))
        }
        return found.rows.count
    }

    private func resealSettings(limit: Int) async throws(PostgreSQLError) -> Int {
        let found = try await run(
            "SELECT name, sealed_value FROM rotator_settings WHERE substr(sealed_value, 1, 5) <> $2 ORDER BY name LIMIT $1 FOR UPDATE", .integer(Int64(limit)),
            .octets(sealer.prefix))
        for row in found.rows {
            let name = found.text(row, 0)
            let sealed = try resealed(found.octets(row, 1), for: .setting(name), "the setting \(name)")
            _ = try await run("UPDATE rotator_settings SET sealed_value = $2 WHERE name = $1", .text(name), .octets(sealed))
        }
        return found.rows.count
    }

    private func resealKeys(limit: Int) async throws(PostgreSQLError) -> Int {
        let found = try await run(
            "SELECT id, sealed_value, service_id FROM rotator_keys WHERE substr(sealed_value, 1, 5) <> $2 ORDER BY id LIMIT $1 FOR UPDATE",
            .integer(Int64(limit)), .octets(sealer.prefix))
        var ids: [KeyID] = []
        var values: [[UInt8]] = []
        var digests: [[UInt8]?] = []
        var seen: Set<[UInt8]> = []
        for row in found.rows {
            let id = KeyID(found.integer(row, 0))
            let sealed = found.octets(row, 1)
            let secret = try opened("key \(id)") { () throws(Sealer.Failure) in try sealer.openSecret(sealed, for: .key(id)) }
            let digest = sealer.digest(of: secret, in: ServiceID(found.integer(row, 2)))
            ids.append(id)
            values.append(sealer.seal(secret, for: .key(id)))
            digests.append(seen.insert(digest).inserted ? digest : nil)
        }
        do throws(PostgreSQLError) {
            // A value that came in twice while both keys were in use keeps its old digest, which stands in nobody's way.
            _ = try await run(
                """
                UPDATE rotator_keys AS k SET sealed_value = n.sealed_value, digest = CASE
                    WHEN n.digest IS NULL THEN k.digest
                    WHEN EXISTS (SELECT FROM rotator_keys AS o WHERE o.service_id = k.service_id AND o.digest = n.digest AND o.id <> k.id) THEN k.digest
                    ELSE n.digest END
                FROM unnest($1, $2, $3) AS n (id, sealed_value, digest) WHERE k.id = n.id
                """, .integers(ids.map(\.rawValue)), .octetStrings(values), .octetStrings(digests))
        } catch {
            // The same value has come in just now, on another replica.
            throw error.sqlState == "23505" ? PostgreSQLError(sqlState: "40001", at: connector.place) : error
        }
        return ids.count
    }
}
