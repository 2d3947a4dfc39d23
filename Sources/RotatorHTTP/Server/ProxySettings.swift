// SPDX-License-Identifier: MIT

public import RotatorCore

/// What a server is told once, at its start.
public struct ProxySettings: Sendable {
    /// The address to listen on: an IPv4 or IPv6 address, or a name that resolves to one.
    public var host = "127.0.0.1"
    /// The port to listen on; 0 picks a free one.
    public var port = 8000
    /// Reactor threads, 1 or more.
    public var workerThreads = 1
    /// Larger request bodies get 413.
    public var bodyBytesMax = 67_108_864
    /// Bounds all attempts of an exchange together, unless the answer is a stream.
    public var exchangeTimeout: Duration = .seconds(600)
    /// Bounds name lookup, TCP and TLS of one attempt.
    public var connectTimeout: Duration = .seconds(10)
    /// From the request's last octet to the last of the response head.
    public var firstByteTimeout: Duration = .seconds(120)
    /// How long a body may stand still, either way.
    public var streamIdleTimeout: Duration = .seconds(300)
    /// Keys tried for one request where the service does not say.
    public var attemptLimit = 3
    /// A request body up to this size is kept for another attempt.
    public var replayBytesMax = 8_388_608
    /// Which outbound proxy a URL goes through.
    public var outboundProxies = OutboundProxies()
    /// A PEM file with trust roots besides the system's.
    public var upstreamCAFile: String?
    /// The bearer token that `/metrics` wants; nil = none.
    public var metricsToken: String?
    /// Who may use the proxy surface where the server is given no `ClientDirectory`; nil: not known yet, so that requests get 503 `store_unavailable`.
    public var clientKeys: [ClientKey]? = []
    /// How long a client may take for a request head.
    public var headTimeout: Duration = .seconds(30)
    /// How long a client may pause within a request body.
    public var bodyIdleTimeout: Duration = .seconds(30)
    /// How long a connection may be idle between requests.
    public var keepAliveTimeout: Duration = .seconds(75)

    /// The defaults.
    public init() {}
}

/// The outbound proxies of the environment, read once (curl(1), "Environment").
public struct OutboundProxies: Sendable, Hashable {
    /// For http targets.
    public var http: String?
    /// For https targets.
    public var https: String?
    /// For both where the one above is not set.
    public var all: String?
    /// Comma-separated host names, domains and addresses that are reached directly; `*` for all.
    public var except: String?

    /// None.
    public init() {}

    /// The proxy for a target; nil = directly.
    public func proxy(isTLS: Bool, host: String) -> String? {
        guard let proxy = (isTLS ? https : http) ?? all, !proxy.isEmpty, !isExcepted(host) else { return nil }
        return proxy
    }

    private func isExcepted(_ host: String) -> Bool {
        guard let except else { return false }
        let host = host.lowercased()
        for part in except.split(whereSeparator: { $0 == "," || $0 == " " }) {
            if part == "*" { return true }
            var name = part.lowercased()
            // A port after a name is ignored, as curl does; an IPv6 address may stand in brackets.
            if name.hasPrefix("["), let end = name.firstIndex(of: "]") { name = String(name[name.index(after: name.startIndex)..<end]) }
            if name.hasPrefix(".") { name.removeFirst() }
            if name.isEmpty { continue }
            if host == name || host.hasSuffix("." + name) { return true }
            if let slash = name.firstIndex(of: "/"), let bits = Int(name[name.index(after: slash)...]), AddressRange(name[..<slash], bits: bits)?.contains(host) == true { return true }
        }
        return false
    }
}
