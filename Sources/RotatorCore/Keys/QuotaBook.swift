// SPDX-License-Identifier: MIT

/// What the provider last said of one key's quota, for the few models that were told of last. A value: no clock, no lock.
struct QuotaBook: Sendable {
    /// What was said for one model, and what has been granted since.
    private struct Page: Sendable {
        /// Nil: for the whole key.
        var model: String?
        var amounts: [QuotaReading.Amount]
        var notedAt: Moment
        var grantCount: Int64 = 0
        /// The most that was ever left, by kind: in place of a limit that is not said.
        var peaks = SIMD4<Int64>(repeating: 0)

        mutating func raisePeaks() {
            for amount in amounts { peaks[amount.kind.index] = max(peaks[amount.kind.index], amount.remaining) }
        }
    }

    /// Models that are remembered; the one that was told of longest ago makes room.
    static let modelsMax = 8
    /// A reset that lies further ahead is not believed: a wrong unit, or a quota of a month, of which a refusal will tell.
    static let resetMax = Duration.seconds(86_400)
    /// How long an empty quota is believed whose reset is not.
    static let doubtfulRest = Duration.seconds(60)
    /// How long a reading counts that names no reset.
    static let unboundedReading = Duration.seconds(60)

    // The latest first.
    private var pages: [Page] = []

    /// What was said last, for whatever model.
    var latest: [QuotaReading.Amount] { pages.first?.amounts ?? [] }

    /// An answer to a request for `model` said this.
    mutating func note(_ reading: QuotaReading, model: String?, at now: Moment) {
        var page: Page
        if let index = pages.firstIndex(where: { $0.model == model }) {
            page = index == 0 ? pages[0] : pages.remove(at: index)
            page.amounts = reading.amounts
            page.notedAt = now
            page.grantCount = 0
            page.raisePeaks()
            if index == 0 { pages[0] = page } else { pages.insert(page, at: 0) }
        } else {
            page = Page(model: model, amounts: reading.amounts, notedAt: now)
            page.raisePeaks()
            if pages.count >= Self.modelsMax { pages.removeLast() }
            pages.insert(page, at: 0)
        }
    }

    /// The key was granted for `model`.
    mutating func granted(model: String?) {
        for index in pages.indices where pages[index].model == nil || pages[index].model == model { pages[index].grantCount += 1 }
    }

    /// The least that is left by what was said and still holds; full where nothing was.
    ///
    /// - Parameter tokensPerGrant: what an attempt is expected to cost.
    func headroom(tokensPerGrant: Int64, at now: Moment) -> KeyHeadroom {
        var headroom = KeyHeadroom.full
        for page in pages {
            for amount in page.amounts where (amount.resetsAt ?? page.notedAt + Self.unboundedReading) > now {
                let cost = amount.kind == .requests ? 1 : tokensPerGrant
                let (spent, isFull) = page.grantCount.multipliedReportingOverflow(by: cost)
                let remaining = max(0, max(0, amount.remaining) - (isFull ? .max : spent))
                let limit = amount.limit.flatMap { $0 > 0 ? $0 : nil }
                let whole = limit ?? page.peaks[amount.kind.index]
                guard whole > 0 else { continue }
                headroom = min(
                    headroom,
                    KeyHeadroom(
                        share: min(1, Double(remaining) / Double(whole)), remaining: limit == nil ? remaining : .max,
                        grantShare: Double(cost) / Double(whole)))
            }
        }
        return headroom
    }

    /// When what was said of the quota changes by time alone; nil when it does not.
    func nextReset(after now: Moment) -> Moment? {
        var next: Moment?
        for page in pages {
            for amount in page.amounts {
                let end = amount.resetsAt ?? page.notedAt + Self.unboundedReading
                if end > now { next = min(next ?? end, end) }
            }
        }
        return next
    }
}

extension QuotaReading.Kind {
    fileprivate var index: Int {
        switch self {
        case .requests: 0
        case .tokens: 1
        case .inputTokens: 2
        case .outputTokens: 3
        }
    }
}

extension QuotaReading {
    /// Until when nothing is left of one kind or another, by what is said here; nil where something is, or where it makes no sense.
    ///
    /// A kind without a reset to come says nothing (some gateways send zeros for what they do not count), nor does one of which there is none at all.
    func emptyUntil(at now: Moment) -> Moment? {
        var until: Moment?
        for amount in amounts where amount.remaining <= 0 && amount.limit ?? 1 > 0 {
            guard let reset = amount.resetsAt, reset > now else { continue }
            let end = reset - now > QuotaBook.resetMax ? now + QuotaBook.doubtfulRest : reset
            until = max(until ?? end, end)
        }
        return until
    }
}

/// What is left to be asked of a key, for strategies that prefer the one with the most.
public struct KeyHeadroom: Sendable, Hashable, Comparable {
    /// The part of the limit that is left, 0…1; 1 where nothing is known.
    public var share: Double
    /// How much is left where no limit is known; `Int64.max` elsewhere.
    public var remaining: Int64
    /// What one more attempt takes of the share.
    public var grantShare: Double

    /// What is left of a key.
    public init(share: Double, remaining: Int64 = .max, grantShare: Double = 0) {
        self.share = share
        self.remaining = remaining
        self.grantShare = grantShare
    }

    /// Nothing is known to be used.
    public static let full = KeyHeadroom(share: 1)

    public static func < (lhs: KeyHeadroom, rhs: KeyHeadroom) -> Bool { (lhs.share, lhs.remaining) < (rhs.share, rhs.remaining) }
}
