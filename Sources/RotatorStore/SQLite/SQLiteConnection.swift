// SPDX-License-Identifier: MIT

internal import CSQLite
internal import RotatorCore

/// A connection to a SQLite database; closed when it goes. Wraps `sqlite3`.
///
/// Opened without SQLite's own mutexes: one thread at a time may use it and the statements made on it, and they must go before it does.
@safe struct SQLiteConnection: ~Copyable {
    fileprivate let handle: OpaquePointer
    // Goes after the handle was closed.
    private let lock: FileLock?

    /// Opens the database at `path` for reading and writing; it must exist, unless the path is `:memory:`. `lock` is kept while the connection lives.
    ///
    /// The corresponding C function is `sqlite3_open_v2`.
    init(path: String, lock: FileLock? = nil) throws(SQLiteError) {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = unsafe sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK, let handle = unsafe handle else {
            let systemError = unsafe handle.map { unsafe sqlite3_system_errno($0) } ?? 0
            unsafe sqlite3_close_v2(handle)
            throw SQLiteError(code: code, systemError: systemError)
        }
        unsafe self.handle = handle
        self.lock = lock
        setBusyTimeout(milliseconds: Self.busyTimeoutMilliseconds)
    }

    /// Opens another program's database at `path`, which must exist, for reading alone.
    init(readingOnly path: String) throws(SQLiteError) {
        var handle: OpaquePointer?
        let code = unsafe sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let handle = unsafe handle else {
            let systemError = unsafe handle.map { unsafe sqlite3_system_errno($0) } ?? 0
            unsafe sqlite3_close_v2(handle)
            throw SQLiteError(code: code, systemError: systemError)
        }
        unsafe self.handle = handle
        lock = nil
        setBusyTimeout(milliseconds: Self.busyTimeoutMilliseconds)
    }

    deinit { unsafe sqlite3_close_v2(handle) }

    /// How long a call waits for another program that has the database locked, such as a backup.
    static let busyTimeoutMilliseconds: CInt = 5000

    /// Sets how long a call waits for another connection's lock.
    func setBusyTimeout(milliseconds: CInt) { unsafe _ = sqlite3_busy_timeout(handle, milliseconds) }

    /// Whether the file can only be read.
    var isReadOnly: Bool { unsafe sqlite3_db_readonly(handle, "main") == 1 }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    var changeCount: Int { unsafe Int(sqlite3_changes64(handle)) }

    /// Whether closing may write the log back into the database; false leaves every byte as it is.
    func setWritesBackOnClose(_ writesBack: Bool) { unsafe _ = csqlite_set_no_checkpoint_on_close(handle, writesBack ? 0 : 1) }

    /// Carries out statements that give no rows or whose rows do not matter.
    ///
    /// The corresponding C function is `sqlite3_exec`. `sql` is ours alone: values are bound, never written into it.
    func execute(_ sql: StaticString) throws(SQLiteError) {
        let code = unsafe sql.utf8Start.withMemoryRebound(to: CChar.self, capacity: sql.utf8CodeUnitCount + 1) {
            unsafe sqlite3_exec(handle, $0, nil, nil, nil)
        }
        try check(code)
    }

    /// The first column of the first row as an integer; 0 when there is no row.
    func integer(_ sql: StaticString) throws(SQLiteError) -> Int64 {
        var statement = try PreparedStatement(sql, on: self)
        return try statement.step() ? statement.integer(0) : 0
    }

    /// The first column of the first row as text; empty when there is no row.
    func text(_ sql: StaticString) throws(SQLiteError) -> String {
        var statement = try PreparedStatement(sql, on: self)
        return try statement.step() ? statement.text(0) : ""
    }

    /// Does `body` in a transaction that takes the write lock at its start: all of it, or nothing when `body` throws.
    func write<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        try storeErrors { () throws(SQLiteError) in try execute("BEGIN IMMEDIATE") }
        return try finish(body)
    }

    /// Does `body` in a transaction that sees one state of the database throughout.
    func read<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        try storeErrors { () throws(SQLiteError) in try execute("BEGIN DEFERRED") }
        return try finish(body)
    }

    private func finish<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        do throws(StoreError) {
            let value = try body()
            try storeErrors { () throws(SQLiteError) in try execute("COMMIT") }
            return value
        } catch {
            // A disk that is full has rolled back already: then there is no transaction, and nothing to do.
            if unsafe sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
            throw error
        }
    }

    fileprivate func check(_ code: CInt) throws(SQLiteError) {
        guard code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE else {
            throw SQLiteError(code: code, systemError: unsafe sqlite3_system_errno(handle))
        }
    }
}

/// A compiled SQL statement; finalized when it goes out of scope. Wraps `sqlite3_stmt`.
///
/// Parameters count from 1, columns from 0, as in C.
@safe struct PreparedStatement: ~Copyable {
    private let handle: OpaquePointer
    private let database: OpaquePointer

    /// The corresponding C function is `sqlite3_prepare_v3`. `sql` is ours alone: values are bound, never written into it.
    init(_ sql: StaticString, on connection: borrowing SQLiteConnection) throws(SQLiteError) {
        var handle: OpaquePointer?
        let code = unsafe sql.utf8Start.withMemoryRebound(to: CChar.self, capacity: sql.utf8CodeUnitCount) {
            unsafe sqlite3_prepare_v3(connection.handle, $0, CInt(sql.utf8CodeUnitCount), 0, &handle, nil)
        }
        try connection.check(code)
        guard let handle = unsafe handle else { preconditionFailure("a statement without SQL") }
        unsafe self.handle = handle
        unsafe self.database = connection.handle
    }

    deinit { unsafe sqlite3_finalize(handle) }

    /// Binds an integer, or NULL.
    mutating func bind(_ value: Int64?, at index: CInt) throws(SQLiteError) {
        if let value { try check(unsafe sqlite3_bind_int64(handle, index, value)) } else { try check(unsafe sqlite3_bind_null(handle, index)) }
    }

    /// Binds text.
    mutating func bind(_ value: String, at index: CInt) throws(SQLiteError) {
        // With its terminating zero, so that the address of an empty text is not nil, which would bind NULL.
        let count = UInt64(value.utf8.count)
        try check(unsafe value.withCString { unsafe sqlite3_bind_text64(handle, index, $0, count, csqlite_transient(), UInt8(SQLITE_UTF8)) })
    }

    /// Binds octets.
    mutating func bind(_ value: [UInt8], at index: CInt) throws(SQLiteError) {
        let code = unsafe value.withUnsafeBytes { octets in
            unsafe octets.isEmpty
                ? unsafe sqlite3_bind_zeroblob(handle, index, 0)
                : unsafe sqlite3_bind_blob64(handle, index, octets.baseAddress, UInt64(octets.count), csqlite_transient())
        }
        try check(code)
    }

    /// Goes on to the next row; false when there is none.
    mutating func step() throws(SQLiteError) -> Bool {
        let code = unsafe sqlite3_step(handle)
        try check(code)
        return code == SQLITE_ROW
    }

    /// Runs to the end, then makes the statement ready to run again. Bindings stay.
    mutating func run() throws(SQLiteError) {
        // A step that failed is told by its own code; reset repeats that code and must be called all the same.
        defer { unsafe _ = sqlite3_reset(handle) }
        while try step() {}
    }

    /// Makes the statement ready to run again before it has come to its end. Bindings stay.
    mutating func reset() { unsafe _ = sqlite3_reset(handle) }

    /// The names of the columns, as `SELECT *` finds them.
    var columnNames: [String] {
        let count = unsafe sqlite3_column_count(handle)
        return (0..<count).map { column in unsafe sqlite3_column_name(handle, column).map { unsafe String(cString: $0) } ?? "" }
    }

    /// Whether a column is NULL.
    func isNull(_ column: CInt) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// A column as an integer.
    func integer(_ column: CInt) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    /// A column as an integer, nil for NULL.
    func optionalInteger(_ column: CInt) -> Int64? {
        unsafe sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : integer(column)
    }

    /// A column as text.
    func text(_ column: CInt) -> String {
        guard let start = unsafe sqlite3_column_text(handle, column) else { return "" }
        let count = unsafe Int(sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    /// A column's octets.
    func octets(_ column: CInt) -> [UInt8] {
        guard let start = unsafe sqlite3_column_blob(handle, column) else { return [] }
        let count = unsafe Int(sqlite3_column_bytes(handle, column))
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
    }

    private func check(_ code: CInt) throws(SQLiteError) {
        guard code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE else {
            throw SQLiteError(code: code, systemError: unsafe sqlite3_system_errno(database))
        }
    }
}
