// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The events that one listener is told, as the body of an answer. Ends when its time is over, when the listener reads too slowly, or when nobody holds it any more.
final class EventStream: StreamedBody {
    /// What waits for the listener.
    final class Mailbox: Sendable {
        private struct State: Sendable {
            var waiting: [UInt8] = []
            var isClosed = false
            var reader: CheckedContinuation<[UInt8]?, Never>?
        }

        /// More octets than these do not wait for a listener: it is left behind.
        static let octetsMax = 1 << 20
        /// Where so many wait, counters are not worth telling any more.
        static let losableOctetsMax = 65_536

        /// When the listener's right to listen ends.
        let end: Moment
        private let state = OutOfLineMutex(State())

        init(end: Moment) { self.end = end }

        var isClosed: Bool { state.withLock(\.isClosed) }

        /// Puts an event to what waits. One that may be lost is, where much waits already; where one that may not be finds no room, the listener is left behind.
        func offer(_ octets: [UInt8], mayBeLost: Bool) {
            let reader = state.withLock { state -> (CheckedContinuation<[UInt8]?, Never>, [UInt8]?)? in
                if state.isClosed { return nil }
                if mayBeLost, state.waiting.count > Self.losableOctetsMax { return nil }
                guard state.waiting.count + octets.count <= Self.octetsMax else {
                    state.isClosed = true
                    state.waiting = []
                    return state.reader.take().map { ($0, nil) }
                }
                guard let reader = state.reader.take() else {
                    state.waiting += octets
                    return nil
                }
                return (reader, octets)
            }
            reader.map { $0.0.resume(returning: $0.1) }
        }

        /// What waits, as soon as anything does; nil at the end. One reader at a time.
        func next() async -> [UInt8]? {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> [UInt8]?? in
                    if !state.waiting.isEmpty {
                        defer { state.waiting = [] }
                        return .some(state.waiting)
                    }
                    if state.isClosed { return .some(nil) }
                    state.reader = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        }

        /// Nothing comes any more; what waits is still handed out.
        func close() {
            let reader = state.withLock { state in
                state.isClosed = true
                return state.reader.take()
            }
            reader?.resume(returning: nil)
        }
    }

    private let mailbox: Mailbox
    private let forget: @Sendable () -> Void

    init(_ mailbox: Mailbox, forget: @escaping @Sendable () -> Void) {
        self.mailbox = mailbox
        self.forget = forget
    }

    deinit { forget() }

    func next() async -> [UInt8]? { await mailbox.next() }

    func cancel() {
        mailbox.close()
        forget()
    }
}
