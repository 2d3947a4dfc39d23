// SPDX-License-Identifier: MIT

internal import Crypto
internal import RotatorCore

/// A whole catalogue as one JSON document: services by slug with their keys, and clients by name.
///
/// Holds nothing that changes by itself, and one key on each line, so that it can live in a version control system. Secrets are sealed under a
/// passphrase (``PassphraseSeal``); a document that was written by hand may hold them as they are, or name environment variables.
///
/// An object in a document is whole: what it leaves out has its default, as with PUT. Two things are left alone where a document does not have them:
/// the keys of a service without `keys`, and all clients where there is no `clients`.
public struct CatalogueDocument: Sendable {
    /// A service and its pool.
    struct Service: Sendable {
        var configuration: ServiceConfiguration
        /// Extra headers whose values were left out: they stay what they are.
        var withheldHeaders: [String] = []
        /// Nil: nothing is said of them.
        var keys: [Key]?
    }

    /// A key and by what it is found again.
    struct Key: Sendable {
        var key: NewKey
        var digest: SHA256Digest

        init(_ key: NewKey) {
            self.key = key
            digest = key.secret.sha256
        }
    }

    /// A client.
    struct Client: Sendable {
        var name: String
        var digest: [UInt8]
        /// Nil: nothing is said of it.
        var masked: String?
        var policy: ClientPolicy
    }

    /// Nil: nothing is said of them.
    var services: [Service]?
    var clients: [Client]?

    static let format = "api-key-rotator/catalogue"
    static let version = 1
    /// As many as one call takes at once elsewhere.
    static let keysMax = KeyBatch.keysMax
}

/// Why a text is no catalogue document that can be taken, with the place. Holds no secret.
public struct CatalogueFault: Error, Sendable, Hashable, CustomStringConvertible {
    let problem: AdminProblem

    public var description: String { problem.detail }

    /// Whether there is no passphrase where one is needed, or a wrong one.
    public var isAboutPassphrase: Bool { problem.code == .invalidPassphrase || problem.code == .wrongPassphrase }
}

extension Secret {
    /// What tells a value from others.
    var sha256: SHA256Digest {
        var hash = SHA256()
        unsafe withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        return hash.finalize()
    }
}
