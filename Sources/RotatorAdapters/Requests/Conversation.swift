// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Tells which conversation a request belongs to, so that a provider's prompt cache can be met again.
///
/// One pass over the top level, and a look at the first messages; of each text at most its first 4 KiB count, and its length.
enum Conversation {
    private static let textOctetsMax = 4096
    /// How far the first message of the user is looked for, and how many parts of a message count.
    private static let elementsMax = 32

    /// The hash of the conversation of `body`, a JSON object of any dialect; nil where nothing tells it. `model` is the model as the path names it, where it does.
    static func hash(path: RawSpan, model: Range<Int>?, body: RawSpan) -> UInt64? {
        let start = body.jsonStart()
        guard start < body.byteCount, body.octet(start) == 0x7B else { return nil }
        var members = JSONMembers(open: start)
        var found = Members()
        do throws(JSONFlaw) {
            while let member = try members.next(in: body) { found.note(member, in: body) }
        } catch {
            if error == .malformed { return nil }
        }
        if let key = body.filledText(found.cacheKey) { return StableHash(1, body, key).value }
        if let metadata = found.metadata, body.octet(metadata.lowerBound) == 0x7B, let user = body.filledText(body.member("user_id", of: metadata)) {
            return StableHash(2, body, user).value
        }
        if let user = body.filledText(found.user) { return StableHash(3, body, user).value }
        var hash = StableHash(4)
        if let model = body.filledText(found.model) { hash.take(body, model) } else if let model { hash.take(path, model) }
        let isTold = hash.takeInstructions(found.instructions, in: body)
        let isSaid = hash.takeFirstMessage(found.messages, in: body)
        return isTold || isSaid ? hash.value : nil
    }

    /// The members of the top level that tell something, the last of each name.
    private struct Members {
        var cacheKey: Range<Int>?
        var metadata: Range<Int>?
        var user: Range<Int>?
        var model: Range<Int>?
        /// `instructions` of responses, Anthropic's `system`, Gemini's `systemInstruction`.
        var instructions: Range<Int>?
        /// `messages`, `input` of responses, Gemini's `contents`.
        var messages: Range<Int>?

        mutating func note(_ member: JSONMembers.Member, in body: RawSpan) {
            let name = member.name
            switch name.count {
            case 4 where body.equals("user", in: name): user = member.value
            case 5 where body.equals("model", in: name): model = member.value
            case 5 where body.equals("input", in: name): messages = member.value
            case 6 where body.equals("system", in: name): instructions = member.value
            case 8 where body.equals("messages", in: name) || body.equals("contents", in: name): messages = member.value
            case 8 where body.equals("metadata", in: name): metadata = member.value
            case 12 where body.equals("instructions", in: name): instructions = member.value
            case 16 where body.equals("prompt_cache_key", in: name): cacheKey = member.value
            case 17 where body.equals("systemInstruction", in: name): instructions = member.value
            case 18 where body.equals("system_instruction", in: name): instructions = member.value
            default: break
            }
        }
    }

    /// A hash that is the same in every process: FNV-1a over words of eight octets, with the finaliser of SplitMix64, which makes every bit depend on each.
    private struct StableHash {
        private var state: UInt64 = 0xCBF2_9CE4_8422_2325

        init(_ kind: UInt64) { mix(kind) }

        init(_ kind: UInt64, _ bytes: RawSpan, _ range: Range<Int>) {
            mix(kind)
            take(bytes, range)
        }

        var value: UInt64 {
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }

        private mutating func mix(_ word: UInt64) {
            state = (state ^ word) &* 0x0000_0100_0000_01B3
            // The product alone carries nothing downwards.
            state ^= state >> 32
        }

        mutating func take(_ bytes: RawSpan, _ range: Range<Int>) {
            mix(UInt64(range.count))
            var index = range.lowerBound
            let end = min(range.upperBound, index + textOctetsMax)
            while index + 8 <= end {
                mix(bytes.word(index))
                index += 8
            }
            while index < end {
                mix(UInt64(bytes.octet(index)))
                index += 1
            }
        }

        /// Takes in a system prompt: a text, an array of parts, or Gemini's object with parts. Says whether there was one.
        mutating func takeInstructions(_ value: Range<Int>?, in body: RawSpan) -> Bool {
            guard let value else { return false }
            return takeContent(value, in: body)
        }

        /// Takes in what stands up to the first message of the user: system and developer messages and that one. Says whether there was one.
        mutating func takeFirstMessage(_ value: Range<Int>?, in body: RawSpan) -> Bool {
            guard let value else { return false }
            guard body.octet(value.lowerBound) == 0x5B else { return takeContent(value, in: body) }
            var isFound = false
            var elements = JSONElements(open: value.lowerBound)
            for _ in 0..<elementsMax {
                guard let element = elements.next(in: body) else { break }
                guard body.octet(element.lowerBound) == 0x7B else {
                    // An array of texts, as embeddings have it.
                    if takeContent(element, in: body) { isFound = true }
                    break
                }
                let role = body.member("role", of: element)
                let isUser = role.map { body.equals("\"user\"", in: $0) } ?? true
                guard isUser || body.equals("\"system\"", in: role ?? 0..<0) || body.equals("\"developer\"", in: role ?? 0..<0) else { continue }
                if takeContent(element, in: body) { isFound = true }
                if isUser { break }
            }
            return isFound
        }

        /// Takes in the texts of a message, its content, or its parts. What stands beside them, such as marks for the cache, may come and go as the
        /// conversation goes on. Says whether there was any.
        private mutating func takeContent(_ value: Range<Int>, in body: RawSpan, depth: Int = 0) -> Bool {
            switch body.octet(value.lowerBound) {
            case 0x22:
                guard value.count > 2 else { return false }
                take(body, value.lowerBound + 1..<value.upperBound - 1)
                return true
            case 0x7B:
                for name in ["content", "parts", "text"] as [StaticString] {
                    if let inner = body.member(name, of: value) { return depth < 3 && takeContent(inner, in: body, depth: depth + 1) }
                }
                // A picture or a file.
                take(body, value)
                return true
            case 0x5B:
                var isFound = false
                var elements = JSONElements(open: value.lowerBound)
                for _ in 0..<elementsMax {
                    guard let element = elements.next(in: body) else { break }
                    if depth < 3, takeContent(element, in: body, depth: depth + 1) { isFound = true }
                }
                return isFound
            default: return false
            }
        }
    }
}

extension RawSpan {
    /// The value of the last member `name` of the object in `range`.
    fileprivate func member(_ name: StaticString, of range: Range<Int>) -> Range<Int>? {
        var members = JSONMembers(open: range.lowerBound)
        var found: Range<Int>?
        while let member = try? members.next(in: self) {
            if equals(name, in: member.name) { found = member.value }
        }
        return found
    }

    /// What stands between the quotes of a text that is not empty, as it is written.
    fileprivate func filledText(_ value: Range<Int>?) -> Range<Int>? {
        guard let value, value.count > 2, octet(value.lowerBound) == 0x22 else { return nil }
        return value.lowerBound + 1..<value.upperBound - 1
    }
}
