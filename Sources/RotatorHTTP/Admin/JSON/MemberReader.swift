// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The members of one JSON object, read by name and type. Whatever is not as asked for is a 400 that names the member.
struct MemberReader {
    private let members: [String: JSONValue]

    /// The members of the object that `body` holds, all of them among `known`.
    init(_ body: [UInt8], known: Set<String>, valuesMax: Int = JSONParser.valuesMax) throws(AdminProblem) {
        let value: JSONValue
        do {
            value = try JSONParser.parse(body, valuesMax: valuesMax)
        } catch {
            throw .invalidJSON("The body is not valid JSON: \(error.reason) (octet \(error.offset)).")
        }
        guard case .object(let members) = value else { throw .invalidJSON("The body must be a JSON object, not \(value.kind).") }
        try self.init(members, known: known)
    }

    /// The members of the object that stands under `name` in another, all of them among `known`; nil where it is missing or null.
    init?(_ name: String, in document: MemberReader, known: Set<String>) throws(AdminProblem) {
        switch document.value(name) {
        case nil, .null?: return nil
        case .object(let members)?: try self.init(members, known: known)
        case let other?: throw Self.mismatch(name, "an object", other)
        }
    }

    /// These members, all of them among `known`.
    init(_ members: [JSONValue.Member], known: Set<String>) throws(AdminProblem) {
        let unknown = members.map(\.name).filter { !known.contains($0) }
        guard unknown.isEmpty else {
            // A few names, cut short: enough to find the mistake, without sending a whole body back.
            let names = unknown.prefix(5).map { "“\($0.prefix(64))”" }.joined(separator: ", ")
            throw .unknownMember("Unknown \(unknown.count == 1 ? "member" : "members"): \(names)\(unknown.count > 5 ? " and others" : "").")
        }
        self.members = Dictionary(members.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    private init(_ members: [String: JSONValue]) { self.members = members }

    /// The same members but for one.
    func without(_ name: String) -> MemberReader {
        var rest = members
        rest[name] = nil
        return MemberReader(rest)
    }

    /// Whether the member stands there, be it null.
    func has(_ name: String) -> Bool { members[name] != nil }

    /// Whether the member stands there as null.
    func isNull(_ name: String) -> Bool { members[name] == .null }

    /// The value as it is; nil where it is missing.
    func value(_ name: String) -> JSONValue? { members[name] }

    /// A string; nil where the member is missing.
    func string(_ name: String) throws(AdminProblem) -> String? {
        switch members[name] {
        case nil: return nil
        case .string(let text): return text
        case let other?: throw Self.mismatch(name, "a string", other)
        }
    }

    /// An integer; nil where the member is missing.
    func integer(_ name: String) throws(AdminProblem) -> Int? {
        switch members[name] {
        case nil: return nil
        case .number(let number?): return number
        case .number(nil): throw .invalidMember(name, "must be an integer")
        case let other?: throw Self.mismatch(name, "an integer", other)
        }
    }

    /// A boolean; nil where the member is missing.
    func bool(_ name: String) throws(AdminProblem) -> Bool? {
        switch members[name] {
        case nil: return nil
        case .bool(let value): return value
        case let other?: throw Self.mismatch(name, "a boolean", other)
        }
    }

    /// One of the words of an enumeration; nil where the member is missing.
    func word<Word: RawRepresentable & CaseIterable>(
        _ name: String, _: Word.Type, ignoringCase: Bool = false
    ) throws(AdminProblem) -> Word? where Word.RawValue == String {
        try word(name, among: Array(Word.allCases), ignoringCase: ignoringCase)
    }

    /// One of `words`; nil where the member is missing.
    func word<Word: RawRepresentable>(
        _ name: String, among words: [Word], ignoringCase: Bool = false
    ) throws(AdminProblem) -> Word? where Word.RawValue == String {
        guard let text = try string(name) else { return nil }
        let word = words.first {
            ignoringCase ? $0.rawValue.utf8.elementsEqual(ignoringASCIICase: text.utf8) : $0.rawValue == text
        }
        guard let word else { throw .invalidMember(name, "must be one of \(words.map { "“\($0.rawValue)”" }.joined(separator: ", "))") }
        return word
    }

    /// An object whose values are strings; nil where the member is missing.
    func strings(_ name: String) throws(AdminProblem) -> [String: String]? {
        guard let value = members[name] else { return nil }
        guard case .object(let members) = value else { throw Self.mismatch(name, "an object of strings", value) }
        var strings: [String: String] = [:]
        for member in members {
            guard case .string(let text) = member.value else {
                throw Self.mismatch("\(name).\(member.name.prefix(64))", "a string", member.value)
            }
            strings[member.name] = text
        }
        return strings
    }

    private static func mismatch(_ name: String, _ expected: String, _ value: JSONValue) -> AdminProblem {
        .invalidMember(name, "must be \(expected), not \(value.kind)")
    }
}
