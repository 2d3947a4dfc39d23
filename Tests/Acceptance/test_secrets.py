# SPDX-License-Identifier: MIT
"""Canaries are planted everywhere a secret may stand; then everything the process wrote or said is searched for them."""

from __future__ import annotations

import base64
import re

import pytest
from certificates import Authority
from harness import FakeProvider, Rotator, refusing_port, request_text

PROXY = "CANARYproxy0123456789abcdef"
NAMED = "CANARYnamed0123456789abcdef"
PASSWORD = "CANARYpassword-0123456789"
JWT = "CANARYjwt-secret-0123456789-0123456789"
METRICS = "CANARYmetrics0123456789"
ENCRYPTION = "c0ffee11" * 8
UPSTREAM = [f"CANARYupstream{n}-abcdefgh-0123456789" for n in range(6)]
QUERY = "CANARYquery/+=0123456789abcdef"
SHORT = "CANARYs"
WRONG = "CANARYwrong0123456789"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Runs a server at `trace` through all that could make it talk; returns (place, text) of everything it said."""
    directory = tmp_path_factory.mktemp("secrets")
    fake = FakeProvider()
    authority = Authority(directory / "ca")
    certificate, key = authority.issue("elsewhere", names="DNS:elsewhere.test")
    mismatched = FakeProvider(certificate=certificate, private_key=key)
    server = Rotator(
        directory / "server", LOG_LEVEL="trace", GLOBAL_PROXY_KEYS=f"{PROXY},team:{NAMED}", ADMIN_PASSWORD=PASSWORD, JWT_SECRET=JWT, METRICS_TOKEN=METRICS,
        ENCRYPTION_KEY=ENCRYPTION, PROXY_FIRST_BYTE_TIMEOUT="1", UPSTREAM_CA_FILE=str(authority.certificate),
    )  # fmt: skip
    said: list[tuple[str, str]] = []

    def ask(*arguments, **more):
        answer = server.ask(*arguments, **more)
        said.append((f"answer to {arguments[:2]}".replace(PROXY, "…").replace(WRONG, "…"), f"{answer.headers} {answer.body!r}"))
        return answer

    def admin(method, path, **more):
        answer = server.admin.call(method, path, **more)
        said.append((f"{method} {path}", f"{dict(answer.headers)} {answer.text}"))
        return answer

    llm = server.service(fake, keys=UPSTREAM[:4] + [SHORT], max_attempts=5)
    anthropic = server.service(fake, keys=UPSTREAM[:2], api_format="anthropic_native")
    gemini = server.service(fake, keys=UPSTREAM[:2], api_format="gemini_native")
    query = server.service(fake, keys=[QUERY, UPSTREAM[5]], kind="GENERIC", api_key_location="query", api_key_name="appid", replay="unknown")
    chat = b'{"model":"gpt-4o","messages":[]}'
    json_fields = [("Content-Type", "application/json")]

    # Successes, at every position
    for fields, target in [([("X-Proxy-Key", PROXY)], ""), ([("Authorization", f"Bearer {PROXY}")], ""), ([("x-api-key", NAMED)], ""), ([], f"?key={PROXY}")]:
        assert ask("POST", llm.prefix + "/chat/completions" + target, json_fields + fields, chat, key=None).status == 200
    assert ask("POST", llm.prefix + "/chat/completions", json_fields, b'{"api_key":"%s","model":"m","messages":[]}' % PROXY.encode(), key=None).status == 200
    assert ask("POST", llm.prefix + "/chat/completions", json_fields, b'{"model":"m","stream":true,"messages":[]}', key=PROXY).status == 200
    ask("POST", anthropic.prefix + "/v1/messages", json_fields, b'{"model":"m","max_tokens":1,"messages":[]}', key=PROXY)
    ask("POST", gemini.prefix + f"/v1beta/models/m:generateContent?key={NAMED}", json_fields, b'{"contents":[{"parts":[{"text":"x"}]}]}', key=None)
    assert ask("GET", query.prefix + "/weather?q=Rome", key=PROXY).status == 200

    # Refusals and failures of every kind
    for behaviour in ["401", "402", "403", {"do": "429", "retry_after": 1}, "500", {"do": "cut"}, {"do": "reset"}, {"do": "garbage"}, {"do": "cut", "at": "mid_body"}, {"do": "hang"}, "insufficient_quota", "suspended"]:
        fake.tell("*", behaviour)
        ask("POST", llm.prefix + "/chat/completions", json_fields, chat, key=PROXY)
        ask("GET", query.prefix + "/weather?q=Rome", key=PROXY)
        fake.tell("*", behaviour)
        ask("GET", query.prefix + "/weather?q=Oslo", key=PROXY)
        for service in (llm, query):
            for one in service.keys:
                admin("POST", f"/admin/keys/{one.id}/reset")
    for url in (mismatched.url, "http://nowhere.invalid"):
        for more in ({}, {"api_key_location": "query", "api_key_name": "appid"}):
            service = server.service(url, keys=UPSTREAM[:2], **more)
            ask("POST", service.prefix + f"/chat/completions?key={PROXY}", json_fields, chat, key=None)
    with refusing_port() as port:
        service = server.service(f"http://127.0.0.1:{port}", keys=[UPSTREAM[4]], kind="GENERIC", api_key_location="query", api_key_name="appid")
        ask("GET", service.prefix + f"/x?key={PROXY}", key=None)
    ask("GET", llm.prefix + f"/models?key={WRONG}", key=None)
    ask("GET", llm.prefix + "/models", [("Authorization", f"Bearer {WRONG}")], key=None)
    ask("GET", llm.prefix + "/../x", key=PROXY)
    ask("GET", f"/llm/{PROXY}/models", key=PROXY)
    ask("GET", f"/{PROXY}?key={PROXY}", key=PROXY)

    # What is not even HTTP
    for text in [
        f"GET {llm.prefix}/models?key={PROXY} HTTP/1.1\r\nHost: a\r\nX-Proxy-Key : {PROXY}\r\n\r\n", f"GET {PROXY}\r\n\r\n", f"{PROXY}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\nX-Proxy-Key: {PROXY}\x00\r\n\r\n", f"POST {llm.prefix}/x HTTP/1.1\r\nHost: a\r\nX-Proxy-Key: {PROXY}\r\nContent-Length: {PROXY}\r\n\r\n",
        f"POST {llm.prefix}/x?key={PROXY} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{PROXY}\r\n",
    ]:  # fmt: skip
        with server.raw(3) as raw:
            raw.send(text)
            raw.closed(1)
            said.append(("answer to a malformed request", raw.buffer.decode("latin-1")))
    with server.raw(3) as raw:  # a client that leaves within its upload
        raw.send(request_text("POST", llm.prefix + "/chat/completions", [("X-Proxy-Key", PROXY), ("Content-Length", "1000")], b"{"))

    # The Admin API
    for username, password in [("admin", WRONG), (WRONG, PASSWORD), ("admin", PASSWORD)]:
        answer = server.http.post(server.url + "/admin/login", json={"username": username, "password": password})
        said.append((f"login as {username[:5]}", answer.text.replace(answer.json().get("access_token", "-"), "…")))
    keys = f"/admin/proxy-configs/{llm.id}/keys"
    for body in [{"key_value": UPSTREAM[0]}, {"key_value": f"{WRONG} with spaces"}, {"key_value": WRONG, "weight": 0}, {"key_value": WRONG, "extra": 1}, {"key_value": WRONG * 400}]:
        admin("POST", keys, json=body)
    admin("POST", keys, content=b'{"key_value": "%s' % WRONG.encode(), headers={"Content-Type": "application/json"})
    admin("POST", keys + "/batch", json={"keys": [UPSTREAM[0], f"{WRONG} x", UPSTREAM[5]]})
    admin("POST", "/admin/login", json={"username": "admin", "password": PASSWORD, "surplus": WRONG})
    for path in ["/admin/proxy-configs", keys, keys + "?state=active", keys + "?limit=x", f"/admin/keys/{llm.keys[0].id}", "/openapi.json", "/admin/app-config", "/readyz", "/healthz"]:
        admin("GET", path)
    admin("PATCH", f"/admin/keys/{llm.keys[0].id}", json={"name": "renamed"})
    for headers in ({}, {"Authorization": f"Bearer {METRICS}"}):
        answer = server.http.get(server.url + "/metrics", headers=headers)
        said.append(("/metrics", answer.text))
    assert answer.status_code == 200
    exported = server.admin.call("GET", keys + "/export").text
    assert UPSTREAM[0] in exported, "the one place that gives values"
    token = server.admin.token
    files_while_running = {str(path): path.read_bytes() for path in server.data.rglob("*") if path.is_file()}
    assert server.stop() == 0
    for path, data in {**files_while_running, **{str(path): path.read_bytes() for path in server.data.rglob("*") if path.is_file()}}.items():
        said.append((f"file {path}", data.decode("latin-1")))
    for path, data in files_while_running.items():
        said.append((f"file {path} while running", data.decode("latin-1")))
    said.append(("stderr", server.log))
    said.append(("stdout", "\n".join(server.output)))
    fake.stop()
    mismatched.stop()
    return said, token


CANARIES = {
    "proxy key": PROXY, "named proxy key": NAMED, "admin password": PASSWORD, "JWT secret": JWT, "metrics token": METRICS, "encryption key": ENCRYPTION,
    **{f"provider key {n}": value for n, value in enumerate(UPSTREAM)}, "provider key in a query": QUERY, "short provider key": SHORT, "a wrong credential": WRONG,
}  # fmt: skip


@pytest.mark.parametrize("name", CANARIES)
def test_no_canary_is_found_in_anything_the_process_wrote(told, name):
    said, _ = told
    value = CANARIES[name]
    forms = {value, value.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")}
    if len(value) > 12:
        forms |= {base64.b64encode(value.encode()).decode().rstrip("=")[:-1], value.encode().hex(), value[4:-4]}
    if name == "encryption key":
        forms |= {bytes.fromhex(value).decode("latin-1"), base64.b64encode(bytes.fromhex(value)).decode()}
    for form in forms:
        for place, text in said:
            at = text.find(form)
            assert at < 0, f"{name} stands in {place}: …{text[max(0, at - 80):at + 120]}…"


def test_the_admin_token_is_neither_logged_nor_stored(told):
    said, token = told
    for place, text in said:
        assert token not in text and token.split(".")[-1] not in text, place


def test_the_trace_log_did_talk(told):
    """Silence would prove nothing."""
    said, _ = told
    log = dict(said)["stderr"]
    assert len(log.splitlines()) > 30 and re.search("trace|debug", log, re.I)


def test_the_search_itself_finds_what_it_looks_for(told):
    said, _ = told
    assert any(place.startswith("file ") and "SQLite format 3" in text for place, text in said), "the database was searched"
    assert any("gpt-4o" in text or "s1" in text for _, text in said)


def test_masked_keys_show_what_they_may(told):
    said, _ = told
    listings = [text for place, text in said if place.startswith("GET /admin/proxy-configs/") and "key_masked" in text]
    assert listings and all("CANA" in text and "6789" in text for text in listings)
    assert "CANARYs" not in listings[0] and not re.search(r'"key_masked":\s*"CAN[^"]{0,3}"', listings[0])
