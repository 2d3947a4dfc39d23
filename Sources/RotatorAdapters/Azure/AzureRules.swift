// SPDX-License-Identifier: MIT

extension ProviderRules {
    /// learn.microsoft.com/azure/ai-services/openai: limits hold per deployment, and 403 is about the resource.
    static let azureOpenAI = ProviderRules(
        [
            ProviderRule(403, .says(["out of call volume quota", "quota exceeded", "exceeded your quota"]), means: .exhausted(until: .unsaid), "quota_exceeded"),
            ProviderRule(403, .says(["has been blocked", "is blocked", "resource blocked"]), means: .exhausted(until: .unsaid), "resource_blocked"),
            // Network rules know the caller's address, not the key: every key of the resource is refused alike.
            ProviderRule(
                403, .says(["virtual network", "firewall rules", "private endpoint", "public access is disabled"]), means: .success, "network_rules"),
        ] + openAI + sharedLLM)
}
