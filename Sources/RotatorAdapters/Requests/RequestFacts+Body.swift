// SPDX-License-Identifier: MIT

internal import RotatorCore

extension RequestFacts {
    /// Longer model names are taken for nonsense, so that nothing that remembers rests per model grows with them.
    static let modelOctetsMax = 512
    /// A body with more `api_key` members gives no facts.
    static let bodyCredentialsMax = 64
    /// A credential has at most 8,192 octets; each may be spelled as an escape of six.
    private static let credentialOctetsMax = 6 * 8192

    /// What a request body says, by its media type: a JSON object, or the form fields of `multipart/form-data` (OpenAI's audio and images).
    static func inBody(_ body: RawSpan, contentType: String?, readingCredentials: Bool) -> RequestFacts {
        switch MediaType(contentType) {
        case .json: inJSON(body, readingCredentials: readingCredentials)
        case .form(let boundary): inForm(body, boundary: boundary)
        case .other: RequestFacts()
        }
    }

    /// What the top level of a JSON object says, in one pass that decodes nothing but what is asked for.
    ///
    /// `model` and `stream`: the last member of the name counts, as JSON parsers have it. Where `body` ends early, what stands before its end
    /// counts; where it is not JSON, nothing does.
    static func inJSON(_ body: RawSpan, readingCredentials: Bool) -> RequestFacts {
        let start = body.jsonStart()
        guard start < body.byteCount, body.octet(start) == 0x7B else { return RequestFacts() }
        var members = JSONMembers(open: start)
        var model: Range<Int>?
        var stream: Range<Int>?
        var credentials = CredentialMembers()
        do throws(JSONFlaw) {
            while let member = try members.next(in: body) {
                if let comma = member.comma { credentials.commaFollowed(at: comma) }
                switch Name(member.name, in: body) {
                case .model:
                    model = member.value
                    credentials.otherMemberFound()
                case .stream:
                    stream = member.value
                    credentials.otherMemberFound()
                case .credential where readingCredentials:
                    // A value too long for a credential is none; a null or a number is the upstream's to complain of.
                    if member.value.count <= credentialOctetsMax, let value = body.jsonString(member.value) {
                        credentials.found(value, from: member.name.lowerBound - 1, to: member.value.upperBound, comma: member.comma)
                        guard credentials.count <= bodyCredentialsMax else { return RequestFacts() }
                    } else {
                        credentials.otherMemberFound()
                    }
                default: credentials.otherMemberFound()
                }
            }
            credentials.objectEnded()
        } catch {
            if error == .malformed { return RequestFacts() }
        }
        var facts = RequestFacts()
        if let model, model.count <= modelOctetsMax, let name = body.jsonString(model), !name.isEmpty { facts.model = name }
        if let stream { facts.wantsStream = body.equals("true", in: stream) }
        facts.bodyCredentials = credentials.list
        return facts
    }

    /// The `model` and `stream` fields of a form (RFC 7578).
    private static func inForm(_ body: RawSpan, boundary: [UInt8]) -> RequestFacts {
        var facts = RequestFacts()
        var parts = FormParts(boundary: boundary)
        while let part = parts.next(in: body) {
            guard part.value.count <= modelOctetsMax else { continue }
            if part.isNamed("model", in: body) {
                let name = body.text(part.value)
                if !name.isEmpty { facts.model = name }
            } else if part.isNamed("stream", in: body) {
                facts.wantsStream = body.equals("true", in: part.value)
            }
        }
        return facts
    }

    /// The member names that matter.
    private enum Name {
        case model, stream, credential, other

        @inline(__always) init(_ range: Range<Int>, in body: RawSpan) {
            switch range.count {
            case 5 where body.equals("model", in: range): self = .model
            case 6 where body.equals("stream", in: range): self = .stream
            case 7 where body.equals("api_key", in: range): self = .credential
            // The shortest name that matters with one letter escaped has ten octets, the longest with all escaped has 42.
            case 10...42 where body.first(0x5C, from: range.lowerBound, to: range.upperBound) != nil: self = Name(escaped: range, in: body)
            default: self = .other
            }
        }

        @inline(never) private init(escaped range: Range<Int>, in body: RawSpan) {
            switch body.jsonString(range.lowerBound - 1..<range.upperBound + 1) {
            case "model": self = .model
            case "stream": self = .stream
            case "api_key": self = .credential
            default: self = .other
            }
        }
    }
}

/// Collects `api_key` members, and which comma goes with each, so that all can be removed together and leave valid JSON.
///
/// While nothing but credentials has come, each takes the comma behind it; from the first other member on, each takes the comma before it.
/// So no comma is taken twice, and none is left over.
private struct CredentialMembers {
    private(set) var list: [RequestFacts.BodyCredential] = []
    private var isLeading = true
    private var pending: RequestFacts.BodyCredential?

    var count: Int { list.count + (pending == nil ? 0 : 1) }

    mutating func found(_ value: String, from start: Int, to end: Int, comma: Int?) {
        if isLeading {
            // Known whole once the comma behind it, or the object's end, has come.
            pending = RequestFacts.BodyCredential(value: value, removal: start..<end)
        } else {
            list.append(RequestFacts.BodyCredential(value: value, removal: (comma ?? start)..<end))
        }
    }

    @inline(__always) mutating func otherMemberFound() { isLeading = false }

    @inline(__always) mutating func commaFollowed(at comma: Int) {
        guard let pending else { return }
        list.append(RequestFacts.BodyCredential(value: pending.value, removal: pending.removal.lowerBound..<comma + 1))
        self.pending = nil
    }

    mutating func objectEnded() {
        if let pending { list.append(pending) }
        pending = nil
    }
}
