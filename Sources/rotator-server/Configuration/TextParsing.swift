// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The grammars of the values that variables take. None is lenient: `+5`, `0x10` and `1e3` are not numbers here.
enum TextParsing {
    /// A whole number in decimal digits within `range`.
    static func wholeNumber(_ text: String, in range: ClosedRange<Int>) throws(Rejection) -> Int {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text), range.contains(number) else { throw Rejection() }
        return number
    }

    /// Seconds in decimal digits, with up to three after a point, within `range` of milliseconds.
    static func seconds(_ text: String, millisecondsIn range: ClosedRange<Int>) throws(Rejection) -> Duration {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first.map(String.init) else { throw Rejection() }
        var milliseconds = try wholeNumber(whole, in: 0...1_000_000_000) * 1_000
        if parts.count == 2 {
            let fraction = String(parts[1])
            guard (1...3).contains(fraction.utf8.count) else { throw Rejection() }
            milliseconds += try wholeNumber(fraction + String(repeating: "0", count: 3 - fraction.utf8.count), in: 0...999)
        }
        guard range.contains(milliseconds) else { throw Rejection() }
        return .milliseconds(milliseconds)
    }

    /// A credential as the proxy surface takes it: 1 to 8,192 visible ASCII octets.
    static func credential(_ text: String) throws(Rejection) -> Secret {
        guard (1...8_192).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw Rejection() }
        return Secret(text.utf8)
    }

    /// A text of `range` characters without control characters.
    static func plainText(_ text: String, characters range: ClosedRange<Int>) throws(Rejection) -> String {
        guard range.contains(text.count), !text.unicodeScalars.contains(where: ControlCharacters.contains) else { throw Rejection() }
        return text
    }

    /// A host to listen on: a name, an IPv4 address or an IPv6 address, the latter with or without brackets. Given back without them.
    static func listenHost(_ text: String) throws(Rejection) -> String {
        var host = text
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let isIPv6Like = host.contains(":")
        let isFit: (UInt8) -> Bool = { octet in
            switch octet {
            case 48...57, 65...90, 97...122, UInt8(ascii: "."), UInt8(ascii: "-"): true
            case UInt8(ascii: ":"), UInt8(ascii: "%"): isIPv6Like
            default: false
            }
        }
        guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy(isFit) else { throw Rejection() }
        // `host:port` in the host's place is the likeliest slip, and no IPv6 address.
        if isIPv6Like, host.utf8.count(where: { $0 == UInt8(ascii: ":") }) < 2 { throw Rejection("the port belongs in BACKEND_PORT") }
        return host
    }

    /// An absolute URL of one of `schemes` with a host; nothing else of it is looked at.
    static func url(_ text: String, schemes: [String]) throws(Rejection) -> String {
        guard let separator = text.range(ofFirst: "://") else { throw Rejection() }
        guard schemes.contains(text[..<separator.lowerBound].lowercased()) else { throw Rejection() }
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        guard !host.isEmpty, !host.hasPrefix(":"), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw Rejection() }
        return text
    }

    /// 32 octets, as 64 hexadecimal digits or in base64 (the usual or the URL-safe alphabet, with or without padding).
    static func encryptionKey(_ text: String) throws(Rejection) -> [UInt8] {
        if text.utf8.count == 64, let octets = hexadecimal(text) { return octets }
        guard let octets = base64(text) else { throw Rejection() }
        guard octets.count == 32 else { throw Rejection("it decodes to \(octets.count) bytes") }
        return octets
    }

    /// The octets that `text` writes in hexadecimal; nil when it doesn't.
    static func hexadecimal(_ text: String) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 2) else { return nil }
        var octets: [UInt8] = []
        var high: UInt8?
        for character in text.utf8 {
            let digit: UInt8
            switch character {
            case 48...57: digit = character - 48
            case 65...70: digit = character - 55
            case 97...102: digit = character - 87
            default: return nil
            }
            if let half = high {
                octets.append(half << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return octets
    }

    /// The octets that `text` writes in base64; nil when it doesn't, or when bits that belong to no octet are set.
    static func base64(_ text: String) -> [UInt8]? {
        var body = Array(text.utf8)
        var padding = 0
        while body.last == UInt8(ascii: "="), padding < 2 {
            body.removeLast()
            padding += 1
        }
        guard padding == 0 || (body.count + padding).isMultiple(of: 4) else { return nil }
        var octets: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for character in body {
            let value: UInt32
            switch character {
            case 65...90: value = UInt32(character) - 65
            case 97...122: value = UInt32(character) - 71
            case 48...57: value = UInt32(character) + 4
            case UInt8(ascii: "+"), UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "/"), UInt8(ascii: "_"): value = 63
            default: return nil
            }
            bits = (bits << 6 | value) & 0xFFFF
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                octets.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
                bits &= (1 << UInt32(bitCount)) - 1
            }
        }
        return bitCount < 6 && bits == 0 ? octets : nil
    }

    /// `octets` in lower-case hexadecimal.
    static func hexadecimal(of octets: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for octet in octets { text += [digits[Int(octet >> 4)], digits[Int(octet & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
