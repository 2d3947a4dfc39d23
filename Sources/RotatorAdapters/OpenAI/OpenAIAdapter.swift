// SPDX-License-Identifier: MIT

public import RotatorCore

/// The dialect of OpenAI and of the many that speak it: OpenRouter, Mistral, DeepSeek, Groq, Cohere's compatibility API, Bedrock's API keys,
/// Gemini's OpenAI face (developers.openai.com/api/reference).
public struct OpenAIAdapter: OpenAIFormatAdapter {
    /// The dialect.
    public init() {}

    public var format: APIFormat { .openAICompatible }
    public var credential: CredentialPlacement { .bearer }

    public func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts {
        var facts = RequestFacts.inBody(body, contentType: contentType, readingCredentials: true)
        // Bedrock: /model/{id}/converse and its like.
        if facts.model == nil, let segment = path.segment(behind: "model") { facts.model = path.model(segment) }
        return facts
    }

    public var table: ProviderRules { .openAICompatible }

    public func conversation(path: RawSpan, body: RawSpan) -> UInt64? {
        Conversation.hash(path: path, model: path.segment(behind: "model"), body: body)
    }

    /// The list of models. OpenRouter shows that to anyone, and tells of the key itself elsewhere (openrouter.ai/docs/api-reference/limits).
    public func probe(of target: UpstreamTarget) -> ProbeRequest? {
        let call = target.host == "openrouter.ai" ? "/key" : "/models"
        return ProbeRequest(path: target.namesVersion ? call : "/v1" + call)
    }
}

extension Adapter where Self == OpenAIAdapter {
    /// `openai_compatible`.
    public static var openAICompatible: OpenAIAdapter { OpenAIAdapter() }
}
