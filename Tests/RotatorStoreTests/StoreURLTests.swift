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
        "postgres://rotator:hunter2@db:5432/rotator", "postgresql://hunter2@db", "redis://:hunter2@cache:6379/0", "rediss://:hunter2@cache", "unix:/run/hunter2",
    ])
    func `anything else is misconfigured in one line that repeats nothing`(_ text: String) {
        let error = #expect(throws: StoreError.self) { try StoreURL(text) }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("sqlite:") == true)
        #expect(error?.message.contains("hunter2") == false)
        #expect(error?.message.contains("\n") == false)
    }

    @Test(arguments: [("postgres://u:p@h/d", "PostgreSQL"), ("postgresql:///d", "PostgreSQL"), ("redis://h", "Redis"), ("unix:/run/redis.sock", "Redis")])
    func `a backend that is yet to come is named`(_ text: String, _ name: String) {
        let error = #expect(throws: StoreError.self) { try StoreURL(text) }
        #expect(error?.message.contains("\(name) is not available") == true)
    }
}
