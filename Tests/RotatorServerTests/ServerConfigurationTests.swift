// SPDX-License-Identifier: MIT

import Logging
import RotatorCore
import RotatorHTTP
import RotatorStore
import Testing

@testable import rotator_server

/// The configuration that `variables` give; what is wrong with them is thrown.
func configuration(_ variables: [String: String]) throws -> ServerConfiguration {
    try ServerConfiguration(reading: Environment(variables: variables))
}

/// What is wrong with `variables`, one line each.
func problems(_ variables: [String: String]) -> [String] {
    do throws(ConfigurationProblems) {
        _ = try ServerConfiguration(reading: Environment(variables: variables))
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

func text(_ secret: Secret?) -> String? {
    secret.map { secret in unsafe secret.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
}

@Suite("Configuration") struct ServerConfigurationTests {
    @Test func `with nothing set everything has its documented default`() throws {
        let configuration = try configuration([:])
        #expect(configuration.listenHost == "127.0.0.1")
        #expect(configuration.listenPort == 8_000)
        #expect(configuration.workerThreads >= 1)
        #expect(configuration.proxyKeys == nil)
        #expect(configuration.adminUsername == "admin")
        #expect(configuration.adminPassword == nil)
        #expect(configuration.jwtSecret == nil)
        #expect(configuration.encryptionKey == nil)
        #expect(configuration.dataDirectory == "./data")
        #expect(configuration.storeURL.place == .sqlite(path: "./data/rotator.db"))
        #expect(configuration.cataloguePath == nil && configuration.catalogueMode == .merge && configuration.cataloguePassphrase == nil)
        #expect(configuration.publicBaseURL == "http://localhost:8000")
        #expect(configuration.exchangeTimeout == .seconds(600))
        #expect(configuration.connectTimeout == .seconds(10))
        #expect(configuration.firstByteTimeout == .seconds(120))
        #expect(configuration.streamIdleTimeout == .seconds(300))
        #expect(configuration.attemptLimit == 3)
        #expect(configuration.bodyBytesMax == 67_108_864)
        #expect(configuration.httpProxy == nil && configuration.httpsProxy == nil && configuration.allProxy == nil && configuration.noProxy == nil)
        #expect(configuration.upstreamCAFile == nil)
        #expect(configuration.requestLogBytesMax == 268_435_456)
        #expect(configuration.requestLogAgeMax == .seconds(604_800))
        #expect(configuration.requestLogPath == "./data/requests")
        #expect(configuration.metricsToken == nil)
        #expect(configuration.logLevel == .info)
        #expect(configuration.logFormat == .text)
        #expect(configuration.shutdownGrace == .seconds(30))
        #expect(configuration.notices.isEmpty)
    }

    @Test func `an empty value counts as unset`() throws {
        let empty = Dictionary(uniqueKeysWithValues: Variables.all.map { ($0.name, "") })
        #expect(try configuration(empty).listenPort == 8_000)
    }

    @Test(arguments: [
        ("BACKEND_PORT", "0"), ("BACKEND_PORT", "65535"), ("BACKEND_HOST", "0.0.0.0"), ("BACKEND_HOST", "::1"), ("BACKEND_HOST", "[::]"),
        ("BACKEND_HOST", "localhost"), ("WORKER_THREADS", "1"), ("WORKER_THREADS", "1024"), ("GLOBAL_PROXY_KEYS", "a"), ("GLOBAL_PROXY_KEYS", "a, b:c ,"),
        ("ADMIN_USERNAME", "Jörg"), ("ADMIN_PASSWORD", "pass word"), ("JWT_SECRET", "x"), ("ENCRYPTION_KEY", String(repeating: "aB", count: 32)),
        ("DATA_DIR", "/var/lib/rotator"), ("DATABASE_URL", "sqlite:data/r.db"), ("DATABASE_URL", "sqlite::memory:"), ("DATABASE_PATH", "r.db"),
        ("DB_TYPE", "SQLite"), ("DB_TYPE", "postgresql"), ("DB_HOST", "/run/postgresql"), ("DB_PORT", "6432"), ("DB_PASSWORD", "pass word"), ("REDIS_URL", "redis://:p@h:6380/1"),
        ("REDIS_URL", "unix:/run/redis.sock"), ("REDIS_HOST", "cache"), ("REDIS_PORT", "7000"), ("REDIS_DB", "15"), ("ROTATOR_CATALOGUE", "/dev/null"), ("ROTATOR_CATALOGUE_MODE", "Replace"),
        ("ROTATOR_CATALOGUE_PASSPHRASE", "twelve chars"), ("PROXY_PUBLIC_BASE_URL", "https://llm.example.com/"), ("PROXY_TIMEOUT", "0.5"), ("PROXY_CONNECT_TIMEOUT", "1"),
        ("PROXY_FIRST_BYTE_TIMEOUT", "86400"), ("PROXY_STREAM_IDLE_TIMEOUT", "0.001"), ("PROXY_MAX_ATTEMPTS", "1"), ("MAX_BODY_BYTES", "1"), ("REVALIDATE_INTERVAL", "0"), ("REVALIDATE_INTERVAL", "8760"),
        ("HTTP_PROXY", "proxy:3128"), ("https_proxy", "http://u:p@proxy:3128/"), ("ALL_PROXY", "socks5://127.0.0.1:1080"), ("NO_PROXY", "*"),
        ("REQUEST_LOG_MAX_BYTES", "0"), ("REQUEST_LOG_MAX_BYTES", "1048576"), ("REQUEST_LOG_MAX_AGE", "0"), ("REQUEST_LOG_MAX_AGE", "3600.5"),
        ("METRICS_TOKEN", "t"), ("LOG_LEVEL", "TRACE"), ("LOG_LEVEL", "warn"), ("LOG_FORMAT", "json"), ("SHUTDOWN_GRACE_SECONDS", "0"),
    ])
    func `a good value is taken`(_ name: String, _ value: String) {
        // A key goes with stores that several servers may share.
        #expect(problems([name: value].merging(["ENCRYPTION_KEY": String(repeating: "ab", count: 32)]) { given, _ in given }) == [])
    }

    @Test(arguments: [["DATABASE_URL": "postgres://h/db"], ["DATABASE_URL": "redis://h"], ["DB_TYPE": "postgres", "DB_HOST": "h"]])
    func `a store that can be shared wants an encryption key`(_ variables: [String: String]) {
        let lines = problems(variables)
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("ENCRYPTION_KEY: it is required") == true)
        #expect(problems(["REDIS_URL": "redis://h"]) == [], "beside the embedded store it may be generated")
    }

    @Test func `databases can be named in parts`() throws {
        let key = ["ENCRYPTION_KEY": String(repeating: "ab", count: 32)]
        let parts = ["DB_TYPE": "postgres", "DB_HOST": "h", "DB_PORT": "6432", "DB_USER": "u", "DB_PASSWORD": "hunter2", "DB_NAME": "d", "DATABASE_PATH": "x.db"]
        let postgres = try configuration(parts.merging(key) { one, _ in one })
        #expect(postgres.storeURL.place == .postgreSQL(PostgreSQLLocation(host: "h", port: 6432, user: "u", password: "hunter2", database: "d")))
        #expect(postgres.storeVariable == "DB_TYPE" && postgres.notices.count == 1)
        #expect(postgres.secrets.compactMap(text).contains("hunter2"))
        let redis = try configuration(["REDIS_HOST": "cache", "REDIS_PASSWORD": "hunter3", "REDIS_DB": "2"])
        #expect(redis.sharedState == RedisLocation(.tcp(host: "cache", port: 6379), password: "hunter3", database: 2))
        #expect(redis.secrets.compactMap(text).contains("hunter3"))
        let both = try configuration(["REDIS_HOST": "cache", "REDIS_URL": "unix:/run/r.sock"])
        #expect(both.sharedState == RedisLocation(.unix(path: "/run/r.sock")) && both.notices.count == 1)
        let whole = try configuration(["DATABASE_URL": "redis://h", "REDIS_URL": "redis://other"].merging(key) { one, _ in one })
        #expect(whole.notices.count == 1)
    }

    @Test(arguments: ["postgres://u:hunter%322@h/d", "postgres://h/d?user=u&password=hunter22", "redis://me:hunter22@h/0"])
    func `a store's password is among the secrets`(_ url: String) throws {
        let configuration = try configuration(["DATABASE_URL": url, "ENCRYPTION_KEY": String(repeating: "ab", count: 32)])
        #expect(configuration.secrets.compactMap(text).contains("hunter22"))
    }

    @Test(arguments: [
        ("BACKEND_PORT", "65536"), ("BACKEND_PORT", "-1"), ("BACKEND_PORT", "+5"), ("BACKEND_PORT", "0x10"), ("BACKEND_PORT", "8000 "), ("BACKEND_PORT", "８０"),
        ("BACKEND_HOST", "localhost:8000"), ("BACKEND_HOST", "http://localhost"), ("BACKEND_HOST", "a b"), ("WORKER_THREADS", "0"), ("WORKER_THREADS", "two"),
        ("WORKER_THREADS", "99999999999999999999"), ("GLOBAL_PROXY_KEYS", ","), ("GLOBAL_PROXY_KEYS", "name:"), ("GLOBAL_PROXY_KEYS", "a b"),
        ("GLOBAL_PROXY_KEYS", "ключ"), ("GLOBAL_PROXY_KEYS", String(repeating: "k", count: 8_193)), ("GLOBAL_PROXY_KEYS", "a:k1,b:k1"), ("GLOBAL_PROXY_KEYS", "a:k1,a:k2"),
        ("ADMIN_USERNAME", "a\nb"), ("ADMIN_PASSWORD", "a\u{7}b"), ("JWT_SECRET", "a\nb"), ("ENCRYPTION_KEY", "secret"), ("ENCRYPTION_KEY", "c2hvcnQ="),
        ("ENCRYPTION_KEY", String(repeating: "ab", count: 31)), ("DATABASE_URL", "postgres://u:p@h/d b"), ("DATABASE_URL", "rediss://h"), ("DATABASE_URL", "mysql://h"),
        ("DATABASE_URL", "sqlite"), ("DATABASE_URL", "sqlite:"), ("DATABASE_URL", "sqlite://data.db"), ("DB_TYPE", "mysql"), ("DB_PORT", "0"),
        ("REDIS_URL", "h:6379"), ("REDIS_URL", "rediss://h"), ("REDIS_PORT", "65536"), ("REDIS_DB", "-1"), ("ROTATOR_CATALOGUE", "/nonexistent/c.json"), ("ROTATOR_CATALOGUE", "/"),
        ("ROTATOR_CATALOGUE_MODE", "add"), ("ROTATOR_CATALOGUE_PASSPHRASE", "elevenchars"), ("PROXY_PUBLIC_BASE_URL", "localhost:8000"), ("PROXY_PUBLIC_BASE_URL", "ftp://h"),
        ("PROXY_PUBLIC_BASE_URL", "http://"), ("PROXY_TIMEOUT", "0"), ("PROXY_TIMEOUT", "1e3"), ("PROXY_TIMEOUT", "10s"), ("PROXY_TIMEOUT", "1."), ("PROXY_TIMEOUT", ".5"),
        ("PROXY_CONNECT_TIMEOUT", "-1"), ("PROXY_FIRST_BYTE_TIMEOUT", "86400.001"), ("PROXY_STREAM_IDLE_TIMEOUT", "0.0001"), ("PROXY_MAX_ATTEMPTS", "0"),
        ("REVALIDATE_INTERVAL", "1d"), ("REVALIDATE_INTERVAL", "8761"), ("MAX_BODY_BYTES", "64M"), ("MAX_BODY_BYTES", "0"), ("HTTP_PROXY", "ftp://proxy"), ("HTTPS_PROXY", "http://"), ("ALL_PROXY", "socks9://h"),
        ("NO_PROXY", "a\nb"), ("UPSTREAM_CA_FILE", "/nonexistent/ca.pem"), ("UPSTREAM_CA_FILE", "/"), ("METRICS_TOKEN", "a b"), ("LOG_LEVEL", "loud"),
        ("REQUEST_LOG_MAX_BYTES", "1000"), ("REQUEST_LOG_MAX_BYTES", "1G"), ("REQUEST_LOG_MAX_AGE", "7d"), ("REQUEST_LOG_MAX_AGE", "31536001"),
        ("LOG_FORMAT", "xml"), ("SHUTDOWN_GRACE_SECONDS", "forever"),
    ])
    func `a bad value is one line that names the variable and what is accepted`(_ name: String, _ value: String) throws {
        let lines = problems([name: value])
        try #require(lines.count == 1)
        #expect(lines[0].hasPrefix("\(name): read "))
        #expect(lines[0].contains("accepted: "))
        #expect(!lines[0].contains("\n"))
    }

    @Test func `every variable has a bad value in the test before this one or accepts any path`() {
        // Keeps the list above complete: a variable that is added must be tried there.
        let anything: Set = ["DATA_DIR", "DATABASE_PATH"]
        let refusing = Variables.all.map(\.name).filter { !anything.contains($0) }
        for name in refusing { #expect(problems([name: "\u{1}"]).count == 1, "\(name)") }
    }

    @Test func `all problems are reported together`() {
        let lines = problems(["BACKEND_PORT": "x", "LOG_LEVEL": "y", "ENCRYPTION_KEY": "z", "PROXY_TIMEOUT": "0"])
        #expect(lines.map { String($0.prefix { $0 != ":" }) } == ["BACKEND_PORT", "ENCRYPTION_KEY", "PROXY_TIMEOUT", "LOG_LEVEL"])
    }

    @Test func `what was read is shown on one line and shortened`() {
        let line = problems(["LOG_FORMAT": "a\nb\u{1B}[31m" + String(repeating: "x", count: 500)])[0]
        #expect(line.contains(#"read "a\nb\u001b[31mxxx"#))
        #expect(line.utf8.count < 300)
    }

    @Test(arguments: ["GLOBAL_PROXY_KEYS", "ADMIN_PASSWORD", "JWT_SECRET", "ENCRYPTION_KEY", "ROTATOR_CATALOGUE_PASSPHRASE", "METRICS_TOKEN"])
    func `a refused secret is not shown`(_ name: String) {
        let line = problems([name: "canary \u{1} canary"])[0]
        #expect(line.hasPrefix("\(name): read ‹15 characters, not shown›"))
        #expect(!line.contains("canary"))
    }

    @Test(arguments: [
        ("DATABASE_URL", "postgres://user:canary@host/d b"), ("DATABASE_URL", "mysql://user:can/ary@x@host/db"), ("REDIS_URL", "rediss://:canary@host"),
        ("HTTP_PROXY", "ftp://user:canary@host"), ("HTTPS_PROXY", "user:canary@"), ("PROXY_PUBLIC_BASE_URL", "http://user:canary@host"),
    ])
    func `a refused URL is shown without its credentials`(_ name: String, _ url: String) {
        let line = problems([name: url])[0]
        #expect(!line.contains("can") && !line.contains("ary") && !line.contains("user"))
        #expect(line.contains("***@"))
    }

    @Test func `proxy keys may be named`() throws {
        let keys = try #require(try configuration(["GLOBAL_PROXY_KEYS": "one, team a:two:2 ,,:three"]).proxyKeys)
        #expect(keys.map(\.name) == ["key-1", "team a", "key-4"])
        #expect(keys.map { text($0.key) } == ["one", "two:2", "three"])
    }

    @Test(arguments: [
        "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    ])
    func `an encryption key is 32 bytes in hex or base64`(_ value: String) throws {
        let key = try #require(try configuration(["ENCRYPTION_KEY": value]).encryptionKey)
        #expect(unsafe key.withUnsafeBytes { unsafe Array($0) } == Array(0...31))
    }

    @Test func `an encryption key in URL-safe base64 is the same as in the usual alphabet`() throws {
        let usual = try configuration(["ENCRYPTION_KEY": String(repeating: "/+", count: 21) + "8="]).encryptionKey
        let safe = try configuration(["ENCRYPTION_KEY": String(repeating: "_-", count: 21) + "8"]).encryptionKey
        #expect(unsafe usual?.withUnsafeBytes { unsafe Array($0) } == safe?.withUnsafeBytes { unsafe Array($0) })
    }

    @Test func `seconds may have three decimals`() throws {
        #expect(try configuration(["PROXY_TIMEOUT": "1.25"]).exchangeTimeout == .milliseconds(1_250))
        #expect(try configuration(["REVALIDATE_INTERVAL": "0.5"]).revalidationInterval == .seconds(1_800))
        #expect(try configuration(["SHUTDOWN_GRACE_SECONDS": "0"]).shutdownGrace == .zero)
    }

    @Test func `the store lives in the data directory unless a URL or a path says otherwise`() throws {
        #expect(try configuration(["DATA_DIR": "/srv/r/"]).storeURL.place == .sqlite(path: "/srv/r/rotator.db"))
        #expect(try configuration(["DATABASE_PATH": "x.db"]).storeURL.place == .sqlite(path: "x.db"))
        #expect(try configuration(["DATABASE_URL": "sqlite:y.db"]).storeURL.place == .sqlite(path: "y.db"))
        #expect(try configuration(["DATABASE_URL": "sqlite::memory:"]).storeURL.place == .sqliteInMemory)
        let both = try configuration(["DATABASE_PATH": "x.db", "DATABASE_URL": "sqlite:y.db"])
        #expect(both.storeURL.place == .sqlite(path: "y.db"))
        #expect(both.notices.count == 1)
    }

    @Test func `the public base URL loses its final slash`() throws {
        #expect(try configuration(["PROXY_PUBLIC_BASE_URL": "https://a.example/b//"]).publicBaseURL == "https://a.example/b")
    }

    @Test func `outbound proxies are read in both cases and the lower case wins`() throws {
        let both = try configuration(["HTTP_PROXY": "http://upper", "http_proxy": "http://lower", "HTTPS_PROXY": "http://s", "no_proxy": "a,b", "all_proxy": "socks5://c"])
        #expect(both.httpProxy == "http://lower")
        #expect(both.httpsProxy == "http://s")
        #expect(both.noProxy == "a,b")
        #expect(both.allProxy == "socks5://c")
    }

    @Test func `an outbound proxy's password is among the secrets`() throws {
        let configuration = try configuration(["HTTPS_PROXY": "http://user:hunter22@proxy:1", "METRICS_TOKEN": "m", "GLOBAL_PROXY_KEYS": "a,b"])
        #expect(configuration.secrets.compactMap(text).sorted() == ["a", "b", "hunter22", "m"])
    }

    @Test func `the passphrase of a catalogue file is among the secrets, and variables can be looked up for it`() throws {
        let configuration = try configuration(["ROTATOR_CATALOGUE": "/dev/null", "ROTATOR_CATALOGUE_PASSPHRASE": "correct horse", "KEY_2B": "hunter22"])
        #expect(configuration.secrets.compactMap(text) == ["correct horse"])
        #expect(configuration.variable("KEY_2B") == "hunter22" && configuration.variable("KEY_2C") == nil)
        #expect(configuration.notices == [])
    }

    @Test func `what belongs to a catalogue file that is not set is worth a notice`() throws {
        #expect(try configuration(["ROTATOR_CATALOGUE_MODE": "replace", "ROTATOR_CATALOGUE_PASSPHRASE": "correct horse"]).notices.count == 2)
        #expect(try configuration(["ROTATOR_CATALOGUE_MODE": "merge"]).notices == [])
    }

    @Test func `weak secrets are accepted with a notice`() throws {
        #expect(try configuration(["JWT_SECRET": "short", "ADMIN_PASSWORD": "short"]).notices.count == 2)
    }

    @Test func `a CA file must hold certificates`() throws {
        let directory = try TemporaryDirectory()
        let good = try directory.write("good.pem", "text before\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
        #expect(try configuration(["UPSTREAM_CA_FILE": good]).upstreamCAFile == good)
        for bad in [
            "", "no certificate", "-----BEGIN CERTIFICATE-----\nMAA=\n", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        ] {
            let path = try directory.write("bad.pem", bad)
            #expect(problems(["UPSTREAM_CA_FILE": path]).count == 1)
        }
    }
}
