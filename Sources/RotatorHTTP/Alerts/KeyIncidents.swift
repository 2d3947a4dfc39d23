// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The keys that this replica has found useless, until somebody takes them to tell of them. Any task may call any member.
final class KeyIncidents: Sendable {
    private struct State: Sendable {
        var watch = KeyIncidentWatch()
        var waiting: [KeyIncident] = []
        var dropped = 0
    }

    private let state = OutOfLineMutex(State())
    private static let waitingMax = 1_000

    /// This replica has decided so.
    func decided(_ standings: [KeyID: StandingRecord]) {
        if standings.isEmpty { return }
        state.withLock { state in
            for (key, standing) in standings {
                guard let incident = state.watch.decided(standing, of: key) else { continue }
                if state.waiting.count < Self.waitingMax { state.waiting.append(incident) } else { state.dropped += 1 }
            }
        }
    }

    /// Keys stand so by what the store or another replica says. To be called before pools are told, since these may repeat it as theirs.
    func learned(_ standings: [KeyID: StandingRecord]) {
        if standings.isEmpty { return }
        state.withLock { state in
            for (key, standing) in standings { state.watch.learned(standing, of: key) }
        }
    }

    /// What has come since the last call, by number, and how many found no room.
    func take() -> (incidents: [KeyIncident], dropped: Int) {
        state.withLock { state in
            defer { (state.waiting, state.dropped) = ([], 0) }
            return (state.waiting.sorted { $0.key < $1.key }, state.dropped)
        }
    }
}
