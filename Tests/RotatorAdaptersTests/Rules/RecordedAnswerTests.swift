// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("What providers' answers mean") struct RecordedAnswerTests {
    @Test(arguments: RecordedAnswer.all)
    func `a recorded answer has its verdict`(_ recorded: RecordedAnswer) {
        #expect(AdapterRegistry.builtIn[recorded.format].outcome(of: recorded.answer, at: .recorded) == recorded.outcome)
    }

    @Test func `each recorded answer has a name of its own`() {
        #expect(Set(RecordedAnswer.all.map(\.title)).count == RecordedAnswer.all.count)
    }

    @Test(arguments: RecordedAnswer.all)
    func `field names are compared without regard to case`(_ recorded: RecordedAnswer) {
        var answer = recorded.answer
        answer.fields.lines = answer.fields.lines.map { HeaderField($0.name.uppercased(), $0.value) }
        #expect(AdapterRegistry.builtIn[recorded.format].outcome(of: answer, at: .recorded) == recorded.outcome)
    }

    // Where the body's words are cut away, the status alone must still decide without a trap.
    @Test(arguments: RecordedAnswer.all)
    func `a body cut at any octet gets a verdict`(_ recorded: RecordedAnswer) {
        let adapter = AdapterRegistry.builtIn[recorded.format]
        let octets = Array(recorded.body.utf8)
        for end in stride(from: 0, through: octets.count, by: 3) {
            let outcome = adapter.outcome(of: UpstreamAnswer(status: recorded.status, fields: recorded.fields, bodyPrefix: Array(octets[..<end])), at: .recorded)
            if outcome == .abandoned { Issue.record("cut at \(end)") }
        }
    }

    @Test(arguments: RecordedAnswer.all)
    func `random damage never traps`(_ recorded: RecordedAnswer) {
        let adapter = AdapterRegistry.builtIn[recorded.format]
        var random = SplitMix(seed: UInt64(recorded.status))
        for _ in 0..<60 {
            var answer = recorded.answer
            answer.bodyPrefix = random.damaged(answer.bodyPrefix)
            answer.fields.lines = answer.fields.lines.map { HeaderField($0.name, String(decoding: random.damaged(Array($0.value.utf8)), as: UTF8.self)) }
            if adapter.outcome(of: answer, at: .recorded) == .abandoned { Issue.record("\(answer)") }
        }
    }
}
