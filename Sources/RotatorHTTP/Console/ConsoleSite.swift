// SPDX-License-Identifier: MIT

internal import ConsoleAssets
internal import Crypto
internal import RotatorCore

/// The console: `GET /` and what that page is made of, below `/console/`. All of it is in the binary; nothing comes from elsewhere.
///
/// The page may run no script and show no style but these files, send nothing to other hosts, and stand in no frame. Each file has an entity tag: a browser
/// asks whether it has changed, so that a new version is seen at once, and gets it compressed. Any thread may call any member.
public struct ConsoleSite: LocalHandler {
    private struct File: Sendable {
        let contentType: String
        let octets: [UInt8]
        let compressed: [UInt8]
        /// What an entity tag is made of; the compressed form has one of its own.
        let digest: String
    }

    private let files: [String: File]

    /// The console of this version.
    public init() {
        var files: [String: File] = [:]
        for unsafe asset in unsafe UnsafeBufferPointer(start: console_assets, count: console_asset_count) {
            let path = unsafe String(cString: asset.path)
            let octets = unsafe [UInt8](UnsafeBufferPointer(start: asset.octets, count: asset.count))
            let digest = Array(SHA256.hash(data: octets).prefix(12)).hexadecimal
            files[path] = File(contentType: Self.contentType(of: path), octets: octets, compressed: GzipText.compressed(octets), digest: digest)
        }
        self.files = files
    }

    /// The paths below `/console/`.
    var paths: Set<String> { Set(files.keys) }

    /// Whether a request for this path is for the console.
    public static func isResponsible(for path: String) -> Bool { path == "/" || path.utf8.starts(with: "/console/".utf8) }

    public func respond(to request: LocalRequest) async -> LocalResponse { response(to: request) }

    func response(to request: LocalRequest) -> LocalResponse {
        let name = request.path == "/" ? "index.html" : String(request.path.dropFirst("/console/".count))
        guard let file = files[name], name != "index.html" || request.path == "/" else {
            return plain(404, "There is nothing at this path. The console is at /.\n")
        }
        guard request.method == "GET" || request.method == "HEAD" else {
            return plain(405, "The console is read only. The admin API is below /admin.\n", HeaderField("Allow", "GET, HEAD"))
        }
        let isCompressed = Self.acceptsGzip(request.fields)
        let tag = "\"\(file.digest)\(isCompressed ? "-gzip" : "")\""
        var fields = Self.security + [
            HeaderField("ETag", tag), HeaderField("Cache-Control", "no-cache"), HeaderField("Vary", "Accept-Encoding"),
        ]
        if Self.matches(request.fields, tag) { return LocalResponse(status: 304, fields: HeaderFields(fields)) }
        fields.append(HeaderField("Content-Type", file.contentType))
        if isCompressed { fields.append(HeaderField("Content-Encoding", "gzip")) }
        return LocalResponse(status: 200, fields: HeaderFields(fields), body: isCompressed ? file.compressed : file.octets)
    }

    private func plain(_ status: Int, _ text: String, _ more: HeaderField...) -> LocalResponse {
        LocalResponse(status: status, fields: HeaderFields(Self.security + [HeaderField("Content-Type", "text/plain; charset=utf-8")] + more), body: Array(text.utf8))
    }

    /// What the page may do: its own scripts, styles and pictures, requests to this server, and nothing that is made of a text.
    static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'
        """

    private static let security = [
        HeaderField("Content-Security-Policy", contentSecurityPolicy),
        HeaderField("X-Content-Type-Options", "nosniff"),
        HeaderField("X-Frame-Options", "DENY"),
        HeaderField("Referrer-Policy", "no-referrer"),
        HeaderField("Cross-Origin-Opener-Policy", "same-origin"),
        HeaderField("Cross-Origin-Resource-Policy", "same-origin"),
    ]

    private static func contentType(of path: String) -> String {
        switch path.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "svg": "image/svg+xml"
        default: preconditionFailure("a file of the console has a type: \(path)")
        }
    }

    /// Whether the client takes gzip (RFC 9110 §12.5.3).
    private static func acceptsGzip(_ fields: HeaderFields) -> Bool {
        for element in elements("Accept-Encoding", in: fields) {
            let parts = element.split(separator: ";").map { $0.trimming }
            guard let coding = parts.first?.lowercased(), coding == "gzip" || coding == "*" else { continue }
            return !parts.dropFirst().contains { $0.lowercased().hasPrefix("q=0") && !$0.contains(where: { ("1"..."9").contains($0) }) }
        }
        return false
    }

    /// Whether the client has what the tag stands for (RFC 9110 §13.1.2: compared weakly).
    private static func matches(_ fields: HeaderFields, _ tag: String) -> Bool {
        elements("If-None-Match", in: fields).contains { $0 == "*" || $0 == tag || $0 == "W/\(tag)" }
    }

    private static func elements(_ name: String, in fields: HeaderFields) -> [String] {
        fields.lines.filter { $0.name.utf8.elementsEqual(ignoringASCIICase: name.utf8) }.flatMap { $0.value.split(separator: ",").map { $0.trimming } }
    }
}

extension Substring {
    /// Without spaces and tabs at both ends.
    fileprivate var trimming: String {
        var rest = self
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return String(rest)
    }
}
