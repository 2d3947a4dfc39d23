// SPDX-License-Identifier: MIT

internal import Synchronization

/// A mutex for code that runs in async functions.
///
/// `Mutex` knows its owner by a number that each thread keeps in thread-local storage. Inlined into an async function that has suspended and gone on
/// on another thread, an optimised build may lock under the one thread's number and unlock under the other's, which traps. Here locking is never
/// inlined. Code that never suspends, such as a pool's, keeps the plain one.
package struct OutOfLineMutex<Value: ~Copyable>: ~Copyable {
    private let mutex: Mutex<Value>

    /// A mutex around `value`.
    package init(_ value: consuming sending Value) { mutex = Mutex(value) }

    /// Calls `body` with the value, alone.
    @inline(never)
    package borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result { try mutex.withLock(body) }
}

extension OutOfLineMutex: Sendable where Value: ~Copyable {}
