# SPDX-License-Identifier: MIT
"""The catalogue as a document: from one server to another, from a file at the start, and what neither of them tells."""

from __future__ import annotations

import json
import re
import time
import urllib.parse

import pytest
from harness import ADMIN_PASSWORD, PROXY_KEY, Replicas, eventually, run_server
from servers import Place, Stores

PASSPHRASE = "correct horse battery"
SEALED = {"X-Passphrase": PASSPHRASE}
HEADER = "CANARY-header-value-0123456789"


def export(server, expect=200, headers=SEALED, **query):
    return server.admin.call("GET", "/admin/export", expect=expect, headers=headers, params=query)


def take(server, text, expect=200, headers=SEALED, **query):
    return server.admin.call("POST", "/admin/import", expect=expect, content=text, headers=headers, params=query)


def numbers(report, kind):
    return {name: count for name, count in report[kind].items() if count}


def document(*services, **more):
    return {"format": "api-key-rotator/catalogue", "version": 1, "services": list(services)} | more


def service(slug, url, *keys, **more):
    return {"name": slug, "slug": slug, "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": url + "/v1", "keys": list(keys)} | more


def chat(server, slug, key=PROXY_KEY):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    return server.http.post(f"{server.url}/llm/{slug}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.fixture
def source(launch, fake):
    """A server with two services, a client and a switched-off key."""
    one = launch()
    one.made = one.service(fake, keys=["sk-CANARY-one-0123456789", "sk-CANARY-two-0123456789"], slug="openai", extra_headers={"X-Canary": HEADER}, max_attempts=5)
    one.service(fake, keys=["sk-CANARY-off-0123456789"], slug="other", rotation_strategy="weighted")
    one.admin.call("PATCH", f"/admin/keys/{one.made.keys[1].id}", expect=200, json={"name": "second", "weight": 4})
    one.client = one.admin.post("/admin/client-keys", json={"name": "ci", "services": ["openai"], "requests_per_minute": 1000})["key_value"]
    return one


def test_a_fresh_server_serves_what_another_exported(source, launch, fake):
    answer = export(source)
    assert answer.headers["content-type"] == "application/json" and "attachment" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    assert "CANARY" not in answer.text and source.client not in answer.text

    target = launch()
    told = take(target, answer.text, dry_run="true").json()
    assert target.admin.get("/admin/proxy-configs")["items"] == [], "a dry run writes nothing"
    done = take(target, answer.text).json()
    assert told == done | {"dry_run": True}
    assert numbers(done, "services") == {"created": 2} and numbers(done, "keys") == {"created": 3} and numbers(done, "clients") == {"created": 1}

    for key in (PROXY_KEY, source.client):
        assert chat(target, "openai", key).status_code == 200
    assert fake.last().get_field("x-canary") == HEADER
    assert set(fake.counts()) == {"sk-CANARY-one-0123456789", "sk-CANARY-two-0123456789"}
    assert chat(target, "other", source.client).status_code == 403, "the client's limits came along"

    assert numbers(take(target, answer.text, mode="replace").json(), "keys") == {"unchanged": 3}
    ours, theirs = (re.sub(r'"(sealed|salt|check)": "[^"]*"', "", export(one).text) for one in (source, target))
    assert ours == theirs

    # In force after a restart, too.
    target.stop()
    target.start()
    assert chat(target, "openai", source.client).status_code == 200


def test_under_the_same_salt_only_what_has_changed_differs(source):
    first = export(source).text
    salt = json.loads(first)["kdf"]["salt"]
    assert export(source, salt=salt).text == first
    assert export(source).text != first, "a salt at random, where none is given"
    source.made.state(0)
    chat(source, "openai")
    source.admin.call("PATCH", f"/admin/keys/{source.made.keys[0].id}", expect=200, json={"weight": 9})
    before, after = first.splitlines(), export(source, salt=salt).text.splitlines()
    assert len(before) == len(after) and sum(a != b for a, b in zip(before, after)) == 1, "one key is one line; use counts for nothing"


def test_what_cannot_be_opened_is_refused_and_nothing_done(source, launch):
    text = export(source).text
    target = launch()
    assert take(target, text, 400, {"X-Passphrase": "wrong horse battery"}).json()["code"] == "wrong_passphrase"
    assert take(target, text, 400, {}).json()["code"] == "invalid_passphrase"
    assert export(source, 400, {}).json()["code"] == "invalid_passphrase"
    assert export(source, 400, {"X-Passphrase": "elevenchars"}).json()["code"] == "invalid_passphrase"
    moved = json.loads(text)
    moved["services"][0]["keys"], moved["services"][1]["keys"] = moved["services"][1]["keys"], moved["services"][0]["keys"]
    problem = take(target, json.dumps(moved), 400).json()
    assert problem["code"] == "invalid_member" and "/services/0/keys/0" in problem["detail"]
    hostile = json.loads(text)
    hostile["kdf"] |= {"n": 2**30}
    started = time.monotonic()
    assert "/kdf" in take(target, json.dumps(hostile), 400).json()["detail"]
    assert time.monotonic() - started < 1
    assert target.admin.get("/admin/proxy-configs")["items"] == [] and target.admin.get("/admin/client-keys")["items"] == []


def test_replacing_removes_what_the_document_does_not_have(source, fake):
    before = source.made.keys[0].id
    wanted = document(service("openai", fake.url, {"key_value": "sk-CANARY-one-0123456789"}, {"key_value": "sk-new"}), clients=[])
    report = take(source, json.dumps(wanted), mode="replace").json()
    assert numbers(report, "services") == {"updated": 1, "deleted": 1}
    assert numbers(report, "keys") == {"created": 1, "unchanged": 1, "deleted": 2}
    assert numbers(report, "clients") == {"deleted": 1}
    assert {"action": "update", "kind": "service", "subject": "openai"}.items() <= report["changes"][1].items()
    assert chat(source, "openai", source.client).status_code == 401 and chat(source, "other").status_code == 404
    assert chat(source, "openai").status_code == 200
    keys = source.admin.all_keys(source.made.id)
    assert len(keys) == 2 and keys[0]["key_id"] == before


def test_without_keys_a_document_holds_nothing_secret(source, launch):
    answer = export(source, headers={}, keys="false")
    assert "CANARY" not in answer.text and "sealed" not in answer.text
    assert numbers(take(source, answer.text, headers={}, mode="replace").json(), "services") == {"unchanged": 2}
    problem = take(launch(), answer.text, 400, {}).json()
    assert "/services/0/extra_headers/X-Canary" in problem["detail"]


def test_everything_is_audited(source):
    export(source)
    take(source, json.dumps(document(service("third", "http://127.0.0.1:9", {"key_value": "sk-x"}))))
    take(source, json.dumps(document(service("third", "http://127.0.0.1:9", {"key_value": "sk-x"}))))
    entries = [entry for entry in source.admin.get("/admin/audit", params={"limit": 1000})["items"] if entry["action"].startswith("catalogue.")]
    assert [(entry["actor"], entry["action"], entry["subject"]) for entry in entries] == [
        ("admin", "catalogue.export", "2 services, 3 keys, 1 clients"),
        ("admin", "catalogue.import", "services: 1 created; keys: 1 created"),
    ], "an import that changes nothing is no event"


# --- The file at the start ------------------------------------------------------------------------------------------------------


def test_a_file_is_imported_at_each_start(launch, fake, tmp_path):
    path = tmp_path / "catalogue.json"
    client = "rk-from-the-environment-0123456789"
    wanted = document(
        service("openai", fake.url, {"key_value": "${KEY_1}"}, {"key_value": "sk-CANARY-plain-0123456789"}),
        clients=[{"name": "ci", "key_value": "${CI_KEY}", "services": ["open*"]}],
    )
    write(path, wanted)
    server = launch(ROTATOR_CATALOGUE=str(path), KEY_1="sk-CANARY-env-0123456789", CI_KEY=client, LOG_LEVEL="trace")
    for _ in range(2):
        assert chat(server, "openai", client).status_code == 200
    assert fake.counts() == {"sk-CANARY-env-0123456789": 1, "sk-CANARY-plain-0123456789": 1}
    made = server.admin.post("/admin/proxy-configs", json={k: v for k, v in service("own", fake.url).items() if k != "keys"})

    # Again: nothing to do. What was changed over the API is so again as the file says; what the file does not have stays.
    count = len(server.admin.get("/admin/audit", params={"limit": 1000})["items"])
    server.stop()
    server.start()
    assert len(server.admin.get("/admin/audit", params={"limit": 1000})["items"]) == count
    first = server.admin.get("/admin/proxy-configs")["items"][0]
    server.admin.call("PATCH", f"/admin/proxy-configs/{first['id']}", expect=200, json={"is_active": False})
    wanted["services"][0]["max_attempts"] = 2
    write(path, wanted)
    server.stop()
    server.start()
    first, own = server.admin.get("/admin/proxy-configs")["items"]
    assert first["is_active"] and first["max_attempts"] == 2 and own["id"] == made["id"]

    server.environment["ROTATOR_CATALOGUE_MODE"] = "replace"
    server.stop()
    server.start()
    assert [one["slug"] for one in server.admin.get("/admin/proxy-configs")["items"]] == ["openai"]
    assert "CANARY" not in server.log and client not in server.log


@pytest.mark.parametrize("combination", ["postgres", "redis"])
def test_replicas_that_start_at_once_with_one_file_do_not_fight(fake, tmp_path, combination):
    keys = [{"key_value": f"sk-{n:03d}-0123456789abcdef"} for n in range(200)]
    path = write(tmp_path / "catalogue.json", document(service("openai", fake.url, *keys), clients=[{"name": "ci", "key_value": "rk-ci-0123456789"}]))
    stores = Stores(combination)
    try:
        replicas = Replicas(tmp_path, 3, ROTATOR_CATALOGUE=path, **Place(stores).environment)
        try:
            (made,) = replicas[0].admin.get("/admin/proxy-configs")["items"]
            assert len(replicas[0].admin.all_keys(made["id"])) == 200
            for one in replicas:
                assert chat(one, "openai", "rk-ci-0123456789").status_code == 200
            imports = [entry for entry in replicas[0].admin.get("/admin/audit", params={"limit": 1000})["items"] if entry["action"] == "catalogue.import"]
            assert len(imports) == 1, "one of them did it"
            # And a removal over the API reaches all of them.
            take(replicas[1], json.dumps(document(service("openai", fake.url, *keys[:5]), clients=[])), mode="replace")
            for one in replicas:
                assert eventually(lambda: len(one.admin.all_keys(made["id"])) == 5, 2) and eventually(lambda: chat(one, "openai", "rk-ci-0123456789").status_code == 401, 2)
        finally:
            replicas.kill()
    finally:
        stores.close()


def test_a_sealed_file_wants_its_passphrase(source, launch, tmp_path):
    path = write(tmp_path / "catalogue.json", export(source).text)
    server = launch(ROTATOR_CATALOGUE=path, ROTATOR_CATALOGUE_PASSPHRASE=PASSPHRASE)
    assert chat(server, "openai", source.client).status_code == 200
    assert PASSPHRASE not in server.log
    for passphrase, words in [(None, "needs the passphrase"), ("wrong horse battery", "another passphrase")]:
        done = run_server(tmp_path / f"refused{len(words)}", ROTATOR_CATALOGUE=path, ROTATOR_CATALOGUE_PASSPHRASE=passphrase, ADMIN_PASSWORD=ADMIN_PASSWORD, BACKEND_PORT="0")
        assert done.returncode == 78
        line = done.stderr.strip().splitlines()[-1]
        assert "ROTATOR_CATALOGUE_PASSPHRASE: " in line and words in line, line
        assert "wrong horse" not in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        (document(service("a", "http://127.0.0.1:9", {"key_value": "${NOT_SET}"})), "/services/0/keys/0: “key_value” names the environment variable NOT_SET, which is not set"),
        (document(service("a", "http://127.0.0.1:9", {"key_value": "k", "wieght": 1})), "/services/0/keys/0: Unknown member: “wieght”"),
        (document(service("A", "http://127.0.0.1:9")), "/services/0: “slug”"),
        (document(service("a", "http://127.0.0.1:9", rules=[{"statuses": [418], "verdict": "nonsense"}])), "/services/0: “/rules/0/verdict”"),
        (document(clients=[{"name": "second", "key_value": "k"}]), "“/clients/0/name” is that of a key of GLOBAL_PROXY_KEYS"),
    ],
)
def test_a_faulty_file_ends_the_start_with_one_line(tmp_path, content, words):
    path = write(tmp_path / "catalogue.json", content)
    settings = {"ROTATOR_CATALOGUE": path, "ADMIN_PASSWORD": ADMIN_PASSWORD, "GLOBAL_PROXY_KEYS": "second:k2", "BACKEND_PORT": "0"}
    done = run_server(tmp_path / "server", **settings)
    assert done.returncode == 78
    lines = [line for line in done.stderr.splitlines() if "ROTATOR_CATALOGUE" in line]
    assert len(lines) == 1 and words in lines[0], done.stderr
    assert "listening" not in done.stderr
    if "GLOBAL_PROXY_KEYS" not in words:
        checked = run_server(tmp_path / "checked", "check", **settings)
        assert checked.returncode == 1 and words in checked.stderr


def test_an_import_over_the_api_cannot_read_the_environment(launch):
    server = launch()
    problem = take(server, json.dumps(document(service("a", "http://127.0.0.1:9", {"key_value": "${ADMIN_PASSWORD}"}))), 400, {}).json()
    assert "ROTATOR_CATALOGUE" in problem["detail"] and ADMIN_PASSWORD not in problem["detail"]


def test_a_hundred_thousand_keys_go_out_and_in(launch):
    source, target = launch(), launch()
    made = source.service("http://127.0.0.1:9", keys=0, slug="many")
    values = "\n".join(f"sk-many-{n:06d}-0123456789abcdef" for n in range(100_000))
    source.admin.post(f"/admin/proxy-configs/{made.id}/keys/batch", expect=200, content=values, headers={"Content-Type": "text/plain"})
    started = time.monotonic()
    text = export(source).text
    exported = time.monotonic()
    assert numbers(take(target, text).json(), "keys") == {"created": 100_000}
    imported = time.monotonic()
    assert numbers(take(target, text, mode="replace").json(), "keys") == {"unchanged": 100_000}
    print(f"export {exported - started:.1f} s, import {imported - exported:.1f} s, again {time.monotonic() - imported:.1f} s, {len(text)} octets")
    # Unoptimised builds, and machines that are busy.
    assert exported - started < 60 and imported - exported < 90


def test_a_salt_in_a_query_may_be_encoded(source):
    salt = json.loads(export(source).text)["kdf"]["salt"]
    encoded = urllib.parse.quote(salt, safe="")
    answer = source.admin.call("GET", f"/admin/export?salt={encoded}", expect=200, headers=SEALED)
    assert answer.json()["kdf"]["salt"] == salt
    assert eventually(lambda: source.process.poll() is None)
