// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("Asking for the usage of a stream") struct StreamUsageTests {
    private func asked(_ body: String, _ format: APIFormat = .openAICompatible, path: String = "/v1/chat/completions") -> (edit: BodyEdit, editor: any StreamEditor)? {
        let path = Array(path.utf8)
        let body = Array(body.utf8)
        return unsafe AdapterRegistry.builtIn[format].streamUsage(path: path.span.bytes, body: body.span.bytes)
    }

    private func edited(_ body: String, _ format: APIFormat = .openAICompatible, path: String = "/v1/chat/completions") -> String? {
        guard let edit = asked(body, format, path: path)?.edit else { return nil }
        var octets = Array(body.utf8)
        octets.replaceSubrange(edit.range, with: edit.octets)
        return String(decoding: octets, as: UTF8.self)
    }

    // MARK: - The request

    @Test(arguments: [
        (#"{"stream":true}"#, #"{"stream_options":{"include_usage":true},"stream":true}"#),
        ("{ \"model\":\"m\",\n  \"stream\" : true ,\"x\":1}", "{ \"model\":\"m\",\n  \"stream_options\":{\"include_usage\":true},\"stream\" : true ,\"x\":1}"),
        (#"{"stream":true,"stream_options":{}}"#, #"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (#"{"stream":true,"stream_options":{ }}"#, #"{"stream":true,"stream_options":{"include_usage":true }}"#),
        (#"{"stream_options":{"include_obfuscation":false},"stream":true}"#, #"{"stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true}"#),
        (#"{"stream":true,"stream_options":null}"#, #"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (#"{"stream":true,"stream_options":{"include_usage":false}}"#, #"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (#"{"stream":false,"stream":true}"#, #"{"stream":false,"stream_options":{"include_usage":true},"stream":true}"#),
        (#"{"messages":[{"content":"\"stream_options\":{\"include_usage\":true}"}],"stream":true}"#, #"{"messages":[{"content":"\"stream_options\":{\"include_usage\":true}"}],"stream_options":{"include_usage":true},"stream":true}"#),
    ])
    func `a stream whose client has not asked is asked for`(_ body: String, _ expected: String) {
        #expect(edited(body) == expected)
        #expect(edited(body, .azureOpenAI, path: "/openai/deployments/d/chat/completions") == expected)
        #expect(edited(body, path: "/v1/completions") == expected)
    }

    @Test(arguments: [
        #"{"stream":true,"stream_options":{"include_usage":true}}"#, #"{"stream":true,"stream_options":{"include_usage":"yes"}}"#, #"{"stream":true,"stream_options":7}"#,
        #"{"stream":true,"stream_options":[]}"#, #"{"stream":false}"#, #"{"model":"m"}"#, #"{"stream":"true"}"#, #"{"stream":true"#, #"{"stream":true,}"#, #"{"stream":true"stream_options":{}}"#, "", "[]",
        #"{"str\u0065am":true,"stream":true}"#, #"{"stream":true,"stream\u005foptions":{"include_usage":true}}"#, "--boundary\r\n",
    ])
    func `a request that asks itself, wants no stream or cannot be read stays as it is`(_ body: String) { #expect(asked(body) == nil) }

    @Test(arguments: [(APIFormat.openAICompatible, "/v1/responses"), (.openAICompatible, "/v2/chat"), (.anthropicNative, "/v1/messages"), (.geminiNative, "/v1beta/openai/chat/completions"), (.generic, "/v1/chat/completions")])
    func `other calls and dialects are not edited`(_ format: APIFormat, _ path: String) { #expect(asked(#"{"stream":true}"#, format, path: path) == nil) }

    @Test func `the edit and the removal of a credential never begin at the same place`() {
        for body in [#"{"api_key":"k","stream":true}"#, #"{"stream":true,"api_key":"k"}"#, #"{"api_key":"k","api_key":"l","stream":true,"api_key":"m","stream_options":{"a":1},"api_key":"n"}"#] {
            let octets = Array(body.utf8)
            let path = Array("/v1/chat/completions".utf8)
            let facts = unsafe OpenAIAdapter().facts(path: path.span.bytes, contentType: nil, body: octets.span.bytes)
            guard let edit = asked(body)?.edit else {
                Issue.record("no edit of \(body)")
                continue
            }
            for credential in facts.bodyCredentials {
                #expect(credential.removal.lowerBound != edit.range.lowerBound)
                #expect(!credential.removal.overlaps(edit.range))
            }
            var result = octets
            let edits = facts.bodyCredentials.map { BodyEdit(range: $0.removal, octets: []) } + [edit]
            for edit in edits.sorted(by: { $0.range.lowerBound > $1.range.lowerBound }) { result.replaceSubrange(edit.range, with: edit.octets) }
            let left = unsafe OpenAIAdapter().facts(path: path.span.bytes, contentType: nil, body: result.span.bytes)
            #expect(left.wantsStream)
            #expect(left.bodyCredentials.isEmpty)
            #expect(asked(String(decoding: result, as: UTF8.self)) == nil)
        }
    }

    // MARK: - The answer

    private func editor() -> any StreamEditor {
        guard let asked = asked(#"{"stream":true}"#) else { preconditionFailure("a stream is asked for") }
        return asked.editor
    }

    private func passed(_ pieces: [[UInt8]]) -> [UInt8] {
        let editor = editor()
        var out: [UInt8] = []
        func take(_ span: RawSpan) { unsafe span.withUnsafeBytes { unsafe out.append(contentsOf: $0) } }
        for piece in pieces { unsafe editor.edit(piece.span.bytes, emit: take) }
        editor.finish(emit: take)
        return out
    }

    private static let chunk = #"data: {"id":"c","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}}"#

    /// A stream before and behind the extra chunk.
    private static let around: [(String, String)] = [
        ("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n", "data: [DONE]\n\n"),
        (": OPENROUTER PROCESSING\n\ndata: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n", ": the end\n\ndata: [DONE]\n\n"),
        ("\u{FEFF}data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\"}}]}\n\n\n\n", "\n\n: x\n\ndata: [DONE]"),
        ("data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n", ""),
        ("event: x\ndata: {\"usage\":{\"choices\":[]}}\n\n", "data: {\"choices\":[ 1 ],\"usage\":{}}\n\n"),
        ("", "data: [DONE]\n\n"),
    ]

    @Test(arguments: around, ["\n", "\r\n", "\r"])
    func `the extra chunk is taken out and nothing else, however the stream is cut`(_ around: (String, String), _ lineEnd: String) {
        let before = Array(around.0.replacing("\n", with: lineEnd).utf8)
        let after = Array(around.1.replacing("\n", with: lineEnd).utf8)
        let octets = before + Array((StreamUsageTests.chunk + "\n\n").replacing("\n", with: lineEnd).utf8) + after
        #expect(passed([octets]) == before + after)
        for cut in 0...octets.count {
            if passed([Array(octets[..<cut]), Array(octets[cut...])]) != before + after { Issue.record("cut at \(cut)") }
        }
        #expect(passed(octets.map { [$0] }) == before + after)
    }

    @Test(arguments: RecordedUsage.all.filter { $0.media == .eventStream && !$0.body.contains("\"choices\":[],") })
    func `a stream without the extra chunk passes octet by octet`(_ recorded: RecordedUsage) {
        let octets = Array(recorded.body.utf8)
        #expect(passed([octets]) == octets)
        #expect(passed(octets.map { [$0] }) == octets)
    }

    @Test func `whole events pass in one piece, where they lie`() {
        let editor = editor()
        let octets = Array("data: {\"choices\":[{}],\"usage\":null}\n\ndata: {\"choices\":[{}]}\n\n: x\n\n".utf8)
        var counts: [Int] = []
        unsafe editor.edit(octets.span.bytes) { counts.append($0.byteCount) }
        #expect(counts == [octets.count])
    }

    @Test func `an event is held until its end, and no longer`() {
        let editor = editor()
        var out: [UInt8] = []
        func feed(_ text: String) -> String {
            out = []
            unsafe editor.edit(Array(text.utf8).span.bytes) { unsafe $0.withUnsafeBytes { unsafe out.append(contentsOf: $0) } }
            return String(decoding: out, as: UTF8.self)
        }
        #expect(feed("data: a\n\ndata: b") == "data: a\n\n")
        #expect(feed("c\n") == "")
        #expect(feed("\ndata: d\n\n") == "data: bc\n\ndata: d\n\n")
    }

    @Test func `an event of more than 64 KiB passes, and the next ones are looked at again`() {
        let long = Array("data: {\"choices\":[],\"x\":\"\(String(repeating: "x", count: 70_000))\",\"usage\":{}}\n\n".utf8)
        let octets = long + Array("\(StreamUsageTests.chunk)\n\ndata: [DONE]\n\n".utf8)
        let pieces = stride(from: 0, to: octets.count, by: 16_384).map { Array(octets[$0..<min($0 + 16_384, octets.count)]) }
        #expect(passed(pieces) == long + Array("data: [DONE]\n\n".utf8))
    }

    @Test func `a stream that ends inside an event loses nothing`() {
        let octets = Array("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n".utf8)
        #expect(passed([octets]) == octets)
    }

    @Test func `random streams lose nothing but extra chunks, however they are cut`() {
        var random = SplitMix(seed: 11)
        let seed = Array("data: {\"choices\":[{}]}\r\n\r\n\(StreamUsageTests.chunk)\n\n: c\r\rdata: [DONE]\n\n".utf8)
        for _ in 0..<1500 {
            let octets = random.damaged(seed)
            let whole = passed([octets])
            if whole != passed(octets.map { [$0] }) { Issue.record("\(String(decoding: octets, as: UTF8.self))") }
            let cut = Int.random(in: 0...octets.count, using: &random)
            #expect(passed([Array(octets[..<cut]), Array(octets[cut...])]) == whole)
        }
    }
}
