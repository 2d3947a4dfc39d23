# SPDX-License-Identifier: MIT
"""curl, for any REST API: what a person types at a prompt."""

from __future__ import annotations

import json
import subprocess

import pytest
from harness import PROXY_KEY, base_environment, pattern, sha256

AUTHORISED = ("-H", f"Authorization: Bearer {PROXY_KEY}")


def curl(*arguments: str, given: bytes | None = None, expect: int = 0) -> bytes:
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], input=given, capture_output=True, env=base_environment())
    assert done.returncode == expect, done.stderr.decode()
    return done.stdout


@pytest.fixture
def rest(server, fake):
    return server.service(fake, keys=2, kind="GENERIC", api_key_location="query", api_key_name="appid")


@pytest.fixture
def llm(server, fake):
    return server.service(fake, keys=2)


def test_a_rest_call(rest, fake):
    weather = json.loads(curl("-H", f"X-Proxy-Key: {PROXY_KEY}", rest.url + "/weather?q=Rome"))
    assert weather["name"] == "Rome" and fake.last()["key"] in rest.values


def test_a_chat_completion_and_a_stream(llm):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    call = (*AUTHORISED, "--json") if b"--json" in curl("--help", "all") else (*AUTHORISED, "-H", "Content-Type: application/json", "-d")
    answer = json.loads(curl(*call, json.dumps(body), llm.url + "/chat/completions"))
    assert answer["choices"][0]["message"]["content"].endswith("hi")
    streamed = curl("-N", *call, json.dumps(body | {"stream": True}), llm.url + "/chat/completions").decode()
    assert streamed.endswith("data: [DONE]\n\n") and streamed.count("data: ") > 5


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0", "--http2"])
def test_every_version_that_curl_offers_in_clear_text_works(rest, version):
    assert json.loads(curl(version, *AUTHORISED, rest.url + "/weather"))["cod"] == 200


def test_a_file_is_uploaded_with_expect_100_continue(rest, fake, tmp_path):
    path = tmp_path / "upload.bin"
    path.write_bytes(pattern(0, 1_000_003) * 3)
    told = json.loads(curl(*AUTHORISED, "-H", "Expect: 100-continue", "-T", str(path), rest.url + "/echo/file"))
    assert (told["method"], told["body_length"], told["body_sha256"]) == ("PUT", 3_000_009, sha256(path.read_bytes()))


def test_a_pipe_is_uploaded_chunked(rest, fake):
    data = pattern(0, 500_000)
    told = json.loads(curl(*AUTHORISED, "-T", "-", rest.url + "/echo", given=data))
    assert (told["body_length"], told["body_sha256"]) == (500_000, sha256(data))


def test_a_form_is_posted(llm, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello\r\nworld\r\n")
    made = json.loads(curl(*AUTHORISED, "-F", "purpose=assistants", "-F", f"file=@{path}", llm.url + "/files"))
    assert made["filename"] == "notes.txt" and made["bytes"] == 14
    assert curl(*AUTHORISED, llm.url + f"/files/{made['id']}/content") == b"hello\r\nworld\r\n"


def test_head_compressed_and_large_answers(rest):
    assert b"content-length: 5000\r\n" in curl("-I", *AUTHORISED, rest.url + "/bytes/5000").lower()
    assert curl("--compressed", *AUTHORISED, rest.url + "/gzip/70000") == pattern(0, 70000)
    assert curl(*AUTHORISED, rest.url + "/chunked/900000") == pattern(0, 900000)


def test_a_redirect_is_the_clients_to_follow(rest):
    told = curl("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", *AUTHORISED, rest.url + "/redirect?to=http://example.test/x")
    assert told == b"302 http://example.test/x"


def test_a_body_that_breaks_off_is_an_error_to_curl(rest, fake):
    fake.tell("*", {"do": "cut", "at": "mid_body", "after": 2})
    curl(*AUTHORISED, rest.url + "/bytes/900000", expect=18)
    fake.tell("*", {"do": "cut", "at": "mid_body", "after": 2})
    curl(*AUTHORISED, rest.url + "/chunked/900000", expect=18)


def test_many_urls_share_one_connection(rest, fake):
    told = curl(*AUTHORISED, "-w", "%{num_connects}\n", "-o", "/dev/null", *[word for n in range(10) for word in (rest.url + f"/echo/{n}", "-o", "/dev/null")][:-2])
    assert told.split() == [b"1"] + [b"0"] * 9 and fake.total == 10


def test_an_error_is_readable_at_a_prompt(server):
    problem = json.loads(curl(server.url + "/proxy/anything/x"))
    assert problem["status"] == 401 and problem["code"] == "invalid_proxy_key" and problem["detail"]
