// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The calls of a store that are under way, and whether it takes more: closing waits for those that have begun. Any thread.
final class CallCount: Sendable {
    private struct Content {
        var calls = 0
        var isClosing = false
        var isClosed = false
        /// Waits for the last call to end.
        var closer: CheckedContinuation<Void, Never>?
        /// Wait for the store to be closed by somebody else.
        var others: [CheckedContinuation<Void, Never>] = []
    }

    private let content = OutOfLineMutex(Content())

    /// Whether closing has begun.
    var isClosing: Bool { content.withLock { $0.isClosing } }

    /// Does `body` unless closing has begun, which waits for it.
    func during<Value>(_ body: () async throws(StoreError) -> Value) async throws(StoreError) -> Value {
        let isOpen = content.withLock { content in
            if !content.isClosing { content.calls += 1 }
            return !content.isClosing
        }
        guard isOpen else { throw StoreError(.unavailable, "the store is closed") }
        defer {
            let closer = content.withLock { content in
                content.calls -= 1
                defer { if content.calls == 0 { content.closer = nil } }
                return content.calls == 0 ? content.closer : nil
            }
            closer?.resume()
        }
        return try await body()
    }

    /// Takes no more calls, waits for those that are under way and does `body`, once; everybody else who closes waits for that.
    func close(_ body: () async -> Void) async {
        let isFirst = content.withLock { content in
            defer { content.isClosing = true }
            return !content.isClosing
        }
        guard isFirst else {
            await withCheckedContinuation { continuation in
                let isClosed = content.withLock { content in
                    if !content.isClosed { content.others.append(continuation) }
                    return content.isClosed
                }
                if isClosed { continuation.resume() }
            }
            return
        }
        await withCheckedContinuation { continuation in
            let isIdle = content.withLock { content in
                if content.calls > 0 { content.closer = continuation }
                return content.calls == 0
            }
            if isIdle { continuation.resume() }
        }
        await body()
        let others = content.withLock { content in
            content.isClosed = true
            defer { content.others = [] }
            return content.others
        }
        for other in others { other.resume() }
    }
}
