# SPDX-License-Identifier: MIT
"""Several servers over one store: exact rotation together, changes in force everywhere within a second, nothing lost when one dies."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
from collections import Counter

import pytest
from harness import FakeProvider, Load, Replicas, Rotator, Service, eventually, seconds_left
from servers import Place, Stores

COMBINATIONS = Stores.COMBINATIONS
CLUSTERS = [(combination, count) for combination in COMBINATIONS for count in (2, 4)]


def named(one) -> str:
    return f"{one[0]}, {one[1]} replicas"


pairs = pytest.mark.parametrize("cluster", [one for one in CLUSTERS if one[1] == 2], ids=named, indirect=True)
clusters = pytest.mark.parametrize("cluster", CLUSTERS, ids=named, indirect=True)


@pytest.fixture(scope="module")
def stores():
    """The servers of each combination, started when first asked for."""
    made: dict[str, Stores] = {}

    def of(combination: str) -> Stores:
        if combination not in made:
            made[combination] = Stores(combination)
        return made[combination]

    yield of
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def cluster(request, stores, tmp_path_factory):
    combination, count = request.param
    made = Replicas(tmp_path_factory.mktemp("cluster"), count, **Place(stores(combination)).environment)
    yield made
    crashed = [one.process.poll() for one in made]
    made.stop()
    assert crashed == [None] * count, f"a replica ended by itself: {crashed}\n" + "\n".join(one.log[-2000:] for one in made)


@pytest.fixture
def own_pair(request, stores, tmp_path):
    """Two replicas of the test's own, on a place of their own."""
    made = Replicas(tmp_path, 2, **Place(stores(request.param)).environment)
    yield made
    made.kill()


each_combination = pytest.mark.parametrize("own_pair", COMBINATIONS, indirect=True)


def rest(service: Service, fake: FakeProvider, value: str, behaviour) -> None:
    """Lets the provider answer the key's next request so, and asks through the service's replica until it has."""
    fake.tell(value, behaviour)
    for _ in range(8 * len(service.keys)):
        answer = service.send("GET", "/echo") if service.made["config_type"] == "GENERIC" else service.chat()
        if answer.headers["x-rotator-attempts"] != "1":
            return
    raise AssertionError("the key had no turn")


def states(replicas: Replicas, service: Service, key: int) -> list[str]:
    return [replicas.keys(one, service)[key]["state"] for one in replicas]


# --- Exactness ------------------------------------------------------------------------------------------------------------------------


@clusters
def test_every_key_has_its_share_over_all_replicas(cluster, fake):
    service = cluster.service(fake, keys=10)
    load = cluster.load(service, 4000)
    assert not load.wrong and load.unanswered == 0, load.wrong[:1]
    assert min(load.answers.values()) > 4000 / len(cluster) / 2, "each replica had its part of the load"
    seen = fake.counts()
    print(f"spread over {len(cluster)} replicas: {sorted(seen.values())}")
    assert sum(seen.values()) == 4000
    assert all(abs(seen[value] - 400) <= len(cluster) for value in service.values), seen
    assert {service.id_of(value): count for value, count in seen.items()} == load.keys


@clusters
def test_nine_keys_share_alike_while_the_tenth_rests(cluster, fake):
    service = cluster.service(fake, keys=10)
    resting = service.keys[3]
    rest(service, fake, resting.value, {"do": "429", "retry_after": 100})
    assert eventually(lambda: set(states(cluster, service, resting.id)) == {"cooling"}, 2)
    fake.reset()
    load = cluster.load(service, 3600)
    assert not load.wrong, load.wrong[:1]
    seen = fake.counts()
    print(f"spread over {len(cluster)} replicas, one key resting: {sorted(seen.values())}")
    assert resting.value not in seen and sum(seen.values()) == 3600
    assert all(abs(count - 400) <= len(cluster) for count in seen.values()), seen


@pairs
def test_at_a_low_rate_the_keys_come_strictly_in_turn(cluster, fake):
    service = cluster.service(fake, keys=7)
    by_replica = [service.through(one) for one in cluster]
    for number in range(5 * 7 + 2):
        assert by_replica[number % 2].send("GET", "/echo").status_code == 200
        time.sleep(0.02)
    order = [service.id_of(request["key"]) for request in fake.requests(slim=True)][2:]
    assert len(set(order[:7])) == 7 and all(a == b for a, b in zip(order, order[7:])), order


@pairs
def test_requests_through_one_replica_alone_take_the_keys_in_turn(cluster, fake):
    """The other one holds at most a ticket or two back: its share of a cycle is not waited for."""
    service = cluster.service(fake, keys=5)
    for _ in range(25):
        assert service.through(cluster[1]).send("GET", "/echo").status_code == 200
        time.sleep(0.005)
    counts = Counter(fake.counts())
    assert all(abs(counts[value] - 5) <= 2 for value in service.values), counts


# --- What one replica learns, all know -------------------------------------------------------------------------------------------------


class Watch:
    """Makes changes through one replica and takes the time until each other one goes by them."""

    def __init__(self, replicas: Replicas, fake: FakeProvider):
        self.replicas, self.fake = replicas, fake
        self.seconds: list[tuple[float, str]] = []
        self._turn = itertools.cycle(range(len(replicas)))

    def change(self, what: str, act, seen) -> None:
        """`act(replica)` changes something; `seen(replica)` tells whether it is in force there. The time runs from the acknowledgement."""
        turn = next(self._turn)
        act(self.replicas[turn])
        acknowledged = time.monotonic()
        missing = self.replicas[:turn] + self.replicas[turn + 1 :]
        while missing and time.monotonic() - acknowledged < 5:
            for one in list(missing):
                if seen(one):
                    self.seconds.append((time.monotonic() - acknowledged, what))
                    missing.remove(one)
            time.sleep(0.001)
        assert not missing, f"{what}: not in force on {len(missing)} replicas after 5 s\n{missing[0].log[-2000:]}"

    def rests(self, what: str, service: Service, key, behaviour, *expected: str) -> None:
        """The provider's word about a key: no replica uses it from the moment at which its listing says so."""
        self.change(what, lambda source: rest(service.through(source), self.fake, key.value, behaviour), lambda other: self.replicas.keys(other, service)[key.id]["state"] in expected)
        before = self.fake.counts()[key.value]
        for one in self.replicas:
            for _ in range(len(service.keys) + 2):
                assert service.through(one).send("GET", "/echo").status_code == 200
        assert self.fake.counts()[key.value] == before, f"{what}: a replica used the key although it lists it as {expected}"

    def told(self, title: str) -> None:
        figures = sorted(seconds for seconds, _ in self.seconds)
        p95 = figures[math.ceil(0.95 * len(figures)) - 1]
        slowest = max(self.seconds)
        print(f"{title}: {len(figures)} changes seen, p50 {1e3 * statistics.median(figures):.0f} ms, p95 {1e3 * p95:.0f} ms, max {1e3 * slowest[0]:.0f} ms ({slowest[1]})")
        assert len(figures) >= 30 and slowest[0] < 1, slowest


@clusters
@pytest.mark.timeout(180)
def test_every_change_is_in_force_on_every_replica_within_a_second(cluster, fake, request):
    watch = Watch(cluster, fake)
    service = cluster.service(fake, keys=12)
    path = f"/admin/proxy-configs/{service.id}"

    def call(method: str, where: str, **body):
        return lambda source: source.admin.call(method, where, json=body or None).raise_for_status()

    def key(other: Rotator, identity: int) -> dict:
        return cluster.keys(other, service).get(identity, {})

    def status(other: Rotator, prefix: str = service.prefix) -> int:
        return other.ask("GET", prefix + "/echo").status

    # What the provider says of a key
    for n in range(8):
        watch.rests("cooldown", service, service.keys[n], {"do": "429", "retry_after": 30}, "cooling")
        assert seconds_left(key(cluster[-1], service.keys[n].id)["cooling_until"]) > 20
    watch.rests("exhausted", service, service.keys[8], "402", "exhausted")
    watch.rests("refused", service, service.keys[9], "401", "cooling")

    # What an administrator does about keys
    for n in (0, 1, 8, 9):
        one = service.keys[n].id
        watch.change("reset", call("POST", f"/admin/keys/{one}/reset"), lambda other, one=one: key(other, one)["state"] == "active")
    one = service.keys[10].id
    for is_active in (False, True, False):
        watch.change("switch of a key", call("PATCH", f"/admin/keys/{one}", is_active=is_active), lambda other, a=is_active: (key(other, one)["state"] == "active") == a)
    watch.change("weight", call("PATCH", f"/admin/keys/{one}", weight=7, name="heavy"), lambda other: key(other, one)["weight"] == 7 and key(other, one)["name"] == "heavy")
    for n in range(3):
        value, made = f"added-later-{n}-{service.slug}-0123456789", []
        watch.change("key added", lambda source, v=value: made.append(source.add_key(service.id, v).id), lambda other: made[-1] in cluster.keys(other, service))
        watch.change("key deleted", lambda source: call("DELETE", f"/admin/keys/{made[-1]}")(source), lambda other: made[-1] not in cluster.keys(other, service))
    batch = [f"batch-{n:04d}-{service.slug}-0123456789" for n in range(1000)]
    watch.change(
        "batch of 1,000 keys", lambda source: source.admin.post(path + "/keys/batch", expect=200, json={"keys": batch}),
        lambda other: other.admin.get(path + "/keys", params={"limit": 1000})["next"] is not None,
    )  # fmt: skip
    assert [len(one.admin.all_keys(service.id)) for one in cluster] == [1012] * len(cluster)
    watch.change("clearing a pool", call("DELETE", path + "/keys"), lambda other: not cluster.keys(other, service))

    # A rest for one model alone
    chat = cluster.service(fake, keys=3, kind="LLM")
    for n in (0, 1):
        resting = chat.keys[n]
        watch.change(
            "rest for one model", lambda source, k=resting: rest(chat.through(source), fake, k.value, {"do": "429", "retry_after": 60}),
            lambda other, k=resting: [one["model"] for one in cluster.keys(other, chat)[k.id]["cooling_models"]] == ["gpt-4o"],
        )  # fmt: skip
    fake.reset()
    for one in cluster:
        for _ in range(3):
            assert chat.through(one).chat().status_code == 200 and chat.through(one).chat(model="other").status_code == 200
    by_model = Counter((request["model"], request["key"]) for request in fake.requests(slim=True))
    assert by_model["gpt-4o", chat.values[2]] == 3 * len(cluster), "the model's only key"
    assert all(by_model["other", value] for value in chat.values), "other models have them all"

    # Services
    body = {"name": "Made here", "slug": f"made-{service.slug}", "config_type": "GENERIC", "target_url": fake.url}
    made: dict = {}
    prefix = f"/proxy/made-{service.slug}"
    watch.change("service created", lambda source: made.update(source.admin.post("/admin/proxy-configs", json=body)), lambda other: status(other, prefix) == 503)
    where = f"/admin/proxy-configs/{made['id']}"
    watch.change("its first key", lambda source: source.add_key(made["id"], "sk-first-0123456789abcdef"), lambda other: status(other, prefix) == 200)
    watch.change("target changed", call("PATCH", where, target_url=fake.url + "/echo/elsewhere"), lambda other: "/elsewhere" in other.ask("GET", prefix + "/echo").json["target"])
    watch.change("service switched off", call("PUT", where + "/status", is_active=False), lambda other: status(other, prefix) == 404)
    watch.change("service switched on", call("PUT", where + "/status", is_active=True), lambda other: status(other, prefix) == 200)
    watch.change("slug changed", call("PATCH", where, slug=f"moved-{service.slug}"), lambda other: status(other, prefix) == 404 and status(other, f"/proxy/moved-{service.slug}") == 200)
    watch.change("service deleted", call("DELETE", where), lambda other: status(other, f"/proxy/moved-{service.slug}") == 404)
    watch.told(f"changes in force elsewhere, {request.node.callspec.id}")


@pairs
def test_a_slug_that_is_taken_on_one_replica_is_taken_on_the_other(cluster, fake):
    service = cluster.service(fake, keys=1)
    body = {"name": "Twice", "slug": service.slug, "config_type": "GENERIC", "target_url": fake.url}
    assert [one.admin.call("POST", "/admin/proxy-configs", json=body).status_code for one in cluster] == [409, 409]
    value = {"key_value": service.values[0]}
    assert [one.admin.call("POST", f"/admin/proxy-configs/{service.id}/keys", json=value).status_code for one in cluster] == [409, 409]


@pairs
def test_changes_made_through_both_replicas_at_once_are_all_there_on_both(cluster, fake):
    service = cluster.service(fake, keys=0)
    made: list[int] = []

    def add(replica: Rotator, name: str) -> None:
        for n in range(40):
            made.append(replica.add_key(service.id, f"{name}-{n:02d}-0123456789abcdef").id)

    threads = [threading.Thread(target=add, args=(one, name)) for one, name in zip(cluster, ("left", "right"))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(made)) == 80
    for one in cluster:
        assert eventually(lambda: set(cluster.keys(one, service)) == set(made), 2), "both have all of them"


# --- Counts ---------------------------------------------------------------------------------------------------------------------------


@pairs
def test_the_counts_of_a_key_are_those_of_all_replicas_together(cluster, fake):
    service = cluster.service(fake, keys=5)
    for value in service.values[:3]:
        fake.tell(value, "500", "ok", "500", {"do": "ok", "times": 20}, "502")
    fake.tell(service.values[3], {"do": "429", "retry_after": 100})
    load = cluster.load(service, 600, concurrency=16)
    assert not [one for one in load.wrong if one.status < 500], load.wrong[:1]
    seen: dict[int, Counter] = {key.id: Counter() for key in service.keys}
    for one in fake.requests(slim=True):
        seen[service.id_of(one["key"])][one["status"] == 200] += 1
    wanted = {identity: (counts[True], counts[False]) for identity, counts in seen.items()}
    assert all(sum(pair) for pair in wanted.values())

    def listed(replica: Rotator) -> dict:
        return {identity: (item["success_count"], item["failure_count"]) for identity, item in cluster.keys(replica, service).items()}

    for one in cluster:
        assert eventually(lambda: listed(one) == wanted, 2), f"{listed(one)} is not {wanted}"
        assert all(item["last_used_at"] for item in cluster.keys(one, service).values())


# --- Ends and beginnings --------------------------------------------------------------------------------------------------------------


@each_combination
def test_kill_9_of_a_replica_under_load_loses_no_acknowledged_write_and_disturbs_nobody_else(own_pair, fake):
    service, other = own_pair.service(fake, keys=10), own_pair.service(fake, keys=1)
    acknowledged: list[int] = []

    def churn() -> None:
        for n in itertools.count():
            try:
                acknowledged.append(own_pair[1].add_key(other.id, f"survivor-{n:04d}-0123456789").id)
            except Exception:  # noqa: BLE001 - the end of the replica, whichever way the client sees it
                return

    writer = threading.Thread(target=churn)
    load = Load([one.port for one in own_pair], service, 12_000, 64).start()
    writer.start()
    assert eventually(lambda: sum(load.answers.values()) > 3000 and len(acknowledged) > 20, 20, 0.005)
    own_pair[1].kill()
    load.join(), writer.join()
    assert not load.wrong, load.wrong[:1]
    assert load.answers[own_pair[1].port] < 5000 and sum(load.answers.values()) + load.unanswered == 12_000
    assert eventually(lambda: set(acknowledged) <= set(own_pair.keys(own_pair[0], other)), 2), "an acknowledged write is lost"
    seen, slack = fake.counts(), len(own_pair) + math.ceil(load.unanswered / 10)
    total = sum(seen.values())
    print(f"kill -9: {load.unanswered} unanswered, spread {sorted(seen.values())}, {len(acknowledged)} writes acknowledged")
    assert all(abs(seen[value] - total / 10) <= slack for value in service.values), seen

    # The survivor alone, then both again
    fake.reset()
    alone = Load([own_pair[0].port], service, 1000, 32).run()
    assert not alone.wrong and all(abs(count - 100) <= 2 for count in fake.counts().values()), fake.counts()
    own_pair[1].start()
    assert set(acknowledged) <= set(own_pair.keys(own_pair[1], other))
    fake.reset()
    both = own_pair.load(service, 1000)
    assert not both.wrong and all(abs(count - 100) <= 2 for count in fake.counts().values()), fake.counts()


@each_combination
def test_rests_and_states_survive_the_restart_of_all_replicas(own_pair, fake):
    service, chat = own_pair.service(fake, keys=5), own_pair.service(fake, keys=2, kind="LLM")
    rest(service, fake, service.values[0], {"do": "429", "retry_after": 500})
    rest(service.through(own_pair[1]), fake, service.values[1], "402")
    rest(service.through(own_pair[1]), fake, service.values[2], "401")
    rest(chat.through(own_pair[1]), fake, chat.values[0], {"do": "429", "retry_after": 500})
    own_pair[0].admin.call("PATCH", f"/admin/keys/{service.keys[3].id}", expect=200, json={"is_active": False, "name": "off", "weight": 9})
    expected = ["cooling", "exhausted", "cooling", "disabled", "active"]

    def listed(replica: Rotator, of: Service = service) -> list[dict]:
        return list(replica.admin.get(f"/admin/proxy-configs/{of.id}/keys")["items"])

    for one in own_pair:
        assert eventually(lambda: [item["state"] for item in listed(one)] == expected and listed(one, chat)[0]["cooling_models"], 2)
    before, before_chat = listed(own_pair[0]), listed(own_pair[0], chat)
    own_pair.stop()
    for one in own_pair:
        one.start()
    for one in own_pair:
        after, after_chat = listed(one), listed(one, chat)
        for name in ("key_id", "key_masked", "name", "weight", "is_active", "state", "state_reason", "success_count", "failure_count"):
            assert [item[name] for item in after] == [item[name] for item in before], name
        assert abs(seconds_left(after[1]["cooling_until"]) - seconds_left(before[1]["cooling_until"])) < 1
        assert [one["model"] for one in after_chat[0]["cooling_models"]] == [one["model"] for one in before_chat[0]["cooling_models"]] == ["gpt-4o"]
    fake.reset()
    assert not own_pair.load(service, 50, concurrency=4).wrong
    assert set(fake.counts()) == {service.values[4]}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_replicas_that_start_at_once_on_an_empty_place_agree_on_its_generated_secrets(combination, stores, tmp_path, fake):
    """One of them generates, prints and keeps; the other works with what it finds."""
    environment = Place(stores(combination)).environment
    replicas = Replicas(tmp_path, 4, ADMIN_PASSWORD=None, GLOBAL_PROXY_KEYS=None, **environment)
    try:
        told = {name: [one.line(rf"generated {name}=(\S+)", 1)[1] for one in replicas if f"generated {name}=" in one.log] for name in ("ADMIN_PASSWORD", "GLOBAL_PROXY_KEYS")}
        assert [len(values) for values in told.values()] == [1, 1], told
        for one in replicas:
            one.environment["ADMIN_PASSWORD"] = told["ADMIN_PASSWORD"][0]
        service = replicas.service(fake, keys=1)
        for one in replicas:
            assert one.ask("GET", service.prefix + "/echo", key=told["GLOBAL_PROXY_KEYS"][0]).status == 200
            answer = one.http.get(one.url + "/admin/proxy-configs", headers={"Authorization": f"Bearer {replicas[0].admin.token}"})
            assert answer.status_code == 200, "a token of one is good at all of them"
    finally:
        replicas.kill()


# --- What takes a minute and a half: it runs beside the other tests of this file and is judged at the end ---------------------------


class Refusals(threading.Thread):
    """A key that is refused three times in a row, by turns through one replica and the other, each time as soon as it is back."""

    def __init__(self, stores: Stores, directory):
        super().__init__(daemon=True)
        self.fake, self.replicas = FakeProvider(), Replicas(directory, 2, **Place(stores).environment)
        self.service = self.replicas.service(self.fake, keys=3)
        self.bad = self.service.keys[0]
        self.seen: list[list[str]] = []
        self.latency = math.inf
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for turn, wait in enumerate((0, 31, 61)):
                time.sleep(wait)
                rest(self.service.through(self.replicas[turn % 2]), self.fake, self.bad.value, "401")
                told = time.monotonic()
                expected = {"cooling"} if turn < 2 else {"invalid"}
                eventually(lambda: set(states(self.replicas, self.service, self.bad.id)) == expected, 5, 0.002)
                self.latency = time.monotonic() - told
                self.seen.append(states(self.replicas, self.service, self.bad.id))
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error


@pytest.fixture(scope="module", autouse=True)
def refusals(request, stores, tmp_path_factory):
    made: dict[str, Refusals] = {}
    judged = [item.callspec.params["combination"] for item in request.session.items if getattr(item, "originalname", "").startswith("test_three_refusals")]
    for combination in judged:
        made[combination] = Refusals(stores(combination), tmp_path_factory.mktemp("refusals"))
        made[combination].start()
    yield made
    for one in made.values():
        one.replicas.kill()
        one.fake.stop()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_three_refusals_in_a_row_count_together_whichever_replica_met_them(combination, refusals):
    one = refusals[combination]
    one.join(150)
    assert one.error is None, one.error
    assert one.seen == [["cooling"] * 2, ["cooling"] * 2, ["invalid"] * 2]
    print(f"invalid is known everywhere after {1e3 * one.latency:.0f} ms, {combination}")
    assert one.latency < 1
