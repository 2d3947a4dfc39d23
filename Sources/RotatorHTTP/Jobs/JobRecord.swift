// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What an administrator asks of a validation.
struct ValidationOptions: Sendable, Hashable {
    /// Only these keys, in the order of their ids; nil: all.
    var ids: [KeyID]?
    /// Only keys that are in this state when their turn comes; nil: whatever their state.
    var state: KeyState?
    /// Only keys that this earlier job did not find good.
    var retestOf: Int64?
    /// Probes under way at the same time.
    var concurrency = 16
    /// Probes begun in a second.
    var ratePerSecond = 50
    /// The call in place of the dialect's own.
    var probe: ProbeRequest?
    /// Whether what is learned counts for the keys' standing.
    var applies = true

    static let concurrencies = 1...256
    static let rates = 1...10_000
    static let idsMax = 10_000
    static let probeBodyOctetsMax = 65_536
}

/// A job as it is written down: what it does, who is at it, and how far it has come.
struct JobRecord: Sendable, Hashable {
    enum State: String, Sendable, Hashable { case running, done, failed }

    /// Why a job ended without having done its work, in a stable word.
    enum Reason: String, Sendable, Hashable, CaseIterable {
        /// An administrator ended it.
        case cancelled
        /// The provider answers a made-up key like a good one.
        case probeProvesNothing = "probe_proves_nothing"
        /// The provider, or the way to it, failed again and again.
        case upstreamFailed = "upstream_failed"
        /// The service is gone, or no call is known that could tell anything of a key.
        case serviceChanged = "service_changed"
    }

    var service: ServiceID
    var options = ValidationOptions()
    var state = State.running
    var reason: Reason?
    /// Keys that are to be looked at, as far as that is known; at the end as many as were.
    var total = 0
    /// Keys that are finished, those of the part under way included.
    var done = 0
    /// Keys by verdict.
    var counts: [ProbeVerdict: Int] = [:]
    /// The last key of each part that is written, in order.
    var partEnds: [Int64] = []
    /// Whether a made-up key has been refused.
    var isProven = false
    /// Whether the provider has accepted any key: until then a rejection may be the provider's own fault, and makes no key invalid.
    var hasRecognised = false
    /// Whether keys stayed as they were because the provider rejected every key of the service.
    var isProviderAtFault = false
    /// The replica that is at it; empty: none.
    var owner = ""
    var createdAt: Moment
    var finishedAt: Moment?
    /// Who asked for it.
    var actor: String

    /// The last key of the last part that is written.
    var cursor: Int64 { partEnds.last ?? 0 }

    /// The name under which at most one running job of a service can stand.
    static func runningName(of service: ServiceID) -> String { "validate \(service)" }
    /// The name of a job that has ended.
    static func endedName(_ id: Int64) -> String { "ended \(id)" }
    /// The name of a part.
    static func partName(_ number: Int, of id: Int64) -> String { "\(id) \(number)" }
}

/// What one job found out about one key.
struct ProbeResult: Sendable, Hashable {
    var key: Int64
    var verdict: ProbeVerdict
    /// The HTTP status; 0: no answer came.
    var status: Int
}

// MARK: As JSON

extension JobRecord {
    /// Reads what ``octets`` wrote; nil where that is something else.
    init?(_ octets: [UInt8]) {
        guard let value = try? JSONParser.parse(octets), value.member("kind")?.text == "validate", let service = value.member("service")?.wholeNumber,
            let state = value.member("state")?.text.flatMap(State.init), let created = value.member("created")?.wholeNumber
        else { return nil }
        self.init(service: ServiceID(Int64(service)), createdAt: Moment(milliseconds: Int64(created)), actor: value.member("actor")?.text ?? "")
        self.state = state
        reason = value.member("reason")?.text.flatMap(Reason.init)
        total = value.member("total")?.wholeNumber ?? 0
        done = value.member("done")?.wholeNumber ?? 0
        for verdict in ProbeVerdict.allCases {
            if let count = value.member("counts")?.member(verdict.rawValue)?.wholeNumber { counts[verdict] = count }
        }
        partEnds = (value.member("parts")?.elements ?? []).compactMap { $0.wholeNumber.map(Int64.init) }
        isProven = value.member("proven")?.truth ?? false
        hasRecognised = value.member("recognised")?.truth ?? false
        isProviderAtFault = value.member("provider_at_fault")?.truth ?? false
        owner = value.member("owner")?.text ?? ""
        finishedAt = value.member("finished")?.wholeNumber.map { Moment(milliseconds: Int64($0)) }
        if let options = value.member("options") { self.options = ValidationOptions(options) }
    }

    /// The document.
    var octets: [UInt8] {
        var json = JSONWriter()
        json.openObject()
        json.member("kind", "validate")
        json.member("service", service.rawValue)
        json.member("state", state.rawValue)
        json.member("reason", reason?.rawValue)
        json.member("total", total)
        json.member("done", done)
        json.name("counts")
        json.openObject()
        for verdict in ProbeVerdict.allCases { if let count = counts[verdict] { json.name(verdict.rawValue); json.write(count) } }
        json.closeObject()
        json.name("parts")
        json.openArray()
        for end in partEnds { json.write(end) }
        json.closeArray()
        json.member("proven", isProven)
        json.member("recognised", hasRecognised)
        json.member("provider_at_fault", isProviderAtFault)
        json.member("owner", owner)
        json.member("actor", actor)
        json.member("created", createdAt.milliseconds)
        json.member("finished", finishedAt?.milliseconds)
        json.name("options")
        options.write(to: &json)
        json.closeObject()
        return json.octets
    }
}

extension ValidationOptions {
    fileprivate init(_ value: JSONValue) {
        ids = value.member("ids")?.elements?.compactMap { $0.wholeNumber.map { KeyID(Int64($0)) } }
        state = value.member("state")?.text.flatMap(KeyState.init)
        retestOf = value.member("retest_of")?.wholeNumber.map(Int64.init)
        concurrency = value.member("concurrency")?.wholeNumber ?? concurrency
        ratePerSecond = value.member("rate")?.wholeNumber ?? ratePerSecond
        applies = value.member("apply")?.truth ?? true
        if let probe = value.member("probe"), let method = probe.member("method")?.text, let path = probe.member("path")?.text {
            self.probe = ProbeRequest(method: method, path: path, body: Array((probe.member("body")?.text ?? "").utf8), model: probe.member("model")?.text)
        }
    }

    fileprivate func write(to json: inout JSONWriter) {
        json.openObject()
        if let ids {
            json.name("ids")
            json.openArray()
            for id in ids { json.write(id.rawValue) }
            json.closeArray()
        }
        json.member("state", state?.rawValue)
        json.member("retest_of", retestOf)
        json.member("concurrency", concurrency)
        json.member("rate", ratePerSecond)
        json.member("apply", applies)
        if let probe {
            json.name("probe")
            json.openObject()
            json.member("method", probe.method)
            json.member("path", probe.path)
            json.member("body", String(decoding: probe.body, as: UTF8.self))
            json.member("model", probe.model)
            json.closeObject()
        }
        json.closeObject()
    }
}

/// A run of a job's results as it is written down: `[[key, verdict, status], …]`.
enum JobPart {
    static let keysMax = 1_000

    static func octets(_ results: [ProbeResult]) -> [UInt8] {
        var json = JSONWriter()
        json.openArray()
        for result in results {
            json.openArray()
            json.write(result.key)
            json.write(result.verdict.rawValue)
            json.write(result.status)
            json.closeArray()
        }
        json.closeArray()
        return json.octets
    }

    static func results(_ octets: [UInt8]) -> [ProbeResult] {
        let rows = (try? JSONParser.parse(octets))?.elements ?? []
        return rows.compactMap { row in
            guard let cells = row.elements, cells.count == 3, let key = cells[0].wholeNumber, let verdict = cells[1].text.flatMap(ProbeVerdict.init),
                let status = cells[2].wholeNumber
            else { return nil }
            return ProbeResult(key: Int64(key), verdict: verdict, status: status)
        }
    }
}

extension JSONValue {
    /// The member of an object; nil where there is none.
    func member(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }
    fileprivate var wholeNumber: Int? { if case .number(let number) = self { number } else { nil } }
    fileprivate var truth: Bool? { if case .bool(let truth) = self { truth } else { nil } }
    fileprivate var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
}
