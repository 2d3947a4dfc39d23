// SPDX-License-Identifier: MIT

internal import CLinux
internal import Glibc

/// Addresses of sockets, as text and as libc wants them.
enum SocketAddress {
    /// A listening socket on `host` and `port`; `isShared`: others of this process listen on the same through SO_REUSEPORT.
    ///
    /// A socket that is not shared can be had only where no other process listens, shared or not: that is how a second server is noticed.
    static func listen(host: String, port: Int, isShared: Bool) throws(SystemError) -> Int32 {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = Int32(AI_PASSIVE)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, String(port), &hints, &list) == 0, let first = unsafe list else { throw SystemError(call: "getaddrinfo", code: EADDRNOTAVAIL) }
        defer { unsafe freeaddrinfo(first) }
        let family = unsafe first.pointee.ai_family
        let fd = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw SystemError(call: "socket", code: errno) }
        Syscall.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
        if isShared { Syscall.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1) }
        guard unsafe bind(fd, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
            let code = errno
            Syscall.close(fd)
            throw SystemError(call: "bind", code: code)
        }
        guard Glibc.listen(fd, 4096) == 0 else {
            let code = errno
            Syscall.close(fd)
            throw SystemError(call: "listen", code: code)
        }
        return fd
    }

    /// The port a socket is bound to.
    static func port(of fd: Int32) -> Int {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard unsafe getsockname(fd, address, &length) == 0 else { return 0 }
                var service = [CChar](repeating: 0, count: 32)
                guard unsafe getnameinfo(address, length, nil, 0, &service, 32, Int32(NI_NUMERICSERV)) == 0 else { return 0 }
                return Int(text(service)) ?? 0
            }
        }
    }

    /// The peer's address without its port; empty when it is gone.
    static func peer(of fd: Int32) -> String {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard unsafe getpeername(fd, address, &length) == 0 else { return "" }
                var host = [CChar](repeating: 0, count: 64)
                guard unsafe getnameinfo(address, length, &host, 64, nil, 0, Int32(NI_NUMERICHOST)) == 0 else { return "" }
                return text(host)
            }
        }
    }

    private static func text(_ octets: [CChar]) -> String {
        String(decoding: octets.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Accepts one connection; nil when there is none, or none can be had now.
    static func accept(on fd: Int32) throws(SystemError) -> Int32? {
        while true {
            let accepted = accept4(fd, nil, nil, Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue))
            if accepted >= 0 { return accepted }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EAGAIN: return nil
            default: throw SystemError(call: "accept4", code: errno)
            }
        }
    }
}
