// SPDX-License-Identifier: MIT

import RotatorStore
import RotatorTestKit
import Testing

@Suite("Store conformance") struct StoreConformanceTests {
    @Test(arguments: StoreConformance.promises)
    func `the memory store keeps`(_ promise: StoreConformance.Promise) async throws {
        try await promise.check(StorePlace(isDurable: false) { MemoryStore() })
    }

    @Test(arguments: StoreConformance.promises)
    func `SQLite in memory keeps`(_ promise: StoreConformance.Promise) async throws {
        try await promise.check(StorePlace(isDurable: false) { try await openStore(StoreURL("sqlite::memory:"), sealing: .generate()) })
    }

    @Test(arguments: StoreConformance.promises)
    func `SQLite in a file keeps`(_ promise: StoreConformance.Promise) async throws {
        let directory = try TemporaryDirectory()
        let key = MasterKeyRing.generate()
        try await promise.check(StorePlace(isDurable: true) { try await openStore(StoreURL("sqlite:\(directory.path)/data/rotator.db"), sealing: key) })
    }

    @Test(arguments: StoreConformance.promises)
    func `PostgreSQL keeps`(_ promise: StoreConformance.Promise) async throws {
        let place = try await PostgreSQLServer.shared.newPlace()
        let key = MasterKeyRing.generate()
        try await promise.check(StorePlace(isDurable: true) { try await openStore(place, sealing: key) })
    }

    @Test(arguments: StoreConformance.promises)
    func `Redis keeps`(_ promise: StoreConformance.Promise) async throws {
        let place = StoreURL(.redis(try await RedisServer.shared.newPlace()))
        let key = MasterKeyRing.generate()
        try await promise.check(StorePlace(isDurable: true) { try await openStore(place, sealing: key) })
    }

    @Test(arguments: StoreConformance.promises)
    func `SQLite with Redis beside it keeps`(_ promise: StoreConformance.Promise) async throws {
        let directory = try TemporaryDirectory()
        let url = try StoreURL("sqlite:\(directory.path)/data/rotator.db")
        let shared = try await RedisServer.shared.newPlace()
        let key = MasterKeyRing.generate()
        try await promise.check(StorePlace(isDurable: true, isShareable: false) { try await openStore(url, sharing: shared, sealing: key) })
    }

    @Test(arguments: StoreConformance.promises)
    func `PostgreSQL with Redis beside it keeps`(_ promise: StoreConformance.Promise) async throws {
        let url = try await PostgreSQLServer.shared.newPlace()
        let shared = try await RedisServer.shared.newPlace()
        let key = MasterKeyRing.generate()
        try await promise.check(StorePlace(isDurable: true) { try await openStore(url, sharing: shared, sealing: key) })
    }
}
