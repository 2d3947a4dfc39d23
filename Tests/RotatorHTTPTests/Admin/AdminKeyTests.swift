// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin keys") struct AdminKeyTests {
    private static let canary = "sk-canary-0123456789-value"
    private static let members: Set<String> = [
        "key_id", "key_masked", "name", "weight", "is_active", "state", "state_reason", "cooling_until", "cooling_models", "last_used_at", "success_count",
        "failure_count", "tags", "quota_group", "quota", "limits", "in_flight",
    ]

    @Test func `a key is added, masked, and shown with exactly its members`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let answer = await harness.call("POST", "/admin/proxy-configs/\(id)/keys", #"{"key_value":"\#(Self.canary)","name":"first","weight":3,"is_active":false}"#)
        #expect(answer.status == 201)
        #expect(answer["Location"] == "/admin/keys/1")
        #expect(answer.json.names == Self.members)
        #expect(answer.json["name"].string == "first")
        #expect(answer.json["weight"].integer == 3)
        #expect(answer.json["is_active"].bool == false)
        #expect(answer.json["state"].string == "disabled")
        #expect(answer.json["cooling_until"].isNull && answer.json["last_used_at"].isNull)
        #expect(!answer.text.contains("canary"))
        let listing = await harness.call("GET", "/admin/proxy-configs/\(id)/keys")
        #expect(Optional(listing.json["items"].items[0]).names == Self.members)
        #expect(!listing.text.contains("canary"))
    }

    @Test func `a value that the service has already is 409, another service may have it`() async throws {
        let harness = try await AdminHarness()
        let (first, second) = (await harness.makeService(slug: "a"), await harness.makeService(slug: "b"))
        _ = await harness.makeKey(Self.canary, in: first)
        let answer = await harness.call("POST", "/admin/proxy-configs/\(first)/keys", #"{"key_value":"\#(Self.canary)"}"#)
        #expect(answer.status == 409)
        #expect(answer.code == "duplicate_key")
        #expect(!answer.text.contains("canary"))
        #expect(await harness.makeKey(Self.canary, in: second) == 2)
    }

    @Test(arguments: [
        (#"{}"#, "missing_member", "key_value"), (#"{"key_value":""}"#, "invalid_member", "key_value"), (#"{"key_value":"a b"}"#, "invalid_member", "key_value"),
        (#"{"key_value":"é"}"#, "invalid_member", "key_value"), (#"{"key_value":"a\n"}"#, "invalid_member", "key_value"), (#"{"key_value":5}"#, "invalid_member", "key_value"),
        (#"{"key_value":"k","weight":0}"#, "invalid_member", "weight"), (#"{"key_value":"k","weight":1000001}"#, "invalid_member", "weight"),
        (#"{"key_value":"k","weight":1.5}"#, "invalid_member", "weight"), (#"{"key_value":"k","name":"\u0007"}"#, "invalid_member", "name"),
        (#"{"key_value":"k","is_active":"no"}"#, "invalid_member", "is_active"), (#"{"key_value":"k","id":1}"#, "unknown_member", "id"),
    ])
    func `what is not a key is 400 and names the member`(_ body: String, _ code: String, _ name: String) async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let answer = await harness.call("POST", "/admin/proxy-configs/\(id)/keys", body)
        #expect(answer.status == 400)
        #expect(answer.code == code)
        #expect(answer.detail.contains("“\(name)”"))
        #expect(await harness.call("GET", "/admin/proxy-configs/\(id)/keys").json["items"].items.isEmpty)
    }

    @Test func `a key has 1 to 8192 visible characters`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let longest = String(repeating: "~", count: 8_192)
        #expect(await harness.makeKey(longest, in: id) == 1)
        #expect(await harness.makeKey("!", in: id) == 2)
        #expect(await harness.makeKey(longest + "~", in: id) == -1)
    }

    @Test func `a key is changed in what is given`() async throws {
        let harness = try await AdminHarness()
        let key = await harness.makeKey("k1", in: await harness.makeService(), name: "old")
        let path = "/admin/keys/\(key)"
        #expect(await harness.call("PATCH", path, #"{"weight":5}"#).json["name"].string == "old")
        let changed = await harness.call("PATCH", path, #"{"is_active":false,"name":null}"#).json
        #expect(changed["weight"].integer == 5)
        #expect(changed["name"].string == "")
        #expect(changed["state"].string == "disabled")
        #expect(await harness.call("PATCH", path, #"{"key_value":"x"}"#).code == "unknown_member")
        #expect(await harness.call("PATCH", path, #"{"weight":null}"#).code == "invalid_member")
        #expect(harness.store.peek { $0.keys[0].weight } == 5)
    }

    @Test func `a key is deleted, a pool is cleared`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let key = await harness.makeKey("k1", in: id)
        _ = await harness.makeKey("k2", in: id)
        _ = await harness.makeKey("k3", in: id)
        #expect(await harness.call("DELETE", "/admin/keys/\(key)").status == 204)
        #expect(await harness.call("DELETE", "/admin/keys/\(key)").code == "key_not_found")
        let cleared = await harness.call("DELETE", "/admin/proxy-configs/\(id)/keys")
        #expect(cleared.status == 200)
        #expect(cleared.text == #"{"deleted_count":2}"#)
        #expect(await harness.call("DELETE", "/admin/proxy-configs/\(id)/keys").text == #"{"deleted_count":0}"#)
        #expect(await harness.makeKey("k1", in: id) == 4)
    }

    @Test func `listings are paged and filtered`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        for index in 1...6 { _ = await harness.makeKey("key-\(index)", in: id, name: index.isMultiple(of: 2) ? "Even \(index)" : "odd") }
        await harness.call("PATCH", "/admin/keys/4", #"{"is_active":false}"#)
        func ids(_ query: String) async -> [Int?] {
            await harness.call("GET", "/admin/proxy-configs/\(id)/keys?\(query)").json["items"].items.map { Optional($0)["key_id"].integer }
        }
        #expect(await ids("limit=2") == [1, 2])
        #expect(await ids("limit=2&after=2") == [3, 4])
        #expect(await ids("state=disabled") == [4])
        #expect(await ids("state=active&limit=1000") == [1, 2, 3, 5, 6])
        #expect(await ids("q=eVeN") == [2, 4, 6])
        #expect(await ids("q=even+6") == [6])
        #expect(await ids("q=Even%206&state=active") == [6])
        #expect(await ids("q=5") == [5])
        #expect(await ids("q=nothing") == [])
        #expect(await ids("q=%E2%80%A6") == [1, 2, 3, 4, 5, 6])
        await harness.call("PATCH", "/admin/keys/1", #"{"name":"ÄRGER im Büro"}"#)
        #expect(await ids("q=%C3%A4rger+IM") == [1])
        #expect(await ids("q=B%C3%9CRO") == [1])
        #expect(await ids("q=") == [1, 2, 3, 4, 5, 6])
        let page = await harness.call("GET", "/admin/proxy-configs/\(id)/keys?q=even&limit=2").json
        #expect(page["next"].integer == 4)
        #expect(await harness.call("GET", "/admin/proxy-configs/9/keys").code == "service_not_found")
    }

    @Test func `a reset clears what the provider said`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let key = await harness.makeKey("k", in: id)
        var standing = StandingRecord()
        standing.state = .invalid
        standing.reason = "key_rejected"
        harness.store.peek { $0.keys[0].standing = standing }
        // As after a restart: another process reads what was written down.
        let restarted = try await AdminHarness(restarting: harness)
        let before = await restarted.call("GET", "/admin/keys/\(key)").json
        #expect(before["state"].string == "invalid")
        #expect(before["state_reason"].string == "key_rejected")
        let after = await restarted.call("POST", "/admin/keys/\(key)/reset")
        #expect(after.status == 200)
        #expect(after.json["state"].string == "active")
        #expect(after.json["state_reason"].isNull)
        #expect(harness.store.peek { $0.keys[0].standing.state } == .active)
        #expect(await restarted.call("POST", "/admin/keys/99/reset").code == "key_not_found")
    }

    @Test func `rests for one model stand in cooling_models`() async throws {
        let harness = try await AdminHarness()
        let key = await harness.makeKey("k", in: await harness.makeService())
        harness.store.peek {
            $0.keys[0].standing.models = [.init(model: "gpt-5", until: harness.clock.now + .seconds(61), reason: "rate_limited", level: 1)]
        }
        let restarted = try await AdminHarness(restarting: harness)
        let rest = await restarted.call("GET", "/admin/keys/\(key)").json["cooling_models"][0]
        #expect(rest.names == ["model", "cooling_until", "state_reason"])
        #expect(rest["model"].string == "gpt-5")
        #expect(rest["cooling_until"].string == "2027-01-15T08:01:01.000Z")
        #expect(rest["state_reason"].string == "rate_limited")
    }

    @Test func `the export alone hands out values, and is written down first`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        for value in ["key-b", "key-a", Self.canary] { _ = await harness.makeKey(value, in: id) }
        let answer = await harness.call("GET", "/admin/proxy-configs/\(id)/keys/export")
        #expect(answer.status == 200)
        #expect(answer["Content-Type"] == "text/plain; charset=utf-8")
        #expect(answer["Cache-Control"] == "no-store")
        #expect(answer.text == "key-b\nkey-a\n\(Self.canary)\n")
        #expect(harness.store.auditEntries.last?.action == "keys.export")
        #expect(harness.store.auditEntries.last?.actor == "ada")
        harness.store.peek { $0.auditFailure = .unavailable }
        let refused = await harness.call("GET", "/admin/proxy-configs/\(id)/keys/export")
        #expect(refused.status == 503)
        #expect(!refused.text.contains("canary"))
    }
}

@Suite("Admin key listing by position") struct AdminKeyPositionTests {
    private func pool() async throws -> (AdminHarness, Int) {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        for (value, name) in [("k1", "delta"), ("k2", "alpha"), ("k3", "charlie"), ("k4", "alpha"), ("k5", "bravo")] { _ = await harness.makeKey(value, in: id, name: name) }
        return (harness, id)
    }

    private func ids(_ harness: AdminHarness, _ id: Int, _ query: String) async -> [Int?] {
        await harness.call("GET", "/admin/proxy-configs/\(id)/keys?\(query)").json["items"].items.map { Optional($0)["key_id"].integer }
    }

    @Test func `a page is told by how many keys stand before it, with the sum of all`() async throws {
        let (harness, id) = try await pool()
        let page = await harness.call("GET", "/admin/proxy-configs/\(id)/keys?offset=1&limit=2").json
        #expect(page["items"].items.map { Optional($0)["key_id"].integer } == [2, 3])
        #expect(page["total"].integer == 5 && page["next"].isNull)
        #expect(await ids(harness, id, "offset=4&limit=1000") == [5])
        #expect(await ids(harness, id, "offset=9223372036854775807&limit=1000").isEmpty)
    }

    @Test(arguments: [
        ("id", [1, 2, 3, 4, 5]), ("-id", [5, 4, 3, 2, 1]), ("name", [2, 4, 5, 3, 1]), ("-name", [1, 3, 5, 2, 4]), ("weight", [1, 2, 4, 5, 3]), ("-weight", [3, 1, 2, 4, 5]),
        ("state", [1, 3, 4, 5, 2]), ("-state", [2, 1, 3, 4, 5]), ("last_used_at", [1, 2, 3, 4, 5]), ("-success_count", [1, 2, 3, 4, 5]), ("failure_count", [1, 2, 3, 4, 5]),
    ])
    func `keys are sorted by any column, either way, and by number where they are equal`(_ order: String, _ expected: [Int]) async throws {
        let (harness, id) = try await pool()
        _ = await harness.call("PATCH", "/admin/keys/3", #"{"weight":7}"#)
        _ = await harness.call("PATCH", "/admin/keys/2", #"{"is_active":false}"#)
        #expect(await ids(harness, id, "sort=\(order)") == expected)
        // Page by page, nothing is missed or told twice.
        var paged: [Int?] = []
        for offset in stride(from: 0, to: 6, by: 2) { paged += await ids(harness, id, "sort=\(order)&offset=\(offset)&limit=2") }
        #expect(paged == expected)
    }

    @Test func `a filter counts before the pages are made`() async throws {
        let (harness, id) = try await pool()
        let page = await harness.call("GET", "/admin/proxy-configs/\(id)/keys?q=alpha&sort=-id&limit=1&offset=1").json
        #expect(page["items"].items.map { Optional($0)["key_id"].integer } == [2])
        #expect(page["total"].integer == 2)
        #expect(await ids(harness, id, "q=alpha&offset=0") == [2, 4])
    }

    @Test(arguments: [("sort=secret", "sort"), ("sort=--id", "sort"), ("offset=-1", "offset"), ("offset=x", "offset"), ("sort=id&after=3", "after"), ("offset=0&after=3", "after")])
    func `an order or place that is none is 400`(_ query: String, _ name: String) async throws {
        let (harness, id) = try await pool()
        let answer = await harness.call("GET", "/admin/proxy-configs/\(id)/keys?\(query)")
        #expect(answer.status == 400 && answer.code == "invalid_parameter" && answer.detail.contains("“\(name)”"))
    }

    @Test func `an export may be of some keys alone, and is written down as that many`() async throws {
        let (harness, id) = try await pool()
        let path = "/admin/proxy-configs/\(id)/keys/export"
        #expect(await harness.call("GET", "\(path)?q=alpha").text == "k2\nk4\n")
        #expect(harness.store.auditEntries.last?.subject == "2 keys of service \(id)")
        #expect(await harness.call("GET", "\(path)?ids=5,1,99").text == "k1\nk5\n")
        #expect(await harness.call("GET", "\(path)?ids=4,5&q=alpha").text == "k4\n")
        #expect(await harness.call("GET", "\(path)?state=invalid").text == "")
        for wrong in ["ids=", "ids=1,", "ids=0", "ids=1%202", "ids=\(Array(repeating: "1", count: 1_001).joined(separator: ","))", "state=none"] {
            #expect(await harness.call("GET", "\(path)?\(wrong)").code == "invalid_parameter", "\(wrong.prefix(20))")
        }
    }
}

@Suite("Admin key import") struct AdminKeyImportTests {
    @Test func `a dry run says the same and adds nothing`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        _ = await harness.makeKey("present", in: id)
        let body = #"{"keys":["a","present","","b","a","c d"]}"#
        let preview = await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch?dry_run=true", body)
        #expect(preview.status == 200)
        #expect(preview.json["success_count"].integer == 2 && preview.json["skipped_count"].integer == 2 && preview.json["failed_count"].integer == 2)
        #expect(await harness.call("GET", "/admin/proxy-configs/\(id)/keys/export").text == "present\n")
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch?dry_run=false", body).text == preview.text)
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch?dry_run=yes", body).code == "invalid_parameter")
    }

    @Test func `a JSON array is imported; duplicates are skipped, faults are told by position`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        _ = await harness.makeKey("present", in: id)
        let long = String(repeating: "x", count: 8_193)
        let answer = await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", #"{"keys":["a","present","","b","a","c d","é","\#(long)","c"]}"#)
        #expect(answer.status == 200)
        #expect(answer.json["success_count"].integer == 3)
        #expect(answer.json["skipped_count"].integer == 2)
        #expect(answer.json["failed_count"].integer == 4)
        #expect(answer.json["failed_keys"].items.map { Optional($0)["index"].integer } == [2, 5, 6, 7])
        #expect(Optional(answer.json["failed_keys"].items[0]).names == ["index", "reason"])
        #expect(!answer.text.contains("c d") && !answer.text.contains("xxx"))
        #expect(await harness.call("GET", "/admin/proxy-configs/\(id)/keys/export").text == "present\na\nb\nc\n")
    }

    @Test(arguments: ["text/plain", "Text/Plain; charset=utf-8", "text/plain ;charset=UTF-8"])
    func `lines are imported; blank ones do not count`(_ type: String) async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let answer = await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", "\u{FEFF}a\r\n\r\n  b\t\n\n \nc d\na\nlast", type: type)
        #expect(answer.json["success_count"].integer == 3)
        #expect(answer.json["skipped_count"].integer == 1)
        #expect(answer.json["failed_keys"].items.map { Optional($0)["index"].integer } == [5])
        #expect(await harness.call("GET", "/admin/proxy-configs/\(id)/keys/export").text == "a\nb\nlast\n")
    }

    @Test(arguments: [
        (#"{"keys":"a"}"#, "invalid_member"), (#"{"keys":["a",1]}"#, "invalid_member"), (#"{"keys":null}"#, "invalid_member"), (#"{}"#, "missing_member"),
        (#"["a"]"#, "invalid_json"), ("a\nb", "invalid_json"), (#"{"keys":["a"],"name":"x"}"#, "unknown_member"), (#"{"keys":["a""#, "invalid_json"),
    ])
    func `a body of another shape changes nothing`(_ body: String, _ code: String) async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let answer = await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", body)
        #expect(answer.status == 400)
        #expect(answer.code == code)
        #expect(harness.store.peek { $0.keys.isEmpty })
    }

    @Test func `an empty import is one`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let nothing = #"{"success_count":0,"skipped_count":0,"failed_count":0,"failed_keys":[]}"#
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", #"{"keys":[]}"#).text == nothing)
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", "", type: "text/plain").text == nothing)
        #expect(await harness.call("POST", "/admin/proxy-configs/9/keys/batch", #"{"keys":[]}"#).code == "service_not_found")
    }

    @Test func `100,000 keys are imported in one call`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let values = (0..<100_000).map { "\"sk-proj-0123456789abcdefghijklmnopqrstuvwxyz-\($0)\"" }
        let body = #"{"keys":[\#(values.joined(separator: ","))]}"#
        let answer = await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", body)
        #expect(answer.json["success_count"].integer == 100_000)
        let page = await harness.call("GET", "/admin/proxy-configs/\(id)/keys?after=99998").json
        #expect(page["items"].items.map { Optional($0)["key_id"].integer } == [99_999, 100_000])
        #expect(page["next"].isNull)
    }
}
