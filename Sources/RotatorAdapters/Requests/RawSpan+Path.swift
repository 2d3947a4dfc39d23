// SPDX-License-Identifier: MIT

internal import RotatorCore

// Paths are looked at as they were sent: without the query, segments still percent-encoded.
extension RawSpan {
    /// The segment behind the first segment that equals `name`; nil where there is none or it is empty.
    func segment(behind name: StaticString) -> Range<Int>? {
        var start = 0
        var isWanted = false
        while start <= byteCount {
            let end = first(0x2F, from: start, to: byteCount) ?? byteCount
            if isWanted { return start < end ? start..<end : nil }
            isWanted = equals(name, in: start..<end)
            start = end + 1
        }
        return nil
    }

    /// The decoded text of `segment` if it may be a model's name.
    func model(_ segment: Range<Int>) -> String? {
        guard !segment.isEmpty, segment.count <= RequestFacts.modelOctetsMax else { return nil }
        return String(decoding: percentDecoded(segment), as: UTF8.self)
    }

    /// The last segment, one empty one at the end aside.
    var lastSegment: Range<Int> {
        var end = byteCount
        if end > 0, octet(end - 1) == 0x2F { end -= 1 }
        var start = end
        while start > 0, octet(start - 1) != 0x2F { start -= 1 }
        return start..<end
    }

    /// Whether the last segment is `name`.
    func lastSegmentEquals(_ name: StaticString) -> Bool { equals(name, in: lastSegment) }

    /// Whether this is a call of OpenAI's format that makes something and tells what it took. Not one that shows what was made before: that would be counted
    /// twice.
    var isOpenAIGeneration: Bool {
        let segment = lastSegment
        switch segment.count {
        // Cohere's /v2/chat.
        case 4: return equals("chat", in: segment)
        // /images/edits, /audio/speech.
        case 5: return equals("edits", in: segment)
        case 6: return equals("speech", in: segment)
        case 7: return equals("compact", in: segment)
        // Bedrock's /model/{id}/converse.
        case 8: return equals("converse", in: segment)
        case 9: return equals("responses", in: segment)
        case 10: return equals("embeddings", in: segment) || equals("variations", in: segment)
        case 11: return equals("completions", in: segment) || equals("generations", in: segment)
        case 12: return equals("translations", in: segment)
        case 14: return equals("transcriptions", in: segment)
        default: return false
        }
    }

    /// Whether this is one of Gemini's calls that tell what they took, such as `/v1beta/models/M:generateContent`.
    var isGeminiGeneration: Bool {
        let segment = lastSegment
        let call = callStart(in: segment)
        guard call < segment.upperBound else { return false }
        let name = call + (octet(call) == 0x3A ? 1 : 3)..<segment.upperBound
        let calls: [StaticString] = ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents"]
        return calls.contains { equals($0, in: name) }
    }

    /// Where in `segment` the colon before a call stands, which may be encoded; its end where there is none.
    func callStart(in segment: Range<Int>) -> Int {
        var index = segment.lowerBound
        while index < segment.upperBound {
            if octet(index) == 0x3A || begins("%3A", at: index) || begins("%3a", at: index) { return index }
            index += 1
        }
        return segment.upperBound
    }
}
