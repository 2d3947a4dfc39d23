# SPDX-License-Identifier: MIT
"""Edges of an exchange that need an upstream with exact timing: early answers, lost FINs, trials that are streams, slow readers."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import struct
import threading
import time
from collections import Counter
from typing import Callable, Iterator

import pytest
from harness import PROXY_KEY, Raw, eventually, request_text

KEYS = [f"edge-key-{number}-0123456789abcdef" for number in (1, 2, 3, 4)]


class ScriptedUpstream:
    """Calls a function with each connection, in a thread of its own."""

    def __init__(self, serve: Callable[[socket.socket], None]):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, args=(serve,), daemon=True).start()

    def _accept(self, serve: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._one, args=(serve, connection), daemon=True).start()

    @staticmethod
    def _one(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
        try:
            serve(connection)
        except OSError:
            pass


def head_of(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data


def whole_request(connection: socket.socket) -> bytes:
    data = head_of(connection)
    length = re.search(rb"content-length: (\d+)", data, re.I)
    while length and len(data.split(b"\r\n\r\n", 1)[1]) < int(length[1]):
        data += connection.recv(65536)
    return data


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def upstream() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    made: list[ScriptedUpstream] = []

    def make(serve: Callable[[socket.socket], None]) -> str:
        made.append(ScriptedUpstream(serve))
        return made[-1].url

    yield make
    for one in made:
        one.listener.close()


def post(prefix: str, path: str, body: bytes, *more: tuple[str, str]) -> bytes:
    return request_text("POST", prefix + path, [("X-Proxy-Key", PROXY_KEY), *more], body)


def test_an_answer_during_the_upload_is_never_taken_for_the_clients_next_request(launch, upstream):
    """The upstream refuses early, resets, and has put a request of its own into the answer's body. Which event comes first is chance: ten rounds."""
    server = launch(WORKER_THREADS="1")
    ready, size = threading.Event(), 300

    def serve(connection: socket.socket) -> None:
        if KEYS[0].encode() in head_of(connection):
            ready.wait(5)
            time.sleep(0.05)
            planted = b"GET /healthz HTTP/1.1\r\nHost: e\r\nx-request-id: PLANTED\r\n\r\n"
            head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 400\r\nConnection: close\r\n\r\n"
            connection.sendall(head + (b"F" * (size - len(head)) + planted).ljust(400, b"\r"))
            reset(connection)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            time.sleep(1)

    url = upstream(serve)
    for _ in range(10):
        ready.clear()
        # A service of its own for each round: its first key comes first.
        service = server.service(url, keys=KEYS[:2], kind="GENERIC")
        with server.raw(10) as raw:
            raw.send(request_text("POST", service.prefix + "/x", [("X-Proxy-Key", PROXY_KEY), ("Content-Length", str(size + 5))]) + b"hello")
            time.sleep(0.2)
            os.kill(server.process.pid, signal.SIGSTOP)
            raw.send(b"b" * size + request_text("GET", "/readyz", [("x-request-id", "MINE")]))
            time.sleep(0.05)
            ready.set()
            time.sleep(0.2)
            os.kill(server.process.pid, signal.SIGCONT)
            first, second = raw.response(), raw.response()
        assert first.status in (200, 403)
        assert second.get("x-rotator-request-id") == "MINE" and "ready" in second.json


def test_an_upload_that_is_refused_and_reset_goes_on_whole_with_another_key(launch, upstream):
    server = launch(WORKER_THREADS="1")
    ready, bodies = threading.Event(), []
    chunks = b"".join(b"8\r\nchunk%03d\r\n" % number for number in range(20)) + b"0\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        data = head_of(connection)
        if KEYS[0].encode() in data:
            ready.wait(5)
            time.sleep(0.05)
            # Keeps the connection by its own words, so that a broken one could be taken for a good one.
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 400\r\n\r\n" + b"F" * 400)
            reset(connection)
            return
        if b"chunked" in data.lower():
            while not data.endswith(b"0\r\n\r\n"):
                data += connection.recv(65536)
        else:
            length = int(re.search(rb"content-length: (\d+)", data, re.I)[1])
            while len(data.split(b"\r\n\r\n", 1)[1]) < length:
                data += connection.recv(65536)
        bodies.append(data.split(b"\r\n\r\n", 1)[1])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        time.sleep(1)

    url = upstream(serve)
    for _ in range(8):
        ready.clear()
        bodies.clear()
        service = server.service(url, keys=KEYS[:2], kind="GENERIC")
        with server.raw(10) as raw:
            raw.send(request_text("POST", service.prefix + "/x", [("X-Proxy-Key", PROXY_KEY), ("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n")
            time.sleep(0.2)
            os.kill(server.process.pid, signal.SIGSTOP)
            raw.send(chunks)
            time.sleep(0.05)
            ready.set()
            time.sleep(0.2)
            os.kill(server.process.pid, signal.SIGCONT)
            answer = raw.response()
        assert answer.status == 200 and answer.get("x-rotator-attempts") == "2", answer
        assert b"hello" in bodies[0] and b"chunk000" in bodies[0] and b"chunk019" in bodies[0] and b"F" not in bodies[0]


def test_a_retained_answer_that_ended_while_it_waited_is_passed_on_at_once(launch, upstream):
    def serve(connection: socket.socket) -> None:
        if KEYS[0].encode() in head_of(connection):
            connection.sendall(b'HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\n\r\n{"error":1,')
            time.sleep(2.6)
            connection.sendall(b'"end":2}')
        else:
            time.sleep(1.5)
        connection.close()

    server = launch(PROXY_STREAM_IDLE_TIMEOUT="20")
    service = server.service(upstream(serve), keys=KEYS[:2])
    started = time.monotonic()
    with server.raw(15) as raw:
        raw.send(post(service.prefix, "/chat/completions", b'{"model":"m"}', ("Content-Type", "application/json")))
        answer = raw.response()
    assert (answer.status, answer.body, answer.complete) == (429, b'{"error":1,"end":2}', True)
    assert time.monotonic() - started < 10


def held_by_the_kernel(local: int, remote: int) -> int:
    """Octets that the kernel holds between two ports of this machine: sent and not read (proc(5), /proc/net/tcp)."""
    total = 0
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        _, here, there, _, queues, *_ = line.split()
        ports = int(here.split(":")[1], 16), int(there.split(":")[1], 16)
        if ports == (local, remote):
            total += int(queues.split(":")[0], 16)
        elif ports == (remote, local):
            total += int(queues.split(":")[1], 16)
    return total


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_slow_reader_of_a_last_response_gets_all_of_it(launch, upstream, version):
    """The response ends while its last octets wait in the server, since the kernel takes no more; the client reads on after seven seconds."""
    pieces: queue.Queue[bytes | None] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while piece := pieces.get():
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        connection.close()

    server = launch(WORKER_THREADS="1")
    service = server.service(upstream(serve), keys=KEYS[:1], kind="GENERIC")
    with server.raw(10, receive_buffer=8192) as raw:
        raw.send(request_text("GET", service.prefix + "/x", [("X-Proxy-Key", PROXY_KEY), ("Connection", "close")], version=version))
        ports = server.port, raw.socket.getsockname()[1]
        sent, still, before = 0, 0, -1
        while still < 2:
            pieces.put(b"x" * 8192)
            sent += 8192
            time.sleep(0.01)
            held = held_by_the_kernel(*ports)
            still = still + 1 if held == before else 0
            before = held
            assert sent < 64 << 20
        pieces.put(None)
        time.sleep(7)
        received = b""
        while piece := raw.socket.recv(1 << 20):
            received += piece
    assert received.split(b"\r\n\r\n", 1)[1].count(b"x") == sent
    assert version == "HTTP/1.0" or received.endswith(b"0\r\n\r\n")


def test_a_trial_that_is_a_stream_frees_its_key_when_the_stream_begins(launch, upstream):
    def serve(connection: socket.socket) -> None:
        while head := whole_request(connection):
            if b"/fail" in head:
                connection.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno")
            elif b"/stream" in head:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                for _ in range(30):
                    connection.sendall(b"data: 1\n\n")
                    time.sleep(0.1)
                connection.close()
                return
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = launch()
    service = server.service(upstream(serve), keys=KEYS[:1], kind="GENERIC")
    for _ in range(3):
        assert service.send("POST", "/fail").status_code == 500
    assert service.send("GET", "/ok").status_code == 503, "the circuit is open"
    time.sleep(5.2)
    with server.raw(5) as raw:
        raw.send(request_text("GET", service.prefix + "/stream", [("X-Proxy-Key", PROXY_KEY)]))
        assert raw.head().status == 200
        assert service.send("GET", "/ok").status_code == 200


def test_an_answer_that_ends_the_attempts_costs_no_key_its_turn(launch, upstream):
    used = Counter()

    def serve(connection: socket.socket) -> None:
        while head := whole_request(connection):
            used[next(key for key in KEYS if key.encode() in head)] += 1
            connection.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno")

    server = launch()
    service = server.service(upstream(serve), keys=KEYS, kind="GENERIC")
    for _ in range(8):
        answer = service.send("POST", "/x")
        assert answer.status_code == 500 and "x-should-retry" not in answer.headers
    assert used == {key: 2 for key in KEYS}


def test_our_own_answer_after_an_attempt_names_the_key_that_was_spent(launch):
    service = launch().service("http://127.0.0.1:1", keys=KEYS[:1], kind="GENERIC")
    answer = service.send("GET", "/x")
    assert answer.status_code == 502 and answer.headers["x-rotator-attempts"] == "1"
    assert answer.headers["x-rotator-key-id"] == str(service.id_of(KEYS[0]))


def test_the_moment_of_a_401_does_not_tell_whether_a_slug_exists(launch, upstream):
    server = launch()
    url = upstream(lambda connection: None)
    slugs = ["no-such-slug"]
    for api_format in ("openai_compatible", "anthropic_native", "gemini_native"):
        slugs.append(server.service(url, keys=1, api_format=api_format).prefix.split("/")[2])
    told = set()
    for slug in slugs:
        with server.raw(2) as raw:
            raw.send(request_text("POST", f"/llm/{slug}/x", [("Content-Type", "application/json"), ("Expect", "100-continue"), ("Content-Length", "2")]))
            told.add(raw.line())
    assert told == {b"HTTP/1.1 100 Continue\r\n"} or told == {b"HTTP/1.1 100 Continue"}


def test_the_time_of_a_slow_upload_is_not_the_upstreams(launch, upstream):
    def serve(connection: socket.socket) -> None:
        whole_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = launch(PROXY_TIMEOUT="2")
    service = server.service(upstream(serve), keys=KEYS[:1])
    body = b'{"model":"m","messages":[]}'
    with server.raw(10) as raw:
        raw.send(request_text("POST", service.prefix + "/chat/completions", [("X-Proxy-Key", PROXY_KEY), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]) + body[:5])
        time.sleep(2.5)
        raw.send(body[5:])
        assert raw.response().status == 200


def test_a_stream_that_is_cut_at_the_end_of_the_grace_is_still_counted(launch, upstream):
    def serve(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"data: 1\n\n")
            time.sleep(0.1)

    server = launch(SHUTDOWN_GRACE_SECONDS="1", LOG_LEVEL="debug")
    service = server.service(upstream(serve), keys=KEYS[:1], kind="GENERIC")
    raw = Raw(server.port, 5)
    raw.send(request_text("GET", service.prefix + "/x", [("X-Proxy-Key", PROXY_KEY)]))
    assert raw.head().status == 200
    server.signal(signal.SIGTERM)
    assert server.wait_exit(6) == 0
    assert [line for line in server.lines if "exchange" in line and "status=200" in line], server.log
    again = launch(directory=server.directory)
    key = again.admin.get(f"/admin/proxy-configs/{service.id}/keys")["items"][0]
    assert key["success_count"] == 1 and key["last_used_at"]


def test_a_client_that_resets_while_it_waits_for_100_continue_ends_nothing_else(launch, upstream):
    """The reset is there before the request is looked at: nothing may go on for a client that has gone."""
    server = launch(WORKER_THREADS="1", PROXY_TIMEOUT="1")
    service = server.service(upstream(lambda connection: time.sleep(5)), keys=KEYS[:1], kind="GENERIC")
    for _ in range(20):
        os.kill(server.process.pid, signal.SIGSTOP)
        raw = Raw(server.port, 5)
        raw.send(request_text("POST", service.prefix + "/x", [("X-Proxy-Key", PROXY_KEY), ("Expect", "100-continue"), ("Content-Length", "5")]))
        reset(raw.socket)
        os.kill(server.process.pid, signal.SIGCONT)
    time.sleep(1.5)
    assert eventually(lambda: server.ask("GET", "/healthz").status == 200)
    assert server.process.poll() is None
