// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("JSON") struct JSONTests {
    @Test(arguments: [
        ("null", JSONValue.null), (" true\n", .bool(true)), ("false", .bool(false)), ("0", .number(0)), ("-12", .number(-12)), ("3.0", .number(3)),
        ("1e2", .number(100)), ("1.5", .number(nil)), ("1e400", .number(nil)), ("-1E-400", .number(0)), ("99999999999999999999", .number(nil)),
        (#""""#, .string("")), (#""a\"\\\/\b\f\n\r\t""#, .string("a\"\\/\u{8}\u{C}\n\r\t")), (#""\u00e9\uD83D\uDE00é😀""#, .string("é😀é😀")),
        ("[]", .array([])), ("[1, [ ] ,\"x\"]", .array([.number(1), .array([]), .string("x")])), ("{ }", .object([])),
        (#"{"a":{"b":null},"c":[]}"#, .object([.init(name: "a", value: .object([.init(name: "b", value: .null)])), .init(name: "c", value: .array([]))])),
        ("\u{FEFF}{}", .object([])),
    ])
    func `a JSON text is read as what it says`(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONParser.parse(Array(text.utf8)) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "True", "01", "-", "1.", ".5", "1e", "+1", "0x10", "NaN", "'a'", "\"a", "\"a\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"",
        "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "\"a\u{1}\\n\"", "[", "[1", "[1,", "[1,]", "[1 2]", "[,]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{1:2}", "{\"a\":1,\"a\":2}", "1 2", "{}{}", "// x\n1", "\u{FEFF}\u{FEFF}1",
    ])
    func `what is not JSON is refused`(_ text: String) {
        #expect(throws: JSONFault.self) { try JSONParser.parse(Array(text.utf8)) }
    }

    @Test func `every cut of a text is refused, and none traps`() {
        let text = Array(#"{"a":[1.5e3,"x\u00e9\n",true,null],"b":{"c":-0}}"#.utf8)
        for end in 0..<text.count { #expect(throws: JSONFault.self) { try JSONParser.parse(Array(text[..<end])) } }
    }

    @Test(arguments: [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x82, 0x22]] as [[UInt8]])
    func `octets that are not UTF-8 are refused`(_ octets: [UInt8]) {
        #expect(throws: JSONFault.self) { try JSONParser.parse(octets) }
    }

    @Test func `depth is bounded`() throws {
        let deepest = String(repeating: "[", count: JSONParser.depthMax) + String(repeating: "]", count: JSONParser.depthMax)
        _ = try JSONParser.parse(Array(deepest.utf8))
        #expect(throws: JSONFault.self) { try JSONParser.parse(Array("[\(deepest)]".utf8)) }
        #expect(throws: JSONFault.self) { try JSONParser.parse(Array(repeating: UInt8(ascii: "["), count: 1_000_000)) }
    }

    @Test func `what is written can be read again`() throws {
        let text = "\u{0}\u{1F}\"\\/\u{7F}é😀\n\r\t</script>"
        var json = JSONWriter()
        json.openObject()
        json.member("text", text)
        json.member("number", -5)
        json.member("nothing", String?.none)
        json.name("list")
        json.openArray()
        json.write(true)
        json.openObject()
        json.closeObject()
        json.write(1)
        json.closeArray()
        json.closeObject()
        let read = Optional(try JSONParser.parse(json.octets))
        #expect(read["text"].string == text)
        #expect(read["number"].integer == -5)
        #expect(read["nothing"].isNull)
        #expect(read["list"].items == [.bool(true), .object([]), .number(1)])
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"), (951_868_799_001, "2000-02-29T23:59:59.001Z"),
        (1_709_251_200_000, "2024-03-01T00:00:00.000Z"), (1_798_761_599_000, "2026-12-31T23:59:59.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] as [(Int64, String)])
    func `moments are written in RFC 3339`(_ milliseconds: Int64, _ text: String) {
        #expect(Moment(milliseconds: milliseconds).timestamp == text)
    }
}
