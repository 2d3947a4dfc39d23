// SPDX-License-Identifier: MIT

internal import RotatorCore

extension [CatalogueChangeResult] {
    /// The service that a change refers to whose forerunners have come to these results. Throws `notFound` where none of them added it.
    func service(_ reference: CatalogueChange.ServiceReference) throws(StoreError) -> ServiceID {
        switch reference {
        case .existing(let id): return id
        case .added(let index):
            guard indices.contains(index), case .service(let record) = self[index] else {
                throw StoreError(.notFound, "change \(index) adds no service, or comes later")
            }
            return record.id
        }
    }
}

extension [KeyInsertion] {
    /// Whether any key was added.
    var hasAny: Bool { contains { if case .inserted = $0 { true } else { false } } }
}
