// SPDX-License-Identifier: MIT

internal import Dispatch

/// Where passphrases become keys and whole catalogues are sealed or opened: one after the other, on a thread that serves nothing else.
///
/// So however many imports arrive at once, they take one core and the memory of one derivation.
final class SealingQueue: Sendable {
    private let queue = DispatchQueue(label: "api-key-rotator.sealing")
    private let gate = SerialGate(waitingMax: 16)

    /// Does `work`, after everything that waits already. Throws ``SerialGate/Full`` when too much does.
    func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async throws(SerialGate.Full) -> Value {
        try await gate.enter()
        defer { gate.leave() }
        return await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: work()) }
        }
    }
}
