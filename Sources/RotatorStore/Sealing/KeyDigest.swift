// SPDX-License-Identifier: MIT

internal import Crypto
public import RotatorCore

/// How proxy keys are remembered: they are long and random, so a plain hash is enough, and one that costs nothing per request.
public enum KeyDigest {
    /// The number of octets of a digest.
    public static let byteCount = 32

    /// SHA-256 of a credential's octets, as `ClientKey.digest` holds it. Any thread; does not block.
    public static func sha256(of secret: Secret) -> [UInt8] {
        unsafe secret.withUnsafeBytes { bytes in
            var hash = SHA256()
            unsafe hash.update(bufferPointer: bytes)
            return [UInt8](hash.finalize())
        }
    }

    /// SHA-256 of a credential's octets, as `ClientKey.digest` holds it. Any thread; does not block.
    public static func sha256(of octets: RawSpan) -> [UInt8] {
        unsafe octets.withUnsafeBytes { bytes in
            var hash = SHA256()
            unsafe hash.update(bufferPointer: bytes)
            return [UInt8](hash.finalize())
        }
    }
}
