// SPDX-License-Identifier: MIT

internal import RotatorCore

/// A continuation that is resumed by whoever comes first: what was waited for, the deadline, or the closing of the store.
final class FirstOutcome<Value: Sendable>: Sendable {
    private let continuation: OutOfLineMutex<CheckedContinuation<Value, Never>?>

    init(_ continuation: CheckedContinuation<Value, Never>) { self.continuation = OutOfLineMutex(continuation) }

    /// Does nothing the second time, and says so.
    @discardableResult
    func resume(_ value: Value) -> Bool {
        let continuation = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        continuation?.resume(returning: value)
        return continuation != nil
    }
}
