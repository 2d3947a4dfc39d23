// SPDX-License-Identifier: MIT

public import RotatorCore

/// Anthropic's own dialect (docs.anthropic.com/en/api/overview).
public struct AnthropicAdapter: RuledAdapter {
    /// The dialect.
    public init() {}

    public var format: APIFormat { .anthropicNative }
    public var credential: CredentialPlacement { CredentialPlacement(.header, name: "x-api-key") }
    public var defaultFields: [HeaderField] { [HeaderField("anthropic-version", "2023-06-01")] }
    public var readsCredentialFromBody: Bool { false }

    public func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts {
        .inBody(body, contentType: contentType, readingCredentials: false)
    }

    public var table: ProviderRules { .anthropicNative }

    public func quota(in fields: HeaderFields, at now: Moment) -> QuotaReading? { QuotaFields.reading(in: fields, at: now) }

    public func quotaGroup(in fields: HeaderFields) -> String? { QuotaFields.group(in: fields) }

    public func meter(path: RawSpan, form: AnswerForm) -> (any UsageMeter)? {
        path.lastSegmentEquals("messages") ? UsageDialect.anthropic.meter(for: form) : nil
    }

    public func openingJudge(path: RawSpan, form: AnswerForm) -> (any StreamOpeningJudge)? {
        path.lastSegmentEquals("messages") ? OpeningDialect.anthropic.judge(for: form) : nil
    }

    public func conversation(path: RawSpan, body: RawSpan) -> UInt64? { Conversation.hash(path: path, model: nil, body: body) }

    /// The list of models (docs.anthropic.com/en/api/models-list).
    public func probe(of target: UpstreamTarget) -> ProbeRequest? { ProbeRequest(path: target.namesVersion ? "/models?limit=1" : "/v1/models?limit=1") }

    public func body(for error: ProxyError) -> ErrorBody { ErrorDialect.anthropic.body(for: error) }

    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] { ErrorDialect.anthropic.fields(for: refusal, at: now) }
}

extension Adapter where Self == AnthropicAdapter {
    /// `anthropic_native`.
    public static var anthropicNative: AnthropicAdapter { AnthropicAdapter() }
}
