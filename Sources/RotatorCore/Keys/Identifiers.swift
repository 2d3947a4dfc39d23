// SPDX-License-Identifier: MIT

/// The number of an upstream key: its loggable handle. Positive, never used again after a deletion.
public struct KeyID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number, 1 or more.
    public let rawValue: Int64
    /// The key with this number.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }
    public var description: String { String(rawValue) }
    public static func < (lhs: KeyID, rhs: KeyID) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// The number of a service. Positive, never used again after a deletion.
public struct ServiceID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number, 1 or more.
    public let rawValue: Int64
    /// The service with this number.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }
    public var description: String { String(rawValue) }
    public static func < (lhs: ServiceID, rhs: ServiceID) -> Bool { lhs.rawValue < rhs.rawValue }
}
