// SPDX-License-Identifier: MIT

/// Where services and keys are kept. Every call may suspend; none blocks the caller's thread for I/O.
///
/// A write that has returned survives a crash of the process (a durable backend) and is whole: all of it or nothing.
public protocol UpstreamCatalog: Sendable {
    /// All services, by number.
    func services() async throws(StoreError) -> [ServiceRecord]
    /// Adds a service. Throws ``StoreError/Code/conflict`` when the slug is taken.
    func insertService(_ configuration: ServiceConfiguration) async throws(StoreError) -> ServiceRecord
    /// Replaces a service's configuration. Throws `notFound`, or `conflict` when the slug is taken by another.
    func updateService(_ service: ServiceRecord) async throws(StoreError)
    /// Removes a service and its keys. Throws `notFound`.
    func deleteService(_ id: ServiceID) async throws(StoreError)

    /// All keys of a service with their standing, by number.
    func keys(of service: ServiceID) async throws(StoreError) -> [KeyRecord]
    /// Adds keys in one transaction, in order. One result per key; a value that the service has already, or that stood earlier in `keys`, is
    /// ``KeyInsertion/duplicate`` and changes nothing. Throws `notFound` when the service is gone.
    func insertKeys(_ keys: [NewKey], into service: ServiceID) async throws(StoreError) -> [KeyInsertion]
    /// Changes name, weight, switch and attributes of a key. Throws `notFound`.
    func updateKey(_ id: KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes) async throws(StoreError)
    /// Removes a key. Throws `notFound`.
    func deleteKey(_ id: KeyID) async throws(StoreError)
    /// Removes all keys of a service and says how many. Throws `notFound` when the service is gone.
    func deleteKeys(of service: ServiceID) async throws(StoreError) -> Int
    /// Removes keys of a service, in one transaction, and says how many there were; those that are gone or another service's are passed over.
    func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int

    /// Makes all of these changes in one transaction, in order, or none; one result for each.
    ///
    /// Throws as the single calls do; `notFound` for a reference to a change that comes later or adds no service.
    func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult]
}

/// One of the changes of an import.
public enum CatalogueChange: Sendable {
    /// A service in the same list of changes, or one that is there already.
    public enum ServiceReference: Sendable, Hashable {
        case existing(ServiceID)
        /// The one that the change with this index adds.
        case added(by: Int)
    }

    case insertService(ServiceConfiguration)
    case updateService(ServiceRecord)
    case insertKeys([NewKey], into: ServiceReference)
    case updateKey(KeyID, name: String, weight: Int, isActive: Bool, attributes: KeyAttributes)
    case insertDocument(DocumentKind, name: String, body: [UInt8])
    case replaceDocument(DocumentKind, Int64, name: String, body: [UInt8])
    case deleteService(ServiceID)
    /// Those that are gone or another service's are passed over.
    case deleteKeys([KeyID], of: ServiceID)
    case deleteDocument(DocumentKind, Int64)
}

/// What came of a change.
public enum CatalogueChangeResult: Sendable {
    /// The service that was added.
    case service(ServiceRecord)
    /// One result for each key that was to be added, in order.
    case keys([KeyInsertion])
    /// The document that was added or replaced, as it is now.
    case document(StoredDocument)
    /// It was done, and there is nothing to tell.
    case done
}

/// What became of a key that was to be added.
public enum KeyInsertion: Sendable {
    /// It is in the pool now.
    case inserted(KeyRecord)
    /// The service has this value already.
    case duplicate
}

/// Where the standing of keys is written down, and what was counted of them.
public protocol KeyLedger: Sendable {
    /// Writes what there is to tell of the given keys, in one transaction; keys that are gone are passed over.
    ///
    /// Counts are added to what is there. A standing replaces the one that is there, whole, unless it is older
    /// (``StandingRecord/isOlder(than:)``): then it is passed over, and the counts beside it are not.
    ///
    /// - Parameter batch: where it is given, and its writer has written one of this number or a higher one already, nothing is done: so a batch of
    ///   which nobody knows whether it was written can be written again. A writer that is silent for a day may be forgotten.
    func record(_ updates: [KeyID: StandingUpdate], batch: LedgerBatch?) async throws(StoreError)

    /// What all replicas together have recorded of these keys; keys that are gone are left out.
    func counts(of keys: [KeyID]) async throws(StoreError) -> [KeyID: KeyCounts]
}

extension KeyLedger {
    /// Writes what there is to tell of the given keys, whatever was written before.
    public func record(_ updates: [KeyID: StandingUpdate]) async throws(StoreError) { try await record(updates, batch: nil) }
}

/// Tells a batch of updates from the others of the same writer.
public struct LedgerBatch: Sendable, Hashable {
    /// Who writes it: at random for each process, up to 64 characters.
    public var writer: String
    /// 1 for the writer's first, and growing.
    public var number: Int64

    /// A batch of a writer.
    public init(writer: String, number: Int64) {
        self.writer = writer
        self.number = number
    }
}

/// Small named values of the installation itself (generated secrets' hashes, the token key): sealed at rest.
public protocol SettingStore: Sendable {
    /// The value under `name`; nil when there is none.
    func setting(_ name: String) async throws(StoreError) -> [UInt8]?
    /// Sets or replaces the value under `name`.
    func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError)
    /// Sets the value under `name` unless there is one, and returns the one that is there then: of several who try at once, all get the first one's.
    func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8]
}

extension SettingStore {
    /// For stores that serve one caller at a time.
    public func insertSetting(_ name: String, _ value: [UInt8]) async throws(StoreError) -> [UInt8] {
        if let present = try await setting(name) { return present }
        try await setSetting(name, to: value)
        return value
    }
}

/// Who changed what, when.
public protocol AuditLog: Sendable {
    /// Appends an entry.
    func append(_ entry: AuditEntry) async throws(StoreError)
    /// Entries with a number above `after`, oldest first, at most `limit`.
    func auditEntries(after: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)]
    /// Entries with a number below `before`, newest first, at most `limit`.
    func auditEntries(before: Int64, limit: Int) async throws(StoreError) -> [(id: Int64, entry: AuditEntry)]
}

/// One line of the audit log. Never holds a credential.
public struct AuditEntry: Sendable, Hashable {
    /// When it was done.
    public var at: Moment
    /// Who did it: a user name, or `system`.
    public var actor: String
    /// What was done, such as `keys.export`.
    public var action: String
    /// To what, such as `service 3`.
    public var subject: String

    /// One line of the audit log.
    public init(at: Moment, actor: String, action: String, subject: String) {
        self.at = at
        self.actor = actor
        self.action = action
        self.subject = subject
    }
}

/// Why a store could not do what it was asked.
public struct StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of reason.
    public enum Code: String, Sendable, Hashable {
        /// Another object holds the same unique value.
        case conflict
        /// The object is gone.
        case notFound
        /// The store cannot be reached or is busy; worth trying again.
        case unavailable
        /// The disk is full, read-only, or refuses to write.
        case notWritable
        /// Another process holds the embedded store.
        case locked
        /// The store was sealed under another encryption key.
        case wrongEncryptionKey
        /// The store's content cannot be read.
        case damaged
        /// A location or option that is not understood.
        case misconfigured
    }

    /// The kind of reason.
    public var code: Code
    /// One line for an operator, without credentials.
    public var message: String

    /// A reason with its words.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
