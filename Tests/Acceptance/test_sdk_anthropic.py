# SPDX-License-Identifier: MIT
"""The official Anthropic SDK, pointed at the rotator: only its `base_url` and `api_key` change."""

from __future__ import annotations

import asyncio

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from harness import PROXY_KEY

HELLO = "Hello from the fake provider. You said: good morning"
CALL = {"model": "claude-fake", "max_tokens": 100, "messages": [{"role": "user", "content": "good morning"}]}
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


@pytest.fixture
def service(server, fake):
    return server.service(fake, keys=2, api_format="anthropic_native")


@pytest.fixture
def client(service):
    with Anthropic(base_url=service.url, api_key=PROXY_KEY, max_retries=0) as made:
        yield made


def test_a_message_comes_back_and_the_provider_saw_only_its_own_key(client, service, fake):
    answer = client.messages.create(**CALL)
    assert answer.content[0].text == HELLO and answer.stop_reason == "end_turn"
    seen = fake.last()
    assert seen.all("x-api-key") == [seen["key"]] and seen["key"] in service.values
    assert PROXY_KEY.encode() not in seen.head + seen.body
    assert len(seen.all("anthropic-version")) == 1 and seen["target"] == "/v1/messages"


def test_an_auth_token_is_accepted_and_not_forwarded(service, fake):
    with Anthropic(base_url=service.url, auth_token=PROXY_KEY, api_key=None, max_retries=0) as client:
        assert client.messages.create(**CALL).content[0].text == HELLO
    assert PROXY_KEY.encode() not in fake.last().head


def test_the_version_field_is_added_only_where_the_client_sent_none(service, fake):
    service.send("POST", "/v1/messages", json=CALL)
    assert fake.last().all("anthropic-version") == ["2023-06-01"]
    service.send("POST", "/v1/messages", json=CALL, headers={"anthropic-version": "2099-12-31"})
    assert fake.last().all("anthropic-version") == ["2099-12-31"]


def test_a_streamed_message_has_every_event_in_its_order(client):
    kinds, text = [], ""
    for event in client.messages.create(stream=True, **CALL):
        kinds.append(event.type)
        text += event.delta.text if event.type == "content_block_delta" else ""
    assert text == HELLO
    assert kinds[0] == "message_start" and kinds[1] == "content_block_start" and kinds[-2:] == ["message_delta", "message_stop"]


def test_the_stream_helper_gathers_the_whole_message(client):
    with client.messages.stream(**CALL) as stream:
        assert "".join(stream.text_stream) == HELLO
        final = stream.get_final_message()
    assert final.usage.output_tokens > 1


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_result_answered(client, streamed):
    if streamed:
        with client.messages.stream(tools=TOOLS, **CALL) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(tools=TOOLS, **CALL)
    use = answer.content[-1]
    assert (use.type, use.name, use.input, answer.stop_reason) == ("tool_use", "get_weather", {"city": "Paris"}, "tool_use")
    back = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "21 C"}]}
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": use.id, "name": use.name, "input": use.input}]}
    after = client.messages.create(tools=TOOLS, **(CALL | {"messages": [*CALL["messages"], called, back]}))
    assert after.content[0].text.endswith("21 C")


def test_token_counts_and_models(client):
    assert client.messages.count_tokens(model="claude-sonnet-4-5", messages=CALL["messages"]).input_tokens > 0
    assert "claude-sonnet-4-5" in [model.id for model in client.models.list()]


def test_the_async_client_runs_unary_and_streamed_calls_side_by_side(service):
    async def everything():
        async with AsyncAnthropic(base_url=service.url, api_key=PROXY_KEY, max_retries=0) as client:

            async def streamed():
                async with client.messages.stream(**CALL) as stream:
                    return "".join([text async for text in stream.text_stream])

            async def unary():
                return (await client.messages.create(**CALL)).content[0].text

            return await asyncio.gather(*[streamed() if n % 2 else unary() for n in range(20)])

    assert asyncio.run(everything()) == [HELLO] * 20


@pytest.mark.parametrize("status", ["401", "402", "403", "429", "500", "529"])
def test_a_refused_key_is_invisible_to_the_sdk(client, fake, status):
    fake.tell("*", status)
    assert client.messages.create(**CALL).content[0].text == HELLO
    assert [str(r["status"]) for r in fake.requests()] == [status, "200"]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        ("400", anthropic.BadRequestError, "invalid_request_error"),
        ("401", anthropic.AuthenticationError, "authentication_error"),
        ("403", anthropic.PermissionDeniedError, "permission_error"),
        ("404", anthropic.NotFoundError, "not_found_error"),
        ("413", anthropic.APIStatusError, "request_too_large"),
        ("429", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("529", anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_the_providers_errors_are_the_sdks_error_classes(client, fake, status, error, kind):
    fake.tell("*", {"do": status, "times": -1})
    with pytest.raises(error) as caught:
        client.messages.create(**CALL)
    assert caught.value.status_code == int(status) and caught.value.body["error"]["type"] == kind


def test_our_own_errors_keep_the_sdks_type_and_their_message_begins_with_our_code(server, service):
    with Anthropic(base_url=service.url, api_key="pk-wrong", max_retries=0) as client, pytest.raises(anthropic.AuthenticationError) as caught:
        client.messages.create(**CALL)
    body = caught.value.body
    assert body["type"] == "error" and body["error"]["type"] == "authentication_error"
    assert body["error"]["message"].startswith("invalid_proxy_key")
    with Anthropic(base_url=server.url + "/llm/nowhere", api_key=PROXY_KEY, max_retries=0) as client, pytest.raises(anthropic.NotFoundError) as lost:
        client.messages.create(**CALL)
    assert lost.value.body["error"]["type"] == "not_found_error"
    assert lost.value.body["error"]["message"].startswith("service_not_found")


def test_the_sdk_does_not_retry_once_the_pool_is_exhausted(service, fake):
    fake.tell("*", {"do": "529", "times": -1})
    with Anthropic(base_url=service.url, api_key=PROXY_KEY, max_retries=3) as client, pytest.raises(anthropic.APIStatusError):
        client.messages.create(**CALL)
    assert fake.total == 2
