// SPDX-License-Identifier: MIT

internal import CPostgreSQL
internal import RotatorCore

/// A connection to a PostgreSQL server; closed when it goes. Wraps `PGconn`.
///
/// None of its members waits for the server: each does what can be done at once and tells what to wait for. Making a connection is the exception, for
/// looking up a host's name may block; so ``init(_:)`` and ``advance()`` are for a thread that may.
@safe final class PostgreSQLConnection: @unchecked Sendable { // Confinement: one thread at a time; it is handed over once, when it has been made.
    /// What is to be waited for while a connection is being made.
    enum Progress: Sendable { case needsInput, needsOutput, made, failed }

    /// How much of what was sent has gone out.
    enum Sending: Sendable { case sent, waiting, failed }

    private let handle: OpaquePointer

    /// Begins to connect; nil when there is no memory. The corresponding C function is `PQconnectStartParams`.
    init?(_ parameters: [PostgreSQLLocation.Parameter]) {
        let handle = unsafe withCStrings(parameters.map(\.name)) { names in
            unsafe withCStrings(parameters.map(\.value)) { values in unsafe PQconnectStartParams(names, values, 1) }
        }
        guard let handle = unsafe handle else { return nil }
        unsafe self.handle = handle
        // Numbers in place of the server's words, which may repeat values; and nothing of its notices on our standard error.
        unsafe PQsetErrorVerbosity(handle, PQERRORS_SQLSTATE)
        unsafe PQsetNoticeReceiver(handle, { _, _ in }, nil)
    }

    deinit { unsafe PQfinish(handle) }

    /// Whether libpq understands `parameters`. The corresponding C function is `PQconninfoParse`; what it has to say may repeat a password.
    static func isUnderstood(_ uri: String) -> Bool {
        guard let options = unsafe PQconninfoParse(uri, nil) else { return false }
        unsafe PQconninfoFree(options)
        return true
    }

    /// Goes on connecting. The corresponding C function is `PQconnectPoll`.
    func advance() -> Progress {
        switch unsafe PQconnectPoll(handle) {
        case PGRES_POLLING_READING: return .needsInput
        case PGRES_POLLING_OK: return unsafe PQsetnonblocking(handle, 1) == 0 ? .made : .failed
        case PGRES_POLLING_FAILED: return .failed
        default: return .needsOutput
        }
    }

    /// The socket to wait for; -1 when there is none. May change while connecting.
    var socket: CInt { unsafe PQsocket(handle) }

    /// Whether the connection has not been found broken.
    var isSound: Bool { unsafe PQstatus(handle) == CONNECTION_OK }

    /// Whether a transaction is open, in good or in bad order.
    var isInTransaction: Bool { unsafe [PQTRANS_INTRANS, PQTRANS_INERROR].contains(PQtransactionStatus(handle)) }

    /// What went wrong while connecting, in libpq's words: addresses and the system's reasons, and an SQLSTATE where the server has refused.
    var refusal: String {
        let words = unsafe PQerrorMessage(handle).map { unsafe String(cString: $0) } ?? ""
        let line = words.split(whereSeparator: \.isNewline).first.map { $0.filter { $0 == "\t" || $0.isASCII && $0 >= " " } } ?? "no connection"
        let password = unsafe PQpass(handle).map { unsafe String(cString: $0) } ?? ""
        // libpq does not repeat it; whatever else a message may hold, it shall not be this.
        return password.isEmpty || !line.contains(password) ? String(line.prefix(300)) : "no connection"
    }

    /// Sends a statement to be prepared under `name`.
    func sendPreparation(_ sql: String, as name: String, types: [UInt32]) -> Bool {
        unsafe PQsendPrepare(handle, name, sql, CInt(types.count), types) == 1
    }

    /// Sends the parameters of the statement that was prepared as `name`; rows come back in binary form.
    func send(_ parameters: [PostgreSQLValue], to name: String) -> Bool {
        var octets: [CChar] = []
        var places: [(offset: Int, count: Int)?] = []
        for parameter in parameters {
            let offset = octets.count
            places.append(parameter.encode(into: &octets) ? (offset, octets.count - offset) : nil)
        }
        // So that there is an address, also of an empty value at the end.
        octets.append(0)
        let lengths = places.map { CInt($0?.count ?? 0) }
        let formats = [CInt](repeating: 1, count: places.count)
        return unsafe octets.withUnsafeBufferPointer { octets in
            let values = unsafe places.map { place in unsafe place.flatMap { unsafe octets.baseAddress?.advanced(by: $0.offset) } }
            return unsafe PQsendQueryPrepared(handle, name, CInt(values.count), values, lengths, formats, 1) == 1
        }
    }

    /// Sends statements without parameters, separated by semicolons.
    func send(_ sql: String) -> Bool { unsafe PQsendQuery(handle, sql) == 1 }

    /// Hands what was sent to the system. The corresponding C function is `PQflush`.
    func flush() -> Sending {
        switch unsafe PQflush(handle) {
        case 0: .sent
        case 1: .waiting
        default: .failed
        }
    }

    /// Takes in what has arrived; false when the connection is lost. The corresponding C function is `PQconsumeInput`.
    func takeInput() -> Bool { unsafe PQconsumeInput(handle) == 1 && isSound }

    /// Whether the answer has not arrived whole.
    var isAwaitingInput: Bool { unsafe PQisBusy(handle) == 1 }

    /// The next part of the answer; nil after the last.
    func nextResult() -> PostgreSQLResult? { unsafe PQgetResult(handle).map { unsafe PostgreSQLResult($0) } }

    /// How many notifications have arrived since the last time.
    func takeNotifications() -> Int {
        var count = 0
        while let notification = unsafe PQnotifies(handle) {
            unsafe PQfreemem(notification)
            count += 1
        }
        return count
    }
}

/// What a statement gave; freed when it goes out of scope. Wraps `PGresult`. Rows and columns count from 0; columns are in binary form.
@safe struct PostgreSQLResult: ~Copyable {
    private let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe PQclear(handle) }

    /// Whether the statement was carried out.
    var isSuccess: Bool { unsafe [PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY].contains(PQresultStatus(handle)) }

    /// The five characters that say why it was not; nil when they are unknown.
    var sqlState: String? { unsafe PQresultErrorField(handle, CInt(UInt8(ascii: "C"))).map { unsafe String(cString: $0) } }

    /// What was carried out, such as `COMMIT`.
    var command: String { unsafe PQcmdStatus(handle).map { unsafe String(cString: $0) } ?? "" }

    /// How many rows were changed, or are there.
    var changeCount: Int { unsafe PQcmdTuples(handle).flatMap { unsafe Int(String(cString: $0)) } ?? 0 }

    /// How many rows there are.
    var rows: Range<Int> { unsafe 0..<Int(PQntuples(handle)) }

    /// A column as an integer of 2, 4 or 8 octets; nil for NULL.
    func optionalInteger(_ row: Int, _ column: Int) -> Int64? { isNull(row, column) ? nil : integer(row, column) }

    /// A column as an integer of 2, 4 or 8 octets; 0 for NULL.
    func integer(_ row: Int, _ column: Int) -> Int64 {
        let octets = unsafe value(row, column)
        guard let first = unsafe octets.first else { return 0 }
        return unsafe octets.dropFirst().reduce(Int64(Int8(bitPattern: first))) { $0 << 8 | Int64($1) }
    }

    /// A column as a truth value; false for NULL.
    func boolean(_ row: Int, _ column: Int) -> Bool { integer(row, column) != 0 }

    /// A column as text; empty for NULL.
    func text(_ row: Int, _ column: Int) -> String { unsafe String(decoding: value(row, column), as: UTF8.self) }

    /// A column's octets; none for NULL.
    func octets(_ row: Int, _ column: Int) -> [UInt8] { unsafe [UInt8](value(row, column)) }

    private func isNull(_ row: Int, _ column: Int) -> Bool { unsafe PQgetisnull(handle, CInt(row), CInt(column)) == 1 }

    private func value(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        let count = unsafe Int(PQgetlength(handle, CInt(row), CInt(column)))
        return unsafe UnsafeRawBufferPointer(start: PQgetvalue(handle, CInt(row), CInt(column)), count: count)
    }
}

/// Calls `body` with the strings in C's form, a null pointer after the last.
private func withCStrings<Value>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Value) -> Value {
    var octets: [CChar] = []
    let offsets = strings.map { string in
        defer { octets += string.utf8.map { CChar(bitPattern: $0) } + [0] }
        return octets.count
    }
    octets.append(0)
    return unsafe octets.withUnsafeBufferPointer { octets in
        let pointers: [UnsafePointer<CChar>?] = unsafe offsets.map { unsafe octets.baseAddress?.advanced(by: $0) } + [nil]
        return unsafe pointers.withUnsafeBufferPointer { pointers in
            guard let first = pointers.baseAddress else { preconditionFailure("there is a last pointer") }
            return unsafe body(first)
        }
    }
}
