// SPDX-License-Identifier: MIT

public import RotatorCore

/// A whole request that the server answers itself: the admin API, the console, `/openapi.json`.
public struct LocalRequest: Sendable {
    /// The method as sent.
    public var method: String
    /// The path as sent, without the query; begins with `/`.
    public var path: String
    /// What follows the first `?`, as sent; nil where there is none.
    public var query: String?
    /// The field lines, in order.
    public var fields: HeaderFields
    /// The whole body, at most `MAX_BODY_BYTES`.
    public var body: [UInt8]
    /// The client's address without its port, such as `127.0.0.1`.
    public var peerAddress: String

    /// A whole request.
    public init(method: String, path: String, query: String? = nil, fields: HeaderFields = [], body: [UInt8] = [], peerAddress: String = "") {
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.body = body
        self.peerAddress = peerAddress
    }
}

/// The answer to a ``LocalRequest``. The server adds `Content-Length`, `Date`, `Connection` and the request id.
public struct LocalResponse: Sendable {
    /// 200…599.
    public var status: Int
    /// The field lines, without framing.
    public var fields: HeaderFields
    /// The whole body; nothing where there is a ``stream``.
    public var body: [UInt8]
    /// A body that comes bit by bit, in chunks; nil where ``body`` is all of it.
    public var stream: (any StreamedBody)?

    /// A whole answer.
    public init(status: Int, fields: HeaderFields = [], body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// An answer whose body comes bit by bit.
    public init(status: Int, fields: HeaderFields = [], stream: any StreamedBody) {
        self.init(status: status, fields: fields)
        self.stream = stream
    }
}

/// A body that comes bit by bit. It is ended when the server shuts down; whoever made it must bound what waits in it.
public protocol StreamedBody: AnyObject, Sendable {
    /// The next octets; nil at the end. Called by one task at a time, as the client reads; must return soon after ``cancel()``.
    func next() async -> [UInt8]?
    /// Nobody reads any further. Any thread may call it, more than once.
    func cancel()
}

/// Answers what is not proxied. Runs on Swift's ordinary executor, never on a reactor: it may wait for a store.
public protocol LocalHandler: Sendable {
    /// Answers one request; an error is an answer too.
    func respond(to request: LocalRequest) async -> LocalResponse
}
