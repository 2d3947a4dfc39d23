// SPDX-License-Identifier: MIT

internal import Glibc

/// Why a file could not be read or written.
struct FileFailure: Error, Hashable, CustomStringConvertible {
    /// The system's number for it.
    var errno: Int32

    var description: String { unsafe String(cString: strerror(errno)) }
}

/// Reads the small files that configuration names.
enum ConfigurationFile {
    /// The whole content of the regular file (or pipe) at `path`; more than `bytesMax` is `EFBIG`, a directory `EISDIR`.
    static func read(_ path: String, bytesMax: Int) -> Result<[UInt8], FileFailure> {
        let descriptor = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return .failure(FileFailure(errno: errno)) }
        defer { close(descriptor) }
        var octets: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return .success(octets) }
            if count < 0 {
                if errno == EINTR { continue }
                return .failure(FileFailure(errno: errno))
            }
            octets += chunk[..<count]
            if octets.count > bytesMax { return .failure(FileFailure(errno: EFBIG)) }
        }
    }

    /// The size of the file at `path`; nil when there is none or it cannot be looked at.
    static func byteCount(of path: String) -> Int? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_size) : nil
    }
}
