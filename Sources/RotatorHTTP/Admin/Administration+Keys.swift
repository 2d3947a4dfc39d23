// SPDX-License-Identifier: MIT

internal import Logging
public import RotatorCore

/// What became of a key that ``Administration/addKeys(_:to:by:)`` was given.
public enum KeyAddition: Sendable, Hashable {
    /// It is in the pool.
    case added(KeyID)
    /// It would be added; so far it was only looked at.
    case acceptable
    /// The service has this value already, or it stood earlier among the given ones.
    case duplicate
    /// It is not a key: why, in words that do not repeat it.
    case refused(reason: String)
}

/// What is to change of a key; nil leaves it as it is.
public struct KeyChange: Sendable {
    /// The name for people.
    public var name: String?
    /// The share under the weighted strategy.
    public var weight: Int?
    /// The administrator's switch.
    public var isActive: Bool?
    /// Tags, quota group and limits, as what is there makes of them.
    public var attributes: (@Sendable (inout KeyAttributes) -> Void)?

    /// A change of what is given.
    public init(name: String? = nil, weight: Int? = nil, isActive: Bool? = nil, attributes: (@Sendable (inout KeyAttributes) -> Void)? = nil) {
        self.name = name
        self.weight = weight
        self.isActive = isActive
        self.attributes = attributes
    }
}

extension Administration {
    /// Adds one key. Throws ``AdministrationError/keyExists`` when the service has the value already.
    @discardableResult
    public func addKey(_ key: NewKey, to service: ServiceID, by actor: String) async throws(AdministrationError) -> KeyView {
        if let reason = KeyRules.fault(ofValue: key.secret) { throw .invalid(member: "key_value", reason: reason) }
        if let reason = KeyRules.fault(ofName: key.name) { throw .invalid(member: "name", reason: reason) }
        if let reason = KeyRules.fault(ofWeight: key.weight) { throw .invalid(member: "weight", reason: reason) }
        if let (member, reason) = KeyRules.fault(of: key.attributes) { throw .invalid(member: member, reason: reason) }
        return try await change { () async throws(AdministrationError) in
            let results = try await self.insert([key], into: service)
            guard case .inserted(let record)? = results.first else { throw .keyExists }
            await self.audit("key.create", "key \(record.id) of service \(service)", by: actor)
            return try self.key(record.id)
        }
    }

    /// Adds many keys at once, in order; one result per key. What is not a key is passed over.
    public func addKeys(_ keys: [NewKey], to service: ServiceID, by actor: String) async throws(AdministrationError) -> [KeyAddition] {
        // Judged before the gate: nobody waits for the reading of 100,000 values.
        var additions: [KeyAddition] = []
        additions.reserveCapacity(keys.count)
        var accepted: [NewKey] = []
        accepted.reserveCapacity(keys.count)
        for key in keys {
            if let fault = KeyRules.fault(of: key) {
                additions.append(.refused(reason: fault))
            } else {
                // A placeholder, filled in below in the same order.
                additions.append(.duplicate)
                accepted.append(key)
            }
        }
        let candidates = accepted
        let results = try await change { () async throws(AdministrationError) in
            let results = try await self.insert(candidates, into: service)
            var count = 0
            for case .inserted in results { count += 1 }
            if count > 0 { await self.audit("keys.import", "\(count) keys of service \(service)", by: actor) }
            return results
        }
        var next = results.startIndex
        for index in additions.indices {
            if case .refused = additions[index] { continue }
            if case .inserted(let record) = results[next] { additions[index] = .added(record.id) }
            next += 1
        }
        return additions
    }

    /// What ``addKeys(_:to:by:)`` would make of these keys now. Changes nothing.
    public func previewKeys(_ keys: [NewKey], in service: ServiceID) throws(AdministrationError) -> [KeyAddition] {
        var known = Set(try entry(service).pool.secrets.map { SecretValue(secret: $0.secret) })
        return keys.map { key in
            if let fault = KeyRules.fault(of: key) { return .refused(reason: fault) }
            return known.insert(SecretValue(secret: key.secret)).inserted ? .acceptable : .duplicate
        }
    }

    /// Changes name, weight, switch or attributes of a key.
    @discardableResult
    public func changeKey(_ id: KeyID, _ change: KeyChange, by actor: String) async throws(AdministrationError) -> KeyView {
        if let name = change.name, let reason = KeyRules.fault(ofName: name) { throw .invalid(member: "name", reason: reason) }
        if let weight = change.weight, let reason = KeyRules.fault(ofWeight: weight) { throw .invalid(member: "weight", reason: reason) }
        return try await self.change { () async throws(AdministrationError) in
            let entry = try self.entry(of: id)
            let present = try self.key(id)
            let name = change.name ?? present.name
            let weight = change.weight ?? present.weight
            let isActive = change.isActive ?? present.isActive
            var revised = present.attributes
            change.attributes?(&revised)
            if let (member, reason) = KeyRules.fault(of: revised) { throw .invalid(member: member, reason: reason) }
            let attributes = revised
            try await self.write(notFound: .keyNotFound(id)) { () async throws(StoreError) in
                try await self.store.updateKey(id, name: name, weight: weight, isActive: isActive, attributes: attributes)
            }
            _ = entry.pool.update(id, name: name, weight: weight, isActive: isActive, attributes: attributes, at: self.clock())
            await self.audit("key.update", "key \(id) of service \(entry.record.id)", by: actor)
            return try self.key(id)
        }
    }

    /// Clears a key's rests and failures.
    @discardableResult
    public func resetKey(_ id: KeyID, by actor: String) async throws(AdministrationError) -> KeyView {
        try await change { () async throws(AdministrationError) in
            let entry = try self.entry(of: id)
            guard let standing = entry.pool.standingAfterReset(of: id, at: self.clock()) else { throw .keyNotFound(id) }
            // Written before it is done, so that a store that is away refuses it whole. What others write of this key is older from now on.
            try await self.write { () async throws(StoreError) in try await self.store.record([id: StandingUpdate(standing: standing)]) }
            _ = entry.pool.reset(id, to: standing, at: self.clock())
            await self.link?.announce([id: standing])
            await self.audit("key.reset", "key \(id) of service \(entry.record.id)", by: actor)
            return try self.key(id)
        }
    }

    /// Removes a key.
    public func removeKey(_ id: KeyID, by actor: String) async throws(AdministrationError) {
        try await change { () async throws(AdministrationError) in
            var entry = try self.entry(of: id)
            try await self.write(notFound: .keyNotFound(id)) { () async throws(StoreError) in try await self.store.deleteKey(id) }
            entry.pool = entry.pool.removing([id])
            self.publish(entry)
            await self.audit("key.delete", "key \(id) of service \(entry.record.id)", by: actor)
        }
    }

    /// Removes all keys of a service and says how many.
    @discardableResult
    public func removeKeys(of service: ServiceID, by actor: String) async throws(AdministrationError) -> Int {
        try await change { () async throws(AdministrationError) in
            var entry = try self.entry(service)
            let count = try await self.write(notFound: .serviceNotFound(service)) { () async throws(StoreError) in
                try await self.store.deleteKeys(of: service)
            }
            entry.pool = entry.pool.removingAll()
            self.publish(entry)
            await self.audit("keys.clear", "\(count) keys of service \(service)", by: actor)
            return count
        }
    }

    /// The values of the keys of a service that `isWanted` accepts (nil: all), by number. Audited first: what is not written down is not handed out.
    public func exportKeys(
        of service: ServiceID, where isWanted: (@Sendable (KeyView) -> Bool)? = nil, by actor: String
    ) async throws(AdministrationError) -> [Secret] {
        try await change { () async throws(AdministrationError) in
            let pool = try self.entry(service).pool
            var secrets = pool.secrets.sorted { $0.id < $1.id }.map(\.secret)
            if let isWanted {
                secrets = pool.views(after: nil, limit: .max, at: self.clock(), where: isWanted).compactMap { pool.secret(of: $0.id) }
            }
            let entry = AuditEntry(at: self.clock(), actor: actor, action: "keys.export", subject: "\(secrets.count) keys of service \(service)")
            try await self.write { () async throws(StoreError) in try await self.store.append(entry) }
            self.logger.notice("administration", metadata: ["action": "keys.export", "subject": "\(entry.subject)", "actor": "\(actor)"])
            return secrets
        }
    }

    /// Writes keys to the store and publishes the pool that has them.
    private func insert(_ keys: [NewKey], into service: ServiceID) async throws(AdministrationError) -> [KeyInsertion] {
        var entry = try self.entry(service)
        if keys.isEmpty { return [] }
        let results = try await write(notFound: .serviceNotFound(service)) { () async throws(StoreError) in
            try await self.store.insertKeys(keys, into: service)
        }
        precondition(results.count == keys.count, "a store answers once for each key")
        var records: [KeyRecord] = []
        records.reserveCapacity(results.count)
        for case .inserted(let record) in results { records.append(record) }
        if !records.isEmpty {
            entry.pool = entry.pool.adding(records, at: clock())
            publish(entry)
        }
        return results
    }
}

/// A key's value as a member of a set.
private struct SecretValue: Hashable {
    let secret: Secret

    static func == (one: SecretValue, other: SecretValue) -> Bool {
        unsafe other.secret.withUnsafeBytes { unsafe one.secret.isEqual(inConstantTime: RawSpan(_unsafeBytes: $0)) }
    }

    func hash(into hasher: inout Hasher) { unsafe secret.withUnsafeBytes { unsafe hasher.combine(bytes: $0) } }
}
