// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin routing") struct AdminRoutingTests {
    private func path(of template: String) -> String { template.replacing("{id}", with: "1").replacing("{api_format}", with: "generic") }

    @Test func `each template leads to its route`() {
        for (template, route) in AdminRoute.all { #expect(AdminRoute(path: path(of: template)) == route) }
    }

    @Test(arguments: [
        "/admin", "/admin/", "/admin/login/", "/admin/audit/1", "/admin/proxy-configs/", "/admin/proxy-configs/0", "/admin/proxy-configs/01",
        "/admin/proxy-configs/+1", "/admin/proxy-configs/-1", "/admin/proxy-configs/1.0", "/admin/proxy-configs/x", "/admin/proxy-configs/1/",
        "/admin/proxy-configs/9223372036854775808", "/admin/proxy-configs/1/keys/", "/admin/proxy-configs/1/keys/2", "/admin/proxy-configs//keys",
        "/admin/proxy-configs/1/keys//batch", "/admin/keys", "/admin/keys/", "/admin/keys/1/", "/admin/keys/1/reset/", "/admin/keys/٣", "/Admin/audit",
        "/admin/proxy-configs/1/keys/validate/", "/admin/jobs/", "/admin/jobs/0", "/admin/jobs/1/", "/admin/jobs/1/stop", "/admin/client-keys/",
        "/admin/client-keys/0", "/admin/client-keys/1/x", "/admin/stats/", "/admin/requests/", "/admin/requests/1/2", "/admin/requests/%zz", "/admin/events/1",
        "/admin/export/", "/admin/imports", "/openapi.json/", "/admin/openapi.json",
        "/admin/rules", "/admin/rules/", "/admin/rules/Generic", "/admin/rules/generic/", "/admin/rules/explain/", "/admin/proxy-configs/1/rules/",
    ])
    func `other paths are 404`(_ path: String) async throws {
        let answer = await (try await AdminHarness()).call("GET", path)
        // Without the token, /openapi.json's neighbours tell no more than the rest.
        #expect(answer.status == 404)
        #expect(answer.code == "route_not_found")
        #expect(answer["Content-Type"] == "application/problem+json")
    }

    @Test func `a method that a path does not take is 405 with the ones that it takes`() async throws {
        let harness = try await AdminHarness()
        let every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FROB", "get"]
        for (template, route) in AdminRoute.all {
            let path = path(of: template)
            for method in every where !route.methods.contains(method) {
                let answer = await harness.call(method, path)
                #expect(answer.status == 405, "\(method) \(path)")
                #expect(answer.code == "method_not_allowed")
                #expect(answer["Allow"] == route.methods.joined(separator: ", "))
            }
        }
    }

    @Test func `HEAD is answered as GET`() async throws {
        let harness = try await AdminHarness()
        _ = await harness.makeService()
        for (template, route) in AdminRoute.all where route.methods.contains("GET") {
            let path = path(of: template)
            let (get, head) = (await harness.call("GET", path), await harness.call("HEAD", path))
            #expect(head.status == get.status)
            #expect(head["Content-Type"] == get["Content-Type"])
        }
    }

    @Test(arguments: [
        ("/admin/proxy-configs?limit=0", "limit"), ("/admin/proxy-configs?limit=1001", "limit"), ("/admin/proxy-configs?limit=x", "limit"),
        ("/admin/proxy-configs?limit=", "limit"), ("/admin/proxy-configs?limit=1&limit=2", "limit"), ("/admin/proxy-configs?limit=%31%", "limit"),
        ("/admin/proxy-configs?limit=-1", "limit"), ("/admin/proxy-configs?limit=1.5", "limit"), ("/admin/audit?after=-1", "after"),
        ("/admin/audit?after=x", "after"), ("/admin/audit?after=99999999999999999999", "after"), ("/admin/audit?state=active", "state"),
        ("/admin/proxy-configs/1/keys?state=Active", "state"), ("/admin/proxy-configs/1/keys?stat=active", "stat"),
        ("/admin/proxy-configs/1/keys?q=%ff", "q"), ("/admin/proxy-configs/1?x", "x"),
    ])
    func `a parameter that is not understood is 400 and named`(_ target: String, _ name: String) async throws {
        let harness = try await AdminHarness()
        _ = await harness.makeService()
        let answer = await harness.call("GET", target)
        #expect(answer.status == 400)
        #expect(answer.code == "invalid_parameter")
        #expect(answer.detail.contains("“\(name)”"))
    }

    @Test func `the OpenAPI document has each route and method, and nothing else`() async throws {
        let harness = try await AdminHarness()
        let answer = await harness.send("GET", "/openapi.json", token: nil)
        #expect(answer.status == 200)
        #expect(answer["Content-Type"] == "application/json")
        let document = Optional(try JSONParser.parse(answer.response.body))
        #expect(document["openapi"].string == "3.1.0")
        #expect(document["info"]["version"].string == "9.8.7")
        #expect(document["components"]["securitySchemes"].names == ["adminToken"])
        #expect(document["paths"].names == Set(AdminRoute.all.map(\.template)))
        for (template, route) in AdminRoute.all {
            let operations = document["paths"][template]
            #expect(operations.names.subtracting(["parameters"]) == Set(route.methods.filter { $0 != "HEAD" }.map { $0.lowercased() }), "\(template)")
            for method in operations.names.subtracting(["parameters"]) {
                let operation = operations[method]
                #expect((operation["security"] == .array([])) == route.isOpen, "\(method) \(template)")
                #expect(operation["operationId"].string != nil)
                #expect(!operation["responses"].names.isEmpty)
            }
        }
    }

    @Test func `each reference in the OpenAPI document leads somewhere`() async throws {
        let document = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))
        func check(_ value: JSONValue) {
            switch value {
            case .array(let items): for item in items { check(item) }
            case .object(let members):
                for member in members {
                    if member.name == "$ref", case .string(let reference) = member.value {
                        let target = reference.split(separator: "/").dropFirst().reduce(document) { $0[String($1)] }
                        #expect(target != nil, "\(reference)")
                    } else {
                        check(member.value)
                    }
                }
            case .null, .bool, .number, .string: break
            }
        }
        check(try #require(document))
    }

    @Test func `the OpenAPI document has the members that services and keys have`() async throws {
        let harness = try await AdminHarness()
        let service = await harness.makeService()
        let key = await harness.makeKey("k", in: service)
        let schemas = Optional(try JSONParser.parse(OpenAPIDocument.octets(version: "1")))["components"]["schemas"]
        #expect(schemas["Service"]["properties"].names == (await harness.call("GET", "/admin/proxy-configs/\(service)")).json.names)
        #expect(schemas["ServiceConfiguration"]["properties"].names == ServiceDocument.members)
        #expect(schemas["Key"]["properties"].names == (await harness.call("GET", "/admin/keys/\(key)")).json.names)
    }
}
