// SPDX-License-Identifier: MIT

internal import CSQLite
internal import RotatorCore
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What SQLite answered in place of success. Keeps numbers alone: SQLite's own messages may repeat values.
struct SQLiteError: Error, Hashable {
    /// The extended result code.
    let code: CInt
    /// The system's error number behind it; 0 when there is none.
    let systemError: CInt

    /// The part of the code that names the kind.
    var primaryCode: CInt { code & 0xFF }

    // Extended codes are macros made of expressions, which Swift does not import: they are spelled out, here and below.

    /// Whether a UNIQUE or PRIMARY KEY constraint was hurt.
    var isUniqueViolation: Bool { [SQLITE_CONSTRAINT | 6 << 8, SQLITE_CONSTRAINT | 8 << 8].contains(code) }
}

extension StoreError {
    init(_ error: SQLiteError) {
        let words = unsafe sqlite3_errstr(error.primaryCode).map { unsafe String(cString: $0) } ?? "unknown error"
        let cause = error.systemError == 0 ? "" : ": \(FileSystem.words(for: error.systemError))"
        let line = "SQLite: \(words)\(cause) (code \(error.code))"
        switch error.primaryCode {
        case SQLITE_FULL: self.init(.notWritable, "the disk is full; \(line)")
        case SQLITE_CANTOPEN where [EMFILE, ENFILE, ENOMEM].contains(error.systemError): self.init(.unavailable, line)
        case SQLITE_READONLY, SQLITE_PERM, SQLITE_CANTOPEN, SQLITE_AUTH: self.init(.notWritable, line)
        // SQLITE_ERROR: our SQL is right, so a table of ours has been lost or changed.
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT, SQLITE_ERROR: self.init(.damaged, line)
        case SQLITE_CONSTRAINT where error.isUniqueViolation: self.init(.conflict, line)
        case SQLITE_IOERR:
            switch error.code {
            case Self.shortRead, Self.corruptFileSystem: self.init(.damaged, line)
            default:
                let refusals = [ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EFBIG]
                self.init(refusals.contains(error.systemError) ? .notWritable : .unavailable, line)
            }
        default: self.init(.unavailable, line)
        }
    }

    private static let shortRead = SQLITE_IOERR | 2 << 8
    private static let corruptFileSystem = SQLITE_IOERR | 33 << 8
}

/// Does `body`, with SQLite's errors in the words of the store.
func storeErrors<Value: ~Copyable>(_ body: () throws(SQLiteError) -> Value) throws(StoreError) -> Value {
    do throws(SQLiteError) { return try body() } catch { throw StoreError(error) }
}
