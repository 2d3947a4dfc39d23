// SPDX-License-Identifier: MIT

public import RotatorCore

/// Any REST API: the service says where its key goes, and the status alone says what an answer means.
public struct GenericAdapter: RuledAdapter {
    /// The dialect.
    public init() {}

    public var format: APIFormat { .generic }
    public var credential: CredentialPlacement { .bearer }
    public var defaultFields: [HeaderField] { [] }
    public var readsCredentialFromBody: Bool { false }

    /// Nothing: a body of an unknown API is nobody's but the upstream's.
    public func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts { RequestFacts() }

    public var table: ProviderRules { .generic }

    public func quota(in fields: HeaderFields, at now: Moment) -> QuotaReading? { QuotaFields.reading(in: fields, at: now) }

    /// The target itself.
    public func probe(of target: UpstreamTarget) -> ProbeRequest? { ProbeRequest(path: "") }

    public func body(for error: ProxyError) -> ErrorBody { ErrorDialect.problem.body(for: error) }

    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] { ErrorDialect.problem.fields(for: refusal, at: now) }
}

extension Adapter where Self == GenericAdapter {
    /// `generic`.
    public static var generic: GenericAdapter { GenericAdapter() }
}
