// SPDX-License-Identifier: MIT

public import RotatorCore

/// A list of changes.
extension RedisStore {
    /// Numbers that were taken beforehand, because they are part of what is sealed.
    private struct Numbers {
        var service: Int64 = 0
        var key: Int64 = 0
        var documents: [DocumentKind: Int64] = [:]

        mutating func takeService() -> ServiceID {
            defer { service += 1 }
            return ServiceID(service)
        }

        mutating func takeKeys(_ count: Int) -> Int64 {
            defer { key += Int64(count) }
            return key
        }

        mutating func takeDocument(_ kind: DocumentKind) -> Int64 {
            defer { documents[kind, default: 0] += 1 }
            return documents[kind] ?? 0
        }
    }

    /// Keys that are laid ready in a list of their own.
    private struct Batch {
        var list: Int
        var keys: [NewKey]
        var service: ServiceID
        var first: Int64
    }

    public func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        guard !changes.isEmpty else { return [] }
        var numbers = try await numbers(for: changes)
        // What comes of each change if all of them can be made, but for keys and revisions, which the script tells.
        var results: [CatalogueChangeResult] = []
        var rows: [[[UInt8]]] = []
        var batches: [Batch] = []
        var departures: [(list: Int, ids: [KeyID])] = []
        for change in changes {
            var row: [[UInt8]]
            switch change {
            case .insertService(let configuration):
                let record = ServiceRecord(id: numbers.takeService(), configuration: configuration)
                row = [[UInt8](text: "S")] + members(of: record)
                results.append(.service(record))
            case .updateService(let service):
                row = [[UInt8](text: "s")] + members(of: service)
                results.append(.done)
            case .insertKeys(let keys, let reference):
                let service = try results.service(reference)
                let list = batches.count + departures.count
                row = [[UInt8](text: "K"), [UInt8](number: service.rawValue), [UInt8](number: Int64(list)), [UInt8](number: Int64(keys.count))]
                batches.append(Batch(list: list, keys: keys, service: service, first: numbers.takeKeys(keys.count)))
                results.append(.keys([]))
            case .updateKey(let id, let name, let weight, let isActive, let attributes):
                row = [
                    [UInt8](text: "k"), [UInt8](number: id.rawValue), [UInt8](text: KeyInfo(isActive: isActive, weight: weight, name: name).text),
                    [UInt8](text: KeyAttributesDocument.encode(attributes)),
                ]
                results.append(.done)
            case .insertDocument(let kind, let name, let body):
                let document = StoredDocument(id: numbers.takeDocument(kind), name: name, body: body, revision: 1)
                row = members("D", kind, document)
                results.append(.document(document))
            case .replaceDocument(let kind, let id, let name, let body):
                let document = StoredDocument(id: id, name: name, body: body, revision: 0)
                row = members("d", kind, document)
                results.append(.document(document))
            case .deleteService(let id):
                row = [[UInt8](text: "-S"), [UInt8](number: id.rawValue)]
                results.append(.done)
            case .deleteKeys(let ids, let service):
                let list = batches.count + departures.count
                row = [[UInt8](text: "-K"), [UInt8](number: service.rawValue), [UInt8](number: Int64(list)), [UInt8](number: Int64(ids.count))]
                departures.append((list, ids))
                results.append(.done)
            case .deleteDocument(let kind, let id):
                row = [[UInt8](text: "-D"), [UInt8](text: kind.rawValue), [UInt8](number: id), [], [], Self.subject(of: kind)]
                results.append(.done)
            }
            row += Array(repeating: [], count: 6 - row.count)
            rows.append(row)
        }
        let token = newToken()
        for batch in batches {
            try await stage(batch.keys, numberedFrom: batch.first, for: batch.service, token: token + [UInt8](text: ":\(batch.list)"))
        }
        for (list, ids) in departures {
            try await stage(ids.lazy.map { [[UInt8](number: $0.rawValue)] }, token: token + [UInt8](text: ":\(list)"))
        }
        try await stage(rows, token: token)
        let reply = try await client.run(.apply, [writer, token, [UInt8](number: Int64(changes.count))], within: RedisSession.Limit.long).elements
        if reply.count == 3, reply[0].text == "refused", let index = reply[1].integer.map(Int.init), changes.indices.contains(index) {
            throw refusal(of: changes[index], code: reply[2].integer ?? 0)
        }
        guard reply.count == changes.count else { throw client.unexpected }
        return try filled(results, with: reply, batches)
    }

    private func numbers(for changes: [CatalogueChange]) async throws(StoreError) -> Numbers {
        var services = 0
        var keys = 0
        var documents: [DocumentKind: Int] = [:]
        for change in changes {
            switch change {
            case .insertService: services += 1
            case .insertKeys(let new, _): keys += new.count
            case .insertDocument(let kind, _, _): documents[kind, default: 0] += 1
            case .updateService, .updateKey, .replaceDocument, .deleteService, .deleteKeys, .deleteDocument: break
            }
        }
        var numbers = Numbers()
        numbers.service = try await self.numbers("last_service", services)
        numbers.key = try await self.numbers("last_key", keys)
        for (kind, count) in documents { numbers.documents[kind] = try await self.numbers(Self.counter(of: kind), count) }
        return numbers
    }

    private func members(_ word: String, _ kind: DocumentKind, _ document: StoredDocument) -> [[UInt8]] {
        [
            [UInt8](text: word), [UInt8](text: kind.rawValue), [UInt8](number: document.id), [UInt8](text: document.name),
            sealer.seal(document.body, for: .document(kind, document.id)), Self.subject(of: kind),
        ]
    }

    /// What the script found in the way of `change`.
    private func refusal(of change: CatalogueChange, code: Int64) -> StoreError {
        if code == -3 { return wasLost }
        switch change {
        case .insertService(let configuration): return Self.slugIsTaken(configuration)
        case .updateService(let service): return code == -2 ? Self.slugIsTaken(service.configuration) : Self.noService(service.id)
        case .insertKeys(_, .existing(let id)): return Self.noService(id)
        case .insertKeys(_, .added): return client.unexpected
        case .updateKey(let id, _, _, _, _): return Self.noKey(id)
        case .insertDocument(let kind, _, _): return .nameIsTaken(by: kind)
        case .replaceDocument(let kind, let id, _, _): return code == -2 ? .nameIsTaken(by: kind) : .noDocument(id, of: kind)
        case .deleteService(let id), .deleteKeys(_, let id): return Self.noService(id)
        case .deleteDocument(let kind, let id): return .noDocument(id, of: kind)
        }
    }

    private func filled(_ results: [CatalogueChangeResult], with reply: [RedisReply], _ batches: [Batch]) throws(StoreError) -> [CatalogueChangeResult] {
        var filled: [CatalogueChangeResult] = []
        filled.reserveCapacity(results.count)
        var next = 0
        for (result, told) in zip(results, reply) {
            switch result {
            case .service, .done: filled.append(result)
            case .keys:
                let batch = batches[next]
                next += 1
                filled.append(.keys(try insertions(of: batch.keys, numberedFrom: batch.first, into: batch.service, told.elements)))
            case .document(var document):
                guard let revision = told.integer else { throw client.unexpected }
                document.revision = revision
                filled.append(.document(document))
            }
        }
        return filled
    }
}
