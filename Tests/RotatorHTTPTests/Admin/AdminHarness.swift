// SPDX-License-Identifier: MIT

import Logging
import RotatorCore
import Synchronization

@testable import RotatorHTTP

/// An admin API over a store in memory, with a clock that a test moves.
struct AdminHarness {
    let store: CatalogueDouble
    let clock = TestClock()
    let log = LogCapture()
    let catalogue = Catalogue()
    let administration: Administration
    let history = HistoryDouble()
    let recorder: TrafficRecorder
    let api: AdminAPI
    var token = ""

    /// An API over a store of its own, or over that of `restarting`, as after a restart of the process.
    init(
        loaded: Bool = true, restarting: AdminHarness? = nil, tokenSecret: String = "short",
        adapter: @escaping @Sendable (APIFormat) -> any Adapter = { PlainAdapter(format: $0) }
    ) async throws {
        store = restarting?.store ?? CatalogueDouble()
        let clock = self.clock
        let logger = log.logger
        administration = Administration(
            store: store, catalogue: catalogue, adapter: adapter, clock: { clock.now }, logger: logger)
        if loaded { try await administration.load() }
        recorder = .of(clock, store: history)
        api = await AdminAPI(
            administration: administration, traffic: recorder, tokenSecret: Array(tokenSecret.utf8), publicBaseURL: "http://localhost:8000", version: "9.8.7",
            clock: { clock.now }, logger: logger, verifyCredentials: { $0 == "ada" && $1 == "canary-password" })
        token = try await logIn()
    }

    private func logIn() async throws -> String {
        let answer = await send("POST", "/admin/login", #"{"username":"ada","password":"canary-password"}"#, token: nil)
        guard case .string(let token)? = answer.json["access_token"] else { throw StoreError(.misconfigured, "no token: \(answer.text)") }
        return token
    }

    /// Sends a request with this harness's token.
    @discardableResult
    func call(_ method: String, _ target: String, _ body: String = "", type: String? = nil) async -> Answer {
        await send(method, target, body, token: token, type: type)
    }

    func send(
        _ method: String, _ target: String, _ body: String = "", token: String?, type: String? = nil, from address: String = "127.0.0.1"
    ) async -> Answer {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var fields: HeaderFields = []
        if let token { fields.lines.append(HeaderField("authorization", "Bearer \(token)")) }
        if let type { fields.lines.append(HeaderField("content-type", type)) }
        return Answer(
            response: await api.respond(
                to: LocalRequest(
                    method: method, path: String(parts[0]), query: parts.count > 1 ? String(parts[1]) : nil, fields: fields,
                    body: Array(body.utf8), peerAddress: address)))
    }

    /// A new llm service's id.
    func makeService(slug: String = "openai") async -> Int {
        await call("POST", "/admin/proxy-configs", Self.service(slug: slug)).json["id"].integer ?? -1
    }

    /// A new key's id.
    func makeKey(_ value: String, in service: Int, name: String = "") async -> Int {
        await call("POST", "/admin/proxy-configs/\(service)/keys", #"{"key_value":"\#(value)","name":"\#(name)"}"#).json["key_id"].integer ?? -1
    }

    /// The body of a minimal llm service, with more members if given.
    static func service(slug: String = "openai", _ more: String = "") -> String {
        """
        {"name":"OpenAI","slug":"\(slug)","config_type":"llm","target_base_url":"https://api.openai.com/v1","api_format":"openai_compatible"\
        \(more.isEmpty ? "" : ",")\(more)}
        """
    }
}

/// An answer with its body read.
struct Answer {
    let response: LocalResponse

    var status: Int { response.status }
    var text: String { String(decoding: response.body, as: UTF8.self) }
    var json: JSONValue? { try? JSONParser.parse(response.body) }
    var code: String? { json["code"].string }
    var detail: String { json["detail"].string ?? "" }

    subscript(field: String) -> String? { response.fields[field] }
}

extension JSONValue? {
    subscript(name: String) -> JSONValue? {
        guard case .object(let members)? = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    subscript(index: Int) -> JSONValue? { items.indices.contains(index) ? items[index] : nil }

    var items: [JSONValue] { if case .array(let items)? = self { items } else { [] } }
    var names: Set<String> { if case .object(let members)? = self { Set(members.map(\.name)) } else { [] } }
    var string: String? { if case .string(let text)? = self { text } else { nil } }
    var integer: Int? { if case .number(let number)? = self { number } else { nil } }
    var bool: Bool? { if case .bool(let value)? = self { value } else { nil } }
    var isNull: Bool { self == .some(.null) }
}

/// A clock that moves only when a test says so.
final class TestClock: Sendable {
    private let moment = Mutex(Moment(seconds: 1_800_000_000))
    var now: Moment { moment.withLock { $0 } }
    func advance(by duration: Duration) { moment.withLock { $0 = $0 + duration } }
}

/// Keeps every line that was logged.
final class LogCapture: Sendable {
    private let captured = Mutex<[String]>([])

    var lines: [String] { captured.withLock { $0 } }

    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(capture: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let capture: LogCapture
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            capture.captured.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
        }
    }
}

/// An adapter that means nothing.
struct PlainAdapter: Adapter {
    let format: APIFormat
    var credential: CredentialPlacement { .bearer }
    var defaultFields: [HeaderField] { [] }
    var readsCredentialFromBody: Bool { false }
    func facts(path: RawSpan, contentType: String?, body: RawSpan) -> RequestFacts { RequestFacts() }
    func outcome(of answer: UpstreamAnswer, at now: Moment) -> AttemptOutcome { .success }
    func body(for error: ProxyError) -> ErrorBody { ErrorBody(contentType: "text/plain", octets: []) }
}
