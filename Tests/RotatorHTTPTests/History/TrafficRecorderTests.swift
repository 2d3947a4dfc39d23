// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization
import Testing

@testable import RotatorHTTP

@Suite("Traffic recorder") struct TrafficRecorderTests {
    private let clock = TestClock()

    @Test func `what was taken is written, and nothing twice`() async {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        recorder.take([.of(at: clock.now), .of(at: clock.now)])
        #expect(await recorder.flush())
        #expect(await recorder.flush())
        #expect(store.writes == [12])
        #expect(store.total(.day, .client, "ada").requests == 2)
    }

    @Test func `a write of which nobody knows the end changes nothing when it is done again`() async {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        recorder.take([.of(at: clock.now)])
        store.fail(.unavailable, afterWriting: true)
        #expect(await recorder.flush() == false)
        store.fail(nil)
        recorder.take([.of(at: clock.now)])
        #expect(await recorder.flush())
        #expect(store.total(.minute, .service, "1").requests == 2)
    }

    @Test func `an outage of minutes loses nothing`() async {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        store.fail(.unavailable)
        for _ in 0..<36 {
            recorder.take([.of(at: clock.now)])
            #expect(await recorder.flush() == false)
            clock.advance(by: .seconds(5))
        }
        store.fail(nil)
        #expect(await recorder.flush())
        for resolution in HistoryResolution.allCases { #expect(store.total(resolution, .service, "1").requests == 36) }
        #expect(recorder.counters.droppedRows == 0)
    }

    @Test func `replicas add up`() async throws {
        let store = HistoryDouble()
        let (one, other) = (TrafficRecorder.of(clock, store: store), TrafficRecorder.of(clock, store: store))
        one.take([.of(at: clock.now, client: "ada"), .of(at: clock.now, client: "bob")])
        other.take([.of(at: clock.now, client: "ada")])
        await one.flush()
        await other.flush()
        one.take([.of(at: clock.now, client: "ada")])
        for recorder in [one, other] {
            let report = try await recorder.report(on: .hour, service: nil) { _ in true }
            // What is not written yet is known to its own replica alone.
            #expect(report.total.requests == (recorder === one ? 4 : 3))
            #expect(report.subjects[.client]?["ada"]?.requests == (recorder === one ? 3 : 2))
        }
    }

    @Test func `a report is the same before, between and after writes, over every edge of minute, hour and day`() async throws {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        var ends: [Moment] = []
        for round in 0..<400 {
            clock.advance(by: .seconds(round % 11 == 0 ? 1_733 : 97))
            recorder.take([.of(at: clock.now, client: "c\(round % 3)")])
            ends.append(clock.now)
            if round % 5 == 0 { await recorder.flush() }
            guard round % 20 == 19 else { continue }
            for window in StatsWindow.allCases {
                let report = try await recorder.report(on: window, service: nil) { _ in true }
                let from = Moment(seconds: report.range.lowerBound)
                let wanted = Int64(ends.count { $0 >= from })
                #expect(report.total.requests == wanted, "\(window) in round \(round)")
                #expect(report.points.reduce(0) { $0 + $1.tally.requests } == wanted)
                #expect(report.subjects[.client, default: [:]].values.reduce(0) { $0 + $1.requests } == wanted)
                #expect(report.subjects[.key, default: [:]].values.reduce(0) { $0 + $1.requests } == wanted)
            }
        }
    }

    @Test func `batches that waited together count in the minutes in which their exchanges ended`() async throws {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        for _ in 0..<10 {
            recorder.take([.of(at: clock.now)])
            clock.advance(by: .seconds(60))
        }
        await recorder.flush()
        #expect(store.state.withLock { $0.rows.keys.count { $0.resolution == .minute && $0.dimension == .service } } == 10)
    }

    @Test func `a report of one service has its keys and no clients`() async throws {
        let recorder = TrafficRecorder.of(clock, store: HistoryDouble())
        recorder.take([.of(at: clock.now, keys: [1]), .of(at: clock.now, service: 2, keys: [2])])
        let report = try await recorder.report(on: .hour, service: ServiceID(2)) { $0 == "2" }
        #expect(report.total.requests == 1)
        #expect(report.subjects[.key]?.keys.map(\.self) == ["2"])
        #expect(report.subjects[.client] == nil && report.subjects[.model] == nil)
    }

    @Test func `a store that is away is told`() async {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        store.fail(.unavailable)
        await #expect(throws: StoreError(.unavailable, "told to fail")) { try await recorder.report(on: .hour, service: nil) { _ in true } }
    }

    @Test func `without a store the present is told from memory`() async throws {
        let recorder = TrafficRecorder.of(clock)
        recorder.take([.of(at: clock.now)])
        clock.advance(by: .seconds(120))
        recorder.take([.of(at: clock.now)])
        #expect(try await recorder.report(on: .hour, service: nil) { _ in true }.total.requests == 2)
    }

    @Test func `more than can wait is dropped and counted`() {
        let recorder = TrafficRecorder.of(clock)
        let batch = Array(repeating: ExchangeRecord.of(at: clock.now), count: 1_000)
        for _ in 0..<40 { recorder.take(batch) }
        #expect(recorder.counters.droppedRequests == 8_000)
        recorder.take(batch)
        #expect(recorder.counters.droppedRequests == 8_000, "what waited has been counted meanwhile")
    }

    @Test func `old rows are deleted by their resolution's age`() async {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        recorder.take([.of(at: clock.now)])
        await recorder.flush()
        clock.advance(by: .seconds(27 * 3_600))
        await recorder.forget(at: clock.now)
        #expect(store.total(.minute, .service, "1").requests == 0)
        #expect(store.total(.hour, .service, "1").requests == 1)
        clock.advance(by: .seconds(9 * 86_400))
        await recorder.forget(at: clock.now)
        #expect(store.total(.hour, .service, "1").requests == 0)
        #expect(store.total(.day, .service, "1").requests == 1)
        clock.advance(by: .seconds(100 * 86_400))
        await recorder.forget(at: clock.now)
        #expect(store.total(.day, .service, "1").requests == 0)
    }

    @Test func `the last flush is made when the task is cancelled`() async {
        let store = HistoryDouble()
        let recorder = TrafficRecorder.of(clock, store: store)
        let task = Task { await recorder.run() }
        recorder.take([.of(at: clock.now)])
        task.cancel()
        await task.value
        #expect(store.total(.minute, .service, "1").requests == 1)
    }

    @Test func `rounds are due by the clock`() {
        let start = Moment(seconds: 1_000)
        var pace = RecorderPace(at: start)
        #expect(pace.due(at: start + .milliseconds(200)) == [])
        #expect(pace.due(at: start + .milliseconds(1_001)) == .telling)
        #expect(pace.due(at: start + .milliseconds(1_200)) == [])
        #expect(pace.due(at: start + .milliseconds(2_000)) == .telling)
        #expect(pace.due(at: start + .milliseconds(5_200)) == [.telling, .writing])
        #expect(pace.due(at: start + .milliseconds(5_400)) == [])
        #expect(pace.due(at: start + .seconds(60)) == [.telling, .writing, .forgetting])
        #expect(pace.due(at: start + .seconds(3_000)) == [.telling, .writing])
    }

    @Test(arguments: StatsWindow.allCases)
    func `a window is made of whole stretches that begin within it`(_ window: StatsWindow) {
        for offset in [0, 1, 999, 59_999, 1_234_567, 86_399_999] as [Int64] {
            let now = Moment(milliseconds: 1_800_057_600_000 + offset)
            let range = window.range(at: now)
            let length = window.resolution.rawValue
            #expect(range.lowerBound % length == 0 && range.upperBound % length == 0)
            let edge = now.nanoseconds - window.length * 1_000_000_000
            #expect(range.lowerBound * 1_000_000_000 >= edge)
            #expect((range.lowerBound - length) * 1_000_000_000 < edge)
            #expect(range.upperBound * 1_000_000_000 > now.nanoseconds && (range.upperBound - length) * 1_000_000_000 <= now.nanoseconds)
            let points = StatsReport(window, at: now).points.count
            #expect(points <= 120 && points >= (window == .fiveMinutes ? 5 : window == .quarterHour ? 15 : 30))
        }
    }

    @Test(arguments: StatsWindow.allCases)
    func `rows are kept longer than the windows that read them`(_ window: StatsWindow) {
        for (resolution, range) in window.resolution.tiles(window.range(at: Moment(seconds: 1_800_000_000))) {
            #expect(range.lowerBound >= 1_800_000_000 - resolution.retention + resolution.rawValue)
        }
    }

    @Test func `rows that are not ours to read count for nothing`() {
        let row = HistoryRow(resolution: .minute, start: 60, dimension: .service, subject: "1", writer: "w", tally: [9, 9])
        #expect(TrafficLedger.combine([row], with: [], of: "me", presentStart: 120).isEmpty)
    }
}
