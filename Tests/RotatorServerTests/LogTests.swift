// SPDX-License-Identifier: MIT

import Foundation
import Logging
import RotatorCore
import Testing

@testable import rotator_server

@Suite("Log lines") struct LogLineTests {
    private let moment = Moment(milliseconds: 1_795_386_065_007)

    private func line(_ message: String, _ metadata: [(name: String, value: Logger.MetadataValue)] = [], net: RedactionNet? = nil) -> LogLine {
        LogLine(time: moment, level: .warning, label: "rotator", message: message, metadata: metadata, net: net)
    }

    @Test func `text holds time, level, label, message and metadata`() {
        let line = line("key rests", [("key", "7"), ("reason", "too many requests"), ("empty", "")])
        #expect(line.text(in: .text) == #"2026-11-22T22:21:05.007Z warning rotator: key rests key=7 reason="too many requests" empty="""#)
    }

    @Test func `json is one object with the same members`() throws {
        let line = line("key \"rests\"", [("key", "7"), ("list", ["a", ["b": "c"]]), ("time", "mine")])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.text(in: .json).utf8)) as? [String: Any])
        #expect(object["time"] as? String == "2026-11-22T22:21:05.007Z")
        #expect(object["level"] as? String == "warning")
        #expect(object["logger"] as? String == "rotator")
        #expect(object["message"] as? String == "key \"rests\"")
        #expect(object["key"] as? String == "7")
        #expect((object["list"] as? [Any])?.count == 2)
        #expect(object["time_"] as? String == "mine")
    }

    @Test(arguments: [LogFormat.text, .json], ["\n", "\r\n", "\u{1B}[2J", "\u{0}", "\u{85}", "\u{2028}", "\u{202E}", "\u{7F}"])
    func `control characters cannot forge a line`(_ format: LogFormat, _ forged: String) {
        let text = line("a\(forged)b", [("n\(forged)", "v\(forged)w")]).text(in: format)
        #expect(!text.unicodeScalars.contains(where: ControlCharacters.contains))
    }

    @Test func `json stays json whatever is logged`() throws {
        let all = String(String.UnicodeScalarView((0..<0x300).compactMap(Unicode.Scalar.init)))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line(all, [(all, .string(all))]).text(in: .json).utf8)) as? [String: Any])
        #expect(object["message"] as? String == all)
        #expect(object[all] as? String == all)
    }

    @Test func `a long message is cut`() {
        #expect(line(String(repeating: "x", count: 100_000)).text(in: .text).utf8.count < 20_000)
    }

    @Test(arguments: [LogFormat.text, .json])
    func `a known secret never shows, wherever it stands`(_ format: LogFormat) {
        let secret = #"s3"cr\et"#
        let net = RedactionNet([Secret(secret.utf8)])
        let text = line("a \(secret) b\(secret)", [("m", .string(secret)), ("n", .array([.dictionary([secret: .string("x" + secret)])])), (secret, "v")], net: net).text(in: format)
        #expect(!text.contains("s3") && !text.contains("et "))
        #expect(text.contains("‹redacted›"))
    }

    @Test(arguments: [(0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (1_798_761_599_500, "2026-12-31T23:59:59.500Z")])
    func `times are RFC 3339 in UTC`(_ milliseconds: Int64, _ text: String) {
        #expect(Moment(milliseconds: milliseconds).timestamp == text)
    }
}

@Suite("Redaction net") struct RedactionNetTests {
    @Test func `secrets are replaced whole, the longest first`() {
        let net = RedactionNet([Secret("abcd".utf8), Secret("abcdef".utf8)])
        #expect(net.redacted("xabcdefy abcd abc") == "x‹redacted›y ‹redacted› abc")
    }

    @Test func `a secret at either end is found`() {
        let net = RedactionNet([Secret("abcd".utf8)])
        #expect(net.redacted("abcd") == "‹redacted›")
        #expect(net.redacted("abcdabcd") == "‹redacted›‹redacted›")
        #expect(net.redacted("éabcdé") == "é‹redacted›é")
    }

    @Test func `secrets may be added later`() {
        let net = RedactionNet()
        net.add([Secret("late-secret".utf8)])
        #expect(net.redacted("a late-secret") == "a ‹redacted›")
    }

    @Test func `a secret too short to tell from words is left alone`() {
        #expect(RedactionNet([Secret("a".utf8)]).redacted("a banana") == "a banana")
    }
}

@Suite("Log output", .serialized) struct LogOutputTests {
    /// A pipe whose ends are closed with it.
    private final class Pipe: Sendable {
        let reading: Int32
        let writing: Int32

        init() {
            var ends: [Int32] = [0, 0]
            unsafe pipe(&ends)
            reading = ends[0]
            writing = ends[1]
        }

        /// Reads what comes until `isEnough`, for five seconds at most.
        func read(until isEnough: (String) -> Bool) -> String {
            var octets: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let deadline = Date().addingTimeInterval(5)
            while Date() < deadline, !isEnough(String(decoding: octets, as: UTF8.self)) {
                var ready = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
                guard unsafe poll(&ready, 1, 100) > 0 else { continue }
                let count = unsafe chunk.withUnsafeMutableBytes { unsafe Foundation.read(reading, $0.baseAddress, $0.count) }
                octets += chunk[..<count]
            }
            return String(decoding: octets, as: UTF8.self)
        }

        deinit {
            close(reading)
        }
    }

    @Test func `lines come out in order`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing, format: .text)
        for number in 1...100 { output.append("line \(number)") }
        output.flush()
        let text = pipe.read { $0.hasSuffix("line 100\n") }
        #expect(text == (1...100).map { "line \($0)\n" }.joined())
        #expect(output.droppedLineCount == 0)
    }

    @Test func `a full pipe stops nobody, and the lines lost are counted and told`() {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.writing, format: .text, queueBytesMax: 10_000)
        let filler = String(repeating: "x", count: 999)
        // A pipe takes 64 KiB, the queue 10 KB: most of a megabyte finds no room.
        for _ in 0..<1_000 { output.append(filler) }
        #expect(output.droppedLineCount > 800)
        // Told once for each batch that the writer took, so the writer's pace decides how often.
        func told(_ text: String) -> Int {
            text.split(separator: "\n").compactMap { line in
                guard let words = line.firstRange(of: "warning rotator: dropped "), line.hasSuffix(" log lines: standard error is read too slowly") else { return nil }
                return Int(line[words.upperBound...].prefix { $0.isNumber })
            }.reduce(0, +)
        }
        let text = pipe.read { $0.hasSuffix("\n") && told($0) == output.droppedLineCount }
        #expect(told(text) == output.droppedLineCount)
    }

    @Test func `what a logger says at its level comes out with its metadata`() {
        let pipe = Pipe()
        let log = ServerLog(level: .notice, format: .text, net: RedactionNet([Secret("canary".utf8)]), output: LogOutput(descriptor: pipe.writing, format: .text))
        var logger = log.logger("test")
        logger[metadataKey: "b"] = "1"
        logger.info("not this")
        logger.notice("this canary", metadata: ["a": "canary"])
        log.announce("listening on http://127.0.0.1:1")
        log.flush()
        let text = pipe.read { $0.hasSuffix(":1\n") }
        #expect(text.hasSuffix("Z notice test: this ‹redacted› a=\"‹redacted›\" b=1\nlistening on http://127.0.0.1:1\n"))
    }
}
