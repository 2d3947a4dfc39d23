// SPDX-License-Identifier: MIT

/// The number of a client key that was made here. Positive, never used again after a deletion.
public struct ClientID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number, 1 or more.
    public let rawValue: Int64
    /// The client with this number.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }
    public var description: String { String(rawValue) }
    public static func < (lhs: ClientID, rhs: ClientID) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// What a client may do. Nil means without limit.
public struct ClientPolicy: Sendable, Hashable {
    /// Slugs of services, `*` standing for any run of characters; nil = all.
    public var services: [String]?
    /// Models, `*` standing for any run of characters; nil = all. A request whose model cannot be read is not allowed where this is set.
    public var models: [String]?
    /// Requests within any 60 s.
    public var requestsPerMinute: Int64?
    /// Tokens within any 60 s: checked before a request, charged after it.
    public var tokensPerMinute: Int64?
    /// Requests under way at the same time, over all replicas as far as each can know.
    public var concurrentRequests: Int64?
    /// Tokens within a calendar month, UTC.
    public var monthlyTokenBudget: Int64?
    /// From when on the key is no longer good.
    public var expiresAt: Moment?
    /// False when an administrator switched it off.
    public var isActive: Bool

    /// Everything is allowed.
    public init() { isActive = true }
}

/// A client key that was made here. Its value is known to its owner alone.
public struct ClientRecord: Sendable, Hashable {
    /// Its number.
    public var id: ClientID
    /// A name for people, logs and metrics; unique.
    public var name: String
    /// SHA-256 of the key's octets.
    public var digest: [UInt8]
    /// Enough of the value to recognise it, see ``Secret/masked``.
    public var masked: String
    /// What it may do.
    public var policy: ClientPolicy
    /// When it was made.
    public var createdAt: Moment

    /// A client key.
    public init(id: ClientID, name: String, digest: [UInt8], masked: String, policy: ClientPolicy, createdAt: Moment) {
        self.id = id
        self.name = name
        self.digest = digest
        self.masked = masked
        self.policy = policy
        self.createdAt = createdAt
    }
}
