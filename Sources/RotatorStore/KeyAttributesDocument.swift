// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A key's attributes as a JSON document, the form in which every backend keeps them; `{}` says nothing. Members of later versions are passed over.
struct KeyAttributesDocument: Codable {
    private struct Limits: Codable {
        var requests_per_minute: Int64?
        var requests_per_day: Int64?
        var tokens_per_minute: Int64?
        var tokens_per_day: Int64?
        var concurrent_requests: Int64?
    }

    private var tags: [String]?
    private var quota_group: String?
    private var limits: Limits?

    private static let nothing = "{}"

    /// The document of `attributes`.
    static func encode(_ attributes: KeyAttributes) -> String {
        if attributes == KeyAttributes() { return nothing }
        let limits = attributes.limits
        let document = KeyAttributesDocument(
            tags: attributes.tags.isEmpty ? nil : attributes.tags, quota_group: attributes.quotaGroup,
            limits: limits.isEmpty
                ? nil
                : Limits(
                    requests_per_minute: limits.requestsPerMinute, requests_per_day: limits.requestsPerDay, tokens_per_minute: limits.tokensPerMinute,
                    tokens_per_day: limits.tokensPerDay, concurrent_requests: limits.concurrentRequests))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(document) else { preconditionFailure("strings and integers are always JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// The attributes that `document` was made from; nil for what no version wrote.
    static func decode(_ document: String) -> KeyAttributes? {
        // Most keys have none, and a pool may have a hundred thousand.
        if document == nothing { return KeyAttributes() }
        guard let read = try? JSONDecoder().decode(KeyAttributesDocument.self, from: Data(document.utf8)) else { return nil }
        var attributes = KeyAttributes()
        attributes.tags = read.tags ?? []
        attributes.quotaGroup = read.quota_group
        attributes.limits.requestsPerMinute = read.limits?.requests_per_minute
        attributes.limits.requestsPerDay = read.limits?.requests_per_day
        attributes.limits.tokensPerMinute = read.limits?.tokens_per_minute
        attributes.limits.tokensPerDay = read.limits?.tokens_per_day
        attributes.limits.concurrentRequests = read.limits?.concurrent_requests
        return attributes
    }
}
