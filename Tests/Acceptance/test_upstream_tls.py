# SPDX-License-Identifier: MIT
"""TLS to the upstream: verified always; each failure is told apart in the log and is no key's fault."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time

import pytest
from certificates import Authority
from harness import FakeProvider, Rotator, eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def trusting(tmp_path_factory, authority):
    """A server that trusts the private CA beside the system's roots."""
    made = Rotator(tmp_path_factory.mktemp("trusting"), UPSTREAM_CA_FILE=str(authority.certificate))
    yield made
    made.stop()


@contextlib.contextmanager
def acceptor(answer):
    """A listener that reads a hello, calls `answer` with the connection, and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(one):
        with contextlib.suppress(OSError):
            one.recv(100)
            answer(one)
        one.close()

    def accept():
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(one,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def secure(certificate):
    return FakeProvider(certificate=certificate[0], private_key=certificate[1])


@pytest.fixture(scope="module")
def good(authority):
    made = secure(authority.issue("good"))
    yield made
    made.stop()


def test_a_good_chain_is_trusted_by_address_and_by_name(trusting, good):
    good.reset()
    for url in (good.url, good.url.replace("127.0.0.1", "localhost")):
        service = trusting.service(url, keys=2)
        for _ in range(5):
            assert service.chat().status_code == 200
        assert service.send("GET", "/models").json()["object"] == "list"
    assert all(request["tls"] for request in good.requests())
    assert len({request["connection"] for request in good.requests()}) <= 6, "connections are used again"


def test_a_stream_and_a_large_body_pass_through_tls(trusting, good):
    good.reset()
    service = trusting.service(good, keys=1, kind="GENERIC")
    answer = service.send("GET", "/bytes/20000000")
    assert len(answer.content) == 20000000
    assert service.send("POST", "/echo", content=bytes(5_000_000)).json()["body_length"] == 5_000_000
    good.tell("*", {"do": "gate"})
    with trusting.http.stream("GET", service.url + "/sse?n=3", headers={"X-Proxy-Key": "pk-acceptance-0123456789abcdef"}) as stream:
        lines = stream.iter_lines()
        for number in range(3):
            good.step()
            assert next(line for line in lines if line.startswith("data")) == 'data: {"n":%d}' % number


def test_a_break_within_tls_is_visible(trusting, good):
    good.reset()
    service = trusting.service(good, keys=1, kind="GENERIC")
    good.tell("*", {"do": "cut", "at": "mid_body", "after": 2})
    assert not trusting.ask("GET", service.prefix + "/chunked/3000000").complete
    good.tell("*", {"do": "cut", "at": "mid_body", "after": 2, "how": "rst"})
    assert not trusting.ask("GET", service.prefix + "/bytes/3000000").complete


def refused(server, url, words):
    """A call that must fail for the reason that `words` match in the log, and punish no key."""
    service = server.service(url, keys=3)
    seen = len(server.lines)
    answer = service.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert answer.headers["x-rotator-attempts"] == "3" and answer.headers["x-should-retry"] == "false"
    assert eventually(lambda: [line for line in server.lines[seen:] if re.search(words, line, re.I)]), "\n".join(server.lines[seen:])
    for number in range(3):
        key = service.state(number)
        assert (key["state"], key["cooling_until"], key["cooling_models"]) == ("active", None, [])


def test_a_certificate_for_another_host_is_refused(trusting, authority):
    fake = secure(authority.issue("elsewhere", names="DNS:elsewhere.test"))
    refused(trusting, fake.url, r"host ?name|does not match|no alternative|subject name|wrong host|altname")
    assert fake.requests() == []
    fake.stop()


def test_an_expired_certificate_is_refused(trusting, authority):
    fake = secure(authority.issue("expired", start="20200101000000Z", end="20210101000000Z"))
    refused(trusting, fake.url, r"expired")
    fake.stop()


def test_a_certificate_that_is_not_yet_valid_is_refused(trusting, authority):
    fake = secure(authority.issue("future", start="20900101000000Z", end="20990101000000Z"))
    refused(trusting, fake.url, r"not yet valid")
    fake.stop()


def test_an_unknown_authority_is_refused(trusting, tmp_path):
    fake = secure(Authority(tmp_path / "other", "Somebody Else's CA").issue("stranger"))
    refused(trusting, fake.url, r"issuer|unknown (ca|authority)|self[- ]signed|unable to verify")
    fake.stop()


def test_without_upstream_ca_file_the_private_authority_is_unknown(server, good):
    good.reset()
    refused(server, good.url, r"issuer|unknown (ca|authority)|self[- ]signed|unable to verify")
    assert good.requests() == []


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_handshake_that_is_closed_is_told(trusting, how):
    def slam(one):
        if how == "rst":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with acceptor(slam) as port:
        refused(trusting, f"https://127.0.0.1:{port}", r"handshake|closed|reset|eof|tls|ssl")


def test_an_upstream_that_speaks_no_tls_is_refused(trusting):
    with acceptor(lambda one: one.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")) as port:
        refused(trusting, f"https://127.0.0.1:{port}", r"tls|ssl|handshake|wrong version")


def test_a_handshake_that_never_ends_is_bounded_by_the_connect_timeout(launch):
    server = launch(PROXY_CONNECT_TIMEOUT="1")
    with acceptor(lambda one: time.sleep(8)) as port:
        started = time.monotonic()
        answer = server.service(f"https://127.0.0.1:{port}", keys=2).chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert 1.5 < time.monotonic() - started < 5


def test_a_post_is_tried_again_since_no_connection_was_ever_made(trusting, authority):
    fake = secure(authority.issue("expired-post", start="20200101000000Z", end="20210101000000Z"))
    service = trusting.service(fake.url, keys=2, kind="GENERIC", replay="refused")
    answer = service.send("POST", "/echo", content=b"x")
    assert answer.status_code == 502 and answer.json()["code"] == "upstream_unreachable" and answer.headers["x-rotator-attempts"] == "2"
    fake.stop()
