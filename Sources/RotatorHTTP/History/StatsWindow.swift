// SPDX-License-Identifier: MIT

internal import RotatorCore

/// How far back statistics look, and in what they are told.
enum StatsWindow: String, Sendable, CaseIterable {
    case fiveMinutes = "5m"
    case quarterHour = "15m"
    case hour = "1h"
    case sixHours = "6h"
    case day = "24h"
    case week = "7d"
    case month = "30d"
    case quarter = "90d"

    /// In seconds.
    var length: Int64 {
        switch self {
        case .fiveMinutes: 300
        case .quarterHour: 900
        case .hour: 3_600
        case .sixHours: 21_600
        case .day: 86_400
        case .week: 604_800
        case .month: 2_592_000
        case .quarter: 7_776_000
        }
    }

    /// The stretches that the window is made of: the finest that are kept for so long.
    var resolution: HistoryResolution {
        switch self {
        case .fiveMinutes, .quarterHour, .hour, .sixHours, .day: .minute
        case .week: .hour
        case .month, .quarter: .day
        }
    }

    /// From one point of the series to the next, in seconds: 30 to 120 points, but for the two windows that have fewer minutes.
    var step: Int64 {
        switch self {
        case .fiveMinutes, .quarterHour, .hour: 60
        case .sixHours: 300
        case .day: 900
        case .week: 7_200
        case .month, .quarter: 86_400
        }
    }

    /// The whole stretches that begin within the window that ends at `now`, the present one included, in seconds.
    func range(at now: Moment) -> Range<Int64> {
        let length = resolution.rawValue
        let end = resolution.start(of: now) + length
        let first = now.nanoseconds / 1_000_000_000 - self.length
        let beginsWithin = now.nanoseconds % 1_000_000_000 == 0 ? first : first + 1
        return min(end, (max(0, beginsWithin) + length - 1) / length * length)..<end
    }
}

extension HistoryResolution {
    /// How long rows of it are kept, in seconds: longer than the windows that are made of them.
    var retention: Int64 {
        switch self {
        case .minute: 26 * 3_600
        case .hour: 9 * 86_400
        case .day: 100 * 86_400
        }
    }

    private var coarser: HistoryResolution? {
        switch self {
        case .minute: .hour
        case .hour: .day
        case .day: nil
        }
    }

    /// The same time in as few stretches as can be: coarser ones wherever they lie within it, the last one where it may reach beyond `range`, since it has nothing after the present.
    func tiles(_ range: Range<Int64>) -> [(resolution: HistoryResolution, range: Range<Int64>)] {
        guard let coarser, !range.isEmpty else { return range.isEmpty ? [] : [(self, range)] }
        let length = coarser.rawValue
        let firstWhole = (range.lowerBound + length - 1) / length * length
        guard firstWhole < range.upperBound else { return [(self, range)] }
        let end = (range.upperBound + length - 1) / length * length
        let ragged = range.lowerBound < firstWhole ? [(self, range.lowerBound..<firstWhole)] : []
        return ragged + coarser.tiles(firstWhole..<end)
    }
}
