// SPDX-License-Identifier: MIT

internal import RotatorCore

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

    /// The three columns from `column` on.
    static func counts(in statement: borrowing PreparedStatement, from column: CInt) -> KeyCounts {
        KeyCounts(
            successes: statement.integer(column), failures: statement.integer(column + 1),
            lastUsedAt: statement.optionalInteger(column + 2).map { Moment(nanoseconds: $0) })
    }
}
