// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// The response on its way to the client.
extension ProxyExchange {
    /// The head of `answer` goes to the client: from here on there is no other attempt.
    func commit(_ answer: Answer, isFinal: Bool) {
        discardLast()
        guard let connection else { return }
        if current !== answer { current = answer }
        phase = .relaying
        status = answer.head.status
        firstByteAt = worker.reactor.now
        // A stream may run for long: what its beginning says of the key must not wait for its end.
        lease?.noteAnswer(model: facts.model, at: worker.reactor.now)
        log.judged(at: worker.reactor.now)
        beginMetering(answer.head)
        if isStreamType(answer.head) { isStream = true }
        if isStream {
            worker.openStreams += 1
            isCountedStream = true
            totalDeadline = .distantFuture
        }
        composeResponse(answer, isFinal: isFinal, connection)
        if hasSentRequest, let body = body.take() { worker.reactor.buffers.give(body) }
        if let held = answer.body.take() {
            relayHeld(held.view)
            worker.reactor.buffers.give(held)
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

    /// Counts what the answer says of its tokens, and keeps the editor only where there is a stream that it can read.
    func beginMetering(_ head: MessageHead) {
        guard isLLM, let runtime, 200..<300 ~= head.status, !request.methodView.equals("HEAD") else {
            editor = nil
            return
        }
        let form = head.form
        if form.media != .eventStream || form.coding != .identity { editor = nil }
        withSpans { path, _ in meter = runtime.upstream.adapter.meter(path: path, form: form) }
    }

    func isStreamType(_ head: MessageHead) -> Bool {
        guard let type = head.first(.contentType) else { return false }
        let essence = trimmed(type[0..<(type.firstIndex(of: 0x3B) ?? type.count)])
        return essence.equals(lowercase: "text/event-stream") || essence.equals(lowercase: "application/x-ndjson") || essence.equals(lowercase: "application/vnd.amazon.eventstream")
    }

    func composeResponse(_ answer: Answer, isFinal: Bool, _ connection: ServerConnection) {
        let head = answer.head
        let out = connection.output
        out.append("HTTP/1.1 ")
        out.append(decimal: head.status)
        out.append(0x20)
        out.append(head.bytes.view[head.reason])
        out.append("\r\n")
        var hasRetryAfter = false
        var run = LineRun()
        for line in head.fields {
            switch line.known {
            case .connection, .contentLength, .transferEncoding, .keepAlive, .proxyConnection, .te, .trailer, .upgrade, .proxyAuthenticate, .proxyAuthorization, .xRotator: continue
            case .setCookie: if isLLM { continue }
            case .xShouldRetry: if isFinal { continue }
            case .retryAfter: hasRetryAfter = true
            case .other, .host, .expect, .cookie, .via, .forwarded, .xForwarded, .authorization, .xProxyKey, .xAPIKey, .xGoogAPIKey, .apiKey, .contentType, .xRequestID,
                .anthropicVersion, .contentEncoding, .removed: break
            }
            if head.namesFieldsInConnection, head.isNamedByConnection(head.name(line)) { continue }
            run.add(line, of: head, to: out)
        }
        run.flush(of: head, to: out)
        if isFinal { out.append("x-should-retry: false\r\n") }
        if isFinal, !hasRetryAfter, status == 429 || status == 503, let seconds = secondsUntilKey { appendRetryAfter(seconds, to: out) }
        let isBodiless = request.methodView.equals("HEAD") || status == 204 || status == 304
        if isBodiless {
            delimiting = .none
            if let length = head.contentLength, status != 204 {
                out.append("Content-Length: ")
                out.append(decimal: length)
                out.append("\r\n")
            }
        } else if let length = head.contentLength, !head.isChunked, editor == nil {
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

    /// Whole seconds until a key can be spent again, at least 1; nil where none comes back by itself.
    var secondsUntilKey: Int? {
        let now = worker.reactor.now
        guard let moment = runtime?.upstream.pool.nextAvailability(model: facts.model, at: now) else { return nil }
        return max(1, Int((max(0, (moment - now).wholeNanoseconds) + 999_999_999) / 1_000_000_000))
    }

    func appendRetryAfter(_ seconds: Int, to out: ByteBuffer) {
        out.append("Retry-After: ")
        out.append(decimal: seconds)
        out.append("\r\n")
    }

    func appendOwnFields(to out: ByteBuffer, keyID: KeyID?, closes: Bool) {
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

    var requestIDText: String { ProxyExchange.saneID(request)?.string ?? String(requestIDHex: generatedID) }
    var serviceSlug: String { runtime?.upstream.record.configuration.slug ?? "" }

    func relay(_ bytes: ByteView) {
        guard let connection, !bytes.isEmpty else { return }
        if delimiting == .chunked, editor == nil {
            // One read brings many chunks: all that there is to do for each is done for the whole batch.
            batch.add(bytes)
            return
        }
        watch(bytes)
        if editor != nil { return relayEdited(bytes) }
        switch delimiting {
        case .none: break
        case .length, .close: connection.write(bytes)
        case .chunked: preconditionFailure("chunks are gathered")
        }
    }

    /// Octets of the body have come: counts what they say of tokens, and gives the next ones time.
    @inline(__always) private func watch(_ bytes: ByteView) {
        setDeadline(min(worker.reactor.now.advanced(byNanoseconds: worker.spans.streamIdle), totalDeadline))
        if let meter { unsafe meter.watch(RawSpan(_unsafeBytes: bytes.raw)) }
    }

    /// Sends what one read brought as one chunk.
    @inline(__always) func flushBatch(isLast: Bool = false) {
        guard !batch.isEmpty else {
            if isLast { connection?.output.append("0\r\n\r\n") }
            return
        }
        watch(batch.octets)
        let framed = batch.take(isLast: isLast)
        connection?.write(framed, isWhole: true)
    }

    /// Sends what the client is to have of the next octets of a stream that is edited.
    func relayEdited(_ bytes: ByteView) {
        guard let editor else { return }
        let edited = worker.reactor.buffers.take()
        unsafe editor.edit(RawSpan(_unsafeBytes: bytes.raw)) { edited.append($0) }
        frame(edited.view)
        worker.reactor.buffers.give(edited)
    }

    /// Sends what was held back to be judged: it lies in a buffer of its own.
    func relayHeld(_ bytes: ByteView) {
        if let meter { unsafe meter.watch(RawSpan(_unsafeBytes: bytes.raw)) }
        if editor != nil { relayEdited(bytes) } else { frame(bytes) }
    }

    /// Appends a run of the body to what waits for the client.
    func frame(_ bytes: ByteView) {
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

    func finishRelay() {
        guard let connection else { return }
        if let editor {
            let rest = worker.reactor.buffers.take()
            editor.finish { rest.append($0) }
            frame(rest.view)
            worker.reactor.buffers.give(rest)
        }
        if delimiting == .chunked { flushBatch(isLast: true) }
        settle(.success)
        // The exchange's own use of the head ends before the connection gives it back.
        over(status: status)
        connection.finishResponse()
    }

    /// The upstream broke off: so does the client's connection.
    func breakRelay() {
        flushBatch()
        ending = .upstreamBrokeOff
        settle(.success)
        cancelUpstream()
        worker.logger.info("the upstream broke off in the body", metadata: ["service": "\(serviceSlug)", "request": "\(requestIDText)"])
        let connection = self.connection
        over(status: status)
        connection?.breakOff()
    }

    /// One of our own errors ends the exchange.
    func answer(with error: ProxyError, isFinal: Bool = false, refusal: ClientRefusal? = nil) {
        guard let connection, phase != .over else { return }
        discardLast()
        status = error.code.status
        errorCode = error.code
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
        if let refusal {
            for field in dialect.fields(for: refusal, at: worker.reactor.now) {
                out.append(text: field.name)
                out.append(": ")
                out.append(text: field.value)
                out.append("\r\n")
            }
        }
        if firstByteAt == nil { firstByteAt = worker.reactor.now }
        appendOwnFields(to: out, keyID: lastKeyID, closes: connection.mustClose)
        out.append("\r\n")
        if !request.methodView.equals("HEAD") { out.append(body.octets) }
        over(status: status)
        connection.finishResponse()
    }
}
