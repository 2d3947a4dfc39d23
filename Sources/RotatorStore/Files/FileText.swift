// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The octets of a file of any size, one after the other, read in pieces of 256 KiB. Closed when it goes.
struct FileText: ~Copyable {
    private static let pieceByteCount = 256 << 10

    private let descriptor: CInt
    private let path: String
    private var piece: [UInt8]
    private var index = 0
    private var count = 0
    /// The line on which the next octet stands, from 1.
    private(set) var line = 1

    /// Opens the file at `path`. Throws `misconfigured` when there is none or it cannot be read.
    init(path: String) throws(StoreError) {
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw StoreError(.misconfigured, "cannot read \(path): \(FileSystem.words(for: errno))") }
        self.path = path
        piece = [UInt8](repeating: 0, count: Self.pieceByteCount)
    }

    deinit { close(descriptor) }

    /// The next octet, which stays the next; nil at the end.
    mutating func peek() throws(StoreError) -> UInt8? {
        if index == count { try fill() }
        return index < count ? piece[index] : nil
    }

    /// Takes the next octet; nil at the end.
    mutating func next() throws(StoreError) -> UInt8? {
        guard let octet = try peek() else { return nil }
        index += 1
        if octet == 0x0A { line += 1 }
        return octet
    }

    /// Takes the next octet where it is `octet`.
    mutating func take(_ octet: UInt8) throws(StoreError) -> Bool {
        guard try peek() == octet else { return false }
        _ = try next()
        return true
    }

    /// Passes by everything up to the first octet for which `isWanted` holds, which becomes the next.
    mutating func skip(until isWanted: (UInt8) -> Bool) throws(StoreError) {
        while true {
            while index < count {
                let octet = piece[index]
                if isWanted(octet) { return }
                if octet == 0x0A { line += 1 }
                index += 1
            }
            try fill()
            if count == 0 { return }
        }
    }

    private mutating func fill() throws(StoreError) {
        index = 0
        count = 0
        while true {
            let received = unsafe piece.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress!, $0.count) }
            if received >= 0 {
                count = received
                return
            }
            if errno != EINTR { throw StoreError(.misconfigured, "cannot read \(path): \(FileSystem.words(for: errno))") }
        }
    }
}
