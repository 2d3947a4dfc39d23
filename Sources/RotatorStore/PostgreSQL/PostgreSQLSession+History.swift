// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Rows of history.
extension PostgreSQLSession {
    /// How many rows of history one statement takes, gives or deletes.
    private static let historyRowsPerStatement = 5000

    func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        // Each row once, the last that came, because one statement cannot write a row twice.
        var places: [HistoryPlace: Int] = [:]
        for (index, row) in rows.enumerated() {
            var row = row
            row.subject = PostgreSQLValue.kept(row.subject)
            places[HistoryPlace(row)] = index
        }
        let rows = places.values.sorted().map { rows[$0] }
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            for start in stride(from: 0, to: rows.count, by: Self.historyRowsPerStatement) {
                let piece = rows[start..<min(start + Self.historyRowsPerStatement, rows.count)]
                _ = try await session.run(
                    """
                    INSERT INTO rotator_history (resolution, dimension, start, subject, writer, tally)
                    SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
                    ON CONFLICT (resolution, dimension, start, subject, writer) DO UPDATE SET tally = excluded.tally
                    """, .integers(piece.map(\.resolution.rawValue)), .texts(piece.map(\.dimension.rawValue)), .integers(piece.map(\.start)),
                    .texts(piece.map(\.subject)), .texts(piece.map(\.writer)), .octetStrings(piece.map(\.tally)))
            }
        }
    }

    func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        try await transaction(.reading, within: Limit.long) { session throws(PostgreSQLError) in
            var rows: [HistoryRow] = []
            while true {
                let last = rows.last
                let after = [last?.subject, last?.writer].map { PostgreSQLValue.text($0 ?? "") }
                let limit = PostgreSQLValue.integer(Int64(Self.historyRowsPerStatement))
                let found: PostgreSQLResult
                // No writer is nameless, so the first page begins at the first row.
                if let subject {
                    found = try await session.run(
                        """
                        SELECT start, subject, writer, tally FROM rotator_history
                        WHERE resolution = $1 AND dimension = $2 AND subject = $3 AND start < $4 AND start >= $5 AND (start, writer) > ($5, $6)
                        ORDER BY start, writer LIMIT $7
                        """, .integer(resolution.rawValue), .text(dimension.rawValue), .text(subject), .integer(to), .integer(last?.start ?? from),
                        after[1], limit)
                } else {
                    found = try await session.run(
                        """
                        SELECT start, subject, writer, tally FROM rotator_history
                        WHERE resolution = $1 AND dimension = $2 AND start < $3 AND start >= $4 AND (start, subject, writer) > ($4, $5, $6)
                        ORDER BY start, subject, writer LIMIT $7
                        """, .integer(resolution.rawValue), .text(dimension.rawValue), .integer(to), .integer(last?.start ?? from), after[0], after[1],
                        limit)
                }
                for row in found.rows {
                    if row % Self.rowsPerStatement == 0 { await Task.yield() }
                    rows.append(
                        HistoryRow(
                            resolution: resolution, start: found.integer(row, 0), dimension: dimension, subject: found.text(row, 1),
                            writer: found.text(row, 2), tally: found.octets(row, 3)))
                }
                if found.rows.count < Self.historyRowsPerStatement { return rows }
            }
        }
    }

    /// Forgets some of the rows that begin before `end`; false when there are no more. Some at a time, so that other changes have their turn between two.
    func deleteSomeHistory(_ resolution: HistoryResolution, before end: Int64) async throws(StoreError) -> Bool {
        try await call(within: Limit.long) { session throws(PostgreSQLError) in
            try await session.run(
                """
                DELETE FROM rotator_history WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM rotator_history WHERE resolution = $1 AND dimension = ANY ($2) AND start < $3 LIMIT $4))
                """, .integer(resolution.rawValue), .texts(HistoryDimension.allCases.map(\.rawValue)), .integer(end),
                .integer(Int64(Self.historyRowsPerStatement))
            ).changeCount > 0
        }
    }

    func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64? {
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            let found = try await session.run(
                """
                SELECT min(first) FROM unnest($2) AS d (dimension),
                    LATERAL (SELECT min(start) AS first FROM rotator_history AS h WHERE h.resolution = $1 AND h.dimension = d.dimension AND h.start > $3) AS s
                """, .integer(resolution.rawValue), .texts(HistoryDimension.allCases.map(\.rawValue)), .integer(start))
            return found.optionalInteger(0, 0)
        }
    }
}
