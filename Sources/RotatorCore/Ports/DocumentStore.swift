// SPDX-License-Identifier: MIT

/// What small documents of an installation are about.
public enum DocumentKind: String, Sendable, Hashable, CaseIterable {
    /// A client key that was made here.
    case client
    /// What a client has used, as all replicas count it together.
    case clientMeter = "client_meter"
    /// Where an alert goes.
    case webhook
    /// Which alert has been sent, so that one replica sends it.
    case alertClaim = "alert_claim"
    /// A job: what it does, and how far it has come.
    case job
    /// A part of a job's results.
    case jobPart = "job_part"

    /// Whether a change of one is news to other replicas (``CatalogueNews/changedDocuments``).
    public var isFollowed: Bool {
        switch self {
        case .client, .webhook: true
        case .clientMeter, .alertClaim, .job, .jobPart: false
        }
    }
}

/// A small document as a store keeps it.
public struct StoredDocument: Sendable, Hashable {
    /// Its number within its kind, 1 or more; never used again after a deletion.
    public var id: Int64
    /// Unique within its kind.
    public var name: String
    /// The document, up to 1 MiB.
    public var body: [UInt8]
    /// Grows by one each time that it is replaced, from 1.
    public var revision: Int64

    /// A document.
    public init(id: Int64, name: String, body: [UInt8], revision: Int64) {
        self.id = id
        self.name = name
        self.body = body
        self.revision = revision
    }
}

/// Where small documents are kept, sealed at rest like provider keys. Calls are whole, durable and never block, as those of ``UpstreamCatalog`` are.
public protocol DocumentStore: Sendable {
    /// Documents of a kind with a number above `after`, by number, at most `limit`.
    func documents(_ kind: DocumentKind, after: Int64, limit: Int) async throws(StoreError) -> [StoredDocument]

    /// The document with this name; nil when there is none.
    func document(_ kind: DocumentKind, named name: String) async throws(StoreError) -> StoredDocument?

    /// Adds a document. Throws `conflict` when the name is taken.
    func insertDocument(_ kind: DocumentKind, named name: String, body: [UInt8]) async throws(StoreError) -> StoredDocument

    /// Replaces a document's name and body, and returns its new revision. Throws `notFound`; `conflict` when the name is taken by another, or when
    /// `revision` is given and is not the present one.
    func replaceDocument(_ kind: DocumentKind, _ id: Int64, named name: String, body: [UInt8], expecting revision: Int64?) async throws(StoreError) -> Int64

    /// Removes a document. Throws `notFound`.
    func deleteDocument(_ kind: DocumentKind, _ id: Int64) async throws(StoreError)
}
