// SPDX-License-Identifier: MIT

public import RotatorCore

/// Where a PostgreSQL database is, in libpq's own words. Prints without the password.
///
/// Whatever is left open here libpq takes from the `PG*` variables of the process, from the service file and from its defaults
/// (PostgreSQL documentation, "34.1.1. Connection Strings" and "34.15. Environment Variables").
public struct PostgreSQLLocation: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// Names and values of libpq's connection parameters, in order; `dbname` may hold a whole URI, which libpq expands.
    let parameters: [Parameter]

    struct Parameter: Sendable, Hashable {
        var name: String
        var value: String
    }

    /// Reads a URI: `postgres://[user[:password]@][host][:port][,…][/database][?parameter=value&…]`.
    ///
    /// - Throws: `misconfigured`, in one line that does not repeat `uri`.
    public init(_ uri: String) throws(StoreError) {
        guard !uri.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw StoreError(.misconfigured, "a PostgreSQL location has no spaces or control characters: percent-encode them")
        }
        parameters = [Parameter(name: "dbname", value: uri)]
    }

    /// A database by the parts of its address; nil leaves a part to libpq's own sources.
    public init(host: String?, port: Int?, user: String?, password: String?, database: String?) {
        parameters = [("host", host), ("port", port.map(String.init)), ("user", user), ("password", password), ("dbname", database)]
            .compactMap { name, value in value.map { Parameter(name: name, value: $0) } }
    }

    /// The passwords in it, for a log's redaction: as they are, and as they were written in a URI.
    public var passwords: [Secret] {
        var texts: [Substring] = []
        for parameter in parameters {
            if parameter.name == "password" { texts.append(parameter.value[...]) }
            guard parameter.name == "dbname", let scheme = parameter.value.firstRange(of: "://") else { continue }
            let rest = parameter.value[scheme.upperBound...]
            let query = rest.firstIndex(of: "?") ?? rest.endIndex
            if let at = rest[..<query].lastIndex(of: "@"), let colon = rest[..<at].firstIndex(of: ":") { texts.append(rest[rest.index(after: colon)..<at]) }
            for pair in rest[query...].dropFirst().split(separator: "&") {
                for name in ["password=", "sslpassword="] where pair.hasPrefix(name) { texts.append(pair.dropFirst(name.count)) }
            }
        }
        let written = texts.filter { !$0.isEmpty }.map(String.init)
        return Set(written + written.compactMap { String(percentEncoded: $0) }).map { Secret($0.utf8) }
    }

    public var description: String {
        if parameters.count == 1, let uri = parameters.first, uri.name == "dbname", uri.value.contains("://") { return Self.withoutCredentials(uri.value) }
        func part(_ name: String) -> String? { parameters.first { $0.name == name }?.value }
        return "postgres://\(part("host") ?? "")\(part("port").map { ":" + $0 } ?? "")/\(part("database") ?? part("dbname") ?? "")"
    }

    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Less everything before the last `@`, and less the parameters, any of which may be a password.
    private static func withoutCredentials(_ uri: String) -> String {
        var text = uri[...]
        if let query = text.firstIndex(of: "?") { text = text[..<query] }
        guard let at = text.lastIndex(of: "@") else { return String(text) }
        return "postgres://" + text[text.index(after: at)...]
    }
}
