# SPDX-License-Identifier: MIT
"""Moving a catalogue: between stores, from the original Go service, from gpt-load's exported keys."""

from __future__ import annotations

import sqlite3
import subprocess
import time

import pytest
from harness import ADMIN_PASSWORD, PROXY_KEY, Rotator, base_environment, run_server, server_binary
from servers import Place, Stores

SOURCE, TARGET = "44" * 32, "55" * 32
CANARY = "sk-canary-of-a-migration-0123456789abcdef"


def migrate(directory, *arguments: str, timeout=120, **environment):
    return run_server(directory, "migrate", *arguments, timeout=timeout, **({"ENCRYPTION_KEY": TARGET} | environment))


def told(done) -> str:
    assert CANARY not in done.stdout + done.stderr, "a key's value is in no output"
    return done.stdout + done.stderr


def states(server: Rotator) -> dict[str, dict]:
    """By slug: the configuration less its number, and the keys by name with what is known of them."""
    found = {}
    for service in server.admin.get("/admin/proxy-configs")["items"]:
        keys = {
            key["name"]: {name: key[name] for name in ("key_masked", "weight", "is_active", "state", "cooling_until", "success_count", "failure_count")}
            for key in server.admin.all_keys(service["id"])
        }
        found[service["slug"]] = {name: value for name, value in service.items() if name != "id"} | {"keys": keys}
    return found


def filled(server: Rotator, fake) -> dict[str, dict]:
    """Two services with keys in different states."""
    llm = server.service(fake, keys=[], slug="llm", extra_headers={"X-Team": "blue"}, rotation_strategy="weighted")
    for number in range(4):
        server.add_key(llm.id, f"sk-llm-{number}-0123456789abcdef01234567", name=f"n{number}", weight=number + 1)
    server.add_key(llm.id, CANARY, name="off", is_active=False)
    fake.tell("sk-llm-1-0123456789abcdef01234567", {"do": "402"})
    for _ in range(12):
        assert llm.chat().status_code == 200
    server.service(fake, keys=[], kind="GENERIC", slug="rest", method="GET")
    time.sleep(0.5)
    return states(server)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
def test_everything_goes_from_the_embedded_store_to_another_and_back(kind, launch, fake, tmp_path):
    origin = launch(directory=tmp_path / "origin", ENCRYPTION_KEY=SOURCE, ADMIN_PASSWORD=None, GLOBAL_PROXY_KEYS=PROXY_KEY)
    origin.environment["ADMIN_PASSWORD"] = origin.line(r"generated ADMIN_PASSWORD=(\S+)")[1]
    before = filled(origin, fake)
    assert before["llm"]["keys"]["n1"]["state"] == "exhausted"
    first = f"sqlite:{origin.data}/rotator.db"
    held = migrate(tmp_path / "m", "--from", first, "--to", f"sqlite:{tmp_path}/x.db", SOURCE_ENCRYPTION_KEY=SOURCE)
    assert held.returncode == 1 and "stop the server" in told(held)
    origin.stop()
    stores = Stores(kind) if kind != "sqlite" else None
    try:
        second = Place(stores).environment["DATABASE_URL"] if stores else f"sqlite:{tmp_path}/second/rotator.db"
        dry = migrate(tmp_path / "m", "--from", first, "--to", second, "--dry-run", SOURCE_ENCRYPTION_KEY=SOURCE)
        assert dry.returncode == 0 and "nothing was written" in told(dry)
        for _ in range(2):
            done = migrate(tmp_path / "m", "--from", first, "--to", second, SOURCE_ENCRYPTION_KEY=SOURCE)
            assert done.returncode == 0 and "everything of the source is in the target: 2 services, 5 keys" in told(done), told(done)
        # The generated password came along.
        moved = launch(directory=tmp_path / "moved", ENCRYPTION_KEY=TARGET, DATABASE_URL=second, ADMIN_PASSWORD=None, GLOBAL_PROXY_KEYS=PROXY_KEY)
        moved.environment["ADMIN_PASSWORD"] = origin.environment["ADMIN_PASSWORD"]
        assert states(moved) == before
        moved.stop()
        back = migrate(tmp_path / "m", "--from", second, "--to", f"sqlite:{tmp_path}/back/data/rotator.db", SOURCE_ENCRYPTION_KEY=TARGET, ENCRYPTION_KEY=SOURCE)
        assert back.returncode == 0, told(back)
        returned = launch(directory=tmp_path / "back", ENCRYPTION_KEY=SOURCE)
        assert states(returned) == before
    finally:
        if stores:
            stores.close()


def test_a_migration_that_was_killed_is_run_again_to_its_end(launch, fake, tmp_path):
    origin = launch(directory=tmp_path / "origin", ENCRYPTION_KEY=SOURCE)
    service = origin.service(fake, keys=[], slug="many")
    keys = [f"sk-{number:06d}-0123456789abcdef" for number in range(20_000)]
    origin.admin.call("POST", f"/admin/proxy-configs/{service.id}/keys/batch", expect=200, json={"keys": keys})
    origin.stop()
    place = ["--from", f"sqlite:{origin.data}/rotator.db", "--to", f"sqlite:{tmp_path}/t/rotator.db"]
    process = subprocess.Popen(
        [server_binary(), "migrate", *place], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=base_environment() | {"ENCRYPTION_KEY": TARGET, "SOURCE_ENCRYPTION_KEY": SOURCE, "DATA_DIR": str(tmp_path / "d")},
    )  # fmt: skip
    assert process.stderr and any("of 20000 keys" in line for line in process.stderr)
    process.kill()
    process.communicate(timeout=30)
    done = migrate(tmp_path / "m", *place, SOURCE_ENCRYPTION_KEY=SOURCE)
    assert done.returncode == 0 and "1 services, 20000 keys" in told(done)


def test_wrong_keys_and_places_are_exit_78_and_leave_nothing_behind(launch, fake, tmp_path):
    origin = launch(directory=tmp_path / "origin", ENCRYPTION_KEY=SOURCE)
    origin.stop()
    first = f"sqlite:{origin.data}/rotator.db"
    target = tmp_path / "t" / "rotator.db"
    for arguments, environment, words in (
        (("--from", first, "--to", f"sqlite:{target}"), {"SOURCE_ENCRYPTION_KEY": "66" * 32}, "SOURCE_ENCRYPTION_KEY"),
        (("--from", f"sqlite:{tmp_path}/none.db", "--to", f"sqlite:{target}"), {}, "--from"),
        (("--from", first, "--to", "mysql://h/d"), {}, "--to"),
        (("--from", first, "--to", first), {}, "same store"),
        (("--from", first, "--to", "postgres://h/d"), {"ENCRYPTION_KEY": None, "SOURCE_ENCRYPTION_KEY": SOURCE}, "ENCRYPTION_KEY"),
    ):
        done = migrate(tmp_path / "m", *arguments, **environment)
        assert done.returncode == 78 and words in told(done), (arguments, told(done))
        assert not target.exists()


# --- The original Go service ----------------------------------------------------------------------------------------------------------

GO_TABLES = """
CREATE TABLE `proxy_configs` (`id` integer PRIMARY KEY AUTOINCREMENT, `created_at` datetime, `updated_at` datetime, `deleted_at` datetime,
    `name` text, `slug` text, `config_type` text, `is_active` numeric DEFAULT true, `method` text, `target_url` text, `api_key_location` text,
    `api_key_name` text, `target_base_url` text, `api_format` text, `output_format` text);
CREATE TABLE `api_keys` (`id` integer PRIMARY KEY AUTOINCREMENT, `created_at` datetime, `updated_at` datetime, `deleted_at` datetime,
    `key_value` text, `is_active` numeric DEFAULT true, `proxy_config_id` integer);
"""
GO_CONFIGS = [
    # id, deleted, name, slug, type, active, method, target_url, location, key name, base, format
    (1, None, "OpenAI", "openai", "LLM", 1, None, None, None, None, "http://upstream.test/v1", "openai_compatible"),
    (2, None, "Claude", "Claude Main!", "LLM", 0, None, None, None, None, "http://upstream.test", "anthropic_native"),
    (3, None, "It's \"weather\" \\ ü", "weather", "GENERIC", 1, "GET", "http://weather.test/v1", "query", "appid", None, None),
    (4, "2024-01-01 00:00:00", "Gone", "gone", "LLM", 1, None, None, None, None, "http://gone.test/v1", "openai_compatible"),
]
GO_KEYS = [
    (1, None, "sk-go-1-0123456789abcdef", 1, 1), (2, None, CANARY, 0, 1), (3, None, "ant-go-3-0123456789abcdef", 1, 2), (4, None, "weather-key", 1, 3),
    (5, "2024-01-01 00:00:00", "sk-deleted", 1, 1), (6, None, "", 1, 1), (7, None, "sk-of-nobody", 1, 99),
]  # fmt: skip


def check_go(launch, directory, done):
    text = told(done)
    assert done.returncode == 1, "the key without a value and the one of no service are left out, and that is told: " + text
    assert "api_keys 6" in text and "99" in text and "claude-main" in text
    server = launch(directory=directory, ENCRYPTION_KEY=TARGET)
    found = states(server)
    assert set(found) == {"openai", "claude-main", "weather"}
    assert found["openai"]["config_type"] == "LLM" and found["openai"]["target_base_url"] == "http://upstream.test/v1"
    assert found["claude-main"]["api_format"] == "anthropic_native" and found["claude-main"]["is_active"] is False
    weather = found["weather"]
    assert (weather["name"], weather["method"], weather["api_key_location"], weather["api_key_name"]) == ("It's \"weather\" \\ ü", "GET", "query", "appid")
    by_id = {service["slug"]: service["id"] for service in server.admin.get("/admin/proxy-configs")["items"]}
    assert server.admin.call("GET", f"/admin/proxy-configs/{by_id['openai']}/keys/export").text.split() == ["sk-go-1-0123456789abcdef", CANARY]
    assert [key["is_active"] for key in server.admin.all_keys(by_id["openai"])] == [True, False]


def test_the_go_services_sqlite_file_is_recognised_and_taken_over(launch, tmp_path):
    path = tmp_path / "go.db"
    with sqlite3.connect(path) as database:
        database.executescript(GO_TABLES)
        columns = "id, deleted_at, name, slug, config_type, is_active, method, target_url, api_key_location, api_key_name, target_base_url, api_format"
        database.executemany(f"INSERT INTO proxy_configs ({columns}) VALUES ({','.join('?' * 12)})", GO_CONFIGS)
        database.executemany("INSERT INTO api_keys (id, deleted_at, key_value, is_active, proxy_config_id) VALUES (?,?,?,?,?)", GO_KEYS)
    before = path.read_bytes()
    done = migrate(tmp_path / "m", "--from", f"sqlite:{path}", "--to", f"sqlite:{tmp_path}/new/data/rotator.db")
    check_go(launch, tmp_path / "new", done)
    assert path.read_bytes() == before, "the source stays as it was"


def test_the_go_services_mysql_dump_is_taken_over(launch, tmp_path):
    def value(one):
        if one is None:
            return "NULL"
        if isinstance(one, int):
            return str(one)
        return "'" + one.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"') + "'"

    configs = ",".join("(" + ",".join(map(value, row)) + ")" for row in GO_CONFIGS)
    keys = ",\n".join("(" + ",".join(map(value, row)) + ")" for row in GO_KEYS)
    path = tmp_path / "dump.sql"
    path.write_text(f"""-- MySQL dump 10.13
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `api_keys`;
CREATE TABLE `api_keys` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `deleted_at` datetime(3) DEFAULT NULL,
  `key_value` longtext NOT NULL,
  `is_active` tinyint(1) DEFAULT '1',
  `proxy_config_id` bigint unsigned DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `idx_api_keys_deleted_at` (`deleted_at`)
) ENGINE=InnoDB;
LOCK TABLES `api_keys` WRITE;
INSERT INTO `api_keys` VALUES {keys};
UNLOCK TABLES;
CREATE TABLE `proxy_configs` (`id` bigint);
INSERT INTO `proxy_configs` (`id`,`deleted_at`,`name`,`slug`,`config_type`,`is_active`,`method`,`target_url`,`api_key_location`,`api_key_name`,`target_base_url`,`api_format`) VALUES {configs};
INSERT INTO `other_table` VALUES (1,'); INSERT INTO `api_keys` VALUES (','x');
""")
    done = migrate(tmp_path / "m", "--from", f"mysql-dump:{path}", "--to", f"sqlite:{tmp_path}/new/data/rotator.db")
    check_go(launch, tmp_path / "new", done)


def test_gpt_loads_exported_keys_go_into_a_service_that_is_there_or_made(launch, tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(f"{CANARY}\nsk-two-0123456789\n\nsk-two-0123456789\n")
    target = ["--from", f"gpt-load:{path}", "--to", f"sqlite:{tmp_path}/new/data/rotator.db"]
    assert migrate(tmp_path / "m", *target).returncode == 78, "a list of keys needs its service"
    assert migrate(tmp_path / "m", *target, "--service", "pool").returncode == 78, "a service that is not there needs its target"
    made = migrate(tmp_path / "m", *target, "--service", "pool", "--target-base-url", "http://upstream.test/v1", "--api-format", "openai_compatible")
    assert made.returncode == 0 and "1 services, 2 keys" in told(made), told(made)
    path.write_text("sk-three-0123456789\nsk-two-0123456789\n")
    more = migrate(tmp_path / "m", *target, "--service", "pool")
    assert more.returncode == 0, told(more)
    server = launch(directory=tmp_path / "new", ENCRYPTION_KEY=TARGET, ADMIN_PASSWORD=ADMIN_PASSWORD)
    [service] = server.admin.get("/admin/proxy-configs")["items"]
    assert server.admin.call("GET", f"/admin/proxy-configs/{service['id']}/keys/export").text.split() == [CANARY, "sk-two-0123456789", "sk-three-0123456789"]
