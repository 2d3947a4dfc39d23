// SPDX-License-Identifier: MIT

internal import Synchronization

/// The position that was granted last and how many turns may follow it, shared by all threads. Stands alone in its cache lines: every grant writes it.
///
/// Both stand in one word, so a grant takes its turn and moves on in one step. A cursor that is not given stretches of turns has turns without end.
@safe final class RotationCursor: Sendable {
    private static let size = 256
    /// In place of a number of turns: without end.
    private static let endless = UInt64(UInt32.max)

    private nonisolated(unsafe) let memory: UnsafeMutableRawPointer

    /// A cursor before the first position.
    init() {
        unsafe memory = .allocate(byteCount: Self.size, alignment: Self.size)
        unsafe word.initialize(to: Atomic(Self.word(position: -1, turns: Self.endless)))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe memory.deallocate()
    }

    /// The present position; -1 before the first grant.
    var position: Int { Self.position(of: load()) }

    /// Whether a stretch of turns has come to its end, so that nobody can move until another begins.
    var isAtEnd: Bool { Self.turns(of: load()) == 0 }

    /// Moves on, unless another thread has moved it away from `old`. Takes a turn where that is asked for, and stays when none is left.
    func move(from old: Int, to new: Int, takingTurn: Bool) -> Bool {
        let present = load()
        let turns = Self.turns(of: present)
        guard Self.position(of: present) == old, !takingTurn || turns > 0 else { return false }
        let next = Self.word(position: new, turns: !takingTurn || turns == Self.endless ? turns : turns - 1)
        return unsafe word.pointee.compareExchange(expected: present, desired: next, ordering: .relaxed).exchanged
    }

    /// Puts it down wherever it stands.
    func put(at position: Int) { store(Self.word(position: position, turns: Self.turns(of: load()))) }

    /// Begins a stretch of turns; nil goes on where the last one ended. While ``isAtEnd``, or before anybody else knows the cursor: then no other
    /// thread can move it. One thread at a time.
    func beginStretch(of turns: Int, after position: Int?) {
        store(Self.word(position: position ?? self.position, turns: UInt64(min(turns, Int(Self.endless) - 1))))
    }

    private func load() -> UInt64 { unsafe word.pointee.load(ordering: .relaxed) }
    private func store(_ value: UInt64) { unsafe word.pointee.store(value, ordering: .relaxed) }

    // Positions are below 2^30; the lower half of the word is one more.
    private static func word(position: Int, turns: UInt64) -> UInt64 { turns << 32 | UInt64(UInt32(position + 1)) }
    private static func position(of word: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: word)) - 1 }
    private static func turns(of word: UInt64) -> UInt64 { word >> 32 }

    private var word: UnsafeMutablePointer<Atomic<UInt64>> { unsafe (memory + Self.size / 2).assumingMemoryBound(to: Atomic<UInt64>.self) }
}
