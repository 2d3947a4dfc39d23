// SPDX-License-Identifier: MIT

@testable import RotatorHTTP

/// Request heads and what must become of them. Each is read whole and cut at every octet.
enum HeadTexts {
    /// A head that is sound, with what it says.
    struct Sound: Sendable {
        var text: String
        var method = "GET"
        var target = "/"
        var minorVersion = 1
        var contentLength: Int?
        var isChunked = false
        var fieldCount = 1
    }

    static let soundRequests: [Sound] = [
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Sound(text: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Sound(text: "GET / HTTP/1.0\r\n\r\n", minorVersion: 0, fieldCount: 0),
        Sound(text: "GET / HTTP/1.0\r\nHost: a\r\n\r\n", minorVersion: 0),
        Sound(text: "GET / HTTP/1.9\r\nHost: a\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost:a\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost:\t a \t\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nhOST: a\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost: %41.example\r\n\r\n"),
        Sound(text: "GET / HTTP/1.1\r\nHost: a_b-c.d~e!f$g&h'i(j)k*l+m,n;o=p\r\n\r\n"),
        Sound(text: "POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", method: "POST", target: "/a?b=c", contentLength: 5, fieldCount: 2),
        Sound(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method: "POST", contentLength: 0, fieldCount: 2),
        Sound(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n", method: "POST", contentLength: 7, fieldCount: 2),
        Sound(text: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n", method: "POST", contentLength: .max, fieldCount: 2),
        Sound(text: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", method: "POST", isChunked: true, fieldCount: 2),
        Sound(text: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n", method: "POST", isChunked: true, fieldCount: 2),
        Sound(text: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \tchunked \r\n\r\n", method: "POST", isChunked: true, fieldCount: 2),
        Sound(text: "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n", method: "!#$%&'*+-.^_`|~09azAZ"),
        Sound(text: "GET /!\"$%&'()*+,-./0:;<=>?@A[\\]^_`a{|}~ HTTP/1.1\r\nHost: a\r\n\r\n", target: "/!\"$%&'()*+,-./0:;<=>?@A[\\]^_`a{|}~"),
        Sound(text: "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", target: "http://a/b"),
        Sound(text: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", method: "OPTIONS", target: "*"),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\nX: \u{80}é\r\n\r\n", fieldCount: 2),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", fieldCount: 2),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nX:\r\n\r\n", fieldCount: 3),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~: x\r\n\r\n", fieldCount: 2),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", fieldCount: 2),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\nConnection: , close,,\r\n\r\n", fieldCount: 2),
        Sound(text: "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer_Encoding: x\r\n\r\n", fieldCount: 3),
    ]

    /// Heads that RFC 9112 forbids, or that two readers could understand differently.
    static let malformedRequests: [String] = requestLines.map { $0 + "\r\nHost: a\r\n\r\n" } + fieldLines.map { "GET / HTTP/1.1\r\nHost: a\r\n" + $0 + "\r\n\r\n" } + hosts + whole

    private static let requestLines = [
        "GET", "GET /", "GET / ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "\tGET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1", "GET / HTTP/1.1 ",
        "GET / HTTP/1.1\t", "GET / http/1.1", "GET / HTTP /1.1", "GET / HTTP/1,1", "GET / HTTP/11", "GET / HTTP/1.", "GET / HTTP/.1", "GET / HTTP/1.10", "GET / HTTP/01.1",
        "GET / HTTP/1.1a", "GET / HTTP/x.1", "GET / HTTP/1.x", "GET / HTTPS/1.1", "GET / FTP/1.1", "GET / HTTP", "G(T / HTTP/1.1", "G\"T / HTTP/1.1", "G/T / HTTP/1.1", "G:T / HTTP/1.1",
        "G;T / HTTP/1.1", "G<T / HTTP/1.1", "G=T / HTTP/1.1", "G?T / HTTP/1.1", "G@T / HTTP/1.1", "G[T / HTTP/1.1", "G\\T / HTTP/1.1", "G{T / HTTP/1.1", "G}T / HTTP/1.1", "G,T / HTTP/1.1",
        "GÉT / HTTP/1.1", "G\u{0}T / HTTP/1.1", "G\u{7F}T / HTTP/1.1", "GET /\u{0} HTTP/1.1", "GET /\u{1} HTTP/1.1", "GET /\u{7F} HTTP/1.1", "GET /é HTTP/1.1", "GET /a#b HTTP/1.1", "GET # HTTP/1.1",
        "GET /a b HTTP/1.1", "GET /\u{0B} HTTP/1.1", "GET /\u{0C} HTTP/1.1", "GET / HTTP/1.1\u{0}", "GET /\rX HTTP/1.1", "GET / HTTP/1.1\r", "\u{FEFF}GET / HTTP/1.1", "/ HTTP/1.1", " / HTTP/1.1",
    ]

    private static let fieldLines = [
        "X", "X y", ": y", " X: y", "\tX: y", "X : y", "X\t: y", "X y: z", "X(: y", "X): y", "X,: y", "X/: y", "X;: y", "X<: y", "X=: y", "X>: y", "X?: y", "X@: y", "X[: y", "X\\: y", "X]: y",
        "X{: y", "X}: y", "X\": y", "é: y", "X\u{0}: y", "X\u{7F}: y", "X: \u{0}", "X: a\u{0}b", "X: \u{1}", "X: \u{7F}", "X: \u{1B}", "X: a\u{0B}b", "X: a\u{0C}b", "X: a\rb", "X: a\r", "\rX: a",
        "X: a\r\n b", "X: a\r\n\tb", "X: a\r\n ", "X: a\nY: b", "X: a\n", "\nX: a", "X\r: a",
        "Content-Length:", "Content-Length: ", "Content-Length: +5", "Content-Length: -5", "Content-Length: -0", "Content-Length: 0x5", "Content-Length: 5a", "Content-Length: a5", "Content-Length: 5 5",
        "Content-Length: 5, 5", "Content-Length: 5,5", "Content-Length: 5;", "Content-Length: 5.0", "Content-Length: 1e3", "Content-Length: ５", "Content-Length: \"5\"", "Content-Length: 5\t5", "Content-Length: 5_0",
        "Content-Length: 9223372036854775808", "Content-Length: 18446744073709551617", "Content-Length: 99999999999999999999999999999999", "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\ncontent-length: 5", "Content-Length: 0\r\nContent-Length: 0", "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0", "Transfer-Encoding: gzip\r\nContent-Length: 5", "Transfer-Encoding:", "Transfer-Encoding: ", "Transfer-Encoding: ,", "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: chunked;a=b", "Transfer-Encoding: chunked ;a=b",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked chunked", "Transfer-Encoding: @", "Transfer-Encoding: (chunked)", "Transfer-Encoding: chunked\u{0B}", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer-Encoding\t: chunked",
        "Transfer-Encoding: x chunked", "Host: a", "Host: b", "host: a", "Connection: a b", "Connection: (close)", "Connection: close; x", "Connection: \"close\"",
    ]

    private static let hosts = [
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "GET / HTTP/1.1\r\nHost: %4\r\n\r\n", "GET / HTTP/1.1\r\nHost: %zz\r\n\r\n", "GET / HTTP/1.1\r\nHost: é\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a, b@c\r\n\r\n", "GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", "GET / HTTP/1.1\r\nHost: <a>\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    ]

    private static let whole = [
        "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "\n\r\n", "\r\n\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "PRI * HTTP/2.0\n\r\n", "\u{16}\u{3}\u{1}\n", "{\"a\":1}\n", "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
    ]

    /// Heads that are refused for another reason than their grammar.
    static let otherwiseRefused: [(text: String, fault: HTTPFault)] = [
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .unsupportedVersion), ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", .unsupportedVersion), ("GET / HTTP/3.1\r\nHost: a\r\n\r\n", .unsupportedVersion), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
        ("GET / HTTP/9.9\r\n\r\n", .unsupportedVersion),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", .unknownTransferCoding), ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", .unknownTransferCoding),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unknownTransferCoding), ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", .unknownTransferCoding),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunkedx\r\n\r\n", .unknownTransferCoding), ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip;q=1\r\n\r\n", .unknownTransferCoding),
        ("GET /" + String(repeating: "a", count: 16_400) + " HTTP/1.1\r\nHost: a\r\n\r\n", .targetTooLong), (String(repeating: "a", count: 17_000), .targetTooLong),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 16_400) + "\r\n\r\n", .fieldsTooLarge), ("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 17_000), .fieldsTooLarge),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: 200) + "\r\n", .fieldsTooLarge), ("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: " + String(repeating: "y", count: 8_000) + "\r\n", count: 9) + "\r\n", .fieldsTooLarge),
    ]
}
