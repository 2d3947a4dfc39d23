// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// One answer of an upstream: its head, what came of its body before it was judged, and where the rest comes from.
final class Answer {
    let head: MessageHead
    let keyID: KeyID
    var body: ByteBuffer?
    /// Nil once the body is whole, or the connection gone.
    var connection: UpstreamConnection?
    var decoder = BodyDecoder.none
    var isWhole = false

    init(head: MessageHead, keyID: KeyID) {
        self.head = head
        self.keyID = keyID
    }
}

/// One proxied request: authenticates, waits for as much of the body as it needs, and carries it to the upstream with one key after the
/// other until an answer goes to the client. Confined to one reactor.
///
/// What is to be done is decided by ``ExchangeStateMachine`` and the pool; this class does it.
final class ProxyExchange: Exchange, ConnectionWaiter, UpstreamConnectionUser {
    enum Phase {
        /// Reading as much of the request as is needed before the first attempt.
        case receiving
        /// The client's use is counted, and whether it may go on is asked elsewhere.
        case awaitingAdmission
        /// Every key rests, and the service lets requests wait.
        case waitingForKey
        /// Between two attempts.
        case pausing
        case connecting
        /// The request is being sent, or has been.
        case awaitingHead
        /// The head says that the key may be at fault: the beginning of the body is needed to tell.
        case judging
        /// A stream has begun, and its beginning is held back until it shows content.
        case opening
        /// The response is on its way to the client. No other attempt can be made.
        case relaying
        case over
    }

    /// How the response is delimited for the client.
    enum Delimiting { case none, length, chunked, close }

    let worker: Worker
    let isLLM: Bool
    let slug: Range<Int>
    let rest: Range<Int>
    let query: Range<Int>?
    let startedAt: Moment
    let generatedID: UInt64

    var phase = Phase.receiving
    var runtime: UpstreamRuntime?
    var earlyError: ProxyError?
    var isAuthenticated = false
    var needsBodyCredential = false
    var needsWholeBody = false
    var client: Client?
    var isAdmitted = false
    var admissionTicket: UInt64?
    var removedQueryPairs: [Range<Int>] = []

    // Request body
    var body: ByteBuffer?
    var bodyReceived = 0
    var strangersOctets = 0
    var bodySent = 0
    var bodyDropped = 0
    var isBodyWhole = false
    var facts = RequestFacts()
    var hasFacts = false
    var conversation: UInt64?

    // Attempts
    var machine = ExchangeStateMachine(attemptLimit: 1, replay: .refused)
    var tried = TriedKeys()
    var lastKeyID: KeyID?
    var lease: KeyLease?
    var attempt: ConnectAttempt?
    var upstream: UpstreamConnection?
    var toUpstream: ByteBuffer?
    var sendsChunked = false
    var sentLastChunk = false
    var hasSentRequest = false
    var isSendBroken = false
    var isReusedConnection = false
    var parser = HeadParser(.response)
    var answerHead: MessageHead?
    var current: Answer?
    var last: Answer?
    var waitUntil = Moment.distantFuture
    // The connection's, which outlives the exchange.
    private let deadline: Deadline
    var totalDeadline: Moment
    var isStream = false
    var isCountedStream = false
    var opening: (any StreamOpeningJudge)?
    var log = AttemptLog()

    // Response
    var delimiting = Delimiting.none
    var batch = ChunkBatch()
    var isPaused = false
    var firstByteAt: Moment?
    var status = 0
    var meter: (any UsageMeter)?
    /// Takes what we asked for out of the stream again.
    var editor: (any StreamEditor)?
    var ending = ExchangeRecord.Ending.complete
    var errorCode: ProxyError.Code?

    static let judgedOctets = 65_536

    init(request: MessageHead, connection: ServerConnection, worker: Worker, isLLM: Bool, slug: Range<Int>, rest: Range<Int>, query: Range<Int>?) {
        self.worker = worker
        self.isLLM = isLLM
        self.slug = slug
        self.rest = rest
        self.query = query
        deadline = connection.exchangeDeadline
        startedAt = worker.reactor.now
        generatedID = worker.nextRequestID()
        totalDeadline = worker.reactor.now.advanced(byNanoseconds: worker.spans.exchange)
        super.init(request: request, connection: connection)
        worker.exchangeBegan()
        examine()
    }

    // MARK: Authentication and routing

    func examine() {
        guard worker.knowsClients else { return reject(ProxyExchange.notLoaded) }
        switch CredentialScan(request: request, query: query, worker: worker).result {
        case .valid(let known, let pairs):
            client = known
            removedQueryPairs = pairs
            isAuthenticated = true
        case .none(let pairs):
            removedQueryPairs = pairs
            // Only an OpenAI-format body can still hold one.
            // Whether the slug's dialect knows such a member is not asked here: the answer's moment would tell whether there is such a slug.
            if isLLM, hasJSONBody, hasBody {
                needsBodyCredential = true
                needsWholeBody = true
                if let length = request.contentLength, length > worker.settings.bodyBytesMax { reject(stranger) }
                return
            }
            reject(stranger)
            return
        case .refused:
            reject(stranger)
            return
        }
        route()
    }

    static let unauthorised = ProxyError(.invalidProxyKey, "The proxy key is missing or not valid. Present one of this proxy's keys where your SDK takes its API key.")

    /// Before the store has been read nobody can be told from a client whose key is kept there.
    var stranger: ProxyError { worker.isCatalogueLoaded ? ProxyExchange.unauthorised : ProxyExchange.notLoaded }

    static let notLoaded = ProxyError(
        .storeUnavailable, "The catalogue has not been read yet: its store cannot be reached. Try again soon.", retryAfter: .seconds(1))

    var hasBody: Bool { request.isChunked || (request.contentLength ?? 0) > 0 }

    var hasJSONBody: Bool {
        guard let type = request.first(.contentType) else { return true }
        return ProxyExchange.isJSON(type)
    }

    static func isJSON(_ type: ByteView) -> Bool {
        let end = type.firstIndex(of: 0x3B) ?? type.count
        let essence = trimmed(type[0..<end])
        if essence.equals(lowercase: "application/json") { return true }
        return essence.count > 5 && essence.dropFirst(essence.count - 5).equals(lowercase: "+json")
    }

    func route() {
        guard worker.isCatalogueLoaded else {
            return reject(ProxyExchange.notLoaded)
        }
        let view = request.bytes.view
        guard let runtime = worker.runtime(forSlug: view[slug], isLLM: isLLM) else {
            return reject(ProxyError(.serviceNotFound, "There is no active service under this slug."))
        }
        self.runtime = runtime
        if let client, !client.allows(service: runtime.upstream.record.configuration.slug) {
            return reject(ProxyError(.notAllowed, "This proxy key may not use this service."))
        }
        if !runtime.allowedMethod.isEmpty, !request.methodView.equals(runtime.allowedMethod),
            !(runtime.allowedMethod.view.equals("GET") && request.methodView.equals("HEAD"))
        {
            return reject(ProxyError(.methodNotAllowed, "This service takes \(runtime.allowedMethod.view.string) only."))
        }
        let repeated = unsafe runtime.target.repeatedVersion(in: view[rest].raw)
        if unsafe PathJudge.leavesBase(view[(rest.lowerBound + repeated)..<rest.upperBound].raw) {
            return reject(ProxyError(.invalidPath, "The path leaves the service's base path."))
        }
        if let length = request.contentLength, length > worker.settings.bodyBytesMax {
            return reject(ProxyExchange.tooLarge(worker.settings.bodyBytesMax))
        }
        if isLLM, hasBody {
            // Scanned once, when it is whole, unless the path names the model and no credential can stand in the body.
            if hasJSONBody {
                if !runtime.readsCredentialFromBody { readFacts() }
                needsWholeBody = runtime.readsCredentialFromBody || facts.model == nil
            }
        }
        machine = ExchangeStateMachine(
            attemptLimit: runtime.upstream.record.configuration.maxAttempts ?? worker.settings.attemptLimit,
            replay: runtime.upstream.record.configuration.replay
                ?? (isLLM ? .failed : runtime.upstream.record.configuration.replayPolicy(forMethod: request.methodView.string)))
    }

    static func tooLarge(_ limit: Int) -> ProxyError {
        ProxyError(.bodyTooLarge, "The request body is larger than \(limit) octets.")
    }

    /// Remembers the error; it goes out when the octets that have come are read, so that the connection can stay open where it may.
    func reject(_ error: ProxyError) {
        if earlyError == nil { earlyError = error }
    }

    // MARK: Request body

    override func bodyArrived(_ bytes: ByteView) {
        guard earlyError == nil, phase != .over else { return }
        bodyReceived += bytes.count
        if bodyReceived > worker.settings.bodyBytesMax {
            let error = needsBodyCredential ? stranger : ProxyExchange.tooLarge(worker.settings.bodyBytesMax)
            if phase == .receiving { reject(error) } else { requestFailed(error) }
            return
        }
        if needsBodyCredential, !isAuthenticated {
            guard worker.holdForStranger(bytes.count) else { return reject(stranger) }
            strangersOctets += bytes.count
        }
        let buffer = body ?? worker.reactor.buffers.take()
        body = buffer
        buffer.append(bytes)
        if phase == .receiving { return }
        pump()
        // Beyond what is kept for another attempt, the client is held back to the upstream's pace.
        if bodyReceived > worker.settings.replayBytesMax, unsentOctets > 4 * ServerConnection.backlogLimit { connection?.pauseBody() }
    }

    /// How many octets of the request body are held and not yet sent in this attempt.
    var unsentOctets: Int { (body?.count ?? 0) - (bodySent - bodyDropped) }

    override func bodyEnded() {
        isBodyWhole = true
        guard phase != .over else { return }
        if let earlyError {
            answer(with: earlyError)
        } else if phase == .receiving {
            begin()
        } else {
            pump()
        }
    }

    override func inputPaused() {
        guard phase == .receiving else { return }
        if let earlyError { return answer(with: earlyError) }
        guard !isBodyWhole else { return }
        connection?.wantBody()
        // Telling the client may have shown that it has gone.
        guard phase == .receiving, connection != nil, !needsWholeBody, isAuthenticated else { return }
        // The model decides which keys may be chosen: as much as is kept for a replay may be waited for.
        if isLLM, bodyReceived <= worker.settings.replayBytesMax {
            if !hasFacts { readFacts() }
            if facts.model == nil { return }
        }
        begin()
    }

    override func requestFailed(_ error: ProxyError) {
        guard phase != .over else { return }
        if phase == .relaying {
            // Too late for an answer of ours.
            cancelUpstream()
            settle(.success)
            connection?.breakOff()
            over(status: status)
            return
        }
        cancelUpstream()
        settle(.abandoned)
        answer(with: earlyError ?? error)
    }

    // MARK: Choosing a key

    func choose() {
        guard let runtime, phase != .over, connection != nil else { return }
        let now = worker.reactor.now
        switch runtime.upstream.pool.lease(model: facts.model, conversation: conversation, excluding: tried, at: now) {
        case .granted(let granted):
            tried.insert(granted.key.id)
            log.began(granted.key.id, at: now)
            lastKeyID = granted.key.id
            lease = consume granted
            _ = machine.attemptBegan()
            runtime.metrics.attempts += 1
            connect(runtime)
        case .resting(let until):
            if machine.attempts > 0 { return perform(machine.ranOutOfKeys()) }
            let patience = runtime.upstream.record.configuration.maxWaitMilliseconds
            if waitUntil == .distantFuture { waitUntil = now + .milliseconds(patience) }
            if let until, until <= waitUntil, now < waitUntil || until <= now {
                phase = .waitingForKey
                setDeadline(max(until, now + .milliseconds(1)))
                return
            }
            let wait = until.map { max(Duration.zero, $0 - now) }
            answer(with: ProxyError(.noAvailableKey, "Every key of this service is resting.", retryAfter: wait.map { max($0, .seconds(1)) }))
        case .allTried: perform(machine.ranOutOfKeys())
        case .noKeys:
            if machine.attempts > 0 { return perform(machine.ranOutOfKeys()) }
            answer(with: ProxyError(.noKeys, "This service has no keys."))
        }
    }

    private func connect(_ runtime: UpstreamRuntime) {
        if let idle = runtime.origin.takeIdle() {
            isReusedConnection = true
            send(on: idle, to: runtime)
            return
        }
        isReusedConnection = false
        phase = .connecting
        setDeadline(totalDeadline)
        attempt = worker.connector.connect(to: runtime.origin, waiter: self)
        if attempt == nil { connectFailed(ConnectFailure(reason: "connect_failed", detail: "out of memory")) }
    }

    func connected(_ connection: UpstreamConnection) {
        attempt = nil
        guard phase == .connecting, let runtime else {
            connection.close()
            return
        }
        send(on: connection, to: runtime)
    }

    func connectFailed(_ failure: ConnectFailure) {
        attempt = nil
        guard phase == .connecting else { return }
        worker.logger.warning("no connection to the upstream", metadata: [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "reason": "\(failure.reason)", "detail": "\(failure.detail)",
        ])
        // Nothing was sent. The key is not rested for it, but three in a row open its circuit (contract §3).
        settle(.upstreamFailed(reason: failure.reason))
        perform(machine.endedWithoutAnswer(.notConnected, isReplayable: bodyDropped == 0, jitter: worker.jitter()))
    }

    // The body is held from its first octet, and small enough to be kept for another attempt.
    var isReplayable: Bool { bodyDropped == 0 && bodyReceived <= worker.settings.replayBytesMax }

    // MARK: Ends

    override func outputDrained() {
        guard phase == .relaying, isPaused else { return }
        isPaused = false
        if let upstream { upstreamReadable(upstream) }
    }

    override func clientHalfClosed() {
        // Contract §2: a FIN after the whole request is a client that has gone.
        connection?.close()
    }

    override func clientGone() {
        guard phase != .over else { return }
        let wasRelaying = phase == .relaying
        ending = .clientLeft
        cancelUpstream()
        settle(wasRelaying ? .success : .abandoned)
        over(status: wasRelaying ? status : 499)
        worker.give(request)
    }

    func cancelUpstream() {
        attempt?.cancel()
        attempt = nil
        if let upstream {
            self.upstream = nil
            if current?.connection === upstream { current?.connection = nil }
            upstream.close()
        }
        returnRequestBuffer()
    }

    /// Everything that the exchange held goes back; counts what came of it.
    func over(status: Int) {
        guard phase != .over else { return }
        phase = .over
        worker.reactor.deadlines.clear(deadline)
        if let head = answerHead.take() { worker.give(head) }
        if let answer = current.take() { discard(answer) }
        discardLast()
        if let body = body.take() { worker.reactor.buffers.give(body) }
        returnRequestBuffer()
        if isCountedStream { worker.openStreams -= 1 }
        if let admissionTicket { worker.forgetAdmission(admissionTicket) }
        let usage = meter?.usage
        meter = nil
        editor = nil
        opening = nil
        worker.releaseForStranger(strangersOctets)
        strangersOctets = 0
        worker.exchangeEnded()
        let now = worker.reactor.now
        runtime?.metrics.count(status: status, duration: now.nanoseconds - startedAt.nanoseconds, firstByte: firstByteAt.map { $0.nanoseconds - startedAt.nanoseconds })
        if isAdmitted { client?.meter?.ended(tokens: usage?.total, at: now) }
        record(status: status, usage: usage, at: now)
        guard worker.logsExchanges else { return }
        worker.logger.debug("exchange", metadata: [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "client": "\(client?.name ?? "")", "status": "\(status)", "attempts": "\(machine.attempts)",
            "milliseconds": "\((now - startedAt).wholeNanoseconds / 1_000_000)",
        ])
    }

    // MARK: Time

    func setDeadline(_ moment: Moment) {
        worker.reactor.deadlines.set(deadline, to: min(moment, totalDeadline))
    }

    override func deadlinePassed() {
        let now = worker.reactor.now
        if now >= totalDeadline {
            worker.logger.info("the exchange took too long", metadata: ["service": "\(serviceSlug)", "request": "\(requestIDText)"])
            switch phase {
            case .relaying: breakRelay()
            case .receiving, .over: break
            case .awaitingAdmission, .waitingForKey, .pausing, .connecting, .awaitingHead, .judging, .opening:
                cancelUpstream()
                settle(.abandoned)
                perform(machine.timedOutAltogether())
            }
            return
        }
        switch phase {
        case .waitingForKey, .pausing: choose()
        case .awaitingHead: attemptFailed(.timedOut, reason: "first_byte_timeout")
        case .judging, .opening:
            if phase == .judging { judge() } else { openingEnded() }
            // No reading follows that would send what was held back.
            connection?.flush()
        case .relaying:
            if isPaused {
                setDeadline(now.advanced(byNanoseconds: worker.spans.streamIdle))
            } else {
                breakRelay()
            }
        case .receiving, .awaitingAdmission, .connecting, .over: break
        }
    }
}
