// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The standing of keys, and what was counted of them.
extension PostgreSQLSession {
    /// How many rows a statement takes or gives at most.
    static let rowsPerStatement = 1000
    /// How many rows are sealed or opened before the loop serves others again.
    static let rowsPerTurn = 100

    func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        // In the order of numbers, so that writers who meet wait for each other, and not for ever.
        let updates = updates.sorted { $0.key < $1.key }
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            if let batch, try await !session.isNew(batch) { return }
            var later: [(key: KeyID, standing: StandingRecord)] = []
            for start in stride(from: 0, to: updates.count, by: Self.rowsPerStatement) {
                later += try await session.addCounts(updates[start..<min(start + Self.rowsPerStatement, updates.count)])
            }
            guard !later.isEmpty else { return }
            let epoch = try await session.nextStandingEpoch()
            for start in stride(from: 0, to: later.count, by: Self.rowsPerStatement) {
                try await session.write(later[start..<min(start + Self.rowsPerStatement, later.count)], epoch: epoch)
            }
        }
    }

    /// Notes a batch; false when it has been written. A writer's first one also takes away those of writers who have been silent for a day.
    private func isNew(_ batch: LedgerBatch) async throws(PostgreSQLError) -> Bool {
        if batch.number == 1 { _ = try await run("DELETE FROM rotator_writers WHERE written_at < now() - interval '1 day'") }
        return try await run(
            """
            INSERT INTO rotator_writers AS w (name, batch, written_at) VALUES ($1, $2, now())
            ON CONFLICT (name) DO UPDATE SET batch = excluded.batch, written_at = excluded.written_at WHERE w.batch < excluded.batch
            """, .text(batch.writer), .integer(batch.number)
        ).changeCount > 0
    }

    /// Adds up, makes rows where there are none, and locks them. Returns those standings that are not older than what is there.
    private func addCounts(_ updates: ArraySlice<(key: KeyID, value: StandingUpdate)>) async throws(PostgreSQLError) -> [(key: KeyID, standing: StandingRecord)] {
        let found = try await run(
            """
            INSERT INTO rotator_standings AS s (key_id, success_count, failure_count, last_used_at_ns)
            SELECT k.id, u.successes, u.failures, u.used_at
            FROM unnest($1, $2, $3, $4) AS u (key_id, successes, failures, used_at) JOIN rotator_keys AS k ON k.id = u.key_id
            ORDER BY k.id FOR KEY SHARE OF k
            ON CONFLICT (key_id) DO UPDATE SET
                success_count = least(s.success_count::numeric + excluded.success_count, 9223372036854775807)::bigint,
                failure_count = least(s.failure_count::numeric + excluded.failure_count, 9223372036854775807)::bigint,
                last_used_at_ns = greatest(s.last_used_at_ns, excluded.last_used_at_ns)
            RETURNING s.key_id, s.reset_count, s.decided_at_ns
            """,
            .integers(updates.map(\.key.rawValue)), .integers(updates.map(\.value.counts.successes)), .integers(updates.map(\.value.counts.failures)),
            .integers(updates.map(\.value.counts.lastUsedAt?.nanoseconds)))
        var known: [KeyID: StandingRecord] = [:]
        for row in found.rows {
            var standing = StandingRecord()
            standing.resetCount = found.integer(row, 1)
            standing.decidedAt = Moment(nanoseconds: found.integer(row, 2))
            known[KeyID(found.integer(row, 0))] = standing
        }
        return updates.compactMap { key, update in
            guard let standing = update.standing, let present = known[key], !standing.isOlder(than: present) else { return nil }
            return (key, standing)
        }
    }

    /// Writes standings into rows that are locked.
    private func write(_ standings: ArraySlice<(key: KeyID, standing: StandingRecord)>, epoch: Int64) async throws(PostgreSQLError) {
        func integers(_ member: (StandingRecord) -> Int64?) -> PostgreSQLValue { .integers(standings.map { member($0.standing) }) }
        _ = try await run(
            """
            UPDATE rotator_standings AS s SET state = u.state, until_ns = u.until_ns, reason = u.reason, model_rests = u.model_rests, rejections = u.rejections,
                rate_limit_level = u.rate_limit_level, exhaustion_level = u.exhaustion_level, forbidden_level = u.forbidden_level,
                upstream_failures = u.upstream_failures, circuit_level = u.circuit_level, circuit_until_ns = u.circuit_until_ns,
                decided_at_ns = u.decided_at_ns, reset_count = u.reset_count, epoch = $1
            FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS u (key_id, state, until_ns, reason, model_rests, rejections,
                rate_limit_level, exhaustion_level, forbidden_level, upstream_failures, circuit_level, circuit_until_ns, decided_at_ns, reset_count)
            WHERE s.key_id = u.key_id
            """,
            .integer(epoch), .integers(standings.map(\.key.rawValue)), .texts(standings.map(\.standing.state.rawValue)), integers { $0.until?.nanoseconds },
            .texts(standings.map(\.standing.reason)), .texts(standings.map { ModelRestDocument.encode($0.standing.models) }), integers { Int64($0.rejections) },
            integers { Int64($0.rateLimitLevel) }, integers { Int64($0.exhaustionLevel) }, integers { Int64($0.forbiddenLevel) },
            integers { Int64($0.upstreamFailures) }, integers { Int64($0.circuitLevel) }, integers { $0.circuitUntil?.nanoseconds },
            integers { $0.decidedAt.nanoseconds }, integers { $0.resetCount })
    }

    /// The standing in a row whose columns begin at `first`, in the order in which they stand in the table.
    func standing(of key: KeyID, in result: borrowing PostgreSQLResult, _ row: Int, from first: Int) throws(PostgreSQLError) -> StandingRecord {
        guard let state = StandingRecord.State(rawValue: result.text(row, first)), let models = ModelRestDocument.decode(result.text(row, first + 3)) else {
            throw PostgreSQLError(.damaged, "\(connector.place): the standing of key \(key) cannot be read")
        }
        var standing = StandingRecord()
        standing.state = state
        standing.until = result.optionalInteger(row, first + 1).map { Moment(nanoseconds: $0) }
        standing.reason = result.text(row, first + 2)
        standing.models = models
        standing.rejections = Int(result.integer(row, first + 4))
        standing.rateLimitLevel = Int(result.integer(row, first + 5))
        standing.exhaustionLevel = Int(result.integer(row, first + 6))
        standing.forbiddenLevel = Int(result.integer(row, first + 7))
        standing.upstreamFailures = Int(result.integer(row, first + 8))
        standing.circuitLevel = Int(result.integer(row, first + 9))
        standing.circuitUntil = result.optionalInteger(row, first + 10).map { Moment(nanoseconds: $0) }
        standing.decidedAt = Moment(nanoseconds: result.integer(row, first + 11))
        standing.resetCount = result.integer(row, first + 12)
        return standing
    }

    func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] {
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            var counts: [KeyID: KeyCounts] = [:]
            for start in stride(from: 0, to: keys.count, by: Self.rowsPerStatement) {
                let found = try await session.run(
                    """
                    SELECT k.id, s.success_count, s.failure_count, s.last_used_at_ns
                    FROM rotator_keys AS k LEFT JOIN rotator_standings AS s ON s.key_id = k.id WHERE k.id = ANY ($1)
                    """, .integers(keys[start..<min(start + Self.rowsPerStatement, keys.count)].map(\.rawValue)))
                for row in found.rows { counts[KeyID(found.integer(row, 0))] = Self.counts(in: found, row, from: 1) }
            }
            return counts
        }
    }

    static func counts(in result: borrowing PostgreSQLResult, _ row: Int, from first: Int) -> KeyCounts {
        KeyCounts(
            successes: result.integer(row, first), failures: result.integer(row, first + 1),
            lastUsedAt: result.optionalInteger(row, first + 2).map { Moment(nanoseconds: $0) })
    }
}

/// Rests for one model alone as a JSON document; an empty text for none. JSON, because it keeps whatever name a request gave to its model.
private struct ModelRestDocument: Codable {
    private var model: String
    private var until_ns: Int64
    private var reason: String
    private var level: Int

    static func encode(_ rests: [StandingRecord.ModelRest]) -> String {
        if rests.isEmpty { return "" }
        let documents = rests.map { ModelRestDocument(model: $0.model, until_ns: $0.until.nanoseconds, reason: $0.reason, level: $0.level) }
        guard let data = try? JSONEncoder().encode(documents) else { preconditionFailure("strings and integers are always JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    static func decode(_ text: String) -> [StandingRecord.ModelRest]? {
        if text.isEmpty { return [] }
        return (try? JSONDecoder().decode([ModelRestDocument].self, from: Data(text.utf8)))?.map {
            StandingRecord.ModelRest(model: $0.model, until: Moment(nanoseconds: $0.until_ns), reason: $0.reason, level: $0.level)
        }
    }
}
