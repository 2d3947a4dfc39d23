// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The filter of a key listing. Works on octets: a pool of 100,000 keys is looked through in one call.
struct KeySearch {
    /// The one state; nil: any.
    var state: KeyState?
    /// A tag that they have.
    var tag: String?
    /// The quota group that they belong to, whoever says so.
    var quotaGroup: String?
    /// Why they rest, altogether or for one model.
    var reason: String?
    private let text: String
    private let octets: [UInt8]

    /// Whether every key is found.
    var isUnrestricted: Bool { state == nil && tag == nil && quotaGroup == nil && reason == nil && octets.isEmpty }

    /// Keys that hold `text` (empty: any) in their name or masked value, whatever its case, or have it as their id.
    init(text: String) {
        self.text = text.lowercased()
        octets = Array(self.text.utf8)
    }

    /// What a filter's words ask for, by the names of the listing's parameters; nil where the state is none.
    init?(_ word: (_ name: String) -> String?) {
        self.init(text: word("q") ?? "")
        tag = word("tag")
        quotaGroup = word("quota_group")
        reason = word("reason")
        guard let name = word("state") else { return }
        guard let state = KeyState(rawValue: name) else { return nil }
        self.state = state
    }

    /// What is wrong with a state that is none.
    static let stateFault = "must be one of “active”, “cooling”, “exhausted”, “invalid”, “disabled”"

    func matches(_ key: KeyView) -> Bool {
        if let state, key.state != state { return false }
        if let tag, !key.attributes.tags.contains(tag) { return false }
        if let quotaGroup, key.quotaGroup != quotaGroup { return false }
        if let reason, key.stateReason != reason, !key.coolingModels.contains(where: { $0.reason == reason }) { return false }
        if octets.isEmpty { return true }
        return isFound(in: key.name) || isFound(in: key.masked) || String(key.id.rawValue) == text
    }

    private func isFound(in candidate: String) -> Bool {
        var candidate = candidate
        return candidate.withUTF8 { unsafe isFound(in: $0) } || (!candidate.utf8.allSatisfy { $0 < 0x80 } && isFoundAsText(in: candidate))
    }

    /// Compares with A–Z and a–z equal: enough for ASCII, and never wrong for the rest.
    private func isFound(in candidate: UnsafeBufferPointer<UInt8>) -> Bool {
        guard candidate.count >= octets.count else { return false }
        for start in 0...(candidate.count - octets.count) {
            var length = 0
            while length < octets.count, unsafe candidate[start + length].lowercasedASCII == octets[length] { length += 1 }
            if length == octets.count { return true }
        }
        return false
    }

    /// The slow way, for names in which case is more than a bit.
    private func isFoundAsText(in candidate: String) -> Bool {
        var lowered = candidate.lowercased()
        return lowered.withUTF8 { unsafe isFound(in: $0) }
    }
}
