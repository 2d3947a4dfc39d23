// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The fields in which providers tell what is left of a key's quota, and whose key it is.
public enum QuotaFields {
    /// Texts, in lower case, one of which the name of every field holds that `Adapter.quota(in:at:)` and `Adapter.quotaGroup(in:)` of the built-in adapters look at:
    /// whoever has raw octets need not make fields of the others.
    public static let nameParts: [String] = ["ratelimit", "rate-limit", "organization", "openai-project"]

    /// What the fields of the `…ratelimit…remaining…` family tell, each beside those of the same name with `limit` and `reset` in its place.
    ///
    /// Read by their pattern, as ``ResetFields`` reads them. Where several windows of a kind are told of (Mistral: minute and month), the one of which least is left
    /// counts. -1, and 0 with neither a limit nor a time, is how Azure's Responses API says that it does not know.
    static func reading(in fields: HeaderFields, at now: Moment) -> QuotaReading? {
        var amounts: [QuotaReading.Amount] = []
        func note(_ amount: QuotaReading.Amount) {
            if amount.remaining == 0, amount.limit == nil, amount.resetsAt == nil { return }
            guard let index = amounts.firstIndex(where: { $0.kind == amount.kind }) else { return amounts.append(amount) }
            if amount.remaining < amounts[index].remaining { amounts[index] = amount }
        }
        for field in fields.lines {
            guard let name = LimitFieldName(field.name) else { continue }
            switch name.part {
            case .remaining:
                guard let kind = name.kind, let remaining = count(field.value) else { continue }
                let limit = fields.lines.first { name.isPartner($0.name, as: "limit") }.flatMap { count($0.value) }
                let reset = fields.lines.first { name.isPartner($0.name, as: "reset") } ?? (name.isBySize ? fields.lines.first { $0.name.equals(bySizeReset) } : nil)
                note(QuotaReading.Amount(kind, limit: limit, remaining: remaining, resetsAt: reset.flatMap { ProviderTime.reset($0.value, at: now) }))
            case .structured:
                for limit in ResetFields.structuredLimits(field.value, at: now) {
                    guard let remaining = limit.remaining else { continue }
                    note(QuotaReading.Amount(.requests, limit: nil, remaining: remaining, resetsAt: limit.time))
                }
            }
        }
        return amounts.isEmpty ? nil : QuotaReading(amounts)
    }

    /// `openai-organization`, with `openai-project` behind a slash where it is told, or `anthropic-organization-id`. No other provider documents such a field.
    static func group(in fields: HeaderFields) -> String? {
        var organization: String?
        var project: String?
        for field in fields.lines {
            switch field.name.utf8.count {
            case 14 where field.name.equals(openAIProject): project = project ?? identifier(field.value)
            case 19 where field.name.equals(openAIOrganization), 25 where field.name.equals(anthropicOrganization):
                organization = organization ?? identifier(field.value)
            default: break
            }
        }
        guard let organization else { return nil }
        return project.map { "\(organization)/\($0)" } ?? organization
    }

    private static let bySizeReset: FoldedText = "ratelimitbysize-reset"
    private static let openAIOrganization: FoldedText = "openai-organization"
    private static let openAIProject: FoldedText = "openai-project"
    private static let anthropicOrganization: FoldedText = "anthropic-organization-id"

    /// `value` if it can be the name of somebody: 1 to 128 visible ASCII octets.
    private static func identifier(_ value: String) -> String? {
        1...128 ~= value.utf8.count && value.utf8.allSatisfy { 0x21...0x7E ~= $0 } ? value : nil
    }

    /// The whole number that `value` begins with, as in `10` and `10, 10;window=1`; nil for a negative or absurd one.
    private static func count(_ value: String) -> Int64? {
        var count: Int64 = 0
        var digits = 0
        for octet in value.utf8 {
            guard octet.isDigit else {
                guard octet == 0x2C || octet == 0x3B || octet == 0x2E || octet == 0x20 else { return nil }
                break
            }
            digits += 1
            guard digits <= 15 else { return nil }
            count = count * 10 + Int64(octet &- 0x30)
        }
        return digits > 0 ? count : nil
    }
}

/// The name of a field of limits, taken apart.
private struct LimitFieldName {
    enum Part {
        case remaining
        /// `RateLimit` itself, a structured field.
        case structured
    }

    private let name: String
    let part: Part
    /// What is counted; nil for what is nobody's kind, such as images.
    private(set) var kind: QuotaReading.Kind?
    /// Mistral's name for tokens.
    private(set) var isBySize = false
    /// Where `remaining` stands.
    private var place = 0..<0

    /// Nil where `name` does not tell what remains.
    init?(_ name: String) {
        self.name = name
        var copy = name
        let read = copy.withUTF8 { octets in unsafe LimitFieldName.read(octets) }
        guard let read else { return nil }
        part = read.part
        kind = read.kind
        isBySize = read.isBySize
        place = read.place
    }

    private static func read(_ octets: UnsafeBufferPointer<UInt8>) -> (part: Part, kind: QuotaReading.Kind?, isBySize: Bool, place: Range<Int>)? {
        guard octets.count >= 9, octets.count <= 128 else { return nil }
        if octets.count == 9 { return unsafe find("ratelimit", in: octets) == nil ? nil : (.structured, .requests, false, 0..<0) }
        guard let start = unsafe find("remaining", in: octets), unsafe find("ratelimit", in: octets) != nil || find("rate-limit", in: octets) != nil else { return nil }
        let isBySize = unsafe find("bysize", in: octets) != nil
        var isInput = false
        var isOutput = false
        var isTokens = isBySize
        var isRequests = false
        var isUnknown = false
        var index = 0
        while index < octets.count {
            var end = index
            while end < octets.count, unsafe octets[end] != 0x2D, unsafe octets[end] != 0x5F { end += 1 }
            let word = unsafe UnsafeBufferPointer(rebasing: octets[index..<end])
            if unsafe equals("tokens", word) || equals("token", word) {
                isTokens = true
            } else if unsafe equals("requests", word) || equals("request", word) || equals("req", word) {
                isRequests = true
            } else if unsafe equals("input", word) {
                isInput = true
            } else if unsafe equals("output", word) {
                isOutput = true
            } else if unsafe equals("images", word) || equals("audio", word) || equals("cost", word) {
                isUnknown = true
            }
            index = end + 1
        }
        let kind: QuotaReading.Kind? =
            isUnknown ? nil : isTokens ? (isInput ? .inputTokens : isOutput ? .outputTokens : .tokens) : isRequests || !isInput && !isOutput ? .requests : nil
        return (.remaining, kind, isBySize, start..<start + 9)
    }

    /// Whether `other` is this name with `word` in the place of `remaining`, case aside.
    func isPartner(_ other: String, as word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard other.utf8.count == name.utf8.count - 9 + length else { return false }
        var first = name
        var second = other
        return first.withUTF8 { own in
            second.withUTF8 { other in
                for index in 0..<other.count {
                    let wanted: UInt8
                    if index < place.lowerBound {
                        wanted = unsafe own[index]
                    } else if index < place.lowerBound + length {
                        wanted = unsafe word.utf8Start[index - place.lowerBound]
                    } else {
                        wanted = unsafe own[index + 9 - length]
                    }
                    guard unsafe other[index].lowercasedASCII == wanted.lowercasedASCII else { return false }
                }
                return true
            }
        }
    }

    private static func equals(_ word: StaticString, _ octets: UnsafeBufferPointer<UInt8>) -> Bool {
        unsafe octets.count == word.utf8CodeUnitCount && find(word, in: octets) == 0
    }

    private static func find(_ word: StaticString, in octets: UnsafeBufferPointer<UInt8>) -> Int? {
        let length = word.utf8CodeUnitCount
        let first = unsafe word.utf8Start[0]
        var start = 0
        while start + length <= octets.count {
            if unsafe octets[start] | 0x20 == first {
                var offset = 1
                while offset < length, unsafe octets[start + offset].lowercasedASCII == word.utf8Start[offset] { offset += 1 }
                if offset == length { return start }
            }
            start += 1
        }
        return nil
    }
}
