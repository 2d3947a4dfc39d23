// SPDX-License-Identifier: MIT

internal import Crypto
internal import Logging
public import RotatorCore

/// A client as people see it: never its key.
public struct ClientView: Sendable, Hashable {
    /// The client.
    public var record: ClientRecord
    /// Requests that were admitted within the last 60 s, where they are limited.
    public var requestsLastMinute: Int64
    /// Tokens that were charged within the last 60 s, where they are limited.
    public var tokensLastMinute: Int64
    /// Requests under way, where they are limited.
    public var concurrentRequests: Int64
    /// Tokens that were charged this month, UTC, where anything is limited.
    public var tokensThisMonth: Int64
}

/// Client keys that are made here.
extension Administration {
    /// Clients with a number above `after`, by number, at most `limit`.
    public func clients(after: ClientID?, limit: Int) throws(AdministrationError) -> [ClientView] {
        _ = try loadedEntries()
        let now = clock()
        return state.withLock(\.clients).values.filter { $0.id > (after ?? ClientID(0)) }.sorted { $0.id < $1.id }.prefix(limit).map { view(of: $0, at: now) }
    }

    /// One client.
    public func client(_ id: ClientID) throws(AdministrationError) -> ClientView {
        _ = try loadedEntries()
        guard let record = state.withLock({ $0.clients[id] }) else { throw .clientNotFound(id) }
        return view(of: record, at: clock())
    }

    /// Makes a client with a key of its own, which is returned this once and kept by nobody.
    public func addClient(named name: String, _ policy: ClientPolicy, by actor: String) async throws(AdministrationError) -> (client: ClientView, key: String) {
        let key = Self.makeKey()
        let digest = Array(SHA256.hash(data: Array(key.utf8)))
        let masked = Secret(Array(key.utf8)).masked
        let record = try await change { () async throws(AdministrationError) in
            try self.requireFree(name, for: nil)
            var record = ClientRecord(id: ClientID(0), name: name, digest: digest, masked: masked, policy: policy, createdAt: self.clock())
            let body = ClientDocument.body(of: record)
            let document = try await self.write(conflict: .clientNameTaken(name)) { () async throws(StoreError) in
                try await self.store.insertDocument(.client, named: name, body: body)
            }
            record.id = ClientID(document.id)
            self.publishClients { $0[record.id] = record }
            await self.audit("client.create", "client \(record.id)", by: actor)
            return record
        }
        return (view(of: record, at: clock()), key)
    }

    /// Changes a client's name or policy.
    public func changeClient(
        _ id: ClientID, name: String?, by actor: String, _ revise: @escaping @Sendable (ClientPolicy) throws(AdministrationError) -> ClientPolicy
    ) async throws(AdministrationError) -> ClientView {
        try await change { () async throws(AdministrationError) in
            guard var record = self.state.withLock({ $0.clients[id] }) else { throw .clientNotFound(id) }
            record.policy = try revise(record.policy)
            if let name {
                try self.requireFree(name, for: id)
                record.name = name
            }
            let changed = record
            _ = try await self.write(notFound: .clientNotFound(id), conflict: .clientNameTaken(changed.name)) { () async throws(StoreError) in
                try await self.store.replaceDocument(.client, id.rawValue, named: changed.name, body: ClientDocument.body(of: changed), expecting: nil)
            }
            self.publishClients { $0[id] = changed }
            await self.audit("client.update", "client \(id)", by: actor)
            return self.view(of: changed, at: self.clock())
        }
    }

    /// Removes a client: its key is good for nothing from now on.
    public func removeClient(_ id: ClientID, by actor: String) async throws(AdministrationError) {
        try await change { () async throws(AdministrationError) in
            guard self.state.withLock({ $0.clients[id] }) != nil else { throw .clientNotFound(id) }
            try await self.write(notFound: .clientNotFound(id)) { () async throws(StoreError) in try await self.store.deleteDocument(.client, id.rawValue) }
            self.publishClients { $0[id] = nil }
            await self.forgetAccount(of: id)
            await self.audit("client.delete", "client \(id)", by: actor)
        }
    }

    /// What a client that is gone has used is of no use to anybody; where it cannot be removed now it only takes room.
    func forgetAccount(of id: ClientID) async {
        state.withLock { $0.accountDocuments[id] = nil }
        guard let found = try? await store.document(.clientMeter, named: "\(id)") else { return }
        try? await store.deleteDocument(.clientMeter, found.id)
    }

    /// Reads all clients, and what they have used so far. Called inside the gate only.
    func reconcileClients() async throws(AdministrationError) {
        var records: [ClientID: ClientRecord] = [:]
        var accounts: [ClientID: [UInt8]] = [:]
        do throws(StoreError) {
            for document in try await allDocuments(.client) {
                guard let record = ClientDocument.record(document) else { throw StoreError(.damaged, "client \(document.id) cannot be read") }
                records[record.id] = record
            }
            // With a desk each account is read when it is needed.
            if clientDesk == nil, !state.withLock(\.areAccountsRead) {
                let documents = try await allDocuments(.clientMeter)
                rememberAccounts(documents)
                for document in documents {
                    if let id = Int64(document.name) { accounts[ClientID(id)] = document.body }
                }
            }
        } catch {
            throw .store(error)
        }
        state.withLock { $0.areAccountsRead = true }
        publishClients(accounts: accounts) { [records] in $0 = records }
    }

    private func allDocuments(_ kind: DocumentKind) async throws(StoreError) -> [StoredDocument] {
        var all: [StoredDocument] = []
        while true {
            let page = try await store.documents(kind, after: all.last?.id ?? 0, limit: 1_000)
            all += page
            if page.count < 1_000 { return all }
        }
    }

    func publishClients(accounts: [ClientID: [UInt8]] = [:], _ change: (inout [ClientID: ClientRecord]) -> Void) {
        let records = state.withLock { state in
            change(&state.clients)
            return Array(state.clients.values)
        }
        clientDirectory.setMade(records) { record in
            let account = accounts[record.id].flatMap { ClientAccount(octets: $0, policy: record.policy) } ?? ClientAccount(record.policy)
            return ClientMeter(of: record.id, account: account, holder: ledgerWriter, desk: clientDesk)
        }
    }

    private func requireFree(_ name: String, for id: ClientID?) throws(AdministrationError) {
        if clientDirectory.environmentNames.contains(name) { throw .clientNameTaken(name) }
        if state.withLock({ $0.clients.values.contains { $0.name == name && $0.id != id } }) { throw .clientNameTaken(name) }
    }

    private func view(of record: ClientRecord, at now: Moment) -> ClientView {
        let account = clientDirectory.meter(of: record.id)?.account
        let minute = account?.lastMinute(at: now)
        return ClientView(
            record: record, requestsLastMinute: minute?.requests ?? 0, tokensLastMinute: minute?.tokens ?? 0, concurrentRequests: account?.inFlight(at: now) ?? 0,
            tokensThisMonth: account?.monthTokens(at: now) ?? 0)
    }

    /// Writes down what the clients have used, where no desk does: in one transaction, and no more often than each second. Whether everything is written.
    func writeClientAccounts() async -> Bool {
        guard clientDesk == nil else { return true }
        let now = clock()
        let isDue = state.withLock { state in
            guard state.accountsWrittenAt + .seconds(1) <= now else { return false }
            state.accountsWrittenAt = now
            return true
        }
        guard isDue else { return true }
        let taken = clientDirectory.meters.compactMap { meter in meter.takeUnrecorded().map { (meter: meter, body: $0.octets) } }
        if taken.isEmpty { return true }
        let numbers = state.withLock(\.accountDocuments)
        let changes: [CatalogueChange] = taken.map { meter, body in
            let name = "\(meter.client)"
            if let number = numbers[meter.client] { return .replaceDocument(.clientMeter, number, name: name, body: body) }
            return .insertDocument(.clientMeter, name: name, body: body)
        }
        do {
            let results = try await store.apply(changes)
            state.withLock { state in
                for (entry, result) in zip(taken, results) {
                    if case .document(let document) = result { state.accountDocuments[entry.meter.client] = document.id }
                }
            }
            return true
        } catch {
            for entry in taken { entry.meter.markUnrecorded() }
            // Numbers that are not right any more are looked up anew.
            if error.code == .conflict || error.code == .notFound, let found = try? await allDocuments(.clientMeter) { rememberAccounts(found) }
            return false
        }
    }

    private func rememberAccounts(_ documents: [StoredDocument]) {
        state.withLock { state in
            state.accountDocuments = documents.reduce(into: [:]) { numbers, document in
                if let client = Int64(document.name) { numbers[ClientID(client)] = document.id }
            }
        }
    }

    /// Forty letters and digits from the system's random source, behind a mark that tells what it is.
    private static func makeKey() -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        var generator = SystemRandomNumberGenerator()
        return "rk-" + String((0..<40).map { _ in alphabet[Int.random(in: alphabet.indices, using: &generator)] })
    }
}
