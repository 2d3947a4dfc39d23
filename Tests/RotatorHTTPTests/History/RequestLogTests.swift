// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Request log") struct RequestLogTests {
    private let clock = TestClock()
    private let place = Place()

    /// A directory of a test's own.
    private final class Place: Sendable {
        let path = NSTemporaryDirectory() + "/rotator-http-tests-" + UUID().uuidString + "/data/requests"
        deinit { try? FileManager.default.removeItem(atPath: path + "/../..") }
        var files: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
        func url(_ name: String) -> URL { URL(filePath: path).appending(path: name) }
        var byteCount: Int { files.reduce(0) { $0 + ((try? Data(contentsOf: url($1)).count) ?? 0) } }
    }

    private func log(bytesMax: Int = 8 << 20, ageMax: Duration = .seconds(86_400), onDisk: Bool = true) -> RequestLog {
        let log = RequestLog(RequestLogSettings(directory: onDisk ? place.path : nil, bytesMax: bytesMax, ageMax: ageMax), logger: LogCapture().logger)
        log.open()
        return log
    }

    private func all(_ log: RequestLog, _ filter: ExchangeFilter = ExchangeFilter(), limit: Int = 100_000, before: Int64 = .max) async throws -> [String] {
        try await log.exchanges(before: before, limit: limit, where: filter, at: clock.now).map(\.record.requestID)
    }

    private func full() -> ExchangeRecord {
        var record = ExchangeRecord.of("full", at: clock.now, status: 502, keys: [3, 1_234_567_890_123], tokens: 9_999_999_999, duration: -4)
        record.clientID = ClientID(5)
        record.errorCode = .upstreamUnreachable
        record.isStream = true
        record.ending = .upstreamBrokeOff
        record.attempts[0].status = nil
        record.attemptCount = 99
        return record
    }

    private func bare() -> ExchangeRecord {
        var record = ExchangeRecord(requestID: "bare", startedAt: clock.now, slug: "", method: "GET")
        record.ending = .clientLeft
        return record
    }

    @Test(arguments: [true, false])
    func `what is appended is read again, newest first`(_ onDisk: Bool) async throws {
        let log = log(onDisk: onDisk)
        log.append([full(), bare()], at: clock.now)
        log.flush(at: clock.now)
        let read = try await log.exchanges(before: .max, limit: 10, where: ExchangeFilter(), at: clock.now)
        #expect(read.map(\.record) == [bare(), full()])
        #expect(read[0].id > read[1].id && read[1].id > 0)
    }

    @Test func `a restart goes on where the log stood, be the clock behind`() async throws {
        let first = log()
        first.append([.of("a", at: clock.now), .of("b", at: clock.now)], at: clock.now)
        first.flush(at: clock.now)
        let second = log()
        second.append([.of("c", at: clock.now)], at: Moment(seconds: 1_700_000_000))
        second.flush(at: clock.now)
        #expect(try await all(second) == ["c", "b", "a"])
        #expect(try await all(log()) == ["c", "b", "a"])
    }

    @Test func `what was not flushed is lost with the process, what was is not`() async throws {
        let first = log()
        first.append([.of("kept", at: clock.now)], at: clock.now)
        first.flush(at: clock.now)
        first.append([.of("lost", at: clock.now)], at: clock.now)
        #expect(try await all(first) == ["lost", "kept"])
        #expect(try await all(log()) == ["kept"])
    }

    @Test func `a tail that was torn off anywhere is recognised and the rest stays`() async throws {
        let first = log()
        first.append((0..<5).map { .of("r\($0)", at: clock.now) }, at: clock.now)
        first.flush(at: clock.now)
        let name = try #require(place.files.first)
        let octets = try Data(contentsOf: place.url(name))
        let records = ExchangeFraming.records(in: Array(octets))
        #expect(records.count == 5)
        for length in (records[3].upperBound + 1)..<octets.count {
            try octets.prefix(length).write(to: place.url(name))
            #expect(try await all(log()) == ["r3", "r2", "r1", "r0"])
        }
        try (octets.prefix(records[3].upperBound) + Data(repeating: 0, count: 500)).write(to: place.url(name))
        #expect(try await all(log()) == ["r3", "r2", "r1", "r0"])
    }

    @Test func `a record that was damaged is passed over`() async throws {
        let first = log()
        first.append((0..<3).map { .of("r\($0)", at: clock.now) }, at: clock.now)
        first.flush(at: clock.now)
        let name = try #require(place.files.first)
        let octets = try Data(contentsOf: place.url(name))
        let range = ExchangeFraming.records(in: Array(octets))[1]
        for index in range {
            var damaged = octets
            damaged[index] ^= 0x21
            try damaged.write(to: place.url(name))
            #expect(try await all(log()) == ["r2", "r0"])
        }
    }

    @Test func `whatever stands in a file is read or passed over`() async throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var octets: [UInt8] = []
            ExchangeFraming.append([full()].span, at: 0, id: 5, to: &octets)
            for _ in 0..<3 { octets[Int.random(in: 0..<octets.count, using: &random)] = .random(in: 0...255, using: &random) }
            for range in ExchangeFraming.records(in: octets) { _ = ExchangeFraming.record(in: octets, at: range) }
        }
    }

    @Test func `the ring on disk stays within its size and keeps the latest`() async throws {
        let log = log(bytesMax: 1 << 20)
        for round in 0..<400 {
            log.append((0..<50).map { .of("r\(round)-\($0)", at: clock.now) }, at: clock.now)
            log.flush(at: clock.now)
            clock.advance(by: .seconds(1))
        }
        #expect(place.byteCount <= 1 << 20)
        #expect(place.byteCount > 900_000)
        let left = try await all(log)
        #expect(left.first == "r399-49")
        #expect(left.count > 4_000 && left.count < 20_000)
        #expect(log.droppedRecords == 0)
    }

    @Test func `the ring in memory stays within its size and keeps the latest`() async throws {
        let log = log(bytesMax: 300_000, onDisk: false)
        for round in 0..<100 { log.append((0..<50).map { .of("r\(round)-\($0)", at: clock.now) }, at: clock.now) }
        let left = try await all(log)
        #expect(left.first == "r99-49")
        #expect(left.count > 1_000 && left.count < 3_000)
    }

    @Test func `records go when they come to their age`() async throws {
        let log = log(ageMax: .seconds(800))
        for round in 0..<20 {
            log.append([.of("r\(round)", at: clock.now)], at: clock.now)
            log.flush(at: clock.now)
            clock.advance(by: .seconds(100))
        }
        // They began 100 to 800 s ago.
        #expect(try await all(log) == (12..<20).reversed().map { "r\($0)" })
        #expect(place.files.count < 15, "segments of old records are gone")
        clock.advance(by: .seconds(10_000))
        log.flush(at: clock.now)
        log.flush(at: clock.now)
        #expect(try await all(log) == [])
        #expect(place.files.isEmpty)
    }

    @Test(arguments: [RequestLogSettings(bytesMax: 0), RequestLogSettings(ageMax: .zero)])
    func `a log that is off keeps nothing`(_ settings: RequestLogSettings) async throws {
        var settings = settings
        settings.directory = place.path
        let log = RequestLog(settings, logger: LogCapture().logger)
        log.open()
        log.append([bare()], at: clock.now)
        log.flush(at: clock.now)
        #expect(try await all(log) == [])
        #expect(!FileManager.default.fileExists(atPath: place.path))
    }

    @Test func `where the directory cannot be made, records stay in memory and a line says so`() async throws {
        try FileManager.default.createDirectory(at: URL(filePath: place.path).deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: place.path))
        let capture = LogCapture()
        let log = RequestLog(RequestLogSettings(directory: place.path), logger: capture.logger)
        log.open()
        log.append([bare()], at: clock.now)
        log.flush(at: clock.now)
        #expect(try await all(log) == ["bare"])
        #expect(capture.lines.count == 1)
    }

    @Test func `files are for their owner alone`() throws {
        let log = log()
        log.append([bare()], at: clock.now)
        log.flush(at: clock.now)
        for path in [place.path, place.path + "/" + (try #require(place.files.first))] {
            let mode = try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
            #expect(mode & 0o077 == 0)
        }
    }

    @Test(arguments: [true, false])
    func `each filter finds what it names`(_ onDisk: Bool) async throws {
        let log = log(bytesMax: 1 << 20, onDisk: onDisk)
        let start = clock.now
        for number in 0..<2_000 {
            clock.advance(by: .seconds(1))
            log.append(
                [
                    .of(
                        "r\(number)", at: clock.now, slug: "s\(number % 2)", client: "c\(number % 3)", model: number % 5 == 0 ? nil : "m\(number % 5)",
                        status: number % 7 == 0 ? 503 : 200, keys: [1, Int64(number % 11) + 2])
                ], at: clock.now)
            if number % 300 == 0 { log.flush(at: clock.now) }
        }
        func wanted(_ isWanted: (Int) -> Bool) -> [String] { (0..<2_000).reversed().filter(isWanted).map { "r\($0)" } }
        #expect(try await all(log, ExchangeFilter(requestID: Array("r77".utf8))) == ["r77"])
        #expect(try await all(log, ExchangeFilter(requestID: Array("r7".utf8))) == ["r7"])
        #expect(try await all(log, ExchangeFilter(requestID: Array("nobody".utf8))) == [])
        #expect(try await all(log, ExchangeFilter(slug: "s1")) == wanted { $0 % 2 == 1 })
        #expect(try await all(log, ExchangeFilter(client: "c2")) == wanted { $0 % 3 == 2 })
        #expect(try await all(log, ExchangeFilter(model: "m3")) == wanted { $0 % 5 == 3 })
        #expect(try await all(log, ExchangeFilter(key: KeyID(5))) == wanted { $0 % 11 == 3 })
        #expect(try await all(log, ExchangeFilter(status: 503)) == wanted { $0 % 7 == 0 })
        #expect(try await all(log, ExchangeFilter(hasFailed: false)) == wanted { $0 % 7 != 0 })
        #expect(try await all(log, ExchangeFilter(from: start + .seconds(101), to: start + .seconds(201))) == wanted { 100..<200 ~= $0 })
        #expect(try await all(log, ExchangeFilter(slug: "s0", status: 503), limit: 2) == ["r1988", "r1974"])
    }

    @Test func `pages follow each other without gap or repetition`() async throws {
        let log = log(bytesMax: 1 << 20)
        for number in 0..<1_000 {
            log.append([.of("r\(number)", at: clock.now)], at: clock.now)
            if number % 100 == 0 { log.flush(at: clock.now) }
        }
        var seen: [String] = []
        var before = Int64.max
        while true {
            let page = try await log.exchanges(before: before, limit: 37, where: ExchangeFilter(), at: clock.now)
            guard let last = page.last else { break }
            seen += page.map(\.record.requestID)
            before = last.id
            if seen.count < 200 { log.append([.of("new", at: clock.now)], at: clock.now) }
        }
        #expect(seen == (0..<1_000).reversed().map { "r\($0)" })
    }

    @Test func `a disk that does not keep up costs the oldest that waits, and it is counted`() async throws {
        let log = log(bytesMax: 64 << 20)
        try FileManager.default.removeItem(atPath: place.path)
        for _ in 0..<20 {
            log.append((0..<7_000).map { .of("r\($0)", at: clock.now) }, at: clock.now)
            log.flush(at: clock.now)
        }
        #expect(log.droppedRecords > 0)
        let left = try await all(log, limit: 1_000_000)
        #expect(Int64(left.count) + log.droppedRecords == 140_000)
    }

    @Test func `texts of any length are kept within bounds`() async throws {
        let log = log()
        let long = String(repeating: "long ", count: 1_000)
        var record = ExchangeRecord.of("long", at: clock.now, slug: long, client: long, model: long)
        record.attempts = Array(repeating: AttemptRecord(key: KeyID(1), status: 200, verdict: long, reason: long, began: 0, duration: 0), count: 40)
        log.append([record], at: clock.now)
        let read = try #require(try await log.exchanges(before: .max, limit: 1, where: ExchangeFilter(), at: clock.now).first)
        #expect(read.record.attempts.count == 16)
        #expect(read.record.model?.utf8.count ?? 0 <= 256)
    }
}
