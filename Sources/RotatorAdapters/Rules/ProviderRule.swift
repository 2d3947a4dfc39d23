// SPDX-License-Identifier: MIT

public import RotatorCore

/// One line of a provider's table: answers of these statuses, on these conditions, mean this for the key.
///
/// What an answer means is data, so that a provider's change of words is a change of one line and its test.
public struct ProviderRule: Sendable, Hashable {
    /// The statuses that the rule looks at.
    public var statuses: StatusSet
    /// What must hold besides, all of it.
    public var conditions: [Condition]
    /// What it means for the key.
    public var verdict: Verdict
    /// Why, in a stable word for people and metrics, such as `insufficient_quota`.
    public var reason: String

    /// Answers of `statuses` that meet every one of `conditions` mean `verdict`.
    public init(_ statuses: StatusSet, _ conditions: Condition..., means verdict: Verdict, _ reason: String) {
        self.init(statuses, conditions, means: verdict, reason)
    }

    /// Answers of `statuses` that meet every one of `conditions` mean `verdict`.
    init(_ statuses: StatusSet, _ conditions: [Condition], means verdict: Verdict, _ reason: String) {
        self.statuses = statuses
        self.conditions = conditions
        self.verdict = verdict
        self.reason = reason
    }

    /// A set of status codes.
    public struct StatusSet: Sendable, Hashable, ExpressibleByArrayLiteral, ExpressibleByIntegerLiteral {
        /// The statuses as they were given, in order.
        let ranges: [ClosedRange<Int>]

        /// Every status in `range`.
        public init(_ range: ClosedRange<Int>) { ranges = [range] }
        /// Every status in one of `ranges`.
        init(_ ranges: [ClosedRange<Int>]) { self.ranges = ranges }
        public init(integerLiteral value: Int) { ranges = [value...value] }
        public init(arrayLiteral elements: Int...) { ranges = elements.map { $0...$0 } }

        /// Whether `status` is one of them.
        public func contains(_ status: Int) -> Bool { ranges.contains { $0.contains(status) } }

        /// 400…599.
        public static let anyError = StatusSet(400...599)
        /// 500…599.
        public static let serverError = StatusSet(500...599)
    }

    /// What must hold of an answer besides its status. Words are compared without regard to ASCII case.
    public enum Condition: Sendable, Hashable {
        /// A field of this name has a value that contains these octets; an empty text asks only that the field is there.
        case field(FoldedText, contains: FoldedText)
        /// `retry-after-ms` or `Retry-After` says a time that can be read.
        case saysWhen
        /// A value at one of the places in the JSON body meets the test.
        case json([JSONPointer], Test)
        /// The error's words for people, at the members where providers put them, contain one of these texts. Where the body is not JSON,
        /// its first 4 KiB are the words.
        case says([FoldedText])
        /// The body, taken as text, contains one of these. For words that nobody writes by chance, and statuses whose bodies do not repeat
        /// what the client sent.
        case body(contains: [FoldedText])
    }

    /// What is asked of a JSON value.
    public enum Test: Sendable, Hashable {
        /// It is there, and not null.
        case exists
        /// It is a string and equals one of these.
        case equals([FoldedText])
        /// It is a string and contains one of these.
        case contains([FoldedText])
        /// It is a string and begins with one of these. Where an error repeats what the client sent, only its beginning is the provider's own.
        case begins([FoldedText])
        /// It is one of these whole numbers, or a string that spells one.
        case number([Int])
    }

    /// What an answer means for the key. The kind decides the scope of a rest as well, unless the rule has one of its own: ``exhausted(until:scope:)``
    /// and ``keyRejected`` speak of the whole key, ``rateLimited(until:scope:)`` and ``forbidden`` of the request's model alone where one can be read.
    public enum Verdict: Sendable, Hashable {
        /// The key works; what is wrong is the client's affair or nobody's.
        case success
        /// Over a limit for a short while.
        case rateLimited(until: [TimeSource], scope: RestScope = .usual)
        /// Out of money or of a long quota.
        case exhausted(until: [TimeSource], scope: RestScope = .usual)
        /// Not accepted.
        case keyRejected
        /// May not do this.
        case forbidden
        /// The provider's fault.
        case upstreamFailed
    }

    /// Where the time of a return stands; the first source that says one counts.
    public enum TimeSource: Sendable, Hashable {
        /// `retry-after-ms`, else `Retry-After`.
        case retryAfter
        /// The fields of the `…ratelimit…reset…` family: the latest among kinds with `remaining` 0, else the earliest.
        case resetFields
        /// One field in the notation of reset fields.
        case field(FoldedText)
        /// A value in the body in the notation of reset fields, or a protobuf duration such as `RetryInfo.retryDelay`.
        case json(JSONPointer)
        /// The next midnight in California.
        case midnightPacific
        /// The first of the next month, 00:00 UTC.
        case monthStartUTC
    }
}

extension [ProviderRule.TimeSource] {
    /// What a 429 says, in the order in which it counts: retry fields, reset fields, `google.rpc.RetryInfo`.
    public static let said: [ProviderRule.TimeSource] = [.retryAfter, .resetFields, .json("/error/details/*/retryDelay")]
    /// The provider says no time.
    public static let unsaid: [ProviderRule.TimeSource] = []
}
