// SPDX-License-Identifier: MIT

public import RotatorCore

/// A text that `mysqldump` wrote of the original Go service's database: gigabytes of other tables may stand in it. Everything here blocks.
public enum MySQLDump {
    /// The services and keys in the dump at `path`.
    ///
    /// - Parameter fault: Says why a configuration is none that the server could work with.
    /// - Throws: `misconfigured` when the file cannot be read or is no such dump, `damaged` when it is cut or malformed.
    public static func catalogue(at path: String, fault: (ServiceConfiguration) -> String?) throws(StoreError) -> ImportedCatalogue {
        var parser = MySQLDumpParser(try FileText(path: path), path: path)
        var rows = GoServiceRows()
        try parser.parse { table, row in
            if let table = GoServiceRows.Table(rawValue: table) { rows.add(row, to: table) }
        }
        guard parser.tables.contains(GoServiceRows.Table.services.rawValue) else {
            throw StoreError(.misconfigured, "\(path) holds no table proxy_configs: it is no dump of the Go service's database")
        }
        let isComplete = parser.endsAsWhole
        var catalogue = rows.catalogue(fault: fault)
        if !isComplete { catalogue.notes.append("the dump does not end with mysqldump's own line \"Dump completed\": make sure that it is whole") }
        return catalogue
    }
}

/// Reads the INSERT statements of a dump, row by row. Nothing is kept but the row at hand.
///
/// Understood are extended inserts, column lists or the order of CREATE TABLE, names in backquotes, double quotes or bare, schemas before
/// names, both kinds of strings with both kinds of escapes, hexadecimal and bit values, character set introducers, all three kinds of comments
/// and DELIMITER. Other statements, executable comments among them, are passed by.
struct MySQLDumpParser: ~Copyable {
    /// The tables of which a CREATE TABLE or an INSERT was seen, of those that matter.
    private(set) var tables: Set<String> = []
    /// Whether the last comment of the dump was mysqldump's own mark of its end.
    private(set) var endsAsWhole = false

    private var text: FileText
    private let path: String
    private var columns: [String: [String]] = [:]
    private let wanted = Set(GoServiceRows.Table.allCases.map(\.rawValue))

    init(_ text: consuming FileText, path: String) {
        self.text = text
        self.path = path
    }

    /// Calls `take` with each row of the wanted tables and the name of its table.
    mutating func parse(_ take: (String, ForeignRow) -> Void) throws(StoreError) {
        try checkEncoding()
        while let octet = try beginning() {
            guard octet.isWordOctet else {
                try skipStatement()
                continue
            }
            switch try word() {
            case "INSERT", "REPLACE": try insert(take)
            case "CREATE": try create()
            case "DELIMITER": try skipOtherDelimiter()
            default: try skipStatement()
            }
        }
    }

    // MARK: Statements

    /// Passes by blanks and comments; the first octet of what follows, nil at the end.
    private mutating func beginning() throws(StoreError) -> UInt8? {
        while let octet = try text.peek() {
            switch octet {
            case 0x20, 0x09...0x0D, UInt8(ascii: ";"): _ = try text.next()
            case UInt8(ascii: "#"): try skipLine()
            case UInt8(ascii: "-"):
                _ = try text.next()
                guard try text.take(UInt8(ascii: "-")) else { throw malformed("a minus where a statement should begin") }
                let comment = try lineText()
                endsAsWhole = comment.contains("Dump completed")
            case UInt8(ascii: "/"):
                _ = try text.next()
                guard try text.take(UInt8(ascii: "*")) else { throw malformed("a slash where a statement should begin") }
                try skipComment()
            default: return octet
            }
        }
        return nil
    }

    private mutating func insert(_ take: (String, ForeignRow) -> Void) throws(StoreError) {
        var name = try token()
        while case .word(let word) = name, ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"].contains(word.uppercased()) { name = try token() }
        guard let table = try tableName(beginningWith: name) else { throw malformed("an INSERT without a table") }
        guard wanted.contains(table) else { return try skipStatement() }
        tables.insert(table)
        var next = try token()
        var listed: [String]?
        if case .symbol(UInt8(ascii: "(")) = next {
            var names: [String] = []
            repeat {
                guard let column = try token().name else { throw malformed("a column list that cannot be read") }
                names.append(column.lowercased())
                next = try token()
            } while next == .symbol(UInt8(ascii: ","))
            guard next == .symbol(UInt8(ascii: ")")) else { throw malformed("a column list that cannot be read") }
            listed = names
            next = try token()
        }
        guard case .word(let word) = next, ["VALUES", "VALUE"].contains(word.uppercased()) else { throw malformed("an INSERT into \(table) without VALUES") }
        guard let order = listed ?? columns[table] else { throw malformed("rows of \(table) without a column list, and no CREATE TABLE before them") }
        repeat {
            guard try token() == .symbol(UInt8(ascii: "(")) else { throw malformed("a row of \(table) that does not begin with a parenthesis") }
            let values = try row()
            guard values.count == order.count else { throw malformed("a row of \(table) with \(values.count) values for \(order.count) columns") }
            take(table, ForeignRow(columns: order, values: values))
            try skipBlanksAndComments()
        } while try text.take(UInt8(ascii: ","))
        try skipStatement()
    }

    /// The values up to the closing parenthesis.
    private mutating func row() throws(StoreError) -> [ForeignValue] {
        var values: [ForeignValue] = []
        while true {
            var value = try self.value()
            try skipBlanksAndComments()
            let next = try text.peek()
            // Something more than a plain value, such as a function's call.
            if next != UInt8(ascii: ","), next != UInt8(ascii: ")") { value = .unreadable }
            values.append(value)
            if try skipExpression() == UInt8(ascii: ")") { return values }
        }
    }

    private mutating func create() throws(StoreError) {
        var next = try token()
        if case .word(let word) = next, word.uppercased() == "TEMPORARY" { next = try token() }
        guard case .word(let word) = next, word.uppercased() == "TABLE" else { return try skipStatement(after: next) }
        next = try token()
        while case .word(let word) = next, ["IF", "NOT", "EXISTS"].contains(word.uppercased()) { next = try token() }
        guard let table = try tableName(beginningWith: next) else { throw malformed("a CREATE TABLE without a name") }
        guard wanted.contains(table), try token() == .symbol(UInt8(ascii: "(")) else { return try skipStatement() }
        tables.insert(table)
        let keywords: Set = ["KEY", "PRIMARY", "UNIQUE", "CONSTRAINT", "INDEX", "FOREIGN", "CHECK", "FULLTEXT", "SPATIAL"]
        var names: [String] = []
        var end: UInt8
        repeat {
            switch try token() {
            case .word(let word): if !keywords.contains(word.uppercased()) { names.append(word.lowercased()) }
            case .quotedName(let name): names.append(name.lowercased())
            case .symbol, .end: throw malformed("the columns of \(table) cannot be read")
            }
            end = try skipExpression()
        } while end == UInt8(ascii: ",")
        columns[table] = names
        try skipStatement()
    }

    /// `next` begins the name of a table, perhaps with its schema before a point; the table's own name in lower case.
    private mutating func tableName(beginningWith next: Token) throws(StoreError) -> String? {
        guard var name = next.name else { return nil }
        while try text.peek() == UInt8(ascii: ".") {
            _ = try text.next()
            guard let part = try token().name else { return nil }
            name = part
        }
        return name.lowercased()
    }

    /// What stands between DELIMITER lines are bodies of triggers and procedures.
    private mutating func skipOtherDelimiter() throws(StoreError) {
        var delimiter = try lineText().split(separator: " ").last
        while delimiter != ";", try text.peek() != nil {
            let words = try lineText().split(separator: " ")
            if words.count == 2, words[0].uppercased() == "DELIMITER" { delimiter = words[1] }
        }
    }

    // MARK: Values

    private mutating func value() throws(StoreError) -> ForeignValue {
        try skipBlanksAndComments()
        guard let octet = try text.peek() else { throw cut }
        switch octet {
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return .octets(try string())
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), 0x30...0x39:
            var digits: [UInt8] = []
            while let octet = try text.peek(), octet.isWordOctet || [0x2B, 0x2D, 0x2E].contains(octet) {
                digits.append(octet)
                _ = try text.next()
            }
            if digits.starts(with: [0x30, 0x78]) || digits.starts(with: [0x30, 0x58]) { return Self.hexadecimal(digits.dropFirst(2)) }
            if digits.starts(with: [0x30, 0x62]) { return Self.bits(digits.dropFirst(2)) }
            return .octets(digits)
        case _ where octet.isWordOctet:
            let word = try word()
            switch word {
            case "NULL": return .null
            case "TRUE": return .octets([0x31])
            case "FALSE": return .octets([0x30])
            default:
                try skipBlanksAndComments()
                guard let quote = try text.peek(), quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
                    // `_binary 0x…` is a plain value too.
                    if word.hasPrefix("_"), try text.peek() == 0x30 { return try value() }
                    return .unreadable
                }
                let octets = try string()
                if word == "X" { return Self.hexadecimal(octets[...]) }
                if word == "B" { return Self.bits(octets[...]) }
                return word.hasPrefix("_") || word == "N" ? .octets(octets) : .unreadable
            }
        default: return .unreadable
        }
    }

    /// The octets of a string in either kind of quotes. Neighbouring strings are not joined.
    private mutating func string() throws(StoreError) -> [UInt8] {
        guard let quote = try text.next() else { throw cut }
        var octets: [UInt8] = []
        while true {
            guard let octet = try text.next() else { throw cut }
            if octet == quote {
                // Doubled, it stands for itself.
                if try text.take(quote) { octets.append(quote) } else { return octets }
            } else if octet == UInt8(ascii: "\\") {
                guard let escaped = try text.next() else { throw cut }
                switch escaped {
                case UInt8(ascii: "0"): octets.append(0)
                case UInt8(ascii: "b"): octets.append(0x08)
                case UInt8(ascii: "n"): octets.append(0x0A)
                case UInt8(ascii: "r"): octets.append(0x0D)
                case UInt8(ascii: "t"): octets.append(0x09)
                case UInt8(ascii: "Z"): octets.append(0x1A)
                default: octets.append(escaped)
                }
            } else {
                octets.append(octet)
            }
        }
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> ForeignValue {
        var octets: [UInt8] = []
        // An odd number of digits is read as if a zero stood before them.
        let padded = digits.count.isMultiple(of: 2) ? Array(digits) : [0x30] + digits
        for index in stride(from: 0, to: padded.count, by: 2) {
            guard let octet = UInt8(String(decoding: padded[index...index + 1], as: UTF8.self), radix: 16) else { return .unreadable }
            octets.append(octet)
        }
        return .octets(octets)
    }

    private static func bits(_ digits: ArraySlice<UInt8>) -> ForeignValue {
        guard let number = UInt64(String(decoding: digits, as: UTF8.self), radix: 2) else { return .unreadable }
        return .octets(Array(String(number).utf8))
    }

    // MARK: Tokens

    private enum Token: Equatable {
        case word(String)
        case quotedName(String)
        case symbol(UInt8)
        case end

        /// The name that it is, if it is one.
        var name: String? {
            switch self {
            case .word(let name), .quotedName(let name): name
            case .symbol, .end: nil
            }
        }
    }

    private mutating func token() throws(StoreError) -> Token {
        try skipBlanksAndComments()
        guard let octet = try text.peek() else { return .end }
        if octet == UInt8(ascii: "`") || octet == UInt8(ascii: "\"") { return .quotedName(try quotedName()) }
        if octet.isWordOctet {
            var octets: [UInt8] = []
            while let octet = try text.peek(), octet.isWordOctet {
                octets.append(octet)
                _ = try text.next()
            }
            return .word(String(decoding: octets, as: UTF8.self))
        }
        _ = try text.next()
        return .symbol(octet)
    }

    /// A word in upper case.
    private mutating func word() throws(StoreError) -> String {
        guard case .word(let word) = try token() else { return "" }
        return word.uppercased()
    }

    private mutating func quotedName() throws(StoreError) -> String {
        guard let quote = try text.next() else { throw cut }
        var octets: [UInt8] = []
        while true {
            guard let octet = try text.next() else { throw cut }
            if octet != quote {
                octets.append(octet)
            } else if try text.take(quote) {
                octets.append(quote)
            } else {
                return String(decoding: octets, as: UTF8.self)
            }
        }
    }

    // MARK: What is passed by

    private mutating func skipBlanksAndComments() throws(StoreError) {
        while let octet = try text.peek() {
            switch octet {
            case 0x20, 0x09...0x0D: _ = try text.next()
            case UInt8(ascii: "#"): try skipLine()
            case UInt8(ascii: "/"):
                _ = try text.next()
                guard try text.take(UInt8(ascii: "*")) else { throw malformed("a slash outside quotes") }
                try skipComment()
            default: return
            }
        }
    }

    private mutating func skipStatement(after token: Token) throws(StoreError) {
        if token != .symbol(UInt8(ascii: ";")) { try skipStatement() }
    }

    /// Passes by everything up to the semicolon that ends the statement.
    private mutating func skipStatement() throws(StoreError) {
        while true {
            try text.skip { [0x27, 0x22, 0x60, 0x3B, 0x23, 0x2D, 0x2F].contains($0) }
            guard let octet = try text.peek() else { throw cut }
            switch octet {
            case UInt8(ascii: ";"):
                _ = try text.next()
                return
            case UInt8(ascii: "`"): _ = try quotedName()
            case UInt8(ascii: "#"): try skipLine()
            case UInt8(ascii: "-"):
                _ = try text.next()
                guard try text.take(UInt8(ascii: "-")) else { continue }
                // Two minuses begin a comment only where a blank follows.
                if let next = try text.peek(), next <= 0x20 { try skipLine() }
            case UInt8(ascii: "/"):
                _ = try text.next()
                if try text.take(UInt8(ascii: "*")) { try skipComment() }
            default: try skipString()
            }
        }
    }

    /// As ``string()``, keeping nothing.
    private mutating func skipString() throws(StoreError) {
        guard let quote = try text.next() else { throw cut }
        while true {
            try text.skip { $0 == quote || $0 == UInt8(ascii: "\\") }
            guard let octet = try text.next() else { throw cut }
            if octet == quote {
                if try !text.take(quote) { return }
            } else {
                _ = try text.next()
            }
        }
    }

    /// Passes by the rest of an expression, which may be nothing; takes and gives the comma or parenthesis that ends it.
    private mutating func skipExpression() throws(StoreError) -> UInt8 {
        var depth = 0
        while true {
            guard let octet = try text.peek() else { throw cut }
            switch octet {
            case UInt8(ascii: "'"), UInt8(ascii: "\""): try skipString()
            case UInt8(ascii: "`"): _ = try quotedName()
            case UInt8(ascii: ";"): throw malformed("a row that has no end")
            default:
                _ = try text.next()
                if octet == UInt8(ascii: "(") { depth += 1 }
                if depth == 0, octet == UInt8(ascii: ",") || octet == UInt8(ascii: ")") { return octet }
                if octet == UInt8(ascii: ")") { depth -= 1 }
            }
        }
    }

    private mutating func skipComment() throws(StoreError) {
        while true {
            try text.skip { $0 == UInt8(ascii: "*") }
            guard try text.next() != nil else { throw cut }
            if try text.take(UInt8(ascii: "/")) { return }
        }
    }

    private mutating func skipLine() throws(StoreError) {
        try text.skip { $0 == 0x0A }
        _ = try text.next()
    }

    /// The rest of the line, or as much of it as matters; all of it is taken.
    private mutating func lineText(atMost count: Int = 256) throws(StoreError) -> String {
        var octets: [UInt8] = []
        while let octet = try text.next(), octet != 0x0A {
            if octets.count < count, octet != 0x0D { octets.append(octet) }
        }
        return String(decoding: octets, as: UTF8.self)
    }

    // MARK: Faults

    private mutating func checkEncoding() throws(StoreError) {
        switch try text.peek() {
        case 0xFE, 0xFF: throw StoreError(.misconfigured, "\(path) is in UTF-16: write the dump with mysqldump --result-file=FILE")
        case 0x1F: throw StoreError(.misconfigured, "\(path) is compressed: unpack it first")
        case 0xEF: for _ in 0..<3 { _ = try text.next() }
        default: break
        }
    }

    private var cut: StoreError { StoreError(.damaged, "\(path) ends within a statement (line \(text.line)): it is cut") }

    /// Says where; what stands there may be a key and is not repeated.
    private func malformed(_ what: String) -> StoreError { StoreError(.damaged, "\(path) line \(text.line): \(what)") }
}

extension UInt8 {
    /// Letters, digits, `_`, `$` and everything outside ASCII: what a name may hold without quotes.
    fileprivate var isWordOctet: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x24, 0x80...: true
        default: false
        }
    }
}
