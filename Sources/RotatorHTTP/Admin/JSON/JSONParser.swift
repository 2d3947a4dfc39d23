// SPDX-License-Identifier: MIT

/// A strict reader of JSON texts (RFC 8259), bounded in depth and in the number of values.
///
/// Our own because a pool's import is one array of 100,000 strings and must be read in milliseconds, and because `1.5` for an integer, a repeated
/// member or a lone surrogate must be told apart rather than smoothed over.
struct JSONParser {
    static let depthMax = 32
    /// Above the largest import; keeps 64 MiB of `[0,0,0…` from becoming gigabytes of values.
    static let valuesMax = 1_100_000

    private let text: [UInt8]
    private var position: Int
    private let valuesMax: Int
    private var depth = 0
    private var values = 0

    private init(_ text: [UInt8], valuesMax: Int) {
        self.text = text
        self.valuesMax = valuesMax
        // RFC 8259 §8.1 lets a reader pass over a byte order mark.
        position = text.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    }

    /// The value that `text` holds.
    static func parse(_ text: [UInt8], valuesMax: Int = valuesMax) throws(JSONFault) -> JSONValue {
        var parser = JSONParser(text, valuesMax: valuesMax)
        parser.skipWhiteSpace()
        let value = try parser.parseValue()
        parser.skipWhiteSpace()
        if parser.position < text.count { throw parser.fault("something follows the value") }
        return value
    }

    private func fault(_ reason: String) -> JSONFault { JSONFault(offset: position, reason: reason) }

    private var current: UInt8? { position < text.count ? text[position] : nil }

    private mutating func skipWhiteSpace() {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func parseValue() throws(JSONFault) -> JSONValue {
        values += 1
        if values > valuesMax { throw fault("more than \(valuesMax) values") }
        switch current {
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "-")?, (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return try parseNumber()
        case nil: throw fault("the text ends where a value should begin")
        default: throw fault("no value begins so")
        }
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        let octets = Array(word.description.utf8)
        guard text[position...].starts(with: octets) else { throw fault("no value begins so") }
        position += octets.count
        return value
    }

    private mutating func enter() throws(JSONFault) {
        depth += 1
        if depth > Self.depthMax { throw fault("nested more than \(Self.depthMax) deep") }
        position += 1
        skipWhiteSpace()
    }

    private mutating func parseArray() throws(JSONFault) -> JSONValue {
        try enter()
        var elements: [JSONValue] = []
        if current == UInt8(ascii: "]") {
            position += 1
            depth -= 1
            return .array(elements)
        }
        while true {
            elements.append(try parseValue())
            if try !parseSeparator(closing: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    private mutating func parseObject() throws(JSONFault) -> JSONValue {
        try enter()
        var members: [JSONValue.Member] = []
        var names: Set<String> = []
        if current == UInt8(ascii: "}") {
            position += 1
            depth -= 1
            return .object(members)
        }
        while true {
            guard current == UInt8(ascii: "\"") else { throw fault("a member's name must be a string") }
            values += 1
            let start = position
            let name = try parseString()
            guard names.insert(name).inserted else { throw JSONFault(offset: start, reason: "a member's name occurs twice") }
            skipWhiteSpace()
            guard current == UInt8(ascii: ":") else { throw fault("a colon must follow a member's name") }
            position += 1
            skipWhiteSpace()
            members.append(.init(name: name, value: try parseValue()))
            if try !parseSeparator(closing: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    /// Reads a comma (true) or the closing bracket (false).
    private mutating func parseSeparator(closing: UInt8) throws(JSONFault) -> Bool {
        skipWhiteSpace()
        switch current {
        case UInt8(ascii: ","):
            position += 1
            skipWhiteSpace()
            return true
        case closing:
            position += 1
            depth -= 1
            return false
        default: throw fault("a comma or a closing bracket must follow a value")
        }
    }

    private mutating func parseNumber() throws(JSONFault) -> JSONValue {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        let whole = skipDigits()
        if whole == 0 || (whole > 1 && text[position - whole] == UInt8(ascii: "0")) { throw fault("malformed number") }
        var isPlain = true
        if current == UInt8(ascii: ".") {
            isPlain = false
            position += 1
            if skipDigits() == 0 { throw fault("malformed number") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isPlain = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            if skipDigits() == 0 { throw fault("malformed number") }
        }
        let literal = String(decoding: text[start..<position], as: UTF8.self)
        let bound = 9_007_199_254_740_991
        if isPlain { return .number(Int(literal).flatMap { -bound...bound ~= $0 ? $0 : nil }) }
        // Huge exponents become infinite and thereby no integer.
        guard let number = Double(literal), number.magnitude <= Double(bound) else { return .number(nil) }
        return .number(Int(exactly: number))
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while position < text.count, 0x30...0x39 ~= text[position] { position += 1 }
        return position - start
    }

    private mutating func parseString() throws(JSONFault) -> String {
        position += 1
        let start = position
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                return try decode(text[start..<position])
            case UInt8(ascii: "\\"): return try parseEscapedString(from: start)
            case 0..<0x20: throw fault("a control character in a string")
            default: position += 1
            }
        }
        throw fault("a string does not end")
    }

    private func decode(_ octets: ArraySlice<UInt8>) throws(JSONFault) -> String {
        guard let string = String(validating: octets, as: UTF8.self) else { throw fault("a string is not valid UTF-8") }
        return string
    }

    /// The slow path: goes on from the first backslash.
    private mutating func parseEscapedString(from start: Int) throws(JSONFault) -> String {
        var octets = Array(text[start..<position])
        while let octet = current {
            switch octet {
            case UInt8(ascii: "\""):
                position += 1
                return try decode(octets[...])
            case UInt8(ascii: "\\"):
                position += 1
                try parseEscape(into: &octets)
            case 0..<0x20: throw fault("a control character in a string")
            default:
                octets.append(octet)
                position += 1
            }
        }
        throw fault("a string does not end")
    }

    private mutating func parseEscape(into octets: inout [UInt8]) throws(JSONFault) {
        guard let octet = current else { throw fault("a string does not end") }
        position += 1
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): octets.append(octet)
        case UInt8(ascii: "b"): octets.append(0x08)
        case UInt8(ascii: "f"): octets.append(0x0C)
        case UInt8(ascii: "n"): octets.append(0x0A)
        case UInt8(ascii: "r"): octets.append(0x0D)
        case UInt8(ascii: "t"): octets.append(0x09)
        case UInt8(ascii: "u"):
            var value = UInt32(try parseHexadecimal())
            if 0xD800...0xDBFF ~= value {
                guard current == UInt8(ascii: "\\"), position + 1 < text.count, text[position + 1] == UInt8(ascii: "u") else {
                    throw fault("half of a surrogate pair")
                }
                position += 2
                let low = UInt32(try parseHexadecimal())
                guard 0xDC00...0xDFFF ~= low else { throw fault("half of a surrogate pair") }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(value) else { throw fault("half of a surrogate pair") }
            octets.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw fault("an unknown escape in a string")
        }
    }

    private mutating func parseHexadecimal() throws(JSONFault) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let octet = current, let digit = Character(Unicode.Scalar(octet)).hexDigitValue else { throw fault("an unknown escape in a string") }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }
}
