// SPDX-License-Identifier: MIT

/// The number of a webhook. Positive, never used again after a deletion.
public struct WebhookID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number, 1 or more.
    public let rawValue: Int64
    /// The webhook with this number.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }
    public var description: String { String(rawValue) }
    public static func < (lhs: WebhookID, rhs: WebhookID) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// How an alert is written for whoever receives it.
public enum WebhookShape: String, Sendable, Hashable, CaseIterable {
    /// JSON with everything that there is to tell, signed where the webhook has a secret.
    case generic
    /// What Slack's incoming webhooks take.
    case slack
    /// What `sendMessage` of Telegram's Bot API takes.
    case telegram
}

/// Where alerts go, and which ones.
public struct Webhook: Sendable {
    /// Its number.
    public var id: WebhookID
    /// A name for people and logs; unique.
    public var name: String
    /// Where alerts are posted: an http or https URL. It may hold a credential, so it is kept as one.
    public var url: Secret
    /// How they are written.
    public var shape: WebhookShape
    /// Signs generic alerts; nil: they are not signed.
    public var secret: Secret?
    /// The chat that Telegram is to write to.
    public var chatID: String?
    /// What it is told of.
    public var events: Set<AlertKind>
    /// Slugs of services, `*` standing for any run of characters; nil = all. Counts for alerts that are about a service.
    public var services: [String]?
    /// A pool with fewer usable keys than this is low; 1 or more.
    public var poolMinimum: Int
    /// How long it is not told of the same thing again, in seconds.
    public var minIntervalSeconds: Int
    /// False when an administrator switched it off.
    public var isActive: Bool

    /// A webhook that is told of everything, of each thing every five minutes at most.
    public init(id: WebhookID, name: String, url: Secret, shape: WebhookShape) {
        self.id = id
        self.name = name
        self.url = url
        self.shape = shape
        events = Set(AlertKind.subscribable)
        poolMinimum = 1
        minIntervalSeconds = 300
        isActive = true
    }

    /// Whether it wants to be told of such things, of this service where they are about one.
    public func wants(_ kind: AlertKind, of slug: String? = nil) -> Bool {
        guard isActive, events.contains(kind) else { return false }
        guard let slug, let services else { return true }
        return services.contains { WildcardPattern($0).matches(slug) }
    }
}
