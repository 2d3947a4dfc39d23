// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// One thread that waits for the sockets and timers of a store's connections, and the executor of the actors that own them.
///
/// A store has one of its own, apart from the reactors that carry traffic: whatever a database does, no request waits here. `poll(2)` is enough for a
/// handful of sockets. Everything that is watched or scheduled is called on this thread; ``enqueue(_:)`` and ``stop()`` may be called on any.
final class StoreLoop: SerialExecutor {
    /// A socket that is watched. Loop-confined.
    final class Watch {
        fileprivate let fd: CInt
        fileprivate(set) var readiness: Readiness = []
        fileprivate var handler: (Readiness) -> Void
        fileprivate(set) var isCancelled = false

        fileprivate init(fd: CInt, handler: @escaping (Readiness) -> Void) {
            self.fd = fd
            self.handler = handler
        }
    }

    /// What a socket is waited for, or is ready for. An error or the end of the connection counts as both.
    struct Readiness: OptionSet, Sendable {
        let rawValue: Int
        static let input = Readiness(rawValue: 1)
        static let output = Readiness(rawValue: 2)
    }

    /// Something to be done later. Loop-confined.
    final class Timer {
        fileprivate let due: ContinuousClock.Instant
        fileprivate var work: (() -> Void)?

        fileprivate init(due: ContinuousClock.Instant, work: @escaping () -> Void) {
            self.due = due
            self.work = work
        }

        /// It is not done any more.
        func cancel() { work = nil }
    }

    private struct Inbox {
        var jobs: [UnownedJob] = []
        var isStopping = false
        var isAwake = false
    }

    private let inbox = OutOfLineMutex(Inbox())
    // Written to by whoever puts something into the inbox of a sleeping loop.
    private let wakeReader: CInt
    private let wakeWriter: CInt
    // Loop-confined.
    private nonisolated(unsafe) var watches: [Watch] = []
    private nonisolated(unsafe) var timers: [Timer] = []

    /// Starts the thread. Throws `unavailable` when there are no descriptors or threads to be had.
    static func start() throws(StoreError) -> StoreLoop {
        var ends: [CInt] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw StoreError(.unavailable, "no descriptor can be had for the store: \(FileSystem.words(for: errno))") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        let loop = StoreLoop(reader: ends[0], writer: ends[1])
        guard startThread({ loop.run() }) else {
            close(ends[0])
            close(ends[1])
            throw StoreError(.unavailable, "no thread can be started for the store")
        }
        return loop
    }

    private init(reader: CInt, writer: CInt) {
        wakeReader = reader
        wakeWriter = writer
    }

    // MARK: On any thread

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustWake = inbox.withLock { inbox in
            precondition(!inbox.isStopping, "nothing is left to be done when a store's loop is stopped")
            inbox.jobs.append(job)
            return Self.wakes(&inbox)
        }
        if mustWake { wake() }
    }

    /// Ends the thread once what was enqueued is done. To be called once, when no actor of this loop has anything left to do.
    func stop() {
        let mustWake = inbox.withLock { inbox in
            inbox.isStopping = true
            return Self.wakes(&inbox)
        }
        if mustWake { wake() }
    }

    /// Whether a write to the pipe is needed: one is enough until the loop has looked.
    private static func wakes(_ inbox: inout Inbox) -> Bool {
        defer { inbox.isAwake = true }
        return !inbox.isAwake
    }

    private func wake() {
        var octet: UInt8 = 1
        // A full pipe wakes just as well.
        unsafe _ = write(wakeWriter, &octet, 1)
    }

    // MARK: On the loop

    /// Calls `handler` whenever `fd` is ready for what ``setReadiness(_:of:)`` says; nothing at first.
    func watch(_ fd: CInt, _ handler: @escaping (Readiness) -> Void) -> Watch {
        let watch = Watch(fd: fd, handler: handler)
        unsafe watches.append(watch)
        return watch
    }

    /// Waits for this and nothing else from now on.
    func setReadiness(_ readiness: Readiness, of watch: Watch) { watch.readiness = readiness }

    /// The handler is not called any more. Must come before the descriptor is closed.
    func cancel(_ watch: Watch) {
        watch.isCancelled = true
        watch.handler = { _ in }
        unsafe watches.removeAll { $0 === watch }
    }

    /// Calls `work` once at `due`, or soon after.
    @discardableResult
    func schedule(at due: ContinuousClock.Instant, _ work: @escaping () -> Void) -> Timer {
        let timer = Timer(due: due, work: work)
        unsafe timers.append(timer)
        return timer
    }

    /// Returns at `deadline`. For actors of this loop.
    func sleep(until deadline: ContinuousClock.Instant, isolation: isolated (any Actor)? = #isolation) async {
        await withCheckedContinuation(isolation: isolation) { continuation in
            schedule(at: deadline) { continuation.resume() }
        }
    }

    private func run() {
        while true {
            let (jobs, isStopping) = inbox.withLock { inbox in
                defer { inbox.jobs = [] }
                inbox.isAwake = !inbox.jobs.isEmpty
                return (inbox.jobs, inbox.isStopping)
            }
            for job in jobs { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
            if jobs.isEmpty, isStopping { break }
            runTimers()
            waitForSockets(mayBlock: jobs.isEmpty)
        }
        close(wakeReader)
        close(wakeWriter)
    }

    private func runTimers() {
        let now = ContinuousClock.now
        unsafe timers.removeAll { $0.work == nil }
        // Those that a timer adds have their turn in the next round.
        for timer in unsafe timers.filter({ $0.due <= now }).sorted(by: { $0.due < $1.due }) {
            let work = timer.work
            timer.work = nil
            work?()
        }
    }

    private func waitForSockets(mayBlock: Bool) {
        let watched = unsafe watches.filter { !$0.readiness.isEmpty }
        var descriptors = [pollfd(fd: wakeReader, events: Int16(POLLIN), revents: 0)]
        for watch in watched {
            var events: Int16 = 0
            if watch.readiness.contains(.input) { events |= Int16(POLLIN) }
            if watch.readiness.contains(.output) { events |= Int16(POLLOUT) }
            descriptors.append(pollfd(fd: watch.fd, events: events, revents: 0))
        }
        let count = unsafe poll(&descriptors, nfds_t(descriptors.count), mayBlock ? timeoutMilliseconds() : 0)
        guard count > 0 else { return }
        if descriptors[0].revents != 0 { drainWakes() }
        for (watch, descriptor) in zip(watched, descriptors.dropFirst()) where descriptor.revents != 0 && !watch.isCancelled {
            var ready: Readiness = []
            let isOver = descriptor.revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0
            if isOver || descriptor.revents & Int16(POLLIN) != 0 { ready.insert(.input) }
            if isOver || descriptor.revents & Int16(POLLOUT) != 0 { ready.insert(.output) }
            ready.formIntersection(watch.readiness)
            if !ready.isEmpty { watch.handler(ready) }
        }
    }

    /// Until the first timer is due, rounded up; -1 where there is none.
    private func timeoutMilliseconds() -> CInt {
        guard let due = unsafe timers.lazy.filter({ $0.work != nil }).map(\.due).min() else { return -1 }
        let left = ContinuousClock.now.duration(to: due).wholeNanoseconds
        return left <= 0 ? 0 : CInt(min(left / 1_000_000 + 1, 60_000))
    }

    private func drainWakes() {
        var octets = [UInt8](repeating: 0, count: 64)
        while unsafe read(wakeReader, &octets, octets.count) == octets.count {}
    }
}
