// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorAdapters
internal import RotatorCore
internal import RotatorHTTP
internal import RotatorStore

/// What requests are served from, whether or not the store has been reached.
struct Foreground: Sendable {
    /// The services.
    let catalogue = Catalogue()
    /// Who may use the proxy surface.
    let clients: ClientDirectory
    /// What is counted and remembered.
    let traffic: TrafficRecorder
}

/// What stands on an open store: the installation's credentials, the administration, the admin API.
struct Backing: Sendable {
    /// The open store.
    let store: any Store
    /// Reads and changes the catalogue.
    let administration: Administration
    /// Validates keys.
    let jobRunner: JobRunner
    /// Answers what is not proxied.
    let admin: AdminAPI
    /// Tells webhooks what somebody has to look at.
    let alerts: AlertWatch
    /// Sends what there is to tell.
    let webhookSender: WebhookSender
    /// How long alerts that wait at the end may take.
    let alertGrace: Duration

    /// What runs beside the requests; each ends soon after its task is cancelled.
    func jobs(_ log: ServerLog) -> [@Sendable () async -> Void] {
        let (administration, store, jobRunner, alerts, alertGrace) = (administration, store, jobRunner, alerts, alertGrace)
        return [
            { await jobRunner.run() },
            { await administration.runStandingWriter() }, { await administration.runReplication() },
            { await StoreProbe(store: store, logger: log.logger("store")).run() }, { await alerts.run(grace: alertGrace) },
        ]
    }

    /// Opens the store of `configuration` and makes everything that stands on it; nothing is left open when it throws.
    static func open(
        _ configuration: ServerConfiguration, file: CatalogueFile?, serving foreground: Foreground, clock: SystemClock, log: ServerLog
    ) async throws(StartFailure) -> Backing {
        let store = try await openStore(configuration, log: log)
        do throws(StartFailure) {
            return try await over(store, configuration, file: file, serving: foreground, clock: clock, log: log)
        } catch {
            await store.close()
            throw error
        }
    }

    private static func over(
        _ store: any Store, _ configuration: ServerConfiguration, file: CatalogueFile?, serving foreground: Foreground, clock: SystemClock, log: ServerLog
    ) async throws(StartFailure) -> Backing {
        let passwords: PasswordChecker
        let installation: Installation
        do throws(StoreError) {
            passwords = try await PasswordChecker()
            installation = try await Installation.prepare(configuration, settings: store, passwords: passwords, net: log.net) { log.reveal($0.line) }
        } catch {
            throw StartFailure(error, of: configuration.storeVariable)
        }
        let adapters = AdapterRegistry.builtIn
        let administration = Administration(
            store: store, link: store.replicaLink, catalogue: foreground.catalogue, clients: foreground.clients, adapter: { adapters[$0] }, clock: { clock.now() },
            logger: log.logger("admin")
        )
        foreground.clients.setEnvironment(installation.clientKeys)
        do throws(AdministrationError) {
            try await administration.load()
        } catch {
            if case .store(let reason) = error { throw StartFailure(reason, of: configuration.storeVariable) }
            throw StartFailure(line: "\(configuration.storeVariable): the catalogue cannot be read: \(error)", status: .failure)
        }
        try await file?.apply(to: administration, storeVariable: configuration.storeVariable, logger: log.logger("admin"))
        let webhookSender = WebhookSender(
            settings: ProxySettings(configuration), replica: HostName.current, webhook: { administration.activeWebhook($0) }, clock: { clock.now() },
            logger: log.logger("alerts")
        )
        let alerts = AlertWatch(
            administration: administration, sender: webhookSender, isStoreReachable: { store.isReachable }, clock: { clock.now() }, logger: log.logger("alerts")
        )
        let credentials = AdminCredentials(
            username: Secret(configuration.adminUsername.utf8), passwordHash: installation.adminPasswordHash, passwords: passwords
        )
        let jobRunner = JobRunner(
            administration: administration, documents: store, settings: ProxySettings(configuration), isShared: configuration.storeURL.isShareable,
            revalidationInterval: configuration.revalidationInterval == .zero ? nil : configuration.revalidationInterval, logger: log.logger("jobs"))
        let admin = await AdminAPI(
            administration: administration, traffic: foreground.traffic, jobs: jobRunner, webhookSender: webhookSender,
            tokenSecret: unsafe installation.tokenSecret.withUnsafeBytes { unsafe Array($0) }, publicBaseURL: configuration.publicBaseURL,
            version: ServerVersion.current, clock: { clock.now() }, logger: log.logger("admin"),
            verifyCredentials: { user, password in await credentials.verify(user: user, password: password) }
        )
        foreground.traffic.attach(store)
        return Backing(
            store: store, administration: administration, jobRunner: jobRunner, admin: admin, alerts: alerts, webhookSender: webhookSender,
            alertGrace: min(configuration.shutdownGrace, .seconds(5))
        )
    }

    /// Opens the store with its key and brings its schema to this version's.
    private static func openStore(_ configuration: ServerConfiguration, log: ServerLog) async throws(StartFailure) -> any Store {
        let keys: MasterKeyRing
        do throws(StoreError) {
            keys = try MasterKeyRing.of(configuration)
        } catch {
            throw StartFailure(error, of: Variables.dataDirectory.name)
        }
        do throws(StoreError) {
            let store = try await RotatorStore.openStore(configuration.storeURL, sharing: configuration.sharedState, sealing: keys)
            do throws(StoreError) {
                try await store.migrate()
            } catch {
                await store.close()
                throw error
            }
            if let warning = await (store as? RedisStore)?.durabilityWarning() { log.logger("store").warning("\(warning)") }
            return store
        } catch {
            throw StartFailure(error, of: configuration.storeVariable)
        }
    }
}

/// Where the parts that listen already find a ``Backing`` that may come later.
final class BackingSlot: LocalHandler {
    private struct Content {
        var backing: Backing?
        var absence: String?
    }

    private let content = OutOfLineMutex(Content())
    private let traffic: TrafficRecorder
    private let console = ConsoleSite()

    /// A place for what stands on the store; `traffic` is there from the beginning.
    init(_ traffic: TrafficRecorder) { self.traffic = traffic }

    /// What stands on the store; nil while the store has not been reached.
    var backing: Backing? { content.withLock { $0.backing } }

    /// It has come.
    func fill(_ backing: Backing) {
        content.withLock { $0 = Content(backing: backing) }
    }

    /// It has not come, for this reason.
    func stayEmpty(because reason: String) { content.withLock { $0.absence = reason } }

    func respond(to request: LocalRequest) async -> LocalResponse {
        // The server itself refuses requests until the catalogue is loaded, which is after this was filled.
        guard let backing else { return LocalResponse(status: 503) }
        if ConsoleSite.isResponsible(for: request.path) { return await console.respond(to: request) }
        return await backing.admin.respond(to: request)
    }

    /// What the operations endpoints ask.
    var operations: OperationsSource {
        OperationsSource(
            missing: {
                guard let backing = self.backing else { return ["store: \(self.content.withLock { $0.absence } ?? "not reached yet")"] }
                switch backing.store.health {
                case .reachable: return []
                case .failing(let error): return ["store: \(error.message)"]
                }
            },
            isStoreUp: { self.backing?.store.isReachable ?? false },
            keyCounts: {
                guard let administration = self.backing?.administration, let services = try? administration.services() else { return [] }
                return services.flatMap { service in
                    ((try? administration.keyCounts(of: service.id)) ?? [:]).sorted { $0.key.rawValue < $1.key.rawValue }
                        .map { (service: service.configuration.slug, state: $0.key.rawValue, count: $0.value) }
                }
            },
            traffic: { [traffic] in traffic.counters },
            alertCounts: { self.backing?.webhookSender.counts ?? [] }
        )
    }

    /// What listeners are told beside exchanges.
    func eventSource(openStreams: @escaping @Sendable () async -> Int) -> EventSource {
        EventSource(
            keyChanges: { self.backing?.administration.takeKeyStateChanges() ?? [] }, isStoreUp: { self.backing?.store.isReachable ?? false },
            openStreams: openStreams)
    }
}
