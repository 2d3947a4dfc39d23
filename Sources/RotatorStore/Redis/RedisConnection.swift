// SPDX-License-Identifier: MIT

internal import CHiredis
internal import RotatorCore

/// A connection to a Redis server over hiredis' asynchronous interface. Wraps `redisAsyncContext`.
///
/// Confined to the thread of its loop. hiredis frees the context itself when the connection ends; it tells so by its `cleanup` hook, after every
/// command that was under way has been answered with nothing.
@safe final class RedisConnection {
    private let loop: StoreLoop
    private var handle: UnsafeMutablePointer<redisAsyncContext>?
    private var watch: StoreLoop.Watch?
    private var readiness: StoreLoop.Readiness = []
    private var whenConnected: ((Bool) -> Void)?
    private var messageHandler: ((RedisReply) -> Void)?
    /// Called once when the connection ends, whoever ended it.
    var whenEnded: (() -> Void)?

    /// Begins to connect and calls `body` with whether that went well; nil when it fails at once. Looking up a host's name blocks the loop.
    init?(_ endpoint: RedisLocation.Endpoint, on loop: StoreLoop, _ body: @escaping (Bool) -> Void) {
        self.loop = loop
        whenConnected = body
        let made: UnsafeMutablePointer<redisAsyncContext>? =
            switch endpoint {
            case .tcp(let host, let port): unsafe redisAsyncConnect(host, CInt(port))
            case .unix(let path): unsafe redisAsyncConnectUnix(path)
            }
        guard let made = unsafe made else { return nil }
        guard unsafe made.pointee.err == 0 else {
            unsafe redisAsyncFree(made)
            return nil
        }
        unsafe handle = made
        watch = loop.watch(unsafe made.pointee.c.fd) { [weak self] ready in self?.socketIsReady(ready) }
        // The context holds the connection until its cleanup.
        unsafe made.pointee.ev.data = Unmanaged.passRetained(self).toOpaque()
        unsafe made.pointee.data = made.pointee.ev.data
        unsafe made.pointee.ev.addRead = { unsafe RedisConnection.of($0).want(.input, true) }
        unsafe made.pointee.ev.delRead = { unsafe RedisConnection.of($0).want(.input, false) }
        unsafe made.pointee.ev.addWrite = { unsafe RedisConnection.of($0).want(.output, true) }
        unsafe made.pointee.ev.delWrite = { unsafe RedisConnection.of($0).want(.output, false) }
        unsafe made.pointee.ev.cleanup = { data in
            guard let data = unsafe data else { return }
            unsafe Unmanaged<RedisConnection>.fromOpaque(data).takeRetainedValue().hasEnded()
        }
        unsafe redisAsyncSetConnectCallback(made) { context, status in
            guard let data = unsafe context?.pointee.data else { return }
            let connection = unsafe Unmanaged<RedisConnection>.fromOpaque(data).takeUnretainedValue()
            let body = connection.whenConnected
            connection.whenConnected = nil
            body?(status == REDIS_OK)
        }
    }

    /// Whether it has not ended.
    var isOpen: Bool { unsafe handle != nil }

    /// Sends a command and calls `body` with its answer; with nil when the connection ended before there was one.
    func send(_ arguments: [[UInt8]], _ body: @escaping (RedisReply?) -> Void) {
        guard let handle = unsafe handle else { return body(nil) }
        let box = unsafe Unmanaged.passRetained(ReplyHandler(body))
        let status = unsafe withArguments(arguments) { count, pointers, lengths in
            unsafe redisAsyncCommandArgv(
                handle,
                { _, reply, data in
                    guard let data = unsafe data else { return }
                    let handler = unsafe Unmanaged<ReplyHandler>.fromOpaque(data).takeRetainedValue()
                    handler.body(unsafe reply.map { unsafe RedisReply($0.assumingMemoryBound(to: redisReply.self)) })
                }, box.toOpaque(), count, pointers, lengths)
        }
        if status != REDIS_OK {
            unsafe box.release()
            body(nil)
        }
    }

    /// Subscribes to a channel; `body` is called with each message of it and with the confirmation. The connection serves nothing else from then on.
    func subscribe(to channel: [UInt8], _ body: @escaping (RedisReply) -> Void) {
        guard let handle = unsafe handle else { return }
        messageHandler = body
        let own = unsafe Unmanaged.passUnretained(self).toOpaque()
        _ = unsafe withArguments([Array("SUBSCRIBE".utf8), channel]) { count, pointers, lengths in
            unsafe redisAsyncCommandArgv(
                handle,
                { _, reply, data in
                    guard let data = unsafe data, let reply = unsafe reply else { return }
                    let connection = unsafe Unmanaged<RedisConnection>.fromOpaque(data).takeUnretainedValue()
                    connection.messageHandler?(unsafe RedisReply(reply.assumingMemoryBound(to: redisReply.self)))
                }, own, count, pointers, lengths)
        }
    }

    /// Ends the connection at once; what is under way is answered with nothing.
    func close() {
        guard let handle = unsafe handle else { return }
        unsafe redisAsyncFree(handle)
    }

    private func socketIsReady(_ ready: StoreLoop.Readiness) {
        if ready.contains(.input), let handle = unsafe handle { unsafe redisAsyncHandleRead(handle) }
        // Reading may have ended it.
        if ready.contains(.output), let handle = unsafe handle { unsafe redisAsyncHandleWrite(handle) }
    }

    private func want(_ direction: StoreLoop.Readiness, _ isWanted: Bool) {
        if isWanted { readiness.insert(direction) } else { readiness.remove(direction) }
        if let watch { loop.setReadiness(readiness, of: watch) }
    }

    private func hasEnded() {
        unsafe handle = nil
        if let watch { loop.cancel(watch) }
        watch = nil
        let (connected, ended) = (whenConnected, whenEnded)
        (whenConnected, whenEnded, messageHandler) = (nil, nil, nil)
        connected?(false)
        ended?()
    }

    private static func of(_ data: UnsafeMutableRawPointer?) -> RedisConnection {
        guard let data = unsafe data else { preconditionFailure("hooks are called with what they were set with") }
        return unsafe Unmanaged<RedisConnection>.fromOpaque(data).takeUnretainedValue()
    }

    private final class ReplyHandler {
        let body: (RedisReply?) -> Void
        init(_ body: @escaping (RedisReply?) -> Void) { self.body = body }
    }
}

/// Calls `body` with the arguments in C's form.
private func withArguments<Value>(
    _ arguments: [[UInt8]], _ body: (CInt, UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafePointer<Int>) -> Value
) -> Value {
    var octets: [UInt8] = []
    octets.reserveCapacity(arguments.reduce(1) { $0 + $1.count })
    var offsets: [Int] = []
    for argument in arguments {
        offsets.append(octets.count)
        octets += argument
    }
    // So that there is an address, also of an empty argument at the end.
    octets.append(0)
    let lengths = arguments.map(\.count)
    return unsafe octets.withUnsafeBytes { octets in
        var pointers: [UnsafePointer<CChar>?] = unsafe offsets.map { unsafe octets.baseAddress?.advanced(by: $0).assumingMemoryBound(to: CChar.self) }
        return unsafe pointers.withUnsafeMutableBufferPointer { pointers in
            unsafe lengths.withUnsafeBufferPointer { lengths in
                guard let first = pointers.baseAddress, let length = lengths.baseAddress else { preconditionFailure("a command has a name") }
                return unsafe body(CInt(arguments.count), first, length)
            }
        }
    }
}
