// SPDX-License-Identifier: MIT

internal import Crypto
internal import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Seals values for a store and opens them again: AES-256-GCM with a fresh random nonce for each.
///
/// What a value is and which row it belongs to is associated data, so a value that is moved to another row does not open. All keys are
/// derived from the master key by HKDF-SHA256, each under an info string of its own. A sealed value is
/// `version 1 · key identifier 4 · nonce 12 · ciphertext · tag 16` octets; the identifier tells which master key sealed it.
struct Sealer: Sendable {
    /// What is sealed, and for which row.
    enum Subject {
        /// The value by which a wrong master key is noticed.
        case check
        /// The value of an upstream key.
        case key(KeyID)
        /// The extra headers of a service.
        case headers(ServiceID)
        /// The setting under a name.
        case setting(String)
        /// The body of a document.
        case document(DocumentKind, Int64)

        var associatedData: [UInt8] {
            switch self {
            case .check: Array("rotator/check".utf8)
            case .key(let id): Array("rotator/key/".utf8) + id.rawValue.bigEndianOctets
            case .headers(let id): Array("rotator/headers/".utf8) + id.rawValue.bigEndianOctets
            case .setting(let name): Array("rotator/setting/".utf8) + Array(name.utf8)
            case .document(let kind, let id): Array("rotator/document/\(kind.rawValue)/".utf8) + id.bigEndianOctets
            }
        }
    }

    /// Why a value did not open.
    enum Failure: Error {
        /// It was sealed under another master key.
        case otherKey
        /// It is not what was sealed for this subject.
        case damaged
    }

    private static let version: UInt8 = 1
    private static let overhead = 1 + 4 + 12 + 16

    /// What is derived from one master key.
    private struct DerivedKeys: Sendable {
        let sealing: SymmetricKey
        // Has taken in its key already: half of the work on a short value.
        let keyedHash: HMAC<SHA256>
        let prefix: [UInt8]

        init(_ master: MasterKey) {
            let input = unsafe master.secret.withUnsafeBytes { unsafe SymmetricKey(data: $0) }
            func derive(_ purpose: String, count: Int = 32) -> SymmetricKey {
                HKDF<SHA256>.deriveKey(inputKeyMaterial: input, info: Array("api-key-rotator/1/\(purpose)".utf8), outputByteCount: count)
            }
            sealing = derive("seal")
            keyedHash = HMAC(key: derive("digest"))
            let identifier = unsafe derive("identifier", count: 4).withUnsafeBytes { unsafe [UInt8]($0) }
            prefix = [Sealer.version] + identifier
        }
    }

    private let present: DerivedKeys
    private let accepted: [DerivedKeys]

    init(_ ring: MasterKeyRing) {
        present = DerivedKeys(ring.sealing)
        accepted = ring.accepted.map(DerivedKeys.init).filter { [present] in $0.prefix != present.prefix }
    }

    /// What every value begins with that the present master key has sealed: 5 octets.
    var prefix: [UInt8] { present.prefix }

    /// Whether more than one master key is accepted, so that a value may have a digest under each of them.
    var isChangingKeys: Bool { !accepted.isEmpty }

    /// `octets`, sealed for `subject`.
    func seal(_ octets: some DataProtocol, for subject: Subject) -> [UInt8] {
        guard let box = try? AES.GCM.seal(octets, using: present.sealing, authenticating: subject.associatedData), let combined = box.combined else {
            preconditionFailure("AES-GCM seals under a 32-octet key")
        }
        var sealed: [UInt8] = []
        sealed.reserveCapacity(prefix.count + combined.count)
        sealed += prefix
        sealed += combined
        return sealed
    }

    /// The octets of `secret`, sealed for `subject`.
    func seal(_ secret: Secret, for subject: Subject) -> [UInt8] {
        unsafe secret.withUnsafeBytes { unsafe seal($0, for: subject) }
    }

    /// Calls `body` with what was sealed for `subject`; the clear octets are overwritten when it returns.
    func open<Value>(_ sealed: [UInt8], for subject: Subject, _ body: (UnsafeRawBufferPointer) -> Value) throws(Failure) -> Value {
        guard sealed.count >= Self.overhead, sealed[0] == Self.version else { throw .damaged }
        let keys: DerivedKeys
        if sealed.starts(with: present.prefix) {
            keys = present
        } else {
            guard let other = accepted.first(where: { sealed.starts(with: $0.prefix) }) else { throw .otherKey }
            keys = other
        }
        guard let box = try? AES.GCM.SealedBox(combined: sealed[keys.prefix.count...]),
            var clear = try? AES.GCM.open(box, using: keys.sealing, authenticating: subject.associatedData)
        else { throw .damaged }
        defer { clear.resetBytes(in: clear.startIndex..<clear.endIndex) }
        return unsafe clear.withUnsafeBytes { unsafe body($0) }
    }

    /// The secret that was sealed for `subject`.
    func openSecret(_ sealed: [UInt8], for subject: Subject) throws(Failure) -> Secret {
        try unsafe open(sealed, for: subject) { unsafe Secret($0) }
    }

    /// The octets that were sealed for `subject`.
    func openOctets(_ sealed: [UInt8], for subject: Subject) throws(Failure) -> [UInt8] {
        try unsafe open(sealed, for: subject) { unsafe [UInt8]($0) }
    }

    /// The keyed hash by which a second key of the same value is found in a service: HMAC-SHA256 over the service's number and the value,
    /// so that the store does not show which services share a key.
    func digest(of secret: Secret, in service: ServiceID) -> [UInt8] { Self.digest(of: secret, in: service, under: present) }

    /// The digests that the value may have under the other accepted master keys. Empty unless ``isChangingKeys``.
    func otherDigests(of secret: Secret, in service: ServiceID) -> [[UInt8]] { accepted.map { Self.digest(of: secret, in: service, under: $0) } }

    private static func digest(of secret: Secret, in service: ServiceID, under keys: DerivedKeys) -> [UInt8] {
        var hash = keys.keyedHash
        hash.update(data: service.rawValue.bigEndianOctets)
        unsafe secret.withUnsafeBytes { unsafe hash.update(data: $0) }
        return [UInt8](hash.finalize())
    }
}

extension Int64 {
    fileprivate var bigEndianOctets: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * Int64($0))) } }
}
