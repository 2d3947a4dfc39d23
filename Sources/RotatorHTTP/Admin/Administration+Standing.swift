// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore

extension Administration {
    /// Writes down what the pools learn, until the task is cancelled; then once more. Counts are written four times a second, standings that other
    /// replicas wait for within 50 ms.
    ///
    /// While the store is away it tries again, ever more slowly up to every two seconds; nothing is lost, since one standing per key is kept.
    public func runStandingWriter() async {
        var pace = StandingPace()
        while !Task.isCancelled {
            // Cancellation ends the pause early; the loop then ends by its own condition.
            try? await Task.sleep(for: pace.pause)
            if Task.isCancelled { break }
            guard pace.isDue(hasDecision: state.withLock({ $0.entries.values.contains { $0.pool.hasUnrecordedStanding } })) else { continue }
            // That the store is away is told by whoever watches its health; here it only means more patience.
            pace.hasEnded(isWritten: await flushStandings())
            await settleDoubt()
        }
        state.withLock { $0.accountsWrittenAt = .distantPast }
        await flushStandings()
    }

    /// Reads the store again after a write whose outcome is unknown, so that memory does not wait for the next change to learn of it.
    private func settleDoubt() async {
        guard state.withLock(\.isInDoubt) else { return }
        // A store that is still away leaves the doubt, and this is tried again in the next round.
        try? await load()
    }

    /// Writes down, in one batch, what all pools have learned since the last time, and audit entries that had to wait.
    ///
    /// - Returns: whether everything is in the store now.
    @discardableResult
    public func flushStandings() async -> Bool {
        do { try await standingGate.enter() } catch { return false }
        defer { standingGate.leave() }
        // A task of its own, waited for right here: the last flush runs while its caller is already cancelled.
        return await Task {
            let areStandingsWritten = await self.writeStandings()
            let isAuditWritten = await self.writeAuditBacklog()
            let areAccountsWritten = await self.writeClientAccounts()
            return areStandingsWritten && isAuditWritten && areAccountsWritten
        }.value
    }

    private func writeStandings() async -> Bool {
        await takeStandings()
        // What could not be written the last time first, as it was: the store knows it by its number, should it have been written after all.
        if let batch = state.withLock(\.unwritten), await !write(batch) { return false }
        let next = state.withLock { state -> StandingBatch? in
            guard !state.waiting.isEmpty else { return nil }
            state.lastBatchNumber += 1
            let batch = StandingBatch(mark: LedgerBatch(writer: ledgerWriter, number: state.lastBatchNumber), updates: state.waiting)
            (state.unwritten, state.waiting) = (batch, [:])
            return batch
        }
        guard let next else { return true }
        return await write(next)
    }

    /// Puts what all pools have learned since the last time to what waits to be written, and tells the other replicas what was decided. Inside the
    /// standing gate only.
    private func takeStandings() async {
        let now = clock()
        var standings: [KeyID: StandingRecord] = [:]
        for pool in state.withLock({ $0.entries.values.map(\.pool) }) {
            let updates = pool.takeUnrecorded(at: now)
            if updates.isEmpty { continue }
            standings.merge(updates.compactMapValues(\.standing)) { _, newer in newer }
            state.withLock { state in
                for (id, update) in updates { state.waiting[id, default: StandingUpdate(standing: nil)].add(update) }
            }
        }
        keyIncidents.decided(standings)
        if !standings.isEmpty { await link?.announce(standings) }
    }

    private func write(_ batch: StandingBatch) async -> Bool {
        do {
            try await store.record(batch.updates, batch: batch.mark)
            state.withLock { $0.unwritten = nil }
            return true
        } catch {
            logger.debug("standings were not written", metadata: ["error": "\(error)", "keys": "\(batch.updates.count)"])
            return false
        }
    }

    private func writeAuditBacklog() async -> Bool {
        while let entry = state.withLock(\.auditBacklog.first) {
            do {
                try await store.append(entry)
            } catch {
                return false
            }
            // Only this task removes, inside the standing gate; others append at the end.
            state.withLock { state in _ = state.auditBacklog.removeFirst() }
        }
        let lost = state.withLock { state in
            defer { state.auditEntriesLost = 0 }
            return state.auditEntriesLost
        }
        if lost > 0 { logger.error("the audit log was away too long", metadata: ["entries_lost": "\(lost)"]) }
        return true
    }
}
