// SPDX-License-Identifier: MIT

internal import Crypto
public import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The 32 octets from which everything that seals a store is derived. Cannot be printed; overwritten with zeros when the last copy goes.
public struct MasterKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The number of octets.
    public static let byteCount = 32

    let secret: Secret

    /// The key with these octets. Throws `misconfigured` unless there are 32.
    public init(_ secret: Secret) throws(StoreError) {
        guard secret.count == Self.byteCount else { throw Self.malformed }
        self.secret = secret
    }

    /// Reads 64 hexadecimal digits, or 32 octets in base64 (either alphabet, padded or not). White space around them is ignored.
    ///
    /// - Throws: `misconfigured`, in one line that says what is accepted and repeats nothing of `text`.
    public init(_ text: String) throws(StoreError) {
        let digits = Array(text.utf8).trimmed
        guard var octets = Self.hexadecimal(digits) ?? Self.base64(digits) else { throw Self.malformed }
        defer { octets.overwrite() }
        try self.init(Secret(octets))
    }

    /// A new key from the system's random source.
    public static func generate() -> MasterKey {
        var octets = randomOctets(count: byteCount)
        defer { octets.overwrite() }
        guard let key = try? MasterKey(Secret(octets)) else { preconditionFailure("32 octets are a master key") }
        return key
    }

    /// Reads the key file at `path`, or nil when there is none. Blocks the calling thread: for use while starting.
    ///
    /// - Throws: `misconfigured` when the file holds something else, `notWritable` when it cannot be read.
    public static func load(at path: String) throws(StoreError) -> MasterKey? {
        guard var text = try FileSystem.contents(of: path, limit: 1024) else { return nil }
        defer { text.overwrite() }
        do throws(StoreError) {
            return try MasterKey(String(decoding: text, as: UTF8.self))
        } catch {
            throw StoreError(.misconfigured, "the key file \(path) does not hold a key: 32 bytes in hex or base64 are expected")
        }
    }

    /// Reads the key file at `path`, or makes it: mode 0600, whole or not at all, on disk when this returns. Blocks the calling thread.
    ///
    /// An existing file is never changed. Of two processes that make it at once, one wins and both return its key.
    ///
    /// - Throws: As ``load(at:)`` does, or `notWritable` when it cannot be made.
    public static func loadOrCreate(at path: String) throws(StoreError) -> MasterKey {
        if let key = try load(at: path) { return key }
        let key = generate()
        var text = key.hexadecimal
        defer { text.overwrite() }
        if try FileSystem.createFile(at: path, holding: text) { return key }
        guard let other = try load(at: path) else { throw StoreError(.notWritable, "the key file \(path) was removed while it was being made") }
        return other
    }

    /// 64 digits and a line feed.
    private var hexadecimal: [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(secret.count * 2 + 1)
        unsafe secret.withUnsafeBytes { bytes in
            for unsafe byte in unsafe bytes {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
        }
        text.append(UInt8(ascii: "\n"))
        return text
    }

    private static let malformed = StoreError(.misconfigured, "an encryption key is 32 bytes in hex (64 digits) or base64")

    private static func hexadecimal(_ text: [UInt8]) -> [UInt8]? {
        guard text.count == byteCount * 2 else { return nil }
        var octets: [UInt8] = []
        octets.reserveCapacity(byteCount)
        for index in stride(from: 0, to: text.count, by: 2) {
            guard let high = Character(UnicodeScalar(text[index])).hexDigitValue, let low = Character(UnicodeScalar(text[index + 1])).hexDigitValue
            else { return nil }
            octets.append(UInt8(high << 4 | low))
        }
        return octets
    }

    private static func base64(_ text: [UInt8]) -> [UInt8]? {
        var standard = text.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "+") : $0 == UInt8(ascii: "_") ? UInt8(ascii: "/") : $0 }
        defer { standard.overwrite() }
        while standard.count % 4 != 0 { standard.append(UInt8(ascii: "=")) }
        guard let octets = Data(base64Encoded: Data(standard)), octets.count == byteCount else { return nil }
        return [UInt8](octets)
    }

    public var description: String { "‹redacted›" }
    public var debugDescription: String { "‹redacted›" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension [UInt8] {
    /// Without white space at either end.
    fileprivate var trimmed: [UInt8] {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) }) else { return [] }
        return [UInt8](self[first...last])
    }

    /// Writes zeros over octets that were secret, in a way that is not taken for a useless store.
    @inline(never) @_optimize(none)
    mutating func overwrite() {
        for index in indices { self[index] = 0 }
    }
}

/// Octets from the system's random source.
func randomOctets(count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}
