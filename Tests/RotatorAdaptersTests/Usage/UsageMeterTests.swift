// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("Usage of answers") struct UsageMeterTests {
    private func meter(
        _ format: APIFormat = .openAICompatible, _ path: String = "/v1/chat/completions", _ media: AnswerForm.Media = .json, _ coding: AnswerForm.Coding = .identity, length: Int? = nil
    ) -> (any UsageMeter)? {
        let path = Array(path.utf8)
        return unsafe AdapterRegistry.builtIn[format].meter(path: path.span.bytes, form: AnswerForm(media: media, coding: coding, length: length))
    }

    private func usage(_ pieces: [[UInt8]], _ meter: (any UsageMeter)?) -> TokenUsage? {
        for piece in pieces { unsafe meter?.watch(piece.span.bytes) }
        return meter?.usage
    }

    private func usage(_ body: String, _ media: AnswerForm.Media = .json) -> TokenUsage? { usage([Array(body.utf8)], meter(.openAICompatible, "/v1/chat/completions", media)) }

    private func usage(of recorded: RecordedUsage, in pieces: [[UInt8]]) -> TokenUsage? { usage(pieces, meter(recorded.format, recorded.path, recorded.media)) }

    // MARK: - Recorded bodies

    @Test(arguments: RecordedUsage.all)
    func `a recorded body tells its tokens`(_ recorded: RecordedUsage) {
        let body = Array(recorded.body.utf8)
        #expect(usage(of: recorded, in: [body]) == recorded.usage)
        #expect(usage([body], meter(recorded.format, recorded.path, recorded.media, length: body.count)) == recorded.usage)
    }

    @Test(arguments: RecordedUsage.all)
    func `a recorded body cut at every octet tells the same`(_ recorded: RecordedUsage) {
        let octets = Array(recorded.body.utf8)
        for cut in 0...octets.count {
            let told = usage(of: recorded, in: [Array(octets[..<cut]), Array(octets[cut...])])
            if told != recorded.usage { Issue.record("cut at \(cut): \(String(describing: told))") }
        }
        #expect(usage(of: recorded, in: octets.map { [$0] }) == recorded.usage)
        for size in [2, 7, 64] {
            let pieces = stride(from: 0, to: octets.count, by: size).map { Array(octets[$0..<min($0 + size, octets.count)]) }
            #expect(usage(of: recorded, in: pieces) == recorded.usage)
        }
    }

    @Test(arguments: RecordedUsage.all.filter { $0.media == .eventStream })
    func `a stream tells the same with other line ends, behind a byte order mark, and with comments between`(_ recorded: RecordedUsage) {
        let lines = recorded.body.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        for end in ["\n", "\r\n", "\r"] {
            let body = "\u{FEFF}" + lines.replacing("\n\n", with: "\n: usage \"usage\":{\n\n").replacing("\n", with: end)
            #expect(usage(of: recorded, in: [Array(body.utf8)]) == recorded.usage)
            #expect(usage(of: recorded, in: body.utf8.map { [$0] }) == recorded.usage)
        }
    }

    // MARK: - What counts

    @Test(arguments: [
        #"{"usage":null}"#, #"{"usage":{}}"#, #"{"usage":7}"#, #"{"usage":"{\"prompt_tokens\":1}"}"#, #"{"usage":[{"prompt_tokens":1}]}"#, "", "{", "null", "[]", "\"usage\"",
        #"{"a":{"usage":{"prompt_tokens":1}}}"#, #"{"a":[{"usage":{"prompt_tokens":1}}]}"#, #"{"a":"\"","b":"\\\"usage\":{\"prompt_tokens\":1}"}"#,
        #"{"usage":{"prompt_tokens":-1,"completion_tokens":1.5}}"#, #"{"usage":{"prompt_tokens":1e3,"completion_tokens":"12"}}"#,
        #"{"usage":{"prompt_tokens":99999999999999999999999999,"completion_tokens":1000000000001}}"#, #"{"usage":{"prompt_tokens":true,"completion_tokens":{}}}"#,
        #"{"message":{"usage":{"prompt_tokens":1}}}"#, #"{"response":{"x":{"usage":{"prompt_tokens":1}}}}"#, #"{"response":[{"usage":{"prompt_tokens":1}}]}"#,
        #"{"Usage":{"prompt_tokens":1}}"#, #"{"usage_":{"prompt_tokens":1}}"#, #"{"usage\u0020":{"prompt_tokens":1}}"#, #"{"xusage":{"prompt_tokens":1}}"#,
        #"{"usage":{"type":"duration","seconds":12.5}}"#, #"}}}]]{"#, #"{"usage" {"#,
    ])
    func `what says no tokens is unknown, not zero`(_ body: String) {
        #expect(usage(body) == nil)
        #expect(usage([Array(body.utf8)], meter(length: body.utf8.count)) == nil)
        #expect(usage(body.utf8.map { [$0] }, meter()) == nil)
        #expect(usage("data: \(body)\n\n", .eventStream) == nil)
    }

    @Test func `a member that cannot be read counts as not said`() {
        #expect(usage(#"{"usage":{"prompt_tokens":5,"completion_tokens":-3,"prompt_tokens_details":{"cached_tokens":1.5}}}"#) == TokenUsage(input: 5))
    }

    @Test func `zero is said`() { #expect(usage(#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#) == TokenUsage()) }

    @Test func `a part is never more than the whole`() {
        let told = usage(#"{"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":9},"completion_tokens_details":{"reasoning_tokens":9}}}"#)
        #expect(told == TokenUsage(input: 5, output: 3, cachedInput: 5, reasoning: 3))
    }

    @Test func `a total alone is what was read`() { #expect(usage(#"{"data":[],"usage":{"total_tokens":11}}"#) == TokenUsage(input: 11)) }

    @Test func `what is said later counts, and nothing takes it back`() {
        let body = #"{"usage":{"prompt_tokens":1}}{"usage":{"prompt_tokens":2}}{"usage":null}{"usage":{"prompt_tokens":-1}}"#
        #expect(usage(body) == TokenUsage(input: 2))
    }

    @Test func `a hundred thousand brackets cost nothing but their octets`() {
        let deep = String(repeating: "[{\"usage\":", count: 100_000)
        #expect(usage("{\"a\":\(deep)1\(String(repeating: "}]", count: 100_000)),\"usage\":{\"prompt_tokens\":3}}") == TokenUsage(input: 3))
        #expect(usage("{\"usage\":{\"a\":\(deep)") == nil)
    }

    @Test func `a usage object of more than 4 KiB says nothing, whole or cut`() {
        func body(_ padding: Int) -> [UInt8] { Array("{\"usage\":{\"prompt_tokens\":3,\"x\":\"\(String(repeating: "x", count: padding))\"},\"y\":1}".utf8) }
        let frame = 26
        for (padding, expected) in [(4096 - frame, TokenUsage(input: 3)), (4097 - frame, nil)] as [(Int, TokenUsage?)] {
            let octets = body(padding)
            #expect(usage([octets], meter()) == expected)
            #expect(usage([Array(octets[..<40]), Array(octets[40...])], meter()) == expected)
        }
    }

    @Test func `a picture of four mebibytes is passed over, unary and in an event`() {
        let picture = String(repeating: "iVBORw0KGgoAAAANSUhEUgAA", count: 174_763)
        let body = Array("{\"data\":[{\"b64_json\":\"\(picture)\"}],\"usage\":{\"input_tokens\":50,\"output_tokens\":4160}}".utf8)
        let pieces = stride(from: 0, to: body.count, by: 65_536).map { Array(body[$0..<min($0 + 65_536, body.count)]) }
        #expect(usage(pieces, meter(.openAICompatible, "/v1/images/generations")) == TokenUsage(input: 50, output: 4160))
        let event = [Array("event: image_generation.completed\ndata: ".utf8)] + pieces + [Array("\n\n".utf8)]
        #expect(usage(event, meter(.openAICompatible, "/v1/images/generations", .eventStream)) == TokenUsage(input: 50, output: 4160))
    }

    @Test func `data over several lines is one text`() {
        #expect(usage("data: {\"usage\":{\"prompt_tokens\":\ndata: 12\ndata: }\ndata: }\n\n", .eventStream) == TokenUsage(input: 12))
        // Joined by a line feed, these are two numbers, never a twelve.
        #expect(usage("data: {\"usage\":{\"prompt_tokens\":1\ndata:2}}\n\n", .eventStream) == TokenUsage(input: 1))
    }

    @Test func `an event that ends early says nothing of the next`() {
        #expect(usage("data: {\"usage\":{\"prompt_tokens\":1\n\ndata: 2}}\n\n", .eventStream) == nil)
        #expect(usage("data: {\"a\":\"\n\ndata: {\"usage\":{\"prompt_tokens\":2}}\n\n", .eventStream) == TokenUsage(input: 2))
    }

    @Test func `other fields of an event are not data`() {
        #expect(usage("id: {\"usage\":{\"prompt_tokens\":1}}\n\ndat: {\"usage\":{\"prompt_tokens\":1}}\n\n: {\"usage\":{\"prompt_tokens\":1}}\n\n", .eventStream) == nil)
        #expect(usage("data:{\"usage\":{\"prompt_tokens\":1}}\n\n", .eventStream) == TokenUsage(input: 1))
    }

    // MARK: - Bodies of known length

    @Test(arguments: [APIFormat.openAICompatible, .anthropicNative, .geminiNative])
    func `a body that comes at once says the same as one in pieces, wherever it speaks of usage`(_ format: APIFormat) {
        let path = format == .geminiNative ? "/v1beta/models/m:generateContent" : format == .anthropicNative ? "/v1/messages" : "/v1/chat/completions"
        var random = SplitMix(seed: 6)
        var told = 0
        for _ in 0..<3_000 {
            let body = Array(random.document().utf8)
            let atOnce = usage([body], meter(format, path, length: body.count))
            let inPieces = usage([Array(body[..<(body.count / 2)]), Array(body[(body.count / 2)...])], meter(format, path, length: body.count))
            if atOnce != inPieces { Issue.record("\(String(decoding: body, as: UTF8.self)): \(String(describing: atOnce)), \(String(describing: inPieces))") }
            if atOnce != nil { told += 1 }
        }
        #expect(told > 100, "many of the documents say something")
    }

    @Test func `the length is the whole body's: a first piece that looks whole is not taken for it`() {
        let body = Array(#"{"a":{"usage":{"prompt_tokens":1}} ,"usage":{"prompt_tokens":2}}"#.utf8)
        let cut = body.firstIndex(of: 0x2C)!
        #expect(usage([Array(body[..<cut]), Array(body[cut...])], meter(length: body.count)) == TokenUsage(input: 2))
    }

    // MARK: - Where there is a meter

    @Test(arguments: [
        (APIFormat.openAICompatible, "/v1/models"), (.openAICompatible, "/v1/files/f/content"), (.openAICompatible, "/v1/responses/resp_1"), (.openAICompatible, "/v1/chat/completions/c1"),
        (.openAICompatible, ""), (.anthropicNative, "/v1/messages/count_tokens"), (.anthropicNative, "/v1/messages/batches"), (.anthropicNative, "/v1/models"),
        (.geminiNative, "/v1beta/models/m:countTokens"), (.geminiNative, "/v1beta/models"), (.geminiNative, "/v1beta/models/generateContent"), (.azureOpenAI, "/openai/models"),
        (.generic, "/v1/chat/completions"),
    ] as [(APIFormat, String)])
    func `nothing is counted where nothing is made`(_ format: APIFormat, _ path: String) {
        #expect(meter(format, path) == nil)
        #expect(meter(format, path, .eventStream) == nil)
    }

    @Test func `nothing is counted in a body that cannot be read`() {
        #expect(meter(.openAICompatible, "/v1/audio/speech", .other) == nil)
        #expect(meter(.openAICompatible, "/v1/chat/completions", .json, .unknown) == nil)
    }

    @Test(arguments: ["/v1/chat/completions/", "/v1/fim/completions", "/completions", "completions", "/v1/responses", "/v1/responses/compact", "/v2/chat"])
    func `a call is known by its last segment`(_ path: String) { #expect(meter(.openAICompatible, path) != nil) }

    // MARK: - Content codings

    private static let compressed = TokenUsage(input: 19, output: 10, cachedInput: 8, reasoning: 4)

    @Test(arguments: [
        (CompressedUsage.gzip, AnswerForm.Coding.gzip, AnswerForm.Media.json), (CompressedUsage.deflate, .deflate, .json), (CompressedUsage.rawDeflate, .deflate, .json),
        (CompressedUsage.gzipStream, .gzip, .eventStream),
    ])
    func `a compressed body cut at every octet tells its tokens`(_ octets: [UInt8], _ coding: AnswerForm.Coding, _ media: AnswerForm.Media) {
        #expect(octets.count > 100)
        for cut in 0...octets.count {
            let told = usage([Array(octets[..<cut]), Array(octets[cut...])], meter(.openAICompatible, "/v1/chat/completions", media, coding))
            if told != UsageMeterTests.compressed { Issue.record("cut at \(cut): \(String(describing: told))") }
        }
        #expect(usage(octets.map { [$0] }, meter(.openAICompatible, "/v1/chat/completions", media, coding)) == UsageMeterTests.compressed)
    }

    @Test func `a compressed stream tells its tokens when they have come, not at its end`() {
        let meter = meter(.openAICompatible, "/v1/chat/completions", .eventStream, .gzip)
        // All but the last event's deflate block and the member's end.
        #expect(usage([Array(CompressedUsage.gzipStream.dropLast(30))], meter) == UsageMeterTests.compressed)
    }

    @Test func `gzip members that follow each other are one body`() {
        let body = CompressedUsage.mebibyteOfSpaces + CompressedUsage.gzip
        #expect(usage([body], meter(.openAICompatible, "/v1/chat/completions", .json, .gzip)) == UsageMeterTests.compressed)
    }

    @Test func `a compression bomb is given up`() {
        let meter = meter(.openAICompatible, "/v1/chat/completions", .json, .gzip)
        #expect(usage([[UInt8]](repeating: CompressedUsage.mebibyteOfSpaces, count: 4000) + [CompressedUsage.gzip], meter) == nil)
    }

    @Test func `what is damaged says nothing more`() {
        var damaged = CompressedUsage.gzip
        for index in 40..<60 { damaged[index] = ~damaged[index] }
        #expect(usage([damaged, CompressedUsage.gzip], meter(.openAICompatible, "/v1/chat/completions", .json, .gzip)) == nil)
        #expect(usage([Array("plain".utf8)], meter(.openAICompatible, "/v1/chat/completions", .json, .deflate)) == nil)
        #expect(usage([[]], meter(.openAICompatible, "/v1/chat/completions", .json, .gzip)) == nil)
    }

    // MARK: - Hostile input

    @Test(arguments: RecordedUsage.all)
    func `random damage never traps, and reads the same however it is cut`(_ recorded: RecordedUsage) {
        var random = SplitMix(seed: 4)
        let seed = Array(recorded.body.utf8)
        for _ in 0..<120 {
            let octets = random.damaged(seed)
            let whole = usage(of: recorded, in: [octets])
            let cut = Int.random(in: 0...octets.count, using: &random)
            if whole != usage(of: recorded, in: octets.map { [$0] }) || whole != usage(of: recorded, in: [Array(octets[..<cut]), Array(octets[cut...])]) {
                Issue.record("\(String(decoding: octets, as: UTF8.self))")
            }
            if let whole {
                #expect(whole.input >= 0 && whole.output >= 0)
                #expect(0...whole.input ~= whole.cachedInput && 0...whole.output ~= whole.reasoning)
            }
        }
    }

    @Test(arguments: [AnswerForm.Coding.gzip, .deflate])
    func `random damage under a content coding never traps`(_ coding: AnswerForm.Coding) {
        var random = SplitMix(seed: 5)
        for _ in 0..<300 {
            let octets = random.damaged(coding == .gzip ? CompressedUsage.gzipStream : CompressedUsage.deflate)
            _ = usage(octets.map { [$0] }, meter(.openAICompatible, "/v1/chat/completions", .eventStream, coding))
        }
    }
}
