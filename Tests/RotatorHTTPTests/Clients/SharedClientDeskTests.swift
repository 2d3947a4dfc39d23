// SPDX-License-Identifier: MIT

import Logging
import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Shared client desk") struct SharedClientDeskTests {
    /// Processes that share one store, each with a desk and a meter of its own for the same client.
    private final class Processes: Sendable {
        let store = CatalogueDouble()
        let clock = TestClock()
        let desks: [SharedClientDesk]
        let meters: [ClientMeter]

        init(_ count: Int, _ policy: ClientPolicy) {
            let (store, clock) = (store, clock)
            desks = (0..<count).map { _ in SharedClientDesk(documents: store, clock: { clock.now }, logger: Logger(label: "test")) }
            meters = desks.enumerated().map { ClientMeter(of: ClientID(7), account: ClientAccount(policy), holder: "process \($0.offset)", desk: $0.element) }
        }

        /// Runs the desks while `body` does.
        func serve(_ body: () async throws -> Void) async rethrows {
            let runs = desks.map { desk in Task { await desk.run() } }
            try await body()
            for run in runs {
                run.cancel()
                await run.value
            }
        }

        /// Asks in one process; nil: admitted.
        func ask(_ process: Int) async -> ClientRefusal? {
            await withCheckedContinuation { continuation in
                _ = meters[process].admit(at: clock.now) { continuation.resume(returning: $0) }
            }
        }

        /// Asks so often in every process, all at once. How many are admitted.
        func askEverywhere(_ times: Int) async -> Int {
            await withTaskGroup(of: Bool.self) { group in
                for process in meters.indices {
                    for _ in 0..<times { group.addTask { await self.ask(process) == nil } }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
        }
    }

    private func policy(_ change: (inout ClientPolicy) -> Void) -> ClientPolicy {
        var policy = ClientPolicy()
        change(&policy)
        return policy
    }

    @Test func `three processes admit together what one would`() async {
        let processes = Processes(3, policy { $0.requestsPerMinute = 60 })
        await processes.serve {
            #expect(await processes.askEverywhere(40) == 60)
            #expect(await processes.ask(1)?.limit == .requestsPerMinute)
            processes.clock.advance(by: .seconds(60))
            #expect(await processes.askEverywhere(40) == 60)
        }
    }

    @Test func `tokens that one process charges count for all`() async {
        let processes = Processes(2, policy { $0.monthlyTokenBudget = 100 })
        await processes.serve {
            #expect(await processes.ask(0) == nil)
            processes.meters[0].ended(tokens: 100, at: processes.clock.now)
            // Told within some milliseconds; whoever asks before is let in.
            var refusal: ClientRefusal?
            for _ in 0..<500 {
                refusal = await processes.ask(1)
                if refusal != nil { break }
            }
            #expect(refusal?.limit == .monthlyTokenBudget)
        }
    }

    @Test func `a place is free again when its request has ended`() async {
        let processes = Processes(2, policy { $0.concurrentRequests = 1 })
        await processes.serve {
            #expect(await processes.ask(0) == nil)
            #expect(await processes.ask(1)?.limit == .concurrentRequests)
            processes.meters[0].ended(tokens: nil, at: processes.clock.now)
            var isFree = false
            for _ in 0..<500 where !isFree { isFree = await processes.ask(1) == nil }
            #expect(isFree)
        }
    }

    @Test func `while the store is away each process goes on by what it knew, and nothing that was used is forgotten`() async {
        let processes = Processes(2, policy { $0.requestsPerMinute = 10 })
        await processes.serve {
            #expect(await processes.ask(0) == nil)
            processes.store.fail(.unavailable)
            #expect(await processes.askEverywhere(20) == 9 + 10)
            processes.meters[0].ended(tokens: 70, at: processes.clock.now)
            processes.store.fail(nil)
            processes.clock.advance(by: .seconds(61))
            #expect(await processes.ask(0) == nil)
            #expect(processes.meters[0].account.monthTokens(at: processes.clock.now) == 70)
        }
    }

    @Test func `what ended last is told when the process ends`() async throws {
        let processes = Processes(1, policy { $0.monthlyTokenBudget = 1_000 })
        await processes.serve {
            #expect(await processes.ask(0) == nil)
            processes.meters[0].ended(tokens: 123, at: processes.clock.now)
        }
        let document = try #require(try await processes.store.document(.clientMeter, named: "7"))
        let account = try #require(ClientAccount(octets: document.body, policy: ClientPolicy()))
        #expect(account.monthTokens(at: processes.clock.now) == 123)
    }
}
