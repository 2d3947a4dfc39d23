// SPDX-License-Identifier: MIT

/// The octets of a credential: cannot be printed, and are overwritten with zeros when the last reference goes.
///
/// Safe to share between threads: the octets never change while the secret lives.
@safe public final class Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    // Written only in `init` and `deinit`, when no second reference can exist.
    private nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    /// Copies `octets`. The caller's own copy is the caller's to erase.
    public init(_ octets: some Collection<UInt8>) {
        unsafe bytes = .allocate(byteCount: octets.count, alignment: 1)
        unsafe bytes.copyBytes(from: octets)
    }

    deinit {
        for index in unsafe bytes.indices {
            // Through a volatile-like barrier: the deallocation right after must not make the stores look dead.
            unsafe Secret.overwrite(bytes.baseAddress! + index)
        }
        unsafe bytes.deallocate()
    }

    @inline(never) @_optimize(none)
    private static func overwrite(_ address: UnsafeMutableRawPointer) { unsafe address.storeBytes(of: 0, as: UInt8.self) }

    /// The number of octets.
    public var count: Int { unsafe bytes.count }

    /// Calls `body` with the octets, valid during the call only.
    public func withUnsafeBytes<R: ~Copyable, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe body(UnsafeRawBufferPointer(bytes))
    }

    /// Whether `other` holds the same octets, in a time that depends on the two lengths alone.
    public func isEqual(inConstantTime other: RawSpan) -> Bool {
        guard other.byteCount == count else { return false }
        var difference: UInt8 = 0
        for index in 0..<count {
            unsafe difference |= bytes[index] ^ other.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
        return difference == 0
    }

    public var description: String { "‹redacted›" }
    public var debugDescription: String { "‹redacted›" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
