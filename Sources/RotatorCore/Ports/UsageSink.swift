// SPDX-License-Identifier: MIT

/// Takes what is remembered of exchanges that have ended.
public protocol UsageSink: Sendable {
    /// Takes records in the order in which their exchanges ended on one thread. Called on that thread: must not block, and must bound what it keeps.
    func take(_ records: [ExchangeRecord])
}
