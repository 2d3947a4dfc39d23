// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("What providers' answers mean") struct RecordedAnswerTests {
    @Test(arguments: RecordedAnswer.all)
    func `a recorded answer has its verdict`(_ recorded: RecordedAnswer) {
        #expect(AdapterRegistry.builtIn[recorded.format].outcome(of: recorded.answer, at: .recorded) == recorded.outcome)
    }

    @Test(arguments: RecordedAnswer.all)
    func `the deciding rule is the one that the verdict comes from`(_ recorded: RecordedAnswer) {
        let table = ProviderRules.builtIn(recorded.format)
        let index = table.decidingRule(for: recorded.answer, at: .recorded)
        #expect(AdapterRegistry.builtIn[recorded.format].rules.decidingRule(for: recorded.answer, at: .recorded) == index)
        guard let index else {
            // Nobody decides: the key has done its work.
            #expect(recorded.outcome == .success)
            return
        }
        let rule = table.rules[index]
        switch (rule.verdict, recorded.outcome) {
        case (.success, .success): break
        case (.rateLimited, .rateLimited(_, let reason, _)), (.exhausted, .exhausted(_, let reason, _)), (.keyRejected, .keyRejected(let reason)),
            (.forbidden, .forbidden(let reason)), (.upstreamFailed, .upstreamFailed(let reason)):
            #expect(rule.reason == reason)
        default: Issue.record("\(rule.verdict) gives \(recorded.outcome)")
        }
    }

    @Test func `every built-in rule decides about a recorded answer`() {
        var idle: Set<ProviderRule> = []
        for format in APIFormat.allCases { idle.formUnion(ProviderRules.builtIn(format).rules) }
        for recorded in RecordedAnswer.all {
            let table = ProviderRules.builtIn(recorded.format)
            if let index = table.decidingRule(for: recorded.answer, at: .recorded) { idle.remove(table.rules[index]) }
        }
        for rule in idle { Issue.record("no recorded answer for \(String(decoding: ProviderRules([rule]).document, as: UTF8.self))") }
    }

    /// One list for each provider, and what may be wrong: key, money, rate, provider, client.
    @Test(arguments: [
        RecordedAnswer.openAI, RecordedAnswer.anthropic, RecordedAnswer.gemini, RecordedAnswer.azure, RecordedAnswer.openRouter, RecordedAnswer.mistral,
        RecordedAnswer.deepSeek, RecordedAnswer.groq, RecordedAnswer.cohere, RecordedAnswer.bedrock,
    ])
    func `every provider has a recorded answer for everything that may be wrong`(_ answers: [RecordedAnswer]) {
        let kinds = Set(
            answers.map { answer in
                switch answer.outcome {
                case .keyRejected: "key"
                case .exhausted: "money"
                case .rateLimited: "rate"
                case .upstreamFailed: "provider"
                case .success: "client"
                case .forbidden: "permission"
                case .abandoned: "nothing"
                }
            })
        #expect(kinds.isSuperset(of: ["key", "money", "rate", "provider", "client"]), "\(answers.first?.title ?? "")")
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
