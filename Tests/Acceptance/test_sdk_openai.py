# SPDX-License-Identifier: MIT
"""The official OpenAI SDK, pointed at the rotator: only its `base_url` and `api_key` change."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from harness import PROXY_KEY
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

HELLO = "Hello from the fake provider. You said: good morning"
MESSAGES = [{"role": "user", "content": "good morning"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


@pytest.fixture
def service(server, fake):
    return server.service(fake, keys=2)


@pytest.fixture
def client(service):
    with OpenAI(base_url=service.url, api_key=PROXY_KEY, max_retries=0) as made:
        yield made


def test_a_chat_completion_comes_back_and_the_provider_saw_only_its_own_key(client, service, fake):
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == HELLO
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    seen = fake.last()
    assert seen["key"] in service.values and PROXY_KEY.encode() not in seen.head + seen.body
    assert seen["target"] == "/v1/chat/completions"


def test_a_base_url_that_ends_in_v1_works_as_well(service):
    with OpenAI(base_url=service.url + "/v1", api_key=PROXY_KEY, max_retries=0) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content == HELLO


def test_a_streamed_chat_arrives_in_pieces(client):
    pieces = [c.choices[0].delta.content for c in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) if c.choices[0].delta.content]
    assert "".join(pieces) == HELLO and len(pieces) > 5


def test_streamed_usage_comes_only_when_it_is_asked_for(client):
    asked = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    assert asked[-1].choices == [] and asked[-1].usage.total_tokens > 0
    assert all(c.choices and c.usage is None for c in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))


def test_the_stream_helper_gathers_the_whole_completion(client):
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content == HELLO


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_and_its_result_answered(client, streamed):
    if streamed:
        arguments, name = "", None
        for chunk in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS, stream=True):
            for call in chunk.choices[0].delta.tool_calls or []:
                name, arguments = name or call.function.name, arguments + (call.function.arguments or "")
    else:
        call = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS).choices[0].message.tool_calls[0]
        name, arguments = call.function.name, call.function.arguments
    assert (name, json.loads(arguments)) == ("get_weather", {"city": "Paris"})
    made = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}]}
    after = client.chat.completions.create(model="gpt-4o", tools=TOOLS, messages=[*MESSAGES, made, {"role": "tool", "tool_call_id": "c1", "content": "21 C"}])
    assert after.choices[0].message.content.endswith("21 C")


def test_responses_unary_streamed_and_with_a_tool(client):
    answer = client.responses.create(model="gpt-4o", input="good morning")
    assert answer.output_text == HELLO and answer.usage.total_tokens > 0
    with client.responses.stream(model="gpt-4o", input="good morning") as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == HELLO
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
    call = client.responses.create(model="gpt-4o", input="good morning", tools=[tool]).output[0]
    assert call.type == "function_call" and json.loads(call.arguments) == {"city": "Paris"}


def test_embeddings_and_models(client):
    made = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(made.data) == 2 and len(made.data[0].embedding) == 8
    assert "gpt-4o" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"


def test_a_file_goes_up_byte_for_byte_comes_back_and_is_deleted(client):
    content = bytes(range(256)) * 500 + b"--boundary-like\r\n\r\n"
    made = client.files.create(file=("d\u00e9p\u00f4t.bin", content), purpose="assistants")
    assert made.bytes == len(content)
    assert made.id in [one.id for one in client.files.list()]
    assert client.files.content(made.id).read() == content
    assert client.files.delete(made.id).deleted


def test_the_async_client_runs_unary_and_streamed_calls_side_by_side(service, fake):
    async def everything():
        async with AsyncOpenAI(base_url=service.url, api_key=PROXY_KEY, max_retries=0) as client:

            async def streamed():
                stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream])

            async def unary():
                return (await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)).choices[0].message.content

            return await asyncio.gather(*[streamed() if n % 2 else unary() for n in range(20)])

    assert asyncio.run(everything()) == [HELLO] * 20
    assert sorted(fake.counts().values()) == [10, 10]


def test_a_refused_key_is_invisible_to_the_sdk(client, fake):
    fake.tell("*", {"do": "429", "retry_after": 30})
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content == HELLO
    assert [r["status"] for r in fake.requests()] == [429, 200]


@pytest.mark.parametrize(
    ("told", "error", "code"),
    [
        ({"do": "400"}, openai.BadRequestError, None),
        ({"do": "401"}, openai.AuthenticationError, "invalid_api_key"),
        ({"do": "403"}, openai.PermissionDeniedError, "model_not_available"),
        ({"do": "404"}, openai.NotFoundError, "model_not_found"),
        ({"do": "409"}, openai.ConflictError, None),
        ({"do": "422"}, openai.UnprocessableEntityError, None),
        ({"do": "429"}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"do": "insufficient_quota"}, openai.RateLimitError, "insufficient_quota"),
        ({"do": "500"}, openai.InternalServerError, None),
        ({"do": "503"}, openai.InternalServerError, "server_is_overloaded"),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else None,
)
def test_the_providers_errors_are_the_sdks_error_classes(client, fake, told, error, code):
    fake.tell("*", told | {"times": -1})
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert type(caught.value) is error and caught.value.code == code


def test_our_own_errors_have_the_shape_that_the_sdk_parses(server, service):
    with OpenAI(base_url=service.url, api_key="pk-wrong", max_retries=0) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_proxy_key"
    with OpenAI(base_url=server.url + "/llm/nowhere", api_key=PROXY_KEY, max_retries=0) as client, pytest.raises(openai.NotFoundError) as lost:
        client.models.list()
    assert lost.value.code == "service_not_found" and set(lost.value.body) >= {"message", "type", "param", "code"}


def test_the_sdk_does_not_retry_once_the_pool_is_exhausted(service, fake):
    fake.tell("*", {"do": "429", "times": -1})
    with OpenAI(base_url=service.url, api_key=PROXY_KEY, max_retries=3) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert fake.total == 2, "two keys, one attempt each, and no second call by the SDK"


def test_a_stream_that_breaks_off_is_an_error_to_the_sdk(client, fake):
    fake.tell("*", {"do": "cut", "at": "mid_body", "after": 4})
    got = []
    with pytest.raises((openai.APIConnectionError, openai.APIError)):
        for chunk in client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True):
            got.append(chunk)
    assert len(got) == 4


def test_the_raw_response_carries_the_rotators_own_fields(client, service):
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES, extra_headers={"x-request-id": "trace-me-1"})
    assert raw.headers["x-rotator-request-id"] == "trace-me-1"
    assert raw.headers["x-rotator-attempts"] == "1"
    assert int(raw.headers["x-rotator-key-id"]) in [key.id for key in service.keys]


def test_azure_works_through_its_own_client(server, fake):
    service = server.service(fake, keys=["azure-key-0123456789abcdef01234567"], api_format="azure_openai")
    with AzureOpenAI(azure_endpoint=service.url, api_key=PROXY_KEY, api_version="2024-10-21", max_retries=0) as client:
        assert client.chat.completions.create(model="my-deployment", messages=MESSAGES).choices[0].message.content == HELLO
        streamed = client.chat.completions.create(model="my-deployment", messages=MESSAGES, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in streamed if c.choices) == HELLO
    seen = fake.last()
    assert seen["target"] == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    assert seen.all("api-key") == service.values
