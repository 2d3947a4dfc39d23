// SPDX-License-Identifier: MIT

internal import RotatorCore

extension MessageHead {
    /// The form of the body, as `Content-Type`, `Content-Encoding` and `Content-Length` tell it.
    var form: AnswerForm {
        var form = AnswerForm(media: .other, length: isChunked ? nil : contentLength)
        if let type = first(.contentType) {
            let essence = trimmed(type[0..<(type.firstIndex(of: 0x3B) ?? type.count)])
            if essence.equals(lowercase: "text/event-stream") {
                form.media = .eventStream
            } else if ProxyExchange.isJSON(type) {
                form.media = .json
            }
        }
        if let coding = first(.contentEncoding) {
            let coding = trimmed(coding)
            if coding.isEmpty || coding.equals(lowercase: "identity") {
                form.coding = .identity
            } else if coding.equals(lowercase: "gzip") || coding.equals(lowercase: "x-gzip") {
                form.coding = .gzip
            } else if coding.equals(lowercase: "deflate") {
                form.coding = .deflate
            } else {
                form.coding = .unknown
            }
        }
        return form
    }

    /// Whether a field speaks of limits, quotas or organisations.
    var concernsAccount: Bool {
        for line in fields where line.known == .other && name(line).concernsAccount { return true }
        return false
    }

    /// Whether a field says that nothing is left of a quota: its value begins with 0.
    var saysNothingIsLeft: Bool {
        for line in fields where line.known == .other {
            let value = value(line)
            if !value.isEmpty, value[0] == 0x30, name(line).concernsAccount, name(line).namesRemainder { return true }
        }
        return false
    }
}

extension ByteView {
    /// Whether a response field of this name may speak of limits, quotas or organisations. Lets some more pass: adapters look closer.
    var concernsAccount: Bool {
        guard count >= 9 else { return false }
        switch self[0].lowercasedASCII {
        case UInt8(ascii: "x"): return hasLowercasePrefix("x-ratelimit") || hasLowercasePrefix("x-rate-limit") || hasLowercasePrefix("x-organization")
        case UInt8(ascii: "a"): return hasLowercasePrefix("anthropic-ratelimit") || hasLowercasePrefix("anthropic-organization")
        case UInt8(ascii: "r"): return hasLowercasePrefix("ratelimit")
        case UInt8(ascii: "o"): return hasLowercasePrefix("openai-organization") || hasLowercasePrefix("openai-project")
        default: return false
        }
    }

    /// Whether the name of a field that ``concernsAccount`` says how much is left: it holds `remaining`.
    var namesRemainder: Bool {
        var index = 8
        while let found = firstIndex(of: 0x72, from: index) ?? firstIndex(of: 0x52, from: index), found + 9 <= count {
            if self[found..<found + 9].equals(lowercase: "remaining") { return true }
            index = found + 1
        }
        return false
    }

    /// Whether the octets begin with `text`'s without regard to ASCII case. `text` is in lower case.
    private func hasLowercasePrefix(_ text: StaticString) -> Bool { count >= text.utf8CodeUnitCount && self[0..<text.utf8CodeUnitCount].equals(lowercase: text) }

    /// The first octets, at most `number`.
    func prefix(_ number: Int) -> ByteView { self[0..<min(number, count)] }
}
