// SPDX-License-Identifier: MIT

/// A place in a JSON document (RFC 6901), such as `/error/details/0/reason`.
///
/// One extension: a token `*` stands for every element of an array or member of an object, since providers list details in no fixed order.
public struct JSONPointer: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    private enum Token: Hashable {
        case any
        /// A member's name, and the array index that it spells if it spells one.
        case named([UInt8], index: Int?)
    }

    private let tokens: [Token]

    /// The pointer that `text` spells: empty for the whole document, else a `/` before each token, with `~1` for `/` and `~0` for `~`.
    /// A text that does not begin with `/` is read as if it did.
    public init(_ text: String) {
        description = text
        guard !text.isEmpty else {
            tokens = []
            return
        }
        tokens = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst(text.hasPrefix("/") ? 1 : 0).map { part -> Token in
            if part == "*" { return .any }
            // RFC 6901 §4: first ~1, then ~0, so that ~01 becomes ~1.
            let name = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
            let isIndex = !name.isEmpty && name.utf8.allSatisfy(\.isDigit) && (name == "0" || !name.hasPrefix("0"))
            return .named(Array(name.utf8), index: isIndex ? Int(name) : nil)
        }
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// The pointer as it is written.
    public let description: String

    /// Whether `text` is a pointer to the letter: empty, or tokens that each begin with `/`, with `~` in `~0` and `~1` alone.
    static func isWellFormed(_ text: String) -> Bool {
        guard text.isEmpty || text.hasPrefix("/") else { return false }
        return text.split(separator: "~", omittingEmptySubsequences: false).dropFirst().allSatisfy { $0.hasPrefix("0") || $0.hasPrefix("1") }
    }

    /// `name` as a token of a pointer (RFC 6901 §3).
    static func token(_ name: String) -> String { name.replacing("~", with: "~0").replacing("/", with: "~1") }

    /// Calls `body` with the place of each value that the pointer names in the document at `start`, until it returns true; says whether it did.
    /// What lies behind a flaw or the end of `bytes` is not found.
    func matches(in bytes: RawSpan, at start: Int, _ body: (Range<Int>) -> Bool) -> Bool {
        (try? visit(tokens[...], in: bytes, at: start, body)) ?? false
    }

    // Recurses once for each token, never by the document's nesting.
    private func visit(_ rest: ArraySlice<Token>, in bytes: RawSpan, at start: Int, _ body: (Range<Int>) -> Bool) throws(JSONFlaw) -> Bool {
        guard let token = rest.first else { return body(start..<(try bytes.jsonValueEnd(from: start))) }
        guard start < bytes.byteCount else { throw .cut }
        switch bytes.octet(start) {
        case 0x7B:
            var members = JSONMembers(open: start)
            while let member = try members.next(in: bytes) {
                switch token {
                case .any: break
                case .named(let name, _):
                    guard bytes.isJSONName(member.name, equalTo: name) else { continue }
                }
                if try visit(rest.dropFirst(), in: bytes, at: member.value.lowerBound, body) { return true }
            }
            return false
        case 0x5B:
            var index = bytes.jsonWhiteSpaceEnd(from: start + 1)
            var position = 0
            while index < bytes.byteCount, bytes.octet(index) != 0x5D {
                switch token {
                case .any:
                    if try visit(rest.dropFirst(), in: bytes, at: index, body) { return true }
                case .named(_, let wanted):
                    guard let wanted else { return false }
                    if wanted == position { return try visit(rest.dropFirst(), in: bytes, at: index, body) }
                }
                index = bytes.jsonWhiteSpaceEnd(from: try bytes.jsonValueEnd(from: index))
                position += 1
                guard index < bytes.byteCount else { throw .cut }
                if bytes.octet(index) == 0x2C { index = bytes.jsonWhiteSpaceEnd(from: index + 1) }
            }
            return false
        default: return false
        }
    }
}

extension RawSpan {
    /// Whether the member name in `range`, which stands between its quotes, spells `name`.
    fileprivate func isJSONName(_ range: Range<Int>, equalTo name: [UInt8]) -> Bool {
        if first(0x5C, from: range.lowerBound, to: range.upperBound) != nil {
            return jsonString(range.lowerBound - 1..<range.upperBound + 1).map { $0.utf8.elementsEqual(name) } ?? false
        }
        guard range.count == name.count else { return false }
        var offset = 0
        while offset < name.count {
            if octet(range.lowerBound + offset) != name[offset] { return false }
            offset += 1
        }
        return true
    }
}
