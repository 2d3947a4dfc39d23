// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// What an answer means for its key, and what comes next.
extension ProxyExchange {
    func judge() {
        guard let runtime, let answer = current, phase == .judging else { return }
        let now = worker.reactor.now
        let told = UpstreamAnswer(status: answer.head.status, fields: answer.head.headerFields, bodyPrefix: answer.body.map { $0.view[0..<min($0.count, ProxyExchange.judgedOctets)].array } ?? [])
        let outcome = runtime.upstream.rules.outcome(of: told, at: now)
        if outcome == .success {
            current = nil
            commit(answer, isFinal: false)
            return
        }
        refused(answer, outcome, status: answer.head.status)
    }

    /// The answer speaks against its key: it is put aside, and what comes next is decided.
    func refused(_ answer: Answer, _ outcome: AttemptOutcome, status: Int) {
        settle(outcome)
        noteStanding(of: answer.keyID, after: outcome, status: status)
        discardLast()
        last = answer
        current = nil
        // The rest of its body stays in the socket until it is known whether the client is to have it.
        if let upstream {
            upstream.park()
            self.upstream = nil
            returnRequestBuffer()
        }
        perform(machine.answered(outcome, status: status, isReplayable: isReplayable, jitter: worker.jitter()))
    }

    /// Looks at the next octets of a stream whose beginning is held back.
    func judgeOpening(_ octets: ByteView) {
        guard phase == .opening, let opening, let answer = current, let runtime else { return }
        switch unsafe opening.watch(RawSpan(_unsafeBytes: octets.raw)) {
        case .starting:
            if let held = answer.body, held.count >= ProxyExchange.judgedOctets { openingEnded() }
        case .content: openingEnded()
        case .failed(var told):
            // What the head says of times and limits counts for the failure as well.
            told.fields.lines += answer.head.headerFields.lines
            let outcome = runtime.upstream.rules.outcome(of: told, at: worker.reactor.now)
            // What is the client's fault stays so with every key.
            if outcome == .success { return openingEnded() }
            self.opening = nil
            refused(answer, outcome, status: told.status)
        }
    }

    /// The stream is passed on from its beginning.
    func openingEnded() {
        guard phase == .opening, let answer = current else { return }
        opening = nil
        commit(answer, isFinal: false)
    }

    /// Tells the log what an attempt has done to its key.
    func noteStanding(of key: KeyID, after outcome: AttemptOutcome, status: Int) {
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

    func perform(_ action: ExchangeStateMachine.Action) {
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
    var hasUntriedKey: Bool {
        guard let runtime else { return false }
        let now = worker.reactor.now
        return runtime.upstream.pool.hasKey(model: facts.model, excluding: tried, at: now)
    }

    func discardLast() {
        if let answer = last.take() { discard(answer) }
    }

    func discard(_ answer: Answer) {
        answer.connection.take()?.close()
        if let body = answer.body.take() { worker.reactor.buffers.give(body) }
        worker.give(answer.head)
    }

    func settle(_ outcome: AttemptOutcome) {
        guard let lease = self.lease.take() else { return }
        let now = worker.reactor.now
        log.ended(outcome, at: now)
        if let tokens = meter?.usage?.total { lease.noteTokens(tokens, at: now) }
        lease.settle(outcome, model: facts.model, at: now)
    }
}

extension AttemptOutcome {
    /// Why, in a stable word; empty where there is nothing to say.
    var reason: String {
        switch self {
        case .success, .abandoned: ""
        case .rateLimited(_, let reason, _), .exhausted(_, let reason, _), .keyRejected(let reason), .forbidden(let reason), .upstreamFailed(let reason): reason
        }
    }

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
