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

    /// What `answer` means for the key. Called for statuses of 400 and above other than 501 and 505, which are always ``AttemptOutcome/success``
    /// like everything below 400.
    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome

    /// One of the rotator's own errors in the shape that this dialect's SDKs parse.
    func body(for error: ProxyError) -> ErrorBody
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
