// SPDX-License-Identifier: MIT

internal import CCurl
internal import Glibc
internal import RotatorCore

/// A group of connections that libcurl is making or keeps (TLS), driven by our epoll. Confined to one reactor.
///
/// Each of libcurl's calls walks the connections of its multi handle, so a group stays small and a reactor has several.
@safe final class CurlMulti: DeadlineTarget {
    static let capacity = 64

    let reactor: Reactor
    private let handle: OpaqueMulti
    private var deadline: Deadline?
    fileprivate var sockets: [Int32: CurlSocket] = [:]
    private var attempts: [UInt: ConnectAttempt] = [:]
    private(set) var count = 0

    typealias OpaqueMulti = UnsafeMutableRawPointer

    init(reactor: Reactor) {
        self.reactor = reactor
        unsafe handle = unsafe curl_multi_init()!
        let deadline = Deadline(target: self)
        self.deadline = deadline
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        _ = unsafe rotator_multi_set_socket(handle, { _, socket, what, context, _ in
            unsafe Unmanaged<CurlMulti>.fromOpaque(context!).takeUnretainedValue().watch(socket, for: what)
            return 0
        }, context)
        _ = unsafe rotator_multi_set_timer(handle, { _, milliseconds, context in
            unsafe Unmanaged<CurlMulti>.fromOpaque(context!).takeUnretainedValue().setTimer(milliseconds)
            return 0
        }, context)
    }

    deinit {
        if let deadline { reactor.deadlines.remove(deadline) }
        // libcurl must not call back into an object that is going, and the watches know their group weakly.
        _ = unsafe rotator_multi_set_socket(handle, nil, nil)
        _ = unsafe rotator_multi_set_timer(handle, nil, nil)
        for (fd, socket) in sockets { reactor.deregister(socket, fd: fd) }
        unsafe curl_multi_cleanup(handle)
    }

    /// Begins to connect.
    func add(_ attempt: ConnectAttempt) {
        count += 1
        unsafe attempts[UInt(bitPattern: attempt.easy)] = attempt
        unsafe curl_multi_add_handle(handle, attempt.easy)
    }

    /// Ends a connection, made or in the making.
    func remove(_ attempt: ConnectAttempt) {
        guard unsafe attempts.removeValue(forKey: UInt(bitPattern: attempt.easy)) != nil else { return }
        count -= 1
        unsafe curl_multi_remove_handle(handle, attempt.easy)
    }

    /// libcurl is no longer asked about `fd`: from now on the connection's owner watches it.
    func unwatch(_ fd: Int32) {
        if let socket = sockets.removeValue(forKey: fd) { socket.forget() }
    }

    // Called by libcurl from within its own calls; must not call it back.
    private func watch(_ fd: Int32, for what: Int32) {
        if what == CURL_POLL_REMOVE {
            unwatch(fd)
            return
        }
        var mask: UInt32 = 0
        if what == CURL_POLL_IN || what == CURL_POLL_INOUT { mask |= Readiness.input }
        if what == CURL_POLL_OUT || what == CURL_POLL_INOUT { mask |= Readiness.output }
        if let socket = sockets[fd] {
            reactor.change(socket, fd: fd, mask: mask)
        } else {
            let socket = CurlSocket(multi: self, fd: fd)
            if (try? reactor.register(socket, fd: fd, mask: mask)) != nil { sockets[fd] = socket }
        }
    }

    private func setTimer(_ milliseconds: Int) {
        guard let deadline else { return }
        if milliseconds < 0 {
            reactor.deadlines.clear(deadline)
        } else {
            // Never fired from within this call, even for 0: the queue is looked at after the batch.
            reactor.deadlines.set(deadline, to: reactor.now + .milliseconds(milliseconds))
        }
    }

    func deadlinePassed(_ deadline: Deadline) { act(-1, 0) }

    fileprivate func act(_ fd: Int32, _ mask: Int32) {
        var running: Int32 = 0
        _ = unsafe curl_multi_socket_action(handle, fd, mask, &running)
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(handle, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else { continue }
            let code = unsafe message.pointee.data.result
            guard let attempt = attempts[UInt(bitPattern: easy)] else { continue }
            attempt.finished(code)
        }
    }
}

/// A socket that libcurl wants watched.
private final class CurlSocket: Pollable {
    private weak var multi: CurlMulti?
    private let fd: Int32

    init(multi: CurlMulti, fd: Int32) {
        self.multi = multi
        self.fd = fd
    }

    func forget() { multi?.reactor.deregister(self, fd: fd) }

    override func ready(_ mask: UInt32) {
        var action: Int32 = 0
        if mask & Readiness.input != 0 { action |= CURL_CSELECT_IN }
        if mask & Readiness.output != 0 { action |= CURL_CSELECT_OUT }
        if mask & Readiness.broken != 0 { action |= CURL_CSELECT_ERR }
        multi?.act(fd, action)
    }
}

/// Why no connection was made: for the log, never for the client.
struct ConnectFailure: Error {
    /// A stable word: `name_not_found`, `connection_refused`, `timed_out`, `certificate_unknown_authority` …
    let reason: String
    /// libcurl's own words.
    let detail: String
}

/// Who waits for a connection.
protocol ConnectionWaiter: AnyObject {
    func connected(_ connection: UpstreamConnection)
    func connectFailed(_ failure: ConnectFailure)
}

/// One connection in the making, and libcurl's handle on it; for TLS the handle lives as long as the connection.
@safe final class ConnectAttempt {
    let easy: UnsafeMutableRawPointer
    let origin: Origin
    private let multi: CurlMulti
    private weak var waiter: (any ConnectionWaiter)?
    private var isFinished = false
    private var errorText: UnsafeMutablePointer<CChar>
    // The descriptor that we took over from libcurl: it must not close it.
    fileprivate var adopted: Int32 = -1

    init?(origin: Origin, multi: CurlMulti, share: UnsafeMutableRawPointer?, settings: ProxySettings, waiter: any ConnectionWaiter) {
        guard let easy = unsafe curl_easy_init() else { return nil }
        unsafe self.easy = unsafe easy
        self.origin = origin
        self.multi = multi
        self.waiter = waiter
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))

        let target = origin.target
        let host = target.host.contains(":") ? "[\(target.host)]" : target.host
        set(CURLOPT_URL, "\(target.isTLS ? "https" : "http")://\(host):\(target.port)/")
        set(CURLOPT_CONNECT_ONLY, 1)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, settings.connectTimeout.wholeNanoseconds / 1_000_000)))
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        // Given outright, so that libcurl does not read the environment for each connection; "" means none.
        set(CURLOPT_PROXY, origin.proxy ?? "")
        set(CURLOPT_NOPROXY, "")
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        // Besides the system's directory of roots, which stays.
        if let file = settings.upstreamCAFile {
            set(CURLOPT_CAPATH, "/etc/ssl/certs")
            set(CURLOPT_CAINFO, file)
        }
        _ = unsafe rotator_easy_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
        if let share = unsafe share { _ = unsafe rotator_easy_set_pointer(easy, CURLOPT_SHARE, share) }
        _ = unsafe rotator_easy_set_close_socket(easy, { context, socket in
            unsafe Unmanaged<ConnectAttempt>.fromOpaque(context!).takeUnretainedValue().close(socket)
            return 0
        }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        multi.remove(self)
        unsafe curl_easy_cleanup(easy)
        unsafe errorText.deallocate()
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = unsafe rotator_easy_set_long(easy, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = unsafe rotator_easy_set_string(easy, option, value) }

    /// Nobody waits any more.
    func cancel() {
        waiter = nil
        multi.remove(self)
    }

    // libcurl closes a socket: one that it gave up, or ours, which stays open.
    private func close(_ socket: Int32) {
        multi.unwatch(socket)
        if socket != adopted { Syscall.close(socket) }
    }

    fileprivate func finished(_ code: CURLcode) {
        guard !isFinished else { return }
        isFinished = true
        guard let waiter else {
            multi.remove(self)
            return
        }
        guard code == CURLE_OK else {
            let failure = failure(code)
            multi.remove(self)
            waiter.connectFailed(failure)
            return
        }
        var socket: curl_socket_t = -1
        _ = unsafe rotator_easy_get_socket(easy, &socket)
        guard socket >= 0 else {
            multi.remove(self)
            waiter.connectFailed(ConnectFailure(reason: "connect_failed", detail: "libcurl gave no socket"))
            return
        }
        multi.unwatch(socket)
        let connection: UpstreamConnection
        if origin.isEncrypted {
            connection = UpstreamConnection(origin: origin, reactor: multi.reactor, fd: socket, tls: self)
        } else {
            adopted = socket
            multi.remove(self)
            connection = UpstreamConnection(origin: origin, reactor: multi.reactor, fd: socket, tls: nil)
        }
        do throws(SystemError) {
            try multi.reactor.register(connection, fd: socket)
        } catch {
            connection.close()
            waiter.connectFailed(ConnectFailure(reason: "connect_failed", detail: "\(error)"))
            return
        }
        waiter.connected(connection)
    }

    private func failure(_ code: CURLcode) -> ConnectFailure {
        let text = unsafe String(cString: errorText)
        let detail = unsafe text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
        let reason: String
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: reason = "name_not_found"
        case CURLE_COULDNT_RESOLVE_PROXY: reason = "outbound_proxy_not_found"
        case CURLE_COULDNT_CONNECT: reason = "connection_refused"
        case CURLE_OPERATION_TIMEDOUT: reason = "connect_timed_out"
        case CURLE_PROXY: reason = "outbound_proxy_failed"
        case CURLE_PEER_FAILED_VERIFICATION: reason = "certificate_" + certificateFault(detail)
        case CURLE_SSL_CACERT_BADFILE: reason = "trust_roots_unreadable"
        case CURLE_SSL_CONNECT_ERROR: reason = "tls_handshake_failed"
        case CURLE_RECV_ERROR, CURLE_SEND_ERROR: reason = origin.proxy == nil ? "connection_lost" : "outbound_proxy_failed"
        default: reason = "connect_failed"
        }
        return ConnectFailure(reason: reason, detail: detail)
    }

    private func certificateFault(_ detail: String) -> String {
        let text = detail.lowercased()
        if text.contains("expired") { return "expired" }
        if text.contains("not yet valid") { return "not_yet_valid" }
        if text.contains("does not match") || text.contains("no alternative certificate") { return "wrong_host" }
        if text.contains("self-signed") || text.contains("self signed") || text.contains("unable to get") { return "unknown_authority" }
        return "not_verified"
    }

    // MARK: TLS transfer

    func receive(into base: UnsafeMutableRawPointer, count: Int) -> TransferResult {
        var moved = 0
        switch unsafe curl_easy_recv(easy, base, count, &moved) {
        case CURLE_OK: return moved == 0 ? .ended : .moved(moved)
        case CURLE_AGAIN: return .wouldBlock
        default: return .failed(ECONNRESET)
        }
    }

    func send(_ bytes: ByteView) -> TransferResult {
        var moved = 0
        switch unsafe curl_easy_send(easy, bytes.base, bytes.count, &moved) {
        case CURLE_OK: return .moved(moved)
        case CURLE_AGAIN: return .wouldBlock
        default: return .failed(EPIPE)
        }
    }
}

/// Makes connections for one reactor.
@safe final class Connector {
    private let reactor: Reactor
    private let settings: ProxySettings
    private var multis: [CurlMulti] = []
    // TLS sessions and names are remembered across the groups of one reactor; no other thread uses them, so it needs no locks.
    private let share: UnsafeMutableRawPointer?

    init(reactor: Reactor, settings: ProxySettings) {
        self.reactor = reactor
        self.settings = settings
        unsafe share = unsafe curl_share_init()
        if let share = unsafe share {
            _ = unsafe rotator_share_set_lock(share, CURL_LOCK_DATA_SSL_SESSION)
            _ = unsafe rotator_share_set_lock(share, CURL_LOCK_DATA_DNS)
        }
    }

    /// Begins to connect; the waiter is told on this reactor, later. Nil when libcurl has no memory for a handle.
    func connect(to origin: Origin, waiter: any ConnectionWaiter) -> ConnectAttempt? {
        let multi = multis.first { $0.count < CurlMulti.capacity } ?? {
            let multi = CurlMulti(reactor: reactor)
            multis.append(multi)
            return multi
        }()
        guard let attempt = unsafe ConnectAttempt(origin: origin, multi: multi, share: share, settings: settings, waiter: waiter) else { return nil }
        multi.add(attempt)
        return attempt
    }
}

/// Initialises libcurl once, and its version.
public enum CurlLibrary {
    private static let isInitialised: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// To be called before the first reactor starts; safe to repeat.
    public static func initialise() { _ = isInitialised }

    /// Such as `libcurl/7.88.1 OpenSSL/3.0.15 …`.
    public static var version: String { unsafe String(cString: curl_version()) }
}
