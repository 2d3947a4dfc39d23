// SPDX-License-Identifier: MIT

public import RotatorCore

/// OpenAI's dialect as Azure serves it, where the model is a deployment: in the path (`/openai/deployments/D/…`), or in the body under
/// `/openai/v1/` (learn.microsoft.com/azure/ai-services/openai/reference).
public struct AzureOpenAIAdapter: RuledAdapter {
    /// The dialect.
    public init() {}

    public var format: APIFormat { .azureOpenAI }
    public var credential: CredentialPlacement { CredentialPlacement(.header, name: "api-key") }
    public var defaultFields: [HeaderField] { [] }
    public var readsCredentialFromBody: Bool { true }

    public func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts {
        var facts = RequestFacts.inBody(body, contentType: contentType, readingCredentials: true)
        // On the old path a `model` in the body decides nothing.
        if let segment = path.segment(behind: "deployments") { facts.model = path.model(segment) }
        return facts
    }

    public var table: ProviderRules { .azureOpenAI }

    public func quota(in fields: HeaderFields, at now: Moment) -> QuotaReading? { QuotaFields.reading(in: fields, at: now) }

    public func quotaGroup(in fields: HeaderFields) -> String? { QuotaFields.group(in: fields) }

    public func meter(path: RawSpan, form: AnswerForm) -> (any UsageMeter)? {
        path.isOpenAIGeneration ? UsageDialect.openAI.meter(for: form) : nil
    }

    public func openingJudge(path: RawSpan, form: AnswerForm) -> (any StreamOpeningJudge)? {
        path.isOpenAIGeneration ? OpeningDialect.openAI.judge(for: form) : nil
    }

    public func streamUsage(path: RawSpan, body: RawSpan) -> (edit: BodyEdit, editor: any StreamEditor)? {
        UsageRequest.edit(path: path, body: body).map { ($0, UsageChunkEditor()) }
    }

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

    public func body(for error: ProxyError) -> ErrorBody { ErrorDialect.openAI.body(for: error) }

    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] { ErrorDialect.openAI.fields(for: refusal, at: now) }
}

extension Adapter where Self == AzureOpenAIAdapter {
    /// `azure_openai`.
    public static var azureOpenAI: AzureOpenAIAdapter { AzureOpenAIAdapter() }
}
