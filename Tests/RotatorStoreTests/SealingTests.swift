// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import Testing

@testable import RotatorStore

@Suite("Sealing") struct SealingTests {
    private let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    private let octets = (0..<32).map { UInt8($0) }

    private func octets(of secret: Secret) -> [UInt8] { unsafe secret.withUnsafeBytes { unsafe [UInt8]($0) } }

    @Test func `a master key is read from hex or base64, in either alphabet`() throws {
        let high = [UInt8](repeating: 0xFB, count: 32)
        let texts = [
            (digits, octets), (digits.uppercased(), octets), (" \(digits)\n", octets), (Data(octets).base64EncodedString(), octets),
            (Data(high).base64EncodedString(), high), (Data(high).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: ""), high),
        ]
        for (text, expected) in texts { #expect(try octets(of: MasterKey(text).secret) == expected) }
    }

    @Test(arguments: ["", "abc", "hunter2-hunter2-hunter2-hunter2-hunter2", String(repeating: "g", count: 64), String(repeating: "0", count: 62), String(repeating: "0", count: 66)])
    func `anything else is misconfigured, and is not repeated`(_ text: String) {
        let error = #expect(throws: StoreError.self) { try MasterKey(text) }
        #expect(error?.code == .misconfigured)
        #expect(text.isEmpty || error?.message.contains(text) == false)
    }

    @Test func `keys and hashes cannot be printed`() throws {
        let key = try MasterKey(digits)
        let hash = PasswordHash(of: Secret("hunter2".utf8), salt: [UInt8](repeating: 1, count: 16), cost: .init(logN: 4, r: 8, p: 1))
        for text in ["\(key)", String(reflecting: key), "\([key])", "\(hash)", "\([hash])"] {
            #expect(text.contains("redacted"))
            #expect(!text.contains("1f") && !text.contains("scrypt"))
        }
        var dumped = ""
        dump(key, to: &dumped)
        dump(hash, to: &dumped)
        #expect(!dumped.contains("Secret") && !dumped.contains("salt"))
    }

    @Test func `a key file is made once, for the owner alone, and read from then on`() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/data/master.key"
        #expect(try MasterKey.load(at: path) == nil)
        let key = try MasterKey.loadOrCreate(at: path)
        #expect(octets(of: try MasterKey.loadOrCreate(at: path).secret) == octets(of: key.secret))
        #expect(octets(of: try #require(try MasterKey.load(at: path)).secret) == octets(of: key.secret))
        #expect(octets(of: key.secret) != octets(of: MasterKey.generate().secret))
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(try FileManager.default.attributesOfItem(atPath: directory.path + "/data")[.posixPermissions] as? Int == 0o700)
        #expect(directory.contents("data/master.key").count == 65)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/data") == ["master.key"])
    }

    @Test func `processes that make a key file at once end up with one key`() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/master.key"
        let keys = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<16 { group.addTask { octets(of: try MasterKey.loadOrCreate(at: path).secret) } }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(keys.count == 1)
    }

    @Test(arguments: ["", "hunter2-hunter2", String(repeating: "x", count: 4000)])
    func `a key file that holds something else is misconfigured and stays as it is`(_ text: String) throws {
        let directory = try TemporaryDirectory()
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory.path)/master.key"))
        let error = #expect(throws: StoreError.self) { try MasterKey.loadOrCreate(at: "\(directory.path)/master.key") }
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains("hunter2") == false)
        #expect(directory.contents("master.key") == Array(text.utf8))
    }

    @Test func `a key file is not made where nothing can be written`() throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: directory.path)
        #expect(asUnprivileged { code { _ = try MasterKey.loadOrCreate(at: "\(directory.path)/master.key") } } == .notWritable)
        #expect(try directory.names == [])
    }

    @Test func `a value opens for the row it was sealed for and no other`() throws {
        let sealer = Sealer(MasterKeyRing(try MasterKey(digits)))
        let subjects: [Sealer.Subject] = [.check, .key(KeyID(1)), .key(KeyID(2)), .headers(ServiceID(1)), .setting("a"), .setting("b")]
            + [.document(.client, 1), .document(.client, 2), .document(.webhook, 1), .document(.job, 1), .document(.jobPart, 1)]
        for (index, subject) in subjects.enumerated() {
            for value in [[], [7], [UInt8](repeating: 9, count: 8192)] {
                let sealed = sealer.seal(value, for: subject)
                #expect(sealed.count == value.count + 33)
                for (other, subject) in subjects.enumerated() {
                    if other == index { #expect(try sealer.openOctets(sealed, for: subject) == value) } else { #expect(throws: Sealer.Failure.damaged) { try sealer.openOctets(sealed, for: subject) } }
                }
            }
        }
    }

    @Test func `no two seals are equal, and no changed octet is overlooked`() throws {
        let sealer = Sealer(MasterKeyRing(try MasterKey(digits)))
        let sealed = sealer.seal([1, 2, 3], for: .check)
        #expect(Set((0..<1000).map { _ in sealer.seal([1, 2, 3], for: .check) }).count == 1000)
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(throws: Sealer.Failure.self) { try sealer.openOctets(changed, for: .check) }
            #expect(throws: Sealer.Failure.damaged) { try sealer.openOctets(Array(sealed[..<min(index, 32)]), for: .check) }
        }
        #expect(throws: Sealer.Failure.otherKey) { try Sealer(.generate()).openOctets(sealed, for: .check) }
    }

    @Test func `the digest depends on the value, the service and the master key`() throws {
        let sealer = Sealer(MasterKeyRing(try MasterKey(digits)))
        let secret = Secret("sk-1".utf8)
        let digest = sealer.digest(of: secret, in: ServiceID(1))
        #expect(digest.count == 32)
        #expect(digest == Sealer(MasterKeyRing(try MasterKey(digits))).digest(of: Secret("sk-1".utf8), in: ServiceID(1)))
        #expect(digest != sealer.digest(of: secret, in: ServiceID(2)))
        #expect(digest != sealer.digest(of: Secret("sk-2".utf8), in: ServiceID(1)))
        #expect(digest != Sealer(.generate()).digest(of: secret, in: ServiceID(1)))
        #expect(digest != KeyDigest.sha256(of: secret))
    }

    // FIPS 180-4's example.
    @Test func `a proxy key's digest is SHA-256`() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        let hex: ([UInt8]) -> String = { $0.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
        #expect(hex(KeyDigest.sha256(of: Secret("abc".utf8))) == expected)
        let text = Array("abc".utf8)
        let digest = unsafe KeyDigest.sha256(of: text.span.bytes)
        #expect(hex(digest) == expected)
    }
}

@Suite("Password hash") struct PasswordHashTests {
    // RFC 7914 §12, third vector, cut to 32 octets: scrypt's first octets do not depend on the length.
    @Test func `it is scrypt`() throws {
        let expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        let octets = stride(from: 0, to: 64, by: 2).map { UInt8(expected.dropFirst($0).prefix(2), radix: 16)! }
        let vector = try PasswordHash(encoded: "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$" + Data(octets).base64EncodedString().prefix { $0 != "=" })
        #expect(vector.verify(Secret("pleaseletmein".utf8)))
        #expect(!vector.verify(Secret("pleaseletmeout".utf8)))
        #expect(vector.isOutdated)
    }

    @Test func `the password verifies, before and after it is written down, and no other does`() async throws {
        let checker = try await PasswordChecker()
        let hash = try await checker.hash(Secret("correct horse".utf8))
        let read = try PasswordHash(encoded: hash.encoded)
        #expect(read == hash)
        #expect(hash.encoded.hasPrefix("$scrypt$ln=15,r=8,p=1$"))
        #expect(!hash.isOutdated)
        #expect(try await checker.verify(Secret("correct horse".utf8), against: read))
        #expect(try await !checker.verify(Secret("correct horsf".utf8), against: read))
    }

    @Test func `two hashes of one password differ`() {
        let password = Secret("correct horse".utf8)
        let hashes = (0..<2).map { _ in PasswordHash(of: password, salt: randomOctets(count: 16), cost: .init(logN: 4, r: 8, p: 1)) }
        #expect(hashes[0].encoded != hashes[1].encoded)
        #expect(hashes.allSatisfy { $0.verify(password) && !$0.verify(Secret("".utf8)) })
    }

    @Test(arguments: [
        "", "$", "hunter2", "$argon2id$v=19$m=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$scrypt$ln=15,r=8$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=40,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$scrypt$ln=0,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=15,r=8,p=-1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$scrypt$ln=20,r=16,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=15,r=8,p=1$AA$AAAAAAAAAAAAAAAAAAAAAA", "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAA$", "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAA$!!!", "$scrypt$ln=15,r=8,p=1$$$",
    ])
    func `what is no hash is damaged`(_ text: String) {
        #expect(code { _ = try PasswordHash(encoded: text) } == .damaged)
    }
}
