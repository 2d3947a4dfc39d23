// SPDX-License-Identifier: MIT

/// A provider's dialect: where its credential goes, what its answers mean for the key, how its errors look.
///
/// Pure: holds no keys, pools or connections; may be called on any thread.
public protocol Adapter: Sendable {
    /// The format that this adapter speaks.
    var format: APIFormat { get }

    /// Where this dialect carries a key, unless the service says otherwise.
    var credential: CredentialPlacement { get }

    /// Fields sent only where the client sent none of that name (such as `anthropic-version`).
    var defaultFields: [HeaderField] { get }

    /// Whether request bodies are JSON objects of this dialect in which a proxy key may stand as `api_key`.
    var readsCredentialFromBody: Bool { get }

    /// What the request says of itself. `path` is the rest after the slug, without the query; `body` is the whole body or its first octets.
    ///
    /// Never decodes the whole body; malformed JSON gives no facts rather than an error.
    func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts

    /// What `answer` means for the key, where the service has no ``rules(from:)`` of its own. Called for statuses of 400 and above other than 501 and
    /// 505, which are always ``AttemptOutcome/success`` like everything below 400.
    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome

    /// One of the rotator's own errors in the shape that this dialect's SDKs parse.
    func body(for error: ProxyError) -> ErrorBody

    // MARK: What a dialect may know besides; each has a default that knows nothing.

    /// The table by which ``outcome(of:at:)`` decides.
    var rules: any AnswerRules { get }

    /// The table that `document`, a JSON array of rules, holds: what a service has in place of ``rules``.
    func rules(from document: [UInt8]) throws(RuleFault) -> any AnswerRules

    /// A meter for an answer of this form with a status of 2xx; nil where the dialect counts no tokens there. `path` is the rest after the slug.
    func meter(path: RawSpan, form: AnswerForm) -> (any UsageMeter)?

    /// What is left of the key's quota, from the fields of any answer that speak of limits; nil where they say nothing.
    func quota(in fields: HeaderFields, at now: Moment) -> QuotaReading?

    /// The organisation, project or account that the key belongs to, from the fields of any answer; nil where they do not say.
    func quotaGroup(in fields: HeaderFields) -> String?

    /// A judge of the beginning of an event stream; nil where every stream is one once its head has come.
    func openingJudge(path: RawSpan, form: AnswerForm) -> (any StreamOpeningJudge)?

    /// The edit of a whole request body that asks for the usage of a stream, and what takes the answer to it out of the stream again; nil where the
    /// client has asked itself, asks for no stream, or the dialect tells the usage of streams unasked.
    func streamUsage(path: RawSpan, body: RawSpan) -> (edit: BodyEdit, editor: any StreamEditor)?

    /// The fields that go with one of our own 429s, as this dialect's SDKs know them.
    func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField]

    /// A stable hash of what tells the conversation that a request belongs to, the same in every process: `prompt_cache_key`, else
    /// `metadata.user_id`, `user`, else the model, the system prompt and the first message of the user. Nil where there is none of them.
    func conversation(path: RawSpan, body: RawSpan) -> UInt64?

    /// A cheap request to `target` that the provider answers to good keys alone; nil where the dialect knows none.
    func probe(of target: UpstreamTarget) -> ProbeRequest?
}

extension Adapter {
    public func meter(path: RawSpan, form: AnswerForm) -> (any UsageMeter)? { nil }
    public func quota(in fields: HeaderFields, at now: Moment) -> QuotaReading? { nil }
    public func quotaGroup(in fields: HeaderFields) -> String? { nil }
    public func openingJudge(path: RawSpan, form: AnswerForm) -> (any StreamOpeningJudge)? { nil }
    public func streamUsage(path: RawSpan, body: RawSpan) -> (edit: BodyEdit, editor: any StreamEditor)? { nil }
    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] { [] }
    public func conversation(path: RawSpan, body: RawSpan) -> UInt64? { nil }
    public func probe(of target: UpstreamTarget) -> ProbeRequest? { nil }
    public var rules: any AnswerRules { FixedRules(judge: { self.outcome(of: $0, at: $1) }) }
    public func rules(from document: [UInt8]) throws(RuleFault) -> any AnswerRules {
        throw RuleFault(place: "", reason: "this format's rules cannot be replaced")
    }
}

/// Rules that are code and cannot be shown: of an adapter that has no table.
private struct FixedRules: AnswerRules {
    let judge: @Sendable (UpstreamAnswer, Moment) -> AttemptOutcome

    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { judge(answer, now) }
    func decidingRule(for answer: UpstreamAnswer, at now: Moment) -> Int? { nil }
    var document: [UInt8] { Array("[]".utf8) }
    func document(of rule: Int) -> [UInt8] { Array("null".utf8) }
}

/// What a request's path and body say of it.
public struct RequestFacts: Sendable, Hashable {
    /// A credential that stands in the body.
    public struct BodyCredential: Sendable, Hashable {
        /// The decoded string value.
        public var value: String
        /// The octets of the body to take out so that the rest stays valid JSON: the member and one comma.
        public var removal: Range<Int>

        /// A credential that stands in the body.
        public init(value: String, removal: Range<Int>) {
            self.value = value
            self.removal = removal
        }
    }

    /// The model that is asked for; nil where none can be read.
    public var model: String?
    /// Whether the request asks for a stream (`"stream": true`, or a path such as Gemini's `:streamGenerateContent`).
    public var wantsStream: Bool = false
    /// Each top-level `api_key` string member, in order. The ranges never overlap, and can all be removed together.
    public var bodyCredentials: [BodyCredential] = []

    /// Nothing known.
    public init() {}
}

/// The octets of an error and their media type.
public struct ErrorBody: Sendable, Hashable {
    /// The `Content-Type`.
    public var contentType: String
    /// The body.
    public var octets: [UInt8]

    /// An error body.
    public init(contentType: String, octets: [UInt8]) {
        self.contentType = contentType
        self.octets = octets
    }
}
