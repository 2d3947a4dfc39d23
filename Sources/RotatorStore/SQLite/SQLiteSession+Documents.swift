// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Small documents.
extension SQLiteSession {
    /// How many documents, each up to 1 MiB, are in memory at once while they are sealed anew.
    private static let documentsPerTurn = 16

    mutating func documents(_ kind: DocumentKind, after: Int64, limit: Int) throws(StoreError) -> [StoredDocument] {
        try requireTables()
        var statement = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(
                "SELECT id, name, sealed_body, revision FROM documents WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            try statement.bind(after, at: 2)
            try statement.bind(Int64(limit), at: 3)
            return statement
        }
        return try all(&statement) { statement throws(StoreError) in try document(kind, in: statement) }
    }

    mutating func document(_ kind: DocumentKind, named name: String) throws(StoreError) -> StoredDocument? {
        try requireTables()
        var statement = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("SELECT id, name, sealed_body, revision FROM documents WHERE kind = ?1 AND name = ?2", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            try statement.bind(name, at: 2)
            return statement
        }
        return try all(&statement) { statement throws(StoreError) in try document(kind, in: statement) }.first
    }

    private func document(_ kind: DocumentKind, in statement: borrowing PreparedStatement) throws(StoreError) -> StoredDocument {
        let id = statement.integer(0)
        let sealed = statement.octets(2)
        let body = try opened("\(kind.rawValue) \(id)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .document(kind, id)) }
        return StoredDocument(id: id, name: statement.text(1), body: body, revision: statement.integer(3))
    }

    mutating func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) throws(StoreError) -> StoredDocument {
        try requireTables()
        return try connection.write { () throws(StoreError) in try addDocument(kind, named: name, body: body) }
    }

    mutating func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) throws(StoreError) -> Int64 {
        try requireTables()
        return try connection.write { () throws(StoreError) in try changeDocument(kind, id, named: name, body: body, expecting: revision) }
    }

    mutating func deleteDocument(_ kind: DocumentKind, _ id: Int64) throws(StoreError) {
        try requireTables()
        try removeDocument(kind, id)
        // What changes often holds no credential.
        if kind.isFollowed { truncateLog() }
    }

    mutating func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) throws(StoreError) -> Int {
        try requireTables()
        return try connection.write { () throws(StoreError) in
            try naming { connection throws(SQLiteError) in
                var insertion = try PreparedStatement(
                    "INSERT INTO documents (kind, id, name, sealed_body, revision) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING", on: connection)
                var count = 0
                for document in documents {
                    try insertion.bind(kind.rawValue, at: 1)
                    try insertion.bind(document.id, at: 2)
                    try insertion.bind(document.name, at: 3)
                    try insertion.bind(sealer.seal(document.body, for: .document(kind, document.id)), at: 4)
                    try insertion.bind(document.revision, at: 5)
                    try insertion.run()
                    count += connection.changeCount
                }
                var number = try PreparedStatement(
                    "INSERT INTO document_numbers (kind, last) VALUES (?1, ?2) ON CONFLICT (kind) DO UPDATE SET last = max(last, ?2)", on: connection)
                try number.bind(kind.rawValue, at: 1)
                try number.bind(documents.map(\.id).max() ?? 0, at: 2)
                try number.run()
                return count
            }
        }
    }

    // MARK: Within a transaction

    func addDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) throws(StoreError) -> StoredDocument {
        // The number is part of what is sealed, so it must be known before the row is.
        let id = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(
                "INSERT INTO document_numbers (kind, last) VALUES (?1, 1) ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            return try statement.step() ? statement.integer(0) : 0
        }
        let sealed = sealer.seal(body, for: .document(kind, id))
        try nameConflicts(kind) { connection throws(SQLiteError) in
            var statement = try PreparedStatement("INSERT INTO documents (kind, id, name, sealed_body, revision) VALUES (?1, ?2, ?3, ?4, 1)", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            try statement.bind(id, at: 2)
            try statement.bind(name, at: 3)
            try statement.bind(sealed, at: 4)
            try statement.run()
        }
        return StoredDocument(id: id, name: name, body: body, revision: 1)
    }

    func changeDocument(_ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting expected: Int64?) throws(StoreError) -> Int64 {
        let present: Int64? = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("SELECT revision FROM documents WHERE kind = ?1 AND id = ?2", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            try statement.bind(id, at: 2)
            return try statement.step() ? statement.integer(0) : nil
        }
        guard let present else { throw .noDocument(id, of: kind) }
        if let expected, expected != present { throw .documentHasChanged(id, of: kind) }
        let sealed = sealer.seal(body, for: .document(kind, id))
        try nameConflicts(kind) { connection throws(SQLiteError) in
            var statement = try PreparedStatement(
                "UPDATE documents SET name = ?3, sealed_body = ?4, revision = ?5 WHERE kind = ?1 AND id = ?2", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            try statement.bind(id, at: 2)
            try statement.bind(name, at: 3)
            try statement.bind(sealed, at: 4)
            try statement.bind(present + 1, at: 5)
            try statement.run()
        }
        return present + 1
    }

    /// Seals up to `limit` documents anew.
    func resealDocuments(limit: Int) throws(StoreError) -> Int {
        var count = 0
        while count < limit {
            var statement = try naming { connection throws(SQLiteError) in
                var statement = try PreparedStatement(
                    "SELECT kind, id, sealed_body FROM documents WHERE substr(sealed_body, 1, 5) <> ?2 ORDER BY kind, id LIMIT ?1", on: connection)
                try statement.bind(Int64(min(limit - count, Self.documentsPerTurn)), at: 1)
                try statement.bind(sealer.prefix, at: 2)
                return statement
            }
            let rows = try all(&statement) { statement throws(StoreError) in
                guard let kind = DocumentKind(rawValue: statement.text(0)) else { throw StoreError(.damaged, "a document is of a kind that this version does not know") }
                let id = statement.integer(1)
                return (kind: kind, id: id, sealed: try resealed(statement.octets(2), for: .document(kind, id), "\(kind.rawValue) \(id)"))
            }
            if rows.isEmpty { break }
            try naming { connection throws(SQLiteError) in
                var write = try PreparedStatement("UPDATE documents SET sealed_body = ?3 WHERE kind = ?1 AND id = ?2", on: connection)
                for row in rows {
                    try write.bind(row.kind.rawValue, at: 1)
                    try write.bind(row.id, at: 2)
                    try write.bind(row.sealed, at: 3)
                    try write.run()
                }
            }
            count += rows.count
        }
        return count
    }

    private func removeDocument(_ kind: DocumentKind, _ id: Int64) throws(StoreError) {
        let count = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("DELETE FROM documents WHERE kind = ?1 AND id = ?2", on: connection)
            try statement.bind(kind.rawValue, at: 1)
            try statement.bind(id, at: 2)
            try statement.run()
            return connection.changeCount
        }
        if count == 0 { throw .noDocument(id, of: kind) }
    }

    /// Does `body`; a unique value that is taken can only be the name.
    private func nameConflicts(_ kind: DocumentKind, _ body: (borrowing SQLiteConnection) throws(SQLiteError) -> Void) throws(StoreError) {
        do throws(StoreError) {
            try naming(body)
        } catch {
            throw error.code == .conflict ? .nameIsTaken(by: kind) : error
        }
    }
}

/// A list of changes.
extension SQLiteSession {
    mutating func apply(_ changes: [CatalogueChange]) throws(StoreError) -> [CatalogueChangeResult] {
        try requireTables()
        var hasRemoved = false
        let results = try connection.write { () throws(StoreError) in
            var results: [CatalogueChangeResult] = []
            results.reserveCapacity(changes.count)
            for change in changes {
                switch change {
                case .insertService(let configuration): results.append(.service(try addService(configuration)))
                case .updateService(let service):
                    try changeService(service)
                    results.append(.done)
                case .insertKeys(let keys, let reference): results.append(.keys(try addKeys(keys, into: try results.service(reference))))
                case .updateKey(let id, let name, let weight, let isActive, let attributes):
                    try changeKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
                    results.append(.done)
                case .insertDocument(let kind, let name, let body): results.append(.document(try addDocument(kind, named: name, body: body)))
                case .replaceDocument(let kind, let id, let name, let body):
                    let revision = try changeDocument(kind, id, named: name, body: body, expecting: nil)
                    results.append(.document(StoredDocument(id: id, name: name, body: body, revision: revision)))
                case .deleteService(let id):
                    try removeService(id)
                    results.append(.done)
                    hasRemoved = true
                case .deleteKeys(let ids, let service):
                    _ = try removeKeys(ids, of: service)
                    results.append(.done)
                    hasRemoved = true
                case .deleteDocument(let kind, let id):
                    try removeDocument(kind, id)
                    results.append(.done)
                    hasRemoved = true
                }
            }
            return results
        }
        if hasRemoved { truncateLog() }
        return results
    }
}
