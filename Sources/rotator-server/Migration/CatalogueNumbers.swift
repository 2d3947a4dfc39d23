// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Which number a service or key of a source has in a target. Services are the same by their slug, keys by their value.
struct CatalogueNumbers {
    private(set) var services: [ServiceID: ServiceID] = [:]
    private(set) var keys: [KeyID: KeyID] = [:]
    /// Whether all have the numbers that they have in the source.
    private(set) var areKept = true

    mutating func add(_ service: ServiceID, is counterpart: ServiceID) {
        services[service] = counterpart
        if service != counterpart { areKept = false }
    }

    mutating func add(_ key: KeyID, is counterpart: KeyID) {
        keys[key] = counterpart
        if key != counterpart { areKept = false }
    }

    /// The row as it stands in the target; nil for a service or key that the source no longer has, whose number may be another's there.
    func counterpart(of row: HistoryRow) -> HistoryRow? {
        let subject: String?
        switch row.dimension {
        case .client, .model: return row
        case .service: subject = Int64(row.subject).flatMap { services[ServiceID($0)] }?.description
        case .key: subject = Int64(row.subject).flatMap { keys[KeyID($0)] }?.description
        }
        guard let subject else { return nil }
        var counterpart = row
        counterpart.subject = subject
        return counterpart
    }
}

extension DocumentKind {
    /// Whether it names services and keys by their numbers, so that it is worth nothing where they have others.
    var namesKeysByNumber: Bool {
        switch self {
        case .client, .clientMeter, .webhook: false
        case .alertClaim, .job, .jobPart: true
        }
    }
}
