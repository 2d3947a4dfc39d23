// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Writes a JSON text octet by octet; commas look after themselves.
struct JSONWriter {
    /// What has been written.
    private(set) var octets: [UInt8] = []
    private var needsComma = false

    mutating func openObject() { open(UInt8(ascii: "{")) }
    mutating func closeObject() { close(UInt8(ascii: "}")) }
    mutating func openArray() { open(UInt8(ascii: "[")) }
    mutating func closeArray() { close(UInt8(ascii: "]")) }

    /// A member's name; its value must follow.
    mutating func name(_ name: StaticString) {
        write(name.description)
        octets.append(UInt8(ascii: ":"))
        needsComma = false
    }

    mutating func name(_ name: String) {
        write(name)
        octets.append(UInt8(ascii: ":"))
        needsComma = false
    }

    mutating func write(_ text: String?) {
        guard let text else { return writeLiteral("null") }
        separate()
        octets.append(UInt8(ascii: "\""))
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): octets += [UInt8(ascii: "\\"), octet]
            case 0x0A: octets += "\\n".utf8
            case 0x0D: octets += "\\r".utf8
            case 0x09: octets += "\\t".utf8
            case 0..<0x20:
                octets += "\\u00".utf8
                octets += [Self.hexadecimal(octet >> 4), Self.hexadecimal(octet & 15)]
            default: octets.append(octet)
            }
        }
        octets.append(UInt8(ascii: "\""))
    }

    /// Writes a value that is JSON already.
    mutating func write(json: [UInt8]) {
        separate()
        octets += json
    }

    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: writeLiteral("null")
        case .bool(let value): write(value)
        case .number(let number?): write(number)
        // Which number it was is not known; what reads this wants integers, and any other is as wrong.
        case .number(nil): writeLiteral("0.5")
        case .string(let text): write(text)
        case .array(let elements):
            openArray()
            for element in elements { write(element) }
            closeArray()
        case .object(let members):
            openObject()
            for member in members {
                name(member.name)
                write(member.value)
            }
            closeObject()
        }
    }

    mutating func write(_ number: (some BinaryInteger)?) { writeLiteral(number.map { String($0) } ?? "null") }

    /// A number with up to `places` decimals, 0…9; null where there is none, or none that JSON has. Beyond 9 × 10^9 without decimals.
    mutating func write(_ number: Double?, places: Int) {
        guard let number, number.isFinite, number.magnitude < 9e18 else { return writeLiteral("null") }
        let scale = (0..<places).reduce(Int64(1)) { power, _ in power * 10 }
        guard number.magnitude < 9e9 else { return writeLiteral(String(Int64(number))) }
        let scaled = Int64((number * Double(scale)).rounded())
        var decimals = String(scaled.magnitude % UInt64(scale))
        decimals = String(repeating: "0", count: places - decimals.count) + decimals
        while decimals.hasSuffix("0") { decimals.removeLast() }
        writeLiteral("\(scaled < 0 ? "-" : "")\(scaled.magnitude / UInt64(scale))\(decimals.isEmpty ? "" : ".")\(decimals)")
    }

    mutating func write(_ value: Bool) { writeLiteral(value ? "true" : "false") }
    mutating func write(_ moment: Moment?) { write(moment?.timestamp) }

    mutating func member(_ name: StaticString, _ text: String?) {
        self.name(name)
        write(text)
    }

    mutating func member(_ name: StaticString, _ number: (some BinaryInteger)?) {
        self.name(name)
        write(number)
    }

    mutating func member(_ name: StaticString, _ value: Bool) {
        self.name(name)
        write(value)
    }

    mutating func member(_ name: StaticString, _ moment: Moment?) {
        self.name(name)
        write(moment)
    }

    mutating func member(_ name: StaticString, _ number: Double?, places: Int) {
        self.name(name)
        write(number, places: places)
    }

    private mutating func separate() {
        if needsComma { octets.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        octets.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        octets.append(bracket)
        needsComma = true
    }

    private mutating func writeLiteral(_ text: String) {
        separate()
        octets += text.utf8
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x61 + digit - 10 }
}
