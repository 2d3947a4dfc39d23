# SPDX-License-Identifier: MIT
"""Streams: no event waits for the next one, a slow reader holds the provider back, and every break is visible."""

from __future__ import annotations

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import PROXY_KEY, Raw, eventually, pattern, request_text, sha256

MIB = 1 << 20
JSON = ("Content-Type", "application/json")
CALLS = {
    "openai chat": ("openai_compatible", "/chat/completions", {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "a b c d"}]}),
    "openai responses": ("openai_compatible", "/responses", {"model": "gpt-4o", "stream": True, "input": "a b c d"}),
    "anthropic": ("anthropic_native", "/v1/messages", {"model": "claude", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "a b c d"}]}),
    "gemini sse": ("gemini_native", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "a b c d"}]}]}),
    "gemini array": ("gemini_native", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", {"contents": [{"parts": [{"text": "a b c d"}]}]}),
}  # fmt: skip


def begin(server, service, path, body=None, timeout=10, version="HTTP/1.1", **more):
    """Sends a request and leaves its answer to be read."""
    raw = server.raw(timeout, **more)
    data = json.dumps(body).encode() if body is not None else b""
    return raw.send(request_text("POST" if data else "GET", service.prefix + path, [("X-Proxy-Key", PROXY_KEY), JSON], data, version))


@pytest.fixture
def service(server, fake):
    return server.service(fake, keys=1, kind="GENERIC")


@pytest.mark.parametrize("call", CALLS)
def test_an_event_reaches_the_client_before_the_next_one_is_sent(server, fake, call):
    """Step by step: the provider sends event N+1 only after this test has read event N."""
    api_format, path, body = CALLS[call]
    service = server.service(fake, keys=1, api_format=api_format)
    fake.tell("*", {"do": "gate"})
    with begin(server, service, path, body, timeout=5) as raw:
        head = raw.head()
        assert head.status == 200 and head.get("transfer-encoding") == "chunked", "the head comes before any event"
        events = 0
        while True:
            fake.step()
            event = raw.chunk()
            if not event:
                break
            events += 1
            assert event.endswith((b"\n\n", b"\r\n\r\n")) or call == "gemini array"
            assert fake.last()["events_sent"] <= events
        assert events == fake.last()["events_sent"] >= 6


def test_no_byte_waits_on_a_generic_stream(server, fake, service):
    fake.tell("*", {"do": "gate"})
    with begin(server, service, "/drip?n=5&ms=0", timeout=5) as raw:
        raw.head()
        for number in range(5):
            fake.step()
            assert raw.chunk() == b"drop %d\n" % number


def test_tiny_pieces_of_a_body_with_a_length_are_forwarded_as_they_come(server, fake, service):
    fake.tell("*", {"do": "drip", "bytes": 10, "ms": 100})
    with begin(server, service, "/echo") as raw:
        head = raw.head()
        started = time.monotonic()
        raw.exactly(10)
        assert time.monotonic() - started < 0.5
        raw.exactly(int(head.get("content-length")) - 10)


def test_two_hundred_streams_run_side_by_side(server, fake):
    service = server.service(fake, keys=2)
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "a b c"}]}
    fake.tell("*", {"do": "ok", "interval_ms": 50, "times": -1})
    raws = [begin(server, service, "/chat/completions", body, timeout=20) for _ in range(200)]
    bodies = {json.dumps([json.loads(line[6:])["choices"][0]["delta"] for line in raw.response().body.decode().split("\n") if line.startswith("data: {")]) for raw in raws}
    assert len(bodies) == 1
    for raw in raws:
        raw.close()


# --- The client goes away -------------------------------------------------------------------------------------------------------


def gone_within(fake, since, seconds=1.0):
    assert fake.wait(gone=1, timeout=3), "the upstream transfer goes on"
    gone = [request["gone_at"] for request in fake.requests() if request["gone_at"]][0]
    assert gone - since < seconds, f"cancelled only after {gone - since:.2f} s"


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("when", ["before the head", "within the stream"])
def test_a_client_that_goes_away_cancels_the_upstream_transfer(server, fake, when, how):
    service = server.service(fake, keys=3, replay="unknown")
    fake.tell("*", {"do": "hang"} if when == "before the head" else {"do": "gate"})
    raw = begin(server, service, "/chat/completions", CALLS["openai chat"][2])
    assert fake.wait(complete=1)
    if when == "within the stream":
        raw.head()
        fake.step()
        raw.chunk()
    since = time.time()
    if how == "half-close":
        raw.socket.shutdown(socket.SHUT_WR)
    elif how == "reset":
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    else:
        raw.close()
    gone_within(fake, since)
    raw.close()
    time.sleep(0.3)
    assert fake.total == 1, "nobody waits for the answer: no other key is asked"
    key = service.state(fake.last()["key"])
    assert key["state"] == "active" and key["state_reason"] is None and key["failure_count"] == 0, "that was not the key's fault"


def test_a_client_that_leaves_within_its_upload_ends_the_upstream_request(server, fake, service):
    raw = server.raw()
    raw.send(request_text("POST", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY), ("Content-Length", str(30 * MIB))]) + bytes(10 * MIB))
    started = eventually(lambda: fake.total == 1, 1)
    raw.close()
    if started:
        assert fake.wait(gone=1, timeout=3)
        assert fake.last()["body_complete_at"] is None
    time.sleep(0.3)
    assert all(request["body_complete_at"] is None for request in fake.requests())


# --- The upstream breaks off ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("path", ["/bytes/2000000", "/chunked/2000000", "/sse?n=50"])
def test_a_body_that_breaks_off_breaks_off_for_the_client(server, fake, service, path, how):
    fake.tell("*", {"do": "cut", "at": "mid_body", "after": 2, "how": how})
    with begin(server, service, path) as raw:
        answer = raw.response()
        assert answer.status == 200 and not answer.complete, "never a clean end that hides the loss"
        assert raw.closed()
    if "sse" not in path:
        assert pattern(0, 200000).startswith(answer.body[:200000])
    assert fake.total == 1


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_an_event_torn_in_the_middle_breaks_off_too(server, fake, how):
    service = server.service(fake, keys=2)
    fake.tell("*", {"do": "cut", "at": "mid_body", "after": 3, "partial": True, "how": how})
    with begin(server, service, "/chat/completions", CALLS["openai chat"][2]) as raw:
        answer = raw.response()
        assert not answer.complete and answer.body.count(b"\n\n") == 3 and raw.closed()
    assert fake.total == 1, "after the first byte there is no failover"


def test_a_close_delimited_answer_that_ends_cleanly_is_whole(server, fake, service):
    with begin(server, service, "/closedelimited/500000") as raw:
        answer = raw.response()
    assert answer.complete and answer.body == pattern(0, 500000)


def test_a_close_delimited_answer_that_ends_by_reset_is_broken_off(server, fake, service):
    with begin(server, service, "/closedelimited/500000?end=reset") as raw:
        try:
            answer = raw.response()
        except ConnectionResetError:
            return
        assert not answer.complete


def test_an_http_1_0_client_sees_a_break_as_a_tcp_reset(server, fake, service):
    fake.tell("*", {"do": "cut", "at": "mid_body", "after": 2})
    with begin(server, service, "/chunked/500000", version="HTTP/1.0") as raw:
        with pytest.raises(ConnectionResetError):
            while raw.fill():
                pass


def test_an_http_1_0_client_gets_a_stream_without_chunks(server, fake, service):
    with begin(server, service, "/chunked/500000", version="HTTP/1.0") as raw:
        answer = raw.response()
    assert answer.status == 200 and answer.get("transfer-encoding") is None and answer.body == pattern(0, 500000)


def test_a_stream_that_stalls_is_broken_off_after_the_idle_timeout(launch, fake):
    server = launch(PROXY_STREAM_IDLE_TIMEOUT="1")
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "ok", "hang_after": 2})
    with begin(server, service, "/chat/completions", CALLS["openai chat"][2]) as raw:
        started = time.monotonic()
        answer = raw.response()
        assert not answer.complete and answer.body.count(b"\n\n") == 2 and 0.8 < time.monotonic() - started < 3
    assert fake.wait(gone=1)


def test_a_stream_may_outlast_the_proxy_timeout(launch, fake):
    """PROXY_TIMEOUT is for an exchange that isn't a stream."""
    server = launch(PROXY_TIMEOUT="1", PROXY_FIRST_BYTE_TIMEOUT="1")
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "ok", "interval_ms": 250})
    with begin(server, service, "/chat/completions", CALLS["openai chat"][2]) as raw:
        started = time.monotonic()
        answer = raw.response()
    assert answer.complete and answer.body.endswith(b"data: [DONE]\n\n") and time.monotonic() - started > 1.5


# --- A slow reader ----------------------------------------------------------------------------------------------------------------


def test_a_reader_that_does_not_read_holds_the_upstream_back(server, fake, service):
    """The kernel's buffers on three sockets and a bounded one of ours: not the gigabyte that is on offer."""
    server.ask("GET", service.prefix + "/bytes/1000000")
    before = server.memory()
    raws = [begin(server, service, "/bytes/1000000000", receive_buffer=65536) for _ in range(8)]
    time.sleep(1.5)
    sent = [request["bytes_sent"] for request in fake.requests() if "1000000000" in request["target"]]
    assert len(sent) == 8 and max(sent) < 24 * MIB, sent
    time.sleep(1)
    later = [request["bytes_sent"] for request in fake.requests() if "1000000000" in request["target"]]
    assert sum(later) - sum(sent) < MIB, "still flowing into a reader that does not read"
    assert server.memory() - before < 48 * MIB
    for raw in raws:
        raw.close()


def test_a_reader_that_wakes_up_gets_the_rest_intact(server, fake, service):
    with begin(server, service, "/bytes/30000000", timeout=20, receive_buffer=65536) as raw:
        time.sleep(0.7)
        answer = raw.response()
    assert answer.complete and sha256(answer.body) == sha256(b"".join(pattern(at, min(1_000_003, 30000000 - at)) for at in range(0, 30000000, 1_000_003)))


def test_a_stalled_reader_does_not_hold_up_the_others(server, fake, service):
    stalled = [begin(server, service, "/bytes/1000000000", receive_buffer=65536) for _ in range(10)]
    time.sleep(0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(lambda _: server.ask("GET", service.prefix + "/echo"), range(200))} == {200}
    assert time.monotonic() - started < 5
    for raw in stalled:
        raw.close()


def test_an_upstream_that_reads_slowly_holds_the_client_back(launch, fake):
    server = launch(MAX_BODY_BYTES=str(1 << 30))
    service = server.service(fake, keys=1, kind="GENERIC")
    fake.tell("*", {"do": "hang", "when": "head"})
    before = server.memory()
    raw = server.raw(1)
    raw.send(request_text("POST", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY), ("Content-Length", str(500 * MIB))]))
    sent = 0
    try:
        while sent < 500 * MIB:
            sent += raw.socket.send(bytes(MIB))
    except TimeoutError:
        pass
    assert sent < 64 * MIB and server.memory() - before < 48 * MIB
    raw.close()


def test_open_streams_are_counted_and_let_go(server, fake):
    def open_streams():
        lines = [line for line in server.http.get(server.url + "/metrics").text.splitlines() if line.startswith("rotator_open_streams")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    service = server.service(fake, keys=1)
    assert eventually(lambda: open_streams() == 0)
    fake.tell("*", {"do": "gate", "times": -1})
    raws: list[Raw] = [begin(server, service, "/chat/completions", CALLS["openai chat"][2]) for _ in range(5)]
    for raw in raws:
        raw.head()
    assert eventually(lambda: open_streams() == 5), open_streams()
    for raw in raws:
        raw.close()
    assert eventually(lambda: open_streams() == 0), open_streams()
