// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("Conversations") struct ConversationTests {
    private func hash(_ body: String, _ format: APIFormat = .openAICompatible, path: String = "/v1/chat/completions") -> UInt64? {
        let path = Array(path.utf8)
        return unsafe AdapterRegistry.builtIn[format].conversation(path: path.span.bytes, body: Array(body.utf8).span.bytes)
    }

    @Test func `the hash is the same in every process`() {
        #expect(hash(#"{"prompt_cache_key":"abcdefghij"}"#) == 0x7922_6E82_F1AC_C4B2)
        #expect(hash(#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#) == 0x65D9_D68F_451F_C77B)
    }

    @Test func `the cache key counts before the user of the metadata, that one before the user, and that one before the messages`() {
        let messages = #""model":"m","messages":[{"role":"user","content":"hi"}]"#
        let all = hash("{\(messages),\"user\":\"u\",\"metadata\":{\"a\":1,\"user_id\":\"i\"},\"prompt_cache_key\":\"k\"}")
        #expect(all == hash(#"{"prompt_cache_key":"k"}"#))
        let identity = hash("{\"metadata\":{\"user_id\":\"i\"},\"user\":\"u\",\(messages)}")
        #expect(identity == hash(#"{"metadata":{"user_id":"i"}}"#))
        let user = hash("{\"user\":\"u\",\(messages)}")
        #expect(user == hash(#"{"user":"u","prompt_cache_key":"","metadata":{"user_id":7}}"#))
        #expect(Set([all, identity, user, hash("{\(messages)}")]).count == 4)
        // The same text is another conversation where it stands elsewhere.
        #expect(Set([hash(#"{"prompt_cache_key":"x"}"#), hash(#"{"metadata":{"user_id":"x"}}"#), hash(#"{"user":"x"}"#)]).count == 3)
    }

    /// Each: the first request of a conversation, a later one, and others' first requests.
    static let conversations: [(APIFormat, String, String, [String])] = [
        (
            .openAICompatible, #"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#,
            #"{"stream":true,"messages":[{"content":"s","role":"system"},{"role":"user","content":"hi","name":"n"},{"role":"assistant","content":"a"},{"role":"user","content":"b"}],"model":"m"}"#,
            [
                #"{"model":"n","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#, #"{"model":"m","messages":[{"role":"system","content":"t"},{"role":"user","content":"hi"}]}"#,
                #"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"ho"}]}"#, #"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            ]
        ),
        (
            .openAICompatible, #"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:1"}}]}]}"#,
            #"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:1"}}]},{"role":"assistant","content":null}]}"#,
            [#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:2"}}]}]}"#]
        ),
        (
            .openAICompatible, #"{"model":"m","instructions":"s","input":"hi"}"#, #"{"model":"m","instructions":"s","input":"hi","stream":true}"#,
            [#"{"model":"m","instructions":"t","input":"hi"}"#, #"{"model":"m","instructions":"s","input":"ho"}"#]
        ),
        (
            .openAICompatible, #"{"model":"m","input":[{"role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#,
            #"{"model":"m","input":[{"role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]},{"type":"function_call","name":"f"}]}"#,
            [#"{"model":"m","input":[{"role":"developer","content":"d"},{"role":"user","content":"ho"}]}"#]
        ),
        (
            .anthropicNative, #"{"model":"m","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}"#,
            #"{"model":"m","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"a"}]}"#,
            [#"{"model":"m","system":"t","messages":[{"role":"user","content":"hi"}]}"#, #"{"model":"m","system":"s","messages":[{"role":"user","content":"ho"}]}"#]
        ),
        (
            .geminiNative, #"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
            #"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"a"}]}],"system_instruction":{"parts":[{"text":"s"}]}}"#,
            [#"{"systemInstruction":{"parts":[{"text":"t"}]},"contents":[{"parts":[{"text":"hi"}]}]}"#, #"{"contents":{"parts":[{"text":"hi"}]}}"#]
        ),
    ]

    @Test(arguments: conversations)
    func `a conversation keeps its hash as it goes on, and others have other hashes`(_ format: APIFormat, _ first: String, _ later: String, _ others: [String]) {
        let known = hash(first, format)
        #expect(known != nil)
        #expect(hash(later, format) == known)
        #expect(Set(([first] + others).map { hash($0, format) }).count == others.count + 1)
    }

    @Test func `a model in the path counts, the call behind it does not`() {
        let body = #"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#
        let known = hash(body, .geminiNative, path: "/v1beta/models/m:generateContent")
        #expect(known == hash(body, .geminiNative, path: "/v1beta/models/m%3AstreamGenerateContent"))
        #expect(known != hash(body, .geminiNative, path: "/v1beta/models/n:generateContent"))
        let chat = #"{"messages":[{"role":"user","content":"hi"}]}"#
        #expect(hash(chat, .azureOpenAI, path: "/openai/deployments/d/chat/completions") != hash(chat, .azureOpenAI, path: "/openai/deployments/e/chat/completions"))
    }

    @Test(arguments: ["", "[]", "{", "{}", #"{"model":"m"}"#, #"{"messages":[]}"#, #"{"messages":7,"user":"","metadata":null}"#, #"{"prompt_cache_key":"k" "x"}"#, "--form", #"{"messages":[{"role":"user"#])
    func `where nothing tells a conversation there is none`(_ body: String) { #expect(hash(body) == nil) }

    @Test func `a body that ends early is told by what stands before its end`() {
        #expect(hash(#"{"prompt_cache_key":"k","messages":[{"role":"us"#) == hash(#"{"prompt_cache_key":"k"}"#))
    }

    @Test func `texts beyond 4 KiB count by their length`() {
        func body(_ text: String) -> String { "{\"prompt_cache_key\":\"\(text)\"}" }
        let start = String(repeating: "x", count: 4096)
        #expect(hash(body(start + "a")) == hash(body(start + "b")))
        #expect(hash(body(start + "a")) != hash(body(start + "ab")))
    }

    @Test func `generic services have no conversations`() { #expect(hash(#"{"user":"u"}"#, .generic) == nil) }

    @Test func `every bit depends on the key`() {
        var counts = [Int](repeating: 0, count: 64)
        for number in 0..<4096 {
            let value = hash("{\"user\":\"u\(number)\"}") ?? 0
            for bit in 0..<64 where value >> UInt64(bit) & 1 == 1 { counts[bit] += 1 }
        }
        for count in counts { #expect(1792...2304 ~= count) }
    }

    @Test func `random damage never traps`() {
        var random = SplitMix(seed: 8)
        for (format, first, later, _) in ConversationTests.conversations {
            for _ in 0..<200 {
                for text in [first, later] { _ = hash(String(decoding: random.damaged(Array(text.utf8)), as: UTF8.self), format) }
            }
        }
    }
}
