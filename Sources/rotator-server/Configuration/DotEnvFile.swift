// SPDX-License-Identifier: MIT

/// Reads the `NAME=value` lines of a `.env` file.
///
/// Blank lines and lines that begin with `#` mean nothing; `export ` before a name is allowed. A value in single quotes is taken as it is; in
/// double quotes `\n`, `\t`, `\"`, `\\` and `\$` are escapes; without quotes it ends at ` #`. There is no expansion of `$NAME`. The last line of a name wins.
struct DotEnvFile: Sendable {
    /// The values by name.
    private(set) var values: [String: String] = [:]
    /// The lines that could not be read, without their text: it may be a credential.
    private(set) var problems: [ConfigurationProblem] = []

    /// Reads `text`; `path` names the file in problems.
    init(_ text: String, path: String) {
        var text = text
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        for (index, rawLine) in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }).enumerated() {
            var line = String(rawLine).trimmed
            if line.isEmpty || line.hasPrefix("#") { continue }
            if line.hasPrefix("export ") { line = String(line.dropFirst(7)).trimmed }
            guard let equals = line.firstIndex(of: "="), let value = Self.value(String(line[line.index(after: equals)...]).trimmed) else {
                problems.append(ConfigurationProblem(subject: "\(path) line \(index + 1)", accepted: "NAME=value, NAME='value' or NAME=\"value\""))
                continue
            }
            let name = String(line[..<equals]).trimmed
            guard Self.isName(name) else {
                problems.append(ConfigurationProblem(subject: "\(path) line \(index + 1)", accepted: "a name of letters, digits and _ before the ="))
                continue
            }
            values[name] = value
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(48...57).contains(first) else { return false }
        return text.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95 }
    }

    /// The value that `text` writes; nil when its quotes don't close or something but a comment follows them.
    private static func value(_ text: String) -> String? {
        guard let quote = text.first, quote == "'" || quote == "\"" else {
            var previousIsBlank = true
            for index in text.indices {
                if text[index] == "#", previousIsBlank { return String(text[..<index]).trimmed }
                previousIsBlank = text[index] == " " || text[index] == "\t"
            }
            return text
        }
        var value = ""
        var rest = text.dropFirst()
        while let character = rest.popFirst() {
            if character == quote {
                let tail = String(rest).trimmed
                return tail.isEmpty || tail.hasPrefix("#") ? value : nil
            }
            guard quote == "\"", character == "\\" else {
                value.append(character)
                continue
            }
            guard let escaped = rest.popFirst() else { return nil }
            switch escaped {
            case "n": value.append("\n")
            case "t": value.append("\t")
            case "\"", "\\", "$": value.append(escaped)
            default: value += "\\" + String(escaped)
            }
        }
        return nil
    }
}
