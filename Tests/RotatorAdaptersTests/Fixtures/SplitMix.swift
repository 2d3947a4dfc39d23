// SPDX-License-Identifier: MIT

/// A repeatable source of randomness (SplitMix64), and the damage that tests do with it.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// `octets` with a few changed, removed, doubled or inserted.
    mutating func damaged(_ octets: [UInt8]) -> [UInt8] {
        var octets = octets
        let marks = Array(#"{}[]",:\u0eE+-.\#r\#n"#.utf8) + [0x00, 0xFF, 0x80]
        for _ in 0..<Int.random(in: 1...6, using: &self) {
            let index = Int.random(in: 0...octets.count, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0 where index < octets.count: octets[index] = UInt8.random(in: .min ... .max, using: &self)
            case 1 where index < octets.count: octets.remove(at: index)
            case 2 where index < octets.count: octets.insert(contentsOf: octets[index...].prefix(9), at: index)
            case 3: octets.removeLast(min(octets.count, Int.random(in: 0...9, using: &self)))
            default: octets.insert(marks[Int.random(in: marks.indices, using: &self)], at: index)
            }
        }
        return octets
    }
}
