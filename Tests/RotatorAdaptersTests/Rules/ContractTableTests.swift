// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("What a bare status means") struct ContractTableTests {
    static let llm: [APIFormat] = [.openAICompatible, .anthropicNative, .geminiNative, .azureOpenAI]

    private func outcome(_ format: APIFormat, _ status: Int, _ fields: HeaderFields = [], _ body: String = "") -> AttemptOutcome {
        AdapterRegistry.builtIn[format].outcome(of: UpstreamAnswer(status: status, fields: fields, bodyPrefix: Array(body.utf8)), at: .recorded)
    }

    @Test(arguments: APIFormat.allCases)
    func `the client's own faults never punish a key`(_ format: APIFormat) {
        for status in 400...499 where ![401, 402, 403, 429].contains(status) { #expect(outcome(format, status) == .success, "\(status)") }
        for status in [200, 204, 301, 304, 501, 505] { #expect(outcome(format, status) == .success, "\(status)") }
    }

    @Test(arguments: APIFormat.allCases)
    func `401 rejects, 402 exhausts, 429 limits, 5xx is the provider's`(_ format: APIFormat) {
        #expect(outcome(format, 401) == .keyRejected(reason: "unauthorized"))
        #expect(outcome(format, 402) == .exhausted(until: nil, reason: "payment_required"))
        #expect(outcome(format, 429) == .rateLimited(until: nil, reason: "rate_limited"))
        for status in [500, 502, 503, 504, 529] {
            guard case .upstreamFailed = outcome(format, status) else {
                Issue.record("\(status) is \(outcome(format, status))")
                continue
            }
        }
    }

    @Test func `403 rejects on generic services and forbids on llm`() {
        #expect(outcome(.generic, 403) == .keyRejected(reason: "forbidden"))
        for format in ContractTableTests.llm { #expect(outcome(format, 403) == .forbidden(reason: "forbidden")) }
    }

    @Test(arguments: APIFormat.allCases)
    func `503 and 529 that say when are rate limits, other 5xx never`(_ format: APIFormat) {
        let fields: HeaderFields = [HeaderField("Retry-After", "9")]
        for status in [503, 529] { #expect(outcome(format, status, fields) == .rateLimited(until: .after(.seconds(9)), reason: "overloaded", scope: .model)) }
        for status in [500, 502, 504] {
            guard case .upstreamFailed = outcome(format, status, fields) else {
                Issue.record("\(status)")
                continue
            }
        }
        // Reset fields are always there at some providers, and say nothing of a 503.
        #expect(outcome(format, 503, [HeaderField("x-ratelimit-reset-tokens", "1s")]) == .upstreamFailed(reason: "overloaded"))
        #expect(outcome(format, 503, [HeaderField("Retry-After", "soon")]) == .upstreamFailed(reason: "overloaded"))
    }

    @Test(arguments: [
        ([HeaderField("retry-after-ms", "250"), HeaderField("Retry-After", "9")], Duration.milliseconds(250)),
        ([HeaderField("Retry-After", "9"), HeaderField("x-ratelimit-reset-tokens", "1s")], .seconds(9)),
        ([HeaderField("Retry-After", "Fri, 15 Jan 2027 08:00:20 GMT")], .seconds(20)),
        ([HeaderField("Retry-After", "Friday, 15-Jan-27 08:00:20 GMT")], .seconds(20)),
        ([HeaderField("Retry-After", "Fri Jan 15 08:00:20 2027")], .seconds(20)),
        // A field that cannot be read gives way to the next.
        ([HeaderField("retry-after-ms", "soon"), HeaderField("Retry-After", "4")], .seconds(4)),
        ([HeaderField("Retry-After", "whenever"), HeaderField("x-ratelimit-reset-requests", "3s")], .seconds(3)),
        // The past is now; the absurd is 31 days.
        ([HeaderField("Retry-After", "-5")], .zero),
        ([HeaderField("Retry-After", "0")], .zero),
        ([HeaderField("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")], .zero),
        ([HeaderField("Retry-After", "99999999999999999999999999")], .seconds(31 * 86_400)),
        ([HeaderField("retry-after-ms", "99999999999999999999999999")], .seconds(31 * 86_400)),
        ([HeaderField("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")], .seconds(31 * 86_400)),
        // The latest among kinds of which nothing remains …
        (
            [
                HeaderField("x-ratelimit-remaining-requests", "0"), HeaderField("x-ratelimit-reset-requests", "2s"), HeaderField("x-ratelimit-remaining-tokens", "0"),
                HeaderField("x-ratelimit-reset-tokens", "1m30s"), HeaderField("x-ratelimit-reset-images", "2h"),
            ], .seconds(90)
        ),
        // … else the earliest.
        (
            [
                HeaderField("x-ratelimit-remaining-requests", "5"), HeaderField("x-ratelimit-reset-requests", "20s"), HeaderField("x-ratelimit-remaining-tokens", "-1"),
                HeaderField("x-ratelimit-reset-tokens", "12ms"),
            ], .milliseconds(12)
        ),
        ([HeaderField("RateLimit", "\"burst\";r=0;t=30, \"day\";r=900;t=3600")], .seconds(30)),
        ([HeaderField("X-RateLimit-Reset", "1800000005")], .seconds(5)),
        ([HeaderField("X-RateLimit-Reset", "1800000005000")], .seconds(5)),
        ([HeaderField("x-rate-limit-reset", "30")], .seconds(30)),
    ])
    func `a 429 rests until the time that counts`(_ fields: [HeaderField], _ rest: Duration) {
        for format in APIFormat.allCases {
            #expect(outcome(format, 429, HeaderFields(fields)) == .rateLimited(until: .after(rest), reason: "rate_limited"))
        }
    }

    @Test func `a compressed body is read, and an unknown coding is not`() {
        func outcome(_ coding: String, _ body: [UInt8]) -> AttemptOutcome {
            AdapterRegistry.builtIn[.openAICompatible].outcome(
                of: UpstreamAnswer(status: 429, fields: [HeaderField("Content-Encoding", coding)], bodyPrefix: body), at: .recorded)
        }
        let exhausted = AttemptOutcome.exhausted(until: nil, reason: "insufficient_quota")
        #expect(outcome("gzip", CompressedBodies.gzip) == exhausted)
        #expect(outcome("x-gzip", CompressedBodies.gzip) == exhausted)
        #expect(outcome("GZIP, identity", CompressedBodies.gzip) == exhausted)
        #expect(outcome("deflate", CompressedBodies.deflate) == exhausted)
        #expect(outcome("deflate", CompressedBodies.rawDeflate) == exhausted)
        // Without its trailer, as when the prefix ends before the body does.
        #expect(outcome("gzip", CompressedBodies.gzip.dropLast(9)) == exhausted)
        let limited = AttemptOutcome.rateLimited(until: nil, reason: "rate_limited")
        #expect(outcome("br", CompressedBodies.gzip) == limited)
        #expect(outcome("gzip, gzip", CompressedBodies.gzip) == limited)
        #expect(outcome("gzip", []) == limited)
        #expect(outcome("gzip", Array("not gzip at all".utf8)) == limited)
        var random = SplitMix(seed: 7)
        for body in [CompressedBodies.gzip, CompressedBodies.deflate, CompressedBodies.rawDeflate] {
            for _ in 0..<300 { #expect(outcome("gzip", random.damaged(body)) != .abandoned && outcome("deflate", random.damaged(body)) != .abandoned) }
        }
    }

    @Test func `a table of one's own is evaluated in order`() {
        let rules = ProviderRules([
            ProviderRule(418, .field("x-kind", contains: "Short"), .json(["/stout"], .number([1])), means: .rateLimited(until: [.field("x-back")]), "teapot"),
            ProviderRule(418, .json(["/a~1b/m~0n/1"], .equals(["here"])), means: .forbidden, "pointer"),
            ProviderRule(.anyError, .json(["/list/*/reason"], .begins(["gone "])), means: .keyRejected, "gone"),
            ProviderRule(418, means: .upstreamFailed, "last"),
        ])
        func outcome(_ body: String, _ fields: HeaderFields = []) -> AttemptOutcome {
            rules.outcome(of: UpstreamAnswer(status: 418, fields: fields, bodyPrefix: Array(body.utf8)), at: .recorded)
        }
        #expect(outcome(#"{"stout":1}"#, [HeaderField("X-Kind", "very short"), HeaderField("X-Back", "2m")]) == .rateLimited(until: .after(.seconds(120)), reason: "teapot"))
        #expect(outcome(#"{"stout":1}"#, [HeaderField("X-Kind", "tall")]) == .upstreamFailed(reason: "last"))
        #expect(outcome(#"{"a/b":{"m~n":["not","here"]}}"#) == .forbidden(reason: "pointer"))
        #expect(outcome(#"{"list":[{"reason":"x"},7,{"r\u0065ason":"gone away"}]}"#) == .keyRejected(reason: "gone"))
        #expect(outcome(#"[{"list":[{"reason":"gone away"}]}]"#) == .keyRejected(reason: "gone"))
        #expect(outcome(#"{"list":[{"reason":"has gone away"}]}"#) == .upstreamFailed(reason: "last"))
    }
}
