// SPDX-License-Identifier: MIT

extension UpstreamCatalog {
    public func deleteKeys(_ ids: [KeyID], of service: ServiceID) async throws(StoreError) -> Int {
        throw StoreError(.misconfigured, "this store cannot do that yet")
    }

    public func apply(_ changes: [CatalogueChange]) async throws(StoreError) -> [CatalogueChangeResult] {
        throw StoreError(.misconfigured, "this store cannot do that yet")
    }
}
