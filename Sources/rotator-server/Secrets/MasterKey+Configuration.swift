// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

extension MasterKey {
    /// The key that seals the store of `configuration`: `ENCRYPTION_KEY`, else `DATA_DIR/master.key`, which is made when the store is new.
    ///
    /// A store without its key is an error, not a reason to make another key: the file would look like the right one from then on.
    static func of(_ configuration: ServerConfiguration) throws(StoreError) -> MasterKey {
        if let key = try existing(in: configuration) { return key }
        return try loadOrCreate(at: configuration.masterKeyPath)
    }

    /// The key as ``of(_:)`` finds it, without making a file; nil when one would be made.
    static func existing(in configuration: ServerConfiguration) throws(StoreError) -> MasterKey? {
        if let secret = configuration.encryptionKey { return try MasterKey(secret) }
        switch configuration.storeURL.place {
        case .sqliteInMemory: return generate()
        case .postgreSQL, .redis: preconditionFailure("a configuration without ENCRYPTION_KEY names no store that can be shared")
        case .sqlite(let path):
            if let key = try load(at: configuration.masterKeyPath) { return key }
            guard ConfigurationFile.byteCount(of: path) ?? 0 == 0 else {
                throw StoreError(
                    .wrongEncryptionKey,
                    "\(configuration.masterKeyPath) is missing, but the store \(path) exists: put the file back or set ENCRYPTION_KEY to the key that the store was made with"
                )
            }
            return nil
        }
    }
}

extension MasterKeyRing {
    /// What seals and opens the store of `configuration`: its key as `MasterKey.of` finds or makes it, and the older keys that it accepts.
    static func of(_ configuration: ServerConfiguration) throws(StoreError) -> MasterKeyRing {
        MasterKeyRing(try MasterKey.of(configuration), accepting: try MasterKey.accepted(in: configuration))
    }

    /// The ring as ``of(_:)`` finds it, without making a file; nil when one would be made.
    static func existing(in configuration: ServerConfiguration) throws(StoreError) -> MasterKeyRing? {
        guard let key = try MasterKey.existing(in: configuration) else { return nil }
        return MasterKeyRing(key, accepting: try MasterKey.accepted(in: configuration))
    }
}

extension MasterKey {
    /// The older keys that `configuration` accepts.
    static func accepted(in configuration: ServerConfiguration) throws(StoreError) -> [MasterKey] {
        var keys: [MasterKey] = []
        for secret in configuration.acceptedEncryptionKeys { keys.append(try MasterKey(secret)) }
        return keys
    }
}
