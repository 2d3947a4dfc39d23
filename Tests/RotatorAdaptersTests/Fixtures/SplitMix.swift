// SPDX-License-Identifier: MIT

/// A repeatable source of randomness (SplitMix64), and the damage that tests do with it.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// `octets` with a few changed, removed, doubled or inserted.
    mutating func damaged(_ octets: [UInt8]) -> [UInt8] {
        var octets = octets
        let marks = Array(#"{}[]",:\u0eE+-.\#r\#n"#.utf8) + [0x00, 0xFF, 0x80]
        for _ in 0..<Int.random(in: 1...6, using: &self) {
            let index = Int.random(in: 0...octets.count, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0 where index < octets.count: octets[index] = UInt8.random(in: .min ... .max, using: &self)
            case 1 where index < octets.count: octets.remove(at: index)
            case 2 where index < octets.count: octets.insert(contentsOf: octets[index...].prefix(9), at: index)
            case 3: octets.removeLast(min(octets.count, Int.random(in: 0...9, using: &self)))
            default: octets.insert(marks[Int.random(in: marks.indices, using: &self)], at: index)
            }
        }
        return octets
    }

    /// A JSON document in which usage is spoken of here and there: at the top, deeper, twice, in texts, as a value.
    mutating func document() -> String { object(depth: 0) }

    private mutating func object(depth: Int) -> String {
        let members = (0..<Int.random(in: depth == 0 ? 1...5 : 0...4, using: &self)).map { _ in "\(space())\(string(depth: depth))\(space()):\(space())\(value(depth: depth + 1))\(space())" }
        return "{\(members.isEmpty ? space() : members.joined(separator: ","))}"
    }

    private mutating func value(depth: Int) -> String {
        switch Int.random(in: 0..<(depth > 4 ? 6 : 14), using: &self) {
        case 0: "null"
        case 1: "\(Int.random(in: -3...300, using: &self))"
        case 2: "\(Int.random(in: 0...9, using: &self)).5e2"
        case 3: "true"
        case 4, 5: string(depth: depth)
        case 6: "[\((0..<Int.random(in: 0...3, using: &self)).map { _ in value(depth: depth + 1) }.joined(separator: ","))]"
        case 7, 8, 9, 10, 11: #"{"prompt_tokens":\#(Int.random(in: 0...99, using: &self)),"output_tokens":7,"candidatesTokenCount":5,"prompt_tokens_details":{"cached_tokens":3}}"#
        default: object(depth: depth)
        }
    }

    private mutating func string(depth: Int) -> String {
        let texts = [
            "usage", "usage", "usage", "usageMetadata", "usageMetadata", "response", "message", "delta", "prompt_tokens", "choices", "", #"\"usage"#, #"\"usage\":{"#, #"\\"#,
            #"a\\\"usage"#, "usages", "\u{4F60}\u{597D}", #"\u0075sage"#, "}", "{\\\"usage\\\":{}}",
        ]
        return "\"\(texts[Int.random(in: texts.indices, using: &self)])\""
    }

    private mutating func space() -> String { ["", "", "", " ", "\n", "\r\n\t"][Int.random(in: 0..<6, using: &self)] }
}
