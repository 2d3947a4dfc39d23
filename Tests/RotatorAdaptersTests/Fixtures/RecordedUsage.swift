// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import Testing

/// A body as a provider sends it with 200, and the tokens that it tells of.
struct RecordedUsage: Sendable, CustomTestStringConvertible {
    var title: String
    var format: APIFormat = .openAICompatible
    var path = "/v1/chat/completions"
    var media = AnswerForm.Media.json
    var body: String
    var usage: TokenUsage?

    var testDescription: String { title }
}

extension RecordedUsage {
    static let all: [RecordedUsage] = openAI + riders + anthropic + gemini

    private static func tokens(_ input: Int64, _ output: Int64, cached: Int64 = 0, reasoning: Int64 = 0) -> TokenUsage {
        TokenUsage(input: input, output: output, cachedInput: cached, reasoning: reasoning)
    }

    static let openAI: [RecordedUsage] = [
        RecordedUsage(
            title: "OpenAI: chat completion",
            body: #"{"id":"chatcmpl-1","object":"chat.completion","created":1741569952,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"The \"usage\":{\"prompt_tokens\":1} is {told} \\","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}"#,
            usage: tokens(2006, 300, cached: 1920, reasoning: 256)),
        RecordedUsage(
            title: "OpenAI: usage first, written over several lines",
            body: "{\r\n  \"usage\" : {\r\n    \"prompt_tokens\" : 9 ,\n\t\"completion_tokens\" : 12\n  },\n  \"choices\": [ { \"usage\": { \"prompt_tokens\": 77 } } ]\n}",
            usage: tokens(9, 12)),
        RecordedUsage(
            title: "OpenAI: a chat stream whose client asked", media: .eventStream,
            body: """
                data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}

                data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"say \\"usage\\":{\\"prompt_tokens\\":5}"},"finish_reason":null}],"usage":null}

                data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

                data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":4}}}

                data: [DONE]


                """,
            usage: tokens(19, 10, cached: 8, reasoning: 4)),
        RecordedUsage(
            title: "OpenAI: a chat stream whose client did not ask", media: .eventStream,
            body: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n", usage: nil),
        RecordedUsage(
            title: "OpenAI: the last chunk cut behind its usage", media: .eventStream,
            body: "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10}", usage: tokens(19, 10)),
        RecordedUsage(
            title: "OpenAI: the last chunk cut in its usage", media: .eventStream, body: "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10", usage: nil),
        RecordedUsage(
            title: "OpenAI: completion", path: "/v1/completions",
            body: #"{"id":"cmpl-1","object":"text_completion","created":1589478378,"model":"gpt-3.5-turbo-instruct","choices":[{"text":"\n\nThis is","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#,
            usage: tokens(5, 7)),
        RecordedUsage(
            title: "OpenAI: response", path: "/v1/responses",
            body: #"{"id":"resp_1","object":"response","created_at":1741476542,"status":"completed","error":null,"output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":32},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123},"user":null,"metadata":{"usage":{"input_tokens":1}}}"#,
            usage: tokens(36, 87, cached: 32, reasoning: 64)),
        RecordedUsage(
            title: "OpenAI: a stream of responses", path: "/v1/responses", media: .eventStream,
            body: """
                event: response.created
                data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","output":[],"usage":null}}

                event: response.output_text.delta
                data: {"type":"response.output_text.delta","sequence_number":1,"delta":"hi"}

                event: response.completed
                data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp_1","status":"completed","output":[{"type":"message","content":[{"text":"hi"}]}],"usage":{"input_tokens":37,"input_tokens_details":{"cached_tokens":3},"output_tokens":11,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":48}}}


                """,
            usage: tokens(37, 11, cached: 3, reasoning: 2)),
        RecordedUsage(
            title: "OpenAI: an incomplete response", path: "/v1/responses", media: .eventStream,
            body: "event: response.incomplete\r\ndata: {\"response\":{\"status\":\"incomplete\",\"usage\":{\"input_tokens\":3,\"output_tokens\":16}}}\r\n\r\n", usage: tokens(3, 16)),
        RecordedUsage(
            title: "OpenAI: a failed response that was counted", path: "/v1/responses", media: .eventStream,
            body: "event: response.failed\rdata: {\"response\":{\"error\":{\"code\":\"server_error\"},\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\r\r", usage: tokens(3, 1)),
        RecordedUsage(
            title: "OpenAI: embeddings", path: "/v1/embeddings",
            body: #"{"object":"list","data":[{"object":"embedding","embedding":[0.0023064255,-0.009327292,-2.8842222e-05],"index":0}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            usage: tokens(8, 0)),
        RecordedUsage(
            title: "OpenAI: images", path: "/v1/images/generations",
            body: #"{"created":1713833628,"data":[{"b64_json":"iVBORw0KGgo+/usage=="}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#,
            usage: tokens(50, 50)),
        RecordedUsage(
            title: "OpenAI: a stream of images", path: "/v1/images/edits", media: .eventStream,
            body: """
                event: image_edit.partial_image
                data: {"type":"image_edit.partial_image","b64_json":"iVBORw0KGgo=","partial_image_index":0}

                event: image_edit.completed
                data: {"type":"image_edit.completed","b64_json":"iVBORw0KGgo=","usage":{"total_tokens":100,"input_tokens":40,"output_tokens":60,"input_tokens_details":{"text_tokens":10,"image_tokens":30}}}


                """,
            usage: tokens(40, 60)),
        RecordedUsage(
            title: "OpenAI: a transcription by tokens", path: "/v1/audio/transcriptions",
            body: #"{"text":"Imagine","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":10,"audio_tokens":4},"output_tokens":101,"total_tokens":115}}"#,
            usage: tokens(14, 101)),
        RecordedUsage(
            title: "OpenAI: a transcription by seconds", path: "/v1/audio/transcriptions", body: #"{"text":"Imagine","usage":{"type":"duration","seconds":9}}"#, usage: nil),
        RecordedUsage(
            title: "OpenAI: a stream of a transcription", path: "/v1/audio/transcriptions", media: .eventStream,
            body:
                "data: {\"type\":\"transcript.text.delta\",\"delta\":\"I\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"I\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14},\"output_tokens\":45,\"total_tokens\":59}}\n\n",
            usage: tokens(14, 45)),
        RecordedUsage(
            title: "Azure: chat completion", format: .azureOpenAI, path: "/openai/deployments/d/chat/completions",
            body: #"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"stop","index":0,"message":{"content":"hi","role":"assistant"}}],"prompt_filter_results":[{"prompt_index":0}],"usage":{"completion_tokens":9,"prompt_tokens":57,"total_tokens":66}}"#,
            usage: tokens(57, 9)),
        RecordedUsage(
            title: "Azure: a chat stream", format: .azureOpenAI, path: "/openai/v1/chat/completions", media: .eventStream,
            body:
                "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0}],\"usage\":null}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"index\":0}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"completion_tokens\":9,\"prompt_tokens\":57,\"total_tokens\":66}}\n\ndata: [DONE]\n\n",
            usage: tokens(57, 9)),
    ]

    /// What rides on OpenAI's format.
    static let riders: [RecordedUsage] = [
        RecordedUsage(
            title: "OpenRouter: a stream with comments, and usage beside a choice", path: "/api/v1/chat/completions", media: .eventStream,
            body:
                ": OPENROUTER PROCESSING\n\ndata: {\"id\":\"gen-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n: OPENROUTER PROCESSING\n\ndata: {\"id\":\"gen-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":14,\"completion_tokens\":163,\"total_tokens\":177,\"cost\":0.00014,\"is_byok\":false,\"prompt_tokens_details\":{\"cached_tokens\":2},\"cost_details\":{\"upstream_inference_cost\":null},\"completion_tokens_details\":{\"reasoning_tokens\":100}}}\n\ndata: [DONE]\n\n",
            usage: tokens(14, 163, cached: 2, reasoning: 100)),
        RecordedUsage(
            title: "Mistral: usage on the last chunk, unasked", media: .eventStream,
            body: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"total_tokens\":12,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n",
            usage: tokens(7, 5)),
        RecordedUsage(
            title: "DeepSeek: cache hits, behind blank lines",
            body: "\n\n\n{\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":30,\"total_tokens\":50,\"prompt_cache_hit_tokens\":15,\"prompt_cache_miss_tokens\":5,\"completion_tokens_details\":{\"reasoning_tokens\":21}}}",
            usage: tokens(20, 30, cached: 15, reasoning: 21)),
        RecordedUsage(
            title: "Groq: usage of a stream in x_groq", path: "/openai/v1/chat/completions", media: .eventStream,
            body:
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}],\"x_groq\":{\"id\":\"req_1\"}}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"req_1\",\"usage\":{\"queue_time\":0.05,\"prompt_tokens\":18,\"prompt_time\":0.0003,\"completion_tokens\":556,\"completion_time\":0.46,\"total_tokens\":574,\"total_time\":0.46}}}\n\ndata: [DONE]\n\n",
            usage: tokens(18, 556)),
        RecordedUsage(
            title: "Cohere v2: chat", path: "/v2/chat",
            body: #"{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"hi"}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":418},"tokens":{"input_tokens":71,"output_tokens":419}}}"#,
            usage: tokens(71, 419)),
        RecordedUsage(
            title: "Cohere v2: a chat stream", path: "/v2/chat", media: .eventStream,
            body:
                "event: message-start\ndata: {\"id\":\"c1\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\"}}}\n\nevent: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"hi\"}}}}\n\nevent: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":4,\"output_tokens\":4},\"tokens\":{\"input_tokens\":70,\"output_tokens\":6}}}}\n\n",
            usage: tokens(70, 6)),
        RecordedUsage(
            title: "Bedrock: converse", path: "/model/anthropic.claude/converse",
            body: #"{"metrics":{"latencyMs":1275},"output":{"message":{"content":[{"text":"hi"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"cacheReadInputTokens":10,"cacheWriteInputTokens":2,"inputTokens":13,"outputTokens":39,"totalTokens":64}}"#,
            usage: tokens(25, 39, cached: 10)),
        RecordedUsage(
            title: "xAI: reasoning counted beside the completion",
            body: #"{"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94}}}"#,
            usage: tokens(32, 103, cached: 6, reasoning: 94)),
        RecordedUsage(
            title: "vLLM: usage on each chunk, the last one counts", media: .eventStream,
            body:
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":6,\"completion_tokens\":1}}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
            usage: tokens(5, 2)),
        RecordedUsage(
            title: "Gemini's OpenAI face, by its own adapter", format: .geminiNative, path: "/v1beta/openai/chat/completions",
            body: #"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"hi","role":"assistant"}}],"usage":{"completion_tokens":8,"prompt_tokens":4,"total_tokens":12}}"#,
            usage: tokens(4, 8)),
    ]

    static let anthropic: [RecordedUsage] = [
        RecordedUsage(
            title: "Anthropic: message", format: .anthropicNative, path: "/v1/messages",
            body: #"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":30,"cache_read_input_tokens":400,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":0},"output_tokens":6,"service_tier":"standard"}}"#,
            usage: tokens(442, 6, cached: 400)),
        RecordedUsage(
            title: "Anthropic: a stream", format: .anthropicNative, path: "/v1/messages", media: .eventStream,
            body: """
                event: message_start
                data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-4-5","stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":5,"cache_read_input_tokens":70,"output_tokens":1}}}

                event: ping
                data: {"type":"ping"}

                event: content_block_delta
                data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\"usage\\": {\\"output_tokens\\": 999}"}}

                event: message_delta
                data: {"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":10}}

                event: message_delta
                data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}

                event: message_stop
                data: {"type":"message_stop"}


                """,
            usage: tokens(100, 15, cached: 70)),
        RecordedUsage(
            title: "Anthropic: a stream whose end corrects its beginning", format: .anthropicNative, path: "/v1/messages", media: .eventStream,
            body:
                "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":2000,\"cache_creation_input_tokens\":0,\"output_tokens\":510,\"server_tool_use\":{\"web_search_requests\":1}}}\n\n",
            usage: tokens(2003, 510, cached: 3)),
        RecordedUsage(
            title: "Anthropic: a stream cut behind its start", format: .anthropicNative, path: "/v1/messages", media: .eventStream,
            body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: content_block_st",
            usage: tokens(25, 1)),
    ]

    static let gemini: [RecordedUsage] = [
        RecordedUsage(
            title: "Gemini: content", format: .geminiNative, path: "/v1beta/models/gemini-2.5-pro:generateContent",
            body: "{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"hi\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\n  \"usageMetadata\": {\n    \"promptTokenCount\": 40,\n    \"candidatesTokenCount\": 9,\n    \"totalTokenCount\": 1054,\n    \"cachedContentTokenCount\": 12,\n    \"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 40}],\n    \"toolUsePromptTokenCount\": 5,\n    \"thoughtsTokenCount\": 1000\n  },\n  \"modelVersion\": \"gemini-2.5-pro\"\n}\n",
            usage: tokens(45, 1009, cached: 12, reasoning: 1000)),
        RecordedUsage(
            title: "Gemini: an event stream", format: .geminiNative, path: "/v1beta/models/gemini-2.5-pro%3AstreamGenerateContent", media: .eventStream,
            body:
                "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 4,\"totalTokenCount\": 30,\"thoughtsTokenCount\": 26}}\r\n\r\ndata: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"b\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 4,\"candidatesTokenCount\": 8,\"totalTokenCount\": 38,\"thoughtsTokenCount\": 26}}\r\n\r\n",
            usage: tokens(4, 34, reasoning: 26)),
        RecordedUsage(
            title: "Gemini: a stream without alt=sse is an array", format: .geminiNative, path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            body: "[{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a]}\"}]}}],\n  \"usageMetadata\": {\"promptTokenCount\": 4,\"candidatesTokenCount\": 1}\n}\n,\r\n{\n  \"candidates\": [],\n  \"usageMetadata\": {\"promptTokenCount\": 4,\"candidatesTokenCount\": 3}\n}\n]",
            usage: tokens(4, 3)),
    ]
}
