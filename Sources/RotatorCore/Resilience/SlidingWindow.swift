// SPDX-License-Identifier: MIT

/// Counts what happened within the last 60 s, and admits no more than a limit in any 60 s.
///
/// Up to a limit of ``exactLimitMax`` every moment is kept, so the limit is met to the one. Above that, moments of one tenth of a second are counted
/// together as if all had come at its end: never more than the limit in any 60 s, and no less than the limit in any 60.1 s. Holds at most
/// ``entriesMax`` moments, whatever is counted. A value: no clock, no lock. A moment that lies before one that was counted counts as that one.
public struct SlidingWindow: Sendable, Hashable {
    /// The greatest limit that is met to the one.
    public static let exactLimitMax: Int64 = 600
    /// The most moments that are kept.
    public static let entriesMax = 601
    /// How long something counts.
    public static let length = Duration.seconds(60)

    private static let step: Int64 = 100_000_000
    private static let lengthNanoseconds: Int64 = 60_000_000_000
    // So that no sum overflows: 601 × 2^52 < 2^62.
    private static let amountMax: Int64 = 1 << 52
    private static let formatVersion: UInt8 = 1

    private struct Entry: Sendable, Hashable {
        /// It counts until 60 s after this.
        var stamp: Moment
        var amount: Int64
    }

    /// How much may be admitted within any 60 s. What was counted stays when it changes.
    public var limit: Int64
    // In the order of their stamps; those before `head` are over.
    private var entries: [Entry] = []
    private var head = 0
    private var total: Int64 = 0

    /// A window in which nothing has happened.
    public init(limit: Int64) { self.limit = limit }

    /// Counts as much of `amount` as the limit leaves room for, and says how much that is.
    public mutating func admit(_ amount: Int64 = 1, at now: Moment) -> Int64 {
        dropPast(at: now)
        guard limit > total, amount > 0 else { return 0 }
        let admitted = min(amount, limit - total)
        count(admitted, at: now)
        return admitted
    }

    /// Counts `amount`, over the limit too.
    public mutating func charge(_ amount: Int64, at now: Moment) {
        guard amount > 0 else { return }
        dropPast(at: now)
        count(amount, at: now)
    }

    /// How much counts at `now`.
    public func used(at now: Moment) -> Int64 {
        var used = total
        for entry in entries[head...] {
            if Self.counts(entry, at: now) { break }
            used -= entry.amount
        }
        return used
    }

    /// When at least 1 would be admitted; nil: now.
    public func nextAdmission(at now: Moment) -> Moment? {
        guard limit > 0 else { return .distantFuture }
        var used = used(at: now)
        guard used >= limit else { return nil }
        for entry in entries[head...] where Self.counts(entry, at: now) {
            used -= entry.amount
            if used < limit { return entry.stamp + Self.length }
        }
        return nil
    }

    private static func counts(_ entry: Entry, at now: Moment) -> Bool { now.nanoseconds - entry.stamp.nanoseconds < lengthNanoseconds }

    private mutating func dropPast(at now: Moment) {
        while head < entries.count, !Self.counts(entries[head], at: now) {
            total -= entries[head].amount
            head += 1
        }
        if head == entries.count {
            entries.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 32, head * 2 >= entries.count {
            entries.removeFirst(head)
            head = 0
        }
    }

    private mutating func count(_ amount: Int64, at now: Moment) {
        var stamp = now
        if limit > Self.exactLimitMax { stamp = Moment(nanoseconds: (now.nanoseconds / Self.step + 1) &* Self.step) }
        if head < entries.count {
            let last = entries.count - 1
            stamp = max(stamp, entries[last].stamp)
            // Where there is no room for another moment, the last one moves on: what it holds counts for longer, never for less.
            if stamp == entries[last].stamp || entries.count - head >= Self.entriesMax {
                let sum = min(Self.amountMax, entries[last].amount + min(amount, Self.amountMax))
                total += sum - entries[last].amount
                entries[last] = Entry(stamp: stamp, amount: sum)
                return
            }
        }
        let counted = min(amount, Self.amountMax)
        entries.append(Entry(stamp: stamp, amount: counted))
        total += counted
    }
}

/// The window as octets, for sharing it between replicas: a version, the first moment in nanoseconds, then for each moment how long after the one
/// before it and how much; each number in groups of 7 bits, the lowest first (LEB128).
extension SlidingWindow {
    /// What is counted, without the limit.
    public var octets: [UInt8] {
        var octets = [Self.formatVersion]
        var before = Moment.distantPast
        for entry in entries[head...] {
            Self.append(UInt64(max(0, entry.stamp.nanoseconds - before.nanoseconds)), to: &octets)
            Self.append(UInt64(entry.amount), to: &octets)
            before = entry.stamp
        }
        return octets
    }

    /// The window that ``octets`` tell of; nil where they are none.
    public init?(octets: [UInt8], limit: Int64) {
        guard octets.first == Self.formatVersion else { return nil }
        self.init(limit: limit)
        var index = 1
        var stamp: Int64 = 0
        while index < octets.count {
            guard let step = Self.number(in: octets, at: &index), let amount = Self.number(in: octets, at: &index) else { return nil }
            let (sum, overflow) = stamp.addingReportingOverflow(step)
            guard !overflow, (1...Self.amountMax).contains(amount), entries.count < Self.entriesMax else { return nil }
            stamp = sum
            entries.append(Entry(stamp: Moment(nanoseconds: stamp), amount: amount))
            total += amount
        }
    }

    private static func append(_ number: UInt64, to octets: inout [UInt8]) {
        var left = number
        while left >= 0x80 {
            octets.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        octets.append(UInt8(left))
    }

    private static func number(in octets: [UInt8], at index: inout Int) -> Int64? {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 63, by: 7) {
            guard index < octets.count else { return nil }
            let octet = octets[index]
            index += 1
            number |= UInt64(octet & 0x7F) << shift
            if octet < 0x80 { return Int64(number) }
        }
        return nil
    }
}
