// SPDX-License-Identifier: MIT

internal import RotatorCore

// What every dialect has in common. These rows stand at the end of each table; a provider's own come before them.
extension ProviderRules {
    /// Members where OpenAI-like providers put the stable word of an error.
    static let codes: [JSONPointer] = ["/error/code", "/error/type", "/error/status", "/code", "/type", "/detail/status", "/error"]

    /// No money, or a quota that lasts for long: the words of OpenAI (error-codes guide), OpenRouter, Moonshot, new-api and their like.
    static let moneyCodes: [FoldedText] = [
        "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_exhausted", "insufficient_credits",
        "insufficient_balance", "insufficient_user_quota", "exceeded_current_quota_error", "billing_error", "out_of_credits",
    ]

    /// The key's account is closed for now or for good.
    static let suspensionCodes: [FoldedText] = [
        "account_deactivated", "account_suspended", "account_disabled", "organization_deactivated", "organization_disabled",
        "organization_restricted", "key_revoked", "api_key_disabled", "access_terminated", "consumer_suspended",
    ]

    /// The same in words. Only asked where the answer does not repeat what the client sent.
    static let suspensionWords: [FoldedText] = [
        "has been suspended", "is suspended", "was suspended", "account suspended", "has been deactivated", "account deactivated",
        "account_deactivated", "organization has been disabled", "account has been disabled", "key has been disabled", "has been restricted",
        "reported as leaked", "has been revoked", "has been terminated",
    ]

    /// The end of every llm table.
    static let sharedLLM: [ProviderRule] =
        sharedMoneyAndSuspension + [
            // xAI and others say 400 or 403 where the key itself is wrong; the code is the provider's own word.
            ProviderRule([400, 403], .json(["/error/code", "/code"], .equals(["invalid_api_key"])), means: .keyRejected, "invalid_api_key"),
            ProviderRule(400, .json(["/error", "/error/message"], .begins(["Incorrect API key provided"])), means: .keyRejected, "invalid_api_key"),
            ProviderRule(401, .says(["IP not authorized", "IP address is not authorized"]), means: .keyRejected, "ip_not_authorized"),
        ] + sharedStatuses(refusal: .forbidden)

    /// The end of the generic table.
    static let sharedGeneric: [ProviderRule] = sharedMoneyAndSuspension + sharedStatuses(refusal: .keyRejected)

    private static let sharedMoneyAndSuspension: [ProviderRule] = [
        // 400 too: OpenAI's image API says billing_hard_limit_reached with it. An equal code cannot be forged through a repeated input.
        ProviderRule([400, 402, 403, 429], .json(codes, .equals(moneyCodes)), means: .exhausted(until: .unsaid), "insufficient_quota"),
        ProviderRule(429, .body(contains: ["insufficient_quota", "billing_hard_limit_reached"]), means: .exhausted(until: .unsaid), "insufficient_quota"),
        ProviderRule(
            [403, 429],
            .says([
                "credit balance is too low", "insufficient balance", "balance is insufficient", "insufficient credit", "out of credits", "used all available credits",
                "monthly spending limit",
            ]),
            means: .exhausted(until: .unsaid), "insufficient_credit"),
        ProviderRule([400, 401, 403, 429], .json(codes, .equals(suspensionCodes)), means: .keyRejected, "account_suspended"),
        ProviderRule([401, 403, 429], .says(suspensionWords), means: .keyRejected, "account_suspended"),
    ]

    /// What the bare status means (RFC 9110 §15.5, §15.6, RFC 6585 §4; 529 is Anthropic's "overloaded").
    private static func sharedStatuses(refusal: ProviderRule.Verdict) -> [ProviderRule] {
        [
            ProviderRule(401, means: .keyRejected, "unauthorized"),
            ProviderRule(402, means: .exhausted(until: .unsaid), "payment_required"),
            ProviderRule(403, means: refusal, "forbidden"),
            ProviderRule(429, means: .rateLimited(until: .said), "rate_limited"),
            ProviderRule([503, 529], .saysWhen, means: .rateLimited(until: [.retryAfter], scope: .model), "overloaded"),
            ProviderRule([503, 529], means: .upstreamFailed, "overloaded"),
            ProviderRule([502, 504], means: .upstreamFailed, "bad_gateway"),
            // 500, and what CDNs in front of providers say of them (520–530).
            ProviderRule(.serverError, means: .upstreamFailed, "server_error"),
        ]
    }
}
