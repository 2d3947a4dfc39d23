// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The file of a SQLite store, with the right to it. Whoever opens connections on it hands them the lock.
struct SQLiteFile: Sendable {
    /// Absolute and free of symbolic links.
    let path: String
    let lock: FileLock
    private let hadLog: Bool

    /// Takes the lock on the file at `path`, making the file and the directories above it where they are missing.
    init(path: String) throws(StoreError) {
        try FileSystem.createDirectory(above: path)
        self.path = try FileSystem.resolve(path)
        if try FileSystem.entry(at: self.path) == .other { throw StoreError(.misconfigured, "\(path) is not a file") }
        lock = try FileLock(at: self.path + ".lock")
        hadLog = try FileSystem.entry(at: self.path + "-wal") != .nothing
        // Made here and not by SQLite, for its mode: nobody else may read it, nor the log that SQLite makes beside it in its image.
        if try FileSystem.entry(at: self.path) == .nothing { try FileSystem.createEmptyFile(at: self.path) }
    }

    /// Takes away the empty log and its index that SQLite makes to look at a store which is then refused: a refusal leaves nothing behind. To be
    /// called when no connection is open and the lock is still held.
    func removeTraces() {
        guard !hadLog, (try? FileSystem.entry(at: path + "-wal")) == .file(byteCount: 0) else { return }
        FileSystem.remove(path + "-wal")
        FileSystem.remove(path + "-shm")
    }
}

/// What the store's thread owns: a connection, and what seals the values that go through it. Every member blocks.
struct SQLiteSession: ~Copyable {
    let connection: SQLiteConnection
    let sealer: Sealer
    /// Names the store in messages.
    private let place: String
    private var isMigrated = false

    private init(_ connection: consuming SQLiteConnection, sealer: Sealer, place: String) {
        self.connection = connection
        self.sealer = sealer
        self.place = place
    }

    /// An empty store in memory.
    static func inMemory(sealing sealer: Sealer) throws(StoreError) -> SQLiteSession {
        let connection = try storeErrors { () throws(SQLiteError) in try SQLiteConnection(path: ":memory:") }
        let session = SQLiteSession(connection, sealer: sealer, place: "the store in memory")
        try session.configure()
        return session
    }

    /// The writing connection to `file`. Checks that it is a sound store of ours, sealed under this key, before anything is written.
    static func writing(_ file: SQLiteFile, sealing sealer: Sealer) throws(StoreError) -> SQLiteSession {
        let session = try connecting(to: file, sealing: sealer)
        // Until all is known to be well, closing must not even write the log back.
        session.connection.setWritesBackOnClose(false)
        if session.connection.isReadOnly { throw StoreError(.notWritable, "\(file.path) can be read, but not written") }
        try session.inspect()
        try session.configure()
        session.connection.setWritesBackOnClose(true)
        file.lock.nameHolder()
        return session
    }

    /// The reading connection to `file`, which the writing one has checked.
    static func reading(_ file: SQLiteFile, sealing sealer: Sealer) throws(StoreError) -> SQLiteSession {
        let session = try connecting(to: file, sealing: sealer)
        try session.naming { connection throws(SQLiteError) in
            try connection.execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY")
        }
        return session
    }

    private static func connecting(to file: SQLiteFile, sealing sealer: Sealer) throws(StoreError) -> SQLiteSession {
        let connection = try naming(file.path) { () throws(SQLiteError) in try SQLiteConnection(path: file.path, lock: file.lock) }
        return SQLiteSession(connection, sealer: sealer, place: file.path)
    }

    /// Brings the tables to this version, in one transaction.
    mutating func migrate() throws(StoreError) {
        try connection.write { () throws(StoreError) in
            let found = try version()
            guard found < SQLiteSchema.version else { return }
            try naming { connection throws(SQLiteError) in
                for step in SQLiteSchema.steps[Int(found)...] { try connection.execute(step) }
            }
            if found == 0 { try writeCheckValue() }
        }
        isMigrated = true
    }

    /// Reads one value, having looked whether the tables are there.
    mutating func ping() throws(StoreError) {
        try requireTables()
        _ = try naming { connection throws(SQLiteError) in try connection.integer("SELECT count(*) FROM sealing") }
    }

    /// Throws `misconfigured` as long as ``migrate()`` has not run.
    mutating func requireTables() throws(StoreError) {
        if isMigrated { return }
        guard try version() == SQLiteSchema.version else {
            throw StoreError(.misconfigured, "\(place) has not been brought to this version's schema: migrate it first")
        }
        isMigrated = true
    }

    /// Writes the log back and empties it, so that what was deleted does not stay in it. A reader in the way puts it off: to the next
    /// deletion, or to the close at the latest.
    func truncateLog() {
        connection.setBusyTimeout(milliseconds: 0)
        _ = try? connection.integer("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.setBusyTimeout(milliseconds: SQLiteConnection.busyTimeoutMilliseconds)
    }

    /// Does `body`, with SQLite's errors in the words of the store and the store's name before them.
    func naming<Value: ~Copyable>(_ body: (borrowing SQLiteConnection) throws(SQLiteError) -> Value) throws(StoreError) -> Value {
        try Self.naming(place) { () throws(SQLiteError) in try body(connection) }
    }

    /// What was sealed for `subject`, or `damaged` with `what` it was.
    func opened<Value>(_ what: @autoclosure () -> String, _ body: () throws(Sealer.Failure) -> Value) throws(StoreError) -> Value {
        do throws(Sealer.Failure) {
            return try body()
        } catch {
            switch error {
            case .damaged: throw StoreError(.damaged, "\(place): \(what()) is damaged: its seal does not hold")
            case .otherKey: throw StoreError(.wrongEncryptionKey, "\(place): \(what()) was sealed under another encryption key")
            }
        }
    }

    private static func naming<Value: ~Copyable>(_ place: String, _ body: () throws(SQLiteError) -> Value) throws(StoreError) -> Value {
        do throws(SQLiteError) {
            return try body()
        } catch {
            var error = StoreError(error)
            error.message = "\(place): \(error.message)"
            throw error
        }
    }

    private func version() throws(StoreError) -> Int64 {
        try naming { connection throws(SQLiteError) in try connection.integer("PRAGMA user_version") }
    }

    /// Looks at the file without changing it: whose it is, its version, whether it is sound, and under which key it was sealed.
    private func inspect() throws(StoreError) {
        let application = try naming { connection throws(SQLiteError) in try connection.integer("PRAGMA application_id") }
        let version = try version()
        if application != SQLiteSchema.applicationID {
            let tableCount = try naming { connection throws(SQLiteError) in try connection.integer("SELECT count(*) FROM sqlite_schema") }
            guard application == 0, version == 0, tableCount == 0 else {
                throw StoreError(.misconfigured, "\(place) is a database of another program; nothing was changed")
            }
            return
        }
        guard version <= SQLiteSchema.version else {
            throw StoreError(.misconfigured, "\(place) was written by a newer version (schema \(version), this one knows \(SQLiteSchema.version)); nothing was changed")
        }
        let verdict = try naming { connection throws(SQLiteError) in try connection.text("PRAGMA quick_check(1)") }
        guard verdict == "ok" else { throw StoreError(.damaged, "\(place) is damaged (SQLite's quick_check); nothing was changed") }
        // A last page that was cut may read as whole, its missing part as zeros. With a log beside it, the log may mend it.
        let pageSize = try naming { connection throws(SQLiteError) in try connection.integer("PRAGMA page_size") }
        if case .file(let byteCount) = try FileSystem.entry(at: place), byteCount % Int(pageSize) != 0 {
            if case .file(1...) = try FileSystem.entry(at: place + "-wal") {} else {
                throw StoreError(.damaged, "\(place) is damaged: its last page is cut; nothing was changed")
            }
        }
        try checkKey()
    }

    private func configure() throws(StoreError) {
        try naming { connection throws(SQLiteError) in
            // `secure_delete`: what is deleted is overwritten with zeros. `temp_store`: nothing goes to files that are not ours to protect.
            try connection.execute(
                """
                PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;
                PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864
                """)
            // Takes the write lock once, so that a file or disk that cannot be written is told now.
            try connection.execute("BEGIN IMMEDIATE; ROLLBACK")
        }
    }

    private func checkKey() throws(StoreError) {
        let sealed = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("SELECT check_value FROM sealing", on: connection)
            return try statement.step() ? statement.octets(0) : []
        }
        do throws(Sealer.Failure) {
            _ = try sealer.openOctets(sealed, for: .check)
        } catch {
            switch error {
            case .damaged: throw StoreError(.damaged, "\(place) is damaged: the value that tells its encryption key cannot be read; nothing was changed")
            case .otherKey: throw StoreError(.wrongEncryptionKey, "\(place) was sealed under another encryption key; nothing was changed")
            }
        }
    }

    private func writeCheckValue() throws(StoreError) {
        let sealed = sealer.seal(Array("rotator".utf8), for: .check)
        try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement("INSERT INTO sealing (id, check_value) VALUES (1, ?1)", on: connection)
            try statement.bind(sealed, at: 1)
            try statement.run()
        }
    }
}

/// What the files beside this one read with.
extension SQLiteSession {
    /// What `transform` makes of each row; the parameters are bound in their order.
    func mapping<Value>(
        _ sql: StaticString, on parameters: Int64..., transform: (borrowing PreparedStatement) throws(StoreError) -> Value
    ) throws(StoreError) -> [Value] {
        var statement = try naming { connection throws(SQLiteError) in
            var statement = try PreparedStatement(sql, on: connection)
            for (index, value) in parameters.enumerated() { try statement.bind(value, at: CInt(index + 1)) }
            return statement
        }
        return try all(&statement, transform: transform)
    }

    /// What `transform` makes of each row of a statement whose parameters are bound.
    func all<Value>(
        _ statement: inout PreparedStatement, transform: (borrowing PreparedStatement) throws(StoreError) -> Value
    ) throws(StoreError) -> [Value] {
        var values: [Value] = []
        while try naming({ _ throws(SQLiteError) in try statement.step() }) { values.append(try transform(statement)) }
        return values
    }
}
