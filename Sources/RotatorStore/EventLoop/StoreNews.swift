// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Passes on that there is news, to everyone who listens. Any thread; never waits.
final class StoreNews: Sendable {
    private struct Content {
        var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextListener = 0
        var isConnected = false
        var isClosed = false
    }

    private let content = OutOfLineMutex(Content())

    /// News from now on; begins with an element when the connection over which it comes is there already.
    func stream() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let listener: Int? = content.withLock { content in
            guard !content.isClosed else { return nil }
            defer { content.nextListener += 1 }
            content.listeners[content.nextListener] = continuation
            if content.isConnected { continuation.yield() }
            return content.nextListener
        }
        guard let listener else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.content.withLock { content in _ = content.listeners.removeValue(forKey: listener) } }
        return stream
    }

    /// Something may have been published.
    func publish() {
        for listener in content.withLock({ $0.listeners }).values { listener.yield() }
    }

    /// The connection over which news comes has been made, or lost.
    func setConnected(_ isConnected: Bool) {
        content.withLock { $0.isConnected = isConnected }
        if isConnected { publish() }
    }

    /// Ends all streams, and those that are asked for later.
    func close() {
        let listeners = content.withLock { content in
            content.isClosed = true
            content.isConnected = false
            return content.listeners
        }
        for listener in listeners.values { listener.finish() }
    }
}
