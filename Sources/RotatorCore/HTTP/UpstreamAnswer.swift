// SPDX-License-Identifier: MIT

/// What an upstream answered, as far as it is needed to judge the key that was spent.
public struct UpstreamAnswer: Sendable {
    /// The status code, 200…599.
    public var status: Int
    /// All fields of the head.
    public var fields: HeaderFields
    /// The first octets of the body as they came (still under their content coding), at most 64 KiB.
    public var bodyPrefix: [UInt8]

    /// An answer with its head and what has come of its body.
    public init(status: Int, fields: HeaderFields = [], bodyPrefix: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.bodyPrefix = bodyPrefix
    }
}
