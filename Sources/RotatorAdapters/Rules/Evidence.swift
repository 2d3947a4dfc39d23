// SPDX-License-Identifier: MIT

internal import RotatorCore

/// An answer as rules look at it: the body is decoded when the first rule asks for it, and once.
struct Evidence {
    private let answer: UpstreamAnswer
    private var decoded: Body?

    /// What is there of a body once its content coding is undone.
    private struct Body {
        var octets: [UInt8]
        /// Where the JSON document begins; nil where the body is not JSON.
        var document: Int?
    }

    /// Where providers put their words for people.
    private static let words: [JSONPointer] = ["/error/message", "/message", "/error", "/detail", "/detail/message", "/msg"]
    private static let textOctetsMax = 4096
    private static let retryAfter: FoldedText = "retry-after"
    private static let retryAfterMilliseconds: FoldedText = "retry-after-ms"
    private static let contentEncoding: FoldedText = "content-encoding"

    init(_ answer: UpstreamAnswer) { self.answer = answer }

    /// Whether `condition` holds.
    mutating func meets(_ condition: ProviderRule.Condition, at now: Moment) -> Bool {
        switch condition {
        case .field(let name, let part): return answer.fields.lines.contains { $0.name.equals(name) && $0.value.contains(part) }
        case .saysWhen: return time(from: [.retryAfter], at: now) != nil
        case .json(let pointers, let test): return pointers.contains { matches($0, test) }
        case .says(let texts):
            if body.document == nil { return says(texts, inFirst: Evidence.textOctetsMax) }
            return Evidence.words.contains { matches($0, .contains(texts)) }
        case .body(let texts): return says(texts, inFirst: .max)
        }
    }

    /// The time that the first of `sources` with something to say says.
    mutating func time(from sources: [ProviderRule.TimeSource], at now: Moment) -> Moment? {
        for source in sources {
            let time: Moment? =
                switch source {
                case .retryAfter:
                    value(of: Evidence.retryAfterMilliseconds).flatMap { ProviderTime.retryAfterMilliseconds($0, at: now) }
                        ?? value(of: Evidence.retryAfter).flatMap { ProviderTime.retryAfter($0, at: now) }
                case .resetFields: ResetFields.time(in: answer.fields, at: now)
                case .field(let name): value(of: name).flatMap { ProviderTime.reset($0, at: now) }
                case .json(let pointer): text(at: pointer).flatMap { ProviderTime.reset($0, at: now) }
                case .midnightPacific: ProviderTime.midnightPacific(after: now)
                case .monthStartUTC: ProviderTime.monthStartUTC(after: now)
                }
            if let time { return ProviderTime.bounded(time, at: now) }
        }
        return nil
    }

    /// The first value of the field `name`.
    private func value(of name: FoldedText) -> String? { answer.fields.lines.first { $0.name.equals(name) }?.value }

    // MARK: - The body

    private var body: Body {
        mutating get {
            if let decoded { return decoded }
            let octets = Inflater.decode(answer.bodyPrefix, contentEncoding: value(of: Evidence.contentEncoding)) ?? []
            let body = Body(octets: octets, document: Evidence.document(in: unsafe octets.span.bytes))
            decoded = body
            return body
        }
    }

    private mutating func says(_ texts: [FoldedText], inFirst limit: Int) -> Bool {
        let octets = body.octets
        return texts.contains { octets.contains($0, inFirst: limit) }
    }

    /// Where the object begins that rules look into.
    private static func document(in bytes: RawSpan) -> Int? {
        let start = bytes.jsonStart()
        guard start < bytes.byteCount else { return nil }
        switch bytes.octet(start) {
        case 0x7B: return start
        // Gemini wraps errors of streams without `alt=sse`, and of its OpenAI face, in an array.
        case 0x5B: return bytes.jsonWhiteSpaceEnd(from: start + 1)
        default: return nil
        }
    }

    private mutating func matches(_ pointer: JSONPointer, _ test: ProviderRule.Test) -> Bool {
        let body = body
        guard let document = body.document else { return false }
        let bytes = unsafe body.octets.span.bytes
        return pointer.matches(in: bytes, at: document) { range in
            switch test {
            case .exists: return !bytes.equals("null", in: range)
            case .equals(let texts):
                guard let value = bytes.jsonString(range) else { return false }
                return texts.contains { value.equals($0) }
            case .contains(let texts):
                guard let value = bytes.jsonString(range) else { return false }
                return texts.contains { value.contains($0) }
            case .begins(let texts):
                guard let value = bytes.jsonString(range) else { return false }
                return texts.contains { value.begins(with: $0) }
            case .number(let numbers):
                guard let value = Int(bytes.jsonString(range) ?? bytes.text(range)) else { return false }
                return numbers.contains(value)
            }
        }
    }

    /// The string or number at `pointer`.
    private mutating func text(at pointer: JSONPointer) -> String? {
        let body = body
        guard let document = body.document else { return nil }
        let bytes = unsafe body.octets.span.bytes
        var found: String?
        _ = pointer.matches(in: bytes, at: document) { range in
            found = bytes.jsonString(range) ?? bytes.text(range)
            return true
        }
        return found
    }
}
