// SPDX-License-Identifier: MIT

/// What an administrator may say of a key beside its name, weight and switch.
public struct KeyAttributes: Sendable, Hashable {
    /// Words by which keys are found and sorted; each 1 to 64 characters, at most ``tagsMax``.
    public var tags: [String] = []
    /// The organisation, project or account whose limits the key shares with others of the same name in its service; nil: as the provider tells.
    public var quotaGroup: String?
    /// What may be asked of the key, beside what the provider says.
    public var limits = KeyLimits()

    /// The most tags of one key.
    public static let tagsMax = 32

    /// Nothing.
    public init() {}
}

/// What may be asked of one key, by each replica. Nil means without limit.
public struct KeyLimits: Sendable, Hashable {
    /// Requests within any 60 s, 1 or more.
    public var requestsPerMinute: Int64?
    /// Requests within a day, UTC, 1 or more.
    public var requestsPerDay: Int64?
    /// Tokens within any 60 s, 1 or more: checked before, charged after.
    public var tokensPerMinute: Int64?
    /// Tokens within a day, UTC, 1 or more.
    public var tokensPerDay: Int64?
    /// Attempts under way at the same time, 1 or more.
    public var concurrentRequests: Int64?

    /// Without limit.
    public init() {}

    /// Whether anything is limited.
    public var isEmpty: Bool { self == KeyLimits() }
}

/// What a provider says is left of a key's quota, read from the fields of an answer.
public struct QuotaReading: Sendable, Hashable {
    /// What is counted.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case requests, tokens
        case inputTokens = "input_tokens"
        case outputTokens = "output_tokens"
    }

    /// One kind's account.
    public struct Amount: Sendable, Hashable {
        /// What is counted.
        public var kind: Kind
        /// How much there is in all; nil where it was not said.
        public var limit: Int64?
        /// How much is left, 0 or more.
        public var remaining: Int64
        /// When it is whole again; nil where it was not said.
        public var resetsAt: Moment?

        /// One kind's account.
        public init(_ kind: Kind, limit: Int64?, remaining: Int64, resetsAt: Moment?) {
            self.kind = kind
            self.limit = limit
            self.remaining = remaining
            self.resetsAt = resetsAt
        }
    }

    /// Each kind that was told of, once.
    public var amounts: [Amount]

    /// What was told.
    public init(_ amounts: [Amount]) { self.amounts = amounts }
}
