// SPDX-License-Identifier: MIT

public import RotatorCore

/// A provider's whole table: evaluated in order, the first rule that holds decides, and where none holds the key has done its work.
public struct ProviderRules: AnswerRules, Hashable {
    /// The rules, in order.
    public var rules: [ProviderRule]

    /// The given rules, in order.
    public init(_ rules: [ProviderRule]) { self.rules = rules }

    /// What `answer` means for the key that was spent.
    public func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome {
        var evidence = Evidence(answer)
        guard let index = decide(about: answer, by: &evidence, at: now) else { return .success }
        let rule = rules[index]
        switch rule.verdict {
        case .success: return .success
        case .rateLimited(let sources, let scope):
            return .rateLimited(until: evidence.time(from: sources, at: now), reason: rule.reason, scope: scope)
        case .exhausted(let sources, let scope):
            return .exhausted(until: evidence.time(from: sources, at: now), reason: rule.reason, scope: scope)
        case .keyRejected: return .keyRejected(reason: rule.reason)
        case .forbidden: return .forbidden(reason: rule.reason)
        case .upstreamFailed: return .upstreamFailed(reason: rule.reason)
        }
    }

    /// The number of the rule that decides about `answer`, from 0; nil where none does.
    public func decidingRule(for answer: UpstreamAnswer, at now: Moment) -> Int? {
        var evidence = Evidence(answer)
        return decide(about: answer, by: &evidence, at: now)
    }

    private func decide(about answer: UpstreamAnswer, by evidence: inout Evidence, at now: Moment) -> Int? {
        // 501 and 505 speak of the method and the protocol, never of the key.
        guard answer.status >= 400, answer.status != 501, answer.status != 505 else { return nil }
        return rules.firstIndex { rule in
            rule.statuses.contains(answer.status) && rule.conditions.allSatisfy { evidence.meets($0, at: now) }
        }
    }
}
