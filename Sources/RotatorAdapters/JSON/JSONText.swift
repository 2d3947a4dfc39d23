// SPDX-License-Identifier: MIT

/// JSON octets as they are written, member by member.
struct JSONText {
    private(set) var octets: [UInt8] = []

    /// An empty text.
    init() {}

    /// Writes `{`, what `members` writes, and `}`.
    mutating func object(_ members: (inout JSONText) -> Void) {
        octets.append(0x7B)
        members(&self)
        octets.append(0x7D)
    }

    /// Writes `[`, what `elements` writes, and `]`.
    mutating func array(_ elements: (inout JSONText) -> Void) {
        octets.append(0x5B)
        elements(&self)
        octets.append(0x5D)
    }

    /// Makes room for an element of an array: a comma where another stands before it.
    mutating func element() {
        if let last = octets.last, last != 0x5B { octets.append(0x2C) }
    }

    /// Writes an array of strings.
    mutating func strings(_ values: some Sequence<String>) {
        array { text in
            for value in values {
                text.element()
                text.string(value)
            }
        }
    }

    /// Writes `true`, `false` or `null`.
    mutating func literal(_ word: StaticString) {
        unsafe octets.append(contentsOf: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }

    /// Writes a number.
    mutating func number(_ value: Int) { octets.append(contentsOf: String(value).utf8) }

    /// Writes a member's name, after a comma where a value stands before it.
    mutating func name(_ name: StaticString) {
        if let last = octets.last, last != 0x7B { octets.append(0x2C) }
        octets.append(0x22)
        unsafe octets.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        octets.append(contentsOf: [0x22, 0x3A])
    }

    /// Writes a member with a string value.
    mutating func member(_ name: StaticString, _ value: String) {
        self.name(name)
        string(value)
    }

    /// Writes a member with a number value.
    mutating func member(_ name: StaticString, _ value: Int) {
        self.name(name)
        number(value)
    }

    /// Writes a member whose value is null.
    mutating func null(_ name: StaticString) {
        self.name(name)
        literal("null")
    }

    /// Writes a string with what RFC 8259 §7 wants escaped, and U+007F, which terminals dislike.
    mutating func string(_ value: String) {
        let digits = Array("0123456789abcdef".utf8)
        octets.append(0x22)
        for octet in value.utf8 {
            switch octet {
            case 0x22, 0x5C: octets.append(contentsOf: [0x5C, octet])
            case 0x0A: octets.append(contentsOf: [0x5C, 0x6E])
            case 0x0D: octets.append(contentsOf: [0x5C, 0x72])
            case 0x09: octets.append(contentsOf: [0x5C, 0x74])
            case 0..<0x20, 0x7F:
                octets.append(contentsOf: [0x5C, 0x75, 0x30, 0x30, digits[Int(octet >> 4)], digits[Int(octet & 15)]])
            default: octets.append(octet)
            }
        }
        octets.append(0x22)
    }
}
