// SPDX-License-Identifier: MIT

internal import RotatorCore

/// From the request as it came to the first attempt: what it asks for, who asks, and whether he may.
extension ProxyExchange {
    func readFacts() {
        guard let runtime else { return }
        let contentType = request.first(.contentType).map { $0.equals("application/json") ? Self.json : $0.string }
        withSpans { path, octets in
            facts = runtime.upstream.adapter.facts(path: path, contentType: contentType, body: octets)
        }
        hasFacts = true
    }

    // A text that costs no memory each time.
    private static var json: String { "application/json" }

    func withSpans(_ read: (RawSpan, RawSpan) -> Void) {
        let path = request.bytes.view[rest]
        let octets = body?.view ?? ByteView.empty
        unsafe read(RawSpan(_unsafeBytes: path.raw), RawSpan(_unsafeBytes: octets.raw))
    }

    /// The request has all that is needed for the first attempt.
    func begin() {
        guard phase == .receiving, connection != nil else { return }
        // Bounds the attempts; the client's upload has bounds of its own.
        totalDeadline = worker.reactor.now.advanced(byNanoseconds: worker.spans.exchange)
        if needsBodyCredential {
            guard authenticateFromBody() else { return answer(with: stranger) }
            route()
            if let earlyError { return answer(with: earlyError) }
        }
        guard runtime != nil else { return }
        if isLLM, !hasFacts || isBodyWhole { readFacts() }
        if !facts.bodyCredentials.isEmpty { removeBodyCredentials() }
        isStream = facts.wantsStream
        if let refusal = modelRefusal { return answer(with: refusal) }
        prepareBody()
        askForAdmission()
    }

    /// Why the client may not ask for what it asks for; nil where it may. What has no body asks no model for anything.
    var modelRefusal: ProxyError? {
        guard isLLM, let client, client.policy.models != nil, facts.model != nil || hasBody, !client.allows(model: facts.model) else { return nil }
        return ProxyError(.notAllowed, facts.model == nil ? "This proxy key is for some models only, and the request names none." : "This proxy key may not use this model.")
    }

    /// Reads what the pool wants to know of the body, and asks for a stream's usage where the service says so.
    func prepareBody() {
        guard isLLM, let runtime else { return }
        if runtime.upstream.pool.followsConversations { readConversation(runtime) }
        guard runtime.upstream.record.configuration.streamUsage, isStream, isBodyWhole, let body else { return }
        withSpans { path, octets in
            guard let (edit, editor) = runtime.upstream.adapter.streamUsage(path: path, body: octets) else { return }
            body.replace(edit.range, with: edit.octets)
            self.editor = editor
        }
    }

    func readConversation(_ runtime: UpstreamRuntime) {
        for line in request.fields where request.name(line).equalsIgnoringCase(runtime.affinityField.view) {
            conversation = unsafe request.value(line).raw.stableHash
            return
        }
        withSpans { path, octets in conversation = runtime.upstream.adapter.conversation(path: path, body: octets) }
    }

    /// Goes on at once where the client's use is not counted.
    func askForAdmission() {
        guard let meter = client?.meter else { return choose() }
        phase = .awaitingAdmission
        switch worker.admit(self, to: meter) {
        case .admitted: admissionDecided(nil)
        case .refused(let refusal): admissionDecided(refusal)
        case .asked: break
        }
    }

    /// Whether the client may go on is known.
    func admissionDecided(_ refusal: ClientRefusal?) {
        admissionTicket = nil
        isAdmitted = refusal == nil
        guard phase == .awaitingAdmission else { return }
        guard let refusal else { return choose() }
        let wait = max(Duration.milliseconds(1), refusal.until - worker.reactor.now)
        answer(with: ProxyError(.clientRateLimited, refusal.message, retryAfter: wait), refusal: refusal)
    }

    func authenticateFromBody() -> Bool {
        let adapter = worker.runtime(forSlug: request.bytes.view[slug], isLLM: isLLM)?.upstream.adapter ?? worker.openAIAdapter
        withSpans { path, octets in
            facts = adapter.facts(path: path, contentType: "application/json", body: octets)
        }
        guard facts.bodyCredentials.count == 1, let credential = facts.bodyCredentials.first else { return false }
        var value = credential.value
        guard let known = value.withUTF8({ unsafe worker.client(for: ByteView(UnsafeRawBufferPointer($0))) }) else { return false }
        client = known
        isAuthenticated = true
        return true
    }

    func removeBodyCredentials() {
        guard let body else { return }
        for credential in facts.bodyCredentials.reversed() {
            var value = credential.value
            let isOurs = value.withUTF8 { unsafe worker.client(for: ByteView(UnsafeRawBufferPointer($0))) != nil }
            if isOurs { body.remove(credential.removal) }
        }
        facts.bodyCredentials = []
    }
}
