// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What is remembered of an exchange when it is over.
extension ProxyExchange {
    /// Hands on the record of an exchange of a known client. Strangers leave none: they could fill the log.
    func record(status: Int, usage: TokenUsage?, at now: Moment) {
        guard worker.recordsExchanges, let client else { return }
        // Handed on as it comes out, so that it is moved and not copied.
        worker.record(ExchangeRecord(
            // Where no service was found the path is not repeated: a client may have put a credential there.
            requestID: requestIDText, startedAt: startedAt, service: runtime?.upstream.record.id, slug: serviceSlug, client: client.name, clientID: client.id,
            model: facts.model, method: request.methodView.prefix(32).string, status: status, errorCode: errorCode, isStream: isStream, ending: ending,
            duration: now.nanoseconds - startedAt.nanoseconds, firstByte: firstByteAt.map { $0.nanoseconds - startedAt.nanoseconds },
            attempts: log.attempts(since: startedAt), attemptCount: machine.attempts, usage: usage))
    }
}

/// The attempts of one exchange, as its record tells them.
struct AttemptLog {
    private struct Attempt {
        var key: KeyID
        var began: Moment
        var status: Int?
        var judged: Moment?
        var outcome: AttemptOutcome?
    }

    // The first is kept apart: most exchanges have one, and it costs no allocation until it is told.
    private var first: Attempt?
    private var more: [Attempt] = []

    private mutating func change(_ body: (inout Attempt) -> Void) {
        if more.isEmpty {
            if first != nil { body(&first!) }
        } else {
            body(&more[more.count - 1])
        }
    }

    mutating func began(_ key: KeyID, at now: Moment) {
        let attempt = Attempt(key: key, began: now)
        if first == nil { first = attempt } else if more.count < ExchangeRecord.attemptsMax - 1 { more.append(attempt) }
    }

    mutating func answered(status: Int) { change { $0.status = status } }

    mutating func judged(at now: Moment) { change { $0.judged = now } }

    mutating func ended(_ outcome: AttemptOutcome, at now: Moment) {
        change { attempt in
            attempt.outcome = outcome
            if attempt.judged == nil { attempt.judged = now }
        }
    }

    func attempts(since start: Moment) -> [AttemptRecord] {
        guard let first else { return [] }
        if more.isEmpty { return [Self.record(of: first, since: start)] }
        return [Self.record(of: first, since: start)] + more.map { Self.record(of: $0, since: start) }
    }

    private static func record(of attempt: Attempt, since start: Moment) -> AttemptRecord {
        AttemptRecord(
            key: attempt.key, status: attempt.status, verdict: attempt.outcome?.word ?? "abandoned", reason: attempt.outcome?.reason ?? "",
            began: attempt.began.nanoseconds - start.nanoseconds, duration: (attempt.judged ?? attempt.began).nanoseconds - attempt.began.nanoseconds)
    }
}
