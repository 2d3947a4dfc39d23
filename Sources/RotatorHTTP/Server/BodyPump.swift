// SPDX-License-Identifier: MIT

/// Carries a ``StreamedBody`` to a client: the next octets are asked for when the client has taken those before.
final class BodyPump: @unchecked Sendable { // Confinement: all but `body` and `reactor`, which are thread-safe, is touched on the reactor's thread only.
    private let body: any StreamedBody
    private let reactor: Reactor
    private weak var exchange: LocalExchange?
    private var isWaitingForClient = false

    init(_ body: any StreamedBody, of exchange: LocalExchange, on reactor: Reactor) {
        self.body = body
        self.exchange = exchange
        self.reactor = reactor
    }

    /// Asks for the next octets.
    func pull() {
        // Leaves the reactor on purpose: the body may be long in coming. It comes back by `submit`.
        Task { [body, reactor] in
            let octets = await body.next()
            reactor.submit { _ in self.arrived(octets) }
        }
    }

    private func arrived(_ octets: [UInt8]?) {
        guard let exchange else { return }
        guard let octets else { return exchange.endStream() }
        if exchange.relay(octets) { pull() } else { isWaitingForClient = true }
    }

    func outputDrained() {
        guard isWaitingForClient else { return }
        isWaitingForClient = false
        pull()
    }

    /// Nobody reads any further.
    func end() {
        exchange = nil
        body.cancel()
    }
}
