// SPDX-License-Identifier: MIT

internal import RotatorCore

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
