// SPDX-License-Identifier: MIT

extension ProviderRules {
    /// The native API's table.
    static let geminiNative = ProviderRules(gemini + sharedLLM)

    /// ai.google.dev/gemini-api/docs/troubleshooting; the details are google.rpc's (googleapis/googleapis google/rpc/error_details.proto).
    static let gemini: [ProviderRule] = [
        ProviderRule(400, .json(["/error/details/*/reason"], .equals(["API_KEY_INVALID"])), means: .keyRejected, "api_key_invalid"),
        ProviderRule(
            [400, 403], .json(["/error/details/*/reason"], .equals(["CONSUMER_SUSPENDED", "API_KEY_EXPIRED"])), means: .keyRejected, "account_suspended"),
        // "User location is not supported for the API use": where the process runs, not whose key it is.
        ProviderRule(
            400, .json(["/error/status"], .equals(["FAILED_PRECONDITION"])), .json(["/error/message"], .contains(["location is not supported"])), means: .success,
            "unsupported_location"),
        ProviderRule(
            400, .json(["/error/status"], .equals(["FAILED_PRECONDITION"])), .json(["/error/message"], .contains(["billing"])), means: .exhausted(until: .unsaid),
            "billing_required"),
        // A day's quota comes back at midnight Pacific; the RetryInfo beside it speaks of a minute and is wrong.
        ProviderRule(
            429, .json(["/error/details/*/violations/*/quotaId"], .contains(["PerDay"])), means: .exhausted(until: [.midnightPacific]), "requests_per_day"),
    ]
}
