// SPDX-License-Identifier: MIT

/// Rests a key whose attempts keep failing by the provider's fault. Closed = flowing, open = refusing, half-open = one trial.
public struct CircuitBreaker: Sendable, Hashable {
    /// Where the circuit stands.
    public enum State: Sendable, Hashable {
        /// Flowing, after `failures` failures in a row. Moves to `open` at ``CircuitBreaker/failureLimit``.
        case closed(failures: Int)
        /// Refusing until then. Moves to `halfOpen` when the time has come.
        case open(until: Moment)
        /// Admits one trial. Moves to `trying` when it is granted.
        case halfOpen
        /// The trial runs; nothing else is admitted. Moves to `closed`, `open` or, when it is abandoned, back to `halfOpen`.
        case trying(since: Moment)
    }

    /// Failures in a row that open the circuit.
    public static let failureLimit = 3

    /// Where the circuit stands.
    public private(set) var state: State
    /// How often in a row it has opened.
    public private(set) var level: Int
    /// When it last opened or was reset: attempts granted up to then tell nothing new.
    public private(set) var began: Moment = .distantPast

    /// A circuit as it was last written down, or a closed one.
    public init(failures: Int = 0, level: Int = 0, until: Moment? = nil) {
        self.state = until.map { .open(until: $0) } ?? .closed(failures: failures)
        self.level = level
    }

    /// Whether it admits an attempt.
    public var isFlowing: Bool {
        switch state {
        case .closed, .halfOpen: true
        case .open, .trying: false
        }
    }

    /// Whether the next attempt is the trial.
    public var awaitsTrial: Bool { state == .halfOpen }

    /// Whether a success would change anything.
    public var isAtRest: Bool { state == .closed(failures: 0) && level == 0 }

    /// Failures in a row, as they are written down.
    public var failures: Int {
        switch state {
        case .closed(let failures): failures
        case .open, .halfOpen, .trying: Self.failureLimit
        }
    }

    /// When the open circuit admits a trial; nil when it is not open.
    public var openUntil: Moment? {
        if case .open(let until) = state { return until }
        return nil
    }

    /// Time has passed.
    public mutating func timePassed(at now: Moment) {
        if case .open(let until) = state, until <= now { state = .halfOpen }
    }

    /// The trial has been granted.
    public mutating func trialBegan(at now: Moment) {
        if state == .halfOpen { state = .trying(since: now) }
    }

    /// An attempt failed by the provider's fault.
    public mutating func failed(grantedAt: Moment, began moment: Moment, at now: Moment) {
        guard grantedAt > began else { return }
        switch state {
        case .closed(let failures):
            if failures + 1 < Self.failureLimit {
                state = .closed(failures: failures + 1)
            } else {
                open(began: moment, at: now)
            }
        case .trying(let since):
            // Only the trial itself says anything; what was granted before it opened has been dealt with above.
            if grantedAt >= since { open(began: moment, at: now) }
        case .open, .halfOpen:
            break
        }
    }

    /// An attempt was answered in order: the provider's side works.
    public mutating func answered(grantedAt: Moment) {
        guard grantedAt > began else { return }
        switch state {
        case .closed, .trying:
            state = .closed(failures: 0)
            level = 0
        case .open, .halfOpen:
            break
        }
    }

    /// An attempt ended without teaching anything: another trial is allowed.
    public mutating func abandoned(grantedAt: Moment) {
        if case .trying(let since) = state, grantedAt >= since { state = .halfOpen }
    }

    /// Closes; attempts granted up to `moment` are old news.
    public mutating func reset(at moment: Moment) {
        state = .closed(failures: 0)
        level = 0
        began = moment
    }

    private mutating func open(began moment: Moment, at now: Moment) {
        level += 1
        began = moment
        state = .open(until: now + Backoff.circuit.delay(level: level))
    }
}
