// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Asks for the usage of a stream in the name of a client that has not (developers.openai.com/api/reference, `stream_options.include_usage`).
enum UsageRequest {
    private static let option = Array(#""include_usage":true"#.utf8)

    /// The edit of `body`, a whole request to chat completions or completions, that asks; nil where the client has asked itself or wants no stream, and where the
    /// body is nothing that the edit could be sure of.
    ///
    /// Never begins where the removal of a member begins: it stands before the name `stream`, or inside the value of `stream_options`.
    static func edit(path: RawSpan, body: RawSpan) -> BodyEdit? {
        guard path.lastSegmentEquals("completions") else { return nil }
        let start = body.jsonStart()
        guard start < body.byteCount, body.octet(start) == 0x7B else { return nil }
        var members = JSONMembers(open: start)
        var stream: JSONMembers.Member?
        var options: Range<Int>?
        do throws(JSONFlaw) {
            while let member = try members.next(in: body) {
                if body.equals("stream", in: member.name) {
                    stream = member
                } else if body.equals("stream_options", in: member.name) {
                    options = member.value
                } else if body.first(0x5C, from: member.name.lowerBound, to: member.name.upperBound) != nil {
                    // A name spelled with escapes may be one of these two.
                    return nil
                }
            }
        } catch {
            return nil
        }
        guard let stream, body.equals("true", in: stream.value) else { return nil }
        guard let options else {
            let place = stream.name.lowerBound - 1
            return BodyEdit(range: place..<place, octets: Array(#""stream_options":{"#.utf8) + option + Array("},".utf8))
        }
        if body.equals("null", in: options) { return BodyEdit(range: options, octets: [0x7B] + option + [0x7D]) }
        return edit(options: options, body: body)
    }

    /// The edit of an object of options.
    private static func edit(options: Range<Int>, body: RawSpan) -> BodyEdit? {
        guard body.octet(options.lowerBound) == 0x7B else { return nil }
        var members = JSONMembers(open: options.lowerBound)
        var isEmpty = true
        var asked: Range<Int>?
        do throws(JSONFlaw) {
            while let member = try members.next(in: body) {
                isEmpty = false
                if body.equals("include_usage", in: member.name) { asked = member.value }
            }
        } catch {
            return nil
        }
        if let asked {
            // What is neither yes nor no is the upstream's to complain of.
            guard body.equals("false", in: asked) || body.equals("null", in: asked) else { return nil }
            return BodyEdit(range: asked, octets: Array("true".utf8))
        }
        let place = options.lowerBound + 1
        return BodyEdit(range: place..<place, octets: option + (isEmpty ? [] : [0x2C]))
    }
}
