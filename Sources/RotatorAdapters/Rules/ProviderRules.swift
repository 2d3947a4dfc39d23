// SPDX-License-Identifier: MIT

public import RotatorCore

/// A provider's whole table: evaluated in order, the first rule that holds decides, and where none holds the key has done its work.
public struct ProviderRules: Sendable, Hashable {
    /// The rules, in order.
    public var rules: [ProviderRule]

    /// The given rules, in order.
    public init(_ rules: [ProviderRule]) { self.rules = rules }

    /// What `answer` means for the key that was spent.
    public func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome {
        // 501 and 505 speak of the method and the protocol, never of the key.
        guard answer.status >= 400, answer.status != 501, answer.status != 505 else { return .success }
        var evidence = Evidence(answer)
        for rule in rules where rule.statuses.contains(answer.status) && rule.conditions.allSatisfy({ evidence.meets($0, at: now) }) {
            switch rule.verdict {
            case .success: return .success
            case .rateLimited(let sources): return .rateLimited(until: evidence.time(from: sources, at: now), reason: rule.reason)
            case .exhausted(let sources): return .exhausted(until: evidence.time(from: sources, at: now), reason: rule.reason)
            case .keyRejected: return .keyRejected(reason: rule.reason)
            case .forbidden: return .forbidden(reason: rule.reason)
            case .upstreamFailed: return .upstreamFailed(reason: rule.reason)
            }
        }
        return .success
    }
}
