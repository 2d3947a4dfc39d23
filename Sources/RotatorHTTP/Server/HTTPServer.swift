// SPDX-License-Identifier: MIT

internal import CLinux
internal import Glibc
public import Logging
public import RotatorCore
internal import Synchronization

/// What the operations endpoints ask of the rest of the process.
public struct OperationsSource: Sendable {
    /// What is missing before requests can be served, in words; empty when nothing is.
    public var missing: @Sendable () async -> [String]
    /// Whether the store answers.
    public var isStoreUp: @Sendable () async -> Bool
    /// How many keys each service has in each state: slug, state, count.
    public var keyCounts: @Sendable () async -> [(service: String, state: String, count: Int)]
    /// What was counted of exchanges.
    public var traffic: @Sendable () async -> TrafficCounters
    /// What became of alerts: the event, the result, and how many.
    public var alertCounts: @Sendable () async -> [(event: String, result: String, count: Int)]

    /// The questions.
    public init(
        missing: @escaping @Sendable () async -> [String],
        isStoreUp: @escaping @Sendable () async -> Bool,
        keyCounts: @escaping @Sendable () async -> [(service: String, state: String, count: Int)],
        traffic: @escaping @Sendable () async -> TrafficCounters = { TrafficCounters() },
        alertCounts: @escaping @Sendable () async -> [(event: String, result: String, count: Int)] = { [] }
    ) {
        self.missing = missing
        self.isStoreUp = isStoreUp
        self.keyCounts = keyCounts
        self.traffic = traffic
        self.alertCounts = alertCounts
    }
}

/// What all reactors of a server share: immutable, atomic, or behind a lock that no request takes.
final class ServerState: Sendable {
    private let loaded = Atomic(false)
    private let draining = Atomic(false)
    private let responder: OutOfLineMutex<(@Sendable (LocalRequest) async -> LocalResponse)?> = OutOfLineMutex(nil)

    /// Whether the catalogue has been read once.
    var isCatalogueLoaded: Bool {
        get { loaded.load(ordering: .acquiring) }
        set { loaded.store(newValue, ordering: .releasing) }
    }

    var isDraining: Bool {
        get { draining.load(ordering: .acquiring) }
        set { draining.store(newValue, ordering: .releasing) }
    }

    func setResponder(_ respond: @escaping @Sendable (LocalRequest) async -> LocalResponse) { responder.withLock { $0 = respond } }

    func respond(to request: LocalRequest) async -> LocalResponse {
        guard let respond = responder.withLock({ $0 }) else { return LocalResponse(status: 503) }
        return await respond(request)
    }
}

/// An error that keeps a server from starting.
public struct ServerStartError: Error, Sendable, CustomStringConvertible {
    /// One line for an operator.
    public let description: String
}

/// The HTTP server: reactors, each on a thread of its own with its own listener, that proxy what the catalogue names and hand the rest to a
/// ``LocalHandler``.
public final class HTTPServer: Sendable {
    private let settings: ProxySettings
    private let workers: [Worker]
    private let state: ServerState
    private let logger: Logger
    private let operations: OperationsSource
    private let localHandler: any LocalHandler
    private let clients: ClientDirectory
    /// The port that is listened on.
    public let port: Int

    /// Binds the listeners and starts the reactors. Throws when the address cannot be had.
    ///
    /// - Parameters:
    ///   - clients: who may use the proxy surface; nil: ``ProxySettings/clientKeys`` alone.
    ///   - usageSink: takes what is remembered of each exchange; nil: nothing is.
    public init(
        settings: ProxySettings, catalogue: Catalogue, clients: ClientDirectory? = nil, adapters: AdapterSource, operations: OperationsSource,
        localHandler: any LocalHandler, usageSink: (any UsageSink)? = nil, clock: SystemClock, logger: Logger
    ) throws(ServerStartError) {
        CurlLibrary.initialise()
        // Buffers of some ten KiB come and go with each request: the heap must not be trimmed and grown again each time.
        _ = mallopt(M_TRIM_THRESHOLD, 64 << 20)
        _ = mallopt(M_MMAP_THRESHOLD, 1 << 20)
        self.settings = settings
        self.logger = logger
        self.operations = operations
        self.localHandler = localHandler
        state = ServerState()
        let clients = clients ?? ClientDirectory(environment: settings.clientKeys)
        self.clients = clients
        var workers: [Worker] = []
        var listeners: [Int32] = []
        var port = settings.port
        do throws(SystemError) {
            if port != 0 { Syscall.close(try SocketAddress.listen(host: settings.host, port: port, isShared: false)) }
            for number in 0..<max(1, settings.workerThreads) {
                let listener = try SocketAddress.listen(host: settings.host, port: port, isShared: true)
                listeners.append(listener)
                if port == 0 { port = SocketAddress.port(of: listener) }
                let reactor = try Reactor(number: number, clock: clock)
                workers.append(
                    Worker(
                        reactor: reactor, settings: settings, catalogue: catalogue, clients: clients, adapters: adapters, sink: usageSink, shared: state, logger: logger))
            }
        } catch {
            for listener in listeners { Syscall.close(listener) }
            throw ServerStartError(description: "cannot listen on \(settings.host):\(settings.port): \(error)")
        }
        self.workers = workers
        self.port = port
        state.setResponder { [weak self] request in
            guard let self else { return LocalResponse(status: 503) }
            return await respond(to: request)
        }
        for (worker, listener) in zip(workers, listeners) {
            Listener.start(worker: worker, fd: listener)
        }
    }

    /// The catalogue has been read: proxied requests are served from now on.
    public func catalogueLoaded() { state.isCatalogueLoaded = true }

    /// Stops taking new work, waits up to `grace` for what runs, cuts the rest, and ends the reactors.
    public func shutDown(grace: Duration) async {
        state.isDraining = true
        for worker in workers { worker.reactor.submit { _ in worker.drain() } }
        let clock = ContinuousClock()
        let end = clock.now + grace
        while clock.now < end {
            var running = 0
            for worker in workers { running += await worker.reactor.call { worker.runningCount } }
            if running == 0 { break }
            try? await clock.sleep(for: .milliseconds(20))
        }
        // A response that was finished just now may still be on its way out of the reactor.
        try? await clock.sleep(for: .milliseconds(50))
        for worker in workers {
            await worker.reactor.call {
                worker.cutOff()
                worker.reactor.stop()
            }
        }
    }

    // MARK: Requests answered here

    private func respond(to request: LocalRequest) async -> LocalResponse {
        let isRead = request.method == "GET" || request.method == "HEAD"
        switch request.path {
        case "/readyz" where isRead:
            var missing = state.isDraining ? ["shutting down"] : []
            if !state.isCatalogueLoaded { missing.append("catalogue not loaded") }
            missing += await operations.missing()
            let quoted = missing.map { "\"" + $0.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\"" }
            return json(missing.isEmpty ? 200 : 503, "{\"ready\":\(missing.isEmpty),\"missing\":[\(quoted.joined(separator: ","))]}\n")
        case "/metrics" where isRead:
            if let token = settings.metricsToken, !isAuthorised(request, token: token) {
                var response = problem(401, "invalid_token", "The metrics want their bearer token.")
                response.fields.lines.append(HeaderField("WWW-Authenticate", "Bearer"))
                return response
            }
            return await metrics()
        case "/healthz", "/readyz", "/metrics":
            var response = problem(405, "method_not_allowed", "GET and HEAD are served here.")
            response.fields.lines.append(HeaderField("Allow", "GET, HEAD"))
            return response
        default:
            guard state.isCatalogueLoaded else {
                var response = problem(503, "store_unavailable", "The catalogue has not been read yet: its store cannot be reached.")
                response.fields.lines.append(HeaderField("Retry-After", "1"))
                return response
            }
            return await localHandler.respond(to: request)
        }
    }

    private func isAuthorised(_ request: LocalRequest, token: String) -> Bool {
        guard let value = request.fields["authorization"], value.utf8.prefix(7).elementsEqual(ignoringASCIICase: "bearer ".utf8) else { return false }
        let given = Array(value.utf8.dropFirst(7))
        return unsafe given.withUnsafeBytes { unsafe Secret(Array(token.utf8)).isEqual(inConstantTime: RawSpan(_unsafeBytes: $0)) }
    }

    private func json(_ status: Int, _ text: String) -> LocalResponse {
        LocalResponse(status: status, fields: [HeaderField("Content-Type", "application/json"), HeaderField("Cache-Control", "no-store")], body: Array(text.utf8))
    }

    private func problem(_ status: Int, _ code: String, _ detail: String) -> LocalResponse {
        LocalResponse(
            status: status, fields: [HeaderField("Content-Type", "application/problem+json")],
            body: Array("{\"type\":\"about:blank\",\"title\":\"\(code)\",\"status\":\(status),\"detail\":\"\(detail)\",\"code\":\"\(code)\"}".utf8))
    }

    /// How many streams are being forwarded.
    public func openStreamCount() async -> Int {
        var count = 0
        for worker in workers { count += await worker.reactor.call { worker.openStreams } }
        return count
    }

    private func metrics() async -> LocalResponse {
        var services: [String: ServiceReport] = [:]
        var openStreams = 0
        var openConnections = 0
        for worker in workers {
            let report = await worker.reactor.call { worker.report() }
            for (slug, service) in report.services { services[slug, default: ServiceReport(requests: [:], attempts: 0, duration: Histogram(), firstByte: Histogram())].add(service) }
            openStreams += report.openStreams
            openConnections += report.openConnections
        }
        let text = MetricsText(
            services: services, openStreams: openStreams, openConnections: openConnections,
            keyCounts: await operations.keyCounts(), traffic: await operations.traffic(), alertCounts: await operations.alertCounts(),
            isStoreUp: await operations.isStoreUp()
        ).text
        return LocalResponse(status: 200, fields: [HeaderField("Content-Type", "text/plain; version=0.0.4; charset=utf-8"), HeaderField("Cache-Control", "no-store")], body: Array(text.utf8))
    }
}

extension Reactor {
    /// Runs `body` on the reactor's thread and hands back what it returns.
    func call<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            submit { _ in continuation.resume(returning: body()) }
        }
    }
}

/// A listening socket of one reactor.
final class Listener: Pollable, DeadlineTarget {
    private let worker: Worker
    private let fd: Int32
    private lazy var deadline = Deadline(target: self)
    private var saidExhausted = false

    private init(worker: Worker, fd: Int32) {
        self.worker = worker
        self.fd = fd
    }

    /// Starts the reactor's thread and listens on it.
    static func start(worker: Worker, fd: Int32) {
        final class Start: Sendable {
            let worker: Worker
            let fd: Int32
            init(worker: Worker, fd: Int32) {
                self.worker = worker
                self.fd = fd
            }
        }
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(Start(worker: worker, fd: fd)).toOpaque()
        let code = unsafe pthread_create(&thread, nil, { context in
            let start = unsafe Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
            let listener = Listener(worker: start.worker, fd: start.fd)
            do throws(SystemError) {
                // Level-triggered: connections that could not be accepted now are told again.
                try start.worker.reactor.register(listener, fd: start.fd, mask: Readiness.input)
            } catch {
                preconditionFailure("a fresh listener can be watched: \(error)")
            }
            start.worker.reactor.run()
            Syscall.close(start.fd)
            return nil
        }, context)
        precondition(code == 0, "a thread can be started")
        _ = pthread_detach(thread)
    }

    override func ready(_ mask: UInt32) {
        // Bounded, so that a flood of connections does not starve those that are open.
        for _ in 0..<64 {
            do throws(SystemError) {
                guard let accepted = try SocketAddress.accept(on: fd) else { return }
                saidExhausted = false
                worker.accepted(accepted)
            } catch {
                // No descriptors left: look again in a moment instead of spinning on a listener that stays readable.
                if !saidExhausted { worker.logger.warning("cannot accept connections", metadata: ["reason": "\(error)"]) }
                saidExhausted = true
                worker.reactor.change(self, fd: fd, mask: 0)
                worker.reactor.deadlines.set(deadline, to: worker.reactor.now + .milliseconds(100))
                return
            }
        }
    }

    func deadlinePassed(_ deadline: Deadline) {
        worker.reactor.change(self, fd: fd, mask: Readiness.input)
    }
}
