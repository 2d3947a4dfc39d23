// SPDX-License-Identifier: MIT

extension ProviderRules {
    /// docs.anthropic.com/en/api/errors, /rate-limits.
    static let anthropicNative = ProviderRules(
        [
            ProviderRule(
                429, .body(contains: ["enforced_spend_limit_reached"]), means: .exhausted(until: [.retryAfter, .monthStartUTC]), "enforced_spend_limit_reached"),
            // Anthropic says it with 400. A message may repeat what the client sent, so only its beginning is taken for the provider's.
            ProviderRule(
                400, .json(["/error/message"], .begins(["Your credit balance is too low"])), means: .exhausted(until: .unsaid), "credit_balance_too_low"),
            ProviderRule(
                400,
                .json(
                    ["/error/message"],
                    .begins([
                        "You have reached your specified API usage limits", "You have reached your specified workspace API usage limits", "You have reached your spend limit",
                    ])),
                means: .exhausted(until: [.monthStartUTC]), "spend_limit_reached"),
            ProviderRule(
                400, .json(["/error/message"], .begins(["This organization has been disabled", "Your organization has been disabled"])), means: .keyRejected,
                "account_suspended"),
        ] + sharedLLM)
}
