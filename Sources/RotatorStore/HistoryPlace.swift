// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Where a row of history stands: of two rows at one place, the later one counts.
///
/// Subject and writer are octets, as databases compare them: Swift takes one text in two spellings for the same.
struct HistoryPlace: Sendable, Hashable {
    let resolution: HistoryResolution
    let dimension: HistoryDimension
    let start: Int64
    let subject: [UInt8]
    let writer: [UInt8]

    init(_ row: HistoryRow) {
        (resolution, dimension, start) = (row.resolution, row.dimension, row.start)
        (subject, writer) = (Array(row.subject.utf8), Array(row.writer.utf8))
    }
}
