// SPDX-License-Identifier: MIT

internal import Synchronization

/// Smooth weighted round robin: in each cycle of as many grants as the weights add up to, every key gets exactly its weight, evenly spread.
///
/// A key of weight w has w turns in each cycle; turn i may begin at i/w of the cycle and should be over at (i+1)/w. Among the turns that may
/// begin, the one that should be over first is granted (earliest eligible deadline first), so no key is ever a whole turn ahead of its share.
/// All in integers: a cycle never drifts. Costs O(log K) under its own lock.
public final class Weighted: RotationStrategy {
    private let state: Mutex<State>

    /// Every key at the beginning of its first cycle.
    public init() { state = Mutex(State()) }

    private init(_ present: State) { state = Mutex(present) }

    public func next(among candidates: borrowing Candidates) -> Int? {
        state.withLock { state in state.next(among: candidates) }
    }

    public func copy() -> Weighted { Weighted(state.withLock { $0 }) }

    public func candidateJoined(_ position: Int, weight: Int, inFlight: Int) {
        state.withLock { $0.join(position, weight: max(1, weight)) }
    }

    public func candidateLeft(_ position: Int) {
        state.withLock { $0.leave(position) }
    }

    /// A point in time counted in cycles: a whole number and a fraction below 1.
    private struct Instant: Comparable, Sendable {
        var cycle: Int
        var numerator: Int
        var denominator: Int

        // The products stay below 2^63 up to nine million keys of the greatest weight.
        static func < (lhs: Instant, rhs: Instant) -> Bool {
            lhs.cycle != rhs.cycle ? lhs.cycle < rhs.cycle : lhs.numerator &* rhs.denominator < rhs.numerator &* lhs.denominator
        }

        static func == (lhs: Instant, rhs: Instant) -> Bool { !(lhs < rhs) && !(rhs < lhs) }

        /// The next of the instants that lie 1/denominator apart.
        var next: Instant {
            numerator + 1 == denominator
                ? Instant(cycle: cycle + 1, numerator: 0, denominator: denominator)
                : Instant(cycle: cycle, numerator: numerator + 1, denominator: denominator)
        }
    }

    private struct State: Sendable {
        /// Turns moved from `waiting` to `ready` in one call at most, so that no single grant pays for a whole cycle of a huge pool.
        static let promotionsMax = 64

        /// The present: grants made in this cycle, of as many as the weights add up to.
        var present = Instant(cycle: 0, numerator: 0, denominator: 0)
        /// When each position's next turn may begin; kept when it leaves, so that coming back gives no second turn.
        var turns: [Instant?] = []
        /// Keys whose next turn may not have begun yet, by its beginning.
        var waiting = PositionHeap<Instant>()
        /// Keys whose next turn may be granted, by its deadline.
        var ready = PositionHeap<Instant>()

        mutating func join(_ position: Int, weight: Int) {
            leave(position)
            if position >= turns.count { turns.append(contentsOf: repeatElement(nil, count: position + 1 - turns.count)) }
            // The turn that contains the present, or the one after the last that was granted.
            let passed = Self.scale(present.numerator, by: weight, over: present.denominator)
            var turn = Instant(cycle: present.cycle, numerator: passed, denominator: weight)
            if let last = turns[position], last.denominator == weight, turn < last { turn = last }
            turns[position] = turn
            setTotalWeight(present.denominator + weight)
            waiting.set(position, to: turn)
        }

        mutating func leave(_ position: Int) {
            guard waiting.contains(position) || ready.contains(position), let turn = turns[position] else { return }
            waiting.remove(position)
            ready.remove(position)
            setTotalWeight(present.denominator - turn.denominator)
        }

        mutating func next(among candidates: borrowing Candidates) -> Int? {
            for _ in 0..<Self.promotionsMax {
                guard let first = waiting.first, !(present < first.rank) else { break }
                waiting.remove(first.position)
                ready.set(first.position, to: first.rank.next)
            }
            // Keys that this request has tried keep their turn for the next one.
            var aside: [Int] = []
            defer { for position in aside { if let turn = turns[position] { ready.set(position, to: turn.next) } } }
            while let first = ready.first {
                ready.remove(first.position)
                if candidates.contains(first.position) { return grant(first.position) }
                aside.append(first.position)
            }
            // Nobody's turn has begun but those who are out of the question: the next to come is early.
            var early: [Int] = []
            defer { for position in early { if let turn = turns[position] { waiting.set(position, to: turn) } } }
            while let first = waiting.first {
                waiting.remove(first.position)
                if candidates.contains(first.position) { return grant(first.position) }
                early.append(first.position)
            }
            return nil
        }

        private mutating func grant(_ position: Int) -> Int {
            if let turn = turns[position] {
                turns[position] = turn.next
                waiting.set(position, to: turn.next)
            }
            present = present.next
            return position
        }

        /// The same present under another total weight.
        private mutating func setTotalWeight(_ total: Int) {
            if total == 0 {
                present = Instant(cycle: present.cycle + 1, numerator: 0, denominator: 0)
            } else {
                present.numerator = Self.scale(present.numerator, by: total, over: present.denominator)
                present.denominator = total
            }
        }

        /// value × factor ÷ divisor, rounded down, without overflow in between.
        private static func scale(_ value: Int, by factor: Int, over divisor: Int) -> Int {
            guard divisor > 0 else { return 0 }
            return divisor.dividingFullWidth(value.multipliedFullWidth(by: factor)).quotient
        }
    }
}

extension RotationStrategy where Self == Weighted {
    /// Smooth weighted round robin.
    public static var weighted: Weighted { Weighted() }
}
