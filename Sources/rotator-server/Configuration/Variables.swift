// SPDX-License-Identifier: MIT

internal import Glibc
internal import Logging
internal import RotatorCore
internal import RotatorHTTP
internal import RotatorStore

/// Every environment variable that this version reads: its default, what it accepts and its parser. `--help`, the README's table and
/// `deploy/rotator.env.example` show the same names and defaults, which a test holds.
enum Variables {
    // MARK: Listening

    /// The listen address.
    static let backendHost = Variable<String>(
        name: "BACKEND_HOST", initial: "127.0.0.1", accepted: "a host name, an IPv4 address or an IPv6 address, without a port", meaning: "address to listen on"
    ) { text throws(Rejection) in try TextParsing.listenHost(text) }

    /// The listen port.
    static let backendPort = Variable<Int>(
        name: "BACKEND_PORT", initial: "8000", accepted: "a whole number from 0 to 65535", meaning: "port to listen on; 0 picks a free one"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 0...65_535) }

    /// The number of reactors.
    static let workerThreads = Variable<Int>(
        name: "WORKER_THREADS", initial: "number of cores", accepted: "a whole number from 1 to 1024", meaning: "reactor threads, each with an epoll instance of its own"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 1...1_024) }

    // MARK: Credentials

    /// The keys that clients present.
    static let globalProxyKeys = Variable<[NamedProxyKey]>(
        name: "GLOBAL_PROXY_KEYS", initial: "generated on first start",
        accepted: "comma-separated keys of 1 to 8192 visible ASCII characters, each `key` or `name:key` (the name ends at the first colon)",
        meaning: "keys that clients present", masking: .whole
    ) { text throws(Rejection) in try proxyKeys(text) }

    /// The administrator's name.
    static let adminUsername = Variable<String>(
        name: "ADMIN_USERNAME", initial: "admin", accepted: "1 to 128 characters without control characters", meaning: "login of the admin API"
    ) { text throws(Rejection) in try TextParsing.plainText(text, characters: 1...128) }

    /// The administrator's password.
    static let adminPassword = Variable<Secret>(
        name: "ADMIN_PASSWORD", initial: "generated on first start", accepted: "1 to 1024 characters without control characters",
        meaning: "password of the admin API", masking: .whole
    ) { text throws(Rejection) in Secret(try TextParsing.plainText(text, characters: 1...1_024).utf8) }

    /// What signs admin tokens.
    static let jwtSecret = Variable<Secret>(
        name: "JWT_SECRET", initial: "generated, kept with the data", accepted: "1 to 1024 characters without control characters, better 32 or more",
        meaning: "signs admin tokens", masking: .whole
    ) { text throws(Rejection) in Secret(try TextParsing.plainText(text, characters: 1...1_024).utf8) }

    /// What seals the store.
    static let encryptionKey = Variable<Secret>(
        name: "ENCRYPTION_KEY", initial: "generated into DATA_DIR/master.key", accepted: "32 bytes, as 64 hexadecimal digits or in base64",
        meaning: "seals provider keys at rest", masking: .whole
    ) { text throws(Rejection) in Secret(try TextParsing.encryptionKey(text)) }

    /// What sealed the store before, while the master key is being changed.
    static let encryptionKeysAccepted = Variable<[WrittenEncryptionKey]>(
        name: "ENCRYPTION_KEYS_ACCEPTED", initial: "none", accepted: "comma-separated keys, each of 32 bytes as 64 hexadecimal digits or in base64",
        meaning: "older keys that open the store besides ENCRYPTION_KEY and seal nothing, until rekey has run", masking: .whole
    ) { text throws(Rejection) in try writtenEncryptionKeys(text) }

    /// What sealed the store that `migrate` reads.
    static let sourceEncryptionKey = Variable<Secret>(
        name: "SOURCE_ENCRYPTION_KEY", initial: "none", accepted: "32 bytes, as 64 hexadecimal digits or in base64",
        meaning: "opens the store that migrate reads from; the server itself never reads it", masking: .whole
    ) { text throws(Rejection) in Secret(try TextParsing.encryptionKey(text)) }

    // MARK: Data

    /// The data directory.
    static let dataDirectory = Variable<String>(
        name: "DATA_DIR", initial: "./data", accepted: "the path of a directory; made if missing", meaning: "where the embedded store and generated secrets live"
    ) { text throws(Rejection) in try TextParsing.plainText(text, characters: 1...4_000) }

    /// Where the catalogue lives.
    static let databaseURL = Variable<StoreURL>(
        name: "DATABASE_URL", initial: "sqlite:DATA_DIR/rotator.db",
        accepted: "sqlite:PATH, sqlite::memory:, postgres://[USER[:PASSWORD]@][HOST][:PORT][/DATABASE][?…] as libpq reads it, redis://[USER:PASSWORD@]HOST[:PORT][/DB], or unix:PATH of a Redis socket",
        meaning: "where the catalogue lives: sqlite:PATH, sqlite::memory:, postgres://… or redis://…", masking: .credentials
    ) { text throws(Rejection) in try storeURL(text) }

    /// The older spelling of ``databaseURL``.
    static let databasePath = Variable<StoreURL>(
        name: "DATABASE_PATH", initial: "none", accepted: "the path of a SQLite file", meaning: "the same as DATABASE_URL=sqlite:PATH; DATABASE_URL wins"
    ) { text throws(Rejection) in StoreURL(.sqlite(path: try TextParsing.plainText(text, characters: 1...4_000))) }

    /// The kinds of database that `DB_TYPE` names.
    enum DatabaseType: String, Sendable { case sqlite, postgres }

    /// The older way to choose a database.
    static let databaseType = Variable<DatabaseType>(
        name: "DB_TYPE", initial: "sqlite", accepted: "sqlite or postgres (a MySQL database is moved by rotator-server migrate)",
        meaning: "kind of database, where DATABASE_URL is unset: sqlite takes DATABASE_PATH, postgres the DB_ variables"
    ) { text throws(Rejection) in
        switch text.lowercased() {
        case "sqlite", "sqlite3": .sqlite
        case "postgres", "postgresql", "pg": .postgres
        default: throw Rejection()
        }
    }

    /// The parts of a PostgreSQL database's address.
    static let databaseHost = part("DB_HOST", of: "PostgreSQL host, or the directory of its socket, with DB_TYPE=postgres", accepted: "a host name, an address or a directory")
    static let databasePort = Variable<Int>(
        name: "DB_PORT", initial: "5432", accepted: "a whole number from 1 to 65535", meaning: "PostgreSQL port, with DB_TYPE=postgres"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 1...65_535) }
    static let databaseUser = part("DB_USER", of: "PostgreSQL user, with DB_TYPE=postgres", accepted: "1 to 1024 characters without control characters")
    static let databasePassword = part(
        "DB_PASSWORD", of: "PostgreSQL password, with DB_TYPE=postgres", accepted: "1 to 1024 characters without control characters", masking: .whole)
    static let databaseName = part("DB_NAME", of: "PostgreSQL database, with DB_TYPE=postgres", accepted: "1 to 1024 characters without control characters")

    /// Shared rotation state.
    static let redisURL = Variable<RedisLocation>(
        name: "REDIS_URL", initial: "none", accepted: "redis://[USER:PASSWORD@]HOST[:PORT][/DB], or unix:PATH of a Redis socket",
        meaning: "shared rotation state of several replicas: redis://… or unix:PATH", masking: .credentials
    ) { text throws(Rejection) in
        _ = try TextParsing.plainText(text, characters: 1...4_000)
        do throws(StoreError) { return try RedisLocation(text) } catch { throw Rejection(error.message) }
    }

    /// The parts of a Redis database's address.
    static let redisHost = part("REDIS_HOST", of: "Redis host, where REDIS_URL is unset", accepted: "a host name or an address")
    static let redisPort = Variable<Int>(
        name: "REDIS_PORT", initial: "6379", accepted: "a whole number from 1 to 65535", meaning: "Redis port, with REDIS_HOST"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 1...65_535) }
    static let redisPassword = part(
        "REDIS_PASSWORD", of: "Redis password, with REDIS_HOST", accepted: "1 to 1024 characters without control characters", masking: .whole)
    static let redisDatabase = Variable<Int>(
        name: "REDIS_DB", initial: "0", accepted: "a whole number from 0 to 1000000", meaning: "number of the Redis database, with REDIS_HOST"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 0...1_000_000) }

    /// The catalogue as a file.
    static let catalogue = Variable<String>(
        name: "ROTATOR_CATALOGUE", initial: "none", accepted: "the path of a readable catalogue document, as GET /admin/export gives it",
        meaning: "catalogue document that is imported at each start, before anything is served"
    ) { text throws(Rejection) in
        let path = try TextParsing.plainText(text, characters: 1...4_000)
        if case .failure(let failure) = ConfigurationFile.read(path, bytesMax: CatalogueFile.bytesMax) { throw Rejection("it cannot be read: \(failure)") }
        return path
    }

    /// What becomes of what the file does not have.
    static let catalogueMode = Variable<ImportMode>(
        name: "ROTATOR_CATALOGUE_MODE", initial: "merge", accepted: "merge or replace",
        meaning: "whether what ROTATOR_CATALOGUE does not have stays (merge) or is removed (replace)"
    ) { text throws(Rejection) in
        guard let mode = ImportMode(rawValue: text.lowercased()) else { throw Rejection() }
        return mode
    }

    /// What opens the file's sealed values.
    static let cataloguePassphrase = Variable<Secret>(
        name: "ROTATOR_CATALOGUE_PASSPHRASE", initial: "none", accepted: "12 to 1024 characters without control characters",
        meaning: "passphrase under which ROTATOR_CATALOGUE was exported", masking: .whole
    ) { text throws(Rejection) in Secret(try TextParsing.plainText(text, characters: 12...1_024).utf8) }

    // MARK: Proxying

    /// The address that people see.
    static let publicBaseURL = Variable<String>(
        name: "PROXY_PUBLIC_BASE_URL", initial: "http://localhost:8000", accepted: "an http or https URL", meaning: "base URL that users are told", masking: .credentials
    ) { text throws(Rejection) in
        var url = try TextParsing.url(text, schemes: ["http", "https"])
        guard !url.contains("?"), !url.contains("#"), !url.contains("@") else { throw Rejection("it may hold neither credentials nor a query nor a fragment") }
        while url.hasSuffix("/") { url.removeLast() }
        return url
    }

    /// The limit of a whole exchange.
    static let proxyTimeout = seconds("PROXY_TIMEOUT", initial: "600", meaning: "seconds for a whole upstream exchange that isn't a stream, all attempts together")
    /// The limit of a connection's making.
    static let connectTimeout = seconds("PROXY_CONNECT_TIMEOUT", initial: "10", meaning: "seconds for an upstream connection to be made")
    /// The limit until the response head.
    static let firstByteTimeout = seconds("PROXY_FIRST_BYTE_TIMEOUT", initial: "120", meaning: "seconds until an upstream's response head is whole")
    /// The limit of silence in a stream.
    static let streamIdleTimeout = seconds("PROXY_STREAM_IDLE_TIMEOUT", initial: "300", meaning: "seconds that an upstream stream may be silent")

    /// Keys tried for one request.
    static let maxAttempts = Variable<Int>(
        name: "PROXY_MAX_ATTEMPTS", initial: "3", accepted: "a whole number from 1 to 1000", meaning: "keys tried for one client request"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 1...1_000) }

    /// The largest request body.
    static let maxBodyBytes = Variable<Int>(
        name: "MAX_BODY_BYTES", initial: "67108864", accepted: "a whole number from 1 to 1099511627776", meaning: "larger request bodies get 413, the admin API's included"
    ) { text throws(Rejection) in try TextParsing.wholeNumber(text, in: 1...1_099_511_627_776) }

    /// The outbound proxy for http upstreams.
    static let httpProxy = outboundProxy("HTTP_PROXY", meaning: "outbound proxy for http upstreams; http_proxy too")
    /// The outbound proxy for https upstreams.
    static let httpsProxy = outboundProxy("HTTPS_PROXY", meaning: "outbound proxy for https upstreams; https_proxy too")
    /// The outbound proxy for what has none of its own.
    static let allProxy = outboundProxy("ALL_PROXY", meaning: "outbound proxy where the two above are unset; all_proxy too")

    /// The hosts that are reached directly.
    static let noProxy = Variable<String>(
        name: "NO_PROXY", initial: "none", accepted: "comma-separated host names, domains, addresses and address ranges, or *", meaning: "hosts that are reached without the outbound proxy; no_proxy too"
    ) { text throws(Rejection) in try TextParsing.plainText(text, characters: 1...16_384) }

    /// Extra trust roots.
    static let upstreamCAFile = Variable<String>(
        name: "UPSTREAM_CA_FILE", initial: "none", accepted: "the path of a readable file with certificates in PEM",
        meaning: "trust roots for upstream TLS besides the system's; verification can't be switched off"
    ) { text throws(Rejection) in try certificateFile(text) }

    /// How long an invalid key waits for its next probe.
    static let revalidateInterval = Variable<Duration>(
        name: "REVALIDATE_INTERVAL", initial: "24", accepted: "hours from 0 to 8760, up to three decimals; 0 = never",
        meaning: "hours after which an invalid key is tried again in the background; 0 = never"
    ) { text throws(Rejection) in try TextParsing.seconds(text, millisecondsIn: 0...8_760_000) * 3_600 }

    // MARK: Operating

    /// What the request log may take.
    static let requestLogMaxBytes = Variable<Int>(
        name: "REQUEST_LOG_MAX_BYTES", initial: "268435456", accepted: "0, or a whole number from 1048576 to 1099511627776",
        meaning: "bytes that the request log in DATA_DIR/requests may take; 0 switches it off"
    ) { text throws(Rejection) in
        let number = try TextParsing.wholeNumber(text, in: 0...1_099_511_627_776)
        guard number == 0 || number >= 1_048_576 else { throw Rejection() }
        return number
    }

    /// How long the request log keeps a record.
    static let requestLogMaxAge = Variable<Duration>(
        name: "REQUEST_LOG_MAX_AGE", initial: "604800", accepted: "seconds from 0 to 31536000, up to three decimals",
        meaning: "seconds that the request log keeps a record at most; 0 switches it off"
    ) { text throws(Rejection) in try TextParsing.seconds(text, millisecondsIn: 0...31_536_000_000) }

    /// What `/metrics` wants.
    static let metricsToken = Variable<Secret>(
        name: "METRICS_TOKEN", initial: "none", accepted: "1 to 8192 visible ASCII characters", meaning: "when set, /metrics wants it as a bearer token", masking: .whole
    ) { text throws(Rejection) in try TextParsing.credential(text) }

    /// The least severe level that is written.
    static let logLevel = Variable<Logger.Level>(
        name: "LOG_LEVEL", initial: "info", accepted: "trace, debug, info, notice, warning, error or critical", meaning: "least severe log lines that are written"
    ) { text throws(Rejection) in
        let name = text.lowercased()
        guard let level = Logger.Level(rawValue: name == "warn" ? "warning" : name) else { throw Rejection() }
        return level
    }

    /// How log lines look.
    static let logFormat = Variable<LogFormat>(
        name: "LOG_FORMAT", initial: "text", accepted: "text or json", meaning: "how log lines look; json is one object a line"
    ) { text throws(Rejection) in
        guard let format = LogFormat(rawValue: text.lowercased()) else { throw Rejection() }
        return format
    }

    /// How long running requests may go on after SIGTERM.
    static let shutdownGrace = Variable<Duration>(
        name: "SHUTDOWN_GRACE_SECONDS", initial: "30", accepted: "seconds from 0 to 86400, up to three decimals", meaning: "how long running requests may go on after SIGTERM"
    ) { text throws(Rejection) in try TextParsing.seconds(text, millisecondsIn: 0...86_400_000) }

    /// All of them, in the order of the documentation.
    static let all: [any DocumentedVariable] = [
        backendHost, backendPort, workerThreads,
        globalProxyKeys, adminUsername, adminPassword, jwtSecret, encryptionKey, encryptionKeysAccepted, sourceEncryptionKey,
        dataDirectory, databaseURL, databasePath, databaseType, databaseHost, databasePort, databaseUser, databasePassword, databaseName,
        redisURL, redisHost, redisPort, redisPassword, redisDatabase,
        catalogue, catalogueMode, cataloguePassphrase,
        publicBaseURL, proxyTimeout, connectTimeout, firstByteTimeout, streamIdleTimeout, maxAttempts, maxBodyBytes,
        httpProxy, httpsProxy, allProxy, noProxy, upstreamCAFile, revalidateInterval,
        requestLogMaxBytes, requestLogMaxAge, metricsToken, logLevel, logFormat, shutdownGrace,
    ]
}

extension Variables {
    private static func part(_ name: String, of meaning: String, accepted: String, masking: Masking = .none) -> Variable<String> {
        Variable(name: name, initial: "none", accepted: accepted, meaning: meaning, masking: masking) { text throws(Rejection) in
            try TextParsing.plainText(text, characters: 1...1_024)
        }
    }

    private static func seconds(_ name: String, initial: String, meaning: String) -> Variable<Duration> {
        Variable(name: name, initial: initial, accepted: "seconds from 0.001 to 86400, up to three decimals", meaning: meaning) { text throws(Rejection) in
            try TextParsing.seconds(text, millisecondsIn: 1...86_400_000)
        }
    }

    private static func outboundProxy(_ name: String, meaning: String) -> Variable<String> {
        Variable(
            name: name, initial: "none", accepted: "[SCHEME://][USER:PASSWORD@]HOST[:PORT] with the scheme http, https, socks4, socks4a, socks5 or socks5h",
            meaning: meaning, masking: .credentials
        ) { text throws(Rejection) in
            // As in curl, a proxy without a scheme is an HTTP proxy.
            _ = try TextParsing.url(text.range(ofFirst: "://") == nil ? "http://" + text : text, schemes: ["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
            return text
        }
    }

    private static func proxyKeys(_ text: String) throws(Rejection) -> [NamedProxyKey] {
        var keys: [NamedProxyKey] = []
        var names: [String: Int] = [:]
        var values: [String: Int] = [:]
        for (index, rawEntry) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let entry = String(rawEntry).trimmed
            if entry.isEmpty { continue }
            let place = index + 1
            var name = "key-\(place)"
            var key = entry
            if let colon = entry.firstIndex(of: ":") {
                key = String(entry[entry.index(after: colon)...])
                // An empty name leaves the key nameless: the way to give a key that has a colon of its own.
                if colon != entry.startIndex { name = String(entry[..<colon]) }
            }
            guard (1...64).contains(name.count), !name.unicodeScalars.contains(where: ControlCharacters.contains) else {
                throw Rejection("the name of entry \(place) is longer than 64 characters or holds control characters")
            }
            do throws(Rejection) {
                let credential = try TextParsing.credential(key)
                if let other = values[key] { throw Rejection("entry \(place) has the same key as entry \(other)") }
                if let other = names[name] { throw Rejection("entry \(place) has the same name as entry \(other)") }
                keys.append(NamedProxyKey(name: name, key: credential))
            } catch {
                throw Rejection(error.reason ?? "the key of entry \(place) is empty, too long, or not visible ASCII")
            }
            values[key] = place
            names[name] = place
        }
        guard !keys.isEmpty else { throw Rejection("there is no key in it") }
        return keys
    }

    private static func writtenEncryptionKeys(_ text: String) throws(Rejection) -> [WrittenEncryptionKey] {
        var keys: [WrittenEncryptionKey] = []
        for (index, rawEntry) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let entry = String(rawEntry).trimmed
            if entry.isEmpty { continue }
            do throws(Rejection) {
                keys.append(WrittenEncryptionKey(octets: Secret(try TextParsing.encryptionKey(entry)), text: Secret(entry.utf8)))
            } catch {
                throw Rejection("entry \(index + 1) is no key" + (error.reason.map { ": \($0)" } ?? ""))
            }
        }
        guard !keys.isEmpty else { throw Rejection("there is no key in it") }
        return keys
    }

    private static func storeURL(_ text: String) throws(Rejection) -> StoreURL {
        _ = try TextParsing.plainText(text, characters: 1...4_000)
        do throws(StoreError) {
            return try StoreURL(text)
        } catch {
            throw Rejection(error.message)
        }
    }

    private static func certificateFile(_ path: String) throws(Rejection) -> String {
        switch ConfigurationFile.read(path, bytesMax: 16 << 20) {
        case .failure(let failure): throw Rejection("it cannot be read: \(failure)")
        case .success(let octets):
            guard let text = String(validating: octets, as: UTF8.self) ?? String(validating: octets.map { $0 & 0x7F }, as: UTF8.self) else { throw Rejection() }
            var certificate: String?
            var count = 0
            for line in text.split(whereSeparator: \.isNewline) {
                let line = String(line).trimmed
                if line == "-----BEGIN CERTIFICATE-----" || line == "-----BEGIN TRUSTED CERTIFICATE-----" {
                    guard certificate == nil else { throw Rejection("certificate \(count + 1) in it has no end") }
                    certificate = ""
                } else if line.hasPrefix("-----END"), let body = certificate {
                    guard let octets = TextParsing.base64(body), octets.first == 0x30 else { throw Rejection("certificate \(count + 1) in it is not base64 of a certificate") }
                    certificate = nil
                    count += 1
                } else {
                    certificate?.append(line)
                }
            }
            guard certificate == nil else { throw Rejection("certificate \(count + 1) in it has no end") }
            guard count > 0 else { throw Rejection("there is no certificate in it") }
            return path
        }
    }
}
