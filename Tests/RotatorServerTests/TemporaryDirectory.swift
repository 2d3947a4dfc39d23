// SPDX-License-Identifier: MIT

import Foundation

/// A directory of a test's own, removed with the last reference.
final class TemporaryDirectory: Sendable {
    /// Its path.
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/rotator-server-tests-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes `text` into the file `name` and gives its path.
    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: path + "/" + name, atomically: false, encoding: .utf8)
        return path + "/" + name
    }
}
