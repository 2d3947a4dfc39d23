// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

extension StoreConformance {
    static let documentPromises = [
        Promise("a document is read back as it was written, by number and by name, also after a restart") { place in
            let octets = (0...255).map { UInt8($0) }
            var written: [StoredDocument] = []
            try await place.withStore { store in
                for (name, body) in [("one", octets), ("zwei ü \u{1F511} 'quoted\"", []), ("", [UInt8](repeating: 7, count: 1_048_576))] {
                    written.append(try await store.insertDocument(.client, named: name, body: body))
                    try expect(written.last?.name, equals: name, "the name that insertDocument returns")
                    try expect(written.last?.body, equals: body, "the body that insertDocument returns")
                    try expect(written.last?.revision, equals: 1, "the first revision")
                }
                try expect(written.map(\.id), equals: written.map(\.id).sorted(), "numbers grow")
                try expect(written[0].id > 0, "numbers are positive")
                try expect(try await store.documents(.client, after: 0, limit: 10), equals: written, "documents()")
                try expect(try await store.document(.client, named: ""), equals: written[2], "a document by its name")
                try expect(try await store.document(.client, named: "ONE"), equals: nil, "a name that there is not")
                try expect(try await store.document(.webhook, named: "one"), equals: nil, "a name of another kind")
                try expect(try await store.documents(.webhook, after: 0, limit: 10), equals: [], "documents of another kind")
            }
            guard place.isDurable else { return }
            try await place.withStore { store in
                try expect(try await store.documents(.client, after: 0, limit: 10), equals: written, "documents() after a restart")
                try expect(try await store.document(.client, named: "one"), equals: written[0], "a document after a restart")
            }
        },
        Promise("documents come page by page, in the order of their numbers") { place in
            try await place.withStore { store in
                for number in 0..<25 { _ = try await store.insertDocument(.jobPart, named: "part \(number)", body: [UInt8(number)]) }
                var found: [StoredDocument] = []
                while true {
                    let page = try await store.documents(.jobPart, after: found.last?.id ?? 0, limit: 10)
                    try expect(page.count, equals: [10, 10, 5, 0][found.count / 10 + (found.count == 25 ? 1 : 0)], "the size of a page")
                    if page.isEmpty { break }
                    found += page
                }
                try expect(found.map(\.body), equals: (0..<25).map { [UInt8($0)] }, "all pages")
                try expect(try await store.documents(.jobPart, after: 0, limit: 0), equals: [], "a page of none")
            }
        },
        Promise("a document's name is unique within its kind, when it is added and when it is changed") { place in
            try await place.withStore { store in
                let one = try await store.insertDocument(.client, named: "one", body: [1])
                let two = try await store.insertDocument(.client, named: "two", body: [2])
                _ = try await store.insertDocument(.webhook, named: "one", body: [3])
                try await expect(.conflict) { () throws(StoreError) in _ = try await store.insertDocument(.client, named: "one", body: [4]) }
                try await expect(.conflict) { () throws(StoreError) in
                    _ = try await store.replaceDocument(.client, two.id, named: "one", body: [5], expecting: nil)
                }
                try expect(try await store.documents(.client, after: 0, limit: 9), equals: [one, two], "what a conflict has changed")
                try expect(try await store.replaceDocument(.client, one.id, named: "uno", body: [6], expecting: nil), equals: 2, "the revision of a new name")
                try expect(try await store.document(.client, named: "one"), equals: nil, "the old name")
                _ = try await store.replaceDocument(.client, two.id, named: "one", body: [7], expecting: nil)
                try expect(try await store.document(.client, named: "one")?.id, equals: two.id, "a name is free when nobody has it any more")
                try expect(try await store.document(.client, named: "uno")?.body, equals: [6], "the new name")
                try await store.deleteDocument(.client, two.id)
                _ = try await store.insertDocument(.client, named: "one", body: [8])
                try expect(store.isReachable, "refusing a call says nothing against the store")
            }
        },
        Promise("replacing a document raises its revision by one; another revision than is expected is a conflict and changes nothing") { place in
            try await place.withStore { store in
                for kind in DocumentKind.allCases {
                    let made = try await store.insertDocument(kind, named: "one", body: [1])
                    try expect(try await store.replaceDocument(kind, made.id, named: "one", body: [2], expecting: 1), equals: 2, "the second revision")
                    try await expect(.conflict) { () throws(StoreError) in
                        _ = try await store.replaceDocument(kind, made.id, named: "one", body: [3], expecting: 1)
                    }
                    try expect(try await store.document(kind, named: "one")?.body, equals: [2], "the body after a conflict")
                    try expect(try await store.replaceDocument(kind, made.id, named: "one", body: [4], expecting: nil), equals: 3, "the third revision")
                    try expect(
                        try await store.document(kind, named: "one"), equals: StoredDocument(id: made.id, name: "one", body: [4], revision: 3), "the document")
                }
            }
        },
        Promise("of several who replace one revision at once, one does so and the others are told") { place in
            try await place.withStore { store in
                let made = try await store.insertDocument(.clientMeter, named: "7", body: [0])
                for revision in Int64(1)...3 {
                    let winners = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
                        for number in UInt8(1)...8 {
                            group.addTask {
                                do throws(StoreError) {
                                    _ = try await store.replaceDocument(.clientMeter, made.id, named: "7", body: [number], expecting: revision)
                                    return [number]
                                } catch {
                                    try expect(error.code, equals: .conflict, "what the others are told")
                                    return nil
                                }
                            }
                        }
                        return try await group.reduce(into: [[UInt8]]()) { if let body = $1 { $0.append(body) } }
                    }
                    try expect(winners.count, equals: 1, "how many have replaced it")
                    let found = try await store.document(.clientMeter, named: "7")
                    try expect(found?.revision, equals: revision + 1, "the revision")
                    try expect(found?.body, equals: winners.first, "the body")
                }
            }
        },
        Promise("a document that is gone is notFound, and its number is never used again") { place in
            try await place.withStore { store in
                try await expect(.notFound) { () throws(StoreError) in try await store.deleteDocument(.client, 1) }
                try await expect(.notFound) { () throws(StoreError) in _ = try await store.replaceDocument(.client, 1, named: "x", body: [], expecting: nil) }
                let made = try await store.insertDocument(.client, named: "one", body: [1])
                try await expect(.notFound) { () throws(StoreError) in try await store.deleteDocument(.webhook, made.id) }
                try await store.deleteDocument(.client, made.id)
                try await expect(.notFound) { () throws(StoreError) in
                    _ = try await store.replaceDocument(.client, made.id, named: "one", body: [2], expecting: 1)
                }
                try expect(try await store.document(.client, named: "one"), equals: nil, "a document that was deleted")
                let again = try await store.insertDocument(.client, named: "one", body: [3])
                try expect(again.id > made.id, "a number after a deletion")
                try await store.deleteDocument(.client, again.id)
                if !place.isDurable { try expect(try await store.insertDocument(.client, named: "one", body: []).id > again.id, "the next number") }
            }
            guard place.isDurable else { return }
            try await place.withStore { store in
                try expect(try await store.insertDocument(.client, named: "one", body: []).id > 2, "a number after a restart")
            }
        },
        Promise("documents are restored with their numbers and revisions, what is taken is passed over, and later numbers are greater") { place in
            try await place.withStore { store in
                let own = try await store.insertDocument(.client, named: "own", body: [1])
                let restored = [
                    StoredDocument(id: 40, name: "forty", body: [4, 0], revision: 17), StoredDocument(id: own.id, name: "another", body: [5], revision: 2),
                    StoredDocument(id: 41, name: "own", body: [6], revision: 3), StoredDocument(id: 38, name: "", body: [], revision: 1),
                ]
                try expect(try await store.restoreDocuments(restored, of: .client), equals: 2, "how many were added")
                try expect(try await store.documents(.client, after: 0, limit: 9), equals: [own, restored[3], restored[0]], "documents()")
                try expect(try await store.restoreDocuments(restored, of: .client), equals: 0, "how many a second time")
                try expect(try await store.insertDocument(.client, named: "next", body: []).id > 41, "the number of the next")
                try expect(try await store.replaceDocument(.client, 40, named: "forty", body: [7], expecting: 17), equals: 18, "the revision that follows")
                try expect(try await store.restoreDocuments([], of: .job), equals: 0, "none")
                try expect(try await store.insertDocument(.job, named: "one", body: []).id, equals: 1, "the first of another kind")
            }
        },
    ]

    static let historyPromises = [
        Promise("rows of history are read back in the order of start, by range and by subject, also after a restart") { place in
            var rows: [HistoryRow] = []
            for start in [Int64(180), 60, 120] {
                for subject in ["1", "2", "gpt-\u{1F511}", ""] {
                    for writer in ["a", "b"] {
                        rows.append(HistoryRow(resolution: .minute, start: start, dimension: .model, subject: subject, writer: writer, tally: [UInt8(start)] + subject.utf8))
                    }
                }
            }
            rows.append(HistoryRow(resolution: .hour, start: 0, dimension: .model, subject: "1", writer: "a", tally: [1]))
            rows.append(HistoryRow(resolution: .minute, start: 60, dimension: .key, subject: "1", writer: "a", tally: [2]))
            func check(_ store: any Store) async throws {
                func found(_ dimension: HistoryDimension, _ subject: String?, _ from: Int64, _ to: Int64) async throws -> [HistoryRow] {
                    let found = try await store.history(.minute, dimension, subject: subject, from: from, to: to)
                    try expect(found.map(\.start), equals: found.map(\.start).sorted(), "the order of start")
                    return found
                }
                func expected(_ dimension: HistoryDimension, _ subject: String?, _ from: Int64, _ to: Int64) -> Set<HistoryRow> {
                    Set(rows.filter { $0.resolution == .minute && $0.dimension == dimension && (subject ?? $0.subject) == $0.subject && from <= $0.start && $0.start < to })
                }
                for (dimension, subject, from, to) in [
                    (HistoryDimension.model, nil, 0, 1000), (.model, nil, 60, 180), (.model, nil, 61, 180), (.model, "2", 0, 1000), (.model, "", 60, 61),
                    (.model, "3", 0, 1000), (.key, nil, 0, 1000), (.service, nil, 0, 1000), (.model, nil, Int64.min, Int64.max), (.model, nil, 180, 60),
                ] as [(HistoryDimension, String?, Int64, Int64)] {
                    let rows = try await found(dimension, subject, from, to)
                    try expect(Set(rows), equals: expected(dimension, subject, from, to), "\(dimension) of \(subject ?? "all") from \(from) to \(to)")
                    try expect(rows.count, equals: Set(rows).count, "each row once")
                }
                try expect(try await store.history(.hour, .model, subject: nil, from: 0, to: 1).count, equals: 1, "rows of another resolution")
            }
            try await place.withStore { store in
                try await store.writeHistory(rows)
                try await store.writeHistory([])
                try await check(store)
            }
            if place.isDurable { try await place.withStore(check) }
        },
        Promise("a row of history replaces the one of its place, whole, also within a batch") { place in
            try await place.withStore { store in
                func row(_ writer: String, _ tally: [UInt8]) -> HistoryRow {
                    HistoryRow(resolution: .day, start: 86_400, dimension: .client, subject: "c", writer: writer, tally: tally)
                }
                try await store.writeHistory([row("a", [1, 2, 3]), row("b", [9])])
                try await store.writeHistory([row("a", [4]), row("a", [5, 6])])
                let found = try await store.history(.day, .client, subject: "c", from: 0, to: .max)
                try expect(Set(found), equals: [row("a", [5, 6]), row("b", [9])], "the rows")
                try expect(found.count, equals: 2, "how many")
            }
        },
        Promise("history before a start is forgotten, of one resolution and all dimensions, and the first stretch is found") { place in
            try await place.withStore { store in
                var rows: [HistoryRow] = []
                for start in stride(from: Int64(0), to: 18_000, by: 60) {
                    for dimension in HistoryDimension.allCases {
                        rows.append(HistoryRow(resolution: .minute, start: start, dimension: dimension, subject: "1", writer: "a", tally: [1]))
                    }
                }
                rows.append(HistoryRow(resolution: .hour, start: 0, dimension: .key, subject: "1", writer: "a", tally: [1]))
                rows.append(HistoryRow(resolution: .hour, start: 7200, dimension: .model, subject: "1", writer: "a", tally: [1]))
                try await store.writeHistory(rows)
                try expect(try await store.historyStart(.minute, after: .min), equals: 0, "the first stretch")
                try await store.deleteHistory(.minute, before: 17_880)
                for dimension in HistoryDimension.allCases {
                    let left = try await store.history(.minute, dimension, subject: nil, from: 0, to: .max)
                    try expect(left.map(\.start), equals: [17_880, 17_940], "what is left of \(dimension)")
                    try expect(try await store.history(.minute, dimension, subject: "1", from: 0, to: .max), equals: left, "what is left of a subject")
                }
                try await store.deleteHistory(.minute, before: 17_880)
                try expect(try await store.historyStart(.minute, after: .min), equals: 17_880, "the first stretch that is left")
                try expect(try await store.historyStart(.minute, after: 17_880), equals: 17_940, "the next")
                try expect(try await store.historyStart(.minute, after: 17_940), equals: nil, "after the last")
                try expect(try await store.historyStart(.hour, after: 0), equals: 7200, "the next of another dimension")
                try expect(try await store.historyStart(.day, after: .min), equals: nil, "of a resolution without rows")
                try expect(try await store.history(.hour, .key, subject: nil, from: 0, to: .max).count, equals: 1, "another resolution")
            }
        },
        Promise("twenty thousand rows of history go in by one batch and come out again") { place in
            try await place.withStore { store in
                let rows = (0..<20_000).map { number in
                    HistoryRow(
                        resolution: .minute, start: Int64(number % 4) * 60, dimension: .key, subject: "\(number)", writer: "0123456789abcdef",
                        tally: [UInt8](repeating: UInt8(number % 251), count: 60))
                }
                let duration = try await ContinuousClock().measure { try await store.writeHistory(rows) }
                // Unoptimised, and perhaps on a busy machine.
                try expect(duration < .seconds(20), "a batch took \(duration)")
                let found = try await store.history(.minute, .key, subject: nil, from: 0, to: 240)
                try expect(Set(found), equals: Set(rows), "rows of all subjects")
                try expect(found.count, equals: rows.count, "how many")
                try expect(try await store.history(.minute, .key, subject: "777", from: 0, to: 240), equals: [rows[777]], "rows of one")
            }
        },
    ]

    static let changePromises = [
        Promise("attributes of keys are kept, when keys are added and when they are changed") { place in
            var full = KeyAttributes()
            full.tags = ["team:blue", "\"quoted\" \u{1F511}"]
            full.quotaGroup = "org-1"
            full.limits.requestsPerMinute = 1
            full.limits.requestsPerDay = 2
            full.limits.tokensPerMinute = 3
            full.limits.tokensPerDay = .max
            full.limits.concurrentRequests = 5
            var some = KeyAttributes()
            some.limits.tokensPerDay = 9
            let new = [KeyAttributes(), full, some].enumerated().map { NewKey(secret: Secret("k\($0)".utf8), attributes: $1) }
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let records = try await store.insertKeys(new, into: owner.id).compactMap { if case .inserted(let record) = $0 { record } else { nil } }
                try expect(records.map(\.attributes), equals: [KeyAttributes(), full, some], "what insertKeys returns")
                try expect(try await store.keys(of: owner.id).map(\.attributes), equals: [KeyAttributes(), full, some], "attributes")
                try await store.updateKey(records[0].id, name: "a", weight: 1, isActive: true, attributes: full)
                try await store.updateKey(records[1].id, name: "b", weight: 1, isActive: true, attributes: KeyAttributes())
                try await store.updateKey(records[2].id, name: "c", weight: 1, isActive: true, attributes: some)
            }
            guard place.isDurable else { return }
            try await place.withStore { store in
                let id = try await store.services()[0].id
                try expect(try await store.keys(of: id).map(\.attributes), equals: [full, KeyAttributes(), some], "attributes after a restart")
                try expect(try await store.deleteKeys(of: id), equals: 3, "keys")
                _ = try await insert(["k0", "k1", "k2"], into: id, of: store)
                try expect(try await store.keys(of: id).map(\.attributes), equals: [KeyAttributes(), KeyAttributes(), KeyAttributes()], "attributes of new keys")
            }
        },
        Promise("keys are removed by their numbers; what is gone or another service's is passed over") { place in
            try await place.withStore { store in
                let one = try await store.insertService(service("one"))
                let two = try await store.insertService(service("two"))
                let keys = try await insert((0..<10).map { "k\($0)" }, into: one.id, of: store).map(\.id)
                let others = try await insert(["k0", "k1"], into: two.id, of: store).map(\.id)
                try await record([keys[2]: sampleStanding, keys[3]: sampleStanding], in: store)
                let ids = [keys[8], keys[2], keys[2], others[0], KeyID(9999), keys[5]]
                try expect(try await store.deleteKeys(ids, of: one.id), equals: 3, "how many there were")
                try expect(try await store.keys(of: one.id).map(\.id), equals: [0, 1, 3, 4, 6, 7, 9].map { keys[$0] }, "what is left")
                try expect(try await store.keys(of: two.id).map(\.id), equals: others, "another's keys")
                try expect(try await store.deleteKeys(ids, of: one.id), equals: 0, "a second time")
                try expect(try await store.deleteKeys([], of: one.id), equals: 0, "none")
                try expect(try await store.deleteKeys([keys[0]], of: ServiceID(77)), equals: 0, "of a service that is gone")
                let again = try await insert(["k2", "k5", "k8"], into: one.id, of: store)
                try expect(again.map(\.standing), equals: Array(repeating: StandingRecord(), count: 3), "the standing of values that come again")
                try expect(try await store.keys(of: one.id).first { $0.id == keys[3] }?.standing, equals: sampleStanding, "the standing of what is left")
            }
        },
        Promise("a list of changes is made in order, one result for each") { place in
            try await place.withStore { store in
                var present = try await store.insertService(service("present"))
                let known = try await insert(["a"], into: present.id, of: store)[0]
                let document = try await store.insertDocument(.client, named: "one", body: [1])
                present.configuration.slug = "renamed"
                var attributes = KeyAttributes()
                attributes.tags = ["t"]
                let results = try await store.apply([
                    .updateService(present),
                    .insertService(service("present")),
                    .insertKeys([newKey("a"), newKey("b"), NewKey(secret: Secret("c".utf8), attributes: attributes)], into: .existing(present.id)),
                    .insertKeys([newKey("a"), newKey("a"), newKey("x")], into: .added(by: 1)),
                    .insertKeys([], into: .added(by: 1)),
                    .updateKey(known.id, name: "changed", weight: 7, isActive: false, attributes: attributes),
                    .replaceDocument(.client, document.id, name: "two", body: [2]),
                    .insertDocument(.client, name: "one", body: [3]),
                    .insertDocument(.webhook, name: "hook", body: [4]),
                ])
                try expect(results.count, equals: 9, "results")
                guard case .done = results[0], case .service(let added) = results[1], case .keys(let first) = results[2], case .keys(let second) = results[3],
                    case .keys(let none) = results[4], case .done = results[5], case .document(let replaced) = results[6], case .document(let new) = results[7],
                    case .document(let hook) = results[8]
                else { throw Broken(description: "results are of the kind of their change") }
                try expect(added.configuration, equals: service("present"), "the service that was added")
                func told(_ insertions: [KeyInsertion]) -> [String] {
                    insertions.map { if case .inserted(let record) = $0 { "\(record.serviceID) \(value(record.secret))" } else { "duplicate" } }
                }
                try expect(told(first), equals: ["duplicate", "\(present.id) b", "\(present.id) c"], "keys of the service that was there")
                try expect(told(second), equals: ["\(added.id) a", "duplicate", "\(added.id) x"], "keys of the service that was added")
                try expect(none.count, equals: 0, "no keys")
                try expect(replaced, equals: StoredDocument(id: document.id, name: "two", body: [2], revision: 2), "the document that was replaced")
                try expect(new.revision == 1 && new.body == [3] && new.id > document.id, "the document that was added")
                try expect(try await store.services(), equals: [present, added], "services()")
                let keys = try await store.keys(of: present.id)
                try expect(keys.map { value($0.secret) }, equals: ["a", "b", "c"], "keys")
                try expect(keys.map(\.attributes), equals: [attributes, KeyAttributes(), attributes], "their attributes")
                try expect(keys[0].name == "changed" && keys[0].weight == 7 && !keys[0].isActive, "the key that was changed")
                try expect(try await store.keys(of: added.id).map { value($0.secret) }, equals: ["a", "x"], "keys of the new service")
                try expect(try await store.documents(.client, after: 0, limit: 9), equals: [replaced, new], "clients")
                try expect(try await store.documents(.webhook, after: 0, limit: 9), equals: [hook], "webhooks")
                try expect(try await store.apply([]).count, equals: 0, "no changes")
            }
        },
        Promise("a list of changes removes services, keys and documents, and what they held is free for those that follow") { place in
            try await place.withStore { store in
                let kept = try await store.insertService(service("kept"))
                let gone = try await store.insertService(service("gone"))
                let keys = try await insert((0..<5).map { "k\($0)" }, into: kept.id, of: store).map(\.id)
                _ = try await insert(["k0", "other"], into: gone.id, of: store)
                let client = try await store.insertDocument(.client, named: "one", body: [1])
                let results = try await store.apply([
                    .deleteService(gone.id), .deleteDocument(.client, client.id),
                    // What is gone, another service's or named twice is passed over.
                    .deleteKeys([keys[1], keys[3], keys[1], KeyID(9_999)], of: kept.id), .deleteKeys([keys[0]], of: gone.id), .deleteKeys([], of: kept.id),
                    .insertService(service("gone")), .insertKeys([newKey("k0")], into: .added(by: 5)), .insertKeys([newKey("k1"), newKey("k2")], into: .existing(kept.id)),
                    .insertDocument(.client, name: "one", body: [2]),
                ])
                guard results.count == 9, case .done = results[0], case .done = results[1], case .done = results[2], case .done = results[3], case .done = results[4],
                    case .service(let new) = results[5], case .keys(let its) = results[6], case .keys(let added) = results[7], case .document(let document) = results[8],
                    case .inserted(let again) = its[0], case .inserted(let back) = added[0], case .duplicate = added[1]
                else { throw Broken(description: "results are of the kind of their change") }
                try expect(try await store.services(), equals: [kept, new], "services()")
                try expect(new.id > gone.id, equals: true, "a number is never used again")
                try expect(try await store.keys(of: kept.id).map(\.id), equals: [keys[0], keys[2], keys[4], back.id], "keys of the service that stayed")
                try expect(try await store.keys(of: new.id).map(\.id), equals: [again.id], "keys of the new service")
                try expect(try await store.documents(.client, after: 0, limit: 9), equals: [document], "documents")
                try expect(document.id > client.id, equals: true, "a document's number is never used again")
            }
        },
        Promise("of a list of changes of which one cannot be made, none is") { place in
            try await place.withStore { store in
                let present = try await store.insertService(service("present"))
                let key = try await insert(["a"], into: present.id, of: store)[0]
                let document = try await store.insertDocument(.client, named: "one", body: [1])
                var renamed = present
                renamed.configuration.slug = "renamed"
                let good: [CatalogueChange] = [
                    .insertService(service("new")), .insertKeys([newKey("n")], into: .added(by: 0)), .insertKeys([newKey("b")], into: .existing(present.id)),
                    .updateService(renamed), .updateKey(key.id, name: "x", weight: 2, isActive: false, attributes: KeyAttributes()),
                    .insertDocument(.client, name: "two", body: [2]), .replaceDocument(.client, document.id, name: "three", body: [3]),
                ]
                let removals: [CatalogueChange] = [
                    .deleteKeys([key.id], of: present.id), .deleteDocument(.client, document.id), .deleteService(present.id),
                ]
                let bad: [(StoreError.Code, CatalogueChange)] = [
                    (.conflict, .insertService(service("new"))), (.conflict, .insertService(service("renamed"))),
                    (.notFound, .updateService(ServiceRecord(id: ServiceID(77), configuration: service("x")))),
                    (.notFound, .insertKeys([newKey("z")], into: .existing(ServiceID(77)))), (.notFound, .insertKeys([newKey("z")], into: .added(by: 1))),
                    (.notFound, .insertKeys([newKey("z")], into: .added(by: 9))),
                    (.notFound, .updateKey(KeyID(77), name: "", weight: 1, isActive: true, attributes: KeyAttributes())),
                    (.conflict, .insertDocument(.client, name: "two", body: [])), (.conflict, .insertDocument(.client, name: "three", body: [])),
                    (.notFound, .replaceDocument(.client, 77, name: "x", body: [])), (.conflict, .replaceDocument(.client, document.id, name: "two", body: [])),
                ]
                // Each of them after removals, which must not be made either; and after a removal of what it is about.
                let impossible = bad.map { ($0, good + [$1]) } + bad.filter { $0.0 == .notFound }.map { ($0, removals + [$1]) } + removals[1...].map { (.notFound, removals + [$0]) } + [
                    (.notFound, removals + [.insertKeys([newKey("z")], into: .existing(present.id))]), (.notFound, removals + [.updateService(renamed)]),
                    (.notFound, removals + [.updateKey(key.id, name: "", weight: 1, isActive: true, attributes: KeyAttributes())]),
                    (.notFound, [removals[0], .updateKey(key.id, name: "", weight: 1, isActive: true, attributes: KeyAttributes())]),
                    (.notFound, [removals[2], .updateKey(key.id, name: "", weight: 1, isActive: true, attributes: KeyAttributes())]),
                    (.notFound, removals + [.replaceDocument(.client, document.id, name: "x", body: [])]),
                ]
                for (code, change) in impossible {
                    try await expect(code) { () throws(StoreError) in _ = try await store.apply(change) }
                    try expect(try await store.services(), equals: [present], "services() after \(change)")
                    try expect(try await store.keys(of: present.id).map { "\(value($0.secret)) \($0.name)" }, equals: ["a "], "keys after \(change)")
                    try expect(try await store.documents(.client, after: 0, limit: 9), equals: [document], "documents after \(change)")
                }
                try expect(store.isReachable, "refusing a call says nothing against the store")
                try expect(try await store.apply(good).count, equals: good.count, "the same changes without the last")
            }
        },
    ]
}
