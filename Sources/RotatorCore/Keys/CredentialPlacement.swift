// SPDX-License-Identifier: MIT

/// Where a key travels in a request. Data, not code: written in our request in place of what the client sent there.
public struct CredentialPlacement: Sendable, Hashable {
    /// The part of the request.
    public enum Location: String, Sendable, Hashable { case header, query }

    /// Header field or query pair.
    public var location: Location
    /// The field's or query parameter's name.
    public var name: String
    /// What stands before the key in the value, such as `"Bearer "`.
    public var prefix: String

    /// A placement.
    public init(_ location: Location, name: String, prefix: String = "") {
        self.location = location
        self.name = name
        self.prefix = prefix
    }

    /// `Authorization: Bearer K` (RFC 6750 §2.1).
    public static let bearer = CredentialPlacement(.header, name: "Authorization", prefix: "Bearer ")
}
