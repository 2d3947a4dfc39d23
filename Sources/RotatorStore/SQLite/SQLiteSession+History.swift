// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Rows of history.
extension SQLiteSession {
    mutating func writeHistory(_ rows: [HistoryRow]) throws(StoreError) {
        try requireTables()
        try connection.write { () throws(StoreError) in
            try naming { connection throws(SQLiteError) in
                var statement = try PreparedStatement(
                    """
                    INSERT INTO history (resolution, dimension, start, subject, writer, tally) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                    ON CONFLICT (resolution, dimension, start, subject, writer) DO UPDATE SET tally = ?6
                    """, on: connection)
                for row in rows {
                    try statement.bind(row.resolution.rawValue, at: 1)
                    try statement.bind(row.dimension.rawValue, at: 2)
                    try statement.bind(row.start, at: 3)
                    try statement.bind(row.subject, at: 4)
                    try statement.bind(row.writer, at: 5)
                    try statement.bind(row.tally, at: 6)
                    try statement.run()
                }
            }
        }
    }

    mutating func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) throws(StoreError) -> [HistoryRow] {
        try requireTables()
        var statement = try naming { connection throws(SQLiteError) in
            // Left to itself, SQLite reads all subjects of a range of starts.
            let sql: StaticString =
                subject == nil
                ? "SELECT start, subject, writer, tally FROM history WHERE resolution = ?1 AND dimension = ?2 AND start >= ?3 AND start < ?4 ORDER BY start"
                : """
                SELECT start, subject, writer, tally FROM history INDEXED BY history_by_subject
                WHERE resolution = ?1 AND dimension = ?2 AND start >= ?3 AND start < ?4 AND subject = ?5 ORDER BY start
                """
            var statement = try PreparedStatement(sql, on: connection)
            if let subject { try statement.bind(subject, at: 5) }
            try statement.bind(resolution.rawValue, at: 1)
            try statement.bind(dimension.rawValue, at: 2)
            try statement.bind(from, at: 3)
            try statement.bind(to, at: 4)
            return statement
        }
        return try all(&statement) { statement throws(StoreError) in
            HistoryRow(
                resolution: resolution, start: statement.integer(0), dimension: dimension, subject: statement.text(1), writer: statement.text(2),
                tally: statement.octets(3))
        }
    }

    /// Forgets the first stretch that begins before `end`; false when there is none. One at a time, so that other writes have their turn between two.
    mutating func deleteFirstStretch(_ resolution: HistoryResolution, before end: Int64) throws(StoreError) -> Bool {
        guard let start = try historyStart(resolution, after: .min), start < end else { return false }
        try connection.write { () throws(StoreError) in
            try naming { connection throws(SQLiteError) in
                var statement = try PreparedStatement("DELETE FROM history WHERE resolution = ?1 AND dimension = ?2 AND start = ?3", on: connection)
                for dimension in HistoryDimension.allCases {
                    try statement.bind(resolution.rawValue, at: 1)
                    try statement.bind(dimension.rawValue, at: 2)
                    try statement.bind(start, at: 3)
                    try statement.run()
                }
            }
        }
        return true
    }

    mutating func historyStart(_ resolution: HistoryResolution, after start: Int64) throws(StoreError) -> Int64? {
        try requireTables()
        return try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("SELECT min(start) FROM history WHERE resolution = ?1 AND dimension = ?2 AND start > ?3", on: connection)
            var first: Int64?
            for dimension in HistoryDimension.allCases {
                try statement.bind(resolution.rawValue, at: 1)
                try statement.bind(dimension.rawValue, at: 2)
                try statement.bind(start, at: 3)
                if try statement.step(), let found = statement.optionalInteger(0) { first = min(first ?? found, found) }
                statement.reset()
            }
            return first
        }
    }
}
