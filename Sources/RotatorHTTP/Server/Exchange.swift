// SPDX-License-Identifier: MIT

internal import RotatorCore

/// One client request and its one response, seen from the connection it came on. Confined to one reactor.
///
/// The connection calls the `…` past-tense members; the exchange answers through the connection's ``ServerConnection/output`` and its imperatives.
class Exchange {
    /// The request's head; the exchange owns it until it is over.
    final let request: MessageHead
    // Never changed, so that a look at it counts no references.
    private final let link: ServerConnection
    private final var isLinked = true
    /// Nil once the exchange is over.
    final var connection: ServerConnection? { @inline(__always) get { isLinked ? link : nil } }
    /// Whether the client knows the response's end by the connection's end alone: a break-off must then be a reset.
    final var responseEndsWithConnection = false

    init(request: MessageHead, connection: ServerConnection) {
        self.request = request
        link = connection
    }

    /// The exchange has no connection any more.
    final func unlink() { isLinked = false }

    /// Some octets of the request body.
    func bodyArrived(_ bytes: ByteView) {}
    /// The request is whole.
    func bodyEnded() {}
    /// All octets that had come are delivered; more may follow.
    func inputPaused() {}
    /// The request cannot be read on: framing or limits, or no octet for too long.
    func requestFailed(_ error: ProxyError) {}
    /// The client has closed its side after its whole request.
    func clientHalfClosed() {}
    /// The connection is gone; nothing can be answered.
    func clientGone() {}
    /// The server is going down: what would never end by itself is to end now.
    func serverDrains() {}
    /// The client has read what was waiting for it.
    func outputDrained() {}
    /// The moment that the exchange asked for by its connection's ``ServerConnection/exchangeDeadline`` has come.
    func deadlinePassed() {}
}
