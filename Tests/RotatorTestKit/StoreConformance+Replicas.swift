// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore
internal import Synchronization

/// What stores promise that serve replicas: two stores that are opened on one place are two replicas of one installation.
///
/// They are checked where a store has a `replicaLink` and its place is durable, so that it can be opened twice.
extension StoreConformance {
    static let replicaPromises = [
        replicaPromise("each ticket is handed out once, whichever replica leases it, and leases follow each other without a gap") { one, two in
            var services: [ServiceID] = []
            for slug in ["one", "two"] { services.append(try await one.store.insertService(service(slug)).id) }
            let leases = try await withThrowingTaskGroup(of: [(ServiceID, Range<Int64>)].self) { group in
                for task in 0..<8 {
                    let link = (task % 2 == 0 ? one : two).link
                    group.addTask { [services] in
                        var leases: [(ServiceID, Range<Int64>)] = []
                        for round in 0..<20 {
                            let count = [1, 256, 3, 65_536, 17][round % 5]
                            let service = services[(task + round) % 2]
                            let lease = try await link.leaseTickets(count, of: service)
                            try expect(lease.count, equals: count, "the size of a lease")
                            try expect(lease.first >= 0, "tickets are 0 or more")
                            leases.append((service, lease.first..<lease.first + Int64(count)))
                        }
                        return leases
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            for service in services {
                let ranges = leases.filter { $0.0 == service }.map(\.1).sorted { $0.lowerBound < $1.lowerBound }
                try expect(ranges.count, equals: 80, "leases of a service")
                for (earlier, later) in zip(ranges, ranges.dropFirst()) {
                    try expect(earlier.upperBound, equals: later.lowerBound, "where a lease begins that follows another")
                }
            }
        },
        Promise("no ticket comes twice after all replicas have restarted") { place in
            var last: Int64 = -1
            var id = ServiceID(0)
            try await withReplicas(of: place) { one, two in
                id = try await one.store.insertService(service("one")).id
                last = try await one.link.leaseTickets(256, of: id).first + 255
                let other = try await two.link.leaseTickets(10, of: id)
                try expect(other.first > last, "the other's lease")
                last = other.first + 9
            }
            try await withReplicas(of: place) { one, _ in
                let lease = try await one.link.leaseTickets(1, of: id)
                try expect(lease.first > last, "a lease after a restart: \(lease.first) after \(last)")
            }
        },
        replicaPromise("each change of services and keys is told to the other replica within a second, and not to the one that made it") { one, two in
            var owner = try await one.store.insertService(service("one"))
            let bystander = try await one.store.insertService(service("two"))
            let news = NewsCount(of: two.link)
            defer { news.stop() }
            try await news.expectMore(than: 0, within: .seconds(5))
            var revision = try await two.link.epoch().catalogue
            let started = revision

            func isTold(_ what: String, of id: ServiceID, _ change: () async throws -> Void) async throws {
                let before = news.count
                try await change()
                let deadline = ContinuousClock.now + .seconds(1)
                try await news.expectMore(than: before, within: ContinuousClock.now.duration(to: deadline), what)
                var found = try await two.link.catalogueChanges(after: revision)
                while found.changedServices?.contains(id) == false, ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(5))
                    found = try await two.link.catalogueChanges(after: revision)
                }
                try expect(found.changedServices.map(Set.init), equals: [id], "\(what): the services that have changed")
                try expect(found.revision > revision, "\(what): the revision grows")
                try expect(try await two.link.epoch().catalogue >= found.revision, "\(what): the epoch has reached the revision")
                try expect(try await two.link.catalogueChanges(after: found.revision).changedServices, equals: [], "\(what): is told once")
                revision = found.revision
            }
            try await isTold("a service that is changed", of: owner.id) {
                owner.configuration.name = "changed"
                try await one.store.updateService(owner)
            }
            var keys: [KeyRecord] = []
            try await isTold("keys that are added", of: owner.id) { keys = try await insert(["a", "b", "c"], into: owner.id, of: one.store) }
            try await isTold("a key that is changed", of: owner.id) {
                try await one.store.updateKey(keys[0].id, name: "changed", weight: 2, isActive: false, attributes: KeyAttributes())
            }
            try await isTold("a key that is deleted", of: owner.id) { try await one.store.deleteKey(keys[0].id) }
            try await isTold("a pool that is cleared", of: owner.id) { _ = try await one.store.deleteKeys(of: owner.id) }
            try await isTold("a service that is deleted", of: owner.id) { try await one.store.deleteService(owner.id) }
            var third = ServiceID(0)
            let before = try await two.link.epoch().catalogue
            third = try await one.store.insertService(service("three")).id
            try expect(try await two.link.catalogueChanges(after: before).changedServices, equals: [third], "a service that is added")
            try expect(try await two.store.services().map(\.id), equals: [bystander.id, third], "what the other replica reads")

            let own = try await one.link.catalogueChanges(after: started)
            try expect(own.changedServices, equals: [], "changes of one's own")
            try expect(own.revision > revision, "the revision grows by one's own changes too")
            // Both have something to tell, and neither hears of itself.
            let fourth = try await two.store.insertService(service("four")).id
            try expect(try await one.link.catalogueChanges(after: own.revision).changedServices, equals: [fourth], "what the first is told")
        },
        replicaPromise("each change of a document of a kind that is followed is told to the other replica within a second, and no other") { one, two in
            let news = NewsCount(of: two.link)
            defer { news.stop() }
            try await news.expectMore(than: 0, within: .seconds(5))
            for kind in DocumentKind.allCases {
                var id: Int64 = 0
                for change in ["added", "replaced", "deleted"] {
                    let revision = try await two.link.epoch().catalogue
                    let before = news.count
                    switch change {
                    case "added": id = try await one.store.insertDocument(kind, named: "one", body: [1]).id
                    case "replaced": _ = try await one.store.replaceDocument(kind, id, named: "two", body: [2], expecting: nil)
                    default: try await one.store.deleteDocument(kind, id)
                    }
                    if kind.isFollowed { try await news.expectMore(than: before, within: .seconds(1), "\(kind) \(change)") }
                    let found = try await two.link.catalogueChanges(after: revision)
                    try expect(found.changedDocuments, equals: kind.isFollowed ? [kind] : [], "\(kind) \(change): kinds")
                    try expect(found.changedServices, equals: [], "\(kind) \(change): services")
                    try expect((found.revision > revision) == kind.isFollowed, "\(kind) \(change): the revision grows where somebody is told")
                    let own = try await one.link.catalogueChanges(after: revision)
                    try expect(own.changedDocuments, equals: [], "\(kind) \(change): a change of one's own")
                }
            }
        },
        replicaPromise("a list of changes is told as one, and what could not be made is not told") { one, two in
            let present = try await one.store.insertService(service("one"))
            let untouched = try await one.store.insertService(service("two"))
            _ = try await insert(["a"], into: untouched.id, of: one.store)
            let revision = try await two.link.epoch().catalogue
            let results = try await one.store.apply([
                .insertService(service("three")), .insertKeys([newKey("a")], into: .existing(present.id)), .insertKeys([newKey("a")], into: .existing(untouched.id)),
                .insertDocument(.webhook, name: "hook", body: [1]), .insertDocument(.job, name: "job", body: [1]), .insertKeys([newKey("b")], into: .added(by: 0)),
            ])
            guard case .service(let added)? = results.first else { throw Broken(description: "a service is added") }
            let found = try await two.link.catalogueChanges(after: revision)
            try expect(found.changedServices.map(Set.init), equals: [present.id, added.id], "services that have changed")
            try expect(found.changedDocuments, equals: [.webhook], "kinds of documents that have changed")
            try expect(try await two.store.services().map(\.id), equals: [present.id, untouched.id, added.id], "what the other reads")
            try await expect(.conflict) { () throws(StoreError) in
                _ = try await one.store.apply([.insertKeys([newKey("c")], into: .existing(present.id)), .insertService(service("one"))])
            }
            try expect(
                try await two.link.catalogueChanges(after: found.revision), equals: CatalogueNews(changedServices: [], revision: found.revision), "what is told then")
            let keys = try await one.store.keys(of: present.id).map(\.id)
            try expect(try await one.store.deleteKeys(keys + [KeyID(9999)], of: present.id), equals: 1, "keys that were removed")
            try expect(try await two.link.catalogueChanges(after: found.revision).changedServices, equals: [present.id], "whose keys were removed")
        },
        replicaPromise("a number that two replicas take off one document at once is never taken twice") { one, two in
            let made = try await one.store.insertDocument(.clientMeter, named: "3", body: [0])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for store in [one.store, two.store] {
                    group.addTask {
                        for _ in 0..<20 {
                            while true {
                                guard let found = try await store.document(.clientMeter, named: "3") else { throw Broken(description: "the document is there") }
                                do throws(StoreError) {
                                    _ = try await store.replaceDocument(.clientMeter, made.id, named: "3", body: [found.body[0] + 1], expecting: found.revision)
                                    break
                                } catch {
                                    try expect(error.code, equals: .conflict, "what the later one is told")
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try expect(try await two.store.document(.clientMeter, named: "3"), equals: StoredDocument(id: made.id, name: "3", body: [40], revision: 41), "the sum")
        },
        replicaPromise("a revision that the record of changes does not reach back to gives nil: everything has to be read") { one, two in
            _ = try await one.store.insertService(service("one"))
            let found = try await two.link.catalogueChanges(after: -1)
            try expect(found.changedServices, equals: nil, "changes after a revision that never was")
            try expect(found.revision, equals: try await two.link.epoch().catalogue, "the revision from which to go on")
        },
        replicaPromise("the latest standing of each key that was recorded since is told within a second, and what was merely counted is not") { one, two in
            let owner = try await one.store.insertService(service("one"))
            let keys = try await insert(["a", "b", "c"], into: owner.id, of: one.store).map(\.id)
            let news = NewsCount(of: two.link)
            defer { news.stop() }
            try await news.expectMore(than: 0, within: .seconds(5))
            let start = try await two.link.epoch().standings

            let before = news.count
            try await record([keys[0]: sampleStanding, keys[1]: sampleStanding], in: one.store)
            let deadline = ContinuousClock.now + .seconds(1)
            try await news.expectMore(than: before, within: ContinuousClock.now.duration(to: deadline), "standings that are recorded")
            var found = try await two.link.standings(after: start)
            while found.standings.isEmpty, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
                found = try await two.link.standings(after: start)
            }
            try expect(found.standings, equals: [keys[0]: sampleStanding, keys[1]: sampleStanding], "standings")
            try expect(found.isComplete, "nothing was lost")
            try expect(found.epoch > start, "the epoch grows")
            let middle = found.epoch

            let later = sampleStanding(later: 10) { $0.models = [] }
            try await record([keys[1]: later, keys[2]: sampleStanding], in: two.store)
            found = try await one.link.standings(after: middle)
            try expect(found.standings, equals: [keys[1]: later, keys[2]: sampleStanding], "standings since")
            try expect(found.epoch > middle, "the epoch grows")
            let all = try await one.link.standings(after: start).standings
            try expect(all, equals: [keys[0]: sampleStanding, keys[1]: later, keys[2]: sampleStanding], "the latest of each key")

            let end = try await two.link.epoch().standings
            try await one.store.record([
                keys[0]: StandingUpdate(standing: nil, counts: KeyCounts(successes: 1, failures: 0, lastUsedAt: Moment(seconds: 1_800_000_000))),
                keys[1]: StandingUpdate(standing: sampleStanding(later: 9), counts: KeyCounts(successes: 1, failures: 0, lastUsedAt: nil)),
            ])
            try expect(try await two.link.standings(after: end).standings, equals: [:], "what was merely counted, and what was decided before")
            try await record([KeyID(9999): sampleStanding], in: one.store)
            try expect(try await two.link.standings(after: end).standings, equals: [:], "the standing of a key that is gone")
            try expect(try await two.store.keys(of: owner.id).map(\.standing), equals: [sampleStanding, later, sampleStanding], "what is read with the keys")
        },
        replicaPromise("epochs only grow, each by what it stands for") { one, two in
            let start = try await one.link.epoch()
            try expect(try await two.link.epoch(), equals: start, "the epoch that the other sees")
            let owner = try await one.store.insertService(service("one"))
            let inserted = try await two.link.epoch()
            try expect(inserted.catalogue > start.catalogue, "a change of the catalogue")
            try expect(inserted.standings, equals: start.standings, "standings have not changed")
            let key = try await insert(["a"], into: owner.id, of: two.store)[0].id
            let added = try await one.link.epoch()
            try expect(added.catalogue > inserted.catalogue, "a change of the catalogue")
            try await record([key: sampleStanding], in: two.store)
            let recorded = try await one.link.epoch()
            try expect(recorded.catalogue, equals: added.catalogue, "the catalogue has not changed")
            try expect(recorded.standings > added.standings, "a standing that was recorded")
            if let told = try await one.link.leaseTickets(1, of: owner.id).epoch { try expect(told, equals: recorded, "the epoch that comes with a lease") }
            try expect(try await two.link.epoch(), equals: recorded, "the epoch that the other sees")
        },
        Promise("epochs have not gone back after all replicas have restarted") { place in
            var last = ReplicaEpoch(catalogue: 0, standings: 0)
            try await withReplicas(of: place) { one, _ in
                let owner = try await one.store.insertService(service("one"))
                try await record([try await insert(["a"], into: owner.id, of: one.store)[0].id: sampleStanding], in: one.store)
                last = try await one.link.epoch()
            }
            try await withReplicas(of: place) { one, two in
                let found = try await two.link.epoch()
                try expect(found.catalogue >= last.catalogue && found.standings >= last.standings, "the epoch after a restart")
                _ = try await one.store.insertService(service("two"))
                try expect(try await two.link.epoch().catalogue > last.catalogue, "a change after a restart")
            }
        },
        replicaPromise("news begins when its connection has been made, comes to everyone who listens, and ends when the store is closed") { one, two in
            let first = NewsCount(of: two.link)
            let second = NewsCount(of: two.link)
            defer {
                first.stop()
                second.stop()
            }
            try await first.expectMore(than: 0, within: .seconds(5), "news of the connection")
            try await second.expectMore(than: 0, within: .seconds(5), "news of the connection, for a second listener")
            let counts = [first.count, second.count]
            _ = try await one.store.insertService(service("one"))
            try await first.expectMore(than: counts[0], within: .seconds(1))
            try await second.expectMore(than: counts[1], within: .seconds(1), "news for a second listener")
            await two.store.close()
            try await first.expectEnd(within: .seconds(1))
            try await second.expectEnd(within: .seconds(1))
            let late = NewsCount(of: two.link)
            try await late.expectEnd(within: .seconds(1))
            try await expect(.unavailable) { () throws(StoreError) in _ = try await two.link.epoch() }
        },
        Promise("stores that migrate an empty place at the same time all find it migrated, once") { place in
            guard try await servesReplicas(place) else { return }
            var stores: [any Store] = []
            for _ in 0..<4 { stores.append(try await place.open()) }
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for store in stores { group.addTask { try await store.migrate() } }
                    try await group.waitForAll()
                }
                var ids: [ServiceID] = []
                for (index, store) in stores.enumerated() { ids.append(try await store.insertService(service("s\(index)")).id) }
                for store in stores { try expect(try await store.services().map(\.id), equals: ids, "services()") }
            } catch {
                for store in stores { await store.close() }
                throw error
            }
            for store in stores { await store.close() }
        },
    ]

    /// One of two stores at one place, with what it shares with the other.
    struct Replica: Sendable {
        let store: any Store
        let link: any ReplicaLink
    }

    private static func replicaPromise(_ description: String, _ body: @escaping @Sendable (Replica, Replica) async throws -> Void) -> Promise {
        Promise(description) { place in try await withReplicas(of: place, body) }
    }

    /// Opens two stores at `place`, migrates them, hands them to `body` and closes them; does nothing where no replicas are served.
    private static func withReplicas(of place: StorePlace, _ body: (Replica, Replica) async throws -> Void) async throws {
        guard try await servesReplicas(place) else { return }
        try await place.withStore { one in
            try await place.withStore { two in
                guard let first = one.replicaLink, let second = two.replicaLink else { throw Broken(description: "every store at a place has a link, or none") }
                try await body(Replica(store: one, link: first), Replica(store: two, link: second))
            }
        }
    }

    private static func servesReplicas(_ place: StorePlace) async throws -> Bool {
        guard place.isDurable, place.isShareable else { return false }
        let store = try await place.open()
        let hasLink = store.replicaLink != nil
        await store.close()
        return hasLink
    }
}

/// Counts the news that a link gives.
private final class NewsCount: Sendable {
    private struct Content {
        var count = 0
        var hasEnded = false
    }

    private let content: ContentBox
    private let task: Task<Void, Never>

    private final class ContentBox: Sendable {
        let value = Mutex(Content())
    }

    init(of link: any ReplicaLink) {
        let content = ContentBox()
        let stream = link.news()
        self.content = content
        task = Task {
            for await _ in stream { content.value.withLock { $0.count += 1 } }
            content.value.withLock { $0.hasEnded = true }
        }
    }

    var count: Int { content.value.withLock { $0.count } }

    func stop() { task.cancel() }

    func expectMore(than known: Int, within limit: Duration, _ what: String = "news", file: StaticString = #fileID, line: Int = #line) async throws {
        try await wait(within: limit) { $0.count > known }
        try StoreConformance.expect(count > known, "\(what): no news within \(limit)", file: file, line: line)
    }

    func expectEnd(within limit: Duration, file: StaticString = #fileID, line: Int = #line) async throws {
        try await wait(within: limit) { $0.hasEnded }
        try StoreConformance.expect(content.value.withLock { $0.hasEnded }, "news ends when the store is closed", file: file, line: line)
    }

    private func wait(within limit: Duration, until isMet: (Content) -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while !content.value.withLock({ isMet($0) }), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(2)) }
    }
}
