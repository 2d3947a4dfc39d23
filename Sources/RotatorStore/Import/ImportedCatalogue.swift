// SPDX-License-Identifier: MIT

public import RotatorCore

/// What was read from another program's data: services with their keys, and what there is to say about the rest.
public struct ImportedCatalogue: Sendable {
    /// A service that can be added to a store as it is.
    public struct Service: Sendable {
        /// What it is configured to.
        public var configuration: ServiceConfiguration
        /// Its keys in their order, none twice.
        public var keys: [NewKey]

        /// A service with its keys.
        public init(configuration: ServiceConfiguration, keys: [NewKey]) {
            self.configuration = configuration
            self.keys = keys
        }
    }

    /// In the order of the source.
    public var services: [Service] = []
    /// What was changed on the way, one line each. Never holds a key's value.
    public var notes: [String] = []
    /// What could not be taken over, one line each. Never holds a key's value.
    public var omissions: [String] = []

    /// Nothing.
    public init() {}
}

extension [Int64] {
    /// The numbers of rows as a line shows them: all of them where that is a line, else the first and how many more.
    var listed: String {
        let shown = prefix(40).map(String.init).joined(separator: ", ")
        return count > 40 ? "\(shown) and \(count - 40) more" : shown
    }
}

extension Collection<UInt8> {
    /// Why these octets are not a key's value; nil when they are one.
    var faultAsKey: String? {
        if isEmpty { return "empty" }
        if count > 8_192 { return "longer than 8192 octets" }
        return allSatisfy { 0x21...0x7E ~= $0 } ? nil : "not made of visible ASCII characters alone"
    }
}
