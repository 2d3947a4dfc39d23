# SPDX-License-Identifier: MIT
"""Statistics, the request log and live events: what is told, what outlives a crash or a store that is away, and what is never told."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from harness import PROXY_KEY, Replicas, Rotator, eventually
from servers import Place, Stores


def totals(server: Rotator, **parameters) -> dict:
    return server.admin.get("/admin/stats", params={"window": "1h"} | parameters)["totals"]


def requests(server: Rotator, **parameters) -> list[dict]:
    return server.admin.get("/admin/requests", params=parameters)["items"]


class Events:
    """The event stream of a server, read while the block runs."""

    def __init__(self, server: Rotator):
        self.http = httpx.Client(base_url=server.url, timeout=20, trust_env=False)
        self.stream = self.http.stream("GET", "/admin/events", headers={"Authorization": f"Bearer {server.admin.token}"})

    def __enter__(self) -> "Events":
        self.answer = self.stream.__enter__()
        assert self.answer.status_code == 200 and self.answer.headers["content-type"].startswith("text/event-stream")
        self.lines = self.answer.iter_lines()
        return self

    def __exit__(self, *_) -> None:
        self.stream.__exit__(None, None, None)
        self.http.close()

    def next(self, name: str, matches=lambda data: True, within: float = 10) -> dict:
        until, event = time.monotonic() + within, ""
        for line in self.lines:
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: ") and event == name and matches(data := json.loads(line[6:])):
                return data
            assert time.monotonic() < until, f"no {name} came"
        raise AssertionError("the stream ended")


def test_events_tell_counters_each_second_and_states_as_they_change(server, fake):
    service = server.service(fake, keys=2)
    fake.tell(service.values[0], {"do": "401", "times": -1})
    with Events(server) as events:
        events.next("counters")
        for _ in range(3):
            service.chat()
        change = events.next("key_state", lambda data: data["key_id"] == service.keys[0].id)
        assert (change["from"], change["to"], change["service"]) == ("active", "cooling", service.slug)
        assert change["until"]
        server.admin.call("POST", f"/admin/keys/{service.keys[0].id}/reset", expect=200)
        assert events.next("key_state", lambda data: data["key_id"] == service.keys[0].id)["to"] == "active"
        service.chat()
        events.next("counters", lambda data: data["requests"] >= 1)


def test_events_want_a_token(server):
    assert server.http.get(server.url + "/admin/events").status_code == 401


def test_the_request_log_is_filtered_paged_and_never_holds_a_secret(server, fake):
    one, other = server.service(fake, keys=1), server.service(fake, keys=1)
    for model in ("m-1", "m-2", "m-1"):
        one.chat(model=model)
    fake.tell(other.values[0], {"do": "400", "message": "no"})
    other.chat(model="m-3")
    assert eventually(lambda: len(requests(server, service=one.slug)) == 3 and len(requests(server, service=other.slug)) == 1)
    assert [item["model"] for item in requests(server, service=one.slug)] == ["m-1", "m-2", "m-1"]
    assert [item["status"] for item in requests(server, service=other.slug, status=400)] == [400]
    assert {item["key_id"] for item in requests(server, key_id=one.keys[0].id)} == {one.keys[0].id}
    page = server.admin.get("/admin/requests", params={"service": one.slug, "limit": 2})
    rest = server.admin.get("/admin/requests", params={"service": one.slug, "limit": 2, "after": page["next"]})
    assert len(page["items"]) == 2 and len(rest["items"]) == 1 and rest["next"] is None
    text = json.dumps(requests(server, limit=1000))
    for secret in (PROXY_KEY, *one.values, *other.values):
        assert secret not in text and secret.encode() not in b"".join(path.read_bytes() for path in server.data.glob("requests/*"))


def test_what_was_counted_a_moment_before_a_kill_is_there_afterwards(launch, fake):
    server = launch()
    service = server.service(fake)
    ids = [service.chat().headers["x-rotator-request-id"] for _ in range(20)]
    # Rows are written every five seconds, the log each second.
    time.sleep(6.5)
    server.kill()
    server.start()
    assert totals(server)["requests"] == 20
    for identity in ids:
        assert server.admin.get(f"/admin/requests/{identity}")["items"][0]["service"] == service.slug


def test_a_store_that_is_away_loses_nothing_that_is_counted_meanwhile(tmp_path, fake):
    stores = Stores("postgres")
    replicas = Replicas(tmp_path, 2, **Place(stores).environment)
    try:
        service = replicas.service(fake, keys=3, kind="LLM")
        for _ in range(10):
            service.chat()
        stores.postgresql.stop()
        for _ in range(30):
            assert service.chat().status_code == 200
        time.sleep(12)
        for _ in range(5):
            assert service.through(replicas[1]).chat().status_code == 200
        stores.postgresql.start()
        assert eventually(lambda: all(one.http.get(one.url + "/readyz").status_code == 200 for one in replicas), 20)
        for one in replicas:
            assert eventually(lambda: totals(one)["requests"] == 45, 15, 0.5), totals(one)
    finally:
        replicas.kill()
        stores.close()


@pytest.mark.parametrize("window", ["2h", "0", "1", "1 h", ""])
def test_a_window_that_is_none_is_refused_with_those_that_are(server, window):
    answer = server.admin.call("GET", "/admin/stats", expect=400, params={"window": window})
    assert "5m" in answer.json()["detail"] and "90d" in answer.json()["detail"]
