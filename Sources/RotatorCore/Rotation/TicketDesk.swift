// SPDX-License-Identifier: MIT

internal import Synchronization

/// Where a pool whose rotation is shared by several replicas gets its stretches of turns from.
///
/// A stretch is a block of tickets that was leased ahead, or, when none is at hand, a local one: no request ever waits. A local stretch is one whole
/// round over the fit keys, so the replica stays exact by itself and takes no key's share away from it. One block is kept ahead; whoever begins a
/// stretch asks for the next one.
///
/// Lock order: the family's lock, then this one. Nothing is called while it is held.
public final class TicketDesk: Sendable {
    private struct State: Sendable {
        /// The block that was leased ahead.
        var ahead: TicketLease?
        /// A block has been asked for and has not come.
        var isAsked = false
        /// Turns of all stretches that have begun.
        var turnsBegun: Int64 = 0
        /// How many keys were fit when the last stretch began.
        var fitCount = 0
        var ask: (@Sendable (TicketDesk) -> Void)?
    }

    /// A local stretch over more keys than this is cut: a replica comes back to the shared order before it has gone round a huge pool.
    static let localTurnsMax = 1024

    private let state = Mutex(State())

    /// Begins to share. `ask` is called when a block is wanted, on any thread, perhaps under the pool's lock: it must not call the pool.
    func open(fitCount: Int, ask: @escaping @Sendable (TicketDesk) -> Void) {
        state.withLock { state in
            state.ask = ask
            state.isAsked = true
            state.fitCount = fitCount
        }
        ask(self)
    }

    /// Begins the next stretch unless another thread has; `fit` holds the keys among which it goes.
    func beginStretch(of cursor: RotationCursor, among fit: PositionSet) {
        let ask: (@Sendable (TicketDesk) -> Void)? = state.withLock { state in
            let fitCount = fit.count
            guard cursor.isAtEnd, fitCount > 0 else { return nil }
            state.fitCount = fitCount
            if let block = state.ahead {
                state.ahead = nil
                // Ticket n is the turn of the n-th key on the circle of those that are fit.
                let first = fit.select(Int(block.first % Int64(fitCount)))
                cursor.beginStretch(of: block.count, after: first.map { $0 - 1 })
                state.turnsBegun += Int64(block.count)
            } else {
                let turns = min(fitCount, Self.localTurnsMax)
                cursor.beginStretch(of: turns, after: nil)
                state.turnsBegun += Int64(turns)
            }
            guard !state.isAsked else { return nil }
            state.isAsked = true
            return state.ask
        }
        ask?(self)
    }

    /// How many turns have begun so far, and over how many keys the last of them went: what ``TicketPacing`` wants to know.
    public var consumption: (turns: Int64, fitCount: Int) { state.withLock { ($0.turnsBegun, $0.fitCount) } }

    /// Hands over the block that was asked for; nil: it cannot be had, and the next stretch asks again.
    public func supply(_ block: TicketLease?) {
        state.withLock { state in
            state.isAsked = false
            if let block, block.count > 0 { state.ahead = block }
        }
    }
}

/// How many tickets to lease at once: decides in a value, for one pool.
///
/// One at low rates, where the order over all replicas is then as strict as on one; at higher rates as many as are used within ``blockTime``,
/// in whole rounds over the fit keys, so that what a replica holds back takes no key's share away.
public struct TicketPacing: Sendable {
    /// Below this rate, in tickets a second, one ticket is leased at a time.
    public static let strictRateMax = 500.0
    /// The largest block.
    public static let blockMax = 2_048
    /// For how long a block is to last.
    public static let blockTime = Duration.milliseconds(50)

    private static let window = Duration.milliseconds(50)
    private static let burst: Int64 = 64

    private var rate = 0.0
    private var windowBegan: (turns: Int64, at: Moment)?

    /// Nothing known yet: one ticket.
    public init() {}

    /// The size of the next block.
    ///
    /// - Parameters:
    ///   - turns: how many turns have begun since the pool was shared.
    ///   - fitCount: over how many keys they go.
    public mutating func blockSize(turns: Int64, fitCount: Int, at now: Moment) -> Int {
        if let began = windowBegan {
            let elapsed = now - began.at
            let used = turns - began.turns
            // A burst is believed before the window is over.
            if elapsed >= Self.window || used >= Self.burst {
                rate = Double(used) / max(0.000_1, Double(elapsed.wholeNanoseconds) / 1e9)
                windowBegan = (turns, now)
            }
        } else {
            windowBegan = (turns, now)
        }
        guard rate >= Self.strictRateMax else { return 1 }
        let wanted = min(Self.blockMax, max(1, Int(rate * Double(Self.blockTime.wholeNanoseconds) / 1e9)))
        guard (1...Self.blockMax).contains(fitCount) else { return wanted }
        return max(1, wanted / fitCount) * fitCount
    }
}
