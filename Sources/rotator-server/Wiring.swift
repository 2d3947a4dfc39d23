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
    /// What runs beside the requests; ends soon after its task is cancelled, or with what the process has to end with.
    var work: @Sendable () async -> StartFailure?
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
    ///
    /// A store that several servers can share may be away: then it listens all the same, and one of the jobs goes on trying to reach it.
    static func assemble(_ configuration: ServerConfiguration, log: ServerLog) async throws(StartFailure) -> AssembledServer {
        let logger = log.logger("rotator")
        // First of all: a faulty document is no reason to wait for a store.
        let file = try await CatalogueFile.read(configuration)
        let clock = SystemClock()
        let foreground = Foreground(
            clients: ClientDirectory(environment: configuration.proxyKeys.map(Installation.clientKeys)),
            traffic: TrafficRecorder(
                replica: HostName.current,
                log: RequestLogSettings(
                    directory: configuration.requestLogPath, bytesMax: configuration.requestLogBytesMax, ageMax: configuration.requestLogAgeMax),
                clock: { clock.now() }, logger: log.logger("history")))
        let slot = BackingSlot(foreground.traffic)
        do throws(StartFailure) {
            slot.fill(try await Backing.open(configuration, file: file, serving: foreground, clock: clock, log: log))
        } catch {
            guard configuration.storeURL.isShareable, error.mayPass else { throw error }
            slot.stayEmpty(because: error.line)
            log.announce("\(error.line); requests get 503 until it can be reached", level: .error)
        }

        let adapters = AdapterRegistry.builtIn
        let server: HTTPServer
        do throws(ServerStartError) {
            server = try HTTPServer(
                settings: ProxySettings(configuration), catalogue: foreground.catalogue, clients: foreground.clients,
                adapters: AdapterSource(adapter: { adapters[$0] }, adapterForUnknownService: adapters.unknownServiceLookup),
                operations: slot.operations, localHandler: slot, usageSink: foreground.traffic, clock: clock, logger: logger
            )
        } catch {
            await slot.backing?.store.close()
            throw StartFailure(line: "BACKEND_HOST, BACKEND_PORT: \(error)", status: .failure)
        }
        if slot.backing != nil { server.catalogueLoaded() }
        let host = configuration.listenHost.contains(":") ? "[\(configuration.listenHost)]" : configuration.listenHost
        return AssembledServer(
            address: "http://\(host):\(server.port)",
            work: {
                await withTaskGroup(returning: StartFailure?.self) { group in
                    // From the beginning: requests are answered and recorded while the store has not been reached.
                    group.addTask { await foreground.traffic.run(slot.eventSource { await server.openStreamCount() }) }
                    if slot.backing == nil {
                        switch await reach(configuration, file: file, serving: foreground, clock: clock, log: log, slot: slot) {
                        case .reached(let backing):
                            slot.fill(backing)
                            server.catalogueLoaded()
                            logger.notice("the store has been reached", metadata: ["variable": "\(configuration.storeVariable)"])
                        case .failed(let failure):
                            group.cancelAll()
                            return failure
                        case .cancelled: return nil
                        }
                    }
                    for job in slot.backing?.jobs(log) ?? [] { group.addTask { await job() } }
                    return nil
                }
            },
            drain: { await server.shutDown(grace: $0) },
            close: { await slot.backing?.store.close() }
        )
    }

    private enum Attempt {
        case reached(Backing), failed(StartFailure), cancelled
    }

    /// Tries again and again, ever more slowly up to every two seconds.
    private static func reach(
        _ configuration: ServerConfiguration, file: CatalogueFile?, serving foreground: Foreground, clock: SystemClock, log: ServerLog, slot: BackingSlot
    ) async -> Attempt {
        var pause = Duration.milliseconds(100)
        while !Task.isCancelled {
            try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
            if Task.isCancelled { break }
            do throws(StartFailure) {
                return .reached(try await Backing.open(configuration, file: file, serving: foreground, clock: clock, log: log))
            } catch {
                guard error.mayPass else { return .failed(error) }
                slot.stayEmpty(because: error.line)
                pause = min(pause * 2, .seconds(2))
            }
        }
        return .cancelled
    }
}

extension ProxySettings {
    /// What the server is told of `configuration`.
    init(_ configuration: ServerConfiguration) {
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
    }
}
