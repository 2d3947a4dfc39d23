// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The right of one process to a file, held until it is released or goes. The system takes it back when the process ends, however it ends.
///
/// Held by `flock` on a file beside the one that is meant, which stays: removing it would let two processes hold locks on two files of one name.
final class FileLock: Sendable {
    private let descriptor: OutOfLineMutex<CInt?>

    /// Takes the lock at `path`, or throws `locked` with the number of the process that has it, or `notWritable`.
    init(at path: String) throws(StoreError) {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw FileSystem.failure("cannot open the lock file \(path)") }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            defer { close(descriptor) }
            guard errno == EWOULDBLOCK else { throw FileSystem.failure("cannot lock \(path)") }
            throw StoreError(.locked, "another process\(Self.holder(descriptor)) has this store open (\(path)); an embedded store serves one process")
        }
        self.descriptor = OutOfLineMutex(descriptor)
    }

    /// Writes this process's number into the file, for the message that another one's attempt gives. To be called when the store is known to be
    /// ours: until then nothing is written. A full disk does not matter here.
    func nameHolder() {
        descriptor.withLock { descriptor in
            guard let descriptor else { return }
            let text = Array("\(getpid())\n".utf8)
            if ftruncate(descriptor, 0) == 0 { _ = unsafe text.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0) } }
        }
    }

    deinit { release() }

    /// Gives the lock up at once, whoever still refers to it. Only for when nobody uses the file any more.
    func release() {
        descriptor.withLock { descriptor in
            if let descriptor { close(descriptor) }
            descriptor = nil
        }
    }

    private static func holder(_ descriptor: CInt) -> String {
        var digits = [UInt8](repeating: 0, count: 20)
        let count = unsafe digits.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0, let number = Int(String(decoding: digits[..<count].prefix { $0 != 0x0A }, as: UTF8.self)) else { return "" }
        return " (\(number))"
    }
}
