// SPDX-License-Identifier: MIT

internal import RotatorCore

/// How a dialect's streams begin.
enum OpeningDialect {
    case openAI, anthropic, gemini

    /// A judge of the beginning of a stream of this form; nil where none can be judged.
    func judge(for form: AnswerForm) -> (any StreamOpeningJudge)? {
        guard form.media == .eventStream else { return nil }
        let judge = EventStreamJudge(self)
        switch form.coding {
        case .identity: return judge
        case .gzip: return InflatingJudge(.gzip, judge)
        case .deflate: return InflatingJudge(.deflate, judge)
        case .unknown: return nil
        }
    }

    /// What one whole event says of the stream. Whatever is not understood is content: it must go on.
    fileprivate func opening(_ event: EventStreamEvent, _ octets: RawSpan) -> StreamOpening {
        guard event.isWhole else { return .content }
        // Comments, and events of other fields alone, are nothing to an SDK.
        guard event.hasData else { return .starting }
        let start = octets.jsonWhiteSpaceEnd(from: event.data.lowerBound)
        guard start < event.data.upperBound, let data = JSONObject(octets.extracting(event.data), at: start - event.data.lowerBound) else { return .content }
        switch self {
        case .openAI: return openAI(data)
        case .anthropic: return anthropic(data)
        case .gemini: return gemini(data)
        }
    }

    // MARK: - OpenAI

    private func openAI(_ data: JSONObject) -> StreamOpening {
        if let type = data.string("type") {
            switch type {
            // What these announce is empty still.
            case "response.created", "response.in_progress", "response.queued", "response.output_item.added", "response.content_part.added": return .starting
            case "response.failed": return data.object("response")?.failure("error").map(openAIFailure) ?? .content
            case "error":
                // The members of the error stand in the event itself; gateways nest them.
                return openAIFailure(data.failure("error") ?? data)
            default: break
            }
        }
        if let error = data.failure("error") { return openAIFailure(error) }
        if data.isFilled("error") { return .failed(OpeningDialect.answer(500, data.wrapped("error"))) }
        return isChatStart(data) ? .starting : .content
    }

    /// Whether a chunk of chat completions or completions says nothing yet: at most a role.
    private func isChatStart(_ data: JSONObject) -> Bool {
        guard let choices = data.array("choices"), !data.isFilled("usage") else { return false }
        // Azure's first chunk holds `prompt_filter_results` and no choice.
        return choices.allSatisfy { choice in
            choice.members.allSatisfy { name, value in
                switch name {
                case "index", "content_filter_results", "content_filter_offsets": true
                case "delta": choice.object("delta").map { $0.members.allSatisfy { $0.name == "role" || !$0.isFilled } } ?? false
                default: !value
                }
            }
        }
    }

    private func openAIFailure(_ error: JSONObject) -> StreamOpening {
        .failed(OpeningDialect.answer(OpeningDialect.openAIStatus(error), error.asError))
    }

    /// The status that an error with this code or type has where no stream has begun (developers.openai.com/docs/guides/error-codes; numbers are
    /// OpenRouter's, Azure's and Google's).
    private static func openAIStatus(_ error: JSONObject) -> Int {
        for name in ["code", "status", "type"] {
            if let number = error.number(name), 400...599 ~= number { return number }
            guard let word = error.string(name)?.lowercased(), !word.isEmpty else { continue }
            if let status = status(ofWord: word) { return status }
        }
        return 500
    }

    /// The status behind a stable word; nil for one that is not known.
    private static func status(ofWord word: String) -> Int? {
        if ProviderRules.moneyCodes.contains(where: { word.equals($0) }) { return 429 }
        if ProviderRules.suspensionCodes.contains(where: { word.equals($0) }) { return 401 }
        switch word {
        case "rate_limit_exceeded", "rate_limit_error", "rate_limit", "rate_limited", "ratelimitreached", "too_many_requests", "requests", "tokens", "resource_exhausted":
            return 429
        case "invalid_api_key", "authentication_error", "unauthorized", "unauthenticated": return 401
        case "permission_error", "permission_denied", "forbidden", "model_not_available": return 403
        case "not_found", "not_found_error", "model_not_found": return 404
        case "server_is_overloaded", "overloaded", "overloaded_error", "slow_down", "service_unavailable", "unavailable", "engine_overloaded",
            "engine_overloaded_error":
            return 503
        case "timeout", "timeout_error", "gateway_timeout", "deadline_exceeded": return 504
        case "bad_gateway": return 502
        case "content_filter", "context_length_exceeded", "string_above_max_length", "failed_precondition", "failed_to_download_image", "empty_image_file",
            "image_parse_error", "image_too_large", "image_too_small", "image_file_too_large", "image_file_not_found", "image_content_policy_violation":
            return 400
        case "server_error", "internal_server_error", "internal_error", "api_error", "internal": return 500
        default: return word.hasPrefix("invalid_") || word.hasPrefix("unsupported_") ? 400 : nil
        }
    }

    // MARK: - Anthropic

    private func anthropic(_ data: JSONObject) -> StreamOpening {
        switch data.string("type") {
        case "message_start", "ping": return .starting
        case "content_block_start":
            guard let block = data.object("content_block") else { return .content }
            switch block.string("type") {
            case "text": return block.isFilled("text") ? .content : .starting
            case "thinking": return block.isFilled("thinking") ? .content : .starting
            default: return .content
            }
        case "error":
            guard let error = data.failure("error") else { return .content }
            return .failed(OpeningDialect.answer(OpeningDialect.anthropicStatus(error.string("type")), data.octets))
        default: return .content
        }
    }

    /// docs.anthropic.com/en/api/errors.
    private static func anthropicStatus(_ type: String?) -> Int {
        switch type {
        case "invalid_request_error": 400
        case "authentication_error": 401
        case "billing_error": 402
        case "permission_error": 403
        case "not_found_error": 404
        case "request_too_large": 413
        case "rate_limit_error": 429
        case "timeout_error": 504
        case "overloaded_error": 529
        default: 500
        }
    }

    // MARK: - Gemini

    private func gemini(_ data: JSONObject) -> StreamOpening {
        if let error = data.failure("error") {
            let code = error.number("code").flatMap { 400...599 ~= $0 ? $0 : nil }
            return .failed(OpeningDialect.answer(code ?? OpeningDialect.geminiStatus(error.string("status")), data.octets))
        }
        guard !data.isFilled("promptFeedback"), let candidates = data.array("candidates") else { return .content }
        let isStart = candidates.allSatisfy { candidate in
            !candidate.isFilled("finishReason") && (candidate.object("content").map { $0.array("parts")?.isEmpty ?? true } ?? !candidate.isFilled("content"))
        }
        return isStart ? .starting : .content
    }

    /// google.rpc.Code by its HTTP mapping (googleapis/googleapis google/rpc/code.proto).
    private static func geminiStatus(_ status: String?) -> Int {
        switch status {
        case "INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE": 400
        case "UNAUTHENTICATED": 401
        case "PERMISSION_DENIED": 403
        case "NOT_FOUND": 404
        case "RESOURCE_EXHAUSTED": 429
        case "UNAVAILABLE": 503
        case "DEADLINE_EXCEEDED": 504
        default: 500
        }
    }

    private static func answer(_ status: Int, _ body: [UInt8]) -> UpstreamAnswer {
        UpstreamAnswer(status: status, fields: [HeaderField("Content-Type", "application/json")], bodyPrefix: body)
    }
}

/// Judges the beginning of an event stream, event by event.
private final class EventStreamJudge: StreamOpeningJudge {
    private let dialect: OpeningDialect
    /// `response.created` repeats the client's instructions and tools.
    private var framer = EventStreamFramer(eventOctetsMax: 256 * 1024)
    private var opening = StreamOpening.starting

    private enum Decided: Error {
        case decided
    }

    init(_ dialect: OpeningDialect) { self.dialect = dialect }

    func watch(_ octets: RawSpan) -> StreamOpening {
        guard case .starting = opening else { return opening }
        let dialect = dialect
        var opening = opening
        do throws(Decided) {
            try framer.feed(octets) { event, octets throws(Decided) in
                opening = dialect.opening(event, octets)
                guard case .starting = opening else { throw .decided }
            }
        } catch {}
        // What follows is not looked at.
        if case .starting = opening {} else { framer = EventStreamFramer() }
        self.opening = opening
        return opening
    }
}

/// Undoes a content coding for another judge.
private final class InflatingJudge: StreamOpeningJudge {
    private var inflation: InflateStream
    private let judge: EventStreamJudge
    private var opening = StreamOpening.starting

    init?(_ coding: InflateStream.Coding, _ judge: EventStreamJudge) {
        guard let inflation = InflateStream(coding) else { return nil }
        self.inflation = inflation
        self.judge = judge
    }

    func watch(_ octets: RawSpan) -> StreamOpening {
        guard case .starting = opening else { return opening }
        var opening = opening
        inflation.feed(octets) {
            opening = judge.watch($0)
            if case .starting = opening { return true }
            return false
        }
        // A stream that cannot be read is not understood.
        if inflation.isOver, case .starting = opening { opening = .content }
        self.opening = opening
        return opening
    }
}
