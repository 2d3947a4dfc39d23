// SPDX-License-Identifier: MIT

public import RotatorCore

extension ServiceConfiguration {
    /// Throws ``AdministrationError/invalid(member:reason:)`` for the first member that the rotator could not work with.
    public func validate() throws(AdministrationError) {
        func require(_ holds: Bool, _ member: String, _ reason: String) throws(AdministrationError) {
            if !holds { throw .invalid(member: member, reason: reason) }
        }
        try require(name.unicodeScalars.contains { !$0.properties.isWhitespace }, "name", "must not be blank")
        if let fault = KeyRules.fault(ofName: name) { throw .invalid(member: "name", reason: fault) }
        try require(FieldSyntax.isSlug(slug), "slug", "must match [a-z0-9][a-z0-9-]{0,62}")
        if let fault = TargetURL.fault(of: targetURL) { throw .invalid(member: targetMember, reason: fault) }
        if let method { try require(FieldSyntax.isToken(method) && method.utf8.count <= 32, "method", "must be one method name, or null for any") }
        if let apiKeyName {
            let isName = apiKeyLocation == .query ? FieldSyntax.isParameterName(apiKeyName) : FieldSyntax.isToken(apiKeyName)
            try require(isName && apiKeyName.utf8.count <= 256, "api_key_name", "must be the name of a header field or query parameter")
            try require(
                apiKeyLocation == .query || !FieldSyntax.isReserved(apiKeyName), "api_key_name", "must not be a field that frames or routes the request")
        }
        if let apiKeyPrefix {
            try require(apiKeyPrefix.utf8.count <= 256, "api_key_prefix", "is longer than 256 octets")
            try require(!apiKeyPrefix.unicodeScalars.contains(where: \.isControl), "api_key_prefix", "holds a control character")
        }
        if let maxAttempts { try require(1...Self.countMax ~= maxAttempts, "max_attempts", "must be from 1 to \(Self.countMax), or null") }
        try require(0...Self.countMax ~= maxWaitMilliseconds, "max_wait_ms", "must be from 0 to \(Self.countMax)")
        try require(0...Self.countMax ~= holdStartupMilliseconds, "hold_startup_ms", "must be from 0 to \(Self.countMax)")
        if let affinityHeader {
            try require(FieldSyntax.isToken(affinityHeader) && affinityHeader.utf8.count <= 256, "affinity_header", "must be the name of a header field, or null")
        }
        try require(extraHeaders.count <= 64, "extra_headers", "has more than 64 members")
        var seen: Set<String> = []
        for (name, value) in extraHeaders.sorted(by: { $0.key < $1.key }) {
            let member = "extra_headers.\(name.prefix(64))"
            try require(FieldSyntax.isToken(name) && name.utf8.count <= 256, member, "is not the name of a header field")
            try require(!FieldSyntax.isReserved(name), member, "must not be set: it frames or routes the request")
            try require(FieldSyntax.isFieldValue(value) && value.utf8.count <= 8_192, member, "is not the value of a header field")
            try require(seen.insert(name.lowercased()).inserted, member, "stands there twice, in another case")
        }
    }

    /// The name under which the target stands in a document.
    var targetMember: String { kind == .llm ? "target_base_url" : "target_url" }

    /// Milliseconds and counts fit 31 bits: 24 days.
    static var countMax: Int { 2_147_483_647 }
}

/// The grammar of names and values in HTTP fields.
enum FieldSyntax {
    /// RFC 9110 §5.6.2.
    static func isToken(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy(isTokenOctet) }

    /// RFC 9110 §5.5, without surrounding white space; octets above 7F are obs-text.
    static func isFieldValue(_ text: String) -> Bool {
        let isBlank = { (octet: UInt8?) in octet == 0x20 || octet == 0x09 }
        if isBlank(text.utf8.first) || isBlank(text.utf8.last) { return false }
        return text.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
    }

    /// A query parameter's name that needs no encoding and cannot end the pair or the query.
    static func isParameterName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && !#"&=#+%"<>\^`{|}"#.utf8.contains($0) }
    }

    static func isSlug(_ text: String) -> Bool {
        let octets = text.utf8
        guard let first = octets.first, octets.count <= 63 else { return false }
        let isAlphanumeric = { (octet: UInt8) in 0x61...0x7A ~= octet || 0x30...0x39 ~= octet }
        return isAlphanumeric(first) && octets.allSatisfy { isAlphanumeric($0) || $0 == 0x2D }
    }

    /// Fields that frame, route or upgrade the message: the connection's business, never configuration's. Gateways that read `_` as `-`
    /// must not be fooled either.
    static func isReserved(_ name: String) -> Bool {
        let canonical = String(decoding: name.utf8.map { $0 == 0x5F ? 0x2D : $0.lowercasedASCII }, as: UTF8.self)
        return reserved.contains(canonical)
    }

    private static let reserved: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
        "expect", "http2-settings", "proxy-authorization", "proxy-authenticate",
    ]

    private static func isTokenOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(octet)
        }
    }
}

/// The grammar of a service's base URL: RFC 3986 with http or https, a host, and neither userinfo, query nor fragment.
enum TargetURL {
    static let octetsMax = 2_048

    /// Why this is not a base URL; nil when it is one.
    static func fault(of text: String) -> String? {
        var rest = text.utf8[...]
        if rest.count > octetsMax { return "is longer than \(octetsMax) octets" }
        if let bad = rest.first(where: { !(0x21...0x7E ~= $0) }) {
            return bad > 0x7F ? "holds characters outside ASCII; write the host in its xn-- form and encode the path" : "holds white space or a control character"
        }
        guard let scheme = ["http://", "https://"].first(where: { rest.prefix($0.utf8.count).elementsEqual(ignoringASCIICase: $0.utf8) }) else {
            return "must begin with http:// or https://"
        }
        rest = rest.dropFirst(scheme.utf8.count)
        if rest.contains(0x3F) { return "must not have a query" }
        if rest.contains(0x23) { return "must not have a fragment" }
        let authority = rest.prefix { $0 != 0x2F }
        if authority.contains(0x40) { return "must not hold a user name or password" }
        if let fault = faultOfAuthority(authority) { return fault }
        return faultOfPath(rest.dropFirst(authority.count))
    }

    private static func faultOfAuthority(_ authority: Substring.UTF8View) -> String? {
        let host: Substring.UTF8View
        var port: Substring.UTF8View?
        if authority.first == 0x5B {
            guard let end = authority.firstIndex(of: 0x5D) else { return "has an unfinished IPv6 address" }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let after = authority[authority.index(after: end)...]
            if !after.isEmpty {
                guard after.first == 0x3A else { return "has something after its IPv6 address" }
                port = after.dropFirst()
            }
            // The resolver has the last word; this keeps out what could not be an address.
            guard host.count >= 2, host.contains(0x3A), host.allSatisfy({ isHexDigit($0) || $0 == 0x3A || $0 == 0x2E }) else {
                return "has a malformed IPv6 address"
            }
        } else {
            let colon = authority.firstIndex(of: 0x3A)
            host = authority[..<(colon ?? authority.endIndex)]
            port = colon.map { authority[authority.index(after: $0)...] }
            guard !host.isEmpty else { return "has no host" }
            guard host.count <= 253, host.allSatisfy({ isAlphanumeric($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }), host.first != 0x2E else {
                return "has a malformed host"
            }
        }
        if let port {
            guard (1...5).contains(port.count), port.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int(Substring(port)), 1...65_535 ~= number else {
                return "has a malformed port"
            }
        }
        return nil
    }

    private static func faultOfPath(_ path: Substring.UTF8View) -> String? {
        var decoded: [UInt8] = []
        var index = path.startIndex
        while index < path.endIndex {
            let octet = path[index]
            if octet == 0x25 {
                let digits = path[path.index(after: index)...].prefix(2)
                guard digits.count == 2, digits.allSatisfy(isHexDigit), let value = UInt8(Substring(digits), radix: 16) else {
                    return "has a malformed percent-encoding"
                }
                decoded.append(value)
                index = digits.endIndex
            } else {
                guard isAlphanumeric(octet) || "-._~!$&'()*+,;=:@/".utf8.contains(octet) else { return "holds a character that must be percent-encoded" }
                decoded.append(octet)
                index = path.index(after: index)
            }
        }
        // A base that climbs would make "inside the base" meaningless for the requests below it.
        let segments = decoded.split(whereSeparator: { $0 == 0x2F || $0 == 0x5C })
        return segments.contains { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) } ? "must not have dot segments" : nil
    }

    private static func isAlphanumeric(_ octet: UInt8) -> Bool {
        0x30...0x39 ~= octet || 0x41...0x5A ~= octet || 0x61...0x7A ~= octet
    }

    private static func isHexDigit(_ octet: UInt8) -> Bool {
        0x30...0x39 ~= octet || 0x41...0x46 ~= octet || 0x61...0x66 ~= octet
    }
}
