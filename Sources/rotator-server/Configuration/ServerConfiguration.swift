// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore
internal import RotatorHTTP
internal import RotatorStore

/// Everything that the environment says, parsed and checked. Holds no default that ``Variables`` doesn't document.
struct ServerConfiguration: Sendable {
    /// The address to listen on, IPv6 without brackets; 0 picks a free port.
    var listenHost: String
    var listenPort: Int
    /// How many reactors run.
    var workerThreads: Int
    /// The keys that clients present; nil = the generated one.
    var proxyKeys: [NamedProxyKey]?
    /// The administrator's name.
    var adminUsername: String
    /// The administrator's password; nil = the generated one.
    var adminPassword: Secret?
    /// What signs admin tokens; nil = the generated one.
    var jwtSecret: Secret?
    /// The 32 octets that seal the store, and the text that wrote them; nil = `master.key` in ``dataDirectory``.
    var encryptionKey: Secret?
    var encryptionKeyText: Secret?
    /// Keys that open the store besides ``encryptionKey`` and seal nothing, 32 octets each, and the texts that wrote them.
    var acceptedEncryptionKeys: [Secret]
    var acceptedEncryptionKeyTexts: [Secret]
    /// The 32 octets that open the store which `migrate` reads, and the text that wrote them; nil = found beside that store.
    var sourceEncryptionKey: Secret?
    var sourceEncryptionKeyText: Secret?
    /// Where the embedded store and generated secrets live.
    var dataDirectory: String
    /// Where the catalogue lives.
    var storeURL: StoreURL
    /// The variable that chose ``storeURL``, for error lines.
    var storeVariable: String
    /// Where replicas share their rotation state; nil = in the catalogue's own store, if that can be shared.
    var sharedState: RedisLocation?
    /// The variable that chose ``sharedState``, for log lines.
    var sharedStateVariable: String
    /// The catalogue document that is imported at each start; nil = none.
    var cataloguePath: String?
    /// What becomes of what the document does not have.
    var catalogueMode: ImportMode
    /// What opens the document's sealed values.
    var cataloguePassphrase: Secret?
    /// The value of any variable, for the references in the document.
    var variable: @Sendable (String) -> String?
    /// Shown in the console; without a slash at its end.
    var publicBaseURL: String
    /// How long an upstream exchange that isn't a stream may take, attempts and all.
    var exchangeTimeout: Duration
    /// How long a connection may take to be made.
    var connectTimeout: Duration
    /// How long an upstream may take until its response head is whole.
    var firstByteTimeout: Duration
    /// How long a stream may be silent.
    var streamIdleTimeout: Duration
    /// Keys tried for one request, where the service doesn't say.
    var attemptLimit: Int
    /// The largest request body.
    var bodyBytesMax: Int
    /// The outbound proxies as curl understands them, and the hosts that are reached without. May hold credentials: never logged.
    var httpProxy: String?
    var httpsProxy: String?
    var allProxy: String?
    var noProxy: String?
    /// A PEM file of extra trust roots.
    var upstreamCAFile: String?
    /// What the request log may take in octets, and how long it keeps a record; 0 = it is off.
    var requestLogBytesMax: Int
    var requestLogAgeMax: Duration
    /// How long an invalid key waits for its next probe, about; zero: for ever.
    var revalidationInterval: Duration
    /// What `/metrics` wants as a bearer token; nil = nothing.
    var metricsToken: Secret?
    /// The least severe level that is written.
    var logLevel: Logger.Level
    /// How log lines look.
    var logFormat: LogFormat
    /// How long running requests may go on after SIGTERM.
    var shutdownGrace: Duration
    /// What is accepted but deserves a warning, one line each.
    var notices: [String]
}

/// An encryption key from the environment.
struct WrittenEncryptionKey: Sendable {
    /// The 32 octets.
    var octets: Secret
    /// The text that wrote them.
    var text: Secret
}

/// A proxy key from the environment.
struct NamedProxyKey: Sendable {
    /// A name for logs and metrics.
    var name: String
    /// The key itself.
    var key: Secret
}

extension ServerConfiguration {
    /// Reads all variables from `environment`; throws everything that is wrong with them, together.
    init(reading environment: Environment) throws(ConfigurationProblems) {
        var reading = EnvironmentReading(environment)

        let host = reading.value(of: Variables.backendHost)
        let port = reading.value(of: Variables.backendPort)
        let workers = reading.value(of: Variables.workerThreads)
        let proxyKeys = reading.value(of: Variables.globalProxyKeys)
        let adminUsername = reading.value(of: Variables.adminUsername)
        let adminPassword = reading.value(of: Variables.adminPassword)
        let jwtSecret = reading.value(of: Variables.jwtSecret)
        let encryptionKey = reading.value(of: Variables.encryptionKey)
        let acceptedKeys = reading.value(of: Variables.encryptionKeysAccepted) ?? []
        let sourceKey = reading.value(of: Variables.sourceEncryptionKey)
        let dataDirectory = reading.value(of: Variables.dataDirectory) ?? "./data"
        let databaseURL = reading.value(of: Variables.databaseURL)
        let databasePath = reading.value(of: Variables.databasePath)
        let databaseType = reading.value(of: Variables.databaseType)
        let databaseParts = PostgreSQLLocation(
            host: reading.value(of: Variables.databaseHost), port: reading.value(of: Variables.databasePort), user: reading.value(of: Variables.databaseUser),
            password: reading.value(of: Variables.databasePassword), database: reading.value(of: Variables.databaseName))
        let redisURL = reading.value(of: Variables.redisURL)
        let redisHost = reading.value(of: Variables.redisHost)
        let redisPort = reading.value(of: Variables.redisPort)
        let redisPassword = reading.value(of: Variables.redisPassword)
        let redisDatabase = reading.value(of: Variables.redisDatabase)
        let cataloguePath = reading.value(of: Variables.catalogue)
        let catalogueMode = reading.value(of: Variables.catalogueMode)
        let cataloguePassphrase = reading.value(of: Variables.cataloguePassphrase)
        let publicBaseURL = reading.value(of: Variables.publicBaseURL)
        let exchangeTimeout = reading.value(of: Variables.proxyTimeout)
        let connectTimeout = reading.value(of: Variables.connectTimeout)
        let firstByteTimeout = reading.value(of: Variables.firstByteTimeout)
        let streamIdleTimeout = reading.value(of: Variables.streamIdleTimeout)
        let attemptLimit = reading.value(of: Variables.maxAttempts)
        let bodyBytesMax = reading.value(of: Variables.maxBodyBytes)
        let httpProxy = reading.value(of: Variables.httpProxy)
        let httpsProxy = reading.value(of: Variables.httpsProxy)
        let allProxy = reading.value(of: Variables.allProxy)
        let noProxy = reading.value(of: Variables.noProxy)
        let caFile = reading.value(of: Variables.upstreamCAFile)
        let requestLogBytesMax = reading.value(of: Variables.requestLogMaxBytes)
        let requestLogAgeMax = reading.value(of: Variables.requestLogMaxAge)
        let revalidationInterval = reading.value(of: Variables.revalidateInterval)
        let metricsToken = reading.value(of: Variables.metricsToken)
        let logLevel = reading.value(of: Variables.logLevel)
        let logFormat = reading.value(of: Variables.logFormat)
        let shutdownGrace = reading.value(of: Variables.shutdownGrace)

        let inParts = databaseType == .postgres ? StoreURL(.postgreSQL(databaseParts)) : nil
        let store = databaseURL ?? inParts ?? databasePath ?? StoreURL(.sqlite(path: Self.path("rotator.db", in: dataDirectory)))
        let storeVariable =
            databaseURL != nil ? Variables.databaseURL.name
            : inParts != nil ? Variables.databaseType.name : databasePath != nil ? Variables.databasePath.name : Variables.dataDirectory.name
        let sharedState = redisURL ?? redisHost.map { RedisLocation(.tcp(host: $0, port: redisPort ?? 6_379), password: redisPassword, database: redisDatabase ?? 0) }
        if store.isShareable, encryptionKey == nil, environment.value(Variables.encryptionKey.name) == nil {
            reading.report(
                Variables.encryptionKey, "it is required where \(storeVariable) names a PostgreSQL or Redis store, and the same on every replica (openssl rand -hex 32)")
        }

        guard reading.problems.isEmpty else { throw ConfigurationProblems(problems: reading.problems) }

        var notices: [String] = []
        if databaseURL != nil, databasePath != nil { notices.append("DATABASE_PATH is not used: DATABASE_URL is set") }
        if databaseURL == nil, inParts != nil, databasePath != nil { notices.append("DATABASE_PATH is not used: DB_TYPE is postgres") }
        if databaseURL == nil, inParts == nil, environment.value(Variables.databaseHost.name) != nil { notices.append("DB_HOST is not used: DB_TYPE is not postgres") }
        if redisURL != nil, redisHost != nil { notices.append("REDIS_HOST is not used: REDIS_URL is set") }
        if sharedState != nil, case .redis = store.place {
            notices.append("\(redisURL != nil ? "REDIS_URL" : "REDIS_HOST") is not used: the Redis store of \(storeVariable) holds the shared rotation state too")
        }
        if cataloguePath == nil, cataloguePassphrase != nil { notices.append("ROTATOR_CATALOGUE_PASSPHRASE is not used: ROTATOR_CATALOGUE is not set") }
        if cataloguePath == nil, catalogueMode == .replace { notices.append("ROTATOR_CATALOGUE_MODE is not used: ROTATOR_CATALOGUE is not set") }
        if !acceptedKeys.isEmpty { notices.append("ENCRYPTION_KEYS_ACCEPTED is set: once rotator-server rekey has come to its end, it can go") }
        if let jwtSecret, jwtSecret.count < 32 { notices.append("JWT_SECRET is shorter than 32 characters: admin tokens are easier to forge than they need be") }
        if let adminPassword, adminPassword.count < 8 { notices.append("ADMIN_PASSWORD is shorter than 8 characters") }

        self.init(
            listenHost: host ?? "127.0.0.1",
            listenPort: port ?? 8_000,
            workerThreads: workers ?? Processors.available,
            proxyKeys: proxyKeys,
            adminUsername: adminUsername ?? "admin",
            adminPassword: adminPassword,
            jwtSecret: jwtSecret,
            encryptionKey: encryptionKey,
            encryptionKeyText: environment.value(Variables.encryptionKey.name).map { Secret($0.utf8) },
            acceptedEncryptionKeys: acceptedKeys.map(\.octets),
            acceptedEncryptionKeyTexts: acceptedKeys.map(\.text),
            sourceEncryptionKey: sourceKey,
            sourceEncryptionKeyText: environment.value(Variables.sourceEncryptionKey.name).map { Secret($0.utf8) },
            dataDirectory: dataDirectory,
            storeURL: store,
            storeVariable: storeVariable,
            sharedState: sharedState,
            sharedStateVariable: redisURL != nil ? Variables.redisURL.name : Variables.redisHost.name,
            cataloguePath: cataloguePath,
            catalogueMode: catalogueMode ?? .merge,
            cataloguePassphrase: cataloguePassphrase,
            variable: { environment.value($0) },
            publicBaseURL: publicBaseURL ?? "http://localhost:8000",
            exchangeTimeout: exchangeTimeout ?? .seconds(600),
            connectTimeout: connectTimeout ?? .seconds(10),
            firstByteTimeout: firstByteTimeout ?? .seconds(120),
            streamIdleTimeout: streamIdleTimeout ?? .seconds(300),
            attemptLimit: attemptLimit ?? 3,
            bodyBytesMax: bodyBytesMax ?? 67_108_864,
            httpProxy: httpProxy,
            httpsProxy: httpsProxy,
            allProxy: allProxy,
            noProxy: noProxy,
            upstreamCAFile: caFile,
            requestLogBytesMax: requestLogBytesMax ?? 268_435_456,
            requestLogAgeMax: requestLogAgeMax ?? .seconds(604_800),
            revalidationInterval: revalidationInterval ?? .seconds(86_400),
            metricsToken: metricsToken,
            logLevel: logLevel ?? .info,
            logFormat: logFormat ?? .text,
            shutdownGrace: shutdownGrace ?? .seconds(30),
            notices: notices
        )
    }

    /// Where the generated encryption key lives.
    var masterKeyPath: String { Self.path("master.key", in: dataDirectory) }

    /// Where the request log lives; nil = in memory, as the store.
    var requestLogPath: String? { storeURL.place == .sqliteInMemory ? nil : Self.path("requests", in: dataDirectory) }

    private static func path(_ name: String, in directory: String) -> String { directory + (directory.hasSuffix("/") ? "" : "/") + name }

    /// The credentials that the environment gave, for the log's redaction net.
    var secrets: [Secret] {
        var secrets = (proxyKeys ?? []).map(\.key)
        secrets += [adminPassword, jwtSecret, encryptionKeyText, sourceEncryptionKeyText, cataloguePassphrase, metricsToken].compactMap(\.self) + acceptedEncryptionKeyTexts
        secrets += storeURL.passwords + (sharedState?.passwords ?? [])
        for proxy in [httpProxy, httpsProxy, allProxy].compactMap(\.self) {
            guard let at = proxy.lastIndex(of: "@") else { continue }
            let start = proxy.range(ofFirst: "://")?.upperBound ?? proxy.startIndex
            guard start < at, let colon = proxy[start..<at].firstIndex(of: ":") else { continue }
            secrets.append(Secret(proxy[proxy.index(after: colon)..<at].utf8))
        }
        return secrets
    }
}

/// One pass over the environment that goes on after a bad value, so that all of them are reported together.
struct EnvironmentReading {
    /// What has been wrong so far.
    private(set) var problems: [ConfigurationProblem]
    private let environment: Environment

    /// A pass over `environment`; the problems of its `.env` file come first.
    init(_ environment: Environment) {
        self.environment = environment
        problems = environment.problems
    }

    /// Reports what is wrong with `variable` besides its own value.
    mutating func report<Value>(_ variable: Variable<Value>, _ reason: String) {
        problems.append(ConfigurationProblem(subject: variable.name, reason: reason, accepted: variable.accepted))
    }

    /// The value of `variable`; nil when it is unset, and also when it is bad, which is then a problem.
    mutating func value<Value>(of variable: Variable<Value>) -> Value? {
        guard let text = environment.value(variable.name) else { return nil }
        do throws(Rejection) {
            return try variable.parse(text)
        } catch {
            problems.append(
                ConfigurationProblem(subject: variable.name, read: variable.masking.shown(text), reason: error.reason, accepted: variable.accepted)
            )
            return nil
        }
    }
}
