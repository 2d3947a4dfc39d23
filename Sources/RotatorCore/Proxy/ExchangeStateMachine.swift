// SPDX-License-Identifier: MIT

/// The life of one client request across all its attempts: says after each what comes next. Decides only; the driver acts.
///
/// The driver calls ``attemptBegan()`` when it has a key, then one of ``answered(_:status:isReplayable:jitter:)`` and
/// ``endedWithoutAnswer(_:isReplayable:jitter:)``, and begins again where it is told ``Action/tryNext(after:)``. Before it asks about an answer it
/// retains it (status, fields and body) in place of the former one, unless the outcome is a success.
public struct ExchangeStateMachine: Sendable {
    /// What to do next.
    public enum Action: Sendable, Hashable {
        /// Commit this answer: its head goes to the client now. No further attempt, ever.
        case passOn
        /// Wait so long, then begin another attempt with a key that this request has not tried.
        case tryNext(after: Duration)
        /// Forward the retained answer, the last that came. `isFinal`: with `x-should-retry: false`.
        case passOnLast(isFinal: Bool)
        /// Answer with an error of our own, since none ever came from upstream. `isFinal`: with `x-should-retry: false`.
        case fail(ProxyError.Code, isFinal: Bool)
    }

    private enum State: Sendable, Hashable {
        /// No attempt is under way, another may begin. Moves to `attempting`, or to `finished` when keys or time run out.
        case ready
        /// An attempt is under way and no octet has gone to the client. Moves back to `ready`, or to `finished`.
        case attempting
        /// The client is being answered. Stays.
        case finished
    }

    /// What must be allowed before an attempt that ended so may be followed by another.
    private enum ReplayClass: Sendable {
        /// Nothing was sent.
        case unsent
        /// The upstream refused to process the request.
        case refused
        /// The upstream says that it failed.
        case failed
        /// What the upstream did with the request is unknown.
        case unknown
    }

    /// Attempts that may be begun.
    public let attemptLimit: Int
    /// What may be sent again.
    public let replay: ReplayPolicy
    /// Attempts begun.
    public private(set) var attempts = 0
    /// Whether the driver retains an answer from upstream.
    public private(set) var hasRetainedAnswer = false
    private var state = State.ready
    private var failureCount = 0
    private var lastWithoutAnswer: NoAnswer?

    /// The shortest pause after the first failure by the provider's or the network's fault; it doubles once.
    public static let pauseMin = Duration.milliseconds(25)
    /// The longest pause between two attempts.
    public static let pauseMax = Duration.milliseconds(100)

    /// A request that has not been tried. Limits below 1 count as 1.
    public init(attemptLimit: Int, replay: ReplayPolicy) {
        self.attemptLimit = max(1, attemptLimit)
        self.replay = replay
    }

    /// A key has been granted and an attempt begins. Returns its number, from 1.
    @discardableResult
    public mutating func attemptBegan() -> Int {
        precondition(state == .ready && attempts < attemptLimit, "an attempt begins where the last action was to try the next key")
        state = .attempting
        attempts += 1
        return attempts
    }

    /// The head of an answer has come, and as much of its body as is needed to judge it.
    ///
    /// - Parameters:
    ///   - outcome: what it means for the key. Every answer but a success must have been retained.
    ///   - status: its status code.
    ///   - isReplayable: whether the request's body is still held from octet 0.
    ///   - jitter: a random number, 0 ..< 1.
    public mutating func answered(_ outcome: AttemptOutcome, status: Int, isReplayable: Bool, jitter: Double) -> Action {
        precondition(state == .attempting, "an answer belongs to an attempt")
        switch outcome {
        case .success:
            state = .finished
            return .passOn
        case .rateLimited, .exhausted, .keyRejected, .forbidden:
            hasRetainedAnswer = true
            return ended(.refused, pause: .zero, isReplayable: isReplayable)
        case .upstreamFailed:
            hasRetainedAnswer = true
            return ended(status == 529 ? .refused : .failed, pause: nextPause(jitter: jitter), isReplayable: isReplayable)
        case .abandoned:
            hasRetainedAnswer = true
            state = .finished
            return .passOnLast(isFinal: false)
        }
    }

    /// The attempt ended before the head of an answer was whole.
    ///
    /// - Parameters:
    ///   - how: in which way.
    ///   - isReplayable: whether the request's body is still held from octet 0. Needed even when no connection was made: what is gone cannot be sent.
    ///   - jitter: a random number, 0 ..< 1.
    public mutating func endedWithoutAnswer(_ how: NoAnswer, isReplayable: Bool, jitter: Double) -> Action {
        precondition(state == .attempting, "only an attempt ends without an answer")
        lastWithoutAnswer = how
        return ended(how == .notConnected ? .unsent : .unknown, pause: nextPause(jitter: jitter), isReplayable: isReplayable)
    }

    /// No key that this request has not tried may be used now.
    public mutating func ranOutOfKeys() -> Action {
        precondition(state == .ready, "keys run out between attempts")
        return finish(isFinal: attempts > 0)
    }

    /// The time for all attempts together is over, during one or between two.
    public mutating func timedOutAltogether() -> Action {
        precondition(state != .finished, "an exchange ends once")
        if state == .attempting || attempts == 0 { lastWithoutAnswer = .timedOut }
        return finish(isFinal: true)
    }

    private mutating func ended(_ kind: ReplayClass, pause: Duration, isReplayable: Bool) -> Action {
        if attempts >= attemptLimit || !isReplayable { return finish(isFinal: true) }
        let isAllowed =
            switch kind {
            case .unsent, .refused: true
            case .failed: replay != .refused
            case .unknown: replay == .unknown
            }
        // Ended by `replay` alone: the client may know better whether to try again.
        if !isAllowed { return finish(isFinal: false) }
        state = .ready
        return .tryNext(after: pause)
    }

    private mutating func finish(isFinal: Bool) -> Action {
        state = .finished
        if hasRetainedAnswer { return .passOnLast(isFinal: isFinal) }
        let code: ProxyError.Code =
            switch lastWithoutAnswer {
            case .notConnected: .upstreamUnreachable
            case .timedOut: .upstreamTimeout
            case .cut, .invalid: .upstreamInvalidResponse
            case nil: .noAvailableKey
            }
        return .fail(code, isFinal: isFinal)
    }

    /// 25–50 ms after the first failure, 50–100 ms after any other.
    private mutating func nextPause(jitter: Double) -> Duration {
        failureCount += 1
        let least = failureCount == 1 ? Self.pauseMin : Self.pauseMin * 2
        return min(Self.pauseMax, least + least * min(max(jitter, 0), 1))
    }
}
