// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The JSON form of a service: how a configuration is read from a request and shown in an answer.
enum ServiceDocument {
    static let members: Set<String> = [
        "id", "name", "slug", "config_type", "api_format", "output_format", "target_base_url", "target_url", "method", "api_key_location",
        "api_key_name", "api_key_prefix", "rotation_strategy", "max_attempts", "max_wait_ms", "replay", "stream_usage", "hold_startup_ms",
        "affinity_header", "extra_headers", "is_active",
    ]

    /// What `document` makes of `present`: members that it leaves out stay as they are, or take their defaults when there is nothing present.
    static func configuration(
        from document: MemberReader, onto present: ServiceConfiguration?
    ) throws(AdminProblem) -> ServiceConfiguration {
        func required<Value>(_ name: String, _ given: Value?, _ present: Value?) throws(AdminProblem) -> Value {
            guard let value = given ?? present else { throw .missingMember(name) }
            return value
        }
        /// Null resets; missing leaves.
        func nullable<Value>(
            _ name: String, _ present: Value?, _ read: (String) throws(AdminProblem) -> Value?
        ) throws(AdminProblem) -> Value? {
            if document.isNull(name) { return nil }
            return try read(name) ?? present
        }

        let name = try required("name", try document.string("name"), present?.name)
        let slug = try required("slug", try document.string("slug"), present?.slug)
        let kind = try required("config_type", try document.word("config_type", ServiceKind.self, ignoringCase: true), present?.kind)
        let target = try target(in: document, kind: kind, present: present)
        let format = try document.word("api_format", APIFormat.self) ?? present?.apiFormat ?? (kind == .generic ? .generic : nil)
        var made = ServiceConfiguration(
            name: name, slug: slug, kind: kind, apiFormat: try required("api_format", format, nil), targetURL: target)
        made.outputFormat = try document.word("output_format", OutputFormat.self) ?? present?.outputFormat ?? .none
        made.method = try nullable("method", present?.method) { (name) throws(AdminProblem) in try document.string(name)?.uppercasedASCII }
        made.apiKeyLocation = try nullable("api_key_location", present?.apiKeyLocation) { (name) throws(AdminProblem) in
            try document.word(name, among: [CredentialPlacement.Location.header, .query])
        }
        made.apiKeyName = try nullable("api_key_name", present?.apiKeyName) { (name) throws(AdminProblem) in try document.string(name) }
        made.apiKeyPrefix = try nullable("api_key_prefix", present?.apiKeyPrefix) { (name) throws(AdminProblem) in try document.string(name) }
        made.rotationStrategy = try document.word("rotation_strategy", RotationStrategyName.self) ?? present?.rotationStrategy ?? .roundRobin
        made.maxAttempts = try nullable("max_attempts", present?.maxAttempts) { (name) throws(AdminProblem) in try document.integer(name) }
        made.maxWaitMilliseconds = try document.integer("max_wait_ms") ?? present?.maxWaitMilliseconds ?? 0
        made.replay = try nullable("replay", present?.replay) { (name) throws(AdminProblem) in try document.word(name, ReplayPolicy.self) }
        made.streamUsage = try document.bool("stream_usage") ?? present?.streamUsage ?? false
        made.holdStartupMilliseconds = try document.integer("hold_startup_ms") ?? present?.holdStartupMilliseconds ?? 0
        made.affinityHeader = try nullable("affinity_header", present?.affinityHeader) { (name) throws(AdminProblem) in try document.string(name) }
        made.extraHeaders = try document.strings("extra_headers") ?? present?.extraHeaders ?? [:]
        made.isActive = try document.bool("is_active") ?? present?.isActive ?? true
        // Rules are no member of this document; they have a path of their own.
        made.rules = present?.rules
        return made
    }

    /// The target stands under a name of its own for each kind; null under the other kind's name says nothing.
    private static func target(
        in document: MemberReader, kind: ServiceKind, present: ServiceConfiguration?
    ) throws(AdminProblem) -> String {
        let (own, other) = kind == .llm ? ("target_base_url", "target_url") : ("target_url", "target_base_url")
        if document.has(other) && !document.isNull(other) {
            throw .invalidMember(other, "does not apply to a service of type \(kind.rawValue); use “\(own)”")
        }
        if let target = try document.string(own) { return target }
        guard let target = present?.targetURL else { throw .missingMember(own) }
        return target
    }

    /// A document may repeat the id that stands in the path, so that what was read can be sent back.
    static func checkID(in document: MemberReader, is id: ServiceID?) throws(AdminProblem) {
        guard let given = try document.integer("id") else { return }
        guard let id else { throw .invalidMember("id", "is given by the server") }
        if Int64(given) != id.rawValue { throw .invalidMember("id", "differs from the path and cannot be changed") }
    }

    static func write(_ service: ServiceRecord, to json: inout JSONWriter) {
        json.openObject()
        json.member("id", service.id.rawValue)
        writeMembers(of: service.configuration, to: &json) { _, value, json in json.write(value) }
        json.closeObject()
    }

    /// All members but the id.
    ///
    /// - Parameter writeHeader: writes the value of an extra header.
    static func writeMembers(
        of configuration: ServiceConfiguration, to json: inout JSONWriter, header writeHeader: (_ name: String, _ value: String, inout JSONWriter) -> Void
    ) {
        json.member("name", configuration.name)
        json.member("slug", configuration.slug)
        json.member("config_type", configuration.kind.rawValue)
        json.member("api_format", configuration.apiFormat.rawValue)
        json.member("output_format", configuration.outputFormat.rawValue)
        json.member("target_base_url", configuration.kind == .llm ? configuration.targetURL : nil)
        json.member("target_url", configuration.kind == .generic ? configuration.targetURL : nil)
        json.member("method", configuration.method)
        json.member("api_key_location", configuration.apiKeyLocation?.rawValue)
        json.member("api_key_name", configuration.apiKeyName)
        json.member("api_key_prefix", configuration.apiKeyPrefix)
        json.member("rotation_strategy", configuration.rotationStrategy.rawValue)
        json.member("max_attempts", configuration.maxAttempts)
        json.member("max_wait_ms", configuration.maxWaitMilliseconds)
        json.member("replay", configuration.replay?.rawValue)
        json.member("stream_usage", configuration.streamUsage)
        json.member("hold_startup_ms", configuration.holdStartupMilliseconds)
        json.member("affinity_header", configuration.affinityHeader)
        json.name("extra_headers")
        json.openObject()
        for (name, value) in configuration.extraHeaders.sorted(by: { $0.key < $1.key }) {
            json.name(name)
            writeHeader(name, value, &json)
        }
        json.closeObject()
        json.member("is_active", configuration.isActive)
    }
}

extension String {
    /// The string with a–z turned into A–Z.
    var uppercasedASCII: String {
        String(decoding: utf8.map { 0x61...0x7A ~= $0 ? $0 & 0xDF : $0 }, as: UTF8.self)
    }
}
