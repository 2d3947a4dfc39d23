// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Rows of ended stretches, in the order in which they are to be written; keys' rows after the others', and the first to go when there are too many.
struct EndedRows: Sendable {
    private var tallies: [TrafficLedger.RowKey: TrafficTally] = [:]
    private var ofKeys = FIFO<TrafficLedger.RowKey>()
    private var others = FIFO<TrafficLedger.RowKey>()

    mutating func append(_ key: TrafficLedger.RowKey, _ tally: TrafficTally) {
        guard tallies.updateValue(tally, forKey: key) == nil else { return }
        if key.dimension == .key { ofKeys.append(key) } else { others.append(key) }
    }

    /// A row that is there already says more.
    mutating func appendUnlessThere(_ key: TrafficLedger.RowKey, _ tally: TrafficTally) {
        if tallies[key] == nil { append(key, tally) }
    }

    mutating func popFirst() -> (key: TrafficLedger.RowKey, tally: TrafficTally)? {
        guard let key = others.popFirst() ?? ofKeys.popFirst() else { return nil }
        return tallies.removeValue(forKey: key).map { (key, $0) }
    }

    /// Drops the oldest rows of keys, then of others, until no more than `limit` are left. Returns how many went.
    mutating func shrink(to limit: Int) -> Int {
        var dropped = 0
        while tallies.count > limit, let key = ofKeys.popFirst() ?? others.popFirst() {
            tallies[key] = nil
            dropped += 1
        }
        return dropped
    }

    func forEach(_ body: (TrafficLedger.RowKey, TrafficTally) -> Void) {
        for (key, tally) in tallies { body(key, tally) }
    }
}

/// First in, first out.
struct FIFO<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        // Moved down when half of them have gone, so that each element is moved once at most on the average.
        if head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}
