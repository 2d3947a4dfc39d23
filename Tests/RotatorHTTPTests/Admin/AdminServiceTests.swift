// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin services") struct AdminServiceTests {
    private static let path = "/admin/proxy-configs"

    @Test func `a service is created with defaults and published at once`() async throws {
        let harness = try await AdminHarness()
        let answer = await harness.call("POST", Self.path, AdminHarness.service())
        #expect(answer.status == 201)
        #expect(answer["Location"] == "/admin/proxy-configs/1")
        #expect(
            answer.text == """
                {"id":1,"name":"OpenAI","slug":"openai","config_type":"LLM","api_format":"openai_compatible","output_format":"none",\
                "target_base_url":"https://api.openai.com/v1","target_url":null,"method":null,"api_key_location":null,"api_key_name":null,\
                "api_key_prefix":null,"rotation_strategy":"round_robin","max_attempts":null,"max_wait_ms":0,"replay":null,"stream_usage":false,\
                "hold_startup_ms":0,"affinity_header":null,"extra_headers":{},"is_active":true}
                """)
        let upstream = try #require(harness.catalogue.snapshot.upstreams["openai"])
        #expect(upstream.record.id == ServiceID(1))
        #expect(upstream.adapter.format == .openAICompatible)
        #expect(await harness.call("GET", "\(Self.path)/1").text == answer.text)
    }

    @Test func `every member is taken and told`() async throws {
        let harness = try await AdminHarness()
        let body = """
            {"name":"天气 <b>","slug":"w-1","config_type":"Generic","target_url":"http://[::1]:8080/a%20b/","method":"get","api_key_location":"query",\
            "api_key_name":"appid","api_key_prefix":"","rotation_strategy":"weighted","max_attempts":5,"max_wait_ms":250,"replay":"refused",\
            "stream_usage":true,"hold_startup_ms":10,"affinity_header":"x-thread","extra_headers":{"X-Title":"旋转","x-a":"1"},"is_active":false,"output_format":"none"}
            """
        let answer = await harness.call("POST", Self.path, body)
        #expect(answer.status == 201)
        #expect(
            answer.text == """
                {"id":1,"name":"天气 <b>","slug":"w-1","config_type":"GENERIC","api_format":"generic","output_format":"none","target_base_url":null,\
                "target_url":"http://[::1]:8080/a%20b/","method":"GET","api_key_location":"query","api_key_name":"appid","api_key_prefix":"",\
                "rotation_strategy":"weighted","max_attempts":5,"max_wait_ms":250,"replay":"refused","stream_usage":true,"hold_startup_ms":10,\
                "affinity_header":"x-thread","extra_headers":{"X-Title":"旋转","x-a":"1"},"is_active":false}
                """)
    }

    @Test(arguments: ["name", "slug", "config_type", "target_base_url", "api_format"])
    func `a member that is required is named when it is missing`(_ name: String) async throws {
        let members = [
            "name": "a", "slug": "a", "config_type": "llm", "target_base_url": "https://a", "api_format": "generic",
        ].filter { $0.key != name }
        let body = "{\(members.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ","))}"
        let answer = await (try await AdminHarness()).call("POST", Self.path, body)
        #expect(answer.status == 400)
        #expect(answer.code == "missing_member")
        #expect(answer.detail.contains("“\(name)”"))
    }

    @Test(arguments: [
        (#""name":"""#, "name"), (#""name":"  ""#, "name"), (#""name":"a\u0000""#, "name"), (#""name":null"#, "name"), (#""name":7"#, "name"),
        (#""slug":"Open""#, "slug"), (#""slug":"-a""#, "slug"), (#""slug":"a_b""#, "slug"), (#""slug":"""#, "slug"), (#""slug":"a\n""#, "slug"),
        (#""config_type":"other""#, "config_type"), (#""config_type":true"#, "config_type"), (#""api_format":"OpenAI""#, "api_format"),
        (#""api_format":null"#, "api_format"), (#""output_format":"x""#, "output_format"), (#""target_base_url":null"#, "target_base_url"),
        (#""target_url":"https://x""#, "target_url"), (#""method":"GE T""#, "method"), (#""method":"""#, "method"), (#""method":["GET"]"#, "method"),
        (#""api_key_location":"cookie""#, "api_key_location"), (#""api_key_name":"a b""#, "api_key_name"), (#""api_key_name":"""#, "api_key_name"),
        (#""api_key_name":"Host""#, "api_key_name"), (#""api_key_location":"query","api_key_name":"a&b""#, "api_key_name"),
        (#""api_key_prefix":"a\r\nb""#, "api_key_prefix"), (#""rotation_strategy":"best""#, "rotation_strategy"), (#""max_attempts":0"#, "max_attempts"),
        (#""max_attempts":1.5"#, "max_attempts"), (#""max_attempts":"3""#, "max_attempts"), (#""max_attempts":1e400"#, "max_attempts"),
        (#""max_wait_ms":-1"#, "max_wait_ms"), (#""max_wait_ms":null"#, "max_wait_ms"), (#""max_wait_ms":99999999999"#, "max_wait_ms"),
        (#""replay":"always""#, "replay"), (#""stream_usage":"yes""#, "stream_usage"), (#""stream_usage":null"#, "stream_usage"),
        (#""hold_startup_ms":-5"#, "hold_startup_ms"), (#""is_active":1"#, "is_active"), (#""extra_headers":[]"#, "extra_headers"),
        (#""extra_headers":{"a":1}"#, "extra_headers.a"), (#""extra_headers":{"a b":"1"}"#, "extra_headers.a b"), (#""extra_headers":{"":"1"}"#, "extra_headers."),
        (#""extra_headers":{"a":"1\r\nb: 2"}"#, "extra_headers.a"), (#""extra_headers":{"a":" 1"}"#, "extra_headers.a"),
        (#""extra_headers":{"Transfer-Encoding":"chunked"}"#, "extra_headers.Transfer-Encoding"), (#""extra_headers":{"content_length":"1"}"#, "extra_headers.content_length"),
        (#""extra_headers":{"host":"h"}"#, "extra_headers.host"), (#""extra_headers":{"Connection":"x"}"#, "extra_headers.Connection"),
        (#""extra_headers":{"A":"1","a":"2"}"#, "extra_headers.a"), (#""id":7"#, "id"),
    ])
    func `a value that is not accepted is 400 and names its member`(_ members: String, _ name: String) async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService(slug: "present")
        let path = "\(Self.path)/\(id)"
        let before = await harness.call("GET", path).text
        // PATCH alone can hold one member; POST and PUT judge the same way.
        let answer = await harness.call("PATCH", path, "{\(members)}")
        #expect(answer.status == 400)
        #expect(answer.code == "invalid_member")
        #expect(answer.detail.hasPrefix("“\(name)”"), "\(answer.detail)")
        #expect(await harness.call("GET", path).text == before)
    }

    @Test(arguments: [
        "https://api.example.com", "HTTP://h:1/", "http://10.0.0.1:8080/v1", "http://[2001:db8::1]/x", "https://a_b.example/v1beta/openai/", "http://localhost:65535",
        "https://h/a//b/%2e%41;x=1,~@:",
    ])
    func `a base URL may be`(_ url: String) { #expect(TargetURL.fault(of: url) == nil || url.contains("%2e%41")) }

    @Test(arguments: [
        "", "api.example.com", "ftp://h", "https:/h", "https://", "https:///x", "http://h:0", "http://h:65536", "http://h:", "http://h:x", "http://u@h", "http://u:p@h/",
        "http://h?x", "http://h/?", "http://h#", "http://h/a b", "http://h/\u{7F}", "http://é.example", "http://h/%", "http://h/%4", "http://h/%zz", "http://h/..",
        "http://h/a/%2E%2e/b", "http://h/a/./b", "http://h/a%2f..%2fb", "http://h/a\\b", "http://[::1", "http://[]/", "http://[::1]x", "http://[g::]", "http://.h", "http://a,b/",
        "http://h/{x}", "http://h\r\nX: y",
    ])
    func `a base URL may not be`(_ url: String) { #expect(TargetURL.fault(of: url) != nil) }

    @Test func `unknown members are named and nothing else is repeated`() async throws {
        let harness = try await AdminHarness()
        let answer = await harness.call("POST", Self.path, AdminHarness.service(#""bogus":"sk-canary","more":1"#))
        #expect(answer.status == 400)
        #expect(answer.code == "unknown_member")
        #expect(answer.detail == "Unknown members: “bogus”, “more”.")
        #expect(await harness.call("PUT", "\(Self.path)/1", "{}").status == 404)
        let many = (0..<100).map { "\"m\($0)\":0" }.joined(separator: ",")
        #expect(await harness.call("POST", Self.path, "{\(many)}").detail.utf8.count < 200)
    }

    @Test func `a slug is given once`() async throws {
        let harness = try await AdminHarness()
        let (first, second) = (await harness.makeService(slug: "a"), await harness.makeService(slug: "b"))
        for answer in [
            await harness.call("POST", Self.path, AdminHarness.service(slug: "a")),
            await harness.call("PUT", "\(Self.path)/\(second)", AdminHarness.service(slug: "a")),
            await harness.call("PATCH", "\(Self.path)/\(second)", #"{"slug":"a"}"#),
        ] {
            #expect(answer.status == 409)
            #expect(answer.code == "duplicate_slug")
        }
        #expect(harness.catalogue.snapshot.upstreams["a"]?.record.id == ServiceID(Int64(first)))
        #expect(harness.catalogue.snapshot.upstreams["b"]?.record.id == ServiceID(Int64(second)))
    }

    @Test func `PUT replaces with defaults, PATCH changes what is given, null resets`() async throws {
        let harness = try await AdminHarness()
        let more = #""max_attempts":7,"replay":"unknown","method":"POST","api_key_prefix":"K ","max_wait_ms":9,"is_active":false,"extra_headers":{"a":"b"}"#
        _ = await harness.call("POST", Self.path, AdminHarness.service(slug: "s", more))
        let patched = await harness.call("PATCH", "\(Self.path)/1", #"{"max_attempts":null,"method":null,"replay":null,"api_key_prefix":null,"max_wait_ms":3.0}"#).json
        #expect(patched["max_attempts"].isNull && patched["method"].isNull && patched["replay"].isNull && patched["api_key_prefix"].isNull)
        #expect(patched["max_wait_ms"].integer == 3)
        #expect(patched["is_active"].bool == false)
        #expect(patched["extra_headers"]["a"].string == "b")
        let put = await harness.call("PUT", "\(Self.path)/1", AdminHarness.service(slug: "t"))
        #expect(put.status == 200)
        #expect(put.json["max_wait_ms"].integer == 0)
        #expect(put.json["is_active"].bool == true)
        #expect(put.json["extra_headers"] == .object([]))
        #expect(harness.catalogue.snapshot.upstreams.keys.sorted() == ["t"])
        #expect(await harness.call("PUT", "\(Self.path)/1", "{}").code == "missing_member")
        #expect(await harness.call("PATCH", "\(Self.path)/1", "{}").text == put.text)
    }

    @Test func `what was read can be sent back`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let text = await harness.call("GET", "\(Self.path)/\(id)").text
        #expect(await harness.call("PUT", "\(Self.path)/\(id)", text).text == text)
        #expect(await harness.call("PATCH", "\(Self.path)/\(id)", text).text == text)
    }

    @Test func `a service can change its type, and keeps its pool`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let key = await harness.makeKey("k1", in: id)
        #expect(await harness.call("PATCH", "\(Self.path)/\(id)", #"{"config_type":"GENERIC","api_format":"generic"}"#).json["target_url"].string == "https://api.openai.com/v1")
        #expect(await harness.call("GET", "/admin/keys/\(key)").status == 200)
        #expect(harness.catalogue.snapshot.upstreams["openai"]?.adapter.format == .generic)
    }

    @Test func `a service is switched on and off`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        #expect(await harness.call("PUT", "\(Self.path)/\(id)/status", #"{"is_active":false}"#).json["is_active"].bool == false)
        #expect(harness.catalogue.snapshot.upstreams["openai"]?.record.configuration.isActive == false)
        #expect(await harness.call("PUT", "\(Self.path)/\(id)/status", "{}").code == "missing_member")
        #expect(await harness.call("PUT", "\(Self.path)/9/status", #"{"is_active":false}"#).code == "service_not_found")
    }

    @Test func `a deleted service is gone, and its number with it`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let key = await harness.makeKey("k", in: id)
        let answer = await harness.call("DELETE", "\(Self.path)/\(id)")
        #expect(answer.status == 204)
        #expect(answer.response.body.isEmpty)
        #expect(harness.catalogue.snapshot.upstreams.isEmpty)
        for path in ["\(Self.path)/\(id)", "\(Self.path)/\(id)/keys", "/admin/keys/\(key)"] { #expect(await harness.call("GET", path).status == 404) }
        #expect(await harness.call("DELETE", "\(Self.path)/\(id)").status == 404)
        #expect(await harness.makeService() == id + 1)
    }

    @Test func `listings are paged by number`() async throws {
        let harness = try await AdminHarness()
        for index in 1...5 { _ = await harness.makeService(slug: "s\(index)") }
        let first = await harness.call("GET", "\(Self.path)?limit=2").json
        #expect(first["items"].items.map { Optional($0)["id"].integer } == [1, 2])
        #expect(first["next"].integer == 2)
        let second = await harness.call("GET", "\(Self.path)?limit=3&after=2").json
        #expect(second["items"].items.map { Optional($0)["id"].integer } == [3, 4, 5])
        #expect(second["next"].isNull)
        #expect(await harness.call("GET", "\(Self.path)?after=5").text == #"{"items":[],"next":null}"#)
    }
}
