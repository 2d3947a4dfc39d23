// SPDX-License-Identifier: MIT

import Testing

@testable import RotatorHTTP

@Suite("Body decoder") struct BodyDecoderTests {
    /// Reads `text` in the given pieces. Returns the body, whether it is whole, and what was left over.
    private func read(_ text: [UInt8], _ start: BodyDecoder, cuts: [Int]) throws(HTTPFault) -> (body: [UInt8], isWhole: Bool, rest: Int) {
        var decoder = start
        var body: [UInt8] = []
        var from = 0
        for end in cuts + [text.count] where end >= from {
            let piece = ByteBuffer(capacity: 64)
            piece.append(Array(text[from..<end]))
            from = end
            var offset = 0
            reading: while true {
                switch try decoder.step(piece.view.dropFirst(offset)) {
                case .data(let skip, let count):
                    body += piece.view[(offset + skip)..<(offset + skip + count)].array
                    offset += skip + count
                case .needMore(let skip):
                    #expect(offset + skip == piece.count)
                    break reading
                case .finished(let skip): return (body, true, text.count - end + piece.count - offset - skip)
                }
            }
        }
        return (body, decoder.isFinished, 0)
    }

    @Test(arguments: BodyTexts.sound)
    func `a chunked body is the same however it is cut`(_ sound: BodyTexts.Sound) throws {
        let octets = Array(sound.text.utf8)
        for cut in [[]] + (1..<octets.count).map({ [$0] }) + [Array(1..<octets.count)] {
            let (body, isWhole, rest) = try read(octets, .chunked, cuts: cut)
            #expect(String(decoding: body, as: UTF8.self) == sound.body)
            #expect(isWhole)
            #expect(rest == sound.rest)
        }
    }

    @Test(arguments: BodyTexts.malformed)
    func `a chunked body outside the grammar is refused however it is cut`(_ text: String) {
        let octets = Array(text.utf8)
        for cut in [[]] + (1..<octets.count).map({ [$0] }) {
            #expect(throws: HTTPFault.self) {
                if try !read(octets, .chunked, cuts: cut).isWhole { throw HTTPFault.malformed("never ends") }
            }
        }
    }

    @Test func `a chunked body that stops early is not whole`() throws {
        let octets = Array("5\r\nhello\r\n0\r\n".utf8)
        for end in 0..<octets.count { #expect(try !read(Array(octets[..<end]), .chunked, cuts: []).isWhole) }
    }

    @Test func `a length is counted to the octet`() throws {
        let octets = Array("helloGET".utf8)
        for cut in [[], [1], [4], [5], [6]] {
            let (body, isWhole, rest) = try read(octets, .length(5), cuts: cut)
            #expect(String(decoding: body, as: UTF8.self) == "hello")
            #expect(isWhole)
            #expect(rest == 3)
        }
    }

    @Test func `chunk extensions and trailers have limits`() {
        #expect(throws: HTTPFault.self) { try read(Array(("1;" + String(repeating: "a", count: 16_500)).utf8), .chunked, cuts: []) }
        let many = String(repeating: "1;" + String(repeating: "a", count: 1_000) + "\r\nx\r\n", count: 20)
        #expect(throws: HTTPFault.self) { try read(Array(many.utf8), .chunked, cuts: []) }
        #expect(throws: HTTPFault.fieldsTooLarge) { try read(Array(("0\r\nA: " + String(repeating: "a", count: 17_000)).utf8), .chunked, cuts: []) }
        #expect(throws: HTTPFault.fieldsTooLarge) { try read(Array(("0\r\n" + String(repeating: "A: b\r\n", count: 201)).utf8), .chunked, cuts: []) }
    }
}

/// Chunked bodies and what must become of them.
enum BodyTexts {
    struct Sound: Sendable {
        var text: String
        var body: String
        var rest = 0
    }

    static let sound = [
        Sound(text: "0\r\n\r\n", body: ""), Sound(text: "5\r\nhello\r\n0\r\n\r\n", body: "hello"), Sound(text: "1\r\na\r\n1\r\nb\r\n0\r\n\r\n", body: "ab"), Sound(text: "A\r\n0123456789\r\n0\r\n\r\n", body: "0123456789"),
        Sound(text: "a\r\n0123456789\r\n0\r\n\r\n", body: "0123456789"), Sound(text: "0005\r\nhello\r\n000\r\n\r\n", body: "hello"), Sound(text: "5;a\r\nhello\r\n0;b=c\r\n\r\n", body: "hello"),
        Sound(text: "5;a=\"b\\\"c;d\"\r\nhello\r\n0\r\n\r\n", body: "hello"), Sound(text: "5;a=b;c\r\nhello\r\n0\r\n\r\n", body: "hello"), Sound(text: "5\r\nhello\r\n0\r\nA: b\r\n\r\n", body: "hello"),
        Sound(text: "5\r\nhello\r\n0\r\nA:\r\nB: c\r\n\r\n", body: "hello"), Sound(text: "2\r\n\r\n\r\n0\r\n\r\n", body: "\r\n"), Sound(text: "5\r\nhello\r\n0\r\n\r\nGET / ", body: "hello", rest: 6), Sound(text: "3\r\n0\r\n\r\n0\r\n\r\n", body: "0\r\n"),
    ]

    static let malformed = [
        "\r\n", "x\r\n", "g\r\n", "-1\r\n", "+1\r\na\r\n0\r\n\r\n", "0x1\r\na\r\n0\r\n\r\n", " 1\r\na\r\n0\r\n\r\n", "1 \r\na\r\n0\r\n\r\n", "1\t\r\na\r\n", "1\na\n0\n\n", "1\r\na\n0\r\n\r\n", "1\r\naX\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\r0\r\n\r\n", "1\r\na0\r\n\r\n", "1\rXa\r\n", "1;\r\na\r\n0\r\n\r\n", "1; a\r\nb\r\n0\r\n\r\n", "1;a =b\r\nc\r\n0\r\n\r\n", "1;a= b\r\nc\r\n", "1;a=\r\nb\r\n", "1;=a\r\nb\r\n", "1;a=\"b\r\nc\r\n", "1;a=\"\r\"\r\nb\r\n", "1;a\nb\r\n0\r\n\r\n",
        "1;a=\"b\"c\r\nd\r\n", "1;(\r\na\r\n", "1;a;\r\nb\r\n", "FFFFFFFFFFFFFFFF\r\n", "10000000000000000\r\n", "7FFFFFFFFFFFFFFF1\r\n", "1,\r\n", "1_0\r\n", "1.0\r\n", "é\r\n", "0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\nX: \u{0}\r\n\r\n",
        "0\r\nX: y\n\r\n", "0\r\nX: y\r\n z\r\n\r\n", "0\r\n: y\r\n\r\n", "0\n\n", "0\r\n\n", "0\r\n\rX", "0\r\nX: y\rZ", "0\r\n\u{0}",
    ]
}
