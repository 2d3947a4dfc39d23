# SPDX-License-Identifier: MIT
"""Tokens and requests are counted exactly as the provider told them: every dialect, unary and streamed, cut, compressed, failed over."""

from __future__ import annotations

import collections
import itertools
import json
import random
import threading

import openai
import pytest
from harness import PROXY_KEY, FakeProvider, Raw, Replicas, Rotator, Service, eventually, request_text
from servers import Place, Stores

KINDS = ("input", "output", "cached", "reasoning")
CHAT = {"messages": [{"role": "user", "content": "hi"}]}
MESSAGES = CHAT | {"max_tokens": 64}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}

#: What is asked: the service's format, path (with M for the model), body, and what the provider is told by the request itself.
CALLS = [
    ("openai_compatible", "/chat/completions", CHAT, {}),
    ("openai_compatible", "/chat/completions", CHAT, {"gzip": True}),
    ("openai_compatible", "/chat/completions", CHAT | {"stream": True, "stream_options": {"include_usage": True}}, {}),
    ("openai_compatible", "/chat/completions", CHAT | {"stream": True, "stream_options": {"include_usage": True}}, {"gzip": True}),
    ("openai_compatible", "/chat/completions", CHAT | {"stream": True}, {}),
    ("openai_compatible", "/responses", {"input": "hi"}, {}),
    ("openai_compatible", "/responses", {"input": "hi", "stream": True}, {}),
    ("openai_compatible", "/embeddings", {"input": "hi"}, {}),
    ("openai_compatible", "/images/generations", {"prompt": "a wheel"}, {"image_bytes": 20_000}),
    ("anthropic_native", "/v1/messages", MESSAGES, {}),
    ("anthropic_native", "/v1/messages", MESSAGES | {"stream": True}, {}),
    ("anthropic_native", "/v1/messages", MESSAGES | {"stream": True}, {"gzip": True}),
    ("gemini_native", "/v1beta/models/M:generateContent", CONTENTS, {}),
    ("gemini_native", "/v1beta/models/M:streamGenerateContent?alt=sse", CONTENTS, {}),
    ("gemini_native", "/v1beta/models/M:streamGenerateContent", CONTENTS, {}),
]  # fmt: skip
#: Streams that the provider cuts after some events, and streams that stand still until their client leaves.
CUTS = [
    ("openai_compatible", "/chat/completions", CHAT | {"stream": True, "stream_options": {"include_usage": True}}),
    ("openai_compatible", "/responses", {"input": "hi", "stream": True}),
    ("anthropic_native", "/v1/messages", MESSAGES | {"stream": True}),
    ("gemini_native", "/v1beta/models/M:streamGenerateContent?alt=sse", CONTENTS),
]  # fmt: skip
MODELS = ("alpha-1", "beta-2", "gamma-3")


class Mixture:
    """Requests of every kind, spread over services, clients and models, sent over `ports`."""

    def __init__(self, services: dict[str, Service], clients: dict[str, str], ports: list[int], seed: int):
        self.services, self.clients, self.ports = services, clients, ports
        self.random = random.Random(seed)
        self.numbers, self.lock = itertools.count(), threading.Lock()
        self.statuses: collections.Counter = collections.Counter()
        self.wrong: list[str] = []

    def send(self, count: int, concurrency: int = 64) -> None:
        left = iter(range(count))

        def work() -> None:
            while True:
                with self.lock:
                    if next(left, None) is None:
                        return
                    shot = self.shot()
                self.fire(*shot)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def shot(self) -> tuple:
        draw, number = self.random.random(), next(self.numbers)
        client, model = self.random.choice(list(self.clients)), self.random.choice(MODELS)
        leaves = False
        if draw < 0.06:
            (format, path, body), told = self.random.choice(CUTS), {"do": "cut", "at": "mid_body", "after": self.random.randrange(1, 4), "how": "fin"}
        elif draw < 0.10:
            (format, path, body), told, leaves = self.random.choice(CUTS), {"do": "ok", "hang_after": 1}, True
        else:
            format, path, body, told = self.random.choice(CALLS)
        if not format.startswith("gemini"):
            body = body | {"model": model}
        headers = [("X-Proxy-Key", self.clients[client]), ("Content-Type", "application/json"), ("x-request-id", f"{client}.{number}")]
        if told:
            headers.append(("x-fake-do", json.dumps(told)))
        if told.get("gzip"):
            headers.append(("Accept-Encoding", "gzip"))
        service = self.services[format]
        text = request_text("POST", service.prefix + path.replace("M:", model + ":"), headers, json.dumps(body).encode())
        return self.random.choice(self.ports), text, leaves, told.get("do") == "cut"

    def fire(self, port: int, text: bytes, leaves: bool, is_cut: bool) -> None:
        try:
            with Raw(port, timeout=30) as raw:
                raw.send(text)
                if leaves:
                    # What the first event says has been read by the time that the client has it.
                    status, complete = raw.head().status, False
                    raw.chunk()
                else:
                    answer = raw.response()
                    status, complete = answer.status, answer.complete
            with self.lock:
                self.statuses[status] += 1
                if status != 200 or complete == (is_cut or leaves):
                    self.wrong.append(f"{status} {complete} {text[:120]!r}")
        except (OSError, EOFError) as error:
            with self.lock:
                self.wrong.append(f"{type(error).__name__} {text[:120]!r}")


def told(fake: FakeProvider) -> tuple[dict[str, collections.Counter], int]:
    """What the provider told its readers, by client, key and model, and in all; and how many answers told nothing."""
    sums: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    silent = 0
    for record in fake.requests():
        client = record.get_field("x-request-id").split(".")[0]
        if record["usage"] is None:
            silent += record["status"] == 200
            continue
        for name in (f"client {client}", f"key {record['key']}", f"model {record['model']}", "all"):
            sums[name].update({kind: record["usage"][kind] for kind in KINDS})
    return sums, silent


def counted(tokens: dict) -> dict:
    return {"input": tokens["input"], "output": tokens["output"], "cached": tokens["cached_input"], "reasoning": tokens["reasoning"]}


def stats(server: Rotator, requests: int) -> dict:
    """The statistics, once all requests are among them."""
    found: dict = {}

    def are_all() -> bool:
        found.update(server.admin.get("/admin/stats", params={"window": "1h", "top": 1000}))
        return found["totals"]["requests"] >= requests

    assert eventually(are_all, 15, 0.25), f"{found['totals']['requests']} of {requests} requests are counted"
    return found


def check(server: Rotator, fake: FakeProvider, services: dict[str, Service], clients: dict[str, str], requests: int) -> None:
    assert fake.wait(timeout=10, requests=1)
    found, (sums, silent) = stats(server, requests), told(fake)
    totals = found["totals"]
    assert totals["requests"] == requests
    assert counted(totals["tokens"]) == dict(sums["all"])
    assert totals["unknown_usage"] == silent
    assert {one["client"]: counted(one["tokens"]) for one in found["clients"] if one["client"] in clients} == {name: dict(sums[f"client {name}"]) for name in clients}
    assert {one["model"]: counted(one["tokens"]) for one in found["models"] if one["model"] in MODELS} == {name: dict(sums[f"model {name}"]) for name in MODELS}
    values = {key.id: key.value for service in services.values() for key in service.keys}
    by_key = {values[one["key_id"]]: counted(one["tokens"]) for one in found["keys"] if one["key_id"] in values}
    assert by_key == {value: dict(sums[f"key {value}"]) for value in values.values() if sum(sums[f"key {value}"].values())}
    assert totals["attempts"] == fake.total


def prepare(make, fake: FakeProvider, clients) -> dict[str, Service]:
    services = {format: make(fake, keys=4, kind="LLM", api_format=format) for format in ("openai_compatible", "anthropic_native", "gemini_native")}
    for service in services.values():
        # Every fifth request or so of one key is refused, and goes on with another.
        fake.tell(service.values[0], *itertools.chain.from_iterable([["ok"] * 4 + [{"do": "500"}]] * 400))
    return services


def test_ten_thousand_mixed_requests_are_counted_as_the_provider_told_them(launch, fake):
    server = launch(WORKER_THREADS="2")
    clients = {name: server.admin.post("/admin/client-keys", json={"name": name})["key_value"] for name in ("ada", "bob", "eve")}
    services = prepare(server.service, fake, clients)
    mixture = Mixture(services, clients, [server.port], seed=1)
    mixture.send(10_000)
    assert not mixture.wrong, mixture.wrong[:5]
    check(server, fake, services, clients, 10_000)
    # Nothing of it is lost by a restart.
    assert server.stop() == 0
    server.start()
    check(server, fake, services, clients, 10_000)


def test_two_replicas_count_together(tmp_path, fake):
    stores = Stores("postgres")
    replicas = Replicas(tmp_path, 2, **Place(stores).environment)
    try:
        clients = {name: replicas[0].admin.post("/admin/client-keys", json={"name": name})["key_value"] for name in ("ada", "bob")}
        services = prepare(replicas.service, fake, clients)
        mixture = Mixture(services, clients, [one.port for one in replicas], seed=2)
        mixture.send(4_000)
        assert not mixture.wrong, mixture.wrong[:5]
        for one in replicas:
            check(one, fake, services, clients, 4_000)
        replicas[1].kill()
        check(replicas[0], fake, services, clients, 4_000)
    finally:
        replicas.kill()
        stores.close()


# --- One at a time ------------------------------------------------------------------------------------------------------------------


def record_of(server: Rotator, answer) -> dict:
    """What the request log says of an answer."""
    path = f"/admin/requests/{answer.headers['x-rotator-request-id']}"
    found = eventually(lambda: (one := server.admin.call("GET", path)).status_code == 200 and one.json()["items"], 5)
    assert found, f"{path} is unknown"
    return found[0]


def test_a_stream_whose_client_did_not_ask_is_unknown_and_never_zero(server, fake):
    service = server.service(fake, keys=1)
    answer = service.chat(stream=True)
    assert '"usage"' not in answer.text
    assert record_of(server, answer)["tokens"] is None


def test_stream_usage_asks_for_it_and_takes_it_out_again(server, fake):
    plain, asking = server.service(fake, keys=1), server.service(fake, keys=1, stream_usage=True)
    fake.tell("*", {"do": "ok", "usage": {"input": 11, "output": 7, "cached": 3, "reasoning": 2}, "times": -1})
    answer = asking.chat(stream=True)
    assert json.loads(fake.last().body)["stream_options"] == {"include_usage": True}
    assert '"choices":[]' not in answer.text.replace(" ", "") and answer.text.rstrip().endswith("[DONE]")
    tokens = record_of(server, answer)["tokens"]
    assert (tokens["input"], tokens["output"], tokens["cached_input"], tokens["reasoning"]) == (11, 7, 3, 2)
    # Whoever asks gets it, and a call that is no stream is left alone.
    assert '"choices":[]' in asking.chat(stream=True, stream_options={"include_usage": True}).text.replace(" ", "")
    asking.chat()
    assert "stream_options" not in json.loads(fake.last().body)
    plain.chat(stream=True)
    assert "stream_options" not in json.loads(fake.last().body)


def test_stream_usage_works_where_the_client_accepts_compression(server, fake):
    service = server.service(fake, keys=1, stream_usage=True)
    fake.tell("*", {"do": "ok", "gzip": True, "times": -1})
    client = openai.OpenAI(api_key=PROXY_KEY, base_url=service.url, max_retries=0)
    chunks = list(client.chat.completions.create(model="gpt-4o", stream=True, messages=CHAT["messages"]))
    assert all(chunk.choices for chunk in chunks) and chunks[-1].choices[0].finish_reason == "stop"


def test_an_attempt_that_failed_stands_in_the_record_of_its_request(server, fake):
    service = server.service(fake, keys=2)
    fake.tell(service.values[0], {"do": "429", "retry_after": 7, "times": -1})
    answer = next(one for one in (service.chat() for _ in range(2)) if one.headers["x-rotator-attempts"] == "2")
    attempts = record_of(server, answer)["attempts"]
    assert [(one["key_id"], one["status"], one["verdict"]) for one in attempts] == [(service.keys[0].id, 429, "rate_limited"), (service.keys[1].id, 200, "success")]
    assert service.values[0] not in json.dumps(attempts)


# --- Memory -------------------------------------------------------------------------------------------------------------------------


def test_two_thousand_metered_streams_need_twelve_kilobytes_each(launch, fake):
    server = launch(WORKER_THREADS="1")
    service = server.service(fake, keys=4)
    fake.tell("*", {"do": "ok", "hang_after": 3, "times": -1})
    body = json.dumps(CHAT | {"model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}}).encode()
    text = request_text("POST", service.prefix + "/chat/completions", [("X-Proxy-Key", PROXY_KEY), ("Content-Type", "application/json")], body)
    open_ones: list[Raw] = []

    def open_more(count: int) -> None:
        for _ in range(count):
            raw = server.raw(timeout=60)
            raw.send(text)
            open_ones.append(raw)
        for raw in open_ones[-count:]:
            assert raw.head().status == 200
            while b"data:" not in raw.chunk():
                pass

    open_more(200)
    before = server.memory()
    open_more(2_000)
    each = (server.memory() - before) / 2_000
    for raw in open_ones:
        raw.close()
    assert each <= 12 * 1024, f"{each / 1024:.1f} KiB each"
