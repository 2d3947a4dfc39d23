// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization

/// One process's way to documents, which can be cut: as if the process had been killed.
final class CuttableDocuments: DocumentStore, Sendable {
    private let documents: any DocumentStore
    private let isCut = Mutex(false)
    private let count = Mutex(0)

    /// How often all documents were looked through.
    var listings: Int { count.withLock(\.self) }

    init(_ documents: any DocumentStore) { self.documents = documents }

    func cut() { isCut.withLock { $0 = true } }

    private func check() throws(StoreError) {
        if isCut.withLock({ $0 }) { throw StoreError(.unavailable, "cut") }
    }

    func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        try check()
        defer { count.withLock { $0 += 1 } }
        return try await documents.documents(kind, after: after, limit: limit)
    }

    func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        try check()
        return try await documents.document(kind, named: name)
    }

    func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        try check()
        return try await documents.insertDocument(kind, named: name, body: body)
    }

    func replaceDocument(_ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?) async throws(StoreError) -> Int64 {
        try check()
        return try await documents.replaceDocument(kind, id, named: name, body: body, expecting: revision)
    }

    func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        try check()
        try await documents.deleteDocument(kind, id)
    }
}
