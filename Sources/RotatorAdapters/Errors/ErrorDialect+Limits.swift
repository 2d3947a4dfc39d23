// SPDX-License-Identifier: MIT

public import RotatorCore

extension ErrorDialect {
    /// The fields that go with our own 429 in this dialect: OpenAI's `x-ratelimit-…-requests` with a duration such as `6m0s`, Anthropic's
    /// `anthropic-ratelimit-requests-…` with an RFC 3339 time, else `x-ratelimit-…` with whole seconds.
    public func fields(for refusal: ClientRefusal, at now: Moment) -> [HeaderField] {
        let wait = max(Duration.zero, refusal.until - now)
        let kind =
            switch refusal.limit {
            case .requestsPerMinute, .concurrentRequests: "requests"
            case .tokensPerMinute, .monthlyTokenBudget: "tokens"
            }
        switch self {
        case .openAI:
            return [
                HeaderField("x-ratelimit-limit-\(kind)", String(refusal.amount)), HeaderField("x-ratelimit-remaining-\(kind)", "0"),
                HeaderField("x-ratelimit-reset-\(kind)", Self.goDuration(wait)),
            ]
        case .anthropic:
            return [
                HeaderField("anthropic-ratelimit-\(kind)-limit", String(refusal.amount)), HeaderField("anthropic-ratelimit-\(kind)-remaining", "0"),
                HeaderField("anthropic-ratelimit-\(kind)-reset", refusal.until.timestamp),
            ]
        case .gemini, .problem:
            let seconds = (wait.wholeNanoseconds + 999_999_999) / 1_000_000_000
            return [
                HeaderField("x-ratelimit-limit", String(refusal.amount)), HeaderField("x-ratelimit-remaining", "0"), HeaderField("x-ratelimit-reset", String(seconds)),
            ]
        }
    }

    /// A duration as Go's `time.Duration` writes it: `350ms`, `1.25s`, `6m0s`, `26h0m1s`.
    private static func goDuration(_ duration: Duration) -> String {
        let milliseconds = (duration.wholeNanoseconds + 999_999) / 1_000_000
        if milliseconds < 1_000 { return "\(milliseconds)ms" }
        let (hours, minutes, rest) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60, milliseconds % 60_000)
        var seconds = String(rest / 1_000)
        if rest % 1_000 != 0 {
            var fraction = String(String(1_000 + rest % 1_000).dropFirst())
            while fraction.hasSuffix("0") { fraction.removeLast() }
            seconds += "." + fraction
        }
        return (hours > 0 ? "\(hours)h\(minutes)m" : minutes > 0 ? "\(minutes)m" : "") + seconds + "s"
    }
}
