# SPDX-License-Identifier: MIT
"""Outbound through a real HTTP proxy (tinyproxy) and a real SOCKS5 server (dante), and names with a dead address first."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import threading
import time

import pytest
from certificates import Authority
from harness import FakeProvider, die_with_parent, eventually, free_port, refusing_port


def listening(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


class Tinyproxy:
    def __init__(self, directory: pathlib.Path, user: str | None = None, password: str | None = None):
        directory.mkdir(parents=True, exist_ok=True)
        self.port, self.log_file = free_port(), directory / "tinyproxy.log"
        (directory / "tinyproxy.conf").write_text(
            f'Port {self.port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Connect\nLogFile "{self.log_file}"\n' + (f"BasicAuth {user} {password}\n" if user else "")
        )
        self.process = subprocess.Popen(["tinyproxy", "-d", "-c", str(directory / "tinyproxy.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        assert eventually(lambda: listening(self.port)), "tinyproxy does not listen"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


class Dante:
    def __init__(self, directory: pathlib.Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.port, self.log_file = free_port(), directory / "dante.log"
        (directory / "danted.conf").write_text(
            f"logoutput: {self.log_file}\ninternal: 127.0.0.1 port = {self.port}\nexternal: lo\nsocksmethod: none\nclientmethod: none\n"
            "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }\nsocks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }\n"
        )
        self.process = subprocess.Popen(["danted", "-f", str(directory / "danted.conf"), "-p", str(directory / "danted.pid")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        assert eventually(lambda: listening(self.port)), "dante does not listen"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory):
    made = Tinyproxy(tmp_path_factory.mktemp("tinyproxy"))
    yield made
    made.stop()


@pytest.fixture
def guarded(tmp_path):
    """A proxy that wants a password."""
    made = Tinyproxy(tmp_path / "guarded", "alice", "opensesame")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def dante(tmp_path_factory):
    made = Dante(tmp_path_factory.mktemp("dante"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def secure(authority):
    certificate, key = authority.issue("good")
    made = FakeProvider(certificate=certificate, private_key=key)
    yield made
    made.stop()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_http_upstreams_are_reached_through_the_http_proxy(launch, fake, tinyproxy, variable):
    server = launch(**{variable: f"http://127.0.0.1:{tinyproxy.port}"})
    service = server.service(fake, keys=2)
    before = len(tinyproxy.log)
    assert [service.chat().status_code for _ in range(20)] == [200] * 20
    assert fake.total == 20
    assert f"127.0.0.1:{fake.port}" in tinyproxy.log[before:]
    assert fake.last()["key"] in service.values and fake.last()["target"] == "/v1/chat/completions"


def test_https_upstreams_are_tunnelled_and_verified(launch, secure, authority, tinyproxy):
    secure.reset()
    server = launch(HTTPS_PROXY=f"http://127.0.0.1:{tinyproxy.port}", UPSTREAM_CA_FILE=str(authority.certificate))
    service = server.service(secure, keys=2)
    before = len(tinyproxy.log)
    assert [service.chat().status_code for _ in range(3)] == [200] * 3
    told = tinyproxy.log[before:]
    assert f"CONNECT 127.0.0.1:{secure.port}" in told
    assert not any(value in told for value in service.values)


def test_a_stream_through_the_http_proxy_arrives_event_by_event(launch, fake, tinyproxy):
    server = launch(HTTP_PROXY=f"http://127.0.0.1:{tinyproxy.port}")
    service = server.service(fake, keys=1, kind="GENERIC")
    fake.tell("*", {"do": "gate"})
    with server.raw(5) as raw:
        raw.send(f"GET {service.prefix}/drip?n=3&ms=0 HTTP/1.1\r\nHost: x\r\nX-Proxy-Key: pk-acceptance-0123456789abcdef\r\n\r\n")
        raw.head()
        for number in range(3):
            fake.step()
            assert raw.chunk() == b"drop %d\n" % number


def test_the_proxys_credentials_are_sent_to_it_and_to_nobody_else(launch, fake, guarded):
    server = launch(HTTP_PROXY=f"http://alice:opensesame@127.0.0.1:{guarded.port}", LOG_LEVEL="trace")
    assert server.service(fake, keys=1).chat().status_code == 200
    assert b"Proxy-Authorization" not in fake.last().head
    wrong = launch(HTTP_PROXY=f"http://alice:wrongsesame@127.0.0.1:{guarded.port}", LOG_LEVEL="trace")
    answer = wrong.ask("POST", wrong.service(fake, keys=1).prefix + "/chat/completions", body=b"{}")
    assert answer.status in (401, 407, 502) and fake.total == 1
    assert "opensesame" not in server.log and "wrongsesame" not in wrong.log


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_upstreams_are_reached_through_the_socks5_server(launch, fake, dante, scheme):
    server = launch(ALL_PROXY=f"{scheme}://127.0.0.1:{dante.port}")
    url = fake.url if scheme == "socks5" else fake.url.replace("127.0.0.1", "localhost")
    service = server.service(url, keys=2)
    before = len(dante.log)
    assert [service.chat().status_code for _ in range(3)] == [200] * 3
    assert eventually(lambda: str(fake.port) in dante.log[before:]), dante.log


def test_https_through_socks5_is_verified_end_to_end(launch, secure, authority, dante):
    secure.reset()
    server = launch(HTTPS_PROXY=f"socks5://127.0.0.1:{dante.port}", UPSTREAM_CA_FILE=str(authority.certificate))
    before = len(dante.log)
    assert server.service(secure, keys=1).chat().status_code == 200
    assert eventually(lambda: str(secure.port) in dante.log[before:]) and secure.requests()[-1]["tls"]


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.org,127.0.0.1", "127.0.0.0/8"])
def test_no_proxy_is_obeyed(launch, fake, tinyproxy, exempt):
    server = launch(HTTP_PROXY=f"http://127.0.0.1:{tinyproxy.port}", NO_PROXY=exempt)
    before = len(tinyproxy.log)
    assert server.service(fake, keys=1).chat().status_code == 200
    assert f"127.0.0.1:{fake.port}" not in tinyproxy.log[before:]


def test_no_proxy_for_another_host_changes_nothing(launch, fake, tinyproxy):
    server = launch(HTTP_PROXY=f"http://127.0.0.1:{tinyproxy.port}", NO_PROXY="example.org,.internal.test")
    before = len(tinyproxy.log)
    assert server.service(fake, keys=1).chat().status_code == 200
    assert f"127.0.0.1:{fake.port}" in tinyproxy.log[before:]


def test_a_proxy_that_is_away_is_502_and_no_detour_is_taken(launch, fake):
    with refusing_port() as port:
        answer = launch(HTTP_PROXY=f"http://127.0.0.1:{port}").service(fake, keys=2).chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable") and fake.total == 0
        assert answer.headers["x-rotator-attempts"] == "2"


@contextlib.contextmanager
def names(**addresses):
    """Adds host names for the time of a test; needs to write /etc/hosts."""
    hosts = pathlib.Path("/etc/hosts")
    assert os.access(hosts, os.W_OK), "this test adds a name to /etc/hosts: run it as root"
    lines = "".join(f"{address} {name.replace('_', '-')}\n" for name, some in addresses.items() for address in some)
    with hosts.open("a") as file:
        file.write(lines)
    try:
        yield
    finally:
        hosts.write_text(hosts.read_text().replace(lines, ""))


@pytest.mark.parametrize("dead", [["127.0.0.99"], ["::1"], ["127.0.0.99", "::1", "127.0.0.98"]], ids=["IPv4", "IPv6", "three of them"])
def test_a_name_with_dead_addresses_first_connects(launch, fake, dead):
    with names(dead_first_test=[*dead, "127.0.0.1"]):
        service = launch().service(f"http://dead-first-test:{fake.port}", keys=1, replay="refused")
        started = time.monotonic()
        answer = service.chat()
        assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "1" and time.monotonic() - started < 5
        assert service.state(0)["failure_count"] == 0


def test_an_address_that_does_not_answer_does_not_use_up_the_whole_connect_timeout(launch, fake):
    """A listener whose queue is full: its SYNs are dropped, as behind a silent firewall."""
    full = socket.socket()
    full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    full.bind(("127.0.0.97", fake.port))
    full.listen(0)
    queue = [socket.socket() for _ in range(4)]
    for one in queue:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect(("127.0.0.97", fake.port))
    time.sleep(0.1)
    try:
        with names(silent_first_test=["127.0.0.97", "127.0.0.1"]):
            service = launch(PROXY_CONNECT_TIMEOUT="6").service(f"http://silent-first-test:{fake.port}", keys=1)
            started = time.monotonic()
            assert service.chat(timeout=20).status_code == 200
            assert time.monotonic() - started < 8
    finally:
        for one in (*queue, full):
            one.close()


def test_a_connection_that_is_never_answered_ends_by_the_connect_timeout(launch):
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port, queue = full.getsockname()[1], [socket.socket() for _ in range(4)]
    for one in queue:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect(("127.0.0.1", port))
    time.sleep(0.1)
    service = launch(PROXY_CONNECT_TIMEOUT="1").service(f"http://127.0.0.1:{port}", keys=2)
    started = time.monotonic()
    answer = service.chat(timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert 1.5 < time.monotonic() - started < 5 and answer.headers["x-rotator-attempts"] == "2"
    for one in (*queue, full):
        one.close()


def test_a_slow_name_does_not_hold_up_other_requests(launch, fake):
    """While one upstream's connection is still being made, others are served."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port, queue = full.getsockname()[1], [socket.socket() for _ in range(4)]
    for one in queue:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect(("127.0.0.1", port))
    server = launch(PROXY_CONNECT_TIMEOUT="4", WORKER_THREADS="1")
    slow, quick = server.service(f"http://127.0.0.1:{port}", keys=1), server.service(fake, keys=1)
    thread = threading.Thread(target=lambda: slow.chat(timeout=20))
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    for _ in range(20):
        assert quick.chat().status_code == 200
    assert time.monotonic() - started < 2
    thread.join()
    for one in (*queue, full):
        one.close()
