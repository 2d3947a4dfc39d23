// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Admin session") struct AdminSessionTests {
    private static let login = "/admin/login"
    private static let wrong = #"{"username":"ada","password":"nope"}"#
    private static let right = #"{"username":"ada","password":"canary-password"}"#

    @Test func `the right credentials give a token`() async throws {
        let harness = try await AdminHarness()
        let answer = await harness.send("POST", Self.login, Self.right, token: nil)
        #expect(answer.status == 200)
        #expect(answer.json.names == ["access_token", "token_type", "expires_in"])
        #expect(answer.json["token_type"].string == "Bearer")
        #expect(answer.json["expires_in"].integer == 43_200)
        #expect(answer["Cache-Control"] == "no-store")
    }

    @Test func `wrong credentials give a problem and no token`() async throws {
        let harness = try await AdminHarness()
        let answer = await harness.send("POST", Self.login, Self.wrong, token: nil)
        #expect(answer.status == 401)
        #expect(answer["Content-Type"] == "application/problem+json")
        #expect(answer["WWW-Authenticate"] == "Bearer")
        #expect(answer.json.names == ["type", "title", "status", "detail", "code"])
        #expect(answer.code == "invalid_credentials")
        #expect(answer.json["status"].integer == 401)
        #expect(answer.json["title"].string == "Unauthorized")
    }

    @Test func `after ten failures within a minute an address waits, right or wrong`() async throws {
        let harness = try await AdminHarness()
        for _ in 0..<10 {
            #expect(await harness.send("POST", Self.login, Self.wrong, token: nil).status == 401)
            harness.clock.advance(by: .seconds(1))
        }
        // The first of the ten was ten seconds ago.
        for body in [Self.wrong, Self.right] {
            let answer = await harness.send("POST", Self.login, body, token: nil)
            #expect(answer.status == 429)
            #expect(answer.code == "too_many_attempts")
            #expect(answer["Retry-After"] == "50")
        }
        #expect(await harness.send("POST", Self.login, Self.right, token: nil, from: "::1").status == 200)
        harness.clock.advance(by: .seconds(50))
        #expect(await harness.send("POST", Self.login, Self.right, token: nil).status == 200)
        #expect(await harness.send("POST", Self.login, Self.wrong, token: nil).status == 401)
        #expect(await harness.send("POST", Self.login, Self.wrong, token: nil).status == 429)
    }

    @Test func `parallel guesses get no more than ten answers`() async throws {
        let harness = try await AdminHarness()
        let statuses = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<40 { group.addTask { await harness.send("POST", Self.login, Self.wrong, token: nil).status } }
            return await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(statuses.count { $0 == 401 } == 10)
        #expect(statuses.count { $0 == 429 } == 30)
    }

    @Test func `the memory of failures is bounded`() {
        let throttle = LoginThrottle()
        let start = Moment(seconds: 1_000)
        for index in 0..<25_000 { _ = throttle.loginFailed(from: "address \(index)", at: start + .milliseconds(index)) }
        for _ in 0..<10 { #expect(throttle.loginFailed(from: "a", at: start + .seconds(26)) == nil) }
        #expect(throttle.wait(for: "a", at: start + .seconds(26)) == .seconds(60))
    }

    @Test(arguments: [
        ("", "invalid_json"), ("[]", "invalid_json"), ("{}", "missing_member"), (#"{"username":"ada"}"#, "missing_member"),
        (#"{"username":"ada","password":1}"#, "invalid_member"), (#"{"username":"ada","password":"x","otp":"1"}"#, "unknown_member"),
    ])
    func `a malformed login is 400`(_ body: String, _ code: String) async throws {
        let answer = await (try await AdminHarness()).send("POST", Self.login, body, token: nil)
        #expect(answer.status == 400)
        #expect(answer.code == code)
    }

    @Test func `a huge login is refused unread`() async throws {
        let harness = try await AdminHarness()
        #expect(await harness.send("POST", Self.login, String(repeating: " ", count: 70_000), token: nil).status == 413)
    }

    @Test(arguments: [
        ("GET", "/admin/proxy-configs"), ("POST", "/admin/proxy-configs"), ("GET", "/admin/proxy-configs/1"), ("GET", "/admin/proxy-configs/1/keys/export"),
        ("DELETE", "/admin/keys/1"), ("GET", "/admin/audit"), ("GET", "/admin/nothing"), ("TRACE", "/admin/audit"), ("GET", "/admin"), ("GET", "/admin/"),
    ])
    func `without a token nothing is told`(_ method: String, _ path: String) async throws {
        let answer = await (try await AdminHarness()).send(method, path, token: nil)
        #expect(answer.status == 401)
        #expect(answer.code == "invalid_token")
        #expect(answer["WWW-Authenticate"] == "Bearer")
    }

    @Test func `a token that is not ours is refused`() async throws {
        let harness = try await AdminHarness()
        let other = try await AdminHarness(tokenSecret: "another secret")
        let parts = harness.token.split(separator: ".")
        // {"alg":"none","typ":"JWT"}
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.\(parts[1])."
        // The same signature, spelled with the unused bits of its last character set.
        let characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        let last = try #require(harness.token.last.flatMap { characters.firstIndex(of: $0) })
        let respelled = String(harness.token.dropLast()) + String(characters[characters.index(after: last)])
        let wrong = [other.token, unsigned, respelled, "", "a.b.c", "...", String(harness.token.dropLast()), harness.token + "A", "\(parts[0]).\(parts[2]).\(parts[1])"]
        for token in wrong { #expect(await harness.send("GET", "/admin/audit", token: token).status == 401) }
        #expect(await harness.send("GET", "/admin/audit", token: harness.token).status == 200)
        #expect(await other.send("GET", "/admin/audit", token: other.token).status == 200)
    }

    @Test func `a token expires`() async throws {
        let harness = try await AdminHarness()
        harness.clock.advance(by: .seconds(43_199))
        #expect(await harness.call("GET", "/admin/audit").status == 200)
        harness.clock.advance(by: .seconds(1))
        #expect(await harness.call("GET", "/admin/audit").status == 401)
    }

    @Test func `the scheme may be written in any case, the field once`() async throws {
        let harness = try await AdminHarness()
        func status(_ values: [String]) async -> Int {
            let fields = HeaderFields(values.map { HeaderField("Authorization", $0) })
            return await harness.api.respond(to: LocalRequest(method: "GET", path: "/admin/audit", fields: fields)).status
        }
        #expect(await status(["bearer \(harness.token)"]) == 200)
        #expect(await status(["BEARER  \(harness.token)"]) == 200)
        #expect(await status(["Basic \(harness.token)"]) == 401)
        #expect(await status([harness.token]) == 401)
        #expect(await status(["Bearer"]) == 401)
        #expect(await status(["Bearer \(harness.token)", "Bearer \(harness.token)"]) == 401)
    }

    @Test func `app-config needs no token`() async throws {
        let answer = await (try await AdminHarness()).send("GET", "/admin/app-config", token: nil)
        #expect(answer.status == 200)
        #expect(answer.text == #"{"proxy_public_base_url":"http://localhost:8000","version":"9.8.7"}"#)
        #expect(answer["Cache-Control"] == "no-store")
    }
}
