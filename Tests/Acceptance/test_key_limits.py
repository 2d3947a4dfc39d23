# SPDX-License-Identifier: MIT
"""Keys are chosen by what is left of them: limits of their own, what providers tell, organisations that share a quota, conversations that stay."""

from __future__ import annotations

import collections
import threading

from harness import FakeProvider, Rotator, Service, eventually


def limit(server: Rotator, service: Service, **limits: int) -> None:
    for key in service.keys:
        server.admin.call("PATCH", f"/admin/keys/{key.id}", expect=200, json={"limits": limits})


def served_by(answer) -> int:
    return int(answer.headers["x-rotator-key-id"])


# --- Limits and what providers tell -----------------------------------------------------------------------------------------------------


def test_keys_with_a_limit_are_spent_up_to_it_and_then_say_when_they_are_back(server, fake):
    service = server.service(fake, keys=2)
    limit(server, service, requests_per_minute=3)
    answers = [service.chat() for _ in range(8)]
    assert [one.status_code for one in answers] == [200] * 6 + [503] * 2
    assert collections.Counter(served_by(one) for one in answers[:6]) == {key.id: 3 for key in service.keys}
    assert answers[-1].json()["error"]["code"] == "no_available_key" and 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert fake.total == 6
    state = service.state(0)
    assert (state["state"], state["state_reason"]) == ("active", "paced")


def test_a_key_at_its_concurrency_is_passed_over_until_an_answer_ends(server, fake):
    service = server.service(fake, keys=2)
    limit(server, service, concurrent_requests=1)
    fake.tell("*", {"do": "gate", "gate": "busy", "times": 2})
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(service.chat().status_code)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert fake.wait(requests=2)
    assert service.chat().status_code == 503
    fake.step("busy", 20)
    for thread in threads:
        thread.join()
    assert statuses == [200, 200] and service.chat().status_code == 200


def test_a_key_that_the_provider_says_is_empty_is_not_tried(server, fake):
    service = server.service(fake, keys=2)
    empty = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "10", "x-ratelimit-reset-requests": "30s"}
    fake.tell(service.values[0], {"do": "ok", "headers": empty, "times": -1})
    answers = [service.chat() for _ in range(6)]
    assert [one.status_code for one in answers] == [200] * 6
    assert fake.counts()[service.values[0]] == 1
    quota = {one["kind"]: one for one in service.state(0)["quota"]}
    assert quota["requests"]["remaining"] == 0 and quota["requests"]["limit"] == 10


def test_headroom_spends_the_key_with_most_left(server, fake):
    service = server.service(fake, keys=2, rotation_strategy="headroom")
    for value, left in zip(service.values, ("5", "95")):
        told = {"x-ratelimit-remaining-requests": left, "x-ratelimit-limit-requests": "100", "x-ratelimit-reset-requests": "60s"}
        fake.tell(value, {"do": "ok", "headers": told, "times": -1})
    for _ in range(20):
        service.chat()
    counts = fake.counts()
    assert counts[service.values[1]] >= 17, counts


# --- Quota groups -----------------------------------------------------------------------------------------------------------------------


def test_no_attempt_is_wasted_on_a_key_of_the_same_organisation(server, fake):
    service = server.service(fake, keys=4, max_attempts=4)
    mine, other = service.values[:3], service.values[3]
    for value in mine:
        fake.tell(value, {"do": "ok", "headers": {"openai-organization": "org-mine"}, "times": 1})
    fake.tell(other, {"do": "ok", "headers": {"openai-organization": "org-other"}, "times": -1})
    for _ in range(4):
        service.chat()
    summary = server.admin.get(f"/admin/proxy-configs/{service.id}/summary")
    assert summary["quota_groups"] == 2, summary
    for value in mine:
        fake.tell(value, {"do": "429", "retry_after": 30, "headers": {"openai-organization": "org-mine"}, "times": -1})
    before = fake.total
    answers = [service.chat() for _ in range(5)]
    assert [one.status_code for one in answers] == [200] * 5 and {served_by(one) for one in answers} == {service.id_of(other)}
    # One refusal told of all three.
    assert fake.total - before == 6, fake.counts()


def test_a_group_can_be_set_by_hand_and_ends_with_it(server, fake):
    service = server.service(fake, keys=3)
    for key in service.keys[:2]:
        server.admin.call("PATCH", f"/admin/keys/{key.id}", expect=200, json={"quota_group": "team", "tags": ["paid"]})
    fake.tell(service.values[0], {"do": "429", "retry_after": 30, "times": -1})
    for _ in range(3):
        service.chat()
    assert [bool(service.state(n)["cooling_models"]) for n in range(3)] == [True, True, False]
    listed = server.admin.get(f"/admin/proxy-configs/{service.id}/keys", params={"quota_group": "team", "tag": "paid"})
    assert [one["key_id"] for one in listed["items"]] == [key.id for key in service.keys[:2]]


# --- Affinity and explanations ------------------------------------------------------------------------------------------------------------


def test_a_conversation_stays_on_its_key_and_comes_back_to_it(server, fake):
    service = server.service(fake, keys=8, rotation_strategy="affinity")
    homes = {name: served_by(service.chat(headers={"x-conversation-id": name})) for name in map(str, range(40))}
    assert len(set(homes.values())) >= 5
    for name, home in homes.items():
        assert served_by(service.chat(headers={"x-conversation-id": name})) == home
    # By what the body says as well.
    assert len({served_by(service.chat(user="u-17")) for _ in range(5)}) == 1
    home = homes["0"]
    resting = next(key for key in service.keys if key.id == home)
    server.admin.call("PATCH", f"/admin/keys/{home}", expect=200, json={"is_active": False})
    moved = {name: served_by(service.chat(headers={"x-conversation-id": name})) for name in homes}
    assert all(moved[name] == one for name, one in homes.items() if one != home) and moved["0"] != home
    server.admin.call("PATCH", f"/admin/keys/{resting.id}", expect=200, json={"is_active": True})
    assert served_by(service.chat(headers={"x-conversation-id": "0"})) == home


def test_the_explanation_says_of_each_key_why_it_would_or_would_not_be_chosen(server, fake):
    service = server.service(fake, keys=4)
    server.admin.call("PATCH", f"/admin/keys/{service.keys[0].id}", expect=200, json={"is_active": False})
    fake.tell(service.values[1], {"do": "402", "times": -1})
    while not service.state(1)["state"] == "exhausted":
        service.chat()
    said = server.admin.get(f"/admin/proxy-configs/{service.id}/explain", params={"model": "gpt-4o"})
    verdicts = {one["key_id"]: (one["eligible"], one["verdict"]) for one in said["items"]}
    assert verdicts[service.keys[0].id] == (False, "disabled") and verdicts[service.keys[1].id] == (False, "exhausted")
    assert verdicts[service.keys[2].id][0] and verdicts[service.keys[3].id][0]
    assert said["choice"]["key_id"] == served_by(service.chat())
    assert all(value not in str(said) for value in service.values)


def test_many_keys_are_changed_at_once(server, fake):
    service = server.service(fake, keys=5)
    path = f"/admin/proxy-configs/{service.id}/keys/bulk"
    ids = [key.id for key in service.keys[:3]]
    assert server.admin.post(path, expect=200, json={"action": "disable", "ids": ids}) == {"matched_count": 3, "changed_count": 3}
    assert eventually(lambda: {served_by(service.chat()) for _ in range(6)} == {key.id for key in service.keys[3:]})
    assert server.admin.post(path, expect=200, json={"action": "delete", "filter": {"state": "disabled"}})["changed_count"] == 3
    assert len(server.admin.all_keys(service.id)) == 2
