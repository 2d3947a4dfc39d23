// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin audit") struct AdminAuditTests {
    private func harness() async throws -> AdminHarness {
        let harness = try await AdminHarness()
        for slug in ["a", "b", "c"] { _ = await harness.makeService(slug: slug) }
        return harness
    }

    private func ids(_ answer: Answer) -> [Int?] { answer.json["items"].items.map { Optional($0)["id"].integer } }

    @Test func `the latest changes come first where that is asked for, page by page`() async throws {
        let harness = try await harness()
        let first = await harness.call("GET", "/admin/audit?order=desc&limit=2")
        #expect(ids(first) == [3, 2])
        let next = try #require(first.json["next"].integer)
        let second = await harness.call("GET", "/admin/audit?order=desc&limit=2&before=\(next)")
        #expect(ids(second) == [1] && second.json["next"].isNull)
        #expect(ids(await harness.call("GET", "/admin/audit?order=asc")) == [1, 2, 3])
        #expect(ids(await harness.call("GET", "/admin/audit")) == [1, 2, 3])
    }

    @Test(arguments: [("order=up", "order"), ("order=desc&after=1", "after"), ("before=2", "before"), ("order=desc&before=x", "before")])
    func `an order that is none, or a place of the other one, is 400`(_ query: String, _ name: String) async throws {
        let answer = await (try await harness()).call("GET", "/admin/audit?\(query)")
        #expect(answer.status == 400 && answer.code == "invalid_parameter" && answer.detail.contains("“\(name)”"))
    }
}
