// SPDX-License-Identifier: MIT

/// Positions ordered by a rank: the lowest at hand, any one removed or re-ranked in logarithmic time. Equal ranks are ordered by position.
struct PositionHeap<Rank: Comparable & Sendable>: Sendable {
    private struct Node: Sendable {
        var rank: Rank
        var position: Int

        static func < (lhs: Node, rhs: Node) -> Bool {
            lhs.rank < rhs.rank || (!(rhs.rank < lhs.rank) && lhs.position < rhs.position)
        }
    }

    private var nodes: [Node] = []
    // Where each position stands in `nodes`; -1 = not here.
    private var places: [Int32] = []

    /// How many positions are in the heap.
    var count: Int { nodes.count }

    /// The position with the lowest rank.
    var first: (position: Int, rank: Rank)? { nodes.first.map { ($0.position, $0.rank) } }

    /// Whether `position` is in the heap.
    func contains(_ position: Int) -> Bool { position < places.count && places[position] >= 0 }

    /// Adds `position`, or gives it another rank.
    mutating func set(_ position: Int, to rank: Rank) {
        if position >= places.count {
            places.append(contentsOf: repeatElement(-1, count: max(position + 1, places.count * 2) - places.count))
        }
        let place: Int
        if places[position] >= 0 {
            place = Int(places[position])
            nodes[place].rank = rank
        } else {
            place = nodes.count
            nodes.append(Node(rank: rank, position: position))
        }
        settle(at: place)
    }

    /// Removes `position`; nothing happens when it is not here.
    mutating func remove(_ position: Int) {
        guard contains(position) else { return }
        let place = Int(places[position])
        places[position] = -1
        let last = nodes.removeLast()
        if place < nodes.count {
            nodes[place] = last
            settle(at: place)
        }
    }

    private mutating func settle(at start: Int) {
        var place = start
        let node = nodes[place]
        while place > 0 {
            let parent = (place - 1) / 2
            guard node < nodes[parent] else { break }
            nodes[place] = nodes[parent]
            places[nodes[place].position] = Int32(truncatingIfNeeded: place)
            place = parent
        }
        while true {
            var child = 2 * place + 1
            guard child < nodes.count else { break }
            if child + 1 < nodes.count, nodes[child + 1] < nodes[child] { child += 1 }
            guard nodes[child] < node else { break }
            nodes[place] = nodes[child]
            places[nodes[place].position] = Int32(truncatingIfNeeded: place)
            place = child
        }
        nodes[place] = node
        places[node.position] = Int32(truncatingIfNeeded: place)
    }
}
