// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorStore
import Testing

@Suite("Store URL") struct StoreURLTests {
    @Test(arguments: [
        ("sqlite:data/rotator.db", StoreURL.Place.sqlite(path: "data/rotator.db")), ("sqlite:/var/lib/r.db", .sqlite(path: "/var/lib/r.db")),
        ("SQLite:./a:b?c.db", .sqlite(path: "./a:b?c.db")), ("sqlite::memory:", .sqliteInMemory),
    ])
    func `SQLite is found in a file or in memory`(_ text: String, _ place: StoreURL.Place) throws {
        #expect(try StoreURL(text).place == place)
    }

    @Test(arguments: [
        "", "hunter2", "sqlite", "sqlite:", "sqlite:dir/", "sqlite:///hunter2.db", "sqlite:a\0b", "mysql://root:hunter2@db/x", "hunter2:x", ":memory:",
        "postgres://rotator:hunter2@db:5432/a b", "rediss://:hunter2@cache", "redis:hunter2", "redis://hunter2@cache", "redis://cache/hunter2", "redis://:%ZZhunter2@cache",
        "redis://cache:hunter2", "redis://cache:0", "redis://cache?password=hunter2", "unix:", "unix:/run/hunter2/", "unix:/run/x?hunter2=1",
    ])
    func `anything else is misconfigured in one line that repeats nothing`(_ text: String) {
        let error = #expect(throws: StoreError.self) { try StoreURL(text) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.isEmpty == false)
        #expect(error?.message.contains("hunter2") == false)
        #expect(error?.message.contains("\n") == false)
    }

    @Test(arguments: [
        ("redis://cache", RedisLocation(.tcp(host: "cache", port: 6379))), ("redis://", RedisLocation(.tcp(host: "localhost", port: 6379))),
        ("redis://:p%40ss@10.0.0.1:7000/3", RedisLocation(.tcp(host: "10.0.0.1", port: 7000), password: "p@ss", database: 3)),
        ("redis://me:a:b@[::1]:6380/", RedisLocation(.tcp(host: "::1", port: 6380), user: "me", password: "a:b")),
        ("unix:/run/redis.sock", RedisLocation(.unix(path: "/run/redis.sock"))),
        ("unix:///run/redis.sock?db=2", RedisLocation(.unix(path: "/run/redis.sock"), database: 2)),
        ("unix://me:pass@/run/redis.sock", RedisLocation(.unix(path: "/run/redis.sock"), user: "me", password: "pass")),
    ])
    func `Redis is found at a host or a socket`(_ text: String, _ location: RedisLocation) throws {
        #expect(try StoreURL(text).place == .redis(location))
        #expect(try RedisLocation(text) == location)
    }

    @Test(arguments: ["postgres://u:hunter2@h/d", "postgresql://h/d?password=hunter2", "redis://me:hunter2@h/1", "unix://:hunter2@/run/r.sock"])
    func `a location prints without its password`(_ text: String) throws {
        let url = try StoreURL(text)
        var dumped = ""
        dump(url, to: &dumped)
        for shown in ["\(url)", String(reflecting: url), "\(url.place)", dumped] { #expect(!shown.contains("hunter2"), "\(shown)") }
        #expect(url.description.hasPrefix("postgres") || url.description.hasPrefix("redis://h") || url.description == "unix:/run/r.sock")
    }
}
