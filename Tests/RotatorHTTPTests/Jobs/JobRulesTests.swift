// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Job rules") struct JobRulesTests {
    private let start = Moment(seconds: 1_800_000_000)

    @Test func `probes keep to their rate`() {
        var pace = ProbePace(perSecond: 50)
        let turns = (0..<100).map { _ in pace.take(at: start) }
        #expect(turns[0] == start)
        #expect(turns[99] == start + .milliseconds(99 * 20))
    }

    @Test func `who was late catches up with a tenth of a second and no more`() {
        var pace = ProbePace(perSecond: 100)
        _ = pace.take(at: start)
        let later = start + .seconds(10)
        let turns = (0..<20).map { _ in pace.take(at: later) }
        #expect(turns.filter { $0 <= later }.count == 11)
    }

    @Test(arguments: ["sk-proj-Abc123", "sk-ant-api03-xyzXYZ0123456789abcdef", "AIzaSyD-123456789abcdefghijklmnop", "k1", "gsk_abcdefghijklmnopqrstuvwxyz0123"])
    func `a made-up key has the shape of a real one and is another`(_ value: String) {
        var random = SystemRandomNumberGenerator()
        let made = String(decoding: octets(of: Secret(value.utf8).madeUpSibling(using: &random)), as: UTF8.self)
        #expect(made != value)
        #expect(made.utf8.count >= value.utf8.count)
        #expect(made.utf8.allSatisfy { 0x21...0x7E ~= $0 })
        if let dash = value.prefix(16).lastIndex(where: { $0 == "-" || $0 == "_" }) { #expect(made.hasPrefix(value[...dash])) }
        func shape(_ text: some StringProtocol) -> [Int] { text.utf8.map { 0x30...0x39 ~= $0 ? 0 : 0x41...0x5A ~= $0 ? 1 : 0x61...0x7A ~= $0 ? 2 : 3 } }
        #expect(shape(made.prefix(value.count)) == shape(value))
    }

    @Test func `a job reads as it was written`() {
        var record = JobRecord(service: ServiceID(7), createdAt: start, actor: "ada \"the\" admin")
        record.options.ids = [KeyID(3), KeyID(9)]
        record.options.state = .invalid
        record.options.retestOf = 4
        record.options.concurrency = 2
        record.options.ratePerSecond = 9_999
        record.options.applies = false
        record.options.probe = ProbeRequest(method: "POST", path: "/v1/x?y=1", body: Array(#"{"a":"b"}"#.utf8), model: "m")
        record.state = .failed
        record.reason = .cancelled
        record.total = 100
        record.done = 7
        record.counts = [.ok: 5, .rateLimited: 2]
        record.partEnds = [1_000, 2_345]
        record.isProven = true
        record.hasRecognised = true
        record.isProviderAtFault = true
        record.owner = "x"
        record.finishedAt = start + .seconds(5)
        #expect(JobRecord(record.octets) == record)
        #expect(JobRecord(Array(#"{"kind":"lease","owner":"x"}"#.utf8)) == nil)
    }

    @Test func `results read as they were written`() {
        let results = ProbeVerdict.allCases.enumerated().map { ProbeResult(key: Int64($0 + 1), verdict: $1, status: 200 + $0) }
        #expect(JobPart.results(JobPart.octets(results)) == results)
    }

    @Test func `jobs are forgotten after 30 days, and all but the last 100 that have ended`() {
        func job(_ id: Int64, ended: Moment?) -> JobLedger.Job {
            var record = JobRecord(service: ServiceID(1), createdAt: start, actor: "")
            record.state = ended == nil ? .running : .done
            record.finishedAt = ended
            return JobLedger.Job(id: id, revision: 1, record: record)
        }
        let now = start + .seconds(31 * 86_400)
        let old = [job(1, ended: start), job(2, ended: nil), job(3, ended: now)]
        #expect(JobRetention.expired(old, at: now).map(\.id) == [1])
        let many = (1...103).map { job(Int64($0), ended: $0 == 2 ? nil : now) }
        #expect(JobRetention.expired(many, at: now).map(\.id) == [1, 3])
    }

    @Test func `an invalid key is due at its own time, between three and five quarters of the interval`() {
        let schedule = RevalidationSchedule(interval: .seconds(86_400))
        let keys = (1...1_000).map { KeyID(Int64($0)) }
        func due(_ hours: Double) -> Int { keys.count { schedule.isDue($0, decidedAt: start, at: start + .seconds(hours * 3_600)) } }
        #expect(due(17.9) == 0)
        #expect(450...550 ~= due(24))
        #expect(due(30.1) == 1_000)
    }

    @Test func `a key whose probe taught nothing waits for an hour`() {
        var schedule = RevalidationSchedule(interval: .seconds(86_400))
        let later = start + .seconds(40 * 3_600)
        schedule.willTry(KeyID(1), at: later)
        #expect(!schedule.isDue(KeyID(1), decidedAt: start, at: later + .seconds(3_599)))
        #expect(schedule.isDue(KeyID(1), decidedAt: start, at: later + .seconds(3_600)))
    }

    @Test func `whose document does not change for 15 s is silent, whatever its clock says`() {
        var watch = SilenceWatch()
        let looks: [(revision: Int64, seconds: Int)] = [(5, 0), (5, 14), (6, 15), (6, 29), (6, 30)]
        let silent = looks.map { watch.isSilent(1, revision: $0.revision, at: start + .seconds($0.seconds)) }
        #expect(silent == [false, false, false, false, true])
    }

    @Test(arguments: [
        (AttemptOutcome.keyRejected(reason: ""), ProbeProof.proves), (.forbidden(reason: ""), .proves), (.success, .provesNothing),
        (.rateLimited(until: nil, reason: ""), .unclear), (.upstreamFailed(reason: ""), .unclear), (.exhausted(until: nil, reason: ""), .unclear),
    ])
    func `a made-up key shows whether a call proves anything`(_ outcome: AttemptOutcome, _ proof: ProbeProof) {
        #expect(ProbeProof(outcome) == proof)
    }
}
