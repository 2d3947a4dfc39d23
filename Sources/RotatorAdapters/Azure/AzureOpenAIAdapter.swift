// SPDX-License-Identifier: MIT

public import RotatorCore

/// OpenAI's dialect as Azure serves it, where the model is a deployment: in the path (`/openai/deployments/D/…`), or in the body under
/// `/openai/v1/` (learn.microsoft.com/azure/ai-services/openai/reference).
public struct AzureOpenAIAdapter: OpenAIFormatAdapter {
    /// The dialect.
    public init() {}

    public var format: APIFormat { .azureOpenAI }
    public var credential: CredentialPlacement { CredentialPlacement(.header, name: "api-key") }

    public func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts {
        var facts = RequestFacts.inBody(body, contentType: contentType, readingCredentials: true)
        // On the old path a `model` in the body decides nothing.
        if let segment = path.segment(behind: "deployments") { facts.model = path.model(segment) }
        return facts
    }

    public var table: ProviderRules { .azureOpenAI }

    public func conversation(path: RawSpan, body: RawSpan) -> UInt64? {
        Conversation.hash(path: path, model: path.segment(behind: "deployments"), body: body)
    }

    /// The list of models, which does not ask for a deployment. A base that names one has no cheap call below it.
    public func probe(of target: UpstreamTarget) -> ProbeRequest? {
        let segments = target.basePath.split(separator: 0x2F)
        if segments.contains(where: { $0.elementsEqual("deployments".utf8) }) { return nil }
        if target.namesVersion { return ProbeRequest(path: "/models") }
        let call = "/models?api-version=2024-10-21"
        return ProbeRequest(path: segments.last?.elementsEqual("openai".utf8) == true ? call : "/openai" + call)
    }
}

extension Adapter where Self == AzureOpenAIAdapter {
    /// `azure_openai`.
    public static var azureOpenAI: AzureOpenAIAdapter { AzureOpenAIAdapter() }
}
