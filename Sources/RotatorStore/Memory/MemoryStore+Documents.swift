// SPDX-License-Identifier: MIT

public import RotatorCore

/// The documents of one kind.
struct DocumentShelf: Sendable {
    var byNumber: [Int64: StoredDocument] = [:]
    /// By the octets of names, as databases compare them: Swift takes one text in two spellings for the same.
    var numbers: [[UInt8]: Int64] = [:]
    var last: Int64 = 0
}

extension MemoryStore: DocumentStore {
    public func documents(_ kind: DocumentKind, after: Int64, limit: Int) throws(StoreError) -> [StoredDocument] {
        try requireOpen()
        guard limit > 0, let shelf = shelves[kind] else { return [] }
        return shelf.byNumber.keys.filter { $0 > after }.sorted().prefix(limit).compactMap { shelf.byNumber[$0] }
    }

    public func document(_ kind: DocumentKind, named name: String) throws(StoreError) -> StoredDocument? {
        try requireOpen()
        guard let shelf = shelves[kind], let id = shelf.numbers[Array(name.utf8)] else { return nil }
        return shelf.byNumber[id]
    }

    public func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) throws(StoreError) -> StoredDocument {
        try requireOpen()
        var shelf = shelves[kind] ?? DocumentShelf()
        if shelf.numbers[Array(name.utf8)] != nil { throw .nameIsTaken(by: kind) }
        shelf.last += 1
        let document = StoredDocument(id: shelf.last, name: name, body: body, revision: 1)
        shelf.byNumber[document.id] = document
        shelf.numbers[Array(name.utf8)] = document.id
        shelves[kind] = shelf
        return document
    }

    public func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) throws(StoreError) -> Int64 {
        try requireOpen()
        guard var shelf = shelves[kind], let present = shelf.byNumber[id] else { throw .noDocument(id, of: kind) }
        if let revision, revision != present.revision { throw .documentHasChanged(id, of: kind) }
        if let holder = shelf.numbers[Array(name.utf8)], holder != id { throw .nameIsTaken(by: kind) }
        shelf.numbers[Array(present.name.utf8)] = nil
        shelf.numbers[Array(name.utf8)] = id
        shelf.byNumber[id] = StoredDocument(id: id, name: name, body: body, revision: present.revision + 1)
        shelves[kind] = shelf
        return present.revision + 1
    }

    public func deleteDocument(_ kind: DocumentKind, _ id: Int64) throws(StoreError) {
        try requireOpen()
        guard let document = shelves[kind]?.byNumber.removeValue(forKey: id) else { throw .noDocument(id, of: kind) }
        shelves[kind]?.numbers[Array(document.name.utf8)] = nil
    }

    public func restoreDocuments(_ restored: [StoredDocument], of kind: DocumentKind) throws(StoreError) -> Int {
        try requireOpen()
        var shelf = shelves[kind] ?? DocumentShelf()
        var count = 0
        for document in restored {
            shelf.last = max(shelf.last, document.id)
            if shelf.byNumber[document.id] != nil || shelf.numbers[Array(document.name.utf8)] != nil { continue }
            shelf.byNumber[document.id] = document
            shelf.numbers[Array(document.name.utf8)] = document.id
            count += 1
        }
        shelves[kind] = shelf
        return count
    }
}

extension MemoryStore: HistoryStore {
    public func writeHistory(_ rows: [HistoryRow]) throws(StoreError) {
        try requireOpen()
        for row in rows { tallies[HistoryPlace(row)] = row.tally }
    }

    public func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) throws(StoreError) -> [HistoryRow] {
        try requireOpen()
        let subject = subject.map { Array($0.utf8) }
        return tallies.filter { place, _ in
            place.resolution == resolution && place.dimension == dimension && place.start >= from && place.start < to && (subject ?? place.subject) == place.subject
        }.map { place, tally in
            HistoryRow(
                resolution: resolution, start: place.start, dimension: dimension, subject: String(decoding: place.subject, as: UTF8.self),
                writer: String(decoding: place.writer, as: UTF8.self), tally: tally)
        }.sorted { $0.start < $1.start }
    }

    public func deleteHistory(_ resolution: HistoryResolution, before start: Int64) throws(StoreError) {
        try requireOpen()
        tallies = tallies.filter { $0.key.resolution != resolution || $0.key.start >= start }
    }

    public func historyStart(_ resolution: HistoryResolution, after start: Int64) throws(StoreError) -> Int64? {
        try requireOpen()
        return tallies.keys.filter { $0.resolution == resolution && $0.start > start }.map(\.start).min()
    }
}
