// SPDX-License-Identifier: MIT

/// Rotation that several replicas share.
extension RotatingKeyPool {
    /// Has the rotation of this pool and its successors follow tickets that replicas lease from one counter, where the strategy
    /// ``RotationStrategy/followsTurns``. To be called once, before the first lease of the pool's family is granted.
    ///
    /// - Parameter ask: called when a block of tickets is wanted, on any thread, perhaps while the pool is locked: it must return at once and must not
    ///   call the pool. Answer with ``TicketDesk/supply(_:)``, with nil where there are none; it is not called again before that.
    public func shareRotation(ask: @escaping @Sendable (TicketDesk) -> Void) {
        family.withLock { _ in
            family.cursor.beginStretch(of: 0, after: nil)
            family.desk.open(fitCount: board.rotation.fit.count, ask: ask)
        }
    }
}
