// SPDX-License-Identifier: MIT

extension String {
    /// What percent-encoded text stands for (RFC 3986 §2.1); nil when it is not well-formed or not UTF-8.
    init?(percentEncoded text: some StringProtocol) {
        var octets: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "%") else {
                octets.append(octet)
                continue
            }
            guard rest.count >= 2, let high = Character(UnicodeScalar(rest.removeFirst())).hexDigitValue,
                let low = Character(UnicodeScalar(rest.removeFirst())).hexDigitValue
            else { return nil }
            octets.append(UInt8(high << 4 | low))
        }
        self.init(validating: octets, as: UTF8.self)
    }
}
