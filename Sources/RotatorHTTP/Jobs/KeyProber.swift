// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Sends probes by libcurl's own HTTP engine, on a thread of its own: they are few beside the requests, and want HTTP/2, outbound proxies and TLS as
/// the requests have them. The thread begins with the first probe and ends when none has come for ten seconds, and its connections with it.
final class KeyProber: ProbeSender {
    private struct Arrival {
        var id: UInt64
        var call: ProbeCall
        var secret: Secret
        var continuation: CheckedContinuation<ProbeAnswer, Never>
    }

    private struct Mailbox {
        var lastID: UInt64 = 0
        var arrivals: [Arrival] = []
        /// Probes whose callers no longer wait; each is taken out by the call that made it.
        var cancelled: Set<UInt64> = []
        /// What the thread works with; nil while there is no thread.
        var multi: TransferMulti?
    }

    private let settings: ProxySettings
    private let mailbox = OutOfLineMutex(Mailbox())

    /// A prober that reaches upstreams as the requests do.
    init(settings: ProxySettings) {
        CurlLibrary.initialise()
        self.settings = settings
    }

    func send(_ call: ProbeCall, with secret: Secret) async -> ProbeAnswer {
        let id = mailbox.withLock { mailbox in
            mailbox.lastID += 1
            return mailbox.lastID
        }
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { post(Arrival(id: id, call: call, secret: secret, continuation: $0)) }
        } onCancel: {
            let multi = mailbox.withLock { mailbox in
                mailbox.cancelled.insert(id)
                return mailbox.multi
            }
            multi?.wake()
        }
        mailbox.withLock { _ = $0.cancelled.remove(id) }
        return answer
    }

    private func post(_ arrival: Arrival) {
        let (isCancelled, running, begun) = mailbox.withLock { mailbox -> (Bool, TransferMulti?, TransferMulti?) in
            // Cancelled before it arrived: the thread may have looked at the cancellations already.
            if mailbox.cancelled.contains(arrival.id) { return (true, nil, nil) }
            mailbox.arrivals.append(arrival)
            if let multi = mailbox.multi { return (false, multi, nil) }
            let multi = TransferMulti(connectionsMax: 256)
            mailbox.multi = multi
            return (false, nil, multi)
        }
        if isCancelled { return arrival.continuation.resume(returning: .cancelled) }
        running?.wake()
        guard let begun else { return }
        if !begun.startThread({ self.work(with: $0) }) {
            // Without a thread nothing can be sent; those who come later try again.
            let arrivals = mailbox.withLock { mailbox in
                defer { mailbox.arrivals = [] }
                mailbox.multi = nil
                return mailbox.arrivals
            }
            for arrival in arrivals { arrival.continuation.resume(returning: .failed(reason: "no_thread")) }
        }
    }

    /// The thread's loop.
    private func work(with multi: TransferMulti) {
        var probes: [UInt: (id: UInt64, probe: CurlProbe, continuation: CheckedContinuation<ProbeAnswer, Never>)] = [:]
        while true {
            let (arrivals, cancelled) = mailbox.withLock { mailbox in
                defer { mailbox.arrivals = [] }
                return (mailbox.arrivals, mailbox.cancelled)
            }
            for arrival in arrivals {
                guard let probe = CurlProbe(arrival.call, with: arrival.secret, settings: settings) else {
                    arrival.continuation.resume(returning: .failed(reason: "no_memory"))
                    continue
                }
                probes[probe.address] = (arrival.id, probe, arrival.continuation)
                unsafe multi.add(probe.easy)
            }
            if !cancelled.isEmpty {
                for (address, one) in probes where cancelled.contains(one.id) {
                    unsafe multi.remove(one.probe.easy)
                    probes[address] = nil
                    one.continuation.resume(returning: .cancelled)
                }
            }
            multi.perform { address, code in
                guard let one = probes.removeValue(forKey: address) else { return }
                unsafe multi.remove(one.probe.easy)
                one.continuation.resume(returning: one.probe.answer(code))
            }
            let wasWoken = multi.wait(probes.isEmpty ? Self.idleMilliseconds : 1_000)
            if probes.isEmpty, !wasWoken {
                let isOver = mailbox.withLock { mailbox in
                    if mailbox.arrivals.isEmpty { mailbox.multi = nil }
                    return mailbox.multi == nil
                }
                if isOver { return }
            }
        }
    }

    private static let idleMilliseconds: Int32 = 10_000
}
