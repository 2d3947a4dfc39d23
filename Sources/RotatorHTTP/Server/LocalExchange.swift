// SPDX-License-Identifier: MIT

internal import RotatorCore

/// A request that the server answers itself. Collects its body, hands it to the ``LocalHandler`` off the reactor, and sends the answer.
final class LocalExchange: Exchange {
    private var body: [UInt8] = []
    private var strangersOctets = 0
    private var error: ProxyError?
    private var isAnswered = false
    private var ticket: UInt64 = 0
    private var path = ""
    private var query: String?
    private let worker: Worker
    private var pump: BodyPump?

    init(request: MessageHead, connection: ServerConnection, path: String = "", query: String? = nil, error: ProxyError? = nil) {
        self.error = error
        self.path = path
        self.query = query
        worker = connection.worker
        super.init(request: request, connection: connection)
    }

    override func bodyArrived(_ bytes: ByteView) {
        guard error == nil, let connection else { return }
        let limit = connection.worker.settings.bodyBytesMax
        if body.count + bytes.count > limit {
            error = ProxyError(.bodyTooLarge, "The request body is larger than \(limit) octets.")
            body = []
        } else if worker.holdForStranger(bytes.count) {
            strangersOctets += bytes.count
            unsafe body.append(contentsOf: bytes.raw)
        } else {
            error = ProxyError(.storeUnavailable, "Too many large requests are being read at the same time. Try again soon.", retryAfter: .seconds(1))
            body = []
        }
    }

    override func inputPaused() {
        guard let connection, !isAnswered else { return }
        if error == nil, let length = request.contentLength, length > connection.worker.settings.bodyBytesMax {
            error = ProxyError(.bodyTooLarge, "The request body is larger than \(connection.worker.settings.bodyBytesMax) octets.")
        }
        if error != nil { answerError() } else if !connection.isRequestWhole { connection.wantBody() }
    }

    override func bodyEnded() {
        guard let connection, !isAnswered else { return }
        if error != nil { return answerError() }
        if path == "/healthz", request.methodView.equals("GET") || request.methodView.equals("HEAD") {
            return send(LocalResponse(status: 200, fields: [HeaderField("Content-Type", "text/plain; charset=utf-8"), HeaderField("Cache-Control", "no-store")], body: Array("ok\n".utf8)))
        }
        let local = LocalRequest(method: request.methodView.string, path: path, query: query, fields: request.headerFields, body: body, peerAddress: connection.peerAddress)
        body = []
        letGo()
        ticket = worker.await(self)
        worker.hand(local, ticket: ticket)
    }

    override func requestFailed(_ error: ProxyError) {
        self.error = self.error ?? error
        answerError()
    }

    /// What was read has been handed on, or is not wanted.
    private func letGo() {
        worker.releaseForStranger(strangersOctets)
        strangersOctets = 0
    }

    override func clientGone() {
        letGo()
        worker.forget(ticket)
        isAnswered = true
        pump?.end()
        pump = nil
    }

    override func clientHalfClosed() {
        // Nobody is left to read a stream; a whole answer is on its way already.
        if pump != nil { connection?.close() }
    }

    override func outputDrained() { pump?.outputDrained() }

    override func serverDrains() { endStream() }

    private func answerError() {
        guard let error, let connection else { return }
        let adapter = connection.worker.adapter(forMalformed: request)
        let body = adapter.body(for: error)
        var fields: HeaderFields = [HeaderField("Content-Type", body.contentType)]
        if error.code == .methodNotAllowed { fields.lines.append(HeaderField("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")) }
        if let retryAfter = error.retryAfter { fields.lines.append(HeaderField("Retry-After", String(max(1, retryAfter.components.seconds)))) }
        send(LocalResponse(status: error.code.status, fields: fields, body: body.octets))
    }

    /// Sends the whole answer.
    func send(_ response: LocalResponse) {
        guard let connection, !isAnswered else {
            response.stream?.cancel()
            return
        }
        isAnswered = true
        letGo()
        if let stream = response.stream, !request.methodView.equals("HEAD"), !worker.isDraining { pump = BodyPump(stream, of: self, on: worker.reactor) }
        let isChunked = request.minorVersion >= 1
        if pump != nil, !isChunked {
            connection.closeAfterResponse()
            responseEndsWithConnection = true
        }
        let out = connection.output
        LocalExchange.appendStatusLine(response.status, to: out)
        for field in response.fields.lines {
            out.append(text: field.name)
            out.append(": ")
            out.append(text: field.value)
            out.append("\r\n")
        }
        if pump != nil {
            if isChunked { out.append("Transfer-Encoding: chunked\r\n") }
        } else if response.status != 204, response.status != 304 {
            out.append("Content-Length: ")
            out.append(decimal: response.body.count)
            out.append("\r\n")
        }
        out.append("x-rotator-request-id: ")
        if let own = ProxyExchange.saneID(request) { out.append(own) } else { out.append(requestIDHex: connection.worker.nextRequestID()) }
        out.append("\r\nx-rotator-attempts: 0\r\n")
        if connection.mustClose {
            out.append("Connection: close\r\n")
        } else if request.minorVersion == 0 {
            out.append("Connection: keep-alive\r\n")
        }
        out.append("\r\n")
        if let pump {
            connection.flush()
            return pump.pull()
        }
        response.stream?.cancel()
        if !request.methodView.equals("HEAD"), response.status != 204, response.status != 304 { out.append(response.body) }
        connection.finishResponse()
    }

    /// Sends the next octets of a stream; returns whether the client takes more of them now.
    func relay(_ octets: [UInt8]) -> Bool {
        guard let connection, pump != nil else { return false }
        if octets.isEmpty { return true }
        let out = connection.output
        let isChunked = request.minorVersion >= 1
        if isChunked {
            out.append(hexadecimal: octets.count)
            out.append("\r\n")
        }
        out.append(octets)
        if isChunked { out.append("\r\n") }
        connection.flush()
        return connection.backlog < ServerConnection.backlogLimit
    }

    /// Ends a stream where it stands.
    func endStream() {
        guard let connection, let pump else { return }
        self.pump = nil
        pump.end()
        if request.minorVersion >= 1 { connection.output.append("0\r\n\r\n") }
        connection.finishResponse()
    }

    static func appendStatusLine(_ status: Int, to out: ByteBuffer) {
        out.append("HTTP/1.1 ")
        out.append(decimal: status)
        out.append(0x20)
        out.append(reason(status))
        out.append("\r\n")
    }

    /// The reason phrase of RFC 9110 §15.
    private static func reason(_ status: Int) -> StaticString {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status"
        }
    }
}
