// SPDX-License-Identifier: MIT

import RotatorCore

@testable import RotatorHTTP

let passphrase = "correct horse battery"

/// A seal that costs nothing, always of the same salt.
func cheapSeal(_ text: String = passphrase) throws -> PassphraseSeal {
    let parameters = PassphraseSeal.Parameters(salt: Array(1...16), n: 1_024)
    guard let seal = PassphraseSeal(Secret(text.utf8), parameters) else { throw StoreError(.misconfigured, "scrypt") }
    return seal
}

/// A catalogue in which nothing has its default.
enum FullCatalogue {
    static var service: ServiceConfiguration {
        var made = ServiceConfiguration(name: "Full ü \"quoted\"", slug: "full", kind: .generic, apiFormat: .openAICompatible, targetURL: "http://127.0.0.1:9/base")
        made.outputFormat = .anthropic
        made.method = "POST"
        made.apiKeyLocation = .query
        made.apiKeyName = "token"
        made.apiKeyPrefix = "pre-"
        made.rotationStrategy = .headroom
        made.maxAttempts = 7
        made.maxWaitMilliseconds = 8
        made.replay = .unknown
        made.streamUsage = true
        made.holdStartupMilliseconds = 9
        made.affinityHeader = "x-thread"
        made.extraHeaders = ["X-Org": "canary-header-value", "X-Two": "zwei ü"]
        made.isActive = false
        made.rules = Array(#"[{"status":[418],"verdict":"success"}]"#.utf8)
        return made
    }

    static var attributes: KeyAttributes {
        var made = KeyAttributes()
        made.tags = ["a", "b ü"]
        made.quotaGroup = "org-1"
        made.limits.requestsPerMinute = 1
        made.limits.requestsPerDay = 2
        made.limits.tokensPerMinute = 3
        made.limits.tokensPerDay = 4
        made.limits.concurrentRequests = 5
        return made
    }

    static var key: NewKey { NewKey(secret: Secret("canary-key-full".utf8), name: "k ü", weight: 77, isActive: false, attributes: attributes) }

    static var policy: ClientPolicy {
        var made = ClientPolicy()
        made.services = ["full*"]
        made.models = ["gpt-*", "o3"]
        made.requestsPerMinute = 11
        made.tokensPerMinute = 12
        made.concurrentRequests = 13
        made.monthlyTokenBudget = 14
        made.expiresAt = Moment(seconds: 1_900_000_000)
        made.isActive = false
        return made
    }

    /// A harness whose catalogue has one of everything in full, a plain service with two keys, and no more.
    static func harness() async throws -> AdminHarness {
        let harness = try await emptyHarness()
        let full = try await harness.administration.addService(service, by: "ada")
        _ = try await harness.administration.addKeys([key], to: full.id, by: "ada")
        let plain = try await harness.administration.addService(
            ServiceConfiguration(name: "Plain", slug: "plain", kind: .llm, apiFormat: .anthropicNative, targetURL: "https://api.example.com"), by: "ada")
        _ = try await harness.administration.addKeys(["canary-key-1", "canary-key-2"].map { NewKey(secret: Secret($0.utf8)) }, to: plain.id, by: "ada")
        _ = try await harness.administration.addClient(named: "ci ü", policy, by: "ada")
        return harness
    }

    static func emptyHarness() async throws -> AdminHarness { try await AdminHarness(adapter: { TableAdapter(format: $0) }) }
}

/// An adapter that takes every table of rules, and keeps it as it is.
struct TableAdapter: Adapter {
    struct Table: AnswerRules {
        let document: [UInt8]
        func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { .success }
        func decidingRule(for answer: UpstreamAnswer, at now: Moment) -> Int? { nil }
        func document(of rule: Int) -> [UInt8] { [] }
    }

    let format: APIFormat
    var credential: CredentialPlacement { .bearer }
    var defaultFields: [HeaderField] { [] }
    var readsCredentialFromBody: Bool { false }
    func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts { RequestFacts() }
    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { .success }
    func body(for error: ProxyError) -> ErrorBody { ErrorBody(contentType: "text/plain", octets: []) }
    func rules(from document: [UInt8]) throws(RuleFault) -> any AnswerRules {
        if String(decoding: document, as: UTF8.self).contains("nonsense") { throw RuleFault(place: "/0/verdict", reason: "is unknown") }
        return Table(document: document)
    }
}

extension AdminHarness {
    /// The document of the whole catalogue, sealed at no cost.
    func export(_ seal: PassphraseSeal? = nil, includesKeys: Bool = true) async throws -> [UInt8] {
        try await administration.exportCatalogue(seal: try seal ?? cheapSeal(), includesKeys: includesKeys, by: "ada")
    }

    /// Reads and imports a document.
    @discardableResult
    func take(_ octets: [UInt8], mode: ImportMode = .merge, isDryRun: Bool = false) async throws -> ImportReport {
        let document = try await CatalogueDocument.reading(octets, passphrase: Secret(passphrase.utf8), adapter: administration.adapter)
        return try await administration.importCatalogue(document, mode: mode, isDryRun: isDryRun, by: "ada")
    }

    func take(_ text: String, mode: ImportMode = .merge, isDryRun: Bool = false) async throws -> ImportReport {
        try await take(Array(text.utf8), mode: mode, isDryRun: isDryRun)
    }

    /// A call with a passphrase.
    func transfer(_ method: String, _ target: String, _ body: String = "", passphrase: String?) async -> Answer {
        let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
        var fields: HeaderFields = [HeaderField("Authorization", "Bearer \(token)")]
        if let passphrase { fields.lines.append(HeaderField("x-passphrase", passphrase)) }
        let request = LocalRequest(
            method: method, path: parts[0], query: parts.count > 1 ? parts[1] : nil, fields: fields, body: Array(body.utf8), peerAddress: "127.0.0.1")
        return Answer(response: await api.respond(to: request))
    }

    /// What there is, without numbers and times.
    var content: [String] {
        get throws {
            var lines: [String] = []
            for service in try administration.services() {
                var configuration = service.configuration
                configuration.extraHeaders = [:]
                lines.append("\(configuration) \(service.configuration.extraHeaders.sorted { $0.key < $1.key })")
                let pool = try administration.entry(service.id).pool
                for view in try administration.keys(of: service.id, after: nil, limit: .max) {
                    let value = pool.secret(of: view.id).map { String(decoding: octets(of: $0), as: UTF8.self) } ?? ""
                    lines.append("\(service.configuration.slug) \(value) \(view.name) \(view.weight) \(view.isActive) \(view.attributes)")
                }
            }
            for client in try administration.clients(after: nil, limit: .max) {
                lines.append("\(client.record.name) \(client.record.digest) \(client.record.masked) \(client.record.policy)")
            }
            return lines.sorted()
        }
    }
}

/// A document with these members beside what each has.
func document(_ members: String) -> String { #"{"format":"api-key-rotator/catalogue","version":1,\#(members)}"# }

/// A service of a document written by hand.
func handwritten(_ slug: String, _ more: String = "") -> String {
    #"{"name":"Name","slug":"\#(slug)","config_type":"llm","api_format":"openai_compatible","target_base_url":"https://api.example.com"\#(more.isEmpty ? "" : ",")\#(more)}"#
}
