// SPDX-License-Identifier: MIT

internal import CLinux
internal import Glibc
internal import RotatorCore

/// Something that epoll reports on. Confined to its reactor.
class Pollable {
    /// Where it stands in its reactor's table; -1 when it is not registered.
    final fileprivate(set) var slot = -1

    /// Called on the reactor's thread with the epoll mask.
    func ready(_ mask: UInt32) { preconditionFailure("a pollable says what it does when it is ready") }

    /// Called on the reactor's thread after the present batch of events, when it was deferred.
    func resume() {}
}

/// What epoll reports, under names that do not need casts.
enum Readiness {
    static let input = EPOLLIN.rawValue
    static let output = EPOLLOUT.rawValue
    static let peerClosed = EPOLLRDHUP.rawValue
    static let broken = EPOLLERR.rawValue | EPOLLHUP.rawValue
    static let edge: UInt32 = 1 << 31
}

/// One thread with one epoll instance. All that it owns is touched on its thread alone; other threads hand it work by ``submit(_:)``.
@safe final class Reactor: @unchecked Sendable { // Confinement: everything but `submit`, `inbox`, `wakeup` and what is immutable is used on the thread of `run` only.
    private struct Slot {
        var pollable: Pollable?
        var generation: UInt32 = 0
        var isIdle = false
    }

    /// The number of the reactor within its server, from 0.
    let number: Int
    /// The moment at which the present batch of events began.
    private(set) var now: Moment
    /// Grows by one with each batch of events.
    private(set) var batchNumber: UInt64 = 0
    /// Whether the present batch has told everything that had happened when it was fetched: what is still idle then was quiet at that moment.
    private(set) var isBatchComplete = false
    let clock: SystemClock
    let deadlines = DeadlineQueue()
    let buffers = BufferPool()
    /// Where sockets are read into; used between a read and the end of its handling, never across events. Whoever handles octets that lie here
    /// must not cause another read into it: a reader that has something to read then is deferred (``deferResume(of:)``).
    let scratch: UnsafeMutableRawPointer
    static let scratchCapacity = 65_536
    /// Octets before and after ``scratch`` in which a chunk's frame can be written around what was read.
    static let scratchMargin = 64
    private let scratchStart: UnsafeMutableRawPointer

    private let epoll: Int32
    private let wakeup: Int32
    // Nil once the loop has ended: what is handed in then is let go, with all that it holds.
    private let inbox = OutOfLineMutex<[@Sendable (Reactor) -> Void]?>([])
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var deferred: [Pollable] = []
    private var isStopped = false
    private let events: UnsafeMutableRawPointer
    private static let batch: Int32 = 256

    init(number: Int, clock: SystemClock) throws(SystemError) {
        self.number = number
        self.clock = clock
        now = clock.now()
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw SystemError(call: "epoll_create1", code: errno) }
        wakeup = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard wakeup >= 0 else { throw SystemError(call: "eventfd", code: errno) }
        unsafe scratchStart = .allocate(byteCount: Reactor.scratchCapacity + 2 * Reactor.scratchMargin, alignment: 64)
        unsafe scratch = scratchStart + Reactor.scratchMargin
        unsafe events = .allocate(byteCount: Int(rotator_epoll_event_size) * Int(Reactor.batch), alignment: 16)
        // The wakeup's data is beyond every slot.
        guard rotator_epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, Readiness.input | Readiness.edge, .max) == 0 else {
            throw SystemError(call: "epoll_ctl", code: errno)
        }
    }

    deinit {
        Syscall.close(epoll)
        Syscall.close(wakeup)
        unsafe scratchStart.deallocate()
        unsafe events.deallocate()
    }

    /// Runs `job` on the reactor's thread; not at all where its loop has ended. Any thread may call it. Jobs run in the order in which they were handed in.
    func submit(_ job: @escaping @Sendable (Reactor) -> Void) {
        let wasEmpty = inbox.withLock { jobs in
            jobs?.append(job)
            return jobs?.count == 1
        }
        if wasEmpty {
            var one: UInt64 = 1
            _ = unsafe write(wakeup, &one, 8)
        }
    }

    /// Begins to report on `fd` to `pollable`, edge-triggered in both directions unless `mask` says otherwise.
    func register(_ pollable: Pollable, fd: Int32, mask: UInt32 = Readiness.input | Readiness.output | Readiness.peerClosed | Readiness.edge) throws(SystemError) {
        let slot = freeSlots.popLast() ?? {
            slots.append(Slot())
            return slots.count - 1
        }()
        slots[slot].pollable = pollable
        pollable.slot = slot
        if rotator_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, mask, data(slot)) != 0 {
            let code = errno
            release(pollable)
            throw SystemError(call: "epoll_ctl", code: code)
        }
    }

    /// Changes what is reported on `fd`.
    func change(_ pollable: Pollable, fd: Int32, mask: UInt32) {
        _ = rotator_epoll_ctl(epoll, EPOLL_CTL_MOD, fd, mask, data(pollable.slot))
    }

    /// Ends reporting on `fd`. Events of it that were fetched already are recognised by their generation and dropped.
    func deregister(_ pollable: Pollable, fd: Int32) {
        guard pollable.slot >= 0 else { return }
        _ = rotator_epoll_ctl(epoll, EPOLL_CTL_DEL, fd, 0, 0)
        release(pollable)
    }

    /// Says whether a pollable waits for nothing: it is then told of its events before anything else of their batch happens.
    func setIdle(_ isIdle: Bool, _ pollable: Pollable) { slots[pollable.slot].isIdle = isIdle }

    private func release(_ pollable: Pollable) {
        let slot = pollable.slot
        slots[slot].pollable = nil
        slots[slot].isIdle = false
        slots[slot].generation &+= 1
        freeSlots.append(slot)
        pollable.slot = -1
    }

    private func data(_ slot: Int) -> UInt64 { UInt64(slots[slot].generation) << 32 | UInt64(slot) }

    /// Calls `pollable.resume()` after the present batch of events.
    func deferResume(of pollable: Pollable) { deferred.append(pollable) }

    /// Ends ``run()`` after the present batch.
    func stop() { isStopped = true }

    /// Serves events until ``stop()``; called once, on the reactor's own thread.
    func run() {
        while !isStopped {
            now = clock.now()
            var timeout: Int32 = -1
            if !deferred.isEmpty {
                timeout = 0
            } else if let next = deadlines.next {
                // Rounded up, so that the loop does not spin through the last millisecond.
                timeout = Int32(clamping: max(0, (next.nanoseconds - now.nanoseconds + 999_999) / 1_000_000))
            }
            let count = unsafe rotator_epoll_wait(epoll, events, Reactor.batch, timeout)
            now = clock.now()
            batchNumber &+= 1
            tellIdle(count)
            for index in 0..<max(0, count) {
                let data = unsafe rotator_epoll_data(events, index)
                if data == .max {
                    drainInbox()
                    continue
                }
                let slot = Int(data & 0xFFFF_FFFF)
                let mask = unsafe rotator_epoll_mask(events, index)
                guard mask != 0, slot < slots.count, slots[slot].generation == UInt32(data >> 32), let pollable = slots[slot].pollable else { continue }
                pollable.ready(mask)
            }
            deadlines.fire(at: now)
            if !deferred.isEmpty {
                let batch = deferred
                deferred.removeAll(keepingCapacity: true)
                for pollable in batch { pollable.resume() }
            }
        }
        // Outside the lock: what a job held may hand in another while it is let go.
        _ = inbox.withLock { jobs in
            defer { jobs = nil }
            return jobs
        }
    }

    /// Tells those of the batch that are idle what has happened to them, before anybody can take one of them into use.
    private func tellIdle(_ count: Int32) {
        isBatchComplete = false
        for index in 0..<max(0, count) {
            let data = unsafe rotator_epoll_data(events, index)
            let slot = Int(data & 0xFFFF_FFFF)
            guard slot < slots.count, slots[slot].isIdle, slots[slot].generation == UInt32(data >> 32), let pollable = slots[slot].pollable else { continue }
            let mask = unsafe rotator_epoll_mask(events, index)
            unsafe rotator_epoll_clear(events, index)
            pollable.ready(mask)
        }
        isBatchComplete = count >= 0 && count < Reactor.batch
    }

    private func drainInbox() {
        var count: UInt64 = 0
        _ = unsafe read(wakeup, &count, 8)
        let jobs = inbox.withLock { jobs in
            let taken = jobs
            jobs?.removeAll()
            return taken
        }
        for job in jobs ?? [] { job(self) }
    }
}
