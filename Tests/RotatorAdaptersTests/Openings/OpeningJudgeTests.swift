// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("Beginnings of streams") struct OpeningJudgeTests {
    /// Where a stream stands, in a form that can be compared.
    enum Standing: Equatable, Sendable {
        case starting, content
        case failed(Int, String)
    }

    private func judge(_ format: APIFormat, _ coding: AnswerForm.Coding = .identity, media: AnswerForm.Media = .eventStream, path: String? = nil) -> (any StreamOpeningJudge)? {
        let usual = format == .anthropicNative ? "/v1/messages" : format == .geminiNative ? "/v1beta/models/m:streamGenerateContent" : "/v1/chat/completions"
        let path = Array((path ?? usual).utf8)
        return unsafe AdapterRegistry.builtIn[format].openingJudge(path: path.span.bytes, form: AnswerForm(media: media, coding: coding))
    }

    private func standing(_ pieces: [[UInt8]], _ judge: (any StreamOpeningJudge)?) -> Standing? {
        var last: StreamOpening?
        for piece in pieces { last = unsafe judge?.watch(piece.span.bytes) }
        switch last {
        case nil: return nil
        case .starting: return .starting
        case .content: return .content
        case .failed(let answer): return .failed(answer.status, String(decoding: answer.bodyPrefix, as: UTF8.self))
        }
    }

    private func outcome(_ text: String, _ format: APIFormat) -> AttemptOutcome? {
        guard case .failed(let answer) = unsafe judge(format)?.watch(Array(text.utf8).span.bytes) else { return nil }
        return AdapterRegistry.builtIn[format].outcome(of: answer, at: .recorded)
    }

    // MARK: - Start-up

    static let starts: [(APIFormat, String)] = [
        (.openAICompatible, ""),
        (.openAICompatible, ": OPENROUTER PROCESSING\n\n: keep-alive\n\n\n"),
        (.openAICompatible, "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"),
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{}}]}\r\n\r\n"),
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"reasoning\":\"\",\"tool_calls\":[]},\"finish_reason\":null,\"native_finish_reason\":null}]}\n\n"),
        (.azureOpenAI, "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{}}]}\n\n"),
        (.azureOpenAI, "data: {\"choices\":[{\"content_filter_results\":{},\"delta\":{\"content\":\"\",\"role\":\"assistant\"},\"finish_reason\":null,\"index\":0}]}\n\n"),
        (.openAICompatible, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null,\"output\":[]}}\n\nevent: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":{}}\n\n"),
        (.openAICompatible, "data: {\"type\":\"response.queued\",\"response\":{}}\n\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\",\"content\":[]}}\n\ndata: {\"type\":\"response.content_part.added\",\"part\":{\"text\":\"\"}}\n\n"),
        (.openAICompatible, "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n"),
        (.anthropicNative, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":1}}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n"),
        (.anthropicNative, "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"),
        (.geminiNative, "data: {\"candidates\":[{\"content\":{\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":1}}\r\n\r\n"),
    ]

    @Test(arguments: starts)
    func `start-up events and comments are no content`(_ format: APIFormat, _ text: String) {
        #expect(standing([Array(text.utf8)], judge(format)) == .starting)
        #expect(standing([[]] + text.utf8.map { [$0] }, judge(format)) == .starting)
    }

    static let contents: [(APIFormat, String)] = [
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\"}}]}\n\n"),
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0}]}}]}\n\n"),
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"Hm\"}}]}\n\n"),
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"),
        (.openAICompatible, "data: {\"choices\":[{\"index\":0,\"text\":\"H\"}]}\n\n"),
        (.openAICompatible, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"),
        (.openAICompatible, "data: [DONE]\n\n"),
        (.openAICompatible, "data: hello\n\n"),
        (.openAICompatible, "data: {\"choices\":\n\n"),
        (.openAICompatible, "data: {\"x\":1}\n\n"),
        (.openAICompatible, "data: {\"type\":\"response.output_text.delta\",\"delta\":\"H\"}\n\n"),
        (.openAICompatible, "data: {\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n"),
        (.openAICompatible, "data: {\"type\":\"response.failed\",\"response\":{}}\n\n"),
        (.anthropicNative, "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"H\"}}\n\n"),
        (.anthropicNative, "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"name\":\"x\",\"input\":{}}}\n\n"),
        (.anthropicNative, "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"H\"}}\n\n"),
        (.anthropicNative, "data: {\"type\":\"error\"}\n\n"),
        (.geminiNative, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}}]}\n\n"),
        (.geminiNative, "data: {\"candidates\":[{\"finishReason\":\"SAFETY\"}]}\n\n"),
        (.geminiNative, "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n"),
        (.openAICompatible, "data: \(String(repeating: "[", count: 300_000))\n\n"),
    ]

    @Test(arguments: contents)
    func `content, and what is not understood, must go on`(_ format: APIFormat, _ text: String) {
        #expect(standing([Array(text.utf8)], judge(format)) == .content)
        let start = OpeningJudgeTests.starts.first { $0.0 == format && !$0.1.isEmpty }?.1 ?? ""
        #expect(standing([Array((start + text).utf8)], judge(format)) == .content)
    }

    @Test func `what comes behind content changes nothing`() {
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"H\"}}]}\n\ndata: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n"
        #expect(standing([Array(text.utf8)], judge(.openAICompatible)) == .content)
        #expect(standing(text.utf8.map { [$0] }, judge(.openAICompatible)) == .content)
    }

    // MARK: - Failures

    static let failures: [(APIFormat, String, Int, AttemptOutcome)] = [
        (.openAICompatible, #"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#, 429, .rateLimited(until: nil, reason: "rate_limited")),
        (.openAICompatible, #"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#, 429, .exhausted(until: nil, reason: "insufficient_quota")),
        (.openAICompatible, #"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#, 500, .upstreamFailed(reason: "server_error")),
        (.openAICompatible, #"{"error":{"message":"Overloaded","type":"server_error","code":"server_is_overloaded"}}"#, 503, .upstreamFailed(reason: "overloaded")),
        (.openAICompatible, #"{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}"#, 401, .keyRejected(reason: "unauthorized")),
        (.openAICompatible, #"{"error":{"message":"Too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#, 400, .success),
        (.openAICompatible, #"{"id":"gen-1","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"Provider disconnected"}}"#, 502, .upstreamFailed(reason: "bad_gateway")),
        (.openAICompatible, #"{"error":{"code":402,"message":"Insufficient credits","metadata":{"limit_source":"openrouter_credits"}}}"#, 402, .exhausted(until: nil, reason: "insufficient_credit")),
        (.openAICompatible, #"{"error":{"code":"nobody_knows","message":"?"}}"#, 500, .upstreamFailed(reason: "server_error")),
        (.openAICompatible, #"{"error":"upstream closed"}"#, 500, .upstreamFailed(reason: "server_error")),
        (.openAICompatible, #"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#, 429, .rateLimited(until: nil, reason: "rate_limited")),
        (.openAICompatible, #"{"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"rate_limit_exceeded","message":"Rate limit reached"}}}"#, 429, .rateLimited(until: nil, reason: "rate_limited")),
        (.openAICompatible, #"{"type":"response.failed","response":{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}}"#, 429, .exhausted(until: nil, reason: "insufficient_quota")),
        (.openAICompatible, #"{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}"#, 500, .upstreamFailed(reason: "server_error")),
        (.openAICompatible, #"{"type":"response.failed","response":{"error":{"code":"invalid_prompt","message":"x"}}}"#, 400, .success),
        (.openAICompatible, #"{"type":"error","sequence_number":2,"code":"rate_limit_exceeded","message":"x","param":null}"#, 429, .rateLimited(until: nil, reason: "rate_limited")),
        (.openAICompatible, #"{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"x"}}"#, 429, .exhausted(until: nil, reason: "insufficient_quota")),
        (.azureOpenAI, #"{"error":{"code":"429","message":"Requests have exceeded call rate limit"}}"#, 429, .rateLimited(until: nil, reason: "rate_limited")),
        (.azureOpenAI, #"{"error":{"code":"content_filter","message":"filtered"}}"#, 400, .success),
        (.anthropicNative, #"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, 529, .upstreamFailed(reason: "overloaded")),
        (.anthropicNative, #"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, 429, .rateLimited(until: nil, reason: "rate_limited")),
        (.anthropicNative, #"{"type":"error","error":{"type":"api_error","message":"x"}}"#, 500, .upstreamFailed(reason: "server_error")),
        (.anthropicNative, #"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#, 401, .keyRejected(reason: "unauthorized")),
        (.anthropicNative, #"{"type":"error","error":{"type":"billing_error","message":"x"}}"#, 402, .exhausted(until: nil, reason: "insufficient_quota")),
        (.anthropicNative, #"{"type":"error","error":{"type":"permission_error","message":"x"}}"#, 403, .forbidden(reason: "forbidden")),
        (.anthropicNative, #"{"type":"error","error":{"type":"invalid_request_error","message":"x"}}"#, 400, .success),
        (.geminiNative, #"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#, 503, .upstreamFailed(reason: "overloaded")),
        (.geminiNative, #"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38.5s"}]}}"#, 429, .rateLimited(until: .after(.milliseconds(38_500)), reason: "rate_limited")),
        (.geminiNative, #"{"error":{"message":"x","status":"INTERNAL"}}"#, 500, .upstreamFailed(reason: "server_error")),
        (.geminiNative, #"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#, 400, .keyRejected(reason: "api_key_invalid")),
    ]

    @Test(arguments: failures)
    func `a failure before content has the status and the meaning that it has without a stream`(_ format: APIFormat, _ data: String, _ status: Int, _ expected: AttemptOutcome) {
        let start = OpeningJudgeTests.starts.last { $0.0 == format && $0.1.hasSuffix("\n\n") }?.1 ?? ""
        let text = start + "event: error\ndata: \(data)\n\n"
        #expect(outcome(text, format) == expected)
        guard case .failed(let told, let body) = standing([Array(text.utf8)], judge(format)) else {
            Issue.record("it has not failed")
            return
        }
        #expect(told == status)
        // Members that are not the error's aside, this is what the provider answers where no stream has begun.
        #expect(body.hasPrefix("{") && body.contains("error"))
        #expect(standing(text.utf8.map { [$0] }, judge(format)) == .failed(told, body))
    }

    @Test func `the body of a failure is the provider's own error`() {
        let text = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"a \\\"b\\\"\"}}}\n\n"
        #expect(standing([Array(text.utf8)], judge(.openAICompatible)) == .failed(500, "{\"error\":{\"code\":\"server_error\",\"message\":\"a \\\"b\\\"\"}}"))
    }

    // MARK: - Where there is a judge

    @Test func `only event streams of calls that make something are judged`() {
        #expect(judge(.generic) == nil)
        #expect(judge(.openAICompatible, media: .json) == nil)
        #expect(judge(.openAICompatible, media: .other) == nil)
        #expect(judge(.openAICompatible, .unknown) == nil)
        #expect(judge(.openAICompatible, path: "/v1/files/f/content") == nil)
        #expect(judge(.openAICompatible, path: "/v1/responses") != nil)
        #expect(judge(.geminiNative, path: "/v1beta/openai/chat/completions") != nil)
    }

    @Test func `a compressed stream is judged as well`() {
        let octets = CompressedUsage.gzipStream
        #expect(standing([Array(octets[..<20])], judge(.openAICompatible, .gzip)) == .starting)
        #expect(standing(octets.map { [$0] }, judge(.openAICompatible, .gzip)) == .content)
        #expect(standing([Array("data: {}\n\n".utf8)], judge(.openAICompatible, .gzip)) == .content)
    }

    @Test func `random damage never traps`() {
        var random = SplitMix(seed: 6)
        for (format, data, _, _) in OpeningJudgeTests.failures {
            let seed = Array("data: \(data)\n\n".utf8)
            for _ in 0..<60 {
                let octets = random.damaged(seed)
                #expect(standing([octets], judge(format)) == standing(octets.map { [$0] }, judge(format)))
            }
        }
    }
}
