// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Small documents.
extension PostgreSQLSession {
    /// How many documents, each up to 1 MiB, one statement takes or gives.
    private static let documentsPerStatement = 16

    func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        try await call(within: Limit.long) { session throws(PostgreSQLError) in
            let found = try await session.run(
                "SELECT id, name, sealed_body, revision FROM rotator_documents WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3", .text(kind.rawValue),
                .integer(after), .integer(Int64(limit)))
            var documents: [StoredDocument] = []
            for row in found.rows {
                if row % Self.documentsPerStatement == 0 { await Task.yield() }
                documents.append(try session.document(kind, in: found, row))
            }
            return documents
        }
    }

    func document(_ kind: DocumentKind, named name: String, within limit: Duration) async throws(StoreError) -> StoredDocument? {
        try await call(within: limit) { session throws(PostgreSQLError) in
            let found = try await session.run(
                "SELECT id, name, sealed_body, revision FROM rotator_documents WHERE kind = $1 AND name = $2", .text(kind.rawValue), .text(name))
            return found.rows.isEmpty ? nil : try session.document(kind, in: found, 0)
        }
    }

    private func document(_ kind: DocumentKind, in result: borrowing PostgreSQLResult, _ row: Int) throws(PostgreSQLError) -> StoredDocument {
        let id = result.integer(row, 0)
        let sealed = result.octets(row, 2)
        let body = try opened("\(kind.rawValue) \(id)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .document(kind, id)) }
        return StoredDocument(id: id, name: result.text(row, 1), body: body, revision: result.integer(row, 3))
    }

    func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            let document = try await session.addDocument(kind, named: name, body: body)
            if kind.isFollowed { try await session.announceChange(of: .documents(kind)) }
            return document
        }
    }

    func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?, within limit: Duration
    ) async throws(StoreError) -> Int64 {
        // One statement is a transaction of its own: what nobody has to be told of takes one round trip.
        guard kind.isFollowed else {
            return try await call(within: limit) { session throws(PostgreSQLError) in
                try await session.changeDocument(kind, id, named: name, body: body, expecting: revision)
            }
        }
        return try await transaction(within: limit) { session throws(PostgreSQLError) in
            let revision = try await session.changeDocument(kind, id, named: name, body: body, expecting: revision)
            try await session.announceChange(of: .documents(kind))
            return revision
        }
    }

    func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        try await transaction(within: Limit.short) { session throws(PostgreSQLError) in
            try await session.removeDocument(kind, id)
            if kind.isFollowed { try await session.announceChange(of: .documents(kind)) }
        }
    }

    func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            _ = try await session.run(
                """
                INSERT INTO rotator_document_numbers AS n (kind, last) VALUES ($1, $2)
                ON CONFLICT (kind) DO UPDATE SET last = greatest(n.last, excluded.last)
                """, .text(kind.rawValue), .integer(documents.map(\.id).max() ?? 0))
            var count = 0
            for start in stride(from: 0, to: documents.count, by: Self.documentsPerStatement) {
                let piece = documents[start..<min(start + Self.documentsPerStatement, documents.count)]
                count += try await session.run(
                    """
                    INSERT INTO rotator_documents (kind, id, name, sealed_body, revision)
                    SELECT $1, d.id, d.name, d.sealed_body, d.revision FROM unnest($2, $3, $4, $5) AS d (id, name, sealed_body, revision)
                    ON CONFLICT DO NOTHING
                    """, .text(kind.rawValue), .integers(piece.map(\.id)), .texts(piece.map(\.name)),
                    .octetStrings(piece.map { session.sealer.seal($0.body, for: .document(kind, $0.id)) }), .integers(piece.map(\.revision))
                ).changeCount
            }
            if kind.isFollowed, count > 0 { try await session.announceChange(of: .documents(kind)) }
            return count
        }
    }

    // MARK: Within a transaction

    func removeDocument(_ kind: DocumentKind, _ id: Int64) async throws(PostgreSQLError) {
        let deleted = try await run("DELETE FROM rotator_documents WHERE kind = $1 AND id = $2", .text(kind.rawValue), .integer(id))
        if deleted.changeCount == 0 { throw PostgreSQLError(.noDocument(id, of: kind)) }
    }

    func addDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(PostgreSQLError) -> StoredDocument {
        // The number is part of what is sealed, so it must be known before the row is. Whoever else adds one of this kind waits until this one is there.
        let id = try await run(
            """
            INSERT INTO rotator_document_numbers AS n (kind, last) VALUES ($1, 1) ON CONFLICT (kind) DO UPDATE SET last = n.last + 1 RETURNING last
            """, .text(kind.rawValue)
        ).integer(0, 0)
        let sealed = sealer.seal(body, for: .document(kind, id))
        do throws(PostgreSQLError) {
            _ = try await run(
                "INSERT INTO rotator_documents (kind, id, name, sealed_body, revision) VALUES ($1, $2, $3, $4, 1)", .text(kind.rawValue), .integer(id),
                .text(name), .octets(sealed))
        } catch {
            throw error.sqlState == "23505" ? PostgreSQLError(.nameIsTaken(by: kind)) : error
        }
        return StoredDocument(id: id, name: name, body: body, revision: 1)
    }

    /// Returns the new revision.
    func changeDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(PostgreSQLError) -> Int64 {
        let sealed = sealer.seal(body, for: .document(kind, id))
        let revisions: (new: Int64?, isThere: Bool)
        do throws(PostgreSQLError) {
            let changed = try await run(
                """
                WITH changed AS (
                    UPDATE rotator_documents SET name = $3, sealed_body = $4, revision = revision + 1
                    WHERE kind = $1 AND id = $2 AND revision = coalesce($5, revision) RETURNING revision
                )
                SELECT (SELECT revision FROM changed), EXISTS (SELECT FROM rotator_documents WHERE kind = $1 AND id = $2)
                """, .text(kind.rawValue), .integer(id), .text(name), .octets(sealed), .integer(revision))
            revisions = (changed.optionalInteger(0, 0), changed.boolean(0, 1))
        } catch {
            throw error.sqlState == "23505" ? PostgreSQLError(.nameIsTaken(by: kind)) : error
        }
        guard let new = revisions.new else {
            throw PostgreSQLError(revisions.isThere ? .documentHasChanged(id, of: kind) : .noDocument(id, of: kind))
        }
        return new
    }

    /// Seals up to `limit` documents anew.
    func resealDocuments(limit: Int) async throws(PostgreSQLError) -> Int {
        var count = 0
        while count < limit {
            let found = try await run(
                "SELECT kind, id, sealed_body FROM rotator_documents WHERE substr(sealed_body, 1, 5) <> $2 ORDER BY kind, id LIMIT $1 FOR UPDATE",
                .integer(Int64(min(limit - count, Self.documentsPerStatement))), .octets(sealer.prefix))
            if found.rows.isEmpty { break }
            for row in found.rows {
                guard let kind = DocumentKind(rawValue: found.text(row, 0)) else {
                    throw PostgreSQLError(.damaged, "\(connector.place): a document is of a kind that this version does not know")
                }
                let id = found.integer(row, 1)
                let sealed = try resealed(found.octets(row, 2), for: .document(kind, id), "\(kind.rawValue) \(id)")
                _ = try await run("UPDATE rotator_documents SET sealed_body = $3 WHERE kind = $1 AND id = $2", .text(kind.rawValue), .integer(id), .octets(sealed))
            }
            count += found.rows.count
        }
        return count
    }
}

/// A list of changes.
extension PostgreSQLSession {
    func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        try await transaction(within: Limit.long) { session throws(PostgreSQLError) in
            var results: [CatalogueChangeResult] = []
            results.reserveCapacity(changes.count)
            var changed: [CatalogueSubject] = []
            var known: Set<CatalogueSubject> = []
            func note(_ subject: CatalogueSubject) { if known.insert(subject).inserted { changed.append(subject) } }
            for change in changes {
                switch change {
                case .insertService(let configuration):
                    let record = try await session.addService(configuration)
                    note(.service(record.id))
                    results.append(.service(record))
                case .updateService(let service):
                    try await session.changeService(service)
                    note(.service(service.id))
                    results.append(.done)
                case .insertKeys(let keys, let reference):
                    let service: ServiceID
                    do throws(StoreError) { service = try results.service(reference) } catch { throw PostgreSQLError(error) }
                    let insertions = try await session.addKeys(keys, into: service)
                    if insertions.hasAny { note(.service(service)) }
                    results.append(.keys(insertions))
                case .updateKey(let id, let name, let weight, let isActive, let attributes):
                    note(.service(try await session.changeKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)))
                    results.append(.done)
                case .insertDocument(let kind, let name, let body):
                    results.append(.document(try await session.addDocument(kind, named: name, body: body)))
                    if kind.isFollowed { note(.documents(kind)) }
                case .replaceDocument(let kind, let id, let name, let body):
                    let revision = try await session.changeDocument(kind, id, named: name, body: body, expecting: nil)
                    results.append(.document(StoredDocument(id: id, name: name, body: body, revision: revision)))
                    if kind.isFollowed { note(.documents(kind)) }
                case .deleteService(let id):
                    try await session.removeService(id)
                    note(.service(id))
                    results.append(.done)
                case .deleteKeys(let ids, let service):
                    if try await session.removeKeys(ids, of: service) > 0 { note(.service(service)) }
                    results.append(.done)
                case .deleteDocument(let kind, let id):
                    try await session.removeDocument(kind, id)
                    if kind.isFollowed { note(.documents(kind)) }
                    results.append(.done)
                }
            }
            try await session.announceChanges(of: changed)
            return results
        }
    }
}
