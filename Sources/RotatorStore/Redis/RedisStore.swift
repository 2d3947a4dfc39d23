// SPDX-License-Identifier: MIT

public import RotatorCore

/// A store in a Redis database, for any number of processes at once, over hiredis' asynchronous interface.
///
/// Whatever changes something is one script, so it is whole or not at all. It lasts as long as Redis keeps it: see ``durabilityWarning()``. The store
/// has a thread of its own that waits for its connections; while the server is away no call waits for it, and it is reached again by itself. An
/// emptied database is never taken for an empty catalogue: calls throw `misconfigured` then.
public final class RedisStore: Store {
    let client: RedisClient
    let sealer: Sealer
    /// Tells the changes of this store from those of others.
    let writer: [UInt8]

    /// 2: keys may have attributes; documents and history.
    static let schema = 2

    private init(_ client: RedisClient, sealer: Sealer) {
        self.client = client
        self.sealer = sealer
        writer = [UInt8](text: randomOctets(count: 12).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())
    }

    /// Connects to the database at `url` and looks whose it is. Nothing is changed.
    ///
    /// - Throws: `unavailable` when the server cannot be reached or refuses the password, `misconfigured` for a database of a newer version,
    ///   `wrongEncryptionKey`, or `damaged`.
    public static func open(_ url: StoreURL, sealing keys: MasterKeyRing) async throws(StoreError) -> RedisStore {
        guard case .redis(let location) = url.place else { throw StoreError(.misconfigured, "\(url) is no Redis database") }
        let client = try RedisClient(location, prefix: "rotator:")
        let store = RedisStore(client, sealer: Sealer(keys))
        do throws(StoreError) {
            let found = try await client.command("HMGET", "rotator:meta", "schema", "check").elements
            if found.count == 2, let schema = found[0].integer { try store.check(schema: schema, check: found[1].octets ?? []) }
        } catch {
            await client.close()
            throw error
        }
        client.start(probe: .ping)
        return store
    }

    private func check(schema: Int64, check: [UInt8]) throws(StoreError) {
        guard schema <= Self.schema else {
            throw StoreError(.misconfigured, "\(client.place) was written by a newer version (schema \(schema), this one knows \(Self.schema)); nothing was changed")
        }
        _ = try opened("the value that tells its encryption key") { () throws(Sealer.Failure) in try sealer.openOctets(check, for: .check) }
    }

    public func migrate() async throws(StoreError) {
        let check = sealer.seal(Array("rotator".utf8), for: .check)
        let found = try await client.run(.migrate, [[UInt8](number: Int64(Self.schema)), check]).elements
        // Of several who migrate at once the first one's key counts.
        try self.check(schema: found.first?.integer ?? 0, check: found.last?.octets ?? [])
    }

    public func close() async { await client.close() }

    public func ping() async throws(StoreError) { _ = try await client.run(.ping, within: RedisSession.Limit.quick) }

    public var health: StoreHealth { client.condition.health }

    public var replicaLink: (any ReplicaLink)? { self }

    /// One line for an operator where Redis keeps nothing on disk, so that the catalogue is gone with it; nil where it does, or does not tell.
    public func durabilityWarning() async -> String? {
        func setting(_ name: String) async -> String? {
            guard let reply = try? await client.command("CONFIG", "GET", name) else { return nil }
            return reply.pairs.first?.value.text
        }
        guard await setting("appendonly") == "no", await setting("save") == "" else { return nil }
        return "\(client.place) keeps nothing on disk (appendonly no, no save points): the catalogue is lost when it ends"
    }

    /// What was sealed for `subject`, or what is wrong with it.
    func opened<Value>(_ what: @autoclosure () -> String, _ body: () throws(Sealer.Failure) -> Value) throws(StoreError) -> Value {
        do throws(Sealer.Failure) {
            return try body()
        } catch {
            switch error {
            case .damaged: throw StoreError(.damaged, "\(client.place): \(what()) is damaged: its seal does not hold")
            case .otherKey: throw StoreError(.wrongEncryptionKey, "\(client.place): \(what()) was sealed under another encryption key")
            }
        }
    }
}

extension RedisStore: KeyLedger {
    public func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError) {
        guard !updates.isEmpty else { return }
        var arguments = [batch.map { [UInt8](text: $0.writer) } ?? [], batch.map { [UInt8](number: $0.number) } ?? []]
        arguments.reserveCapacity(2 + updates.count * 5)
        for (id, update) in updates {
            arguments.append([UInt8](number: id.rawValue))
            arguments.append(update.standing.map { StandingDocument.encode($0) } ?? [])
            arguments.append([UInt8](number: update.counts.successes))
            arguments.append([UInt8](number: update.counts.failures))
            arguments.append(update.counts.lastUsedAt.map { [UInt8](text: StandingDocument.padded($0.nanoseconds)) } ?? [])
        }
        _ = try await client.run(.record, arguments)
    }

    public func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts] {
        let found = try await client.run(.counts, keys.map { [UInt8](number: $0.rawValue) }).elements
        guard found.count == 4 else { return [:] }
        var counts: [KeyID: KeyCounts] = [:]
        for (index, key) in keys.enumerated() where index < found[0].elements.count && found[0].elements[index] != .null {
            counts[key] = Self.counts(found[1].elements[index], found[2].elements[index], found[3].elements[index])
        }
        return counts
    }

    static func counts(_ successes: RedisReply, _ failures: RedisReply, _ used: RedisReply) -> KeyCounts {
        KeyCounts(successes: successes.integer ?? 0, failures: failures.integer ?? 0, lastUsedAt: used.integer.map { Moment(nanoseconds: $0) })
    }
}

extension RedisStore: SettingStore {
    public func setting(_ name: String) async throws(StoreError) -> [UInt8]? {
        guard let sealed = try await client.run(.setting, [[UInt8](text: name)]).octets else { return nil }
        return try opened("the setting \(name)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .setting(name)) }
    }

    public func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) {
        _ = try await client.run(.setSetting, [[UInt8](text: name), sealer.seal(value, for: .setting(name))])
    }

    public func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8] {
        let sealed = try await client.run(.insertSetting, [[UInt8](text: name), sealer.seal(value, for: .setting(name))]).octets ?? []
        return try opened("the setting \(name)") { () throws(Sealer.Failure) in try sealer.openOctets(sealed, for: .setting(name)) }
    }
}

extension RedisStore: ReplicaLink {
    public func leaseTickets(_ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease {
        try await client.lease(.lease, count, of: service)
    }

    public func epoch() async throws(StoreError) -> ReplicaEpoch { try await client.epoch(.epoch) }

    public func catalogueChanges(after revision: Int64) async throws(StoreError) -> CatalogueNews {
        // Every change asks this first: while the server is mute, its refusal must not take longer.
        let found = try await client.run(.changes, [[UInt8](number: revision)], within: RedisSession.Limit.quick).elements
        guard found.count >= 2, let present = found[0].integer else { throw client.unexpected }
        guard found[1].integer == 1 else { return CatalogueNews(changedServices: nil, revision: present) }
        let own = String(decoding: writer, as: UTF8.self)
        var numbers: [Int64] = []
        for change in found[2...] {
            let parts = (change.text ?? "").split(separator: ":")
            guard parts.count == 3, let number = Int64(parts[1]) else { throw client.unexpected }
            if parts[2] != own { numbers.append(number) }
        }
        return CatalogueNews(numbers: numbers, revision: present)
    }

    public func standings(after epoch: Int64) async throws(StoreError) -> StandingNews { try await client.standings(.standings, after: epoch) }

    public func news() -> AsyncStream<Void> { client.news.stream() }
}

/// What the whole store and shared state alone have in common.
extension RedisClient {
    var unexpected: StoreError { StoreError(.damaged, "\(place) answered with something else than was asked for") }

    func lease(_ script: RedisScript, _ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease {
        let arguments = [[UInt8](number: service.rawValue), [UInt8](number: Int64(count))]
        let found = try await run(script, arguments, within: RedisSession.Limit.quick).elements.map(\.integer)
        guard found.count == 3, let first = found[0], let catalogue = found[1], let standings = found[2] else { throw unexpected }
        return TicketLease(first: first, count: count, epoch: ReplicaEpoch(catalogue: catalogue, standings: standings))
    }

    func epoch(_ script: RedisScript) async throws(StoreError) -> ReplicaEpoch {
        let found = try await run(script, within: RedisSession.Limit.quick).elements.map(\.integer)
        guard found.count == 2, let catalogue = found[0], let standings = found[1] else { throw unexpected }
        return ReplicaEpoch(catalogue: catalogue, standings: standings)
    }

    func standings(_ script: RedisScript, after epoch: Int64) async throws(StoreError) -> StandingNews {
        let found = try await run(script, [[UInt8](number: epoch)]).elements
        guard found.count == 4, let present = found[0].integer else { throw unexpected }
        var standings: [KeyID: StandingRecord] = [:]
        for (id, text) in zip(found[2].elements, found[3].elements) {
            guard let id = id.integer, let octets = text.octets else { continue }
            guard let standing = StandingDocument.decode(octets) else { throw StoreError(.damaged, "\(place): the standing of key \(id) cannot be read") }
            standings[KeyID(id)] = standing
        }
        return StandingNews(standings: standings, epoch: present, isComplete: found[1].integer == 1)
    }
}
