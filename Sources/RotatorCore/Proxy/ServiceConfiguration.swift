// SPDX-License-Identifier: MIT

/// What kind of upstream a service fronts; decides its path prefix, `/llm/` or `/proxy/`.
public enum ServiceKind: String, Sendable, Hashable, CaseIterable { case llm = "LLM", generic = "GENERIC" }

/// The dialect that an upstream speaks.
public enum APIFormat: String, Sendable, Hashable, CaseIterable {
    case openAICompatible = "openai_compatible"
    case anthropicNative = "anthropic_native"
    case geminiNative = "gemini_native"
    case azureOpenAI = "azure_openai"
    case generic
}

/// The dialect that the client speaks where it differs from the upstream's.
public enum OutputFormat: String, Sendable, Hashable, CaseIterable {
    case none
    case openAI = "openai"
    case openAIResponses = "openai_responses"
    case anthropic, gemini
}

/// The rule by which a pool orders its keys.
public enum RotationStrategyName: String, Sendable, Hashable, CaseIterable {
    case roundRobin = "round_robin"
    case weighted, random
    case leastInFlight = "least_in_flight"
    case headroom, sequential, affinity
}

/// What may be sent again once its bytes may have reached the upstream.
public enum ReplayPolicy: String, Sendable, Hashable, CaseIterable {
    /// Only what the upstream refused to process: 401, 402, 403, 429, 529, 503 with Retry-After.
    case refused
    /// Also a received 500, 502, 503 or 504.
    case failed
    /// Also a timeout or a cut before the response head.
    case unknown
}

/// A service as an administrator configured it: one upstream under one slug.
public struct ServiceConfiguration: Sendable, Hashable {
    /// The name for people.
    public var name: String
    /// Unique; `[a-z0-9][a-z0-9-]{0,62}`.
    public var slug: String
    /// `/llm/` or `/proxy/`.
    public var kind: ServiceKind
    /// What the upstream speaks.
    public var apiFormat: APIFormat
    /// What the client speaks.
    public var outputFormat: OutputFormat = .none
    /// The base URL, http or https.
    public var targetURL: String
    /// The one method a generic service takes; nil = any.
    public var method: String?
    /// Overrides of the format's own placement; nil = the format's own.
    public var apiKeyLocation: CredentialPlacement.Location?
    public var apiKeyName: String?
    public var apiKeyPrefix: String?
    /// How keys are ordered.
    public var rotationStrategy: RotationStrategyName = .roundRobin
    /// Keys tried for one request, 1 or more; nil = the process's default.
    public var maxAttempts: Int?
    /// How long a request that finds every key resting may wait, in milliseconds; 0 = not at all.
    public var maxWaitMilliseconds: Int = 0
    /// What may be sent again; nil = the default for the kind and the method.
    public var replay: ReplayPolicy?
    /// Ask for usage in streams whose client did not ask.
    public var streamUsage: Bool = false
    /// How long start-up events of a stream may be held back, in milliseconds.
    public var holdStartupMilliseconds: Int = 0
    /// The field by which clients name their conversation, for the strategy `affinity`; nil = ``affinityHeaderDefault``.
    public var affinityHeader: String?
    /// Fields added to each upstream request, replacing the client's of the same name.
    public var extraHeaders: [String: String] = [:]
    /// False: the slug answers 404.
    public var isActive: Bool = true
    /// What answers mean for a key, in place of the format's own table: a document that ``Adapter/rules(from:)`` reads, at most 64 KiB; nil = the
    /// format's own.
    public var rules: [UInt8]?

    /// Where a service does not say otherwise.
    public static let affinityHeaderDefault = "x-conversation-id"

    /// A service with its required members and defaults for the rest.
    public init(name: String, slug: String, kind: ServiceKind, apiFormat: APIFormat, targetURL: String) {
        self.name = name
        self.slug = slug
        self.kind = kind
        self.apiFormat = apiFormat
        self.targetURL = targetURL
    }

    /// The replay rule for a request of `method`: what is configured, else `failed` for llm, else `refused`, and `unknown` for the idempotent
    /// methods of RFC 9110 §9.2.2 on generic services.
    public func replayPolicy(forMethod method: String) -> ReplayPolicy {
        if let replay { return replay }
        if kind == .llm { return .failed }
        switch method {
        case "GET", "HEAD", "OPTIONS", "PUT", "DELETE": return .unknown
        default: return .refused
        }
    }
}

/// A service with its number.
public struct ServiceRecord: Sendable, Hashable {
    /// Its number.
    public var id: ServiceID
    /// What an administrator configured.
    public var configuration: ServiceConfiguration

    /// A service with its number.
    public init(id: ServiceID, configuration: ServiceConfiguration) {
        self.id = id
        self.configuration = configuration
    }
}
