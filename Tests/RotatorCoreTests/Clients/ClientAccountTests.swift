// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@Suite("Client account") struct ClientAccountTests {
    private let start = Moment(seconds: 1_795_000_000)

    private func policy(_ change: (inout ClientPolicy) -> Void) -> ClientPolicy {
        var policy = ClientPolicy()
        change(&policy)
        return policy
    }

    @Test func `sixty requests a minute admit sixty in any minute`() {
        var account = ClientAccount(policy { $0.requestsPerMinute = 60 })
        var generator = SystemRandomNumberGenerator()
        var admissions: [Moment] = []
        var now = start
        for _ in 0..<5_000 {
            now = now.advanced(byNanoseconds: Int64.random(in: 1...200_000_000, using: &generator))
            if account.admit(1, by: "a", at: now).admitted == 1 { admissions.append(now) }
        }
        for (index, moment) in admissions.enumerated() {
            let within = admissions[index...].prefix { $0 < moment + .seconds(60) }.count
            #expect(within <= 60)
        }
        let minutes = Double((now - start).wholeNanoseconds) / 60e9
        #expect(Double(admissions.count) >= 60 * minutes.rounded(.down))
    }

    @Test func `a refusal says what was exceeded and when it is worth coming back`() {
        var account = ClientAccount(policy { $0.requestsPerMinute = 2 })
        #expect(account.admit(3, by: "a", at: start).admitted == 2)
        let refusal = account.admit(1, by: "a", at: start + .seconds(10)).refusal
        #expect(refusal == ClientRefusal(.requestsPerMinute, amount: 2, until: start + .seconds(60)))
        #expect(account.admit(1, by: "a", at: start + .seconds(60)).admitted == 1)
    }

    @Test func `tokens are checked before a request and charged after it`() {
        var account = ClientAccount(policy { $0.tokensPerMinute = 100 })
        #expect(account.admit(1, by: "a", at: start).admitted == 1)
        account.charge(250, at: start + .seconds(1))
        #expect(account.admit(1, by: "a", at: start + .seconds(2)).refusal?.limit == .tokensPerMinute)
        #expect(account.admit(1, by: "a", at: start + .seconds(62)).admitted == 1)
    }

    @Test func `a month's budget ends with the month`() {
        // 2026-11-30T23:59:00Z.
        let november = Moment(seconds: 1_796_083_140)
        var account = ClientAccount(policy { $0.monthlyTokenBudget = 1_000 })
        account.charge(1_000, at: november)
        #expect(account.monthTokens(at: november) == 1_000)
        #expect(account.admit(1, by: "a", at: november).refusal == ClientRefusal(.monthlyTokenBudget, amount: 1_000, until: Moment(seconds: 1_796_083_200)))
        #expect(account.admit(1, by: "a", at: november + .seconds(60)).admitted == 1)
        #expect(account.monthTokens(at: november + .seconds(60)) == 0)
    }

    @Test func `requests at the same time are counted over all processes, until one is silent for too long`() {
        var account = ClientAccount(policy { $0.concurrentRequests = 5 })
        #expect(account.admit(3, by: "a", at: start).admitted == 3)
        #expect(account.admit(3, by: "b", at: start).admitted == 2)
        #expect(account.admit(1, by: "b", at: start).refusal?.limit == .concurrentRequests)
        account.hold(1, by: "a", at: start + .seconds(1))
        #expect(account.admit(9, by: "b", at: start + .seconds(1)).admitted == 2)
        account.hold(4, by: "b", at: start + .seconds(10))
        // `a` has not been heard of since.
        #expect(account.admit(9, by: "b", at: start + .seconds(16)).admitted == 1)
    }

    @Test func `an account survives as octets`() throws {
        let policy = policy {
            $0.requestsPerMinute = 10
            $0.tokensPerMinute = 5_000
            $0.concurrentRequests = 4
            $0.monthlyTokenBudget = 10_000
        }
        var account = ClientAccount(policy)
        _ = account.admit(3, by: "a", at: start)
        account.charge(700, at: start + .seconds(2))
        var read = try #require(ClientAccount(octets: account.octets, policy: policy))
        #expect(read.octets == account.octets)
        #expect(read.monthTokens(at: start) == 700)
        #expect(read.lastMinute(at: start + .seconds(3)) == (3, 700))
        #expect(read.admit(9, by: "b", at: start + .seconds(3)).admitted == 1)
    }

    @Test func `octets that are no account are told apart`() {
        let whole = ClientAccount(policy { $0.requestsPerMinute = 10 }).octets
        for length in 0..<whole.count { #expect(ClientAccount(octets: Array(whole.prefix(length)), policy: ClientPolicy()) == nil) }
        #expect(ClientAccount(octets: [9] + whole, policy: ClientPolicy()) == nil)
        #expect(ClientAccount(octets: Array(repeating: 0xFF, count: 64), policy: ClientPolicy()) == nil)
    }

    @Test func `another policy leaves what was used`() {
        var account = ClientAccount(policy { $0.requestsPerMinute = 10 })
        _ = account.admit(8, by: "a", at: start)
        account.adopt(policy { $0.requestsPerMinute = 5 })
        #expect(account.admit(1, by: "a", at: start).admitted == 0)
        account.adopt(policy { $0.requestsPerMinute = 9 })
        #expect(account.admit(5, by: "a", at: start).admitted == 1)
    }
}

@Suite("Client") struct ClientTests {
    private func client(_ change: (inout ClientPolicy) -> Void) -> Client {
        var policy = ClientPolicy()
        change(&policy)
        return Client(
            ClientRecord(id: ClientID(1), name: "one", digest: [1], masked: "rk…", policy: policy, createdAt: Moment(seconds: 1)), meter: nil)
    }

    @Test(arguments: [
        ("gpt-*", "gpt-4o", true), ("gpt-*", "gpt-", true), ("gpt-*", "xgpt-4", false), ("*", "", true), ("*mini", "gpt-4o-mini", true), ("*mini", "gpt-4o-min", false),
        ("a*b*c", "aXXbYYc", true), ("a*b*c", "aXXcYYb", false), ("", "", true), ("", "a", false), ("exact", "exact", true), ("a**b", "ab", true), ("*a*a*a*", "aa", false),
    ])
    func `a star stands for any run of characters`(_ pattern: String, _ text: String, _ fits: Bool) {
        #expect(WildcardPattern(pattern).matches(text) == fits)
    }

    @Test func `a pattern full of stars is judged quickly`() {
        let pattern = String(repeating: "a*", count: 120) + "b"
        #expect(!WildcardPattern(pattern).matches(String(repeating: "a", count: 4_000)))
    }

    @Test func `services and models are allowed by pattern, and everything where there is none`() {
        let free = client { _ in }
        #expect(free.allows(service: "x") && free.allows(model: nil))
        let bound = client {
            $0.services = ["team-*"]
            $0.models = ["gpt-4o", "claude-*"]
        }
        #expect(bound.allows(service: "team-a") && !bound.allows(service: "other"))
        #expect(bound.allows(model: "claude-opus") && !bound.allows(model: "gpt-4o-mini") && !bound.allows(model: nil))
    }

    @Test func `a key is good until it expires or is switched off`() {
        let expiring = client { $0.expiresAt = Moment(seconds: 100) }
        #expect(expiring.isGood(at: Moment(nanoseconds: 99_999_999_999)) && !expiring.isGood(at: Moment(seconds: 100)))
        #expect(!client { $0.isActive = false }.isGood(at: Moment(seconds: 1)))
    }

    @Test func `the directory keeps what a client has used when its policy changes`() throws {
        let directory = ClientDirectory(environment: nil)
        #expect(!directory.isKnown)
        directory.setEnvironment([ClientKey(name: "env", digest: [7])])
        #expect(directory.isKnown && directory.snapshot.clients[[7]]?.meter == nil)
        var record = ClientRecord(id: ClientID(3), name: "made", digest: [9], masked: "", policy: ClientPolicy(), createdAt: Moment(seconds: 1))
        record.policy.requestsPerMinute = 2
        let make: (ClientRecord) -> ClientMeter = { ClientMeter(of: $0.id, account: ClientAccount($0.policy), holder: "me", desk: nil) }
        directory.setMade([record], meter: make)
        let now = Moment(seconds: 1_000)
        let before = try #require(directory.snapshot.clients[[9]]?.meter)
        #expect((0..<3).map { _ in isAdmitted(by: before, at: now) } == [true, true, false])
        record.policy.requestsPerMinute = 3
        let version = directory.version
        directory.setMade([record], meter: make)
        #expect(directory.version > version)
        let after = try #require(directory.snapshot.clients[[9]]?.meter)
        #expect((0..<2).map { _ in isAdmitted(by: after, at: now) } == [true, false])
        directory.setMade([], meter: make)
        #expect(directory.snapshot.clients[[9]] == nil && directory.meters.isEmpty)
    }

    private func isAdmitted(by meter: ClientMeter, at now: Moment) -> Bool {
        if case .admitted = meter.admit(at: now, answer: { _ in }) { true } else { false }
    }
}
