// SPDX-License-Identifier: MIT

extension Sequence<UInt8> {
    /// A hash of the octets that is the same in every process and version (FNV-1a, 64 bits).
    package var stableHash: UInt64 { reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }
}
