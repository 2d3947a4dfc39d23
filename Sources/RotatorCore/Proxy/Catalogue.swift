// SPDX-License-Identifier: MIT

internal import Synchronization

/// A service as requests see it: its configuration, its pool and its dialect, all under one slug.
public final class Upstream: Sendable {
    /// The service's number and configuration.
    public let record: ServiceRecord
    /// Its keys. Standing and counters live on when keys or the configuration change: the pool's successor shares them.
    public let pool: any KeyPool
    /// Its dialect.
    public let adapter: any Adapter
    /// What its answers mean: the service's own table where it has one, else the dialect's.
    public let rules: any AnswerRules
    /// Why the service's own table is not ``rules``, where it has one that cannot be read; for whoever publishes to tell.
    public let ruleFault: RuleFault?
    /// Its base URL, taken apart; nil where the configured one is not usable.
    public let target: UpstreamTarget?
    /// Where its keys travel: the dialect's own placement under the service's overrides.
    public let placement: CredentialPlacement

    /// A service as requests see it.
    public init(record: ServiceRecord, pool: any KeyPool, adapter: any Adapter) {
        self.record = record
        self.pool = pool
        self.adapter = adapter
        let configuration = record.configuration
        (rules, ruleFault) = adapter.rules(of: configuration)
        target = UpstreamTarget(configuration.targetURL)
        var placement = adapter.credential
        if let name = configuration.apiKeyName {
            // A name of its own takes no prefix over from the dialect, but `Authorization` keeps its scheme.
            if !name.utf8.elementsEqual(ignoringASCIICase: placement.name.utf8) { placement.prefix = "" }
            placement.name = name
        }
        if let location = configuration.apiKeyLocation, location != placement.location {
            placement.location = location
            placement.prefix = ""
        }
        if let prefix = configuration.apiKeyPrefix { placement.prefix = prefix }
        self.placement = placement
    }
}

/// Who may use the proxy surface.
public struct ClientKey: Sendable {
    /// A name for people, logs and metrics.
    public var name: String
    /// SHA-256 of the key's octets.
    public var digest: [UInt8]

    /// A key known by its digest.
    public init(name: String, digest: [UInt8]) {
        self.name = name
        self.digest = digest
    }
}

/// All services at one point in time. Immutable: a change publishes another.
public final class CatalogueSnapshot: Sendable {
    /// By slug, inactive ones included.
    public let upstreams: [String: Upstream]
    /// Grows by one with each publication.
    public let version: Int

    init(upstreams: [String: Upstream], version: Int) {
        self.upstreams = upstreams
        self.version = version
    }
}

/// The one place where the present snapshot stands.
///
/// Readers keep the snapshot they hold and compare ``version`` (one atomic load) before each request; only when it has moved do they
/// take the lock. So a change is in force for the next request on every thread, and requests in flight finish under the old one.
public final class Catalogue: Sendable {
    private let present: Mutex<CatalogueSnapshot>
    private let publishedVersion: Atomic<Int>

    /// An empty catalogue.
    public init() {
        present = Mutex(CatalogueSnapshot(upstreams: [:], version: 0))
        publishedVersion = Atomic(0)
    }

    /// The version of the present snapshot.
    public var version: Int { publishedVersion.load(ordering: .acquiring) }

    /// The present snapshot.
    public var snapshot: CatalogueSnapshot { present.withLock { $0 } }

    /// Publishes what `change` makes of the present services, as one step.
    public func publish(_ change: (inout [String: Upstream]) -> Void) {
        present.withLock { current in
            var upstreams = current.upstreams
            change(&upstreams)
            current = CatalogueSnapshot(upstreams: upstreams, version: current.version + 1)
            // Stored while the lock is held, so that versions are seen in the order of their snapshots.
            publishedVersion.store(current.version, ordering: .releasing)
        }
    }
}
