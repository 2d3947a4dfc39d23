#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A provider of LLM and REST APIs that does what it is told.

It speaks the wire formats of OpenAI, Anthropic, Gemini and Azure OpenAI, unary and streamed, and a few plain REST
resources. Left alone, every key is good. Told so through `/__control/*`, a key is rate limited, refused, cut, reset,
dripped or left waiting. It writes down every request exactly as it came. See README.md beside this file.

Python 3.11's standard library and nothing else. HTTP is parsed here by hand: a library would hide what we want to see.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import email.utils
import gc
import gzip
import hashlib
import http
import itertools
import json
import socket
import ssl
import struct
import sys
import time
import urllib.parse
import zlib
from typing import Any, AsyncIterator, Iterable, Iterator

HEAD_BYTES_MAX = 1 << 20
BODY_KEPT_MAX = 48 << 20
BODY_SHOWN_MAX = 64 << 10
WRITE_AHEAD_MAX = 256 << 10

# Deterministic bytes. Byte i of any `/bytes/N` or `/chunked/N` is PATTERN[i % len(PATTERN)]. The length is a prime, so
# that a repeated, lost or swapped block never lines up again.
PATTERN = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(31251))[:1_000_003]
_PATTERN_TWICE = PATTERN + PATTERN


def pattern(offset: int, count: int) -> bytes:
    """`count` (at most one pattern length) deterministic bytes that begin at `offset`."""
    start = offset % len(PATTERN)
    return _PATTERN_TWICE[start : start + count]


def pattern_sha256(length: int) -> str:
    digest, offset = hashlib.sha256(), 0
    while offset < length:
        piece = pattern(offset, min(len(PATTERN), length - offset))
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()


def reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return {529: "Overloaded", 498: "Capacity Exceeded"}.get(status, "Unassigned")


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Gone(Exception):
    """The other side went away, or we cut it off: the exchange is over."""


# --- One request, as it came ------------------------------------------------------------------------------------------


class Record:
    """One upstream request and what became of it. Everything in it is for the tests to judge."""

    __slots__ = (
        "seq", "connection", "tls", "received_at", "method", "target", "version", "head", "fields", "body_length",
        "body_sha256", "body", "body_raw_start", "body_complete_at", "trailers", "key", "key_source", "model", "dialect",
        "behaviour", "status", "head_sent_at", "bytes_sent", "events_sent", "finished_at", "gone_at", "anomalies", "usage",
    )  # fmt: skip

    def __init__(self, seq: int, connection: int, tls: bool, head: bytes):
        self.seq, self.connection, self.tls, self.head = seq, connection, tls, head
        self.received_at = time.time()
        self.method = self.target = self.version = ""
        self.fields: list[tuple[str, str]] = []
        self.body_length = 0
        self.body_sha256 = hashlib.sha256(b"").hexdigest()
        self.body: bytes = b""
        self.body_raw_start: bytes = b""
        self.body_complete_at: float | None = None
        self.trailers: list[tuple[str, str]] = []
        self.key: str | None = None
        self.key_source: str | None = None
        self.model: str | None = None
        self.dialect = "generic"
        self.behaviour = "ok"
        self.status: int | None = None
        self.head_sent_at: float | None = None
        self.bytes_sent = 0
        self.events_sent = 0
        self.finished_at: float | None = None
        self.gone_at: float | None = None
        self.anomalies: list[str] = []
        self.usage: dict[str, int] | None = None  # what its reader was told, as far as the octets that say it went out

    def shown(self, slim: bool = False) -> dict[str, Any]:
        brief = {
            "seq": self.seq, "connection": self.connection, "received_at": self.received_at, "method": self.method,
            "target": self.target, "key": self.key, "key_source": self.key_source, "model": self.model,
            "dialect": self.dialect, "behaviour": self.behaviour, "status": self.status,
            "head_sent_at": self.head_sent_at, "bytes_sent": self.bytes_sent, "events_sent": self.events_sent,
            "finished_at": self.finished_at, "gone_at": self.gone_at, "body_length": self.body_length,
            "body_complete_at": self.body_complete_at, "usage": self.usage,
        }  # fmt: skip
        if slim:
            return brief
        return brief | {
            "version": self.version, "tls": self.tls, "head_b64": base64.b64encode(self.head).decode(),
            "headers": self.fields, "body_sha256": self.body_sha256, "trailers": self.trailers,
            "body_b64": base64.b64encode(self.body).decode() if self.body_length <= BODY_SHOWN_MAX else None,
            "body_raw_start_b64": base64.b64encode(self.body_raw_start).decode(), "anomalies": self.anomalies,
        }  # fmt: skip


class Request:
    """A parsed request: what handlers read. `record` is its written-down twin."""

    __slots__ = ("method", "target", "path", "query", "names", "fields", "body", "record", "told", "_json", "_arguments")

    def __init__(self, record: Record):
        self.record = record
        self.method, self.target, self.fields = record.method, record.target, record.fields
        self.path, _, self.query = self.target.partition("?")
        self.names = {}
        for name, value in record.fields:
            self.names.setdefault(name.lower(), value)
        self.body = b""
        self.told: dict[str, Any] = {}
        self._json: Any = Ellipsis
        self._arguments: dict[str, str] | None = None

    @property
    def arguments(self) -> dict[str, str]:
        if self._arguments is None:
            self._arguments = dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))
        return self._arguments

    @property
    def json(self) -> Any:
        if self._json is Ellipsis:
            data = self.body
            try:
                if self.names.get("content-encoding") == "gzip":
                    data = gzip.decompress(data)
                self._json = json.loads(data) if data else None
            except (ValueError, OSError):
                self._json = None
        return self._json

    @property
    def object(self) -> dict[str, Any]:
        return self.json if isinstance(self.json, dict) else {}


class Response:
    """What to send. `parts` (one part = one event or piece) wins over `body`."""

    __slots__ = ("status", "fields", "body", "parts", "length", "framing", "trailers", "end", "zips")

    def __init__(
        self,
        status: int = 200,
        body: bytes | dict | list | None = b"",
        fields: Iterable[tuple[str, str]] = (),
        *,
        parts: Iterable[bytes] | AsyncIterator[bytes] | None = None,
        length: int | None = None,
        framing: str = "length",
        trailers: Iterable[tuple[str, str]] = (),
        content_type: str | None = "application/json",
    ):
        self.status = status
        self.body = body if isinstance(body, bytes) else dumps(body)
        self.fields = ([("Content-Type", content_type)] if content_type else []) + list(fields)
        self.parts, self.length, self.framing = parts, length, framing
        self.trailers = list(trailers)
        self.end = "fin"
        self.zips = False

    def zipped(self) -> "Response":
        """The same under gzip; a stream is flushed behind each event."""
        self.zips = True
        if self.parts is not None and self.framing == "length":
            self.framing = "chunked"
        self.fields += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        return self


# --- Usage ------------------------------------------------------------------------------------------------------------


def usage_for(request: Request, writes: bool = True) -> dict[str, int] | None:
    """The tokens of an answer, normalised: `input` with what was cached, `output` with the reasoning. As told, else by key, model and sequence number."""
    record, told = request.record, request.told
    digest = hashlib.sha256(f"{record.key}|{record.model}|{record.seq}".encode()).digest()
    count = 8 + int.from_bytes(digest[:2]) % 4000
    output = 2 + int.from_bytes(digest[2:4]) % 900
    usage = {"input": count, "output": output, "cached": count * (digest[4] % 5) // 8, "reasoning": output * (digest[5] % 4) // 8}
    if "usage" in told:
        if told["usage"] is None:
            return None
        usage |= {"cached": 0, "reasoning": 0} | told["usage"]
    return usage if writes else usage | {"output": 0, "cached": 0, "reasoning": 0}


class Counted(bytes):
    """Octets that tell of usage: whoever has the first `until` of them knows."""

    usage: dict[str, int]
    until: int


def counted(data: bytes, usage: dict[str, int] | None, member: bytes = b'"usage":') -> bytes:
    """`data`, of which it is known where its usage ends. Its last `member` is the one."""
    if usage is None:
        return data
    start = data.rindex(member) + len(member)
    text = data[start:].decode("latin-1")  # one character for one octet
    made = Counted(data)
    made.usage = dict(usage)
    made.until = start + json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))[1]
    return made


class Outgoing:
    """Follows what of a body is out, so that the record says which usage its reader can know."""

    def __init__(self, record: Record, response: Response):
        self.record = record
        self.zip = zlib.compressobj(6, zlib.DEFLATED, 31) if response.zips else None
        self.unzip = zlib.decompressobj(31) if response.zips else None
        self.marks: list[tuple[int, dict[str, int]]] = []
        self.planned = self.written = 0

    def coded(self, part: bytes, last: bool = False) -> bytes:
        """`part` under the content coding, and its usage noted."""
        if isinstance(part, Counted):
            self.marks.append((self.planned + part.until, part.usage))
        self.planned += len(part)
        if self.zip is None:
            return part
        return self.zip.compress(part) + self.zip.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

    def wrote(self, octets: bytes) -> None:
        self.written += len(octets if self.unzip is None else self.unzip.decompress(octets))
        while self.marks and self.marks[0][0] <= self.written:
            self.record.usage = self.marks.pop(0)[1]


# --- The provider's dialects ------------------------------------------------------------------------------------------

OPENAI_ERRORS = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."),
    402: ("insufficient_balance", "insufficient_balance", "Insufficient balance."),
    403: ("invalid_request_error", "model_not_available", "Project does not have access to this model."),
    404: ("invalid_request_error", "model_not_found", "The requested resource does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Limit: 3 / min. Please try again in 20s."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", "server_is_overloaded", "That model is currently overloaded with other requests."),
    504: ("server_error", None, "Gateway timeout."),
}  # fmt: skip
ANTHROPIC_ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
}  # fmt: skip
GEMINI_ERRORS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def error_response(dialect: str, status: int, told: dict[str, Any], model: str | None) -> Response:
    """An error in the provider's own shape; `told` (a behaviour) may change its code, message, fields or whole body."""
    message, code = told.get("message"), told.get("code")
    fields: list[tuple[str, str]] = []
    if dialect == "anthropic":
        kind = code or ANTHROPIC_ERRORS.get(status, "api_error")
        text = message or {
            "authentication_error": "invalid x-api-key",
            "rate_limit_error": "This request would exceed your organization's rate limit.",
            "overloaded_error": "Overloaded",
            "billing_error": "Your credit balance is too low to access the Anthropic API.",
        }.get(kind, "Something went wrong.")
        body: Any = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
        fields.append(("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy"))
    elif dialect == "gemini":
        kind = told.get("status_text") or GEMINI_ERRORS.get(status, "UNKNOWN")
        text = message or {
            429: "You exceeded your current quota, please check your plan and billing details.",
            503: "The model is overloaded. Please try again later.",
            500: "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        }.get(status, "Something went wrong.")
        details: list[Any] = []
        if status == 429:
            quota = told.get("quota_id", "GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
            details.append({
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
                    "quotaId": quota, "quotaDimensions": {"location": "global", "model": model or "gemini"}, "quotaValue": "15",
                }],
            })  # fmt: skip
            details.append({"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "Learn more about Gemini API quotas", "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]})
        if "retry_info" in told:
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": told["retry_info"]})
        if code == "API_KEY_INVALID":
            text = message or "API key not valid. Please pass a valid API key."
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}})
            details.append({"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": text})
        body = {"error": {"code": status, "message": text, "status": kind} | ({"details": details} if details else {})}
    elif dialect == "azure":
        text = message or {
            401: "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
            429: "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current pricing tier. Please retry after 1 second.",
        }.get(status, "Something went wrong.")
        body = {"error": {"code": code or str(status), "message": text}}
    else:
        kind, usual, text = OPENAI_ERRORS.get(status, ("server_error", None, "Something went wrong."))
        if code == "insufficient_quota":
            kind, text = "insufficient_quota", "You exceeded your current quota, please check your plan and billing details."
        body = {"error": {"message": message or text, "type": told.get("type", kind), "param": None, "code": code or usual}}
        if dialect == "openai":
            fields.append(("x-request-id", "req_0123456789abcdef"))
    if "body" in told:
        body = told["body"]
    if isinstance(body, str):
        body = body.encode()
    if "retry_after" in told:
        fields.append(("Retry-After", str(told["retry_after"])))
    if "retry_after_ms" in told:
        fields.append(("retry-after-ms", str(told["retry_after_ms"])))
    if "retry_after_date" in told:
        fields.append(("Retry-After", email.utils.formatdate(time.time() + told["retry_after_date"], usegmt=True)))
    for name, value in (told.get("headers") or {}).items():
        if isinstance(value, str) and "{now+" in value:  # "{now+90}" becomes an RFC 3339 time 90 s from now
            seconds = float(value.partition("{now+")[2].partition("}")[0])
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
            value = value.replace("{now+%s}" % value.partition("{now+")[2].partition("}")[0], stamp)
        fields.append((name, str(value)))
    return Response(status, body, fields, content_type=told.get("content_type", "application/json"))


def text_of(content: Any) -> str:
    """The plain text of a message's content, in any of the dialects."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(filter(None, (text_of(part) for part in content)))
    if isinstance(content, dict):
        for name in ("text", "content", "parts", "output", "functionResponse", "response", "result"):
            if name in content:
                return text_of(content[name]) or json.dumps(content[name])
    return ""


def tokens(text: str) -> int:
    return max(1, (len(text) + 3) // 4)


def words(text: str) -> list[str]:
    """`text` cut into stream deltas: concatenated, they give `text` again."""
    pieces: list[str] = []
    for index, word in enumerate(text.split(" ")):
        pieces.append(word if index == 0 else " " + word)
    return pieces


def sample(schema: Any, name: str = "") -> Any:
    """A value that satisfies a (simple) JSON schema."""
    if not isinstance(schema, dict):
        return None
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = (next((k for k in kind if k != "null"), "string") if isinstance(kind, list) else kind or "object").lower()
    if kind == "object":
        return {key: sample(value, key) for key, value in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [sample(schema.get("items"))]
    if kind in ("integer", "number"):
        return 3
    if kind == "boolean":
        return True
    return "Paris" if name in ("city", "location", "place", "q") else "text"


def reply_to(text: str) -> str:
    return f"Hello from the fake provider. You said: {text}" if text else "Hello from the fake provider."


# OpenAI


def sse(value: Any, event: str | None = None) -> bytes:
    data = value if isinstance(value, bytes) else dumps(value)
    return (b"event: " + event.encode() + b"\n" if event else b"") + b"data: " + data + b"\n\n"


OPENAI_FIELDS = [
    ("openai-organization", "org-fake"),
    ("openai-processing-ms", "7"),
    ("openai-version", "2020-10-01"),
    ("x-request-id", "req_0123456789abcdef"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-reset-requests", "6ms"),
]
EVENT_STREAM = "text/event-stream; charset=utf-8"


def openai_tool_call(body: dict[str, Any]) -> dict[str, str] | None:
    tools, choice = body.get("tools"), body.get("tool_choice", "auto")
    messages = body.get("messages") or [{}]
    if not tools or choice == "none" or messages[-1].get("role") == "tool":
        return None
    function = tools[0].get("function", tools[0])
    return {"name": function.get("name", "tool"), "arguments": json.dumps(sample(function.get("parameters", {})))}


def asks_usage(body: dict[str, Any]) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def openai_usage(usage: dict[str, int] | None) -> dict[str, Any] | None:
    """Chat completions and completions."""
    return usage and {
        "prompt_tokens": usage["input"], "completion_tokens": usage["output"], "total_tokens": usage["input"] + usage["output"],
        "prompt_tokens_details": {"cached_tokens": usage["cached"], "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage["reasoning"], "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    }  # fmt: skip


def openai_chat(request: Request, azure: bool = False, deployment: str | None = None) -> Response:
    body = request.object
    messages = body.get("messages")
    if not isinstance(messages, list) or not (body.get("model") or deployment):
        told = {"message": "you must provide a model parameter" if not body.get("model") else "Missing required parameter: 'messages'.", "type": "invalid_request_error"}
        return error_response("azure" if azure else "openai", 400, told, None)
    model = body.get("model") or deployment
    prompt = text_of(messages[-1].get("content")) if messages else ""
    call, text = openai_tool_call(body), reply_to(prompt)
    created, identity = 1_700_000_000, "chatcmpl-fake%012d" % request.record.seq
    told_usage = usage_for(request)
    usage = openai_usage(told_usage)
    fields = list(OPENAI_FIELDS) if not azure else [("x-ms-region", "Sweden Central"), ("apim-request-id", "00000000-0000-0000-0000-000000000000")]
    if not body.get("stream"):
        message: dict[str, Any] = {"role": "assistant", "content": None if call else text, "refusal": None, "annotations": []}
        if call:
            message["tool_calls"] = [{"id": "call_fake0001", "type": "function", "function": call}]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if call else "stop"}
        if azure:
            choice["content_filter_results"] = {}
        return Response(200, counted(dumps({
            "id": identity, "object": "chat.completion", "created": created, "model": model, "choices": [choice], "usage": usage,
            "service_tier": "default", "system_fingerprint": "fp_fake",
        }), told_usage), fields)  # fmt: skip

    include_usage = asks_usage(body)

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        value: dict[str, Any] = {
            "id": identity, "object": "chat.completion.chunk", "created": created, "model": model,
            "service_tier": "default", "system_fingerprint": "fp_fake",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }  # fmt: skip
        if include_usage:
            value["usage"] = None
        return sse(value)

    def events() -> Iterator[bytes]:
        if azure:
            yield sse({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]})
        if call:
            yield chunk({"role": "assistant", "content": None, "tool_calls": [{"index": 0, "id": "call_fake0001", "type": "function", "function": {"name": call["name"], "arguments": ""}}]})
            arguments = call["arguments"]
            for at in range(0, len(arguments), 6):
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 6]}}]})
        else:
            yield chunk({"role": "assistant", "content": "", "refusal": None})
            for piece in words(text):
                yield chunk({"content": piece})
        yield chunk({}, "tool_calls" if call else "stop")
        if include_usage:
            yield counted(sse({
                "id": identity, "object": "chat.completion.chunk", "created": created, "model": model,
                "service_tier": "default", "system_fingerprint": "fp_fake", "choices": [], "usage": usage,
            }), told_usage)  # fmt: skip
        yield b"data: [DONE]\n\n"

    return Response(200, b"", fields, parts=events(), framing="chunked", content_type=EVENT_STREAM)


def openai_responses(request: Request) -> Response:
    body = request.object
    if "input" not in body or "model" not in body:
        return error_response("openai", 400, {"message": "Missing required parameter: 'input'.", "code": "missing_required_parameter"}, None)
    given = body["input"]
    prompt = given if isinstance(given, str) else text_of(given[-1]) if given else ""
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    answered = isinstance(given, list) and any(item.get("type") == "function_call_output" for item in given if isinstance(item, dict))
    identity = "resp_fake%012d" % request.record.seq
    text = reply_to(prompt)
    told_usage = usage_for(request)
    usage = told_usage and {
        "input_tokens": told_usage["input"], "input_tokens_details": {"cached_tokens": told_usage["cached"]}, "output_tokens": told_usage["output"],
        "output_tokens_details": {"reasoning_tokens": told_usage["reasoning"]}, "total_tokens": told_usage["input"] + told_usage["output"],
    }  # fmt: skip

    def response(status: str, output: list[Any], usage: Any) -> dict[str, Any]:
        return {
            "id": identity, "object": "response", "created_at": 1_700_000_000, "status": status, "background": False, "error": None,
            "incomplete_details": None, "instructions": body.get("instructions"), "max_output_tokens": None, "model": body["model"],
            "output": output, "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
            "store": True, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": body.get("tools") or [],
            "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": None, "metadata": {},
        }  # fmt: skip

    if tools and not answered:
        arguments = json.dumps(sample(tools[0].get("parameters", {})))
        item: dict[str, Any] = {"id": "fc_fake0001", "type": "function_call", "status": "completed", "call_id": "call_fake0001", "name": tools[0]["name"], "arguments": arguments}
    else:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        item = {"id": "msg_fake0001", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    if not body.get("stream"):
        return Response(200, counted(dumps(response("completed", [item], usage)), told_usage), OPENAI_FIELDS)

    def events() -> Iterator[bytes]:
        number = -1

        def event(kind: str, **more: Any) -> bytes:
            nonlocal number
            number += 1
            return sse({"type": kind, "sequence_number": number} | more, kind)

        yield event("response.created", response=response("in_progress", [], None))
        yield event("response.in_progress", response=response("in_progress", [], None))
        if item["type"] == "function_call":
            yield event("response.output_item.added", output_index=0, item=item | {"status": "in_progress", "arguments": ""})
            for at in range(0, len(item["arguments"]), 6):
                yield event("response.function_call_arguments.delta", item_id=item["id"], output_index=0, delta=item["arguments"][at : at + 6])
            yield event("response.function_call_arguments.done", item_id=item["id"], output_index=0, arguments=item["arguments"], name=item["name"])
        else:
            place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
            yield event("response.output_item.added", output_index=0, item=item | {"status": "in_progress", "content": []})
            yield event("response.content_part.added", part={"type": "output_text", "text": "", "annotations": [], "logprobs": []}, **place)
            for piece in words(text):
                yield event("response.output_text.delta", delta=piece, logprobs=[], **place)
            yield event("response.output_text.done", text=text, logprobs=[], **place)
            yield event("response.content_part.done", part=item["content"][0], **place)
        yield event("response.output_item.done", output_index=0, item=item)
        yield counted(event("response.completed", response=response("completed", [item], usage)), told_usage)

    return Response(200, b"", OPENAI_FIELDS, parts=events(), framing="chunked", content_type=EVENT_STREAM)


def openai_embeddings(request: Request) -> Response:
    body = request.object
    inputs = body.get("input")
    if isinstance(inputs, str) or (isinstance(inputs, list) and inputs and isinstance(inputs[0], int)):
        inputs = [inputs]
    if not inputs:
        return error_response("openai", 400, {"message": "'$.input' is invalid."}, None)
    size = int(body.get("dimensions") or 8)
    data = []
    for index, text in enumerate(inputs):
        digest = hashlib.sha256(repr(text).encode()).digest()
        vector = [digest[i % 32] / 256 for i in range(size)]
        encoded: Any = vector
        if body.get("encoding_format") == "base64":
            encoded = base64.b64encode(struct.pack("<%df" % size, *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": encoded})
    usage = usage_for(request, writes=False)
    said = usage and {"prompt_tokens": usage["input"], "total_tokens": usage["input"]}
    return Response(200, counted(dumps({"object": "list", "data": data, "model": body.get("model"), "usage": said}), usage), OPENAI_FIELDS)


def openai_completions(request: Request) -> Response:
    body = request.object
    if "prompt" not in body or "model" not in body:
        return error_response("openai", 400, {"message": "you must provide a model parameter"}, None)
    prompt = body["prompt"][0] if isinstance(body["prompt"], list) and body["prompt"] else body["prompt"]
    text, told_usage = reply_to(str(prompt)), usage_for(request)

    def answer(piece: str, finish: str | None, **more: Any) -> dict[str, Any]:
        choice = {"text": piece, "index": 0, "logprobs": None, "finish_reason": finish}
        return {"id": "cmpl-fake%012d" % request.record.seq, "object": "text_completion", "created": 1_700_000_000, "model": body["model"], "choices": [choice]} | more

    if not body.get("stream"):
        return Response(200, counted(dumps(answer(text, "stop", usage=openai_usage(told_usage))), told_usage), OPENAI_FIELDS)
    nothing = {"usage": None} if asks_usage(body) else {}

    def events() -> Iterator[bytes]:
        for piece in words(text):
            yield sse(answer(piece, None, **nothing))
        yield sse(answer("", "stop", **nothing))
        if asks_usage(body):
            yield counted(sse(answer("", None, choices=[], usage=openai_usage(told_usage))), told_usage)
        yield b"data: [DONE]\n\n"

    return Response(200, b"", OPENAI_FIELDS, parts=events(), framing="chunked", content_type=EVENT_STREAM)


def openai_images(request: Request) -> Response:
    body = request.object
    if "prompt" not in body:
        return error_response("openai", 400, {"message": "Missing required parameter: 'prompt'."}, None)
    picture = base64.b64encode(pattern(request.record.seq, int(request.told.get("image_bytes", 3000)))).decode()
    usage = usage_for(request)
    if usage:
        usage |= {"cached": 0, "reasoning": 0}
    said = usage and {
        "total_tokens": usage["input"] + usage["output"], "input_tokens": usage["input"], "output_tokens": usage["output"],
        "input_tokens_details": {"text_tokens": usage["input"], "image_tokens": 0},
    }  # fmt: skip
    if not body.get("stream"):
        return Response(200, counted(dumps({"created": 1_700_000_000, "data": [{"b64_json": picture}], "output_format": "png", "usage": said}), usage), OPENAI_FIELDS)

    def events() -> Iterator[bytes]:
        for index in range(int(body.get("partial_images") or 1)):
            kind = "image_generation.partial_image"
            yield sse({"type": kind, "b64_json": picture, "partial_image_index": index, "created_at": 1_700_000_000}, kind)
        kind = "image_generation.completed"
        yield counted(sse({"type": kind, "b64_json": picture, "created_at": 1_700_000_000, "usage": said}, kind), usage)

    return Response(200, b"", OPENAI_FIELDS, parts=events(), framing="chunked", content_type=EVENT_STREAM)


def openai_transcription(request: Request) -> Response:
    form = {name: content.decode("utf-8", "replace") for name, (_, content) in multipart(request).items()} or request.object
    if "model" not in form:
        return error_response("openai", 400, {"message": "you must provide a model parameter"}, None)
    text = "Hello from the fake provider."
    if form.get("response_format") in ("text", "srt", "vtt"):
        return Response(200, text.encode() + b"\n", OPENAI_FIELDS, content_type="text/plain; charset=utf-8")
    usage = usage_for(request)
    if usage:
        usage |= {"cached": 0, "reasoning": 0}
    said: Any = usage and {
        "type": "tokens", "input_tokens": usage["input"], "input_token_details": {"text_tokens": 0, "audio_tokens": usage["input"]},
        "output_tokens": usage["output"], "total_tokens": usage["input"] + usage["output"],
    }  # fmt: skip
    if request.told.get("by_duration"):
        usage, said = None, {"type": "duration", "seconds": 9}
    if form.get("stream") not in ("true", True):
        return Response(200, counted(dumps({"text": text, "usage": said}), usage), OPENAI_FIELDS)

    def events() -> Iterator[bytes]:
        for piece in words(text):
            yield sse({"type": "transcript.text.delta", "delta": piece, "logprobs": []})
        yield counted(sse({"type": "transcript.text.done", "text": text, "logprobs": [], "usage": said}), usage)
        yield b"data: [DONE]\n\n"

    return Response(200, b"", OPENAI_FIELDS, parts=events(), framing="chunked", content_type=EVENT_STREAM)


OPENAI_MODELS = ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]
ANTHROPIC_MODELS = [("claude-sonnet-4-5", "Claude Sonnet 4.5"), ("claude-haiku-4-5", "Claude Haiku 4.5")]
GEMINI_MODELS = ["gemini-2.5-flash", "gemini-2.5-pro"]


def openai_models(request: Request, name: str | None) -> Response:
    made = [{"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "fake"} for model in OPENAI_MODELS]
    if name is None:
        return Response(200, {"object": "list", "data": made}, OPENAI_FIELDS)
    for model in made:
        if model["id"] == name:
            return Response(200, model, OPENAI_FIELDS)
    return error_response("openai", 404, {"message": f"The model '{name}' does not exist"}, None)


def multipart(request: Request) -> dict[str, tuple[str | None, bytes]]:
    """The parts of a form: name → (file name, content)."""
    kind = request.names.get("content-type", "")
    boundary = kind.partition("boundary=")[2].partition(";")[0].strip('"').encode()
    found: dict[str, tuple[str | None, bytes]] = {}
    if not boundary:
        return found
    for piece in (b"\r\n" + request.body).split(b"\r\n--" + boundary)[1:]:
        head, _, content = piece.partition(b"\r\n\r\n")
        disposition = next((line for line in head.decode("utf-8", "replace").split("\r\n") if line.lower().startswith("content-disposition")), "")
        values = {}
        for item in disposition.split(";")[1:]:
            name, _, value = item.strip().partition("=")
            values[name] = value.strip('"')
        if "name" in values:
            found[values["name"]] = (values.get("filename"), content)
    return found


def openai_files(provider: "Provider", request: Request, rest: list[str]) -> Response:
    files = provider.files
    if not rest and request.method == "POST":
        form = multipart(request)
        if "file" not in form or "purpose" not in form:
            return error_response("openai", 400, {"message": "'file' is a required property"}, None)
        name, content = form["file"]
        identity = "file-fake%08d" % (len(files) + 1)
        made = {
            "id": identity, "object": "file", "bytes": len(content), "created_at": 1_700_000_000, "filename": name,
            "purpose": form["purpose"][1].decode(), "status": "processed", "expires_at": None, "status_details": None,
        }  # fmt: skip
        files[identity] = (made, content)
        return Response(200, made, OPENAI_FIELDS)
    if not rest:
        listed = [made for made, _ in files.values()]
        return Response(200, {
            "object": "list", "data": listed, "has_more": False,
            "first_id": listed[0]["id"] if listed else None, "last_id": listed[-1]["id"] if listed else None,
        }, OPENAI_FIELDS)  # fmt: skip
    if rest[0] not in files:
        return error_response("openai", 404, {"message": f"No such File object: {rest[0]}", "code": None}, None)
    made, content = files[rest[0]]
    if rest[1:] == ["content"]:
        disposition = ("Content-Disposition", f'attachment; filename="{made["filename"]}"')
        return Response(200, content, [*OPENAI_FIELDS, disposition], content_type="application/octet-stream")
    if request.method == "DELETE":
        del files[rest[0]]
        return Response(200, {"object": "file", "id": rest[0], "deleted": True}, OPENAI_FIELDS)
    return Response(200, made, OPENAI_FIELDS)


# Anthropic

ANTHROPIC_FIELDS = [
    ("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy"),
    ("anthropic-organization-id", "00000000-0000-0000-0000-000000000000"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
    ("anthropic-ratelimit-requests-reset", "2030-01-01T00:00:00Z"),
]


def anthropic_messages(request: Request) -> Response:
    body = request.object
    for member in ("model", "max_tokens", "messages"):
        if member not in body:
            return error_response("anthropic", 400, {"message": f"{member}: Field required"}, None)
    if "anthropic-version" not in request.names:
        return error_response("anthropic", 400, {"message": "anthropic-version: header is required"}, None)
    messages = body["messages"]
    last = messages[-1].get("content") if messages else ""
    prompt, text = text_of(last), ""
    text = reply_to(prompt)
    tools = body.get("tools") or []
    answered = isinstance(last, list) and any(isinstance(part, dict) and part.get("type") == "tool_result" for part in last)
    tool = tools[0] if tools and not answered and (body.get("tool_choice") or {}).get("type") != "none" else None
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if tool:
        content = [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "toolu_fake0001", "name": tool["name"], "input": sample(tool.get("input_schema", {}))}]
    told_usage = usage_for(request)
    if told_usage:
        told_usage["reasoning"] = 0  # Anthropic does not tell it apart.
    stop = "tool_use" if tool else "end_turn"
    identity = "msg_fake%012d" % request.record.seq

    def usage(output: int | None = None) -> dict[str, Any] | None:
        if not told_usage:
            return None
        written = (told_usage["input"] - told_usage["cached"]) // 4
        return {
            "input_tokens": told_usage["input"] - told_usage["cached"] - written, "cache_creation_input_tokens": written,
            "cache_read_input_tokens": told_usage["cached"], "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": told_usage["output"] if output is None else output, "service_tier": "standard",
        }  # fmt: skip

    head = {"model": body["model"], "id": identity, "type": "message", "role": "assistant"}
    if not body.get("stream"):
        return Response(200, counted(dumps(head | {"content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage()}), told_usage), ANTHROPIC_FIELDS)

    def events() -> Iterator[bytes]:
        start = {"type": "message_start", "message": head | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage(1)}}
        yield counted(sse(start, "message_start"), told_usage and told_usage | {"output": 1})
        for index, block in enumerate(content):
            empty = block | ({"text": ""} if block["type"] == "text" else {"input": {}})
            yield sse({"type": "content_block_start", "index": index, "content_block": empty}, "content_block_start")
            if index == 0:
                yield sse({"type": "ping"}, "ping")
            if block["type"] == "text":
                for piece in words(block["text"]):
                    yield sse({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}, "content_block_delta")
            else:
                raw = json.dumps(block["input"])
                for piece in [""] + [raw[at : at + 6] for at in range(0, len(raw), 6)]:
                    yield sse({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": piece}}, "content_block_delta")
            yield sse({"type": "content_block_stop", "index": index}, "content_block_stop")
        end = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": told_usage and {"output_tokens": told_usage["output"]}}
        yield counted(sse(end, "message_delta"), told_usage)
        yield sse({"type": "message_stop"}, "message_stop")

    return Response(200, b"", ANTHROPIC_FIELDS, parts=events(), framing="chunked", content_type=EVENT_STREAM)


def anthropic_models(name: str | None) -> Response:
    made = [{"type": "model", "id": model, "display_name": shown, "created_at": "2025-09-29T00:00:00Z"} for model, shown in ANTHROPIC_MODELS]
    if name is None:
        return Response(200, {"data": made, "has_more": False, "first_id": made[0]["id"], "last_id": made[-1]["id"]}, ANTHROPIC_FIELDS)
    for model in made:
        if model["id"] == name:
            return Response(200, model, ANTHROPIC_FIELDS)
    return error_response("anthropic", 404, {"message": f"model: {name}"}, None)


# Gemini

GEMINI_FIELDS = [("Vary", "Origin"), ("Vary", "X-Origin"), ("Vary", "Referer"), ("Server", "scaffolding on HTTPServer2"), ("X-Frame-Options", "SAMEORIGIN")]


def gemini_generate(request: Request, model: str, method: str) -> Response:
    body = request.object
    contents = body.get("contents")
    if method == "countTokens":
        used = tokens(text_of(contents) if contents else text_of((body.get("generateContentRequest") or {}).get("contents") or []))
        return Response(200, {"totalTokens": used, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used}]}, GEMINI_FIELDS)
    if method in ("embedContent", "batchEmbedContents"):
        made = {"values": [0.1, 0.2, 0.3]}
        return Response(200, {"embedding": made} if method == "embedContent" else {"embeddings": [made for _ in body.get("requests", [])]}, GEMINI_FIELDS)
    if not contents:
        return error_response("gemini", 400, {"message": "* GenerateContentRequest.contents: contents is not specified\n"}, model)
    if isinstance(contents, dict):
        contents = [contents]
    last = contents[-1].get("parts") or []
    prompt = text_of(last)
    declared = [f for tool in body.get("tools") or [] for f in tool.get("functionDeclarations") or tool.get("function_declarations") or []]
    answered = any("functionResponse" in part for part in last if isinstance(part, dict))
    text = reply_to(prompt)
    told_usage = usage_for(request)
    identity = "fake%012d" % request.record.seq

    def answer(parts: list[Any], finish: str | None, share: float = 1) -> tuple[dict[str, Any], dict[str, int] | None]:
        """A chunk, and the usage that it tells of: of what is shown, `share` has been written so far."""
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
        if finish:
            candidate["finishReason"] = finish
        candidate["index"] = 0
        made: dict[str, Any] = {"candidates": [candidate]}
        usage = None
        if told_usage:
            used, thoughts = told_usage["input"], told_usage["reasoning"]
            shown = int((told_usage["output"] - thoughts) * share)
            usage = told_usage | {"output": shown + thoughts}
            made["usageMetadata"] = {
                "promptTokenCount": used, "candidatesTokenCount": shown, "totalTokenCount": used + shown + thoughts,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used}], "thoughtsTokenCount": thoughts,
                "cachedContentTokenCount": told_usage["cached"],
            }  # fmt: skip
        return made | {"modelVersion": model, "responseId": identity}, usage

    if declared and not answered:
        schema = declared[0].get("parameters") or declared[0].get("parametersJsonSchema") or declared[0].get("parameters_json_schema") or {}
        answers = [answer([{"functionCall": {"name": declared[0]["name"], "args": sample(schema)}}], "STOP")]
    elif method == "generateContent":
        answers = [answer([{"text": text}], "STOP")]
    else:
        pieces = words(text)
        answers = [
            answer([{"text": piece}], "STOP" if index == len(pieces) - 1 else None, (index + 1) / len(pieces))
            for index, piece in enumerate(pieces)
        ]
    member = b'"usageMetadata":'
    if method == "generateContent":
        return Response(200, counted(dumps(answers[0][0]), answers[0][1], member), GEMINI_FIELDS, content_type="application/json; charset=UTF-8")
    if request.arguments.get("alt") == "sse":
        events = [counted(b"data: " + dumps(made) + b"\r\n\r\n", usage, member) for made, usage in answers]
        return Response(200, b"", [("Content-Disposition", "attachment"), *GEMINI_FIELDS], parts=events, framing="chunked", content_type="text/event-stream")
    elements = [
        counted((b"[" if index == 0 else b",\r\n") + json.dumps(made, indent=2).encode(), usage, member) for index, (made, usage) in enumerate(answers)
    ]
    return Response(200, b"", GEMINI_FIELDS, parts=[*elements, b"]\n"], framing="chunked", content_type="application/json; charset=UTF-8")


def gemini_models(name: str | None) -> Response:
    made = [{
        "name": f"models/{model}", "version": "001", "displayName": model, "description": "A fake model.", "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536, "supportedGenerationMethods": ["generateContent", "countTokens"], "temperature": 1, "topP": 0.95, "topK": 64,
    } for model in GEMINI_MODELS]  # fmt: skip
    if name is None:
        return Response(200, {"models": made}, GEMINI_FIELDS)
    for model in made:
        if model["name"] == f"models/{name}":
            return Response(200, model, GEMINI_FIELDS)
    return error_response("gemini", 404, {"message": f"models/{name} is not found for API version v1beta"}, None)


# A stream that fails


def start_then_fail(request: Request, usual: Response) -> Response:
    """The start of a stream and then an error inside the 200, before any content or, told `content`, behind so many events of it."""
    told, dialect, path = request.told, request.record.dialect, request.path
    error, message = told.get("error"), told.get("message", "The stream has failed.")
    parts = iter(usual.parts or [])
    start: list[bytes] = []
    if dialect == "anthropic":
        start = list(itertools.islice(parts, 3))
        end = sse({"type": "error", "error": {"type": error or "overloaded_error", "message": message}}, "error")
    elif dialect == "gemini":
        status = int(told.get("status", 503))
        failed = {"error": {"code": status, "message": message, "status": error or GEMINI_ERRORS.get(status, "UNKNOWN")}}
        end = b"data: " + dumps(failed) + b"\r\n\r\n"
        if request.arguments.get("alt") != "sse":
            end = (b",\r\n" if told.get("content") else b"[") + dumps(failed) + b"]\n"
    elif path.endswith("/responses"):
        start = list(itertools.islice(parts, 4))
        kind = told.get("event", "response.failed")
        failed = {"code": error or "rate_limit_exceeded", "message": message}
        end = sse({"type": kind, "sequence_number": len(start)} | (failed | {"param": None} if kind == "error" else {"response": {"id": "resp_fake", "object": "response", "status": "failed", "error": failed, "output": [], "usage": None}}), kind)
    else:
        start = list(itertools.islice(parts, 0 if path.endswith("/v1/completions") else 2 if dialect == "azure" else 1))
        # OpenRouter's code is a number.
        kind = error if isinstance(error, str) else "rate_limit_exceeded"
        end = sse({"error": {"message": message, "type": told.get("type", "insufficient_quota" if kind == "insufficient_quota" else "server_error"), "param": None, "code": error or kind}})
    usual.parts = [*start, *itertools.islice(parts, int(told.get("content", 0))), end]
    return usual


# Plain REST

PLAIN = {
    "echo", "bytes", "chunked", "gzip", "redirect", "set-cookie", "status", "drip", "closedelimited", "weather", "fields", "trailers", "sse",
}  # fmt: skip


def pieces_of(length: int, size: int = 65536) -> Iterator[bytes]:
    offset = 0
    while offset < length:
        piece = pattern(offset, min(size, length - offset))
        yield piece
        offset += len(piece)


async def slowly(parts: Iterable[bytes], seconds: float) -> AsyncIterator[bytes]:
    for index, part in enumerate(parts):
        if index and seconds:
            await asyncio.sleep(seconds)
        yield part


def plain(provider: "Provider", request: Request, name: str, rest: list[str]) -> Response:
    arguments = request.arguments

    def number(at: int = 0, usual: int = 0) -> int:
        return int(rest[at]) if len(rest) > at and rest[at].isdigit() else usual

    if name == "echo":
        record = request.record
        return Response(int(arguments.get("status", 200)), {
            "method": request.method, "target": request.target, "headers": request.fields, "body_length": record.body_length,
            "body_sha256": record.body_sha256, "body": request.body[:4096].decode("utf-8", "replace"), "key": record.key,
        })  # fmt: skip
    if name == "bytes":
        length = number()
        return Response(200, b"", parts=pieces_of(length), length=length, content_type="application/octet-stream")
    if name == "chunked":
        return Response(200, b"", parts=pieces_of(number(), int(arguments.get("size", 65536))), framing="chunked", content_type="application/octet-stream")
    if name == "gzip":
        data = gzip.compress(pattern(0, number(0, 1000)), mtime=0)
        return Response(200, data, [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")], content_type="application/octet-stream")
    if name == "redirect":
        return Response(int(arguments.get("status", 302)), b"", [("Location", arguments.get("to", "/echo"))], content_type=None)
    if name == "set-cookie":
        return Response(200, {"ok": True}, [("Set-Cookie", "session=abc; Path=/; HttpOnly"), ("Set-Cookie", "other=def"), ("X-After", "kept")])
    if name == "status":
        status = number(0, 200)
        bodyless = status in (204, 205, 304) or status < 200
        return Response(status, b"" if bodyless else {"status": status}, content_type=None if bodyless else "application/json")
    if name == "drip":
        count, pause = int(arguments.get("n", 5)), int(arguments.get("ms", 50)) / 1000
        return Response(200, b"", parts=slowly((b"drop %d\n" % i for i in range(count)), pause), framing="chunked", content_type="text/plain")
    if name == "sse":
        count, pause = int(arguments.get("n", 5)), int(arguments.get("ms", 0)) / 1000
        return Response(200, b"", parts=slowly((sse({"n": i}) for i in range(count)), pause), framing="chunked", content_type="text/event-stream")
    if name == "closedelimited":
        response = Response(200, b"", parts=pieces_of(number(0, int(arguments.get("n", 1000)))), framing="close", content_type="application/octet-stream")
        response.end = arguments.get("end", "fin")
        return response
    if name == "fields":
        return Response(200, {"ok": True}, [
            ("X-Dup", "one"), ("x-dup", "two"), ("X-MiXeD-CaSe", "kept As Is"), ("Vary", "Origin"), ("Vary", "Accept"),
            ("Link", "</a>; rel=next"), ("Link", "</b>; rel=prev"), ("X-Empty", ""), ("Server", "fake/1"), ("X-Latin", "caf\u00e9"),
        ])  # fmt: skip
    if name == "trailers":
        return Response(200, b"", [("Trailer", "X-Sum")], parts=[b"hello ", b"world"], framing="chunked", trailers=[("X-Sum", "42")], content_type="text/plain")
    if name == "weather":
        if request.record.key is None:
            return Response(401, {"cod": 401, "message": "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info."})
        place = arguments.get("q", "Paris")
        return Response(200, {"name": place, "weather": [{"id": 800, "main": "Clear", "description": "clear sky"}], "main": {"temp": 21.5, "humidity": 40}, "cod": 200})
    raise AssertionError(name)


# --- The provider: keys, scripts, records -----------------------------------------------------------------------------


class Provider:
    def __init__(self) -> None:
        self.connections: dict[int, "Connection"] = {}
        self.connection_count = 0
        self.request_count = 0
        self.changed = asyncio.Condition()
        self.stopped: asyncio.Event | None = None
        self.reset()

    def reset(self) -> None:
        self.records: list[Record] = []
        self.scripts: dict[str, list[dict[str, Any]]] = {}
        self.gates: dict[str, asyncio.Semaphore] = {}
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.closed: list[dict[str, Any]] = []

    def gate(self, name: str) -> asyncio.Semaphore:
        return self.gates.setdefault(name, asyncio.Semaphore(0))

    # Who is asking, in which dialect

    @staticmethod
    def dialect(request: Request) -> str:
        path = request.path
        if PLAIN.intersection(path.split("/")[1:3]):
            return "generic"
        if path.startswith("/v1beta/openai/"):
            return "openai"
        if path.startswith("/v1beta/") or (path.startswith("/v1/models/") and ":" in path):
            return "gemini"
        if path.startswith("/v1/models") and ("x-goog-api-key" in request.names or "key" in request.arguments):
            return "gemini"
        if path.startswith("/openai/"):
            return "azure"
        if path.startswith("/v1/messages"):
            return "anthropic"
        if path.startswith("/v1/models") and ("anthropic-version" in request.names or "x-api-key" in request.names):
            return "anthropic"
        if path.startswith("/v1/"):
            return "openai"
        return "generic"

    @staticmethod
    def key(request: Request, dialect: str) -> tuple[str | None, str | None]:
        names, bearer = request.names, request.names.get("authorization", "")
        bearer = bearer[7:].strip() if bearer[:7].lower() == "bearer " else ""
        places = {
            "bearer": bearer,
            "x-api-key": names.get("x-api-key"),
            "x-goog-api-key": names.get("x-goog-api-key"),
            "api-key": names.get("api-key"),
        }
        order = {
            "openai": ["bearer"],
            "anthropic": ["x-api-key", "bearer"],
            "gemini": ["x-goog-api-key", "?key"],
            "azure": ["api-key", "bearer"],
            "generic": ["bearer", "x-api-key", "x-goog-api-key", "api-key", "?key", "?api_key", "?apikey", "?appid", "x-key"],
        }[dialect]
        for place in order:
            value = request.arguments.get(place[1:]) if place[0] == "?" else places[place] if place in places else names.get(place)
            if value:
                return value, place
        return None, None

    # What a key was told to do

    def behaviour(self, record: Record, with_body: bool) -> dict[str, Any] | None:
        """The next behaviour of the request's key; None: the request's model must be known first."""
        for name in (record.key or "", "*"):
            for entry in self.scripts.get(name, ()):
                if entry["times"] == 0:
                    continue
                if "path" in entry and entry["path"] not in record.target:
                    continue
                if "method" in entry and entry["method"] != record.method:
                    continue
                if "model" in entry:
                    if record.model is None and not with_body:
                        return None
                    if entry["model"] != record.model:
                        continue
                if entry["times"] > 0:
                    entry["times"] -= 1
                return entry
        return {"do": "ok"}

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # Routing

    def answer(self, request: Request) -> Response:
        dialect = request.record.dialect
        parts = [urllib.parse.unquote(part) for part in request.path.split("/")[1:]]
        if dialect != "generic" and request.record.key is None:
            told = {"message": "You didn't provide an API key."} if dialect == "openai" else {"message": "x-api-key header is required"} if dialect == "anthropic" else {}
            return error_response(dialect, 401, told, None)
        if dialect == "openai":
            rest = parts[2:] if parts[:2] == ["v1beta", "openai"] else parts[1:]
            if rest == ["chat", "completions"] and request.method == "POST":
                return openai_chat(request)
            if rest == ["responses"] and request.method == "POST":
                return openai_responses(request)
            if rest == ["embeddings"] and request.method == "POST":
                return openai_embeddings(request)
            if rest == ["completions"] and request.method == "POST":
                return openai_completions(request)
            if rest == ["images", "generations"] and request.method == "POST":
                return openai_images(request)
            if rest in (["audio", "transcriptions"], ["audio", "translations"]) and request.method == "POST":
                return openai_transcription(request)
            if rest[:1] == ["models"] and len(rest) <= 2:
                return openai_models(request, rest[1] if rest[1:] else None)
            if rest[:1] == ["files"]:
                return openai_files(self, request, rest[1:])
        elif dialect == "anthropic":
            if parts == ["v1", "messages"] and request.method == "POST":
                return anthropic_messages(request)
            if parts == ["v1", "messages", "count_tokens"] and request.method == "POST":
                return Response(200, {"input_tokens": sum(tokens(text_of(m.get("content"))) for m in request.object.get("messages") or [])}, ANTHROPIC_FIELDS)
            if parts[:2] == ["v1", "models"] and len(parts) <= 3:
                return anthropic_models(parts[2] if parts[2:] else None)
        elif dialect == "gemini":
            if parts[1:2] == ["models"] and len(parts) <= 3:
                name, colon, method = (parts[2] if parts[2:] else "").partition(":")
                if colon and method in ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"):
                    return gemini_generate(request, name, method)
                if not colon:
                    return gemini_models(name or None)
        elif dialect == "azure":
            if parts[1:2] == ["deployments"] and parts[3:] == ["chat", "completions"]:
                if "api-version" not in request.arguments:
                    return error_response("azure", 404, {"message": "Resource not found"}, None)
                return openai_chat(request, azure=True, deployment=parts[2])
            if parts[1:] == ["v1", "chat", "completions"]:
                return openai_chat(request, azure=True)
        for index, part in enumerate(parts):
            if part in PLAIN:
                return plain(self, request, part, parts[index + 1 :])
        if request.path == "/":
            return Response(200, {"service": "fake provider"})
        return error_response(dialect, 404, {"message": f"Unknown request URL: {request.method} {request.path}.", "code": "unknown_url"} if dialect == "openai" else {}, None)

    # What was told of usage

    def usage(self) -> dict[str, Any]:
        """Sums of the usage that readers were told, in all, by key and by model. `known` is how many of the requests were told any."""

        def none() -> dict[str, int]:
            return {"requests": 0, "known": 0, "input": 0, "output": 0, "cached": 0, "reasoning": 0}

        total, by_key, by_model = none(), {}, {}
        for record in self.records:
            for sums in (total, by_key.setdefault(record.key or "", none()), by_model.setdefault(record.model or "", none())):
                sums["requests"] += 1
                sums["known"] += record.usage is not None
                for name, count in (record.usage or {}).items():
                    sums[name] += count
        return {"total": total, "by_key": by_key, "by_model": by_model}

    # Control

    async def control(self, request: Request) -> Response:
        what, arguments = request.path.removeprefix("/__control/"), request.arguments
        if what == "reset" and request.method == "POST":
            self.reset()
            return Response(200, {"ok": True})
        if what == "keys":
            if request.method == "GET":
                return Response(200, {"keys": self.scripts})
            given = request.json
            for one in given if isinstance(given, list) else [given]:
                script = []
                for entry in one.get("script", []):
                    entry = {"do": entry} if isinstance(entry, str) else dict(entry)
                    entry["do"] = str(entry.get("do", "ok"))
                    if entry["do"] not in BEHAVIOURS and not entry["do"].isdigit():
                        return Response(400, {"error": f"no such behaviour: {entry['do']}"})
                    entry.setdefault("times", 1)
                    script.append(entry)
                if one.get("append"):
                    script = self.scripts.get(one["key"], []) + script
                self.scripts[one["key"]] = script
            return Response(200, {"ok": True})
        if what == "step":
            given = request.object
            gate = self.gate(str(given.get("gate", "default")))
            for _ in range(int(given.get("n", 1))):
                gate.release()
            return Response(200, {"ok": True})
        if what == "requests":
            since, slim = int(arguments.get("since", 0)), arguments.get("slim") == "1"
            shown = [r.shown(slim) for r in self.records if r.seq > since and ("key" not in arguments or r.key == arguments["key"])]
            return Response(200, {"now": time.time(), "requests": shown})
        if what == "counts":
            by_key: dict[str, int] = {}
            for record in self.records:
                by_key[record.key or ""] = by_key.get(record.key or "", 0) + 1
            return Response(200, {"total": len(self.records), "by_key": by_key})
        if what == "usage":
            return Response(200, self.usage())
        if what == "connections":
            live = [c.shown() for c in self.connections.values() if not c.control]
            return Response(200, {"open": live, "closed": self.closed, "opened_ever": self.connection_count})
        if what == "wait":
            given = request.object
            until = time.monotonic() + float(given.get("timeout", 5))

            def reached() -> bool:
                if "requests" in given and len(self.records) < given["requests"]:
                    return False
                if "complete" in given and sum(r.body_complete_at is not None for r in self.records) < given["complete"]:
                    return False
                if "gone" in given and sum(r.gone_at is not None for r in self.records) < given["gone"]:
                    return False
                return True

            while not reached() and time.monotonic() < until:
                await asyncio.sleep(0.005)
            return Response(200, {"ok": reached()})
        if what == "shutdown" and request.method == "POST":
            assert self.stopped
            self.stopped.set()
            return Response(200, {"ok": True})
        return Response(404, {"error": "no such control call"})


BEHAVIOURS = {
    "ok", "gate", "hang", "hang_after_head", "cut", "reset", "drip", "garbage", "slow_head", "informational", "early", "raw", "key_invalid",
    "suspended", "insufficient_quota", "truncated_length", "start_then_fail",
}  # fmt: skip


# --- One connection ---------------------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    def __init__(self, provider: Provider, tls: bool):
        self.provider, self.tls = provider, tls
        self.buffer = bytearray()
        self.ended = self.lost = self.control = False
        self.record: Record | None = None
        self.received = 0
        self.requests = 0
        self.opened_at, self.closed_at = time.time(), None
        self._arrival: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._paused = self._reading_paused = False

    # What the event loop tells us

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        transport.set_write_buffer_limits(high=WRITE_AHEAD_MAX)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.provider.connection_count += 1
        self.number = self.provider.connection_count
        self.provider.connections[self.number] = self
        self.task = self.loop.create_task(self.serve())

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.buffer += data
        if len(self.buffer) > 4 * HEAD_BYTES_MAX and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._note_gone()
        self._wake()
        return not self.tls

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = self.lost = True
        self.closed_at = time.time()
        self._note_gone()
        self._wake()
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self.provider.connections.pop(self.number, None)
        if not self.control:
            self.provider.closed.append(self.shown())

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writable and not self._writable.done():
            self._writable.set_result(None)

    def _wake(self) -> None:
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    def _note_gone(self) -> None:
        self._gone.set()
        if self.record and self.record.finished_at is None and self.record.gone_at is None:
            self.record.gone_at = time.time()

    def shown(self) -> dict[str, Any]:
        return {
            "connection": self.number, "opened_at": self.opened_at, "closed_at": self.closed_at, "requests": self.requests,
            "bytes_received": self.received, "ended": self.ended, "unread_b64": base64.b64encode(bytes(self.buffer[:4096])).decode(),
        }  # fmt: skip

    # Reading

    async def more(self) -> None:
        """Waits for bytes; raises Gone when none will come."""
        if self.ended:
            raise Gone
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        self._arrival = self.loop.create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    async def line(self) -> bytes:
        while (at := self.buffer.find(b"\n")) < 0:
            await self.more()
        line = bytes(self.buffer[: at + 1])
        del self.buffer[: at + 1]
        return line

    async def head(self) -> Record:
        scanned = 0
        while True:
            at = self.buffer.find(b"\r\n\r\n", max(0, scanned - 3))
            if at >= 0:
                break
            scanned = len(self.buffer)
            await self.more()
        raw = bytes(self.buffer[: at + 4])
        del self.buffer[: at + 4]
        self.provider.request_count += 1
        record = Record(self.provider.request_count, self.number, self.tls, raw)
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        words_ = first.split(" ")
        if len(words_) == 3:
            record.method, record.target, record.version = words_
        else:
            record.method, record.target, record.version = words_[0], " ".join(words_[1:-1]), words_[-1]
            record.anomalies.append("request line")
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                record.anomalies.append("field line: " + line)
            record.fields.append((name, value.strip(" \t")))
        if "\n" in first or any("\n" in line or "\r" in line for line in lines):
            record.anomalies.append("bare CR or LF")
        return record

    async def body(self, request: Request) -> bytes:
        """Reads the body by its framing. The record grows while it comes, so that a test can watch."""
        record, kept, digest = request.record, bytearray(), hashlib.sha256()

        def take(piece: bytes) -> None:
            digest.update(piece)
            record.body_length += len(piece)
            if len(kept) < BODY_KEPT_MAX:
                kept.extend(piece)
            if len(record.body) < BODY_SHOWN_MAX:
                record.body = bytes(kept[:BODY_SHOWN_MAX])

        codings = [value for name, value in record.fields if name.lower() == "transfer-encoding"]
        lengths = [value for name, value in record.fields if name.lower() == "content-length"]
        if codings and lengths:
            record.anomalies.append("Content-Length with Transfer-Encoding")
        if len(lengths) > 1:
            record.anomalies.append("several Content-Length")
        if codings:
            if codings != ["chunked"]:
                record.anomalies.append("Transfer-Encoding: " + ", ".join(codings))
            while True:
                line = await self.line()
                if len(record.body_raw_start) < 4096:
                    record.body_raw_start += line
                left = int(line.split(b";")[0].strip(), 16)
                if left == 0:
                    break
                while left:
                    if not self.buffer:
                        await self.more()
                    piece = bytes(self.buffer[:left])
                    del self.buffer[: len(piece)]
                    if len(record.body_raw_start) < 4096:
                        record.body_raw_start += piece
                    left -= len(piece)
                    take(piece)
                if await self.line() != b"\r\n":
                    record.anomalies.append("chunk end")
            while (line := await self.line()) not in (b"\r\n", b"\n"):
                name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
                record.trailers.append((name, value.strip()))
        elif lengths:
            left = int(lengths[0])
            while left:
                if not self.buffer:
                    await self.more()
                piece = bytes(self.buffer[:left])
                del self.buffer[: len(piece)]
                left -= len(piece)
                take(piece)
        record.body_sha256 = digest.hexdigest()
        record.body_complete_at = time.time()
        request.body = bytes(kept)
        return request.body

    # Writing

    async def write(self, data: bytes) -> None:
        if self.lost or self.transport.is_closing():
            raise Gone
        self.transport.write(data)
        if self.record:
            self.record.bytes_sent += len(data)
        if self._paused:
            await self.drained()

    async def drained(self) -> None:
        while self._paused and not self.lost:
            self._writable = self.loop.create_future()
            await self._writable
        if self.lost:
            raise Gone

    async def until_gone(self) -> None:
        await self._gone.wait()
        raise Gone

    async def cut(self, how: str) -> None:
        """Ends the connection: `fin` after what was written, `rst` at once."""
        if self.record:
            self.record.finished_at = time.time()
        if how == "rst":
            await asyncio.sleep(0.02)  # let what was written leave first
            raw = self.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()
        raise Gone

    # The exchange

    async def serve(self) -> None:
        try:
            while await self.exchange():
                pass
            self.transport.close()
        except Gone:
            if not self.lost:
                self.transport.close()
        except Exception as error:  # a bug here must show, not hang a test
            print(f"fake provider: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self.transport.abort()

    async def exchange(self) -> bool:
        """Serves one request; says whether the connection stays open."""
        provider = self.provider
        self.record = None
        record = await self.head()
        self.requests += 1
        request = Request(record)
        if request.path.startswith("/__control/"):
            self.control = True
            await self.body(request)
            await self.send(request, await provider.control(request), {"do": "ok"})
            return True

        self.record = record
        record.dialect = provider.dialect(request)
        record.key, record.key_source = provider.key(request, record.dialect)
        if record.dialect == "gemini" and ":" in request.path:
            record.model = urllib.parse.unquote(request.path.rpartition("/")[2].partition(":")[0])
        elif record.dialect == "azure" and "/deployments/" in request.path:
            record.model = urllib.parse.unquote(request.path.split("/")[3])
        provider.records.append(record)
        told = provider.behaviour(record, with_body=False)
        if "x-fake-do" in request.names:
            told = {"do": "ok"} | json.loads(request.names["x-fake-do"])
        if told and told["do"] == "early":
            record.behaviour = "early"
            response = error_response(record.dialect, int(told.get("status", 200)), told, record.model)
            if told.get("close", True):
                response.fields.append(("Connection", "close"))
            await self.send(request, response, {"do": "ok"})
            if told.get("read_rest", True):
                await self.body(request)
            if told.get("close", True):
                return False
            return True
        if told and told.get("when") == "head":
            record.behaviour = told["do"]
            await self.misbehave(request, told)
        if request.names.get("expect", "").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await self.body(request)
        if record.model is None and record.dialect in ("openai", "anthropic", "azure"):
            if isinstance(request.object.get("model"), str):
                record.model = request.object["model"]
            elif "multipart/form-data" in request.names.get("content-type", "") and "model" in (form := multipart(request)):
                record.model = form["model"][1].decode("utf-8", "replace")
        if told is None:
            told = provider.behaviour(record, with_body=True) or {"do": "ok"}
        record.behaviour = told["do"]
        request.told = told
        if "delay_ms" in told:
            await self.wait_or_gone(told["delay_ms"] / 1000)
        response = await self.misbehave(request, told)
        if response is None:
            response = provider.answer(request)
            if told["do"] == "start_then_fail" and response.status == 200 and response.parts is not None:
                response = start_then_fail(request, response)
            # In place of the usual fields of the same names; those are everybody's, so never changed.
            given = dict(told.get("headers") or {})
            names = {name.lower() for name in given}
            response.fields = [field for field in response.fields if field[0].lower() not in names] + list(given.items())
        if told.get("gzip") and "gzip" in request.names.get("accept-encoding", ""):
            response.zipped()
        keep = await self.send(request, response, told)
        record.finished_at = time.time()
        if told.get("then") in ("close", "reset"):
            await self.cut("rst" if told["then"] == "reset" else "fin")
        return keep and request.names.get("connection", "").lower() != "close" and record.version == "HTTP/1.1"

    async def wait_or_gone(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._gone.wait(), seconds)
        except TimeoutError:
            return
        raise Gone

    async def misbehave(self, request: Request, told: dict[str, Any]) -> Response | None:
        """Does what was told before or instead of an answer. None: the usual answer follows."""
        record, what = request.record, told["do"]
        if what.isdigit():
            if what == "101":
                await self.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                await self.until_gone()
            return error_response(record.dialect, int(what), told, record.model)
        if what == "key_invalid":
            return error_response("gemini" if record.dialect == "generic" else record.dialect, 400, told | {"code": "API_KEY_INVALID"}, record.model)
        if what == "suspended":
            text = told.get("message", "Permission denied: Consumer 'api_key:AIza' has been suspended.")
            return error_response(record.dialect, int(told.get("status", 403)), told | {"message": text}, record.model)
        if what == "insufficient_quota":
            return error_response(record.dialect, 429, told | {"code": "insufficient_quota"}, record.model)
        if what == "hang":
            await self.until_gone()
        if what == "reset":
            await self.cut("rst")
        if what == "cut" and told.get("at", "before_head") == "before_head":
            await self.cut(told.get("how", "fin"))
        if what == "garbage":
            await self.write(told.get("text", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").encode("latin-1"))
            await self.cut("fin")
        if what == "raw":
            data = base64.b64decode(told["b64"]) if "b64" in told else told["text"].encode("latin-1")
            record.head_sent_at = time.time()
            await self.write(data)
            if told.get("then", "close") == "hold":
                await self.until_gone()
            await self.cut("rst" if told.get("then") == "reset" else "fin")
        if what == "informational":
            status = int(told.get("status", 103))
            fields = "Link: </style.css>; rel=preload\r\n" if status == 103 else ""
            for _ in range(int(told.get("n", 1))):
                await self.write(f"HTTP/1.1 {status} {reason(status)}\r\n{fields}\r\n".encode())
                if "ms" in told:
                    await self.wait_or_gone(told["ms"] / 1000)
            if told.get("then") == "hang":
                await self.until_gone()
        return None

    async def send(self, request: Request, response: Response, told: dict[str, Any]) -> bool:
        """Writes `response`, bent as told. Says whether the connection can go on."""
        record = self.record
        what, gate = told["do"], None
        if what == "gate":
            gate = self.provider.gate(str(told.get("gate", "default")))
        bodyless = request.method == "HEAD" or response.status in (204, 304) or response.status < 200
        out = Outgoing(record or request.record, response)
        if response.parts is None:
            response.body = out.coded(response.body, last=True)
        lines = [f"HTTP/1.1 {response.status} {reason(response.status)}", "Date: " + email.utils.formatdate(usegmt=True)]
        lines += [f"{name}: {value}" for name, value in response.fields]
        framing = response.framing
        if framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif framing == "close":
            lines.append("Connection: close")
        elif not (response.status in (204, 304) or response.status < 200):
            lines.append(f"Content-Length: {len(response.body) if response.parts is None else response.length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if record:
            record.status = response.status
        if gate and (told.get("hold_head") or response.parts is None):
            await self.pass_gate(gate)
        if what == "cut" and told.get("at") == "mid_head":
            await self.write(head[: int(told.get("after", len(head) // 2))])
            await self.cut(told.get("how", "fin"))
        if what == "slow_head":
            size, pause = int(told.get("bytes", 1)), told.get("ms", 10) / 1000
            for at in range(0, len(head), size):
                await self.write(head[at : at + size])
                await self.wait_or_gone(pause)
        elif response.parts is None and not bodyless and what in ("ok",) or what.isdigit():
            if record:
                record.head_sent_at = time.time()
            await self.write(head + (b"" if bodyless else response.body))
            if not bodyless:
                out.wrote(response.body)
            return framing != "close"
        else:
            await self.write(head)
        if record:
            record.head_sent_at = time.time()
        if what == "hang_after_head" or (what == "cut" and told.get("at") == "after_head"):
            if what == "cut":
                await self.cut(told.get("how", "fin"))
            await self.until_gone()
        if bodyless:
            return framing != "close"
        parts: Any = [response.body] if response.parts is None else response.parts
        if what == "drip" and response.parts is None:
            size = int(told.get("bytes", 1))
            parts = [response.body[at : at + size] for at in range(0, len(response.body), size)]
        cut_after = None
        if what == "cut" and told.get("at") == "mid_body":
            if response.parts is None:
                start = response.body[: int(told.get("after", len(response.body) // 2))]
                await self.write(start)
                out.wrote(start)
                await self.cut(told.get("how", "fin"))
            cut_after = int(told.get("after", 1))
        sent = 0
        async for part in each(parts):
            if response.parts is not None:
                part = out.coded(part)
            if gate:
                await self.pass_gate(gate)
            elif sent and (what == "drip" or "interval_ms" in told):
                await self.wait_or_gone(told.get("interval_ms", told.get("ms", 10)) / 1000)
            if cut_after is not None and sent >= cut_after:
                if told.get("partial"):  # also tear the next event in the middle
                    await self.write(b"%x\r\n" % len(part) + part[: len(part) // 2] if framing == "chunked" else part[: len(part) // 2])
                    out.wrote(part[: len(part) // 2])
                await self.cut(told.get("how", "fin"))
            await self.write(b"%x\r\n%b\r\n" % (len(part), part) if framing == "chunked" else part)
            out.wrote(part)
            sent += 1
            if record:
                record.events_sent = sent
            if what == "hang_after_events" or ("hang_after" in told and sent >= told["hang_after"]):
                await self.until_gone()
        if cut_after is not None:
            await self.cut(told.get("how", "fin"))
        if framing == "chunked":
            if response.zips:
                end = out.coded(b"", last=True)
                await self.write(b"%x\r\n%b\r\n" % (len(end), end))
            trailers = "".join(f"{name}: {value}\r\n" for name, value in response.trailers)
            await self.write(b"0\r\n" + trailers.encode() + b"\r\n")
        if framing == "close" and response.end == "reset":
            await self.cut("rst")
        return framing != "close"

    async def pass_gate(self, gate: asyncio.Semaphore) -> None:
        step, gone = self.loop.create_task(gate.acquire()), self.loop.create_task(self._gone.wait())
        try:
            await asyncio.wait({step, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not step.done():
            step.cancel()
            raise Gone


async def each(parts: Any) -> AsyncIterator[bytes]:
    if hasattr(parts, "__aiter__"):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part


# --- The process ------------------------------------------------------------------------------------------------------


async def main() -> None:
    parser = argparse.ArgumentParser(description="A provider of LLM and REST APIs that does what it is told.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100, help="0 picks a free one (default 9100)")
    parser.add_argument("--tls-cert", help="PEM certificate chain: speak TLS")
    parser.add_argument("--tls-key", help="PEM private key")
    options = parser.parse_args()
    context = None
    if options.tls_cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key)
    provider = Provider()
    provider.stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider, context is not None), options.host, options.port, ssl=context, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    gc.freeze()
    print(f"listening on {'https' if context else 'http'}://{options.host}:{port}", flush=True)
    await provider.stopped.wait()
    await asyncio.sleep(0.05)
    server.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
