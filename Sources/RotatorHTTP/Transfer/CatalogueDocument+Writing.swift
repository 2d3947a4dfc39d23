// SPDX-License-Identifier: MIT

internal import RotatorCore

extension CatalogueDocument {
    /// The document of `catalogue`.
    ///
    /// - Parameters:
    ///   - seal: seals what is secret. Nil: that is left out, namely keys, clients and the values of extra headers.
    ///   - includesKeys: whether upstream keys are wanted.
    static func octets(of catalogue: PresentCatalogue, seal: PassphraseSeal?, includesKeys: Bool) -> [UInt8] {
        var json = JSONWriter()
        json.openObject()
        json.member("format", format)
        json.member("version", version)
        if let seal { write(seal, to: &json) }
        json.name("services")
        json.openArray()
        for service in catalogue.services.sorted(by: { $0.record.configuration.slug < $1.record.configuration.slug }) {
            write(service, seal: seal, includesKeys: includesKeys, to: &json)
        }
        json.closeArray()
        if let seal {
            json.name("clients")
            json.openArray()
            for client in catalogue.clients.sorted(by: { $0.name < $1.name }) { write(client, seal: seal, to: &json) }
            json.closeArray()
        }
        json.closeObject()
        // Down to the members of services and clients, so that each key is one line.
        return JSONLayout.lines(json.octets, depth: 4)
    }

    private static func write(_ seal: PassphraseSeal, to json: inout JSONWriter) {
        json.name("kdf")
        json.openObject()
        json.member("name", "scrypt")
        json.member("n", seal.parameters.n)
        json.member("r", seal.parameters.r)
        json.member("p", seal.parameters.p)
        json.member("salt", seal.parameters.salt.base64)
        json.member("check", seal.seal([], at: .check))
        json.closeObject()
    }

    private static func write(_ service: PresentCatalogue.Service, seal: PassphraseSeal?, includesKeys: Bool, to json: inout JSONWriter) {
        let slug = service.record.configuration.slug
        json.openObject()
        ServiceDocument.writeMembers(of: service.record.configuration, to: &json) { name, value, json in
            guard let seal else { return json.write(String?.none) }
            json.openObject()
            json.member("sealed", seal.seal(value.utf8, at: .header(name, service: slug)))
            json.closeObject()
        }
        if let rules = service.record.configuration.rules {
            json.name("rules")
            json.write(json: rules)
        }
        if let seal, includesKeys {
            json.name("keys")
            json.openArray()
            // In the order in which they were added, which some strategies go by.
            for key in service.keys { write(key, sealed: seal.seal(key.secret, at: .key(service: slug)), to: &json) }
            json.closeArray()
        }
        json.closeObject()
    }

    /// A key with what is not a default of it: there may be a hundred thousand.
    private static func write(_ key: PresentCatalogue.Key, sealed: String, to json: inout JSONWriter) {
        json.openObject()
        json.member("sealed", sealed)
        if !key.name.isEmpty { json.member("name", key.name) }
        if key.weight != 1 { json.member("weight", key.weight) }
        if !key.isActive { json.member("is_active", key.isActive) }
        writeMembers(of: key.attributes, to: &json)
        json.closeObject()
    }

    private static func writeMembers(of attributes: KeyAttributes, to json: inout JSONWriter) {
        if !attributes.tags.isEmpty {
            json.name("tags")
            json.openArray()
            for tag in attributes.tags { json.write(tag) }
            json.closeArray()
        }
        if let group = attributes.quotaGroup { json.member("quota_group", group) }
        if attributes.limits.isEmpty { return }
        json.name("limits")
        json.openObject()
        for limit in KeyLimit.allCases {
            guard let maximum = attributes.limits[limit] else { continue }
            json.name(limit.rawValue)
            json.write(maximum)
        }
        json.closeObject()
    }

    private static func write(_ client: ClientRecord, seal: PassphraseSeal, to json: inout JSONWriter) {
        json.openObject()
        json.member("name", client.name)
        json.member("sealed", seal.seal(client.digest, at: .client(client.name)))
        json.member("key_masked", client.masked)
        ClientDocument.write(client.policy, to: &json)
        json.closeObject()
    }
}
