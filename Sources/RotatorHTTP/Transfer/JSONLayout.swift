// SPDX-License-Identifier: MIT

/// Lays a JSON text out for people and for tools that compare lines.
enum JSONLayout {
    /// `compact`, which holds no white space between values, on many lines: each element of an array or object at most `depth` deep stands on a line of
    /// its own, and what is nested deeper stays on the line of the element that holds it. Ends with a line feed.
    static func lines(_ compact: [UInt8], depth: Int) -> [UInt8] {
        var laidOut: [UInt8] = []
        laidOut.reserveCapacity(compact.count + compact.count / 4)
        var nesting = 0
        var isInString = false
        var isEscaped = false

        func breakLine() {
            laidOut.append(0x0A)
            for _ in 0..<nesting { laidOut += [0x20, 0x20] }
        }

        for index in compact.indices {
            let octet = compact[index]
            if isInString {
                laidOut.append(octet)
                if isEscaped { isEscaped = false } else if octet == UInt8(ascii: "\\") { isEscaped = true } else if octet == UInt8(ascii: "\"") { isInString = false }
                continue
            }
            switch octet {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                laidOut.append(octet)
                nesting += 1
                // An octet's closing bracket is two further on in ASCII.
                if nesting <= depth, index + 1 < compact.count, compact[index + 1] != octet + 2 { breakLine() }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                nesting -= 1
                if nesting < depth, compact[index - 1] != octet - 2 { breakLine() }
                laidOut.append(octet)
            case UInt8(ascii: ","):
                laidOut.append(octet)
                if nesting <= depth { breakLine() } else { laidOut.append(0x20) }
            case UInt8(ascii: ":"):
                laidOut += [octet, 0x20]
            default:
                isInString = octet == UInt8(ascii: "\"")
                laidOut.append(octet)
            }
        }
        laidOut.append(0x0A)
        return laidOut
    }
}
