// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Traffic ledger") struct TrafficLedgerTests {
    // A minute, an hour and a day begin here.
    private let start = Moment(seconds: 1_800_057_600)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func rows(_ ledger: inout TrafficLedger, limit: Int = 1_000) -> [TrafficLedger.Row] {
        defer { ledger.rowsWritten() }
        return ledger.takeRows(limit: limit)
    }

    private func row(_ rows: [TrafficLedger.Row], _ resolution: HistoryResolution, _ dimension: HistoryDimension, _ subject: String, at start: Int64? = nil) -> TrafficTally? {
        rows.first { $0.key.resolution == resolution && $0.key.dimension == dimension && $0.key.subject == subject && (start == nil || $0.key.start == start) }?.tally
    }

    @Test func `an exchange counts for its service, client, model and each key that was tried`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start, keys: [7, 8])], at: after(1))
        let rows = rows(&ledger)
        #expect(rows.count == 5 * 3)
        for resolution in HistoryResolution.allCases {
            for (dimension, subject) in [(HistoryDimension.service, "1"), (.client, "ada"), (.model, "gpt")] {
                let tally = row(rows, resolution, dimension, subject)
                #expect(tally?.requests == 1 && tally?.attempts == 2 && tally?.usage.input == 10 && tally?.failures == 0)
            }
            let refused = row(rows, resolution, .key, "7")
            #expect(refused?.requests == 1 && refused?.failures == 1 && refused?.usage == TokenUsage())
            let spent = row(rows, resolution, .key, "8")
            #expect(spent?.requests == 1 && spent?.failures == 0 && spent?.usage.total == 30)
        }
    }

    @Test func `nobody and nothing are no subjects`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start, service: nil, client: "", model: nil, keys: [])], at: start)
        #expect(rows(&ledger).isEmpty)
    }

    @Test func `rows are absolute and handed out again only when they say more`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start)], at: after(1))
        #expect(row(rows(&ledger), .minute, .service, "1")?.requests == 1)
        #expect(rows(&ledger).isEmpty)
        ledger.take([.of(at: start)], at: after(2))
        #expect(row(rows(&ledger), .minute, .service, "1")?.requests == 2)
    }

    @Test func `what was not written is handed out again with what has come since`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start)], at: after(1))
        _ = ledger.takeRows(limit: 1_000)
        ledger.take([.of(at: start)], at: after(2))
        ledger.rowsNotWritten()
        #expect(row(rows(&ledger), .minute, .service, "1")?.requests == 2)
    }

    @Test func `a stretch that ended while its row was on the way is handed out again as it was`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start)], at: after(1))
        _ = ledger.takeRows(limit: 1_000)
        ledger.take([.of(at: after(61))], at: after(61))
        ledger.rowsNotWritten()
        let rows = rows(&ledger)
        let begin = start.nanoseconds / 1_000_000_000
        #expect(row(rows, .minute, .service, "1", at: begin)?.requests == 1)
        #expect(row(rows, .minute, .service, "1", at: begin + 60)?.requests == 1)
        #expect(row(rows, .hour, .service, "1")?.requests == 2)
    }

    @Test func `what came after its row was handed out, and before the stretch ended, is not lost when the write fails`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start)], at: after(1))
        _ = ledger.takeRows(limit: 1_000)
        ledger.take([.of(at: start), .of(at: after(61))], at: after(61))
        ledger.rowsNotWritten()
        #expect(row(rows(&ledger), .minute, .service, "1", at: start.nanoseconds / 1_000_000_000)?.requests == 2)
    }

    @Test func `an exchange counts in the minute in which it ended, though it is told in the next`() {
        var ledger = TrafficLedger(at: start)
        let late = ExchangeRecord.of(at: after(59), duration: 500_000_000)
        ledger.take([late, .of(at: after(60))], at: after(61))
        let rows = rows(&ledger)
        let begin = start.nanoseconds / 1_000_000_000
        #expect(row(rows, .minute, .service, "1", at: begin)?.requests == 1)
        #expect(row(rows, .minute, .service, "1", at: begin + 60)?.requests == 1)
    }

    @Test func `a record with an impossible time counts now`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: .distantFuture, duration: .max), .of(at: .distantPast, duration: -5), .of(at: after(999_999))], at: after(1))
        #expect(row(rows(&ledger), .minute, .service, "1", at: start.nanoseconds / 1_000_000_000)?.requests == 3)
    }

    @Test func `hours and days are the sums of their minutes`() {
        var ledger = TrafficLedger(at: start)
        var minutes = TrafficTally()
        var latest: [HistoryResolution: [Int64: TrafficTally]] = [:]
        for minute in 0..<(26 * 60) where minute % 7 != 3 {
            let moment = after(minute * 60 + 5)
            ledger.take(Array(repeating: .of(at: moment, tokens: Int64(minute)), count: minute % 3), at: moment)
            for row in rows(&ledger) where row.key.dimension == .client { latest[row.key.resolution, default: [:]][row.key.start] = row.tally }
        }
        for tally in latest[.minute, default: [:]].values { minutes.add(tally) }
        for resolution in [HistoryResolution.hour, .day] {
            var sum = TrafficTally()
            for tally in latest[resolution, default: [:]].values { sum.add(tally) }
            #expect(sum == minutes)
        }
        #expect(latest[.hour]?.count == 26 && latest[.day]?.count == 2)
    }

    @Test func `a day without a store keeps every minute`() {
        var ledger = TrafficLedger(at: start)
        for minute in 0..<1_500 { ledger.take([.of(at: after(minute * 60))], at: after(minute * 60)) }
        #expect(ledger.droppedRows == 0)
        var requests: Int64 = 0
        while true {
            let rows = rows(&ledger)
            if rows.isEmpty { break }
            for row in rows where row.key.resolution == .minute && row.key.dimension == .service { requests += row.tally.requests }
        }
        #expect(requests == 1_500)
    }

    @Test func `beyond the bound the oldest rows of keys go first and are counted`() {
        var ledger = TrafficLedger(at: start, bounds: TrafficLedger.Bounds(rowsMax: 100))
        for minute in 0..<60 { ledger.take([.of(at: after(minute * 60), keys: [1, 2, 3])], at: after(minute * 60)) }
        // Each of 59 ended minutes has six rows; 254 of 354 do not fit.
        #expect(ledger.droppedRows == 254)
        let rows = rows(&ledger)
        let ended = rows.filter { $0.key.resolution == .minute && $0.key.start < after(59 * 60).nanoseconds / 1_000_000_000 }
        #expect(ended.count == 100)
        #expect(ended.allSatisfy { $0.key.dimension != .key })
        // What is not told by the minute is still in the hour.
        #expect(row(rows, .hour, .key, "1")?.requests == 60)
    }

    @Test func `no more rows are handed out than asked for, and all of them in the end`() {
        var ledger = TrafficLedger(at: start)
        ledger.take((1...100).map { .of(at: start, keys: [$0]) }, at: after(1))
        ledger.take((1...100).map { .of(at: after(60), keys: [$0]) }, at: after(61))
        var keys: [TrafficLedger.RowKey: Int64] = [:]
        while true {
            let rows = rows(&ledger, limit: 10)
            #expect(rows.count <= 10)
            if rows.isEmpty { break }
            for row in rows { keys[row.key] = row.tally.requests }
        }
        #expect(keys.filter { $0.key.dimension == .key && $0.key.resolution == .minute }.count == 200)
        #expect(keys.filter { $0.key.dimension == .key && $0.key.resolution == .day }.values.reduce(0, +) == 200)
    }

    @Test func `more names than are told apart count together`() {
        var ledger = TrafficLedger(at: start, bounds: TrafficLedger.Bounds(namesMax: 5))
        ledger.take((0..<40).map { .of(at: start, model: "m\($0)") }, at: after(1))
        let models = rows(&ledger).filter { $0.key.dimension == .model && $0.key.resolution == .minute }
        #expect(models.count == 6)
        #expect(models.first { $0.key.subject == "other" }?.tally.requests == 35)
        // The next day begins anew.
        ledger.take([.of(at: after(86_400), model: "m39")], at: after(86_400))
        #expect(rows(&ledger).contains { $0.key.subject == "m39" })
    }

    @Test(arguments: [
        (String(repeating: "x", count: 300), String(repeating: "x", count: 256)), (String(repeating: "é", count: 200), String(repeating: "é", count: 128)),
        ("a\u{0}b\nc", "a\u{FFFD}b\u{FFFD}c"), (String(repeating: "€", count: 100), String(repeating: "€", count: 85)),
    ])
    func `a name is cut and cleaned so that every store takes it`(_ name: String, _ subject: String) {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start, model: name), .of(at: start, client: name)], at: after(1))
        let rows = rows(&ledger)
        #expect(row(rows, .minute, .model, subject)?.requests == 1)
        #expect(row(rows, .minute, .client, subject)?.requests == 1)
        #expect(subject.utf8.count <= 256)
    }

    @Test func `readers see what is present, what has ended and what is on its way`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start)], at: after(1))
        ledger.take([.of(at: after(60))], at: after(61))
        _ = ledger.takeRows(limit: 1_000)
        ledger.take([.of(at: after(61)), .of(at: after(121))], at: after(121))
        let begin = start.nanoseconds / 1_000_000_000
        let rows = ledger.rows(.minute, .service, in: begin..<(begin + 600)).sorted { $0.key.start < $1.key.start }
        #expect(rows.map(\.key.start) == [begin, begin + 60, begin + 120])
        #expect(rows.map(\.tally.requests) == [1, 2, 1])
        #expect(ledger.rows(.minute, .service, in: (begin + 60)..<(begin + 120)).map(\.tally.requests) == [2])
    }

    @Test func `totals since the start are told by service`() {
        var ledger = TrafficLedger(at: start)
        ledger.take([.of(at: start), .of(at: start, status: 503, tokens: nil), .of(at: start, tokens: nil)], at: start)
        ledger.take([.of(at: after(90_000))], at: after(90_000))
        #expect(ledger.totals[ServiceID(1)] == ServiceTotals(slug: "openai", requests: 4, failures: 1, unknownUsage: 1, usage: TokenUsage(input: 20, output: 40, cachedInput: 2, reasoning: 2)))
    }
}
