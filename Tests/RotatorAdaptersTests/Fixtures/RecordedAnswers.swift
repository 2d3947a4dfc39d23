// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import Testing

/// An answer as a provider gives it, and what it means for the key.
struct RecordedAnswer: Sendable, CustomTestStringConvertible {
    var title: String
    var format: APIFormat
    var status: Int
    var fields: HeaderFields = []
    var body: String
    var outcome: AttemptOutcome

    var answer: UpstreamAnswer { UpstreamAnswer(status: status, fields: fields, bodyPrefix: Array(body.utf8)) }
    var testDescription: String { title }
}

extension Moment {
    /// The present of all recorded answers: 2027-01-15T08:00:00Z, a Friday, 00:00:00 in California.
    static let recorded = Moment(seconds: 1_800_000_000)
    static let nextMidnightPacific = Moment(seconds: 1_800_086_400)
    static let nextMonthUTC = Moment(seconds: 1_801_440_000)

    static func after(_ duration: Duration) -> Moment { .recorded + duration }
}

extension RecordedAnswer {
    static let all: [RecordedAnswer] = openAI + anthropic + gemini + azure + openRouter + mistral + deepSeek + groq + cohere + bedrock + others

    static let openAI: [RecordedAnswer] = [
        RecordedAnswer(
            title: "OpenAI: wrong key", format: .openAICompatible, status: 401,
            body: #"{"error":{"message":"Incorrect API key provided: sk-abc***. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "OpenAI: address not on the allow list", format: .openAICompatible, status: 401,
            body: #"{"error":{"message":"IP not authorized: your request IP does not match the configured IP allowlist for your project or organization.","type":"invalid_request_error","param":null,"code":"ip_not_authorized"}}"#,
            outcome: .keyRejected(reason: "ip_not_authorized")),
        RecordedAnswer(
            title: "OpenAI: account deactivated", format: .openAICompatible, status: 401,
            body: #"{"error":{"message":"Your OpenAI account has been deactivated, please check your email for more information.","type":"invalid_request_error","param":null,"code":"account_deactivated"}}"#,
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "OpenAI: insufficient quota, whatever the rate fields say", format: .openAICompatible, status: 429,
            fields: [HeaderField("x-ratelimit-remaining-requests", "0"), HeaderField("x-ratelimit-reset-requests", "12ms"), HeaderField("Retry-After", "2")],
            body: #"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "OpenAI: credit balance exhausted", format: .openAICompatible, status: 429,
            body: #"{"error":{"message":"Your credits are used up.","type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "OpenAI: billing hard limit on images", format: .openAICompatible, status: 400,
            body: #"{"error":{"message":"Billing hard limit has been reached","type":"invalid_request_error","param":null,"code":"billing_hard_limit_reached"}}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "OpenAI: tokens per minute", format: .openAICompatible, status: 429,
            fields: [
                HeaderField("x-ratelimit-limit-requests", "500"), HeaderField("x-ratelimit-remaining-requests", "499"), HeaderField("x-ratelimit-reset-requests", "120ms"),
                HeaderField("x-ratelimit-limit-tokens", "30000"), HeaderField("x-ratelimit-remaining-tokens", "0"), HeaderField("x-ratelimit-reset-tokens", "6m0s"),
            ],
            body: #"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 30000, Requested 10.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            outcome: .rateLimited(until: .after(.seconds(360)), reason: "rate_limited")),
        RecordedAnswer(
            title: "OpenAI: slow down", format: .openAICompatible, status: 503,
            body: #"{"error":{"message":"Slow down","type":"server_error","param":null,"code":"slow_down"}}"#,
            outcome: .rateLimited(until: nil, reason: "slow_down")),
        RecordedAnswer(
            title: "OpenAI: server error", format: .openAICompatible, status: 500,
            body: #"{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "OpenAI: overloaded", format: .openAICompatible, status: 503,
            body: #"{"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":"server_is_overloaded"}}"#,
            outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "OpenAI: the request is wrong, and repeats words that mean something elsewhere", format: .openAICompatible, status: 400,
            body: #"{"error":{"message":"Invalid value: 'insufficient_quota, your account has been suspended'.","type":"invalid_request_error","param":"messages[0].role","code":"invalid_value"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenAI: unknown model", format: .openAICompatible, status: 404,
            body: #"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenAI: unsupported country", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenAI: no access to the model", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"Project `proj_x` does not have access to model `o1-pro`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            outcome: .forbidden(reason: "forbidden")),
        RecordedAnswer(
            title: "OpenAI: requests per minute", format: .openAICompatible, status: 429,
            fields: [HeaderField("x-ratelimit-remaining-requests", "0"), HeaderField("x-ratelimit-reset-requests", "120ms"), HeaderField("x-ratelimit-remaining-tokens", "29000"), HeaderField("x-ratelimit-reset-tokens", "2s")],
            body: #"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            outcome: .rateLimited(until: .after(.milliseconds(120)), reason: "rate_limited")),
        RecordedAnswer(
            title: "OpenAI: unsupported country, in words alone", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":null}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenAI: too large", format: .openAICompatible, status: 413,
            body: #"{"error":{"message":"Maximum content size limit (26214400) exceeded (26260000 bytes read)","type":"server_error","param":null,"code":null}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenAI: a file that cannot be processed", format: .openAICompatible, status: 422,
            body: #"{"error":{"message":"Unprocessable entity","type":"invalid_request_error","param":null,"code":null}}"#,
            outcome: .success),
    ]

    static let anthropic: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Anthropic: wrong key", format: .anthropicNative, status: 401,
            body: #"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_1"}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "Anthropic: billing error", format: .anthropicNative, status: 402,
            body: #"{"type":"error","error":{"type":"billing_error","message":"Your payment method was declined."},"request_id":"req_1"}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "Anthropic: spend limit enforced until the month ends", format: .anthropicNative, status: 429,
            body: #"{"type":"error","error":{"type":"rate_limit_error","message":"This workspace has reached its spend limit.","details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"}"#,
            outcome: .exhausted(until: .nextMonthUTC, reason: "enforced_spend_limit_reached")),
        RecordedAnswer(
            title: "Anthropic: credit balance too low", format: .anthropicNative, status: 400,
            body: #"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}"#,
            outcome: .exhausted(until: nil, reason: "credit_balance_too_low")),
        RecordedAnswer(
            title: "Anthropic: specified usage limit", format: .anthropicNative, status: 400,
            body: #"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2027-02-01 at 00:00 UTC."}}"#,
            outcome: .exhausted(until: .nextMonthUTC, reason: "spend_limit_reached")),
        RecordedAnswer(
            title: "Anthropic: organization disabled", format: .anthropicNative, status: 400,
            body: #"{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}"#,
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "Anthropic: rate limit with Retry-After", format: .anthropicNative, status: 429,
            fields: [
                HeaderField("retry-after", "17"), HeaderField("anthropic-ratelimit-requests-remaining", "0"),
                HeaderField("anthropic-ratelimit-requests-reset", "2027-01-15T08:01:00Z"),
            ],
            body: #"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 50 requests per minute."},"request_id":"req_1"}"#,
            outcome: .rateLimited(until: .after(.seconds(17)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Anthropic: rate limit, fields alone", format: .anthropicNative, status: 429,
            fields: [
                HeaderField("anthropic-ratelimit-requests-remaining", "49"), HeaderField("anthropic-ratelimit-requests-reset", "2027-01-15T08:00:01Z"),
                HeaderField("anthropic-ratelimit-input-tokens-remaining", "0"), HeaderField("anthropic-ratelimit-input-tokens-reset", "2027-01-15T08:00:30Z"),
                HeaderField("anthropic-ratelimit-tokens-remaining", "0"), HeaderField("anthropic-ratelimit-tokens-reset", "2027-01-15T08:00:42Z"),
            ],
            body: #"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#,
            outcome: .rateLimited(until: .after(.seconds(42)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Anthropic: internal error", format: .anthropicNative, status: 500,
            body: #"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#, outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "Anthropic: overloaded", format: .anthropicNative, status: 529,
            body: #"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "Anthropic: overloaded, come back in 8 s", format: .anthropicNative, status: 529, fields: [HeaderField("Retry-After", "8")],
            body: #"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            outcome: .rateLimited(until: .after(.seconds(8)), reason: "overloaded", scope: .model)),
        RecordedAnswer(
            title: "Anthropic: permission for the model", format: .anthropicNative, status: 403,
            body: #"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}}"#,
            outcome: .forbidden(reason: "forbidden")),
        RecordedAnswer(
            title: "Anthropic: the request is wrong", format: .anthropicNative, status: 400,
            body: #"{"type":"error","error":{"type":"invalid_request_error","message":"messages.0.role: Input should be 'user', got 'Your credit balance is too low'"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Anthropic: too large", format: .anthropicNative, status: 413,
            body: #"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#, outcome: .success),
        RecordedAnswer(
            title: "Anthropic: spend limit that says when", format: .anthropicNative, status: 429,
            fields: [HeaderField("retry-after", "90")],
            body: #"{"type":"error","error":{"type":"rate_limit_error","message":"This workspace has reached its spend limit.","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
            outcome: .exhausted(until: .after(.seconds(90)), reason: "enforced_spend_limit_reached")),
        RecordedAnswer(
            title: "Anthropic: unknown model", format: .anthropicNative, status: 404,
            body: #"{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"},"request_id":"req_1"}"#,
            outcome: .success),
    ]

    static let gemini: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Gemini: wrong key", format: .geminiNative, status: 400,
            body: """
                {
                  "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [
                      {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}},
                      {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": "API key not valid. Please pass a valid API key."}
                    ]
                  }
                }
                """,
            outcome: .keyRejected(reason: "api_key_invalid")),
        RecordedAnswer(
            title: "Gemini: wrong key, through the OpenAI face, in an array", format: .openAICompatible, status: 400,
            body: #"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#,
            outcome: .keyRejected(reason: "api_key_invalid")),
        RecordedAnswer(
            title: "Gemini: consumer suspended", format: .geminiNative, status: 403,
            body: #"{"error":{"code":403,"message":"Permission denied: Consumer 'api_key:AIza' has been suspended.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CONSUMER_SUSPENDED"}]}}"#,
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "Gemini: key leaked", format: .geminiNative, status: 403,
            body: #"{"error":{"code":403,"message":"Your API key was reported as leaked. Please use another API key.","status":"PERMISSION_DENIED"}}"#,
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "Gemini: requests per day", format: .geminiNative, status: 429,
            body: #"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests","quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaDimensions":{"location":"global","model":"gemini-2.5-pro"},"quotaValue":"100"}]},{"@type":"type.googleapis.com/google.rpc.Help","links":[]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38.6s"}]}}"#,
            outcome: .exhausted(until: .nextMidnightPacific, reason: "requests_per_day")),
        RecordedAnswer(
            title: "Gemini: requests per minute", format: .geminiNative, status: 429,
            body: #"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38.6s"}]}}"#,
            outcome: .rateLimited(until: .after(.milliseconds(38_600)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Gemini: payment required", format: .geminiNative, status: 402, body: #"{"error":{"code":402,"message":"Billing","status":"FAILED_PRECONDITION"}}"#,
            outcome: .exhausted(until: nil, reason: "payment_required")),
        RecordedAnswer(
            title: "Gemini: free tier not available without billing", format: .geminiNative, status: 400,
            body: #"{"error":{"code":400,"message":"Gemini API free tier is not available in your country. Please enable billing on your project in Google AI Studio.","status":"FAILED_PRECONDITION"}}"#,
            outcome: .exhausted(until: nil, reason: "billing_required")),
        RecordedAnswer(
            title: "Gemini: location not supported", format: .geminiNative, status: 400,
            body: #"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#, outcome: .success),
        RecordedAnswer(
            title: "Gemini: the request is wrong", format: .geminiNative, status: 400,
            body: #"{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"API_KEY_INVALID\"","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest"}]}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Gemini: unavailable", format: .geminiNative, status: 503,
            body: #"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
            outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "Gemini: deadline exceeded", format: .geminiNative, status: 504,
            body: #"{"error":{"code":504,"message":"Deadline expired before operation could complete.","status":"DEADLINE_EXCEEDED"}}"#,
            outcome: .upstreamFailed(reason: "bad_gateway")),
        RecordedAnswer(
            title: "Gemini: unknown model", format: .geminiNative, status: 404,
            body: #"{"error":{"code":404,"message":"models/gemini-9 is not found for API version v1beta","status":"NOT_FOUND"}}"#, outcome: .success),
        RecordedAnswer(
            title: "Gemini: consumer suspended, in words alone", format: .geminiNative, status: 403,
            body: #"{"error":{"code":403,"message":"Permission denied: Consumer 'api_key:AIza' has been suspended.","status":"PERMISSION_DENIED"}}"#,
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "Gemini: internal error", format: .geminiNative, status: 500,
            body: #"{"error":{"code":500,"message":"An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting","status":"INTERNAL"}}"#,
            outcome: .upstreamFailed(reason: "server_error")),
    ]

    static let azure: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Azure: wrong key or region", format: .azureOpenAI, status: 401,
            body: #"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "Azure: call volume quota", format: .azureOpenAI, status: 403,
            body: #"{"error":{"code":"403","message":"Out of call volume quota. Quota will be replenished in 2.08:33:11."}}"#,
            outcome: .exhausted(until: nil, reason: "quota_exceeded")),
        RecordedAnswer(
            title: "Azure: resource blocked", format: .azureOpenAI, status: 403,
            body: #"{"error":{"code":"ResourceBlocked","message":"The resource has been blocked because of unusual behaviour."}}"#,
            outcome: .exhausted(until: nil, reason: "resource_blocked")),
        RecordedAnswer(
            title: "Azure: network rules", format: .azureOpenAI, status: 403,
            body: #"{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules."}}"#, outcome: .success),
        RecordedAnswer(
            title: "Azure: deployment over its rate", format: .azureOpenAI, status: 429,
            fields: [HeaderField("retry-after-ms", "1500"), HeaderField("Retry-After", "2"), HeaderField("x-ratelimit-remaining-tokens", "-1")],
            body: #"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 2 seconds."}}"#,
            outcome: .rateLimited(until: .after(.milliseconds(1500)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Azure: content filter", format: .azureOpenAI, status: 400,
            body: #"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Azure: no such deployment", format: .azureOpenAI, status: 404,
            body: #"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, outcome: .success),
        RecordedAnswer(
            title: "Azure: internal error", format: .azureOpenAI, status: 500, body: #"{"error":{"code":"InternalServerError","message":"Internal server error"}}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "Azure: deployment over its rate, in seconds", format: .azureOpenAI, status: 429,
            fields: [HeaderField("Retry-After", "6"), HeaderField("x-ratelimit-remaining-requests", "0")],
            body: #"{"error":{"code":"429","message":"Requests to the Embeddings_Create Operation under Azure OpenAI API have exceeded call rate limit. Please retry after 6 seconds."}}"#,
            outcome: .rateLimited(until: .after(.seconds(6)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Azure: unavailable", format: .azureOpenAI, status: 503,
            body: #"{"error":{"code":"ServiceUnavailable","message":"The service is temporarily unable to process your request. Please try again later."}}"#,
            outcome: .upstreamFailed(reason: "overloaded")),
    ]

    static let openRouter: [RecordedAnswer] = [
        RecordedAnswer(
            title: "OpenRouter: wrong key", format: .openAICompatible, status: 401, body: #"{"error":{"message":"No auth credentials found","code":401}}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "OpenRouter: account without credits", format: .openAICompatible, status: 402,
            body: #"{"error":{"message":"Insufficient credits. Add more using https://openrouter.ai/credits","code":402,"metadata":{"limit_source":"openrouter_credits"}}}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_credit")),
        RecordedAnswer(
            title: "OpenRouter: this key's own limit", format: .openAICompatible, status: 402,
            body: #"{"error":{"message":"Key limit exceeded","code":402,"metadata":{"limit_source":"openrouter_key_limit"}}}"#,
            outcome: .exhausted(until: nil, reason: "key_limit", scope: .key)),
        RecordedAnswer(
            title: "OpenRouter: budget tied up in running requests", format: .openAICompatible, status: 402, fields: [HeaderField("Retry-After", "3")],
            body: #"{"error":{"message":"Too many requests in flight","code":402,"metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#,
            outcome: .rateLimited(until: .after(.seconds(3)), reason: "in_flight_budget")),
        RecordedAnswer(
            title: "OpenRouter: free models per day, the time in the body", format: .openAICompatible, status: 429,
            body: #"{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1800057600000"},"provider_name":null}}}"#,
            outcome: .rateLimited(until: .after(.seconds(57_600)), reason: "rate_limited")),
        RecordedAnswer(
            title: "OpenRouter: moderation", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"Your chosen model requires moderation and your input was flagged","code":403,"metadata":{"reasons":["violence"],"flagged_input":"my account has been suspended","provider_name":"OpenAI","model_slug":"openai/gpt-4o"}}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenRouter: provider down", format: .openAICompatible, status: 502, body: #"{"error":{"message":"Provider returned error","code":502}}"#,
            outcome: .upstreamFailed(reason: "bad_gateway")),
        RecordedAnswer(
            title: "OpenRouter: no provider available", format: .openAICompatible, status: 503, body: #"{"error":{"message":"No available provider","code":503}}"#,
            outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "OpenRouter: the request is wrong", format: .openAICompatible, status: 400, body: #"{"error":{"message":"Input required: specify \"prompt\" or \"messages\"","code":400}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "OpenRouter: disabled key", format: .openAICompatible, status: 401,
            body: #"{"error":{"message":"User not found.","code":401}}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "OpenRouter: rate limit", format: .openAICompatible, status: 429,
            fields: [HeaderField("Retry-After", "12")],
            body: #"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"is temporarily rate-limited upstream","provider_name":"Chutes"}}}"#,
            outcome: .rateLimited(until: .after(.seconds(12)), reason: "rate_limited")),
        RecordedAnswer(
            title: "OpenRouter: guardrail", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"The request was blocked by a guardrail of your organization","code":403}}"#,
            outcome: .success),
    ]

    static let mistral: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Mistral: wrong key", format: .openAICompatible, status: 401, body: #"{"message":"Unauthorized","request_id":"1"}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "Mistral: payment", format: .openAICompatible, status: 402, body: #"{"object":"error","message":"Payment required","type":"payment_required","param":null,"code":null}"#,
            outcome: .exhausted(until: nil, reason: "payment_required")),
        RecordedAnswer(
            title: "Mistral: rate limit by size", format: .openAICompatible, status: 429,
            fields: [HeaderField("x-ratelimitbysize-remaining-minute", "0"), HeaderField("ratelimitbysize-reset", "27")],
            body: #"{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#,
            outcome: .rateLimited(until: .after(.seconds(27)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Mistral: capacity of the tier", format: .openAICompatible, status: 429,
            body: #"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}"#,
            outcome: .rateLimited(until: nil, reason: "rate_limited")),
        RecordedAnswer(
            title: "Mistral: model not in the tier", format: .openAICompatible, status: 403,
            body: #"{"object":"error","message":"This model is not available for your tier","type":"forbidden","param":null,"code":null}"#,
            outcome: .forbidden(reason: "forbidden")),
        RecordedAnswer(
            title: "Mistral: the request is wrong", format: .openAICompatible, status: 422,
            body: #"{"object":"error","message":{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]},"type":"invalid_request_error","param":null,"code":null}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Mistral: internal error", format: .openAICompatible, status: 500,
            body: #"{"object":"error","message":"Service unavailable.","type":"internal_server_error","param":null,"code":"3000"}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "Mistral: unavailable", format: .openAICompatible, status: 503,
            body: #"{"object":"error","message":"Service unavailable.","type":"unreachable_backend","param":null,"code":"1100"}"#,
            outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "Mistral: rate limit with Retry-After", format: .openAICompatible, status: 429,
            fields: [HeaderField("Retry-After", "4")],
            body: #"{"message":"Requests rate limit exceeded"}"#,
            outcome: .rateLimited(until: .after(.seconds(4)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Mistral: unknown model", format: .openAICompatible, status: 400,
            body: #"{"object":"error","message":"Invalid model: mistral-9","type":"invalid_model","param":null,"code":"1500"}"#,
            outcome: .success),
    ]

    static let deepSeek: [RecordedAnswer] = [
        RecordedAnswer(
            title: "DeepSeek: wrong key", format: .openAICompatible, status: 401,
            body: #"{"error":{"message":"Authentication Fails (no such user)","type":"authentication_error","param":null,"code":"invalid_request_error"}}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "DeepSeek: insufficient balance", format: .openAICompatible, status: 402,
            body: #"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
            outcome: .exhausted(until: nil, reason: "payment_required")),
        RecordedAnswer(
            title: "DeepSeek: insufficient balance on its Anthropic face", format: .anthropicNative, status: 402,
            body: #"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
            outcome: .exhausted(until: nil, reason: "payment_required")),
        RecordedAnswer(
            title: "DeepSeek: too many at once", format: .openAICompatible, status: 429,
            body: #"{"error":{"message":"Rate limit reached","type":"rate_limit_error","param":null,"code":null}}"#, outcome: .rateLimited(until: nil, reason: "rate_limited")),
        RecordedAnswer(
            title: "DeepSeek: overloaded", format: .openAICompatible, status: 503,
            body: #"{"error":{"message":"Server overloaded","type":"service_unavailable_error","param":null,"code":null}}"#,
            outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "DeepSeek: the parameters are wrong", format: .openAICompatible, status: 422,
            body: #"{"error":{"message":"Failed to deserialize the JSON body","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#, outcome: .success),
        RecordedAnswer(
            title: "DeepSeek: server error", format: .openAICompatible, status: 500,
            body: #"{"error":{"message":"Internal Server Error","type":"internal_error","param":null,"code":null}}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "DeepSeek: the format is wrong", format: .openAICompatible, status: 400,
            body: #"{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
            outcome: .success),
    ]

    static let groq: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Groq: wrong key", format: .openAICompatible, status: 401,
            body: #"{"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}"#, outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "Groq: tokens per minute", format: .openAICompatible, status: 429,
            fields: [HeaderField("retry-after", "7"), HeaderField("x-ratelimit-remaining-tokens", "0"), HeaderField("x-ratelimit-reset-tokens", "7.66s")],
            body: #"{"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Used 11900, Requested 1500. Please try again in 7s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            outcome: .rateLimited(until: .after(.seconds(7)), reason: "rate_limited")),
        RecordedAnswer(
            title: "Groq: requests per day", format: .openAICompatible, status: 429,
            fields: [
                HeaderField("retry-after", "87"), HeaderField("x-ratelimit-remaining-requests", "0"), HeaderField("x-ratelimit-reset-requests", "14h24m0s"),
                HeaderField("x-ratelimit-remaining-tokens", "12000"), HeaderField("x-ratelimit-reset-tokens", "0s"),
            ],
            body: #"{"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_1` service tier `on_demand` on requests per day (RPD): Limit 1000, Used 1000, Requested 1. Please try again in 1m26.4s.","type":"requests","code":"rate_limit_exceeded"}}"#,
            outcome: .exhausted(until: .after(.seconds(51_840)), reason: "requests_per_day")),
        RecordedAnswer(
            title: "Groq: tokens per day", format: .openAICompatible, status: 429, fields: [HeaderField("retry-after", "812")],
            body: #"{"error":{"message":"Rate limit reached for model `m` in organization `org_1` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 99999, Requested 941.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            outcome: .exhausted(until: .after(.seconds(812)), reason: "tokens_per_day")),
        RecordedAnswer(
            title: "Groq: organization restricted", format: .openAICompatible, status: 400,
            body: #"{"error":{"message":"Organization has been restricted. Please reach out to support if you believe this was in error.","type":"invalid_request_error","code":"organization_restricted"}}"#,
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "Groq: flex capacity", format: .openAICompatible, status: 498,
            body: #"{"error":{"message":"Flex tier capacity exceeded","type":"server_error","code":"capacity_exceeded"}}"#, outcome: .success),
        RecordedAnswer(
            title: "Groq: a dependency failed", format: .openAICompatible, status: 424, body: #"{"error":{"message":"Failed dependency","type":"invalid_request_error"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Groq: permission", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"The model `m` is blocked at the project level. Please have a project admin enable this model.","type":"permissions_error","code":"model_permission_blocked_project"}}"#,
            outcome: .forbidden(reason: "forbidden")),
        RecordedAnswer(
            title: "Groq: server error", format: .openAICompatible, status: 500,
            body: #"{"error":{"message":"Internal Server Error","type":"internal_server_error"}}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "Groq: the request is wrong", format: .openAICompatible, status: 400,
            body: #"{"error":{"message":"'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : property 'content' is missing)]","type":"invalid_request_error"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Groq: too large", format: .openAICompatible, status: 413,
            body: #"{"error":{"message":"Request too large for model `m` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Groq: semantically wrong", format: .openAICompatible, status: 422,
            body: #"{"error":{"message":"Failed to generate JSON","type":"invalid_request_error"}}"#,
            outcome: .success),
    ]

    static let cohere: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Cohere: wrong token", format: .openAICompatible, status: 401, body: #"{"message":"invalid api token"}"#,
            outcome: .keyRejected(reason: "unauthorized")),
        RecordedAnswer(
            title: "Cohere: billing", format: .openAICompatible, status: 402, body: #"{"message":"please add or update your payment method"}"#,
            outcome: .exhausted(until: nil, reason: "payment_required")),
        RecordedAnswer(
            title: "Cohere: trial calls per month", format: .openAICompatible, status: 429,
            body: #"{"message":"You are using a Trial key, which is limited to 1000 API calls / month. You can continue to use the Trial key for free or upgrade to a Production key."}"#,
            outcome: .exhausted(until: nil, reason: "calls_per_month")),
        RecordedAnswer(
            title: "Cohere: trial calls per minute", format: .openAICompatible, status: 429,
            body: #"{"message":"You are using a Trial key, which is limited to 20 API calls / minute."}"#, outcome: .rateLimited(until: nil, reason: "rate_limited")),
        RecordedAnswer(title: "Cohere: 498", format: .openAICompatible, status: 498, body: #"{"message":"invalid token"}"#, outcome: .success),
        RecordedAnswer(title: "Cohere: 499", format: .openAICompatible, status: 499, body: #"{"message":"request cancelled"}"#, outcome: .success),
        RecordedAnswer(title: "Cohere: the request is wrong", format: .openAICompatible, status: 422, body: #"{"message":"invalid type"}"#, outcome: .success),
        RecordedAnswer(
            title: "Cohere: server error", format: .openAICompatible, status: 500,
            body: #"{"message":"internal server error, this has been reported to our developers."}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "Cohere: malformed", format: .openAICompatible, status: 400,
            body: #"{"message":"invalid request: message must be at least 1 token long."}"#,
            outcome: .success),
        RecordedAnswer(
            title: "Cohere: unknown model", format: .openAICompatible, status: 404,
            body: #"{"message":"model 'command-9' not found, make sure the correct model ID was used and that you have access to the model."}"#,
            outcome: .success),
    ]

    static let bedrock: [RecordedAnswer] = [
        RecordedAnswer(
            title: "Bedrock: wrong key", format: .openAICompatible, status: 403,
            fields: [HeaderField("x-amzn-ErrorType", "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.bedrock/")],
            body: #"{"message":"Authentication failed: Please make sure your API Key is valid."}"#, outcome: .keyRejected(reason: "access_denied")),
        RecordedAnswer(
            title: "Bedrock: no access to the model", format: .openAICompatible, status: 403, fields: [HeaderField("x-amzn-errortype", "AccessDeniedException")],
            body: #"{"message":"You don't have access to the model with the specified model ID."}"#, outcome: .forbidden(reason: "model_access_denied")),
        RecordedAnswer(
            title: "Bedrock: unknown client token", format: .openAICompatible, status: 403, fields: [HeaderField("x-amzn-errortype", "InvalidClientTokenId")],
            body: #"{"message":"The security token included in the request is invalid."}"#, outcome: .keyRejected(reason: "invalid_client_token_id")),
        RecordedAnswer(
            title: "Bedrock: expired token", format: .openAICompatible, status: 403, fields: [HeaderField("x-amzn-errortype", "ExpiredTokenException")],
            body: #"{"message":"The security token included in the request is expired"}"#, outcome: .keyRejected(reason: "expired_token")),
        RecordedAnswer(
            title: "Bedrock: expired token with 400", format: .openAICompatible, status: 400, fields: [HeaderField("x-amzn-errortype", "ExpiredTokenException:")],
            body: #"{"message":"expired"}"#, outcome: .keyRejected(reason: "expired_token")),
        RecordedAnswer(
            title: "Bedrock: service quota", format: .openAICompatible, status: 400, fields: [HeaderField("x-amzn-errortype", "ServiceQuotaExceededException")],
            body: #"{"message":"Your request exceeds the service quota for your account."}"#, outcome: .exhausted(until: nil, reason: "service_quota_exceeded")),
        RecordedAnswer(
            title: "Bedrock: throttled", format: .openAICompatible, status: 429, fields: [HeaderField("x-amzn-errortype", "ThrottlingException")],
            body: #"{"message":"Too many tokens, please wait before trying again."}"#, outcome: .rateLimited(until: nil, reason: "rate_limited")),
        RecordedAnswer(
            title: "Bedrock: model not ready", format: .openAICompatible, status: 429, fields: [HeaderField("x-amzn-errortype", "ModelNotReadyException")],
            body: #"{"message":"The model is not ready for inference."}"#, outcome: .upstreamFailed(reason: "model_not_ready")),
        RecordedAnswer(
            title: "Bedrock: the request is wrong", format: .openAICompatible, status: 400, fields: [HeaderField("x-amzn-errortype", "ValidationException")],
            body: #"{"message":"1 validation error detected"}"#, outcome: .success),
        RecordedAnswer(
            title: "Bedrock: unavailable", format: .openAICompatible, status: 503, fields: [HeaderField("x-amzn-errortype", "ServiceUnavailableException")],
            body: #"{"message":"Service unavailable"}"#, outcome: .upstreamFailed(reason: "overloaded")),
        RecordedAnswer(
            title: "Bedrock: unrecognized client", format: .openAICompatible, status: 403,
            fields: [HeaderField("x-amzn-ErrorType", "UnrecognizedClientException")],
            body: #"{"message":"The security token included in the request is invalid."}"#,
            outcome: .keyRejected(reason: "unrecognized_client")),
        RecordedAnswer(
            title: "Bedrock: wrong signature", format: .openAICompatible, status: 403,
            fields: [HeaderField("x-amzn-ErrorType", "InvalidSignatureException")],
            body: #"{"message":"The request signature we calculated does not match the signature you provided."}"#,
            outcome: .keyRejected(reason: "invalid_signature")),
        RecordedAnswer(
            title: "Bedrock: internal error", format: .openAICompatible, status: 500,
            fields: [HeaderField("x-amzn-errortype", "InternalServerException")],
            body: #"{"message":"The system encountered an unexpected error during processing. Try your request again."}"#,
            outcome: .upstreamFailed(reason: "server_error")),
        RecordedAnswer(
            title: "Bedrock: unknown model", format: .openAICompatible, status: 404,
            fields: [HeaderField("x-amzn-errortype", "ResourceNotFoundException")],
            body: #"{"message":"Could not resolve the foundation model from the provided model identifier."}"#,
            outcome: .success),
    ]

    static let others: [RecordedAnswer] = [
        RecordedAnswer(
            title: "xAI: wrong key with 400", format: .openAICompatible, status: 400,
            body: #"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***kl. You can obtain an API key from https://console.x.ai."}"#,
            outcome: .keyRejected(reason: "invalid_api_key")),
        RecordedAnswer(
            title: "Moonshot: account without money, called suspended", format: .openAICompatible, status: 429,
            body: #"{"error":{"message":"Your account is suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "Generic: GitHub's rate limit", format: .generic, status: 429,
            fields: [HeaderField("X-RateLimit-Remaining", "0"), HeaderField("X-RateLimit-Reset", "1800000900"), HeaderField("X-RateLimit-Resource", "core")],
            body: #"{"message":"API rate limit exceeded"}"#, outcome: .rateLimited(until: .after(.seconds(900)), reason: "rate_limited")),
        RecordedAnswer(title: "Generic: forbidden", format: .generic, status: 403, body: "no", outcome: .keyRejected(reason: "forbidden")),
        RecordedAnswer(
            title: "Generic: suspended, in plain text", format: .generic, status: 403, body: "Your account has been suspended.\n",
            outcome: .keyRejected(reason: "account_suspended")),
        RecordedAnswer(
            title: "Generic: quota in a 429", format: .generic, status: 429, body: #"{"error":"insufficient_quota"}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "xAI: wrong key with its code", format: .openAICompatible, status: 400,
            body: #"{"code":"invalid_api_key","error":"The API key is not valid."}"#,
            outcome: .keyRejected(reason: "invalid_api_key")),
        RecordedAnswer(
            title: "Gateway: quota in a code of its own place", format: .openAICompatible, status: 429,
            body: #"{"errors":[{"code":"insufficient_quota"}]}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_quota")),
        RecordedAnswer(
            title: "Gateway: credit, in words", format: .openAICompatible, status: 403,
            body: #"{"error":{"message":"Insufficient credit: please top up your account"}}"#,
            outcome: .exhausted(until: nil, reason: "insufficient_credit")),
    ]
}
