// SPDX-License-Identifier: MIT

internal import RotatorCore

// The form in which people read rules. `ProviderRules+Reading.swift` reads what is written here.
extension ProviderRules {
    public var document: [UInt8] {
        var text = JSONText()
        text.array { text in
            for rule in rules {
                text.element()
                rule.write(to: &text)
            }
        }
        return text.octets
    }

    public func document(of rule: Int) -> [UInt8] {
        var text = JSONText()
        rules[rule].write(to: &text)
        return text.octets
    }
}

extension ProviderRule {
    /// Writes the rule as a JSON object. Texts that are compared without regard to case stand there in lower case.
    fileprivate func write(to text: inout JSONText) {
        text.object { text in
            text.name("statuses")
            text.array { text in
                for range in statuses.ranges {
                    text.element()
                    if range.count == 1 { text.number(range.lowerBound) } else { text.string("\(range.lowerBound)-\(range.upperBound)") }
                }
            }
            text.name("conditions")
            text.array { text in
                for condition in conditions {
                    text.element()
                    text.object { condition.write(to: &$0) }
                }
            }
            text.member("verdict", verdict.word)
            switch verdict {
            case .rateLimited(let sources, let scope), .exhausted(let sources, let scope):
                text.member("scope", scope.rawValue)
                text.name("until")
                text.array { text in
                    for source in sources {
                        text.element()
                        source.write(to: &text)
                    }
                }
            case .success, .keyRejected, .forbidden, .upstreamFailed: break
            }
            text.member("reason", reason)
        }
    }
}

extension ProviderRule.Verdict {
    /// The word that stands for it in documents.
    fileprivate var word: String {
        switch self {
        case .success: "success"
        case .rateLimited: "rate_limited"
        case .exhausted: "exhausted"
        case .keyRejected: "key_rejected"
        case .forbidden: "forbidden"
        case .upstreamFailed: "upstream_failed"
        }
    }
}

extension ProviderRule.Condition {
    fileprivate func write(to text: inout JSONText) {
        switch self {
        case .field(let name, let part):
            text.member("header", name.description)
            if !part.octets.isEmpty { text.member("contains", part.description) }
        case .saysWhen:
            text.name("says_when")
            text.literal("true")
        case .json(let pointers, let test):
            text.name("json")
            text.strings(pointers.lazy.map(\.description))
            test.write(to: &text)
        case .says(let texts):
            text.name("says")
            text.strings(texts.lazy.map(\.description))
        case .body(let texts):
            text.name("body_contains")
            text.strings(texts.lazy.map(\.description))
        }
    }
}

extension ProviderRule.Test {
    fileprivate func write(to text: inout JSONText) {
        switch self {
        case .exists:
            text.name("exists")
            text.literal("true")
        case .equals(let texts):
            text.name("equals")
            text.strings(texts.lazy.map(\.description))
        case .contains(let texts):
            text.name("contains")
            text.strings(texts.lazy.map(\.description))
        case .begins(let texts):
            text.name("begins")
            text.strings(texts.lazy.map(\.description))
        case .number(let numbers):
            text.name("number")
            text.array { text in
                for number in numbers {
                    text.element()
                    text.number(number)
                }
            }
        }
    }
}

extension ProviderRule.TimeSource {
    fileprivate func write(to text: inout JSONText) {
        switch self {
        case .retryAfter: text.string("retry_after")
        case .resetFields: text.string("reset_fields")
        case .field(let name): text.object { $0.member("field", name.description) }
        case .json(let pointer): text.object { $0.member("json", pointer.description) }
        case .midnightPacific: text.string("midnight_pacific")
        case .monthStartUTC: text.string("month_start_utc")
        }
    }
}
