# SPDX-License-Identifier: MIT
"""Stores that are slow, frozen, gone, emptied or cut off: traffic goes on, everyone is told, and it heals without a restart.

Each combination has two replicas that live through all faults, one after the other, in a thread of its own; the tests judge what was seen.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable

import httpx
import pytest
from harness import ADMIN_PASSWORD, FakeProvider, Replicas, Rotator, Service, SteadyLoad, eventually
from servers import PASSWORD, Place, PostgreSQL, Redis, Stores
from test_operations import samples

KEYS = 12
TOLD_WITHIN, HEALED_WITHIN, WRITE_WITHIN = 12.0, 5.0, 12.0
LEVELS = r"\b(trace|debug|info|notice|warning|error|critical)\b"


@dataclass
class Fault:
    """Something that happens to one store for a while."""

    name: str
    begin: Callable[[], Any]
    end: Callable[[], Any]
    #: How long it lasts at least.
    seconds: float = 3
    #: Whether the store counts as away. A slow one does not.
    is_away: bool = True
    #: Whether what was written before is gone for good, so that nothing can be compared with it.
    begins_anew: bool = False


@dataclass
class Course:
    """What was seen of one fault."""

    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0
    share_over_a_quarter_second: float = 0
    told: list[float | None] = field(default_factory=list)
    healed: list[float | None] = field(default_factory=list)
    #: How long after its end everything was well and stayed so: readiness, reads and changes. By replica.
    settled: list[float | None] = field(default_factory=list)
    readiness: list[str] = field(default_factory=list)
    store_up: list[float] = field(default_factory=list)
    store_up_again: list[float] = field(default_factory=list)
    first_write: tuple[int, float, str] = (0, 0, "")
    later_writes: list[tuple[int, float, str]] = field(default_factory=list)
    #: How many of the three keys of the first write are there afterwards, by replica and in the end by the store.
    remains: list[int] = field(default_factory=list)
    states_afterwards: list[str] = field(default_factory=list)
    lines: list[list[str]] = field(default_factory=list)
    error: BaseException | None = None

    def row(self, combination: str, fault: str) -> str:
        def most(figures: list[float | None]) -> str:
            known = [one for one in figures if one is not None]
            return f"{max(known):5.2f}" if known and len(known) == len(figures) else "    –"

        return (
            f"{combination:15} {fault:12} answered {self.answers - len(self.wrong):4}/{self.answers:<4} slowest {1e3 * self.slowest:6.1f} ms  told after {most(self.told)} s  "
            f"first write {self.first_write[0]} after {self.first_write[1]:5.2f} s  healed after {most(self.healed)} s, settled after {most(self.settled)} s"
        )


class Ordeal(threading.Thread):
    """Two replicas and what befalls the store under them."""

    def __init__(self, combination: str, subject: str, directory):
        super().__init__(daemon=True)
        self.combination, self.subject = combination, subject
        self.stores = Stores(combination)
        self.place = Place(self.stores, wired=True)
        self.fake = FakeProvider()
        self.replicas = Replicas(directory, 2, **self.place.environment)
        self.service = self.replicas.service(self.fake, keys=KEYS)
        self.courses: dict[str, Course] = {}
        self.decided: list[int] = []
        self.after_restart: dict[int, list[str]] = {}
        self.counts: tuple[dict, list[dict]] = ({}, [])
        self.error: BaseException | None = None
        self.done = {fault.name: threading.Event() for fault in self.faults()}

    @property
    def server(self) -> PostgreSQL | Redis:
        found = self.stores.postgresql if self.subject == "postgres" else self.stores.redis
        assert found
        return found

    def faults(self) -> list[Fault]:
        server, wire = self.server, self.place.wires[self.subject]
        kept: dict[str, bytes] = {}

        def empty() -> None:
            assert isinstance(server, Redis)
            kept.update(server.backup())
            server.empty()

        faults = [
            Fault("slow", lambda: wire.delay(0.3), wire.mend, 4, is_away=False),
            Fault("frozen", server.freeze, server.thaw, 8),
            Fault("refused", server.stop, server.start),
            Fault("killed", server.kill, server.start),
            Fault("cut", lambda: wire.cut_after(30), wire.mend),
            Fault("black hole", wire.swallow, wire.mend, 8),
            Fault("password", lambda: server.change_password("another-password"), lambda: server.change_password(PASSWORD, ends_sessions=False)),
        ]
        if self.combination == "redis":
            # What held the catalogue has lost it: only the operator's backup brings it back.
            faults.append(Fault("emptied", empty, lambda: server.restore(kept)))
        elif isinstance(server, Redis):
            # Shared state alone: it begins anew on the empty server, and nobody need do anything.
            faults.append(Fault("emptied", server.empty, lambda: None, begins_anew=True))
        return faults

    # The course of things

    def run(self) -> None:
        try:
            for number, fault in enumerate(self.faults()):
                self.courses[fault.name] = course = Course()
                try:
                    self.live_through(fault, number, course)
                except BaseException as error:  # noqa: BLE001 - told by the tests
                    course.error = error
                print(course.row(self.combination, fault.name))
                self.done[fault.name].set()
            self.counts = self.count()
            self.restart()
        except BaseException as error:  # noqa: BLE001
            self.error = error
        finally:
            for one in self.done.values():
                one.set()

    def live_through(self, fault: Fault, number: int, course: Course) -> None:
        assert all(eventually(lambda: ready(one)[0] == 200, 10) for one in self.replicas), "the fault before has not healed"
        marks = [len(one.lines) for one in self.replicas]
        resting = self.service.keys[number]
        with SteadyLoad([one.port for one in self.replicas], self.service) as load:
            time.sleep(0.3)
            fault.begin()
            began = time.monotonic()
            first = threading.Thread(target=self.write_first, args=(fault, course))
            first.start()
            self.fake.tell(resting.value, {"do": "429", "retry_after": 600})
            self.decided.append(resting.id)
            if fault.is_away and not fault.begins_anew:
                course.told = [self.time_until(503, one, began, TOLD_WITHIN + 1) for one in self.replicas]
                course.readiness = [ready(one)[1] for one in self.replicas]
                course.store_up = [store_up(one) for one in self.replicas]
            first.join()
            if fault.is_away and not fault.begins_anew:
                course.later_writes = [self.write(one, f"later-{fault.name}") for one in self.replicas]
            time.sleep(max(0, began + fault.seconds - time.monotonic()))
            fault.end()
            ended = time.monotonic()
            course.healed = [self.time_until(200, one, ended, HEALED_WITHIN + 5) for one in self.replicas]
            course.settled = [self.time_until_settled(one, ended, HEALED_WITHIN + 5) for one in self.replicas]
            course.store_up_again = [store_up(one) for one in self.replicas]
            eventually(lambda: self.fake.counts().get(resting.value, 0) and self.states(resting.id) == ["cooling"] * 2, 5)
            time.sleep(0.3)
        course.answers, course.wrong, course.slowest = len(load.seconds), load.wrong, load.slowest
        course.share_over_a_quarter_second = load.share_over(0.25)
        course.states_afterwards = self.states(resting.id)
        values = set(self.batch(fault))
        # A change that was refused is not in force anywhere, and the listing of each replica agrees with what the store has.
        eventually(lambda: len({len(values & self.values(one)) for one in self.replicas}) == 1, 2)
        course.remains = [len(values & self.values(one)) for one in self.replicas]
        course.lines = [one.lines[mark:] for one, mark in zip(self.replicas, marks)]

    def batch(self, fault: Fault) -> list[str]:
        return [f"half-done-{fault.name.replace(' ', '-')}-{n}-0123456789" for n in range(3)]

    def write_first(self, fault: Fault, course: Course) -> None:
        """A change in the first moment, when nobody has been told yet."""
        course.first_write = timed(lambda: self.replicas[0].admin.call("POST", f"/admin/proxy-configs/{self.other.id}/keys/batch", json={"keys": self.batch(fault)}))

    def write(self, replica: Rotator, name: str) -> tuple[int, float, str]:
        body = {"name": name, "slug": re.sub("[^a-z0-9]", "-", name), "config_type": "GENERIC", "target_url": self.fake.url}
        return timed(lambda: replica.admin.call("POST", "/admin/proxy-configs", json=body))

    @property
    def other(self) -> Service:
        """A second service, whose keys the changes are about."""
        if not hasattr(self, "_other"):
            self._other = self.replicas.service(self.fake, keys=0)
        return self._other

    def values(self, replica: Rotator) -> set[str]:
        return set(replica.admin.call("GET", f"/admin/proxy-configs/{self.other.id}/keys/export", expect=200).text.splitlines())

    def states(self, key: int) -> list[str]:
        return [self.replicas.keys(one, self.service)[key]["state"] for one in self.replicas]

    @staticmethod
    def time_until(status: int, replica: Rotator, since: float, within: float) -> float | None:
        reached = eventually(lambda: ready(replica)[0] == status, max(0.01, since + within - time.monotonic()))
        return time.monotonic() - since if reached else None

    def time_until_settled(self, replica: Rotator, since: float, within: float) -> float | None:
        """Connections are made again one by one: what is said of a healed store counts once it has held for half a second."""
        path, good_since = f"/admin/proxy-configs/{self.other.id}", None
        while time.monotonic() < since + within:
            calls = [("PATCH", path, {"name": "Written again"}), ("GET", path + "/keys/export", None)]
            is_good = ready(replica)[0] == 200 and all(replica.admin.call(method, where, json=body).status_code == 200 for method, where, body in calls)
            good_since = (good_since or time.monotonic()) if is_good else None
            if good_since and time.monotonic() - good_since > 0.5:
                return good_since - since
            time.sleep(0.02)
        return None

    # What holds when all is over

    def count(self) -> tuple[dict, list[dict]]:
        """Successes by key as the provider counted them, and as each replica lists them."""
        wanted = {key.id: 0 for key in self.service.keys}
        for one in self.fake.requests(slim=True):
            if one["status"] == 200:
                wanted[self.service.id_of(one["key"])] += 1

        def listed(replica: Rotator) -> dict:
            return {identity: item["success_count"] for identity, item in self.replicas.keys(replica, self.service).items()}

        eventually(lambda: all(listed(one) == wanted for one in self.replicas), 3)
        return wanted, [listed(one) for one in self.replicas]

    def restart(self) -> None:
        self.replicas.stop()
        for one in self.replicas:
            one.start()
        self.after_restart = {key: self.states(key) for key in self.decided}

    def close(self) -> None:
        self.replicas.kill()
        self.fake.stop()
        self.place.close()
        self.stores.close()


def ready(replica: Rotator) -> tuple[int, str]:
    answer = replica.ask("GET", "/readyz", key=None)
    return answer.status, answer.body.decode()


def store_up(replica: Rotator) -> float:
    return samples(replica.ask("GET", "/metrics", key=None).body.decode())["rotator_store_up"][0][1]


def timed(work: Callable[[], httpx.Response]) -> tuple[int, float, str]:
    began = time.monotonic()
    answer = work()
    return answer.status_code, time.monotonic() - began, answer.text


ORDEALS = {"postgres": ("postgres", "postgres"), "redis": ("redis", "redis"), "redis beside postgres": ("postgres+redis", "redis"), "postgres beside redis": ("postgres+redis", "postgres")}
USUAL = ["slow", "frozen", "refused", "killed", "cut", "black hole", "password"]
CASES = [(name, fault) for name in ORDEALS for fault in USUAL + (["emptied"] if ORDEALS[name][1] == "redis" else [])]
AWAY = [case for case in CASES if case[1] != "slow" and case != ("redis beside postgres", "emptied")]


@pytest.fixture(scope="module")
def ordeals(request, tmp_path_factory):
    made: dict[str, Ordeal] = {}
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    judged = {given["course"][0] if "course" in given else given.get("name") for given in parameters}
    try:
        for name, (combination, subject) in ORDEALS.items():
            if name not in judged:
                continue
            made[name] = Ordeal(combination, subject, tmp_path_factory.mktemp("ordeal"))
            made[name].other  # noqa: B018 - made while all is well
        for one in made.values():
            one.start()
        yield made
    finally:
        for one in made.values():
            one.close()


@pytest.fixture
def course(request, ordeals) -> Course:
    name, fault = request.param
    assert ordeals[name].done[fault].wait(200), "it took too long"
    found = ordeals[name].courses.get(fault)
    assert found and not ordeals[name].error, ordeals[name].error
    if found.error:
        raise found.error
    return found


def of(cases):
    return pytest.mark.parametrize("course", cases, ids=lambda case: f"{case[0]}, {case[1]}", indirect=True)


@pytest.mark.timeout(240)
@of(CASES)
def test_every_request_is_answered_while_a_store_is_away(course):
    assert course.answers > 100 and not course.wrong, course.wrong[:3]
    # Nothing waits for a store: the deadlines of its calls begin at two seconds.
    assert course.slowest < 1.5 and course.share_over_a_quarter_second < 0.02, course.slowest


@pytest.mark.timeout(240)
@of(AWAY)
def test_readiness_and_metrics_tell_that_a_store_is_away(course):
    assert None not in course.told and max(course.told) < TOLD_WITHIN, course.told
    assert all(re.search("store|redis|postgres", text, re.I) for text in course.readiness), course.readiness
    assert course.store_up == [0, 0]
    assert not any(PASSWORD in text or "another-password" in text for text in course.readiness)


@pytest.mark.timeout(240)
@of(CASES)
def test_a_store_that_is_back_is_taken_up_without_a_restart(course):
    assert None not in course.healed and max(course.healed) < HEALED_WITHIN, course.healed
    assert None not in course.settled and max(course.settled) < HEALED_WITHIN, course.settled
    assert course.store_up_again == [1, 1]


@pytest.mark.timeout(240)
@of(CASES)
def test_a_change_is_acknowledged_or_refused_and_never_half_done(course, request):
    status, seconds, text = course.first_write
    assert seconds < WRITE_WITHIN and status in (200, 503), course.first_write
    if status == 503:
        assert '"store_unavailable"' in text, text
    assert course.remains in ([0, 0], [3, 3]), f"of three keys {course.remains} are there"
    if status == 200:
        assert course.remains == [3, 3], "what was acknowledged is there"


@pytest.mark.timeout(240)
@of([case for case in AWAY if case[0] != "redis beside postgres"])
def test_changes_are_refused_at_once_when_the_catalogue_is_known_to_be_away(course):
    for status, seconds, text in course.later_writes:
        assert status == 503 and '"store_unavailable"' in text and seconds < 1, (status, seconds, text)


@pytest.mark.timeout(240)
@of(CASES)
def test_what_was_decided_while_a_store_was_away_is_known_to_both_afterwards(course):
    assert course.states_afterwards == ["cooling", "cooling"]


@pytest.mark.timeout(240)
@of(AWAY)
def test_one_line_tells_of_the_loss_and_one_of_the_return(course):
    for lines in course.lines:
        lost, back = [line for line in lines if LOST.search(line)], [line for line in lines if BACK.search(line)]
        assert len(lost) == 1 and len(back) == 1, "\n".join(lines)
        assert re.search(r"\b(warning|error)\b", lost[0], re.I), lost
        assert not any(PASSWORD in line or "another-password" in line for line in lines)


LOST, BACK = re.compile(r"store fails|store is away|store is lost"), re.compile(r"store is back")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ORDEALS)
def test_after_all_faults_and_a_restart_every_decision_stands(name, ordeals):
    ordeal = ordeals[name]
    ordeal.join(200)
    assert not ordeal.error, ordeal.error
    assert len(ordeal.after_restart) == len(ordeal.done)
    assert all(states == ["cooling"] * 2 for states in ordeal.after_restart.values()), ordeal.after_restart


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ORDEALS)
def test_no_count_is_lost_by_outages_of_less_than_a_minute(name, ordeals):
    ordeal = ordeals[name]
    ordeal.join(200)
    assert not ordeal.error, ordeal.error
    wanted, listed = ordeal.counts
    if name == "redis":
        # A backup brings back what it holds: what was counted between it and the loss is in no file any more.
        assert all(wanted[key] >= count[key] > 0.5 * wanted[key] for count in listed for key in wanted), (wanted, listed)
    else:
        assert listed == [wanted, wanted]


# --- A store that is away at start -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_store_that_is_away_at_start_is_waited_for(kind, tmp_path, fake):
    """The process listens, says why it does not serve, and serves by itself as soon as it can."""
    with PostgreSQL() if kind == "postgres" else Redis() as server:
        url = server.url(server.new_database())
        first = Rotator(tmp_path / "first", DATABASE_URL=url, ENCRYPTION_KEY="5ea1" * 16)
        service = first.service(fake, keys=2, kind="GENERIC")
        assert first.stop() == 0
        server.stop()

        replica = Rotator(tmp_path / "second", wait=False, DATABASE_URL=url, ENCRYPTION_KEY="5ea1" * 16)
        try:
            replica.port = int(replica.line(r"listening on http://127\.0\.0\.1:(\d+)")[1])
            replica.url = f"http://127.0.0.1:{replica.port}"
            time.sleep(1.5)
            answer = replica.ask("GET", service.prefix + "/echo")
            assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
            login = replica.http.post(replica.url + "/admin/login", json={"username": "admin", "password": ADMIN_PASSWORD})
            assert (login.status_code, login.json()["code"]) == (503, "store_unavailable")
            assert replica.ask("GET", "/healthz", key=None).status == 200
            status, text = ready(replica)
            assert status == 503 and re.search("store|postgres|redis", text, re.I)
            assert store_up(replica) == 0
            told = [line for line in replica.log.splitlines() if "DATABASE_URL" in line]
            assert len(told) == 1 and PASSWORD not in replica.log, replica.log
            server.start()
            assert eventually(lambda: ready(replica)[0] == 200, 5), replica.log
            assert replica.ask("GET", service.prefix + "/echo").status == 200
            assert replica.admin.get(f"/admin/proxy-configs/{service.id}")["slug"] == service.slug
        finally:
            replica.kill()


def test_shared_state_that_is_away_at_start_keeps_nobody_from_serving(tmp_path, fake):
    with PostgreSQL() as postgresql, Redis() as redis:
        redis.stop()
        replicas = Replicas(
            tmp_path, 2, wait=False, DATABASE_URL=postgresql.url(postgresql.new_database()), REDIS_URL=redis.url(), ENCRYPTION_KEY="5ea1" * 16
        )
        try:
            for one in replicas:
                one.port = int(one.line(r"listening on http://127\.0\.0\.1:(\d+)")[1])
                one.url = f"http://127.0.0.1:{one.port}"
            service = replicas.service(fake, keys=4)
            load = replicas.load(service, 200, concurrency=8)
            assert not load.wrong and all(abs(count - 50) <= 3 for count in fake.counts().values())
            assert all(ready(one)[0] == 503 and "redis" in ready(one)[1].lower() for one in replicas), [ready(one) for one in replicas]
            redis.start()
            assert all(eventually(lambda: ready(one)[0] == 200, 5) for one in replicas)
            fake.reset()
            load = replicas.load(service, 1000)
            assert not load.wrong and all(abs(count - 250) <= 2 for count in fake.counts().values()), fake.counts()
        finally:
            replicas.kill()
