// SPDX-License-Identifier: MIT

/// Who may use the proxy surface, as requests see them. Immutable but for the meter, which lives on when the policy changes.
public final class Client: Sendable {
    /// The number of a client that was made here; nil for keys from the environment.
    public let id: ClientID?
    /// A name for people, logs and metrics.
    public let name: String
    /// SHA-256 of the key's octets.
    public let digest: [UInt8]
    /// What it may do.
    public let policy: ClientPolicy
    /// Counts what it uses; nil where nothing of it is limited.
    public let meter: ClientMeter?

    /// A client that may do everything.
    public init(_ key: ClientKey) {
        id = nil
        name = key.name
        digest = key.digest
        policy = ClientPolicy()
        meter = nil
    }

    /// A client that was made here.
    public init(_ record: ClientRecord, meter: ClientMeter?) {
        id = record.id
        name = record.name
        digest = record.digest
        policy = record.policy
        self.meter = meter
    }

    /// Whether the key is good at `now`.
    public func isGood(at now: Moment) -> Bool { policy.isActive && (policy.expiresAt.map { now < $0 } ?? true) }

    /// Whether it may use the service under this slug.
    public func allows(service slug: String) -> Bool {
        guard let patterns = policy.services else { return true }
        return patterns.contains { WildcardPattern($0).matches(slug) }
    }

    /// Whether it may ask for this model; nil: one that cannot be read.
    public func allows(model: String?) -> Bool {
        guard let patterns = policy.models else { return true }
        guard let model else { return false }
        return patterns.contains { WildcardPattern($0).matches(model) }
    }
}

/// A pattern in which `*` stands for any run of characters, none included; everything else stands for itself.
public struct WildcardPattern: Sendable, Hashable {
    private let text: String

    /// The pattern that `text` spells.
    public init(_ text: String) { self.text = text }

    /// Whether the whole of `candidate` fits. Takes at most the product of both lengths.
    public func matches(_ candidate: String) -> Bool {
        let pattern = Array(text.utf8)
        let octets = Array(candidate.utf8)
        var (place, index) = (0, 0)
        // Where the last star stands, and from where it has been tried: only the last one ever needs to take more.
        var star: (place: Int, index: Int)?
        while index < octets.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (place, index)
                place += 1
            } else if place < pattern.count, pattern[place] == octets[index] {
                place += 1
                index += 1
            } else if let last = star {
                star = (last.place, last.index + 1)
                (place, index) = (last.place + 1, last.index + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
