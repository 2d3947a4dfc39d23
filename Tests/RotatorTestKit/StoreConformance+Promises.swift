// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

extension StoreConformance {
    static let servicePromises = [
        Promise("a service is read back as it was written, every member of it") { place in
            var full = ServiceConfiguration(
                name: "Ünïcode \"quotes\" \\ / \u{1F511}", slug: "full", kind: .generic, apiFormat: .generic, targetURL: "http://[::1]:8080/base?x=1")
            full.outputFormat = .openAIResponses
            full.method = "POST"
            full.apiKeyLocation = .query
            full.apiKeyName = "key"
            full.apiKeyPrefix = ""
            full.rotationStrategy = .leastInFlight
            full.maxAttempts = 7
            full.maxWaitMilliseconds = 1500
            full.replay = .unknown
            full.streamUsage = true
            full.holdStartupMilliseconds = 250
            full.extraHeaders = ["X-Team": "blue", "X-Empty": "", "x-two": "a\"b"]
            full.isActive = false
            let configurations = [service("plain"), full]
            try await place.withStore { store in
                var records: [ServiceRecord] = []
                for configuration in configurations { records.append(try await store.insertService(configuration)) }
                try expect(records.map(\.configuration), equals: configurations, "what insertService returns")
                try expect(try await store.services(), equals: records, "services()")
                try expect(records.allSatisfy { $0.id.rawValue > 0 }, "numbers are positive")
            }
            if place.isDurable {
                try await place.withStore { store in
                    try expect(try await store.services().map(\.configuration), equals: configurations, "services() after a restart")
                }
            }
        },
        Promise("every word of a configuration's enumerations is kept") { place in
            try await place.withStore { store in
                var expected: [ServiceConfiguration] = []
                func add(_ change: (inout ServiceConfiguration) -> Void) async throws {
                    var configuration = service("s\(expected.count)")
                    change(&configuration)
                    expected.append(configuration)
                    _ = try await store.insertService(configuration)
                }
                for kind in ServiceKind.allCases { try await add { $0.kind = kind } }
                for format in APIFormat.allCases { try await add { $0.apiFormat = format } }
                for format in OutputFormat.allCases { try await add { $0.outputFormat = format } }
                for strategy in RotationStrategyName.allCases { try await add { $0.rotationStrategy = strategy } }
                for replay in ReplayPolicy.allCases { try await add { $0.replay = replay } }
                for location in [CredentialPlacement.Location.header, .query] { try await add { $0.apiKeyLocation = location } }
                try expect(try await store.services().map(\.configuration), equals: expected, "services()")
            }
        },
        Promise("a slug is unique, when a service is added and when one is changed") { place in
            try await place.withStore { store in
                let first = try await store.insertService(service("one"))
                var second = try await store.insertService(service("two"))
                try await expect(.conflict) { () throws(StoreError) in _ = try await store.insertService(service("one")) }
                second.configuration.slug = "one"
                let taken = second
                try await expect(.conflict) { () throws(StoreError) in try await store.updateService(taken) }
                try expect(try await store.services().map(\.configuration.slug), equals: ["one", "two"], "slugs")
                try await store.deleteService(first.id)
                try await store.updateService(taken)
                try expect(try await store.services(), equals: [taken], "a slug is free after its service is gone")
            }
        },
        Promise("updating a service replaces its configuration and keeps its keys") { place in
            try await place.withStore { store in
                var record = try await store.insertService(service("one"))
                _ = try await insert(["k1", "k2"], into: record.id, of: store)
                record.configuration.slug = "renamed"
                record.configuration.extraHeaders = ["X-New": "1"]
                record.configuration.maxAttempts = 9
                try await store.updateService(record)
                try expect(try await store.services(), equals: [record], "services()")
                try expect(try await store.keys(of: record.id).map { value($0.secret) }, equals: ["k1", "k2"], "keys")
                try await store.updateService(record)
                try expect(try await store.services(), equals: [record], "an update that changes nothing is well")
            }
        },
        Promise("what is gone is notFound") { place in
            try await place.withStore { store in
                let gone = ServiceID(77)
                try await expect(.notFound) { () throws(StoreError) in
                    try await store.updateService(ServiceRecord(id: gone, configuration: service("x")))
                }
                try await expect(.notFound) { () throws(StoreError) in try await store.deleteService(gone) }
                try await expect(.notFound) { () throws(StoreError) in _ = try await store.insertKeys([newKey("a")], into: gone) }
                try await expect(.notFound) { () throws(StoreError) in _ = try await store.insertKeys([], into: gone) }
                try await expect(.notFound) { () throws(StoreError) in _ = try await store.deleteKeys(of: gone) }
                try await expect(.notFound) { () throws(StoreError) in try await store.updateKey(KeyID(5), name: "", weight: 1, isActive: true, attributes: KeyAttributes()) }
                try await expect(.notFound) { () throws(StoreError) in try await store.deleteKey(KeyID(5)) }
                try expect(try await store.keys(of: gone).isEmpty, "a service that is gone has no keys")
                try expect(store.isReachable, "refusing a call says nothing against the store")
            }
        },
        Promise("the number of a deleted service or key is never used again") { place in
            var service1 = ServiceID(0)
            var key1 = KeyID(0)
            let first = try await place.open()
            try await first.migrate()
            service1 = try await first.insertService(service("one")).id
            key1 = try await insert(["a", "b"], into: service1, of: first).last!.id
            try await first.deleteService(service1)
            var store = first
            if place.isDurable {
                await first.close()
                store = try await place.open()
                try await store.migrate()
            }
            let service2 = try await store.insertService(service("one"))
            let keys = try await insert(["a"], into: service2.id, of: store)
            try expect(service2.id > service1, "a service's number only grows")
            try expect(keys[0].id > key1, "a key's number only grows")
            try await store.deleteKey(keys[0].id)
            let again = try await insert(["a"], into: service2.id, of: store)
            try expect(again[0].id > keys[0].id, "a key's number only grows")
            await store.close()
        },
        Promise("deleting a service takes its keys with it and leaves others alone") { place in
            try await place.withStore { store in
                let one = try await store.insertService(service("one"))
                let two = try await store.insertService(service("two"))
                let keys = try await insert(["a", "b"], into: one.id, of: store)
                _ = try await insert(["a", "c"], into: two.id, of: store)
                try await record([keys[0].id: sampleStanding], in: store)
                try await store.deleteService(one.id)
                try expect(try await store.services(), equals: [two], "services()")
                try expect(try await store.keys(of: one.id).isEmpty, "its keys are gone")
                try expect(try await store.keys(of: two.id).map { value($0.secret) }, equals: ["a", "c"], "another's keys")
                try await expect(.notFound) { () throws(StoreError) in try await store.deleteKey(keys[0].id) }
            }
        },
    ]

    static let keyPromises = [
        Promise("keys are read back in the order of their numbers, as they were written") { place in
            let visible = String(decoding: UInt8(0x21)...0x7E, as: UTF8.self)
            let long = String(repeating: "x", count: 8192)
            let new = [
                newKey("k", name: "schlüssel \u{1F511}", weight: 1_000_000), newKey(visible, isActive: false), newKey(long, name: "", weight: 3), newKey("k2"),
            ]
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let insertions = try await store.insertKeys(new, into: owner.id)
                var ids: [KeyID] = []
                for insertion in insertions {
                    guard case .inserted(let record) = insertion else { throw Broken(description: "new values are inserted") }
                    try expect(record.serviceID, equals: owner.id, "the service of a key")
                    ids.append(record.id)
                }
                try expect(ids, equals: ids.sorted(), "numbers grow in the order of insertion")
                try expect(Set(ids).count, equals: 4, "numbers differ")
            }
            guard place.isDurable else { return }
            try await place.withStore { store in
                let found = try await store.keys(of: try await store.services()[0].id)
                try expect(found.map { value($0.secret) }, equals: ["k", visible, long, "k2"], "values")
                try expect(found.map(\.name), equals: new.map(\.name), "names")
                try expect(found.map(\.weight), equals: new.map(\.weight), "weights")
                try expect(found.map(\.isActive), equals: new.map(\.isActive), "switches")
                try expect(found.map(\.standing), equals: Array(repeating: StandingRecord(), count: 4), "a new key's standing")
            }
        },
        Promise("a value that the service has already, or that comes twice, is a duplicate and changes nothing") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let other = try await store.insertService(service("two"))
                _ = try await store.insertKeys([newKey("a", name: "first", weight: 5)], into: owner.id)
                let insertions = try await store.insertKeys(["b", "a", "b", "c", "A", "a"].map { newKey($0, name: "second") }, into: owner.id)
                let kinds = insertions.map { insertion in
                    if case .inserted(let record) = insertion { value(record.secret) } else { "duplicate" }
                }
                try expect(kinds, equals: ["b", "duplicate", "duplicate", "c", "A", "duplicate"], "one result for each key, in order")
                let keys = try await store.keys(of: owner.id)
                try expect(keys.map { value($0.secret) }, equals: ["a", "b", "c", "A"], "the pool")
                try expect(keys[0].name, equals: "first", "a duplicate leaves the key as it was")
                try expect(keys[0].weight, equals: 5, "a duplicate leaves the key as it was")
                _ = try await insert(["a"], into: other.id, of: store)
                try await store.deleteKey(keys[0].id)
                _ = try await insert(["a"], into: owner.id, of: store)
            }
        },
        Promise("updating a key changes name, weight and switch, and nothing else") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let keys = try await insert(["a", "b"], into: owner.id, of: store)
                try await record([keys[0].id: sampleStanding], in: store)
                try await store.updateKey(keys[0].id, name: "new", weight: 12, isActive: false, attributes: KeyAttributes())
                let found = try await store.keys(of: owner.id)
                try expect(value(found[0].secret), equals: "a", "its value")
                try expect(found[0].name, equals: "new", "its name")
                try expect(found[0].weight, equals: 12, "its weight")
                try expect(found[0].isActive, equals: false, "its switch")
                try expect(found[0].standing, equals: sampleStanding, "its standing")
                try expect(found[1].name, equals: "", "another's name")
                try expect(found[1].isActive, equals: true, "another's switch")
            }
        },
        Promise("clearing a pool says how many keys there were, and zero for an empty one") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let other = try await store.insertService(service("two"))
                _ = try await insert(["a", "b", "c"], into: owner.id, of: store)
                _ = try await insert(["a"], into: other.id, of: store)
                try expect(try await store.deleteKeys(of: owner.id), equals: 3, "deleteKeys")
                try expect(try await store.deleteKeys(of: owner.id), equals: 0, "deleteKeys of an empty pool")
                try expect(try await store.keys(of: owner.id).count, equals: 0, "the pool")
                try expect(try await store.keys(of: other.id).count, equals: 1, "another pool")
            }
        },
        Promise("calls from many tasks at once are carried out one after the other, none lost and none doubled") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let inserted = try await withThrowingTaskGroup(of: Int.self) { group in
                    for task in 0..<16 {
                        group.addTask {
                            // Each value is tried by two tasks; one of them finds it there.
                            let values = (0..<20).map { newKey("key-\(task / 2)-\($0)") }
                            return try await store.insertKeys(values, into: owner.id).count { if case .inserted = $0 { true } else { false } }
                        }
                    }
                    return try await group.reduce(0, +)
                }
                try expect(inserted, equals: 160, "insertions")
                let keys = try await store.keys(of: owner.id)
                try expect(Set(keys.map { value($0.secret) }).count, equals: 160, "values")
                try expect(Set(keys.map(\.id)).count, equals: 160, "numbers")
            }
        },
    ]

    /// A standing with a value of its own in each member.
    static let sampleStanding: StandingRecord = {
        var standing = StandingRecord()
        standing.state = .exhausted
        standing.until = Moment(nanoseconds: 1_800_000_000_123_456_789)
        standing.reason = "insufficient_quota"
        standing.models = [
            StandingRecord.ModelRest(model: "gpt-5 \"mini\"", until: Moment(nanoseconds: 1_800_000_001_000_000_001), reason: "rate_limited", level: 2),
            StandingRecord.ModelRest(model: "modèle", until: .distantFuture, reason: "forbidden", level: 3),
        ]
        standing.rejections = 1
        standing.rateLimitLevel = 2
        standing.exhaustionLevel = 3
        standing.upstreamFailures = 4
        standing.circuitLevel = 5
        standing.circuitUntil = Moment(nanoseconds: 1_800_000_002_000_000_003)
        standing.decidedAt = Moment(nanoseconds: 1_799_999_999_999_999_998)
        standing.resetCount = 2
        return standing
    }()

    /// `sampleStanding` as it was decided so much later.
    static func sampleStanding(later nanoseconds: Int64, _ change: (inout StandingRecord) -> Void = { _ in }) -> StandingRecord {
        var standing = sampleStanding
        standing.decidedAt = standing.decidedAt.advanced(byNanoseconds: nanoseconds)
        change(&standing)
        return standing
    }

    static func record(_ standings: [KeyID: StandingRecord], in store: any Store) async throws {
        try await store.record(standings.mapValues { StandingUpdate(standing: $0) })
    }

    static let standingPromises = [
        Promise("standing survives a restart, to the nanosecond") { place in
            var owner = ServiceID(0)
            var recorded: [StandingRecord] = [sampleStanding]
            for state in StandingRecord.State.allCases {
                var standing = StandingRecord()
                standing.state = state
                recorded.append(standing)
            }
            let first = try await place.open()
            try await first.migrate()
            owner = try await first.insertService(service("one")).id
            let keys = try await insert(recorded.indices.map { "k\($0)" } + ["untouched"], into: owner, of: first)
            try await record(Dictionary(uniqueKeysWithValues: zip(keys.map(\.id), recorded)), in: first)
            var store = first
            if place.isDurable {
                await first.close()
                store = try await place.open()
                try await store.migrate()
            }
            try expect(try await store.keys(of: owner).map(\.standing), equals: recorded + [StandingRecord()], "standings")
            await store.close()
        },
        Promise("a later standing replaces the earlier one whole, rests for models included") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let key = try await insert(["a"], into: owner.id, of: store)[0].id
                try await record([key: sampleStanding], in: store)
                let next = sampleStanding(later: 1) {
                    $0.models.removeFirst()
                    $0.until = nil
                }
                try await record([key: next], in: store)
                try expect(try await store.keys(of: owner.id)[0].standing, equals: next, "standing")
                var cleared = StandingRecord()
                cleared.resetCount = next.resetCount + 1
                try await record([key: cleared], in: store)
                try expect(try await store.keys(of: owner.id)[0].standing, equals: cleared, "standing")
            }
        },
        Promise("the standing of a key that is gone is passed over, and the others' are written") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let keys = try await insert(["a", "b", "c"], into: owner.id, of: store)
                try await store.deleteKey(keys[1].id)
                try await record(Dictionary(uniqueKeysWithValues: keys.map { ($0.id, sampleStanding) } + [(KeyID(9999), sampleStanding)]), in: store)
                try await store.record([:])
                try expect(try await store.keys(of: owner.id).map(\.standing), equals: [sampleStanding, sampleStanding], "standings")
                let again = try await insert(["b"], into: owner.id, of: store)
                try expect(try await store.keys(of: owner.id).last?.standing, equals: StandingRecord(), "a new key's standing")
                try expect(again[0].standing, equals: StandingRecord(), "a new key's standing")
            }
        },
        Promise("a standing that was decided before the one that is there is passed over, and what was counted beside it is not") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let key = try await insert(["a"], into: owner.id, of: store)[0].id
                try await record([key: sampleStanding(later: 10)], in: store)
                let late = StandingUpdate(standing: sampleStanding(later: 9), counts: KeyCounts(successes: 3, failures: 1, lastUsedAt: nil))
                try await store.record([key: late])
                var found = try await store.keys(of: owner.id)[0]
                try expect(found.standing, equals: sampleStanding(later: 10), "an older standing")
                try expect(found.counts, equals: KeyCounts(successes: 3, failures: 1, lastUsedAt: nil), "counts beside it")
                // Decided later by the clock, but before the key was cleared.
                var cleared = sampleStanding(later: 5)
                cleared.resetCount += 1
                try await record([key: cleared], in: store)
                try await record([key: sampleStanding(later: 100)], in: store)
                found = try await store.keys(of: owner.id)[0]
                try expect(found.standing, equals: cleared, "a standing from before the key was cleared")
                try await record([key: cleared], in: store)
                try expect(try await store.keys(of: owner.id)[0].standing, equals: cleared, "the same once more")
            }
        },
        Promise("a batch that is written again is not counted again, and a later one is, whoever else writes") { place in
            try await place.withStore { store in
                let owner = try await store.insertService(service("one"))
                let key = try await insert(["a"], into: owner.id, of: store)[0].id
                let one: [KeyID: StandingUpdate] = [key: StandingUpdate(standing: sampleStanding, counts: KeyCounts(successes: 1, failures: 0, lastUsedAt: nil))]
                let later = sampleStanding(later: 5)
                for number: Int64 in [1, 1, 2, 2, 1, 5, 5, 3] { try await store.record(one, batch: LedgerBatch(writer: "w", number: number)) }
                try expect(try await store.counts(of: [key])[key]?.successes, equals: 3, "counts of the batches 1, 2 and 5")
                try await store.record([key: StandingUpdate(standing: later)], batch: LedgerBatch(writer: "w", number: 5))
                try expect(try await store.keys(of: owner.id)[0].standing, equals: sampleStanding, "a standing in a batch that was written")
                try await store.record(one, batch: LedgerBatch(writer: "other", number: 2))
                try await store.record(one)
                try await store.record(one)
                try expect(try await store.counts(of: [key])[key]?.successes, equals: 6, "counts of another writer, and of nobody in particular")
                try await store.record([key: StandingUpdate(standing: later)], batch: LedgerBatch(writer: "w", number: 6))
                try expect(try await store.keys(of: owner.id)[0].standing, equals: later, "a standing in the next batch")
            }
        },
        Promise("counts add up, the latest use stays, and both survive a restart") { place in
            let first = try await place.open()
            try await first.migrate()
            let owner = try await first.insertService(service("one")).id
            let keys = try await insert(["a", "b", "unused"], into: owner, of: first).map(\.id)
            let noon = Moment(nanoseconds: 1_799_999_999_999_999_999)
            try await first.record([keys[0]: StandingUpdate(standing: nil, counts: KeyCounts(successes: 5, failures: 0, lastUsedAt: noon))])
            try await first.record([
                keys[0]: StandingUpdate(standing: sampleStanding, counts: KeyCounts(successes: 2, failures: 7, lastUsedAt: Moment(seconds: 1))),
                keys[1]: StandingUpdate(standing: nil, counts: KeyCounts(successes: .max, failures: 1, lastUsedAt: nil)),
                KeyID(9999): StandingUpdate(standing: nil, counts: KeyCounts(successes: 1, failures: 1, lastUsedAt: noon)),
            ])
            try await first.record([keys[1]: StandingUpdate(standing: nil, counts: KeyCounts(successes: 9, failures: 1, lastUsedAt: nil))])
            var store = first
            if place.isDurable {
                await first.close()
                store = try await place.open()
                try await store.migrate()
            }
            let expected = [
                KeyCounts(successes: 7, failures: 7, lastUsedAt: noon), KeyCounts(successes: .max, failures: 2, lastUsedAt: nil), KeyCounts(),
            ]
            let found = try await store.keys(of: owner)
            try expect(found.map(\.counts), equals: expected, "counts with the keys")
            try expect(found.map(\.standing), equals: [sampleStanding, StandingRecord(), StandingRecord()], "standings beside them")
            let told = try await store.counts(of: keys + [KeyID(9999)])
            try expect(told, equals: Dictionary(uniqueKeysWithValues: zip(keys, expected)), "counts(of:)")
            try expect(try await store.counts(of: []), equals: [:], "counts of nothing")
            await store.close()
        },
    ]

    static let settingPromises = [
        Promise("a setting is nil until it is set, and then what was set last") { place in
            let octets = (0...255).map { UInt8($0) }
            try await place.withStore { store in
                try expect(try await store.setting("token"), equals: nil, "a setting that was never set")
                try await store.setSetting("token", to: [1, 2, 3])
                try await store.setSetting("other", to: [])
                try await store.setSetting("token", to: octets)
                try expect(try await store.setting("token"), equals: octets, "a setting")
                try expect(try await store.setting("other"), equals: [], "an empty setting")
                try expect(try await store.insertSetting("token", [9]), equals: octets, "a setting that is there already stays")
                let tries = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                    for number in UInt8(0)..<16 { group.addTask { try await store.insertSetting("race", [number]) } }
                    return try await group.reduce(into: Set()) { $0.insert($1) }
                }
                try expect(tries.count, equals: 1, "values that callers are told who set one at once")
                try expect(try await store.setting("race"), equals: tries.first, "the value that is kept")
            }
            if place.isDurable {
                try await place.withStore { store in try expect(try await store.setting("token"), equals: octets, "a setting after a restart") }
            }
        }
    ]

    static let auditPromises = [
        Promise("audit entries come back oldest first, page by page") { place in
            try await place.withStore { store in
                let entries = (1...5).map {
                    AuditEntry(at: Moment(nanoseconds: 1_800_000_000_000_000_000 + Int64($0)), actor: "admin", action: "keys.export", subject: "service \($0)")
                }
                for entry in entries { try await store.append(entry) }
                let first = try await store.auditEntries(after: 0, limit: 3)
                try expect(first.map(\.entry), equals: Array(entries[..<3]), "the first page")
                let second = try await store.auditEntries(after: first.last!.id, limit: 3)
                try expect(second.map(\.entry), equals: Array(entries[3...]), "the second page")
                try expect((first + second).map(\.id), equals: (first + second).map(\.id).sorted(), "numbers grow")
                try expect(try await store.auditEntries(after: second.last!.id, limit: 3).isEmpty, "the page after the last is empty")
                try expect(try await store.auditEntries(after: 0, limit: 0).isEmpty, "a page of none is empty")
            }
        },
        Promise("audit entries come back newest first, page by page") { place in
            try await place.withStore { store in
                let entries = (1...5).map {
                    AuditEntry(at: Moment(nanoseconds: 1_800_000_000_000_000_000 + Int64($0)), actor: "admin", action: "keys.export", subject: "service \($0)")
                }
                for entry in entries { try await store.append(entry) }
                let first = try await store.auditEntries(before: .max, limit: 3)
                try expect(first.map(\.entry), equals: Array(entries[2...].reversed()), "the first page")
                let second = try await store.auditEntries(before: first.last!.id, limit: 3)
                try expect(second.map(\.entry), equals: Array(entries[..<2].reversed()), "the second page")
                try expect(try await store.auditEntries(before: second.last!.id, limit: 3).isEmpty, "the page after the last is empty")
                try expect(try await store.auditEntries(before: .max, limit: 0).isEmpty, "a page of none is empty")
                try expect(
                    (first + second).map(\.id), equals: try await store.auditEntries(after: 0, limit: 5).map(\.id).reversed(), "the numbers are the same both ways")
            }
        },
    ]

    static let lifePromises = [
        Promise("migrating again changes nothing") { place in
            try await place.withStore { store in
                let record = try await store.insertService(service("one"))
                try await store.migrate()
                try expect(try await store.services(), equals: [record], "services()")
            }
        },
        Promise("a closed store answers unavailable, says so in its health, and may be closed again") { place in
            let store = try await place.open()
            try await store.migrate()
            try await store.ping()
            try expect(store.isReachable, "an open store is reachable")
            await store.close()
            await store.close()
            try await expect(.unavailable) { () throws(StoreError) in _ = try await store.services() }
            try await expect(.unavailable) { () throws(StoreError) in try await store.ping() }
            try expect(!store.isReachable, "a closed store is not reachable")
        },
        Promise("calls that wait when the store is closed are carried out first") { place in
            let store = try await place.open()
            try await store.migrate()
            let owner = try await store.insertService(service("one"))
            let insertion = Task { try await insert((0..<500).map { "k\($0)" }, into: owner.id, of: store).count }
            // Either order is well: the insertion is whole, or it was refused; it is never half done and never left hanging.
            await store.close()
            let result = await insertion.result
            if case .success(let count) = result { try expect(count, equals: 500, "an insertion that was admitted") }
            if case .failure(let error) = result { try expect((error as? StoreError)?.code == .unavailable, "one that was not: \(error)") }
            guard place.isDurable else { return }
            try await place.withStore { store in
                let count = try await store.keys(of: owner.id).count
                if case .success = result { try expect(count, equals: 500, "keys") } else { try expect(count, equals: 0, "keys") }
            }
        },
    ]
}
