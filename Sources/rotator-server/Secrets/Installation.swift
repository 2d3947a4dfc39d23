// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// The credentials that this installation works with: those that the environment gave, and generated ones for the rest.
///
/// Of the generated ones only the token secret is kept as it is, sealed; of the password and the proxy key the store has hashes alone. What is
/// generated is revealed once, when it is durable, and stays valid until a variable takes its place.
struct Installation: Sendable {
    /// Signs admin tokens.
    var tokenSecret: Secret
    /// The administrator's password.
    var adminPasswordHash: PasswordHash
    /// Who may use the proxy surface.
    var clientKeys: [ClientKey]

    /// The names under which settings keep what was generated.
    enum SettingName {
        static let tokenSecret = "jwt_secret"
        static let adminPasswordHash = "admin_password_hash"
        static let proxyKeyDigest = "proxy_key_digest"

        /// All of them.
        static let all = [tokenSecret, adminPasswordHash, proxyKeyDigest]
    }

    /// The present moment of the life of a generated secret at which people see it.
    struct Revelation: Sendable, Hashable {
        /// The variable that could have given it.
        var variable: String
        /// The secret.
        var value: String
        /// The line that scripts read.
        var line: String { "generated \(variable)=\(value)" }
    }

    /// Reads and generates what `configuration` leaves open.
    ///
    /// - Parameters:
    ///   - settings: where generated secrets are kept.
    ///   - passwords: hashes off the caller's thread.
    ///   - net: told of every secret before anything else is.
    ///   - reveal: called once for each secret that was made for people, after the store has it.
    static func prepare(
        _ configuration: ServerConfiguration, settings: any SettingStore, passwords: PasswordChecker, net: RedactionNet, reveal: (Revelation) -> Void
    ) async throws(StoreError) -> Installation {
        let tokenSecret: Secret
        if let given = configuration.jwtSecret {
            tokenSecret = given
        } else if let kept = try await settings.setting(SettingName.tokenSecret) {
            guard kept.count >= 32 else { throw StoreError(.damaged, "the setting \(SettingName.tokenSecret) cannot be read") }
            tokenSecret = Secret(kept)
            net.add([tokenSecret])
        } else {
            let made = Array(RandomText.make(characters: 64).utf8)
            net.add([Secret(made)])
            // Of replicas that start at once, one makes what all of them work with; here and below.
            tokenSecret = Secret(try await settings.insertSetting(SettingName.tokenSecret, made))
            net.add([tokenSecret])
        }

        let adminPasswordHash: PasswordHash
        if let given = configuration.adminPassword {
            adminPasswordHash = try await passwords.hash(given)
        } else if let kept = try await settings.setting(SettingName.adminPasswordHash) {
            adminPasswordHash = try PasswordHash(encoded: String(decoding: kept, as: UTF8.self))
        } else {
            let value = RandomText.make(characters: 24)
            let secret = Secret(value.utf8)
            net.add([secret])
            let made = Array(try await passwords.hash(secret).encoded.utf8)
            let kept = try await settings.insertSetting(SettingName.adminPasswordHash, made)
            adminPasswordHash = try PasswordHash(encoded: String(decoding: kept, as: UTF8.self))
            if kept == made { reveal(Revelation(variable: Variables.adminPassword.name, value: value)) }
        }

        let clientKeys: [ClientKey]
        if let given = configuration.proxyKeys {
            clientKeys = Self.clientKeys(given)
        } else if let kept = try await settings.setting(SettingName.proxyKeyDigest) {
            guard kept.count == KeyDigest.byteCount else { throw StoreError(.damaged, "the setting \(SettingName.proxyKeyDigest) cannot be read") }
            clientKeys = [ClientKey(name: generatedKeyName, digest: kept)]
        } else {
            let value = "rk-" + RandomText.make(characters: 40)
            let secret = Secret(value.utf8)
            net.add([secret])
            let made = KeyDigest.sha256(of: secret)
            let digest = try await settings.insertSetting(SettingName.proxyKeyDigest, made)
            guard digest.count == KeyDigest.byteCount else { throw StoreError(.damaged, "the setting \(SettingName.proxyKeyDigest) cannot be read") }
            if digest == made { reveal(Revelation(variable: Variables.globalProxyKeys.name, value: value)) }
            clientKeys = [ClientKey(name: generatedKeyName, digest: digest)]
        }
        return Installation(tokenSecret: tokenSecret, adminPasswordHash: adminPasswordHash, clientKeys: clientKeys)
    }

    /// Proxy keys from the environment as the server knows them.
    static func clientKeys(_ given: [NamedProxyKey]) -> [ClientKey] { given.map { ClientKey(name: $0.name, digest: KeyDigest.sha256(of: $0.key)) } }

    /// The name of the generated proxy key in logs and metrics.
    static let generatedKeyName = "generated"
}

/// Texts that nobody can guess.
enum RandomText {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")

    /// Letters and digits from the system's random source: 5.95 bits each.
    static func make(characters count: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String((0..<count).map { _ in alphabet[Int.random(in: alphabet.indices, using: &generator)] })
    }
}
