# SPDX-License-Identifier: MIT
"""Where a proxy key may stand, which one decides, and that none ever reaches a provider."""

from __future__ import annotations

import json

import pytest
from harness import OTHER_PROXY_KEY, PROXY_KEY, Rotator, request_text

POSITIONS = ["X-Proxy-Key", "Authorization", "x-api-key", "x-goog-api-key", "api-key", "?key"]


def place(position, key):
    """(query, fields) that carry `key` at `position`."""
    if position == "?key":
        return f"?key={key}", []
    return "", [(position, f"Bearer {key}" if position == "Authorization" else key)]


@pytest.fixture
def generic(server, fake):
    return server.service(fake, keys=1, kind="GENERIC", api_key_name="X-Upstream-Key")


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("api_format", ["openai_compatible", "anthropic_native", "gemini_native", "azure_openai"])
def test_a_key_is_accepted_at_every_position_by_every_format_and_removed(server, fake, api_format, position):
    service = server.service(fake, keys=1, api_format=api_format, target_base_url=fake.url)
    query, fields = place(position, PROXY_KEY)
    answer = server.ask("GET", service.prefix + "/echo" + query, fields, key=None)
    assert answer.status == 200
    seen = fake.last()
    assert PROXY_KEY.encode() not in seen.head and seen["target"] == "/echo"
    ours = {"openai_compatible": "authorization", "anthropic_native": "x-api-key", "gemini_native": "x-goog-api-key", "azure_openai": "api-key"}[api_format]
    carried = {name for name in ("x-proxy-key", "authorization", "x-api-key", "x-goog-api-key", "api-key") if seen.all(name)}
    assert carried == {ours}
    value = service.keys[0].value
    assert seen.all(ours) == [f"Bearer {value}" if ours == "authorization" else value]


@pytest.mark.parametrize("position", POSITIONS)
def test_a_key_is_accepted_at_every_position_by_a_generic_service_and_removed(server, fake, generic, position):
    query, fields = place(position, PROXY_KEY)
    assert server.ask("GET", generic.prefix + "/echo" + query, fields, key=None).status == 200
    seen = fake.last()
    assert PROXY_KEY.encode() not in seen.head and seen.all("x-upstream-key") == generic.values


def test_every_configured_key_works_named_or_not(server, generic):
    for key in (PROXY_KEY, OTHER_PROXY_KEY):
        assert server.ask("GET", generic.prefix + "/echo", key=key).status == 200
    assert server.ask("GET", generic.prefix + "/echo", key="second:" + OTHER_PROXY_KEY).status == 401


def test_a_keys_name_ends_at_the_first_colon(launch, fake):
    server = launch(GLOBAL_PROXY_KEYS="team:pk:with:colons-0123456789, plain-key-0123456789abcdef")
    service = server.service(fake, kind="GENERIC")
    assert server.ask("GET", service.prefix + "/echo", key="pk:with:colons-0123456789").status == 200
    assert server.ask("GET", service.prefix + "/echo", key="plain-key-0123456789abcdef").status == 200


@pytest.mark.parametrize("first", range(5))
def test_the_first_position_that_is_present_decides(server, fake, generic, first):
    wrong, right = POSITIONS[first], POSITIONS[first + 1]
    query, fields = "", []
    for position, key in ((wrong, "pk-not-a-key"), (right, PROXY_KEY)):
        more, pairs = place(position, key)
        query, fields = query + more, fields + pairs
    assert server.ask("GET", generic.prefix + "/echo" + query, list(reversed(fields)), key=None).status == 401
    assert fake.total == 0


def test_every_position_that_holds_a_valid_proxy_key_is_removed(server, fake, generic):
    fields = [pair for position in POSITIONS[:5] for pair in place(position, PROXY_KEY if position != "api-key" else OTHER_PROXY_KEY)[1]]
    answer = server.ask("GET", generic.prefix + f"/echo?a=1&key={OTHER_PROXY_KEY}&b=2", fields, key=None)
    assert answer.status == 200
    seen = fake.last()
    assert PROXY_KEY.encode() not in seen.head and OTHER_PROXY_KEY.encode() not in seen.head
    assert not {"x-proxy-key", "authorization", "x-api-key", "x-goog-api-key", "api-key"} & set(seen.names)
    assert seen["target"] == "/echo?a=1&b=2"


def test_another_credential_of_the_clients_passes(server, fake, generic):
    fields = [("X-Proxy-Key", PROXY_KEY), ("Authorization", "Basic dXNlcjpwYXNz"), ("x-api-key", "somebody-elses"), ("api-key", "third")]
    assert server.ask("GET", generic.prefix + "/echo?key=theirs&x=1", fields, key=None).status == 200
    seen = fake.last()
    assert seen.all("authorization") == ["Basic dXNlcjpwYXNz"] and seen.all("x-api-key") == ["somebody-elses"] and seen.all("api-key") == ["third"]
    assert seen["target"] == "/echo?key=theirs&x=1"


def test_injection_replaces_a_foreign_credential_of_its_name(server, fake):
    service = server.service(fake, keys=1, api_format="anthropic_native", target_base_url=fake.url)
    fields = [("X-Proxy-Key", PROXY_KEY), ("x-api-key", "foreign"), ("Authorization", "Bearer foreign-token")]
    assert server.ask("GET", service.prefix + "/echo", fields, key=None).status == 200
    seen = fake.last()
    assert seen.all("x-api-key") == service.values and seen.all("authorization") == ["Bearer foreign-token"]


# --- In the body ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def openai(server, fake):
    return server.service(fake, keys=1)


CHAT = '{"model" : "gpt-4o", "messages":[{"role":"user","content":"caf\u00e9 \\u00e9"}],%s "temperature": 1.0e0}'


def test_api_key_in_an_openai_body_is_accepted_and_taken_out(server, fake, openai):
    body = (CHAT % f' "api_key" : "{PROXY_KEY}",').encode()
    answer = server.ask("POST", openai.prefix + "/chat/completions", [("Content-Type", "application/json")], body, key=None)
    assert answer.status == 200
    seen = fake.last()
    assert PROXY_KEY.encode() not in seen.body
    without = (CHAT % "").encode()
    assert json.loads(seen.body) == json.loads(without) and "api_key" not in json.loads(seen.body)
    assert b"1.0e0" in seen.body and "caf\u00e9 \\u00e9".encode() in seen.body, "the rest stays as it was written"
    assert seen["anomalies"] == []


@pytest.mark.parametrize("where", ["first", "last", "only"])
def test_api_key_is_taken_out_wherever_it_stands(server, fake, openai, where):
    text = {
        "first": '{"api_key":"%s","model":"m","messages":[]}', "last": '{"model":"m","messages":[],"api_key":"%s"}', "only": '{"api_key":"%s"}',
    }[where] % PROXY_KEY  # fmt: skip
    server.ask("POST", openai.prefix + "/echo", [("Content-Type", "application/json")], text.encode(), key=None)
    seen = fake.last()
    assert json.loads(seen.body) == {key: value for key, value in json.loads(text).items() if key != "api_key"}


def test_a_valid_api_key_in_the_body_goes_even_if_a_field_decided(server, fake, openai):
    body = (CHAT % f'"api_key":"{OTHER_PROXY_KEY}",').encode()
    answer = server.ask("POST", openai.prefix + "/chat/completions", [("Content-Type", "application/json")], body)
    assert answer.status == 200 and OTHER_PROXY_KEY.encode() not in fake.last().body


def test_another_api_key_in_the_body_passes_byte_for_byte(server, fake, openai):
    body = (CHAT % '"api_key":"not-ours", "nested": {"api_key": "neither"},').encode()
    assert server.ask("POST", openai.prefix + "/chat/completions", [("Content-Type", "application/json")], body).status == 200
    assert fake.last().body == body


def test_a_wrong_api_key_in_the_body_alone_is_401(server, fake, openai):
    answer = server.ask("POST", openai.prefix + "/chat/completions", [("Content-Type", "application/json")], (CHAT % '"api_key":"pk-wrong",').encode(), key=None)
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_proxy_key") and fake.total == 0


# --- Refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", POSITIONS)
def test_a_credential_that_occurs_twice_is_401(server, fake, generic, position):
    if position == "?key":
        answer = server.ask("GET", generic.prefix + f"/echo?key={PROXY_KEY}&key={PROXY_KEY}", key=None)
    else:
        answer = server.ask("GET", generic.prefix + "/echo", place(position, PROXY_KEY)[1] * 2, key=None)
    assert answer.status == 401 and fake.total == 0


def test_another_credential_field_twice_is_401_even_beside_a_valid_key(server, fake, generic):
    assert server.ask("GET", generic.prefix + "/echo", [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]).status == 401
    assert fake.total == 0


@pytest.mark.parametrize(
    "key",
    ["", " ", "pk-wrong", PROXY_KEY[:-1], PROXY_KEY + "x", PROXY_KEY.upper(), "k" * 8192, "k" * 8193, "caf\u00e9-key", PROXY_KEY + "\u00e9"],
    ids=["empty", "blank", "wrong", "shorter", "longer", "capitals", "8192 octets", "8193 octets", "not ASCII", "not ASCII at its end"],
)
def test_a_wrong_key_is_401(server, fake, generic, key):
    answer = server.ask("GET", generic.prefix + "/echo", key=key)
    assert answer.status == 401 and answer.json["code"] == "invalid_proxy_key" and fake.total == 0


def test_no_key_at_all_is_401(server, fake, generic):
    assert server.ask("GET", generic.prefix + "/echo", key=None).status == 401
    assert server.ask("GET", generic.prefix + "/echo", [("Authorization", f"Basic {PROXY_KEY}")], key=None).status == 401


def test_the_scheme_bearer_is_read_in_any_case(server, generic):
    assert server.ask("GET", generic.prefix + "/echo", [("authorization", f"bearer {PROXY_KEY}")], key=None).status == 200


def test_a_key_in_the_query_is_percent_decoded(launch, fake):
    server = launch(GLOBAL_PROXY_KEYS="pk/with+odd=octets&more")
    service = server.service(fake, kind="GENERIC", keys=1)
    assert server.ask("GET", service.prefix + "/echo?a=1&key=pk%2Fwith%2Bodd%3Doctets%26more&b", key=None).status == 200
    assert fake.last()["target"] == "/echo?a=1&b"


def test_an_8192_octet_key_works(launch, fake):
    key = "k" * 8192
    server = launch(GLOBAL_PROXY_KEYS=key)
    upstream = "u" * 8192
    service = server.service(fake, kind="GENERIC", keys=[upstream])
    assert server.ask("GET", service.prefix + "/echo", key=key).status == 200
    assert fake.last().all("x-api-key") == [upstream]


def test_the_401_is_the_same_whatever_the_slug_method_or_size(server, fake):
    llm = server.service(fake, keys=1)
    get_only = server.service(fake, keys=1, kind="GENERIC", method="GET")
    empty = server.service(fake, keys=0)

    def told(method, target, fields=(), body=b""):
        with server.raw() as raw:
            raw.send(request_text(method, target, [("X-Proxy-Key", "pk-wrong"), ("X-Request-Id", "same"), *fields], body))
            answer = raw.response()
        ignored = {"date", "connection", "keep-alive"}
        return answer.status, sorted((n.lower(), v) for n, v in answer.headers if n.lower() not in ignored), answer.body

    llm_answers = [
        told("POST", f"/llm/{slug}/chat/completions", fields, body)
        for slug, fields, body in [
            (llm.slug, (), b"{}"), ("no-such-slug", (), b"{}"), (get_only.slug, (), b"{}"), (empty.slug, (), b"{}"),
            (llm.slug, [("Content-Length", "99999999999")], b""), ("no-such-slug", [("Content-Length", "99999999999")], b""),
        ]
    ]  # fmt: skip
    generic_answers = [told(method, f"/proxy/{slug}/echo") for slug in (get_only.slug, "no-such-slug", llm.slug) for method in ("GET", "POST", "DELETE")]
    for answers in (llm_answers, generic_answers):
        assert answers[0][0] == 401
        for other in answers[1:]:
            assert other == answers[0]
    assert fake.total == 0


def test_a_path_that_would_be_refused_is_401_first(server, fake, generic):
    assert server.ask("GET", generic.prefix + "/../../etc/passwd", key="pk-wrong").status == 401


# --- The rotator's own errors, in the dialect of who asks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "fields", "check"),
    [
        ("/llm/none/v1/messages", [("anthropic-version", "2023-06-01")], lambda b: b["type"] == "error" and b["error"]["message"].startswith("invalid_proxy_key")),
        ("/llm/none/v1/x", [("x-goog-api-key", "pk-wrong")], lambda b: b["error"]["code"] == 401 and b["error"]["status"] == "UNAUTHENTICATED"),
        ("/llm/none/v1beta/models/m:generateContent", [], lambda b: b["error"]["code"] == 401 and b["error"]["message"].startswith("invalid_proxy_key")),
        ("/llm/none/chat/completions", [], lambda b: b["error"]["code"] == "invalid_proxy_key" and "param" in b["error"]),
        ("/proxy/none/x", [], lambda b: b["code"] == "invalid_proxy_key" and b["status"] == 401 and {"type", "title", "detail"} <= set(b)),
    ],
    ids=["anthropic-version", "x-goog-api-key", "a Gemini path", "other /llm", "/proxy"],
)
def test_before_the_service_is_known_the_request_decides_the_shape(server, target, fields, check):
    answer = server.ask("POST", target, fields, b"{}", key=None)
    assert answer.status == 401 and check(answer.json), answer.body


def test_an_unknown_or_inactive_slug_or_one_of_the_other_kind_is_404(server, fake):
    llm, generic = server.service(fake), server.service(fake, kind="GENERIC")
    server.admin.call("PUT", f"/admin/proxy-configs/{llm.id}/status", expect=200, json={"is_active": False})
    for target in ("/llm/no-such-slug/x", f"/llm/{generic.slug}/x", f"/llm/{llm.slug}/x"):
        answer = server.ask("GET", target)
        assert (answer.status, answer.json["error"]["code"]) == (404, "service_not_found")
        assert answer.get("x-rotator-attempts") == "0" and answer.get("x-rotator-key-id") is None
    answer = server.ask("GET", f"/proxy/{llm.slug}/x")
    assert (answer.status, answer.json["code"]) == (404, "service_not_found")
    assert answer.get("content-type").startswith("application/problem+json")
    server.admin.call("PUT", f"/admin/proxy-configs/{llm.id}/status", expect=200, json={"is_active": True})
    assert llm.chat().status_code == 200


def test_a_generic_services_method_is_enforced(server, fake):
    service = server.service(fake, keys=1, kind="GENERIC", method="GET")
    assert server.ask("GET", service.prefix + "/echo").status == 200
    assert server.ask("HEAD", service.prefix + "/echo").status == 200
    answer = server.ask("POST", service.prefix + "/echo")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert "GET" in [one.strip() for one in answer.get("allow").split(",")] and fake.total == 2


def test_a_proxy_key_does_not_open_the_admin_api(server):
    assert server.ask("GET", "/admin/proxy-configs", [("Authorization", f"Bearer {PROXY_KEY}")]).status == 401


def test_an_admin_token_does_not_open_the_proxy(server, generic):
    assert server.ask("GET", generic.prefix + "/echo", [("Authorization", f"Bearer {server.admin.token}")], key=None).status == 401


def test_removed_keys_are_refused_after_a_restart(tmp_path, fake):
    first = Rotator(tmp_path / "one")
    service = first.service(fake, kind="GENERIC", keys=1)
    assert first.ask("GET", service.prefix + "/echo").status == 200
    first.stop()
    second = Rotator(tmp_path / "one", GLOBAL_PROXY_KEYS="pk-brand-new-0123456789")
    try:
        assert second.ask("GET", service.prefix + "/echo").status == 401
        assert second.ask("GET", service.prefix + "/echo", key="pk-brand-new-0123456789").status == 200
    finally:
        second.stop()
