// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The few things that a store does with files itself. All block.
enum FileSystem {
    /// What stands at a path.
    enum Entry: Equatable {
        case nothing
        case file(byteCount: Int)
        case other
    }

    /// What stands at `path`, symbolic links followed. Throws `notWritable` when the system does not let us look.
    static func entry(at path: String) throws(StoreError) -> Entry {
        var status = stat()
        if unsafe stat(path, &status) != 0 {
            if errno == ENOENT { return .nothing }
            throw failure("cannot look at \(path)")
        }
        return status.st_mode & S_IFMT == S_IFREG ? .file(byteCount: Int(status.st_size)) : .other
    }

    /// Takes the file at `path` away, if there is one and that can be done.
    static func remove(_ path: String) { _ = unsafe unlink(path) }

    /// The content of the file at `path`, nil when there is none. Throws `misconfigured` when it has more than `limit` octets.
    static func contents(of path: String, limit: Int) throws(StoreError) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw failure("cannot read \(path)")
        }
        defer { close(descriptor) }
        var octets = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < octets.count {
            let received = unsafe octets.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress! + count, $0.count - count) }
            if received < 0 {
                if errno == EINTR { continue }
                throw failure("cannot read \(path)")
            }
            if received == 0 { break }
            count += received
        }
        guard count <= limit else { throw StoreError(.misconfigured, "the file \(path) is larger than \(limit) bytes") }
        octets.removeLast(octets.count - count)
        return octets
    }

    /// Makes a file of mode 0600 that holds `octets`, with the directories above it; false when one was there already.
    ///
    /// It gets its name only when its content is on disk, so a crash leaves no half of it, and a name is never taken from another process.
    static func createFile(at path: String, holding octets: [UInt8]) throws(StoreError) -> Bool {
        let directory = try createDirectory(above: path)
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: .min ... .max)).tmp"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw failure("cannot create \(path)") }
        defer { unsafe unlink(temporary) }
        defer { close(descriptor) }
        var count = 0
        while count < octets.count {
            let written = unsafe octets.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress! + count, $0.count - count) }
            if written < 0 {
                if errno == EINTR { continue }
                throw failure("cannot write \(path)")
            }
            count += written
        }
        if fsync(descriptor) != 0 { throw failure("cannot write \(path)") }
        if unsafe link(temporary, path) != 0 {
            if errno == EEXIST { return false }
            throw failure("cannot create \(path)")
        }
        try synchronizeDirectory(directory)
        return true
    }

    /// Makes an empty file of mode 0600 unless there is one, with the directories above it.
    static func createEmptyFile(at path: String) throws(StoreError) {
        let directory = try createDirectory(above: path)
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0 {
            if errno == EEXIST { return }
            throw failure("cannot create \(path)")
        }
        close(descriptor)
        try synchronizeDirectory(directory)
    }

    /// Makes the directories above `path` that are missing, mode 0700, and returns the nearest one.
    @discardableResult
    static func createDirectory(above path: String) throws(StoreError) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        let directory = slash == path.startIndex ? "/" : String(path[..<slash])
        if try entry(at: directory) == .nothing {
            try createDirectory(above: directory)
            if unsafe mkdir(directory, 0o700) != 0, errno != EEXIST { throw failure("cannot create the directory \(directory)") }
        }
        return directory
    }

    /// The one absolute path of a file that may be missing: no links, so that two names of a file give the same. Its directory must be there.
    static func resolve(_ path: String) throws(StoreError) -> String {
        if let resolved = canonical(path) { return resolved }
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard let resolved = canonical(directory) else { throw failure("cannot find the directory \(directory)") }
        return (resolved == "/" ? "" : resolved) + "/" + (slash.map { path[path.index(after: $0)...] } ?? path[...])
    }

    /// The words for what `errno` says, as `notWritable`: whatever stops us at a file is the operator's to put right.
    static func failure(_ what: String) -> StoreError { StoreError(.notWritable, "\(what): \(words(for: errno))") }

    /// The system's words for an error number.
    static func words(for number: CInt) -> String {
        unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
    }

    private static func canonical(_ path: String) -> String? {
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    private static func synchronizeDirectory(_ path: String) throws(StoreError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { throw failure("cannot open the directory \(path)") }
        defer { close(descriptor) }
        // Some file systems cannot do it for directories; they have no better way to offer.
        if fsync(descriptor) != 0, errno != EINVAL, errno != ENOTSUP { throw failure("cannot write the directory \(path)") }
    }
}
