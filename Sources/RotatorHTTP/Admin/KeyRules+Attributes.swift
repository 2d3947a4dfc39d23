// SPDX-License-Identifier: MIT

internal import RotatorCore

extension KeyRules {
    static let tagCharactersMax = 64
    static let groupCharactersMax = 256

    /// Why these are not a key's attributes: the member and what is wrong with it; nil when they are.
    static func fault(of attributes: KeyAttributes) -> (member: String, reason: String)? {
        if attributes.tags.count > KeyAttributes.tagsMax { return ("tags", "are more than \(KeyAttributes.tagsMax)") }
        for tag in attributes.tags {
            if let reason = fault(ofTag: tag) { return ("tags", reason) }
        }
        if let group = attributes.quotaGroup {
            if group.isEmpty { return ("quota_group", "is empty; null is none") }
            if group.unicodeScalars.count > groupCharactersMax { return ("quota_group", "is longer than \(groupCharactersMax) characters") }
            if group.unicodeScalars.contains(where: \.isControl) { return ("quota_group", "holds a control character") }
        }
        let limits = attributes.limits
        let all = [limits.requestsPerMinute, limits.requestsPerDay, limits.tokensPerMinute, limits.tokensPerDay, limits.concurrentRequests]
        return all.contains { $0 ?? 1 < 1 } ? ("limits", "must be 1 or more, or null for none") : nil
    }

    /// Why this is not a tag; nil when it is one.
    static func fault(ofTag tag: String) -> String? {
        if tag.isEmpty { return "hold an empty one" }
        if tag.unicodeScalars.count > tagCharactersMax { return "hold one that is longer than \(tagCharactersMax) characters" }
        return tag.unicodeScalars.contains(where: \.isControl) ? "hold one with a control character" : nil
    }
}
