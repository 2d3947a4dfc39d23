// SPDX-License-Identifier: MIT

internal import Crypto
internal import CryptoExtras
internal import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Seals the secrets of a catalogue document under a passphrase, and opens them again.
///
/// The passphrase goes through scrypt once for a document; each value is then sealed by AES-256-GCM with its place as associated data, so that a value
/// which was moved to another place does not open. The nonce is made of place and value by HMAC-SHA-256 (as in SIV, RFC 5297): under the same
/// passphrase and salt an unchanged value has an unchanged text, so two exports differ in what has changed alone. That is all that equal texts tell.
struct PassphraseSeal: Sendable {
    /// Where a value belongs.
    enum Place {
        /// The value by which a wrong passphrase is noticed.
        case check
        /// An upstream key of the service with this slug.
        case key(service: String)
        /// An extra header of the service with this slug.
        case header(String, service: String)
        /// The digest of the client with this name.
        case client(String)

        var associatedData: [UInt8] {
            // No part can hold the octet that stands between them.
            let parts =
                switch self {
                case .check: ["check"]
                case .key(let slug): ["key", slug]
                case .header(let name, let slug): ["header", slug, name]
                case .client(let name): ["client", name]
                }
            return Array((["api-key-rotator/catalogue/1"] + parts).joined(separator: "\0").utf8)
        }
    }

    /// What scrypt is given beside the passphrase (RFC 7914 §2). Stands in the document.
    struct Parameters: Sendable, Hashable {
        var n: Int
        var r = 8
        var p = 1
        var salt: [UInt8]

        static let saltOctets = 16

        /// The cost that OWASP asks for: 128 MiB and about half a second.
        static let presentN = 1 << 17

        /// A salt at random, or the given one, at the present cost.
        init(salt: [UInt8]? = nil, n: Int = presentN) {
            var generator = SystemRandomNumberGenerator()
            self.salt = salt ?? (0..<Self.saltOctets).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            self.n = n
        }

        /// Whether a document may ask for it: at most 256 MiB, and four times the time of ``presentN``.
        var isBearable: Bool {
            guard 1 << 10...1 << 20 ~= n, n.nonzeroBitCount == 1, 1...16 ~= r, 1...4 ~= p else { return false }
            return 128 * n * r <= 256 << 20 && n * r * p <= 4 * 8 * Self.presentN && salt.count == Self.saltOctets
        }
    }

    let parameters: Parameters
    private let sealing: SymmetricKey
    // Has taken in its key already: half of the work on a short value.
    private let keyedHash: HMAC<SHA256>

    private static let nonceOctets = 12

    /// Derives the keys: keeps a core busy for about half a second and takes 128 MiB. Nil where scrypt does not take the parameters, which must be bearable.
    init?(_ passphrase: Secret, _ parameters: Parameters) {
        precondition(parameters.isBearable, "parameters are judged before they are used")
        let derived = unsafe passphrase.withUnsafeBytes { bytes in
            unsafe try? KDF.Scrypt.deriveKey(
                from: bytes, salt: parameters.salt, outputByteCount: 64, rounds: parameters.n, blockSize: parameters.r, parallelism: parameters.p)
        }
        guard let derived else { return nil }
        self.parameters = parameters
        (sealing, keyedHash) = unsafe derived.withUnsafeBytes { unsafe (SymmetricKey(data: $0[..<32]), HMAC(key: SymmetricKey(data: $0[32...]))) }
    }

    /// A value as the document shows it, in base64: nonce, ciphertext and tag.
    func seal(_ value: some Collection<UInt8>, at place: Place) -> String {
        let data = place.associatedData
        var hash = keyedHash
        let length = UInt64(data.count).bigEndian
        unsafe withUnsafeBytes(of: length) { unsafe hash.update(data: $0) }
        hash.update(data: data)
        hash.update(data: Array(value))
        let nonce = try? AES.GCM.Nonce(data: Array(hash.finalize().prefix(Self.nonceOctets)))
        guard let nonce, let box = try? AES.GCM.seal(Array(value), using: sealing, nonce: nonce, authenticating: data), let combined = box.combined else {
            preconditionFailure("AES-GCM seals whatever fits memory under a nonce of 12 octets")
        }
        return combined.base64EncodedString()
    }

    func seal(_ secret: Secret, at place: Place) -> String { unsafe secret.withUnsafeBytes { unsafe seal($0, at: place) } }

    /// The value that was sealed at this place; nil where this is not it.
    func open(_ text: String, at place: Place) -> [UInt8]? {
        guard let combined = Data(base64Encoded: text), let box = try? AES.GCM.SealedBox(combined: combined),
            let value = try? AES.GCM.open(box, using: sealing, authenticating: place.associatedData)
        else { return nil }
        return [UInt8](value)
    }
}

/// A passphrase as it comes from people.
enum Passphrase {
    static let charactersMin = 12
    static let octetsMax = 1_024

    /// Why this is not one; nil when it is.
    static func fault(of text: String) -> String? {
        if text.unicodeScalars.count < charactersMin { return "must have \(charactersMin) characters or more" }
        return text.utf8.count > octetsMax ? "is longer than \(octetsMax) octets" : nil
    }
}

extension [UInt8] {
    /// The octets in base64.
    var base64: String { Data(self).base64EncodedString() }

    /// The octets that a text spells in base64; nil where it spells none.
    init?(base64 text: String) {
        guard let data = Data(base64Encoded: text) else { return nil }
        self.init(data)
    }
}
