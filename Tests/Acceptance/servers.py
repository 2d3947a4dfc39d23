# SPDX-License-Identifier: MIT
"""Private PostgreSQL and Redis servers, a wire to them that can be disturbed, and the places on them where a store lives.

Each server has a directory of its own and dies with the test run, however that ends: a watcher outlives the run by a moment, ends every process
that works in the directory, and removes it. (A signal at the parent's death would not do: PostgreSQL's processes lead groups of their own.)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from typing import Any, Iterator

PASSWORD = "CANARYstore-password/0123:456@789"


def eventually(condition, within: float, every: float = 0.02) -> Any:
    until = time.monotonic() + within
    while not (answer := condition()) and time.monotonic() < until:
        time.sleep(every)
    return answer


def quiet_port() -> int:
    """A free port below those that the kernel gives to outgoing connections, so that it stays ours while its server is down."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def working_in(directory: pathlib.Path) -> list[int]:
    """The processes whose working directory is `directory` or below, oldest first."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if pathlib.Path(os.readlink(process / "cwd")).is_relative_to(directory) and (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return sorted(found)


def end_all_in(directory: pathlib.Path, within: float = 10) -> None:
    """Kills what works in `directory` until nothing does."""
    until = time.monotonic() + within
    while (left := [pid for pid in working_in(directory) if pid != os.getpid()]) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


class PrivateServer:
    """A server of the tests' own: its directory, its port on 127.0.0.1 and its Unix socket, and what can befall it."""

    #: The system user that runs it; None: whoever runs the tests.
    account: str | None = None

    def __init__(self, name: str):
        # Short, for a Unix socket's path, and outside the run's own directory, which another user cannot enter.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"rotator-{name}-", dir="/tmp"))
        self.watcher = subprocess.Popen(
            [sys.executable, "-S", __file__, str(self.directory)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/"
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.port = quiet_port()
        if self.account:
            shutil.chown(self.directory, self.account)
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise

    # What the two kinds do in their own ways

    def prepare(self) -> None:
        raise NotImplementedError

    def command_line(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    stop_signal = signal.SIGTERM

    # Life and death

    def run(self, *command: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, check=True, capture_output=True, cwd=self.directory, env=self.environment, **self.identity, **more)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}

    @property
    def identity(self) -> dict[str, Any]:
        return {"user": self.account, "group": pwd.getpwnam(self.account).pw_gid, "extra_groups": []} if self.account else {}

    def start(self, wait: bool = True) -> None:
        assert self.process is None, "it runs already"
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command_line(), cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, **self.identity,
            )  # fmt: skip
        if wait:
            assert eventually(lambda: self.answers() or self.process.poll() is not None, 20) and self.answers(), self.log[-3000:]

    def stop(self) -> None:
        """Ends it as an administrator would."""
        if self.process is None:
            return
        self.thaw()
        self.process.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.kill()

    def kill(self) -> None:
        """Ends all of it by SIGKILL, as when a machine dies."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        end_all_in(self.directory)
        if self.process is not None:
            self.process.wait(10)
        self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stops all of its processes where they stand: connections stay open, the kernel goes on accepting, nobody answers."""
        seen: list[int] = []
        while new := [pid for pid in working_in(self.directory) if pid not in seen]:  # until none is left that forked meanwhile
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            seen += new

    def thaw(self) -> None:
        for pid in working_in(self.directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        self.stop()
        if self.watcher.stdin:
            self.watcher.stdin.close()
        self.watcher.wait(15)

    def __enter__(self) -> "PrivateServer":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "output").read_text(errors="replace")
        return ""


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------


def postgresql_program(name: str) -> str:
    """Debian keeps the server's programs by version, and out of the PATH."""
    places = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    found = shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")]))
    assert found, f"{name} is missing; on Debian: apt-get install postgresql"
    return found


class PostgreSQL(PrivateServer):
    """A cluster with the role `rotator`, which has a password and owns the databases that are made here."""

    account = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    stop_signal = signal.SIGINT  # ends sessions rather than wait for them
    numbers = itertools.count(1)

    def __init__(self, log_statements: bool = False):
        self.log_statements, self.password = log_statements, PASSWORD
        super().__init__("pg")

    def prepare(self) -> None:
        self.data = self.directory / "data"
        self.run(postgresql_program("initdb"), "--pgdata", str(self.data), "--username", "postgres", "--encoding", "UTF8", "--auth", "trust", "--no-sync")
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.directory, "max_connections": 200, "shared_buffers": "32MB",
            "fsync": "off", "log_statement": "all" if self.log_statements else "none", "log_parameter_max_length": -1, "max_wal_size": "256MB",
        }  # fmt: skip
        (self.data / "postgresql.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        # The superuser, who is us, needs no password; whoever else comes does.
        (self.data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def start(self, wait: bool = True) -> None:
        super().start(wait)
        if wait and not self.sql("SELECT 1 FROM pg_roles WHERE rolname = 'rotator'"):
            self.sql(f"CREATE ROLE rotator LOGIN PASSWORD '{self.password}'")

    def command_line(self) -> list[str]:
        return [postgresql_program("postgres"), "-D", str(self.data)]

    def answers(self) -> bool:
        return subprocess.run([postgresql_program("pg_isready"), "-q", "-h", str(self.directory), "-p", str(self.port)], check=False).returncode == 0

    def sql(self, text: str, database: str = "postgres") -> str:
        """What the superuser is told, unaligned and without headings."""
        done = subprocess.run(
            [postgresql_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.directory), "-p", str(self.port), "-U", "postgres", database],
            input=text, capture_output=True, text=True, timeout=60,
            env=self.environment | {"PGOPTIONS": "-c log_statement=none"},  # the log is about what the servers say, not about us
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def new_database(self) -> str:
        name = f"rotator{next(self.numbers)}"
        self.sql(f"CREATE DATABASE {name} OWNER rotator")
        return name

    def url(self, database: str, wire: "Wire | None" = None, socket: bool = False, password: str | None = None) -> str:
        credentials = "rotator:" + urllib.parse.quote(password or self.password, safe="")
        if socket:
            return f"postgres://{credentials}@/{database}?host={urllib.parse.quote(str(self.directory), safe='')}&port={self.port}"
        return f"postgres://{credentials}@127.0.0.1:{wire.port if wire else self.port}/{database}"

    def change_password(self, password: str, ends_sessions: bool = True) -> None:
        """Sets another one and ends the sessions that were begun with the old one."""
        self.sql(f"ALTER ROLE rotator PASSWORD '{password}'")
        if ends_sessions:
            self.end_sessions()

    def end_sessions(self) -> None:
        self.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'rotator'")

    def dump(self, database: str) -> str:
        command = [postgresql_program("pg_dump"), "-h", str(self.directory), "-p", str(self.port), "-U", "postgres", "--inserts", database]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.environment).stdout


# --- Redis ----------------------------------------------------------------------------------------------------------------


class RedisError(Exception):
    """What Redis answered instead of a value."""


class RedisConnection:
    """As much of RESP2 as the tests speak."""

    def __init__(self, path: str, *credentials: str, timeout: float = 10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.reader = self.socket.makefile("rb")
        if credentials:
            self.ask("AUTH", *credentials)

    def ask(self, *words: Any) -> Any:
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.answer()

    def answer(self) -> Any:
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.answer() for _ in range(int(rest))]
        return rest

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


class Redis(PrivateServer):
    """A Redis server with a password, 256 databases and an append-only file."""

    numbers = itertools.count(1)

    def __init__(self, append_only: bool = True, save: str = ""):
        self.append_only, self.save, self.password = append_only, save, PASSWORD
        super().__init__("redis")

    def prepare(self) -> None:
        self.path = str(self.directory / "redis.sock")
        self.files = self.directory / "files"
        self.files.mkdir()
        self.configure()

    def configure(self) -> None:
        settings = {
            "bind": "127.0.0.1", "port": self.port, "unixsocket": self.path, "unixsocketperm": "700", "dir": self.files, "databases": 256, "loglevel": "verbose",
            "appendonly": "yes" if self.append_only else "no", "appendfsync": "everysec", "save": self.save or '""', "requirepass": self.password, "daemonize": "no",
            "stop-writes-on-bgsave-error": "no", "maxmemory-policy": "noeviction",
        }  # fmt: skip
        (self.directory / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def command_line(self) -> list[str]:
        found = shutil.which("redis-server")
        assert found, "redis-server is missing; on Debian: apt-get install redis-server"
        return [found, str(self.directory / "redis.conf")]

    def answers(self) -> bool:
        try:
            return self.ask("PING") == b"PONG"
        except (OSError, RedisError):
            return False

    def connection(self) -> RedisConnection:
        return RedisConnection(self.path, self.password)

    def ask(self, *words: Any) -> Any:
        one = self.connection()
        try:
            return one.ask(*words)
        finally:
            one.close()

    def new_database(self) -> int:
        number = next(self.numbers)
        assert number < 256, "one server has 256 databases"
        return number

    def url(self, database: int = 0, wire: "Wire | None" = None, socket: bool = False, user: str = "", password: str | None = None) -> str:
        credentials = f"{user}:{urllib.parse.quote(password or self.password, safe='')}"
        if socket:
            return f"unix://{credentials}@{self.path}?db={database}"
        return f"redis://{credentials}@127.0.0.1:{wire.port if wire else self.port}/{database}"

    def change_password(self, password: str, ends_sessions: bool = True) -> None:
        """Sets another one and ends the sessions that were begun with the old one."""
        one = self.connection()
        one.ask("CONFIG", "SET", "requirepass", password)
        for kind in ("normal", "pubsub") if ends_sessions else ():
            one.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        one.close()
        self.password = password
        self.configure()

    def empty(self) -> None:
        """Failing over to a server that knows nothing: the old one dies with its files."""
        self.kill()
        shutil.rmtree(self.files)
        self.files.mkdir()
        self.start()

    def backup(self) -> dict[str, bytes]:
        """The files of an orderly end; it runs again afterwards."""
        self.stop()
        kept = {str(path.relative_to(self.files)): path.read_bytes() for path in self.files.rglob("*") if path.is_file()}
        self.start()
        return kept

    def restore(self, kept: dict[str, bytes]) -> None:
        self.kill()
        shutil.rmtree(self.files)
        for name, data in kept.items():
            (self.files / name).parent.mkdir(parents=True, exist_ok=True)
            (self.files / name).write_bytes(data)
        self.start()

    def persisted(self) -> bytes:
        """All that its files hold, a fresh dump included."""
        self.ask("SAVE")
        return b"\n".join(path.read_bytes() for path in self.files.rglob("*") if path.is_file())

    @contextlib.contextmanager
    def monitored(self) -> Iterator[list[str]]:
        """What MONITOR tells meanwhile; complete when the block has ended."""
        lines: list[str] = []
        one = self.connection()
        one.socket.settimeout(None)
        one.ask("MONITOR")

        def listen() -> None:
            with contextlib.suppress(OSError, ValueError):
                for line in one.reader:
                    lines.append(line.decode("utf-8", "backslashreplace"))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield lines
        mark = f"end-of-monitor-{time.monotonic_ns()}"
        self.ask("ECHO", mark)
        eventually(lambda: any(mark in line for line in lines[-50:]), 5)
        one.socket.shutdown(socket.SHUT_RDWR)
        listener.join(5)


# --- The wire ---------------------------------------------------------------------------------------------------------------


class Wire:
    """A TCP connection's way to a server on 127.0.0.1, with whatever can happen to it."""

    def __init__(self, port: int):
        self.target, self.port = port, quiet_port()
        self.delayed = 0.0
        self._swallowing, self._octets_left = False, None
        self._transports: set[asyncio.WriteTransport] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    def delay(self, seconds: float) -> None:
        """Answers come this much later."""
        self.delayed = seconds

    def cut(self) -> None:
        """Resets every connection; new ones are refused."""
        self._do(self._cut())

    def cut_after(self, octets: int) -> None:
        """Lets so many more octets through to the server, then cuts in the middle of whatever is being said."""
        self._octets_left = octets

    def swallow(self) -> None:
        """A black hole: connections stay and are accepted, nothing arrives on either side."""
        self._swallowing = True

    def mend(self) -> None:
        """Everything is as it was for new connections; those from which something was lost are reset."""
        self.delayed, self._octets_left = 0.0, None
        if self._swallowing:
            self._do(self._cut())
            self._swallowing = False
        self._do(self._listen())

    def close(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._carry, "127.0.0.1", self.port, backlog=256)

    async def _cut(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
        for transport in list(self._transports):
            self._reset(transport)

    async def _close(self) -> None:
        await self._cut()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _reset(self, transport: asyncio.WriteTransport) -> None:
        with contextlib.suppress(OSError, AttributeError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        self._transports.discard(transport)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transports.add(writer.transport)
        try:
            while self._swallowing:  # as when the packets are lost: not even refused
                if not await reader.read(65536):
                    return
            there, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return self._reset(writer.transport)
        self._transports.add(onward.transport)
        await asyncio.gather(self._pump(reader, onward, True), self._pump(there, writer, False))
        for one in (writer, onward):
            self._transports.discard(one.transport)
            one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_question: bool) -> None:
        """Carries one direction to its end; an end by reset is passed on as one."""
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await late.get()
                await asyncio.sleep(max(0, due - self._loop.time()))
                if data:
                    writer.write(data)
                elif not writer.transport.is_closing() and writer.can_write_eof():
                    return writer.write_eof()
                else:
                    return

        courier, ended = asyncio.ensure_future(deliver()), False
        with contextlib.suppress(OSError):
            while True:
                data = await reader.read(65536)
                if self._swallowing:
                    if not data:
                        break
                    continue
                if is_question and data and self._octets_left is not None:
                    data, self._octets_left = data[: self._octets_left], self._octets_left - len(data)
                    if self._octets_left <= 0:
                        writer.write(data)
                        await asyncio.sleep(0.01)  # the part arrives, and is then all there is
                        await self._cut()
                        break
                late.put_nowait((self._loop.time() + (0 if is_question else self.delayed), data))
                if ended := not data:
                    break
        if not ended:
            courier.cancel()
            if not self._swallowing:
                self._reset(writer.transport)
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await courier


# --- Where a store lives -----------------------------------------------------------------------------------------------------


class Place:
    """An empty place for one installation: what its replicas are told, and the wires over which they come."""

    def __init__(self, stores: "Stores", wired: bool = False):
        self.stores = stores
        self.wires: dict[str, Wire] = {}
        self.environment = {"ENCRYPTION_KEY": "5ea1" * 16}
        self.database = stores.postgresql.new_database() if stores.postgresql else None
        self.number = stores.redis.new_database() if stores.redis else None
        if wired:
            self.wires = {name: Wire(server.port) for name, server in (("postgres", stores.postgresql), ("redis", stores.redis)) if server}
        if stores.postgresql:
            self.environment["DATABASE_URL"] = stores.postgresql.url(self.database or "", self.wires.get("postgres"))
        if stores.redis:
            self.environment["REDIS_URL" if stores.postgresql else "DATABASE_URL"] = stores.redis.url(self.number or 0, self.wires.get("redis"))

    def close(self) -> None:
        for wire in self.wires.values():
            wire.close()


class Stores:
    """The servers of one combination: `postgres`, `redis` or `postgres+redis`."""

    COMBINATIONS = ("postgres", "redis", "postgres+redis")

    def __init__(self, combination: str, log_statements: bool = False):
        self.combination = combination
        kinds = combination.split("+")
        self.postgresql = PostgreSQL(log_statements) if "postgres" in kinds else None
        self.redis = Redis() if "redis" in kinds else None

    def close(self) -> None:
        for server in (self.postgresql, self.redis):
            if server:
                server.close()


if __name__ == "__main__":  # the watcher of a directory
    watched = pathlib.Path(sys.argv[1])
    sys.stdin.buffer.read()
    end_all_in(watched)
    shutil.rmtree(watched, ignore_errors=True)
