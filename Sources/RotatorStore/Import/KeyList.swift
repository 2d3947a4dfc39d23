// SPDX-License-Identifier: MIT

public import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A file of keys as gpt-load exports the keys of a group: one a line, without states. An array of strings in JSON, which gpt-load takes in as
/// well, is read too. Everything here blocks.
public enum KeyList {
    private static let jsonBytesMax = 256 << 20

    /// The keys in the file at `path`, to be those of the service that `configuration` describes.
    ///
    /// - Throws: `misconfigured` when it cannot be read, `damaged` when it is JSON of another form.
    public static func catalogue(at path: String, for configuration: ServiceConfiguration) throws(StoreError) -> ImportedCatalogue {
        var pool = Pool()
        var text = try FileText(path: path)
        if try text.take(0xEF) { for _ in 0..<2 { _ = try text.next() } }
        while let octet = try text.peek(), isBlank(octet) { _ = try text.next() }
        if try text.peek() == UInt8(ascii: "[") {
            for (index, key) in try array(in: &text, path: path).enumerated() { pool.add(Array(key.utf8)[...], at: "element \(index + 1)") }
        } else {
            while try text.peek() != nil {
                let line = text.line
                var octets: [UInt8] = []
                while let octet = try text.next(), octet != 0x0A {
                    // One more than a key may have, so that a longer one is told from it.
                    if octets.count <= 8_192 { octets.append(octet) }
                }
                while let last = octets.last, isBlank(last) { octets.removeLast() }
                let key = octets.drop(while: isBlank)
                if !key.isEmpty { pool.add(key, at: "line \(line)") }
            }
        }
        return pool.catalogue(configuration)
    }

    private struct Pool {
        private var keys: [NewKey] = []
        private var known: Set<[UInt8]> = []
        private var repeatedCount = 0
        private var omissions: [String] = []

        mutating func add(_ key: ArraySlice<UInt8>, at place: String) {
            if let fault = key.faultAsKey {
                omissions.append("\(place): \(fault): left out")
                return
            }
            let secret = Secret(key)
            if known.insert(KeyDigest.sha256(of: secret)).inserted { keys.append(NewKey(secret: secret)) } else { repeatedCount += 1 }
        }

        func catalogue(_ configuration: ServiceConfiguration) -> ImportedCatalogue {
            var catalogue = ImportedCatalogue()
            catalogue.services = [ImportedCatalogue.Service(configuration: configuration, keys: keys)]
            catalogue.omissions = omissions
            if repeatedCount > 0 { catalogue.notes.append("\(repeatedCount) keys stand in the file more than once: one key each") }
            return catalogue
        }
    }

    private static func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || (0x09...0x0D).contains(octet) }

    private static func array(in text: inout FileText, path: String) throws(StoreError) -> [String] {
        var octets: [UInt8] = []
        defer { octets.overwrite() }
        while let octet = try text.next() {
            guard octets.count < jsonBytesMax else { throw StoreError(.misconfigured, "\(path) is larger than \(jsonBytesMax >> 20) MiB: write one key a line") }
            octets.append(octet)
        }
        guard let keys = try? JSONDecoder().decode([String].self, from: Data(octets)) else {
            throw StoreError(.damaged, "\(path) begins like JSON and is no array of strings")
        }
        return keys
    }
}
