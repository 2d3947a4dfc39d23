// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("Quota in fields") struct QuotaFieldsTests {
    private func reading(_ fields: [(String, String)], _ format: APIFormat = .openAICompatible) -> [QuotaReading.Amount]? {
        AdapterRegistry.builtIn[format].quota(in: HeaderFields(fields.map { HeaderField($0.0, $0.1) }), at: .recorded)?.amounts
    }

    private func group(_ fields: [(String, String)], _ format: APIFormat = .openAICompatible) -> String? {
        AdapterRegistry.builtIn[format].quotaGroup(in: HeaderFields(fields.map { HeaderField($0.0, $0.1) }))
    }

    static let recorded: [(APIFormat, [(String, String)], [QuotaReading.Amount]?)] = [
        (
            .openAICompatible,
            [
                ("x-ratelimit-limit-requests", "500"), ("x-ratelimit-limit-tokens", "30000"), ("x-ratelimit-remaining-requests", "499"), ("x-ratelimit-remaining-tokens", "29980"),
                ("x-ratelimit-reset-requests", "120ms"), ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            [
                .init(.requests, limit: 500, remaining: 499, resetsAt: .after(.milliseconds(120))), .init(.tokens, limit: 30000, remaining: 29980, resetsAt: .after(.seconds(360))),
            ]
        ),
        (
            .openAICompatible,
            [("X-RateLimit-Remaining-Requests", "14370"), ("X-RATELIMIT-LIMIT-REQUESTS", "14400"), ("x-ratelimit-reset-requests", "2m59.56s"), ("x-ratelimit-remaining-tokens", "0")],
            // Nothing else is told of the tokens.
            [.init(.requests, limit: 14400, remaining: 14370, resetsAt: .after(.milliseconds(179_560)))]
        ),
        (
            .anthropicNative,
            [
                ("anthropic-ratelimit-requests-limit", "4000"), ("anthropic-ratelimit-requests-remaining", "3999"), ("anthropic-ratelimit-requests-reset", "2027-01-15T08:00:30Z"),
                ("anthropic-ratelimit-input-tokens-limit", "2000000"), ("anthropic-ratelimit-input-tokens-remaining", "1999000"), ("anthropic-ratelimit-input-tokens-reset", "2027-01-15T08:01:00Z"),
                ("anthropic-ratelimit-output-tokens-limit", "400000"), ("anthropic-ratelimit-output-tokens-remaining", "0"), ("anthropic-ratelimit-output-tokens-reset", "2027-01-15T08:00:05Z"),
                ("anthropic-ratelimit-tokens-remaining", "2399000"), ("anthropic-ratelimit-tokens-limit", "2400000"), ("anthropic-ratelimit-unified-5h-reset", "1800000100"),
            ],
            [
                .init(.requests, limit: 4000, remaining: 3999, resetsAt: .after(.seconds(30))), .init(.inputTokens, limit: 2_000_000, remaining: 1_999_000, resetsAt: .after(.seconds(60))),
                .init(.outputTokens, limit: 400_000, remaining: 0, resetsAt: .after(.seconds(5))), .init(.tokens, limit: 2_400_000, remaining: 2_399_000, resetsAt: nil),
            ]
        ),
        (.azureOpenAI, [("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-remaining-tokens", "0")], nil),
        (
            .azureOpenAI, [("x-ratelimit-remaining-requests", "99"), ("x-ratelimit-remaining-tokens", "79992"), ("x-ms-region", "Sweden Central")],
            [.init(.requests, limit: nil, remaining: 99, resetsAt: nil), .init(.tokens, limit: nil, remaining: 79992, resetsAt: nil)]
        ),
        (
            .openAICompatible,
            [
                ("x-ratelimitbysize-limit-minute", "500000"), ("x-ratelimitbysize-remaining-minute", "499956"), ("x-ratelimitbysize-limit-month", "1000000000"),
                ("x-ratelimitbysize-remaining-month", "999999000"), ("x-ratelimitbysize-query-cost", "44"), ("ratelimitbysize-reset", "17"),
            ],
            [.init(.tokens, limit: 500_000, remaining: 499_956, resetsAt: .after(.seconds(17)))]
        ),
        (
            .openAICompatible, [("x-ratelimit-limit-req-minute", "60"), ("x-ratelimit-remaining-req-minute", "59"), ("x-ratelimit-remaining-images", "5")],
            [.init(.requests, limit: 60, remaining: 59, resetsAt: nil)]
        ),
        (
            .openAICompatible, [("X-RateLimit-Limit", "50"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1800057600000")],
            [.init(.requests, limit: 50, remaining: 0, resetsAt: Moment(seconds: 1_800_057_600))]
        ),
        (.generic, [("x-rate-limit-limit", "900"), ("x-rate-limit-remaining", "899"), ("x-rate-limit-reset", "1800000900")], [.init(.requests, limit: 900, remaining: 899, resetsAt: .after(.seconds(900)))]),
        (.generic, [("RateLimit-Limit", "10, 10;w=1"), ("RateLimit-Remaining", "9"), ("RateLimit-Reset", "1")], [.init(.requests, limit: 10, remaining: 9, resetsAt: .after(.seconds(1)))]),
        (.generic, [("RateLimit", #""default";r=50;t=30, "day";r=7;t=3600"#), ("RateLimit-Policy", #""default";q=100;w=10"#)], [.init(.requests, limit: nil, remaining: 7, resetsAt: .after(.seconds(3600)))]),
        (.generic, [("RateLimit", "limit=100, remaining=50, reset=5")], [.init(.requests, limit: nil, remaining: 50, resetsAt: .after(.seconds(5)))]),
        (.geminiNative, [("Vary", "Origin"), ("Content-Type", "application/json")], nil),
        (.openAICompatible, [], nil),
        (.openAICompatible, [("x-ratelimit-remaining-requests", "many"), ("x-ratelimit-remaining-tokens", ""), ("x-ratelimit-remaining", "99999999999999999999")], nil),
        (.openAICompatible, [("x-ratelimit-remaining-requests", "12"), ("x-ratelimit-limit-requests", "-1"), ("x-ratelimit-reset-requests", "soon")], [.init(.requests, limit: nil, remaining: 12, resetsAt: nil)]),
    ]

    @Test(arguments: recorded)
    func `what is left of the quota is read in every dialect`(_ format: APIFormat, _ fields: [(String, String)], _ expected: [QuotaReading.Amount]?) {
        #expect(reading(fields, format) == expected)
    }

    @Test func `each kind is told once, by the window of which least is left`() {
        let told = reading([
            ("x-ratelimit-remaining-tokens-minute", "500"), ("x-ratelimit-limit-tokens-minute", "1000"), ("x-ratelimit-remaining-tokens-month", "20"), ("x-ratelimit-limit-tokens-month", "90000"),
        ])
        #expect(told == [.init(.tokens, limit: 90000, remaining: 20, resetsAt: nil)])
    }

    @Test func `a key's organisation is told by the fields of OpenAI and Anthropic`() {
        #expect(group([("openai-organization", "org-1")]) == "org-1")
        #expect(group([("openai-project", "proj_1"), ("OpenAI-Organization", "org-1")]) == "org-1/proj_1")
        #expect(group([("anthropic-organization-id", "00000000-0000-0000-0000-000000000000")], .anthropicNative) == "00000000-0000-0000-0000-000000000000")
        #expect(group([("openai-project", "proj_1")]) == nil)
        #expect(group([("organization", "org-1"), ("x-request-id", "r")]) == nil)
        #expect(group([("openai-organization", "org-1")], .generic) == nil)
    }

    @Test func `a name that cannot be one is ignored`() {
        #expect(group([("openai-organization", "")]) == nil)
        #expect(group([("openai-organization", "an org")]) == nil)
        #expect(group([("openai-organization", "caf\u{E9}")]) == nil)
        #expect(group([("openai-organization", String(repeating: "o", count: 129))]) == nil)
        #expect(group([("openai-organization", String(repeating: "o", count: 128))])?.utf8.count == 128)
        #expect(group([("openai-organization", "org-1"), ("openai-project", "a b")]) == "org-1")
    }

    @Test func `fields whose names hold none of the announced parts say nothing`() {
        for (format, fields, expected) in QuotaFieldsTests.recorded where expected != nil {
            let kept = fields.filter { field in QuotaFields.nameParts.contains { field.0.lowercased().contains($0) } }
            #expect(reading(kept, format) == expected)
        }
        for name in ["openai-organization", "openai-project", "anthropic-organization-id"] { #expect(QuotaFields.nameParts.contains { name.contains($0) }) }
    }
}
