// SPDX-License-Identifier: MIT

public import RotatorCore

// Reads what `ProviderRules+Document.swift` writes.
extension ProviderRules {
    /// A longer table is refused.
    public static let countMax = 500
    /// A longer document is refused.
    public static let documentOctetsMax = 65_536

    /// The table that `document`, a JSON array of rules, holds. Throws the first fault; nothing is guessed and nothing passed over.
    public init(document: [UInt8]) throws(RuleFault) {
        guard document.count <= Self.documentOctetsMax else {
            throw RuleFault(place: "", reason: "is longer than \(Self.documentOctetsMax) octets")
        }
        let bytes = unsafe document.span.bytes
        let table = try bytes.arrayDocument()
        let places = try bytes.elements(of: table)
        guard places.count <= Self.countMax else { throw table.fault("has more than \(Self.countMax) rules") }
        var rules: [ProviderRule] = []
        for place in places { rules.append(try ProviderRule(place, in: bytes)) }
        self.init(rules)
    }
}

extension ProviderRule {
    /// Lists within a rule are no longer than this.
    private static let listMax = 100
    private static let reasonOctetsMax = 64

    /// The rule that stands at `place`.
    fileprivate init(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) {
        let members = try bytes.members(of: place, known: ["statuses", "conditions", "verdict", "scope", "until", "reason"])
        func required(_ name: String) throws(RuleFault) -> JSONPlace {
            guard let member = members[name] else { throw RuleFault(place: "\(place.pointer)/\(name)", reason: "is required") }
            return member
        }
        let statuses = try Self.statuses(try required("statuses"), in: bytes)
        var conditions: [Condition] = []
        if let list = members["conditions"] {
            for condition in try Self.list(list, in: bytes, min: 0) { conditions.append(try Condition(condition, in: bytes)) }
        }
        let verdict = try Verdict(try required("verdict"), scope: members["scope"], until: members["until"], in: bytes)
        let reason = try required("reason")
        let word = try bytes.string(reason, octetsMax: Self.reasonOctetsMax)
        guard word.utf8.allSatisfy({ $0.isDigit || $0 &- 0x61 < 26 || $0 == 0x5F }) else { throw reason.fault("must match [a-z0-9_]{1,64}") }
        self.init(statuses, conditions, means: verdict, word)
    }

    private static func statuses(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) -> StatusSet {
        var ranges: [ClosedRange<Int>] = []
        for element in try list(place, in: bytes) {
            let bounds: [Int]
            if let text = bytes.jsonString(element.range) {
                let numbers = text.split(separator: "-", omittingEmptySubsequences: false).map { $0.utf8.count == 3 ? Int($0) : nil }
                guard numbers.count == 2, let first = numbers[0], let last = numbers[1], first <= last else {
                    throw element.fault("must be a status or a range such as “500-599”")
                }
                bounds = [first, last]
            } else {
                guard let status = bytes.wholeNumber(element) else { throw element.fault("must be a status or a range such as “500-599”") }
                bounds = [status, status]
            }
            guard bounds.allSatisfy({ 400...599 ~= $0 }) else { throw element.fault("must be from 400 to 599: other answers are no failures") }
            if bounds == [501, 501] || bounds == [505, 505] { throw element.fault("is never judged: it says nothing of a key") }
            ranges.append(bounds[0]...bounds[1])
        }
        return StatusSet(ranges)
    }

    /// The elements of an array that has at least `min`, and at most as many as a list may have.
    fileprivate static func list(_ place: JSONPlace, in bytes: RawSpan, min: Int = 1) throws(RuleFault) -> [JSONPlace] {
        let elements = try bytes.elements(of: place)
        guard min...listMax ~= elements.count else { throw place.fault("must have \(min) to \(listMax) elements") }
        return elements
    }
}

extension ProviderRule.Condition {
    /// What a condition may look at; one of them makes its kind.
    private static let kinds = ["header", "says_when", "json", "says", "body_contains"]
    private static let tests = ["exists", "equals", "contains", "begins", "number"]
    private static let textOctetsMax = 1_024
    private static let nameOctetsMax = 256
    private static let pointerOctetsMax = 512

    fileprivate init(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) {
        let members = try bytes.members(of: place, known: Set(Self.kinds + Self.tests))
        let given = Self.kinds.compactMap { kind in members[kind].map { (kind, $0) } }
        guard given.count == 1, let (kind, value) = given.first else { throw place.fault("must have one of \(Self.kinds.joined(separator: ", "))") }
        let tests = Self.tests.compactMap { test in members[test].map { (test, $0) } }
        func refuseTests(but allowed: [String]) throws(RuleFault) {
            if let (_, stray) = tests.first(where: { !allowed.contains($0.0) }) { throw stray.fault("is unknown beside “\(kind)”") }
        }
        switch kind {
        case "header":
            try refuseTests(but: ["contains"])
            let part = try members["contains"].map { part throws(RuleFault) in try bytes.string(part, octetsMax: Self.textOctetsMax) }
            self = .field(try Self.fieldName(value, in: bytes), contains: FoldedText(part ?? ""))
        case "json":
            guard tests.count == 1, let (test, operand) = tests.first else { throw place.fault("must have one of \(Self.tests.joined(separator: ", "))") }
            var pointers: [JSONPointer] = []
            for element in try ProviderRule.list(value, in: bytes) { pointers.append(try Self.pointer(element, in: bytes)) }
            self = .json(pointers, try Self.test(test, operand, in: bytes))
        default:
            try refuseTests(but: [])
            switch kind {
            case "says": self = .says(try Self.texts(value, in: bytes))
            case "body_contains": self = .body(contains: try Self.texts(value, in: bytes))
            default:
                try Self.expectTrue(value, in: bytes)
                self = .saysWhen
            }
        }
    }

    private static func test(_ word: String, _ operand: JSONPlace, in bytes: RawSpan) throws(RuleFault) -> ProviderRule.Test {
        switch word {
        case "equals": return .equals(try texts(operand, in: bytes))
        case "contains": return .contains(try texts(operand, in: bytes))
        case "begins": return .begins(try texts(operand, in: bytes))
        case "number":
            var numbers: [Int] = []
            for element in try ProviderRule.list(operand, in: bytes) {
                guard let number = bytes.wholeNumber(element) else { throw element.fault("must be a whole number") }
                numbers.append(number)
            }
            return .number(numbers)
        default:
            try expectTrue(operand, in: bytes)
            return .exists
        }
    }

    private static func expectTrue(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) {
        guard bytes.equals("true", in: place.range) else { throw place.fault("must be true") }
    }

    private static func texts(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) -> [FoldedText] {
        var texts: [FoldedText] = []
        for element in try ProviderRule.list(place, in: bytes) { texts.append(FoldedText(try bytes.string(element, octetsMax: textOctetsMax))) }
        return texts
    }

    /// A field's name (RFC 9110 §5.1).
    fileprivate static func fieldName(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) -> FoldedText {
        let name = try bytes.string(place, octetsMax: nameOctetsMax)
        let isToken = name.utf8.allSatisfy { $0.isDigit || $0.lowercasedASCII &- 0x61 < 26 || "!#$%&'*+-.^_`|~".utf8.contains($0) }
        guard isToken else { throw place.fault("is not the name of a header field") }
        return FoldedText(name)
    }

    fileprivate static func pointer(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) -> JSONPointer {
        // Only the empty string has no octets, and it is the pointer to the whole document.
        if bytes.equals("\"\"", in: place.range) { return JSONPointer("") }
        let text = try bytes.string(place, octetsMax: pointerOctetsMax)
        guard JSONPointer.isWellFormed(text) else { throw place.fault("is not a JSON pointer: each token begins with “/”, “~” is written “~0”") }
        return JSONPointer(text)
    }
}

extension ProviderRule.Verdict {
    fileprivate init(_ place: JSONPlace, scope: JSONPlace?, until: JSONPlace?, in bytes: RawSpan) throws(RuleFault) {
        let word = bytes.jsonString(place.range)
        switch word {
        case "rate_limited": self = .rateLimited(until: try Self.sources(until, in: bytes), scope: try Self.scope(scope, in: bytes))
        case "exhausted": self = .exhausted(until: try Self.sources(until, in: bytes), scope: try Self.scope(scope, in: bytes))
        case "success": self = .success
        case "key_rejected": self = .keyRejected
        case "forbidden": self = .forbidden
        case "upstream_failed": self = .upstreamFailed
        default: throw place.fault("must be one of success, rate_limited, exhausted, key_rejected, forbidden, upstream_failed")
        }
        switch self {
        case .rateLimited, .exhausted: break
        case .success, .keyRejected, .forbidden, .upstreamFailed:
            if let stray = scope ?? until { throw stray.fault("goes with rate_limited and exhausted alone") }
        }
    }

    private static func scope(_ place: JSONPlace?, in bytes: RawSpan) throws(RuleFault) -> RestScope {
        guard let place else { return .usual }
        guard let scope = bytes.jsonString(place.range).flatMap(RestScope.init) else {
            throw place.fault("must be one of \(RestScope.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return scope
    }

    private static func sources(_ place: JSONPlace?, in bytes: RawSpan) throws(RuleFault) -> [ProviderRule.TimeSource] {
        guard let place else { return .unsaid }
        var sources: [ProviderRule.TimeSource] = []
        for element in try ProviderRule.list(place, in: bytes, min: 0) { sources.append(try ProviderRule.TimeSource(element, in: bytes)) }
        return sources
    }
}

extension ProviderRule.TimeSource {
    private static let expectation =
        "must be one of retry_after, reset_fields, midnight_pacific, month_start_utc, or an object with “field” or “json”"

    fileprivate init(_ place: JSONPlace, in bytes: RawSpan) throws(RuleFault) {
        if bytes.octet(place.range.lowerBound) == 0x7B {
            let members = try bytes.members(of: place, known: ["field", "json"])
            switch (members["field"], members["json"]) {
            case (let name?, nil): self = .field(try ProviderRule.Condition.fieldName(name, in: bytes))
            case (nil, let pointer?): self = .json(try ProviderRule.Condition.pointer(pointer, in: bytes))
            case (nil, nil), (_?, _?): throw place.fault(Self.expectation)
            }
            return
        }
        switch bytes.jsonString(place.range) {
        case "retry_after": self = .retryAfter
        case "reset_fields": self = .resetFields
        case "midnight_pacific": self = .midnightPacific
        case "month_start_utc": self = .monthStartUTC
        default: throw place.fault(Self.expectation)
        }
    }
}
