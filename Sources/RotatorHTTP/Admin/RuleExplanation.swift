// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What an upstream answer would bring about: which rule decides, and what key and request would do.
///
/// Both effects are seen, not told: a pool and an exchange of its own live through the answer, so an explanation cannot say other than what happens.
struct RuleExplanation {
    private let outcome: AttemptOutcome
    private let rule: (index: Int, document: [UInt8])?
    private let keyEffect: String
    private let requestEffect: String

    /// Explains `answer` to a request for `model` by a service that decides by `table`.
    init(of answer: UpstreamAnswer, by table: any AnswerRules, for service: ServiceConfiguration, model: String?, at now: Moment) {
        outcome = table.outcome(of: answer, at: now)
        rule = table.decidingRule(for: answer, at: now).map { ($0, table.document(of: $0)) }
        keyEffect = Self.keyEffect(of: outcome, kind: service.kind, model: model, at: now)
        requestEffect = Self.requestEffect(of: outcome, status: answer.status, service: service)
    }

    func write(to json: inout JSONWriter) {
        let (until, reason, scope): (Moment?, String?, RestScope?) =
            switch outcome {
            case .rateLimited(let until, let reason, let scope), .exhausted(let until, let reason, let scope): (until, reason, scope)
            case .keyRejected(let reason), .forbidden(let reason), .upstreamFailed(let reason): (nil, reason, nil)
            case .success, .abandoned: (nil, nil, nil)
            }
        json.openObject()
        json.member("outcome", outcome.word)
        json.member("reason", reason)
        json.member("scope", scope?.rawValue)
        json.member("until", until)
        json.name("rule")
        json.write(json: rule?.document ?? Array("null".utf8))
        json.member("rule_index", rule?.index)
        json.member("key_effect", keyEffect)
        json.member("request_effect", requestEffect)
        json.closeObject()
    }

    // MARK: The key

    private static func keyEffect(of outcome: AttemptOutcome, kind: ServiceKind, model: String?, at now: Moment) -> String {
        let group: String
        let series: String
        switch outcome {
        case .success: return "The key has done its work: a row of failures ends."
        case .abandoned: return "Nothing is learned of the key."
        case .upstreamFailed:
            let limit = CircuitBreaker.failureLimit
            return "Nothing for the first time; \(limit) in a row open the key's circuit for \(doubling(.circuit)), then one trial decides."
        case .rateLimited(let until, _, let scope):
            group = groupEffect(scope)
            series = until == nil ? "; the provider gives no time, so it is \(doubling(.rateLimit)) with each in a row" : ""
        case .exhausted(let until, _, let scope):
            group = groupEffect(scope)
            series = until == nil ? "; the provider gives no time, so it is \(doubling(.exhaustion)) with each in a row" : ""
        case .forbidden where kind == .llm:
            group = ""
            series = "; \(doubling(.forbidden)) with each in a row, and the key never becomes invalid by it"
        case .keyRejected, .forbidden:
            group = ""
            series = "; \(doubling(.rejection)), and the third in a row without a success makes it invalid, unless every key of the service fails so"
        }
        guard let view = keyView(after: outcome, kind: kind, model: model, at: now) else { return "Nothing is learned of the key." }
        if let rest = view.coolingModels.first {
            return "The key rests for the model “\(rest.model)” alone until \(rest.until.timestamp)\(group)\(series)."
        }
        guard let until = view.coolingUntil else { return "The key does not rest: the time that the provider gives has come." }
        return "The key is \(view.state.rawValue) \(kind == .llm ? "for every model " : "")until \(until.timestamp)\(group)\(series)."
    }

    /// A key of a pool of two, the other of which is good, after an attempt that ended so.
    private static func keyView(after outcome: AttemptOutcome, kind: ServiceKind, model: String?, at now: Moment) -> KeyView? {
        let service = ServiceID(1)
        let keys = (1...2).map { KeyRecord(id: KeyID($0), serviceID: service, secret: Secret("\($0)".utf8)) }
        let pool = RotatingKeyPool(service: service, kind: kind, strategy: .sequential, keys: keys, seed: 0, at: now)
        switch pool.lease(model: model, excluding: TriedKeys(), at: now) {
        case .granted(let lease):
            let id = lease.key.id
            lease.settle(outcome, model: model, at: now)
            return pool.view(of: id, at: now)
        case .resting: return nil
        case .allTried: return nil
        case .noKeys: return nil
        }
    }

    private static func groupEffect(_ scope: RestScope) -> String {
        switch scope {
        case .usual, .group: ", and so does every key of its quota group where one is known"
        case .key, .model: ""
        }
    }

    private static func doubling(_ backoff: Backoff) -> String { "\(words(backoff.first)) doubling to \(words(backoff.limit))" }

    private static func words(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        return seconds >= 3_600 && seconds % 3_600 == 0 ? "\(seconds / 3_600) h" : "\(seconds) s"
    }

    // MARK: The request

    private static func requestEffect(of outcome: AttemptOutcome, status: Int, service: ServiceConfiguration) -> String {
        // One method of each kind that a default of `replay` tells apart (RFC 9110 §9.2.2).
        let (unsafe, idempotent) = (effect(onMethod: "POST"), effect(onMethod: "GET"))
        if unsafe == idempotent { return "\(unsafe.prefix(1).uppercased())\(unsafe.dropFirst())." }
        return "GET, HEAD, OPTIONS, PUT and DELETE: \(idempotent). Other methods: \(unsafe)."

        func effect(onMethod method: String) -> String {
            let otherwise = "where no key or attempt is left, the client gets this answer"
            let pauseMax = ExchangeStateMachine.pauseMax.wholeNanoseconds / 1_000_000
            var exchange = ExchangeStateMachine(attemptLimit: 2, replay: service.replayPolicy(forMethod: method))
            exchange.attemptBegan()
            switch exchange.answered(outcome, status: status, isReplayable: true, jitter: 0) {
            case .passOn: return "the answer is passed on to the client"
            case .tryNext(.zero): return "the next key is tried at once; \(otherwise)"
            case .tryNext: return "the next key is tried after a pause of at most \(pauseMax) ms; \(otherwise)"
            case .passOnLast: return "the client gets this answer, since “replay” lets nothing be sent again that the upstream may have processed"
            case .fail: return "the client gets an error of the rotator's own"
            }
        }
    }
}
