# SPDX-License-Identifier: MIT
"""The official Gemini SDK (google-genai), pointed at the rotator: only its `base_url` and `api_key` change."""

from __future__ import annotations

import asyncio
import re

import pytest
from google import genai
from google.genai import errors, types
from harness import PROXY_KEY

MODEL = "gemini-2.5-flash"
HELLO = "Hello from the fake provider. You said: good morning"
TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(name="get_weather", parameters={"type": "OBJECT", "properties": {"city": {"type": "STRING"}}})])


def connect(url, key=PROXY_KEY, version=None):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url, api_version=version))


@pytest.fixture
def service(server, fake):
    return server.service(fake, keys=2, api_format="gemini_native")


@pytest.fixture
def client(service):
    return connect(service.url)


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_content_comes_back_and_the_provider_saw_only_its_own_key(service, fake, version):
    client = connect(service.url, version=version)
    answer = client.models.generate_content(model=MODEL, contents="good morning")
    assert answer.text == HELLO and answer.usage_metadata.total_token_count > 0
    seen = fake.last()
    assert seen.all("x-goog-api-key") == [seen["key"]] and seen["key"] in service.values
    assert PROXY_KEY.encode() not in seen.head + seen.body
    assert seen["target"] == f"/{version}/models/{MODEL}:generateContent"


def test_a_base_that_ends_in_the_same_version_is_not_doubled(server, fake):
    service = server.service(fake, api_format="gemini_native", target_base_url=fake.url + "/v1beta")
    client = connect(service.url, version="v1beta")
    assert client.models.generate_content(model=MODEL, contents="good morning").text == HELLO
    assert fake.last()["target"] == f"/v1beta/models/{MODEL}:generateContent"


def test_streamed_content_arrives_in_pieces(client, fake):
    pieces = [chunk.text for chunk in client.models.generate_content_stream(model=MODEL, contents="good morning")]
    assert "".join(pieces) == HELLO and len(pieces) > 5
    assert fake.last()["target"].endswith(":streamGenerateContent?alt=sse")


def test_a_key_in_the_query_is_accepted_and_taken_out_byte_for_byte(service, fake):
    body = {"contents": [{"parts": [{"text": "a b"}]}]}
    answer = service.send("POST", f"/v1beta/models/{MODEL}:streamGenerateContent?key={PROXY_KEY}", key=None, json=body)
    assert [one["candidates"][0]["index"] for one in answer.json()], "a JSON array, not server-sent events"
    assert fake.last()["target"] == f"/v1beta/models/{MODEL}:streamGenerateContent"
    service.send("POST", f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse&key={PROXY_KEY}&x=%20", key=None, json=body)
    assert fake.last()["target"] == f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse&x=%20"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called(client, streamed):
    config = types.GenerateContentConfig(tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    if streamed:
        calls = [c for chunk in client.models.generate_content_stream(model=MODEL, contents="good morning", config=config) for c in chunk.function_calls or []]
    else:
        calls = client.models.generate_content(model=MODEL, contents="good morning", config=config).function_calls
    assert [(call.name, call.args) for call in calls] == [("get_weather", {"city": "Paris"})]


def test_a_python_function_is_called_by_the_sdk_and_its_result_answered(client):
    def get_weather(city: str) -> str:
        """The weather."""
        return f"21 C in {city}"

    answer = client.models.generate_content(model=MODEL, contents="good morning", config=types.GenerateContentConfig(tools=[get_weather]))
    assert "21 C in Paris" in answer.text


def test_token_counts_and_models(client):
    assert client.models.count_tokens(model=MODEL, contents="good morning").total_tokens > 0
    assert f"models/{MODEL}" in [model.name for model in client.models.list()]


def test_the_async_client_runs_unary_and_streamed_calls_side_by_side(client):
    async def everything():
        async def streamed():
            return "".join([chunk.text async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents="good morning")])

        async def unary():
            return (await client.aio.models.generate_content(model=MODEL, contents="good morning")).text

        return await asyncio.gather(*[streamed() if n % 2 else unary() for n in range(20)])

    assert asyncio.run(everything()) == [HELLO] * 20


@pytest.mark.parametrize(
    "told",
    [{"do": "key_invalid"}, {"do": "suspended"}, {"do": "429", "retry_info": "38.6s"}, {"do": "503"}, {"do": "500"}, {"do": "402"}],
    ids=lambda told: told["do"],
)
def test_a_refused_key_is_invisible_to_the_sdk(client, fake, told):
    fake.tell("*", told)
    assert client.models.generate_content(model=MODEL, contents="good morning").text == HELLO
    assert fake.total == 2


@pytest.mark.parametrize(
    ("told", "error", "code", "status"),
    [
        ({"do": "400"}, errors.ClientError, 400, "INVALID_ARGUMENT"),
        ({"do": "key_invalid"}, errors.ClientError, 400, "INVALID_ARGUMENT"),
        ({"do": "403"}, errors.ClientError, 403, "PERMISSION_DENIED"),
        ({"do": "404"}, errors.ClientError, 404, "NOT_FOUND"),
        ({"do": "429", "retry_info": "2s"}, errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ({"do": "500"}, errors.ServerError, 500, "INTERNAL"),
        ({"do": "503"}, errors.ServerError, 503, "UNAVAILABLE"),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else None,
)
def test_the_providers_errors_are_the_sdks_error_classes(client, fake, told, error, code, status):
    fake.tell("*", told | {"times": -1})
    with pytest.raises(error) as caught:
        client.models.generate_content(model=MODEL, contents="good morning")
    assert (caught.value.code, caught.value.status) == (code, status)


def test_our_own_errors_keep_the_sdks_status_and_their_message_begins_with_our_code(server, service):
    stranger, lost_one = connect(service.url, key="pk-wrong"), connect(server.url + "/llm/nowhere")
    with pytest.raises(errors.ClientError) as caught:
        stranger.models.generate_content(model=MODEL, contents="x")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    assert caught.value.message.startswith("invalid_proxy_key")
    with pytest.raises(errors.ClientError) as lost:
        lost_one.models.generate_content(model=MODEL, contents="x")
    assert (lost.value.code, lost.value.status) == (404, "NOT_FOUND")
    assert lost.value.message.startswith("service_not_found")


def test_nothing_is_added_to_a_stream(service, fake):
    """google-genai fails on comment lines: the body is the provider's, octet for octet."""
    body = {"contents": [{"parts": [{"text": "one two three"}]}]}
    path = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    fake.tell("*", {"do": "ok", "usage": {"input": 10, "output": 5}, "times": -1})
    with service.server.http.stream("POST", service.url + path, json=body, headers={"x-goog-api-key": PROXY_KEY}) as answer:
        ours = b"".join(answer.iter_raw())
    direct = fake.control.post(path, json=body, headers={"x-goog-api-key": "direct"}).content
    numbered = re.compile(rb'"responseId":"[^"]+"')
    assert numbered.sub(b"", ours) == numbered.sub(b"", direct)
