// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What the replicas of one installation share in a Redis database while their catalogue is kept elsewhere: tickets, standings with an expiry, news.
///
/// Holds no secrets. Need not be durable: a database that comes back empty begins anew, and is told again what is not at rest.
final class RedisSharedState: Sendable {
    /// How long a standing is kept after its last rest has ended, so that everybody hears that it has.
    private static let retention = Duration.seconds(86_400)

    let client: RedisClient
    private let publishing = OutOfLineMutex((hasFailed: false, recoveries: 0))

    /// The shared state of the installation with this identifier. Connects by itself; nothing is asked of the server before that.
    init(_ location: RedisLocation, installation: String) throws(StoreError) {
        client = try RedisClient(location, prefix: "rotator:{\(installation)}:")
        client.start(probe: .sharedEpoch)
    }

    /// Publishes standings that are not older than what is there.
    func publish(_ standings: [KeyID: StandingRecord]) async throws(StoreError) {
        guard !standings.isEmpty else { return }
        var arguments: [[UInt8]] = []
        for (id, standing) in standings {
            arguments += [[UInt8](number: id.rawValue), StandingDocument.encode(standing), [UInt8](number: Self.expiry(of: standing).milliseconds)]
        }
        do throws(StoreError) {
            _ = try await client.run(.publish, arguments)
        } catch {
            publishing.withLock { $0.hasFailed = true }
            throw error
        }
    }

    /// Whether something could not be published, or the server has been away, since this was last asked: then what is known is to be published again.
    func takeNeedToRepeat() -> Bool {
        guard client.condition.outage == nil else { return false }
        let recoveries = client.condition.recoveries
        return publishing.withLock { publishing in
            defer { publishing = (false, recoveries) }
            return publishing.hasFailed || publishing.recoveries != recoveries
        }
    }

    private static func expiry(of standing: StandingRecord) -> Moment {
        // Without an end of its own, `invalid` is kept as long as Redis keeps numbers exactly: 285 years.
        let never = Moment(nanoseconds: 9_000_000_000_000_000_000)
        if standing.state == .invalid { return never }
        let ends = [standing.until, standing.circuitUntil, standing.decidedAt].compactMap(\.self) + standing.models.map(\.until)
        return min(never, max(ends.max() ?? .distantPast, .distantPast) + retention)
    }
}
