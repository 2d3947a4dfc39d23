// SPDX-License-Identifier: MIT

internal import Dispatch
internal import Glibc
internal import Logging
internal import RotatorCore

/// Standard error behind a bounded queue: whoever logs never waits for whoever reads.
///
/// One thread writes, one `write(2)` per line, in the order of the queue. When the reader is slower than the writers and the queue is full, new
/// lines are dropped and counted; a line says so as soon as there is room.
final class LogOutput: Sendable {
    /// The most octets that wait to be written.
    private let queueBytesMax: Int
    private let descriptor: Int32
    private let format: LogFormat
    private let state = OutOfLineMutex(State())
    /// Counts the items of the queue, so that the writer sleeps while there is none.
    private let available = DispatchSemaphore(value: 0)

    private struct State {
        var queue: [Item] = []
        var bytes = 0
        var dropped = 0
        var droppedEver = 0
    }

    private enum Item {
        case line([UInt8])
        /// Signalled when everything before it has been written.
        case mark(DispatchSemaphore)
    }

    /// An output to `descriptor` with its writer thread. Lives as long as the process.
    init(descriptor: Int32 = STDERR_FILENO, format: LogFormat, queueBytesMax: Int = 4 << 20) {
        self.descriptor = descriptor
        self.format = format
        self.queueBytesMax = queueBytesMax
        WriterThread.start(name: "log") { [self] in writeForever() }
    }

    /// How many lines have been dropped so far.
    var droppedLineCount: Int { state.withLock { $0.droppedEver } }

    /// Queues `line`, to which a line feed is added; drops it when the queue is full. Never blocks.
    func append(_ line: String) {
        var octets = Array(line.utf8)
        octets.append(UInt8(ascii: "\n"))
        enqueue(octets)
    }

    private func enqueue(_ octets: [UInt8]) {
        let isQueued = state.withLock { state in
            guard state.bytes + octets.count <= queueBytesMax else {
                state.dropped += 1
                state.droppedEver += 1
                return false
            }
            state.bytes += octets.count
            state.queue.append(.line(octets))
            return true
        }
        if isQueued { available.signal() }
    }

    /// Waits until everything queued so far has been written, but no longer than `milliseconds`.
    func flush(milliseconds: Int = 2_000) {
        let done = DispatchSemaphore(value: 0)
        state.withLock { $0.queue.append(.mark(done)) }
        available.signal()
        _ = done.wait(timeout: .now() + .milliseconds(milliseconds))
    }

    private func writeForever() {
        while true {
            available.wait()
            let (items, dropped) = state.withLock { state in
                defer {
                    state.queue = []
                    state.dropped = 0
                }
                return (state.queue, state.dropped)
            }
            // The semaphore still counts the rest of the batch: those waits find an empty queue and come round at once.
            for item in items {
                switch item {
                case .line(let octets):
                    StandardError.write(octets, to: descriptor)
                    state.withLock { $0.bytes -= octets.count }
                case .mark(let done): done.signal()
                }
            }
            if dropped > 0 {
                let line = LogLine(level: .warning, label: "rotator", message: "dropped \(dropped) log lines: standard error is read too slowly")
                StandardError.write(Array((line.text(in: format) + "\n").utf8), to: descriptor)
            }
        }
    }
}

/// A thread that lives as long as the process.
enum WriterThread {
    /// Starts a thread that runs `body`; `name` shows in `top -H`.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let name: String
            let body: @Sendable () -> Void
            init(name: String, body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        let box = unsafe Unmanaged.passRetained(Box(name: name, body: body)).toOpaque()
        var thread = pthread_t()
        let result = unsafe pthread_create(&thread, nil, { argument in
            guard let argument = unsafe argument else { return nil }
            let box = unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
            ProcessHardening.nameThisThread(box.name)
            box.body()
            return nil
        }, box)
        precondition(result == 0, "the system gave no thread")
        pthread_detach(thread)
    }
}

/// Writes that must not be lost, straight to the descriptor.
enum StandardError {
    /// Writes `line` and a line feed at once, waiting for the reader if need be.
    static func writeNow(_ line: String) { write(Array((line + "\n").utf8), to: STDERR_FILENO) }

    /// Writes all of `octets`: with one call where the system takes them at once. A descriptor that nobody reads any more swallows them.
    static func write(_ octets: [UInt8], to descriptor: Int32) {
        var offset = 0
        while offset < octets.count {
            let count = unsafe octets.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress! + offset, octets.count - offset) }
            if count >= 0 {
                offset += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                unsafe poll(&ready, 1, 1_000)
            default: return
            }
        }
    }
}
