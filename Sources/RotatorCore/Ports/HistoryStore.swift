// SPDX-License-Identifier: MIT

/// How long a stretch of history is.
public enum HistoryResolution: Int64, Sendable, Hashable, CaseIterable {
    case minute = 60
    case hour = 3_600
    case day = 86_400

    /// The beginning of the stretch that `moment` lies in, in seconds since 1970-01-01T00:00:00Z.
    public func start(of moment: Moment) -> Int64 {
        let seconds = moment.nanoseconds / 1_000_000_000
        return seconds - seconds % rawValue
    }
}

/// By what traffic is told apart.
public enum HistoryDimension: String, Sendable, Hashable, CaseIterable {
    /// By service; the subject is its number.
    case service
    /// By upstream key; the subject is its number.
    case key
    /// By client; the subject is its name.
    case client
    /// By model; the subject is the model as it was asked for.
    case model
}

/// What one process counted of one subject in one stretch of time.
public struct HistoryRow: Sendable, Hashable {
    /// The stretch's length.
    public var resolution: HistoryResolution
    /// When it begins, in seconds since 1970-01-01T00:00:00Z: a multiple of the length.
    public var start: Int64
    /// By what.
    public var dimension: HistoryDimension
    /// Which one, up to 256 octets.
    public var subject: String
    /// Which process counted, up to 64 characters.
    public var writer: String
    /// What was counted: see ``TrafficTally/octets``.
    public var tally: [UInt8]

    /// What one process counted.
    public init(resolution: HistoryResolution, start: Int64, dimension: HistoryDimension, subject: String, writer: String, tally: [UInt8]) {
        self.resolution = resolution
        self.start = start
        self.dimension = dimension
        self.subject = subject
        self.writer = writer
        self.tally = tally
    }
}

/// Where history is kept. Rows are absolute, each by one writer, so writing one again changes nothing and replicas add up by being read together.
/// Nothing in them is secret: they are not sealed.
public protocol HistoryStore: Sendable {
    /// Writes rows in one transaction, each in place of the one of the same resolution, start, dimension, subject and writer.
    func writeHistory(_ rows: [HistoryRow]) async throws(StoreError)

    /// Rows that begin at `from` or later and before `to`, of all writers, in the order of start.
    ///
    /// - Parameter subject: only this one's; nil: all.
    func history(
        _ resolution: HistoryResolution, _ dimension: HistoryDimension, subject: String?, from: Int64, to: Int64
    ) async throws(StoreError) -> [HistoryRow]

    /// Forgets rows of a resolution that begin before `start`.
    func deleteHistory(_ resolution: HistoryResolution, before start: Int64) async throws(StoreError)
}
