// SPDX-License-Identifier: MIT

/// A value as another program's table holds it.
enum ForeignValue: Hashable {
    /// NULL, or a column that the table does not have.
    case null
    /// Text, a number in digits, or octets.
    case octets([UInt8])
    /// An expression that only a database could work out.
    case unreadable
}

/// A row of another program's table, by the names of its columns in lower case.
struct ForeignRow {
    private var values: [String: ForeignValue]

    /// The row in which `columns` have `values`, in this order; what is over on either side is passed by.
    init(columns: [String], values: [ForeignValue]) {
        self.values = Dictionary(zip(columns, values)) { _, last in last }
    }

    subscript(_ column: String) -> ForeignValue { values[column] ?? .null }

    /// A whole number in decimal digits; nil for anything else.
    func integer(_ column: String) -> Int64? {
        guard case .octets(let octets) = self[column], let digits = String(validating: octets, as: UTF8.self) else { return nil }
        return Int64(digits)
    }

    /// Text without white space at its ends; nil where there is none or nothing is left. Octets that are not UTF-8 become U+FFFD.
    func text(_ column: String) -> String? {
        guard case .octets(let octets) = self[column] else { return nil }
        let isBlank = { (octet: UInt8) in octet == 0x20 || (0x09...0x0D).contains(octet) }
        guard let first = octets.firstIndex(where: { !isBlank($0) }), let last = octets.lastIndex(where: { !isBlank($0) }) else { return nil }
        return String(decoding: octets[first...last], as: UTF8.self)
    }

    /// A truth value in any of the forms in which tables and dumps keep one, `initial` for NULL; nil for anything else.
    func boolean(_ column: String, initial: Bool) -> Bool? {
        switch self[column] {
        case .null: return initial
        case .unreadable: return nil
        case .octets(let octets):
            switch octets {
            case [0], Array("0".utf8): return false
            case [1], Array("1".utf8): return true
            default:
                switch String(decoding: octets, as: UTF8.self).lowercased() {
                case "true", "t": return true
                case "false", "f": return false
                default: return nil
                }
            }
        }
    }
}
