// SPDX-License-Identifier: MIT

public import RotatorCore

extension RedisStore: HistoryStore {
    private struct Stretch: Hashable {
        var resolution: HistoryResolution
        var dimension: HistoryDimension
        var start: Int64
    }

    public func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        guard !rows.isEmpty else { return }
        var stretches: [Stretch: [HistoryRow]] = [:]
        for row in rows { stretches[Stretch(resolution: row.resolution, dimension: row.dimension, start: row.start), default: []].append(row) }
        var pieces: [[[UInt8]]] = []
        pieces.reserveCapacity(rows.count + stretches.count)
        for (stretch, rows) in stretches {
            pieces.append([Self.name(stretch.resolution, stretch.dimension), [UInt8](number: stretch.start), [UInt8](number: Int64(rows.count * 3))])
            for row in rows { pieces.append([[UInt8](text: row.subject) + [0] + Array(row.writer.utf8), row.tally, [UInt8](text: row.writer)]) }
        }
        let token = newToken()
        try await stage(pieces, token: token)
        guard try await client.run(.writeHistory, [token], within: RedisSession.Limit.long).integer == Int64(rows.count) else { throw wasLost }
    }

    public func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        var rows: [HistoryRow] = []
        var next: [UInt8]? = [UInt8](number: from)
        // The server gives as many stretches at a time as do not hold up others for long.
        while let first = next {
            let arguments = [
                Self.name(resolution, dimension), first, [UInt8](number: to), subject.map { [UInt8](text: $0) } ?? [], [UInt8](text: subject == nil ? "0" : "1"),
            ]
            let found = try await client.run(.history, arguments, within: RedisSession.Limit.long).elements
            guard found.count % 2 == 1 else { throw client.unexpected }
            next = found[0].octets
            for index in stride(from: 1, to: found.count, by: 2) {
                guard let start = found[index].integer else { throw client.unexpected }
                for (field, tally) in found[index + 1].pairs {
                    guard let field = field.octets, let tally = tally.octets, let end = field.lastIndex(of: 0) else { throw client.unexpected }
                    rows.append(
                        HistoryRow(
                            resolution: resolution, start: start, dimension: dimension, subject: String(decoding: field[..<end], as: UTF8.self),
                            writer: String(decoding: field[(end + 1)...], as: UTF8.self), tally: tally))
                }
            }
        }
        return rows
    }

    public func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        let arguments = [[UInt8](number: start)] + Self.names(resolution)
        while try await client.run(.deleteSomeHistory, arguments, within: RedisSession.Limit.long).integer ?? 0 > 0 {}
    }

    public func historyStart(_ resolution: HistoryResolution, after start: Int64) async throws(StoreError) -> Int64? {
        try await client.run(.historyStart, [[UInt8](number: start)] + Self.names(resolution)).integer
    }

    private static func name(_ resolution: HistoryResolution, _ dimension: HistoryDimension) -> [UInt8] {
        [UInt8](text: "\(resolution.rawValue):\(dimension.rawValue)")
    }

    private static func names(_ resolution: HistoryResolution) -> [[UInt8]] { HistoryDimension.allCases.map { name(resolution, $0) } }
}
