// SPDX-License-Identifier: MIT

import Foundation
import Glibc
import Logging
import RotatorCore
import Synchronization
import Testing

@testable import RotatorHTTP

@Suite("Streamed bodies") struct StreamedBodyTests {
    /// A body that a test feeds.
    private final class FedBody: StreamedBody {
        private let octets = AsyncStream<[UInt8]>.makeStream()
        private let cancelled = Mutex(false)
        var isCancelled: Bool { cancelled.withLock { $0 } }
        func feed(_ text: String) { octets.continuation.yield(Array(text.utf8)) }
        func finish() { octets.continuation.finish() }
        func next() async -> [UInt8]? {
            for await next in octets.stream { return next }
            return nil
        }
        func cancel() {
            cancelled.withLock { $0 = true }
            octets.continuation.finish()
        }
    }

    private final class Handler: LocalHandler {
        let body = FedBody()
        func respond(to request: LocalRequest) async -> LocalResponse {
            LocalResponse(status: 200, fields: [HeaderField("Content-Type", "text/plain")], stream: body)
        }
    }

    private let handler = Handler()
    private let server: HTTPServer

    init() throws {
        var settings = ProxySettings()
        settings.port = 0
        server = try HTTPServer(
            settings: settings, catalogue: Catalogue(),
            adapters: AdapterSource(adapter: { PlainAdapter(format: $0) }, adapterForUnknownService: { _, _, _, _ in PlainAdapter(format: .generic) }),
            operations: OperationsSource(missing: { [] }, isStoreUp: { true }, keyCounts: { [] }), localHandler: handler, clock: SystemClock(),
            logger: LogCapture().logger)
        server.catalogueLoaded()
    }

    /// A connection that has sent a request; blocking calls run on threads of their own.
    private final class Client: Sendable {
        let descriptor: Int32

        init(_ port: Int, _ request: String) {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var limit = timeval(tv_sec: 10, tv_usec: 0)
            _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            _ = unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            let octets = Array(request.utf8)
            _ = unsafe octets.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, 0) }
        }

        deinit { close(descriptor) }

        /// What has come when `isEnough` says so, or when the server closes.
        func read(until isEnough: @escaping @Sendable (String) -> Bool) async -> String {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    var text = ""
                    var buffer = [UInt8](repeating: 0, count: 65_536)
                    while !isEnough(text) {
                        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(self.descriptor, $0.baseAddress, $0.count, 0) }
                        if count <= 0 { break }
                        text += String(decoding: buffer.prefix(count), as: UTF8.self)
                    }
                    continuation.resume(returning: text)
                }
            }
        }
    }

    private func becomesTrue(_ condition: () -> Bool) async -> Bool {
        for _ in 0..<500 {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return condition()
    }

    @Test func `octets go out in chunks as they come, and the connection goes on after the last`() async {
        let client = Client(server.port, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        handler.body.feed("one")
        let first = await client.read { $0.hasSuffix("3\r\none\r\n") }
        #expect(first.hasPrefix("HTTP/1.1 200 OK\r\n") && first.contains("Transfer-Encoding: chunked\r\n") && !first.contains("Content-Length"))
        handler.body.feed("")
        handler.body.feed("twotwotwotwotwotwo")
        #expect(await client.read { $0.hasSuffix("\r\n") } == "12\r\ntwotwotwotwotwotwo\r\n")
        handler.body.finish()
        #expect(await client.read { $0.hasSuffix("\r\n\r\n") } == "0\r\n\r\n")
        let request = Array("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
        _ = unsafe request.withUnsafeBytes { unsafe send(client.descriptor, $0.baseAddress, $0.count, 0) }
        #expect(await client.read { $0.hasSuffix("ok\n") }.hasPrefix("HTTP/1.1 200"))
        await server.shutDown(grace: .zero)
    }

    @Test func `an HTTP/1.0 client gets them without chunks, and the end by the connection's end`() async {
        let client = Client(server.port, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        handler.body.feed("one")
        handler.body.feed("two")
        handler.body.finish()
        let text = await client.read { _ in false }
        #expect(text.hasSuffix("\r\n\r\nonetwo"))
        #expect(text.contains("Connection: close\r\n") && !text.contains("Transfer-Encoding"))
        await server.shutDown(grace: .zero)
    }

    @Test func `HEAD gets no body, and the stream is let go`() async {
        let client = Client(server.port, "HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(await client.read { _ in false }.hasSuffix("\r\n\r\n"))
        #expect(handler.body.isCancelled)
        await server.shutDown(grace: .zero)
    }

    @Test func `a client that goes ends the stream`() async {
        let client = Client(server.port, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        handler.body.feed("one")
        _ = await client.read { $0.hasSuffix("one\r\n") }
        #expect(!handler.body.isCancelled)
        shutdown(client.descriptor, Int32(SHUT_WR))
        #expect(await becomesTrue { handler.body.isCancelled })
        await server.shutDown(grace: .zero)
    }

    @Test func `a stream ends at once when the server shuts down, and whole`() async {
        let client = Client(server.port, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        handler.body.feed("one")
        _ = await client.read { $0.hasSuffix("one\r\n") }
        let clock = ContinuousClock()
        let taken = await clock.measure { await server.shutDown(grace: .seconds(20)) }
        #expect(taken < .seconds(5))
        #expect(await client.read { _ in false } == "0\r\n\r\n")
        #expect(handler.body.isCancelled)
    }

    @Test func `a client that does not read is not fed beyond what waits for any`() async {
        let client = Client(server.port, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        let chunk = String(repeating: "x", count: 65_536)
        for _ in 0..<300 { handler.body.feed(chunk) }
        handler.body.feed("last")
        handler.body.finish()
        let text = await client.read { $0.hasSuffix("last\r\n0\r\n\r\n") }
        #expect(text.hasSuffix("4\r\nlast\r\n0\r\n\r\n"))
        #expect(text.utf8.count > 300 * 65_536)
        await server.shutDown(grace: .zero)
    }
}
