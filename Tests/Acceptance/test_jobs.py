# SPDX-License-Identifier: MIT
"""Validation of pools of keys: verdicts, proof, progress, crashes, cancelling, deleting, retesting, and memory."""

from __future__ import annotations

import time

import pytest
from certificates import Authority
from harness import FakeProvider, Replicas, Rotator, eventually
from servers import Place, Stores

MIB = 1024 * 1024
GOOD = {"do": "ok", "times": -1}
REFUSED = {"do": "401", "times": -1}


def values(count: int, kind: str = "good") -> list[str]:
    return [f"sk-{kind}-{number:06d}-{'x' * 16}" for number in range(count)]


def pool(server: Rotator, fake: FakeProvider, keys: list[str], **more) -> int:
    """A service with these keys, imported at once."""
    service = server.service(fake, keys=[], **more)
    server.admin.post(f"/admin/proxy-configs/{service.id}/keys/batch", expect=200, json={"keys": keys})
    return service.id


def start(server: Rotator, service: int, **options) -> int:
    return server.admin.post(f"/admin/proxy-configs/{service}/keys/validate", expect=202, json={"rate_per_second": 2000} | options)["job_id"]


def job(server: Rotator, number: int, **query) -> dict:
    return server.admin.get(f"/admin/jobs/{number}", params=query)


def ended(server: Rotator, number: int, within: float = 30) -> dict:
    found = eventually(lambda: (one := job(server, number))["state"] != "running" and one, within, 0.05)
    assert found, f"the job does not end: {job(server, number, results_limit=1)}"
    return found


def test_a_mixed_pool_gets_its_verdicts(server: Rotator, fake: FakeProvider):
    good, poor, limited = values(5), values(1, "poor")[0], values(1, "limited")[0]
    fake.tell_all(good, GOOD)
    fake.tell(poor, {"do": "insufficient_quota", "times": -1})
    fake.tell(limited, {"do": "429", "retry_after": 60, "times": -1})
    fake.tell("*", REFUSED)
    service = pool(server, fake, good + values(2, "bad") + [poor, limited])
    done = ended(server, start(server, service))
    assert (done["state"], done["total"], done["done"]) == ("done", 9, 9)
    assert [(one["verdict"], one["ok"], one["status"]) for one in done["results"]] == (
        [("ok", True, 200)] * 5 + [("rejected", False, 401)] * 2 + [("exhausted", False, 429), ("rate_limited", False, 429)]
    )
    assert done["counts"] == {"ok": 5, "rejected": 2, "exhausted": 1, "rate_limited": 1, "forbidden": 0, "upstream_failed": 0, "skipped": 0}
    assert [one["state"] for one in server.admin.all_keys(service)] == ["active"] * 5 + ["invalid"] * 2 + ["exhausted", "cooling"]
    requests = fake.requests()
    assert all(one["method"] == "GET" and one["target"] == "/v1/models" for one in requests)
    assert requests[0]["key"] not in good + values(2, "bad") + [poor, limited], "a made-up key comes first"
    assert requests[0]["key"].startswith("sk-good-") and len(requests[0]["key"]) == len(good[0])
    for value in good + values(2, "bad") + [poor, limited, requests[0]["key"]]:
        assert value not in server.log


@pytest.mark.parametrize(
    "api_format, path, field",
    [("anthropic_native", "/v1/models?limit=1", "x-api-key"), ("gemini_native", "/v1beta/models?pageSize=1", "x-goog-api-key")],
)
def test_each_format_has_a_call_of_its_own(server: Rotator, fake: FakeProvider, api_format: str, path: str, field: str):
    keys = values(2, api_format[:3])
    fake.tell_all(keys, GOOD)
    fake.tell("*", {"do": "key_invalid", "times": -1} if api_format.startswith("gemini") else REFUSED)
    service = pool(server, fake, keys, api_format=api_format, extra_headers={"x-team": "blue"})
    done = ended(server, start(server, service))
    assert done["counts"]["ok"] == 2, done
    for request in fake.requests():
        assert request["target"] == path and request.get_field(field) and request.get_field("x-team") == "blue"
        assert request.get_field("anthropic-version") == ("2023-06-01" if api_format.startswith("anthropic") else None)


def test_a_key_in_the_query_is_placed_there(server: Rotator, fake: FakeProvider):
    keys = ["plain/key+1234567890", "other&key=1234567890"]
    fake.tell_all(keys, GOOD)
    fake.tell("*", REFUSED)
    made = server.service(fake.url + "/weather", keys=[], kind="GENERIC", api_key_location="query", api_key_name="appid")
    server.admin.post(f"/admin/proxy-configs/{made.id}/keys/batch", expect=200, json={"keys": keys})
    done = ended(server, start(server, made.id))
    assert done["counts"]["ok"] == 2, done
    assert fake.requests()[-1]["target"].startswith("/weather?appid=")


def test_a_gateway_that_answers_anybody_proves_nothing(server: Rotator, fake: FakeProvider):
    service = pool(server, fake, values(20))
    done = ended(server, start(server, service))
    assert (done["state"], done["reason"], done["results"]) == ("failed", "probe_proves_nothing", [])
    assert fake.total == 1
    # A call is given that refuses a bad key.
    fake.tell_all(values(20), GOOD)
    fake.tell("*", {"do": "401", "times": -1, "path": "/chat/completions"})
    probe = {"method": "POST", "path": "/chat/completions", "body": '{"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}'}
    done = ended(server, start(server, service, probe=probe))
    assert (done["state"], done["counts"]["ok"]) == ("done", 20)
    last = fake.last()
    assert (last["method"], last["target"], last.get_field("content-type"), last.body.decode()) == ("POST", "/v1/chat/completions", "application/json", probe["body"])


def test_while_every_key_is_rejected_the_provider_is_at_fault(server: Rotator, fake: FakeProvider):
    fake.tell("*", REFUSED)
    service = pool(server, fake, values(3, "bad"))
    done = ended(server, start(server, service))
    assert (done["state"], done["provider_at_fault"], done["counts"]["rejected"]) == ("done", True, 3)
    assert all(one["state"] != "invalid" for one in server.admin.all_keys(service))


def test_rejected_keys_are_deleted_and_others_retested(server: Rotator, fake: FakeProvider):
    good, flaky = values(3), values(1, "flaky")[0]
    fake.tell_all(good, GOOD)
    fake.tell(flaky, {"do": "500", "times": 2}, GOOD)
    fake.tell("*", REFUSED)
    service = pool(server, fake, good + [flaky] + values(4, "bad"))
    first = start(server, service)
    assert ended(server, first)["counts"] == {"ok": 3, "rejected": 4, "upstream_failed": 1, "exhausted": 0, "rate_limited": 0, "forbidden": 0, "skipped": 0}
    again = server.admin.post(f"/admin/jobs/{first}/retest", expect=202)["job_id"]
    done = ended(server, again)
    assert (done["retest_of"], done["total"], done["counts"]["ok"], done["counts"]["rejected"]) == (first, 5, 1, 4)
    assert server.admin.post(f"/admin/jobs/{first}/delete-rejected", expect=200) == {"deleted_count": 4}
    assert server.admin.post(f"/admin/jobs/{first}/delete-rejected", expect=200) == {"deleted_count": 0}
    assert len(server.admin.all_keys(service)) == 4
    actions = [(one["action"], one["subject"]) for one in server.admin.get("/admin/audit", params={"limit": 1000})["items"]]
    assert ("keys.delete_rejected", f"4 keys of service {service}, job {first}") in actions
    listed = server.admin.get("/admin/jobs", params={"after": first - 1, "limit": 1})
    assert [one["job_id"] for one in listed["items"]] == [first] and listed["next"] == first


def test_a_job_is_cancelled_within_a_second(server: Rotator, fake: FakeProvider):
    fake.tell_all(values(400), GOOD)
    fake.tell("*", REFUSED)
    service = pool(server, fake, values(400))
    number = start(server, service, rate_per_second=50)
    assert eventually(lambda: job(server, number)["done"] > 20, 10)
    assert server.admin.call("POST", f"/admin/proxy-configs/{service}/keys/validate").status_code == 409
    began = time.monotonic()
    done = server.admin.post(f"/admin/jobs/{number}/cancel", expect=200)
    assert time.monotonic() - began < 1
    assert (done["state"], done["reason"]) == ("failed", "cancelled")
    assert 20 < done["done"] == len(done["results"]) < 400
    sent = fake.total
    time.sleep(0.5)
    assert fake.total == sent
    # And the service is free for another one.
    server.admin.post(f"/admin/jobs/{start(server, service, rate_per_second=1)}/cancel", expect=200)


def test_it_keeps_to_the_rate(server: Rotator, fake: FakeProvider):
    fake.tell_all(values(100), GOOD)
    fake.tell("*", REFUSED)
    service = pool(server, fake, values(100))
    began = time.monotonic()
    ended(server, start(server, service, rate_per_second=50, concurrency=64))
    assert 1.8 < time.monotonic() - began < 8


def test_a_job_goes_on_after_kill_9(launch, fake: FakeProvider):
    server = launch()
    keys = values(2500)
    fake.tell_all(keys, GOOD)
    fake.tell("*", REFUSED)
    bad = values(50, "bad")
    service = pool(server, fake, keys + bad)
    number = start(server, service, rate_per_second=1000, concurrency=32)
    assert eventually(lambda: job(server, number, results_limit=1)["done"] > 1300, 30, 0.02)
    server.kill()
    server.start()
    done = ended(server, number, 60)
    assert (done["state"], done["total"], done["done"]) == ("done", 2550, 2550)
    assert (done["counts"]["ok"], done["counts"]["rejected"]) == (2500, 50)
    counts = fake.counts()
    assert all(counts[key] == 1 for key in keys[:1000]), "the parts that were written are not probed again"
    assert all(1 <= counts[key] <= 2 for key in keys), "one part at most is probed again"
    assert sum(counts[key] - 1 for key in keys) <= 1000
    results, after = [], 0
    while after is not None:
        page = job(server, number, results_after=after, results_limit=700)
        results += [one["key_id"] for one in page["results"]]
        after = page["results_next"]
    assert results == [one["key_id"] for one in server.admin.all_keys(service)]
    assert sum(one["state"] == "invalid" for one in server.admin.all_keys(service)) == 50


def test_sigterm_leaves_the_rest_to_the_next_start(launch, fake: FakeProvider):
    server = launch()
    keys = values(600)
    fake.tell_all(keys, GOOD)
    fake.tell("*", REFUSED)
    number = start(server, pool(server, fake, keys), rate_per_second=200)
    assert eventually(lambda: job(server, number)["done"] > 100, 10, 0.02)
    assert server.stop() == 0
    server.start()
    assert ended(server, number)["counts"]["ok"] == 600
    counts = fake.counts()
    assert sum(counts[key] - 1 for key in keys) <= 32, "what was found out is written down on the way out"


def test_memory_stays_flat(launch, fake: FakeProvider):
    server = launch()
    keys = values(5000)
    fake.tell_all(keys, GOOD)
    fake.tell("*", REFUSED)
    service = pool(server, fake, keys)
    ended(server, start(server, service, ids=[one["key_id"] for one in server.admin.all_keys(service)[:200]]))
    before = server.memory()
    number = start(server, service, rate_per_second=2000, concurrency=64)
    done = ended(server, number, 60)
    assert done["counts"]["ok"] == 5000 and len(done["results"]) == 1000 and done["results_next"]
    assert server.memory() - before < 24 * MIB
    assert server.http.get(server.url + "/readyz").status_code == 200


def test_an_invalid_key_comes_back_in_the_background(launch, fake: FakeProvider):
    # Some seconds in place of a day.
    server = launch(REVALIDATE_INTERVAL="0.001")
    good, lost = values(2), values(1, "lost")[0]
    fake.tell_all(good, GOOD)
    fake.tell("*", REFUSED)
    service = pool(server, fake, good + [lost])
    ended(server, start(server, service))
    assert server.admin.all_keys(service)[2]["state"] == "invalid"
    fake.tell(lost, GOOD)
    assert eventually(lambda: server.admin.all_keys(service)[2]["state"] == "active", 15, 0.1)
    server.line("an invalid key works again")
    assert lost not in server.log


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("ca"))
    certificate = authority.issue("good")
    made = FakeProvider(certificate=certificate[0], private_key=certificate[1])
    yield made, authority
    made.stop()


@pytest.mark.parametrize("trusts", [True, False])
def test_probes_verify_the_upstream(launch, secure, trusts: bool):
    provider, authority = secure
    provider.reset()
    server = launch(UPSTREAM_CA_FILE=str(authority.certificate) if trusts else None)
    provider.tell_all(values(3), GOOD)
    provider.tell("*", REFUSED)
    done = ended(server, start(server, pool(server, provider, values(3))))
    if trusts:
        assert (done["state"], done["counts"]["ok"]) == ("done", 3)
    else:
        assert (done["state"], done["reason"], provider.total) == ("failed", "upstream_failed", 0)


def test_probes_go_through_the_outbound_proxy(launch, fake: FakeProvider):
    # The fake provider stands in for the proxy too: it is asked for the whole URL, and answers by its path.
    server = launch(HTTP_PROXY=fake.url)
    fake.tell("*", REFUSED)
    service = pool(server, fake, values(1))
    server.admin.call("PATCH", f"/admin/proxy-configs/{service}", expect=200, json={"target_base_url": "http://provider.invalid/v1"})
    done = ended(server, start(server, service))
    assert (done["state"], done["counts"]["rejected"]) == ("done", 1)
    assert fake.requests()[0]["target"] == "http://provider.invalid/v1/models"


def test_another_replica_takes_a_dead_ones_job_over(tmp_path, fake: FakeProvider):
    stores = Stores("redis")
    try:
        replicas = Replicas(tmp_path, 2, **Place(stores).environment)
        try:
            one, other = replicas
            keys = values(2000)
            fake.tell_all(keys, GOOD)
            fake.tell("*", REFUSED)
            service = pool(one, fake, keys)
            number = start(one, service, rate_per_second=400)
            assert eventually(lambda: job(other, number, results_limit=1)["done"] > 1100, 30)
            assert other.admin.call("POST", f"/admin/proxy-configs/{service}/keys/validate").status_code == 409
            counts = fake.counts()
            assert max(counts.values()) == 1, "one replica is at it"
            one.kill()
            died = time.monotonic()
            time.sleep(10)
            sent = fake.total
            assert job(other, number, results_limit=1)["state"] == "running"
            assert eventually(lambda: fake.total > sent, 20), "nobody goes on"
            assert 13 < time.monotonic() - died < 25
            assert ended(other, number, 60)["counts"]["ok"] == 2000
            counts = fake.counts()
            assert all(counts[key] == 1 for key in keys[:1000]) and max(counts.values()) <= 2
        finally:
            replicas.kill()
    finally:
        stores.close()


def test_a_job_that_another_replica_runs_can_be_cancelled_here(tmp_path, fake: FakeProvider):
    stores = Stores("postgres")
    try:
        replicas = Replicas(tmp_path, 2, **Place(stores).environment)
        try:
            one, other = replicas
            fake.tell_all(values(1500), GOOD)
            fake.tell("*", REFUSED)
            number = start(one, pool(one, fake, values(1500)), rate_per_second=200)
            assert eventually(lambda: job(other, number, results_limit=1)["done"] > 100, 30)
            assert other.admin.post(f"/admin/jobs/{number}/cancel", expect=200)["reason"] == "cancelled"
            time.sleep(2)
            sent = fake.total
            time.sleep(1)
            assert fake.total == sent
            assert job(one, number)["reason"] == "cancelled"
        finally:
            replicas.kill()
    finally:
        stores.close()
