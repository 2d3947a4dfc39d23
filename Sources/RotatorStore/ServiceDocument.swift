// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A service's configuration as a JSON document, the form in which every backend keeps it.
///
/// The slug stands beside it, because backends keep it unique; `extraHeaders` do too, because they are sealed: an administrator may put a
/// credential there. Members that a document of an older version lacks take their defaults.
struct ServiceDocument: Codable {
    private var name: String
    private var config_type: String
    private var api_format: String
    private var output_format: String?
    private var target_url: String
    private var method: String?
    private var api_key_location: String?
    private var api_key_name: String?
    private var api_key_prefix: String?
    private var rotation_strategy: String?
    private var max_attempts: Int?
    private var max_wait_ms: Int?
    private var replay: String?
    private var stream_usage: Bool?
    private var hold_startup_ms: Int?
    private var is_active: Bool?
    private var affinity_header: String?
    /// A JSON document of its own, as a string.
    private var rules: String?

    private init(_ configuration: ServiceConfiguration) {
        name = configuration.name
        config_type = configuration.kind.rawValue
        api_format = configuration.apiFormat.rawValue
        output_format = configuration.outputFormat.rawValue
        target_url = configuration.targetURL
        method = configuration.method
        api_key_location = configuration.apiKeyLocation?.rawValue
        api_key_name = configuration.apiKeyName
        api_key_prefix = configuration.apiKeyPrefix
        rotation_strategy = configuration.rotationStrategy.rawValue
        max_attempts = configuration.maxAttempts
        max_wait_ms = configuration.maxWaitMilliseconds
        replay = configuration.replay?.rawValue
        stream_usage = configuration.streamUsage
        hold_startup_ms = configuration.holdStartupMilliseconds
        is_active = configuration.isActive
        affinity_header = configuration.affinityHeader
        rules = configuration.rules.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The document of `configuration`, less slug and extra headers.
    static func encode(_ configuration: ServiceConfiguration) -> String {
        String(decoding: json(ServiceDocument(configuration)), as: UTF8.self)
    }

    /// The extra headers of `configuration`, to be sealed.
    static func encodeHeaders(_ configuration: ServiceConfiguration) -> [UInt8] { json(configuration.extraHeaders) }

    /// The configuration that `document`, `slug` and `headers` were made from; nil when they are not what this version or an older one wrote.
    static func decode(_ document: String, slug: String, headers: [UInt8]) -> ServiceConfiguration? {
        let decoder = JSONDecoder()
        guard let read = try? decoder.decode(ServiceDocument.self, from: Data(document.utf8)),
            let extraHeaders = try? decoder.decode([String: String].self, from: Data(headers)),
            let kind = ServiceKind(rawValue: read.config_type),
            let format = APIFormat(rawValue: read.api_format),
            let output = known(OutputFormat.self, read.output_format),
            let location = known(CredentialPlacement.Location.self, read.api_key_location),
            let strategy = known(RotationStrategyName.self, read.rotation_strategy),
            let replay = known(ReplayPolicy.self, read.replay)
        else { return nil }
        var configuration = ServiceConfiguration(name: read.name, slug: slug, kind: kind, apiFormat: format, targetURL: read.target_url)
        configuration.outputFormat = output ?? configuration.outputFormat
        configuration.method = read.method
        configuration.apiKeyLocation = location
        configuration.apiKeyName = read.api_key_name
        configuration.apiKeyPrefix = read.api_key_prefix
        configuration.rotationStrategy = strategy ?? configuration.rotationStrategy
        configuration.maxAttempts = read.max_attempts
        configuration.maxWaitMilliseconds = read.max_wait_ms ?? configuration.maxWaitMilliseconds
        configuration.replay = replay
        configuration.streamUsage = read.stream_usage ?? configuration.streamUsage
        configuration.holdStartupMilliseconds = read.hold_startup_ms ?? configuration.holdStartupMilliseconds
        configuration.affinityHeader = read.affinity_header
        configuration.extraHeaders = extraHeaders
        configuration.isActive = read.is_active ?? configuration.isActive
        configuration.rules = read.rules.map { Array($0.utf8) }
        return configuration
    }

    /// The case with that raw value: `.some(nil)` for a member that is missing, nil for a word that this version does not know.
    private static func known<Word: RawRepresentable<String>>(_: Word.Type, _ text: String?) -> Word?? {
        guard let text else { return .some(nil) }
        return Word(rawValue: text).map { .some($0) }
    }

    private static func json(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("strings, integers and booleans are always JSON") }
        return [UInt8](data)
    }
}
