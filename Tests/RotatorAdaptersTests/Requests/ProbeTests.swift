// SPDX-License-Identifier: MIT

import RotatorAdapters
import RotatorCore
import Testing

@Suite("Probes") struct ProbeTests {
    @Test(arguments: [
        (APIFormat.openAICompatible, "https://api.openai.com/v1", "/models"), (.openAICompatible, "https://api.openai.com", "/v1/models"),
        (.openAICompatible, "https://generativelanguage.googleapis.com/v1beta/openai/", "/models"),
        (.openAICompatible, "https://api.groq.com/openai/v1", "/models"), (.openAICompatible, "https://openrouter.ai/api/v1", "/key"),
        (.openAICompatible, "https://openrouter.ai/api", "/v1/key"), (.anthropicNative, "https://api.anthropic.com", "/v1/models?limit=1"),
        (.anthropicNative, "https://api.anthropic.com/v1", "/models?limit=1"),
        (.geminiNative, "https://generativelanguage.googleapis.com", "/v1beta/models?pageSize=1"),
        (.geminiNative, "https://generativelanguage.googleapis.com/v1beta", "/models?pageSize=1"),
        (.azureOpenAI, "https://r.openai.azure.com/openai/v1/", "/models"),
        (.azureOpenAI, "https://r.openai.azure.com/openai", "/models?api-version=2024-10-21"),
        (.azureOpenAI, "https://r.openai.azure.com", "/openai/models?api-version=2024-10-21"), (.generic, "https://api.example.com/weather", ""),
    ])
    func `each dialect knows a cheap call that a bad key is refused`(_ format: APIFormat, _ base: String, _ path: String) throws {
        let target = try #require(UpstreamTarget(base))
        #expect(AdapterRegistry.builtIn[format].probe(of: target) == ProbeRequest(path: path))
    }

    @Test func `a base that names an Azure deployment has no cheap call`() throws {
        let target = try #require(UpstreamTarget("https://r.openai.azure.com/openai/deployments/d"))
        #expect(AdapterRegistry.builtIn[.azureOpenAI].probe(of: target) == nil)
    }
}
