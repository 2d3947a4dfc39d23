// SPDX-License-Identifier: MIT

/// The characters that may not reach a terminal or a log as they are: they could forge lines or drive the terminal.
enum ControlCharacters {
    /// Whether `scalar` is a control character, a line or paragraph separator, or one that turns the direction of text.
    static func contains(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// Appends `scalar`, escaped where it is a control character.
    static func append(_ scalar: Unicode.Scalar, to text: inout String) {
        guard contains(scalar) else {
            text.unicodeScalars.append(scalar)
            return
        }
        switch scalar {
        case "\n": text += "\\n"
        case "\r": text += "\\r"
        case "\t": text += "\\t"
        default:
            let digits = String(scalar.value, radix: 16)
            text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }
}
