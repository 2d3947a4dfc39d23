// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@Suite("Alerts") struct ConditionWatchTests {
    private let start = Moment(seconds: 1_800_000_000)

    @Test func `what lasts is told once, and again only after it had ended`() {
        var watch = ConditionWatch()
        let told = [true, true, true, false, false, true, true].enumerated().map { index, isStanding in
            watch.looked(isStanding: isStanding, interval: .zero, at: start + .seconds(index))
        }
        #expect(told == [.began, nil, nil, .ended, nil, .began, nil])
    }

    @Test func `what comes again within the interval is told when that is over, if it still lasts`() {
        var watch = ConditionWatch()
        #expect(watch.looked(isStanding: true, interval: .seconds(300), at: start) == .began)
        #expect(watch.looked(isStanding: false, interval: .seconds(300), at: start + .seconds(10)) == .ended)
        #expect(watch.looked(isStanding: true, interval: .seconds(300), at: start + .seconds(20)) == nil)
        #expect(watch.looked(isStanding: true, interval: .seconds(300), at: start + .seconds(299)) == nil)
        #expect(watch.looked(isStanding: true, interval: .seconds(300), at: start + .seconds(300)) == .began)
    }

    @Test func `what comes and goes within the interval is not told, nor that it ended`() {
        var watch = ConditionWatch()
        _ = watch.looked(isStanding: true, interval: .seconds(300), at: start)
        _ = watch.looked(isStanding: false, interval: .seconds(300), at: start + .seconds(1))
        #expect(watch.looked(isStanding: true, interval: .seconds(300), at: start + .seconds(2)) == nil)
        #expect(watch.looked(isStanding: false, interval: .seconds(300), at: start + .seconds(3)) == nil)
        #expect(watch.looked(isStanding: false, interval: .seconds(300), at: start + .seconds(400)) == nil)
    }

    @Test func `a blip of the store is no outage`() {
        var watch = OutageWatch()
        #expect(watch.looked(isReachable: true, at: start) == nil)
        #expect(watch.looked(isReachable: false, at: start + .seconds(1)) == nil)
        #expect(watch.looked(isReachable: false, at: start + .milliseconds(5_999)) == nil)
        #expect(watch.looked(isReachable: true, at: start + .seconds(6)) == nil)
        #expect(watch.looked(isReachable: false, at: start + .seconds(7)) == nil)
        #expect(watch.looked(isReachable: false, at: start + .seconds(11)) == nil)
    }

    @Test func `an outage lasts from its first failure until the store is back`() throws {
        var watch = OutageWatch()
        _ = watch.looked(isReachable: false, at: start)
        let begun = watch.looked(isReachable: false, at: start + .seconds(5))
        #expect(begun?.isDown == true && begun?.since == start)
        let stays = watch.looked(isReachable: false, at: start + .seconds(60))
        #expect(stays?.isDown == true && stays?.since == start)
        let over = watch.looked(isReachable: true, at: start + .seconds(61))
        #expect(over?.isDown == false && over?.since == start)
        #expect(watch.looked(isReachable: true, at: start + .seconds(62)) == nil)
    }
}

@Suite("Key incidents") struct KeyIncidentTests {
    private func standing(_ state: StandingRecord.State, at seconds: Int64, resets: Int64 = 0) -> StandingRecord {
        var standing = StandingRecord()
        standing.state = state
        standing.reason = "reason"
        standing.decidedAt = Moment(seconds: seconds)
        standing.resetCount = resets
        return standing
    }

    @Test(arguments: [StandingRecord.State.invalid, .exhausted])
    func `a key that becomes useless is told once`(_ state: StandingRecord.State) {
        var watch = KeyIncidentWatch()
        #expect(watch.decided(standing(.cooling, at: 1), of: KeyID(1)) == nil)
        #expect(watch.decided(standing(state, at: 2), of: KeyID(1)) == KeyIncident(key: KeyID(1), standing: standing(state, at: 2)))
        #expect(watch.decided(standing(state, at: 3), of: KeyID(1)) == nil)
    }

    @Test func `an exhausted key that becomes invalid is told again`() {
        var watch = KeyIncidentWatch()
        _ = watch.decided(standing(.exhausted, at: 1), of: KeyID(1))
        #expect(watch.decided(standing(.invalid, at: 2), of: KeyID(1))?.standing.state == .invalid)
    }

    @Test func `a key that was of use in between is told again`() {
        var watch = KeyIncidentWatch()
        _ = watch.decided(standing(.exhausted, at: 1), of: KeyID(1))
        #expect(watch.decided(standing(.active, at: 2), of: KeyID(1)) == nil)
        #expect(watch.decided(standing(.exhausted, at: 3), of: KeyID(1)) != nil)
    }

    @Test func `a key that is exhausted again without a success in between is not told again`() {
        var watch = KeyIncidentWatch()
        _ = watch.decided(standing(.exhausted, at: 1), of: KeyID(1))
        var over = standing(.active, at: 2)
        over.exhaustionLevel = 1
        #expect(watch.decided(over, of: KeyID(1)) == nil)
        #expect(watch.decided(standing(.exhausted, at: 3), of: KeyID(1)) == nil)
    }

    @Test func `a key that an administrator cleared in between is told again`() {
        var watch = KeyIncidentWatch()
        _ = watch.decided(standing(.invalid, at: 1), of: KeyID(1))
        #expect(watch.decided(standing(.invalid, at: 2, resets: 1), of: KeyID(1)) != nil)
    }

    @Test func `what another replica decided is not told here`() {
        var watch = KeyIncidentWatch()
        watch.learned(standing(.invalid, at: 1), of: KeyID(1))
        #expect(watch.decided(standing(.invalid, at: 2), of: KeyID(1)) == nil)
    }

    @Test func `an older account of a replica takes nothing back`() {
        var watch = KeyIncidentWatch()
        _ = watch.decided(standing(.invalid, at: 5), of: KeyID(1))
        watch.learned(standing(.active, at: 4), of: KeyID(1))
        #expect(watch.decided(standing(.invalid, at: 6), of: KeyID(1)) == nil)
        watch.learned(standing(.active, at: 7, resets: 1), of: KeyID(1))
        #expect(watch.decided(standing(.invalid, at: 8, resets: 1), of: KeyID(1)) != nil)
    }
}

@Suite("Webhooks") struct WebhookTests {
    private var webhook: Webhook { Webhook(id: WebhookID(1), name: "ops", url: Secret(Array("https://example.com/".utf8)), shape: .generic) }

    @Test func `a new webhook wants everything but tests`() {
        for kind in AlertKind.allCases { #expect(webhook.wants(kind) == (kind != .test)) }
    }

    @Test func `patterns of services count for alerts that are about a service`() {
        var webhook = webhook
        webhook.services = ["open*", "azure"]
        #expect(webhook.wants(.poolLow, of: "openai"))
        #expect(webhook.wants(.keyInvalid, of: "azure"))
        #expect(!webhook.wants(.keyInvalid, of: "azure-2"))
        #expect(webhook.wants(.storeDown))
    }

    @Test func `a webhook that is switched off wants nothing`() {
        var webhook = webhook
        webhook.isActive = false
        for kind in AlertKind.allCases { #expect(!webhook.wants(kind)) }
    }
}
