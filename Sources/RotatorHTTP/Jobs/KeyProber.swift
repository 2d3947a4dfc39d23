// SPDX-License-Identifier: MIT

internal import CCurl
internal import Glibc
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
        var multi: ProbeMulti?
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
        let (isCancelled, running, begun) = mailbox.withLock { mailbox -> (Bool, ProbeMulti?, ProbeMulti?) in
            // Cancelled before it arrived: the thread may have looked at the cancellations already.
            if mailbox.cancelled.contains(arrival.id) { return (true, nil, nil) }
            mailbox.arrivals.append(arrival)
            if let multi = mailbox.multi { return (false, multi, nil) }
            let multi = ProbeMulti()
            mailbox.multi = multi
            return (false, nil, multi)
        }
        if isCancelled { return arrival.continuation.resume(returning: .cancelled) }
        running?.wake()
        guard let begun else { return }
        if !begun.startThread(self) {
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
    fileprivate func work(with multi: ProbeMulti) {
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
                multi.add(probe)
            }
            if !cancelled.isEmpty {
                for (address, one) in probes where cancelled.contains(one.id) {
                    multi.remove(one.probe)
                    probes[address] = nil
                    one.continuation.resume(returning: .cancelled)
                }
            }
            multi.perform { address, code in
                guard let one = probes.removeValue(forKey: address) else { return }
                multi.remove(one.probe)
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

/// libcurl's multi handle, as the prober uses it. Wraps `CURLM`.
@safe private final class ProbeMulti: @unchecked Sendable { // Confinement: everything but `wake`, which libcurl allows anywhere, is the thread's alone.
    private let handle: UnsafeMutableRawPointer

    init() {
        unsafe handle = unsafe curl_multi_init()!
        _ = unsafe rotator_multi_set_long(handle, CURLMOPT_MAXCONNECTS, 256)
    }

    deinit { unsafe curl_multi_cleanup(handle) }

    /// Ends a wait that is under way, or the next one.
    func wake() { unsafe curl_multi_wakeup(handle) }

    func add(_ probe: CurlProbe) { unsafe curl_multi_add_handle(handle, probe.easy) }
    func remove(_ probe: CurlProbe) { unsafe curl_multi_remove_handle(handle, probe.easy) }

    /// Does what can be done now; tells of each transfer that has ended.
    func perform(_ ended: (UInt, CURLcode) -> Void) {
        var running: Int32 = 0
        _ = unsafe curl_multi_perform(handle, &running)
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(handle, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else { continue }
            // Read before the handle is removed, which makes the message invalid.
            let code = unsafe message.pointee.data.result
            ended(UInt(bitPattern: easy), code)
        }
    }

    /// Waits until something can be done. False when nothing has come up in time.
    func wait(_ milliseconds: Int32) -> Bool {
        let began = ContinuousClock.now
        var ready: Int32 = 0
        unsafe curl_multi_poll(handle, nil, 0, milliseconds, &ready)
        // A wake-up is not among what libcurl counts as ready: then the wait was shorter than it was to be.
        return ready > 0 || ContinuousClock.now - began < .milliseconds(milliseconds)
    }

    /// Starts the thread on which `prober` works. False when there is none to be had.
    func startThread(_ prober: KeyProber) -> Bool {
        final class Start: Sendable {
            let prober: KeyProber
            let multi: ProbeMulti
            init(prober: KeyProber, multi: ProbeMulti) {
                self.prober = prober
                self.multi = multi
            }
        }
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(prober: prober, multi: self))
        let code = unsafe pthread_create(&thread, nil, { context in
            let start = unsafe Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
            start.prober.work(with: start.multi)
            return nil
        }, start.toOpaque())
        if code != 0 {
            unsafe start.release()
            return false
        }
        _ = pthread_detach(thread)
        return true
    }
}
