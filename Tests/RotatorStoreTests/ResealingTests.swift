// SPDX-License-Identifier: MIT

import RotatorCore
import RotatorTestKit
import Testing

@testable import RotatorStore

/// The change of the master key, in every store that seals.
@Suite("Sealing anew") struct ResealingTests {
    enum Backend: CaseIterable { case sqlite, postgreSQL, redis }

    @Test(arguments: Backend.allCases)
    func `documents are sealed anew in steps, large ones too, and are readable meanwhile under both keys`(_ backend: Backend) async throws {
        let directory = try TemporaryDirectory()
        let url: StoreURL =
            switch backend {
            case .sqlite: StoreURL(.sqlite(path: "\(directory.path)/rotator.db"))
            case .postgreSQL: try await PostgreSQLServer.shared.newPlace()
            case .redis: StoreURL(.redis(try await RedisServer.shared.newPlace()))
            }
        let (old, new) = (MasterKey.generate(), MasterKey.generate())
        var expected: [DocumentKind: [StoredDocument]] = [:]
        let before = try await opened(url, MasterKeyRing(old))
        for kind in DocumentKind.allCases {
            for number in 0..<8 {
                let body = [UInt8](repeating: UInt8(number), count: kind == .job ? 1_048_576 : number)
                expected[kind, default: []].append(try await before.insertDocument(kind, named: "\(number)", body: body))
            }
        }
        await before.close()

        let both = try await opened(url, MasterKeyRing(new, accepting: [old]))
        var total = 0
        while true {
            let count = try await both.reseal(limit: 7)
            #expect(count <= 7)
            if count == 0 { break }
            total += count
            #expect(try await both.documents(.job, after: 0, limit: 100) == expected[.job])
        }
        // With the value by which a wrong key is noticed.
        #expect(total == 8 * DocumentKind.allCases.count + 1)
        await both.close()

        let after = try await opened(url, MasterKeyRing(new))
        for kind in DocumentKind.allCases { #expect(try await after.documents(kind, after: 0, limit: 100) == expected[kind]) }
        await after.close()
    }

    private func opened(_ url: StoreURL, _ keys: MasterKeyRing) async throws -> any Store {
        let store = try await openStore(url, sealing: keys)
        try await store.migrate()
        return store
    }
}
