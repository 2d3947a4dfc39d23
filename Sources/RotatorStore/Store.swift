// SPDX-License-Identifier: MIT

public import RotatorCore

/// Durable memory behind Core's ports: services, keys and their standing, settings, the audit log, small documents, history.
///
/// Whoever adds a backend conforms to this and runs `StoreConformance` of RotatorTestKit against it.
///
/// Any task may call any member, on any thread; none of them blocks the caller's thread for I/O. Calls that change something are carried out
/// one after the other, each whole or not at all, and have survived a crash by the time they return. Cancelling the calling task takes
/// nothing back: the call runs to its end.
public protocol Store: UpstreamCatalog, KeyLedger, SettingStore, AuditLog, DocumentStore, HistoryStore {
    /// Opens the store at `url` and checks that it can be used, without changing an existing one.
    ///
    /// - Parameters:
    ///   - url: Where the store is.
    ///   - sealing: Seals what must not be read by whoever has the store's files alone. What is read may be sealed under any key of the ring.
    /// - Throws: `misconfigured` for a location of another backend or a store of a newer version, `wrongEncryptionKey`, `damaged`, `locked`,
    ///   `notWritable` or `unavailable`; in each case nothing was written.
    static func open(_ url: StoreURL, sealing: MasterKeyRing) async throws(StoreError) -> Self

    /// Brings the schema to this version's, in one transaction; does nothing when it is already there. To be called once after opening:
    /// until then every other call throws `misconfigured`.
    func migrate() async throws(StoreError)

    /// Lets calls that have begun or wait finish, then gives everything back. Later calls throw `unavailable`; closing twice does no harm.
    func close() async

    /// Makes one round trip to the store, so that ``health`` is fresh. Throws what any call would throw now.
    func ping() async throws(StoreError)

    /// Whether the store served its last call; read from memory, never waits.
    var health: StoreHealth { get }

    /// Seals anew, under the first key of the ring, up to `limit` values that another of its keys has sealed, in one transaction; digests of keys
    /// with them. Returns how many there were: 0 when none is left. Can be broken off between two calls and taken up again by anybody.
    ///
    /// - Throws: `wrongEncryptionKey` when a value was sealed under a key that is not in the ring.
    func reseal(limit: Int) async throws(StoreError) -> Int

    /// Adds documents as they stood in another store, with their numbers and revisions, in one transaction, and says how many it added: one whose number or
    /// name is taken is passed over. Documents that are added later have greater numbers than all of these.
    func restoreDocuments(_ documents: [StoredDocument], of kind: DocumentKind) async throws(StoreError) -> Int

    /// When the first stretch of history begins that begins after `start`, in seconds since 1970-01-01T00:00:00Z; nil when there is none.
    func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64?

    /// What replicas over this store share; nil where the store serves one process alone.
    var replicaLink: (any ReplicaLink)? { get }
}

extension Store {
    /// Whether the store served its last call; read from memory, never waits.
    public var isReachable: Bool { health == .reachable }

    public var replicaLink: (any ReplicaLink)? { nil }
}

/// Whether a store can be used at present.
public enum StoreHealth: Sendable, Hashable {
    /// The last call was served, or refused for a reason that lies in the call itself.
    case reachable
    /// The last call failed for this reason, which lies in the store.
    case failing(StoreError)

    /// What the end of a call says about the store: `error` when it lies there, nil for a call that was served.
    init(after error: StoreError?) {
        switch error?.code {
        case nil, .conflict, .notFound: self = .reachable
        case .unavailable, .notWritable, .locked, .wrongEncryptionKey, .damaged, .misconfigured: self = .failing(error!)
        }
    }
}

/// Opens the store that `url` names. The caller still has to call ``Store/migrate()``.
///
/// - Parameter location: A Redis database for what replicas share, beside a SQLite or PostgreSQL store; a Redis store shares in its own. It may be away.
/// - Throws: As ``Store/open(_:sealing:)`` does.
public func openStore(_ url: StoreURL, sharing location: RedisLocation? = nil, sealing keys: MasterKeyRing) async throws(StoreError) -> any Store {
    let store: any Store =
        switch url.place {
        case .sqlite, .sqliteInMemory: try await SQLiteStore.open(url, sealing: keys)
        case .postgreSQL: try await PostgreSQLStore.open(url, sealing: keys)
        case .redis: try await RedisStore.open(url, sealing: keys)
        }
    guard let location else { return store }
    if case .redis = url.place { return store }
    return SharingStore(store, sharing: location)
}
