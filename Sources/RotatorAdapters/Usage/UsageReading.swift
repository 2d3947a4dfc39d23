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

    /// The next octet of the name.
    mutating func append(_ octet: UInt8) {
        switch count {
        case 0..<8: low |= UInt64(octet) << (8 * count)
        case 8..<16: high |= UInt64(octet) << (8 * (count - 8))
        default: break
        }
        count = min(count + 1, 17)
    }

    // As words, the last letter first: a constant that is made of a text is made when it is first asked for, and asked for that each time.
    static var usage: MemberName { MemberName(0x65_67_61_73_75, 0, count: 5) }
    static var usageMetadata: MemberName { MemberName(0x74_65_4D_65_67_61_73_75, 0x61_74_61_64_61, count: 13) }
    static var response: MemberName { MemberName(0x65_73_6E_6F_70_73_65_72, 0, count: 8) }
    static var message: MemberName { MemberName(0x65_67_61_73_73_65_6D, 0, count: 7) }
    static var delta: MemberName { MemberName(0x61_74_6C_65_64, 0, count: 5) }
    static var groq: MemberName { MemberName(0x71_6F_72_67_5F_78, 0, count: 6) }
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

    /// Takes in what a whole document says that speaks of usage once, without a look at what stands before: an answer's texts are the most of it.
    ///
    /// It rests on the document's being JSON (RFC 8259). Then a quote behind no backslash, with letters behind it, begins a string; and an object behind whose
    /// end nothing stands is the outermost one.
    ///
    /// - Returns: false, and nothing is taken in, where it takes a look at the whole: usage is spoken of twice or not at all, or elsewhere than at the top.
    mutating func take(onlyMentionIn document: RawSpan, in dialect: UsageDialect) -> Bool {
        guard let mention = document.usageMention(from: 0), mention > 0, document.octet(mention - 1) != 0x5C, document.usageMention(from: mention + 1) == nil,
            let nameEnd = try? document.jsonStringEnd(from: mention), dialect.role(of: MemberName(document, mention + 1..<nameEnd - 1), isInParent: false) == .usage
        else { return false }
        let colon = document.jsonWhiteSpaceEnd(from: nameEnd)
        guard colon < document.byteCount, document.octet(colon) == 0x3A else { return false }
        let open = document.jsonWhiteSpaceEnd(from: colon + 1)
        guard open < document.byteCount, document.octet(open) == 0x7B else { return false }
        var said = self
        guard let end = said.take(at: open, of: document, in: dialect), end - open <= UsageScanner.objectOctetsMax else { return false }
        var members = JSONMembers(behind: end)
        while (try? members.next(in: document)) != nil {}
        guard let last = members.end, document.jsonWhiteSpaceEnd(from: last) == document.byteCount else { return false }
        self = said
        return true
    }

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
        while let head = try? members.nextHead(in: bytes) {
            let name = head.name
            if head.value < bytes.byteCount, bytes.octet(head.value) == 0x7B {
                guard let end = takeParts(named: name, bytes, at: head.value) else { return }
                members.valueEnded(at: end)
                continue
            }
            guard let end = try? bytes.jsonValueEnd(from: head.value) else { return }
            members.valueEnded(at: end)
            guard let count = UsageReading.count(bytes, head.value..<end) else { continue }
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

    /// Takes in the object at `open`, which says what a number is made of.
    ///
    /// - Returns: where it ends; nil where the octets end, or are no JSON, before it.
    private mutating func takeParts(named name: Range<Int>, _ bytes: RawSpan, at open: Int) -> Int? {
        let isOfInput = bytes.equals("prompt_tokens_details", in: name) || bytes.equals("input_tokens_details", in: name)
        let isOfOutput = bytes.equals("completion_tokens_details", in: name) || bytes.equals("output_tokens_details", in: name)
        let isOfAll = bytes.equals("tokens", in: name)
        guard isOfInput || isOfOutput || isOfAll else { return try? bytes.jsonValueEnd(from: open) }
        var parts = JSONMembers(open: open)
        while let part = try? parts.next(in: bytes) {
            if isOfInput, bytes.equals("cached_tokens", in: part.name) {
                OpenAICounts.note(&cached, UsageReading.count(bytes, part.value))
            } else if isOfOutput, bytes.equals("reasoning_tokens", in: part.name) {
                OpenAICounts.note(&reasoning, UsageReading.count(bytes, part.value))
            } else if isOfAll, bytes.equals("input_tokens", in: part.name) {
                OpenAICounts.note(&input, UsageReading.count(bytes, part.value))
            } else if isOfAll, bytes.equals("output_tokens", in: part.name) {
                OpenAICounts.note(&output, UsageReading.count(bytes, part.value))
            }
        }
        return parts.end
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
