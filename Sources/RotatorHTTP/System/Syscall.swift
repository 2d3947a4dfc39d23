// SPDX-License-Identifier: MIT

internal import CLinux
internal import Glibc
public import RotatorCore

/// A failed system call: its name and errno.
struct SystemError: Error, CustomStringConvertible {
    let call: StaticString
    let code: Int32

    var description: String { unsafe "\(call): \(String(cString: strerror(code)))" }
}

/// What a read or write on a descriptor that does not block came to.
enum TransferResult: Equatable {
    /// So many octets were moved.
    case moved(Int)
    /// Nothing can be moved now; epoll will tell.
    case wouldBlock
    /// The peer has sent its last octet.
    case ended
    /// The connection is broken.
    case failed(Int32)
}

/// System calls with EINTR and errno handled once.
enum Syscall {
    // `recv`, not `read`: it goes straight to the socket.
    @inline(__always) static func read(_ fd: Int32, into base: UnsafeMutableRawPointer, count: Int) -> TransferResult {
        while true {
            let moved = unsafe rotator_recv(fd, base, count, 0)
            if moved > 0 { return .moved(moved) }
            if moved == 0 { return .ended }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed(errno)
            }
        }
    }

    @inline(__always) static func send(_ fd: Int32, _ bytes: ByteView) -> TransferResult {
        while true {
            let moved = unsafe rotator_send(fd, bytes.base, bytes.count, Int32(MSG_NOSIGNAL))
            if moved >= 0 { return .moved(moved) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed(errno)
            }
        }
    }

    /// Sends two runs of octets in one call.
    @inline(__always) static func send(_ fd: Int32, _ first: ByteView, _ second: ByteView) -> TransferResult {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { vectors in
            unsafe vectors[0] = unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: first.base), iov_len: first.count)
            unsafe vectors[1] = unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: second.base), iov_len: second.count)
            var message = unsafe msghdr()
            unsafe message.msg_iov = vectors.baseAddress
            unsafe message.msg_iovlen = 2
            while true {
                let moved = unsafe rotator_sendmsg(fd, &message, Int32(MSG_NOSIGNAL))
                if moved >= 0 { return .moved(moved) }
                switch errno {
                case EINTR: continue
                case EAGAIN: return .wouldBlock
                default: return .failed(errno)
                }
            }
        }
    }

    static func close(_ fd: Int32) { _ = Glibc.close(fd) }

    /// Makes closing `fd` send a reset: a peer that cannot see a break-off otherwise (HTTP/1.0) must see it.
    static func resetOnClose(_ fd: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    static func setOption(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        _ = unsafe setsockopt(fd, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether an idle connection is still quiet: neither closed nor holding octets that nobody asked for.
    static func isQuiet(_ fd: Int32) -> Bool {
        var octet: UInt8 = 0
        let peeked = unsafe rotator_recv(fd, &octet, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return peeked < 0 && errno == EAGAIN
    }
}

/// The clock of a process: the wall clock at its start, moved on by the monotonic clock, so that it never runs backwards.
public struct SystemClock: Sendable {
    private let offset: Int64

    /// Reads both clocks once.
    public init() {
        offset = SystemClock.read(CLOCK_REALTIME) - SystemClock.read(CLOCK_MONOTONIC)
    }

    /// The present moment.
    public func now() -> Moment { Moment(nanoseconds: SystemClock.read(CLOCK_MONOTONIC) &+ offset) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
