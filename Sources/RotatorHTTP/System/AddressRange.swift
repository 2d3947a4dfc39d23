// SPDX-License-Identifier: MIT

internal import Glibc

/// A range of IP addresses in CIDR notation (RFC 4632; RFC 4291 §2.3).
struct AddressRange {
    private let prefix: [UInt8]
    private let bits: Int

    /// The addresses whose first `bits` bits are those of `address`; nil where that is no address, or has fewer bits.
    init?(_ address: some StringProtocol, bits: Int) {
        guard let octets = AddressRange.octets(of: String(address)), bits >= 0, bits <= octets.count * 8 else { return nil }
        prefix = octets
        self.bits = bits
    }

    /// Whether `host` is an address in the range. A name never is: it is not looked up.
    func contains(_ host: String) -> Bool {
        guard let octets = AddressRange.octets(of: host), octets.count == prefix.count else { return false }
        for index in 0..<octets.count {
            let rest = min(8, max(0, bits - index * 8))
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> rest)
            if octets[index] & mask != prefix[index] & mask { return false }
        }
        return true
    }

    private static func octets(of address: String) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: 16)
        if unsafe inet_pton(AF_INET, address, &octets) == 1 { return Array(octets[..<4]) }
        return unsafe inet_pton(AF_INET6, address, &octets) == 1 ? octets : nil
    }
}
