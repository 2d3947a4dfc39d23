// SPDX-License-Identifier: MIT

/// A decoded JSON text (RFC 8259).
enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// The number where it is an integer of at most 53 bits, however it is written (`3`, `3.0`, `3e0`); nil for every other number.
    case number(Int?)
    case string(String)
    case array([JSONValue])
    /// The members in order; no name twice.
    case object([Member])

    /// A name and its value.
    struct Member: Sendable, Hashable {
        var name: String
        var value: JSONValue
    }

    /// What the value is, in words for a message.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// Why a text is not JSON that we read. Never repeats the text.
struct JSONFault: Error, Hashable {
    /// The octet at which it was seen, from 0.
    var offset: Int
    /// What is wrong there.
    var reason: String
}
