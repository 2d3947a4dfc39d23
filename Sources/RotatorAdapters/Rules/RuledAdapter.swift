// SPDX-License-Identifier: MIT

public import RotatorCore

/// An adapter that decides by a table, which people can read and a service can replace.
public protocol RuledAdapter: Adapter {
    /// What answers mean in this dialect.
    var table: ProviderRules { get }
}

extension RuledAdapter {
    public func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { table.outcome(of: answer, at: now) }
    public var rules: any AnswerRules { table }
    public func rules(from document: [UInt8]) throws(RuleFault) -> any AnswerRules { try ProviderRules(document: document) }
}
