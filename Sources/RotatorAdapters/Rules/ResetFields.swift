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
                for limit in structuredLimits(field.value, at: now) {
                    if let time = limit.time { consider(time, isSpent: limit.remaining == 0) }
                }
            } else if let partner = remainingName(forReset: field.name), let time = ProviderTime.reset(field.value, at: now) {
                let remaining = fields.lines.first { $0.name.equals(partner) }?.value
                // Azure's Responses API says -1 where it does not know.
                consider(time, isSpent: remaining.flatMap { self.remaining($0) } == 0)
            }
        }
        return latestSpent ?? earliest
    }

    /// The items of a `RateLimit` field, such as `"default";r=0;t=30`, where `t` is in seconds, or `limit=100, remaining=50, reset=5` of the drafts before them.
    static func structuredLimits(_ value: String, at now: Moment) -> [(time: Moment?, remaining: Int64?)] {
        var loose: (time: Moment?, remaining: Int64?) = (nil, nil)
        var limits: [(time: Moment?, remaining: Int64?)] = value.split(separator: ",").prefix(32).compactMap { item in
            var limit: (time: Moment?, remaining: Int64?) = (nil, nil)
            for parameter in item.split(separator: ";") {
                let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
                guard parts.count == 2 else { continue }
                switch parts[0] {
                case "t": limit.time = ProviderTime.retryAfter(parts[1], at: now)
                case "r": limit.remaining = remaining(parts[1])
                case "reset": loose.time = ProviderTime.retryAfter(parts[1], at: now)
                case "remaining": loose.remaining = remaining(parts[1])
                default: break
                }
            }
            return limit.time == nil && limit.remaining == nil ? nil : limit
        }
        if loose.time != nil || loose.remaining != nil { limits.append(loose) }
        return limits
    }

    /// A number that is not negative: -1 says that nobody knows.
    private static func remaining(_ text: String) -> Int64? { text.utf8.first == 0x2D ? nil : ProviderTime.number(text, unit: 1) }

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
