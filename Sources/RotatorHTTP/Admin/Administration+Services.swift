// SPDX-License-Identifier: MIT

public import RotatorCore

extension Administration {
    /// Adds a service.
    @discardableResult
    public func addService(_ configuration: ServiceConfiguration, by actor: String) async throws(AdministrationError) -> ServiceRecord {
        try configuration.validate()
        return try await change { () async throws(AdministrationError) in
            let record = try await self.write(conflict: .slugTaken(configuration.slug)) { () async throws(StoreError) in
                try await self.store.insertService(configuration)
            }
            self.publish(Entry(record: record, pool: self.makePool(for: record, keys: [])))
            await self.audit("service.create", "service \(record.id)", by: actor)
            return record
        }
    }

    /// Changes a service to what `revise` makes of its present configuration. The pool and the standing of its keys live on.
    ///
    /// - Parameter action: what the audit log calls it.
    @discardableResult
    public func changeService(
        _ id: ServiceID, by actor: String, as action: String = "service.update",
        _ revise: @escaping @Sendable (ServiceConfiguration) throws(AdministrationError) -> ServiceConfiguration
    ) async throws(AdministrationError) -> ServiceRecord {
        try await change { () async throws(AdministrationError) in
            let entry = try self.entry(id)
            let old = entry.record.configuration
            let new = try revise(old)
            try new.validate()
            let record = ServiceRecord(id: id, configuration: new)
            try await self.write(notFound: .serviceNotFound(id), conflict: .slugTaken(new.slug)) { () async throws(StoreError) in
                try await self.store.updateService(record)
            }
            let isSamePool = old.kind == new.kind && old.rotationStrategy == new.rotationStrategy
            let pool = isSamePool ? entry.pool : entry.pool.configured(kind: new.kind, strategy: new.rotationStrategy)
            self.publish(Entry(record: record, pool: pool))
            await self.audit(action, "service \(id)", by: actor)
            return record
        }
    }

    /// Removes a service and its keys.
    public func removeService(_ id: ServiceID, by actor: String) async throws(AdministrationError) {
        try await change { () async throws(AdministrationError) in
            _ = try self.entry(id)
            try await self.write(notFound: .serviceNotFound(id)) { () async throws(StoreError) in try await self.store.deleteService(id) }
            self.withdraw(id)
            await self.audit("service.delete", "service \(id)", by: actor)
        }
    }
}
