// SPDX-License-Identifier: MIT

public import RotatorCore

/// The SQLite file of the original Go service. Read, never written; everything here blocks.
public enum GoServiceDatabase {
    /// Whether the file at `path` is the Go service's: a database that is not ours and has its two tables.
    public static func isThere(at path: String) -> Bool {
        guard case .file(1...)? = try? FileSystem.entry(at: path), let connection = try? SQLiteConnection(readingOnly: path) else { return false }
        guard let application = try? connection.integer("PRAGMA application_id"), application != SQLiteSchema.applicationID else { return false }
        let tables = try? connection.integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('proxy_configs', 'api_keys')")
        return tables == 2
    }

    /// The services and keys of the file at `path`, as they stand at one moment.
    ///
    /// - Parameter fault: Says why a configuration is none that the server could work with.
    /// - Throws: `damaged` or `unavailable` when it cannot be read.
    public static func catalogue(at path: String, fault: (ServiceConfiguration) -> String?) throws(StoreError) -> ImportedCatalogue {
        let connection = try storeErrors { () throws(SQLiteError) in try SQLiteConnection(readingOnly: path) }
        let rows = try connection.read { () throws(StoreError) in
            var rows = GoServiceRows()
            try add("SELECT * FROM proxy_configs ORDER BY id", of: .services, to: &rows, connection)
            try add("SELECT * FROM api_keys ORDER BY id", of: .keys, to: &rows, connection)
            return rows
        }
        return rows.catalogue(fault: fault)
    }

    private static func add(
        _ sql: StaticString, of table: GoServiceRows.Table, to rows: inout GoServiceRows, _ connection: borrowing SQLiteConnection
    ) throws(StoreError) {
        try storeErrors { () throws(SQLiteError) in
            var statement = try PreparedStatement(sql, on: connection)
            let columns = statement.columnNames.map { $0.lowercased() }
            while try statement.step() {
                let values = columns.indices.map { statement.isNull(CInt($0)) ? ForeignValue.null : .octets(statement.octets(CInt($0))) }
                rows.add(ForeignRow(columns: columns, values: values), to: table)
            }
        }
    }
}
