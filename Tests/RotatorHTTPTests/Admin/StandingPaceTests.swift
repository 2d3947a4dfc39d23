// SPDX-License-Identifier: MIT

import Testing

@testable import RotatorHTTP

@Suite("When standings are written") struct StandingPaceTests {
    @Test func `counts are written four times a second`() {
        var pace = StandingPace()
        for _ in 0..<3 {
            var waited = pace.pause
            while !pace.isDue(hasDecision: false) { waited += pace.pause }
            #expect(waited == .milliseconds(250))
            pace.hasEnded(isWritten: true)
        }
    }

    @Test func `a decision is written within 50 ms`() {
        var pace = StandingPace()
        for _ in 0..<3 {
            #expect(pace.pause == .milliseconds(50))
            let isDue = pace.isDue(hasDecision: true)
            #expect(isDue)
            pace.hasEnded(isWritten: true)
        }
    }

    @Test func `what could not be written is tried again after each pause, which is two seconds at most`() {
        var pace = StandingPace()
        var pauses: [Duration] = []
        for _ in 0..<8 {
            pace.hasEnded(isWritten: false)
            pauses.append(pace.pause)
            let isDue = pace.isDue(hasDecision: false)
            #expect(isDue)
        }
        #expect(pauses == [100, 200, 400, 800, 1600, 2000, 2000, 2000].map { .milliseconds($0) })
        pace.hasEnded(isWritten: true)
        #expect(pace.pause == .milliseconds(50))
        let isDue = pace.isDue(hasDecision: false)
        #expect(!isDue)
    }
}
