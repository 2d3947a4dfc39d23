// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What is told of a window: rows of all writers, added up.
struct StatsReport: Sendable {
    /// A point of the series.
    struct Point: Sendable {
        /// In seconds since 1970.
        var start: Int64
        var tally = TrafficTally()
    }

    let window: StatsWindow
    /// The stretches that are in it, in seconds since 1970.
    let range: Range<Int64>
    private(set) var total = TrafficTally()
    private(set) var points: [Point]
    private(set) var subjects: [HistoryDimension: [String: TrafficTally]] = [:]

    init(_ window: StatsWindow, at now: Moment) {
        self.window = window
        range = window.range(at: now)
        points = stride(from: range.lowerBound, to: range.upperBound, by: Int64.Stride(window.step)).map { Point(start: $0) }
    }

    /// Adds up rows of services in the window's own resolution: they make the totals and the series too.
    mutating func addServices(_ rows: [TrafficLedger.Row]) {
        addSeries(rows)
        for row in rows where range.contains(row.key.start) { subjects[.service, default: [:]][row.key.subject, default: TrafficTally()].add(row.tally) }
    }

    /// Adds up rows in the window's own resolution to the totals and the series.
    mutating func addSeries(_ rows: [TrafficLedger.Row]) {
        for row in rows where range.contains(row.key.start) {
            total.add(row.tally)
            points[Int((row.key.start - range.lowerBound) / window.step)].tally.add(row.tally)
        }
    }

    /// Adds up rows of other subjects.
    mutating func add(_ rows: [TrafficLedger.Row]) {
        for row in rows { subjects[row.key.dimension, default: [:]][row.key.subject, default: TrafficTally()].add(row.tally) }
    }

    /// The subjects with the most requests, at most `limit`.
    func top(_ dimension: HistoryDimension, _ limit: Int) -> [(subject: String, tally: TrafficTally)] {
        let sorted = subjects[dimension, default: [:]].sorted { one, other in
            one.value.requests != other.value.requests ? one.value.requests > other.value.requests : one.key < other.key
        }
        return sorted.prefix(limit).map { ($0.key, $0.value) }
    }
}

extension TrafficLedger {
    /// The rows of all writers: of its own, `present` (what the ledger holds) stands for what the store has, which may be older.
    ///
    /// - Parameter presentStart: when the ledger's present stretch of that length began. `present` was read before `stored`.
    static func combine(_ stored: [HistoryRow], with present: [Row], of writer: String, presentStart: Int64) -> [Row] {
        let held = Set(present.map(\.key))
        var rows = present
        for row in stored {
            let key = RowKey(resolution: row.resolution, start: row.start, dimension: row.dimension, subject: row.subject)
            if row.writer == writer, row.start >= presentStart || held.contains(key) { continue }
            // What another version wrote, or nobody did, counts for nothing.
            if let tally = TrafficTally(octets: row.tally) { rows.append(Row(key: key, tally: tally)) }
        }
        return rows
    }
}
