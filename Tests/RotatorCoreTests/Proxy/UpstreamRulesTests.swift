// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@Suite("A service's rules") struct UpstreamRulesTests {
    /// Every answer means one thing; which, the document says by its only octet.
    private struct Table: AnswerRules {
        var isGood: Bool
        var document: [UInt8] { [isGood ? 0x31 : 0x30] }

        func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { isGood ? .success : .keyRejected(reason: "table") }
        func decidingRule(for answer: UpstreamAnswer, at now: Moment) -> Int? { 0 }
        func document(of rule: Int) -> [UInt8] { document }
    }

    private struct TableAdapter: Adapter {
        var format: APIFormat { .generic }
        var credential: CredentialPlacement { .bearer }
        var defaultFields: [HeaderField] { [] }
        var readsCredentialFromBody: Bool { false }
        var rules: any AnswerRules { Table(isGood: false) }

        func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts { RequestFacts() }
        func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { rules.outcome(of: answer, at: now) }
        func body(for error: ProxyError) -> ErrorBody { ErrorBody(contentType: "text/plain", octets: []) }
        func rules(from document: [UInt8]) throws(RuleFault) -> any AnswerRules {
            guard document == [0x31] else { throw RuleFault(place: "/0", reason: "is unknown") }
            return Table(isGood: true)
        }
    }

    /// A dialect that decides in code.
    private struct CodeAdapter: Adapter {
        var format: APIFormat { .generic }
        var credential: CredentialPlacement { .bearer }
        var defaultFields: [HeaderField] { [] }
        var readsCredentialFromBody: Bool { false }

        func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts { RequestFacts() }
        func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { .forbidden(reason: "code") }
        func body(for error: ProxyError) -> ErrorBody { ErrorBody(contentType: "text/plain", octets: []) }
    }

    private func upstream(_ adapter: any Adapter, rules: [UInt8]?) -> Upstream {
        var configuration = ServiceConfiguration(name: "One", slug: "one", kind: .generic, apiFormat: .generic, targetURL: "https://upstream.example")
        configuration.rules = rules
        let pool = RotatingKeyPool(service: ServiceID(1), kind: .generic, strategy: .roundRobin, keys: [], seed: 0, at: Moment(seconds: 0))
        return Upstream(record: ServiceRecord(id: ServiceID(1), configuration: configuration), pool: pool, adapter: adapter)
    }

    private func outcome(_ upstream: Upstream) -> AttemptOutcome { upstream.rules.outcome(of: UpstreamAnswer(status: 400), at: Moment(seconds: 0)) }

    @Test func `without rules of its own a service is judged by its dialect's`() {
        let upstream = upstream(TableAdapter(), rules: nil)
        #expect(outcome(upstream) == .keyRejected(reason: "table"))
        #expect(upstream.ruleFault == nil)
    }

    @Test func `rules of its own take the place of the dialect's`() {
        let upstream = upstream(TableAdapter(), rules: [0x31])
        #expect(outcome(upstream) == .success)
        #expect(upstream.ruleFault == nil)
    }

    @Test func `rules that cannot be read give way, and the fault is told`() {
        let upstream = upstream(TableAdapter(), rules: [0x32])
        #expect(outcome(upstream) == .keyRejected(reason: "table"))
        #expect(upstream.ruleFault == RuleFault(place: "/0", reason: "is unknown"))
    }

    @Test func `a dialect that decides in code goes on deciding, and takes no rules`() {
        let plain = upstream(CodeAdapter(), rules: nil)
        #expect(outcome(plain) == .forbidden(reason: "code"))
        #expect(plain.rules.document == Array("[]".utf8))
        #expect(plain.rules.decidingRule(for: UpstreamAnswer(status: 400), at: Moment(seconds: 0)) == nil)
        let replaced = upstream(CodeAdapter(), rules: [0x31])
        #expect(outcome(replaced) == .forbidden(reason: "code"))
        #expect(replaced.ruleFault?.place == "")
    }
}
