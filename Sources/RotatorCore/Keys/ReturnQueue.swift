// SPDX-License-Identifier: MIT

/// Keys for which time alone changes something, the earliest first.
struct ReturnQueue: Sendable {
    private struct Node: Sendable {
        var moment: Moment
        var entry: KeyEntry
        var serial: UInt32

        /// Whether the key has not been queued anew since. Under the family's lock.
        var isValid: Bool { unsafe entry.queueSerial == serial }
    }

    private var nodes: [Node] = []
    // A key that is queued anew leaves its former node behind: swept out when there are this many nodes, so that their number stays below twice that of
    // the keys, and each insertion pays for a constant part of a sweep.
    private var sweepCount = 64

    /// The earliest moment; ``Moment/distantFuture`` when the queue is empty.
    var first: Moment { nodes.first?.moment ?? .distantFuture }

    /// Adds a key, in place of where it stood.
    mutating func insert(_ entry: KeyEntry, at moment: Moment) {
        unsafe entry.queueSerial &+= 1
        unsafe entry.queuedAt = moment
        if nodes.count >= sweepCount {
            removeAll { _ in false }
            sweepCount = max(64, nodes.count * 2)
        }
        nodes.append(Node(moment: moment, entry: entry, serial: unsafe entry.queueSerial))
        var place = nodes.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard nodes[place].moment < nodes[parent].moment else { break }
            nodes.swapAt(place, parent)
            place = parent
        }
    }

    /// Takes out the earliest key if its moment has come.
    mutating func popFirst(at now: Moment) -> KeyEntry? {
        while let first = nodes.first, first.moment <= now {
            let last = nodes.removeLast()
            if !nodes.isEmpty {
                nodes[0] = last
                sink(from: 0)
            }
            guard first.isValid else { continue }
            unsafe first.entry.queuedAt = .distantFuture
            return first.entry
        }
        return nil
    }

    /// Removes the keys that `isGone` says are gone.
    mutating func removeAll(where isGone: (KeyEntry) -> Bool) {
        nodes.removeAll { !$0.isValid || isGone($0.entry) }
        for place in stride(from: nodes.count / 2 - 1, through: 0, by: -1) { sink(from: place) }
    }

    private mutating func sink(from start: Int) {
        var place = start
        while true {
            var child = 2 * place + 1
            guard child < nodes.count else { return }
            if child + 1 < nodes.count, nodes[child + 1].moment < nodes[child].moment { child += 1 }
            guard nodes[child].moment < nodes[place].moment else { return }
            nodes.swapAt(place, child)
            place = child
        }
    }
}
