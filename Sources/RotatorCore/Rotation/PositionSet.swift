// SPDX-License-Identifier: MIT

internal import Synchronization

/// A set of small numbers in which the next member is found in a handful of loads, whatever its size.
///
/// Words of 64 bits, and above them words that say which of the words below are not empty, up to a single one. Any thread may read at any time,
/// without a lock; one thread at a time writes (the pool's lock sees to it). A reader that overlaps a write may miss a number that is just being
/// added or find one that is just being removed, never anything else.
@safe final class PositionSet: Sendable {
    /// Numbers are 0 ..< capacity.
    let capacity: Int
    private let levels: Int
    // Where each level's words begin; level 0 holds the members themselves.
    private let start1: Int
    private let start2: Int
    private let start3: Int
    private let start4: Int
    private let end: Int
    // Made in `init`, freed in `deinit`; the words are atomic.
    private nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>
    // How many members each run of 64 words of level 0 has, and after them how many there are in all.
    private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<Int>>
    private let runCount: Int

    /// An empty set for the numbers 0 ..< capacity; at most 2^30 of them.
    init(capacity: Int) {
        precondition(capacity <= 1 << 30, "a pool has at most 2^30 positions")
        func wordCount(_ bits: Int) -> Int { max(1, (bits + 63) / 64) }
        self.capacity = capacity
        let count0 = wordCount(capacity)
        let count1 = wordCount(count0)
        let count2 = wordCount(count1)
        let count3 = wordCount(count2)
        levels = count0 == 1 ? 1 : count1 == 1 ? 2 : count2 == 1 ? 3 : count3 == 1 ? 4 : 5
        start1 = count0
        start2 = start1 + count1
        start3 = start2 + count2
        start4 = start3 + count3
        end = start4 + wordCount(count3)
        unsafe words = .allocate(capacity: end)
        for index in 0..<end { unsafe (words + index).initialize(to: Atomic(0)) }
        runCount = count1
        unsafe counts = .allocate(capacity: runCount + 1)
        for index in 0...runCount { unsafe (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe words.deinitialize(count: end)
        unsafe words.deallocate()
        unsafe counts.deinitialize(count: runCount + 1)
        unsafe counts.deallocate()
    }

    /// How many numbers are in the set.
    var count: Int { unsafe counts[runCount].load(ordering: .relaxed) }

    /// The number at `rank` in ascending order, counted from 0; nil when there are not so many. Looks at one count for each 4,096 numbers and at
    /// 64 words at most.
    func select(_ rank: Int) -> Int? {
        var left = rank
        guard left >= 0 else { return nil }
        for run in 0..<runCount {
            let inRun = unsafe counts[run].load(ordering: .relaxed)
            if left >= inRun {
                left -= inRun
                continue
            }
            for word in run << 6..<min((run + 1) << 6, start1) {
                var bits = load(word)
                let inWord = bits.nonzeroBitCount
                if left >= inWord {
                    left -= inWord
                    continue
                }
                for _ in 0..<left { bits &= bits - 1 }
                return word << 6 | bits.trailingZeroBitCount
            }
            // A number was removed while it was being looked for: whoever comes next will do.
            return first(from: min(run + 1, runCount) << 12)
        }
        return nil
    }

    /// Whether no number is in the set.
    var isEmpty: Bool { load(start(of: levels - 1)) == 0 }

    /// Whether `position` is in the set.
    func contains(_ position: Int) -> Bool {
        position >= 0 && position < capacity && load(position >> 6) & (1 << UInt64(position & 63)) != 0
    }

    /// The first number at or after `position`, going on from 0 after the last; nil when there is none.
    func first(from position: Int) -> Int? {
        if let found = firstWithoutWrapping(from: max(0, position)) { return found }
        return position > 0 ? firstWithoutWrapping(from: 0) : nil
    }

    /// Adds `position`. False when it was there. One writer at a time.
    @discardableResult func insert(_ position: Int) -> Bool {
        if contains(position) { return false }
        // From the bottom up: who sees the upper bit finds the lower one.
        var index = position
        for level in 0..<levels {
            let word = start(of: level) + index >> 6
            let old = load(word)
            store(old | 1 << UInt64(index & 63), at: word)
            if old != 0 { break }
            index >>= 6
        }
        changeCounts(at: position, by: 1)
        return true
    }

    /// Removes `position`. False when it was not there. One writer at a time.
    @discardableResult func remove(_ position: Int) -> Bool {
        guard contains(position) else { return false }
        var index = position
        for level in 0..<levels {
            let word = start(of: level) + index >> 6
            let new = load(word) & ~(1 << UInt64(index & 63))
            store(new, at: word)
            if new != 0 { break }
            index >>= 6
        }
        changeCounts(at: position, by: -1)
        return true
    }

    private func changeCounts(at position: Int, by difference: Int) {
        for index in [position >> 12, runCount] {
            unsafe counts[index].store(counts[index].load(ordering: .relaxed) + difference, ordering: .relaxed)
        }
    }

    private func firstWithoutWrapping(from position: Int) -> Int? {
        var level = 0
        var index = position
        while true {
            // At `level`, bit `index` stands for the word `index` of the level below (or for the number itself).
            let word = index >> 6
            if word < count(of: level) {
                let bits = load(start(of: level) + word) & (~0 << UInt64(index & 63))
                if bits != 0 {
                    index = word << 6 | bits.trailingZeroBitCount
                    if level == 0 { return index }
                    level -= 1
                    index <<= 6
                    continue
                }
            }
            level += 1
            if level >= levels { return nil }
            index = word + 1
        }
    }

    @inline(__always) private func start(of level: Int) -> Int {
        switch level {
        case 0: 0
        case 1: start1
        case 2: start2
        case 3: start3
        default: start4
        }
    }

    @inline(__always) private func count(of level: Int) -> Int {
        switch level {
        case 0: start1
        case 1: start2 - start1
        case 2: start3 - start2
        case 3: start4 - start3
        default: end - start4
        }
    }

    @inline(__always) private func load(_ word: Int) -> UInt64 { unsafe words[word].load(ordering: .acquiring) }

    @inline(__always) private func store(_ value: UInt64, at word: Int) { unsafe words[word].store(value, ordering: .releasing) }
}
