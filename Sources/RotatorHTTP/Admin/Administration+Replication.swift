// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// What one of several replicas does beside its requests: follows what the others change, and leases tickets for its pools.
extension Administration {
    /// Follows the other replicas until the task is cancelled; returns at once where the store is nobody else's.
    ///
    /// News is looked at when the store pushes it, when a lease tells of something unseen, and twice a second besides, so a push that was lost costs
    /// half a second. A store that is away is asked again each time; nothing else depends on it.
    public func runReplication() async {
        guard let link else { return }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followNews(of: link) }
            if let desk = clientDesk { group.addTask { await desk.run() } }
            group.addTask {
                for await _ in link.news() { self.wakeReplication() }
            }
            group.addTask {
                while !Task.isCancelled {
                    // Cancellation ends the pause early; the loop then ends by its own condition.
                    try? await Task.sleep(for: Self.lookInterval)
                    self.wakeReplication()
                }
            }
            for await (service, desk) in ticketRequests.stream {
                group.addTask { await self.leaseTickets(for: desk, of: service, from: link) }
            }
            group.cancelAll()
        }
    }

    private static var lookInterval: Duration { .milliseconds(500) }
    /// How long a pool that got no tickets goes on by itself before it may ask again.
    private static var leaseRetryPause: Duration { .milliseconds(100) }

    func wakeReplication() { replicationWakes.continuation.yield() }

    private func followNews(of link: any ReplicaLink) async {
        for await _ in replicationWakes.stream {
            if Task.isCancelled { break }
            do {
                try await catchUp(with: link)
            } catch {
                logger.debug("the news of other replicas cannot be read", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Brings memory to where the shared state stands.
    private func catchUp(with link: any ReplicaLink) async throws {
        guard isLoaded else { return try await load() }
        let epoch = try await link.epoch()
        let seen = state.withLock(\.seen)
        if epoch.catalogue != seen?.catalogue { try await serially { () async throws(AdministrationError) in try await self.catchUpCatalogue() } }
        if epoch.standings != seen?.standings { try await catchUpStandings(with: link) }
    }

    /// Reads what others have changed of services and keys. Called inside the gate only.
    func catchUpCatalogue() async throws(AdministrationError) {
        guard let link else { return }
        guard let seen = state.withLock(\.seen) else { return try await reconcile() }
        let news: CatalogueNews
        do throws(StoreError) { news = try await link.catalogueChanges(after: seen.catalogue) } catch { throw .store(error) }
        guard let changed = news.changedServices else { return try await reconcile() }
        if !changed.isEmpty { try await reconcile(only: Set(changed)) }
        if news.changedDocuments.contains(.client) { try await reconcileClients() }
        if news.changedDocuments.contains(.webhook) { try await reconcileWebhooks() }
        state.withLock { $0.seen?.catalogue = news.revision }
    }

    private func catchUpStandings(with link: any ReplicaLink) async throws {
        let news = try await link.standings(after: state.withLock(\.seen)?.standings ?? 0)
        keyIncidents.learned(news.standings)
        let now = clock()
        for pool in state.withLock({ $0.entries.values.map(\.pool) }) {
            pool.merge(news.standings, at: now)
            // Shared state has begun anew: everybody tells again what is not at rest.
            if !news.isComplete { pool.markStandingsUnrecorded() }
        }
        // Wherever it stands: a store that was restored from a backup has gone back.
        state.withLock { $0.seen?.standings = news.epoch }
    }

    /// Gets a pool the tickets that it asked for.
    private func leaseTickets(for desk: TicketDesk, of service: ServiceID, from link: any ReplicaLink) async {
        let consumption = desk.consumption
        let (size, seen) = state.withLock { state in
            let size = state.pacings[service, default: TicketPacing()].blockSize(turns: consumption.turns, fitCount: consumption.fitCount, at: clock())
            return (size, state.seen)
        }
        do {
            let lease = try await link.leaseTickets(size, of: service)
            desk.supply(lease)
            if let epoch = lease.epoch, epoch != seen { wakeReplication() }
        } catch {
            logger.trace("no tickets could be leased", metadata: ["error": "\(error)"])
            try? await Task.sleep(for: Self.leaseRetryPause * Double.random(in: 0.5...1.5))
            desk.supply(nil)
        }
    }
}

/// Counts, which replicas tell the store and not each other.
extension Administration {
    /// As ``keys(of:after:limit:where:)``, with counts over all replicas.
    func presentKeys(
        of service: ServiceID, after: KeyID?, limit: Int, where isIncluded: (KeyView) -> Bool
    ) async throws(AdministrationError) -> [KeyView] {
        let views = try keys(of: service, after: after, limit: limit, where: isIncluded)
        guard link != nil else { return views }
        await refreshCounts(of: views.map(\.id), in: service)
        return views.compactMap { try? key($0.id, of: service) }
    }

    /// A page of a service's keys by position, with counts over all replicas, and how many keys there are in all. By counts or last use, this replica's knowledge
    /// of them sorts.
    func presentKeys(
        of service: ServiceID, _ order: KeyOrder, offset: Int, limit: Int, where isIncluded: ((KeyView) -> Bool)?
    ) async throws(AdministrationError) -> (views: [KeyView], total: Int) {
        let (views, total) = try entry(service).pool.page(order, offset: offset, limit: limit, at: clock(), where: isIncluded)
        guard link != nil else { return (views, total) }
        await refreshCounts(of: views.map(\.id), in: service)
        return (views.map { (try? key($0.id, of: service)) ?? $0 }, total)
    }

    /// As ``key(_:)``, with counts over all replicas.
    func presentKey(_ id: KeyID) async throws(AdministrationError) -> KeyView {
        let view = try key(id)
        guard link != nil else { return view }
        await refreshCounts(of: [id], in: view.serviceID)
        return try key(id)
    }

    private func key(_ id: KeyID, of service: ServiceID) throws(AdministrationError) -> KeyView {
        guard let view = try entry(service).pool.view(of: id, at: clock()) else { throw .keyNotFound(id) }
        return view
    }

    /// Reads what all replicas together have counted of these keys, for whoever looks at them now. What cannot be read within half a second stays as it
    /// was last known: a listing does not wait for a store that is mute.
    private func refreshCounts(of ids: [KeyID], in service: ServiceID) async {
        guard !ids.isEmpty, let pool = try? entry(service).pool else { return }
        let (ends, end) = AsyncStream<Void>.makeStream()
        Task {
            await readCounts(of: ids, into: pool)
            end.finish()
        }
        let patience = Task {
            try? await Task.sleep(for: Self.countPatience)
            end.finish()
        }
        for await _ in ends {}
        patience.cancel()
    }

    private static var countPatience: Duration { .milliseconds(500) }

    private func readCounts(of ids: [KeyID], into pool: RotatingKeyPool) async {
        do { try await standingGate.enter() } catch { return }
        defer { standingGate.leave() }
        // What is on its way may be among the totals or not.
        guard state.withLock({ $0.unwritten == nil && $0.waiting.isEmpty }), let totals = try? await store.counts(of: ids) else { return }
        pool.learn(totals)
    }
}
