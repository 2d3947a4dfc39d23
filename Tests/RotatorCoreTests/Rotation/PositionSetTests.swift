// SPDX-License-Identifier: MIT

import Testing

@testable import RotatorCore

@Suite("Position set and heap") struct PositionSetTests {
    @Test(arguments: [0, 1, 63, 64, 65, 4095, 4096, 4097, 300_000])
    func `it agrees with a plain set, whatever its size`(_ capacity: Int) {
        let set = PositionSet(capacity: capacity)
        var plain = Set<Int>()
        var random = SplitMix64(seed: UInt64(capacity))
        #expect(set.isEmpty)
        #expect(set.first(from: 0) == nil)
        guard capacity > 0 else { return }
        for _ in 0..<400 {
            let position = Int.random(in: 0..<capacity, using: &random)
            if Bool.random(using: &random) {
                #expect(set.insert(position) == plain.insert(position).inserted)
            } else {
                let victim = plain.randomElement(using: &random) ?? position
                #expect(set.remove(victim) == (plain.remove(victim) != nil))
            }
            let sorted = plain.sorted()
            let start = Int.random(in: -1...capacity + 70, using: &random)
            #expect(set.first(from: start) == sorted.first { $0 >= start } ?? sorted.first)
            #expect(set.isEmpty == plain.isEmpty)
            #expect(set.contains(position) == plain.contains(position))
        }
    }

    @Test func `a heap gives the lowest rank and the lowest position among equals`() {
        var heap = PositionHeap<Int>()
        var plain: [Int: Int] = [:]
        var random = SplitMix64(seed: 7)
        for _ in 0..<3000 {
            let position = Int.random(in: 0..<50, using: &random)
            if Int.random(in: 0..<3, using: &random) == 0 {
                heap.remove(position)
                plain[position] = nil
            } else {
                let rank = Int.random(in: 0..<20, using: &random)
                heap.set(position, to: rank)
                plain[position] = rank
            }
            let least = plain.min { ($0.value, $0.key) < ($1.value, $1.key) }
            #expect(heap.first?.position == least?.key)
            #expect(heap.first?.rank == least?.value)
            #expect(heap.count == plain.count)
        }
    }

    @Test func `the generator follows from its seed`() {
        // The first values of the reference implementation for seed 1234567.
        var generator = SplitMix64(seed: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
    }

    @Test(arguments: [1, 63, 64, 65, 4096, 4097, 10_000])
    func `the number at a rank is found, and how many there are is known`(_ capacity: Int) {
        let set = PositionSet(capacity: capacity)
        var members: [Int] = []
        for number in 0..<capacity where number % 3 == 1 || number > capacity - 3 {
            set.insert(number)
            set.insert(number)
            members.append(number)
        }
        #expect(set.count == members.count)
        #expect((0..<members.count).map { set.select($0) } == members)
        #expect(set.select(members.count) == nil && set.select(-1) == nil)
        for number in members where number % 2 == 0 {
            set.remove(number)
            set.remove(number)
        }
        members.removeAll { $0 % 2 == 0 }
        #expect(set.count == members.count)
        #expect((0..<members.count).map { set.select($0) } == members)
    }
}
