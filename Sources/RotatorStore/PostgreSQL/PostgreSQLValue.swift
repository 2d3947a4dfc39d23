// SPDX-License-Identifier: MIT

/// A parameter of a statement, with its type. Travels in PostgreSQL's binary form, so nothing is quoted and nothing escaped.
enum PostgreSQLValue: Sendable {
    case integer(Int64?)
    case boolean(Bool)
    case text(String)
    case octets([UInt8])
    case integers([Int64?])
    case booleans([Bool])
    case texts([String])
    case octetStrings([[UInt8]?])

    /// The object identifier of the type, as `pg_type.dat` fixes it.
    var type: UInt32 {
        switch self {
        case .integer: 20
        case .boolean: 16
        case .text: 25
        case .octets: 17
        case .integers: 1016
        case .booleans: 1000
        case .texts: 1009
        case .octetStrings: 1001
        }
    }

    /// The text that is kept of `text`: PostgreSQL has no U+0000 in texts, the replacement character takes its place.
    static func kept(_ text: String) -> String {
        text.utf8.contains(0) ? String(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : Character($0) }) : text
    }

    /// Appends the value in binary form; false for NULL, which has none.
    func encode(into octets: inout [CChar]) -> Bool {
        switch self {
        case .integer(nil): return false
        case .integer(let value?): octets.append(bigEndian: value)
        case .boolean(let value): octets.append(value ? 1 : 0)
        case .text(let value): octets.append(text: value)
        case .octets(let value): octets.append(value)
        case .integers(let values):
            octets.appendArray(values, of: 20, hasNulls: values.contains(nil)) { octets, value in
                if let value { octets.append(bigEndian: value) }
                return value != nil
            }
        case .booleans(let values):
            octets.appendArray(values, of: 16) { octets, value in
                octets.append(value ? 1 : 0)
                return true
            }
        case .texts(let values):
            octets.appendArray(values, of: 25) { octets, value in
                octets.append(text: value)
                return true
            }
        case .octetStrings(let values):
            octets.appendArray(values, of: 17, hasNulls: values.contains(nil)) { octets, value in
                if let value { octets.append(value) }
                return value != nil
            }
        }
        return true
    }
}

extension [CChar] {
    fileprivate mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) { append(CChar(truncatingIfNeeded: value >> shift)) }
    }

    fileprivate mutating func append(_ octets: [UInt8]) { append(contentsOf: octets.lazy.map { CChar(bitPattern: $0) }) }

    fileprivate mutating func append(text: String) {
        append(contentsOf: PostgreSQLValue.kept(text).utf8.lazy.map { CChar(bitPattern: $0) })
    }

    /// Appends an array of one dimension; `encode` appends a value, or returns false for NULL.
    fileprivate mutating func appendArray<Value>(
        _ values: [Value], of type: Int32, hasNulls: Bool = false, _ encode: (inout [CChar], Value) -> Bool
    ) {
        append(bigEndian: Int32(values.isEmpty ? 0 : 1))
        append(bigEndian: Int32(hasNulls ? 1 : 0))
        append(bigEndian: type)
        guard !values.isEmpty else { return }
        append(bigEndian: Int32(values.count))
        append(bigEndian: Int32(1))
        for value in values {
            let start = count
            append(bigEndian: Int32(-1))
            guard encode(&self, value) else { continue }
            let length = Int32(count - start - 4)
            for position in 0..<4 { self[start + position] = CChar(truncatingIfNeeded: length >> (24 - 8 * Int32(position))) }
        }
    }
}
