// SPDX-License-Identifier: MIT

internal import RotatorCore

extension ProviderRules {
    /// OpenAI and those that ride on its format: OpenRouter, Mistral, DeepSeek, Groq, Cohere, Bedrock, Gemini's OpenAI face.
    static let openAICompatible = ProviderRules(openAI + openRouter + groq + cohere + bedrock + gemini + sharedLLM)

    /// developers.openai.com/docs/guides/error-codes.
    static let openAI: [ProviderRule] = [
        // Where the process runs, not whose key it is.
        ProviderRule(403, .json(["/error/code"], .equals(["unsupported_country_region_territory"])), means: .success, "unsupported_country"),
        ProviderRule(403, .says(["country, region, or territory not supported"]), means: .success, "unsupported_country"),
        // "Slow down" comes with 503 and is about this account's rate.
        ProviderRule(503, .json(codes, .equals(["slow_down"])), means: .rateLimited(until: .said), "slow_down"),
    ]

    /// openrouter.ai/docs/api/errors.
    private static let openRouter: [ProviderRule] = [
        ProviderRule(
            402, .json(["/error/metadata/limit_source"], .equals(["openrouter_in_flight_budget"])), means: .rateLimited(until: [.retryAfter]), "in_flight_budget"),
        ProviderRule(402, .json(["/error/metadata/limit_source"], .equals(["openrouter_key_limit"])), means: .exhausted(until: .unsaid, scope: .key), "key_limit"),
        ProviderRule(402, .json(["/error/metadata/limit_source"], .equals(["openrouter_credits"])), means: .exhausted(until: .unsaid), "insufficient_credit"),
        // Moderation and guardrails judge the input: every key would be refused alike.
        ProviderRule(403, .json(["/error/metadata/flagged_input", "/error/metadata/reasons"], .exists), means: .success, "moderation"),
        ProviderRule(403, .json(["/error/message"], .contains(["moderation", "guardrail"])), means: .success, "moderation"),
        // The free models' day limit: the fields of the head stand in the body as well, in milliseconds since 1970.
        ProviderRule(
            429, .json(["/error/metadata/headers/X-RateLimit-Reset"], .exists),
            means: .rateLimited(until: [.retryAfter, .json("/error/metadata/headers/X-RateLimit-Reset"), .resetFields]), "rate_limited"),
    ]

    /// console.groq.com/docs/errors, /docs/rate-limits: `-requests` counts per day, `-tokens` per minute.
    private static let groq: [ProviderRule] = [
        ProviderRule(
            429, .json(["/error/message"], .contains(["requests per day (RPD)"])),
            means: .exhausted(until: [.field("x-ratelimit-reset-requests"), .retryAfter]), "requests_per_day"),
        ProviderRule(429, .json(["/error/message"], .contains(["tokens per day (TPD)"])), means: .exhausted(until: [.retryAfter]), "tokens_per_day"),
        // Flex capacity is the provider's: no key is better than another, and the next one would be asked in vain.
        ProviderRule(498, means: .success, "flex_capacity_exceeded"),
    ]

    /// docs.cohere.com/v1/reference/errors. Its 498 is called InvalidToken by the SDK alone, and kills no key.
    private static let cohere: [ProviderRule] = [
        ProviderRule(429, .json(["/message"], .contains(["API calls / month", "calls per month"])), means: .exhausted(until: .unsaid), "calls_per_month")
    ]

    /// docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html.
    private static let bedrock: [ProviderRule] = [
        ProviderRule([400, 401, 403], .field("x-amzn-errortype", contains: "ExpiredToken"), means: .keyRejected, "expired_token"),
        ProviderRule([400, 401, 403], .field("x-amzn-errortype", contains: "InvalidClientTokenId"), means: .keyRejected, "invalid_client_token_id"),
        ProviderRule([400, 401, 403], .field("x-amzn-errortype", contains: "UnrecognizedClient"), means: .keyRejected, "unrecognized_client"),
        ProviderRule([400, 401, 403], .field("x-amzn-errortype", contains: "InvalidSignature"), means: .keyRejected, "invalid_signature"),
        // Model access is granted model by model.
        ProviderRule(403, .field("x-amzn-errortype", contains: "AccessDenied"), .says(["model"]), means: .forbidden, "model_access_denied"),
        ProviderRule(403, .field("x-amzn-errortype", contains: "AccessDenied"), means: .keyRejected, "access_denied"),
        ProviderRule([400, 402, 429], .field("x-amzn-errortype", contains: "ServiceQuotaExceeded"), means: .exhausted(until: .unsaid), "service_quota_exceeded"),
        ProviderRule(429, .field("x-amzn-errortype", contains: "ModelNotReady"), means: .upstreamFailed, "model_not_ready"),
    ]
}
