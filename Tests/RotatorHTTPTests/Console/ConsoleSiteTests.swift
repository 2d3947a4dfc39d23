// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Console site") struct ConsoleSiteTests {
    private let site = ConsoleSite()
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/ConsoleAssets/web").resolvingSymlinksInPath()

    /// What a browser may be given; the others are for the type checker.
    private static func sources() -> [String] {
        let names = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
        return names.filter { name in [".html", ".css", ".js", ".svg"].contains { name.hasSuffix($0) } }
    }

    private func get(_ path: String, method: String = "GET", _ fields: HeaderField...) -> LocalResponse {
        site.response(to: LocalRequest(method: method, path: path, fields: HeaderFields(fields)))
    }

    @Test func `every file of the folder is in the binary, byte for byte, and nothing else`() throws {
        let sources = Self.sources()
        #expect(sources.count > 20)
        #expect(site.paths == Set(sources))
        for name in sources where name != "index.html" {
            let answer = get("/console/\(name)")
            #expect(answer.status == 200)
            #expect(answer.body == Array(try Data(contentsOf: Self.folder.appending(path: name))), "\(name) is not what stands in the folder")
        }
        #expect(get("/").body == Array(try Data(contentsOf: Self.folder.appending(path: "index.html"))))
    }

    @Test func `the page stands at the root alone`() {
        #expect(get("/").fields["Content-Type"] == "text/html; charset=utf-8")
        #expect(get("/console/index.html").status == 404)
        #expect(get("/console/").status == 404)
        #expect(get("/console/../Package.swift").status == 404)
        #expect(get("/console/app.js").fields["Content-Type"] == "text/javascript; charset=utf-8")
        #expect(get("/console/console.css").fields["Content-Type"] == "text/css; charset=utf-8")
        #expect(get("/console/icon.svg").fields["Content-Type"] == "image/svg+xml")
    }

    @Test(arguments: ["/", "/console/app.js", "/console/nothing"])
    func `nothing but its own files may run or be shown, and no frame may hold it`(_ path: String) {
        let answer = get(path)
        let policy = answer.fields["Content-Security-Policy"] ?? ""
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "trusted-types 'none'"] {
            #expect(policy.contains(part))
        }
        #expect(!policy.contains("unsafe"))
        #expect(answer.fields["X-Frame-Options"] == "DENY")
        #expect(answer.fields["X-Content-Type-Options"] == "nosniff")
        #expect(answer.fields["Referrer-Policy"] == "no-referrer")
    }

    @Test func `a browser that has a file is told so, each form by a tag of its own`() throws {
        let plain = try #require(get("/").fields["ETag"])
        let packed = try #require(get("/", HeaderField("Accept-Encoding", "gzip")).fields["ETag"])
        #expect(plain != packed)
        let again = get("/", HeaderField("If-None-Match", "\"other\", W/\(plain)"))
        #expect(again.status == 304 && again.body.isEmpty && again.fields["ETag"] == plain)
        #expect(again.fields["Content-Security-Policy"] != nil)
        #expect(get("/", HeaderField("If-None-Match", packed)).status == 200)
        #expect(get("/", HeaderField("If-None-Match", packed), HeaderField("Accept-Encoding", "br, gzip")).status == 304)
        #expect(get("/", HeaderField("If-None-Match", "*")).status == 304)
        #expect(get("/console/app.js").fields["ETag"] != plain)
        #expect(get("/").fields["Cache-Control"] == "no-cache")
    }

    @Test(arguments: [
        ("gzip", true), ("deflate, GZIP;q=0.5, br", true), ("*", true), ("gzip;q=0", false), ("gzip; q=0.000", false), ("identity", false), ("", false), ("xgzip", false),
    ])
    func `files are compressed for whoever takes that`(_ accepted: String, _ isCompressed: Bool) {
        let answer = get("/console/app.js", HeaderField("Accept-Encoding", accepted))
        #expect((answer.fields["Content-Encoding"] == "gzip") == isCompressed)
        #expect(answer.body.starts(with: [0x1F, 0x8B]) == isCompressed)
        #expect(answer.fields["Vary"] == "Accept-Encoding")
        if isCompressed { #expect(answer.body.count < get("/console/app.js").body.count / 2) }
    }

    @Test func `HEAD is answered as GET, other methods are refused`() {
        #expect(get("/", method: "HEAD").status == 200)
        let refused = get("/", method: "POST")
        #expect(refused.status == 405 && refused.fields["Allow"] == "GET, HEAD")
    }

    @Test(arguments: [("/", true), ("/console/app.js", true), ("/console", false), ("/consoles/x", false), ("/admin/login", false), ("", false)])
    func `its paths are its own`(_ path: String, _ isOwn: Bool) { #expect(ConsoleSite.isResponsible(for: path) == isOwn) }
}

/// The texts of both languages, read from their files: `"key": "text",` a line.
@Suite("Console texts") struct ConsoleTextTests {
    private static func texts(_ language: String) throws -> [(key: String, text: String)] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/ConsoleAssets/web/text/\(language).js")
        let line = /^  "([^"]+)":\s*(".*"),$/
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { text in
            guard let match = try line.wholeMatch(in: text) else { return nil }
            return (String(match.1), try JSONDecoder().decode(String.self, from: Data(match.2.utf8)))
        }
    }

    private static func parameters(_ text: String) -> Set<String> { Set(text.matches(of: /\{(\w+)\}/).map { String($0.1) }) }

    @Test func `both languages have the same texts, each once, with the same parameters`() throws {
        let (english, chinese) = (try Self.texts("en"), try Self.texts("zh"))
        #expect(english.count > 60)
        #expect(english.map(\.key) == chinese.map(\.key))
        #expect(Set(english.map(\.key)).count == english.count)
        for (one, other) in zip(english, chinese) { #expect(Self.parameters(one.text) == Self.parameters(other.text), "\(one.key)") }
    }

    @Test func `every line of a text file is understood here`() throws {
        for language in ["en", "zh"] {
            let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Sources/ConsoleAssets/web/text/\(language).js")
            let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("  ") && !$0.hasPrefix("  //") }
            #expect(lines.count == (try Self.texts(language).count))
        }
    }

    @Test func `plural forms are two in English and one in Chinese`() throws {
        for (key, text) in try Self.texts("en") where text.contains("|") { #expect(text.split(separator: "|", omittingEmptySubsequences: false).count == 2 && text.contains("{count}"), "\(key)") }
        for (key, text) in try Self.texts("zh") { #expect(!text.contains("|"), "\(key)") }
    }
}
