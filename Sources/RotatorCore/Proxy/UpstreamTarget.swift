// SPDX-License-Identifier: MIT

/// A service's base URL, taken apart once so that joining a request's path costs nothing but copying.
public struct UpstreamTarget: Sendable, Hashable {
    /// True for https.
    public let isTLS: Bool
    /// The host without brackets, lower case.
    public let host: String
    /// The port, the scheme's own where the URL names none.
    public let port: Int
    /// What goes out as `Host`: the host and, unless it is the scheme's own, the port.
    public let authority: String
    /// The base path without a slash at its end; empty for the root.
    public let basePath: [UInt8]
    /// The last segment of the base path where that is a version (`v1`, `v1beta` …), else empty.
    public let versionSegment: [UInt8]
    /// Whether the base path was written with a slash at its end: kept where the client's rest is empty.
    public let endsWithSlash: Bool

    /// Takes a base URL apart. Nil where it is not an absolute http or https URL with a host and neither user information, query nor fragment.
    public init?(_ url: String) {
        let octets = Array(url.utf8)
        func starts(_ prefix: String) -> Bool { octets.prefix(prefix.utf8.count).elementsEqual(ignoringASCIICase: prefix.utf8) }
        var index: Int
        if starts("https://") { isTLS = true; index = 8 } else if starts("http://") { isTLS = false; index = 7 } else { return nil }
        guard !octets.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == 0x23 || $0 == 0x3F || $0 == 0x5C }) else { return nil }
        let end = octets[index...].firstIndex(of: 0x2F) ?? octets.count
        let authorityOctets = octets[index..<end]
        guard !authorityOctets.contains(0x40) else { return nil }
        index = end
        var hostOctets = authorityOctets
        var port: Int?
        if authorityOctets.first == 0x5B {
            guard let bracket = authorityOctets.firstIndex(of: 0x5D) else { return nil }
            hostOctets = authorityOctets[(authorityOctets.startIndex + 1)..<bracket]
            let rest = authorityOctets[(bracket + 1)...]
            if !rest.isEmpty {
                guard rest.first == 0x3A, let number = UpstreamTarget.port(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = authorityOctets.firstIndex(of: 0x3A) {
            hostOctets = authorityOctets[..<colon]
            guard let number = UpstreamTarget.port(authorityOctets[(colon + 1)...]) else { return nil }
            port = number
        }
        guard !hostOctets.isEmpty else { return nil }
        let isAddress = authorityOctets.first == 0x5B
        for octet in hostOctets {
            let isNameOctet = octet &- 0x30 < 10 || (octet | 0x20) &- 0x61 < 26 || octet == 0x2D || octet == 0x2E || octet == 0x5F
            guard isNameOctet || (isAddress && octet == 0x3A) else { return nil }
        }
        host = String(decoding: hostOctets.map(\.lowercasedASCII), as: UTF8.self)
        let ownPort = isTLS ? 443 : 80
        self.port = port ?? ownPort
        let shownHost = isAddress ? "[\(host)]" : host
        authority = self.port == ownPort ? shownHost : "\(shownHost):\(self.port)"
        var path = Array(octets[index...])
        endsWithSlash = path.last == 0x2F
        while path.last == 0x2F { path.removeLast() }
        basePath = path
        let segment = path.lastIndex(of: 0x2F).map { Array(path[($0 + 1)...]) } ?? []
        versionSegment = UpstreamTarget.isVersion(segment) ? segment : []
    }

    private static func port(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 5, digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        let number = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return number >= 1 && number <= 65_535 ? number : nil
    }

    /// `v` and a digit, then letters, digits and dots: `v1`, `v1beta`, `v2.1`.
    private static func isVersion(_ segment: [UInt8]) -> Bool {
        guard segment.count >= 2, segment[0] == 0x76, segment[1] &- 0x30 < 10 else { return false }
        return segment.allSatisfy { $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 || $0 == 0x2E }
    }

    /// Whether any segment of the base path is a version.
    public var namesVersion: Bool { basePath.split(separator: 0x2F).contains { UpstreamTarget.isVersion(Array($0)) } }

    /// How many octets at the beginning of `rest` (what follows the slug, empty or beginning with `/`) repeat the base's version segment.
    public func repeatedVersion(in rest: UnsafeRawBufferPointer) -> Int {
        let length = versionSegment.count
        guard length > 0, rest.count >= length + 1, unsafe rest[0] == 0x2F, unsafe rest.count == length + 1 || rest[length + 1] == 0x2F else { return 0 }
        for index in 0..<length where unsafe rest[index + 1] != versionSegment[index] { return 0 }
        return length + 1
    }
}

/// Whether a path could climb out of the base path it is appended to.
public enum PathJudge {
    /// Judges `path` with its percent-encoding decoded once, `/` and `\` both as separators. True where some `..` would leave the base.
    ///
    /// An empty segment gives `..` nothing to climb back over: servers that merge slashes and servers that do not must both stay inside.
    public static func leavesBase(_ path: UnsafeRawBufferPointer) -> Bool {
        var depth = 0
        var dots = 0
        var length = 0
        var index = 0
        let count = path.count
        while index <= count {
            var octet: UInt8 = 0x2F
            if index < count {
                octet = unsafe path[index]
                if octet == 0x25, index + 2 < count, let high = unsafe digit(path[index + 1]), let low = unsafe digit(path[index + 2]) {
                    octet = high << 4 | low
                    index += 2
                }
            }
            index += 1
            if octet == 0x2F || octet == 0x5C {
                if length == 2, dots == 2 {
                    depth -= 1
                    if depth < 0 { return true }
                } else if length > 0, !(length == 1 && dots == 1) {
                    depth += 1
                }
                dots = 0
                length = 0
            } else {
                length += 1
                if octet == 0x2E { dots += 1 }
            }
        }
        return false
    }

    private static func digit(_ octet: UInt8) -> UInt8? {
        if octet &- 0x30 < 10 { return octet &- 0x30 }
        let letter = (octet | 0x20) &- 0x61
        return letter < 6 ? letter + 10 : nil
    }
}
