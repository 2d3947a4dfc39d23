// SPDX-License-Identifier: MIT

/// The master keys that a store works with: the first seals, all of them open. One, but for the time in which the master key is changed.
public struct MasterKeyRing: Sendable {
    /// Seals everything that is written.
    public let sealing: MasterKey
    /// Open, besides the first, what they sealed; in the order in which they are tried.
    public let accepted: [MasterKey]

    /// A ring that seals under `sealing` and also opens what `accepted` have sealed.
    public init(_ sealing: MasterKey, accepting accepted: [MasterKey] = []) {
        self.sealing = sealing
        self.accepted = accepted
    }

    /// A ring of one new key from the system's random source.
    public static func generate() -> MasterKeyRing { MasterKeyRing(.generate()) }
}
