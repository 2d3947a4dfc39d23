// SPDX-License-Identifier: MIT

internal import RotatorCore

/// A probe of one service, ready to be sent with any key.
struct ProbeCall: Sendable {
    let upstream: Upstream
    let target: UpstreamTarget
    let request: ProbeRequest
    /// Whether an administrator named the call: what it says of the key's rights then counts for the key.
    let isConfigured: Bool
    /// The model that is asked for; nil where none can be read.
    let model: String?

    /// The call that `given` describes, else the one that the dialect knows. Nil where there is neither: the target cannot be used, or a plain GET of
    /// it may not be what the service is for.
    init?(_ upstream: Upstream, given: ProbeRequest? = nil) {
        guard let target = upstream.target else { return nil }
        let configuration = upstream.record.configuration
        let takesGET = ["GET", "HEAD"].contains(configuration.method ?? "GET")
        guard var request = given ?? (takesGET ? upstream.adapter.probe(of: target) : nil) else { return nil }
        if given == nil, configuration.method == "HEAD" { request.method = "HEAD" }
        self.upstream = upstream
        self.target = target
        self.request = request
        isConfigured = given != nil
        let path = Array(request.path.utf8.prefix { $0 != 0x3F })
        let contentType = request.body.isEmpty ? nil : "application/json"
        let read = unsafe upstream.adapter.facts(path: path.span.bytes, contentType: contentType, body: request.body.span.bytes)
        model = request.model ?? read.model
    }

    /// What keeps one path from being another's answer: the service as it is configured, and the call.
    var identity: Identity { Identity(record: upstream.record, request: request) }

    /// Tells calls apart.
    struct Identity: Sendable, Hashable {
        var record: ServiceRecord
        var request: ProbeRequest
    }

    /// Appends the whole URL, with the key in its query where the service wants it there.
    func appendURL(with secret: Secret, to out: ByteBuffer) {
        out.append(text: target.isTLS ? "https://" : "http://")
        out.append(text: target.authority)
        out.append(target.basePath)
        var path = Array(request.path.utf8)
        let query = path.firstIndex(of: 0x3F).map { Array(path[($0 + 1)...]) }
        path = Array(path.prefix { $0 != 0x3F })
        let repeated = unsafe path.withUnsafeBytes { unsafe target.repeatedVersion(in: $0) }
        let rest = Array(path.dropFirst(repeated))
        if rest.isEmpty, repeated == 0, target.basePath.isEmpty || target.endsWithSlash { out.append(0x2F) } else { out.append(rest) }
        if let query {
            out.append(0x3F)
            out.append(query)
        }
        let placement = upstream.placement
        guard placement.location == .query else { return }
        out.append(query == nil ? 0x3F : 0x26)
        appendEncoded(Array(placement.name.utf8), to: out)
        out.append(0x3D)
        appendEncoded(Array(placement.prefix.utf8), to: out)
        unsafe secret.withUnsafeBytes { unsafe QueryPairs.appendEncoded(ByteView($0), to: out) }
    }

    /// Calls `body` with each field line, without its end; each is valid during the call only.
    func withFieldLines(_ secret: Secret, _ body: (ByteBuffer) -> Void) {
        let line = ByteBuffer(capacity: 256)
        defer { line.erase() }
        func field(_ name: String, _ value: (ByteBuffer) -> Void) {
            line.removeAll()
            line.append(text: name)
            line.append(": ")
            let start = line.count
            value(line)
            if line.count == start {
                // How libcurl wants a field without a value: with a colon it would leave the field out.
                line.removeLast(2)
                line.append(0x3B)
            }
            body(line)
        }
        let configuration = upstream.record.configuration
        let placement = upstream.placement
        func isTaken(_ name: String) -> Bool {
            configuration.extraHeaders.keys.contains { $0.utf8.elementsEqual(ignoringASCIICase: name.utf8) }
        }
        for extra in configuration.extraHeaders.sorted(by: { $0.key < $1.key }) { field(extra.key) { $0.append(text: extra.value) } }
        for own in upstream.adapter.defaultFields where !isTaken(own.name) { field(own.name) { $0.append(text: own.value) } }
        // Gateways turn away who names no program.
        if !isTaken("User-Agent") { field("User-Agent") { $0.append("api-key-rotator") } }
        if !request.body.isEmpty, !isTaken("Content-Type") { field("Content-Type") { $0.append(text: "application/json") } }
        // libcurl would wait for a 100 before a larger body.
        if !request.body.isEmpty {
            line.removeAll()
            line.append(text: "Expect:")
            body(line)
        }
        if placement.location == .header {
            field(placement.name) { line in
                line.append(text: placement.prefix)
                unsafe secret.withUnsafeBytes { unsafe line.append(ByteView($0)) }
            }
        }
    }

    private func appendEncoded(_ octets: [UInt8], to out: ByteBuffer) {
        unsafe octets.withUnsafeBytes { unsafe QueryPairs.appendEncoded(ByteView($0), to: out) }
    }
}

/// What came of a probe.
enum ProbeAnswer: Sendable {
    /// A whole head, and the beginning of its body.
    case answered(UpstreamAnswer)
    /// None came, for this reason: a stable word.
    case failed(reason: String)
    /// It was given up on our side: nothing was learned.
    case cancelled
}

/// Carries probes to upstreams. Heeds the cancellation of the calling task.
protocol ProbeSender: Sendable {
    /// Sends `call` with `secret` as its key.
    func send(_ call: ProbeCall, with secret: Secret) async -> ProbeAnswer
}

extension ProbeCall {
    /// What an answer means for the key.
    func outcome(of answer: ProbeAnswer, at now: Moment) -> AttemptOutcome {
        switch answer {
        case .answered(let answer):
            switch answer.status {
            case 101: .upstreamFailed(reason: "switched_protocols")
            case ..<400, 501, 505: .success
            default: upstream.rules.outcome(of: answer, at: now)
            }
        case .failed(let reason): .upstreamFailed(reason: reason)
        case .cancelled: .abandoned
        }
    }
}
