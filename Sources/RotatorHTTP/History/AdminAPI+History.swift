// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    private func recorder() throws(AdminProblem) -> TrafficRecorder {
        guard let traffic else { throw AdminProblem(code: .routeNotFound, detail: "No history is kept here.") }
        return traffic
    }

    // MARK: Statistics

    func showStats(_ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let recorder = try recorder()
        guard let window = StatsWindow(rawValue: query["window"] ?? StatsWindow.hour.rawValue) else {
            throw .invalidParameter("window", "must be one of \(StatsWindow.allCases.map { "“\($0.rawValue)”" }.joined(separator: ", "))")
        }
        var top = 100
        if let text = query["top"] {
            guard let number = AdminQuery.number(text), 1...1_000 ~= number else { throw .invalidParameter("top", "must be an integer from 1 to 1000") }
            top = Int(number)
        }
        let services: [ServiceRecord]
        do { services = try administration.services() } catch { throw AdminProblem(error) }
        if let text = query["key_id"] {
            if query["service"] != nil { throw .invalidParameter("service", "does not go with “key_id”") }
            guard let number = AdminQuery.number(text), number > 0 else { throw .invalidParameter("key_id", "must be a key's id") }
            let report: StatsReport
            do throws(StoreError) { report = try await recorder.report(on: window, key: KeyID(number)) } catch { throw AdminProblem(.store(error)) }
            return .json(document(of: report, services: services, top: top, dropped: recorder.counters))
        }
        var service: ServiceID?
        if let slug = query["service"] {
            guard let named = services.first(where: { $0.configuration.slug == slug }) else {
                throw AdminProblem(code: .serviceNotFound, detail: "There is no service with the slug “\(slug.prefix(64))”.")
            }
            service = named.id
        }
        let report: StatsReport
        do throws(StoreError) {
            report = try await recorder.report(on: window, service: service) { subject in
                guard let service else { return true }
                return Int64(subject).map { self.isKey(KeyID($0), of: service) } ?? false
            }
        } catch {
            throw AdminProblem(.store(error))
        }
        return .json(document(of: report, services: services, top: top, dropped: recorder.counters))
    }

    private func isKey(_ id: KeyID, of service: ServiceID) -> Bool { (try? administration.entry(service))?.pool.secret(of: id) != nil }

    private func document(of report: StatsReport, services: [ServiceRecord], top: Int, dropped: TrafficCounters) -> [UInt8] {
        var json = JSONWriter()
        json.openObject()
        json.member("window", report.window.rawValue)
        json.member("from", Moment(seconds: report.range.lowerBound))
        json.member("to", clock())
        json.member("step_seconds", report.window.step)
        json.name("totals")
        json.openObject()
        json.members(of: report.total)
        json.closeObject()
        list("services", report.top(.service, top), to: &json) { subject, json in
            let id = Int64(subject)
            let configuration = services.first { $0.id.rawValue == id }?.configuration
            json.member("service_id", id)
            json.member("service", configuration?.slug)
            json.member("name", configuration?.name)
        }
        list("keys", report.top(.key, top), to: &json) { subject, json in
            let id = Int64(subject)
            let key = id.flatMap { try? administration.key(KeyID($0)) }
            json.member("key_id", id)
            json.member("key_masked", key?.masked)
            json.member("name", key?.name)
            json.member("service_id", key?.serviceID.rawValue)
        }
        list("clients", report.top(.client, top), to: &json) { subject, json in json.member("client", subject) }
        list("models", report.top(.model, top), to: &json) { subject, json in json.member("model", subject) }
        json.name("series")
        json.openArray()
        for point in report.points {
            json.openObject()
            json.member("start", Moment(seconds: point.start))
            json.member("requests", point.tally.requests)
            json.member("failures", point.tally.failures)
            json.name("tokens")
            json.write(point.tally.usage)
            json.name("latency_ms")
            json.write(point.tally.durations)
            json.name("first_byte_ms")
            json.write(point.tally.firstBytes)
            json.name("added_ms")
            json.write(point.tally.additions)
            json.closeObject()
        }
        json.closeArray()
        json.name("dropped")
        json.openObject()
        json.member("requests", dropped.droppedRequests)
        json.member("rows", dropped.droppedRows)
        json.member("log_records", dropped.droppedLogRecords)
        json.closeObject()
        json.closeObject()
        return json.octets
    }

    private func list(
        _ name: StaticString, _ subjects: [(subject: String, tally: TrafficTally)], to json: inout JSONWriter, _ identify: (String, inout JSONWriter) -> Void
    ) {
        json.name(name)
        json.openArray()
        for (subject, tally) in subjects {
            json.openObject()
            identify(subject, &json)
            json.members(of: tally)
            json.closeObject()
        }
        json.closeArray()
    }

    // MARK: The request log

    func listExchanges(_ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let recorder = try recorder()
        let limit = try query.limit()
        let after = try query["after"] == nil ? Int64.max : query.after()
        let filter = try ExchangeFilter(query)
        let found = try await exchanges(in: recorder, before: after, limit: limit + 1, where: filter)
        return .listing(found, limit: limit, id: \.id) { exchange, json in
            json.openObject()
            write(exchange, of: recorder, to: &json)
            json.member("attempts", exchange.record.attemptCount)
            json.closeObject()
        }
    }

    func showExchange(_ requestID: String) async throws(AdminProblem) -> LocalResponse {
        let recorder = try recorder()
        var filter = ExchangeFilter()
        filter.requestID = Array(requestID.utf8)
        let found = try await exchanges(in: recorder, before: .max, limit: 100, where: filter)
        guard !found.isEmpty else {
            throw AdminProblem(code: .requestNotFound, detail: "This replica remembers no request under this id.")
        }
        return .listing(found, limit: found.count, id: \.id) { exchange, json in
            json.openObject()
            write(exchange, of: recorder, to: &json)
            json.member("attempt_count", exchange.record.attemptCount)
            json.name("attempts")
            json.openArray()
            for attempt in exchange.record.attempts {
                json.openObject()
                json.member("key_id", attempt.key.rawValue)
                json.member("status", attempt.status)
                json.member("verdict", attempt.verdict)
                json.member("reason", attempt.reason.isEmpty ? nil : attempt.reason)
                json.member("began_ms", nanoseconds: attempt.began)
                json.member("duration_ms", nanoseconds: attempt.duration)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }

    private func exchanges(
        in recorder: TrafficRecorder, before after: Int64, limit: Int, where filter: ExchangeFilter
    ) async throws(AdminProblem) -> [LoggedExchange] {
        recorder.fold()
        do throws(RequestLog.Busy) {
            return try await recorder.log.exchanges(before: after, limit: limit, where: filter, at: clock())
        } catch {
            throw .storeUnavailable("Too many searches of the request log wait for their turn. Try again in a moment.")
        }
    }

    private func write(_ exchange: LoggedExchange, of recorder: TrafficRecorder, to json: inout JSONWriter) {
        let record = exchange.record
        json.member("id", exchange.id)
        json.member("request_id", record.requestID)
        json.member("replica", recorder.replica)
        json.member("started_at", record.startedAt)
        json.member("service", record.slug)
        json.member("service_id", record.service?.rawValue)
        json.member("client", record.client)
        json.member("client_id", record.clientID?.rawValue)
        json.member("model", record.model)
        json.member("method", record.method)
        json.member("status", record.status)
        json.member("error_code", record.errorCode?.rawValue)
        json.member("is_stream", record.isStream)
        json.member("ending", record.ending.rawValue)
        json.member("is_failure", record.isFailure)
        json.member("duration_ms", nanoseconds: record.duration)
        json.member("first_byte_ms", nanoseconds: record.firstByte)
        json.member("key_id", record.attempts.count == record.attemptCount ? record.attempts.last?.key.rawValue : nil)
        json.name("tokens")
        json.write(record.usage)
    }

    // MARK: Events

    func listen(_ request: LocalRequest, until end: Moment) throws(AdminProblem) -> LocalResponse {
        let recorder = try recorder()
        // A proxy that collects answers would keep events back.
        let fields: HeaderFields = [HeaderField("Content-Type", "text/event-stream"), HeaderField("X-Accel-Buffering", "no")]
        if request.method == "HEAD" { return LocalResponse(status: 200, fields: fields) }
        guard let stream = recorder.events.listen(until: end) else {
            throw AdminProblem(
                code: .tooManyListeners, detail: "\(EventFeed.streamsMax) streams of events are open, or the server is going down.",
                fields: [HeaderField("Retry-After", "5")])
        }
        return LocalResponse(status: 200, fields: fields, stream: stream)
    }
}

extension ExchangeFilter {
    /// What a listing may be asked for.
    static let parameters: Set<String> = ["limit", "after", "service", "client", "model", "key_id", "status", "failed", "from", "to", "request_id"]

    init(_ query: AdminQuery) throws(AdminProblem) {
        requestID = query["request_id"].map { Array($0.utf8) }
        slug = query["service"]
        client = query["client"]
        model = query["model"]
        if let text = query["key_id"] {
            guard let number = AdminQuery.number(text), number > 0 else { throw .invalidParameter("key_id", "must be a key's id") }
            key = KeyID(number)
        }
        if let text = query["status"] {
            guard let number = AdminQuery.number(text), 100...599 ~= number else { throw .invalidParameter("status", "must be an integer from 100 to 599") }
            status = Int(number)
        }
        switch query["failed"] {
        case nil: break
        case "true": hasFailed = true
        case "false": hasFailed = false
        default: throw .invalidParameter("failed", "must be “true” or “false”")
        }
        from = try Self.moment("from", in: query) ?? .distantPast
        to = try Self.moment("to", in: query) ?? .distantFuture
    }

    private static func moment(_ name: String, in query: AdminQuery) throws(AdminProblem) -> Moment? {
        guard let text = query[name] else { return nil }
        guard let moment = Moment(timestamp: text) else { throw .invalidParameter(name, "must be a date and time as in RFC 3339, such as “2026-07-14T09:30:00Z”") }
        return moment
    }
}
