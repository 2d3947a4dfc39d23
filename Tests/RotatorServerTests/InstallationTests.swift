// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import RotatorStore
import Synchronization
import Testing

@testable import rotator_server

@Suite("Generated secrets") struct InstallationTests {
    /// Remembers what happened to settings and revelations, in order.
    private actor Recorder: SettingStore {
        private let store = MemoryStore()
        private(set) var events: [String] = []
        var failsAt: String?

        func setting(_ name: String) async throws(StoreError) -> [UInt8]? { try await store.setting(name) }

        func setSetting(_ name: String, to value: [UInt8]) async throws(StoreError) {
            if name == failsAt { throw StoreError(.notWritable, "the disk is full") }
            try await store.setSetting(name, to: value)
            events.append("kept \(name)")
        }

        func fail(at name: String) { failsAt = name }
    }

    private func prepare(_ variables: [String: String], _ settings: any SettingStore) async throws -> (Installation, [Installation.Revelation]) {
        let revelations = Mutex<[Installation.Revelation]>([])
        let installation = try await Installation.prepare(
            try configuration(variables), settings: settings, passwords: try await PasswordChecker(), net: RedactionNet()
        ) { revelation in revelations.withLock { $0.append(revelation) } }
        return (installation, revelations.withLock { $0 })
    }

    @Test func `the first start reveals a password and a proxy key, the second nothing, and both stay valid`() async throws {
        let settings = Recorder()
        let (first, revealed) = try await prepare([:], settings)
        #expect(revealed.map(\.variable) == ["ADMIN_PASSWORD", "GLOBAL_PROXY_KEYS"])
        #expect(revealed.allSatisfy { $0.line == "generated \($0.variable)=\($0.value)" && $0.value.count >= 24 })
        let (second, silence) = try await prepare([:], settings)
        #expect(silence.isEmpty)
        #expect(second.adminPasswordHash.verify(Secret(revealed[0].value.utf8)))
        #expect(second.clientKeys.map(\.digest) == [KeyDigest.sha256(of: Secret(revealed[1].value.utf8))])
        #expect(second.clientKeys.map(\.name) == ["generated"])
        #expect(text(first.tokenSecret) == text(second.tokenSecret))
        #expect(first.tokenSecret.count >= 32)
    }

    @Test func `two installations share nothing`() async throws {
        let (_, one) = try await prepare([:], Recorder())
        let (_, two) = try await prepare([:], Recorder())
        #expect(Set((one + two).map(\.value)).count == 4)
    }

    @Test func `the store has neither the password nor the proxy key`() async throws {
        let settings = Recorder()
        let (_, revealed) = try await prepare([:], settings)
        for name in [Installation.SettingName.adminPasswordHash, Installation.SettingName.proxyKeyDigest] {
            let value = String(decoding: try #require(try await settings.setting(name)), as: UTF8.self)
            for revelation in revealed { #expect(!value.contains(revelation.value)) }
        }
        #expect(String(decoding: try #require(try await settings.setting("admin_password_hash")), as: UTF8.self).hasPrefix("$scrypt$"))
    }

    @Test func `nothing is revealed that could not be kept`() async throws {
        for name in ["jwt_secret", "admin_password_hash", "proxy_key_digest"] {
            let settings = Recorder()
            await settings.fail(at: name)
            let revelations = Mutex<[String]>([])
            await #expect(throws: StoreError.self) {
                _ = try await Installation.prepare(
                    try configuration([:]), settings: settings, passwords: try await PasswordChecker(), net: RedactionNet()
                ) { revelation in revelations.withLock { $0.append(revelation.variable) } }
            }
            #expect(revelations.withLock { $0 } == (name == "proxy_key_digest" ? ["ADMIN_PASSWORD"] : []))
        }
    }

    @Test func `variables take the place of generated secrets, and nothing is generated beside them`() async throws {
        let settings = Recorder()
        _ = try await prepare([:], settings)
        let variables = ["ADMIN_PASSWORD": "mine-mine", "GLOBAL_PROXY_KEYS": "a:one,two", "JWT_SECRET": "signs"]
        let (installation, revealed) = try await prepare(variables, settings)
        #expect(revealed.isEmpty)
        #expect(installation.adminPasswordHash.verify(Secret("mine-mine".utf8)))
        #expect(installation.clientKeys.map(\.name) == ["a", "key-2"])
        #expect(installation.clientKeys.map(\.digest) == [KeyDigest.sha256(of: Secret("one".utf8)), KeyDigest.sha256(of: Secret("two".utf8))])
        #expect(text(installation.tokenSecret) == "signs")
        let fresh = Recorder()
        _ = try await prepare(variables, fresh)
        #expect(await fresh.events.isEmpty)
    }

    @Test func `a setting that cannot be read is a damaged store`() async throws {
        for (name, value) in [("jwt_secret", "short"), ("admin_password_hash", "nonsense"), ("proxy_key_digest", "short")] {
            let settings = Recorder()
            try await settings.setSetting(name, to: Array(value.utf8))
            let error = await #expect(throws: StoreError.self) { _ = try await prepare([:], settings) }
            #expect(error?.code == .damaged)
        }
    }

    @Test func `the administrator's name and password must both be right`() async throws {
        let passwords = try await PasswordChecker()
        let credentials = AdminCredentials(
            username: Secret("admin".utf8), passwordHash: try await passwords.hash(Secret("right".utf8)), passwords: passwords
        )
        #expect(await credentials.verify(user: "admin", password: "right"))
        #expect(await !credentials.verify(user: "admin", password: "wrong"))
        #expect(await !credentials.verify(user: "Admin", password: "right"))
        #expect(await !credentials.verify(user: "", password: ""))
    }
}

@Suite("Master key") struct MasterKeyTests {
    @Test func `it is made once, for its owner alone`() throws {
        let directory = try TemporaryDirectory()
        let configuration = try configuration(["DATA_DIR": directory.path + "/data"])
        _ = try MasterKey.of(configuration)
        let attributes = try FileManager.default.attributesOfItem(atPath: configuration.masterKeyPath)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let text = try String(contentsOfFile: configuration.masterKeyPath, encoding: .utf8)
        _ = try MasterKey.of(configuration)
        #expect(try String(contentsOfFile: configuration.masterKeyPath, encoding: .utf8) == text)
    }

    @Test func `a store whose key is missing gets no other key`() throws {
        let directory = try TemporaryDirectory()
        _ = try directory.write("rotator.db", "a store")
        let configuration = try configuration(["DATA_DIR": directory.path])
        let error = #expect(throws: StoreError.self) { _ = try MasterKey.of(configuration) }
        #expect(error?.code == .wrongEncryptionKey)
        #expect(!FileManager.default.fileExists(atPath: configuration.masterKeyPath))
    }

    @Test func `neither a store in memory nor a given key makes a file`() throws {
        let directory = try TemporaryDirectory()
        let key = String(repeating: "ab", count: 32)
        for variables in [["DATABASE_URL": "sqlite::memory:"], ["ENCRYPTION_KEY": key]] {
            _ = try MasterKey.of(try configuration(variables.merging(["DATA_DIR": directory.path + "/data"]) { first, _ in first }))
        }
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/data"))
    }
}

@Suite("Start failures") struct StartFailureTests {
    @Test(arguments: [
        (StoreError.Code.wrongEncryptionKey, ProcessExit.configuration, "ENCRYPTION_KEY"), (.damaged, .configuration, "DATABASE_URL"),
        (.misconfigured, .configuration, "DATABASE_URL"), (.locked, .failure, "DATABASE_URL"), (.notWritable, .configuration, "DATABASE_URL"),
        (.unavailable, .failure, "DATABASE_URL"),
    ])
    func `a store's error names its variable and says whether starting again can help`(_ code: StoreError.Code, _ status: ProcessExit, _ variable: String) {
        let failure = StartFailure(StoreError(code, "why"), of: "DATABASE_URL")
        #expect(failure.line == "\(variable): why")
        #expect(failure.status == status)
    }
}

@Suite("Check") struct PreflightTests {
    private func findings(_ variables: [String: String]) async -> Preflight.Findings { await Preflight.findings(in: Environment(variables: variables)) }

    @Test func `a first start is announced and nothing is made`() async throws {
        let directory = try TemporaryDirectory()
        let findings = await findings(["DATA_DIR": directory.path + "/a/b"])
        #expect(findings.problems == [])
        #expect(findings.notices.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    }

    @Test func `bad variables are all told`() async {
        #expect(await findings(["BACKEND_PORT": "x", "LOG_LEVEL": "x"]).problems.count == 2)
    }

    @Test func `a wrong key and a store that is none are found, a store in use is a notice`() async throws {
        let directory = try TemporaryDirectory()
        let configuration = try configuration(["DATA_DIR": directory.path])
        let store = try await openStore(configuration.storeURL, sealing: MasterKeyRing(try MasterKey.of(configuration)))
        try await store.migrate()
        let inUse = await findings(["DATA_DIR": directory.path])
        #expect(inUse.problems == [] && inUse.notices.count == 1)
        await store.close()
        #expect(await findings(["DATA_DIR": directory.path]) == Preflight.Findings())
        let wrong = await findings(["DATA_DIR": directory.path, "ENCRYPTION_KEY": String(repeating: "ab", count: 32)])
        #expect(wrong.problems.count == 1 && wrong.problems[0].hasPrefix("ENCRYPTION_KEY: "))
        let none = try directory.write("none.db", String(repeating: "not a database ", count: 1_000))
        #expect(await findings(["DATA_DIR": directory.path, "DATABASE_PATH": none]).problems.first?.hasPrefix("DATABASE_PATH: ") == true)
    }
}
