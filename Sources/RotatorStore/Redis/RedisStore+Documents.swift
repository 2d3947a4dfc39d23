// SPDX-License-Identifier: MIT

public import RotatorCore

extension RedisStore: DocumentStore {
    public func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument] {
        var documents: [StoredDocument] = []
        // The server gives as many at a time as do not hold up others for long.
        while documents.count < limit {
            let arguments = [[UInt8](text: kind.rawValue), [UInt8](number: documents.last?.id ?? after), [UInt8](number: Int64(limit - documents.count))]
            let found = try await client.run(.documents, arguments, within: RedisSession.Limit.long).elements
            if found.isEmpty { break }
            for reply in found { documents.append(try document(kind, reply.elements)) }
        }
        return documents
    }

    public func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument? {
        let found = try await client.run(.document, [[UInt8](text: kind.rawValue), [UInt8](text: name)], within: Self.limit(for: kind)).elements
        return found.isEmpty ? nil : try document(kind, found)
    }

    private func document(_ kind: DocumentKind, _ members: [RedisReply]) throws(StoreError) -> StoredDocument {
        guard members.count == 4, let id = members[0].integer, let name = members[1].text, let revision = members[2].integer, let sealed = members[3].octets
        else { throw client.unexpected }
        let body = try opened("\(kind.rawValue) \(id)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .document(kind, id)) }
        return StoredDocument(id: id, name: name, body: body, revision: revision)
    }

    public func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument {
        // The number is part of what is sealed, so it must be known before the document is written.
        let id = try await numbers(Self.counter(of: kind), 1, within: Self.limit(for: kind))
        let result = try await client.run(.insertDocument, arguments(kind, id, name, body), within: Self.limit(for: kind)).integer
        if result == -2 { throw .nameIsTaken(by: kind) }
        return StoredDocument(id: id, name: name, body: body, revision: 1)
    }

    public func replaceDocument(
        _ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?
    ) async throws(StoreError) -> Int64 {
        let arguments = arguments(kind, id, name, body) + [revision.map { [UInt8](number: $0) } ?? []]
        switch try await client.run(.replaceDocument, arguments, within: Self.limit(for: kind)).integer {
        case let new? where new > 0: return new
        case -1: throw .noDocument(id, of: kind)
        case -2: throw .nameIsTaken(by: kind)
        case -3: throw .documentHasChanged(id, of: kind)
        default: throw client.unexpected
        }
    }

    public func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError) {
        let result = try await client.run(.deleteDocument, [[UInt8](text: kind.rawValue), [UInt8](number: id), writer, Self.subject(of: kind)]).integer
        if result == -1 { throw .noDocument(id, of: kind) }
    }

    public func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int {
        guard !documents.isEmpty else { return 0 }
        let token = newToken()
        try await stage(
            documents.lazy.map { [sealer] document in
                [
                    [UInt8](number: document.id), [UInt8](text: document.name), [UInt8](number: document.revision),
                    sealer.seal(document.body, for: .document(kind, document.id)),
                ]
            }, token: token)
        let arguments = [[UInt8](text: kind.rawValue), writer, Self.subject(of: kind), token]
        let found = try await client.run(.restoreDocuments, arguments, within: RedisSession.Limit.long).elements.map(\.integer)
        guard found.count == 2, let count = found[0] else { throw client.unexpected }
        guard found[1] == Int64(documents.count) else { throw wasLost }
        return Int(count)
    }

    /// Lays rows ready for a script, in pieces that do not hold up others for long.
    func stage(_ rows: some Sequence<[[UInt8]]>, token: [UInt8]) async throws(StoreError) {
        var arguments = [token]
        var octetCount = 0
        for row in rows {
            arguments += row
            octetCount += row.reduce(0) { $0 + $1.count }
            if arguments.count < 4000, octetCount < 4_194_304 { continue }
            _ = try await client.run(.stage, arguments, within: RedisSession.Limit.long)
            (arguments, octetCount) = ([token], 0)
        }
        if arguments.count > 1 { _ = try await client.run(.stage, arguments, within: RedisSession.Limit.long) }
    }

    private func arguments(_ kind: DocumentKind, _ id: Int64, _ name: String, _ body: [UInt8]) -> [[UInt8]] {
        [[UInt8](text: kind.rawValue), [UInt8](number: id), [UInt8](text: name), sealer.seal(body, for: .document(kind, id)), writer, Self.subject(of: kind)]
    }

    /// Requests wait for what a client has used.
    private static func limit(for kind: DocumentKind) -> Duration {
        kind == .clientMeter ? RedisSession.Limit.quick : RedisSession.Limit.short
    }

    static func counter(of kind: DocumentKind) -> String { "last_document:\(kind.rawValue)" }

    /// What stands in the record of changes; nothing where a change is not told.
    static func subject(of kind: DocumentKind) -> [UInt8] { kind.isFollowed ? [UInt8](number: CatalogueSubject.documents(kind).number) : [] }

    /// Seals up to `limit` documents anew.
    func resealDocuments(limit: Int) async throws(StoreError) -> Int {
        let kinds = DocumentKind.allCases.map { [UInt8](text: $0.rawValue) }
        let found = try await client.run(.outdatedDocuments, [[UInt8](number: Int64(limit)), sealer.prefix] + kinds, within: RedisSession.Limit.long).elements
        var arguments: [[UInt8]] = []
        for start in stride(from: 0, to: found.count - 2, by: 3) {
            guard let kind = found[start].text.flatMap(DocumentKind.init(rawValue:)), let id = found[start + 1].integer, let sealed = found[start + 2].octets
            else { throw client.unexpected }
            let body = try opened("\(kind.rawValue) \(id)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .document(kind, id)) }
            arguments += [[UInt8](text: "documents:\(kind.rawValue)"), [UInt8](number: id), sealed, sealer.seal(body, for: .document(kind, id))]
        }
        if !arguments.isEmpty { _ = try await client.run(.replace, arguments, within: RedisSession.Limit.long) }
        return arguments.count / 4
    }
}
