// SPDX-License-Identifier: MIT

/// What the replicas of one installation share beside the catalogue itself: rotation tickets, and the news of what any of them has changed.
///
/// News is pushed (``news()``) and numbered (``epoch()``): whoever sees a number that it has not reached reads what it missed, so a message
/// that was lost costs time and nothing else. Every call may suspend; none blocks the caller's thread for I/O. No request ever waits for one.
public protocol ReplicaLink: Sendable {
    /// Takes `count` consecutive tickets of a service's rotation off the shared counter. Each ticket is handed out once, to whichever replica.
    ///
    /// - Parameter count: 1…65,536.
    func leaseTickets(_ count: Int, of service: ServiceID) async throws(StoreError) -> TicketLease

    /// Where the shared state stands now: one round trip.
    func epoch() async throws(StoreError) -> ReplicaEpoch

    /// Changes of services and keys after `revision`, oldest first.
    func catalogueChanges(after revision: Int64) async throws(StoreError) -> CatalogueNews

    /// Standings that were recorded after `epoch`, whoever recorded them.
    func standings(after epoch: Int64) async throws(StoreError) -> StandingNews

    /// Tells the other replicas at once what this one has decided, where that goes another way than writing it down does; what cannot be told is told
    /// by the store itself later. Does nothing by default: then `KeyLedger/record(_:batch:)` tells.
    func announce(_ standings: [KeyID: StandingRecord]) async

    /// An element each time that something may have been published by any replica, this one included, and each time that the connection over which
    /// news comes has been made (again). Elements that nobody took are folded into one. Ends when the store is closed.
    func news() -> AsyncStream<Void>
}

extension ReplicaLink {
    public func announce(_ standings: [KeyID: StandingRecord]) async {}
}

/// Where the shared state of replicas stands. Both numbers only grow, also when shared state that was lost begins anew.
public struct ReplicaEpoch: Sendable, Hashable {
    /// Grows with each change of services or keys.
    public var catalogue: Int64
    /// Grows with each batch of standings.
    public var standings: Int64

    /// A place in the history of the shared state.
    public init(catalogue: Int64, standings: Int64) {
        self.catalogue = catalogue
        self.standings = standings
    }
}

/// Consecutive tickets of a service's rotation, `first ..< first + count`.
public struct TicketLease: Sendable, Hashable {
    /// The first ticket, 0 or more.
    public var first: Int64
    /// How many.
    public var count: Int
    /// Where the shared state stood when they were leased; nil where the tickets' place does not know.
    public var epoch: ReplicaEpoch?

    /// Consecutive tickets.
    public init(first: Int64, count: Int, epoch: ReplicaEpoch?) {
        self.first = first
        self.count = count
        self.epoch = epoch
    }
}

/// What has changed in the catalogue.
public struct CatalogueNews: Sendable, Hashable {
    /// The services that others have changed: their configuration, their keys, or their very existence. Nil when the record of changes does not
    /// reach back far enough, so that everything has to be read. Changes made through this very store object are left out.
    public var changedServices: [ServiceID]?
    /// The kinds of documents of which others have changed one; counts only where ``changedServices`` is not nil.
    public var changedDocuments: Set<DocumentKind>
    /// Up to where the news reaches.
    public var revision: Int64

    /// What has changed.
    public init(changedServices: [ServiceID]?, changedDocuments: Set<DocumentKind> = [], revision: Int64) {
        self.changedServices = changedServices
        self.changedDocuments = changedDocuments
        self.revision = revision
    }
}

/// What has been decided about keys.
public struct StandingNews: Sendable, Hashable {
    /// The latest standing of each key that was recorded since.
    public var standings: [KeyID: StandingRecord]
    /// Up to where the news reaches.
    public var epoch: Int64
    /// False when shared state was lost since: what others have recorded may be missing, and everyone should record again what is not at rest.
    public var isComplete: Bool

    /// What has been decided.
    public init(standings: [KeyID: StandingRecord], epoch: Int64, isComplete: Bool) {
        self.standings = standings
        self.epoch = epoch
        self.isComplete = isComplete
    }
}
