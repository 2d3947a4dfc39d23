// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The query of an admin request, its names and values decoded. A parameter that is unknown, stands there twice or is malformed is a 400.
struct AdminQuery {
    private var parameters: [String: String] = [:]

    init(_ query: String?, known: Set<String>) throws(AdminProblem) {
        guard let query, !query.isEmpty else { return }
        for pair in query.split(separator: "&", omittingEmptySubsequences: true) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let rawName = String(parts[0])
            guard let name = Self.decoded(parts[0]), known.contains(name) else {
                throw .invalidParameter(String(rawName.prefix(64)), "is unknown here")
            }
            guard let value = Self.decoded(parts.count > 1 ? parts[1] : "") else { throw .invalidParameter(name, "is not percent-encoded UTF-8") }
            guard parameters.updateValue(value, forKey: name) == nil else { throw .invalidParameter(name, "stands there twice") }
        }
    }

    subscript(name: String) -> String? { parameters[name] }

    /// The size of a page.
    func limit(_ name: String = "limit", initially initial: Int = 100) throws(AdminProblem) -> Int {
        guard let text = parameters[name] else { return initial }
        guard let limit = Self.number(text), 1...1_000 ~= limit else { throw .invalidParameter(name, "must be an integer from 1 to 1000") }
        return Int(limit)
    }

    /// The number after which a page begins.
    func after(_ name: String = "after") throws(AdminProblem) -> Int64 {
        guard let text = parameters[name] else { return 0 }
        guard let after = Self.number(text) else { throw .invalidParameter(name, "must be what “next” said") }
        return after
    }

    /// Yes or no; nil where the parameter is missing.
    func flag(_ name: String) throws(AdminProblem) -> Bool? {
        guard let word = parameters[name] else { return nil }
        guard let flag = Bool(word) else { throw .invalidParameter(name, "must be “true” or “false”") }
        return flag
    }

    /// A number of digits alone.
    static func number(_ text: String) -> Int64? {
        text.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? Int64(text) : nil
    }

    /// Percent-encoded UTF-8; `application/x-www-form-urlencoded`, as browsers write queries, unless `plusIsSpace` is false.
    static func decoded(_ text: Substring, plusIsSpace: Bool = true) -> String? {
        var octets: [UInt8] = []
        var rest = text.utf8[...]
        while let octet = rest.popFirst() {
            switch octet {
            case UInt8(ascii: "+") where plusIsSpace: octets.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst(), let low = rest.popFirst(),
                    let first = Character(Unicode.Scalar(high)).hexDigitValue, let second = Character(Unicode.Scalar(low)).hexDigitValue
                else { return nil }
                octets.append(UInt8(first << 4 | second))
            default: octets.append(octet)
            }
        }
        return String(validating: octets, as: UTF8.self)
    }
}
