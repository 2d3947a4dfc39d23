// SPDX-License-Identifier: MIT

/// The keys of a pool in an order that each conversation has of its own, found without looking at all of them. A value.
///
/// Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998) gives every pair of conversation and key a
/// number, and takes the key with the highest: when a key goes, its conversations alone move, and they spread over all others. It looks at every key,
/// so pools of up to ``leafMax`` keys do just that, and larger ones are taken apart by the leading bits of the hashes of the keys' ids until no part
/// has more. At each fork the conversation's hash chooses a side in proportion to the weights of all keys there, resting ones included: what rests does
/// not move a conversation whose key does not. Where no key of the chosen side may be used, the other side is next. Follows from ids, weights and the
/// conversation alone, so replicas agree and restarts change nothing.
///
/// A key that is added or removed moves its own share of the conversations and, in pools of more than ``leafMax`` keys, at each fork above it about half
/// as many more, because the proportion there has changed.
struct AffinityTree: Sendable {
    /// The most keys that are looked at for one choice, while none of them has been tried.
    static let leafMax = 256

    private struct Member: Sendable {
        var hash: UInt64
        var position: Int32
        var weight: Int32
    }

    private struct Node: Sendable {
        /// What tells this fork from the others.
        var seed: UInt64
        var parent: Int32
        /// Where the members below it stand.
        var range: Range<Int32>
        /// -1: a leaf.
        var left: Int32 = -1
        var right: Int32 = -1
        /// Conversations whose hash is below go left.
        var bound: UInt64 = 0
        var weight: Int64 = 0
        /// Members below it that may be chosen.
        var fitCount: Int32 = 0
        /// Whether all members of a leaf have the same weight.
        var isEven = true
    }

    // In the order of their hashes.
    private var members: [Member] = []
    private var nodes: [Node] = []
    // By position: the leaf (-1 = no member), the place among the members, and whether it may be chosen.
    private var leaves: [Int32] = []
    private var places: [Int32] = []
    private var isFit: [Bool] = []

    /// Takes these keys in place of the present ones; which positions may be chosen stays.
    mutating func setMembers(_ list: [RotationMember]) {
        members = list.map {
            Member(hash: Self.mix(UInt64(bitPattern: $0.id.rawValue)), position: Int32($0.position), weight: Int32(clamping: max(1, $0.weight)))
        }
        members.sort { $0.hash < $1.hash }
        nodes = []
        let capacity = max(isFit.count, (list.map(\.position).max() ?? -1) + 1)
        leaves = Array(repeating: -1, count: capacity)
        places = Array(repeating: -1, count: capacity)
        isFit.append(contentsOf: repeatElement(false, count: capacity - isFit.count))
        if !members.isEmpty { _ = build(0..<Int32(members.count), depth: 0, parent: -1) }
    }

    /// The key at `position` may be chosen from now on, at this weight.
    mutating func join(_ position: Int, weight: Int) {
        if position >= isFit.count {
            isFit.append(contentsOf: repeatElement(false, count: position + 1 - isFit.count))
            leaves.append(contentsOf: repeatElement(-1, count: isFit.count - leaves.count))
            places.append(contentsOf: repeatElement(-1, count: isFit.count - places.count))
        }
        changeFitness(of: position, to: true)
        let place = Int(places[position])
        let weight = Int32(clamping: max(1, weight))
        guard place >= 0, members[place].weight != weight else { return }
        let difference = Int64(weight) - Int64(members[place].weight)
        members[place].weight = weight
        var node = leaves[position]
        nodes[Int(node)].isEven = isEven(nodes[Int(node)].range)
        while node >= 0 {
            nodes[Int(node)].weight += difference
            setBound(of: Int(node))
            node = nodes[Int(node)].parent
        }
    }

    /// The key at `position` may no longer be chosen.
    mutating func leave(_ position: Int) {
        if position < isFit.count { changeFitness(of: position, to: false) }
    }

    /// The first of the candidates in the order of `conversation`.
    func first(among candidates: borrowing Candidates, for conversation: UInt64) -> Int? {
        nodes.isEmpty ? nil : first(among: candidates, for: Self.mix(conversation), below: 0)
    }

    private func first(among candidates: borrowing Candidates, for conversation: UInt64, below index: Int) -> Int? {
        let node = nodes[index]
        if node.fitCount == 0 { return nil }
        if node.left < 0 { return highest(among: candidates, for: conversation, in: node) }
        let goesLeft = Self.mix(conversation ^ node.seed) < node.bound
        return first(among: candidates, for: conversation, below: Int(goesLeft ? node.left : node.right))
            ?? first(among: candidates, for: conversation, below: Int(goesLeft ? node.right : node.left))
    }

    private func highest(among candidates: borrowing Candidates, for conversation: UInt64, in leaf: Node) -> Int? {
        var chosen: Int?
        if leaf.isEven {
            var highest: UInt64 = 0
            for member in members[Int(leaf.range.lowerBound)..<Int(leaf.range.upperBound)] {
                let hash = Self.mix(conversation ^ member.hash)
                if hash >= highest, candidates.contains(Int(member.position)) {
                    highest = hash
                    chosen = Int(member.position)
                }
            }
        } else {
            // With weights: the lowest of -ln(u)/weight, u evenly spread over 0…1 (weighted rendezvous hashing).
            var lowest = Double.infinity
            for member in members[Int(leaf.range.lowerBound)..<Int(leaf.range.upperBound)] {
                let fraction = Double((Self.mix(conversation ^ member.hash) >> 11) + 1) * 0x1p-53
                let distance = Self.negativeLogarithm(of: fraction) / Double(member.weight)
                if distance < lowest, candidates.contains(Int(member.position)) {
                    lowest = distance
                    chosen = Int(member.position)
                }
            }
        }
        return chosen
    }

    private mutating func build(_ range: Range<Int32>, depth start: UInt64, parent: Int32) -> Int32 {
        let index = nodes.count
        let prefix = members[Int(range.lowerBound)].hash
        var depth = start
        while range.count > Self.leafMax, depth < 64 {
            let bit: UInt64 = 1 << (63 - depth)
            let middle = firstPlace(in: range) { $0.hash & bit != 0 }
            if middle > range.lowerBound, middle < range.upperBound {
                // Mixed twice: a seed that were the hash of some id would have its key's own number decide the fork.
                let seed = Self.mix(Self.mix((prefix & ~(bit | (bit - 1))) ^ (depth + 1)))
                nodes.append(Node(seed: seed, parent: parent, range: range))
                let left = build(range.lowerBound..<middle, depth: depth + 1, parent: Int32(index))
                let right = build(middle..<range.upperBound, depth: depth + 1, parent: Int32(index))
                nodes[index].left = left
                nodes[index].right = right
                nodes[index].weight = nodes[Int(left)].weight + nodes[Int(right)].weight
                nodes[index].fitCount = nodes[Int(left)].fitCount + nodes[Int(right)].fitCount
                setBound(of: index)
                return Int32(index)
            }
            depth += 1
        }
        var leaf = Node(seed: 0, parent: parent, range: range)
        for place in range {
            let member = members[Int(place)]
            leaves[Int(member.position)] = Int32(index)
            places[Int(member.position)] = place
            leaf.weight += Int64(member.weight)
            if isFit[Int(member.position)] { leaf.fitCount += 1 }
        }
        leaf.isEven = isEven(range)
        nodes.append(leaf)
        return Int32(index)
    }

    private func firstPlace(in range: Range<Int32>, where isBehind: (Member) -> Bool) -> Int32 {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(members[Int(middle)]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private mutating func setBound(of index: Int) {
        guard nodes[index].left >= 0 else { return }
        let left = UInt64(nodes[Int(nodes[index].left)].weight)
        let whole = UInt64(nodes[index].weight)
        // Both sides have members of a weight of 1 or more, so the quotient fits.
        nodes[index].bound = whole.dividingFullWidth((high: left, low: 0)).quotient
    }

    private func isEven(_ range: Range<Int32>) -> Bool {
        let weight = members[Int(range.lowerBound)].weight
        return members[Int(range.lowerBound)..<Int(range.upperBound)].allSatisfy { $0.weight == weight }
    }

    private mutating func changeFitness(of position: Int, to fit: Bool) {
        guard isFit[position] != fit else { return }
        isFit[position] = fit
        var node = leaves[position]
        while node >= 0 {
            nodes[Int(node)].fitCount += fit ? 1 : -1
            node = nodes[Int(node)].parent
        }
    }

    /// The finisher of MurmurHash3: every bit of the number moves half of all others; no two numbers give the same.
    private static func mix(_ number: UInt64) -> UInt64 {
        var mixed = (number ^ (number >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ (mixed >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return mixed ^ (mixed >> 33)
    }

    /// -ln(x) for 0 < x ≤ 1, by additions and multiplications alone: the same to the last bit on every machine.
    private static func negativeLogarithm(of number: Double) -> Double {
        // ln(m) = 2 artanh((m − 1)/(m + 1)), 1 ≤ m < 2.
        let fraction = (number.significand - 1) / (number.significand + 1)
        let square = fraction * fraction
        var sum = 0.0
        for divisor in stride(from: 15.0, through: 1, by: -2) { sum = sum * square + 1 / divisor }
        return -(Double(number.exponent) * 0.693_147_180_559_945_3 + 2 * fraction * sum)
    }
}
