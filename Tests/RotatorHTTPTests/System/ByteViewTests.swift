// SPDX-License-Identifier: MIT

import Testing

@testable import RotatorHTTP

@Suite("Octets and addresses") struct ByteViewTests {
    @Test func `a field value is judged alike wherever its octet lies`() {
        for octet in UInt8.min ... .max {
            let isAllowed = octet == 0x09 || octet >= 0x20 && octet != 0x7F
            for length in [1, 7, 8, 9, 15, 16, 17, 31] {
                for position in 0..<length {
                    var octets = [UInt8](repeating: 0x61, count: length)
                    octets[position] = octet
                    let buffer = ByteBuffer(capacity: 64)
                    buffer.append(octets)
                    #expect(buffer.view.isFieldValue == isAllowed, "octet \(octet) at \(position) of \(length)")
                }
            }
        }
    }

    @Test func `neighbours of a suspicious octet do not hide it`() {
        for pair: [UInt8] in [[0x20, 0x1F], [0x1F, 0x20], [0x80, 0x7F], [0x7F, 0x80], [0x09, 0x08], [0x00, 0x00]] {
            let buffer = ByteBuffer(capacity: 64)
            buffer.append(Array("aaa".utf8) + pair + Array("aaaaa".utf8))
            #expect(!buffer.view.isFieldValue)
        }
    }

    @Test func `a buffer that grows keeps what it holds`() {
        let buffer = ByteBuffer(capacity: 4)
        for number in 0..<1_000 { buffer.append(decimal: number) }
        buffer.consume(10)
        buffer.append("end")
        #expect(buffer.view.string == String((0..<1_000).map(String.init).joined().dropFirst(10)) + "end")
    }

    @Test(arguments: [(0, "0"), (9, "9"), (10, "a"), (255, "ff"), (65_536, "10000"), (1 << 40, "10000000000")])
    func `sizes are written in hexadecimal`(_ number: Int, _ text: String) {
        let buffer = ByteBuffer(capacity: 4)
        buffer.append(hexadecimal: number)
        #expect(buffer.view.string == text)
    }

    @Test(arguments: [
        ("127.0.0.0", 8, "127.9.9.9", true), ("127.0.0.0", 8, "128.0.0.1", false), ("10.1.2.3", 32, "10.1.2.3", true), ("10.1.2.3", 31, "10.1.2.2", true),
        ("10.1.2.3", 32, "10.1.2.2", false), ("0.0.0.0", 0, "9.9.9.9", true), ("fe80::", 10, "fe80::1", true), ("fe80::", 10, "fec0::1", false), ("10.0.0.0", 8, "example.com", false),
        ("10.0.0.0", 8, "::1", false),
    ])
    func `an address range contains what shares its prefix`(_ prefix: String, _ bits: Int, _ host: String, _ isInside: Bool) throws {
        #expect(try #require(AddressRange(prefix, bits: bits)).contains(host) == isInside)
    }

    @Test func `what is no range is not taken for one`() {
        #expect(AddressRange("10.0.0", bits: 8) == nil)
        #expect(AddressRange("10.0.0.0", bits: 33) == nil)
        #expect(AddressRange("example.com", bits: 8) == nil)
    }

    @Test func `a token is counted to its end, whatever octet ends it and wherever that stands`() {
        for octet in UInt8.min ... .max {
            for length in 0...20 {
                // Behind the token more of what tokens are made of, so that looking too far would be seen.
                let octets = Array(repeating: UInt8(ascii: "x"), count: length) + [octet] + Array("Az-09_~".utf8)
                let expected = isToken(octet) ? octets.count : length
                unsafe octets.withUnsafeBytes { unsafe #expect(ByteView($0).tokenCount() == expected, "octet \(octet) at \(length)") }
            }
        }
    }
}
