// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Gathers one reactor's records of exchanges, so that what takes them is called seldom. Confined to its reactor.
final class ExchangeRecording: DeadlineTarget {
    private let reactor: Reactor
    private let sink: any UsageSink
    private var records: [ExchangeRecord] = []
    private let deadline = Deadline()
    /// How many are gathered at most, and for how long in nanoseconds.
    private static let countMax = 128
    private static let patience: Int64 = 100_000_000

    init(reactor: Reactor, sink: any UsageSink) {
        self.reactor = reactor
        self.sink = sink
        records.reserveCapacity(Self.countMax)
        deadline.target = self
    }

    func add(_ record: consuming ExchangeRecord) {
        if records.isEmpty { reactor.deadlines.set(deadline, to: reactor.now.advanced(byNanoseconds: Self.patience)) }
        records.append(consume record)
        if records.count >= Self.countMax { flush() }
    }

    func flush() {
        reactor.deadlines.clear(deadline)
        guard !records.isEmpty else { return }
        sink.take(records)
        // A buffer of its own each time: the sink may have kept the other one.
        records = []
        records.reserveCapacity(Self.countMax)
    }

    func deadlinePassed(_ deadline: Deadline) { flush() }
}
