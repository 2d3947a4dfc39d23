// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// One answer of an upstream: its head, what came of its body before it was judged, and where the rest comes from.
private final class Answer {
    let head: MessageHead
    let keyID: KeyID
    var body: ByteBuffer?
    /// Nil once the body is whole, or the connection gone.
    var connection: UpstreamConnection?
    var decoder = BodyDecoder.none
    var isWhole = false
    var isBroken = false

    init(head: MessageHead, keyID: KeyID) {
        self.head = head
        self.keyID = keyID
    }
}

/// One proxied request: authenticates, waits for as much of the body as it needs, and carries it to the upstream with one key after the
/// other until an answer goes to the client. Confined to one reactor.
///
/// What is to be done is decided by ``ExchangeStateMachine`` and the pool; this class does it.
final class ProxyExchange: Exchange, DeadlineTarget, ConnectionWaiter, UpstreamConnectionUser {
    private enum Phase {
        /// Reading as much of the request as is needed before the first attempt.
        case receiving
        /// Every key rests, and the service lets requests wait.
        case waitingForKey
        /// Between two attempts.
        case pausing
        case connecting
        /// The request is being sent, or has been.
        case awaitingHead
        /// The head says that the key may be at fault: the beginning of the body is needed to tell.
        case judging
        /// The response is on its way to the client. No other attempt can be made.
        case relaying
        case over
    }

    /// How the response is delimited for the client.
    private enum Delimiting { case none, length, chunked, close }

    private let worker: Worker
    private let isLLM: Bool
    private let slug: Range<Int>
    private let rest: Range<Int>
    private let query: Range<Int>?
    private let startedAt: Moment
    private let generatedID: UInt64

    private var phase = Phase.receiving
    private var runtime: UpstreamRuntime?
    private var earlyError: ProxyError?
    private var isAuthenticated = false
    private var needsBodyCredential = false
    private var needsWholeBody = false
    private var clientName = ""
    private var removedQueryPairs: [Range<Int>] = []

    // Request body
    private var body: ByteBuffer?
    private var bodyReceived = 0
    private var strangersOctets = 0
    private var bodySent = 0
    private var bodyDropped = 0
    private var isBodyWhole = false
    private var facts = RequestFacts()
    private var hasFacts = false

    // Attempts
    private var machine = ExchangeStateMachine(attemptLimit: 1, replay: .refused)
    private var tried = TriedKeys()
    private var lastKeyID: KeyID?
    private var lease: KeyLease?
    private var attempt: ConnectAttempt?
    private var upstream: UpstreamConnection?
    private var toUpstream: ByteBuffer?
    private var sendsChunked = false
    private var sentLastChunk = false
    private var hasSentRequest = false
    private var isSendBroken = false
    private var isReusedConnection = false
    private var parser = HeadParser(.response)
    private var answerHead: MessageHead?
    private var current: Answer?
    private var last: Answer?
    private var waitUntil = Moment.distantFuture
    private lazy var deadline = Deadline(target: self)
    private var totalDeadline: Moment
    private var isStream = false
    private var isCountedStream = false

    // Response
    private var delimiting = Delimiting.none
    private var batch = ChunkBatch()
    private var isPaused = false
    private var firstByteAt: Moment?
    private var status = 0

    private static let judgedOctets = 65_536

    init(request: MessageHead, connection: ServerConnection, worker: Worker, isLLM: Bool, slug: Range<Int>, rest: Range<Int>, query: Range<Int>?) {
        self.worker = worker
        self.isLLM = isLLM
        self.slug = slug
        self.rest = rest
        self.query = query
        startedAt = worker.reactor.now
        generatedID = worker.nextRequestID()
        totalDeadline = worker.reactor.now.advanced(byNanoseconds: worker.spans.exchange)
        super.init(request: request, connection: connection)
        worker.exchangeBegan()
        examine()
    }

    // MARK: Authentication and routing

    private func examine() {
        switch CredentialScan(request: request, query: query, worker: worker).result {
        case .valid(let name, let pairs):
            clientName = name
            removedQueryPairs = pairs
            isAuthenticated = true
        case .none(let pairs):
            removedQueryPairs = pairs
            // Only an OpenAI-format body can still hold one.
            // Whether the slug's dialect knows such a member is not asked here: the answer's moment would tell whether there is such a slug.
            if isLLM, hasJSONBody, hasBody {
                needsBodyCredential = true
                needsWholeBody = true
                if let length = request.contentLength, length > worker.settings.bodyBytesMax { reject(ProxyExchange.unauthorised) }
                return
            }
            reject(ProxyExchange.unauthorised)
            return
        case .refused:
            reject(ProxyExchange.unauthorised)
            return
        }
        route()
    }

    private static let unauthorised = ProxyError(.invalidProxyKey, "The proxy key is missing or not valid. Present one of this proxy's keys where your SDK takes its API key.")

    private var hasBody: Bool { request.isChunked || (request.contentLength ?? 0) > 0 }

    private var hasJSONBody: Bool {
        guard let type = request.first(.contentType) else { return true }
        return ProxyExchange.isJSON(type)
    }

    private static func isJSON(_ type: ByteView) -> Bool {
        let end = type.firstIndex(of: 0x3B) ?? type.count
        let essence = trimmed(type[0..<end])
        if essence.equals(lowercase: "application/json") { return true }
        return essence.count > 5 && essence.dropFirst(essence.count - 5).equals(lowercase: "+json")
    }

    private func route() {
        guard worker.isCatalogueLoaded else {
            return reject(ProxyError(.storeUnavailable, "The catalogue has not been read yet: its store cannot be reached. Try again soon.", retryAfter: .seconds(1)))
        }
        let view = request.bytes.view
        guard let runtime = worker.runtime(forSlug: view[slug], isLLM: isLLM) else {
            return reject(ProxyError(.serviceNotFound, "There is no active service under this slug."))
        }
        self.runtime = runtime
        let configuration = runtime.upstream.record.configuration
        if let allowed = configuration.method, !request.methodView.equals(runtime.allowedMethod), !(allowed == "GET" && request.methodView.equals("HEAD")) {
            return reject(ProxyError(.methodNotAllowed, "This service takes \(allowed) only."))
        }
        let repeated = unsafe runtime.target.repeatedVersion(in: view[rest].raw)
        if unsafe PathJudge.leavesBase(view[(rest.lowerBound + repeated)..<rest.upperBound].raw) {
            return reject(ProxyError(.invalidPath, "The path leaves the service's base path."))
        }
        if let length = request.contentLength, length > worker.settings.bodyBytesMax {
            return reject(ProxyExchange.tooLarge(worker.settings.bodyBytesMax))
        }
        let adapter = runtime.upstream.adapter
        if isLLM, hasBody {
            // Scanned once, when it is whole, unless the path names the model and no credential can stand in the body.
            if hasJSONBody {
                if !adapter.readsCredentialFromBody { readFacts() }
                needsWholeBody = adapter.readsCredentialFromBody || facts.model == nil
            }
        }
        machine = ExchangeStateMachine(
            attemptLimit: configuration.maxAttempts ?? worker.settings.attemptLimit,
            replay: configuration.replay ?? (isLLM ? .failed : configuration.replayPolicy(forMethod: request.methodView.string)))
    }

    private static func tooLarge(_ limit: Int) -> ProxyError {
        ProxyError(.bodyTooLarge, "The request body is larger than \(limit) octets.")
    }

    /// Remembers the error; it goes out when the octets that have come are read, so that the connection can stay open where it may.
    private func reject(_ error: ProxyError) {
        if earlyError == nil { earlyError = error }
    }

    // MARK: Request body

    override func bodyArrived(_ bytes: ByteView) {
        guard earlyError == nil, phase != .over else { return }
        bodyReceived += bytes.count
        if bodyReceived > worker.settings.bodyBytesMax {
            let error = needsBodyCredential ? ProxyExchange.unauthorised : ProxyExchange.tooLarge(worker.settings.bodyBytesMax)
            if phase == .receiving { reject(error) } else { requestFailed(error) }
            return
        }
        if needsBodyCredential, !isAuthenticated {
            guard worker.holdForStranger(bytes.count) else { return reject(ProxyExchange.unauthorised) }
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
    private var unsentOctets: Int { (body?.count ?? 0) - (bodySent - bodyDropped) }

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

    private func readFacts() {
        guard let runtime else { return }
        let contentType = request.first(.contentType)?.string
        withSpans { path, octets in
            facts = runtime.upstream.adapter.facts(path: path, contentType: contentType, body: octets)
        }
        hasFacts = true
    }

    private func withSpans(_ read: (RawSpan, RawSpan) -> Void) {
        let path = request.bytes.view[rest]
        let octets = body?.view ?? ByteView.empty
        unsafe read(RawSpan(_unsafeBytes: path.raw), RawSpan(_unsafeBytes: octets.raw))
    }

    /// The request has all that is needed for the first attempt.
    private func begin() {
        guard phase == .receiving, connection != nil else { return }
        // Bounds the attempts; the client's upload has bounds of its own.
        totalDeadline = worker.reactor.now.advanced(byNanoseconds: worker.spans.exchange)
        if needsBodyCredential {
            guard authenticateFromBody() else { return answer(with: ProxyExchange.unauthorised) }
            route()
            if let earlyError { return answer(with: earlyError) }
        }
        guard runtime != nil else { return }
        if isLLM, !hasFacts || isBodyWhole { readFacts() }
        if !facts.bodyCredentials.isEmpty { removeBodyCredentials() }
        isStream = facts.wantsStream
        choose()
    }

    private func authenticateFromBody() -> Bool {
        let adapter = worker.runtime(forSlug: request.bytes.view[slug], isLLM: isLLM)?.upstream.adapter ?? worker.openAIAdapter
        withSpans { path, octets in
            facts = adapter.facts(path: path, contentType: "application/json", body: octets)
        }
        guard facts.bodyCredentials.count == 1, let credential = facts.bodyCredentials.first else { return false }
        var value = credential.value
        guard let client = value.withUTF8({ unsafe worker.client(for: ByteView(UnsafeRawBufferPointer($0))) }) else { return false }
        clientName = client
        isAuthenticated = true
        return true
    }

    private func removeBodyCredentials() {
        guard let body else { return }
        for credential in facts.bodyCredentials.reversed() {
            var value = credential.value
            let isOurs = value.withUTF8 { unsafe worker.client(for: ByteView(UnsafeRawBufferPointer($0))) != nil }
            if isOurs { body.remove(credential.removal) }
        }
        facts.bodyCredentials = []
    }

    // MARK: Choosing a key

    private func choose() {
        guard let runtime, phase != .over, connection != nil else { return }
        let now = worker.reactor.now
        switch runtime.upstream.pool.lease(model: facts.model, excluding: tried, at: now) {
        case .granted(let granted):
            tried.insert(granted.key.id)
            lastKeyID = granted.key.id
            lease = consume granted
            _ = machine.attemptBegan()
            runtime.metrics.attempts += 1
            connect()
        case .resting(let until):
            if machine.attempts > 0 { return perform(machine.ranOutOfKeys()) }
            let patience = runtime.upstream.record.configuration.maxWaitMilliseconds
            if waitUntil == .distantFuture { waitUntil = startedAt + .milliseconds(patience) }
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

    private func connect() {
        guard let runtime else { return }
        if let idle = runtime.origin.takeIdle() {
            isReusedConnection = true
            send(on: idle)
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
        guard phase == .connecting else {
            connection.close()
            return
        }
        send(on: connection)
    }

    func connectFailed(_ failure: ConnectFailure) {
        attempt = nil
        guard phase == .connecting else { return }
        worker.logger.warning("no connection to the upstream", metadata: [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "reason": "\(failure.reason)", "detail": "\(failure.detail)",
        ])
        // The fault lies with the name, the network or the certificate: the key was not shown to anybody.
        settle(.upstreamFailed(reason: failure.reason))
        perform(machine.endedWithoutAnswer(.notConnected, isReplayable: bodyDropped == 0, jitter: worker.jitter()))
    }

    // The body is held from its first octet, and small enough to be kept for another attempt.
    private var isReplayable: Bool { bodyDropped == 0 && bodyReceived <= worker.settings.replayBytesMax }

    // MARK: Sending

    private func send(on connection: UpstreamConnection) {
        upstream = connection
        connection.user = self
        phase = .awaitingHead
        parser = HeadParser(.response)
        bodySent = 0
        hasSentRequest = false
        isSendBroken = false
        sentLastChunk = false
        sendsChunked = !isBodyWhole && request.contentLength == nil && request.isChunked
        let head = worker.reactor.buffers.take()
        toUpstream = head
        composeRequest(into: head)
        setDeadline(worker.reactor.now.advanced(byNanoseconds: worker.spans.firstByte))
        pump()
        // A connection that was idle has its readiness from before; a fresh one is told by epoll.
        if phase == .awaitingHead, upstream === connection, connection.isReadable { worker.reactor.deferResume(of: connection) }
    }

    private func composeRequest(into out: ByteBuffer) {
        guard let runtime, let secret = lease?.key.secret else { return }
        let view = request.bytes.view
        out.append(request.methodView)
        out.append(0x20)
        if runtime.origin.usesAbsoluteForm {
            out.append("http://")
            out.append(text: runtime.target.authority)
        }
        let repeated = unsafe runtime.target.repeatedVersion(in: view[rest].raw)
        out.append(runtime.target.basePath)
        let remaining = view[(rest.lowerBound + repeated)..<rest.upperBound]
        if remaining.isEmpty, repeated == 0, runtime.target.basePath.isEmpty || runtime.target.endsWithSlash {
            out.append(0x2F)
        } else {
            out.append(remaining)
        }
        composeQuery(into: out, secret: secret)
        out.append(" HTTP/1.1\r\n")
        out.append(runtime.hostLine)
        for line in request.fields where forwards(line, runtime) {
            out.append(request.name(line))
            out.append(": ")
            out.append(request.value(line))
            out.append("\r\n")
        }
        for field in runtime.defaultFields where !hasField(field.name) {
            out.append(field.line)
        }
        out.append(runtime.extraLines)
        if runtime.placesKeyInHeader {
            out.append(runtime.keyFieldStart)
            unsafe secret.withUnsafeBytes { unsafe out.append(ByteView($0)) }
            out.append("\r\n")
        }
        if let authorization = runtime.origin.proxyAuthorization {
            out.append("Proxy-Authorization: ")
            out.append(text: authorization)
            out.append("\r\n")
        }
        if sendsChunked {
            out.append("Transfer-Encoding: chunked\r\n")
        } else if isBodyWhole {
            if request.isChunked || request.contentLength != nil || (body?.count ?? 0) > 0 {
                out.append("Content-Length: ")
                out.append(decimal: body?.count ?? 0)
                out.append("\r\n")
            }
        } else if let length = request.contentLength {
            out.append("Content-Length: ")
            out.append(decimal: length)
            out.append("\r\n")
        }
        out.append("\r\n")
    }

    private func composeQuery(into out: ByteBuffer, secret: Secret) {
        guard let runtime else { return }
        let view = request.bytes.view
        var hasAny = false
        if let query {
            let replaced = runtime.placesKeyInHeader ? [] : QueryPairs.ranges(named: runtime.keyName, in: view, query)
            if removedQueryPairs.isEmpty, replaced.isEmpty {
                out.append(0x3F)
                out.append(view[query])
                hasAny = true
            } else {
                var start = query.lowerBound
                while start <= query.upperBound {
                    let end = view[0..<query.upperBound].firstIndex(of: 0x26, from: start) ?? query.upperBound
                    let pair = start..<end
                    if !removedQueryPairs.contains(pair), !replaced.contains(pair) {
                        out.append(hasAny ? 0x26 : 0x3F)
                        out.append(view[pair])
                        hasAny = true
                    }
                    start = end + 1
                }
            }
        }
        if !runtime.placesKeyInHeader {
            out.append(hasAny ? 0x26 : 0x3F)
            out.append(runtime.keyQueryStart)
            unsafe secret.withUnsafeBytes { bytes in
                unsafe QueryPairs.appendEncoded(ByteView(bytes), to: out)
            }
        }
    }

    private func forwards(_ line: FieldLine, _ runtime: UpstreamRuntime) -> Bool {
        switch line.known {
        case .host, .connection, .contentLength, .transferEncoding, .expect, .cookie, .keepAlive, .proxyConnection, .te, .trailer, .upgrade, .via,
            .forwarded, .xForwarded, .proxyAuthenticate, .proxyAuthorization:
            return false
        case .removed: return false
        case .other, .setCookie, .authorization, .xProxyKey, .xAPIKey, .xGoogAPIKey, .apiKey, .contentType, .xRequestID, .anthropicVersion, .xShouldRetry,
            .xRotator, .retryAfter, .contentEncoding: break
        }
        let name = request.name(line)
        if runtime.placesKeyInHeader, namesAlike(name, runtime.keyName.view) { return false }
        for extra in runtime.extraNames where namesAlike(name, extra.view) { return false }
        if request.namesFieldsInConnection, request.isNamedByConnection(name) { return false }
        return true
    }

    private func hasField(_ name: ByteBuffer) -> Bool {
        for line in request.fields where request.name(line).equalsIgnoringCase(name.view) { return true }
        return false
    }

    /// Sends as much of the request as there is and the upstream takes.
    private func pump() {
        guard let upstream, let head = toUpstream, !hasSentRequest, !isSendBroken else { return }
        while upstream.isWritable {
            let held = body?.count ?? 0
            let available = held - (bodySent - bodyDropped)
            if sendsChunked {
                if available > 0, let body, head.count < ServerConnection.backlogLimit {
                    let run = body.view[(bodySent - bodyDropped)..<min(held, bodySent - bodyDropped + ServerConnection.backlogLimit)]
                    head.append(hexadecimal: run.count)
                    head.append("\r\n")
                    head.append(run)
                    head.append("\r\n")
                    bodySent += run.count
                } else if available == 0, isBodyWhole, !sentLastChunk {
                    head.append("0\r\n\r\n")
                    sentLastChunk = true
                }
                if head.isEmpty { break }
                guard let moved = transfer(upstream.send(head.view)) else { return }
                if moved == 0 { break }
                head.consume(moved)
            } else {
                let run = available > 0 ? body!.view[(bodySent - bodyDropped)..<held] : ByteView.empty
                if head.isEmpty, run.isEmpty { break }
                guard let moved = transfer(head.isEmpty ? upstream.send(run) : upstream.send(head.view, run)) else { return }
                if moved == 0 { break }
                let ofHead = min(moved, head.count)
                head.consume(ofHead)
                bodySent += moved - ofHead
            }
            if !isBodyWhole || bodyReceived > worker.settings.replayBytesMax {
                // A long upload moves: the first byte cannot be expected yet.
                if phase == .awaitingHead { setDeadline(worker.reactor.now.advanced(byNanoseconds: worker.spans.firstByte)) }
                dropSentBody()
            }
        }
        if head.isEmpty, isBodyWhole, bodySent - bodyDropped == (body?.count ?? 0), !sendsChunked || sentLastChunk {
            hasSentRequest = true
            toUpstream = nil
            head.eraseAndGive(to: worker.reactor.buffers)
        } else if let body, body.count - (bodySent - bodyDropped) < ServerConnection.backlogLimit {
            connection?.resumeBody()
        }
    }

    /// Nil when the connection broke.
    private func transfer(_ result: TransferResult) -> Int? {
        switch result {
        case .moved(let count): return count
        case .wouldBlock, .ended: return 0
        case .failed:
            // The upstream may have answered before it closed: that is read first.
            // Not from here: the client's octets may lie in the scratch memory that it would be read into.
            isSendBroken = true
            if let upstream {
                upstream.noteUnread()
                worker.reactor.deferResume(of: upstream)
            }
            return nil
        }
    }

    /// A body too large for another attempt is not kept beyond what is still to be sent.
    private func dropSentBody() {
        guard bodyReceived > worker.settings.replayBytesMax, let body else { return }
        let sent = bodySent - bodyDropped
        if sent > 0 {
            body.consume(sent)
            bodyDropped += sent
        }
    }

    func upstreamWritable(_ connection: UpstreamConnection) {
        guard connection === upstream else { return }
        pump()
    }

    // MARK: Receiving

    func upstreamReadable(_ connection: UpstreamConnection) {
        let reactor = worker.reactor
        while connection === upstream, connection.isReadable, !isPaused {
            switch unsafe connection.read(into: reactor.scratch, count: Reactor.scratchCapacity) {
            case .moved(let count): unsafe consume(ByteView(reactor.scratch, count: count), from: connection)
            case .wouldBlock: break
            case .ended:
                upstreamEnded(cleanly: true)
                return
            case .failed:
                upstreamEnded(cleanly: false)
                return
            }
            if phase == .relaying, let backlog = self.connection?.backlog, backlog > ServerConnection.backlogLimit {
                self.connection?.flush()
                if let backlog = self.connection?.backlog, backlog > ServerConnection.backlogLimit { isPaused = true }
            }
        }
        if phase == .relaying { self.connection?.flush() }
    }

    override func outputDrained() {
        guard phase == .relaying, isPaused else { return }
        isPaused = false
        if let upstream { upstreamReadable(upstream) }
    }

    private func consume(_ bytes: ByteView, from connection: UpstreamConnection) {
        var bytes = bytes
        if phase == .awaitingHead {
            guard let rest = consumeHead(bytes) else { return }
            bytes = rest
        }
        guard connection === upstream else { return }
        consumeBody(bytes)
        if !batch.isEmpty { flushBatch() }
    }

    /// Nil when the head isn't whole, or the attempt is over.
    private func consumeHead(_ bytes: ByteView) -> ByteView? {
        var bytes = bytes
        while true {
            let head = answerHead ?? worker.takeHead()
            answerHead = head
            let held = head.bytes.count
            do throws(HTTPFault) {
                let step: HeadParser.Step
                if held == 0 {
                    step = try parser.advance(over: bytes, head: head)
                } else {
                    head.bytes.append(bytes)
                    step = try parser.advance(over: head.bytes.view, head: head)
                }
                switch step {
                case .incomplete:
                    if held == 0 { head.bytes.append(bytes) }
                    return nil
                case .complete(let length):
                    if held == 0 { head.bytes.append(bytes[0..<length]) } else { head.bytes.removeLast(head.bytes.count - length) }
                    bytes = bytes.dropFirst(length - held)
                    answerHead = nil
                    parser = HeadParser(.response)
                    if head.status == 101 { throw .malformed("101 that nobody asked for") }
                    if head.status < 200 {
                        // Interim responses are ours to swallow; the client got its own 100.
                        worker.give(head)
                        continue
                    }
                    headArrived(head, hasSurplus: !bytes.isEmpty)
                    return bytes
                }
            } catch {
                worker.logger.info("the upstream's answer is not valid HTTP", metadata: ["service": "\(serviceSlug)", "request": "\(requestIDText)", "fault": "\(error)"])
                attemptFailed(.invalid, reason: "invalid_response")
                return nil
            }
        }
    }

    private func headArrived(_ head: MessageHead, hasSurplus: Bool) {
        guard let upstream, let keyID = lease?.key.id else { return }
        if head.status == 407, upstream.origin.usesAbsoluteForm {
            // The outbound proxy's own words: the upstream has not seen the request, nor the client anything to do with it.
            worker.give(head)
            attemptFailed(.notConnected, reason: "outbound_proxy_refused")
            return
        }
        let answer = Answer(head: head, keyID: keyID)
        answer.connection = upstream
        let isBodiless = request.methodView.equals("HEAD") || head.status == 204 || head.status == 304
        if isBodiless {
            answer.decoder = .none
        } else if head.isChunked {
            answer.decoder = .chunked
        } else if let length = head.contentLength {
            answer.decoder = .length(length)
        } else {
            answer.decoder = .untilClose
        }
        current = answer
        if answer.decoder.isFinished {
            answer.isWhole = true
            releaseUpstream(of: answer, isReusable: !hasSurplus)
        }
        if head.status < 400 || head.status == 501 || head.status == 505 {
            commit(answer, isFinal: false)
            return
        }
        phase = .judging
        answer.body = worker.reactor.buffers.take()
        setDeadline(worker.reactor.now + .seconds(2))
        if answer.isWhole { judge() }
    }

    private func consumeBody(_ bytes: ByteView) {
        guard let answer = current else { return }
        var bytes = bytes
        do throws(HTTPFault) {
            while true {
                switch try answer.decoder.step(bytes) {
                case .data(let skip, let count):
                    let run = bytes[skip..<(skip + count)]
                    bytes = bytes.dropFirst(skip + count)
                    if phase == .relaying {
                        relay(run)
                    } else {
                        answer.body?.append(run)
                    }
                    // Known at once where the length tells; the next octets belong to nobody.
                    if answer.decoder.isFinished {
                        answerWhole(surplus: bytes)
                        return
                    }
                case .needMore:
                    if phase == .judging, let held = answer.body, held.count >= ProxyExchange.judgedOctets { judge() }
                    return
                case .finished(let skip):
                    answerWhole(surplus: bytes.dropFirst(skip))
                    return
                }
                if phase == .over { return }
                if phase == .judging, bytes.isEmpty, let held = answer.body, held.count >= ProxyExchange.judgedOctets {
                    judge()
                    return
                }
            }
        } catch {
            upstreamEnded(cleanly: false)
        }
    }

    /// The body of the current answer is whole.
    private func answerWhole(surplus: ByteView) {
        guard let answer = current else { return }
        answer.isWhole = true
        releaseUpstream(of: answer, isReusable: surplus.isEmpty)
        if phase == .judging {
            judge()
        } else if phase == .relaying {
            finishRelay()
        }
    }

    /// Connections to an HTTP proxy that reads our requests are used once: some (tinyproxy) promise to stay open and close all the same.
    private func releaseUpstream(of answer: Answer, isReusable: Bool) {
        guard let connection = answer.connection else { return }
        answer.connection = nil
        if upstream === connection { upstream = nil }
        let keepsOpen = answer.head.minorVersion == 1 ? !answer.head.connectionClose : answer.head.connectionKeepAlive && !answer.head.connectionClose
        if isReusable, keepsOpen, !connection.origin.usesAbsoluteForm, hasSentRequest, !isSendBroken, !answer.decoder.endsWithConnection, !connection.isReadable || connection.origin.isEncrypted {
            connection.release()
        } else {
            connection.close()
        }
        returnRequestBuffer()
    }

    private func returnRequestBuffer() {
        if let toUpstream {
            self.toUpstream = nil
            toUpstream.eraseAndGive(to: worker.reactor.buffers)
        }
    }

    private func upstreamEnded(cleanly: Bool) {
        switch phase {
        case .awaitingHead:
            attemptFailed(.cut, reason: isReusedConnection ? "connection_closed" : "cut_before_head")
        case .judging, .relaying:
            guard let answer = current else { return }
            if cleanly, answer.decoder.endsWithConnection {
                answer.isWhole = true
                releaseUpstream(of: answer, isReusable: false)
                if phase == .judging { judge() } else { finishRelay() }
                return
            }
            answer.isBroken = true
            releaseUpstream(of: answer, isReusable: false)
            if phase == .judging { judge() } else { breakRelay() }
        case .receiving, .waitingForKey, .pausing, .connecting, .over: break
        }
    }

    private func attemptFailed(_ how: NoAnswer, reason: String) {
        if let head = answerHead {
            worker.give(head)
            answerHead = nil
        }
        cancelUpstream()
        worker.logger.info("attempt ended without an answer", metadata: [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "key": "\(lease?.key.id.rawValue ?? 0)", "reason": "\(reason)",
        ])
        settle(.upstreamFailed(reason: reason))
        perform(machine.endedWithoutAnswer(how, isReplayable: isReplayable, jitter: worker.jitter()))
    }

    // MARK: Deciding

    private func judge() {
        guard let runtime, let answer = current, phase == .judging else { return }
        let now = worker.reactor.now
        let told = UpstreamAnswer(status: answer.head.status, fields: answer.head.headerFields, bodyPrefix: answer.body.map { $0.view[0..<min($0.count, ProxyExchange.judgedOctets)].array } ?? [])
        let outcome = runtime.upstream.adapter.outcome(of: told, at: now)
        if outcome == .success {
            current = nil
            commit(answer, isFinal: false)
            return
        }
        settle(outcome)
        noteStanding(of: answer.keyID, after: outcome, status: answer.head.status)
        discardLast()
        last = answer
        current = nil
        // The rest of its body stays in the socket until it is known whether the client is to have it.
        if let upstream {
            upstream.park()
            self.upstream = nil
            returnRequestBuffer()
        }
        perform(machine.answered(outcome, status: answer.head.status, isReplayable: isReplayable, jitter: worker.jitter()))
    }

    /// Tells the log what an attempt has done to its key.
    private func noteStanding(of key: KeyID, after outcome: AttemptOutcome, status: Int) {
        guard worker.logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "key": "\(key)", "status": "\(status)", "outcome": "\(outcome.word)",
        ]
        if let view = (runtime?.upstream.pool as? RotatingKeyPool)?.view(of: key, at: worker.reactor.now) {
            metadata["state"] = "\(view.state.rawValue)"
            if let reason = view.stateReason { metadata["reason"] = "\(reason)" }
            if let rest = view.coolingModels.first(where: { $0.model == facts.model }) { metadata["cooling_model"] = "\(rest.model)" }
        }
        worker.logger.info("the upstream refused a key", metadata: metadata)
    }

    private func perform(_ action: ExchangeStateMachine.Action) {
        switch action {
        case .passOn:
            guard let answer = current ?? last else { return }
            commit(answer, isFinal: false)
        case .passOnLast(let told):
            let isFinal = told || !hasUntriedKey
            guard let answer = last else { return answer(with: ProxyError(.upstreamUnreachable, "No answer came from the upstream.")) }
            last = nil
            commit(answer, isFinal: isFinal)
        case .tryNext(let pause):
            phase = .pausing
            if pause <= .zero { choose() } else { setDeadline(worker.reactor.now + pause) }
        case .fail(let code, let told):
            let isFinal = told || !hasUntriedKey
            let attempts = machine.attempts
            let message = switch code {
            case .upstreamTimeout: "The upstream gave no answer in time (\(attempts) attempts)."
            case .upstreamInvalidResponse: "What the upstream answered is not valid HTTP, or was cut before its head was whole (\(attempts) attempts)."
            default: "The upstream could not be reached (\(attempts) attempts)."
            }
            answer(with: ProxyError(code, message), isFinal: isFinal)
        }
    }

    /// Whether a key could have been spent on another attempt: where none could, it is not the replay rule alone that ends them.
    private var hasUntriedKey: Bool {
        guard let runtime else { return false }
        let now = worker.reactor.now
        return runtime.upstream.pool.hasKey(model: facts.model, excluding: tried, at: now)
    }

    private func discardLast() {
        guard let answer = last else { return }
        last = nil
        discard(answer)
    }

    private func discard(_ answer: Answer) {
        answer.connection?.close()
        answer.connection = nil
        if let body = answer.body { worker.reactor.buffers.give(body) }
        answer.body = nil
        worker.give(answer.head)
    }

    private func settle(_ outcome: AttemptOutcome) {
        guard let lease = self.lease.take() else { return }
        lease.settle(outcome, model: facts.model, at: worker.reactor.now)
    }

    // MARK: The response

    /// The head of `answer` goes to the client: from here on there is no other attempt.
    private func commit(_ answer: Answer, isFinal: Bool) {
        discardLast()
        guard let connection else { return }
        current = answer
        phase = .relaying
        status = answer.head.status
        firstByteAt = worker.reactor.now
        // A stream may run for long: what its beginning says of the key must not wait for its end.
        lease?.noteAnswer(model: facts.model, at: worker.reactor.now)
        if isStreamType(answer.head) { isStream = true }
        if isStream {
            worker.openStreams += 1
            isCountedStream = true
            totalDeadline = .distantFuture
        }
        composeResponse(answer, isFinal: isFinal, connection)
        if hasSentRequest, let body {
            worker.reactor.buffers.give(body)
            self.body = nil
        }
        if let held = answer.body {
            relayHeld(held.view)
            worker.reactor.buffers.give(held)
            answer.body = nil
        }
        if answer.isWhole {
            finishRelay()
            return
        }
        guard let source = answer.connection else {
            breakRelay()
            return
        }
        setDeadline(min(worker.reactor.now.advanced(byNanoseconds: worker.spans.streamIdle), totalDeadline))
        if upstream !== source {
            // An answer that was put aside: its connection was not listened to meanwhile.
            upstream = source
            source.unpark(for: self)
            worker.reactor.deferResume(of: source)
        }
    }

    private func isStreamType(_ head: MessageHead) -> Bool {
        guard let type = head.first(.contentType) else { return false }
        let essence = trimmed(type[0..<(type.firstIndex(of: 0x3B) ?? type.count)])
        return essence.equals(lowercase: "text/event-stream") || essence.equals(lowercase: "application/x-ndjson") || essence.equals(lowercase: "application/vnd.amazon.eventstream")
    }

    private func composeResponse(_ answer: Answer, isFinal: Bool, _ connection: ServerConnection) {
        let head = answer.head
        let out = connection.output
        out.append("HTTP/1.1 ")
        out.append(decimal: head.status)
        out.append(0x20)
        out.append(head.bytes.view[head.reason])
        out.append("\r\n")
        var hasRetryAfter = false
        for line in head.fields {
            switch line.known {
            case .connection, .contentLength, .transferEncoding, .keepAlive, .proxyConnection, .te, .trailer, .upgrade, .proxyAuthenticate, .proxyAuthorization, .xRotator: continue
            case .setCookie: if isLLM { continue }
            case .xShouldRetry: if isFinal { continue }
            case .retryAfter: hasRetryAfter = true
            case .other, .host, .expect, .cookie, .via, .forwarded, .xForwarded, .authorization, .xProxyKey, .xAPIKey, .xGoogAPIKey, .apiKey, .contentType, .xRequestID,
                .anthropicVersion, .contentEncoding, .removed: break
            }
            let name = head.name(line)
            if head.namesFieldsInConnection, head.isNamedByConnection(name) { continue }
            out.append(name)
            out.append(": ")
            out.append(head.value(line))
            out.append("\r\n")
        }
        if isFinal { out.append("x-should-retry: false\r\n") }
        if isFinal, !hasRetryAfter, status == 429 || status == 503 { appendRetryAfter(secondsUntilKey, to: out) }
        let isBodiless = request.methodView.equals("HEAD") || status == 204 || status == 304
        if isBodiless {
            delimiting = .none
            if let length = head.contentLength, status != 204 {
                out.append("Content-Length: ")
                out.append(decimal: length)
                out.append("\r\n")
            }
        } else if let length = head.contentLength, !head.isChunked {
            delimiting = .length
            out.append("Content-Length: ")
            out.append(decimal: length)
            out.append("\r\n")
        } else if request.minorVersion == 0 {
            delimiting = .close
            responseEndsWithConnection = true
        } else {
            delimiting = .chunked
            out.append("Transfer-Encoding: chunked\r\n")
        }
        appendOwnFields(to: out, keyID: answer.keyID, closes: connection.mustClose || delimiting == .close)
        out.append("\r\n")
    }

    private var secondsUntilKey: Int {
        guard let runtime else { return 1 }
        let now = worker.reactor.now
        guard let moment = runtime.upstream.pool.nextAvailability(model: facts.model, at: now) else { return 60 }
        return max(1, Int((max(0, (moment - now).wholeNanoseconds) + 999_999_999) / 1_000_000_000))
    }

    private func appendRetryAfter(_ seconds: Int, to out: ByteBuffer) {
        out.append("Retry-After: ")
        out.append(decimal: seconds)
        out.append("\r\n")
    }

    private func appendOwnFields(to out: ByteBuffer, keyID: KeyID?, closes: Bool) {
        out.append("x-rotator-request-id: ")
        if let own = ProxyExchange.saneID(request) { out.append(own) } else { out.append(requestIDHex: generatedID) }
        out.append("\r\nx-rotator-attempts: ")
        out.append(decimal: machine.attempts)
        if let keyID {
            out.append("\r\nx-rotator-key-id: ")
            out.append(decimal: Int(keyID.rawValue))
        }
        out.append("\r\n")
        if closes {
            connection?.closeAfterResponse()
            out.append("Connection: close\r\n")
        } else if request.minorVersion == 0 {
            out.append("Connection: keep-alive\r\n")
        }
    }

    /// The client's own request id where it is 1 to 128 letters, digits and `-_.:`.
    static func saneID(_ request: MessageHead) -> ByteView? {
        guard let id = request.first(.xRequestID), id.count >= 1, id.count <= 128 else { return nil }
        for index in 0..<id.count where !isUnreserved(id[index]) && id[index] != 0x3A { return nil }
        return id
    }

    private var requestIDText: String { ProxyExchange.saneID(request)?.string ?? hexText(generatedID) }
    private var serviceSlug: String { runtime?.upstream.record.configuration.slug ?? "" }

    private func relay(_ bytes: ByteView) {
        guard let connection, !bytes.isEmpty else { return }
        setDeadline(min(worker.reactor.now.advanced(byNanoseconds: worker.spans.streamIdle), totalDeadline))
        switch delimiting {
        case .none: break
        case .length, .close: connection.write(bytes)
        case .chunked: batch.add(bytes)
        }
    }

    /// Sends what one read brought as one chunk.
    @inline(__always) private func flushBatch(isLast: Bool = false) {
        guard !batch.isEmpty else {
            if isLast { connection?.output.append("0\r\n\r\n") }
            return
        }
        let framed = batch.take(isLast: isLast)
        connection?.write(framed, isWhole: true)
    }

    /// Sends what was held back to be judged: it lies in a buffer of its own.
    private func relayHeld(_ bytes: ByteView) {
        guard let connection, !bytes.isEmpty else { return }
        if delimiting == .chunked {
            let out = connection.output
            out.append(hexadecimal: bytes.count)
            out.append("\r\n")
            out.append(bytes)
            out.append("\r\n")
        } else if delimiting != .none {
            connection.output.append(bytes)
        }
    }

    private func finishRelay() {
        guard let connection else { return }
        if delimiting == .chunked { flushBatch(isLast: true) }
        settle(.success)
        // The exchange's own use of the head ends before the connection gives it back.
        over(status: status)
        connection.finishResponse()
    }

    /// The upstream broke off: so does the client's connection.
    private func breakRelay() {
        flushBatch()
        settle(.success)
        cancelUpstream()
        worker.logger.info("the upstream broke off in the body", metadata: ["service": "\(serviceSlug)", "request": "\(requestIDText)"])
        let connection = self.connection
        over(status: status)
        connection?.breakOff()
    }

    /// One of our own errors ends the exchange.
    private func answer(with error: ProxyError, isFinal: Bool = false) {
        guard let connection, phase != .over else { return }
        discardLast()
        status = error.code.status
        // A wrong proxy key must look the same whether the slug exists or not.
        let adapter = error.code == .invalidProxyKey ? nil : runtime?.upstream.adapter
        let dialect = adapter ?? worker.adapter(forUnknownService: request, path: rest, isLLM: isLLM)
        let body = dialect.body(for: error)
        let out = connection.output
        LocalExchange.appendStatusLine(error.code.status, to: out)
        out.append("Content-Type: ")
        out.append(text: body.contentType)
        out.append("\r\nContent-Length: ")
        out.append(decimal: body.octets.count)
        out.append("\r\n")
        if isFinal { out.append("x-should-retry: false\r\n") }
        if let retryAfter = error.retryAfter {
            appendRetryAfter(max(1, Int((retryAfter.wholeNanoseconds + 999_999_999) / 1_000_000_000)), to: out)
        }
        if error.code == .methodNotAllowed, let allowed = runtime?.upstream.record.configuration.method {
            out.append("Allow: ")
            out.append(text: allowed == "GET" ? "GET, HEAD" : allowed)
            out.append("\r\n")
        }
        if error.code == .invalidProxyKey { out.append("WWW-Authenticate: Bearer\r\n") }
        if firstByteAt == nil { firstByteAt = worker.reactor.now }
        appendOwnFields(to: out, keyID: lastKeyID, closes: connection.mustClose)
        out.append("\r\n")
        if !request.methodView.equals("HEAD") { out.append(body.octets) }
        over(status: status)
        connection.finishResponse()
    }

    // MARK: Ends

    override func clientHalfClosed() {
        // Contract §2: a FIN after the whole request is a client that has gone.
        connection?.close()
    }

    override func clientGone() {
        guard phase != .over else { return }
        let wasRelaying = phase == .relaying
        cancelUpstream()
        settle(wasRelaying ? .success : .abandoned)
        over(status: wasRelaying ? status : 499)
        worker.give(request)
    }

    private func cancelUpstream() {
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
    private func over(status: Int) {
        guard phase != .over else { return }
        phase = .over
        worker.reactor.deadlines.remove(deadline)
        if let head = answerHead { worker.give(head) }
        answerHead = nil
        if let answer = current { discard(answer) }
        current = nil
        discardLast()
        if let body { worker.reactor.buffers.give(body) }
        body = nil
        returnRequestBuffer()
        if isCountedStream { worker.openStreams -= 1 }
        worker.releaseForStranger(strangersOctets)
        strangersOctets = 0
        worker.exchangeEnded()
        let now = worker.reactor.now
        runtime?.metrics.count(status: status, duration: now.nanoseconds - startedAt.nanoseconds, firstByte: firstByteAt.map { $0.nanoseconds - startedAt.nanoseconds })
        worker.logger.debug("exchange", metadata: [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "client": "\(clientName)", "status": "\(status)", "attempts": "\(machine.attempts)",
            "milliseconds": "\((now - startedAt).wholeNanoseconds / 1_000_000)",
        ])
    }

    // MARK: Time

    private func setDeadline(_ moment: Moment) {
        worker.reactor.deadlines.set(deadline, to: min(moment, totalDeadline))
    }

    func deadlinePassed(_ deadline: Deadline) {
        let now = worker.reactor.now
        if now >= totalDeadline {
            worker.logger.info("the exchange took too long", metadata: ["service": "\(serviceSlug)", "request": "\(requestIDText)"])
            switch phase {
            case .relaying: breakRelay()
            case .receiving, .over: break
            case .waitingForKey, .pausing, .connecting, .awaitingHead, .judging:
                cancelUpstream()
                settle(.abandoned)
                perform(machine.timedOutAltogether())
            }
            return
        }
        switch phase {
        case .waitingForKey, .pausing: choose()
        case .awaitingHead: attemptFailed(.timedOut, reason: "first_byte_timeout")
        case .judging: judge()
        case .relaying:
            if isPaused {
                setDeadline(now.advanced(byNanoseconds: worker.spans.streamIdle))
            } else {
                breakRelay()
            }
        case .receiving, .connecting, .over: break
        }
    }
}

extension AttemptOutcome {
    /// A stable word for logs.
    var word: String {
        switch self {
        case .success: "success"
        case .rateLimited: "rate_limited"
        case .exhausted: "exhausted"
        case .keyRejected: "key_rejected"
        case .forbidden: "forbidden"
        case .upstreamFailed: "upstream_failed"
        case .abandoned: "abandoned"
        }
    }
}

extension ByteBuffer {
    /// Sixteen hexadecimal digits.
    func append(requestIDHex id: UInt64) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: (id >> UInt64(shift)) & 15)
            append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    /// For buffers that carried a credential.
    func eraseAndGive(to pool: BufferPool) {
        erase()
        pool.give(self)
    }
}

/// Sixteen hexadecimal digits.
func hexText(_ id: UInt64) -> String {
    let text = String(id, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
}
