// SPDX-License-Identifier: MIT

internal import RotatorCore

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
        try auditEntries("SELECT id, at_ns, actor, action, subject FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2", from: after, limit: limit)
    }

    mutating func auditEntries(before: Int64, limit: Int) throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try auditEntries("SELECT id, at_ns, actor, action, subject FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2", from: before, limit: limit)
    }

    private mutating func auditEntries(_ sql: StaticString, from id: Int64, limit: Int) throws(StoreError) -> [(id: Int64, entry: AuditEntry)] {
        try requireTables()
        return try mapping(sql, on: id, Int64(limit)) { statement throws(StoreError) in
            let entry = AuditEntry(
                at: Moment(nanoseconds: statement.integer(1)), actor: statement.text(2), action: statement.text(3), subject: statement.text(4))
            return (id: statement.integer(0), entry: entry)
        }
    }
}
