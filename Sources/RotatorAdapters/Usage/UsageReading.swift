// SPDX-License-Identifier: MIT

internal import RotatorCore

/// How a dialect says what it has counted.
enum UsageDialect {
    /// OpenAI's, and what rides on it: Groq (`x_groq`), DeepSeek (`prompt_cache_hit_tokens`), Cohere v2 (`tokens`, `delta`), Bedrock's `converse`.
    case openAI
    /// Anthropic's: `message_start` says it first, each `message_delta` says what has changed (docs.anthropic.com/en/api/messages-streaming).
    case anthropic
    /// Gemini's: each chunk says what has been counted so far (ai.google.dev/api/generate-content#UsageMetadata).
    case gemini

    /// What the value of a member is good for.
    enum Role {
        case none
        /// An object with the numbers.
        case usage
        /// An object that may hold such an object.
        case parent
    }

    /// What a member of the document, or of a parent, is good for. Names are compared as they are written: nobody escapes a letter in them.
    func role(of name: MemberName, isInParent: Bool) -> Role {
        switch self {
        case .openAI:
            if name == .usage { return .usage }
            return !isInParent && (name == .response || name == .delta || name == .groq) ? .parent : .none
        case .anthropic:
            if name == .usage { return .usage }
            return !isInParent && name == .message ? .parent : .none
        case .gemini: return !isInParent && name == .usageMetadata ? .usage : .none
        }
    }
}

/// A member's name of at most 16 octets, in two words; a longer one equals none.
struct MemberName: Equatable {
    /// Eight octets each, the first one lowest; 0 where there are none.
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    private var count = 0

    /// No octet yet.
    init() {}

    /// The first `count` of these octets, at most 16.
    @inline(__always) init(_ low: UInt64, _ high: UInt64, count: Int) {
        // A shift by 64 or more gives 0.
        self.low = count >= 8 ? low : low & ~(UInt64.max << (8 * count))
        self.high = count <= 8 ? 0 : high & ~(UInt64.max << (8 * (count - 8)))
        self.count = count
    }

    /// The name in `range`.
    @inline(__always) init(_ bytes: RawSpan, _ range: Range<Int>) {
        if range.count > 16 {
            self = .long
        } else if range.lowerBound + 16 <= bytes.byteCount {
            self = MemberName(bytes.word(range.lowerBound), bytes.word(range.lowerBound + 8), count: range.count)
        } else {
            self = MemberName()
            for index in range { append(bytes.octet(index)) }
        }
    }

    /// A name that is too long already.
    static let long = MemberName(0, 0, count: 17)

    private init(_ text: StaticString) {
        for offset in 0..<text.utf8CodeUnitCount { unsafe append(text.utf8Start[offset]) }
    }

    /// The next octet of the name.
    mutating func append(_ octet: UInt8) {
        switch count {
        case 0..<8: low |= UInt64(octet) << (8 * count)
        case 8..<16: high |= UInt64(octet) << (8 * (count - 8))
        default: break
        }
        count = min(count + 1, 17)
    }

    static let usage = MemberName("usage")
    static let usageMetadata = MemberName("usageMetadata")
    static let response = MemberName("response")
    static let message = MemberName("message")
    static let delta = MemberName("delta")
    static let groq = MemberName("x_groq")
}

/// What has been said of one answer's tokens so far.
struct UsageReading {
    /// The sum of it; nil while nothing has been said.
    private(set) var usage: TokenUsage?
    /// Anthropic's members, which come one by one; negative while one has not been said.
    private var fresh: Int64 = -1
    private var cacheWritten: Int64 = -1
    private var cacheRead: Int64 = -1
    private var output: Int64 = -1

    /// Greater numbers are nobody's tokens.
    private static let countMax: Int64 = 1_000_000_000_000

    /// Takes in what the object that begins at `open` says. Where it says nothing that can be read, what was said before stands.
    ///
    /// - Returns: the index after the object's closing brace; nil where the octets end, or are no JSON, before it.
    @discardableResult
    mutating func take(at open: Int, of bytes: RawSpan, in dialect: UsageDialect) -> Int? {
        var members = JSONMembers(open: open)
        switch dialect {
        case .openAI: if let said = UsageReading.openAI(bytes, &members) { usage = said }
        case .anthropic: takeAnthropic(bytes, &members)
        case .gemini: if let said = UsageReading.gemini(bytes, &members) { usage = said }
        }
        return members.end
    }

    /// `usage` of chat completions, completions, responses, embeddings, images and audio (developers.openai.com/api/reference).
    private static func openAI(_ bytes: RawSpan, _ members: inout JSONMembers) -> TokenUsage? {
        var counts = OpenAICounts()
        counts.take(bytes, &members)
        return counts.usage
    }

    private static func gemini(_ bytes: RawSpan, _ members: inout JSONMembers) -> TokenUsage? {
        var prompt: Int64?
        var tools: Int64?
        var cached: Int64?
        var candidates: Int64?
        var thoughts: Int64?
        while let member = try? members.next(in: bytes) {
            let name = member.name
            if bytes.equals("promptTokenCount", in: name) {
                prompt = count(bytes, member.value)
            } else if bytes.equals("candidatesTokenCount", in: name) || bytes.equals("responseTokenCount", in: name) {
                candidates = count(bytes, member.value)
            } else if bytes.equals("thoughtsTokenCount", in: name) {
                thoughts = count(bytes, member.value)
            } else if bytes.equals("cachedContentTokenCount", in: name) {
                cached = count(bytes, member.value)
            } else if bytes.equals("toolUsePromptTokenCount", in: name) {
                tools = count(bytes, member.value)
            }
        }
        guard prompt != nil || tools != nil || candidates != nil || thoughts != nil else { return nil }
        return usage(input: (prompt ?? 0) + (tools ?? 0), output: (candidates ?? 0) + (thoughts ?? 0), cached: cached ?? 0, reasoning: thoughts ?? 0)
    }

    private mutating func takeAnthropic(_ bytes: RawSpan, _ members: inout JSONMembers) {
        while let member = try? members.next(in: bytes) {
            let name = member.name
            guard let value = UsageReading.count(bytes, member.value) else { continue }
            if bytes.equals("input_tokens", in: name) {
                fresh = value
            } else if bytes.equals("output_tokens", in: name) {
                output = value
            } else if bytes.equals("cache_read_input_tokens", in: name) {
                cacheRead = value
            } else if bytes.equals("cache_creation_input_tokens", in: name) {
                cacheWritten = value
            }
        }
        guard max(fresh, output, cacheRead, cacheWritten) >= 0 else { return }
        let read = max(0, cacheRead)
        usage = UsageReading.usage(input: max(0, fresh) + max(0, cacheWritten) + read, output: max(0, output), cached: read, reasoning: 0)
    }

    /// The parts are never more than the whole, whatever was said.
    fileprivate static func usage(input: Int64, output: Int64, cached: Int64, reasoning: Int64) -> TokenUsage {
        TokenUsage(input: input, output: output, cachedInput: min(cached, input), reasoning: min(reasoning, output))
    }

    /// The whole number in `range`; nil for a negative, fractional or absurd one, and for what is no number.
    fileprivate static func count(_ bytes: RawSpan, _ range: Range<Int>) -> Int64? {
        guard 1...13 ~= range.count else { return nil }
        var value: Int64 = 0
        for index in range {
            let octet = bytes.octet(index)
            guard octet.isDigit else { return nil }
            value = value * 10 + Int64(octet &- 0x30)
        }
        return value <= countMax ? value : nil
    }
}

/// The members of OpenAI's usage objects under all their names. Where one is there under two names, the greater number is meant: some gateways set the
/// other to 0.
private struct OpenAICounts {
    private var input: Int64?
    private var output: Int64?
    private var total: Int64?
    private var cached: Int64?
    private var reasoning: Int64?
    /// Bedrock counts what the cache held beside the input.
    private var besideInput: Int64 = 0

    mutating func take(_ bytes: RawSpan, _ members: inout JSONMembers) {
        while let member = try? members.next(in: bytes) {
            let name = member.name
            let value = member.value
            if bytes.octet(value.lowerBound) == 0x7B {
                if bytes.equals("prompt_tokens_details", in: name) || bytes.equals("input_tokens_details", in: name) {
                    OpenAICounts.note(&cached, detail("cached_tokens", bytes, value))
                } else if bytes.equals("completion_tokens_details", in: name) || bytes.equals("output_tokens_details", in: name) {
                    OpenAICounts.note(&reasoning, detail("reasoning_tokens", bytes, value))
                } else if bytes.equals("tokens", in: name) {
                    OpenAICounts.note(&input, detail("input_tokens", bytes, value))
                    OpenAICounts.note(&output, detail("output_tokens", bytes, value))
                }
                continue
            }
            guard let count = UsageReading.count(bytes, value) else { continue }
            if bytes.equals("prompt_tokens", in: name) || bytes.equals("input_tokens", in: name) || bytes.equals("inputTokens", in: name) {
                OpenAICounts.note(&input, count)
            } else if bytes.equals("completion_tokens", in: name) || bytes.equals("output_tokens", in: name) || bytes.equals("outputTokens", in: name) {
                OpenAICounts.note(&output, count)
            } else if bytes.equals("total_tokens", in: name) {
                total = count
            } else if bytes.equals("prompt_cache_hit_tokens", in: name) || bytes.equals("cached_tokens", in: name) {
                OpenAICounts.note(&cached, count)
            } else if bytes.equals("cacheReadInputTokens", in: name) {
                OpenAICounts.note(&cached, count)
                besideInput += count
            } else if bytes.equals("cacheWriteInputTokens", in: name) {
                besideInput += count
            }
        }
    }

    private static func note(_ member: inout Int64?, _ count: Int64?) {
        if let count { member = max(member ?? 0, count) }
    }

    private func detail(_ wanted: StaticString, _ bytes: RawSpan, _ range: Range<Int>) -> Int64? {
        var members = JSONMembers(open: range.lowerBound)
        var found: Int64?
        while let member = try? members.next(in: bytes) {
            if bytes.equals(wanted, in: member.name) { found = UsageReading.count(bytes, member.value) }
        }
        return found
    }

    var usage: TokenUsage? {
        guard input != nil || output != nil else {
            // Embeddings of Voyage's say nothing but a total, and write nothing.
            return total.map { UsageReading.usage(input: $0, output: 0, cached: cached ?? 0, reasoning: 0) }
        }
        let input = (input ?? 0) + besideInput
        var output = output ?? 0
        // xAI and Gemini's OpenAI face count the reasoning beside the completion; their total shows it.
        if let reasoning, reasoning > 0, let total, total == input + output + reasoning { output += reasoning }
        return UsageReading.usage(input: input, output: output, cached: cached ?? 0, reasoning: reasoning ?? 0)
    }
}
