// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What replicas share.
extension PostgreSQLSession {
    func leaseTickets(_ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease {
        try await call(within: Limit.quick) { session throws(PostgreSQLError) in
            // The table is unlogged: a lease waits for no disk, and a crash of the server empties it. Then counting begins with the time in
            // nanoseconds, which is beyond every ticket that was handed out, for nobody takes one in a nanosecond.
            let leased = try await session.run(
                """
                INSERT INTO rotator_tickets AS t (service_id, next) VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + $2)
                ON CONFLICT (service_id) DO UPDATE SET next = t.next + $2
                RETURNING t.next - $2, (SELECT catalogue FROM rotator_epoch), (SELECT standings FROM rotator_epoch)
                """, .integer(service.rawValue), .integer(Int64(count)))
            return TicketLease(first: leased.integer(0, 0), count: count, epoch: ReplicaEpoch(catalogue: leased.integer(0, 1), standings: leased.integer(0, 2)))
        }
    }

    func epoch() async throws(StoreError) -> ReplicaEpoch {
        try await call(within: Limit.quick) { session throws(PostgreSQLError) in
            let found = try await session.run("SELECT catalogue, standings FROM rotator_epoch")
            guard !found.rows.isEmpty else { throw PostgreSQLError(.damaged, "\(session.connector.place): the row of the epochs is missing") }
            return ReplicaEpoch(catalogue: found.integer(0, 0), standings: found.integer(0, 1))
        }
    }

    func catalogueChanges(after revision: Int64) async throws(StoreError) -> CatalogueNews {
        // Every change asks this first: while the server is mute, its refusal must not take longer.
        try await call(within: Limit.quick) { session throws(PostgreSQLError) in
            // One statement sees one state. A revision of the future was reached before the database was set back to an older state.
            let found = try await session.run(
                """
                SELECT e.catalogue, $1 BETWEEN coalesce((SELECT min(revision) FROM rotator_changes) - 1, e.catalogue) AND e.catalogue, c.service_id
                FROM rotator_epoch AS e LEFT JOIN (
                    SELECT service_id, min(revision) AS first FROM rotator_changes WHERE revision > $1 AND writer <> $2 GROUP BY service_id
                ) AS c ON true ORDER BY c.first
                """, .integer(revision), .text(session.storeID))
            guard !found.rows.isEmpty else { throw PostgreSQLError(.damaged, "\(session.connector.place): the row of the epochs is missing") }
            let revision = found.integer(0, 0)
            guard found.boolean(0, 1) else { return CatalogueNews(changedServices: nil, revision: revision) }
            return CatalogueNews(numbers: found.rows.compactMap { found.optionalInteger($0, 2) }, revision: revision)
        }
    }

    func standings(after epoch: Int64) async throws(StoreError) -> StandingNews {
        try await call(within: Limit.short) { session throws(PostgreSQLError) in
            // Whoever knows an epoch outside of those that this database has had knows another state of it: he is told all there is.
            let found = try await session.run(
                """
                SELECT e.standings, $1 BETWEEN e.began AND e.standings, s.key_id, s.state, s.until_ns, s.reason, s.model_rests, s.rejections, s.rate_limit_level,
                    s.exhaustion_level, s.forbidden_level, s.upstream_failures, s.circuit_level, s.circuit_until_ns, s.decided_at_ns, s.reset_count
                FROM rotator_epoch AS e LEFT JOIN rotator_standings AS s
                    ON s.epoch > CASE WHEN $1 BETWEEN e.began AND e.standings THEN $1 ELSE 0 END
                """, .integer(epoch))
            guard !found.rows.isEmpty else { throw PostgreSQLError(.damaged, "\(session.connector.place): the row of the epochs is missing") }
            var standings: [KeyID: StandingRecord] = [:]
            for row in found.rows {
                if row % Self.rowsPerTurn == 0 { await Task.yield() }
                guard let key = found.optionalInteger(row, 2).map({ KeyID($0) }) else { continue }
                standings[key] = try session.standing(of: key, in: found, row, from: 3)
            }
            return StandingNews(standings: standings, epoch: found.integer(0, 0), isComplete: found.boolean(0, 1))
        }
    }

    /// Writes down what has changed and tells all replicas when the transaction is committed; the last statement of a transaction, for everybody else's
    /// waits until it ends. Does nothing where nothing has changed.
    func announceChange(of subjects: CatalogueSubject...) async throws(PostgreSQLError) { try await announceChanges(of: subjects) }

    /// As above.
    func announceChanges(of subjects: [CatalogueSubject]) async throws(PostgreSQLError) {
        guard !subjects.isEmpty else { return }
        _ = try await run(
            """
            WITH e AS (UPDATE rotator_epoch SET catalogue = catalogue + cardinality($1) RETURNING catalogue),
                written AS (
                    INSERT INTO rotator_changes (revision, service_id, writer)
                    SELECT e.catalogue - cardinality($1) + s.place, s.subject, $2 FROM e, unnest($1) WITH ORDINALITY AS s (subject, place)
                ),
                trimmed AS (DELETE FROM rotator_changes WHERE revision <= (SELECT catalogue FROM e) - 10000)
            SELECT pg_notify('rotator_news_' || md5(current_schema()), '') FROM e
            """, .integers(subjects.map(\.number)), .text(storeID))
    }

    /// The next epoch of standings; all replicas are told when the transaction is committed. Everybody else's waits until it ends.
    func nextStandingEpoch() async throws(PostgreSQLError) -> Int64 {
        try await run(
            """
            WITH e AS (UPDATE rotator_epoch SET standings = standings + 1 RETURNING standings)
            SELECT standings, pg_notify('rotator_news_' || md5(current_schema()), '') FROM e
            """
        ).integer(0, 0)
    }
}
