// SPDX-License-Identifier: MIT

internal import Dispatch
internal import Logging
internal import RotatorCore

/// How much the request log keeps.
public struct RequestLogSettings: Sendable {
    /// Where its segments are; nil keeps them in memory.
    public var directory: String?
    /// What it may take in all, in octets; 0 keeps nothing. In memory it is at most 16 MiB.
    public var bytesMax: Int
    /// How long a record is kept at most; zero keeps nothing.
    public var ageMax: Duration

    /// A log in `directory`.
    public init(directory: String? = nil, bytesMax: Int = 268_435_456, ageMax: Duration = .seconds(604_800)) {
        self.directory = directory
        self.bytesMax = bytesMax
        self.ageMax = ageMax
    }
}

/// The records of the latest exchanges of this process: a ring of segments, on disk where there is one.
///
/// Records are put into octets in memory; ``flush(at:)`` writes those and may block. The segment under way and those that wait to be written are read from memory, older
/// ones from their files, on a thread of the log's own. Nothing is synchronised with the disk: a crash of the machine may cost the last seconds, a crash of the process
/// what was not flushed.
final class RequestLog: Sendable {
    /// More readers wait already than there is room for.
    struct Busy: Error {}

    private struct Segment: Sendable {
        let firstID: Int64
        var octets: [UInt8] = []
        var writtenCount = 0
        var unwrittenRecords = 0
    }

    private struct State: Sendable {
        var lastID: Int64 = 0
        /// Where segments are written; nil: not yet known, or nowhere.
        var directory: LogDirectory?
        /// The one that grows; nil until a record comes.
        var open: Segment?
        /// Full ones, oldest first: all of them in memory, else those that are not written yet.
        var full: [Segment] = []
        /// Those that are on disk, oldest first.
        var files: [LogDirectory.File] = []
        var droppedRecords: Int64 = 0
        var readers = 0
    }

    /// A file that is being written. Touched inside the lock of `writing` only.
    private struct Writing: Sendable {
        var firstID: Int64 = 0
        var descriptor: Int32 = -1
        var isFailing = false
    }

    private let path: String?
    private let bytesMax: Int
    private let segmentMax: Int
    private let ageMax: Int64
    private let logger: Logger
    private let state = OutOfLineMutex(State())
    private let writing = OutOfLineMutex(Writing())
    private let readers = DispatchQueue(label: "request-log")

    private static let memoryMax = 16 << 20
    private static let unwrittenSegmentsMax = 8
    private static let readersMax = 16

    /// A log that keeps what comes in memory until ``open()``.
    init(_ settings: RequestLogSettings, logger: Logger) {
        self.logger = logger
        bytesMax = settings.ageMax > .zero ? max(0, settings.bytesMax) : 0
        path = settings.directory
        segmentMax = min(max(bytesMax / 64, 65_536), 2 << 20)
        // A century is far within what a moment can be moved on by.
        ageMax = min(settings.ageMax.wholeNanoseconds, 3_155_760_000_000_000_000)
    }

    /// Opens the directory, and goes on where the log stood; where it cannot be used, records stay in memory. Called once; blocks for as long as that takes.
    func open() {
        guard isOn, let path else { return }
        let directory: LogDirectory
        do throws(SystemError) {
            directory = try LogDirectory(making: path)
        } catch {
            logger.warning("the request log is kept in memory: its directory cannot be used", metadata: ["directory": "\(path)", "reason": "\(error)"])
            return
        }
        let files = directory.files()
        var lastID: Int64 = 0
        if let last = files.last {
            let octets = directory.contents(of: last.firstID, limit: Self.segmentOctetsMax)
            lastID = max(last.firstID, ExchangeFraming.records(in: octets).last.map { ExchangeFraming.id(in: octets, at: $0) } ?? 0)
        }
        state.withLock { state in
            state.lastID = max(state.lastID, lastID)
            state.directory = directory
            state.files = files
        }
    }

    deinit { writing.withLock { if $0.descriptor >= 0 { Syscall.close($0.descriptor) } } }

    /// A segment is closed by the record that goes beyond its size.
    private static var segmentOctetsMax: Int { (2 << 20) + ExchangeFraming.recordOctetsMax + ExchangeFraming.headerCount }

    /// Whether anything is kept.
    var isOn: Bool { bytesMax > 0 }

    /// Records that were lost because they could not be written in time.
    var droppedRecords: Int64 { state.withLock(\.droppedRecords) }

    // MARK: Writing

    /// Takes records in. Blocks for no disk.
    func append(_ records: [ExchangeRecord], at now: Moment) {
        guard isOn else { return }
        state.withLock { state in
            let records = records.span
            for index in records.indices {
                let id = max(state.lastID + 1, now.nanoseconds / 1_000)
                state.lastID = id
                if state.open == nil {
                    state.open = Segment(firstID: id)
                    state.open?.octets.reserveCapacity(segmentMax + 4_096)
                }
                ExchangeFraming.append(records, at: index, id: id, to: &state.open!.octets)
                state.open!.unwrittenRecords += 1
                if state.open!.octets.count >= segmentMax { closeSegment(&state) }
            }
            if state.directory == nil { shrinkMemory(&state, at: now) }
        }
    }

    private func closeSegment(_ state: inout State) {
        guard let segment = state.open else { return }
        state.open = nil
        state.full.append(segment)
        if state.directory != nil, state.full.count > Self.unwrittenSegmentsMax {
            // The disk does not keep up. What is being written now is the first one: it stays.
            state.droppedRecords += Int64(state.full.remove(at: 1).unwrittenRecords)
        }
    }

    private func shrinkMemory(_ state: inout State, at now: Moment) {
        var size = state.full.reduce(state.open?.octets.count ?? 0) { $0 + $1.octets.count }
        while let first = state.full.first, size > min(bytesMax, Self.memoryMax) || isOld(state.full.dropFirst().first?.firstID ?? state.open?.firstID, at: now) {
            size -= first.octets.count
            state.full.removeFirst()
        }
    }

    /// Whether all records before this one have come to their age.
    private func isOld(_ id: Int64?, at now: Moment) -> Bool {
        guard let id else { return false }
        let (age, isFar) = now.nanoseconds.subtractingReportingOverflow(id.multipliedReportingOverflow(by: 1_000).partialValue)
        return !isFar && age > ageMax
    }

    /// Writes what has come since the last time, and lets go of what is too much or too old. Blocks for as long as the disk does.
    func flush(at now: Moment) {
        guard isOn else { return }
        // So that old records go even where no new ones fill their segment.
        state.withLock { state in
            if let open = state.open, isOld(open.firstID, at: Moment(nanoseconds: now.nanoseconds + ageMax / 8 * 7)) { closeSegment(&state) }
            if state.directory == nil { shrinkMemory(&state, at: now) }
        }
        guard let directory = state.withLock(\.directory) else { return }
        writing.withLock { writing in
            while let (segment, isFull) = nextUnwritten() {
                let tail = Array(segment.octets[segment.writtenCount...])
                let failure = write(tail, of: segment.firstID, to: directory, &writing)
                let taken = failure?.taken ?? tail.count
                noteWritten(taken, of: segment.firstID, records: taken == tail.count ? segment.unwrittenRecords : 0, isDone: failure == nil && isFull)
                if let failure {
                    if !writing.isFailing { logger.warning("the request log cannot be written", metadata: ["reason": "\(failure.error)"]) }
                    writing.isFailing = true
                    break
                }
                writing.isFailing = false
                if !isFull { break }
                Syscall.close(writing.descriptor)
                writing.descriptor = -1
            }
            retire(from: directory, at: now)
        }
    }

    private func nextUnwritten() -> (segment: Segment, isFull: Bool)? {
        state.withLock { state in
            if let full = state.full.first { return (full, true) }
            if let open = state.open, open.writtenCount < open.octets.count { return (open, false) }
            return nil
        }
    }

    private func write(_ octets: [UInt8], of firstID: Int64, to directory: LogDirectory, _ writing: inout Writing) -> (taken: Int, error: SystemError)? {
        if writing.descriptor < 0 || writing.firstID != firstID {
            if writing.descriptor >= 0 { Syscall.close(writing.descriptor) }
            writing.descriptor = -1
            do throws(SystemError) {
                writing.descriptor = try directory.open(firstID)
                writing.firstID = firstID
            } catch {
                return (0, error)
            }
        }
        return LogDirectory.append(octets, to: writing.descriptor)
    }

    private func noteWritten(_ count: Int, of firstID: Int64, records: Int, isDone: Bool) {
        state.withLock { state in
            if state.open?.firstID == firstID {
                state.open?.writtenCount += count
                state.open?.unwrittenRecords -= records
            } else if let index = state.full.firstIndex(where: { $0.firstID == firstID }) {
                state.full[index].writtenCount += count
                state.full[index].unwrittenRecords -= records
                // It may have been the open one when this write began: then the rest is written in the next round.
                if isDone, state.full[index].writtenCount == state.full[index].octets.count {
                    let segment = state.full.remove(at: index)
                    state.files.append(LogDirectory.File(firstID: firstID, byteCount: segment.octets.count))
                }
            }
        }
    }

    private func retire(from directory: LogDirectory, at now: Moment) {
        let gone = state.withLock { state in
            var gone: [Int64] = []
            var size = state.files.reduce(state.open?.octets.count ?? 0) { $0 + $1.byteCount }
            while let first = state.files.first {
                let next = state.files.dropFirst().first?.firstID ?? state.full.first?.firstID ?? state.open?.firstID ?? state.lastID + 1
                guard size > bytesMax || isOld(next, at: now) else { break }
                size -= first.byteCount
                gone.append(first.firstID)
                state.files.removeFirst()
            }
            return gone
        }
        for id in gone { directory.remove(id) }
    }

    // MARK: Reading

    /// Records that `filter` accepts with a number below `after`, newest first, at most `limit`. Runs on the log's own thread.
    func exchanges(before after: Int64, limit: Int, where filter: ExchangeFilter, at now: Moment) async throws(Busy) -> [LoggedExchange] {
        guard isOn else { return [] }
        let mayRead = state.withLock { state in
            guard state.readers < Self.readersMax else { return false }
            state.readers += 1
            return true
        }
        guard mayRead else { throw Busy() }
        let found = await withCheckedContinuation { continuation in
            readers.async { continuation.resume(returning: self.read(before: after, limit: limit, where: filter, at: now)) }
        }
        state.withLock { $0.readers -= 1 }
        return found
    }

    private func read(before after: Int64, limit: Int, where filter: ExchangeFilter, at now: Moment) -> [LoggedExchange] {
        let (memory, directory, files) = state.withLock { state in (state.full + [state.open].compactMap(\.self), state.directory, state.files) }
        var filter = filter
        filter.from = max(filter.from, Moment(nanoseconds: max(0, now.nanoseconds - ageMax)))
        var found: [LoggedExchange] = []
        // The number of the first record of the segment after: everything in a segment was taken in before that.
        var end = Int64.max
        func look(at firstID: Int64, _ octets: () -> [UInt8]) -> Bool {
            defer { end = firstID }
            // Microseconds: what was taken in before `from` began before it, and so did all that is older.
            if end != .max, end < filter.from.nanoseconds / 1_000 { return false }
            if firstID >= after { return true }
            collect(from: octets(), before: after, limit: limit, where: filter, into: &found)
            return found.count < limit
        }
        for segment in memory.reversed() where !look(at: segment.firstID, { segment.octets }) { return found }
        guard let directory else { return found }
        for file in files.reversed() {
            if !look(at: file.firstID, { directory.contents(of: file.firstID, limit: Self.segmentOctetsMax) }) { return found }
        }
        return found
    }

    private func collect(from octets: [UInt8], before after: Int64, limit: Int, where filter: ExchangeFilter, into found: inout [LoggedExchange]) {
        for range in ExchangeFraming.records(in: octets).reversed() {
            if found.count == limit { return }
            if ExchangeFraming.id(in: octets, at: range) >= after { continue }
            if let id = filter.requestID, !ExchangeFraming.isRecord(of: id, in: octets, at: range) { continue }
            if let exchange = ExchangeFraming.record(in: octets, at: range), filter.accepts(exchange.record) { found.append(exchange) }
        }
    }
}

/// Which records of the request log are wanted; what is nil does not matter.
struct ExchangeFilter: Sendable {
    var requestID: [UInt8]?
    var slug: String?
    var client: String?
    var model: String?
    /// One that was tried.
    var key: KeyID?
    var status: Int?
    var hasFailed: Bool?
    /// Began at this moment or later.
    var from = Moment.distantPast
    /// Began before this moment.
    var to = Moment.distantFuture

    func accepts(_ record: ExchangeRecord) -> Bool {
        if let slug, record.slug != slug { return false }
        if let client, record.client != client { return false }
        if let model, record.model != model { return false }
        if let key, !record.attempts.contains(where: { $0.key == key }) { return false }
        if let status, record.status != status { return false }
        if let hasFailed, record.isFailure != hasFailed { return false }
        return record.startedAt >= from && record.startedAt < to
    }
}
