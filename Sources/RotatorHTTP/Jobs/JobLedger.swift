// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Jobs and their results, as a document store keeps them.
struct JobLedger: Sendable {
    /// A job with its place in the store.
    struct Job: Sendable, Hashable {
        var id: Int64
        var revision: Int64
        var record: JobRecord

        init(id: Int64, revision: Int64, record: JobRecord) {
            self.id = id
            self.revision = revision
            self.record = record
        }

        /// Nil where the document is something else.
        init?(_ document: StoredDocument) {
            guard let record = JobRecord(document.body) else { return nil }
            self.init(id: document.id, revision: document.revision, record: record)
        }
    }

    let documents: any DocumentStore

    private static let pageSize = 100

    /// Writes a new job down. Throws `conflict` when one of the same service is running.
    func insert(_ record: JobRecord) async throws(StoreError) -> Job {
        let document = try await documents.insertDocument(.job, named: JobRecord.runningName(of: record.service), body: record.octets)
        return Job(id: document.id, revision: document.revision, record: record)
    }

    /// The job with this number; nil when there is none.
    func job(_ id: Int64) async throws(StoreError) -> Job? {
        guard let document = try await documents.documents(.job, after: id - 1, limit: 1).first, document.id == id else { return nil }
        return Job(document)
    }

    /// Jobs with a number above `after`, by number, at most `limit`.
    func jobs(after: Int64, limit: Int) async throws(StoreError) -> [Job] {
        var found: [Job] = []
        var last = after
        while found.count < limit {
            let page = try await documents.documents(.job, after: last, limit: Self.pageSize)
            found += page.compactMap(Job.init)
            guard page.count == Self.pageSize, let end = page.last?.id else { break }
            last = end
        }
        return Array(found.prefix(limit))
    }

    /// Replaces a job that nobody has replaced since it was read, and returns its new revision. Throws as ``DocumentStore`` does.
    func replace(_ job: Job) async throws(StoreError) -> Int64 {
        let name = job.record.state == .running ? JobRecord.runningName(of: job.record.service) : JobRecord.endedName(job.id)
        return try await documents.replaceDocument(.job, job.id, named: name, body: job.record.octets, expecting: job.revision)
    }

    /// Writes down a part of a job's results, in the place of what an earlier attempt at it left.
    func writePart(_ number: Int, of id: Int64, _ results: [ProbeResult]) async throws(StoreError) {
        let name = JobRecord.partName(number, of: id)
        let body = JobPart.octets(results)
        do {
            _ = try await documents.insertDocument(.jobPart, named: name, body: body)
        } catch {
            guard error.code == .conflict, let present = try await documents.document(.jobPart, named: name) else { throw error }
            _ = try await documents.replaceDocument(.jobPart, present.id, named: name, body: body, expecting: nil)
        }
    }

    /// A part of a job's results; empty where there is none any more.
    func part(_ number: Int, of id: Int64) async throws(StoreError) -> [ProbeResult] {
        try await documents.document(.jobPart, named: JobRecord.partName(number, of: id)).map { JobPart.results($0.body) } ?? []
    }

    /// Results of a job for keys above `after` that `isWanted` accepts, in the order of the keys' ids, at most `limit`.
    func results(of job: Job, after: Int64, limit: Int, where isWanted: (ProbeResult) -> Bool = { _ in true }) async throws(StoreError) -> [ProbeResult] {
        var found: [ProbeResult] = []
        for number in job.record.partEnds.indices where job.record.partEnds[number] > after {
            found += try await part(number, of: job.id).filter { $0.key > after && isWanted($0) }
            if found.count >= limit { break }
        }
        return Array(found.prefix(limit))
    }

    /// Forgets a job and its results; what is gone already is passed over.
    func delete(_ job: Job) async throws(StoreError) {
        for number in job.record.partEnds.indices {
            guard let part = try await documents.document(.jobPart, named: JobRecord.partName(number, of: job.id)) else { continue }
            try await passingOver { () async throws(StoreError) in try await documents.deleteDocument(.jobPart, part.id) }
        }
        try await passingOver { () async throws(StoreError) in try await documents.deleteDocument(.job, job.id) }
    }

    private func passingOver(_ body: () async throws(StoreError) -> Void) async throws(StoreError) {
        do { try await body() } catch { if error.code != .notFound { throw error } }
    }
}

/// Tells who of those that should be heard of again and again has fallen silent. By this process's clock alone: clocks of replicas differ. A value.
struct SilenceWatch: Sendable {
    /// How long nothing may be heard.
    static let patience = Duration.seconds(15)

    private var heard: [Int64: (revision: Int64, since: Moment)] = [:]

    /// Whether document `id`, now at `revision`, has stayed as it was for too long.
    mutating func isSilent(_ id: Int64, revision: Int64, at now: Moment) -> Bool {
        guard let known = heard[id], known.revision == revision else {
            heard[id] = (revision, now)
            return false
        }
        return now - known.since >= Self.patience
    }

    /// Forgets all others.
    mutating func keep(_ ids: Set<Int64>) { heard = heard.filter { ids.contains($0.key) } }
}

/// Which jobs that have ended are forgotten: those that ended over 30 days ago, and all but the last 100. A value.
enum JobRetention {
    static let kept = 100
    static let age = Duration.seconds(30 * 86_400)

    /// Those of `jobs`, in the order of their numbers, that are to go.
    static func expired(_ jobs: [JobLedger.Job], at now: Moment) -> [JobLedger.Job] {
        let ended = jobs.filter { $0.record.state != .running }
        return ended.enumerated().filter { index, job in
            index < ended.count - kept || (job.record.finishedAt.map { now - $0 > age } ?? false)
        }.map(\.element)
    }
}
