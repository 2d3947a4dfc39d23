# SPDX-License-Identifier: MIT
"""How a shared store is named, what seals it, and that no secret is found in it or beside it."""

from __future__ import annotations

import base64
import re
import urllib.parse

import pytest
from harness import PROXY_KEY, Replicas, Rotator, eventually, run_server
from servers import PASSWORD, Place, PostgreSQL, Redis, Stores

KEY_ONE, KEY_TWO = "5ea1" * 16, "0dd5" * 16


@pytest.fixture(scope="module")
def postgresql():
    with PostgreSQL(log_statements=True) as server:
        yield server


@pytest.fixture(scope="module")
def redis():
    with Redis() as server:
        yield server


def serves(server: Rotator, fake, slug: str = "spelt") -> None:
    """It serves a service of its own, made now or by an earlier process on the same place."""
    if not any(one["slug"] == slug for one in server.admin.get("/admin/proxy-configs")["items"]):
        server.service(fake, keys=2, kind="GENERIC", slug=slug)
    assert server.ask("GET", f"/proxy/{slug}/echo").status == 200


# --- The sealing key ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_shared_store_without_an_encryption_key_is_one_line_and_exit_78(kind, postgresql, redis, tmp_path):
    url = postgresql.url(postgresql.new_database()) if kind == "postgres" else redis.url(redis.new_database())
    told = run_server(tmp_path, DATABASE_URL=url)
    lines = [line for line in told.stderr.splitlines() if line.strip()]
    assert told.returncode == 78 and len(lines) == 1 and "ENCRYPTION_KEY" in lines[0], told.stderr
    assert PASSWORD not in told.stderr and urllib.parse.quote(PASSWORD, safe="") not in told.stderr
    assert not (tmp_path / "data" / "master.key").exists()


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_wrong_encryption_key_is_exit_78_and_nothing_is_written(kind, postgresql, redis, tmp_path, fake):
    database = postgresql.new_database() if kind == "postgres" else redis.new_database()
    url = postgresql.url(database) if kind == "postgres" else redis.url(database)

    def content():
        if kind == "postgres":
            return "\n".join(line for line in postgresql.dump(database).splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
        one = redis.connection()
        one.ask("SELECT", database)
        found = {key: one.ask("DUMP", key) for key in one.ask("KEYS", "*")}
        one.close()
        return found

    right = Rotator(tmp_path / "right", DATABASE_URL=url, ENCRYPTION_KEY=KEY_ONE)
    serves(right, fake)
    assert right.stop() == 0
    before = content()
    told = run_server(tmp_path / "wrong", DATABASE_URL=url, ENCRYPTION_KEY=KEY_TWO)
    lines = [line for line in told.stderr.splitlines() if line.strip()]
    assert told.returncode == 78 and len(lines) == 1 and "ENCRYPTION_KEY" in lines[0], told.stderr
    assert KEY_TWO not in told.stderr and PASSWORD not in told.stderr
    assert content() == before
    again = Rotator(tmp_path / "right", DATABASE_URL=url, ENCRYPTION_KEY=KEY_ONE)
    serves(again, fake)
    again.stop()


# --- Spellings ----------------------------------------------------------------------------------------------------------------------


def postgresql_spellings(server: PostgreSQL, database: str) -> dict[str, dict[str, str]]:
    quoted, directory = urllib.parse.quote(server.password, safe=""), urllib.parse.quote(str(server.directory), safe="")
    return {
        "postgres://": {"DATABASE_URL": server.url(database)},
        "postgresql://": {"DATABASE_URL": server.url(database).replace("postgres://", "postgresql://")},
        "a socket's directory as host parameter": {"DATABASE_URL": f"postgres://rotator:{quoted}@/{database}?host={server.directory}&port={server.port}"},
        "a socket's directory as percent-encoded host": {"DATABASE_URL": f"postgres://rotator:{quoted}@{directory}:{server.port}/{database}"},
        "credentials as parameters": {"DATABASE_URL": f"postgres:///{database}?host=127.0.0.1&port={server.port}&user=rotator&password={quoted}&connect_timeout=3"},
        "several hosts, the first of them dead": {"DATABASE_URL": f"postgres://rotator:{quoted}@127.0.0.1:1,127.0.0.1:{server.port}/{database}?target_session_attrs=read-write"},
        "the PG variables": {
            "DATABASE_URL": "postgres:///", "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "rotator", "PGPASSWORD": server.password, "PGDATABASE": database,
        },
        "the DB variables": {
            "DB_TYPE": "postgres", "DB_HOST": "127.0.0.1", "DB_PORT": str(server.port), "DB_USER": "rotator", "DB_PASSWORD": server.password, "DB_NAME": database,
        },
        "the DB variables with a socket's directory": {
            "DB_TYPE": "PostgreSQL", "DB_HOST": str(server.directory), "DB_PORT": str(server.port), "DB_USER": "rotator", "DB_PASSWORD": server.password, "DB_NAME": database,
        },
    }  # fmt: skip


def test_every_spelling_of_a_postgresql_database_finds_it(postgresql, tmp_path, fake):
    database = postgresql.new_database()
    for number, (spelling, environment) in enumerate(postgresql_spellings(postgresql, database).items()):
        server = Rotator(tmp_path / f"pg{number}", ENCRYPTION_KEY=KEY_ONE, **environment)
        try:
            serves(server, fake)
            assert [one["slug"] for one in server.admin.get("/admin/proxy-configs")["items"]] == ["spelt"], f"{spelling}: another place"
            assert PASSWORD not in server.log
        finally:
            server.stop()
    assert postgresql.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'rotator'") == "0", "an ended process leaves no session"


def test_a_schema_of_its_own_keeps_two_installations_apart(postgresql, tmp_path, fake):
    database = postgresql.new_database()
    postgresql.sql("CREATE SCHEMA one AUTHORIZATION rotator; CREATE SCHEMA two AUTHORIZATION rotator", database)
    servers = [
        Rotator(tmp_path / name, ENCRYPTION_KEY=key, DATABASE_URL=postgresql.url(database) + f"?options=-csearch_path%3D{name}")
        for name, key in (("one", KEY_ONE), ("two", KEY_TWO))
    ]
    for name, server in zip(("one", "two"), servers):
        serves(server, fake, slug=f"in-{name}")
    assert [[one["slug"] for one in server.admin.get("/admin/proxy-configs")["items"]] for server in servers] == [["in-one"], ["in-two"]]
    for server in servers:
        server.stop()


def redis_spellings(server: Redis, number: int) -> dict[str, str]:
    quoted = urllib.parse.quote(server.password, safe="")
    return {
        "password alone": f"redis://:{quoted}@127.0.0.1:{server.port}/{number}",
        "the default user": f"redis://default:{quoted}@127.0.0.1:{server.port}/{number}",
        "a user of the access list": f"redis://keeper:{quoted}@localhost:{server.port}/{number}",
        "a socket": f"unix://:{quoted}@{server.path}?db={number}",
        "a socket, with a user": f"unix://keeper:{quoted}@{server.path}?db={number}",
    }


def allow_keeper(redis: Redis) -> None:
    redis.ask("ACL", "SETUSER", "keeper", "reset", "on", f">{redis.password}", "~rotator:*", "&rotator:*", "+@all", "-@admin", "-@dangerous", "+info")


def test_every_spelling_of_a_redis_store_finds_it(redis, tmp_path, fake):
    allow_keeper(redis)
    number = redis.new_database()
    for n, (spelling, url) in enumerate(redis_spellings(redis, number).items()):
        server = Rotator(tmp_path / f"r{n}", DATABASE_URL=url, ENCRYPTION_KEY=KEY_ONE)
        try:
            serves(server, fake)
            assert [one["slug"] for one in server.admin.get("/admin/proxy-configs")["items"]] == ["spelt"], f"{spelling}: another place"
            assert PASSWORD not in server.log
        finally:
            server.stop()


def test_the_number_of_the_database_keeps_two_installations_apart(redis, tmp_path, fake):
    servers = [Rotator(tmp_path / f"n{n}", ENCRYPTION_KEY=key, DATABASE_URL=redis.url(redis.new_database())) for n, key in enumerate((KEY_ONE, KEY_TWO))]
    for n, server in enumerate(servers):
        serves(server, fake, slug=f"number-{n}")
    assert [[one["slug"] for one in server.admin.get("/admin/proxy-configs")["items"]] for server in servers] == [["number-0"], ["number-1"]]
    for server in servers:
        server.stop()


def test_every_spelling_of_the_shared_state_is_the_same_shared_state(postgresql, redis, tmp_path, fake):
    """Replicas that name one Redis in different ways take their tickets from one counter."""
    allow_keeper(redis)
    number = redis.new_database()
    in_parts = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port), "REDIS_PASSWORD": redis.password, "REDIS_DB": str(number)}
    spellings = [in_parts, *({"REDIS_URL": url} for url in redis_spellings(redis, number).values())]
    common = {"DATABASE_URL": postgresql.url(postgresql.new_database()), "ENCRYPTION_KEY": KEY_ONE}
    replicas = Replicas(tmp_path, 0)
    try:
        for n, environment in enumerate(spellings):
            replicas.append(Rotator(tmp_path / f"spelling{n}", **common, **environment))
        service = replicas.service(fake, keys=10)
        load = replicas.load(service, 3000)
        assert not load.wrong and all(abs(count - 300) <= len(replicas) for count in fake.counts().values()), fake.counts()
        connections = redis.ask("CLIENT", "LIST").decode().splitlines()
        assert sum(f" db={number} " in line for line in connections) >= len(replicas), "each has come to the database that it was told"
    finally:
        replicas.kill()


def test_redis_beside_sqlite_serves_and_shares_its_tickets_with_nobody(redis, tmp_path, fake):
    """Two embedded catalogues are two installations, also on one Redis database."""
    url = redis.url(redis.new_database())
    servers = [Rotator(tmp_path / name, REDIS_URL=url) for name in ("left", "right")]
    for name, server in zip(("left", "right"), servers):
        service = server.service(fake, keys=3, kind="GENERIC", slug=name)
        fake.tell(service.values[0], {"do": "429", "retry_after": 60})
        for _ in range(6):
            assert service.send("GET", "/echo").status_code == 200
        assert service.state(0)["state"] == "cooling"
    assert [[one["slug"] for one in server.admin.get("/admin/proxy-configs")["items"]] for server in servers] == [["left"], ["right"]]
    for server in servers:
        server.stop()


@pytest.mark.parametrize("append_only", [True, False], ids=["append-only file", "nothing on disk"])
def test_a_redis_store_that_keeps_nothing_on_disk_is_warned_of(append_only, tmp_path):
    with Redis(append_only=append_only) as server:
        replica = Rotator(tmp_path, DATABASE_URL=server.url(1), ENCRYPTION_KEY=KEY_ONE)
        warned = eventually(lambda: [line for line in replica.lines if re.search(r"\bwarning\b", line, re.I) and "appendonly" in line.lower()], 2 if not append_only else 0.5)
        assert bool(warned) is not append_only, replica.log
        replica.stop()


# --- Secrets --------------------------------------------------------------------------------------------------------------------------

CANARIES = {
    "provider key": "CANARYprovider-key-0123456789", "provider key of a batch": "CANARYbatch-key-0123456789", "value of an extra header": "CANARYheader-0123456789",
    "proxy key": "CANARYproxy-key-0123456789", "admin password": "CANARYadmin-password-0123", "JWT secret": "CANARYjwt-secret-0123456789-0123456789",
    "encryption key": KEY_ONE, "store password": PASSWORD,
}  # fmt: skip


@pytest.fixture(scope="module", params=Stores.COMBINATIONS)
def said(request, tmp_path_factory, provider) -> list[tuple[str, str]]:
    """Two replicas do everything that puts something into a store; returns (place, text) of all that is there afterwards."""
    stores = Stores(request.param, log_statements=True)
    try:
        return speak(stores, tmp_path_factory.mktemp("said"), provider)
    finally:
        stores.close()


def speak(stores: Stores, directory, fake) -> list[tuple[str, str]]:
    place, found = Place(stores), []
    fake.reset()
    environment = place.environment | {
        "GLOBAL_PROXY_KEYS": f"{CANARIES['proxy key']},{PROXY_KEY}", "ADMIN_PASSWORD": CANARIES["admin password"], "JWT_SECRET": CANARIES["JWT secret"], "LOG_LEVEL": "trace",
    }  # fmt: skip
    monitor = stores.redis.monitored() if stores.redis else None
    lines = monitor.__enter__() if monitor else []
    replicas = Replicas(directory, 2, **environment)
    try:
        service = replicas.service(fake, keys=[CANARIES["provider key"], "sk-another-0123456789"], extra_headers={"X-Secret": CANARIES["value of an extra header"]})
        admin, path = replicas[0].admin, f"/admin/proxy-configs/{service.id}"
        admin.post(path + "/keys/batch", expect=200, json={"keys": [CANARIES["provider key of a batch"]] + [f"{CANARIES['provider key of a batch']}-{n}" for n in range(50)]})
        admin.call("POST", path + "/keys", expect=409, json={"key_value": CANARIES["provider key"]})
        admin.call("PATCH", path, expect=200, json={"name": "renamed"})
        admin.call("PATCH", f"/admin/keys/{service.keys[1].id}", expect=200, json={"name": "named", "weight": 3})
        fake.tell(CANARIES["provider key"], {"do": "429", "retry_after": 60})
        for n in range(120):
            assert replicas[n % 2].ask("GET", service.prefix + "/echo", key=CANARIES["proxy key"]).status == 200
        assert 1 <= fake.counts()[CANARIES["provider key"]] <= 2, "the other replica hears of the rest in a moment"
        assert CANARIES["provider key"] in replicas[1].admin.call("GET", path + "/keys/export").text, "the one place that gives values"
        assert eventually(lambda: replicas[1].admin.get(f"/admin/keys/{service.keys[0].id}")["state"] == "cooling", 2)
        if stores.postgresql:
            stores.postgresql.end_sessions()  # errors have a wording of their own
        found.append(("answers", "".join(one.ask("GET", "/readyz", key=None).body.decode() + one.ask("GET", "/metrics", key=None).body.decode() for one in replicas)))
        replicas.stop()
        found += [(f"log of replica {n}", "\n".join(one.lines + one.output)) for n, one in enumerate(replicas)]
        found += [(f"file {file}", file.read_bytes().decode("latin-1")) for file in directory.rglob("*") if file.is_file()]
    finally:
        replicas.kill()
        if monitor:
            monitor.__exit__(None, None, None)
    if stores.redis:
        found += [("MONITOR", "".join(lines)), ("Redis files", stores.redis.persisted().decode("latin-1")), ("Redis log", stores.redis.log)]
    if stores.postgresql:
        found += [("pg_dump", stores.postgresql.dump(place.database or "")), ("PostgreSQL log", stores.postgresql.log)]
    return found


@pytest.mark.parametrize("name", CANARIES)
def test_no_canary_is_found_in_a_store_or_in_a_log(said, name):
    value = CANARIES[name]
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")[:-1]
    forms = {value, value.encode().hex(), encoded, urllib.parse.quote(value, safe=""), value[4:-4]}
    if name == "encryption key":
        forms = {value, value.upper(), bytes.fromhex(value).decode("latin-1"), base64.b64encode(bytes.fromhex(value)).decode()}
    for form in forms:
        for place, text in said:
            at = text.find(form)
            assert at < 0, f"{name} stands in {place}: …{text[max(0, at - 120) : at + 120]}…"


def test_the_places_that_were_searched_did_hold_something(said):
    """Silence would prove nothing."""
    places = dict(said)
    if "pg_dump" in places:
        assert "renamed" in places["pg_dump"] and places["pg_dump"].count("INSERT INTO") > 50
        assert places["PostgreSQL log"].count("statement:") + places["PostgreSQL log"].count("execute ") > 20
    if "MONITOR" in places:
        assert places["MONITOR"].count("\n") > 20 and "rotator:" in places["MONITOR"] and "rotator:" in places["Redis files"]
    if "pg_dump" not in places:
        assert "renamed" in places["MONITOR"]
    assert len(places["log of replica 0"].splitlines()) > 30


def test_a_login_is_the_only_thing_that_carries_the_password(said):
    for line in dict(said).get("MONITOR", "").splitlines():
        assert '"AUTH"' not in line.upper() or "(redacted)" in line, line
