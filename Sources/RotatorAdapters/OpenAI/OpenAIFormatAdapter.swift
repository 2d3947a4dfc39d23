// SPDX-License-Identifier: MIT

public import RotatorCore

/// An adapter of a dialect whose bodies and streams are OpenAI's, whatever its paths, keys and rules are.
public protocol OpenAIFormatAdapter: RuledAdapter {}

extension OpenAIFormatAdapter {
    public var defaultFields: [HeaderField] { [] }
    public var readsCredentialFromBody: Bool { true }

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

    public func body(for error: ProxyError) -> ErrorBody { ErrorDialect.openAI.body(for: error) }

    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] { ErrorDialect.openAI.fields(for: refusal, at: now) }
}
