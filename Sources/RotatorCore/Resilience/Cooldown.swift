// SPDX-License-Identifier: MIT

/// How rests of one kind follow each other: the provider's own time where it gives one, else a delay that doubles until a success.
///
/// An attempt that was granted before the last rest began tells nothing new: it never makes the next rest longer, nor does its success undo
/// what was learned since.
public struct Cooldown: Sendable, Hashable {
    /// The delays where the provider gives no time.
    public let backoff: Backoff
    /// Rests in a row whose length was ours to choose.
    public private(set) var level: Int
    /// When the last rest began.
    public private(set) var began: Moment

    /// A cooldown in which `level` rests have been.
    public init(_ backoff: Backoff, level: Int = 0) {
        self.backoff = backoff
        self.level = level
        self.began = .distantPast
    }

    /// An attempt that was granted at `grantedAt` was refused. Returns until when to rest; nil when that is old news without a time of its own.
    ///
    /// - Parameter began: when the rest begins: `now`, or the last grant where another thread's clock was ahead.
    public mutating func refused(until: Moment?, grantedAt: Moment, began: Moment, at now: Moment) -> Moment? {
        let isOldNews = isOldNews(grantedAt: grantedAt)
        if let until {
            if !isOldNews { self.began = began }
            return until
        }
        if isOldNews { return nil }
        level += 1
        self.began = began
        return now + backoff.delay(level: level)
    }

    /// Whether an attempt that was granted at `grantedAt` was already under way when the last rest began. Nothing is granted during a rest.
    public func isOldNews(grantedAt: Moment) -> Bool { grantedAt <= began }

    /// An attempt that was granted at `grantedAt` succeeded: the next rest is a first one again.
    public mutating func succeeded(grantedAt: Moment) {
        if !isOldNews(grantedAt: grantedAt) { level = 0 }
    }

    /// The next rest is a first one again, whatever was under way.
    public mutating func forget() { level = 0 }

    /// Takes over how many rests in a row another replica counted. `moment`: when it decided so; attempts granted up to then are old news.
    mutating func adopt(level: Int, decidedAt moment: Moment) {
        guard level != self.level else { return }
        if level > self.level { began = max(began, moment) }
        self.level = level
    }

    /// A rest of somebody's began that belongs to the same row. It is not longer by what was under way then.
    mutating func join(level: Int, began moment: Moment) {
        self.level = max(self.level, level)
        began = max(began, moment)
    }

    /// Forgets all rests; attempts granted up to `moment` are old news.
    public mutating func reset(at moment: Moment) {
        level = 0
        began = moment
    }
}
