// SPDX-License-Identifier: MIT

public import RotatorCore

/// Where a store is: what `DATABASE_URL` holds. Prints without passwords.
public struct StoreURL: Sendable, Hashable, CustomStringConvertible {
    /// The backends that can be named.
    public enum Place: Sendable, Hashable {
        /// A SQLite database in the file at this path; relative paths start at the working directory.
        case sqlite(path: String)
        /// A SQLite database in memory, gone when it is closed.
        case sqliteInMemory
        /// A PostgreSQL database.
        case postgreSQL(PostgreSQLLocation)
        /// A Redis database.
        case redis(RedisLocation)
    }

    /// The backend with what it needs to be found.
    public let place: Place

    /// A store at a place that is known already.
    public init(_ place: Place) { self.place = place }

    /// Reads `sqlite:PATH`, `sqlite::memory:`, `postgres://…`, `redis://…` or `unix:PATH` of a Redis socket.
    ///
    /// - Throws: `misconfigured`, in one line that says what is accepted and does not repeat `text`, which may hold a password.
    public init(_ text: String) throws(StoreError) {
        let scheme = text.prefix { $0 != ":" }.lowercased()
        guard scheme.utf8.count < text.utf8.count else {
            throw StoreError(.misconfigured, "a store's location begins with its kind; \(Self.accepted)")
        }
        let rest = String(text.dropFirst(scheme.count + 1))
        switch scheme {
        case "sqlite":
            guard !rest.hasPrefix("//") else {
                throw StoreError(.misconfigured, "sqlite: is followed by a path without '//', such as sqlite:/var/lib/rotator/rotator.db")
            }
            guard !rest.isEmpty, !rest.hasSuffix("/"), !rest.utf8.contains(0) else {
                throw StoreError(.misconfigured, "sqlite: is followed by the path of a file, such as sqlite:data/rotator.db")
            }
            place = rest == ":memory:" ? .sqliteInMemory : .sqlite(path: rest)
        case "postgres", "postgresql":
            place = .postgreSQL(try PostgreSQLLocation(text))
        case "redis", "rediss", "unix":
            place = .redis(try RedisLocation(text))
        default:
            throw StoreError(.misconfigured, "a store of this kind is not known; \(Self.accepted)")
        }
    }

    /// Whether several servers can work with the store at once.
    public var isShareable: Bool {
        switch place {
        case .sqlite, .sqliteInMemory: false
        case .postgreSQL, .redis: true
        }
    }

    /// The passwords that stand in it, for a log's redaction: as they are, and as they were written.
    public var passwords: [Secret] {
        switch place {
        case .sqlite, .sqliteInMemory: []
        case .postgreSQL(let location): location.passwords
        case .redis(let location): location.passwords
        }
    }

    private static let accepted = "accepted are sqlite:PATH, sqlite::memory:, postgres://…, redis://… and unix:PATH of a Redis socket"

    public var description: String {
        switch place {
        case .sqlite(let path): "sqlite:\(path)"
        case .sqliteInMemory: "sqlite::memory:"
        case .postgreSQL(let location): location.description
        case .redis(let location): location.description
        }
    }
}
