// SPDX-License-Identifier: MIT

internal import Dispatch
internal import RotatorCore

/// A thread that owns a value and does one piece of work with it after the other.
///
/// For calls that block, such as SQLite's: the caller suspends, and its own thread goes on. The value is made on the thread, never leaves it,
/// and is destroyed there when the worker is closed or its last reference goes. At most `waitingLimit` pieces of work wait.
final class WorkerThread<State: ~Copyable>: Sendable {
    private let mailbox: Mailbox<State>

    private init(_ mailbox: Mailbox<State>) { self.mailbox = mailbox }

    // The thread itself keeps only the mailbox, so that a forgotten worker ends.
    deinit { mailbox.close() }

    /// Starts the thread and makes the value on it. Throws what `make` throws, or `unavailable` when there is no thread to be had.
    static func start(
        waitingLimit: Int, making make: @escaping @Sendable () throws(StoreError) -> State
    ) async throws(StoreError) -> WorkerThread {
        let mailbox = Mailbox<State>(waitingLimit: waitingLimit)
        let opened: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            let started = startThread {
                do throws(StoreError) {
                    var state = try make()
                    continuation.resume(returning: .success(()))
                    mailbox.work(on: &state)
                } catch {
                    continuation.resume(returning: .failure(error))
                    return
                }
                mailbox.ended()
            }
            if !started { continuation.resume(returning: .failure(StoreError(.unavailable, "no thread can be started for the store"))) }
        }
        try opened.get()
        return WorkerThread(mailbox)
    }

    /// Does `work` on the thread, after everything that waits already, and returns what it returns.
    ///
    /// Throws what `work` throws, or `unavailable` when too much is waiting or the worker was closed. Cancellation is not heeded.
    func run<Value: Sendable>(_ work: @escaping @Sendable (inout State) throws(StoreError) -> Value) async throws(StoreError) -> Value {
        let result: Result<Value, StoreError> = await withCheckedContinuation { continuation in
            do throws(StoreError) {
                try mailbox.post { state in
                    do throws(StoreError) {
                        continuation.resume(returning: .success(try work(&state)))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    /// Lets everything that waits be done, destroys the value and ends the thread; returns when that has happened.
    func close() async {
        mailbox.close()
        await withCheckedContinuation { mailbox.whenEnded($0) }
    }
}

/// What stands between callers and the thread.
private final class Mailbox<State: ~Copyable>: Sendable {
    typealias Work = @Sendable (inout State) -> Void

    private struct Content {
        var waiting: [Work] = []
        var isClosed = false
        var hasEnded = false
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    private let content = OutOfLineMutex(Content())
    private let arrived = DispatchSemaphore(value: 0)
    private let waitingLimit: Int

    init(waitingLimit: Int) { self.waitingLimit = waitingLimit }

    func post(_ work: @escaping Work) throws(StoreError) {
        try content.withLock { content throws(StoreError) in
            if content.isClosed { throw StoreError(.unavailable, "the store is closed") }
            if content.waiting.count >= waitingLimit { throw StoreError(.unavailable, "\(waitingLimit) calls wait for the store already") }
            content.waiting.append(work)
        }
        arrived.signal()
    }

    func close() {
        content.withLock { $0.isClosed = true }
        arrived.signal()
    }

    func whenEnded(_ continuation: CheckedContinuation<Void, Never>) {
        let hasEnded = content.withLock { content in
            if !content.hasEnded { content.closers.append(continuation) }
            return content.hasEnded
        }
        if hasEnded { continuation.resume() }
    }

    /// The thread's loop: returns when the mailbox is closed and empty.
    func work(on state: inout State) {
        while true {
            arrived.wait()
            // One signal for each piece of work and one for each close: so an empty mailbox after a signal means that it was closed.
            let next: Work? = content.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
            guard let next else { return }
            next(&state)
        }
    }

    /// Called by the thread when the value is gone.
    func ended() {
        let closers = content.withLock { content in
            content.hasEnded = true
            defer { content.closers = [] }
            return content.closers
        }
        for closer in closers { closer.resume() }
    }
}
