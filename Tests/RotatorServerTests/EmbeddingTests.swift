// SPDX-License-Identifier: MIT

import Foundation
import Logging
import RotatorAdapters
import RotatorCore
import RotatorHTTP
import RotatorStore
import Testing

@testable import rotator_server

// The README shows what stands between the marks, and a test holds that it does.

// README: write an adapter
/// Groq's dialect: OpenAI's, but 498 says that its servers are full, which is no fault of the key.
struct GroqAdapter: Adapter {
    private let openAI = OpenAIAdapter()

    var format: APIFormat { openAI.format }
    var credential: CredentialPlacement { openAI.credential }
    var defaultFields: [HeaderField] { openAI.defaultFields }
    var readsCredentialFromBody: Bool { openAI.readsCredentialFromBody }

    func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts {
        openAI.facts(path: path, contentType: contentType, body: body)
    }

    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome {
        if answer.status == 498 { return .upstreamFailed(reason: "capacity_exceeded") }
        return openAI.outcome(of: answer, at: now)
    }

    func body(for error: ProxyError) -> ErrorBody { openAI.body(for: error) }
}

let adapters = AdapterRegistry(replacing: [GroqAdapter()])
// README: end

// README: embed
/// Serves one LLM service from memory, on a free port.
func startProxy(providerKeys: [String], proxyKey: String, logger: Logger) async throws -> HTTPServer {
    let clock = SystemClock()
    let catalogue = Catalogue()
    let adapters = AdapterRegistry.builtIn
    let store = MemoryStore()

    let administration = Administration(
        store: store, catalogue: catalogue, adapter: { adapters[$0] }, clock: { clock.now() }, logger: logger
    )
    try await administration.load()
    let service = try await administration.addService(
        ServiceConfiguration(name: "OpenAI", slug: "openai", kind: .llm, apiFormat: .openAICompatible, targetURL: "https://api.openai.com/v1"),
        by: "me"
    )
    _ = try await administration.addKeys(providerKeys.map { NewKey(secret: Secret($0.utf8)) }, to: service.id, by: "me")

    var settings = ProxySettings()
    settings.port = 0
    settings.clientKeys = [ClientKey(name: "me", digest: KeyDigest.sha256(of: Secret(proxyKey.utf8)))]
    let server = try HTTPServer(
        settings: settings, catalogue: catalogue,
        adapters: AdapterSource(adapter: { adapters[$0] }, adapterForUnknownService: adapters.unknownServiceLookup),
        operations: OperationsSource(missing: { [] }, isStoreUp: { store.isReachable }, keyCounts: { [] }),
        localHandler: NothingElse(), clock: clock, logger: logger
    )
    server.catalogueLoaded()
    return server
}

/// Answers what is not proxied.
struct NothingElse: LocalHandler {
    func respond(to request: LocalRequest) async -> LocalResponse { LocalResponse(status: 404) }
}
// README: end

@Suite("Embedding") struct EmbeddingTests {
    @Test func `the README's proxy starts, is ready and ends`() async throws {
        let server = try await startProxy(providerKeys: ["sk-1", "sk-2"], proxyKey: "mine", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        // The small client blocks: it gets a thread of its own.
        let outcome = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Result { try Healthcheck(host: "127.0.0.1", port: server.port).run() }) }
        }
        try outcome.get()
        await server.shutDown(grace: .zero)
    }

    @Test func `the README's adapter judges its own status and leaves the rest alone`() {
        let now = Moment(seconds: 1)
        #expect(adapters[.openAICompatible].outcome(of: UpstreamAnswer(status: 498), at: now) == .upstreamFailed(reason: "capacity_exceeded"))
        #expect(adapters[.openAICompatible].outcome(of: UpstreamAnswer(status: 404), at: now) == .success)
    }

    @Test(arguments: ["write an adapter", "embed"])
    func `the README shows the code that is tested here`(_ mark: String) throws {
        let source = try String(contentsOfFile: #filePath, encoding: .utf8)
        let begin = try #require(source.range(of: "// README: \(mark)\n"))
        let end = try #require(source.range(of: "// README: end\n", range: begin.upperBound..<source.endIndex))
        let readme = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "README.md")
        #expect(try String(contentsOf: readme, encoding: .utf8).contains(source[begin.upperBound..<end.lowerBound]))
    }
}
