// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin history") struct AdminHistoryTests {
    @Test func `statistics tell totals, services, keys, clients, models and a series`() async throws {
        let harness = try await AdminHarness()
        let service = await harness.makeService()
        let key = await harness.makeKey("sk-0123456789abcdefghij", in: service, name: "first")
        harness.recorder.take([
            .of(at: harness.clock.now, service: Int64(service), keys: [Int64(key)], duration: 2_000_000_000),
            .of(at: harness.clock.now, service: Int64(service), client: "bob", status: 503, keys: [Int64(key)], tokens: nil),
        ])
        harness.clock.advance(by: .seconds(1))
        let answer = await harness.call("GET", "/admin/stats")
        #expect(answer.status == 200)
        let json = answer.json
        #expect(json["window"].string == "1h")
        #expect(json["to"].string == harness.clock.now.timestamp)
        #expect(json["totals"]["requests"].integer == 2)
        #expect(json["totals"]["failures"].integer == 1)
        #expect(answer.text.contains(#""success_rate":0.5,"#))
        #expect(json["totals"]["tokens"]["total"].integer == 30)
        #expect(json["services"][0]["service"].string == "openai")
        #expect(json["services"][0]["service_id"].integer == service)
        #expect(json["keys"][0]["key_masked"].string == "sk-0…ghij" || json["keys"][0]["key_masked"].string?.hasPrefix("sk-0") == true)
        #expect(json["keys"][0]["name"].string == "first")
        #expect(json["clients"].items.count == 2)
        #expect(json["models"][0]["model"].string == "gpt")
        #expect(json["series"].items.count == 60)
        #expect(json["series"][59]["requests"].integer == 2)
        #expect(json["series"][0]["requests"].integer == 0)
        #expect(json["series"][0]["latency_ms"]["p50"].isNull)
        #expect(json["dropped"]["requests"].integer == 0)
    }

    @Test func `the lists hold those with the most requests, as many as are asked for`() async throws {
        let harness = try await AdminHarness()
        for client in 1...5 { harness.recorder.take(Array(repeating: .of(at: harness.clock.now, client: "c\(client)"), count: client)) }
        harness.clock.advance(by: .seconds(1))
        let json = await harness.call("GET", "/admin/stats?window=5m&top=2").json
        #expect(json["clients"].items.count == 2)
        #expect(json["clients"][0]["client"].string == "c5" && json["clients"][1]["client"].string == "c4")
        #expect(json["series"].items.count == 5)
    }

    @Test func `statistics of one service leave the others out`() async throws {
        let harness = try await AdminHarness()
        let (one, other) = (await harness.makeService(slug: "one"), await harness.makeService(slug: "other"))
        let keys = (await harness.makeKey("k1", in: one), await harness.makeKey("k2", in: other))
        harness.recorder.take([
            .of(at: harness.clock.now, service: Int64(one), slug: "one", keys: [Int64(keys.0)]),
            .of(at: harness.clock.now, service: Int64(other), slug: "other", keys: [Int64(keys.1)]),
        ])
        let json = await harness.call("GET", "/admin/stats?service=other").json
        #expect(json["totals"]["requests"].integer == 1)
        #expect(json["services"].items.count == 1)
        #expect(json["keys"].items.count == 1 && json["keys"][0]["key_id"].integer == keys.1)
        #expect(json["clients"].items.isEmpty && json["models"].items.isEmpty)
        let unknown = await harness.call("GET", "/admin/stats?service=nobody")
        #expect(unknown.status == 404 && unknown.code == "service_not_found")
    }

    @Test func `statistics of one key tell its attempts, over time`() async throws {
        let harness = try await AdminHarness()
        harness.recorder.take([.of(at: harness.clock.now, keys: [4, 9]), .of(at: harness.clock.now, keys: [9]), .of(at: harness.clock.now, keys: [4], tokens: 5)])
        harness.clock.advance(by: .seconds(1))
        let json = await harness.call("GET", "/admin/stats?key_id=4&window=5m").json
        #expect(json["totals"]["requests"].integer == 2 && json["totals"]["failures"].integer == 1)
        #expect(json["totals"]["tokens"]["input"].integer == 5)
        #expect(json["series"][4]["requests"].integer == 2 && json["series"].items.count == 5)
        #expect(["services", "keys", "clients", "models"].allSatisfy { json[$0].items.isEmpty })
        #expect(await harness.call("GET", "/admin/stats?key_id=77").json["totals"]["requests"].integer == 0)
        #expect(await harness.call("GET", "/admin/stats?key_id=4&service=openai").code == "invalid_parameter")
    }

    @Test func `statistics tell what was added to the provider's own time, of services`() async throws {
        let harness = try await AdminHarness()
        let service = await harness.makeService()
        harness.recorder.take([.of(at: harness.clock.now, service: Int64(service), keys: [1, 2])])
        harness.clock.advance(by: .seconds(1))
        let json = await harness.call("GET", "/admin/stats?window=5m").json
        #expect(!json["totals"]["added_ms"]["p50"].isNull && !json["services"][0]["added_ms"]["p99"].isNull && !json["series"][4]["added_ms"]["p95"].isNull)
        #expect(!json["series"][4]["first_byte_ms"]["p95"].isNull)
        #expect(json["clients"][0]["added_ms"]["p50"].isNull)
    }

    @Test func `a store that is away gives 503`() async throws {
        let harness = try await AdminHarness()
        harness.history.fail(.unavailable)
        let answer = await harness.call("GET", "/admin/stats")
        #expect(answer.status == 503 && answer.code == "store_unavailable")
    }

    @Test(arguments: [
        ("/admin/stats?window=2h", "window", "“5m”"), ("/admin/stats?window=", "window", "“90d”"), ("/admin/stats?top=0", "top", "1000"),
        ("/admin/stats?top=1001", "top", "1000"), ("/admin/stats?top=x", "top", "1000"), ("/admin/stats?key_id=x", "key_id", "id"), ("/admin/stats?limit=5", "limit", "unknown"),
        ("/admin/requests?status=99", "status", "599"), ("/admin/requests?status=2xx", "status", "599"), ("/admin/requests?failed=yes", "failed", "“true”"),
        ("/admin/requests?key_id=0", "key_id", "id"), ("/admin/requests?from=yesterday", "from", "3339"), ("/admin/requests?to=2026-02-30T00:00:00Z", "to", "3339"),
        ("/admin/requests?after=-1", "after", "next"), ("/admin/requests?limit=1001", "limit", "1000"), ("/admin/requests/1?limit=1", "limit", "unknown"),
        ("/admin/events?since=1", "since", "unknown"),
    ])
    func `a parameter that is not understood is 400, named, with what is accepted`(_ target: String, _ name: String, _ words: String) async throws {
        let harness = try await AdminHarness()
        let answer = await harness.call("GET", target)
        #expect(answer.status == 400 && answer.code == "invalid_parameter")
        #expect(answer.detail.contains("“\(name)”") && answer.detail.contains(words))
    }

    @Test(arguments: ["/admin/stats", "/admin/requests", "/admin/requests/r", "/admin/events"])
    func `history wants a token`(_ path: String) async throws {
        let harness = try await AdminHarness()
        #expect(await harness.send("GET", path, token: nil).status == 401)
    }

    @Test func `requests are listed newest first, page by page`() async throws {
        let harness = try await AdminHarness()
        harness.recorder.take((0..<5).map { .of("r\($0)", at: harness.clock.now, keys: [4, 9]) })
        let first = await harness.call("GET", "/admin/requests?limit=2").json
        #expect(first["items"].items.map { Optional($0)["request_id"].string } == ["r4", "r3"])
        let item = first["items"][0]
        #expect(item["attempts"].integer == 2)
        #expect(item["key_id"].integer == 9)
        #expect(item["replica"].string == "here")
        #expect(item["tokens"]["input"].integer == 10)
        #expect(item["duration_ms"].integer == 1)
        #expect(item["error_code"].isNull)
        #expect(item["ending"].string == "complete")
        let next = try #require(first["next"].integer)
        let second = await harness.call("GET", "/admin/requests?limit=2&after=\(next)").json
        #expect(second["items"].items.map { Optional($0)["request_id"].string } == ["r2", "r1"])
        let last = await harness.call("GET", "/admin/requests?limit=2&after=\(second["next"].integer ?? 0)").json
        #expect(last["items"].items.count == 1 && last["next"].isNull)
    }

    @Test func `filters go together`() async throws {
        let harness = try await AdminHarness()
        harness.recorder.take([
            .of("a", at: harness.clock.now, client: "x y", status: 503), .of("b", at: harness.clock.now, client: "x y"), .of("c", at: harness.clock.now),
        ])
        let found = await harness.call("GET", "/admin/requests?client=x+y&failed=true&status=503&service=openai&key_id=1&model=gpt&from=2020-01-01T00:00:00Z").json
        #expect(found["items"].items.map { Optional($0)["request_id"].string } == ["a"])
        #expect(await harness.call("GET", "/admin/requests?to=2020-01-01T00:00:00%2B02:00").json["items"].items.isEmpty)
    }

    @Test func `a request id leads to what was tried`() async throws {
        let harness = try await AdminHarness()
        harness.recorder.take([.of("a-_.:~Z", at: harness.clock.now, status: 503, keys: [4, 9]), .of("other", at: harness.clock.now)])
        for path in ["a-_.:~Z", "a-_.%3A~Z"] {
            let json = await harness.call("GET", "/admin/requests/\(path)").json
            #expect(json["items"].items.count == 1)
            let attempts = json["items"][0]["attempts"]
            #expect(attempts.items.count == 2)
            #expect(attempts[0]["key_id"].integer == 4 && attempts[0]["status"].integer == 429 && attempts[0]["verdict"].string == "rate_limited")
            #expect(attempts[0]["reason"].string == "rate_limit_exceeded" && attempts[0]["began_ms"].integer == 0)
            #expect(attempts[1]["key_id"].integer == 9 && attempts[1]["verdict"].string == "upstream_failed" && attempts[1]["reason"].isNull)
        }
        let unknown = await harness.call("GET", "/admin/requests/nobody")
        #expect(unknown.status == 404 && unknown.code == "request_not_found")
    }

    @Test func `the same id twice leads to both, the newer first`() async throws {
        let harness = try await AdminHarness()
        harness.recorder.take([.of("same", at: harness.clock.now, client: "one"), .of("same", at: harness.clock.now, client: "two")])
        let json = await harness.call("GET", "/admin/requests/same").json
        #expect(json["items"].items.map { Optional($0)["client"].string } == ["two", "one"])
    }

    @Test func `the OpenAPI document has the members of statistics, requests and attempts`() async throws {
        let harness = try await AdminHarness()
        harness.recorder.take([.of("r", at: harness.clock.now)])
        let schemas = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))["components"]["schemas"]
        let stats = await harness.call("GET", "/admin/stats").json
        #expect(schemas["Stats"]["properties"].names == stats.names)
        #expect(schemas["Tally"]["properties"].names == stats["totals"].names)
        for name in ["services", "keys", "clients", "models"] {
            let items = schemas["Stats"]["properties"][name]["items"]
            #expect(items["properties"].names.union(schemas["Tally"]["properties"].names) == stats[name][0].names, "\(name)")
        }
        #expect(schemas["Stats"]["properties"]["series"]["items"]["properties"].names == stats["series"][0].names)
        #expect(schemas["Stats"]["properties"]["dropped"]["properties"].names == stats["dropped"].names)
        #expect(schemas["Tokens"]["properties"].names == stats["totals"]["tokens"].names)
        #expect(schemas["Percentiles"]["properties"].names == stats["totals"]["latency_ms"].names)
        let item = await harness.call("GET", "/admin/requests").json["items"][0]
        #expect(schemas["Request"]["properties"].names.union(["attempts"]) == item.names)
        let trace = await harness.call("GET", "/admin/requests/r").json["items"][0]
        #expect(schemas["Request"]["properties"].names.union(["attempts", "attempt_count"]) == trace.names)
        #expect(schemas["Attempt"]["properties"].names == trace["attempts"][0].names)
    }

    @Test func `where no history is kept there is nothing at its paths`() async throws {
        let harness = try await AdminHarness()
        let clock = harness.clock
        let api = await AdminAPI(
            administration: harness.administration, tokenSecret: Array("short".utf8), publicBaseURL: "", version: "1", clock: { clock.now },
            logger: LogCapture().logger, verifyCredentials: { _, _ in false })
        for path in ["/admin/stats", "/admin/requests", "/admin/requests/1", "/admin/events"] {
            let answer = await api.respond(to: LocalRequest(method: "GET", path: path, fields: [HeaderField("authorization", "Bearer \(harness.token)")]))
            #expect(answer.status == 404)
        }
    }

    @Test(arguments: [
        ("2026-07-14T09:30:00Z", 1_784_021_400_000), ("2026-07-14T11:30:00.125+02:00", 1_784_021_400_125), ("1970-01-01t00:00:00z", 0),
        ("2024-02-29T23:59:59.9999999999999999999Z", 1_709_251_199_999), ("2000-03-01 00:00:00-00:30", 951_870_600_000),
        ("1969-12-31T23:59:59Z", 0), ("1970-01-01T00:00:00+01:00", 0), ("0000-01-01T00:00:00Z", 0), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59Z", Moment.distantFuture.milliseconds), ("2100-02-28T00:00:00Z", 4_107_456_000_000),
    ] as [(String, Int64)])
    func `a timestamp is read`(_ text: String, _ milliseconds: Int64) {
        #expect(Moment(timestamp: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        "", "2026", "2026-07-14", "2026-07-14T09:30:00", "2026-07-14T24:00:00Z", "2026-13-14T09:30:00Z", "2026-00-14T09:30:00Z", "2023-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z", "2026-07-14T09:30:00.Z", "2026-07-14T09:30:00+0200", "2026-07-14T09:30:00Zx", "2100-02-29T00:00:00Z",
        "٢٠٢٦-07-14T09:30:00Z", "2026-07-14T09:30:00+25:00", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
    ])
    func `what is no timestamp is refused`(_ text: String) { #expect(Moment(timestamp: text) == nil) }

    @Test(arguments: [
        (0.0, "0"), (1.5, "1.5"), (-1.25, "-1.25"), (0.0004, "0"), (0.0005, "0.001"), (1_234.5678, "1234.568"), (12e9, "12000000000"), (.nan, "null"),
        (.infinity, "null"), (1e300, "null"), (-0.0001, "0"),
    ] as [(Double, String)])
    func `numbers have a few decimals`(_ number: Double, _ text: String) {
        var json = JSONWriter()
        json.write(number, places: 3)
        #expect(String(decoding: json.octets, as: UTF8.self) == text)
    }
}
