// SPDX-License-Identifier: MIT

/// A request whose answer tells whether a key is good: as cheap as the provider offers.
public struct ProbeRequest: Sendable, Hashable {
    /// The method.
    public var method: String
    /// What follows the base path, with its query: empty, or beginning with `/`. A version segment that the base ends with is not doubled.
    public var path: String
    /// The body, sent as JSON; empty: none.
    public var body: [UInt8]
    /// The model that is asked for; nil: as the adapter reads it from the request.
    public var model: String?

    /// A request that tells whether a key is good.
    public init(method: String = "GET", path: String, body: [UInt8] = [], model: String? = nil) {
        self.method = method
        self.path = path
        self.body = body
        self.model = model
    }
}
