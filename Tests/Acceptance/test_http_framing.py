# SPDX-License-Identifier: MIT
"""RFC 9112 to the letter: what its grammar forbids gets 400 and a closed connection, and never becomes an upstream request."""

from __future__ import annotations

import threading
import time

import pytest
from harness import PROXY_KEY, Raw, request_text

KEY = f"X-Proxy-Key: {PROXY_KEY}\r\n"
HOST = "Host: rotator.test\r\n"


@pytest.fixture(scope="module")
def service(server, provider):
    return server.service(provider, keys=1, kind="GENERIC", slug="framing")


PATH = "/proxy/framing/echo"


def get(line: str = f"GET {PATH} HTTP/1.1\r\n", fields: str = HOST + KEY, rest: str = "\r\n") -> str:
    return line + fields + rest


def post(fields: str, body: str = "", version: str = "HTTP/1.1") -> str:
    return f"POST {PATH} {version}\r\n{HOST}{KEY}{fields}\r\n{body}"


def chunked(body: str) -> str:
    return post("Transfer-Encoding: chunked\r\n", body)


LINES = {
    "two spaces after the method": get(f"GET  {PATH} HTTP/1.1\r\n"),
    "two spaces before the version": get(f"GET {PATH}  HTTP/1.1\r\n"),
    "tab after the method": get(f"GET\t{PATH} HTTP/1.1\r\n"),
    "tab before the version": get(f"GET {PATH}\tHTTP/1.1\r\n"),
    "space before the method": get(f" GET {PATH} HTTP/1.1\r\n"),
    "space after the version": get(f"GET {PATH} HTTP/1.1 \r\n"),
    "no version": get(f"GET {PATH}\r\n"),
    "no target": get("GET HTTP/1.1\r\n"),
    "no method": get(f"{PATH} HTTP/1.1\r\n"),
    "four words": get(f"GET {PATH} x HTTP/1.1\r\n"),
    "lower-case protocol": get(f"GET {PATH} http/1.1\r\n"),
    "mixed-case protocol": get(f"GET {PATH} Http/1.1\r\n"),
    "version without a dot": get(f"GET {PATH} HTTP/11\r\n"),
    "version without a minor": get(f"GET {PATH} HTTP/1.\r\n"),
    "version of three numbers": get(f"GET {PATH} HTTP/1.1.1\r\n"),
    "version with a leading zero": get(f"GET {PATH} HTTP/01.1\r\n"),
    "version with two digits": get(f"GET {PATH} HTTP/1.10\r\n"),
    "version of letters": get(f"GET {PATH} HTTP/x.y\r\n"),
    "another protocol": get(f"GET {PATH} HTCPCP/1.1\r\n"),
    "at sign in the method": get(f"G@T {PATH} HTTP/1.1\r\n"),
    "bracket in the method": get(f"GET( {PATH} HTTP/1.1\r\n"),
    "colon in the method": get(f"GET: {PATH} HTTP/1.1\r\n"),
    "8-bit octet in the method": get(f"G\u00c9T {PATH} HTTP/1.1\r\n"),
    "NUL in the method": get(f"GE\x00T {PATH} HTTP/1.1\r\n"),
    "NUL in the target": get(f"GET {PATH}/\x00 HTTP/1.1\r\n"),
    "control octet in the target": get(f"GET {PATH}/\x01 HTTP/1.1\r\n"),
    "DEL in the target": get(f"GET {PATH}/\x7f HTTP/1.1\r\n"),
    "8-bit octet in the target": get(f"GET {PATH}/\u00e9 HTTP/1.1\r\n"),
    "fragment in the target": get(f"GET {PATH}#top HTTP/1.1\r\n"),
    "target without a slash": get(f"GET {PATH[1:]} HTTP/1.1\r\n"),
    "bare CR in the request line": get(f"GET {PATH}\rX HTTP/1.1\r\n"),
    "request line ends with LF alone": get(f"GET {PATH} HTTP/1.1\n"),
    "request line ends with CR CR LF": get(f"GET {PATH} HTTP/1.1\r\r\n"),
    "a TLS hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "the HTTP/2 preface lookalike": "PRI * HTTP/1.1\r\nHost rotator\r\n\r\n",
    "only garbage": "this is not http at all\r\n\r\n",
}  # fmt: skip

FIELDS = {
    "space before the colon": "X-A : 1\r\n",
    "tab before the colon": "X-A\t: 1\r\n",
    "no colon": "X-A\r\n",
    "no name": ": 1\r\n",
    "space in the name": "X A: 1\r\n",
    "obsolete folding with a space": "X-A: 1\r\n folded\r\n",
    "obsolete folding with a tab": "X-A: 1\r\n\tfolded\r\n",
    "NUL in a value": "X-A: a\x00b\r\n",
    "bare CR in a value": "X-A: a\rb\r\n",
    "CR before CR LF": "X-A: a\r\r\n",
    "control octet in a value": "X-A: a\x01b\r\n",
    "vertical tab in a value": "X-A: a\x0bb\r\n",
    "escape in a value": "X-A: \x1b[31m\r\n",
    "DEL in a value": "X-A: a\x7fb\r\n",
    "NUL in a name": "X\x00A: 1\r\n",
    "8-bit octet in a name": "X-\u00c9: 1\r\n",
    "line ends with LF alone": "X-A: 1\nX-B: 2\r\n",
    "smuggled Content-Length after LF": "X-A: 1\nContent-Length: 5\r\n",
    "leading space on a later line": " X-A: 1\r\n",
    **{f"{name} in a name": f"X{octet}A: 1\r\n" for name, octet in {
        "bracket": "(", "closing bracket": ")", "less": "<", "greater": ">", "at sign": "@", "comma": ",", "semicolon": ";", "backslash": "\\", "quote": '"',
        "slash": "/", "square bracket": "[", "closing square bracket": "]", "question mark": "?", "equals sign": "=", "brace": "{", "closing brace": "}",
    }.items()},
}  # fmt: skip

HOSTS = {
    "no Host": get(fields=KEY),
    "two Hosts": get(fields=HOST + "Host: other.test\r\n" + KEY),
    "two equal Hosts": get(fields=HOST + HOST + KEY),
    "Host with a space": get(fields="Host: a b\r\n" + KEY),
    "Host with a path": get(fields="Host: a/b\r\n" + KEY),
    "Host with user information": get(fields="Host: user@a\r\n" + KEY),
    "Host with a scheme": get(fields="Host: http://a\r\n" + KEY),
    "Host with a list": get(fields="Host: a, b\r\n" + KEY),
    "Host with a wrong port": get(fields="Host: a:port\r\n" + KEY),
    "space before the first field": get(fields=" " + HOST + KEY),
}  # fmt: skip

LENGTHS = {
    "negative": "-5", "signed": "+5", "two numbers": "5 5", "hexadecimal": "0x5", "list": "5, 5", "different list": "5, 6", "empty": "", "decimal": "5.0",
    "exponent": "1e1", "letters": "five", "2 to the 64th": "18446744073709551616", "2 to the 64th and five": "18446744073709551621", "thirty digits": "9" * 30,
    "comma behind": "5,", "comma before": ",5", "quoted": '"5"', "vertical tab": "\x0b5", "underscore": "1_0",
}  # fmt: skip
BODIES = {
    **{f"Content-Length: {name}": post(f"Content-Length: {value}\r\n", "hello") for name, value in LENGTHS.items()},
    "two equal Content-Length": post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    "two different Content-Length": post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
    "Content-Length with Transfer-Encoding": post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "Transfer-Encoding with Content-Length": post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    "Content-Length 0 with Transfer-Encoding": post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "Transfer-Encoding in HTTP/1.0": post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "HTTP/1.0"),
    "chunked twice": post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    "chunked in two fields": post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    "empty Transfer-Encoding": post("Transfer-Encoding:\r\n", "0\r\n\r\n"),
    "vertical tab before chunked": post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    "NUL after chunked": post("Transfer-Encoding: chunked\x00\r\n", "0\r\n\r\n"),
}  # fmt: skip
UNKNOWN_CODINGS = ["gzip", "xchunked", "identity", "chunked, identity", "gzip, chunked", "chunked, gzip", "cow", "chunked;q=1"]

CHUNKS = {
    "letters for a size": "xyz\r\nhello\r\n0\r\n\r\n",
    "no size": "\r\nhello\r\n0\r\n\r\n",
    "space before the size": " 5\r\nhello\r\n0\r\n\r\n",
    "0x before the size": "0x5\r\nhello\r\n0\r\n\r\n",
    "negative size": "-5\r\nhello\r\n0\r\n\r\n",
    "signed size": "+5\r\nhello\r\n0\r\n\r\n",
    "17 digits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size that overflows": "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    "underscore in the size": "0_5\r\nhello\r\n0\r\n\r\n",
    "size line ends with LF alone": "5\nhello\r\n0\r\n\r\n",
    "bare CR after the size": "5\rhello\r\n0\r\n\r\n",
    "data longer than its size": "5\r\nhello!\r\n0\r\n\r\n",
    "data without its CR LF": "5\r\nhello0\r\n\r\n",
    "data ends with LF alone": "5\r\nhello\n0\r\n\r\n",
    "data shorter than its size": "6\r\nhello\r\n0\r\n\r\n",
    "last chunk ends with LF alone": "5\r\nhello\r\n0\n\r\n",
    "body ends with LF alone": "5\r\nhello\r\n0\r\n\n",
    "extension without a name": "5;\r\nhello\r\n0\r\n\r\n",
    "extension with an empty name": "5;=v\r\nhello\r\n0\r\n\r\n",
    "extension with two words": "5;a b\r\nhello\r\n0\r\n\r\n",
    "extension with an open quote": '5;a="b\r\nhello\r\n0\r\n\r\n',
    "bare LF in an extension": "5;a\nb\r\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": "5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "trailer without a colon": "5\r\nhello\r\n0\r\nX-Trailer\r\n\r\n",
    "trailer with a space before the colon": "5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
    "trailer with obsolete folding": "5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n",
    "trailer with LF alone": "5\r\nhello\r\n0\r\nX: 1\n\r\n",
    "trailer with a NUL": "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
}  # fmt: skip

MALFORMED = {
    **{f"line: {name}": text for name, text in LINES.items()},
    **{f"field: {name}": get(fields=HOST + KEY + text) for name, text in FIELDS.items()},
    **{f"host: {name}": text for name, text in HOSTS.items()},
    **{f"body: {name}": text for name, text in BODIES.items()},
    **{f"chunk: {name}": chunked(text) for name, text in CHUNKS.items()},
}  # fmt: skip
SECOND = f"GET {PATH}/smuggled HTTP/1.1\r\n{HOST}{KEY}\r\n"


def test_there_are_enough_texts():
    assert len(MALFORMED) >= 120


@pytest.mark.parametrize("name", MALFORMED)
def test_what_rfc_9112_forbids_gets_400_and_a_closed_connection(server, fake, service, name):
    with server.raw(5) as raw:
        raw.send(MALFORMED[name] + SECOND)
        answer = raw.response()
        assert answer.status == 400, answer
        assert raw.closed() and not raw.buffer, "one answer, then the end"
    complete = [request for request in fake.requests() if request["body_complete_at"] is not None]
    assert not complete, f"the upstream saw {complete[0].head!r}"
    assert not any(request["anomalies"] or "smuggled" in request["target"] for request in fake.requests())


@pytest.mark.parametrize("coding", UNKNOWN_CODINGS)
def test_an_unknown_transfer_coding_is_501_or_400(server, fake, service, coding):
    with server.raw(5) as raw:
        raw.send(post(f"Transfer-Encoding: {coding}\r\n", "0\r\n\r\n") + SECOND)
        answer = raw.response()
        assert answer.status == 501 if coding in ("gzip", "xchunked", "cow", "identity") else answer.status in (400, 501), answer.status
        assert raw.closed() and not raw.buffer
    assert fake.total == 0


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"])
def test_another_major_version_is_505(server, fake, service, version):
    with server.raw(5) as raw:
        raw.send(get(f"GET {PATH} {version}\r\n"))
        assert raw.response().status == 505 and raw.closed()
    assert fake.total == 0


def test_cut_at_every_octet_a_request_is_still_one_request(server, fake, service):
    text = post("Transfer-Encoding: chunked\r\nX-A: 1\r\n", '5;name="va;lue"\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n').encode()
    for at in range(1, len(text), 3):
        with server.raw(5) as raw:
            raw.send(text[:at])
            time.sleep(0.001)
            raw.send(text[at:])
            assert raw.response().status == 200, at
    with server.raw(10) as raw:
        for octet in text:
            raw.send(bytes([octet]))
        assert raw.response().status == 200
    assert {request.body for request in fake.requests()} == {b"hello world"}


def test_a_malformed_request_cut_in_two_is_still_400(server, fake, service):
    for name in list(MALFORMED)[::7]:
        text = (MALFORMED[name]).encode("latin-1")
        with server.raw(5) as raw:
            raw.send(text[: len(text) // 2])
            time.sleep(0.005)
            raw.send(text[len(text) // 2 :] + SECOND.encode())
            assert raw.response().status == 400, name
    assert not [request for request in fake.requests() if request["body_complete_at"]]


# --- What is allowed ------------------------------------------------------------------------------------------------------------

ALLOWED = {
    "empty lines before the request line": "\r\n\r\n" + get(),
    "no space after the colon": get(fields="Host:rotator.test\r\n" + KEY),
    "tabs and spaces around a value": get(fields=HOST + KEY + "X-A: \t 1 \t \r\n"),
    "an empty value": get(fields=HOST + KEY + "X-A:\r\n"),
    "8-bit octets in a value": get(fields=HOST + KEY + "X-A: caf\u00e9\xff\r\n"),
    "every token character in a name": get(fields=HOST + KEY + "!#$%&'*+-.^_`|~09azAZ: 1\r\n"),
    "an unusual method": get(f"PROPFIND {PATH} HTTP/1.1\r\n"),
    "a lower-case method is another method": get(f"get {PATH} HTTP/1.1\r\n"),
    "a future minor version": get(f"GET {PATH} HTTP/1.9\r\n"),
    "an empty Host": get(fields="Host:\r\n" + KEY),
    "Host with an IPv6 address": get(fields="Host: [::1]:8000\r\n" + KEY),
    "leading zeros in Content-Length": post("Content-Length: 0005\r\n", "hello"),
    "Chunked with a capital": post("Transfer-Encoding: Chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    "leading zeros in a size": chunked("0005\r\nhello\r\n000\r\n\r\n"),
    "capital digits in a size": chunked("A\r\nhellohello\r\n0\r\n\r\n"),
    "chunk extensions": chunked('5;a;b=c;d="e;f\\"g"\r\nhello\r\n0;last\r\n\r\n'),
    "trailers": chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"),
    "200 fields": get(fields=HOST + KEY + "".join(f"X-{n}: 1\r\n" for n in range(198))),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_what_rfc_9112_allows_passes(server, fake, service, name):
    with server.raw(5) as raw:
        raw.send(ALLOWED[name])
        assert raw.response().status == 200
        raw.send(get())
        assert raw.response().status == 200, "and the connection is in step"
    assert fake.requests()[0]["anomalies"] == []


def test_a_chunked_body_with_extensions_and_trailers_is_reframed(server, fake, service):
    with server.raw(5) as raw:
        raw.send(chunked('5;evil="x"\r\nhello\r\n0\r\nX-Proxy-Key: other\r\nX-Sum: 1\r\n\r\n'))
        assert raw.response().status == 200
    seen = fake.last()
    assert seen.body == b"hello" and seen["trailers"] == [] and "evil" not in str(seen["headers"])


# --- Limits ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (get(f"GET {PATH}?{'x' * 16500} HTTP/1.1\r\n"), 414),
        ("G" * 17000, 414),
        (get(fields=HOST + KEY + "X-A: " + "x" * 16500 + "\r\n"), 431),
        (get(fields=HOST + KEY + "x" * 17000), 431),
        (get(fields=HOST + KEY + "".join(f"X-{n}: {'y' * 8000}\r\n" for n in range(9))), 431),
        (get(fields=HOST + KEY + "".join(f"X-{n}: 1\r\n" for n in range(199))), 431),
        (chunked("5;a=" + "x" * 17000 + "\r\nhello\r\n0\r\n\r\n"), 400),
        (chunked("5\r\nhello\r\n0\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(201)) + "\r\n"), 431),
        (chunked("5\r\nhello\r\n0\r\nX-A: " + "x" * 17000 + "\r\n\r\n"), 431),
        (post("Content-Length: 99999999999\r\n"), 413),
    ],
    ids=["long target", "endless request line", "long field", "endless field", "64 KiB of fields", "201 fields", "long extension", "201 trailers", "long trailer", "long body"],
)
def test_limits(server, fake, service, text, status):
    with server.raw(5) as raw:
        raw.send(text)
        answer = raw.response()
        assert answer.status == status
        assert raw.closed()
    assert not [request for request in fake.requests() if request["body_complete_at"]]


def test_just_below_the_limits_all_passes(server, fake, service):
    with server.raw(5) as raw:
        raw.send(get(f"GET {PATH}?{'x' * (16384 - len(PATH) - 16)} HTTP/1.1\r\n", HOST + KEY + "X-A: " + "x" * 16300 + "\r\n" + "X-B: " + "x" * 16300 + "\r\n"))
        assert raw.response().status == 200


def test_many_small_chunk_extensions_are_held_to_the_limit_together_or_dropped(server, fake, service):
    with server.raw(10) as raw:
        raw.send(chunked("".join("1;a=" + "x" * 100 + "\r\nh\r\n" for _ in range(1000)) + "0\r\n\r\n"))
        assert raw.response().status in (200, 400)


# --- Connections --------------------------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_their_order(server, fake, service):
    count = 30
    with server.raw() as raw:
        text = ""
        for n in range(count):
            text += get(f"GET {PATH}/{n} HTTP/1.1\r\n") if n % 3 else f"POST {PATH}/{n} HTTP/1.1\r\n{HOST}{KEY}Content-Length: 3\r\n\r\nabc"
        raw.send(text)
        for n in range(count):
            answer = raw.response()
            assert answer.status == 200 and answer.json["target"].endswith(f"/{n}")
    assert fake.total == count


def test_a_connection_carries_many_requests(server, fake, service):
    with server.raw() as raw:
        for n in range(200):
            raw.send(get(f"GET {PATH}/{n} HTTP/1.1\r\n"))
            assert raw.response().json["target"].endswith(f"/{n}")


def test_connection_close_is_obeyed_and_announced(server, service):
    with server.raw() as raw:
        raw.send(get(fields=HOST + KEY + "Connection: close\r\n"))
        answer = raw.response()
        assert answer.status == 200 and "close" in answer.get("connection", "").lower() and raw.closed()


@pytest.mark.parametrize("fields", ["", "Connection: keep-alive\r\n"])
def test_http_1_0_is_served(server, service, fields):
    with server.raw() as raw:
        raw.send(f"GET {PATH} HTTP/1.0\r\n{KEY}{fields}\r\n")
        answer = raw.response()
        assert answer.status == 200 and answer.json["method"] == "GET"
        if not fields:
            assert raw.closed()


@pytest.mark.parametrize("path", ["/bytes/5000", "/chunked/5000", "/echo", "/status/404", "/closedelimited/10"])
def test_head_has_no_body_and_the_connection_stays_in_step(server, fake, service, path):
    with server.raw() as raw:
        raw.send(f"HEAD /proxy/framing{path} HTTP/1.1\r\n{HOST}{KEY}\r\n")
        answer = raw.response(head_only=True)
        assert answer.status == (404 if "404" in path else 200)
        if path == "/bytes/5000":
            assert answer.get("content-length") == "5000"
        if "close" in answer.get("connection", "").lower():
            return
        raw.send(get())
        assert raw.response().status == 200
    assert fake.requests()[0]["method"] == "HEAD"


@pytest.mark.parametrize("status", [204, 304])
def test_a_bodyless_status_leaves_the_connection_in_step(server, service, status):
    with server.raw() as raw:
        raw.send(get(f"GET /proxy/framing/status/{status} HTTP/1.1\r\n"))
        assert raw.response().status == status
        raw.send(get())
        assert raw.response().status == 200


def test_expect_100_continue_is_answered_before_the_body_is_sent(server, fake, service):
    with server.raw(3) as raw:
        raw.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n"))
        assert raw.line().startswith(b"HTTP/1.1 100") and raw.line() == b"\r\n"
        raw.send("hello")
        assert raw.response().status == 200
    assert fake.last().body == b"hello"


def test_expect_100_continue_is_not_answered_where_the_request_is_refused(server, fake, service):
    with server.raw(3) as raw:
        raw.send(f"POST {PATH} HTTP/1.1\r\n{HOST}X-Proxy-Key: wrong\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        answer = raw.response()
        assert answer.status == 401 and answer.informational == []


def test_an_http_1_0_client_is_never_sent_a_100(server, service):
    with server.raw(3) as raw:
        raw.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello", "HTTP/1.0"))
        answer = raw.response()
        assert answer.status == 200 and answer.informational == []


@pytest.mark.parametrize("line", ["CONNECT example.org:443", f"CONNECT {PATH}", f"TRACE {PATH}", "TRACE /"])
@pytest.mark.parametrize("key", [True, False])
def test_connect_and_trace_are_405(server, fake, service, line, key):
    with server.raw(5) as raw:
        raw.send(f"{line} HTTP/1.1\r\n{HOST}{KEY if key else ''}\r\n")
        assert raw.response().status == 405
    assert fake.total == 0


def test_an_error_before_the_body_does_not_let_the_body_become_a_request(server, fake, service):
    with server.raw(3) as raw:
        raw.send(f"POST /proxy/framing/echo HTTP/1.1\r\n{HOST}X-Proxy-Key: wrong\r\nContent-Length: {len(SECOND)}\r\n\r\n{SECOND}")
        assert raw.response().status == 401
        raw.closed(0.5)
        assert b"200 OK" not in raw.buffer
    assert fake.total == 0


def test_many_idle_connections_harm_nobody(server, service):
    idle = [Raw(server.port) for _ in range(500)]
    for raw in idle:
        raw.send("GET /proxy")
    assert server.ask("GET", PATH).status == 200
    for raw in idle:
        raw.close()
    assert server.ask("GET", PATH).status == 200


# --- Thirty seconds: both wait beside the other tests of this file ---------------------------------------------------------------


class Dawdlers:
    """Two clients that stop in the middle: one within its head (a little at a time), one within its body."""

    def __init__(self, server):
        self.started = time.monotonic()
        self.head, self.body = Raw(server.port, 50), Raw(server.port, 50)
        self.head.send("GET / HTTP/1.1\r\n")
        self.body.send(post("Content-Length: 500\r\n", "hello"))
        self.answers: dict[str, tuple] = {}
        self.threads = [threading.Thread(target=self.watch, args=("head", self.head), daemon=True), threading.Thread(target=self.watch, args=("body", self.body), daemon=True)]
        self.threads.append(threading.Thread(target=self.dribble, daemon=True))
        for thread in self.threads:
            thread.start()

    def dribble(self):
        try:
            for n in range(14):
                time.sleep(3)
                self.head.send(f"X-{n}: 1\r\n")
        except OSError:
            pass

    def watch(self, name, raw):
        try:
            answer = raw.response()
            self.answers[name] = (answer.status, time.monotonic() - self.started, raw.closed())
        except Exception as error:  # noqa: BLE001 - told by the test
            self.answers[name] = (repr(error), time.monotonic() - self.started, True)


@pytest.fixture(scope="module", autouse=True)
def dawdlers(server, service):
    return Dawdlers(server)


@pytest.mark.parametrize("what", ["head", "body"])
def test_a_head_not_whole_or_a_body_idle_for_thirty_seconds_is_408(dawdlers, what):
    for thread in dawdlers.threads[:2]:
        thread.join(50)
    status, seconds, closed = dawdlers.answers[what]
    assert status == 408 and 28 < seconds < 36 and closed
