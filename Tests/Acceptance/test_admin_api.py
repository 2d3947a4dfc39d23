# SPDX-License-Identifier: MIT
"""The Admin API: every call, what it refuses, and that a change is in force for the next request."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from harness import ADMIN_PASSWORD, Admin, eventually, moment

KEY_MEMBERS = {
    "key_id", "key_masked", "name", "weight", "is_active", "state", "state_reason", "cooling_until", "cooling_models", "last_used_at", "success_count",
    "failure_count",
}  # fmt: skip
DEFAULTS = {
    "output_format": "none", "rotation_strategy": "round_robin", "max_wait_ms": 0, "stream_usage": False, "hold_startup_ms": 0, "is_active": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def admin(server):
    return server.admin


def llm(slug, **more):
    return {"name": "Name", "slug": slug, "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": "http://127.0.0.1:9/v1"} | more


def rest(slug, **more):
    return {"name": slug, "slug": slug, "config_type": "GENERIC", "target_url": "http://127.0.0.1:9/api"} | more


@pytest.fixture
def made(admin, request):
    """A service of the test's own."""
    slug = "t" + re.sub(r"[^a-z0-9]", "", str(abs(hash(request.node.nodeid))))
    service = admin.post("/admin/proxy-configs", json=llm(slug))
    yield service
    admin.call("DELETE", f"/admin/proxy-configs/{service['id']}")


# --- Login --------------------------------------------------------------------------------------------------------------------


def test_login_gives_a_bearer_token(server):
    answer = httpx.post(server.url + "/admin/login", json={"username": "admin", "password": ADMIN_PASSWORD})
    body = answer.json()
    assert answer.status_code == 200 and body["token_type"].lower() == "bearer" and body["expires_in"] > 60
    assert httpx.get(server.url + "/admin/proxy-configs", headers={"Authorization": f"Bearer {body['access_token']}"}).status_code == 200


def test_wrong_credentials_are_401_and_after_ten_of_them_429(launch):
    server = launch()
    for wrong in [{"username": "admin", "password": "wrong"}] * 9 + [{"username": "root", "password": ADMIN_PASSWORD}]:
        answer = server.http.post(server.url + "/admin/login", json=wrong)
        assert answer.status_code == 401 and answer.headers["content-type"].startswith("application/problem+json")
    answer = server.http.post(server.url + "/admin/login", json={"username": "admin", "password": "wrong"})
    assert answer.status_code == 429
    assert server.http.post(server.url + "/admin/login", json={"username": "admin", "password": ADMIN_PASSWORD}).status_code == 429


def test_the_administrators_name_can_be_chosen(launch):
    server = launch(ADMIN_USERNAME="root")
    assert server.http.post(server.url + "/admin/login", json={"username": "admin", "password": ADMIN_PASSWORD}).status_code == 401
    assert Admin(server, "root").get("/admin/proxy-configs")["items"] == []


@pytest.mark.parametrize("token", [None, "nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/admin/proxy-configs"), ("POST", "/admin/proxy-configs"), ("GET", "/admin/proxy-configs/1/keys"), ("POST", "/admin/keys/1/reset"), ("GET", "/admin/proxy-configs/1/keys/export"), ("DELETE", "/admin/keys/1")],
)
def test_everything_wants_a_valid_token(server, token, method, path):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    assert server.http.request(method, server.url + path, headers=headers).status_code == 401


def test_a_token_of_another_secret_is_refused(server, launch):
    other = launch(JWT_SECRET="another-secret-of-thirty-two-octets!")
    assert server.http.get(server.url + "/admin/proxy-configs", headers={"Authorization": f"Bearer {other.admin.token}"}).status_code == 401


def test_app_config_is_open(server):
    body = server.http.get(server.url + "/admin/app-config").json()
    assert body["proxy_public_base_url"] == "http://localhost:8000" and body["version"]


# --- Services ------------------------------------------------------------------------------------------------------------------


def test_a_service_is_created_read_replaced_changed_and_deleted(admin):
    created = admin.post("/admin/proxy-configs", json=llm("life", max_attempts=5, max_wait_ms=250, replay="unknown", extra_headers={"X-A": "1"}, rotation_strategy="random"))
    identity = created["id"]
    assert isinstance(identity, int) and identity > 0
    assert admin.get(f"/admin/proxy-configs/{identity}") == created
    assert created["max_attempts"] == 5 and created["extra_headers"] == {"X-A": "1"} and created["rotation_strategy"] == "random"

    changed = admin.call("PATCH", f"/admin/proxy-configs/{identity}", expect=200, json={"name": "Renamed", "max_wait_ms": 9}).json()
    assert changed == {**created, "name": "Renamed", "max_wait_ms": 9, **{k: changed[k] for k in changed if k.endswith("_at")}}, "PATCH changes what is given"

    replaced = admin.call("PUT", f"/admin/proxy-configs/{identity}", expect=200, json=llm("life", name="Put")).json()
    assert replaced["id"] == identity and replaced["name"] == "Put"
    fresh = admin.post("/admin/proxy-configs", json=llm("life-2", name="Put"))
    ignored = {"id", "slug", "name"} | {k for k in fresh if k.endswith("_at")}
    assert {k: v for k, v in replaced.items() if k not in ignored} == {k: v for k, v in fresh.items() if k not in ignored}, "PUT puts defaults for what is missing"

    for one in (identity, fresh["id"]):
        admin.call("DELETE", f"/admin/proxy-configs/{one}", expect=204)
        admin.call("GET", f"/admin/proxy-configs/{one}", expect=404)
        admin.call("DELETE", f"/admin/proxy-configs/{one}", expect=404)


@pytest.mark.parametrize("kind", ["LLM", "llm", "Generic", "GENERIC"])
def test_config_type_is_read_in_any_case(admin, kind):
    slug = "kind-" + kind.lower() + str(sum(map(ord, kind)))
    created = admin.post("/admin/proxy-configs", json=(llm if kind.upper() == "LLM" else rest)(slug, config_type=kind))
    assert created["config_type"] == kind.upper()


def test_defaults_are_those_of_the_contract(admin, made):
    assert {name: made[name] for name in DEFAULTS} == DEFAULTS
    assert {"api_key_location", "api_key_name", "api_key_prefix", "max_attempts", "replay", "extra_headers", "method", "target_base_url", "target_url"} <= set(made)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({k: v for k, v in llm("x1").items() if k != "name"}, "name"), ({k: v for k, v in llm("x1").items() if k != "slug"}, "slug"),
        ({k: v for k, v in llm("x1").items() if k != "config_type"}, "config_type"), ({k: v for k, v in llm("x1").items() if k != "api_format"}, "api_format"),
        ({k: v for k, v in llm("x1").items() if k != "target_base_url"}, "target_base_url"), ({k: v for k, v in rest("x1").items() if k != "target_url"}, "target_url"),
        (llm("x1", config_type="REST"), "config_type"), (llm("x1", api_format="telepathy"), "api_format"), (llm("x1", target_base_url="ftp://h"), "target_base_url"),
        (llm("x1", target_base_url="not a url"), "target_base_url"), (llm("x1", target_base_url=""), "target_base_url"), (llm("x1", max_attempts=0), "max_attempts"),
        (llm("x1", max_wait_ms=-1), "max_wait_ms"), (llm("x1", max_attempts="3"), "max_attempts"), (llm("x1", replay="always"), "replay"), (llm("x1", is_active="yes"), "is_active"),
        (llm("x1", rotation_strategy=7), "rotation_strategy"), (llm("x1", extra_headers={"A": 1}), "extra_headers"), (llm("x1", extra_headers=[]), "extra_headers"),
        (llm("x1", api_key_location="cookie"), "api_key_location"), (llm("x1", extra_headers={"Bad Name": "x"}), "extra_headers"),
        (llm("x1", extra_headers={"X": "a\r\nInjected: 1"}), "extra_headers"), (llm("x1", api_key_location="header", api_key_name="Bad Name"), "api_key_name"),
        (llm("x1", name=None), "name"), (llm("x1", api_key_prefix="a\r\nb"), "api_key_prefix"),
        *[(llm(slug, name="x"), "slug") for slug in ("", "-a", "A", "a_b", "a b", "a" * 64, "a/b", "\u00e4", "a.b")],
        (llm("x1", surprise=1), "surprise"), (llm("x1", rotationStrategy="random"), "rotationStrategy"),
    ],
)  # fmt: skip
def test_a_400_names_the_member(admin, body, member):
    answer = admin.call("POST", "/admin/proxy-configs", json=body)
    assert answer.status_code == 400 and member in answer.json()["detail"], answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert {"type", "title", "status", "detail", "code"} <= set(answer.json())


@pytest.mark.parametrize("slug", ["a", "0", "a-b-c", "9lives", "a" * 63, "a-"])
def test_good_slugs_are_taken(admin, slug):
    created = admin.post("/admin/proxy-configs", json=rest(slug))
    admin.call("DELETE", f"/admin/proxy-configs/{created['id']}", expect=204)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "1", '{"name": }', "\xff"])
def test_a_body_that_is_not_a_json_object_is_400(admin, body):
    assert admin.call("POST", "/admin/proxy-configs", content=body.encode("latin-1"), headers={"Content-Type": "application/json"}).status_code == 400


def test_a_slug_is_unique(admin, made):
    assert admin.call("POST", "/admin/proxy-configs", json=llm(made["slug"])).status_code == 409
    other = admin.post("/admin/proxy-configs", json=llm(made["slug"][:30] + "-b"))
    assert admin.call("PATCH", f"/admin/proxy-configs/{other['id']}", json={"slug": made["slug"]}).status_code == 409
    assert admin.call("PUT", f"/admin/proxy-configs/{other['id']}", json=llm(made["slug"])).status_code == 409
    admin.call("DELETE", f"/admin/proxy-configs/{other['id']}", expect=204)


def test_unknown_members_are_named_in_patch_too(admin, made):
    answer = admin.call("PATCH", f"/admin/proxy-configs/{made['id']}", json={"one_thing": 1, "another": 2})
    assert answer.status_code == 400 and "one_thing" in answer.text and "another" in answer.text


@pytest.mark.parametrize("identity", ["0", "-1", "x", "999999999", "99999999999999999999", "1.5"])
def test_an_id_that_is_none_is_404_or_400(admin, identity):
    assert admin.call("GET", f"/admin/proxy-configs/{identity}").status_code in (400, 404)
    assert admin.call("GET", f"/admin/keys/{identity}").status_code in (400, 404)


def test_an_unknown_path_is_404_and_a_wrong_method_405(admin):
    assert admin.call("GET", "/admin/no-such-thing").status_code == 404
    assert admin.call("PATCH", "/admin/proxy-configs").status_code == 405


def test_status_is_set_by_a_call_of_its_own(admin, made):
    for value in (False, True):
        admin.call("PUT", f"/admin/proxy-configs/{made['id']}/status", expect=200, json={"is_active": value})
        assert admin.get(f"/admin/proxy-configs/{made['id']}")["is_active"] is value
    assert admin.call("PUT", f"/admin/proxy-configs/{made['id']}/status", json={}).status_code == 400


def test_a_change_of_a_service_is_in_force_for_the_next_request(server, fake, admin):
    service = server.service(fake, keys=2, kind="GENERIC")
    for n in range(10):
        admin.call("PATCH", f"/admin/proxy-configs/{service.id}", expect=200, json={"target_url": f"{fake.url}/echo/{n}", "extra_headers": {"X-N": str(n)}})
        for _ in range(4):
            assert service.send("GET", "/x").json()["target"] == f"/echo/{n}/x"
            assert fake.last().all("x-n") == [str(n)]


def test_a_request_in_flight_finishes_under_the_old_service(server, fake, admin):
    service = server.service(fake, keys=1, kind="GENERIC")
    fake.tell("*", {"do": "gate"})
    with server.http.stream("GET", service.url + "/drip?n=3&ms=0", headers={"X-Proxy-Key": "pk-acceptance-0123456789abcdef"}) as answer:
        admin.call("DELETE", f"/admin/proxy-configs/{service.id}", expect=204)
        fake.step(n=3)
        assert answer.read() == b"drop 0\ndrop 1\ndrop 2\n"
    assert service.send("GET", "/echo").status_code == 404


# --- Listings -------------------------------------------------------------------------------------------------------------------


def test_listings_are_paged_without_gaps_or_repeats(admin, made):
    path = f"/admin/proxy-configs/{made['id']}/keys"
    admin.post(path + "/batch", expect=200, json={"keys": [f"page-key-{n:04d}-0123456789" for n in range(250)]})
    ids, after, pages = [], None, 0
    while True:
        page = admin.get(path, params={"limit": 40} | ({"after": after} if after is not None else {}))
        ids += [key["key_id"] for key in page["items"]]
        pages += 1
        after = page["next"]
        if after is None:
            break
        assert len(page["items"]) == 40
    assert len(ids) == len(set(ids)) == 250 and pages == 7
    assert len(admin.get(path)["items"]) == 100, "the default"
    assert len(admin.get(path, params={"limit": 1000})["items"]) == 250
    exact = admin.get(path, params={"limit": 250})
    assert len(exact["items"]) == 250 and (exact["next"] is None or admin.get(path, params={"after": exact["next"]})["items"] == [])


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "99999999999999999999"])
def test_a_limit_out_of_range_is_400(admin, made, limit):
    for path in ("/admin/proxy-configs", f"/admin/proxy-configs/{made['id']}/keys"):
        answer = admin.call("GET", path, params={"limit": limit})
        assert answer.status_code == 400 and "limit" in answer.text


def test_services_are_paged_too(admin, made):
    page = admin.get("/admin/proxy-configs", params={"limit": 1})
    seen = [page["items"][0]["id"]]
    while page["next"] is not None:
        page = admin.get("/admin/proxy-configs", params={"limit": 1, "after": page["next"]})
        seen += [item["id"] for item in page["items"]]
    assert made["id"] in seen and len(seen) == len(set(seen))


# --- Keys -----------------------------------------------------------------------------------------------------------------------


def test_a_key_object_has_its_members_and_never_the_value(admin, made):
    path = f"/admin/proxy-configs/{made['id']}/keys"
    value = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    created = admin.post(path, json={"key_value": value, "name": "first", "weight": 7})
    assert KEY_MEMBERS <= set(created) and created["key_masked"].startswith("sk-p") and created["key_masked"].endswith("wxyz")
    assert (created["name"], created["weight"], created["is_active"], created["state"]) == ("first", 7, True, "active")
    assert (created["state_reason"], created["cooling_until"], created["cooling_models"], created["last_used_at"]) == (None, None, [], None)
    for answer in (admin.call("GET", path), admin.call("GET", f"/admin/keys/{created['key_id']}"), admin.call("PATCH", f"/admin/keys/{created['key_id']}", json={"name": "n"}), admin.call("POST", f"/admin/keys/{created['key_id']}/reset")):
        assert answer.status_code == 200 and value not in answer.text and value[5:-5] not in answer.text


@pytest.mark.parametrize(("value", "start", "end"), [("x" * 8 + "SECRETSECRE" + "y", "xxxx", "CREy"), ("ab" + "SECRETSECRETSECRE", "ab", ""), ("ab7", "", ""), ("z", "", "")])
def test_a_value_is_masked_by_its_length(admin, made, value, start, end):
    created = admin.post(f"/admin/proxy-configs/{made['id']}/keys", json={"key_value": value})
    masked = created["key_masked"]
    assert value not in masked or len(value) < 3
    if len(value) >= 20:
        assert masked.startswith(start) and masked.endswith(end)
    else:
        assert value[:3] not in masked and (len(value) < 3 or value[-2:] not in masked)
    assert "SECRET" not in masked


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({}, "key_value"), ({"key_value": ""}, "key_value"), ({"key_value": "has space"}, "key_value"), ({"key_value": "tab\t"}, "key_value"),
        ({"key_value": "caf\u00e9"}, "key_value"), ({"key_value": "new\nline"}, "key_value"), ({"key_value": "k" * 8193}, "key_value"), ({"key_value": 5}, "key_value"),
        ({"key_value": "good-key", "weight": 0}, "weight"), ({"key_value": "good-key", "weight": 1000001}, "weight"), ({"key_value": "good-key", "weight": 1.5}, "weight"),
        ({"key_value": "good-key", "surprise": 1}, "surprise"), ({"key": "good-key"}, "key"),
    ],
)  # fmt: skip
def test_a_bad_key_is_400_and_the_member_named(admin, made, body, member):
    answer = admin.call("POST", f"/admin/proxy-configs/{made['id']}/keys", json=body)
    assert answer.status_code == 400 and member in answer.text
    assert admin.get(f"/admin/proxy-configs/{made['id']}/keys")["items"] == []


def test_a_duplicate_key_is_409_within_a_service_and_fine_in_another(admin, made):
    admin.post(f"/admin/proxy-configs/{made['id']}/keys", json={"key_value": "the-same-key-0123456789"})
    answer = admin.call("POST", f"/admin/proxy-configs/{made['id']}/keys", json={"key_value": "the-same-key-0123456789"})
    assert answer.status_code == 409 and "the-same-key-0123456789" not in answer.text
    other = admin.post("/admin/proxy-configs", json=llm(made["slug"][:30] + "-c"))
    admin.post(f"/admin/proxy-configs/{other['id']}/keys", json={"key_value": "the-same-key-0123456789"})


def test_a_key_is_changed_and_deleted(admin, made, server):
    path = f"/admin/proxy-configs/{made['id']}/keys"
    key = admin.post(path, json={"key_value": "changeable-key-0123456789", "weight": 1000000, "is_active": False})
    assert key["is_active"] is False and key["state"] == "disabled" and key["weight"] == 1000000
    changed = admin.call("PATCH", f"/admin/keys/{key['key_id']}", expect=200, json={"is_active": True, "name": "n2", "weight": 2}).json()
    assert (changed["is_active"], changed["state"], changed["name"], changed["weight"]) == (True, "active", "n2", 2)
    assert admin.call("PATCH", f"/admin/keys/{key['key_id']}", json={"key_value": "other"}).status_code == 400
    assert admin.call("PATCH", f"/admin/keys/{key['key_id']}", json={"weight": 0}).status_code == 400
    admin.call("DELETE", f"/admin/keys/{key['key_id']}", expect=204)
    admin.call("GET", f"/admin/keys/{key['key_id']}", expect=404)
    admin.call("DELETE", f"/admin/keys/{key['key_id']}", expect=404)
    admin.post(path, json={"key_value": "changeable-key-0123456789"})


def test_a_pool_is_cleared(admin, made):
    path = f"/admin/proxy-configs/{made['id']}/keys"
    admin.post(path + "/batch", expect=200, json={"keys": ["clear-me-1", "clear-me-2", "clear-me-3"]})
    assert admin.call("DELETE", path, expect=200).json() == {"deleted_count": 3}
    assert admin.get(path) == {"items": [], "next": None}
    assert admin.call("DELETE", path, expect=200).json() == {"deleted_count": 0}


def test_a_batch_says_what_became_of_every_line(admin, made):
    path = f"/admin/proxy-configs/{made['id']}/keys"
    admin.post(path, json={"key_value": "already-here-0123456789"})
    told = admin.post(path + "/batch", expect=200, json={"keys": ["new-one-0123456789", "already-here-0123456789", "has space inside", "new-one-0123456789", "new-two-0123456789", ""]})
    assert (told["success_count"], told["skipped_count"]) == (2, 2)
    assert told["failed_count"] == len(told["failed_keys"]) and {one["index"] for one in told["failed_keys"]} >= {2}
    assert all(one["reason"] and "has space" not in one["reason"] for one in told["failed_keys"])
    text = admin.post(path + "/batch", expect=200, content=b"plain-one-0123456789\r\n\n   \nplain-two-0123456789\nnew-two-0123456789", headers={"Content-Type": "text/plain"})
    assert (text["success_count"], text["skipped_count"], text["failed_count"], text["failed_keys"]) == (2, 1, 0, [])
    assert len(admin.get(path)["items"]) == 5


def test_a_hundred_thousand_keys_are_imported_in_one_call_within_five_seconds(server, fake, admin):
    service = server.service(fake, keys=0, kind="GENERIC")
    text = "\n".join(f"sk-mass-import-{n:08d}-abcdefghijklmnop" for n in range(100_000))
    started = time.monotonic()
    told = admin.post(f"/admin/proxy-configs/{service.id}/keys/batch", expect=200, content=text.encode(), headers={"Content-Type": "text/plain"})
    took = time.monotonic() - started
    assert (told["success_count"], told["skipped_count"], told["failed_count"]) == (100_000, 0, 0)
    assert took < 5, f"{took:.1f} s"
    assert service.send("GET", "/echo").status_code == 200, "in force for the next request"
    for _ in range(50):
        service.send("GET", "/echo")
    assert len(fake.counts()) == 51
    again = admin.post(f"/admin/proxy-configs/{service.id}/keys/batch", expect=200, json={"keys": text.split("\n")})
    assert (again["success_count"], again["skipped_count"]) == (0, 100_000)
    started = time.monotonic()
    admin.get(f"/admin/proxy-configs/{service.id}/keys", params={"limit": 1000})
    assert time.monotonic() - started < 1
    exported = admin.call("GET", f"/admin/proxy-configs/{service.id}/keys/export", expect=200).text
    assert exported.splitlines() == text.splitlines() or sorted(exported.splitlines()) == sorted(text.splitlines())
    assert admin.call("DELETE", f"/admin/proxy-configs/{service.id}/keys", expect=200).json() == {"deleted_count": 100_000}


def test_keys_are_exported_one_a_line(admin, made):
    values = [f"export-{n}-0123456789+/=" for n in range(3)]
    admin.post(f"/admin/proxy-configs/{made['id']}/keys/batch", expect=200, json={"keys": values})
    answer = admin.call("GET", f"/admin/proxy-configs/{made['id']}/keys/export", expect=200)
    assert answer.text.splitlines() == values and answer.headers["content-type"].startswith("text/plain")


def test_keys_can_be_filtered_by_state_and_words(server, fake, admin):
    service = server.service(fake, keys=3)
    admin.call("PATCH", f"/admin/keys/{service.keys[0].id}", expect=200, json={"is_active": False, "name": "the Odd one"})
    fake.tell(service.values[1], "402")
    service.chat(), service.chat()
    path = f"/admin/proxy-configs/{service.id}/keys"
    assert [key["key_id"] for key in admin.get(path, params={"state": "disabled"})["items"]] == [service.keys[0].id]
    assert [key["key_id"] for key in admin.get(path, params={"state": "exhausted"})["items"]] == [service.keys[1].id]
    assert [key["key_id"] for key in admin.get(path, params={"state": "active"})["items"]] == [service.keys[2].id]
    assert [key["key_id"] for key in admin.get(path, params={"q": "odd"})["items"]] in ([service.keys[0].id], [])
    assert [key["key_id"] for key in admin.get(path, params={"q": "Odd"})["items"]] == [service.keys[0].id]
    assert admin.call("GET", path, params={"state": "sleepy"}).status_code == 400


def test_times_are_rfc_3339_in_utc(server, fake, admin):
    service = server.service(fake, keys=1)
    fake.tell("*", "402")
    service.chat()
    key = service.state(0)
    assert abs(moment(key["last_used_at"]) - time.time()) < 5 and moment(key["cooling_until"]) > time.time()


def test_keys_of_an_unknown_service_are_404(admin):
    assert admin.call("GET", "/admin/proxy-configs/99999/keys").status_code == 404
    assert admin.call("POST", "/admin/proxy-configs/99999/keys", json={"key_value": "x-y-z"}).status_code == 404
    assert admin.call("POST", "/admin/proxy-configs/99999/keys/batch", json={"keys": ["x"]}).status_code == 404


def test_deleting_a_service_deletes_its_keys(admin):
    service = admin.post("/admin/proxy-configs", json=llm("to-be-deleted"))
    key = admin.post(f"/admin/proxy-configs/{service['id']}/keys", json={"key_value": "goes-with-it-0123456789"})
    admin.call("DELETE", f"/admin/proxy-configs/{service['id']}", expect=204)
    admin.call("GET", f"/admin/keys/{key['key_id']}", expect=404)
    again = admin.post("/admin/proxy-configs", json=llm("to-be-deleted"))
    assert again["id"] != service["id"] and admin.get(f"/admin/proxy-configs/{again['id']}/keys")["items"] == []


def test_an_admin_body_over_the_limit_is_413(launch):
    server = launch(MAX_BODY_BYTES="10000")
    answer = server.admin.call("POST", "/admin/proxy-configs", json=llm("big", name="x" * 20000))
    assert answer.status_code == 413


def test_changes_made_at_the_same_time_are_all_kept(server, fake, admin):
    from concurrent.futures import ThreadPoolExecutor

    service = server.service(fake, keys=0)
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda n: admin.call("POST", f"/admin/proxy-configs/{service.id}/keys", json={"key_value": f"parallel-{n % 100:03d}-0123456789"}).status_code, range(200)))
    assert codes.count(201) == 100 and codes.count(409) == 100
    assert len(admin.all_keys(service.id)) == 100


# --- openapi.json ------------------------------------------------------------------------------------------------------------------


def test_openapi_describes_every_call(server):
    document = server.http.get(server.url + "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    described = {(re.sub(r"\{[^}]+\}", "{}", path), method) for path, item in document["paths"].items() for method in item}
    calls = """
        post /admin/login; get /admin/app-config; get post /admin/proxy-configs; get put patch delete /admin/proxy-configs/{}; put /admin/proxy-configs/{}/status;
        get post delete /admin/proxy-configs/{}/keys; post /admin/proxy-configs/{}/keys/batch; get /admin/proxy-configs/{}/keys/export;
        get patch delete /admin/keys/{}; post /admin/keys/{}/reset; get /healthz; get /readyz; get /metrics
    """
    for call in calls.split(";"):
        *methods, path = call.split()
        for method in methods:
            if path.startswith("/admin") or (path, method) in described:
                assert (path, method) in described, f"{method.upper()} {path} is not described"


def test_openapi_is_valid(server):
    from openapi_spec_validator import validate

    validate(server.http.get(server.url + "/openapi.json").json())


def test_every_described_admin_call_exists(server, admin):
    document = server.http.get(server.url + "/openapi.json").json()
    for path, item in document["paths"].items():
        if not path.startswith("/admin") or path.endswith(("/events", "/login")):
            continue
        for method in item:
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            anonymous = server.http.request(method, server.url + re.sub(r"\{[^}]+\}", "999999", path))
            assert anonymous.status_code == (200 if path == "/admin/app-config" else 401), f"{method} {path} without a token"
            answer = admin.call(method.upper(), re.sub(r"\{[^}]+\}", "999999", path), **({"content": b"{"} if method in ("post", "put", "patch") else {}))
            assert answer.status_code not in (405, 501) and answer.status_code < 500, f"{method} {path}: {answer.status_code}"


def test_a_service_is_ready_at_once_on_every_thread(server, fake):
    """A key added is used, a key deleted is not, from the very next request on."""
    service = server.service(fake, keys=0, kind="GENERIC")
    for n in range(20):
        key = server.add_key(service.id, f"now-you-see-me-{n:04d}-0123456789")
        for _ in range(4):
            assert service.send("GET", "/echo").status_code == 200
        server.admin.call("DELETE", f"/admin/keys/{key.id}", expect=204)
        for _ in range(4):
            assert service.send("GET", "/echo").status_code == 503
    assert set(fake.counts().values()) == {4}


def test_the_administrators_state_survives_traffic(server, fake, admin):
    service = server.service(fake, keys=2)
    admin.call("PATCH", f"/admin/keys/{service.keys[0].id}", expect=200, json={"is_active": False})
    for _ in range(4):
        assert service.chat().status_code == 200
    assert eventually(lambda: service.state(0)["state"] == "disabled") and service.state(0)["success_count"] == 0
