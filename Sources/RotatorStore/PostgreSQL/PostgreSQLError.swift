// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Why a statement was not carried out. Holds SQLSTATE and our own words: the server's may repeat values.
struct PostgreSQLError: Error {
    /// The server's reason in five characters (PostgreSQL documentation, "Appendix A. PostgreSQL Error Codes"); nil when it gave none.
    let sqlState: String?
    /// What the store says.
    let storeError: StoreError

    init(sqlState: String?, storeError: StoreError) {
        self.sqlState = sqlState
        self.storeError = storeError
    }

    /// What the store says of itself, without the server.
    init(_ code: StoreError.Code, _ message: String) {
        sqlState = nil
        storeError = StoreError(code, message)
    }

    init(_ error: StoreError) {
        sqlState = nil
        storeError = error
    }

    /// What the server at `place` answered.
    init(sqlState: String, at place: String) {
        self.sqlState = sqlState
        let (code, words) = Self.meaning(of: sqlState)
        storeError = StoreError(code, "\(place): \(words) (SQLSTATE \(sqlState))")
    }

    /// Whether the same transaction may well be carried out when it is tried once more.
    var isRetryable: Bool { sqlState == "40001" || sqlState == "40P01" }

    /// Whether the server cannot be worked with for the moment: it is away, going away or coming.
    var meansOutage: Bool { sqlState.map { $0.hasPrefix("57P0") } ?? (storeError.code == .unavailable) }

    private static func meaning(of sqlState: String) -> (StoreError.Code, String) {
        switch sqlState {
        case "28P01", "28000": (.unavailable, "the server refuses the user or the password")
        case "3D000": (.unavailable, "there is no such database")
        case "53300": (.unavailable, "the server has no connection left")
        case "57P01", "57P02", "57P03", "57P05": (.unavailable, "the server is starting, stopping or has ended the connection")
        case "57014": (.unavailable, "the server has cancelled the statement")
        case "55P03": (.unavailable, "a lock was not to be had in time")
        case "25P03", "25P04": (.unavailable, "the server has ended a transaction that took too long")
        case "25006": (.unavailable, "the server only reads, such as a standby does")
        case "40001", "40P01": (.unavailable, "other writers were in the way")
        case "53100": (.notWritable, "the server's disk is full")
        case "42501": (.notWritable, "the user may not do what the store has to do")
        case "42P01", "3F000", "42703", "42883", "42P10": (.misconfigured, "the database has not been brought to this version's schema: migrate it first")
        case "42P07", "42710", "42P06": (.misconfigured, "the database has tables of another program under the store's names")
        case "22021", "22P05": (.misconfigured, "the database's encoding cannot keep a text: it should be UTF8")
        case "23505": (.conflict, "a unique value is taken")
        case "XX001", "XX002": (.damaged, "the server says that its data is damaged")
        default: (.unavailable, "the server refuses")
        }
    }
}
