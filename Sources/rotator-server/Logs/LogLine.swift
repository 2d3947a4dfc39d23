// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

/// One log line before it is text.
struct LogLine {
    /// When it was said.
    var time = Timestamp.now
    /// How severe it is.
    var level: Logger.Level
    /// Who says it.
    var label: String
    /// What is said.
    var message: String
    /// What goes with it, sorted by name.
    var metadata: [(name: String, value: Logger.MetadataValue)] = []
    /// What may not be in it.
    var net: RedactionNet?

    /// The most characters of one message or value.
    static let charactersMax = 16_384

    /// The line in `format`, without a line feed, on one line whatever its parts hold.
    func text(in format: LogFormat) -> String {
        switch format {
        case .text: plainText
        case .json: json
        }
    }

    private var plainText: String {
        var line = "\(time.timestamp) \(level.rawValue) "
        line += Self.escaped(clean(label)) + ": " + Self.escaped(clean(message))
        for (name, value) in metadata {
            let text = clean(Self.flat(value))
            let isBare = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: "\\") }
            line += " " + Self.escaped(clean(name)) + "=" + (isBare ? text : Self.quoted(text))
        }
        return line
    }

    private var json: String {
        var line = "{\"time\":\"\(time.timestamp)\",\"level\":\"\(level.rawValue)\",\"logger\":\(Self.quoted(clean(label))),\"message\":\(Self.quoted(clean(message)))"
        for (name, value) in metadata {
            let isTaken = ["time", "level", "logger", "message"].contains(name)
            line += "," + Self.quoted(clean(name) + (isTaken ? "_" : "")) + ":" + jsonText(value)
        }
        return line + "}"
    }

    private func jsonText(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .array(let values): "[" + values.map(jsonText).joined(separator: ",") + "]"
        case .dictionary(let members):
            "{" + members.sorted { $0.key < $1.key }.map { Self.quoted(clean($0.key)) + ":" + jsonText($0.value) }.joined(separator: ",") + "}"
        case .string, .stringConvertible: Self.quoted(clean(Self.flat(value)))
        }
    }

    /// Shortened and without known secrets. Redacts first: a secret must not escape by being cut in two.
    private func clean(_ text: String) -> String {
        let redacted = net?.redacted(text) ?? text
        guard redacted.utf8.count > Self.charactersMax else { return redacted }
        return String(redacted.unicodeScalars.prefix(Self.charactersMax).map(Character.init)) + "…"
    }

    private static func flat(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): "[" + values.map(flat).joined(separator: ", ") + "]"
        case .dictionary(let members): "{" + members.sorted { $0.key < $1.key }.map { $0.key + ": " + flat($0.value) }.joined(separator: ", ") + "}"
        }
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: ControlCharacters.contains) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars { ControlCharacters.append(scalar, to: &escaped) }
        return escaped
    }

    /// A JSON string, which text lines use as well.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            ControlCharacters.append(scalar, to: &quoted)
        }
        return quoted + "\""
    }
}
