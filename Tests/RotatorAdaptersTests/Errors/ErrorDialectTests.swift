// SPDX-License-Identifier: MIT

internal import Foundation
internal import RotatorAdapters
internal import RotatorCore
internal import Testing

@Suite("The rotator's own errors") struct ErrorDialectTests {
    private func text(_ format: APIFormat, _ code: ProxyError.Code, _ message: String = "m") -> String {
        String(decoding: AdapterRegistry.builtIn[format].body(for: ProxyError(code, message)).octets, as: UTF8.self)
    }

    @Test func `each dialect has its shape`() {
        #expect(text(.openAICompatible, .invalidProxyKey) == #"{"error":{"message":"m","type":"authentication_error","param":null,"code":"invalid_proxy_key"}}"#)
        #expect(text(.azureOpenAI, .noKeys) == #"{"error":{"message":"m","type":"server_error","param":null,"code":"no_keys"}}"#)
        #expect(text(.anthropicNative, .invalidProxyKey) == #"{"type":"error","error":{"type":"authentication_error","message":"invalid_proxy_key: m"}}"#)
        #expect(text(.geminiNative, .invalidProxyKey) == #"{"error":{"code":401,"message":"invalid_proxy_key: m","status":"UNAUTHENTICATED"}}"#)
        #expect(text(.generic, .invalidProxyKey) == #"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"m","code":"invalid_proxy_key"}"#)
    }

    @Test func `media types are JSON's and RFC 9457's`() {
        for format in APIFormat.allCases {
            let type = AdapterRegistry.builtIn[format].body(for: ProxyError(.noKeys, "")).contentType
            #expect(type == (format == .generic ? "application/problem+json" : "application/json"))
        }
    }

    @Test(arguments: [
        (ProxyError.Code.invalidProxyKey, "authentication_error", "UNAUTHENTICATED"), (.notAllowed, "permission_error", "PERMISSION_DENIED"),
        (.serviceNotFound, "not_found_error", "NOT_FOUND"), (.methodNotAllowed, "invalid_request_error", "INVALID_ARGUMENT"),
        (.bodyTooLarge, "request_too_large", "INVALID_ARGUMENT"), (.clientRateLimited, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (.noAvailableKey, "overloaded_error", "UNAVAILABLE"), (.upstreamUnreachable, "api_error", "UNAVAILABLE"), (.upstreamTimeout, "timeout_error", "DEADLINE_EXCEEDED"),
        (.internalError, "api_error", "INTERNAL"), (.invalidPath, "invalid_request_error", "INVALID_ARGUMENT"),
    ])
    func `Anthropic and Gemini keep their own types`(_ code: ProxyError.Code, _ type: String, _ status: String) {
        #expect(text(.anthropicNative, code).contains("\"type\":\"\(type)\",\"message\":\"\(code.rawValue): m\""))
        #expect(text(.geminiNative, code) == "{\"error\":{\"code\":\(code.status),\"message\":\"\(code.rawValue): m\",\"status\":\"\(status)\"}}")
    }

    @Test func `every error in every dialect is valid JSON, whatever its words`() throws {
        let words = "quote \" backslash \\ newline \n tab \t nul \u{0} bell \u{7} delete \u{7F} \u{E9}\u{1F600}"
        for dialect in ErrorDialect.allCases {
            for code in ProxyError.Code.allCases {
                let body = dialect.body(for: ProxyError(code, words))
                let object = try #require(try JSONSerialization.jsonObject(with: Data(body.octets)) as? [String: Any])
                let inner = object["error"] as? [String: Any] ?? object
                let message = try #require((inner["message"] ?? inner["detail"]) as? String)
                #expect(message.hasSuffix(words))
            }
        }
    }

    @Test(arguments: [
        (true, "/v1/chat/completions", false, false, APIFormat.openAICompatible), (true, "/v1/messages", true, false, .anthropicNative),
        (true, "/v1beta/models/m:generateContent", true, true, .anthropicNative), (true, "/v1beta/files", false, true, .geminiNative),
        (true, "/v1beta/models/m:generateContent", false, false, .geminiNative), (true, "/v1beta/models/m%3AgenerateContent", false, false, .geminiNative),
        (true, "/v1/models/gpt-4o", false, false, .openAICompatible), (true, "/v1/models", false, false, .openAICompatible), (false, "/get", false, false, .generic),
        (false, "/v1beta/models/m:generateContent", true, true, .generic),
    ])
    func `before the service is known the request decides`(_ isLLM: Bool, _ path: String, _ hasVersion: Bool, _ hasGoogleKey: Bool, _ format: APIFormat) {
        let octets = Array(path.utf8)
        let registry = AdapterRegistry.builtIn
        #expect(unsafe registry.adapterForUnknownService(isLLM: isLLM, path: octets.span.bytes, hasAnthropicVersion: hasVersion, hasGoogleAPIKey: hasGoogleKey).format == format)
        #expect(unsafe registry.unknownServiceLookup(isLLM, octets.span.bytes, hasVersion, hasGoogleKey).format == format)
    }

    @Test func `the registry has every format, and takes replacements`() {
        for format in APIFormat.allCases { #expect(AdapterRegistry.builtIn[format].format == format) }
        #expect(AdapterRegistry.builtIn[.anthropicNative].defaultFields == [HeaderField("anthropic-version", "2023-06-01")])
        #expect(AdapterRegistry.builtIn[.openAICompatible].credential == .bearer)
        #expect(AdapterRegistry.builtIn[.geminiNative].credential.name == "x-goog-api-key")
        #expect(AdapterRegistry.builtIn[.azureOpenAI].credential.name == "api-key")
        let registry = AdapterRegistry(replacing: [GenericAdapter()])
        #expect(registry[.generic] is GenericAdapter && registry[.openAICompatible] is OpenAIAdapter)
    }
}
