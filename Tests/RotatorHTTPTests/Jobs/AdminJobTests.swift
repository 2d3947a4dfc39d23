// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin jobs") struct AdminJobTests {
    private func finished(_ harness: JobHarness, _ service: ServiceID, _ body: String = "") async throws -> Answer {
        let begun = try await harness.call("POST", "/admin/proxy-configs/\(service)/keys/validate", body)
        #expect(begun.status == 202, "\(begun.text)")
        let id = Int64(try #require(begun.json["job_id"].integer))
        #expect(begun["Location"] == "/admin/jobs/\(id)")
        _ = try await harness.ended(id)
        return try await harness.call("GET", "/admin/jobs/\(id)")
    }

    @Test func `a validation is started, told of and listed`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 401])
        try await harness.running {
            let job = try await finished(harness, service)
            #expect(job.json["state"].string == "done" && job.json["reason"].isNull)
            #expect(job.json["total"].integer == 2 && job.json["done"].integer == 2)
            #expect(job.json["counts"]["ok"].integer == 1 && job.json["counts"]["rejected"].integer == 1)
            let results = job.json["results"]
            #expect(results[0]["key_id"].integer == Int(keys[0].rawValue) && results[0]["ok"].bool == true && results[0]["status"].integer == 200)
            #expect(results[1]["ok"].bool == false && results[1]["verdict"].string == "rejected")
            let list = try await harness.call("GET", "/admin/jobs")
            #expect(list.json["items"].items.count == 1 && list.json["items"][0]["results"] == nil && list.json["next"].isNull)
            let schema = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))["components"]["schemas"]["JobSummary"]
            #expect(schema["properties"].names == list.json["items"][0].names)
        }
    }

    @Test func `results come in pages`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService(Array(repeating: 200, count: 5))
        try await harness.running {
            let job = try await finished(harness, service)
            let id = try #require(job.json["job_id"].integer)
            let page = try await harness.call("GET", "/admin/jobs/\(id)?results_limit=2&results_after=\(keys[1])")
            #expect(page.json["results"].items.count == 2)
            #expect(page.json["results_next"].integer == Int(keys[3].rawValue))
            let last = try await harness.call("GET", "/admin/jobs/\(id)?results_after=\(keys[3])")
            #expect(last.json["results"].items.count == 1 && last.json["results_next"].isNull)
        }
    }

    @Test func `rejected keys are deleted, but not those that have come back since`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 401, 401])
        try await harness.running {
            let id = try #require(try await finished(harness, service).json["job_id"].integer)
            try await harness.administration.resetKey(keys[1], by: "ada")
            let answer = try await harness.call("POST", "/admin/jobs/\(id)/delete-rejected")
            #expect(answer.json["deleted_count"].integer == 1, "\(answer.text)")
            #expect(try harness.administration.keys(of: service, after: nil, limit: 10).map(\.id) == [keys[0], keys[1]])
            #expect(harness.store.auditEntries.contains { $0.action == "keys.delete_rejected" && $0.subject == "1 keys of service \(service), job \(id)" })
        }
    }

    @Test func `a retest tries those that were not good`() async throws {
        let harness = try await JobHarness()
        let (service, keys) = try await harness.makeService([200, 401, 503])
        try await harness.running {
            let id = try #require(try await finished(harness, service).json["job_id"].integer)
            harness.provider.peek { $0.statuses["sk-test-10002"] = 200 }
            let again = try await harness.call("POST", "/admin/jobs/\(id)/retest")
            #expect(again.status == 202)
            let job = Int64(try #require(again.json["job_id"].integer))
            let record = try await harness.ended(job)
            #expect(record.total == 2 && record.counts == [.rejected: 1, .ok: 1])
            let results = try await harness.runner.results(of: harness.runner.job(job), after: 0, limit: 10)
            #expect(results.map(\.key) == [keys[1].rawValue, keys[2].rawValue])
        }
    }

    @Test func `a service is validated by one job at a time`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200])
        // Nobody carries jobs out here, so it stays.
        let path = "/admin/proxy-configs/\(service)/keys/validate"
        let id = try #require(try await harness.call("POST", path).json["job_id"].integer)
        let second = try await harness.call("POST", path)
        #expect(second.status == 409 && second.code == "job_running")
        let retest = try await harness.call("POST", "/admin/jobs/\(id)/retest")
        #expect(retest.status == 409)
        let cancelled = try await harness.call("POST", "/admin/jobs/\(id)/cancel")
        #expect(cancelled.json["state"].string == "failed" && cancelled.json["reason"].string == "cancelled")
        #expect(try await harness.call("POST", "/admin/jobs/\(id)/cancel").code == "job_ended")
        #expect(try await harness.call("POST", path).status == 202)
    }

    @Test func `a call that is given takes the place of the format's own`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200])
        let body = #"{"concurrency":1,"rate_per_second":10000,"probe":{"path":"/chat/completions","body":"{}","model":"m"}}"#
        let job = try await harness.running { try await finished(harness, service, body) }
        #expect(job.json["counts"]["ok"].integer == 1)
        #expect(harness.provider.peek(\.models) == ["m"])
    }

    @Test(arguments: [
        (#"{"concurrency":0}"#, "concurrency"), (#"{"concurrency":257}"#, "concurrency"), (#"{"rate_per_second":0}"#, "rate_per_second"),
        (#"{"rate_per_second":10001}"#, "rate_per_second"), (#"{"ids":[]}"#, "ids"), (#"{"ids":[0]}"#, "ids[0]"), (#"{"ids":["1"]}"#, "ids[0]"),
        (#"{"ids":[1],"filter":{"state":"invalid"}}"#, "filter"), (#"{"filter":{"state":"bad"}}"#, "state"), (#"{"filter":{"status":"x"}}"#, "status"),
        (#"{"filter":7}"#, "filter"), (#"{"probe":{}}"#, "probe.path"), (#"{"probe":{"path":"x"}}"#, "probe.path"),
        (#"{"probe":{"path":"/../x"}}"#, "probe.path"), (#"{"probe":{"path":"/x","method":"CONNECT"}}"#, "probe.method"),
        (#"{"probe":{"path":"/x","model":""}}"#, "probe.model"), (#"{"apply":1}"#, "apply"), (#"{"speed":1}"#, "speed"),
    ])
    func `what is not understood is 400 and named`(_ body: String, _ name: String) async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200])
        let answer = try await harness.call("POST", "/admin/proxy-configs/\(service)/keys/validate", body)
        #expect(answer.status == 400)
        #expect(answer.detail.contains("“\(name)”"), "\(answer.detail)")
    }

    @Test func `what is not there is 404`() async throws {
        let harness = try await JobHarness()
        #expect(try await harness.call("POST", "/admin/proxy-configs/9/keys/validate").code == "service_not_found")
        #expect(try await harness.call("GET", "/admin/jobs/9").code == "job_not_found")
        for call in AdminRoute.JobCall.allCases { #expect(try await harness.call("POST", "/admin/jobs/9/\(call.rawValue)").code == "job_not_found") }
    }

    @Test func `a store that is away is 503, and nothing is half done`() async throws {
        let harness = try await JobHarness()
        let (service, _) = try await harness.makeService([200])
        harness.way.cut()
        let answer = try await harness.call("POST", "/admin/proxy-configs/\(service)/keys/validate")
        #expect(answer.status == 503 && answer.code == "store_unavailable")
        #expect(harness.store.peek { $0.documents[.job]?.isEmpty ?? true })
    }
}
