// SPDX-License-Identifier: MIT

internal import Glibc
internal import RotatorCore

/// Where connections of one kind lead: scheme, host, port and outbound proxy. Keeps the idle ones. Confined to one reactor.
final class Origin {
    let target: UpstreamTarget
    let proxy: String?
    /// Whether octets pass through TLS: to the origin, or to an https proxy.
    let isEncrypted: Bool
    /// Whether requests name the whole URL, since an HTTP proxy reads them (RFC 9112 §3.2.2).
    let usesAbsoluteForm: Bool
    /// The value of `Proxy-Authorization`, where the proxy reads our requests and its URL names a user.
    let proxyAuthorization: String?
    private var idle: [UpstreamConnection] = []
    private static let idleLimit = 512

    init(target: UpstreamTarget, proxy: String?) {
        self.target = target
        self.proxy = proxy
        let scheme = proxy?.lowercased() ?? ""
        let isHTTPProxy = proxy != nil && !scheme.hasPrefix("socks")
        isEncrypted = target.isTLS || scheme.hasPrefix("https://")
        usesAbsoluteForm = isHTTPProxy && !target.isTLS
        proxyAuthorization = usesAbsoluteForm ? Origin.authorization(of: proxy ?? "") : nil
    }

    private static func authorization(of proxy: String) -> String? {
        var authority = proxy[...]
        if let colon = authority.firstIndex(of: ":"), authority[colon...].hasPrefix("://") { authority = authority[colon...].dropFirst(3) }
        authority = authority.prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return nil }
        return "Basic " + base64(percentDecoded(Array(authority[..<at].utf8)))
    }

    /// The idle connection that was used last and is still quiet.
    func takeIdle() -> UpstreamConnection? {
        while let connection = idle.popLast() {
            connection.idleIndex = -1
            if connection.isStillQuiet() { return connection }
            connection.close()
        }
        return nil
    }

    func keep(_ connection: UpstreamConnection) {
        guard idle.count < Origin.idleLimit else {
            connection.close()
            return
        }
        connection.idleIndex = idle.count
        idle.append(connection)
    }

    func drop(_ connection: UpstreamConnection) {
        let index = connection.idleIndex
        guard index >= 0 else { return }
        connection.idleIndex = -1
        let last = idle.removeLast()
        if last !== connection {
            idle[index] = last
            last.idleIndex = index
        }
    }

    func closeAll() {
        for connection in idle {
            connection.idleIndex = -1
            connection.close()
        }
        idle = []
    }
}

func base64(_ octets: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    var index = 0
    while index < octets.count {
        let first = octets[index]
        let second = index + 1 < octets.count ? octets[index + 1] : 0
        let third = index + 2 < octets.count ? octets[index + 2] : 0
        text.append(alphabet[Int(first >> 2)])
        text.append(alphabet[Int((first & 3) << 4 | second >> 4)])
        text.append(index + 1 < octets.count ? alphabet[Int((second & 15) << 2 | third >> 6)] : 0x3D)
        text.append(index + 2 < octets.count ? alphabet[Int(third & 63)] : 0x3D)
        index += 3
    }
    return String(decoding: text, as: UTF8.self)
}

/// The octets with each sound `%XX` decoded once.
func percentDecoded(_ octets: [UInt8]) -> [UInt8] {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(octets.count)
    var index = 0
    while index < octets.count {
        if octets[index] == 0x25, index + 2 < octets.count, isHexDigit(octets[index + 1]), isHexDigit(octets[index + 2]) {
            let digit = { (octet: UInt8) -> UInt8 in octet &- 0x30 < 10 ? octet &- 0x30 : (octet | 0x20) &- 0x57 }
            decoded.append(digit(octets[index + 1]) << 4 | digit(octets[index + 2]))
            index += 3
        } else {
            decoded.append(octets[index])
            index += 1
        }
    }
    return decoded
}

/// Who uses an upstream connection at present.
protocol UpstreamConnectionUser: AnyObject {
    /// Octets may be there to be read.
    func upstreamReadable(_ connection: UpstreamConnection)
    /// Octets can be sent again.
    func upstreamWritable(_ connection: UpstreamConnection)
}

/// One connection to an upstream, plain or TLS; carries one exchange after the other. Confined to one reactor.
final class UpstreamConnection: Pollable, DeadlineTarget {
    let origin: Origin
    private let reactor: Reactor
    private let fd: Int32
    // libcurl's handle for TLS: it owns the socket then.
    private var tls: ConnectAttempt?
    var user: (any UpstreamConnectionUser)?
    var idleIndex = -1
    private(set) var isReadable = false
    private(set) var isWritable = true
    private(set) var isClosed = false
    private var hasPeerClosed = false
    private var isParked = false
    private var releasedInBatch: UInt64 = 0
    private let deadline = Deadline()
    private static let idleNanoseconds: Int64 = 55_000_000_000

    init(origin: Origin, reactor: Reactor, fd: Int32, tls: ConnectAttempt?) {
        self.origin = origin
        self.reactor = reactor
        self.fd = fd
        self.tls = tls
        super.init()
        deadline.target = self
    }

    override func ready(_ mask: UInt32) {
        guard let user else {
            // Put aside with an unread answer: its reader will look for itself.
            if isParked {
                if mask & (Readiness.peerClosed | Readiness.broken) != 0 { hasPeerClosed = true }
                return
            }
            // Idle: whatever comes now was asked for by nobody. Readiness to send is no news.
            if mask & (Readiness.peerClosed | Readiness.broken) != 0 || mask & Readiness.input != 0 && !hasOnlyRecords {
                origin.drop(self)
                close()
            }
            return
        }
        if mask & (Readiness.peerClosed | Readiness.broken) != 0 { hasPeerClosed = true }
        if mask & (Readiness.output | Readiness.broken) != 0 {
            isWritable = true
            if flushStage() { user.upstreamWritable(self) }
        }
        if mask & (Readiness.input | Readiness.peerClosed | Readiness.broken) != 0 {
            isReadable = true
            // The first call may have ended the use.
            if !isClosed { self.user?.upstreamReadable(self) }
        }
    }

    /// Readiness that was noted while its reader was busy.
    override func resume() {
        if !isClosed, isReadable { user?.upstreamReadable(self) }
    }

    @inline(__always) func read(into base: UnsafeMutableRawPointer, count: Int) -> TransferResult {
        if let tls {
            let result = unsafe tls.receive(into: base, count: count)
            if result == .wouldBlock { isReadable = false }
            return result
        }
        let result = unsafe Syscall.read(fd, into: base, count: count)
        switch result {
        // Less than was asked for: the socket is empty, and the next octet makes a new edge. A close that was told already does not.
        case .moved(let moved): if moved < count, !hasPeerClosed { isReadable = false }
        case .wouldBlock: isReadable = false
        case .ended, .failed: break
        }
        return result
    }

    @inline(__always) func send(_ bytes: ByteView) -> TransferResult {
        if tls != nil { return sendRecords(bytes) }
        let result = Syscall.send(fd, bytes)
        if result == .wouldBlock { isWritable = false }
        return result
    }

    // MARK: TLS

    // OpenSSL wants a write that could not be finished to be repeated from the same address: what is handed to it waits here until it is gone.
    private var stage: ByteBuffer?
    private static let stageSize = 16_384

    private func sendRecords(_ bytes: ByteView) -> TransferResult {
        guard flushStage() else { return isClosedForSending ? .failed(EPIPE) : .wouldBlock }
        let stage = self.stage ?? ByteBuffer(capacity: UpstreamConnection.stageSize)
        self.stage = stage
        let run = bytes[0..<min(bytes.count, UpstreamConnection.stageSize)]
        stage.append(run)
        _ = flushStage()
        if isClosedForSending { return .failed(EPIPE) }
        return .moved(run.count)
    }

    private var isClosedForSending = false

    /// Whether nothing is left of an earlier write.
    private func flushStage() -> Bool {
        guard let tls, let stage, !stage.isEmpty else { return !isClosedForSending }
        while !stage.isEmpty {
            switch tls.send(stage.view) {
            case .moved(let count): stage.consume(count)
            case .wouldBlock, .ended:
                isWritable = false
                return false
            case .failed:
                isClosedForSending = true
                return true
            }
        }
        return true
    }

    /// Whether what came on an idle TLS connection were records without octets for us, such as session tickets (RFC 8446 §4.6.1).
    private var hasOnlyRecords: Bool {
        guard let tls else { return false }
        var octet: UInt8 = 0
        return unsafe withUnsafeMutableBytes(of: &octet) { unsafe tls.receive(into: $0.baseAddress!, count: 1) } == .wouldBlock
    }

    /// Sends two runs, together where the transport can.
    @inline(__always) func send(_ first: ByteView, _ second: ByteView) -> TransferResult {
        if tls != nil || second.isEmpty { return send(first) }
        let result = Syscall.send(fd, first, second)
        if result == .wouldBlock { isWritable = false }
        return result
    }

    /// Readable again after a pause: whoever paused did not see an edge.
    func noteUnread() { isReadable = true }

    /// Leaves an answer unread in the socket until it is known whether anybody wants it.
    func park() {
        user = nil
        isParked = true
    }

    /// Goes on with a parked answer.
    func unpark(for user: any UpstreamConnectionUser) {
        isParked = false
        self.user = user
        isReadable = true
    }

    /// Ends the use; the connection waits for the next.
    func release() {
        user = nil
        // TLS: octets that libcurl has decrypted already make no readiness.
        if tls != nil, stage.map({ !$0.isEmpty }) ?? false || !hasOnlyRecords {
            close()
            return
        }
        stage?.erase()
        stage = nil
        isReadable = false
        releasedInBatch = reactor.batchNumber
        reactor.setIdle(true, self)
        reactor.deadlines.set(deadline, to: reactor.now.advanced(byNanoseconds: UpstreamConnection.idleNanoseconds))
        origin.keep(self)
    }

    func isStillQuiet() -> Bool {
        reactor.deadlines.clear(deadline)
        if isClosed || hasPeerClosed { return false }
        reactor.setIdle(false, self)
        // A close, or octets that nobody asked for, may stand in the socket that the present batch has not told yet.
        if tls != nil { return hasOnlyRecords }
        // Read until it was empty within this very batch, or idle when the batch was fetched, which told nothing of it: only what has come since then can be
        // unknown, and that could as well come after any look at the socket.
        return releasedInBatch == reactor.batchNumber || reactor.isBatchComplete || Syscall.isQuiet(fd)
    }

    func deadlinePassed(_ deadline: Deadline) {
        guard user == nil else { return }
        origin.drop(self)
        close()
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        user = nil
        reactor.deadlines.remove(deadline)
        reactor.deregister(self, fd: fd)
        stage?.erase()
        stage = nil
        if let tls {
            tls.cancel()
            self.tls = nil
        } else {
            Syscall.close(fd)
        }
    }
}
