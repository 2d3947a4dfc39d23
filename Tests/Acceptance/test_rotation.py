# SPDX-License-Identifier: MIT
"""Every key in its turn: the strategies, exactly, over several worker threads."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import PROXY_KEY, Raw, Rotator, eventually, request_text


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A server with four worker threads."""
    made = Rotator(tmp_path_factory.mktemp("wide"), WORKER_THREADS="4")
    yield made
    made.stop()


def storm(service, requests: int, concurrency: int = 64) -> Counter:
    """`requests` calls over `concurrency` connections; which key each answer named. Any other status than 200 fails."""
    port, target = service.server.port, service.prefix + "/echo"
    text = request_text("GET", target, [("X-Proxy-Key", PROXY_KEY)])
    left, lock, keys, wrong = iter(range(requests)), threading.Lock(), Counter(), []

    def worker():
        with Raw(port, timeout=30) as raw:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                raw.send(text)
                answer = raw.response()
                with lock:
                    keys[int(answer.get("x-rotator-key-id") or 0)] += 1
                    if answer.status != 200:
                        wrong.append(answer)

    workers = [threading.Thread(target=worker) for _ in range(concurrency)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not wrong, wrong[0]
    return keys


@pytest.mark.parametrize(("keys", "requests"), [(1, 200), (3, 1000), (7, 2003), (100, 3001)])
def test_round_robin_is_exact_at_concurrency_64_over_four_threads(wide, fake, keys, requests):
    service = wide.service(fake, keys=keys, kind="GENERIC", rotation_strategy="round_robin")
    told = storm(service, requests)
    seen = Counter(fake.counts())
    assert sum(seen.values()) == requests, "nothing lost, nothing repeated"
    for value in service.values:
        assert abs(seen[value] - requests / keys) <= 1, seen
        assert told[service.id_of(value)] == seen[value], "x-rotator-key-id tells the truth"


def test_round_robin_is_the_default_and_takes_the_keys_in_turn(wide, fake):
    service = wide.service(fake, keys=4)
    assert service.made["rotation_strategy"] == "round_robin"
    for _ in range(12):
        assert service.chat().status_code == 200
    order = [request["key"] for request in fake.requests(slim=True)]
    assert set(order[:4]) == set(service.values) and order[4:8] == order[:4] and order[8:] == order[:4]


def test_round_robin_stays_exact_for_long_calls_that_overlap(wide, fake):
    service = wide.service(fake, keys=5)
    fake.tell("*", {"do": "ok", "delay_ms": 100, "times": -1})
    with ThreadPoolExecutor(50) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: service.chat(), range(200))} == {200}
    assert set(fake.counts().values()) == {40}


def test_a_disabled_key_has_no_turn_from_the_very_next_request_on(wide, fake):
    service = wide.service(fake, keys=4, kind="GENERIC")
    wide.admin.call("PATCH", f"/admin/keys/{service.keys[1].id}", expect=200, json={"is_active": False})
    storm(service, 300)
    assert Counter(fake.counts()) == Counter({value: 100 for n, value in enumerate(service.values) if n != 1})
    wide.admin.call("PATCH", f"/admin/keys/{service.keys[1].id}", expect=200, json={"is_active": True})
    fake.reset()
    storm(service, 400)
    assert set(fake.counts().values()) <= {99, 100, 101} and len(fake.counts()) == 4


def test_keys_added_and_removed_under_load_lose_no_request(wide, fake):
    service = wide.service(fake, keys=3, kind="GENERIC")
    stop = threading.Event()

    def churn():
        number = 0
        while not stop.is_set():
            key = wide.add_key(service.id, f"churn-key-number-{number:08d}")
            wide.admin.call("DELETE", f"/admin/keys/{key.id}", expect=204)
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        told = storm(service, 3000, concurrency=32)
    finally:
        stop.set()
        thread.join()
    assert sum(told.values()) == 3000
    steady = [fake.counts()[value] for value in service.values]
    assert min(steady) > 0.5 * max(steady), f"the steady keys share alike: {steady}"


def test_weighted_gives_each_key_its_share_and_spreads_it(wide, fake):
    service = wide.service(fake, keys=[], kind="GENERIC", rotation_strategy="weighted")
    weights = {"weighted-key-a-0123456789": 5, "weighted-key-b-0123456789": 1, "weighted-key-c-0123456789": 1}
    service.keys = [wide.add_key(service.id, value, weight=weight) for value, weight in weights.items()]
    for _ in range(14):
        assert service.send("GET", "/echo").status_code == 200
    order = [{"a": "a", "b": "b", "c": "c"}[request["key"][13]] for request in fake.requests(slim=True)]
    assert order[:7] == order[7:] and Counter(order) == {"a": 10, "b": 2, "c": 2}
    assert "aaaaa" not in "".join(order), "smooth: the heavy key's turns are spread"
    fake.reset()
    storm(service, 1400)
    assert all(abs(fake.counts()[value] - 200 * weight) <= 2 for value, weight in weights.items()), fake.counts()


def test_random_takes_every_key_and_no_fixed_order(wide, fake):
    service = wide.service(fake, keys=4, kind="GENERIC", rotation_strategy="random")
    storm(service, 2000)
    counts = fake.counts()
    assert len(counts) == 4 and all(380 < count < 620 for count in counts.values()), counts
    order = [request["key"] for request in fake.requests(slim=True)][:200]
    assert any(a == b for a, b in zip(order, order[1:])), "a random order repeats a key sometimes"


def test_sequential_stays_on_one_key_until_it_rests(wide, fake):
    service = wide.service(fake, keys=3, rotation_strategy="sequential")
    for _ in range(5):
        service.chat()
    assert len(fake.counts()) == 1
    first = fake.last()["key"]
    fake.tell(first, {"do": "429", "retry_after": 30})
    for _ in range(5):
        assert service.chat().status_code == 200
    counts = fake.counts()
    assert counts[first] == 6 and sorted(counts.values()) == [5, 6], "the next key took over and kept on"


def test_least_in_flight_avoids_a_busy_key(wide, fake):
    service = wide.service(fake, keys=2, rotation_strategy="least_in_flight")
    busy, free = service.values
    fake.tell(busy, {"do": "hang", "times": -1})
    body = b'{"model":"gpt-4o","messages":[]}'
    text = request_text("POST", service.prefix + "/chat/completions", [("X-Proxy-Key", PROXY_KEY), ("Content-Type", "application/json")], body)
    waiting = []
    for _ in range(4):  # until the key that hangs has got its request
        waiting.append(Raw(wide.port, 30).send(text))
        if eventually(lambda: fake.counts().get(busy), 0.4):
            break
    assert fake.counts().get(busy) == 1
    before = fake.counts().get(free, 0)
    for _ in range(10):
        assert service.chat(timeout=3).status_code == 200
    assert fake.counts() == {busy: 1, free: before + 10}
    for one in waiting:
        one.close()


def test_an_unknown_strategy_is_refused_by_name(wide, fake):
    answer = wide.admin.call("POST", "/admin/proxy-configs", json={
        "name": "x", "slug": "no-such-strategy", "config_type": "GENERIC", "target_url": fake.url, "rotation_strategy": "astrology",
    })  # fmt: skip
    assert answer.status_code == 400 and "rotation_strategy" in answer.text
