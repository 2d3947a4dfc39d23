// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization
import Testing

@testable import RotatorHTTP

/// A provider that answers each key as it was told.
final class ProviderDouble: ProbeSender, Sendable {
    struct State {
        /// By key; 0: no answer comes.
        var statuses: [String: Int] = [:]
        /// For keys that nobody told of: a made-up one among them.
        var otherwise = 401
        /// How many probes came, by key, in the order in which keys came first.
        var probes: [String: Int] = [:]
        var order: [String] = []
        /// Probes beyond this number wait until they are given up; nil: none does.
        var holdAfter: Int?
        var models: Set<String> = []
        var running = 0
        var runningMost = 0
    }

    let state = Mutex(State())

    @discardableResult
    func peek<Value: Sendable>(_ body: (inout State) -> Value) -> Value { state.withLock { body(&$0) } }

    func send(_ call: ProbeCall, with secret: Secret) async -> ProbeAnswer {
        let key = String(decoding: octets(of: secret), as: UTF8.self)
        let (status, mustWait) = state.withLock { state in
            if state.probes[key] == nil { state.order.append(key) }
            state.probes[key, default: 0] += 1
            if let model = call.model { state.models.insert(model) }
            state.running += 1
            state.runningMost = max(state.runningMost, state.running)
            return (state.statuses[key] ?? state.otherwise, state.holdAfter.map { state.probes.values.reduce(0, +) > $0 } ?? false)
        }
        defer { state.withLock { $0.running -= 1 } }
        await Task.yield()
        if mustWait {
            while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
            return .cancelled
        }
        return status == 0 ? .failed(reason: "timed_out") : .answered(UpstreamAnswer(status: status))
    }
}

/// Statuses mean what they say.
private struct StatusAdapter: Adapter {
    let format: APIFormat
    var credential: CredentialPlacement { .bearer }
    var defaultFields: [HeaderField] { [] }
    var readsCredentialFromBody: Bool { false }
    func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts { RequestFacts() }
    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome {
        switch answer.status {
        case 401: .keyRejected(reason: "unauthorized")
        case 402: .exhausted(until: nil, reason: "payment_required")
        case 403: .forbidden(reason: "forbidden")
        case 429: .rateLimited(until: now + .seconds(60), reason: "rate_limited")
        case 500...: .upstreamFailed(reason: "server_error")
        default: .success
        }
    }
    func body(for error: ProxyError) -> ErrorBody { ErrorBody(contentType: "text/plain", octets: []) }
    func probe(of target: UpstreamTarget) -> ProbeRequest? { ProbeRequest(path: "/models") }
}

/// One process with jobs, over a store and documents in memory.
struct JobHarness: Sendable {
    let store: CatalogueDouble
    let way: CuttableDocuments
    let provider: ProviderDouble
    let administration: Administration
    let runner: JobRunner
    let api: AdminAPI

    /// A process of its own, or another one beside `other`, over the same store and the same provider.
    init(
        beside other: JobHarness? = nil, isShared: Bool = false, revalidationInterval: Duration? = nil, clock: (@Sendable () -> Moment)? = nil
    ) async throws {
        let system = SystemClock()
        let clock = clock ?? { system.now() }
        store = other?.store ?? CatalogueDouble()
        way = CuttableDocuments(store)
        provider = other?.provider ?? ProviderDouble()
        let logger = LogCapture().logger
        administration = Administration(store: store, catalogue: Catalogue(), adapter: { StatusAdapter(format: $0) }, clock: clock, logger: logger)
        try await administration.load()
        runner = JobRunner(
            administration: administration, documents: way, sender: provider, isShared: isShared, revalidationInterval: revalidationInterval, logger: logger,
            failureBackoff: Backoff(first: .milliseconds(1), limit: .milliseconds(1)))
        api = await AdminAPI(
            administration: administration, jobs: runner, tokenSecret: Array("short".utf8), publicBaseURL: "", version: "1", clock: clock, logger: logger,
            verifyCredentials: { _, _ in true })
    }

    /// A service with a key for each of `statuses`, named `sk-test-0001` and so on, and their ids.
    func makeService(_ statuses: [Int], kind: ServiceKind = .llm) async throws -> (service: ServiceID, keys: [KeyID]) {
        let configuration = ServiceConfiguration(name: "s", slug: "s", kind: kind, apiFormat: .openAICompatible, targetURL: "https://example.com/v1")
        let service = try await administration.addService(configuration, by: "ada").id
        let values = statuses.indices.map { "sk-test-\(10_000 + $0)" }
        provider.peek { state in for (value, status) in zip(values, statuses) { state.statuses[value] = status } }
        let added = try await administration.addKeys(values.map { NewKey(secret: Secret($0.utf8)) }, to: service, by: "ada")
        return (service, added.compactMap { if case .added(let id) = $0 { id } else { nil } })
    }

    func call(_ method: String, _ target: String, _ body: String = "") async throws -> Answer {
        let login = Answer(
            response: await api.respond(to: LocalRequest(method: "POST", path: "/admin/login", body: Array(#"{"username":"ada","password":"x"}"#.utf8))))
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let fields: HeaderFields = [HeaderField("Authorization", "Bearer \(try #require(login.json["access_token"].string))")]
        return Answer(
            response: await api.respond(
                to: LocalRequest(method: method, path: String(parts[0]), query: parts.count > 1 ? String(parts[1]) : nil, fields: fields, body: Array(body.utf8))))
    }

    /// Runs the jobs of this process beside `body`.
    func running<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let runner = runner
            group.addTask { await runner.run() }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    /// The job, once it has ended.
    func ended(_ id: Int64) async throws -> JobRecord {
        for _ in 0..<3_000 {
            let record = try await runner.job(id).record
            if record.state != .running { return record }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw StoreError(.unavailable, "the job does not end")
    }

    func state(of key: KeyID) throws -> KeyState { try administration.key(key).state }
}

/// Waits for something that another task does.
func eventually(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<2_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("it did not come about")
}
