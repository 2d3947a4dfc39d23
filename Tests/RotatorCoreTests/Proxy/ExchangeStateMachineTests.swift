// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@Suite("Exchange") struct ExchangeStateMachineTests {
    private typealias Action = ExchangeStateMachine.Action

    private static let refusals: [AttemptOutcome] = [
        .keyRejected(reason: ""), .exhausted(until: nil, reason: ""), .rateLimited(until: nil, reason: ""), .forbidden(reason: ""),
    ]

    private func exchange(_ limit: Int = 3, _ replay: ReplayPolicy = .failed) -> ExchangeStateMachine {
        var exchange = ExchangeStateMachine(attemptLimit: limit, replay: replay)
        #expect(exchange.attemptBegan() == 1)
        return exchange
    }

    @Test func `a usable answer is committed`() {
        var exchange = exchange()
        #expect(exchange.answered(.success, status: 200, isReplayable: true, jitter: 0) == .passOn)
        #expect(exchange.attempts == 1)
        #expect(!exchange.hasRetainedAnswer)
    }

    @Test(arguments: refusals, ReplayPolicy.allCases)
    func `a refusal moves on to the next key at once, whatever may be replayed`(_ refusal: AttemptOutcome, _ replay: ReplayPolicy) {
        var exchange = exchange(3, replay)
        #expect(exchange.answered(refusal, status: 429, isReplayable: true, jitter: 0) == .tryNext(after: .zero))
        #expect(exchange.attemptBegan() == 2)
    }

    @Test func `529 counts as refused, and is followed by a pause`() {
        var exchange = exchange(3, .refused)
        #expect(exchange.answered(.upstreamFailed(reason: ""), status: 529, isReplayable: true, jitter: 0) == .tryNext(after: .milliseconds(25)))
    }

    @Test(arguments: [500, 502, 503, 504])
    func `a received failure is replayed under failed and unknown only`(_ status: Int) {
        for replay in [ReplayPolicy.failed, .unknown] {
            var exchange = exchange(3, replay)
            #expect(exchange.answered(.upstreamFailed(reason: ""), status: status, isReplayable: true, jitter: 0) == .tryNext(after: .milliseconds(25)))
        }
        var exchange = exchange(3, .refused)
        #expect(exchange.answered(.upstreamFailed(reason: ""), status: status, isReplayable: true, jitter: 0) == .passOnLast(isFinal: false))
    }

    @Test(arguments: [(NoAnswer.timedOut, ProxyError.Code.upstreamTimeout), (.cut, .upstreamInvalidResponse), (.invalid, .upstreamInvalidResponse)])
    func `an attempt whose fate is unknown is replayed under unknown only`(_ how: NoAnswer, _ code: ProxyError.Code) {
        var lenient = exchange(3, .unknown)
        #expect(lenient.endedWithoutAnswer(how, isReplayable: true, jitter: 0) == .tryNext(after: .milliseconds(25)))
        for replay in [ReplayPolicy.refused, .failed] {
            var strict = exchange(3, replay)
            #expect(strict.endedWithoutAnswer(how, isReplayable: true, jitter: 0) == .fail(code, isFinal: false))
        }
    }

    @Test(arguments: ReplayPolicy.allCases)
    func `a connection that was never made may always be tried again`(_ replay: ReplayPolicy) {
        var exchange = exchange(2, replay)
        #expect(exchange.endedWithoutAnswer(.notConnected, isReplayable: true, jitter: 0) == .tryNext(after: .milliseconds(25)))
        exchange.attemptBegan()
        #expect(exchange.endedWithoutAnswer(.notConnected, isReplayable: true, jitter: 0) == .fail(.upstreamUnreachable, isFinal: true))
    }

    @Test func `a body that is no longer held gets one attempt`() {
        var refused = exchange()
        #expect(refused.answered(.rateLimited(until: nil, reason: ""), status: 429, isReplayable: false, jitter: 0) == .passOnLast(isFinal: true))
        var unconnected = exchange()
        #expect(unconnected.endedWithoutAnswer(.notConnected, isReplayable: false, jitter: 0) == .fail(.upstreamUnreachable, isFinal: true))
    }

    @Test func `when attempts run out the last answer goes out, even if a connect error followed it`() {
        var exchange = exchange(2)
        _ = exchange.answered(.rateLimited(until: nil, reason: ""), status: 429, isReplayable: true, jitter: 0)
        exchange.attemptBegan()
        #expect(exchange.endedWithoutAnswer(.notConnected, isReplayable: true, jitter: 0) == .passOnLast(isFinal: true))
        #expect(exchange.attempts == 2)
    }

    @Test func `when attempts run out on an answer it goes out as final`() {
        var exchange = exchange(1, .refused)
        #expect(exchange.answered(.upstreamFailed(reason: ""), status: 500, isReplayable: true, jitter: 0) == .passOnLast(isFinal: true))
    }

    @Test func `when keys run out the last answer goes out as final`() {
        var exchange = exchange()
        _ = exchange.answered(.keyRejected(reason: ""), status: 401, isReplayable: true, jitter: 0)
        #expect(exchange.ranOutOfKeys() == .passOnLast(isFinal: true))
    }

    @Test func `when keys run out before any answer the last error decides`() {
        var exchange = exchange(5, .unknown)
        _ = exchange.endedWithoutAnswer(.timedOut, isReplayable: true, jitter: 0)
        exchange.attemptBegan()
        _ = exchange.endedWithoutAnswer(.notConnected, isReplayable: true, jitter: 0)
        #expect(exchange.ranOutOfKeys() == .fail(.upstreamUnreachable, isFinal: true))
    }

    @Test func `a request that never found a key says so`() {
        var exchange = ExchangeStateMachine(attemptLimit: 3, replay: .failed)
        #expect(exchange.ranOutOfKeys() == .fail(.noAvailableKey, isFinal: false))
    }

    @Test func `the time for all attempts together ends the exchange`() {
        var fresh = exchange()
        #expect(fresh.timedOutAltogether() == .fail(.upstreamTimeout, isFinal: true))
        var answered = exchange()
        _ = answered.answered(.rateLimited(until: nil, reason: ""), status: 429, isReplayable: true, jitter: 0)
        answered.attemptBegan()
        #expect(answered.timedOutAltogether() == .passOnLast(isFinal: true))
        var between = exchange()
        _ = between.endedWithoutAnswer(.notConnected, isReplayable: true, jitter: 0)
        #expect(between.timedOutAltogether() == .fail(.upstreamUnreachable, isFinal: true))
    }

    @Test(arguments: [0, 0.5, 0.999_999])
    func `pauses grow with each failure and stay between 25 and 100 ms`(_ jitter: Double) {
        var exchange = ExchangeStateMachine(attemptLimit: 10, replay: .unknown)
        var last = Duration.zero
        for attempt in 1...9 {
            exchange.attemptBegan()
            guard case .tryNext(let pause) = exchange.endedWithoutAnswer(.cut, isReplayable: true, jitter: jitter) else {
                Issue.record("attempt \(attempt) should be followed by another")
                return
            }
            #expect(pause >= max(last, .milliseconds(25)) && pause <= .milliseconds(100))
            last = pause
        }
    }

    @Test func `a limit below one still allows one attempt`() {
        #expect(ExchangeStateMachine(attemptLimit: 0, replay: .failed).attemptLimit == 1)
    }
}
