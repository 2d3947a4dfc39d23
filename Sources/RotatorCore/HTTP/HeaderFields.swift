// SPDX-License-Identifier: MIT

/// One field line of a head: its name in the sender's own case, and its value without surrounding white space.
public struct HeaderField: Sendable, Hashable {
    /// The name as it was sent.
    public var name: String
    /// The value as it was sent, octets above 7E read as UTF-8 with repairs.
    public var value: String

    /// A field line.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Field lines in the order in which they came.
///
/// For decisions about few fields (what an answer means, what an adapter adds). The forwarding path works on bytes and does not build one.
public struct HeaderFields: Sendable, Hashable, ExpressibleByArrayLiteral {
    /// The field lines, in order.
    public var lines: [HeaderField]

    /// The given field lines, in order.
    public init(_ lines: [HeaderField] = []) { self.lines = lines }

    public init(arrayLiteral elements: HeaderField...) { self.lines = elements }

    /// The first value under `name`, compared without regard to ASCII case.
    public subscript(name: String) -> String? {
        lines.first { $0.name.utf8.elementsEqual(ignoringASCIICase: name.utf8) }?.value
    }
}

extension Sequence<UInt8> {
    /// Whether both sequences hold the same octets, A–Z and a–z being equal.
    public func elementsEqual(ignoringASCIICase other: some Sequence<UInt8>) -> Bool {
        elementsEqual(other) { $0.lowercasedASCII == $1.lowercasedASCII }
    }
}

extension UInt8 {
    /// The octet with A–Z turned into a–z.
    @inlinable public var lowercasedASCII: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}
