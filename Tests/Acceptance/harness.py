# SPDX-License-Identifier: MIT
"""What the acceptance tests stand on: the server under test, its Admin API, a fake provider, and a raw HTTP client.

Everything is private to the test that made it (ports, data directories), so files may run in parallel.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import ctypes
import datetime
import hashlib
import itertools
import json
import os
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Iterator

import httpx

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FAKE_PROVIDER = REPOSITORY / "Tests" / "FakeProvider" / "fake_provider.py"
PROXY_KEY = "pk-acceptance-0123456789abcdef"
OTHER_PROXY_KEY = "pk-second-fedcba9876543210"
ADMIN_PASSWORD = "correct horse battery staple"

sys.path.insert(0, str(FAKE_PROVIDER.parent))
from fake_provider import pattern, pattern_sha256  # noqa: E402,F401


def server_binary() -> str:
    """The binary under test: ROTATOR_SERVER_BIN, else the release build, else the debug build."""
    given = os.environ.get("ROTATOR_SERVER_BIN")
    candidates = [pathlib.Path(given)] if given else [REPOSITORY / ".build" / kind / "rotator-server" for kind in ("release", "debug")]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate.resolve())
    raise FileNotFoundError(
        f"no server to test: looked for {', '.join(map(str, candidates))}; "
        "build it (swift build -c release --product rotator-server) or set ROTATOR_SERVER_BIN"
    )


def eventually(condition, within: float = 5.0, every: float = 0.02) -> Any:
    """Calls `condition` until it gives something true; returns that, or the last answer when time is up."""
    until = time.monotonic() + within
    while True:
        answer = condition()
        if answer or time.monotonic() > until:
            return answer
        time.sleep(every)


def moment(text: str) -> float:
    """An RFC 3339 time in UTC as seconds since 1970."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", text), f"not RFC 3339 in UTC: {text!r}"
    whole = re.sub(r"(\.\d{1,6})\d*", r"\1", text.replace("Z", "+00:00"))
    return datetime.datetime.fromisoformat(whole).timestamp()


def seconds_left(text: str) -> float:
    return moment(text) - time.time()


def die_with_parent() -> None:
    """For `preexec_fn`: an interrupted test run leaves no process behind (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def base_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "ASAN_OPTIONS", "TSAN_OPTIONS")
    return {name: os.environ[name] for name in kept if name in os.environ}


# --- Raw HTTP -----------------------------------------------------------------------------------------------------------


@dataclass
class RawResponse:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    complete: bool = True
    version: str = "HTTP/1.1"
    informational: list[int] = field(default_factory=list)

    def get(self, name: str, default: str | None = None) -> str | None:
        for known, value in self.headers:
            if known.lower() == name.lower():
                return value
        return default

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known.lower() == name.lower()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """A TCP connection to the server, with every byte under the test's control."""

    def __init__(self, port: int, timeout: float = 10, receive_buffer: int | None = None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", port))
        self.buffer = b""

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def send(self, data: bytes | str) -> "Raw":
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def fill(self) -> bool:
        """Reads once. False: the other side has closed."""
        data = self.socket.recv(262144)
        self.buffer += data
        return bool(data)

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            if not self.fill():
                raise EOFError(f"closed within a line: {self.buffer!r}")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError(f"closed after {len(self.buffer)} of {count} octets")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self) -> RawResponse:
        informational = []
        while True:
            first = self.line().decode("latin-1").rstrip("\r\n")
            version, status, *reason = first.split(" ", 2)
            headers = []
            while (line := self.line()) not in (b"\r\n", b"\n"):
                name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
                headers.append((name, value.strip(" \t")))
            if int(status) >= 200 or int(status) == 101:
                return RawResponse(int(status), reason[0] if reason else "", headers, version=version, informational=informational)
            informational.append(int(status))

    def chunk(self) -> bytes:
        size = int(self.line().split(b";")[0].strip(), 16)
        data = self.exactly(size)
        assert self.line() == b"\r\n"
        return data

    def response(self, head_only: bool = False) -> RawResponse:
        """The next response with its body; `complete` tells whether the body came to its proper end."""
        response = self.head()
        if head_only or response.status in (204, 304):
            return response
        body = bytearray()
        try:
            if (response.get("transfer-encoding") or "").lower() == "chunked":
                while piece := self.chunk():
                    body += piece
            elif response.get("content-length") is not None:
                left = int(response.get("content-length") or 0)
                while left:
                    if not self.buffer and not self.fill():
                        raise EOFError("closed within the body")
                    piece, self.buffer = self.buffer[:left], self.buffer[left:]
                    body += piece
                    left -= len(piece)
            else:
                while self.fill():
                    pass
                body += self.buffer
                self.buffer = b""
        except (EOFError, ConnectionResetError, AssertionError, ValueError) as error:
            body += self.buffer
            response.complete = False
            response.reason += f" ({type(error).__name__})"
        response.body = bytes(body)
        return response

    def closed(self, within: float = 3) -> bool:
        """Whether the other side closes, sending nothing more."""
        self.socket.settimeout(within)
        try:
            while True:
                data = self.socket.recv(65536)
                if not data:
                    return True
                self.buffer += data
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def request_text(method: str, target: str, headers: list[tuple[str, str]] | dict[str, str] = (), body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {target} {version}"]
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", "rotator.test"))
    if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in pairs):
        pairs.append(("Content-Length", str(len(body))))
    lines += [f"{name}: {value}" for name, value in pairs]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is taken, so nobody else gets it, but refuses every connection."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


# --- The fake provider ------------------------------------------------------------------------------------------------


class Upstream(dict):
    """One request as the provider saw it."""

    @property
    def head(self) -> bytes:
        return base64.b64decode(self["head_b64"])

    @property
    def body(self) -> bytes:
        return base64.b64decode(self["body_b64"])

    def all(self, name: str) -> list[str]:
        return [value for known, value in self["headers"] if known.lower() == name.lower()]

    def get_field(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def names(self) -> list[str]:
        return [name.lower() for name, _ in self["headers"]]


class FakeProvider:
    def __init__(self, *, certificate: str | None = None, private_key: str | None = None, authority: str | None = None, host: str = "127.0.0.1"):
        command = [sys.executable, str(FAKE_PROVIDER), "--port", "0", "--host", host]
        if certificate:
            command += ["--tls-cert", certificate, "--tls-key", private_key or certificate]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=base_environment(), preexec_fn=die_with_parent)
        assert self.process.stdout
        line = self.process.stdout.readline()
        found = re.search(r"listening on (\S+)", line)
        assert found, f"the fake provider did not start: {line!r}"
        self.url = found[1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.control = httpx.Client(base_url=self.url, timeout=60, trust_env=False, verify=False if certificate else True)

    def stop(self) -> None:
        self.control.close()
        self.process.terminate()
        self.process.wait(5)
        if self.process.stdout:
            self.process.stdout.close()

    def reset(self) -> None:
        self.control.post("/__control/reset").raise_for_status()

    def tell(self, key: str, *script: Any, append: bool = False) -> None:
        """What `key` (or `*`, any key) does with its next requests."""
        answer = self.control.post("/__control/keys", json={"key": key, "script": list(script), "append": append})
        assert answer.status_code == 200, answer.text

    def tell_all(self, keys: list[str], *script: Any) -> None:
        answer = self.control.post("/__control/keys", json=[{"key": key, "script": list(script)} for key in keys])
        assert answer.status_code == 200, answer.text

    def step(self, gate: str = "default", n: int = 1) -> None:
        self.control.post("/__control/step", json={"gate": gate, "n": n}).raise_for_status()

    def requests(self, key: str | None = None, slim: bool = False) -> list[Upstream]:
        arguments = {"slim": "1" if slim else "0"} | ({"key": key} if key else {})
        return [Upstream(one) for one in self.control.get("/__control/requests", params=arguments).json()["requests"]]

    def last(self) -> Upstream:
        return self.requests()[-1]

    def counts(self) -> dict[str, int]:
        return self.control.get("/__control/counts").json()["by_key"]

    @property
    def total(self) -> int:
        return self.control.get("/__control/counts").json()["total"]

    def wait(self, timeout: float = 5, **what: int) -> bool:
        return self.control.post("/__control/wait", json=what | {"timeout": timeout}, timeout=timeout + 10).json()["ok"]


# --- The server under test --------------------------------------------------------------------------------------------


@dataclass
class Key:
    id: int
    value: str


class Service:
    """A service of the server under test, with its keys."""

    def __init__(self, server: "Rotator", made: dict[str, Any], keys: list[Key]):
        self.server, self.made, self.keys = server, made, keys
        self.id, self.slug = made["id"], made["slug"]
        self.prefix = ("/llm/" if made["config_type"].upper() == "LLM" else "/proxy/") + self.slug
        self.url = server.url + self.prefix

    @property
    def values(self) -> list[str]:
        return [key.value for key in self.keys]

    def id_of(self, value: str) -> int:
        return next(key.id for key in self.keys if key.value == value)

    def state(self, which: int | str) -> dict[str, Any]:
        """The key object of the n-th key, or of the key with this value."""
        identity = self.keys[which].id if isinstance(which, int) else self.id_of(which)
        return self.server.admin.get(f"/admin/keys/{identity}")

    def through(self, server: "Rotator") -> "Service":
        """The same service as another replica serves it."""
        return Service(server, self.made, self.keys)

    def chat(self, model: str = "gpt-4o", headers: dict[str, str] | None = None, text: str = "hi", timeout: float = 30, **more: Any) -> httpx.Response:
        """One unary OpenAI chat call."""
        body = {"model": model, "messages": [{"role": "user", "content": text}]} | more
        return self.send("POST", "/chat/completions", json=body, headers=headers, timeout=timeout)

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, key: str | None = PROXY_KEY, **more: Any) -> httpx.Response:
        given = dict(headers or {})
        if key is not None:
            given.setdefault("X-Proxy-Key", key)
        return self.server.http.request(method, self.url + path, headers=given, **more)


class Admin:
    """The Admin API, logged in."""

    def __init__(self, server: "Rotator", username: str = "admin", password: str = ADMIN_PASSWORD):
        self.http = httpx.Client(base_url=server.url, timeout=60, trust_env=False)
        answer = self.http.post("/admin/login", json={"username": username, "password": password})
        assert answer.status_code == 200, f"login: {answer.status_code} {answer.text}"
        self.token = answer.json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def call(self, method: str, path: str, expect: int | None = None, **more: Any) -> httpx.Response:
        answer = self.http.request(method, path, **more)
        if expect is not None:
            assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self.call("GET", path, expect=200, **more).json()

    def post(self, path: str, expect: int | None = 201, **more: Any) -> Any:
        answer = self.call("POST", path, expect=expect, **more)
        return answer.json() if answer.content else None

    def all_keys(self, service: int) -> list[dict[str, Any]]:
        items, after = [], None
        while True:
            page = self.get(f"/admin/proxy-configs/{service}/keys", params={"limit": 1000} | ({"after": after} if after is not None else {}))
            items += page["items"]
            after = page["next"]
            if after is None:
                return items


class Rotator:
    """One `rotator-server` process with a data directory of its own."""

    numbers = itertools.count(1)

    def __init__(self, directory: pathlib.Path, wait: bool = True, arguments: tuple[str, ...] = (), keep_defaults: bool = True, **environment: str | None):
        self.directory = directory
        self.data = directory / "data"
        directory.mkdir(parents=True, exist_ok=True)
        settings: dict[str, str | None] = {}
        if keep_defaults:
            settings = {
                "BACKEND_PORT": "0", "DATA_DIR": str(self.data), "ADMIN_PASSWORD": ADMIN_PASSWORD,
                "GLOBAL_PROXY_KEYS": f"{PROXY_KEY},second:{OTHER_PROXY_KEY}", "WORKER_THREADS": "2", "LOG_LEVEL": "info",
            }  # fmt: skip
        settings |= environment
        self.environment = base_environment() | {name: value for name, value in settings.items() if value is not None}
        self.arguments = arguments
        self.url, self.port = "", 0
        self._changed = threading.Condition()
        self.start(wait)

    def start(self, wait: bool = True) -> "Rotator":
        """Starts the process; after its end, once more with the same data and port."""
        if self.port:
            self.environment["BACKEND_PORT"] = str(self.port)
        self.lines: list[str] = []
        self.output: list[str] = []
        self._admin: Admin | None = None
        self.process = subprocess.Popen(
            [server_binary(), *self.arguments], cwd=self.directory, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent,
        )  # fmt: skip
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stderr, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stdout, self.output), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.http = httpx.Client(timeout=30, trust_env=False, limits=httpx.Limits(max_connections=200))
        return self.ready() if wait else self

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        stream.close()

    @property
    def log(self) -> str:
        with self._changed:
            return "\n".join(self.lines)

    def line(self, pattern: str, within: float = 10) -> re.Match[str]:
        """Waits for a line on stderr that matches."""
        until, seen = time.monotonic() + within, 0
        with self._changed:
            while True:
                for one in self.lines[seen:]:
                    if found := re.search(pattern, one):
                        return found
                seen = len(self.lines)
                left = until - time.monotonic()
                over = self.process.poll() is not None and not self._readers[0].is_alive()
                if left <= 0 or over:
                    raise AssertionError(f"no line matches {pattern!r} (exit: {self.process.poll()}):\n" + "\n".join(self.lines[-40:]))
                self._changed.wait(min(left, 0.2))

    def ready(self) -> "Rotator":
        found = self.line(r"listening on http://(\S+):(\d+)")
        self.port = int(found[2])
        self.url = f"http://127.0.0.1:{self.port}"
        assert eventually(lambda: self.http.get(self.url + "/readyz").status_code == 200, 10), "never ready:\n" + self.log
        return self

    @property
    def admin(self) -> Admin:
        if self._admin is None:
            self._admin = Admin(self, password=self.environment.get("ADMIN_PASSWORD", ADMIN_PASSWORD))
        return self._admin

    def raw(self, timeout: float = 10, **more: Any) -> Raw:
        return Raw(self.port, timeout, **more)

    def ask(self, method: str, target: str, headers: Any = (), body: bytes = b"", key: str | None = PROXY_KEY, version: str = "HTTP/1.1", timeout: float = 10) -> RawResponse:
        """One raw exchange on a connection of its own."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if key is not None:
            pairs.append(("X-Proxy-Key", key))
        with self.raw(timeout) as raw:
            raw.send(request_text(method, target, pairs, body, version))
            return raw.response(head_only=method == "HEAD")

    def memory(self, what: str = "VmRSS") -> int:
        """Resident octets (or another line of /proc/PID/status)."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(what)

    # Services

    def service(self, fake: FakeProvider | str, keys: int | list[str] = 3, kind: str = "LLM", **more: Any) -> Service:
        """Creates a service of OpenAI format (or as told) with keys, aimed at the fake provider."""
        number = next(Rotator.numbers)
        url = fake if isinstance(fake, str) else fake.url
        slug = more.pop("slug", f"s{number}")
        body: dict[str, Any] = {"name": f"Service {number}", "slug": slug, "config_type": kind}
        if kind.upper() == "LLM":
            api_format = more.pop("api_format", "openai_compatible")
            path = {"openai_compatible": "/v1", "azure_openai": ""}.get(api_format, "")
            body |= {"api_format": api_format, "target_base_url": url + path}
        else:
            body |= {"target_url": url, "api_key_location": "header", "api_key_name": "X-Api-Key"}
        body |= more
        made = self.admin.post("/admin/proxy-configs", json=body)
        values = keys if isinstance(keys, list) else [f"sk-{slug}-{n:03d}-{secrets.token_hex(8)}" for n in range(keys)]
        return Service(self, made, [self.add_key(made["id"], value) for value in values])

    def add_key(self, service: int, value: str, **more: Any) -> Key:
        made = self.admin.post(f"/admin/proxy-configs/{service}/keys", json={"key_value": value} | more)
        return Key(made["key_id"], value)

    # Ends

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_exit(self, within: float = 15) -> int:
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self, within: float = 15) -> int:
        """SIGTERM, then wait; what is left after `within` is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.http.close()
        return self.wait_exit()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.http.close()
        self.wait_exit()


# --- Replicas ---------------------------------------------------------------------------------------------------------


class Replicas(list[Rotator]):
    """N servers over the same stores, each with a data directory of its own."""

    def __init__(self, directory: pathlib.Path, count: int, wait: bool = True, **environment: str | None):
        super().__init__()
        try:
            # All at once, as an orchestrator starts them.
            for number in range(count):
                self.append(Rotator(directory / f"replica{number}", wait=False, **environment))
            if wait:
                for one in self:
                    one.ready()
        except BaseException:
            self.kill()
            raise

    def service(self, fake: FakeProvider | str, keys: int | list[str] = 3, kind: str = "GENERIC", **more: Any) -> Service:
        """A service made through the first replica; returns when all have it with its keys."""
        service = self[0].service(fake, keys, kind, **more)
        for one in self:
            assert eventually(lambda: len(self.keys(one, service)) == len(service.keys), 5), f"{one.url} has not heard of {service.slug}:\n{one.log[-3000:]}"
        return service

    @staticmethod
    def keys(replica: Rotator, service: Service) -> dict[int, dict[str, Any]]:
        """The key objects of a service as `replica` lists them, by number; none while it does not know the service."""
        answer = replica.admin.call("GET", f"/admin/proxy-configs/{service.id}/keys", params={"limit": 1000})
        return {item["key_id"]: item for item in answer.json()["items"]} if answer.status_code == 200 else {}

    def load(self, service: Service, requests: int, concurrency: int = 64) -> "Load":
        """`requests` calls as fast as they are answered, over `concurrency` connections spread over the replicas."""
        return Load([one.port for one in self], service, requests, concurrency).run()

    def stop(self) -> None:
        for one in self:
            one.signal(SIGTERM)
        for one in self:
            one.stop()

    def kill(self) -> None:
        for one in self:
            one.kill()


class Load:
    """A closed loop over several servers: which key served how many, and what was not answered 200."""

    def __init__(self, ports: list[int], service: Service, requests: int, concurrency: int):
        self.ports, self.requests, self.concurrency = ports, requests, concurrency
        self.text = request_text("GET", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY)])
        self.keys: collections.Counter[int] = collections.Counter()
        self.answers: collections.Counter[int] = collections.Counter()
        self.wrong: list[RawResponse] = []
        #: Requests that a server has left unanswered by its end; their clients go on with the next server.
        self.unanswered = 0
        self._left, self._lock = iter(range(requests)), threading.Lock()
        self._workers = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(concurrency)]

    def start(self) -> "Load":
        for one in self._workers:
            one.start()
        return self

    def join(self) -> "Load":
        for one in self._workers:
            one.join()
        return self

    def run(self) -> "Load":
        return self.start().join()

    def _work(self, number: int) -> None:
        turn, raw = number, None
        while True:
            with self._lock:
                if next(self._left, None) is None:
                    break
            try:
                port = self.ports[turn % len(self.ports)]
                raw = raw or Raw(port, timeout=30)
                answer = raw.send(self.text).response()
            except (OSError, EOFError) as error:
                if isinstance(error, ConnectionRefusedError):
                    time.sleep(0.01)
                with self._lock:
                    self.unanswered += not isinstance(error, ConnectionRefusedError)
                turn, raw = turn + 1, None
                continue
            with self._lock:
                self.answers[port] += 1
                self.keys[int(answer.get("x-rotator-key-id") or 0)] += 1
                if answer.status != 200:
                    self.wrong.append(answer)
        if raw:
            raw.close()


class SteadyLoad:
    """A fixed number of requests a second over several servers, each at its time, while the block runs."""

    def __init__(self, ports: list[int], service: Service, each_second: int = 50, workers: int = 10):
        self.text = request_text("GET", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY)])
        self.ports, self.pause = ports, workers / each_second
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._workers = [threading.Thread(target=self._work, args=(number, workers), daemon=True) for number in range(workers)]

    def __enter__(self) -> "SteadyLoad":
        for one in self._workers:
            one.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        for one in self._workers:
            one.join()

    @property
    def slowest(self) -> float:
        return max(self.seconds, default=0)

    def share_over(self, seconds: float) -> float:
        return sum(one > seconds for one in self.seconds) / max(1, len(self.seconds))

    def _work(self, number: int, workers: int) -> None:
        due, raw = time.monotonic() + self.pause * number / workers, None
        while not self._over.wait(max(0, due - time.monotonic())):
            began = time.monotonic()
            try:
                raw = raw or Raw(self.ports[number % len(self.ports)], timeout=30)
                answer = raw.send(self.text).response()
                if answer.status != 200:
                    self.wrong.append(f"{answer.status} {answer.body[:200]!r}")
            except (OSError, EOFError) as error:
                self.wrong.append(f"{type(error).__name__} on port {self.ports[number % len(self.ports)]}")
                raw = None
            self.seconds.append(time.monotonic() - began)
            due += self.pause
        if raw:
            raw.close()


def run_server(directory: pathlib.Path, *arguments: str, timeout: float = 20, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Runs the server to its end (for `--help`, bad configuration …)."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = {"BACKEND_PORT": "0", "DATA_DIR": str(directory / "data"), "ADMIN_PASSWORD": ADMIN_PASSWORD, "GLOBAL_PROXY_KEYS": PROXY_KEY} | environment
    return subprocess.run(
        [server_binary(), *arguments], cwd=directory, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        env=base_environment() | {name: value for name, value in settings.items() if value is not None},
    )  # fmt: skip


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


SIGTERM, SIGINT = signal.SIGTERM, signal.SIGINT
