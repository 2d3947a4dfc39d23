// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The schema: whose the database is, its version, the key under which it was sealed.
extension PostgreSQLSession {
    /// Checks that the database can be a store's under this key. Changes nothing.
    func inspect() async throws(StoreError) {
        // Not in one transaction: looking a table up sees what was committed since a transaction's snapshot was taken, its rows do not. What looks wrong
        // while another replica makes the tables is looked at once more.
        do throws(StoreError) {
            try await call(within: Limit.short) { session throws(PostgreSQLError) in _ = try await session.examine() }
        } catch {
            guard [.damaged, .misconfigured].contains(error.code) else { throw error }
            await loop.sleep(until: .now + .milliseconds(200))
            try await call(within: Limit.short) { session throws(PostgreSQLError) in _ = try await session.examine() }
        }
    }

    /// Brings the tables to this version, in one transaction. Of several sessions that do so at once, one does and the others find it done.
    func migrate() async throws(StoreError) {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            // Whoever else is at it may take longer than any lock of ours should.
            try await session.runAll("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0")
            _ = try await session.run("SELECT pg_advisory_xact_lock(hashtextextended('api-key-rotator/' || current_schema(), 0))")
            let found = try await session.examine()
            guard found.version < PostgreSQLSchema.version else { return }
            for step in PostgreSQLSchema.steps[Int(found.version)...] { try await session.runAll(step) }
            let checkValue = found.checkValue ?? session.sealer.seal(Array("rotator".utf8), for: .check)
            _ = try await session.run(
                "UPDATE rotator_schema SET version = $1, check_value = $2", .integer(PostgreSQLSchema.version), .octets(checkValue))
        }
    }

    /// Makes one round trip that needs the tables.
    func ping() async throws(StoreError) { _ = try await epoch() }

    @discardableResult
    private func examine() async throws(PostgreSQLError) -> PostgreSQLInspection {
        let place = connector.place
        let tables = try await run(
            "SELECT to_regclass('rotator_schema') IS NOT NULL, EXISTS (SELECT FROM unnest($1) AS name WHERE to_regclass(name) IS NOT NULL)",
            .texts(PostgreSQLSchema.tables))
        guard tables.boolean(0, 0) else {
            if tables.boolean(0, 1) {
                throw PostgreSQLError(.misconfigured, "\(place): the database has tables of another program under the store's names; nothing was changed")
            }
            return PostgreSQLInspection(version: 0, checkValue: nil)
        }
        let found = try await run("SELECT version, check_value FROM rotator_schema")
        guard found.rows.count == 1 else { throw PostgreSQLError(.damaged, "\(place): the table of the schema's version is empty; nothing was changed") }
        let inspection = PostgreSQLInspection(version: found.integer(0, 0), checkValue: found.octets(0, 1))
        guard inspection.version <= PostgreSQLSchema.version else {
            throw PostgreSQLError(
                .misconfigured,
                "\(place) was written by a newer version (schema \(inspection.version), this one knows \(PostgreSQLSchema.version)); nothing was changed")
        }
        do throws(Sealer.Failure) {
            _ = try sealer.openOctets(inspection.checkValue ?? [], for: .check)
        } catch {
            switch error {
            case .damaged: throw PostgreSQLError(.damaged, "\(place) is damaged: the value that tells its encryption key cannot be read; nothing was changed")
            case .otherKey: throw PostgreSQLError(.wrongEncryptionKey, "\(place) was sealed under another encryption key; nothing was changed")
            }
        }
        return inspection
    }

    /// What was sealed for a subject, or `damaged` with `what` it was.
    func opened<Value>(_ what: @autoclosure () -> String, _ body: () throws(Sealer.Failure) -> Value) throws(PostgreSQLError) -> Value {
        do throws(Sealer.Failure) {
            return try body()
        } catch {
            switch error {
            case .damaged: throw PostgreSQLError(.damaged, "\(connector.place): \(what()) is damaged: its seal does not hold")
            case .otherKey: throw PostgreSQLError(.wrongEncryptionKey, "\(connector.place): \(what()) was sealed under another encryption key")
            }
        }
    }
}
