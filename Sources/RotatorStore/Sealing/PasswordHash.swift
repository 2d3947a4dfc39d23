// SPDX-License-Identifier: MIT

internal import Crypto
internal import CryptoExtras
public import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A password as it is remembered: scrypt with a salt and parameters of its own.
///
/// Its text is in the PHC form `$scrypt$ln=15,r=8,p=1$SALT$HASH` (base64 without padding). Making one and checking a password each keep a core
/// busy for 50 to 100 ms and take 32 MiB: never on a thread that carries traffic; see ``PasswordChecker``.
public struct PasswordHash: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// What scrypt is to cost (RFC 7914 §2).
    struct Cost: Hashable {
        var logN: Int
        var r: Int
        var p: Int

        static let present = Cost(logN: 15, r: 8, p: 1)

        /// What is read from a store must not make a login cost gigabytes.
        var isBearable: Bool { (1...20).contains(logN) && (1...16).contains(r) && (1...16).contains(p) && 128 * r << logN <= 256 << 20 }
    }

    private let cost: Cost
    private let salt: [UInt8]
    private let hash: [UInt8]

    /// Hashes `password` under a fresh random salt. Blocks: see above.
    public init(of password: Secret) { self.init(of: password, salt: randomOctets(count: 16), cost: .present) }

    init(of password: Secret, salt: [UInt8], cost: Cost) {
        self.cost = cost
        self.salt = salt
        self.hash = Self.derive(password, salt: salt, cost: cost, count: 32)
    }

    /// Reads what ``encoded`` gave. Throws `damaged` for anything else.
    public init(encoded: String) throws(StoreError) {
        let parts = encoded.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt", let cost = Self.cost(parts[2]), cost.isBearable,
            let salt = Self.base64(parts[3]), (8...64).contains(salt.count), let hash = Self.base64(parts[4]), (16...64).contains(hash.count)
        else { throw StoreError(.damaged, "a password's hash cannot be read") }
        self.cost = cost
        self.salt = salt
        self.hash = hash
    }

    /// The text that is to be kept.
    public var encoded: String {
        "$scrypt$ln=\(cost.logN),r=\(cost.r),p=\(cost.p)$\(Self.base64(salt))$\(Self.base64(hash))"
    }

    /// Whether `password` is the one. Blocks: see above; the comparison takes the same time wherever the first difference is.
    public func verify(_ password: Secret) -> Bool {
        let other = Self.derive(password, salt: salt, cost: cost, count: hash.count)
        var difference: UInt8 = 0
        for index in hash.indices { difference |= hash[index] ^ other[index] }
        return difference == 0
    }

    /// Whether it was made at less cost than new ones are, and should be made anew at the next login.
    public var isOutdated: Bool { cost != .present }

    private static func derive(_ password: Secret, salt: [UInt8], cost: Cost, count: Int) -> [UInt8] {
        let key = unsafe password.withUnsafeBytes { bytes in
            unsafe try? KDF.Scrypt.deriveKey(from: bytes, salt: salt, outputByteCount: count, rounds: 1 << cost.logN, blockSize: cost.r, parallelism: cost.p)
        }
        guard let key else { preconditionFailure("scrypt works within the bounds that were checked") }
        return unsafe key.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    private static func cost(_ text: Substring) -> Cost? {
        var values: [Int] = []
        for (field, name) in zip(text.split(separator: ",", omittingEmptySubsequences: false), ["ln=", "r=", "p="]) {
            guard field.hasPrefix(name), let value = Int(field.dropFirst(name.count)) else { return nil }
            values.append(value)
        }
        return values.count == 3 ? Cost(logN: values[0], r: values[1], p: values[2]) : nil
    }

    private static func base64(_ octets: [UInt8]) -> String {
        String(Data(octets).base64EncodedString().prefix { $0 != "=" })
    }

    private static func base64(_ text: Substring) -> [UInt8]? {
        Data(base64Encoded: text + String(repeating: "=", count: (4 - text.count % 4) % 4)).map { [UInt8]($0) }
    }

    public var description: String { "‹redacted›" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Hashes and checks passwords on a thread of its own, one at a time, so that a flood of logins takes one core and 32 MiB at most.
public final class PasswordChecker: Sendable {
    private let worker: WorkerThread<Int>

    /// Starts the thread. Throws `unavailable` when there is none to be had.
    public init() async throws(StoreError) {
        worker = try await WorkerThread.start(waitingLimit: 32) { () throws(StoreError) in 0 }
    }

    /// The hash of `password`. Throws `unavailable` when 32 calls wait already.
    public func hash(_ password: Secret) async throws(StoreError) -> PasswordHash {
        try await worker.run { _ throws(StoreError) in PasswordHash(of: password) }
    }

    /// Whether `password` is the one that was hashed. Throws `unavailable` when 32 calls wait already.
    public func verify(_ password: Secret, against hash: PasswordHash) async throws(StoreError) -> Bool {
        try await worker.run { _ throws(StoreError) in hash.verify(password) }
    }
}
