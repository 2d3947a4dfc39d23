// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorStore

@Suite("Service document") struct ServiceDocumentTests {
    @Test func `members that an older document lacks take their defaults`() {
        let read = ServiceDocument.decode(
            #"{"name":"One","config_type":"LLM","api_format":"gemini_native","target_url":"https://upstream.example"}"#, slug: "one", headers: Array("{}".utf8))
        #expect(read == ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .geminiNative, targetURL: "https://upstream.example"))
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"name":"One","config_type":"FAX","api_format":"generic","target_url":"x"}"#,
        #"{"name":"One","config_type":"LLM","api_format":"generic","target_url":"x","rotation_strategy":"astrology"}"#,
        #"{"name":"One","config_type":"LLM","api_format":"generic","target_url":"x","api_key_location":"body"}"#,
    ])
    func `a document that this version did not write is not guessed at`(_ document: String) {
        #expect(ServiceDocument.decode(document, slug: "one", headers: Array("{}".utf8)) == nil)
    }

    @Test func `rules are kept to the octet`() {
        var configuration = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .generic, targetURL: "https://upstream.example")
        configuration.rules = Array(#"[{"statuses":[418],"conditions":[{"says":["天气 \"/\\"]}],"verdict":"success","reason":"tea"}]"#.utf8)
        #expect(ServiceDocument.decode(ServiceDocument.encode(configuration), slug: "one", headers: Array("{}".utf8)) == configuration)
    }

    @Test func `extra headers stand beside the document, because they are sealed`() {
        var configuration = ServiceConfiguration(name: "One", slug: "one", kind: .llm, apiFormat: .generic, targetURL: "https://upstream.example")
        configuration.extraHeaders = ["X-Token": "canary"]
        #expect(!ServiceDocument.encode(configuration).contains("canary"))
        #expect(ServiceDocument.decode(ServiceDocument.encode(configuration), slug: "one", headers: ServiceDocument.encodeHeaders(configuration)) == configuration)
    }
}
