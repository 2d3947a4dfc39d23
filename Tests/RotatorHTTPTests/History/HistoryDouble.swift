// SPDX-License-Identifier: MIT

import Logging
import RotatorCore
import Synchronization

@testable import RotatorHTTP

/// Rows of history in memory; can be told to fail.
final class HistoryDouble: HistoryStore {
    struct Key: Hashable {
        var resolution: HistoryResolution
        var start: Int64
        var dimension: HistoryDimension
        var subject: String
        var writer: String
    }

    struct State {
        var rows: [Key: [UInt8]] = [:]
        var failure: StoreError.Code?
        var failsAfterWriting = false
        var writes: [Int] = []
        var reads = 0
    }

    let state = Mutex(State())

    func fail(_ code: StoreError.Code?, afterWriting: Bool = false) {
        state.withLock { ($0.failure, $0.failsAfterWriting) = (code, afterWriting) }
    }

    var writes: [Int] { state.withLock(\.writes) }

    /// What all writers together counted.
    func total(_ resolution: HistoryResolution, _ dimension: HistoryDimension, _ subject: String) -> TrafficTally {
        state.withLock { state in
            var total = TrafficTally()
            for (key, octets) in state.rows where key.resolution == resolution && key.dimension == dimension && key.subject == subject {
                if let tally = TrafficTally(octets: octets) { total.add(tally) }
            }
            return total
        }
    }

    func writeHistory(_ rows: [HistoryRow]) async throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure, !state.failsAfterWriting { throw StoreError(code, "told to fail") }
            state.writes.append(rows.count)
            for row in rows {
                state.rows[Key(resolution: row.resolution, start: row.start, dimension: row.dimension, subject: row.subject, writer: row.writer)] = row.tally
            }
            if let code = state.failure { throw StoreError(code, "told to fail when done") }
        }
    }

    func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow] {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            state.reads += 1
            return state.rows.filter { key, _ in
                key.resolution == resolution && key.dimension == dimension && (subject == nil || key.subject == subject) && key.start >= from && key.start < to
            }.map { key, tally in
                HistoryRow(resolution: key.resolution, start: key.start, dimension: key.dimension, subject: key.subject, writer: key.writer, tally: tally)
            }.sorted { $0.start < $1.start }
        }
    }

    func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            if let code = state.failure { throw StoreError(code, "told to fail") }
            state.rows = state.rows.filter { $0.key.resolution != resolution || $0.key.start >= start }
        }
    }
}

extension ExchangeRecord {
    /// A record with what a test cares for; it ends when it began, if not told otherwise.
    static func of(
        _ requestID: String = "r", at start: Moment, service: Int64? = 1, slug: String = "openai", client: String = "ada", model: String? = "gpt", status: Int = 200,
        keys: [Int64] = [1], tokens: Int64? = 10, duration: Int64 = 1_000_000
    ) -> ExchangeRecord {
        var record = ExchangeRecord(requestID: requestID, startedAt: start, slug: slug, method: "POST")
        record.service = service.map(ServiceID.init)
        record.client = client
        record.model = model
        record.status = status
        record.usage = tokens.map { TokenUsage(input: $0, output: 2 * $0, cachedInput: 1, reasoning: 1) }
        record.duration = duration
        record.firstByte = duration / 2
        record.attempts = keys.enumerated().map { index, key in
            let isLast = index == keys.count - 1
            return AttemptRecord(
                key: KeyID(key), status: isLast ? status : 429, verdict: isLast ? (status == 200 ? "success" : "upstream_failed") : "rate_limited",
                reason: isLast ? "" : "rate_limit_exceeded", began: Int64(index) * 1_000, duration: duration)
        }
        record.attemptCount = keys.count
        return record
    }
}

extension TrafficRecorder {
    /// A recorder with small bounds where a test wants them, under a test's clock.
    static func of(
        _ clock: TestClock, replica: String = "here", log: RequestLogSettings = RequestLogSettings(bytesMax: 1 << 20), bounds: TrafficLedger.Bounds = TrafficLedger.Bounds(),
        store: HistoryDouble? = nil
    ) -> TrafficRecorder {
        let recorder = TrafficRecorder(replica: replica, log: log, bounds: bounds, clock: { clock.now }, logger: LogCapture().logger)
        if let store { recorder.attach(store) }
        return recorder
    }
}
