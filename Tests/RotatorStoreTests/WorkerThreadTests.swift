// SPDX-License-Identifier: MIT

import Dispatch
import RotatorCore
import Synchronization
import Testing

@testable import RotatorStore

@Suite("Worker thread") struct WorkerThreadTests {
    /// Tells when it goes, and where.
    struct Owned: ~Copyable {
        var count = 0
        let onEnd: @Sendable () -> Void
        deinit { onEnd() }
    }

    @Test func `work is done one after the other, in the order in which it came`() async throws {
        let worker = try await WorkerThread.start(waitingLimit: 1000) { () throws(StoreError) in [Int]() }
        for number in 0..<100 { try await worker.run { list throws(StoreError) in list.append(number) } }
        #expect(try await worker.run { list throws(StoreError) in list } == Array(0..<100))
        await worker.close()
    }

    @Test func `what does not fit in the queue is refused at once, and what waits is done`() async throws {
        let worker = try await WorkerThread.start(waitingLimit: 3) { () throws(StoreError) in 0 }
        let begun = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)
        async let first: Void = worker.run { count throws(StoreError) in
            begun.signal()
            gate.wait()
            count += 1
        }
        await wait(for: begun)
        let refusals = await withTaskGroup(of: StoreError?.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    do throws(StoreError) { try await worker.run { count throws(StoreError) in count += 1 } } catch { return error }
                    return nil
                }
            }
            var refusals: [StoreError] = []
            while refusals.count < 7, let result = await group.next() {
                if let result { refusals.append(result) }
            }
            gate.signal()
            for await result in group { if let result { refusals.append(result) } }
            return refusals
        }
        try await first
        #expect(refusals.map(\.code) == Array(repeating: .unavailable, count: 7))
        #expect(try await worker.run { count throws(StoreError) in count } == 4)
        await worker.close()
        #expect(await code { _ = try await worker.run { count throws(StoreError) in count } } == .unavailable)
    }

    @Test func `the value goes when the worker is closed, and closing waits for it`() async throws {
        let flag = Flag()
        let worker = try await WorkerThread.start(waitingLimit: 10) { () throws(StoreError) in Owned(onEnd: { flag.set() }) }
        try await worker.run { owned throws(StoreError) in owned.count += 1 }
        #expect(!flag.isSet)
        await worker.close()
        #expect(flag.isSet)
    }

    @Test func `the value goes when the worker is forgotten`() async throws {
        let flag = Flag()
        do { _ = try await WorkerThread.start(waitingLimit: 10) { () throws(StoreError) in Owned(onEnd: { flag.set() }) } }
        for _ in 0..<500 where !flag.isSet { try await Task.sleep(for: .milliseconds(10)) }
        #expect(flag.isSet)
    }

    @Test func `a value that cannot be made leaves no worker`() async {
        let error = StoreError(.damaged, "broken")
        await #expect(throws: error) { try await WorkerThread<Int>.start(waitingLimit: 10) { () throws(StoreError) in throw error } }
    }
}

/// Waits without holding up a thread that tasks run on.
private func wait(for semaphore: DispatchSemaphore) async {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async {
            semaphore.wait()
            continuation.resume()
        }
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
