# SPDX-License-Identifier: MIT
"""Streams that begin with 200 and fail before their first content go on with another key where a service holds their beginning back."""

from __future__ import annotations

import json
import time

import anthropic
import openai
import pytest
from harness import FakeProvider, Service, request_text, seconds_left

#: Dialect, path and body of a streamed call, and the error that the provider sends after its start-up events.
DIALECTS = {
    "chat": ("openai_compatible", "/chat/completions", {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}, "rate_limit_exceeded"),
    "responses": ("openai_compatible", "/responses", {"model": "gpt-4o", "stream": True, "input": "hi"}, "rate_limit_exceeded"),
    "messages": ("anthropic_native", "/v1/messages", {"model": "claude-opus-4", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": "hi"}]}, "overloaded_error"),
}
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def stream(service: Service, dialect: str):
    _, path, body, _ = DIALECTS[dialect]
    return service.send("POST", path, json=body)


def serve(server, fake: FakeProvider, dialect: str, hold: int, keys: int = 3) -> Service:
    service = server.service(fake, keys=keys, api_format=DIALECTS[dialect][0], hold_startup_ms=hold)
    fake.tell(service.values[0], {"do": "start_then_fail", "error": DIALECTS[dialect][3], "times": -1})
    return service


@each_dialect
def test_a_stream_that_fails_before_its_content_goes_on_with_another_key(server, fake, dialect):
    service = serve(server, fake, dialect, hold=2_000)
    answers = [stream(service, dialect) for _ in range(3)]
    assert [one.status_code for one in answers] == [200] * 3
    # An overload rests no key at once, so the first key is asked again.
    assert sorted(one.headers["x-rotator-attempts"] for one in answers) == ["1", "2" if dialect == "messages" else "1", "2"]
    for one in answers:
        assert one.headers["x-rotator-key-id"] != str(service.keys[0].id)
        assert DIALECTS[dialect][3] not in one.text


@each_dialect
def test_without_the_switch_the_failure_is_passed_on_as_it_came(server, fake, dialect):
    service = serve(server, fake, dialect, hold=0, keys=1)
    answer = stream(service, dialect)
    assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "1"
    assert DIALECTS[dialect][3] in answer.text


def test_the_failure_rests_the_key_as_it_would_without_a_stream(server, fake):
    service = serve(server, fake, "chat", hold=2_000)
    fake.tell(service.values[0], {"do": "start_then_fail", "error": "rate_limit_exceeded", "headers": {"Retry-After": "30"}, "times": -1})
    for _ in range(3):
        stream(service, "chat")
    rests = service.state(0)["cooling_models"]
    assert [one["model"] for one in rests] == ["gpt-4o"]
    assert 20 < seconds_left(rests[0]["cooling_until"]) <= 30


def test_when_every_key_fails_so_the_client_gets_the_last_stream_as_it_came(server, fake):
    service = serve(server, fake, "chat", hold=2_000, keys=2)
    fake.tell(service.values[1], {"do": "start_then_fail", "error": "rate_limit_exceeded", "times": -1})
    answer = stream(service, "chat")
    assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "2"
    assert "rate_limit_exceeded" in answer.text and answer.headers["x-should-retry"] == "false"


def test_sdks_see_nothing_of_the_failure(server, fake):
    service = serve(server, fake, "chat", hold=2_000, keys=2)
    client = openai.OpenAI(api_key="pk-acceptance-0123456789abcdef", base_url=service.url, max_retries=0)
    for _ in range(2):
        chunks = list(client.chat.completions.create(model="gpt-4o", stream=True, messages=[{"role": "user", "content": "hi"}]))
        assert chunks[-1].choices[0].finish_reason == "stop"
    service = serve(server, fake, "messages", hold=2_000, keys=2)
    claude = anthropic.Anthropic(api_key="pk-acceptance-0123456789abcdef", base_url=service.url, max_retries=0)
    for _ in range(2):
        with claude.messages.stream(model="claude-opus-4", max_tokens=99, messages=[{"role": "user", "content": "hi"}]) as events:
            assert events.get_final_text()


def test_content_is_passed_on_at_once_and_unchanged(server, fake):
    held = server.service(fake, keys=1, hold_startup_ms=60_000)
    plain = server.service(fake, keys=1)
    fake.tell("*", {"do": "gate", "gate": "content", "times": -1})
    body = json.dumps(DIALECTS["chat"][2]).encode()
    texts = []
    for service in (held, plain):
        with server.raw() as raw:
            raw.send(request_text("POST", service.prefix + "/chat/completions", [("X-Proxy-Key", "pk-acceptance-0123456789abcdef"), ("Content-Type", "application/json")], body))
            # The role alone is held back; the first word is not, though the second has not been sent.
            fake.step("content", 2)
            assert raw.head().status == 200
            got = b""
            while b'"content"' not in got.replace(b'"content":""', b""):
                got += raw.chunk()
            fake.step("content", 1_000)
            while piece := raw.chunk():
                got += piece
            texts.append([line for line in got.split(b"\n\n")])
        fake.reset()
        fake.tell("*", {"do": "gate", "gate": "content", "times": -1})
    assert len(texts[0]) == len(texts[1]) > 3 and texts[0][-2:] == texts[1][-2:]


def test_a_stream_that_shows_no_content_is_held_no_longer_than_the_service_says(server, fake):
    service = server.service(fake, keys=1, hold_startup_ms=300)
    fake.tell("*", {"do": "gate", "gate": "slow", "times": 1})
    with server.raw() as raw:
        began = time.monotonic()
        body = json.dumps(DIALECTS["chat"][2]).encode()
        raw.send(request_text("POST", service.prefix + "/chat/completions", [("X-Proxy-Key", "pk-acceptance-0123456789abcdef"), ("Content-Type", "application/json")], body))
        fake.step("slow", 1)
        assert raw.head().status == 200
        assert 0.25 < time.monotonic() - began < 2
        assert b'"role"' in raw.chunk()


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_stream_that_is_cut_before_its_content_is_not_passed_on(server, fake, how):
    service = server.service(fake, keys=2, hold_startup_ms=2_000, replay="unknown")
    fake.tell(service.values[0], {"do": "cut", "at": "mid_body", "after": 1, "how": how, "times": -1})
    answers = [stream(service, "chat") for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert "2" in [one.headers["x-rotator-attempts"] for one in answers]
    assert all("[DONE]" in one.text and one.headers["x-rotator-key-id"] == str(service.keys[1].id) for one in answers)
