// SPDX-License-Identifier: MIT

public import RotatorCore

/// Finds the adapter of a format. A new adapter adds a line here, and a new format its case in `APIFormat`.
public struct AdapterRegistry: Sendable {
    private let adapters: [APIFormat: any Adapter]

    /// The adapters that come with the rotator.
    public static let builtIn = AdapterRegistry()

    /// The built-in adapters, with `replacements` standing in for those of the same format.
    public init(replacing replacements: [any Adapter] = []) {
        adapters = Dictionary(replacements.map { ($0.format, $0) }) { _, last in last }
    }

    /// The adapter that speaks `format`.
    public subscript(format: APIFormat) -> any Adapter {
        if let replacement = adapters[format] { return replacement }
        switch format {
        case .openAICompatible: return .openAICompatible
        case .anthropicNative: return .anthropicNative
        case .geminiNative: return .geminiNative
        case .azureOpenAI: return .azureOpenAI
        case .generic: return .generic
        }
    }

    /// What ``adapterForUnknownService(isLLM:path:hasAnthropicVersion:hasGoogleAPIKey:)`` is as a value, for those who may not import this module.
    public typealias UnknownServiceLookup = @Sendable (_ isLLM: Bool, _ path: RawSpan, _ hasAnthropicVersion: Bool, _ hasGoogleAPIKey: Bool) -> any Adapter

    /// The lookup for errors before the service is known, to be handed to a server.
    public var unknownServiceLookup: UnknownServiceLookup {
        { isLLM, path, hasAnthropicVersion, hasGoogleAPIKey in
            adapterForUnknownService(isLLM: isLLM, path: path, hasAnthropicVersion: hasAnthropicVersion, hasGoogleAPIKey: hasGoogleAPIKey)
        }
    }

    /// The adapter whose errors a client most likely parses, when no service is known to ask: judged by the request alone, so that the answer
    /// does not show whether a slug exists.
    ///
    /// - Parameters:
    ///   - isLLM: whether the request came under `/llm/`; everything else gets problem+json.
    ///   - path: the path, whole or behind the slug, without the query.
    ///   - hasAnthropicVersion: whether a field `anthropic-version` is there.
    ///   - hasGoogleAPIKey: whether a field `x-goog-api-key` is there.
    public func adapterForUnknownService(isLLM: Bool, path: RawSpan, hasAnthropicVersion: Bool, hasGoogleAPIKey: Bool) -> any Adapter {
        guard isLLM else { return self[.generic] }
        if hasAnthropicVersion { return self[.anthropicNative] }
        if hasGoogleAPIKey || namesGeminiCall(path) { return self[.geminiNative] }
        return self[.openAICompatible]
    }

    /// Whether `path` holds `/models/…:`, as in `/v1beta/models/M:generateContent`.
    private func namesGeminiCall(_ path: RawSpan) -> Bool {
        guard let segment = path.segment(behind: "models") else { return false }
        return path.percentDecoded(segment).contains(0x3A)
    }
}
