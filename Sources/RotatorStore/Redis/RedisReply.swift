// SPDX-License-Identifier: MIT

internal import CHiredis
internal import RotatorCore

/// What a Redis server answered, copied out of hiredis' memory.
enum RedisReply: Sendable, Hashable {
    case null
    case integer(Int64)
    case octets([UInt8])
    case array([RedisReply])
    /// A refusal, as its first word alone, such as `WRONGTYPE`: what follows it may repeat values.
    case refusal(String)

    /// Copies a `redisReply`.
    init(_ reply: UnsafePointer<redisReply>) {
        func text() -> [UInt8] {
            guard let start = unsafe reply.pointee.str else { return [] }
            return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: Int(reply.pointee.len)))
        }
        switch unsafe reply.pointee.type {
        case REDIS_REPLY_INTEGER: self = unsafe .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: self = .octets(text())
        case REDIS_REPLY_ERROR:
            let word = text().prefix { $0 != 0x20 && $0 != 0x0A }
            self = .refusal(String(decoding: word.allSatisfy { (0x21...0x7E).contains($0) } ? word.prefix(40) : [], as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            self = .array(
                unsafe (0..<Int(reply.pointee.elements)).map { index in
                    guard let element = unsafe reply.pointee.element?[index] else { return .null }
                    return unsafe RedisReply(element)
                })
        default: self = .null
        }
    }

    /// As an integer; nil for anything else.
    var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .octets(let octets): Int64(String(decoding: octets, as: UTF8.self))
        case .null, .array, .refusal: nil
        }
    }

    /// As octets; nil for anything else.
    var octets: [UInt8]? {
        if case .octets(let octets) = self { return octets }
        return nil
    }

    /// As text; nil for anything else.
    var text: String? { octets.map { String(decoding: $0, as: UTF8.self) } }

    /// The elements; none for anything else.
    var elements: [RedisReply] {
        if case .array(let elements) = self { return elements }
        return []
    }

    /// An array of names and values in turn.
    var pairs: [(name: RedisReply, value: RedisReply)] {
        let all = elements
        return stride(from: 0, to: all.count - 1, by: 2).map { (all[$0], all[$0 + 1]) }
    }
}

/// Why a call to Redis failed.
struct RedisError: Error, Hashable {
    /// The reason in the words of the store.
    var storeError: StoreError
    /// Whether the server cannot be reached or does not answer, so that every other call would fail alike.
    var meansOutage = false

    init(_ code: StoreError.Code, _ message: String, meansOutage: Bool = false) {
        storeError = StoreError(code, message)
        self.meansOutage = meansOutage
    }

    /// What the first word of a refusal means.
    init(refusal word: String, at place: String) {
        switch word {
        case "LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY":
            self.init(.unavailable, "\(place): the server cannot serve at present (\(word))")
        case "NOAUTH", "WRONGPASS", "NOPERM":
            self.init(.unavailable, "\(place): the server does not accept the user or the password, or does not let it do this (\(word))", meansOutage: word != "NOPERM")
        case "OOM", "MISCONF":
            self.init(.notWritable, "\(place): the server does not write: out of memory or disk (\(word))")
        case "ROTATORNONE":
            self.init(.misconfigured, "\(place) holds no catalogue of this version: it has not been migrated, or has lost what it held")
        default:
            self.init(.unavailable, "\(place): the server refused a command (\(word.isEmpty ? "no reason" : word))")
        }
    }
}
