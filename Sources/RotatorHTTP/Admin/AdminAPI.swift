// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// The admin API: `/admin/…` and `/openapi.json`, answered on top of an ``Administration``.
///
/// Give it the requests whose path begins with `/admin/` or equals `/openapi.json`. Every answer is whole; errors are `application/problem+json`
/// (RFC 9457). HEAD is answered as GET with its body: whoever writes the answer to the connection leaves the body out.
public final class AdminAPI: LocalHandler {
    let administration: Administration
    let traffic: TrafficRecorder?
    let webhookSender: WebhookSender
    let logger: Logger
    /// Nil where no jobs run.
    let jobs: JobRunner?
    private let tokens: AdminTokens
    private let throttle = LoginThrottle()
    private let verifyCredentials: @Sendable (_ user: String, _ password: String) async -> Bool
    let clock: @Sendable () -> Moment
    private let publicBaseURL: String
    private let version: String
    private let openAPIDocument: [UInt8]

    /// The admin API of `administration`.
    ///
    /// - Parameters:
    ///   - administration: what the routes read and change.
    ///   - traffic: what statistics, request log and events tell; nil: there are none.
    ///   - jobs: what validates keys; nil: such calls are answered 503.
    ///   - webhookSender: sends tests, and knows what became of alerts; nil: one of its own, for tests alone.
    ///   - tokenSecret: signs and checks the tokens (HMAC-SHA-256).
    ///   - tokenLifetime: how long a token is good for, in whole seconds.
    ///   - publicBaseURL: `proxy_public_base_url` of `GET /admin/app-config`.
    ///   - version: `version` of `GET /admin/app-config`, and of the OpenAPI document.
    ///   - clock: the present moment.
    ///   - logger: for failed logins and faults of ours.
    ///   - verifyCredentials: whether a user name and password are right; must take the same time either way.
    public init(
        administration: Administration,
        traffic: TrafficRecorder? = nil,
        jobs: JobRunner? = nil,
        webhookSender: WebhookSender? = nil,
        tokenSecret: [UInt8],
        tokenLifetime: Duration = .seconds(43_200),
        publicBaseURL: String,
        version: String,
        clock: @escaping @Sendable () -> Moment,
        logger: Logger,
        verifyCredentials: @escaping @Sendable (_ user: String, _ password: String) async -> Bool
    ) async {
        self.administration = administration
        self.traffic = traffic
        self.jobs = jobs
        self.webhookSender =
            webhookSender
            ?? WebhookSender(
                settings: ProxySettings(), replica: "", webhook: { administration.activeWebhook($0) }, clock: clock, logger: logger)
        self.logger = logger
        self.clock = clock
        self.publicBaseURL = publicBaseURL
        self.version = version
        self.verifyCredentials = verifyCredentials
        tokens = await AdminTokens(secret: tokenSecret, lifetime: tokenLifetime, clock: clock)
        openAPIDocument = OpenAPIDocument.octets(version: version)
    }

    /// Answers one request.
    public func respond(to request: LocalRequest) async -> LocalResponse {
        var response: LocalResponse
        do {
            response = try await answer(request)
        } catch {
            response = error.response
        }
        if request.path != "/openapi.json" { response.fields.lines.append(HeaderField("Cache-Control", "no-store")) }
        response.fields.lines.append(HeaderField("X-Content-Type-Options", "nosniff"))
        return response
    }

    private func answer(_ request: LocalRequest) async throws(AdminProblem) -> LocalResponse {
        let route = AdminRoute(path: request.path)
        // Before anything is said about a path: without a token, the API tells nobody what it has.
        var holder = AdminTokens.Holder(user: "", end: .distantPast)
        if route?.isOpen != true { holder = try await authenticate(request) }
        guard let route else { throw AdminProblem(code: .routeNotFound, detail: "There is nothing at this path. GET /openapi.json lists what there is.") }
        guard route.methods.contains(request.method) else {
            let allowed = route.methods.joined(separator: ", ")
            throw AdminProblem(code: .methodNotAllowed, detail: "This path takes \(allowed).", fields: [HeaderField("Allow", allowed)])
        }
        if request.body.count > bodyOctetsMax(of: route) { throw AdminProblem(code: .bodyTooLarge, detail: "The body is too large for this call.") }
        let isListing = request.method == "GET" || request.method == "HEAD"
        // Few calls take parameters; a misspelt filter must not quietly list everything, nor a stray one pass for obeyed.
        let known: Set<String> =
            switch route {
            case .keys where isListing: ["after", "limit", "sort", "offset", "state", "q", "tag", "quota_group", "reason"]
            case .keyExport: ["ids", "state", "q", "tag", "quota_group", "reason"]
            case .keyBatch: ["dry_run"]
            case .explanation: ["after", "limit", "model", "conversation"]
            case .services where isListing, .clients where isListing, .webhooks where isListing, .jobs: ["after", "limit"]
            case .audit: ["after", "limit", "order", "before"]
            case .stats: ["window", "service", "key_id", "top"]
            case .exchanges: ExchangeFilter.parameters
            case .job: ["results_after", "results_limit"]
            case .catalogueExport: ["keys", "salt"]
            case .catalogueImport: ["dry_run", "mode"]
            default: []
            }
        let query = try AdminQuery(request.query, known: known)
        return try await answer(request, to: route, query: query, by: holder)
    }

    private func answer(
        _ request: LocalRequest, to route: AdminRoute, query: AdminQuery, by holder: AdminTokens.Holder
    ) async throws(AdminProblem) -> LocalResponse {
        let user = holder.user
        let method = request.method == "HEAD" ? "GET" : request.method
        switch (method, route) {
        case (_, .openAPI): return .json(openAPIDocument)
        case (_, .login): return try await logIn(request)
        case (_, .appConfig): return appConfig()
        case ("GET", .services): return try listServices(query)
        case (_, .services): return try await createService(request, by: user)
        case ("GET", .service(let id)): return try showService(id)
        case ("PUT", .service(let id)): return try await replaceService(id, request, by: user)
        case ("PATCH", .service(let id)): return try await patchService(id, request, by: user)
        case (_, .service(let id)): return try await deleteService(id, by: user)
        case (_, .serviceStatus(let id)): return try await switchService(id, request, by: user)
        case ("GET", .keys(let id)): return try await listKeys(of: id, query)
        case ("POST", .keys(let id)): return try await createKey(in: id, request, by: user)
        case (_, .keys(let id)): return try await clearKeys(of: id, by: user)
        case (_, .keyBatch(let id)): return try await importKeys(into: id, request, query, by: user)
        case (_, .keyExport(let id)): return try await exportKeys(of: id, query, by: user)
        case ("GET", .rules(let id)): return try showRules(of: id)
        case ("PUT", .rules(let id)): return try await replaceRules(of: id, request, by: user)
        case (_, .rules(let id)): return try await resetRules(of: id, by: user)
        case (_, .formatRules(let format)): return showRules(of: format)
        case (_, .rulesExplanation): return try explainRules(request)
        case (_, .keyBulk(let id)): return try await changeKeys(of: id, request, by: user)
        case (_, .explanation(let id)): return try explainKeys(of: id, query)
        case (_, .summary(let id)): return try summarizeKeys(of: id)
        case ("GET", .key(let id)): return try await showKey(id)
        case ("PATCH", .key(let id)): return try await patchKey(id, request, by: user)
        case (_, .key(let id)): return try await deleteKey(id, by: user)
        case (_, .keyReset(let id)): return try await resetKey(id, by: user)
        case ("GET", .clients): return try listClients(query)
        case (_, .clients): return try await createClient(request, by: user)
        case ("GET", .client(let id)): return try showClient(id)
        case ("PATCH", .client(let id)): return try await patchClient(id, request, by: user)
        case (_, .client(let id)): return try await deleteClient(id, by: user)
        case ("GET", .webhooks): return try listWebhooks(query)
        case (_, .webhooks): return try await createWebhook(request, by: user)
        case ("GET", .webhook(let id)): return try showWebhook(id)
        case ("PATCH", .webhook(let id)): return try await patchWebhook(id, request, by: user)
        case (_, .webhook(let id)): return try await deleteWebhook(id, by: user)
        case (_, .webhookTest(let id)): return try await testWebhook(id)
        case (_, .webhookDeliveries(let id)): return try listDeliveries(to: id)
        case (_, .audit): return try await listAudit(query)
        case (_, .stats): return try await showStats(query)
        case (_, .exchanges): return try await listExchanges(query)
        case (_, .exchange(let id)): return try await showExchange(id)
        case (_, .events): return try listen(request, until: holder.end)
        case (_, .keyValidation(let id)): return try await validateKeys(of: id, request, by: user)
        case (_, .jobs): return try await listJobs(query)
        case (_, .job(let id)): return try await showJob(id, query)
        case (_, .jobCall(let id, let call)): return try await callJob(id, call, by: user)
        case (_, .catalogueExport): return try await exportCatalogue(request, query, by: user)
        case (_, .catalogueImport): return try await importCatalogue(request, query, by: user)
        }
    }

    /// What a body may be large for: an import. Everything else is small, and login is open to everybody.
    private func bodyOctetsMax(of route: AdminRoute) -> Int {
        switch route {
        case .keyBatch, .keyBulk, .catalogueImport: .max
        case .login: 64 * 1_024
        default: 1_024 * 1_024
        }
    }

    private func authenticate(_ request: LocalRequest) async throws(AdminProblem) -> AdminTokens.Holder {
        let given = request.fields.lines.filter { $0.name.utf8.elementsEqual(ignoringASCIICase: "Authorization".utf8) }
        guard given.count == 1, let credential = given.first?.value else {
            throw .invalidCredential(.invalidToken, "A bearer token is required. POST /admin/login gives one.")
        }
        let parts = credential.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].utf8.elementsEqual(ignoringASCIICase: "Bearer".utf8),
            let holder = await tokens.holder(of: String(parts[1].drop { $0 == " " }))
        else { throw .invalidCredential(.invalidToken, "The bearer token is wrong or has expired. POST /admin/login gives another.") }
        return holder
    }

    private func logIn(_ request: LocalRequest) async throws(AdminProblem) -> LocalResponse {
        if let wait = throttle.wait(for: request.peerAddress, at: clock()) { throw tooManyAttempts(wait) }
        let document = try MemberReader(request.body, known: ["username", "password"])
        guard let username = try document.string("username") else { throw .missingMember("username") }
        guard let password = try document.string("password") else { throw .missingMember("password") }
        let isRight = await verifyCredentials(username, password)
        let now = clock()
        if !isRight {
            if let wait = throttle.loginFailed(from: request.peerAddress, at: now) { throw tooManyAttempts(wait) }
            logger.warning("a login failed", metadata: ["address": "\(request.peerAddress)"])
            throw .invalidCredential(.invalidCredentials, "The user name or the password is wrong.")
        }
        // Right, but too late: attempts that ran beside the ten failures learn nothing.
        if let wait = throttle.wait(for: request.peerAddress, at: now) { throw tooManyAttempts(wait) }
        let token: String
        do {
            token = try await tokens.issue(to: username)
        } catch {
            logger.error("a token could not be signed")
            throw AdminProblem(code: .internalError, detail: "The token could not be signed. The server's log says more.")
        }
        var json = JSONWriter()
        json.openObject()
        json.member("access_token", token)
        json.member("token_type", "Bearer")
        json.member("expires_in", tokens.lifetimeSeconds)
        json.closeObject()
        return .json(json.octets)
    }

    private func tooManyAttempts(_ wait: Duration) -> AdminProblem {
        let seconds = max(1, wait.components.seconds + (wait.components.attoseconds > 0 ? 1 : 0))
        return AdminProblem(
            code: .tooManyAttempts, detail: "Too many failed logins from this address. Try again in \(seconds) s.",
            fields: [HeaderField("Retry-After", String(seconds))])
    }

    private func appConfig() -> LocalResponse {
        var json = JSONWriter()
        json.openObject()
        json.member("proxy_public_base_url", publicBaseURL)
        json.member("version", version)
        json.closeObject()
        return .json(json.octets)
    }

    private func listAudit(_ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let order = query["order"] ?? "asc"
        guard ["asc", "desc"].contains(order) else { throw .invalidParameter("order", "must be “asc” or “desc”") }
        let isNewestFirst = order == "desc"
        if let misplaced = [isNewestFirst ? "after" : "before"].first(where: { query[$0] != nil }) {
            throw .invalidParameter(misplaced, "belongs to the other order")
        }
        let start = try isNewestFirst ? query["before"] == nil ? Int64.max : query.after("before") : query.after()
        let entries: [(id: Int64, entry: AuditEntry)]
        do throws(AdministrationError) {
            entries = try await isNewestFirst
                ? administration.auditEntries(before: start, limit: limit + 1) : administration.auditEntries(after: start, limit: limit + 1)
        } catch {
            throw AdminProblem(error)
        }
        return .listing(entries, limit: limit, id: \.id) { line, json in
            json.openObject()
            json.member("id", line.id)
            json.member("at", line.entry.at)
            json.member("actor", line.entry.actor)
            json.member("action", line.entry.action)
            json.member("subject", line.entry.subject)
            json.closeObject()
        }
    }
}

extension LocalResponse {
    /// A JSON answer.
    static func json(_ octets: [UInt8], status: Int = 200, fields: [HeaderField] = []) -> LocalResponse {
        LocalResponse(status: status, fields: HeaderFields([HeaderField("Content-Type", "application/json")] + fields), body: octets)
    }

    /// One page: `items` holds up to one more than `limit`, which tells whether another page follows.
    static func listing<Item>(
        _ items: [Item], limit: Int, id: (Item) -> Int64, write: (Item, inout JSONWriter) -> Void
    ) -> LocalResponse {
        let page = items.prefix(limit)
        var json = JSONWriter()
        json.openObject()
        json.name("items")
        json.openArray()
        for item in page { write(item, &json) }
        json.closeArray()
        json.member("next", items.count > limit ? page.last.map(id) : nil)
        json.closeObject()
        return .json(json.octets)
    }
}
