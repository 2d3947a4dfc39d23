// SPDX-License-Identifier: MIT

import Foundation

/// A directory of a test's own; removed when it goes.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("rotator-store-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The content of the file `name`, empty where there is none.
    func contents(_ name: String) -> [UInt8] { FileManager.default.contents(atPath: "\(path)/\(name)").map { [UInt8]($0) } ?? [] }

    /// The names of all files, ascending.
    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}
