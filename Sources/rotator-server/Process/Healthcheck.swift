// SPDX-License-Identifier: MIT

internal import Glibc

/// Asks the local server's `/readyz`, with a small blocking client: a container runs this every few seconds.
struct Healthcheck {
    /// Where the server listens, as `BACKEND_HOST` says it.
    var host: String
    /// Its port, as `BACKEND_PORT` says it.
    var port: Int
    /// The limit for each of connecting, sending and receiving.
    var timeout: Duration = .seconds(5)

    /// Why the server is not ready.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// The address to ask: the loopback one where the server listens on all.
    static func reachableHost(_ host: String) -> String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        default: host
        }
    }

    /// Returns when `/readyz` answers 200; throws what stands in the way.
    func run() throws(Failure) {
        guard port != 0 else { throw Failure(description: "BACKEND_PORT is 0: the server picks its own port, so there is none to ask") }
        let host = Self.reachableHost(host)
        let descriptor = try connect(to: host)
        defer { close(descriptor) }
        let authority = host.contains(":") ? "[\(host)]" : host
        let request = Array("GET /readyz HTTP/1.1\r\nHost: \(authority):\(port)\r\nConnection: close\r\n\r\n".utf8)
        guard unsafe request.withUnsafeBytes({ unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == request.count else {
            throw Failure(description: "sending to \(authority):\(port) failed: \(FileFailure(errno: errno))")
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while answer.count < 65_536 {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw Failure(description: "no answer from \(authority):\(port): \(FileFailure(errno: errno))") }
            if count == 0 { break }
            answer += chunk[..<count]
        }
        try Self.check(String(decoding: answer, as: UTF8.self))
    }

    /// Accepts an answer whose status is 200; throws the status and the first line of the body otherwise.
    static func check(_ answer: String) throws(Failure) {
        let fields = answer.prefix { !$0.isNewline }.split(separator: " ")
        guard fields.count >= 2, fields[0].hasPrefix("HTTP/1."), let status = Int(fields[1]) else { throw Failure(description: "what answers is no HTTP server") }
        if status == 200 { return }
        let body = answer.range(ofFirst: "\r\n\r\n").map { String(answer[$0.upperBound...].prefix { !$0.isNewline }.prefix(500)) } ?? ""
        var line = "/readyz answers \(status)"
        if !body.isEmpty { line += ": " + Masking.none.shown(body) }
        throw Failure(description: line)
    }

    private func connect(to host: String) throws(Failure) -> Int32 {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { throw Failure(description: "\(host) cannot be resolved: \(unsafe String(cString: gai_strerror(code)))") }
        defer { unsafe freeaddrinfo(list) }
        var lastErrno: Int32 = 0
        var next = unsafe list
        while let entry = unsafe next {
            let address = unsafe entry.pointee
            unsafe next = address.ai_next
            let descriptor = unsafe socket(address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), address.ai_protocol)
            if descriptor < 0 {
                lastErrno = errno
                continue
            }
            var limit = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: Int(timeout.components.attoseconds / 1_000_000_000_000))
            let size = socklen_t(MemoryLayout<timeval>.size)
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
            if unsafe Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return descriptor }
            lastErrno = errno
            close(descriptor)
        }
        throw Failure(description: "connecting to \(host) port \(port) failed: \(FileFailure(errno: lastErrno))")
    }
}
