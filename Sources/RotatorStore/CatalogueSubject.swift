// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What an entry in the record of changes is about.
///
/// The record keeps it as one number: a service's own, or a kind's below zero. A replica of a version that knows no documents takes that for a service
/// which is gone, and does nothing.
enum CatalogueSubject: Sendable, Hashable {
    case service(ServiceID)
    case documents(DocumentKind)

    /// The number in the record.
    var number: Int64 {
        switch self {
        case .service(let id): id.rawValue
        case .documents(.client): -1
        case .documents(.clientMeter): -2
        case .documents(.webhook): -3
        case .documents(.job): -4
        case .documents(.jobPart): -5
        case .documents(.alertClaim): -6
        }
    }

    /// What `number` stands for; nil for a kind of a later version.
    init?(number: Int64) {
        if number >= 0 {
            self = .service(ServiceID(number))
        } else if let kind = DocumentKind.allCases.first(where: { Self.documents($0).number == number }) {
            self = .documents(kind)
        } else {
            return nil
        }
    }
}

extension CatalogueNews {
    /// News of the entries that stand in the record of changes, oldest first.
    init(numbers: [Int64], revision: Int64) {
        self.init(changedServices: [], revision: revision)
        var services: [ServiceID] = []
        var known: Set<ServiceID> = []
        for number in numbers {
            switch CatalogueSubject(number: number) {
            case .service(let id): if known.insert(id).inserted { services.append(id) }
            case .documents(let kind): changedDocuments.insert(kind)
            case nil: break
            }
        }
        changedServices = services
    }
}
