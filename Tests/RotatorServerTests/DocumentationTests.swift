// SPDX-License-Identifier: MIT

import Foundation
import Testing

@testable import rotator_server

@Suite("Documentation") struct DocumentationTests {
    private func file(_ path: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// The rows of a table whose first cell is a variable: name and default.
    private func rows(_ text: String) -> [String: String] {
        var rows: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count >= 3, cells[0].hasPrefix("`"), cells[0].dropFirst().allSatisfy({ $0.isUppercase || $0 == "_" || $0 == "`" }) else { continue }
            rows[cells[0].replacingOccurrences(of: "`", with: "")] = cells[1].replacingOccurrences(of: "`", with: "")
        }
        return rows
    }

    @Test func `the README's table has every variable with its default and meaning, and no other`() throws {
        let readme = try file("README.md")
        let rows = rows(readme)
        #expect(Set(rows.keys) == Set(Variables.all.map(\.name)))
        for variable in Variables.all {
            #expect(rows[variable.name] == variable.initial, "\(variable.name)")
            #expect(readme.contains("| \(variable.meaning) |"), "\(variable.name)")
        }
    }

    @Test func `the Chinese README's table has the same variables and the same literal defaults`() throws {
        let rows = rows(try file("README_CN.md"))
        #expect(Set(rows.keys) == Set(Variables.all.map(\.name)))
        // A default in words may be translated; one that could be typed may not.
        for variable in Variables.all where !variable.initial.contains(" ") && variable.initial != "none" {
            #expect(rows[variable.name] == variable.initial, "\(variable.name)")
        }
    }

    @Test func `the example file has every variable, commented out, with a literal default where there is one`() throws {
        let example = try file("deploy/rotator.env.example")
        var names: [String] = []
        for line in example.split(separator: "\n") where line.hasPrefix("#") && !line.hasPrefix("# ") {
            let parts = line.dropFirst().split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            names.append(String(parts[0]))
            let variable = Variables.all.first { $0.name == parts[0] }
            #expect(variable != nil, "\(line)")
            let literal = variable.map { $0.initial.contains(" ") || $0.initial == "none" || $0.initial.contains("DATA_DIR") ? "" : $0.initial }
            #expect(literal == String(parts.last ?? ""), "\(line)")
        }
        #expect(names.sorted() == Variables.all.map(\.name).sorted())
        #expect(DotEnvFile(example, path: "example").problems == [])
        #expect(DotEnvFile(example, path: "example").values.isEmpty, "copied as it is, the file must change nothing")
    }

    @Test func `the defaults that are documented are the defaults that hold`() throws {
        // Typing a literal default in must give what leaving it out gives.
        let plain = try configuration([:])
        for variable in Variables.all where !variable.initial.contains(" ") && variable.initial != "none" && !variable.initial.contains("DATA_DIR") {
            let typed = try configuration([variable.name: variable.initial])
            var (one, two) = (String(), String())
            dump(plain, to: &one)
            dump(typed, to: &two)
            #expect(one == two, "\(variable.name)")
        }
    }

    @Test func `the help lists every variable and its default`() {
        for variable in Variables.all { #expect(EnvironmentHelp.text.contains("\(variable.name) (default: \(variable.initial))")) }
    }

    @Test func `the changelog tells of this version`() throws {
        #expect(try file("CHANGELOG.md").contains("## \(ServerVersion.current)"))
    }
}
