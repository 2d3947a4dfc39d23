// SPDX-License-Identifier: MIT

internal import Foundation
internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("What a request says of itself") struct RequestFactsTests {
    private func read(_ body: String, as format: APIFormat = .openAICompatible, path: String = "/v1/chat/completions", type: String? = "application/json") -> RequestFacts {
        read(Array(body.utf8), as: format, path: path, type: type)
    }

    private func read(_ body: [UInt8], as format: APIFormat = .openAICompatible, path: String = "/v1/chat/completions", type: String? = "application/json") -> RequestFacts {
        let path = Array(path.utf8)
        return unsafe AdapterRegistry.builtIn[format].facts(path: path.span.bytes, contentType: type, body: body.span.bytes)
    }

    @Test(arguments: [
        #"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"stream":true}"#,
        "\u{FEFF} \r\n\t{ \"model\" : \"gpt-4o\" , \"stream\" : true }",
        #"{"messages":[{"model":"nested","stream":false,"content":"\"model\":\"quoted\" }{]["}],"stream":true,"model":"gpt-4o"}"#,
        #"{"model":"first","stream":false,"model":"gpt-4o","stream":true}"#,
        #"{"mod\u0065l":"gpt\u002d4o","str\u0065am":true}"#,
        #"{"a":[[[{"b":[]}]]],"n":-1.5e9,"t":true,"x":null,"model":"gpt-4o","stream":true,"input":[1,2,3,[4,5],6666666666666666666]}"#,
        // Cut off: what stands before the end counts.
        #"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"and th"#,
        #"{"model":"gpt-4o","stream":true,"n":1"#,
    ])
    func `model and stream are found at the top level alone`(_ body: String) {
        let facts = read(body)
        #expect(facts.model == "gpt-4o")
        #expect(facts.wantsStream)
        #expect(facts.bodyCredentials.isEmpty)
    }

    @Test(arguments: [
        "", " ", "{", "[]", #"["model","gpt-4o"]"#, #"{"model":7}"#, #"{"model":"gpt-4o","model":null}"#, #"{"model":""}"#, #"{"Model":"gpt-4o"}"#, #"{model:"gpt-4o"}"#,
        #"{"model" "gpt-4o"}"#, #"{"model":"gpt-4o" "stream":true}"#, #"{"model":"gpt-4o",}"#, #"{"model":"gpt-4o",,"stream":true}"#,
        #"{"model":"gpt-4"#, "{\"model\":\"" + String(repeating: "m", count: 513) + "\"}",
    ])
    func `what cannot be read gives no facts`(_ body: String) {
        #expect(read(body) == RequestFacts())
    }

    @Test(arguments: [nil, "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", ""] as [String?])
    func `JSON goes by several media types`(_ type: String?) { #expect(read(#"{"model":"m"}"#, type: type).model == "m") }

    @Test(arguments: ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/octet-stream", "json"])
    func `other media types say nothing`(_ type: String) { #expect(read(#"{"model":"m"}"#, type: type) == RequestFacts()) }

    @Test func `escapes in a model's name are decoded`() {
        #expect(read(#"{"model":"a\"b\\c\/d\u00e9\ud83d\ude00\n\ud800x"}"#).model == "a\"b\\c/d\u{E9}\u{1F600}\n\u{FFFD}x")
    }

    @Test func `a hundred thousand brackets cost nothing but their octets`() {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(read("{\"x\":\(deep),\"model\":\"m\"}").model == "m")
        #expect(read("{\"x\":\(String(repeating: "{\"a\":", count: 100_000))").model == nil)
    }

    // MARK: - Credentials

    @Test(arguments: [
        (#"{"api_key":"K"}"#, ["K"], #"{}"#),
        (#"{"api_key":"K","model":"m"}"#, ["K"], #"{"model":"m"}"#),
        (#"{"model":"m","api_key":"K"}"#, ["K"], #"{"model":"m"}"#),
        (#"{"model":"m","api_key":"K","n":1}"#, ["K"], #"{"model":"m","n":1}"#),
        (#"{ "model" : "m" , "api_key" : "K" , "n" : 1 }"#, ["K"], #"{ "model" : "m"  , "n" : 1 }"#),
        (#"{"api\u005fkey":"K\u0031","model":"m"}"#, ["K1"], #"{"model":"m"}"#),
        (#"{"api_key":"A","api_key":"B","api_key":"C"}"#, ["A", "B", "C"], #"{}"#),
        (#"{"api_key":"A","api_key":"B","model":"m","api_key":"C"}"#, ["A", "B", "C"], #"{"model":"m"}"#),
        (#"{"model":"m","api_key":"A","api_key":"B"}"#, ["A", "B"], #"{"model":"m"}"#),
        (#"{"api_key":null,"api_key":"B"}"#, ["B"], #"{"api_key":null}"#),
        (#"{"x":{"api_key":"nested"},"api_key":"B"}"#, ["B"], #"{"x":{"api_key":"nested"}}"#),
    ])
    func `credentials are listed so that removing them leaves valid JSON`(_ body: String, _ values: [String], _ rest: String) throws {
        let octets = Array(body.utf8)
        for format in [APIFormat.openAICompatible, .azureOpenAI] {
            let credentials = read(octets, as: format).bodyCredentials
            #expect(credentials.map(\.value) == values)
            var remaining = octets
            for credential in credentials.reversed() { remaining.removeSubrange(credential.removal) }
            #expect(String(decoding: remaining, as: UTF8.self) == rest)
            _ = try JSONSerialization.jsonObject(with: Data(remaining))
        }
        for format in [APIFormat.anthropicNative, .geminiNative, .generic] { #expect(read(octets, as: format).bodyCredentials.isEmpty) }
    }

    @Test func `random objects stay valid without their credentials`() throws {
        var random = SplitMix(seed: 11)
        let pieces = [#""api_key":"K""#, #" "api_key" : "L\u0041" "#, #""model":"m""#, #""x":[{"api_key":"no"},"}"]"#, #""api_key":7"#, #""ap\u0069_key":"M""#]
        for _ in 0..<2000 {
            let members = (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces[Int.random(in: pieces.indices, using: &random)] }
            let octets = Array("{\(members.joined(separator: ","))}".utf8)
            let credentials = read(octets).bodyCredentials
            var remaining = octets
            var end = octets.count
            for credential in credentials.reversed() {
                #expect(credential.removal.upperBound <= end)
                end = credential.removal.lowerBound
                remaining.removeSubrange(credential.removal)
            }
            let object = try #require(try JSONSerialization.jsonObject(with: Data(remaining)) as? [String: Any])
            #expect(!(object["api_key"] is String))
        }
    }

    @Test func `more credentials than anybody sends give no facts`() {
        let many = "{\(Array(repeating: #""api_key":"K""#, count: 65).joined(separator: ","))}"
        #expect(read(many) == RequestFacts())
    }

    // MARK: - Paths

    @Test(arguments: [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash", false), ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash", true),
        ("/models/a%2Fb%3AcountTokens", "a/b", false), ("/v1/projects/p/locations/l/publishers/google/models/m%2:predict", "m%2", false), ("/v1beta/models/m", "m", false),
        ("/v1beta/tunedModels/t-1:generateContent", "t-1", false),
    ])
    func `Gemini's path names the model`(_ path: String, _ model: String, _ wantsStream: Bool) {
        let facts = read(#"{"model":"other","contents":[]}"#, as: .geminiNative, path: path)
        #expect(facts.model == model)
        #expect(facts.wantsStream == wantsStream)
    }

    @Test(arguments: ["/v1beta/models", "/v1beta/models/", "/v1beta/models/:generateContent"])
    func `a path without a model's name names none`(_ path: String) { #expect(read("{}", as: .geminiNative, path: path).model == nil) }

    @Test func `where Gemini's path names none the body does`() {
        let facts = read(#"{"model":"models/gemini-2.5-pro","stream":true}"#, as: .geminiNative, path: "/v1beta/openai/chat/completions")
        #expect(facts.model == "gemini-2.5-pro")
        #expect(facts.wantsStream)
    }

    @Test func `Azure's deployment stands in the path or in the body`() {
        let body = #"{"model":"gpt-4o","stream":true}"#
        #expect(read(body, as: .azureOpenAI, path: "/openai/deployments/my%20dep/chat/completions").model == "my dep")
        #expect(read(body, as: .azureOpenAI, path: "/openai/deployments/d/chat/completions").wantsStream)
        #expect(read(body, as: .azureOpenAI, path: "/openai/v1/chat/completions").model == "gpt-4o")
    }

    @Test func `Bedrock's path names the model`() {
        #expect(read(#"{"messages":[]}"#, path: "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse").model == "anthropic.claude-3-5-sonnet-20241022-v2:0")
    }

    // MARK: - Forms

    private static let form = [
        "--X-7", "Content-Disposition: form-data; name=\"file\"; filename=\"model.mp3\"", "Content-Type: audio/mpeg", "", "\u{0}\r--X-\r\nname=\"model\"\r\n\r\nno", "--X-7",
        "content-disposition: form-data; NAME=\"model\"", "", "whisper-1", "--X-7", "Content-Disposition: form-data; name=stream", "", "true", "--X-7--", "",
    ].joined(separator: "\r\n")

    @Test(arguments: ["multipart/form-data; boundary=X-7", "Multipart/Form-Data;charset=utf-8; Boundary=\"X-7\""])
    func `a form's model field is found`(_ type: String) {
        let facts = read(RequestFactsTests.form, path: "/v1/audio/transcriptions", type: type)
        #expect(facts.model == "whisper-1")
        #expect(facts.wantsStream)
    }

    @Test func `a form may have a preamble, or be cut anywhere`() {
        let type = "multipart/form-data; boundary=X-7"
        #expect(read("hello\r\n" + RequestFactsTests.form, type: type).model == "whisper-1")
        #expect(read(RequestFactsTests.form, type: "multipart/form-data; boundary=Y").model == nil)
        let octets = Array(RequestFactsTests.form.utf8)
        for end in 0...octets.count {
            let model = read(Array(octets[..<end]), type: type).model
            #expect(model == nil || model == "whisper-1")
        }
    }

    // MARK: - Damage

    @Test func `no octets trap`() {
        var random = SplitMix(seed: 5)
        let bodies = [
            #"{"model":"gpt-4o","api_key":"K\u0041","messages":[{"role":"user","content":"h\"i"}],"stream":true,"n":[1,2,{"a":null}]}"#, RequestFactsTests.form,
        ]
        let paths = ["/v1beta/models/gemini%2D2.5:streamGenerateContent", "/openai/deployments/my%20dep/chat", "/model/x%3A0/converse", "//"]
        for format in APIFormat.allCases {
            for body in bodies {
                for path in paths {
                    for type in ["application/json", "multipart/form-data; boundary=X-7"] {
                        for _ in 0..<100 {
                            let damagedBody = random.damaged(Array(body.utf8))
                            let damagedPath = random.damaged(Array(path.utf8))
                            let damagedType = String(decoding: random.damaged(Array(type.utf8)), as: UTF8.self)
                            for type in [type, damagedType] {
                                let facts = unsafe AdapterRegistry.builtIn[format].facts(path: damagedPath.span.bytes, contentType: type, body: damagedBody.span.bytes)
                                for credential in facts.bodyCredentials where credential.removal.upperBound > damagedBody.count { Issue.record("\(damagedBody)") }
                            }
                        }
                    }
                }
            }
        }
    }

    @Test func `a body cut at any octet never says what the whole does not`() {
        let octets = Array(#"{"model":"gpt-4o","api_key":"K","stream":true,"x":{"y":[1,"z"]},"api_key":"L"}"#.utf8)
        for end in 0...octets.count {
            let facts = read(Array(octets[..<end]))
            #expect(facts.model == nil || facts.model == "gpt-4o")
            #expect(["K", "L"].starts(with: facts.bodyCredentials.map(\.value)))
        }
    }
}
