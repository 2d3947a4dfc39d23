// SPDX-License-Identifier: MIT

internal import Logging

/// swift-log's way to a ``LogOutput``: formats on the caller's thread, never waits.
struct RotatorLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let log: ServerLog

    /// The handler of the logger `label`.
    init(label: String, log: ServerLog) {
        self.label = label
        self.log = log
        logLevel = log.level
    }

    subscript(metadataKey name: String) -> Logger.Metadata.Value? {
        get { metadata[name] }
        set { metadata[name] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        if let error = event.error, all["error"] == nil { all["error"] = .string("\(error)") }
        log.write(
            LogLine(
                level: event.level, label: label, message: event.message.description,
                metadata: all.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }, net: log.net
            )
        )
    }
}

/// This process's log: where lines go, how they look and what may not be in them.
struct ServerLog: Sendable {
    /// The least severe level that is written.
    let level: Logger.Level
    /// How lines look.
    let format: LogFormat
    /// What may not be in them.
    let net: RedactionNet
    private let output: LogOutput

    /// A log to `output`.
    init(level: Logger.Level, format: LogFormat, net: RedactionNet, output: LogOutput) {
        self.level = level
        self.format = format
        self.net = net
        self.output = output
    }

    /// A logger that writes here.
    func logger(_ label: String) -> Logger { Logger(label: label) { RotatorLogHandler(label: $0, log: self) } }

    /// Queues one line.
    func write(_ line: LogLine) { output.append(line.text(in: format)) }

    /// Says what scripts read, whatever the level: the bare line in text, an object in JSON. Such as `listening on http://…`.
    func announce(_ text: String, level: Logger.Level = .info) {
        let line = LogLine(level: level, label: "rotator", message: text, net: net)
        output.append(format == .json ? line.text(in: .json) : line.messageAlone)
    }

    /// Says a generated secret: the one line that passes the redaction net. Returns when it has been written.
    func reveal(_ text: String) {
        output.flush()
        let line = LogLine(level: .notice, label: "rotator", message: text)
        StandardError.writeNow(format == .json ? line.text(in: .json) : text)
    }

    /// Waits until everything said so far has been written, but not for ever.
    func flush() { output.flush() }
}

extension LogLine {
    /// The message without time, level and label, on one line.
    var messageAlone: String {
        var text = ""
        for scalar in (net?.redacted(message) ?? message).unicodeScalars { ControlCharacters.append(scalar, to: &text) }
        return text
    }
}
