# SPDX-License-Identifier: MIT
"""Webhooks: who is told of what, once, in which shape, signed, tried again, and never with a credential in the wrong place."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator

import pytest
from harness import FakeProvider, Replicas, Rotator, eventually, refusing_port
from servers import Place, PostgreSQL, Redis, Stores

SECRET = "whsec_canary_0123456789"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Post:
    """One attempt as the receiver has seen it."""

    path: str
    fields: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def delivery(self) -> str:
        return self.fields["x-rotator-delivery"]


class Receiver:
    """Takes what webhooks post, and answers as it is told: by path, one status after the other, then 200."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.scripts: dict[str, list[tuple[int, dict[str, str], float]]] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fields = {name.lower(): value for name, value in self.headers.items()}
                with receiver._lock:
                    receiver.posts.append(Post(f"{self.command} {self.path}", fields, body, time.time()))
                    script = receiver.scripts.get(self.path)
                    status, more, delay = script.pop(0) if script else (200, {}, 0.0)
                time.sleep(delay)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                try:
                    self.wfile.write(b"ok")
                except BrokenPipeError:
                    # Whoever asked has given up.
                    self.close_connection = True

            do_GET = do_POST = answer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tell(self, path: str, *statuses: int | tuple[int, dict[str, str]], delay: float = 0) -> None:
        with self._lock:
            self.scripts[path] = [(one, {}, delay) if isinstance(one, int) else (*one, delay) for one in statuses]

    def at(self, path: str, event: str | None = None) -> list[Post]:
        """What has come to a path, all of it or the generic alerts of one event."""
        with self._lock:
            found = [post for post in self.posts if post.path == f"POST {path}"]
        return [post for post in found if event is None or post.json["event"] == event]

    def wait(self, path: str, count: int = 1, event: str | None = None, within: float = 8) -> list[Post]:
        assert eventually(lambda: len(self.at(path, event)) >= count, within), f"{len(self.at(path, event))} of {count} {event or 'alerts'} at {path}"
        return self.at(path, event)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def add(server: Rotator, receiver: Receiver, path: str, *events: str, **more: Any) -> dict[str, Any]:
    body = {"name": path.strip("/"), "url": receiver.url + path, "shape": "generic", "min_interval_seconds": 0}
    return server.admin.post("/admin/webhooks", json=body | ({"events": list(events)} if events else {}) | more)


def deliveries(server: Rotator, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    return server.admin.get(f"/admin/webhooks/{webhook['id']}/deliveries")["items"]


def verify(post: Post, secret: str = SECRET) -> None:
    """As a receiver verifies a signature."""
    parts = dict(part.split("=", 1) for part in post.fields["x-rotator-signature"].split(","))
    expected = hmac.new(secret.encode(), f"{parts['t']}.".encode() + post.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, parts["v1"])
    assert abs(int(parts["t"]) - post.at) < 5


# --- What a webhook is ------------------------------------------------------------------------------------------------------------


def test_a_test_says_what_came_of_it(server, receiver):
    webhook = add(server, receiver, "/tried", secret=SECRET)
    assert server.admin.call("POST", f"/admin/webhooks/{webhook['id']}/test").json() == {"delivered": True, "status": 200, "error": None}
    [post] = receiver.at("/tried")
    verify(post)
    assert post.fields["content-type"] == "application/json" and post.fields["x-rotator-event"] == "test"
    assert post.json["event"] == "test" and post.json["id"] == post.delivery
    receiver.tell("/tried", 403)
    assert server.admin.call("POST", f"/admin/webhooks/{webhook['id']}/test").json() == {"delivered": False, "status": 403, "error": None}
    states = [(one["event"], one["state"], one["attempts"], one["status"]) for one in deliveries(server, webhook)]
    assert states == [("test", "failed", 1, 403), ("test", "delivered", 1, 200)]


def test_a_test_of_a_receiver_that_is_away_or_mute_ends_within_ten_seconds(server, receiver):
    with refusing_port() as port:
        webhook = server.admin.post("/admin/webhooks", json={"name": "away", "url": f"http://127.0.0.1:{port}/", "shape": "generic", "events": ["store_up"]})
        answer = server.admin.call("POST", f"/admin/webhooks/{webhook['id']}/test").json()
    assert answer == {"delivered": False, "status": None, "error": "connection_refused"}
    mute = add(server, receiver, "/mute", "store_up")
    receiver.tell("/mute", 200, delay=12)
    began = time.monotonic()
    answer = server.admin.call("POST", f"/admin/webhooks/{mute['id']}/test").json()
    assert answer == {"delivered": False, "status": None, "error": "timed_out"} and 9 < time.monotonic() - began < 11


def test_a_redirect_is_not_followed(server, receiver):
    webhook = add(server, receiver, "/moved", "store_up")
    receiver.tell("/moved", (302, {"Location": receiver.url + "/elsewhere"}))
    assert server.admin.call("POST", f"/admin/webhooks/{webhook['id']}/test").json() == {"delivered": False, "status": 302, "error": None}
    assert not receiver.at("/elsewhere") and not [post for post in receiver.posts if "elsewhere" in post.path]


def test_slack_and_telegram_get_their_shapes(server, receiver):
    slack = add(server, receiver, "/services/T0/B0/canary", "store_up", shape="slack", name="<slack> & co")
    assert server.admin.call("POST", f"/admin/webhooks/{slack['id']}/test").json()["delivered"]
    [post] = receiver.at("/services/T0/B0/canary")
    assert post.json == {"text": "This is a test of the webhook “&lt;slack&gt; &amp; co”."} and "x-rotator-signature" not in post.fields
    telegram = add(server, receiver, "/bot123:canary/sendMessage", "store_up", shape="telegram", name="<telegram>", chat_id="-100123")
    assert server.admin.call("POST", f"/admin/webhooks/{telegram['id']}/test").json()["delivered"]
    [post] = receiver.at("/bot123:canary/sendMessage")
    assert post.json == {"chat_id": "-100123", "text": "This is a test of the webhook “<telegram>”.", "disable_web_page_preview": True}


def test_urls_and_secrets_are_nowhere_to_be_read(launch, receiver):
    server = launch(LOG_LEVEL="trace")
    webhook = add(server, receiver, "/canary-path?token=canary-query", secret=SECRET, name="hidden")
    receiver.tell("/canary-path?token=canary-query", 404)
    server.admin.call("POST", f"/admin/webhooks/{webhook['id']}/test")
    texts = [str(webhook), *(server.admin.call("GET", path).text for path in (
        "/admin/webhooks", f"/admin/webhooks/{webhook['id']}", f"/admin/webhooks/{webhook['id']}/deliveries", "/admin/audit"))]  # fmt: skip
    for text in [*texts, server.log]:
        assert "canary" not in text
    assert webhook["url_masked"] == receiver.url + "/…" and webhook["has_secret"] is True


# --- What is told -----------------------------------------------------------------------------------------------------------------


def test_an_exhausted_key_is_told_once_with_its_service_and_its_mask(server, fake, receiver):
    service = server.service(fake, keys=2)
    add(server, receiver, "/exhausted", "key_exhausted", services=[service.slug], secret=SECRET)
    other = add(server, receiver, "/not-mine", "key_exhausted", services=["another-*"])
    bad = service.values[0]
    fake.tell(bad, {"do": "402", "times": -1})
    for _ in range(4):
        assert service.chat().status_code == 200
    [post] = receiver.wait("/exhausted")
    verify(post)
    told, key = post.json, service.state(0)
    assert told["event"] == post.fields["x-rotator-event"] == "key_exhausted"
    assert told["service"] == {"id": service.id, "slug": service.slug, "name": service.made["name"]}
    assert told["key"] == {"key_id": key["key_id"], "key_masked": key["key_masked"], "name": ""}
    assert told["detail"] == {"reason": key["state_reason"], "until": key["cooling_until"]}
    assert service.slug in told["text"] and bad.encode() not in post.body
    time.sleep(2.5)
    assert len(receiver.at("/exhausted")) == 1 and deliveries(server, other) == []


def test_a_key_that_was_cleared_in_between_is_told_again(server, fake, receiver):
    service = server.service(fake, keys=2)
    add(server, receiver, "/cleared", "key_exhausted", services=[service.slug])
    fake.tell(service.values[0], {"do": "402", "times": -1})
    for _ in range(2):
        service.chat()
    receiver.wait("/cleared")
    # No two alerts of one key come within five seconds.
    time.sleep(5)
    server.admin.call("POST", f"/admin/keys/{service.keys[0].id}/reset")
    for _ in range(2):
        service.chat()
    receiver.wait("/cleared", 2)


def test_a_low_pool_is_told_once_for_each_fall(server, fake, receiver):
    service = server.service(fake, keys=3)
    add(server, receiver, "/low", "pool_low", services=[service.slug], pool_minimum=3)

    def switch(which: int, is_active: bool) -> None:
        server.admin.call("PATCH", f"/admin/keys/{service.keys[which].id}", json={"is_active": is_active})

    time.sleep(1.5)
    assert not receiver.at("/low")
    switch(0, False)
    [post] = receiver.wait("/low")
    assert post.json["detail"] == {"usable": 2, "total": 3, "minimum": 3} and post.json["service"]["slug"] == service.slug
    switch(1, False)
    time.sleep(2.5)
    assert len(receiver.at("/low")) == 1, "it is still the same fall"
    time.sleep(3)
    switch(0, True)
    switch(1, True)
    time.sleep(2)
    switch(2, False)
    receiver.wait("/low", 2)


def test_a_client_over_its_budget_is_told_once(launch, fake, receiver):
    server = launch()
    service = server.service(fake)
    add(server, receiver, "/budget", "client_over_budget")
    made = server.admin.post("/admin/client-keys", json={"name": "frugal", "monthly_token_budget": 100})
    fake.tell("*", {"do": "ok", "usage": {"input": 70, "output": 50}, "times": -1})
    statuses = [service.send("POST", "/chat/completions", key=made["key_value"], json=CHAT).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]
    [post] = receiver.wait("/budget")
    assert post.json["client"] == {"id": made["id"], "name": "frugal"}
    assert post.json["detail"] == {"tokens_this_month": 120, "monthly_token_budget": 100}
    assert made["key_value"].encode() not in post.body
    assert server.stop() == 0
    server.start()
    service.send("POST", "/chat/completions", key=made["key_value"], json=CHAT)
    time.sleep(2.5)
    assert len(receiver.at("/budget")) == 1, "a restart is no news"
    server.admin.call("PATCH", f"/admin/client-keys/{made['id']}", json={"monthly_token_budget": 110})
    receiver.wait("/budget", 2)


# --- How it is delivered ----------------------------------------------------------------------------------------------------------


def exhaust(service: Any, fake: FakeProvider) -> None:
    """One alert of a key of `service`."""
    fake.tell(service.values[0], {"do": "402", "times": -1})
    for _ in range(2):
        assert service.chat().status_code == 200


def test_what_fails_is_tried_again_as_the_same_delivery(server, fake, receiver):
    service = server.service(fake, keys=2)
    webhook = add(server, receiver, "/again", "key_exhausted", services=[service.slug], secret=SECRET)
    receiver.tell("/again", 500, 503)
    exhaust(service, fake)
    posts = receiver.wait("/again", 3)
    assert len({post.delivery for post in posts}) == 1 and len({post.body for post in posts}) == 1
    assert len({post.fields["x-rotator-signature"] for post in posts}) == 3
    for post in posts:
        verify(post)
    first, second, third = (post.at for post in posts)
    assert 0.9 < second - first < 2.5 and 1.9 < third - second < 3.5
    assert eventually(lambda: deliveries(server, webhook)[0]["state"] == "delivered")
    [one] = deliveries(server, webhook)
    assert one | {"at": ""} == {"id": posts[0].delivery, "at": "", "event": "key_exhausted", "state": "delivered", "attempts": 3, "status": 200, "error": None}


def test_retry_after_is_heeded(server, fake, receiver):
    service = server.service(fake, keys=2)
    add(server, receiver, "/patience", "key_exhausted", services=[service.slug])
    receiver.tell("/patience", (429, {"Retry-After": "3"}))
    exhaust(service, fake)
    first, second = (post.at for post in receiver.wait("/patience", 2))
    assert 2.9 < second - first < 4.5


def test_a_refusal_is_final(server, fake, receiver):
    service = server.service(fake, keys=2)
    webhook = add(server, receiver, "/refused", "key_exhausted", services=[service.slug])
    receiver.tell("/refused", 410)
    exhaust(service, fake)
    assert eventually(lambda: [one["state"] for one in deliveries(server, webhook)] == ["failed"], 8)
    time.sleep(2)
    assert len(receiver.at("/refused")) == 1
    assert 'rotator_alerts_total{event="key_exhausted",result="failed"} 1' in server.http.get(server.url + "/metrics").text


def test_a_receiver_that_is_stuck_holds_nobody_up(server, fake, receiver):
    service = server.service(fake, keys=8)
    add(server, receiver, "/stuck", "key_exhausted", services=[service.slug])
    add(server, receiver, "/quick", "key_exhausted", services=[service.slug])
    receiver.tell("/stuck", *[200] * 8, delay=9)
    fake.tell_all(service.values[:6], {"do": "402", "times": -1})
    for _ in range(8):
        service.chat()
    receiver.wait("/quick", 6, within=5)


def test_what_waits_at_the_end_is_tried_once_more(launch, fake, receiver):
    server = launch()
    service = server.service(fake, keys=2)
    add(server, receiver, "/last", "key_exhausted")
    receiver.tell("/last", (503, {"Retry-After": "60"}))
    exhaust(service, fake)
    receiver.wait("/last")
    assert server.stop() == 0
    first, second = receiver.at("/last")
    assert first.delivery == second.delivery


# --- What takes long --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def refused(tmp_path_factory, receiver) -> Iterator[dict[str, Any]]:
    """A key that its provider refuses three times in a row, which takes a minute and a half: beside everything else in this file."""
    fake, server = FakeProvider(), Rotator(tmp_path_factory.mktemp("refused"))
    seen: dict[str, Any] = {}

    def work() -> None:
        service = server.service(fake, keys=2)
        add(server, receiver, "/invalid", "key_invalid", "key_exhausted")
        fake.tell(service.values[0], {"do": "401", "times": -1})
        for _ in range(3):
            for _ in range(2):
                service.chat()
            seen.setdefault("posts", []).append(len(receiver.at("/invalid")))
            eventually(lambda: service.state(0)["state"] != "cooling", 70, every=0.2)
        seen["key"] = service.state(0)

    thread = threading.Thread(target=work)
    thread.start()
    seen["thread"] = thread
    yield seen
    thread.join()
    server.stop()
    fake.stop()


@pytest.fixture(scope="module", params=["postgres", "redis"])
def pair(request, tmp_path_factory) -> Iterator[tuple[Replicas, PostgreSQL | Redis]]:
    """Two replicas, and the server of their store."""
    stores = Stores(request.param)
    place = Place(stores)
    replicas = Replicas(tmp_path_factory.mktemp("pair"), 2, **place.environment)
    store = stores.postgresql or stores.redis
    assert store
    yield replicas, store
    replicas.stop()
    place.close()
    stores.close()


def test_two_replicas_send_one_alert(pair, fake, receiver):
    replicas, store = pair
    path = f"/once-{type(store).__name__}"
    service = replicas.service(fake, keys=4, kind="LLM")
    webhook = add(replicas[0], receiver, path, "pool_low", "key_exhausted", "client_over_budget", services=[service.slug], pool_minimum=4)
    made = replicas[0].admin.post("/admin/client-keys", json={"name": "shared", "monthly_token_budget": 100})
    assert eventually(lambda: replicas[1].admin.call("GET", f"/admin/webhooks/{webhook['id']}").status_code == 200)
    fake.tell(service.values[0], {"do": "402", "times": -1})
    fake.tell("*", {"do": "ok", "usage": {"input": 70, "output": 50}, "times": -1})
    for one in replicas:
        through = service.through(one)
        for _ in range(6):
            through.send("POST", "/chat/completions", json=CHAT)
        eventually(lambda: through.send("POST", "/chat/completions", key=made["key_value"], json=CHAT).status_code == 429)
    for event in ("key_exhausted", "pool_low", "client_over_budget"):
        receiver.wait(path, event=event)
    time.sleep(3)
    assert sorted(post.json["event"] for post in receiver.at(path)) == ["client_over_budget", "key_exhausted", "pool_low"]


def test_each_replica_tells_of_an_outage_of_its_store_and_of_its_end(pair, receiver):
    replicas, store = pair
    path = f"/outage-{type(store).__name__}"
    webhook = add(replicas[0], receiver, path, "store_down", "store_up")
    assert eventually(lambda: replicas[1].admin.call("GET", f"/admin/webhooks/{webhook['id']}").status_code == 200)
    # A Redis that syncs every second may lose what is younger.
    time.sleep(2)
    store.kill()
    began = time.time()
    try:
        downs = receiver.wait(path, 2, "store_down", within=20)
    finally:
        store.start()
    assert all(post.at - began > 4 for post in downs), "a blip is no news"
    assert all(post.json["replica"] and post.json["detail"]["since"] for post in downs)
    ups = receiver.wait(path, 2, "store_up", within=20)
    assert all(post.json["detail"]["seconds"] >= 5 for post in ups)
    assert len(receiver.at(path)) == 4


def test_a_blip_of_the_store_is_not_told(pair, receiver):
    replicas, store = pair
    path = f"/blip-{type(store).__name__}"
    webhook = add(replicas[0], receiver, path, "store_down", "store_up")
    assert eventually(lambda: replicas[1].admin.call("GET", f"/admin/webhooks/{webhook['id']}").status_code == 200)
    store.restart()
    for one in replicas:
        assert eventually(lambda: one.http.get(one.url + "/readyz").status_code == 200, 10)
    time.sleep(6)
    assert not receiver.at(path)


def test_an_invalid_key_is_told_when_it_has_become_so(refused, receiver):
    refused["thread"].join()
    assert refused["key"]["state"] == "invalid" and refused["posts"] == [0, 0, 0]
    [post] = receiver.wait("/invalid")
    assert post.json["event"] == "key_invalid" and post.json["key"]["key_id"] == refused["key"]["key_id"]
    assert post.json["detail"] == {"reason": refused["key"]["state_reason"]}
