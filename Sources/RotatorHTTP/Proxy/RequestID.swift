// SPDX-License-Identifier: MIT

// The id that we give a request whose client gave it none: sixteen hexadecimal digits in `x-rotator-request-id` and wherever the request is told of.

/// The digit at `index`, 0 to 15, from the left.
@inline(__always) private func digit(at index: Int, of id: UInt64) -> UInt8 {
    let value = UInt8(truncatingIfNeeded: (id >> UInt64(60 - 4 * index)) & 15)
    return value < 10 ? 0x30 + value : 0x57 + value
}

extension ByteBuffer {
    /// Appends an id that we gave.
    func append(requestIDHex id: UInt64) { for index in 0..<16 { append(digit(at: index, of: id)) } }
}

extension String {
    /// An id that we gave.
    init(requestIDHex id: UInt64) {
        unsafe self.init(unsafeUninitializedCapacity: 16) { octets in
            for index in 0..<16 { unsafe octets[index] = digit(at: index, of: id) }
            return 16
        }
    }
}
