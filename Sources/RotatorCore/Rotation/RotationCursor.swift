// SPDX-License-Identifier: MIT

internal import Synchronization

/// The position that was granted last, shared by all threads. Stands alone in its cache lines: every grant writes it.
@safe final class RotationCursor: Sendable {
    private static let size = 256
    private nonisolated(unsafe) let memory: UnsafeMutableRawPointer

    /// A cursor before the first position.
    init(position: Int = -1) {
        unsafe memory = .allocate(byteCount: Self.size, alignment: Self.size)
        unsafe value.initialize(to: Atomic(position))
    }

    deinit {
        unsafe value.deinitialize(count: 1)
        unsafe memory.deallocate()
    }

    /// The present position; -1 before the first grant.
    var position: Int { unsafe value.pointee.load(ordering: .relaxed) }

    /// Moves on unless another thread has moved it away from `old`.
    func move(from old: Int, to new: Int) -> Bool {
        unsafe value.pointee.compareExchange(expected: old, desired: new, ordering: .relaxed).exchanged
    }

    /// Puts it down wherever it stands.
    func put(at position: Int) { unsafe value.pointee.store(position, ordering: .relaxed) }

    private var value: UnsafeMutablePointer<Atomic<Int>> { unsafe (memory + Self.size / 2).assumingMemoryBound(to: Atomic<Int>.self) }
}
