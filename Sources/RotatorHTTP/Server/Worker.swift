// SPDX-License-Identifier: MIT

internal import Crypto
internal import Glibc
internal import Logging
public import RotatorCore

/// Dialects, as the wiring hands them in: this module knows none.
public struct AdapterSource: Sendable {
    /// The adapter of a format.
    public var adapter: @Sendable (APIFormat) -> any Adapter
    /// The adapter whose errors a client understands whose service is not known: whether the path is an llm one, the path after the slug (the whole
    /// target where the request is malformed), and which telling fields the request carries.
    public var adapterForUnknownService: @Sendable (_ isLLM: Bool, _ path: RawSpan, _ hasAnthropicVersion: Bool, _ hasGoogleAPIKey: Bool) -> any Adapter

    /// Dialects.
    public init(
        adapter: @escaping @Sendable (APIFormat) -> any Adapter,
        adapterForUnknownService: @escaping @Sendable (Bool, RawSpan, Bool, Bool) -> any Adapter
    ) {
        self.adapter = adapter
        self.adapterForUnknownService = adapterForUnknownService
    }
}

/// The settings' durations in nanoseconds, taken apart once: `Duration` arithmetic is 128 bits wide, and each event pushes a deadline back.
struct Spans: Sendable {
    let head: Int64
    let bodyIdle: Int64
    let keepAlive: Int64
    let streamIdle: Int64
    let firstByte: Int64
    let exchange: Int64

    init(_ settings: ProxySettings) {
        // Far within what a moment can be moved on by: ten years.
        func span(_ duration: Duration) -> Int64 { min(max(0, duration.wholeNanoseconds), 315_360_000_000_000_000) }
        head = span(settings.headTimeout)
        bodyIdle = span(settings.bodyIdleTimeout)
        keepAlive = span(settings.keepAliveTimeout)
        streamIdle = span(settings.streamIdleTimeout)
        firstByte = span(settings.firstByteTimeout)
        exchange = span(settings.exchangeTimeout)
    }
}

/// What one reactor needs to serve: its view of the catalogue, its connections, its counters.
///
/// Confined to its reactor's thread; crosses threads only as the target of jobs that are submitted to that reactor.
final class Worker: @unchecked Sendable { // Confinement: see above; `settings`, `catalogue` and `shared` are immutable or thread-safe.
    let reactor: Reactor
    let settings: ProxySettings
    let spans: Spans
    let logger: Logger
    /// Whether the log is told of each exchange: asked once, since a logger is handed out as a copy.
    let logsExchanges: Bool
    let connector: Connector
    let queryKeyName: ByteBuffer
    let openAIAdapter: any Adapter
    var openStreams = 0
    /// Octets of request bodies that are held for clients who have not shown yet that they may send any.
    private var strangersOctets = 0
    private(set) var isDraining = false

    private let catalogue: Catalogue
    private let shared: ServerState
    private let adapters: AdapterSource
    private let genericAdapter: any Adapter
    private var snapshot: CatalogueSnapshot
    private var runtimes: [ObjectIdentifier: UpstreamRuntime] = [:]
    // Those that were asked for last, by a hash of their slug: most requests find theirs here.
    private var recentRuntimes = [UpstreamRuntime?](repeating: nil, count: 64)
    private var origins: [String: Origin] = [:]
    private var metrics: [String: ServiceMetrics] = [:]
    private var spareHeads: [MessageHead] = []
    private var connections: [ObjectIdentifier: ServerConnection] = [:]
    private var verified: [Int: (secret: Secret, client: Client)] = [:]
    private let clients: ClientDirectory
    private var clientSnapshot: ClientSnapshot
    private let recording: ExchangeRecording?
    private var admissions: [UInt64: ProxyExchange] = [:]
    private var awaiting: [UInt64: LocalExchange] = [:]
    private var lastTicket: UInt64 = 0
    private var requestNumber: UInt64
    private var random = SystemRandomNumberGenerator()
    private var running = 0

    init(
        reactor: Reactor, settings: ProxySettings, catalogue: Catalogue, clients: ClientDirectory, adapters: AdapterSource, sink: (any UsageSink)?, shared: ServerState,
        logger: Logger
    ) {
        self.reactor = reactor
        self.settings = settings
        spans = Spans(settings)
        self.catalogue = catalogue
        self.adapters = adapters
        self.shared = shared
        self.logger = logger
        logsExchanges = logger.logLevel <= .debug
        connector = Connector(reactor: reactor, settings: settings)
        snapshot = catalogue.snapshot
        requestNumber = UInt64.random(in: .min ... .max)
        self.clients = clients
        clientSnapshot = clients.snapshot
        recording = sink.map { ExchangeRecording(reactor: reactor, sink: $0) }
        openAIAdapter = adapters.adapter(.openAICompatible)
        genericAdapter = adapters.adapter(.generic)
        queryKeyName = ByteBuffer(capacity: 8)
        queryKeyName.append("key")
    }

    // MARK: Connections

    func accepted(_ fd: Int32) {
        Syscall.setOption(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        let connection = ServerConnection(worker: self, fd: fd)
        do throws(SystemError) {
            try reactor.register(connection, fd: fd)
        } catch {
            Syscall.close(fd)
            return
        }
        connections[ObjectIdentifier(connection)] = connection
        connection.start()
    }

    func closed(_ connection: ServerConnection) {
        connections.removeValue(forKey: ObjectIdentifier(connection))
    }

    // MARK: Exchanges

    /// The exchange that a request asks for.
    func exchange(for request: MessageHead, on connection: ServerConnection) -> Exchange {
        let method = request.methodView
        if method.equals("CONNECT") || method.equals("TRACE") {
            return LocalExchange(request: request, connection: connection, error: ProxyError(.methodNotAllowed, "\(method.string) is not served here."))
        }
        guard let (path, query) = Worker.splitTarget(request) else {
            connection.closeAfterResponse()
            return LocalExchange(request: request, connection: connection, error: ProxyError(.badRequest, "The request target is neither a path nor an http URL."))
        }
        let view = request.bytes.view[path]
        let isLLM = view.hasPrefix("/llm/")
        if let expectation = request.first(.expect), !request.expectsContinue, !expectation.isEmpty {
            return LocalExchange(request: request, connection: connection, error: ProxyError(.expectationFailed, "The only expectation that is met here is 100-continue."))
        }
        if isDraining, !view.equals("/healthz"), !view.equals("/metrics"), !view.equals("/readyz") {
            return LocalExchange(request: request, connection: connection, error: ProxyError(.shuttingDown, "The server is shutting down.", retryAfter: .seconds(1)))
        }
        if isLLM || view.hasPrefix("/proxy/") {
            let slugStart = path.lowerBound + (isLLM ? 5 : 7)
            let slugEnd = request.bytes.view[0..<path.upperBound].firstIndex(of: 0x2F, from: slugStart) ?? path.upperBound
            return ProxyExchange(request: request, connection: connection, worker: self, isLLM: isLLM, slug: slugStart..<slugEnd, rest: slugEnd..<path.upperBound, query: query)
        }
        return LocalExchange(request: request, connection: connection, path: view.string, query: query.map { request.bytes.view[$0].string })
    }

    /// The path and the query of origin-form and absolute-form targets (RFC 9112 §3.2), as ranges of the head.
    private static func splitTarget(_ request: MessageHead) -> (path: Range<Int>, query: Range<Int>?)? {
        let view = request.bytes.view
        var start = request.target.lowerBound
        let end = request.target.upperBound
        if view[start] != 0x2F {
            let target = request.targetView
            let scheme = target.count >= 7 && target[0..<7].equals(lowercase: "http://") ? 7 : target.count >= 8 && target[0..<8].equals(lowercase: "https://") ? 8 : 0
            guard scheme > 0 else { return nil }
            let authorityStart = start + scheme
            var index = authorityStart
            while index < end, view[index] != 0x2F, view[index] != 0x3F { index += 1 }
            guard index > authorityStart, isHost(view[authorityStart..<index]), index < end, view[index] == 0x2F else { return nil }
            start = index
        }
        if let mark = view[0..<end].firstIndex(of: 0x3F, from: start) { return (start..<mark, (mark + 1)..<end) }
        return (start..<end, nil)
    }

    /// Takes `count` octets more from strangers; false when together they have sent more than two of the largest bodies.
    func holdForStranger(_ count: Int) -> Bool {
        guard strangersOctets + count <= 2 * settings.bodyBytesMax else { return false }
        strangersOctets += count
        return true
    }

    /// Octets that were held for a stranger are gone, or no stranger's any more.
    func releaseForStranger(_ count: Int) { strangersOctets -= count }

    func exchangeBegan() { running += 1 }
    func exchangeEnded() { running -= 1 }

    func takeHead() -> MessageHead { spareHeads.popLast() ?? MessageHead() }

    func give(_ head: consuming MessageHead) {
        guard spareHeads.count < 256, head.bytes.capacity <= 8192 else { return }
        head.reset()
        spareHeads.append(head)
    }

    func nextRequestID() -> UInt64 {
        // A Weyl sequence through a mixer (SplitMix64): unique within 2^64 requests, and not to be read as a count.
        requestNumber &+= 0x9E37_79B9_7F4A_7C15
        var mixed = requestNumber
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    func jitter() -> Double { Double.random(in: 0..<1, using: &random) }

    // MARK: Catalogue

    var isCatalogueLoaded: Bool { shared.isCatalogueLoaded }

    /// The service under a slug, in its present state; nil where there is none, it is inactive, or of the other kind.
    func runtime(forSlug slug: ByteView, isLLM: Bool) -> UpstreamRuntime? {
        if catalogue.version != snapshot.version { refresh() }
        guard !slug.isEmpty, slug.count <= 63 else { return nil }
        let place = (slug.count &* 31 &+ Int(slug[0]) &* 7 &+ Int(slug[slug.count - 1])) & 63
        if let recent = recentRuntimes[place], slug.equals(recent.slug) { return recent.isLLM == isLLM ? recent : nil }
        let found = findRuntime(forSlug: slug, isLLM: isLLM)
        if let found { recentRuntimes[place] = found }
        return found
    }

    private func findRuntime(forSlug slug: ByteView, isLLM: Bool) -> UpstreamRuntime? {
        guard let upstream = snapshot.upstreams[slug.string], upstream.record.configuration.isActive else { return nil }
        guard (upstream.record.configuration.kind == .llm) == isLLM else { return nil }
        if let runtime = runtimes[ObjectIdentifier(upstream)] { return runtime }
        guard let target = upstream.target else { return nil }
        let key = originKey(target)
        let origin = origins[key] ?? Origin(target: target, proxy: proxy(for: target))
        origins[key] = origin
        let configuredSlug = upstream.record.configuration.slug
        let metrics = self.metrics[configuredSlug] ?? ServiceMetrics()
        self.metrics[configuredSlug] = metrics
        guard let runtime = UpstreamRuntime(upstream: upstream, origin: origin, metrics: metrics) else { return nil }
        runtimes[ObjectIdentifier(upstream)] = runtime
        return runtime
    }

    private func refresh() {
        snapshot = catalogue.snapshot
        for place in recentRuntimes.indices { recentRuntimes[place] = nil }
        let present = Set(snapshot.upstreams.values.map { ObjectIdentifier($0) })
        runtimes = runtimes.filter { present.contains($0.key) }
        // Connections to where no service leads any more are given up.
        let led = Set(snapshot.upstreams.values.compactMap { $0.target.map { originKey($0) } })
        for (key, origin) in origins where !led.contains(key) {
            origin.closeAll()
            origins[key] = nil
        }
    }

    private func originKey(_ target: UpstreamTarget) -> String {
        "\(target.isTLS ? "s" : "p")\(target.authority) \(proxy(for: target) ?? "")"
    }

    private func proxy(for target: UpstreamTarget) -> String? { settings.outboundProxies.proxy(isTLS: target.isTLS, host: target.host) }

    // MARK: Clients

    /// Whether anybody's key can be told from a stranger's yet.
    var knowsClients: Bool { clients.isKnown }

    /// The client whose key this is; nil when it is nobody's, or no longer good.
    ///
    /// Seen keys are found by a hash that is seeded for each process, and then compared in constant time; others are looked up by their SHA-256,
    /// which nobody can steer towards another's.
    func client(for credential: ByteView) -> Client? {
        guard credential.count >= 1, credential.count <= 8192 else { return nil }
        if clients.version != clientSnapshot.version {
            clientSnapshot = clients.snapshot
            verified.removeAll()
        }
        var hasher = Hasher()
        unsafe hasher.combine(bytes: credential.raw)
        let hash = hasher.finalize()
        if let known = verified[hash] {
            guard unsafe known.secret.isEqual(inConstantTime: RawSpan(_unsafeBytes: credential.raw)) else { return nil }
            return known.client.isGood(at: reactor.now) ? known.client : nil
        }
        guard let client = clientSnapshot.clients[Array(SHA256.hash(data: credential.array))] else { return nil }
        if verified.count >= 1024 { verified.removeAll() }
        verified[hash] = (Secret(credential.array), client)
        return client.isGood(at: reactor.now) ? client : nil
    }

    /// Asks for the admission of a request of a client whose use is counted. ``ProxyExchange/admissionDecided(_:)`` is called where it is not known at once.
    func admit(_ exchange: ProxyExchange, to meter: ClientMeter) -> ClientMeter.Admission {
        lastTicket += 1
        let ticket = lastTicket
        admissions[ticket] = exchange
        let reactor = self.reactor
        let admission = meter.admit(at: reactor.now) { refusal in
            // Held for that long. A weak reference would give the worker a count of references that is dearer from then on, for each request.
            reactor.submit { reactor in
                if let exchange = self.admissions.removeValue(forKey: ticket) {
                    exchange.admissionDecided(refusal)
                } else if refusal == nil {
                    // The client has gone meanwhile.
                    meter.ended(tokens: nil, at: reactor.now)
                }
            }
        }
        switch admission {
        case .asked: exchange.admissionTicket = ticket
        case .admitted, .refused: admissions.removeValue(forKey: ticket)
        }
        return admission
    }

    /// The exchange no longer waits for its admission.
    func forgetAdmission(_ ticket: UInt64) { admissions.removeValue(forKey: ticket) }

    // MARK: Records

    /// Whether records of exchanges are wanted.
    var recordsExchanges: Bool { recording != nil }

    /// Hands on what is remembered of an exchange that has ended.
    func record(_ record: consuming ExchangeRecord) { recording?.add(consume record) }

    // MARK: Errors before the service is known

    func adapter(forUnknownService request: MessageHead, path: Range<Int>, isLLM: Bool) -> any Adapter {
        let span = unsafe RawSpan(_unsafeBytes: request.bytes.view[path].raw)
        return adapters.adapterForUnknownService(isLLM, span, request.first(.anthropicVersion) != nil, request.fields.contains { $0.known == .xGoogAPIKey } || request.fields.contains {
            $0.known == .removed && request.name($0).equals(lowercase: "x-goog-api-key")
        })
    }

    func adapter(forMalformed request: MessageHead) -> any Adapter {
        guard request.target.count > 0, request.target.upperBound <= request.bytes.count, request.targetView.hasPrefix("/llm/") else { return genericAdapter }
        return adapter(forUnknownService: request, path: request.target, isLLM: true)
    }

    // MARK: Requests answered here

    func await(_ exchange: LocalExchange) -> UInt64 {
        lastTicket += 1
        awaiting[lastTicket] = exchange
        return lastTicket
    }

    func forget(_ ticket: UInt64) { awaiting.removeValue(forKey: ticket) }

    func hand(_ request: LocalRequest, ticket: UInt64) {
        let shared = self.shared
        let reactor = self.reactor
        // Leaves the reactor on purpose: the handler may wait for a store. It comes back by `submit`.
        Task {
            let response = await shared.respond(to: request)
            reactor.submit { _ in self.awaiting.removeValue(forKey: ticket)?.send(response) }
        }
    }

    // MARK: Draining

    /// Takes no new work but health and metrics from now on.
    func drain() {
        isDraining = true
        for connection in Array(connections.values) { connection.drain() }
    }

    /// How many exchanges are under way.
    var runningCount: Int { running + awaiting.count + connections.values.count { $0.backlog > 0 } }

    /// Cuts what still runs.
    func cutOff() {
        defer { recording?.flush() }
        for connection in Array(connections.values) { connection.cutOff() }
        for origin in origins.values { origin.closeAll() }
    }

    // MARK: Counters

    func report() -> WorkerReport {
        WorkerReport(
            services: metrics.mapValues { ServiceReport(requests: $0.requests, attempts: $0.attempts, duration: $0.duration, firstByte: $0.firstByte) },
            openStreams: openStreams, openConnections: connections.count)
    }
}

/// What one reactor has counted.
struct WorkerReport: Sendable {
    var services: [String: ServiceReport]
    var openStreams: Int
    var openConnections: Int
}

/// What was counted of one service.
struct ServiceReport: Sendable {
    var requests: [Int: Int]
    var attempts: Int
    var duration: Histogram
    var firstByte: Histogram

    mutating func add(_ other: ServiceReport) {
        requests.merge(other.requests, uniquingKeysWith: +)
        attempts += other.attempts
        duration.add(other.duration)
        firstByte.add(other.firstByte)
    }
}
