# SPDX-License-Identifier: MIT
"""Client keys that are made here: what they may do, and limits that hold to the one, on one process and over replicas."""

from __future__ import annotations

import collections
import threading
import time

import anthropic
import openai
import pytest
from harness import PROXY_KEY, FakeProvider, Raw, Replicas, Rotator, Service, eventually, request_text, seconds_left
from servers import Place, Stores


def make(server: Rotator, name: str, **policy) -> dict:
    return server.admin.post("/admin/client-keys", json={"name": name} | policy)


def code(answer) -> str:
    return answer.json()["error"]["code"]


def burst(service: Service, key: str, requests: int, workers: int = 16) -> collections.Counter:
    """How many answers of each status `requests` calls get that are sent as fast as they are answered."""
    text = request_text("GET", service.prefix + "/models", [("X-Proxy-Key", key)])
    statuses: collections.Counter[int] = collections.Counter()
    left, lock = iter(range(requests)), threading.Lock()

    def work() -> None:
        with Raw(service.server.port, timeout=30) as raw:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                status = raw.send(text).response().status
                with lock:
                    statuses[status] += 1

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


# --- What a client is -------------------------------------------------------------------------------------------------------------


def test_a_client_key_is_shown_once_and_works_with_the_official_sdk(server, fake):
    service = server.service(fake)
    made = make(server, "shown once")
    value = made["key_value"]
    assert len(value) >= 40
    client = openai.OpenAI(api_key=value, base_url=service.url, max_retries=0)
    assert client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]).choices
    for answer in (server.admin.get(f"/admin/client-keys/{made['id']}"), server.admin.get("/admin/client-keys")):
        assert value not in str(answer)
    assert value not in server.log
    assert value[:4] == made["key_masked"][:4]


def test_a_client_key_never_reaches_the_provider(server, fake):
    service = server.service(fake)
    value = make(server, "kept here")["key_value"]
    for headers in ({"Authorization": f"Bearer {value}"}, {"x-api-key": value}, {"X-Proxy-Key": value}):
        assert service.send("GET", "/models", headers=headers, key=None).status_code == 200
        assert value.encode() not in fake.last().head


def test_names_are_unique_among_those_of_the_environment_too(server):
    make(server, "twice")
    for name in ("twice", "second"):
        answer = server.admin.call("POST", "/admin/client-keys", json={"name": name})
        assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_name")


@pytest.mark.parametrize("body, word", [
    ({}, "name"), ({"name": " "}, "name"), ({"name": "x", "requests_per_minute": 0}, "requests_per_minute"), ({"name": "x", "services": "all"}, "services"),
    ({"name": "x", "models": ["a", 1]}, "models[1]"), ({"name": "x", "expires_at": "tomorrow"}, "expires_at"), ({"name": "x", "colour": "red"}, "colour"),
    ({"name": "x", "monthly_token_budget": 1.5}, "monthly_token_budget"),
])  # fmt: skip
def test_a_bad_member_is_named(server, body, word):
    answer = server.admin.call("POST", "/admin/client-keys", expect=400, json=body)
    assert word in answer.json()["detail"]


def test_a_change_is_in_force_for_the_next_request_and_a_deletion_too(server, fake):
    service = server.service(fake)
    made = make(server, "changing")
    path = f"/admin/client-keys/{made['id']}"
    assert service.send("GET", "/models", key=made["key_value"]).status_code == 200
    for change, status in (({"is_active": False}, 401), ({"is_active": True}, 200), ({"services": ["other-*"]}, 403), ({"services": None}, 200)):
        assert server.admin.call("PATCH", path, expect=200, json=change).json()["name"] == "changing"
        for _ in range(4):
            assert service.send("GET", "/models", key=made["key_value"]).status_code == status, change
    server.admin.call("DELETE", path, expect=204)
    assert service.send("GET", "/models", key=made["key_value"]).status_code == 401
    assert server.admin.call("GET", path).status_code == 404


def test_an_expired_key_is_nobodys(server, fake):
    service = server.service(fake)
    now = time.time()
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + 2)) + "Z"
    made = make(server, "expiring", expires_at=at)
    assert service.send("GET", "/models", key=made["key_value"]).status_code == 200
    assert eventually(lambda: service.send("GET", "/models", key=made["key_value"]).status_code == 401, 5)
    assert seconds_left(made["expires_at"]) <= 0


def test_a_client_may_be_bound_to_services_and_models(server, fake):
    mine, other = server.service(fake), server.service(fake)
    value = make(server, "bound", services=[mine.slug], models=["gpt-4o", "o*"])["key_value"]
    asked = {"messages": [{"role": "user", "content": "hi"}]}

    def chat(service: Service, model: str):
        return service.send("POST", "/chat/completions", key=value, json=asked | {"model": model})

    assert chat(mine, "gpt-4o").status_code == 200 and chat(mine, "o3-mini").status_code == 200
    assert mine.send("GET", "/models", key=value).status_code == 200
    before = fake.total
    refused = [chat(mine, "gpt-4o-mini"), chat(other, "gpt-4o"), mine.send("POST", "/chat/completions", key=value, json=asked)]
    assert [(one.status_code, code(one)) for one in refused] == [(403, "not_allowed")] * 3
    assert fake.total == before


# --- Limits on one process ----------------------------------------------------------------------------------------------------------


def test_requests_per_minute_hold_to_the_one_over_all_threads(server, fake):
    service = server.service(fake)
    value = make(server, "sixty", requests_per_minute=60)["key_value"]
    statuses = burst(service, value, 300)
    assert statuses == {200: 60, 429: 240}
    answer = service.send("GET", "/models", key=value)
    assert code(answer) == "client_rate_limited" and "60 requests per minute" in answer.json()["error"]["message"]
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["x-ratelimit-limit-requests"] == "60" and answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert answer.headers["x-rotator-attempts"] == "0"


def test_clients_do_not_share_their_limits(server, fake):
    service = server.service(fake)
    one, two = (make(server, name, requests_per_minute=5)["key_value"] for name in ("lone one", "lone two"))
    assert burst(service, one, 10, 2)[200] == 5 and burst(service, two, 10, 2)[200] == 5
    assert burst(service, PROXY_KEY, 50, 2) == {200: 50}


def test_sdks_see_a_rate_limit_error_with_its_time(server, fake):
    service = server.service(fake, api_format="anthropic_native")
    value = make(server, "anthropic's", requests_per_minute=1)["key_value"]
    client = anthropic.Anthropic(api_key=value, base_url=service.url, max_retries=0)
    ask = {"model": "claude-opus-4", "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}]}
    client.messages.create(**ask)
    with pytest.raises(anthropic.RateLimitError) as refused:
        client.messages.create(**ask)
    headers = refused.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 60
    assert 0 < seconds_left(headers["anthropic-ratelimit-requests-reset"]) <= 61
    assert headers["anthropic-ratelimit-requests-limit"] == "1"


def test_requests_at_the_same_time_are_limited_and_free_their_place_when_they_end(server, fake):
    service = server.service(fake, keys=1)
    value = make(server, "two at once", concurrent_requests=2)["key_value"]
    fake.tell("*", {"do": "gate", "gate": "places", "times": 2})
    raws = [server.raw() for _ in range(2)]
    for raw in raws:
        raw.send(request_text("GET", service.prefix + "/models", [("X-Proxy-Key", value)]))
    assert fake.wait(requests=2)
    assert code(service.send("GET", "/models", key=value)) == "client_rate_limited"
    # One client leaves, the other is answered: both places are free again.
    raws[0].close()
    fake.step("places", 10)
    assert raws[1].response().status == 200
    raws[1].close()
    assert eventually(lambda: service.send("GET", "/models", key=value).status_code == 200)


def test_tokens_are_charged_after_the_answer(server, fake):
    service = server.service(fake)
    made = make(server, "talkative", tokens_per_minute=50)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    fake.tell("*", {"do": "ok", "usage": {"input": 40, "output": 30}, "times": -1})
    assert service.send("POST", "/chat/completions", key=made["key_value"], json=body).status_code == 200
    answer = service.send("POST", "/chat/completions", key=made["key_value"], json=body)
    assert answer.status_code == 429 and answer.headers["x-ratelimit-limit-tokens"] == "50"
    usage = server.admin.get(f"/admin/client-keys/{made['id']}")["usage"]
    assert usage["tokens_last_minute"] == 70 and usage["tokens_this_month"] == 70


def test_a_monthly_budget_outlives_a_restart(launch, fake):
    server = launch()
    service = server.service(fake)
    made = make(server, "frugal", monthly_token_budget=100)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    fake.tell("*", {"do": "ok", "usage": {"input": 70, "output": 50}, "times": -1})
    assert service.send("POST", "/chat/completions", key=made["key_value"], json=body).status_code == 200
    for _ in range(2):
        answer = service.send("POST", "/chat/completions", key=made["key_value"], json=body)
        assert answer.status_code == 429 and "budget of 100 tokens" in answer.json()["error"]["message"]
        assert server.stop() == 0
        server.start()
        assert server.admin.get(f"/admin/client-keys/{made['id']}")["usage"]["tokens_this_month"] == 120


# --- Over replicas ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=Stores.COMBINATIONS)
def three(request, tmp_path_factory):
    stores = Stores(request.param)
    made = Replicas(tmp_path_factory.mktemp("three"), 3, **Place(stores).environment)
    yield made
    made.stop()
    stores.close()


def over(replicas: Replicas, service: Service, key: str, requests: int, workers: int = 24) -> collections.Counter:
    """As `burst`, spread over the replicas."""
    parts = [collections.Counter()] * len(replicas)

    def part(index: int) -> None:
        parts[index] = burst(service.through(replicas[index]), key, requests // len(replicas), workers // len(replicas))

    threads = [threading.Thread(target=part, args=(index,)) for index in range(len(replicas))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(parts, collections.Counter())


def known(replicas: Replicas, made: dict, service: Service) -> dict:
    for one in replicas:
        assert eventually(lambda: one.admin.call("GET", f"/admin/client-keys/{made['id']}").status_code == 200, 2)
    return made


def test_three_replicas_admit_sixty_requests_a_minute_together(three, fake):
    service = three.service(fake, keys=4, kind="LLM")
    made = known(three, make(three[0], "sixty over three", requests_per_minute=60), service)
    statuses = over(three, service, made["key_value"], 600)
    assert statuses[200] in (59, 60, 61) and statuses[200] + statuses[429] == 600, statuses


def test_a_client_is_known_changed_and_gone_on_every_replica_within_a_second(three, fake):
    service = three.service(fake, keys=2, kind="LLM")
    made = make(three[0], "wandering")
    path = f"/admin/client-keys/{made['id']}"

    def statuses() -> list[int]:
        return [service.through(one).send("GET", "/models", key=made["key_value"]).status_code for one in three]

    assert eventually(lambda: statuses() == [200] * 3, 1.2)
    three[1].admin.call("PATCH", path, expect=200, json={"is_active": False})
    assert eventually(lambda: statuses() == [401] * 3, 1.2)
    three[2].admin.call("PATCH", path, expect=200, json={"is_active": True})
    assert eventually(lambda: statuses() == [200] * 3, 1.2)
    three[0].admin.call("DELETE", path, expect=204)
    assert eventually(lambda: statuses() == [401] * 3, 1.2)


def test_tokens_and_places_are_shared_by_the_replicas(three, fake):
    service = three.service(fake, keys=2, kind="LLM")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    made = known(three, make(three[0], "shared tokens", monthly_token_budget=200), service)
    fake.tell("*", {"do": "ok", "usage": {"input": 150, "output": 100}, "times": -1})
    assert service.send("POST", "/chat/completions", key=made["key_value"], json=body).status_code == 200
    for one in three:
        elsewhere = service.through(one)
        assert eventually(lambda: elsewhere.send("POST", "/chat/completions", key=made["key_value"], json=body).status_code == 429, 1)
    fake.reset()
    made = known(three, make(three[0], "shared places", concurrent_requests=1), service)
    fake.tell("*", {"do": "gate", "gate": "three", "times": 1})
    with three[0].raw() as raw:
        raw.send(request_text("GET", service.prefix + "/models", [("X-Proxy-Key", made["key_value"])]))
        assert fake.wait(requests=1)
        assert service.through(three[1]).send("GET", "/models", key=made["key_value"]).status_code == 429
        fake.step("three", 10)
        assert raw.response().status == 200
    assert eventually(lambda: service.through(three[1]).send("GET", "/models", key=made["key_value"]).status_code == 200, 2)


# --- Any minute ---------------------------------------------------------------------------------------------------------------------


def test_no_minute_has_more_than_sixty_whichever_it_is(tmp_path, launch, fake):
    """One process and three replicas side by side, each asked ten times a second for 75 s."""
    alone = launch()
    stores = Stores("postgres")
    replicas = Replicas(tmp_path / "replicas", 3, **Place(stores).environment)
    try:
        places = [(alone.service(fake, keys=2), [alone]), (replicas.service(fake, keys=2, kind="LLM"), list(replicas))]
        keys = [make(servers[0], "steady", requests_per_minute=60)["key_value"] for _, servers in places]
        time.sleep(1.5)
        admitted: list[list[float]] = [[], []]
        over_at = time.monotonic() + 75

        def work(which: int, worker: int) -> None:
            service, servers = places[which]
            at = time.monotonic() + worker * 0.1
            while at < over_at:
                time.sleep(max(0, at - time.monotonic()))
                elsewhere = service.through(servers[worker % len(servers)])
                before = time.monotonic()
                status = elsewhere.send("GET", "/models", key=keys[which]).status_code
                assert status in (200, 429)
                if status == 200:
                    admitted[which].append(before)
                at += 0.5

        threads = [threading.Thread(target=work, args=(which, worker)) for which in range(2) for worker in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for times in admitted:
            times.sort()
            # A client's clock sees the request a little before the server does.
            assert max(sum(1 for other in times if 0 <= other - one < 59.9) for one in times) <= 61
            # Sixty at once, and what the first ones gave back after a minute.
            assert sum(1 for one in times if one - times[0] < 59.9) >= 59 and len(times) >= 100
    finally:
        replicas.kill()
        stores.close()
