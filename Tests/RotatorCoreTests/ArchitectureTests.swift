// SPDX-License-Identifier: MIT

import Foundation
import Testing

/// What the architecture promises, read from the sources themselves.
@Suite("Architecture") struct ArchitectureTests {
    private struct SourceFile: CustomTestStringConvertible {
        var path: String
        var text: String

        var testDescription: String { path }

        /// The modules that the file imports.
        var imports: [String] {
            text.split(separator: "\n").compactMap { line in
                var words = line.split(separator: " ")
                while let first = words.first, ["public", "package", "internal", "fileprivate", "private"].contains(first) || first.hasPrefix("@") {
                    words.removeFirst()
                }
                guard words.first == "import", words.count >= 2 else { return nil }
                // `import struct Module.Type` names its module second.
                let isKind = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"].contains(words[1]) && words.count > 2
                return words[isKind ? 2 : 1].split(separator: ".").first.map(String.init)
            }
        }
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func files(under folder: String) throws -> [SourceFile] {
        let base = root.appending(path: folder).resolvingSymlinksInPath()
        let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
        return try names.filter { $0.hasSuffix(".swift") }.map { name in
            SourceFile(path: "\(folder)/\(name)", text: try String(contentsOf: base.appending(path: name), encoding: .utf8))
        }
    }

    @Test func `Core imports nothing but Synchronization`() throws {
        let files = try Self.files(under: "Sources/RotatorCore")
        #expect(files.count > 10)
        for file in files { #expect(file.imports.allSatisfy { $0 == "Synchronization" }, "\(file.path) imports \(file.imports)") }
    }

    @Test(arguments: ["RotatorAdapters", "RotatorStore", "RotatorHTTP"])
    func `Adapters, Store and HTTP never import each other`(_ module: String) throws {
        let others = Set(["RotatorAdapters", "RotatorStore", "RotatorHTTP", "rotator_server"]).subtracting([module])
        for file in try Self.files(under: "Sources/\(module)") {
            #expect(others.isDisjoint(with: file.imports), "\(file.path) imports \(file.imports)")
        }
    }

    @Test func `every file begins with its licence`() throws {
        for file in try Self.files(under: "Sources") + Self.files(under: "Tests") where !file.path.contains("/.build") {
            #expect(file.text.hasPrefix("// SPDX-License-Identifier: MIT\n"), "\(file.path)")
        }
    }

    @Test func `folders are named after concepts`() throws {
        let banned: Set = ["Utils", "Util", "Utilities", "Helpers", "Helper", "Common", "Misc", "New", "Shared"]
        for file in try Self.files(under: "Sources") + Self.files(under: "Tests") {
            #expect(banned.isDisjoint(with: file.path.split(separator: "/").dropLast().map(String.init)), "\(file.path)")
        }
    }

    @Test func `imports are told from text`() {
        let file = SourceFile(path: "", text: "// import A\npublic import B\n@preconcurrency internal import C\nimport struct D.E\n    import F\nlet import_ = 1\n")
        #expect(file.imports == ["B", "C", "D", "F"])
    }
}
