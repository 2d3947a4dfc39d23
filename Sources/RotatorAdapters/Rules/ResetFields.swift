// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The rate-limit fields of all providers, read by their pattern: a name with `ratelimit` and `reset`, beside one of the same name with
/// `remaining` in its place.
///
/// Seen so far: `x-ratelimit-reset-tokens` (OpenAI, Groq, Azure, Mistral), `anthropic-ratelimit-tokens-reset`, `X-RateLimit-Reset` (OpenRouter,
/// GitHub), `ratelimitbysize-reset` (Mistral), `x-rate-limit-reset` (X), `RateLimit-Reset` (draft-ietf-httpapi-ratelimit-headers-06), and `RateLimit`
/// (version 07 and later).
enum ResetFields {
    private static let whole: FoldedText = "ratelimit"
    private static let hyphenated: FoldedText = "rate-limit"

    /// The latest reset among kinds of which nothing remains, else the earliest of all.
    static func time(in fields: HeaderFields, at now: Moment) -> Moment? {
        var earliest: Moment?
        var latestSpent: Moment?
        func consider(_ time: Moment, isSpent: Bool) {
            earliest = min(earliest ?? time, time)
            if isSpent { latestSpent = max(latestSpent ?? time, time) }
        }
        for field in fields.lines where field.name.contains(whole) || field.name.contains(hyphenated) {
            if field.name.equals(whole) {
                for limit in structuredLimits(field.value, at: now) { consider(limit.time, isSpent: limit.isSpent) }
            } else if let partner = remainingName(forReset: field.name), let time = ProviderTime.reset(field.value, at: now) {
                let remaining = fields.lines.first { $0.name.equals(partner) }?.value
                // Azure's Responses API says -1 where it does not know.
                consider(time, isSpent: remaining.map { $0.utf8.first != 0x2D && ProviderTime.number($0, unit: 1) == 0 } ?? false)
            }
        }
        return latestSpent ?? earliest
    }

    /// The items of a `RateLimit` field, such as `"default";r=0;t=30`, where `t` is in seconds.
    private static func structuredLimits(_ value: String, at now: Moment) -> [(time: Moment, isSpent: Bool)] {
        value.split(separator: ",").prefix(32).compactMap { item in
            var time: Moment?
            var isSpent = false
            for parameter in item.split(separator: ";") {
                let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
                guard parts.count == 2 else { continue }
                if parts[0] == "t" { time = ProviderTime.retryAfter(parts[1], at: now) }
                if parts[0] == "r" { isSpent = ProviderTime.number(parts[1], unit: 1) == 0 }
            }
            return time.map { ($0, isSpent) }
        }
    }

    /// The name of the field that says how much remains of what `name` says the return of; nil where `name` does not hold `reset`.
    private static func remainingName(forReset name: String) -> FoldedText? {
        let octets = FoldedText(name).octets
        let word = Array("reset".utf8)
        guard octets.count >= word.count,
            let start = (0...octets.count - word.count).first(where: { octets[$0..<$0 + word.count].elementsEqual(word) })
        else { return nil }
        return FoldedText(octets: octets[..<start] + Array("remaining".utf8) + octets[(start + word.count)...])
    }
}
