// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// The upstream's answer on its way in: its head, and its body until it is judged or relayed.
extension ProxyExchange {
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

    func consume(_ bytes: ByteView, from connection: UpstreamConnection) {
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
    func consumeHead(_ bytes: ByteView) -> ByteView? {
        var bytes = bytes
        while true {
            let head = answerHead ?? worker.takeHead()
            do throws(HTTPFault) {
                guard let taken = try parser.take(bytes, into: head) else {
                    answerHead = head
                    return nil
                }
                bytes = bytes.dropFirst(taken)
                if answerHead != nil { answerHead = nil }
                parser = HeadParser(.response)
                if head.status == 101 { throw .malformed("101 that nobody asked for") }
                if head.status < 200 {
                    // Interim responses are ours to swallow; the client got its own 100.
                    worker.give(head)
                    continue
                }
                headArrived(head, hasSurplus: !bytes.isEmpty)
                return bytes
            } catch {
                answerHead = head
                worker.logger.info("the upstream's answer is not valid HTTP", metadata: ["service": "\(serviceSlug)", "request": "\(requestIDText)", "fault": "\(error)"])
                attemptFailed(.invalid, reason: "invalid_response")
                return nil
            }
        }
    }

    func headArrived(_ head: MessageHead, hasSurplus: Bool) {
        guard let upstream, let keyID = lease?.key.id else { return }
        if head.status == 407, upstream.origin.usesAbsoluteForm {
            // The outbound proxy's own words: the upstream has not seen the request, nor the client anything to do with it.
            worker.give(head)
            attemptFailed(.notConnected, reason: "outbound_proxy_refused")
            return
        }
        log.answered(status: head.status)
        noteAccount(head)
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
            if !beginOpening(answer) { commit(answer, isFinal: false) }
            return
        }
        phase = .judging
        answer.body = worker.reactor.buffers.take()
        setDeadline(worker.reactor.now + .seconds(2))
        if answer.isWhole { judge() }
    }

    /// Holds back the beginning of a stream where the service says so and the dialect can tell a beginning from content.
    func beginOpening(_ answer: Answer) -> Bool {
        guard let runtime, isLLM, !answer.isWhole, answer.head.status < 300 else { return false }
        let patience = runtime.upstream.record.configuration.holdStartupMilliseconds
        guard patience > 0 else { return false }
        let form = answer.head.form
        withSpans { path, _ in opening = runtime.upstream.adapter.openingJudge(path: path, form: form) }
        guard opening != nil else { return false }
        phase = .opening
        answer.body = worker.reactor.buffers.take()
        setDeadline(worker.reactor.now + .milliseconds(patience))
        return true
    }

    /// Tells the pool what the answer says of the key's quota and organisation. What says that something is left is not told more often than the pool has a
    /// use for; that nothing is left is told at once.
    func noteAccount(_ head: MessageHead) {
        guard let runtime, let key = lease?.key.id else { return }
        let now = worker.reactor.now
        if !head.saysNothingIsLeft {
            guard runtime.wantsAccount(of: key, at: now), head.concernsAccount else { return }
            runtime.accountRead(of: key, at: now)
        }
        var fields = HeaderFields()
        for line in head.fields where line.known == .other && head.name(line).concernsAccount {
            fields.lines.append(HeaderField(head.name(line).string, head.value(line).string))
        }
        let adapter = runtime.upstream.adapter
        lease?.noteAccount(model: facts.model, quota: adapter.quota(in: fields, at: now), group: adapter.quotaGroup(in: fields), at: now)
    }

    func consumeBody(_ bytes: ByteView) {
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
                        judgeOpening(run)
                        guard current === answer else { return }
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
    func answerWhole(surplus: ByteView) {
        guard let answer = current else { return }
        answer.isWhole = true
        releaseUpstream(of: answer, isReusable: surplus.isEmpty)
        if phase == .judging {
            judge()
        } else if phase == .opening {
            openingEnded()
        } else if phase == .relaying {
            finishRelay()
        }
    }

    /// Connections to an HTTP proxy that reads our requests are used once: some (tinyproxy) promise to stay open and close all the same.
    func releaseUpstream(of answer: Answer, isReusable: Bool) {
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

    func returnRequestBuffer() {
        if let buffer = toUpstream.take() {
            buffer.erase()
            worker.reactor.buffers.give(buffer)
        }
    }

    func upstreamEnded(cleanly: Bool) {
        switch phase {
        case .awaitingHead:
            attemptFailed(.cut, reason: isReusedConnection ? "connection_closed" : "cut_before_head")
        case .judging, .opening, .relaying:
            guard let answer = current else { return }
            if cleanly, answer.decoder.endsWithConnection {
                answer.isWhole = true
                releaseUpstream(of: answer, isReusable: false)
                if phase == .judging { judge() } else if phase == .opening { openingEnded() } else { finishRelay() }
                return
            }
            releaseUpstream(of: answer, isReusable: false)
            if phase == .judging { judge() } else if phase == .opening { openingCut(answer) } else { breakRelay() }
        case .receiving, .awaitingAdmission, .waitingForKey, .pausing, .connecting, .over: break
        }
    }

    /// The stream broke off before it showed any content: as if no head had come.
    func openingCut(_ answer: Answer) {
        opening = nil
        current = nil
        discard(answer)
        attemptFailed(.cut, reason: "cut_before_content")
    }

    func attemptFailed(_ how: NoAnswer, reason: String) {
        if let head = answerHead.take() { worker.give(head) }
        cancelUpstream()
        worker.logger.info("attempt ended without an answer", metadata: [
            "service": "\(serviceSlug)", "request": "\(requestIDText)", "key": "\(lease?.key.id.rawValue ?? 0)", "reason": "\(reason)",
        ])
        settle(.upstreamFailed(reason: reason))
        perform(machine.endedWithoutAnswer(how, isReplayable: isReplayable, jitter: worker.jitter()))
    }
}
