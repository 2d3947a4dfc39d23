// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorAdapters
internal import RotatorCore
internal import RotatorHTTP
internal import RotatorStore

/// A server that listens, as its process drives it.
struct AssembledServer: Sendable {
    /// The address in the form of a URL.
    var address: String
    /// What runs beside the requests; each ends soon after its task is cancelled.
    var jobs: [@Sendable () async -> Void]
    /// Stops taking requests, lets running ones finish for up to the given time, cuts the rest.
    var drain: @Sendable (Duration) async -> Void
    /// Gives everything back; called when the jobs have ended.
    var close: @Sendable () async -> Void
}

/// Where this program's parts meet the libraries.
enum Wiring {
    /// The version of the libcurl that is loaded at run time, and of its TLS library.
    static var libcurlVersion: String { CurlLibrary.version }

    /// Opens the store, prepares the installation's credentials and starts to listen.
    static func assemble(_ configuration: ServerConfiguration, log: ServerLog) async throws(StartFailure) -> AssembledServer {
        let store = try await openStore(configuration)
        let logger = log.logger("rotator")
        let clock = SystemClock()
        do throws(StartFailure) {
            let passwords: PasswordChecker
            let installation: Installation
            do throws(StoreError) {
                passwords = try await PasswordChecker()
                installation = try await Installation.prepare(configuration, settings: store, passwords: passwords, net: log.net) { log.reveal($0.line) }
            } catch {
                throw StartFailure(error, of: configuration.storeVariable)
            }

            let catalogue = Catalogue()
            let adapters = AdapterRegistry.builtIn
            let administration = Administration(
                store: store, catalogue: catalogue, adapter: { adapters[$0] }, clock: { clock.now() }, logger: log.logger("admin")
            )
            do throws(AdministrationError) {
                try await administration.load()
            } catch {
                throw StartFailure(line: "\(configuration.storeVariable): the catalogue cannot be read: \(error)", status: .failure)
            }
            let credentials = AdminCredentials(
                username: Secret(configuration.adminUsername.utf8), passwordHash: installation.adminPasswordHash, passwords: passwords
            )
            let admin = await AdminAPI(
                administration: administration, tokenSecret: unsafe installation.tokenSecret.withUnsafeBytes { unsafe Array($0) },
                publicBaseURL: configuration.publicBaseURL, version: ServerVersion.current, clock: { clock.now() }, logger: log.logger("admin"),
                verifyCredentials: { user, password in await credentials.verify(user: user, password: password) }
            )

            let server: HTTPServer
            do throws(ServerStartError) {
                server = try HTTPServer(
                    settings: ProxySettings(configuration, clientKeys: installation.clientKeys), catalogue: catalogue,
                    adapters: AdapterSource(adapter: { adapters[$0] }, adapterForUnknownService: adapters.unknownServiceLookup),
                    operations: operations(of: store, administration), localHandler: admin, clock: clock, logger: logger
                )
            } catch {
                throw StartFailure(line: "BACKEND_HOST, BACKEND_PORT: \(error)", status: .failure)
            }
            server.catalogueLoaded()
            let host = configuration.listenHost.contains(":") ? "[\(configuration.listenHost)]" : configuration.listenHost
            return AssembledServer(
                address: "http://\(host):\(server.port)",
                jobs: [{ await administration.runStandingWriter() }, { await StoreProbe(store: store, logger: log.logger("store")).run() }],
                drain: { await server.shutDown(grace: $0) },
                close: { await store.close() }
            )
        } catch {
            await store.close()
            throw error
        }
    }

    /// Opens the store with its key and brings its schema to this version's.
    private static func openStore(_ configuration: ServerConfiguration) async throws(StartFailure) -> any Store {
        let key: MasterKey
        do throws(StoreError) {
            key = try MasterKey.of(configuration)
        } catch {
            throw StartFailure(error, of: Variables.dataDirectory.name)
        }
        do throws(StoreError) {
            let store = try await RotatorStore.openStore(configuration.storeURL, sealing: MasterKeyRing(key))
            do throws(StoreError) {
                try await store.migrate()
            } catch {
                await store.close()
                throw error
            }
            return store
        } catch {
            throw StartFailure(error, of: configuration.storeVariable)
        }
    }

    private static func operations(of store: any Store, _ administration: Administration) -> OperationsSource {
        OperationsSource(
            missing: {
                switch store.health {
                case .reachable: []
                case .failing(let error): ["store: \(error.message)"]
                }
            },
            isStoreUp: { store.isReachable },
            keyCounts: {
                guard let services = try? administration.services() else { return [] }
                return services.flatMap { service in
                    ((try? administration.keyCounts(of: service.id)) ?? [:]).sorted { $0.key.rawValue < $1.key.rawValue }
                        .map { (service: service.configuration.slug, state: $0.key.rawValue, count: $0.value) }
                }
            }
        )
    }
}

extension ProxySettings {
    /// What the server is told of `configuration`.
    init(_ configuration: ServerConfiguration, clientKeys: [ClientKey]) {
        self.init()
        host = configuration.listenHost
        port = configuration.listenPort
        workerThreads = configuration.workerThreads
        bodyBytesMax = configuration.bodyBytesMax
        exchangeTimeout = configuration.exchangeTimeout
        connectTimeout = configuration.connectTimeout
        firstByteTimeout = configuration.firstByteTimeout
        streamIdleTimeout = configuration.streamIdleTimeout
        attemptLimit = configuration.attemptLimit
        outboundProxies.http = configuration.httpProxy
        outboundProxies.https = configuration.httpsProxy
        outboundProxies.all = configuration.allProxy
        outboundProxies.except = configuration.noProxy
        upstreamCAFile = configuration.upstreamCAFile
        metricsToken = configuration.metricsToken.map { token in unsafe token.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
        self.clientKeys = clientKeys
    }
}
