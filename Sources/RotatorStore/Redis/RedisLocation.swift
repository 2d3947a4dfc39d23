// SPDX-License-Identifier: MIT

public import RotatorCore

/// Where a Redis database is. Prints without the password.
public struct RedisLocation: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// How the server is reached.
    public enum Endpoint: Sendable, Hashable {
        /// A host name or address, IPv6 without brackets, and a port.
        case tcp(host: String, port: Int)
        /// The path of a Unix domain socket.
        case unix(path: String)
    }

    /// How the server is reached.
    public let endpoint: Endpoint
    /// The ACL user (Redis 6 and later); nil = `default`.
    public let user: String?
    let password: String?
    /// The number of the database, 0 or more.
    public let database: Int

    /// A database by the parts of its address.
    public init(_ endpoint: Endpoint, user: String? = nil, password: String? = nil, database: Int = 0) {
        self.endpoint = endpoint
        self.user = user
        self.password = password
        self.database = database
    }

    /// Reads `redis://[user:password@]host[:port][/database]`, or `unix:[//[user:password@]]PATH[?db=N]`. User and password are percent-decoded.
    ///
    /// - Throws: `misconfigured`, in one line that does not repeat `text`, which may hold a password.
    public init(_ text: String) throws(StoreError) {
        let scheme = text.prefix { $0 != ":" }.lowercased()
        var rest = text.dropFirst(scheme.count + 1)
        switch scheme {
        case "rediss":
            throw StoreError(.misconfigured, "Redis over TLS (rediss:) is not supported: reach it over a private network or through a TLS tunnel")
        case "redis":
            guard rest.hasPrefix("//") else { throw Self.malformed }
            rest = rest.dropFirst(2)
            let credentials = try Self.credentials(&rest, upTo: rest.firstIndex(of: "/") ?? rest.endIndex)
            if rest.contains("?") || rest.contains("#") { throw StoreError(.misconfigured, "a redis:// location takes no parameters; \(Self.accepted)") }
            let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            let (host, port) = try Self.hostAndPort(parts.first ?? "")
            self.init(
                .tcp(host: host, port: port), user: credentials.user, password: credentials.password,
                database: try Self.database(parts.count > 1 ? parts[1] : ""))
        case "unix":
            var credentials: (user: String?, password: String?) = (nil, nil)
            if rest.hasPrefix("//") {
                rest = rest.dropFirst(2)
                if !rest.hasPrefix("/") { credentials = try Self.credentials(&rest, upTo: rest.endIndex) }
            }
            var database = 0
            if let query = rest.firstIndex(of: "?") {
                let parameter = rest[rest.index(after: query)...]
                guard parameter.hasPrefix("db=") else { throw Self.malformed }
                database = try Self.database(parameter.dropFirst(3))
                rest = rest[..<query]
            }
            guard !rest.isEmpty, !rest.hasSuffix("/"), !rest.utf8.contains(0) else { throw Self.malformed }
            guard rest.utf8.count < 108 else { throw StoreError(.misconfigured, "the path of a Unix socket has fewer than 108 bytes") }
            self.init(.unix(path: String(rest)), user: credentials.user, password: credentials.password, database: database)
        default:
            throw Self.malformed
        }
    }

    /// The password, for a log's redaction.
    public var passwords: [Secret] { password.map { [Secret($0.utf8)] } ?? [] }

    public var description: String {
        switch endpoint {
        case .tcp(let host, let port): "redis://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
        case .unix(let path): "unix:\(path)\(database == 0 ? "" : "?db=\(database)")"
        }
    }

    public var customMirror: Mirror { Mirror(self, children: []) }

    private static let accepted = "accepted are redis://[user:password@]host[:port][/database] and unix:PATH[?db=N]"
    private static var malformed: StoreError { StoreError(.misconfigured, "a Redis location is not understood; \(accepted)") }

    /// Takes `user:password@` (or `password@` with an empty user, or `:password@`) off the front of `rest`.
    private static func credentials(_ rest: inout Substring, upTo end: Substring.Index) throws(StoreError) -> (user: String?, password: String?) {
        // The last @: a password may hold one that nobody encoded. A slash in it must be encoded where an address follows.
        guard let at = rest[..<end].lastIndex(of: "@") else { return (nil, nil) }
        let text = rest[..<at]
        rest = rest[rest.index(after: at)...]
        guard let colon = text.firstIndex(of: ":") else {
            // As redis-cli reads it: what stands alone is a user only beside a password.
            throw StoreError(.misconfigured, "the credentials of a Redis location are user:password or :password; \(accepted)")
        }
        guard let user = decoded(text[..<colon]), let password = decoded(text[text.index(after: colon)...]) else { throw malformed }
        return (user.isEmpty ? nil : user, password.isEmpty ? nil : password)
    }

    private static func hostAndPort(_ text: Substring) throws(StoreError) -> (String, Int) {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else { throw malformed }
            host = text[text.index(after: text.startIndex)..<bracket]
            let tail = text[text.index(after: bracket)...]
            if !tail.isEmpty {
                guard tail.hasPrefix(":") else { throw malformed }
                port = tail.dropFirst()
            }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":") else { throw malformed }
        }
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw malformed }
        guard let port else { return (host.isEmpty ? "localhost" : String(host), 6379) }
        guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(port), (1...65_535).contains(number) else {
            throw StoreError(.misconfigured, "the port of a Redis location is a number from 1 to 65535")
        }
        return (host.isEmpty ? "localhost" : String(host), number)
    }

    private static func database(_ text: Substring) throws(StoreError) -> Int {
        if text.isEmpty { return 0 }
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text), number <= 1_000_000 else {
            throw StoreError(.misconfigured, "the database of a Redis location is a number, such as 0")
        }
        return number
    }

    private static func decoded(_ text: Substring) -> String? { String(percentEncoded: text) }
}
