// SPDX-License-Identifier: MIT

public import RotatorCore

/// Gemini's own dialect, whose paths name the model and the call: `/v1beta/models/M:generateContent` (ai.google.dev/api).
public struct GeminiAdapter: RuledAdapter {
    /// The dialect.
    public init() {}

    public var format: APIFormat { .geminiNative }
    public var credential: CredentialPlacement { CredentialPlacement(.header, name: "x-goog-api-key") }
    public var defaultFields: [HeaderField] { [] }
    public var readsCredentialFromBody: Bool { false }

    public func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts {
        guard let segment = path.segment(behind: "models") ?? path.segment(behind: "tunedModels") else {
            // The OpenAI face, cached contents, interactions: the body names the model, some as a resource.
            var facts = RequestFacts.inBody(body, contentType: contentType, readingCredentials: false)
            if let model = facts.model, model.hasPrefix("models/") { facts.model = String(model.dropFirst(7)) }
            return facts
        }
        var facts = RequestFacts()
        guard segment.count <= RequestFacts.modelOctetsMax else { return facts }
        // `:` may have been encoded, so the segment is decoded first. Model names hold none.
        let call = path.percentDecoded(segment)
        let colon = call.firstIndex(of: 0x3A) ?? call.count
        if colon > 0 { facts.model = String(decoding: call[..<colon], as: UTF8.self) }
        facts.wantsStream = call[colon...].starts(with: ":stream".utf8)
        return facts
    }

    public var table: ProviderRules { .geminiNative }

    public func quota(in fields: HeaderFields, at now: Moment) -> QuotaReading? { QuotaFields.reading(in: fields, at: now) }

    public func quotaGroup(in fields: HeaderFields) -> String? { QuotaFields.group(in: fields) }

    public func meter(path: RawSpan, form: AnswerForm) -> (any UsageMeter)? {
        if path.isGeminiGeneration { return UsageDialect.gemini.meter(for: form) }
        return path.isOpenAIGeneration ? UsageDialect.openAI.meter(for: form) : nil
    }

    public func openingJudge(path: RawSpan, form: AnswerForm) -> (any StreamOpeningJudge)? {
        if path.isGeminiGeneration { return OpeningDialect.gemini.judge(for: form) }
        return path.isOpenAIGeneration ? OpeningDialect.openAI.judge(for: form) : nil
    }

    public func conversation(path: RawSpan, body: RawSpan) -> UInt64? {
        // The call aside: a conversation may be streamed at one time and not at another.
        let segment = path.segment(behind: "models")
        return Conversation.hash(path: path, model: segment.map { $0.lowerBound..<path.callStart(in: $0) }, body: body)
    }

    /// The list of models (ai.google.dev/api/models).
    public func probe(of target: UpstreamTarget) -> ProbeRequest? {
        ProbeRequest(path: target.namesVersion ? "/models?pageSize=1" : "/v1beta/models?pageSize=1")
    }

    public func body(for error: ProxyError) -> ErrorBody { ErrorDialect.gemini.body(for: error) }

    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] { ErrorDialect.gemini.fields(for: refusal, at: now) }
}

extension Adapter where Self == GeminiAdapter {
    /// `gemini_native`.
    public static var geminiNative: GeminiAdapter { GeminiAdapter() }
}
