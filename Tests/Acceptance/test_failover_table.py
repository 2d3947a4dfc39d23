# SPDX-License-Identifier: MIT
"""What an upstream answer does to the key and to the request: the whole table, from the client's and the upstream's side."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from harness import FakeProvider, Rotator, eventually, refusing_port, seconds_left

HASTY = {"PROXY_FIRST_BYTE_TIMEOUT": "1", "PROXY_STREAM_IDLE_TIMEOUT": "2", "PROXY_TIMEOUT": "6", "PROXY_CONNECT_TIMEOUT": "2"}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server with short timeouts."""
    made = Rotator(tmp_path_factory.mktemp("hasty"), **HASTY)
    yield made
    made.stop()


def statuses(fake):
    return [request["status"] for request in fake.requests(slim=True)]


def refused_first(service, fake, told, **call):
    """Tells the first key that is asked to refuse, makes a call, and returns (answer, the refused key's object)."""
    fake.tell("*", told)
    answer = service.chat(**call)
    return answer, service.state(fake.requests()[0]["key"])


def near(text, seconds, slack=2.0):
    left = seconds_left(text)
    assert seconds - slack - 1 <= left <= seconds + slack, f"rests for {left:.1f} s more, not about {seconds} s"


# --- 429 ----------------------------------------------------------------------------------------------------------------

OPENAI_RESETS = "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"


def resets(*values):
    return dict(zip(OPENAI_RESETS, values, strict=True))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"retry_after": 30}, 30),
        ({"retry_after_ms": 25500}, 25.5),
        ({"retry_after_ms": 20000, "retry_after": 50}, 20),
        ({"retry_after_date": 40}, 40),
        ({"retry_after": 15, "headers": resets("0", "6m0s", "0", "6m0s")}, 15),
        ({"headers": resets("0", "45s", "100", "6m0s")}, 45),
        ({"headers": resets("0", "20s", "0", "1m30s")}, 90),
        ({"headers": resets("5", "1m0s", "100", "30s")}, 30),
        ({}, 1),
    ],
    ids=["seconds", "milliseconds", "milliseconds first", "date", "Retry-After before resets", "the kind with none left", "latest of those with none left", "earliest if all have some left", "no word"],
)
def test_429_rests_the_key_for_this_model_as_long_as_the_provider_says(server, fake, told, seconds):
    service = server.service(fake)
    answer, key = refused_first(service, fake, {"do": "429"} | told)
    assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "2"
    assert statuses(fake) == [429, 200]
    first, second = fake.requests()
    assert first["key"] != second["key"] and first.body == second.body and int(answer.headers["x-rotator-key-id"]) == service.id_of(second["key"])
    assert key["state"] == "active" and key["cooling_until"] is None
    (rest,) = key["cooling_models"]
    assert rest["model"] == "gpt-4o" and rest["state_reason"]
    near(rest["cooling_until"], seconds, slack=1.0)


def test_anthropics_reset_fields_are_read(server, fake):
    service = server.service(fake, api_format="anthropic_native")
    fake.tell("*", {"do": "429", "headers": {
        "anthropic-ratelimit-requests-remaining": "10", "anthropic-ratelimit-requests-reset": "{now+300}",
        "anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "{now+33}",
    }})  # fmt: skip
    answer = service.send("POST", "/v1/messages", json={"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]})
    assert answer.status_code == 200
    (rest,) = service.state(fake.requests()[0]["key"])["cooling_models"]
    assert rest["model"] == "claude"
    near(rest["cooling_until"], 33)


def test_geminis_retry_info_is_read_and_the_model_taken_from_the_path(server, fake):
    service = server.service(fake, api_format="gemini_native")
    fake.tell("*", {"do": "429", "retry_info": "38.6s"})
    answer = service.send("POST", "/v1beta/models/gemini-2.5-flash:generateContent", json={"contents": [{"parts": [{"text": "x"}]}]})
    assert answer.status_code == 200
    (rest,) = service.state(fake.requests()[0]["key"])["cooling_models"]
    assert rest["model"] == "gemini-2.5-flash"
    near(rest["cooling_until"], 38.6)


def test_a_rest_for_one_model_leaves_the_key_to_the_others(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "retry_after": 30})
    assert service.chat(model="gpt-4o").status_code == 429
    resting = service.chat(model="gpt-4o")
    assert resting.status_code == 503 and resting.json()["error"]["code"] == "no_available_key"
    assert 27 <= int(resting.headers["retry-after"]) <= 31
    assert "x-rotator-key-id" not in resting.headers and resting.headers["x-rotator-attempts"] == "0"
    assert service.chat(model="gpt-4o-mini").status_code == 200
    assert service.send("GET", "/models").status_code == 200
    assert statuses(fake) == [429, 200, 200]


def test_429_rests_the_whole_key_where_no_model_can_be_read(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "retry_after": 30})
    assert service.send("GET", "/models").status_code == 429
    key = service.state(0)
    assert key["state"] == "cooling" and key["cooling_models"] == [] and key["state_reason"]
    near(key["cooling_until"], 30)
    assert service.chat().status_code == 503


def test_429_rests_the_whole_key_on_a_generic_service(server, fake):
    service = server.service(fake, keys=2, kind="GENERIC")
    fake.tell("*", {"do": "429", "retry_after": 30})
    answer = service.send("POST", "/echo", json={"model": "looks-like-one"})
    assert answer.status_code == 200 and statuses(fake) == [429, 200]
    key = service.state(fake.requests()[0]["key"])
    assert key["state"] == "cooling" and key["cooling_models"] == []


def test_a_429_without_a_word_rests_one_second_then_two(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "times": 2})
    assert service.chat().status_code == 429
    assert eventually(lambda: service.chat().status_code == 429 and len(fake.requests(slim=True)) == 2, 4, 0.1)
    near(service.state(0)["cooling_models"][0]["cooling_until"], 2, slack=0.5)
    first, second = fake.requests(slim=True)
    assert 0.9 < second["received_at"] - first["received_at"] < 2


def test_a_rest_ends_by_itself(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "retry_after": 1})
    assert service.chat().status_code == 429
    started = time.monotonic()
    assert service.chat().status_code == 503
    assert eventually(lambda: service.chat().status_code == 200, 4, 0.05)
    assert 0.7 < time.monotonic() - started < 2
    assert service.state(0)["cooling_models"] == []


def test_a_new_rest_never_shortens_a_running_one(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "retry_after": 60, "delay_ms": 200}, {"do": "429", "retry_after": 1, "delay_ms": 600})
    with ThreadPoolExecutor(2) as pool:
        assert [a.status_code for a in pool.map(lambda _: service.chat(), range(2))] == [429, 429]
    near(service.state(0)["cooling_models"][0]["cooling_until"], 60)


def test_a_reset_by_hand_ends_every_rest(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "retry_after": 60}, {"do": "402"})
    service.chat()
    service.chat(model="other")
    assert service.state(0)["state"] == "exhausted"
    key = server.admin.post(f"/admin/keys/{service.keys[0].id}/reset", expect=200)
    assert key["state"] == "active" and key["cooling_models"] == [] and key["cooling_until"] is None
    assert service.chat().status_code == 200


# --- Out of money ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        {"do": "402"},
        {"do": "insufficient_quota"},
        {"do": "429", "code": "billing_hard_limit_reached", "message": "Billing hard limit has been reached", "retry_after": 1},
    ],
    ids=["402", "insufficient_quota", "billing_hard_limit_reached"],
)
def test_an_exhausted_key_rests_an_hour_for_every_model(server, fake, told):
    service = server.service(fake, keys=2)
    answer, key = refused_first(service, fake, told)
    assert answer.status_code == 200 and len(statuses(fake)) == 2
    assert key["state"] == "exhausted" and key["state_reason"]
    near(key["cooling_until"], 3600)
    for model in ("gpt-4o", "another", "third"):
        assert service.chat(model=model).status_code == 200
    assert fake.counts()[fake.requests()[0]["key"]] == 1


# --- Refused keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api_format", "told"),
    [
        ("openai_compatible", {"do": "401"}),
        ("openai_compatible", {"do": "403", "body": {"error": {"message": "Your account has been suspended.", "type": "invalid_request_error", "param": None, "code": "account_suspended"}}}),
        ("gemini_native", {"do": "key_invalid"}),
        ("gemini_native", {"do": "suspended"}),
    ],
    ids=["401", "suspended account", "API_KEY_INVALID", "suspended consumer"],
)
def test_a_refused_key_cools_thirty_seconds_for_every_model(server, fake, api_format, told):
    service = server.service(fake, keys=2, api_format=api_format)
    fake.tell("*", told)
    path, body = "/chat/completions", {"model": "gpt-4o", "messages": []}
    if api_format == "gemini_native":
        path, body = "/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}
    assert service.send("POST", path, json=body).status_code == 200
    key = service.state(fake.requests()[0]["key"])
    assert key["state"] == "cooling" and key["cooling_models"] == [] and key["state_reason"]
    near(key["cooling_until"], 30)


def test_failures_of_requests_sent_before_the_cooling_began_do_not_count_again(server, fake):
    service = server.service(fake, keys=2)
    bad = service.values[0]
    fake.tell(bad, {"do": "401", "delay_ms": 300, "times": -1})
    with ThreadPoolExecutor(12) as pool:
        assert {a.status_code for a in pool.map(lambda _: service.chat(), range(12))} == {200}
    assert fake.counts()[bad] >= 3
    key = service.state(bad)
    assert key["state"] == "cooling", "a burst of refusals is one refusal"
    near(key["cooling_until"], 30)


def test_403_rests_the_key_for_this_model_alone(server, fake):
    service = server.service(fake, keys=2)
    answer, key = refused_first(service, fake, "403")
    assert answer.status_code == 200 and key["state"] == "active"
    near(key["cooling_models"][0]["cooling_until"], 60)
    assert key["cooling_models"][0]["model"] == "gpt-4o"


def test_403_rests_the_whole_key_where_no_model_can_be_read(server, fake):
    service = server.service(fake, keys=2)
    fake.tell("*", "403")
    assert service.send("GET", "/models").status_code == 200
    key = service.state(fake.requests()[0]["key"])
    assert key["state"] == "cooling"
    near(key["cooling_until"], 60)


def test_403_on_a_generic_service_is_treated_as_401(server, fake):
    service = server.service(fake, keys=2, kind="GENERIC")
    fake.tell("*", "403")
    assert service.send("POST", "/echo").status_code == 200
    key = service.state(fake.requests()[0]["key"])
    assert key["state"] == "cooling"
    near(key["cooling_until"], 30)


# --- Success --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 204, 206, 301, 302, 304, 400, 404, 405, 409, 410, 413, 415, 418, 422, 451, 498, 501, 505])
def test_what_is_not_the_keys_fault_is_passed_on_and_counts_as_its_success(server, fake, status):
    service = server.service(fake, keys=2)
    fake.tell("*", {"do": "raw", "text": f"HTTP/1.1 {status} Some Words\r\n" + ("Content-Length: 5\r\n" if status not in (204, 304) else "") + "X-Mine: 1\r\nConnection: close\r\n\r\n" + ("abcde" if status not in (204, 304) else "")})  # fmt: skip
    answer = service.chat()
    assert answer.status_code == status and answer.headers["x-mine"] == "1"
    assert answer.content == (b"abcde" if status not in (204, 304) else b"")
    assert "x-should-retry" not in answer.headers and fake.total == 1 and answer.headers["x-rotator-attempts"] == "1"
    key = service.state(fake.last()["key"])
    assert key["state"] == "active" and (key["success_count"], key["failure_count"]) == (1, 0)


# --- The provider's fault ---------------------------------------------------------------------------------------------------

FAULTS = [{"do": s} for s in ("500", "502", "503", "504", "529")]


@pytest.mark.parametrize("told", FAULTS, ids=lambda told: told["do"])
def test_a_server_error_costs_the_key_nothing_and_the_next_key_is_tried(server, fake, told):
    service = server.service(fake, keys=2)
    answer, key = refused_first(service, fake, told)
    assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "2"
    assert len(fake.counts()) == 2
    assert key["state"] == "active" and key["cooling_until"] is None and key["cooling_models"] == [] and key["failure_count"] == 1


@pytest.mark.parametrize("told", FAULTS + [{"do": "reset"}, {"do": "cut"}, {"do": "garbage"}], ids=lambda told: told["do"])
def test_three_server_errors_in_a_row_open_the_keys_circuit_for_five_seconds(server, fake, told):
    service = server.service(fake, keys=1, replay="refused")
    fake.tell("*", told | {"times": -1})
    for _ in range(2):
        service.chat()
    assert service.state(0)["state_reason"] is None
    service.chat()
    key = service.state(0)
    assert key["state"] == "active" and key["state_reason"] == "circuit_open"
    near(key["cooling_until"], 5, slack=0.5)
    answer = service.chat()
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "no_available_key"
    assert 3 <= int(answer.headers["retry-after"]) <= 6
    assert fake.total == 3


def test_a_success_in_between_keeps_the_circuit_closed(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", *(["500", "500", "ok"] * 3))
    for _ in range(9):
        service.chat()
    assert service.state(0)["state_reason"] is None and fake.total == 9


def test_after_five_seconds_one_trial_request_decides(server, fake):
    service = server.service(fake, keys=2)
    bad, good = service.values
    fake.tell(bad, {"do": "500", "times": 3}, {"do": "500", "delay_ms": 400}, {"do": "ok", "delay_ms": 400}, {"do": "ok", "times": -1})
    while fake.counts().get(bad, 0) < 3:
        assert service.chat().status_code == 200
    for _ in range(6):
        service.chat()
    assert fake.counts()[bad] == 3, "an open circuit lets nothing through"
    assert eventually(lambda: service.chat().status_code == 200 and fake.counts()[bad] == 4, 8, 0.2), "a trial after five seconds"
    third, fourth = fake.requests(bad)[2:4]
    assert 4.5 < fourth["received_at"] - third["received_at"] < 7
    key = service.state(bad)
    assert key["state_reason"] == "circuit_open", "the trial failed: open again"
    near(key["cooling_until"], 10, slack=1)
    server.admin.post(f"/admin/keys/{service.id_of(bad)}/reset", expect=200)
    assert service.state(bad)["state_reason"] is None
    service.chat(), service.chat()
    assert fake.counts()[bad] == 5


def test_only_one_request_at_a_time_tries_a_half_open_circuit(server, fake):
    service = server.service(fake, keys=2)
    bad, good = service.values
    fake.tell(bad, {"do": "500", "times": 3}, {"do": "ok", "delay_ms": 800}, {"do": "ok", "times": -1})
    while fake.counts().get(bad, 0) < 3:
        service.chat()
    time.sleep(5.3)
    with ThreadPoolExecutor(20) as pool:
        assert {a.status_code for a in pool.map(lambda _: service.chat(), range(20))} == {200}
    assert fake.counts()[bad] == 4, "one trial while it is undecided"
    for _ in range(4):
        service.chat()
    assert fake.counts()[bad] == 6 and service.state(bad)["state_reason"] is None, "the trial was good: closed again"


@pytest.mark.parametrize("status", ["503", "529"])
def test_503_or_529_with_retry_after_rests_the_key_like_a_429(server, fake, status):
    service = server.service(fake, keys=2)
    answer, key = refused_first(service, fake, {"do": status, "retry_after": 20})
    assert answer.status_code == 200 and key["state"] == "active" and key["state_reason"] is None
    near(key["cooling_models"][0]["cooling_until"], 20)


# --- The last answer ----------------------------------------------------------------------------------------------------------


def test_the_last_upstream_answer_reaches_the_client_unchanged(server, fake):
    service = server.service(fake, keys=2)
    fake.tell("*", {"do": "429", "retry_after": 20, "body": {"error": {"message": "first"}}}, {"do": "429", "retry_after": 50, "headers": {"X-Provider": "yes"}, "body": '{"error": {"message":  "se\\u0063ond"}}'})
    answer = service.chat()
    assert answer.status_code == 429 and answer.content == b'{"error": {"message":  "se\\u0063ond"}}'
    assert answer.headers["x-provider"] == "yes" and answer.headers["retry-after"] == "50"
    assert answer.headers["x-should-retry"] == "false" and answer.headers["x-rotator-attempts"] == "2"
    assert int(answer.headers["x-rotator-key-id"]) == service.id_of(fake.requests()[1]["key"])


def test_a_429_without_retry_after_gets_a_truthful_one(server, fake):
    service = server.service(fake, keys=2)
    fake.tell("*", {"do": "429", "retry_after": 20}, {"do": "429", "headers": resets("0", "45s", "9", "1s")})
    answer = service.chat()
    assert answer.status_code == 429 and 18 <= int(answer.headers["retry-after"]) <= 21, "the first key is back in 20 s"


def test_the_last_answer_stands_even_if_a_broken_connection_followed_it(server, fake):
    service = server.service(fake, keys=3, replay="unknown")
    fake.tell("*", {"do": "500", "body": {"error": {"message": "remember me"}}}, {"do": "cut"}, {"do": "reset"})
    answer = service.chat()
    assert answer.status_code == 500 and answer.json() == {"error": {"message": "remember me"}}
    assert answer.headers["x-should-retry"] == "false" and answer.headers["x-rotator-attempts"] == "3" and fake.total == 3


@pytest.mark.parametrize("status", ["401", "402", "403", "500", "502", "529"])
def test_one_key_alone_hands_the_providers_answer_on(server, fake, status):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": status, "times": -1})
    answer = service.chat()
    assert answer.status_code == int(status) and answer.headers["x-should-retry"] == "false" and fake.total == 1


# --- How often ------------------------------------------------------------------------------------------------------------------


def test_three_keys_are_tried_by_default_and_no_key_twice(server, fake):
    service = server.service(fake, keys=5)
    fake.tell("*", {"do": "429", "retry_after": 9, "times": -1})
    answer = service.chat()
    assert answer.status_code == 429 and answer.headers["x-rotator-attempts"] == "3"
    assert sorted(fake.counts().values()) == [1, 1, 1]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_max_attempts_of_the_service_is_obeyed(server, fake, limit):
    service = server.service(fake, keys=6, max_attempts=limit)
    fake.tell("*", {"do": "429", "retry_after": 9, "times": -1})
    assert service.chat().headers["x-rotator-attempts"] == str(limit) and fake.total == limit


def test_max_attempts_may_exceed_the_keys(server, fake):
    service = server.service(fake, keys=2, max_attempts=9)
    fake.tell("*", {"do": "500", "times": -1})
    assert service.chat().headers["x-rotator-attempts"] == "2" and fake.total == 2


# --- What may be sent again --------------------------------------------------------------------------------------------------------

REFUSED = ["401", "402", "403", "429", "529", "503 with Retry-After"]
FAILED = ["500", "502", "503", "504"]
UNKNOWN = ["cut", "reset", "mid-head", "garbage", "timeout"]
TOLD = {
    "503 with Retry-After": {"do": "503", "retry_after": 9}, "cut": {"do": "cut"}, "reset": {"do": "reset"}, "mid-head": {"do": "cut", "at": "mid_head"},
    "garbage": {"do": "garbage"}, "timeout": {"do": "hang"},
}  # fmt: skip


def expected(kind, replay):
    return kind in REFUSED or (kind in FAILED and replay in ("failed", "unknown")) or (kind in UNKNOWN and replay == "unknown")


@pytest.mark.parametrize("kind", REFUSED + FAILED + UNKNOWN)
@pytest.mark.parametrize("replay", ["refused", "failed", "unknown"])
def test_only_what_replay_allows_is_sent_again(hasty, fake, replay, kind):
    service = hasty.service(fake, keys=2, kind="GENERIC", replay=replay)
    fake.tell("*", TOLD.get(kind, {"do": kind}))
    answer = service.send("POST", "/echo", content=b"once or twice")
    assert_replayed(answer, fake, kind, expected(kind, replay))


@pytest.mark.parametrize("kind", REFUSED + FAILED + UNKNOWN)
@pytest.mark.parametrize(("method", "replay"), [("POST", "refused"), ("PATCH", "refused"), ("GET", "unknown"), ("OPTIONS", "unknown"), ("PUT", "unknown"), ("DELETE", "unknown")])
def test_the_default_of_a_generic_service_depends_on_the_method(hasty, fake, method, replay, kind):
    service = hasty.service(fake, keys=2, kind="GENERIC")
    fake.tell("*", TOLD.get(kind, {"do": kind}))
    answer = service.send(method, "/echo", content=b"x" if method in ("POST", "PUT", "PATCH") else None)
    assert_replayed(answer, fake, kind, expected(kind, replay))


@pytest.mark.parametrize("kind", REFUSED + FAILED + UNKNOWN)
def test_the_default_of_an_llm_service_is_failed(hasty, fake, kind):
    service = hasty.service(fake, keys=2)
    fake.tell("*", TOLD.get(kind, {"do": kind}))
    assert_replayed(service.chat(), fake, kind, expected(kind, "failed"))


def assert_replayed(answer, fake, kind, again):
    assert fake.total == (2 if again else 1)
    assert answer.headers["x-rotator-attempts"] == str(fake.total)
    if again:
        assert answer.status_code == 200
        first, second = fake.requests()
        assert first["key"] != second["key"] and (first["method"], first["target"], first["body_sha256"]) == (second["method"], second["target"], second["body_sha256"])
        return
    assert "x-should-retry" not in answer.headers, "replay alone ended the attempts: another try may well succeed"
    if kind in UNKNOWN:
        status, code = (504, "upstream_timeout") if kind == "timeout" else (502, "upstream_invalid_response")
        said = answer.json().get("code") or answer.json()["error"]["code"]
        assert (answer.status_code, said) == (status, code)
    else:
        assert answer.status_code == int(kind[:3])


def test_a_head_request_is_sent_again_too(hasty, fake):
    service = hasty.service(fake, keys=2, kind="GENERIC")
    fake.tell("*", {"do": "cut"})
    assert service.send("HEAD", "/echo").status_code == 200 and fake.total == 2


def test_a_body_over_eight_mebibytes_gets_one_attempt(server, fake):
    service = server.service(fake, keys=2, kind="GENERIC", replay="unknown")
    fake.tell("*", {"do": "429", "retry_after": 1})
    answer = service.send("POST", "/echo", content=bytes(9 << 20))
    assert answer.status_code == 429 and answer.headers["x-rotator-attempts"] == "1" and fake.total == 1


def test_a_body_of_seven_mebibytes_is_replayed_whole(server, fake):
    service = server.service(fake, keys=2, kind="GENERIC")
    fake.tell("*", {"do": "429", "retry_after": 1})
    answer = service.send("POST", "/echo", content=bytes(range(256)) * (7 << 12))
    assert answer.status_code == 200
    first, second = fake.requests()
    assert first["body_length"] == second["body_length"] == 7 << 20 and first["body_sha256"] == second["body_sha256"]


# --- Nobody answers -------------------------------------------------------------------------------------------------------------------


def test_an_upstream_that_cannot_be_reached_is_502_after_all_attempts(server):
    with refusing_port() as port:
        service = server.service(f"http://127.0.0.1:{port}", keys=4)
        answer = service.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert answer.headers["x-should-retry"] == "false" and answer.headers["x-rotator-attempts"] == "3"
        assert {service.state(n)["state"] for n in range(4)} == {"active"}


def test_a_post_whose_connection_was_never_made_is_always_tried_again(server):
    with refusing_port() as port:
        service = server.service(f"http://127.0.0.1:{port}", keys=2, kind="GENERIC", replay="refused")
        answer = service.send("POST", "/x", content=b"payload")
        assert answer.status_code == 502 and answer.json()["code"] == "upstream_unreachable"
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.headers["x-rotator-attempts"] == "2"


def test_a_name_that_does_not_resolve_is_502(server):
    answer = server.service("http://nowhere.invalid", keys=1).chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")


def test_too_slow_before_the_first_byte_is_504(hasty, fake):
    service = hasty.service(fake, keys=1, replay="unknown")
    fake.tell("*", {"do": "hang"})
    started = time.monotonic()
    answer = service.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert 0.9 < time.monotonic() - started < 3 and answer.headers["x-should-retry"] == "false"
    assert fake.wait(gone=1, timeout=2), "the upstream transfer is given up"


@pytest.mark.parametrize(
    "told",
    [{"do": "slow_head", "bytes": 5, "ms": 150}, {"do": "informational", "status": 103, "n": 20, "ms": 200}],
    ids=["a head that drips", "1xx after 1xx"],
)
def test_the_first_byte_timeout_runs_until_the_whole_head_has_come(hasty, fake, told):
    service = hasty.service(fake, keys=1)
    fake.tell("*", told)
    started = time.monotonic()
    answer = service.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert 0.9 < time.monotonic() - started < 2.5


def test_the_proxy_timeout_bounds_all_attempts_together(launch, fake):
    server = launch(PROXY_TIMEOUT="2", PROXY_FIRST_BYTE_TIMEOUT="30")
    service = server.service(fake, keys=3, replay="unknown")
    fake.tell("*", {"do": "hang", "times": -1})
    started = time.monotonic()
    answer = service.chat()
    assert answer.status_code == 504 and 1.5 < time.monotonic() - started < 4


@pytest.mark.parametrize(
    "told",
    [
        {"do": "garbage"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
        {"do": "raw", "text": "HTTP/1.1 2000 OK\r\n\r\n"},
        {"do": "raw", "text": "HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"},
        {"do": "raw", "text": "HTTP/1.1 200 OK\r\nTransfer-Encoding: xyz\r\n\r\nhello"},
        {"do": "cut", "at": "mid_head"},
        {"do": "cut", "at": "before_head"},
        {"do": "101"},
    ],
    ids=["garbage", "two lengths", "length and coding", "four digits", "version", "negative length", "bad name", "bare CR", "NUL", "unknown coding", "cut in the head", "cut before the head", "101"],
)
def test_an_answer_that_is_not_http_is_502(server, fake, told):
    service = server.service(fake, keys=1)
    fake.tell("*", told)
    answer = service.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_invalid_response")
    key = service.state(0)
    assert key["state"] == "active" and key["failure_count"] == 1
    assert service.chat().status_code == 200, "the next request gets a fresh connection"


# --- Every key resting ----------------------------------------------------------------------------------------------------------------


def test_a_service_without_keys_is_503_no_keys(server, fake):
    answer = server.service(fake, keys=0).chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_keys")
    assert answer.headers["x-rotator-attempts"] == "0" and "x-rotator-key-id" not in answer.headers


def test_when_all_keys_rest_retry_after_tells_when_the_first_is_back(server, fake):
    service = server.service(fake, keys=2)
    fake.tell("*", {"do": "429", "retry_after": 50}, {"do": "429", "retry_after": 12})
    service.chat()
    answer = service.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_available_key")
    assert 10 <= int(answer.headers["retry-after"]) <= 12


def test_a_request_waits_up_to_max_wait_ms_for_the_first_key_to_return(server, fake):
    service = server.service(fake, keys=1, max_wait_ms=4000)
    fake.tell("*", {"do": "429", "retry_after": 1})
    assert service.chat().status_code == 429, "waiting is for requests that find every key resting at their start"
    started = time.monotonic()
    answer = service.chat()
    assert answer.status_code == 200 and 0.5 < time.monotonic() - started < 3


def test_a_rest_longer_than_max_wait_ms_is_503_in_time(server, fake):
    service = server.service(fake, keys=1, max_wait_ms=500)
    fake.tell("*", {"do": "429", "retry_after": 30})
    service.chat()
    started = time.monotonic()
    answer = service.chat()
    assert answer.status_code == 503 and time.monotonic() - started < 2 and answer.headers["retry-after"]


def test_a_client_that_leaves_while_it_waits_takes_no_key(server, fake):
    service = server.service(fake, keys=1, max_wait_ms=5000)
    fake.tell("*", {"do": "429", "retry_after": 1})
    service.chat()
    with pytest.raises(httpx.ReadTimeout):
        service.chat(timeout=0.3)
    time.sleep(1.5)
    assert fake.total == 1


# --- Counters -------------------------------------------------------------------------------------------------------------------------


def test_successes_failures_and_last_use_are_told(server, fake):
    service = server.service(fake, keys=1)
    assert service.state(0)["last_used_at"] is None
    fake.tell("*", "500", "ok", "500", "ok", "ok")
    for _ in range(5):
        service.chat()
    key = service.state(0)
    assert (key["success_count"], key["failure_count"]) == (3, 2)
    assert -5 < seconds_left(key["last_used_at"]) <= 1


# --- What takes a minute and a half: it runs beside the other tests of this file and is judged at the end ---------------------------


class Slow(threading.Thread):
    """Keys that are refused three times in a row, each time as soon as they are back."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.fake, self.server = FakeProvider(), Rotator(directory)
        self.bad = self.server.service(self.fake, keys=2)
        self.all_bad = self.server.service(self.fake, keys=2)
        self.relapsing = self.server.service(self.fake, keys=2)
        self.seen: dict[str, list] = {"bad": [], "all_bad": [], "relapsing": []}
        self.error: BaseException | None = None

    def run(self):
        try:
            self.script()
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error

    def script(self):
        fake = self.fake
        fake.tell(self.bad.values[0], {"do": "401", "times": -1})
        fake.tell_all(self.all_bad.values, {"do": "401", "times": -1})
        fake.tell(self.relapsing.values[0], "401", "ok", "401")
        for wait in (0, 31, 61):
            time.sleep(wait)
            for _ in range(2):
                assert self.bad.chat().status_code == 200
                self.relapsing.chat()
            self.all_bad.chat()
            if wait == 31:
                self.relapsing.chat(), self.relapsing.chat()  # the success of the first call closed the matter; now it is refused again
            for name in self.seen:
                self.seen[name].append([getattr(self, name).state(n) for n in range(2)] + [time.time()])


@pytest.fixture(scope="module", autouse=True)
def slow(tmp_path_factory):
    made = Slow(tmp_path_factory.mktemp("slow"))
    made.start()
    yield made
    made.server.kill()
    made.fake.stop()


@pytest.mark.timeout(200)
def test_the_third_refusal_in_a_row_makes_a_key_invalid(slow):
    slow.join(150)
    assert slow.error is None, slow.error
    first, second, third = slow.seen["bad"]
    assert [key["state"] for key in first[:2]] == ["cooling", "active"]
    near(first[0]["cooling_until"], 30 + first[2] - time.time())
    assert second[0]["state"] == "cooling"
    near(second[0]["cooling_until"], 60 + second[2] - time.time())
    assert third[0]["state"] == "invalid" and third[0]["cooling_until"] is None and third[0]["state_reason"]
    assert slow.fake.counts()[slow.bad.values[0]] == 3
    assert slow.server.admin.post(f"/admin/keys/{slow.bad.keys[0].id}/reset", expect=200)["state"] == "active"


@pytest.mark.timeout(200)
def test_while_every_key_fails_so_none_becomes_invalid(slow):
    slow.join(150)
    assert slow.error is None, slow.error
    assert slow.fake.counts()[slow.all_bad.values[0]] == 3
    assert [key["state"] for key in slow.seen["all_bad"][-1][:2]] == ["cooling", "cooling"], "the provider is at fault"


@pytest.mark.timeout(200)
def test_a_success_forgets_earlier_refusals(slow):
    slow.join(150)
    assert slow.error is None, slow.error
    again = slow.seen["relapsing"][1]
    assert again[0]["state"] == "cooling"
    near(again[0]["cooling_until"], 30 + again[2] - time.time())
