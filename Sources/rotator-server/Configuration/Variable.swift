// SPDX-License-Identifier: MIT

/// One environment variable: its name, what it means, what it accepts and how it is read.
struct Variable<Value: Sendable>: Sendable, DocumentedVariable {
    /// The name in the environment.
    let name: String
    /// What holds when it is unset, as documentation shows it.
    let initial: String
    /// What it accepts, in words that finish the sentence "accepted: …".
    let accepted: String
    /// What it is for, in one line.
    let meaning: String
    /// How a refused value is shown.
    var masking: Masking = .none
    /// Turns the text into a value, or says what is wrong with it.
    let parse: @Sendable (String) throws(Rejection) -> Value
}

/// What documentation needs to know of a variable, whatever its values are.
protocol DocumentedVariable: Sendable {
    var name: String { get }
    var initial: String { get }
    var accepted: String { get }
    var meaning: String { get }
    var masking: Masking { get }
}

/// Why a text is no value of a variable.
struct Rejection: Error, Hashable {
    /// What is wrong in particular; never quotes the value. Nil where "accepted: …" says enough.
    var reason: String?

    /// Refuses a text.
    init(_ reason: String? = nil) { self.reason = reason }
}

/// How much of a refused value may be shown to whoever reads standard error.
enum Masking: Sendable, Hashable {
    /// All of it.
    case none
    /// A URL without its user name and password.
    case credentials
    /// Nothing but its length.
    case whole

    /// `text` as an error line may show it: on one line, shortened, without what is secret.
    func shown(_ text: String) -> String {
        switch self {
        case .none: "\"" + Masking.printable(text) + "\""
        case .credentials: "\"" + Masking.printable(Masking.withoutCredentials(text)) + "\""
        case .whole: "‹\(text.unicodeScalars.count) characters, not shown›"
        }
    }

    /// A URL with `***` in place of everything between its scheme and its last `@`.
    ///
    /// Cuts at the last `@` of the whole text: a password that holds an unencoded `/` or `@` is no reason to show a part of it.
    static func withoutCredentials(_ url: String) -> String {
        guard let at = url.lastIndex(of: "@") else { return url }
        var start = url.startIndex
        if let scheme = url.range(ofFirst: "://"), scheme.upperBound <= at { start = scheme.upperBound }
        return String(url[..<start]) + "***" + String(url[at...])
    }

    private static func printable(_ text: String) -> String {
        var shown = ""
        for (count, scalar) in text.unicodeScalars.enumerated() {
            if count == 120 { return shown + "…" }
            ControlCharacters.append(scalar, to: &shown)
        }
        return shown
    }
}

extension String {
    /// The first place where `other` stands.
    func range(ofFirst other: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            start = index(after: start)
        }
        return nil
    }

    /// Without spaces and tabs at both ends.
    var trimmed: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        var rest = self[...]
        while let first = rest.first, isBlank(first) { rest.removeFirst() }
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }
}
