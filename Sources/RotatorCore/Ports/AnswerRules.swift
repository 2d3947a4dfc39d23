// SPDX-License-Identifier: MIT

/// A table that says what answers mean.
public protocol AnswerRules: Sendable {
    /// What `answer` means for the key that was spent.
    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome

    /// Which rule decides about `answer`: its number from 0; nil where none does and the key has done its work.
    func decidingRule(for answer: UpstreamAnswer, at now: Moment) -> Int?

    /// The table as a JSON array of rules, one object each.
    var document: [UInt8] { get }

    /// The rule of that number as a JSON object.
    func document(of rule: Int) -> [UInt8]
}

/// Why a table of rules is not one.
public struct RuleFault: Error, Sendable, Hashable {
    /// Where: a JSON pointer into the document.
    public var place: String
    /// What is wrong, in words that can follow the place.
    public var reason: String

    /// A fault.
    public init(place: String, reason: String) {
        self.place = place
        self.reason = reason
    }
}

extension Adapter {
    /// The table of a service of this dialect: its own where it has one, else the dialect's.
    ///
    /// A table that cannot be read gives way to the dialect's too; `fault` says why.
    public func rules(of configuration: ServiceConfiguration) -> (table: any AnswerRules, fault: RuleFault?) {
        guard let document = configuration.rules else { return (rules, nil) }
        do { return (try rules(from: document), nil) } catch { return (rules, error) }
    }
}
