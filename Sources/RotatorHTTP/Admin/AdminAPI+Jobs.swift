// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func validateKeys(of service: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(service)
        let options = try ValidationDocument.options(from: request.body)
        return try await accepted { jobs throws(JobRunner.Refusal) in try await jobs.start(service, options, by: user) }
    }

    func listJobs(_ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let after = try query.after()
        let found = try await asking { jobs throws(JobRunner.Refusal) in try await jobs.jobs(after: after, limit: limit + 1) }
        return .listing(found, limit: limit, id: \.id) { job, json in
            json.openObject()
            ValidationDocument.writeMembers(of: job, to: &json)
            json.closeObject()
        }
    }

    func showJob(_ id: Int64, _ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit("results_limit", initially: 1_000)
        let after = try query.after("results_after")
        let (job, results) = try await asking { jobs throws(JobRunner.Refusal) in
            let job = try await jobs.job(id)
            return (job, try await jobs.results(of: job, after: after, limit: limit + 1))
        }
        var json = JSONWriter()
        json.openObject()
        ValidationDocument.writeMembers(of: job, to: &json)
        json.name("results")
        json.openArray()
        for result in results.prefix(limit) { ValidationDocument.write(result, to: &json) }
        json.closeArray()
        json.member("results_next", results.count > limit ? results[limit - 1].key : nil)
        json.closeObject()
        return .json(json.octets)
    }

    func callJob(_ id: Int64, _ call: AdminRoute.JobCall, by user: String) async throws(AdminProblem) -> LocalResponse {
        switch call {
        case .cancel:
            _ = try await asking { jobs throws(JobRunner.Refusal) in try await jobs.cancel(id, by: user) }
            return try await showJob(id, AdminQuery(nil, known: []))
        case .retest:
            return try await accepted { jobs throws(JobRunner.Refusal) in try await jobs.retest(id, by: user) }
        case .deleteRejected:
            let count = try await asking { jobs throws(JobRunner.Refusal) in try await jobs.deleteRejected(of: id, by: user) }
            var json = JSONWriter()
            json.openObject()
            json.member("deleted_count", count)
            json.closeObject()
            return .json(json.octets)
        }
    }

    private func accepted(
        _ body: (JobRunner) async throws(JobRunner.Refusal) -> JobLedger.Job
    ) async throws(AdminProblem) -> LocalResponse {
        let job = try await asking(body)
        var json = JSONWriter()
        json.openObject()
        json.member("job_id", job.id)
        json.closeObject()
        return .json(json.octets, status: 202, fields: [HeaderField("Location", "/admin/jobs/\(job.id)")])
    }

    private func asking<Answer>(_ body: (JobRunner) async throws(JobRunner.Refusal) -> Answer) async throws(AdminProblem) -> Answer {
        guard let jobs else { throw .storeUnavailable("This server runs no jobs.") }
        do throws(JobRunner.Refusal) { return try await body(jobs) } catch { throw AdminProblem(error) }
    }
}

extension AdminProblem {
    /// What a refusal means to a client of the API.
    fileprivate init(_ refusal: JobRunner.Refusal) {
        switch refusal {
        case .administration(let error): self.init(error)
        case .jobNotFound: self.init(code: .jobNotFound, detail: "There is no such job; the last 100 are kept, and none for over 30 days.")
        case .isRunning: self.init(code: .jobRunning, detail: "A validation of this service is running. Cancel it, or wait for its end.")
        case .tooManyJobs: self.init(code: .tooManyJobs, detail: "\(JobRunner.runningMax) jobs run already. Wait for one to end.")
        case .hasEnded: self.init(code: .jobEnded, detail: "The job has ended already.")
        case .noProbe: self = .invalidMember("probe", "is required: no cheap call of this service is known that a bad key would be refused")
        }
    }
}

/// The JSON form of validations.
enum ValidationDocument {
    /// What is asked of one; an empty body asks for the defaults.
    static func options(from body: [UInt8]) throws(AdminProblem) -> ValidationOptions {
        var options = ValidationOptions()
        if body.isEmpty { return options }
        let document = try MemberReader(body, known: ["ids", "filter", "concurrency", "rate_per_second", "probe", "apply"])
        options.ids = try ids(in: document)
        if let filter = try MemberReader("filter", in: document, known: ["state"]) { options.state = try filter.word("state", KeyState.self) }
        if options.ids != nil, options.state != nil { throw .invalidMember("filter", "cannot stand beside “ids”") }
        if let concurrency = try document.integer("concurrency") {
            guard ValidationOptions.concurrencies.contains(concurrency) else { throw .invalidMember("concurrency", "must be from 1 to 256") }
            options.concurrency = concurrency
        }
        if let rate = try document.integer("rate_per_second") {
            guard ValidationOptions.rates.contains(rate) else { throw .invalidMember("rate_per_second", "must be from 1 to 10000") }
            options.ratePerSecond = rate
        }
        options.applies = try document.bool("apply") ?? true
        if let probe = try MemberReader("probe", in: document, known: ["method", "path", "body", "model"]) { options.probe = try self.probe(probe) }
        return options
    }

    private static func ids(in document: MemberReader) throws(AdminProblem) -> [KeyID]? {
        guard let value = document.value("ids"), value != .null else { return nil }
        guard case .array(let elements) = value else { throw .invalidMember("ids", "must be an array of key ids, not \(value.kind)") }
        guard 1...ValidationOptions.idsMax ~= elements.count else { throw .invalidMember("ids", "must have from 1 to \(ValidationOptions.idsMax) elements") }
        var ids: [KeyID] = []
        for (index, element) in elements.enumerated() {
            guard case .number(let number?) = element, number > 0 else { throw .invalidMember("ids[\(index)]", "must be a key's id") }
            ids.append(KeyID(Int64(number)))
        }
        return ids
    }

    private static func probe(_ document: MemberReader) throws(AdminProblem) -> ProbeRequest {
        guard let path = try document.string("path") else { throw .missingMember("probe.path") }
        var octets = Array(path.utf8)
        guard octets.count <= 8_192, octets.isEmpty || octets[0] == 0x2F, octets.allSatisfy({ 0x21...0x7E ~= $0 && $0 != 0x23 }) else {
            throw .invalidMember("probe.path", "must be empty or begin with “/”, with visible ASCII characters alone and without a fragment")
        }
        octets = Array(octets.prefix { $0 != 0x3F })
        if unsafe octets.withUnsafeBytes({ unsafe PathJudge.leavesBase($0) }) { throw .invalidMember("probe.path", "must not leave the base path") }
        let body = Array((try document.isNull("body") ? "" : document.string("body") ?? "").utf8)
        let bodyOctetsMax = ValidationOptions.probeBodyOctetsMax
        guard body.count <= bodyOctetsMax else { throw .invalidMember("probe.body", "is longer than \(bodyOctetsMax) octets") }
        let method = try document.string("method") ?? (body.isEmpty ? "GET" : "POST")
        guard FieldSyntax.isToken(method), method.utf8.count <= 32, !["CONNECT", "TRACE"].contains(method.uppercased()) else {
            throw .invalidMember("probe.method", "is not a method that can be sent")
        }
        let model = try document.isNull("model") ? nil : document.string("model")
        if let model, !(1...256 ~= model.utf8.count) { throw .invalidMember("probe.model", "must have from 1 to 256 octets") }
        return ProbeRequest(method: method, path: path, body: body, model: model)
    }

    /// The members of a job but for its results.
    static func writeMembers(of job: JobLedger.Job, to json: inout JSONWriter) {
        let record = job.record
        json.member("job_id", job.id)
        json.member("kind", "validate")
        json.member("service_id", record.service.rawValue)
        json.member("state", record.state.rawValue)
        json.member("reason", record.reason?.rawValue)
        json.member("total", max(record.total, record.done))
        json.member("done", record.done)
        json.name("counts")
        json.openObject()
        for verdict in ProbeVerdict.allCases {
            json.name(verdict.rawValue)
            json.write(record.counts[verdict] ?? 0)
        }
        json.closeObject()
        json.member("apply", record.options.applies)
        json.member("provider_at_fault", record.isProviderAtFault)
        json.member("retest_of", record.options.retestOf)
        json.member("created_at", record.createdAt)
        json.member("finished_at", record.finishedAt)
    }

    static func write(_ result: ProbeResult, to json: inout JSONWriter) {
        json.openObject()
        json.member("key_id", result.key)
        json.member("ok", result.verdict == .ok)
        json.member("status", result.status == 0 ? nil : result.status)
        json.member("verdict", result.verdict.rawValue)
        json.closeObject()
    }
}
