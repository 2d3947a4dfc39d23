// SPDX-License-Identifier: MIT

internal import Glibc

/// The directory of the request log: segments under names that tell the number of their first record. All calls block for as long as a disk does.
struct LogDirectory: Sendable {
    let path: String

    /// The directory at `path`, made with those above it where it is missing; throws where it cannot be written.
    init(making path: String) throws(SystemError) {
        self.path = path
        try Self.make(path)
        guard unsafe access(path, R_OK | W_OK | X_OK) == 0 else { throw SystemError(call: "access", code: errno) }
    }

    private static func make(_ path: String) throws(SystemError) {
        if unsafe mkdir(path, 0o700) == 0 { return }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try make(String(path[..<slash]))
            if unsafe mkdir(path, 0o700) == 0 { return }
        }
        guard errno == EEXIST else { throw SystemError(call: "mkdir", code: errno) }
    }

    /// A segment's file.
    struct File: Sendable, Hashable {
        /// The number of its first record.
        var firstID: Int64
        var byteCount: Int
    }

    /// The segments that are there, oldest first.
    func files() -> [File] {
        guard let directory = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(directory) }
        var files: [File] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { unsafe String(cString: $0) }
            }
            guard name.hasSuffix(Self.ending), let id = Int64(name.dropLast(Self.ending.count)), id > 0, Self.name(of: id) == name else { continue }
            var status = stat()
            guard unsafe stat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            files.append(File(firstID: id, byteCount: Int(status.st_size)))
        }
        return files.sorted { $0.firstID < $1.firstID }
    }

    /// What a segment holds, up to `limit` octets; nothing where it is gone.
    func contents(of firstID: Int64, limit: Int) -> [UInt8] {
        let descriptor = unsafe Glibc.open(file(firstID), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { Syscall.close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return [] }
        let wanted = min(limit, max(0, Int(status.st_size)))
        return unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            count = 0
            while count < wanted, let base = buffer.baseAddress {
                let moved = unsafe read(descriptor, base + count, wanted - count)
                if moved < 0, errno == EINTR { continue }
                if moved <= 0 { break }
                count += moved
            }
        }
    }

    /// Opens a segment for appending; it is made where it is missing.
    func open(_ firstID: Int64) throws(SystemError) -> Int32 {
        let descriptor = unsafe Glibc.open(file(firstID), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError(call: "open", code: errno) }
        return descriptor
    }

    /// Appends octets, and says how many were taken before the disk refused; nil for all.
    static func append(_ octets: [UInt8], to descriptor: Int32) -> (taken: Int, error: SystemError)? {
        var taken = 0
        while taken < octets.count {
            let moved = unsafe octets.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress! + taken, $0.count - taken) }
            if moved < 0 {
                if errno == EINTR { continue }
                return (taken, SystemError(call: "write", code: errno))
            }
            taken += moved
        }
        return nil
    }

    func remove(_ firstID: Int64) { _ = unsafe unlink(file(firstID)) }

    private func file(_ firstID: Int64) -> String { "\(path)/\(Self.name(of: firstID))" }

    private static let ending = ".log"

    private static func name(of firstID: Int64) -> String {
        let digits = String(firstID)
        return String(repeating: "0", count: max(0, 19 - digits.count)) + digits + ending
    }
}
