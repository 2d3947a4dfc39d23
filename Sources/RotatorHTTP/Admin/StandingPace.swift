// SPDX-License-Identifier: MIT

/// When what the pools have learned is written down: decisions, which other replicas wait for, in the next round, counts in every fifth, and what could
/// not be written in each round again, which then come ever more slowly.
struct StandingPace: Sendable {
    private static let shortest = Duration.milliseconds(50)
    private static let longest = Duration.seconds(2)
    private static let roundsPerCount = 5

    /// How long to wait before the next round.
    private(set) var pause = Self.shortest
    private var roundsLeft = Self.roundsPerCount

    /// Begins a round, after its pause. Whether to write in it.
    mutating func isDue(hasDecision: Bool) -> Bool {
        roundsLeft -= 1
        return roundsLeft <= 0 || hasDecision
    }

    /// What came of the writing.
    mutating func hasEnded(isWritten: Bool) {
        roundsLeft = isWritten ? Self.roundsPerCount : 0
        pause = isWritten ? Self.shortest : min(pause * 2, Self.longest)
    }
}
