// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorHTTP
internal import RotatorStore

/// What `rotator-server migrate` does: opens both ends, copies, compares.
struct Migration: Sendable {
    /// What the environment says; its store is not touched unless it is named.
    let configuration: ServerConfiguration
    /// Where the catalogue comes from and where it goes to, as they were typed.
    let from: String
    let to: String
    /// True: look and tell, write nothing.
    var isDryRun = false
    /// Bring a source of an older version to this version's schema, which changes it.
    var upgradesSource = false
    /// The service that a list of keys belongs to, and what makes it where the target has none of that slug.
    var slug: String?
    var targetURL: String?
    var apiFormat: String?
    /// Told in one line each what happens.
    let tell: @Sendable (String) -> Void
    /// Given the table of what was compared, and the verdict.
    let conclude: @Sendable (String) -> Void

    /// Why nothing can be moved, as one line, and how the process then ends.
    private struct Failure: Error {
        var line: String
        var status: ProcessExit
    }

    /// Runs to the end; success only when everything of the source is in the target (or would be, on a dry run).
    func run() async -> ProcessExit {
        do throws(Failure) {
            return try await move()
        } catch {
            tell(error.line)
            return error.status
        }
    }

    private func move() async throws(Failure) -> ProcessExit {
        let sourceLocation: SourceLocation
        do throws(StoreError) { sourceLocation = try SourceLocation(from) } catch { throw failure(error, at: "--from") }
        let targetLocation: StoreURL
        do throws(StoreError) { targetLocation = try StoreURL(to) } catch { throw failure(error, at: "--to") }
        if targetLocation.place == .sqliteInMemory { throw Failure(line: "--to: a store in memory is gone when the command ends", status: .configuration) }
        if sourceLocation == .store(targetLocation) { throw Failure(line: "--from and --to name the same store", status: .configuration) }
        if case .keyList = sourceLocation {
            try checkOptions()
        } else if slug != nil || targetURL != nil || apiFormat != nil {
            throw Failure(line: "--service, --target-base-url and --api-format belong to --from gpt-load:FILE", status: .configuration)
        }

        // The source first: a wrong key there must not leave an empty target behind.
        var imported: ImportedCatalogue?
        var source: (any Store)?
        do throws(StoreError) {
            switch sourceLocation {
            case .store(let url): source = try await openSource(url)
            case .goServiceDatabase(let path): imported = try GoServiceDatabase.catalogue(at: path, fault: Self.fault)
            case .mySQLDump(let path): imported = try MySQLDump.catalogue(at: path, fault: Self.fault)
            case .keyList: break
            }
        } catch {
            throw failure(error, at: "--from")
        }
        do throws(Failure) {
            let target = try await openTarget(targetLocation)
            tell("from \(sourceLocation)")
            tell("to \(targetLocation)" + (isDryRun ? " (dry run: nothing is written)" : ""))
            do throws(Failure) {
                if case .keyList(let path) = sourceLocation { imported = try await keys(at: path, for: target) }
                let status = try await copy(from: source, or: imported ?? ImportedCatalogue(), to: target)
                await target?.close()
                await source?.close()
                return status
            } catch {
                await target?.close()
                throw error
            }
        } catch {
            await source?.close()
            throw error
        }
    }

    private func copy(from source: (any Store)?, or imported: ImportedCatalogue, to target: (any Store)?) async throws(Failure) -> ProcessExit {
        for line in imported.notes + imported.omissions { tell(line) }
        do throws(StoreError) {
            if let source { return try await copy(from: source, to: target, omissionCount: 0) }
            return try await copy(from: try await Self.store(of: imported), to: target, omissionCount: imported.omissions.count)
        } catch {
            throw failure(error, at: "broken off", whileCopying: true)
        }
    }

    private func copy(from source: any Store, to target: (any Store)?, omissionCount: Int) async throws(StoreError) -> ProcessExit {
        try await CatalogueCopy(source: source, target: target, writes: !isDryRun, tell: tell).run()
        let comparison = try await CatalogueComparison(source: source, target: target)
        conclude(comparison.table)
        if !comparison.isSameByState, comparison.isComplete { tell("keys that were in the target before stand as the target has it") }
        if !comparison.isSameByAttributes, comparison.isComplete { tell("keys that were in the target before have the attributes that the target has") }
        let isDone = isDryRun || comparison.isComplete
        switch (isDone, omissionCount) {
        case (true, 0) where isDryRun: conclude("dry run: nothing was written; everything of the source can be moved")
        case (true, 0): conclude("everything of the source is in the target: \(comparison.serviceCounts.source) services, \(comparison.keyCounts.source) keys")
        case (true, _): conclude("not everything of the source \(isDryRun ? "can be moved" : "is in the target"): \(omissionCount) lines above say what was left out")
        case (false, _): conclude("not everything of the source is in the target: run this again")
        }
        return isDone && omissionCount == 0 ? .success : .failure
    }

    // MARK: The ends

    private func openSource(_ url: StoreURL) async throws(StoreError) -> any Store {
        let store: any Store
        do throws(StoreError) {
            store = try await openStore(url, sealing: try sourceKeys(for: url))
        } catch where error.code == .locked {
            throw StoreError(.locked, "\(error.message): stop the server that has it open, then run this again")
        }
        do throws(StoreError) {
            if upgradesSource { try await store.migrate() }
            _ = try await store.services()
            return store
        } catch {
            await store.close()
            guard error.code == .misconfigured else { throw error }
            throw StoreError(.misconfigured, "\(url) is empty or of an older version; where it is of an older version, --upgrade-source brings it to this one first")
        }
    }

    /// Opens the target and brings it to this version's schema. Nil on a dry run where there is none, or none of this version.
    private func openTarget(_ url: StoreURL) async throws(Failure) -> (any Store)? {
        if case .sqlite(let path) = url.place, isDryRun, ConfigurationFile.byteCount(of: path) ?? 0 == 0 {
            tell("there is no store at \(path) yet")
            return nil
        }
        var installation = configuration
        installation.storeURL = url
        guard !url.isShareable || installation.encryptionKey != nil else {
            throw Failure(line: "\(Variables.encryptionKey.name): it is required where --to names a PostgreSQL or Redis store", status: .configuration)
        }
        do throws(StoreError) {
            let keys = isDryRun ? try MasterKeyRing.existing(in: installation) : try MasterKeyRing.of(installation)
            let store = try await openStore(url, sealing: keys ?? .generate())
            do throws(StoreError) {
                if !isDryRun { try await store.migrate() }
                _ = try await store.services()
                return store
            } catch {
                await store.close()
                guard isDryRun, error.code == .misconfigured else { throw error }
                tell("\(url) has no tables of this version yet: what it may hold is not looked at")
                return nil
            }
        } catch {
            throw failure(error, at: "--to", key: Variables.encryptionKey.name)
        }
    }

    /// What opens the source: `SOURCE_ENCRYPTION_KEY`, else whichever fits of `master.key` beside the database, `ENCRYPTION_KEY` and `DATA_DIR/master.key`.
    private func sourceKeys(for url: StoreURL) throws(StoreError) -> MasterKeyRing {
        var keys: [MasterKey] = []
        if let given = configuration.sourceEncryptionKey {
            keys = [try MasterKey(given)]
        } else {
            if case .sqlite(let path) = url.place {
                let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
                if let key = try MasterKey.load(at: directory + "master.key") { keys.append(key) }
            }
            if let given = configuration.encryptionKey { keys.append(try MasterKey(given)) }
            if !url.isShareable, let key = try MasterKey.load(at: configuration.masterKeyPath) { keys.append(key) }
        }
        keys += try MasterKey.accepted(in: configuration)
        guard let first = keys.first else {
            throw StoreError(.wrongEncryptionKey, "there is no key to open \(url) with: set \(Variables.sourceEncryptionKey.name)")
        }
        return MasterKeyRing(first, accepting: Array(keys.dropFirst()))
    }

    // MARK: Imports

    /// What was read from elsewhere, as a store to copy from: in memory, gone with the command.
    private static func store(of imported: ImportedCatalogue) async throws(StoreError) -> MemoryStore {
        let store = MemoryStore()
        for service in imported.services {
            let record = try await store.insertService(service.configuration)
            _ = try await store.insertKeys(service.keys, into: record.id)
        }
        return store
    }

    /// Why the server could not work with a configuration, by the rules of the admin API.
    private static func fault(_ configuration: ServiceConfiguration) -> String? {
        do throws(AdministrationError) {
            try configuration.validate()
            return nil
        } catch {
            if case .invalid(let member, let reason) = error { return "\(member) \(reason)" }
            return "not accepted"
        }
    }

    private func checkOptions() throws(Failure) {
        guard slug != nil else { throw Failure(line: "--service: a list of keys needs the slug of its service", status: .configuration) }
        guard (targetURL == nil) == (apiFormat == nil) else {
            throw Failure(line: "--target-base-url and --api-format belong together", status: .configuration)
        }
        if let apiFormat, APIFormat(rawValue: apiFormat) == nil {
            let formats = APIFormat.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(line: "--api-format: accepted: \(formats)", status: .configuration)
        }
    }

    private func keys(at path: String, for target: (any Store)?) async throws(Failure) -> ImportedCatalogue {
        do throws(StoreError) {
            return try KeyList.catalogue(at: path, for: try await service(in: target))
        } catch {
            throw failure(error, at: "--from")
        }
    }

    /// The service that a list of keys belongs to: the target's own, else a new one by the options.
    private func service(in target: (any Store)?) async throws(StoreError) -> ServiceConfiguration {
        let slug = slug ?? ""
        if let there = try await target?.services().first(where: { $0.configuration.slug == slug }) {
            if targetURL != nil { tell("service \(slug): is there already; --target-base-url and --api-format are not used") }
            return there.configuration
        }
        guard let targetURL, let format = apiFormat.flatMap(APIFormat.init(rawValue:)) else {
            throw StoreError(.misconfigured, "the target has no service \(Masking.none.shown(slug)): name one that it has, or give --target-base-url and --api-format to make it")
        }
        let made = ServiceConfiguration(name: slug, slug: slug, kind: format == .generic ? .generic : .llm, apiFormat: format, targetURL: targetURL)
        if let fault = Self.fault(made) { throw StoreError(.misconfigured, "the service cannot be made: \(fault)") }
        return made
    }

    // MARK: Failures

    /// What `error` means for the operator. `key` names the variable that a wrong key is put right with.
    private func failure(
        _ error: StoreError, at place: String, key: String = Variables.sourceEncryptionKey.name, whileCopying: Bool = false
    ) -> Failure {
        let again = whileCopying ? "; what has been moved stays, so this can be run again" : ""
        switch error.code {
        case .wrongEncryptionKey: return Failure(line: "\(place), \(key): \(error.message)\(again)", status: .configuration)
        case .misconfigured, .damaged, .notWritable: return Failure(line: "\(place): \(error.message)\(again)", status: whileCopying ? .failure : .configuration)
        case .locked, .unavailable, .conflict, .notFound: return Failure(line: "\(place): \(error.message)\(again)", status: .failure)
        }
    }
}
