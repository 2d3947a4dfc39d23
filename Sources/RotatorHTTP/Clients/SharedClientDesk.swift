// SPDX-License-Identifier: MIT

public import Logging
public import RotatorCore

/// Admits clients by accounts that all replicas share: each account is one document in the store, changed by compare and swap.
///
/// For one client one change is under way at a time, and it carries everything that has come since the last one: all requests that wait, and the
/// tokens that are to be charged. So a limit holds over all replicas to the one, at the cost of one round trip to and fro for a batch of
/// requests. Where the store cannot be reached, each replica goes on by what it knew last.
public final class SharedClientDesk: ClientDesk {
    private struct Line: Sendable {
        let meter: ClientMeter
        var waiting: [@Sendable (ClientRefusal?) -> Void] = []
        var isServed = false
        var isChanged = false
    }

    private struct State: Sendable {
        var lines: [ClientID: Line] = [:]
    }

    private let documents: any DocumentStore
    private let clock: @Sendable () -> Moment
    private let logger: Logger
    private let state = OutOfLineMutex(State())
    private let wanted = AsyncStream<ClientID>.makeStream()

    /// So often a change is tried again that another replica has overtaken.
    private static let swapsMax = 20
    /// Ends of requests are told no more often than this.
    private static let pause = Duration.milliseconds(20)
    /// What a process holds is told again well before it counts as gone.
    private static let heartbeat = Duration.seconds(5)
    /// More requests of one client than this do not wait for an answer of the store.
    private static let waitingMax = 4_096

    /// A desk over `documents`.
    public init(documents: any DocumentStore, clock: @escaping @Sendable () -> Moment, logger: Logger) {
        self.documents = documents
        self.clock = clock
        self.logger = logger
    }

    public func ask(_ meter: ClientMeter, answer: @escaping @Sendable (ClientRefusal?) -> Void) {
        let isFull = state.withLock { state in
            var line = state.lines[meter.client] ?? Line(meter: meter)
            defer { state.lines[meter.client] = line }
            guard line.waiting.count < Self.waitingMax else { return true }
            line.waiting.append(answer)
            return false
        }
        if isFull {
            let until = clock() + .seconds(1)
            return answer(ClientRefusal(.concurrentRequests, amount: Int64(Self.waitingMax), until: until))
        }
        serve(meter)
    }

    public func changed(_ meter: ClientMeter) {
        state.withLock { state in
            var line = state.lines[meter.client] ?? Line(meter: meter)
            line.isChanged = true
            state.lines[meter.client] = line
        }
        serve(meter)
    }

    private func serve(_ meter: ClientMeter) {
        let isNew = state.withLock { state in
            guard state.lines[meter.client]?.isServed == false else { return false }
            state.lines[meter.client]?.isServed = true
            return true
        }
        if isNew { wanted.continuation.yield(meter.client) }
    }

    /// Serves until the task is cancelled; then tells once more what has ended.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    // Cancellation ends the pause early; the loop then ends by its own condition.
                    try? await Task.sleep(for: Self.heartbeat)
                    for line in self.state.withLock({ Array($0.lines.values) }) where line.meter.isBusy { self.changed(line.meter) }
                }
            }
            for await client in wanted.stream {
                group.addTask { await self.serveLine(of: client) }
            }
            group.cancelAll()
        }
        for line in state.withLock({ Array($0.lines.values) }) where line.isChanged { await settle(line.meter, waiting: []) }
    }

    private func serveLine(of client: ClientID) async {
        while true {
            let work = state.withLock { state -> (ClientMeter, [@Sendable (ClientRefusal?) -> Void])? in
                guard var line = state.lines[client] else { return nil }
                defer { state.lines[client] = line }
                guard !line.waiting.isEmpty || line.isChanged else {
                    line.isServed = false
                    return nil
                }
                defer { (line.waiting, line.isChanged) = ([], false) }
                return (line.meter, line.waiting)
            }
            guard let (meter, waiting) = work else { return }
            await settle(meter, waiting: waiting)
            // What ends soon after comes with the next change; who asks does not wait for it.
            if state.withLock({ $0.lines[client]?.waiting.isEmpty ?? true }) { try? await Task.sleep(for: Self.pause) }
        }
    }

    /// Brings the shared account to where this process stands, and answers those who wait.
    private func settle(_ meter: ClientMeter, waiting: [@Sendable (ClientRefusal?) -> Void]) async {
        let news = meter.takeNews()
        do {
            for attempt in 0..<Self.swapsMax {
                let now = clock()
                let found = try await documents.document(.clientMeter, named: "\(meter.client)")
                var account = found.flatMap { ClientAccount(octets: $0.body, policy: meter.policy) } ?? ClientAccount(meter.policy)
                account.charge(news.tokens, at: now)
                account.hold(news.inFlight, by: meter.holder, at: now)
                let (admitted, refusal) = waiting.isEmpty ? (0, nil) : account.admit(waiting.count, by: meter.holder, at: now)
                do throws(StoreError) {
                    if let found {
                        _ = try await documents.replaceDocument(.clientMeter, found.id, named: found.name, body: account.octets, expecting: found.revision)
                    } else {
                        _ = try await documents.insertDocument(.clientMeter, named: "\(meter.client)", body: account.octets)
                    }
                } catch where error.code == .conflict || error.code == .notFound {
                    // Another replica was faster: on what it has made of the account, after a moment that differs from its own.
                    if attempt > 2 { try? await Task.sleep(for: .milliseconds(Int.random(in: 1...8))) }
                    continue
                }
                meter.learn(account, admitted: admitted)
                answer(waiting, admitted: admitted, refusal: refusal, at: now)
                return
            }
        } catch {
            logger.debug("the account of a client cannot be reached", metadata: ["client": "\(meter.client)", "error": "\(error)"])
        }
        meter.returnNews(tokens: news.tokens)
        let now = clock()
        let (admitted, refusal) = waiting.isEmpty ? (0, nil) : meter.admitAlone(waiting.count, at: now)
        answer(waiting, admitted: admitted, refusal: refusal, at: now)
    }

    private func answer(_ waiting: [@Sendable (ClientRefusal?) -> Void], admitted: Int, refusal: ClientRefusal?, at now: Moment) {
        for (index, answer) in waiting.enumerated() {
            answer(index < admitted ? nil : refusal ?? ClientRefusal(.concurrentRequests, amount: 0, until: now + .seconds(1)))
        }
    }
}
