// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// The request on its way to the upstream.
extension ProxyExchange {
    func send(on connection: UpstreamConnection, to runtime: UpstreamRuntime) {
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
        composeRequest(to: runtime, into: head)
        toUpstream = head
        setDeadline(worker.reactor.now.advanced(byNanoseconds: worker.spans.firstByte))
        pump()
        // A connection that was idle has its readiness from before; a fresh one is told by epoll.
        if phase == .awaitingHead, upstream === connection, connection.isReadable { worker.reactor.deferResume(of: connection) }
    }

    private func composeRequest(to runtime: UpstreamRuntime, into out: ByteBuffer) {
        guard let secret = lease?.key.secret else { return }
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
        if query != nil || !runtime.placesKeyInHeader { composeQuery(to: runtime, into: out, secret: secret) }
        out.append(" HTTP/1.1\r\n")
        out.append(runtime.hostLine)
        var run = LineRun()
        for line in request.fields where forwards(line, runtime) { run.add(line, of: request, to: out) }
        run.flush(of: request, to: out)
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

    private func composeQuery(to runtime: UpstreamRuntime, into out: ByteBuffer, secret: Secret) {
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

    func forwards(_ line: FieldLine, _ runtime: UpstreamRuntime) -> Bool {
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
        // What we asked for can only be taken out of a stream that can be read.
        if editor != nil, name.equals(lowercase: "accept-encoding") { return false }
        if request.namesFieldsInConnection, request.isNamedByConnection(name) { return false }
        return true
    }

    func hasField(_ name: ByteBuffer) -> Bool {
        for line in request.fields where request.name(line).equalsIgnoringCase(name.view) { return true }
        return false
    }

    /// Sends as much of the request as there is and the upstream takes.
    func pump() {
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
                if !head.isEmpty, run.count <= 4096, !run.isEmpty {
                    // A short body rides with the head: copying it costs less than the call that gathers two runs.
                    head.append(run)
                    bodySent += run.count
                    continue
                }
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
            returnRequestBuffer()
        } else if let body, body.count - (bodySent - bodyDropped) < ServerConnection.backlogLimit {
            connection?.resumeBody()
        }
    }

    /// Nil when the connection broke.
    func transfer(_ result: TransferResult) -> Int? {
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
    func dropSentBody() {
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
}
