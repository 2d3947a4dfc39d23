// SPDX-License-Identifier: MIT

internal import Glibc
internal import RotatorCore

/// One client connection: reads requests one after the other, and carries their responses. Confined to one reactor.
final class ServerConnection: Pollable, DeadlineTarget {
    private enum Stage {
        /// Between requests.
        case idle
        /// Some octets of a head have come.
        case head
        /// The head is whole, the body is not.
        case body
        /// The request is whole; its response is under way.
        case responding
        /// The response is whole and the connection is to be closed, but the client may still be sending: what it sends is thrown away, so
        /// that no reset destroys the response before it is read (RFC 9112 §9.6).
        case lingering
    }

    let worker: Worker
    private let fd: Int32
    private var stage = Stage.idle
    private var input: ByteBuffer?
    private var pending: ByteBuffer?
    private var head: MessageHead?
    private var parser = HeadParser(.request)
    private var decoder = BodyDecoder.none
    private var exchange: Exchange?
    private var isReadable = false
    private var isWritable = true
    private var hasPeerClosed = false
    private(set) var isClosed = false
    private var isBodyPaused = false
    private var sentContinue = false
    private var closesAfterResponse = false
    private var isProcessing = false
    private var requestCount = 0
    private var lingeredOctets = 0
    private let deadline = Deadline()
    /// The exchange's own, kept here so that a request costs no new one and no way through the queue.
    let exchangeDeadline = Deadline()
    /// More than this waiting for the client holds the upstream back.
    static let backlogLimit = 65_536

    init(worker: Worker, fd: Int32) {
        self.worker = worker
        self.fd = fd
        super.init()
        deadline.target = self
        exchangeDeadline.target = self
    }

    /// Begins to serve. Called once, after registration.
    func start() {
        worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.head))
    }

    /// The client's address without its port.
    var peerAddress: String { SocketAddress.peer(of: fd) }

    // MARK: For exchanges

    /// Where response octets are appended; ``flush()`` sends them.
    var output: ByteBuffer {
        if let pending { return pending }
        let buffer = worker.reactor.buffers.take()
        pending = buffer
        return buffer
    }

    /// How many octets wait for the client.
    var backlog: Int { pending?.count ?? 0 }

    /// Whether the response must say `Connection: close`.
    var mustClose: Bool { closesAfterResponse || stage == .body || worker.isDraining }

    /// The response's end is to be the connection's end.
    func closeAfterResponse() { closesAfterResponse = true }

    /// HTTP/1.0 clients understand neither chunks nor a connection that stays without being asked.
    var isHTTP10: Bool { exchange?.request.minorVersion == 0 }

    /// Whether the request is whole.
    var isRequestWhole: Bool { stage != .body }

    /// The exchange is going to read the body: the client that waits for `100 Continue` is told (RFC 9110 §10.1.1).
    func wantBody() {
        guard stage == .body, !sentContinue, let exchange, exchange.request.expectsContinue, exchange.request.minorVersion == 1 else { return }
        sentContinue = true
        output.append("HTTP/1.1 100 Continue\r\n\r\n")
        flush()
    }

    /// Leaves the rest of the body in the socket until ``resumeBody()``.
    func pauseBody() { isBodyPaused = true }

    func resumeBody() {
        guard isBodyPaused else { return }
        isBodyPaused = false
        worker.reactor.deferResume(of: self)
    }

    /// Sends a run of the body, directly where nothing is waiting before it; `isWhole` where no other run follows soon.
    @inline(__always) func write(_ bytes: ByteView, isWhole: Bool = false) {
        guard bytes.count > 2048 || (isWhole && backlog == 0), isWritable, !isClosed else {
            output.append(bytes)
            return
        }
        // Head and body, or what waits and what is new, leave in one call.
        let waiting = backlog > 0 ? pending : nil
        let result = waiting.map { Syscall.send(fd, $0.view, bytes) } ?? Syscall.send(fd, bytes)
        var moved = 0
        switch result {
        case .moved(let count):
            moved = count
            noteProgress()
        case .wouldBlock, .ended: break
        case .failed:
            // Told to the exchange after the present event, not from within its own call.
            hasPeerClosed = true
            isReadable = true
            worker.reactor.deferResume(of: self)
        }
        let ofWaiting = min(moved, waiting?.count ?? 0)
        waiting?.consume(ofWaiting)
        let rest = bytes.dropFirst(moved - ofWaiting)
        if !rest.isEmpty {
            isWritable = false
            output.append(rest)
        }
    }

    private func noteProgress() {
        if stage == .responding { worker.reactor.deadlines.clear(deadline) }
    }

    /// Sends what waits, as far as the client takes it.
    func flush() {
        guard !isClosed, let pending else { return }
        while isWritable, !pending.isEmpty {
            switch Syscall.send(fd, pending.view) {
            case .moved(let moved):
                pending.consume(moved)
                noteProgress()
            case .wouldBlock, .ended: isWritable = false
            case .failed:
                close()
                return
            }
        }
        if pending.isEmpty {
            self.pending = nil
            worker.reactor.buffers.give(pending)
        } else if stage == .responding || stage == .lingering {
            // A client that takes nothing for so long has gone.
            worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.streamIdle))
        }
    }

    /// The response is whole (its last octets may still wait in ``output``). Ends the exchange's use of the connection.
    func finishResponse() {
        guard let exchange else { return }
        let closes = mustClose
        exchange.unlink()
        self.exchange = nil
        worker.give(exchange.request)
        requestCount += 1
        flush()
        guard !isClosed else { return }
        if closes {
            beginLingering()
        } else {
            stage = .idle
            worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.keepAlive))
            if input != nil || isReadable { worker.reactor.deferResume(of: self) }
        }
    }

    /// The response cannot be finished: the client must see that something is missing.
    func breakOff() {
        guard !isClosed else { return }
        let asReset = isHTTP10 || exchange?.responseEndsWithConnection == true
        if !asReset { flush() }
        if asReset || backlog > 0 { Syscall.resetOnClose(fd) }
        let cut = exchange
        exchange = nil
        cut?.unlink()
        // An exchange that broke off by itself is over already; one that is cut by us ends here.
        cut?.clientGone()
        close()
    }

    // MARK: Events

    override func ready(_ mask: UInt32) {
        if mask & (Readiness.peerClosed | Readiness.broken) != 0 {
            hasPeerClosed = true
            isReadable = true
        }
        if mask & Readiness.input != 0 { isReadable = true }
        if mask & Readiness.broken != 0, stage != .lingering {
            // Reset, or both directions shut: nobody reads an answer any more.
            close()
            return
        }
        if mask & Readiness.output != 0 {
            isWritable = true
            if pending != nil {
                flush()
                if isClosed { return }
                if stage == .lingering, pending == nil { shutDownSending() }
                if backlog < ServerConnection.backlogLimit / 2 { exchange?.outputDrained() }
            }
        }
        readAvailable()
    }

    override func resume() {
        guard !isClosed else { return }
        if let input, !input.isEmpty, stage == .idle || stage == .head || stage == .body { processInput() }
        readAvailable()
    }

    func deadlinePassed(_ deadline: Deadline) {
        if deadline === exchangeDeadline {
            exchange?.deadlinePassed()
            return
        }
        switch stage {
        case .idle: close()
        case .head:
            refuse(ProxyError(.requestTimeout, "The request head was not whole after \(worker.settings.headTimeout)."))
        case .body:
            if isBodyPaused {
                worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.bodyIdle))
            } else {
                closesAfterResponse = true
                exchange?.requestFailed(ProxyError(.requestTimeout, "No octet of the request body came for \(worker.settings.bodyIdleTimeout)."))
            }
        case .responding:
            if backlog > 0 { closeVisibly() }
        case .lingering: closeVisibly()
        }
    }

    /// Closes; where a part of the response was not taken, as a reset, lest it look whole.
    private func closeVisibly() {
        if backlog > 0 { Syscall.resetOnClose(fd) }
        close()
    }

    private func readAvailable() {
        let reactor = worker.reactor
        while isReadable, !isClosed {
            switch stage {
            case .idle, .head: break
            case .body:
                if isBodyPaused {
                    // A client that closes before its request is whole has gone; what it sent before that stays unread.
                    if hasPeerClosed { close() }
                    return
                }
            case .responding:
                // Nothing is read while a response is under way; a close is told by epoll.
                if hasPeerClosed { exchange?.clientHalfClosed() }
                return
            case .lingering: break
            }
            switch unsafe Syscall.read(fd, into: reactor.scratch, count: Reactor.scratchCapacity) {
            case .moved(let count):
                if count < Reactor.scratchCapacity, !hasPeerClosed { isReadable = false }
                unsafe feed(ByteView(reactor.scratch, count: count))
            case .wouldBlock: isReadable = false
            case .ended:
                if stage == .lingering, backlog > 0 {
                    // The client will send no more, but may still be reading.
                    isReadable = false
                    return
                }
                close()
                return
            case .failed:
                close()
                return
            }
        }
    }

    private func feed(_ bytes: ByteView) {
        if stage == .lingering {
            lingeredOctets += bytes.count
            if lingeredOctets > 64 << 20 { close() }
            return
        }
        if let input, !input.isEmpty {
            input.append(bytes)
            processInput()
            return
        }
        let consumed = process(bytes)
        if consumed < bytes.count, !isClosed, stage != .lingering { spill.append(bytes.dropFirst(consumed)) }
        exchange?.inputPaused()
    }

    private var spill: ByteBuffer {
        if let input { return input }
        let buffer = worker.reactor.buffers.take()
        input = buffer
        return buffer
    }

    private func processInput() {
        guard let input, !isProcessing else { return }
        isProcessing = true
        let consumed = process(input.view)
        isProcessing = false
        if isClosed || stage == .lingering {
            self.input = nil
            return
        }
        input.consume(consumed)
        if input.isEmpty {
            worker.reactor.buffers.give(input)
            self.input = nil
        }
        exchange?.inputPaused()
    }

    /// Takes requests apart, as far as the octets reach and no response is under way. Returns how many octets are done with.
    private func process(_ bytes: ByteView) -> Int {
        var index = 0
        do throws(HTTPFault) {
            while index < bytes.count {
                switch stage {
                case .idle, .head: 
                    guard let taken = try processHead(bytes.dropFirst(index)) else { return bytes.count }
                    index += taken
                case .body:
                    if isBodyPaused { return index }
                    guard let taken = try processBody(bytes.dropFirst(index)) else { return bytes.count }
                    index += taken
                case .responding, .lingering: return index
                }
                if isClosed { return bytes.count }
            }
        } catch {
            refuse(ServerConnection.error(for: error))
            return bytes.count
        }
        return index
    }

    /// Nil when all octets were taken and the head isn't whole.
    private func processHead(_ bytes: ByteView) throws(HTTPFault) -> Int? {
        if stage == .idle, requestCount > 0, bytes[0] == 0x0D {
            // A stray empty line after a request (RFC 9112 §2.2) begins no head.
            if bytes.count >= 2, bytes[1] == 0x0A { return 2 }
        }
        let head = self.head ?? worker.takeHead()
        if stage == .idle {
            stage = .head
            parser = HeadParser(.request)
            worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.head))
        }
        // Kept where it is not whole yet, or cannot be: mostly it is.
        let taken: Int?
        do throws(HTTPFault) {
            taken = try parser.take(bytes, into: head)
        } catch {
            self.head = head
            throw error
        }
        guard let taken else {
            self.head = head
            return nil
        }
        if self.head != nil { self.head = nil }
        begin(head)
        return taken
    }

    private func begin(_ head: MessageHead) {
        if head.isChunked {
            decoder = .chunked
        } else if let length = head.contentLength, length > 0 {
            decoder = .length(length)
        } else {
            decoder = .none
        }
        sentContinue = false
        isBodyPaused = false
        closesAfterResponse = head.minorVersion == 0 ? !head.connectionKeepAlive || head.connectionClose : head.connectionClose
        let isWhole = decoder.isFinished
        stage = isWhole ? .responding : .body
        if isWhole {
            worker.reactor.deadlines.clear(deadline)
        } else {
            worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.bodyIdle))
        }
        let exchange = worker.exchange(for: head, on: self)
        self.exchange = exchange
        if isWhole { exchange.bodyEnded() }
    }

    private func processBody(_ bytes: ByteView) throws(HTTPFault) -> Int? {
        switch try decoder.step(bytes) {
        case .data(let skip, let count):
            worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: worker.spans.bodyIdle))
            exchange?.bodyArrived(bytes[skip..<(skip + count)])
            if !isClosed, stage == .body, decoder.isFinished { endBody() }
            return skip + count
        case .needMore(let skip):
            return skip == bytes.count ? nil : skip
        case .finished(let skip):
            endBody()
            return skip
        }
    }

    private func endBody() {
        guard stage == .body else { return }
        stage = .responding
        worker.reactor.deadlines.clear(deadline)
        exchange?.bodyEnded()
    }

    private static func error(for fault: HTTPFault) -> ProxyError {
        switch fault {
        case .malformed(let what): ProxyError(.badRequest, "The request is not valid HTTP/1.1: \(what).")
        case .targetTooLong: ProxyError(.uriTooLong, "The request line is longer than 16 KiB.")
        case .fieldsTooLarge: ProxyError(.fieldsTooLarge, "A field line is longer than 16 KiB, or all fields are longer than 64 KiB or more than 200.")
        case .unknownTransferCoding: ProxyError(.notImplemented, "No transfer coding but chunked is known.")
        case .unsupportedVersion: ProxyError(.versionNotSupported, "Only HTTP/1.x is spoken here.")
        }
    }

    /// The request cannot be read: nothing after this point of the connection can be trusted.
    private func refuse(_ error: ProxyError) {
        closesAfterResponse = true
        worker.reactor.deadlines.clear(deadline)
        if let exchange {
            exchange.requestFailed(error)
            return
        }
        stage = .responding
        let head = self.head ?? worker.takeHead()
        self.head = nil
        let refusal = LocalExchange(request: head, connection: self)
        exchange = refusal
        refusal.requestFailed(error)
    }

    private func beginLingering() {
        stage = .lingering
        input = nil
        lingeredOctets = 0
        // As long as something of the response waits, the client has the time of any slow reader.
        worker.reactor.deadlines.set(deadline, to: worker.reactor.now.advanced(byNanoseconds: pending == nil ? 5_000_000_000 : worker.spans.streamIdle))
        if pending == nil { shutDownSending() }
        if isReadable, !isClosed { worker.reactor.deferResume(of: self) }
    }

    private func shutDownSending() {
        guard !isClosed else { return }
        if hasPeerClosed {
            close()
        } else {
            _ = shutdown(fd, Int32(SHUT_WR))
            worker.reactor.deadlines.set(deadline, to: worker.reactor.now + .seconds(5))
        }
    }

    /// Ends the connection at once; an exchange under way is told.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        let exchange = self.exchange
        self.exchange = nil
        if let exchange {
            exchange.unlink()
            exchange.clientGone()
        }
        if let head {
            worker.give(head)
            self.head = nil
        }
        if let pending { worker.reactor.buffers.give(pending) }
        if let input, !isProcessing { worker.reactor.buffers.give(input) }
        pending = nil
        if !isProcessing { input = nil }
        worker.reactor.deadlines.remove(deadline)
        worker.reactor.deadlines.remove(exchangeDeadline)
        worker.reactor.deregister(self, fd: fd)
        Syscall.close(fd)
        worker.closed(self)
    }

    /// The server is going down: an idle connection has nothing to wait for.
    func drain() {
        if stage == .idle, requestCount > 0, input == nil { close() } else { exchange?.serverDrains() }
    }

    /// The grace is over.
    func cutOff() {
        if exchange != nil { breakOff() } else { close() }
    }
}
