// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What a process knows of services, keys and clients at one point in time, with the values.
struct PresentCatalogue: Sendable {
    /// A service and its pool.
    struct Service: Sendable {
        var record: ServiceRecord
        /// By number.
        var keys: [Key]
    }

    /// A key, without what it has been through.
    struct Key: Sendable {
        var id: KeyID
        var secret: Secret
        var name: String
        var weight: Int
        var isActive: Bool
        var attributes: KeyAttributes
    }

    var services: [Service] = []
    var clients: [ClientRecord] = []
    /// Names that clients of the environment have.
    var environmentNames: Set<String> = []

    /// How many there are of each, in words.
    var summary: String {
        "\(services.count) services, \(services.reduce(0) { $0 + $1.keys.count }) keys, \(clients.count) clients"
    }
}
