# SPDX-License-Identifier: MIT
"""The process: configuration, first start, restarts, crashes, shutdown, and stores that cannot be trusted or written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
from harness import ADMIN_PASSWORD, PROXY_KEY, SIGINT, SIGTERM, Admin, Rotator, base_environment, eventually, free_port, request_text, run_server, seconds_left, server_binary

KEY_ONE = "11" * 32
KEY_TWO = "22" * 32


def fingerprint(directory: pathlib.Path) -> dict[str, str]:
    """What every file in a directory holds, but for the index that every reader of SQLite rebuilds."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def fill(path: pathlib.Path) -> None:
    """Writes to `path` until the file system is full."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(file, bytes(size))
    os.close(file)


@contextlib.contextmanager
def tmpfs(where: pathlib.Path, options: str):
    """A file system of our own; needs root."""
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True, capture_output=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


def can_mount() -> bool:
    probe = pathlib.Path(f"/tmp/mount-probe-{os.getpid()}")
    try:
        with tmpfs(probe, "size=64k"):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.rmdir()


# --- The command line --------------------------------------------------------------------------------------------------------


def test_help_and_version_tell_what_they_are(tmp_path):
    told = run_server(tmp_path, "--help")
    assert told.returncode == 0 and "healthcheck" in told.stdout and "check" in told.stdout
    version = run_server(tmp_path, "--version")
    assert version.returncode == 0 and re.search(r"\d+\.\d+", version.stdout) and "libcurl" in version.stdout.lower()
    assert not (tmp_path / "data").exists(), "asking makes nothing"


def test_an_unknown_argument_is_refused(tmp_path):
    told = run_server(tmp_path, "--frobnicate")
    assert told.returncode not in (0, -signal.SIGSEGV) and "frobnicate" in told.stderr


def test_healthcheck_says_whether_the_local_server_is_ready(launch, tmp_path):
    port = str(free_port())
    assert run_server(tmp_path / "h", "healthcheck", BACKEND_PORT=port).returncode != 0
    launch(BACKEND_PORT=port)
    assert run_server(tmp_path / "h", "healthcheck", BACKEND_PORT=port).returncode == 0


def test_check_validates_and_starts_nothing(tmp_path):
    good = run_server(tmp_path / "good", "check")
    assert good.returncode == 0, good.stderr
    bad = run_server(tmp_path / "bad", "check", WORKER_THREADS="zero", LOG_LEVEL="loud", PROXY_TIMEOUT="soon")
    told = bad.stdout + bad.stderr
    assert bad.returncode == 1 and all(name in told for name in ("WORKER_THREADS", "LOG_LEVEL", "PROXY_TIMEOUT"))


# --- Configuration -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKEND_PORT", "eighty"), ("BACKEND_PORT", "65536"), ("BACKEND_PORT", "-1"), ("BACKEND_PORT", "80 80"), ("WORKER_THREADS", "0"), ("WORKER_THREADS", "many"),
        ("PROXY_TIMEOUT", "soon"), ("PROXY_TIMEOUT", "-5"), ("PROXY_CONNECT_TIMEOUT", "x"), ("PROXY_FIRST_BYTE_TIMEOUT", "x"), ("PROXY_STREAM_IDLE_TIMEOUT", "x"),
        ("PROXY_MAX_ATTEMPTS", "0"), ("PROXY_MAX_ATTEMPTS", "x"), ("MAX_BODY_BYTES", "64MB"), ("MAX_BODY_BYTES", "-1"), ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml"),
        ("SHUTDOWN_GRACE_SECONDS", "-1"), ("SHUTDOWN_GRACE_SECONDS", "x"), ("DATABASE_URL", "mysql://h/db"), ("DATABASE_URL", "nonsense"), ("ENCRYPTION_KEY", "SHORTSECRET"),
        ("ENCRYPTION_KEY", "zz" * 32), ("GLOBAL_PROXY_KEYS", "CANARY with a space,good-key-0123456789"), ("GLOBAL_PROXY_KEYS", "CANARY\u00e9"), ("UPSTREAM_CA_FILE", "/nonexistent/ca.pem"),
        ("BACKEND_HOST", "not a host"), ("PROXY_PUBLIC_BASE_URL", "not a url"), ("HTTPS_PROXY", "gopher://h:1"),
    ],
)  # fmt: skip
def test_a_bad_value_is_one_line_that_names_the_variable_and_exit_78(tmp_path, name, value):
    told = run_server(tmp_path, **{name: value})
    assert told.returncode == 78, told.stderr
    lines = [line for line in told.stderr.splitlines() if line.strip()]
    assert [name in line for line in lines].count(True) == 1 and len(lines) == 1, told.stderr
    if name in ("ENCRYPTION_KEY", "GLOBAL_PROXY_KEYS"):
        assert value not in told.stderr and "CANARY" not in told.stderr and "SHORTSECRET" not in told.stderr
    elif name != "UPSTREAM_CA_FILE":
        assert value in told.stderr, "what was read"
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir()), "nothing written"


def test_every_bad_value_is_told_at_once(tmp_path):
    told = run_server(tmp_path, WORKER_THREADS="x", LOG_LEVEL="y", MAX_BODY_BYTES="z")
    assert told.returncode == 78
    assert [sum(name in line for line in told.stderr.splitlines()) for name in ("WORKER_THREADS", "LOG_LEVEL", "MAX_BODY_BYTES")] == [1, 1, 1]


def test_a_port_that_is_taken_is_told_clearly(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = run_server(tmp_path, BACKEND_PORT=port)
        assert told.returncode not in (0, None) and port in told.stderr and told.returncode > 0


def test_a_dot_env_file_is_read_and_real_variables_win(tmp_path, launch):
    directory = tmp_path / "dotenv"
    directory.mkdir()
    (directory / ".env").write_text('# a comment\nPROXY_PUBLIC_BASE_URL="https://from-file.test"\nADMIN_USERNAME=filed\nWORKER_THREADS=1\n')
    server = launch(directory=directory, ADMIN_USERNAME="real")
    assert server.http.get(server.url + "/admin/app-config").json()["proxy_public_base_url"] == "https://from-file.test"
    assert Admin(server, "real").token
    assert server.http.post(server.url + "/admin/login", json={"username": "filed", "password": ADMIN_PASSWORD}).status_code == 401


def test_with_nothing_set_it_starts_makes_its_secrets_and_prints_them_once(tmp_path, launch, fake):
    directory = tmp_path / "bare"
    first = launch(directory=directory, keep_defaults=False, BACKEND_PORT="0")
    password, key = first.line(r"generated ADMIN_PASSWORD=(\S+)")[1], first.line(r"generated GLOBAL_PROXY_KEYS=(\S+)")[1]
    assert first.log.count(password) == 1 and first.log.count(key) == 1 and len(password) >= 12 and len(key) >= 20
    master = directory / "data" / "master.key"
    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    first.environment["ADMIN_PASSWORD"] = password
    service = first.service(fake, kind="GENERIC", keys=1)
    assert first.ask("GET", service.prefix + "/echo", key=key).status == 200
    token = first.admin.token
    assert first.stop() == 0

    second = launch(directory=directory, keep_defaults=False, BACKEND_PORT="0")
    assert "generated" not in second.log
    assert second.ask("GET", service.prefix + "/echo", key=key).status == 200
    assert second.http.get(second.url + "/admin/proxy-configs", headers={"Authorization": f"Bearer {token}"}).status_code == 200, "tokens outlive a restart"
    assert second.http.post(second.url + "/admin/login", json={"username": "admin", "password": password}).status_code == 200


def test_the_listen_address_is_the_one_that_was_asked_for(launch):
    port = free_port()
    server = launch(BACKEND_PORT=str(port), BACKEND_HOST="127.0.0.1")
    assert server.port == port and server.line(rf"listening on http://127\.0\.0\.1:{port}\b")


def test_a_memory_store_leaves_no_database(launch, fake):
    server = launch(DATABASE_URL="sqlite::memory:")
    service = server.service(fake, keys=2)
    assert service.chat().status_code == 200
    server.stop()
    assert not list(server.data.glob("*.db*"))


def test_the_database_may_stand_elsewhere(launch, fake, tmp_path):
    path = tmp_path / "elsewhere" / "catalogue.db"
    path.parent.mkdir()
    for more in ({"DATABASE_URL": f"sqlite:{path}"}, {"DATABASE_PATH": str(path)}):
        server = launch(directory=tmp_path / "one", **more)
        if not server.admin.get("/admin/proxy-configs")["items"]:
            server.service(fake, slug="elsewhere")
        assert [item["slug"] for item in server.admin.get("/admin/proxy-configs")["items"]] == ["elsewhere"]
        server.stop()
    assert path.exists()


# --- Restarts --------------------------------------------------------------------------------------------------------------------


def test_services_keys_and_standing_survive_a_restart(tmp_path, fake):
    first = Rotator(tmp_path / "r")
    service = first.service(fake, keys=4, rotation_strategy="sequential", max_attempts=2)
    exhausted, resting, disabled, good = service.values
    fake.tell(exhausted, "402")
    fake.tell(resting, {"do": "429", "retry_after": 500})
    first.admin.call("PATCH", f"/admin/keys/{service.keys[2].id}", expect=200, json={"is_active": False, "name": "off", "weight": 9})
    assert service.chat().status_code == 429
    assert service.chat().status_code == 200
    before = [service.state(n) for n in range(4)]
    assert [key["state"] for key in before] == ["exhausted", "active", "disabled", "active"] and before[1]["cooling_models"]
    made = first.admin.get(f"/admin/proxy-configs/{service.id}")
    assert first.stop() == 0

    second = Rotator(tmp_path / "r")
    service.server = second
    service.url = second.url + service.prefix
    assert second.admin.get(f"/admin/proxy-configs/{service.id}") == made
    after = [service.state(n) for n in range(4)]
    for name in ("key_id", "key_masked", "name", "weight", "state", "state_reason", "is_active"):
        assert [key[name] for key in after] == [key[name] for key in before], name
    assert abs(seconds_left(after[0]["cooling_until"]) - seconds_left(before[0]["cooling_until"])) < 1
    assert after[1]["cooling_models"][0]["model"] == "gpt-4o" and seconds_left(after[1]["cooling_models"][0]["cooling_until"]) > 400
    fake.reset()
    for _ in range(3):
        assert service.chat().status_code == 200
    assert fake.counts() == {good: 3}
    second.stop()


def test_an_acknowledged_write_survives_kill_9(tmp_path, fake):
    directory = tmp_path / "k"
    acknowledged = []
    for round_ in range(5):
        server = Rotator(directory)
        if not acknowledged:
            service = server.service(fake, keys=0, slug="durable")
        value = f"survivor-{round_}-0123456789"
        acknowledged.append(server.add_key(service.id, value).id)
        server.kill()
    server = Rotator(directory)
    assert [key["key_id"] for key in server.admin.all_keys(service.id)] == acknowledged
    assert server.admin.call("GET", f"/admin/proxy-configs/{service.id}/keys/export").text.splitlines() == [f"survivor-{n}-0123456789" for n in range(5)]
    server.stop()


def test_kill_9_within_a_batch_leaves_all_of_it_or_nothing(tmp_path, fake):
    server = Rotator(tmp_path / "b")
    service = server.service(fake, keys=0)
    text = "\n".join(f"half-done-{n:06d}-0123456789" for n in range(60_000)).encode()
    with server.raw(30) as raw:
        raw.send(request_text("POST", f"/admin/proxy-configs/{service.id}/keys/batch", [("Authorization", f"Bearer {server.admin.token}"), ("Content-Type", "text/plain")], text))
        time.sleep(0.15)
        server.kill()
    second = Rotator(tmp_path / "b")
    count = len(second.admin.all_keys(service.id))
    second.stop()
    assert count in (0, 60_000)


def test_standing_survives_kill_9_after_a_second(tmp_path, fake):
    first = Rotator(tmp_path / "s")
    service = first.service(fake, keys=2)
    fake.tell("*", "402")
    service.chat()
    bad = fake.requests()[0]["key"]
    time.sleep(1.5)
    first.kill()
    second = Rotator(tmp_path / "s")
    assert second.admin.get(f"/admin/keys/{service.id_of(bad)}")["state"] == "exhausted"
    second.stop()


# --- Shutdown ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [SIGTERM, SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_drains_running_streams_and_refuses_new_requests(launch, fake, which):
    server = launch(SHUTDOWN_GRACE_SECONDS="20")
    service = server.service(fake, keys=1, kind="GENERIC")
    fake.tell("*", {"do": "gate"})
    stream, idle = server.raw(), server.raw()
    stream.send(request_text("GET", service.prefix + "/drip?n=4&ms=0", [("X-Proxy-Key", PROXY_KEY)]))
    stream.head()
    fake.step()
    assert stream.chunk() == b"drop 0\n"
    idle.send(request_text("GET", "/healthz"))
    assert idle.response().status == 200
    server.signal(which)
    assert eventually(lambda: server.ask("GET", "/readyz", key=None).status == 503)
    for _ in range(2):
        answer = server.ask("GET", service.prefix + "/echo")
        assert (answer.status, answer.json["code"]) == (503, "shutting_down") and answer.get("connection").lower() == "close"
    assert server.ask("POST", "/llm/any/x", key=None).json["error"]["code"] == "shutting_down"
    assert server.ask("GET", "/admin/proxy-configs").status == 503
    assert server.ask("GET", "/healthz").status == 200 and server.ask("GET", "/metrics").status == 200
    for number in (1, 2, 3):
        fake.step()
        assert stream.chunk() == b"drop %d\n" % number
    fake.step()
    assert stream.chunk() == b""
    assert server.wait_exit(5) == 0
    assert fake.total == 1
    stream.close(), idle.close()


def test_what_still_runs_after_the_grace_is_visibly_cut(launch, fake):
    server = launch(SHUTDOWN_GRACE_SECONDS="1")
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "ok", "hang_after": 2})
    with server.raw() as raw:
        raw.send(request_text("POST", service.prefix + "/chat/completions", [("X-Proxy-Key", PROXY_KEY), ("Content-Type", "application/json")], b'{"model":"m","stream":true,"messages":[]}'))
        raw.head()
        got = raw.chunk()
        while got.count(b"\n\n") < 2:
            got += raw.chunk()
        started = time.monotonic()
        server.signal(SIGTERM)
        with pytest.raises((EOFError, ConnectionResetError)):
            raw.line()
        assert 0.7 < time.monotonic() - started < 4
    assert server.wait_exit(5) == 0


def test_without_anything_running_it_ends_at_once(launch):
    server = launch()
    idle = server.raw()
    started = time.monotonic()
    server.signal(SIGTERM)
    assert server.wait_exit(5) == 0 and time.monotonic() - started < 3
    idle.close()


def test_counts_are_flushed_at_shutdown(tmp_path, fake):
    first = Rotator(tmp_path / "f")
    service = first.service(fake, keys=1)
    for _ in range(7):
        service.chat()
    assert first.stop() == 0
    second = Rotator(tmp_path / "f")
    assert second.admin.get(f"/admin/keys/{service.keys[0].id}")["success_count"] == 7
    second.stop()


# --- Stores that cannot be trusted or written -----------------------------------------------------------------------------------------


def prepared(directory, fake, **environment):
    """A data directory with a service and a key, its server stopped."""
    server = Rotator(directory, **environment)
    service = server.service(fake, keys=2, slug="kept")
    assert server.stop() == 0
    return service


@pytest.mark.parametrize("kind", ["hex", "base64"])
def test_an_encryption_key_comes_in_hex_or_base64(tmp_path, fake, kind):
    import base64

    prepared(tmp_path / "e", fake, ENCRYPTION_KEY=KEY_ONE)
    again = Rotator(tmp_path / "e", ENCRYPTION_KEY=KEY_ONE.upper() if kind == "hex" else base64.b64encode(bytes.fromhex(KEY_ONE)).decode())
    assert again.admin.get("/admin/proxy-configs")["items"][0]["slug"] == "kept"
    assert not (again.data / "master.key").exists()
    again.stop()


def test_a_wrong_encryption_key_is_exit_78_and_nothing_is_overwritten(tmp_path, fake):
    service = prepared(tmp_path / "w", fake, ENCRYPTION_KEY=KEY_ONE)
    before = fingerprint(tmp_path / "w" / "data")
    told = run_server(tmp_path / "w", ENCRYPTION_KEY=KEY_TWO)
    assert told.returncode == 78 and "ENCRYPTION_KEY" in told.stderr and KEY_TWO not in told.stderr
    assert len([line for line in told.stderr.splitlines() if line.strip()]) == 1, told.stderr
    assert fingerprint(tmp_path / "w" / "data") == before
    right = Rotator(tmp_path / "w", ENCRYPTION_KEY=KEY_ONE)
    assert right.admin.call("GET", f"/admin/proxy-configs/{service.id}/keys/export").text.splitlines() == service.values
    right.stop()


def test_a_lost_master_key_is_exit_78_and_no_new_one_is_made(tmp_path, fake):
    prepared(tmp_path / "m", fake)
    (tmp_path / "m" / "data" / "master.key").rename(tmp_path / "m" / "saved")
    before = fingerprint(tmp_path / "m" / "data")
    told = run_server(tmp_path / "m")
    assert told.returncode == 78 and ("master.key" in told.stderr or "ENCRYPTION_KEY" in told.stderr)
    assert fingerprint(tmp_path / "m" / "data") == before


@pytest.mark.parametrize("damage", ["another file", "torn header", "middle overwritten"])
def test_a_damaged_store_is_exit_78_and_nothing_is_written(tmp_path, fake, damage):
    prepared(tmp_path / "d", fake)
    path = tmp_path / "d" / "data" / "rotator.db"
    for more in (path.with_name("rotator.db-wal"), path.with_name("rotator.db-shm")):
        more.unlink(missing_ok=True)
    data = bytearray(path.read_bytes())
    if damage == "another file":
        data = bytearray(b"This is a letter, not a database.\n" * 400)
    elif damage == "torn header":
        data[:100] = b"\x00" * 100
    else:
        data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    before = fingerprint(tmp_path / "d" / "data")
    told = run_server(tmp_path / "d")
    assert told.returncode == 78 and "rotator.db" in told.stderr, told.stderr
    assert fingerprint(tmp_path / "d" / "data")["rotator.db"] == before["rotator.db"]


def test_a_second_process_on_the_same_file_is_refused_and_the_first_goes_on(tmp_path, fake):
    first = Rotator(tmp_path / "t")
    service = first.service(fake, keys=2)
    told = run_server(tmp_path / "t")
    lines = [line for line in told.stderr.splitlines() if line.strip()]
    assert told.returncode > 0 and any("rotator.db" in line or "DATA_DIR" in line or "DATABASE_URL" in line for line in lines), told.stderr
    assert "listening on" not in told.stderr
    assert service.chat().status_code == 200
    first.add_key(service.id, "still-writable-0123456789")
    first.stop()
    again = Rotator(tmp_path / "t")
    assert len(again.admin.all_keys(service.id)) == 3, "the refused one left no lock behind"
    again.stop()


def test_a_crash_leaves_no_lock_behind(tmp_path):
    Rotator(tmp_path / "c").kill()
    assert Rotator(tmp_path / "c").stop() == 0


def test_a_data_directory_that_cannot_be_written_is_told_clearly(tmp_path):
    with contextlib.ExitStack() as stack:
        where = pathlib.Path("/proc/rotator-data")
        if can_mount():
            where = stack.enter_context(tmpfs(tmp_path / "readonly", "ro,size=1m"))
        told = run_server(tmp_path / "x", DATA_DIR=str(where))
    assert told.returncode > 0 and str(where) in told.stderr
    assert len([line for line in told.stderr.splitlines() if line.strip()]) == 1, told.stderr


def test_an_existing_store_on_a_read_only_file_system_is_told_clearly(tmp_path, fake):
    assert can_mount(), "this test mounts a file system: run it as root"
    with tmpfs(tmp_path / "ro", "size=32m"):
        prepared(tmp_path / "ro", fake)
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "ro")], check=True)
        before = fingerprint(tmp_path / "ro" / "data")
        told = subprocess.run(
            [server_binary()], cwd=tmp_path, capture_output=True, text=True, timeout=20,
            env=base_environment() | {"BACKEND_PORT": "0", "DATA_DIR": str(tmp_path / "ro" / "data"), "ADMIN_PASSWORD": ADMIN_PASSWORD, "GLOBAL_PROXY_KEYS": PROXY_KEY},
        )  # fmt: skip
        assert told.returncode > 0 and str(tmp_path / "ro" / "data") in told.stderr
        assert fingerprint(tmp_path / "ro" / "data") == before


def test_a_full_data_directory_refuses_writes_and_proxying_goes_on(tmp_path, fake):
    assert can_mount(), "this test mounts a file system: run it as root"
    with tmpfs(tmp_path / "full", "size=6m"):
        server = Rotator(tmp_path / "full")
        try:
            service = server.service(fake, keys=2, slug="full")
            fill(tmp_path / "full" / "ballast")
            big = [f"does-not-fit-{n:05d}-" + "x" * 200 for n in range(20_000)]
            answer = server.admin.call("POST", f"/admin/proxy-configs/{service.id}/keys/batch", json={"keys": big})
            assert answer.status_code in (503, 507), answer.text[:300]
            assert len(server.admin.all_keys(service.id)) == 2, "not half done"
            for _ in range(4):
                assert service.chat().status_code == 200
            assert set(fake.counts()) == set(service.values)
            assert eventually(lambda: re.search(r"full|disk|space", server.log, re.I)), server.log
            (tmp_path / "full" / "ballast").unlink()
            assert eventually(lambda: server.admin.call("POST", f"/admin/proxy-configs/{service.id}/keys", json={"key_value": "fits-again-0123456789"}).status_code == 201, 5, 0.2)
        finally:
            server.stop()


def test_a_start_in_a_full_directory_is_told_clearly(tmp_path):
    assert can_mount(), "this test mounts a file system: run it as root"
    with tmpfs(tmp_path / "full", "size=256k") as where:
        fill(where / "ballast")
        told = run_server(tmp_path / "x", DATA_DIR=str(where / "data"))
        assert told.returncode > 0 and str(where) in told.stderr, told.stderr
