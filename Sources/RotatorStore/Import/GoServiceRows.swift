// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The rows of the original Go service's two tables, taken in any order, and the services that they make together.
///
/// Its model: `proxy_configs` (a service: `config_type` LLM or GENERIC, `target_base_url` or `target_url`, `api_format`, where the key goes) and
/// `api_keys` (`key_value`, `is_active`, `proxy_config_id`). Older versions lack columns, so every column is found by its name.
struct GoServiceRows {
    /// The tables that are read.
    enum Table: String, CaseIterable {
        case services = "proxy_configs"
        case keys = "api_keys"
    }

    private struct Key {
        var id: Int64
        var value: [UInt8]
        var isActive: Bool
    }

    /// Rows that are left out for one reason, told in one line.
    private struct Group: Hashable {
        var table: Table
        var reason: String
    }

    private var services: [(id: Int64, row: ForeignRow)] = []
    private var keys: [Int64: [Key]] = [:]
    private var leftOut: [Group: [Int64]] = [:]
    private var deletedCounts: [Table: Int] = [:]
    private var catalogue = ImportedCatalogue()
    // Rows of both tables seen so far, for naming one that has no number.
    private var rowCounts: [Table: Int64] = [:]

    /// Takes in a row of `table`.
    mutating func add(_ row: ForeignRow, to table: Table) {
        rowCounts[table, default: 0] += 1
        guard let id = row.integer("id") else {
            catalogue.omissions.append("\(table.rawValue): the row at place \(rowCounts[table, default: 0]) has no number: left out")
            return
        }
        if row["deleted_at"] != .null {
            deletedCounts[table, default: 0] += 1
            return
        }
        switch table {
        case .services: services.append((id, row))
        case .keys:
            guard let service = row.integer("proxy_config_id") else { return leaveOut(id, of: .keys, because: "of no service") }
            guard case .octets(let value) = row["key_value"] else { return leaveOut(id, of: .keys, because: "without a value") }
            guard let isActive = row.boolean("is_active", initial: true) else { return leaveOut(id, of: .keys, because: "neither active nor inactive") }
            keys[service, default: []].append(Key(id: id, value: value, isActive: isActive))
        }
    }

    /// The services that the rows make. `fault` says why a configuration is none that the server could work with.
    consuming func catalogue(fault: (ServiceConfiguration) -> String?) -> ImportedCatalogue {
        for table in Table.allCases {
            if let count = deletedCounts[table] { catalogue.notes.append("\(table.rawValue): \(count) rows are marked as deleted: left out") }
        }
        services.sort { $0.id < $1.id }
        var slugs = ImportedSlugs(services.compactMap { $0.row.text("slug") })
        for (id, row) in services {
            var reading = GoServiceReading(id: id, row: row)
            let configuration = reading.configuration(slugs: &slugs)
            var pool = keys.removeValue(forKey: id) ?? []
            pool.sort { $0.id < $1.id }
            catalogue.notes += reading.notes
            guard var configuration, reading.fault == nil else {
                leaveOut(id, with: pool.count, because: reading.fault ?? "cannot be read")
                continue
            }
            let prefix = reading.keyPrefix ?? sharedPrefix(of: pool, in: configuration)
            if let prefix, reading.keyPrefix == nil {
                catalogue.notes.append("proxy_configs \(id): its keys all begin with the word \"\(prefix.dropLast())\": it became the service's api_key_prefix")
            }
            configuration.apiKeyPrefix = prefix ?? (reading.sendsBareKeys ? "" : nil)
            if let fault = fault(configuration) {
                leaveOut(id, with: pool.count, because: fault)
                continue
            }
            let kept = newKeys(pool, without: reading.keyPrefix == nil ? prefix : nil)
            catalogue.services.append(ImportedCatalogue.Service(configuration: configuration, keys: kept))
        }
        for (service, pool) in keys.sorted(by: { $0.key < $1.key }) {
            leftOut[Group(table: .keys, reason: "of service \(service), which is not there"), default: []] += pool.map(\.id)
        }
        for (group, ids) in leftOut.sorted(by: { ($0.key.table.rawValue, $0.value[0]) < ($1.key.table.rawValue, $1.value[0]) }) {
            catalogue.omissions.append("\(group.table.rawValue) \(ids.sorted().listed): \(group.reason): left out")
        }
        return catalogue
    }

    private mutating func leaveOut(_ id: Int64, of table: Table, because reason: String) {
        leftOut[Group(table: table, reason: reason), default: []].append(id)
    }

    private mutating func leaveOut(_ id: Int64, with keyCount: Int, because reason: String) {
        catalogue.omissions.append("proxy_configs \(id): \(reason): left out with its \(keyCount) keys")
    }

    /// The word and blank, such as `Bearer `, that all keys of a header service begin with: it belongs to the placement, not to the keys.
    private func sharedPrefix(of pool: [Key], in configuration: ServiceConfiguration) -> String? {
        guard configuration.apiKeyLocation != .query, let first = pool.first, let blank = first.value.firstIndex(of: 0x20), blank > 0 else { return nil }
        let prefix = first.value[...blank]
        guard prefix.dropLast().allSatisfy({ 0x41...0x5A ~= $0 & 0xDF }), prefix.count <= 16, pool.allSatisfy({ $0.value.starts(with: prefix) }) else { return nil }
        return String(decoding: prefix, as: UTF8.self)
    }

    private mutating func newKeys(_ pool: [Key], without prefix: String?) -> [NewKey] {
        var kept: [NewKey] = []
        kept.reserveCapacity(pool.count)
        var places: [[UInt8]: Int] = [:]
        var repeated: [Int64] = []
        for key in pool {
            let value = key.value.dropFirst(prefix?.utf8.count ?? 0)
            if let fault = value.faultAsKey {
                leaveOut(key.id, of: .keys, because: fault)
                continue
            }
            let secret = Secret(value)
            if let place = places.updateValue(kept.count, forKey: KeyDigest.sha256(of: secret)) {
                places[KeyDigest.sha256(of: secret)] = place
                kept[place].isActive = kept[place].isActive || key.isActive
                repeated.append(key.id)
                continue
            }
            kept.append(NewKey(secret: secret, isActive: key.isActive))
        }
        if !repeated.isEmpty { catalogue.notes.append("api_keys \(repeated.listed): the same value as another key of their service: one key each") }
        return kept
    }
}
