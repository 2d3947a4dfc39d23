// SPDX-License-Identifier: MIT

import Testing

@testable import rotator_server

@Suite("Health check") struct HealthcheckTests {
    @Test(arguments: [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.2.3", "10.1.2.3"), ("localhost", "localhost")])
    func `a server that listens on all addresses is asked on loopback`(_ host: String, _ reachable: String) {
        #expect(Healthcheck.reachableHost(host) == reachable)
    }

    @Test func `200 is ready`() throws {
        try Healthcheck.check("HTTP/1.1 200 OK\r\n\r\n")
    }

    @Test(arguments: ["HTTP/1.1 503 Service Unavailable\r\n\r\n{\"missing\":\"store\"}", "HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0-x\r\n", ""])
    func `anything else is not`(_ answer: String) {
        #expect(throws: Healthcheck.Failure.self) { try Healthcheck.check(answer) }
    }

    @Test func `why it is not ready is told on one line`() {
        let error = #expect(throws: Healthcheck.Failure.self) { try Healthcheck.check("HTTP/1.1 503 X\r\n\r\nstore\u{1B} away\r\nmore") }
        #expect(error?.description == #"/readyz answers 503: "store\u001b away""#)
    }

    @Test func `a port that nobody listens on is a failure`() {
        #expect(throws: Healthcheck.Failure.self) { try Healthcheck(host: "127.0.0.1", port: 1).run() }
        #expect(throws: Healthcheck.Failure.self) { try Healthcheck(host: "127.0.0.1", port: 0).run() }
    }
}
