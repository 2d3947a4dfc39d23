# SPDX-License-Identifier: MIT
"""Byte for byte: targets, fields and bodies, in both directions."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from harness import PROXY_KEY, Rotator, eventually, pattern, pattern_sha256, request_text, sha256

MIB = 1 << 20


@pytest.fixture(scope="module")
def service(server, provider):
    return server.service(provider, keys=2, kind="GENERIC", api_key_name="X-Upstream-Key")


def seen_target(server, fake, service, rest):
    answer = server.ask("GET", service.prefix + rest)
    assert answer.status == 200, answer.body
    return fake.last()["target"]


# --- The target -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [
        "/echo?", "/echo?a=1&b=2", "/echo?b=2&a=1&a=1", "/echo?a", "/echo?=&&=", "/echo?a=%20+%2B", "/echo?a=%zz%", "/echo?a=%E2%82%AC",
        "/echo?a?b/c:d@e", "/echo?x={\"q\":[1,2]}|<>`^\\", "/echo?keys=1&monkey=2&key2=3", "/echo?next=http://h/p?key=abc", "/echo?Key=theirs",
        "/echo/a%2Fb%2fc", "/echo/%7Euser/~user", "/echo/a//b///", "/echo/;p=1/a,b", "/echo/{id}|\"<>^`", "/echo/%00", "/echo/caf%C3%A9", "/echo/*",
        "/echo/!$&'()*+,;=:@", "/echo/a%3Fb", "/echo/a%23b",
    ],
)  # fmt: skip
def test_path_and_query_reach_the_upstream_byte_for_byte(server, fake, service, rest):
    assert seen_target(server, fake, service, rest) == rest


def test_a_query_of_fifteen_kibibytes_passes(server, fake, service):
    rest = "/echo?q=" + "x" * 15000
    assert seen_target(server, fake, service, rest) == rest


@pytest.mark.parametrize(
    "rest",
    [
        "/..", "/../x", "/../../x", "/a/../../x", "/%2e%2e/x", "/%2E%2E/x", "/.%2e/x", "/..%2Fx", "/a%2F..%2F..%2Fx", "/..\\x", "/%2e%2e%5cx", "/a\\..\\..\\x",
        "/a/b/../../../x", "/./../x", "/..;/../x/../../..",
    ],
)  # fmt: skip
def test_a_path_that_would_leave_the_base_is_400(server, fake, rest):
    service = server.service(fake, keys=1, kind="GENERIC", target_url=fake.url + "/echo/base")
    answer = server.ask("GET", service.prefix + rest)
    assert (answer.status, answer.json["code"]) == (400, "invalid_path"), rest
    assert answer.get("x-rotator-attempts") == "0" and fake.total == 0


@pytest.mark.parametrize("rest", ["/a/../b", "/a/./b", "/./a", "/a/%2e%2e/b", "/a/b%2F..%2Fc", "/%252e%252e/x", "/...", "/a/..", "/.hidden", "/a..b", "/a/..b"])
def test_a_path_with_dot_segments_that_stays_inside_is_forwarded_untouched(server, fake, rest):
    service = server.service(fake, keys=1, kind="GENERIC", target_url=fake.url + "/echo/base")
    assert server.ask("GET", service.prefix + rest).status == 200
    assert fake.last()["target"] == "/echo/base" + rest


def test_dots_in_the_query_are_nobodys_business(server, fake, service):
    assert seen_target(server, fake, service, "/echo?f=../../x") == "/echo?f=../../x"


@pytest.mark.parametrize(
    ("base", "rest", "target"),
    [
        ("/v1", "/echo", "/v1/echo"), ("/v1", "/v1/echo", "/v1/echo"), ("/v1/", "/v1/echo", "/v1/echo"), ("/v1/", "/echo", "/v1/echo"),
        ("/v1beta", "/v1beta/echo", "/v1beta/echo"), ("/a/v1", "/v1/echo", "/a/v1/echo"), ("/v1", "/v1beta/echo", "/v1/v1beta/echo"),
        ("/v1", "/v11/echo", "/v1/v11/echo"), ("/api", "/api/echo", "/api/api/echo"), ("/v1/x", "/v1/echo", "/v1/x/v1/echo"), ("", "/v1/echo", "/v1/echo"),
        ("/v2", "/v2/echo?v=/v2", "/v2/echo?v=/v2"),
    ],
)  # fmt: skip
def test_the_base_is_joined_with_the_rest_and_no_version_is_doubled(server, fake, base, rest, target):
    service = server.service(fake, keys=1, target_base_url=fake.url + base)
    assert server.ask("GET", service.prefix + rest).status == 200
    assert fake.last()["target"] == target


def test_a_target_without_a_rest_is_the_base(server, fake):
    service = server.service(fake, keys=1, kind="GENERIC", target_url=fake.url + "/echo")
    assert server.ask("GET", service.prefix + "?a=1").status == 200
    assert fake.last()["target"] in ("/echo?a=1", "/echo/?a=1")


def test_an_absolute_form_target_is_understood(server, fake, service):
    answer = server.ask("GET", f"http://rotator.test{service.prefix}/echo?a=1")
    assert answer.status == 200 and fake.last()["target"] == "/echo?a=1"


def test_a_key_that_goes_in_the_query_is_appended_last_and_encoded(server, fake):
    service = server.service(fake, keys=["up key+/=&#?%-0123456789".replace(" ", "_")], kind="GENERIC", api_key_location="query", api_key_name="appid")
    assert server.ask("GET", service.prefix + "/weather?q=R%C3%B6m&appid=clients&units=m").status == 200
    path, _, query = fake.last()["target"].partition("?")
    assert query.startswith("q=R%C3%B6m&units=m&appid=") and query.count("appid=") == 1
    assert fake.last()["key"] == service.values[0]
    assert not set("+/=&#?") & set(query.rpartition("appid=")[2])
    assert server.ask("GET", service.prefix + "/weather").status == 200
    assert fake.last()["target"].startswith("/weather?appid=")


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ({"api_key_name": "X-Key"}, "X-Key", "{}"),
        ({"api_key_name": "Authorization", "api_key_prefix": "Token "}, "Authorization", "Token {}"),
        ({"api_key_name": "Authorization", "api_key_prefix": "Bearer "}, "Authorization", "Bearer {}"),
    ],
)
def test_a_generic_service_puts_its_key_where_it_was_told(server, fake, more, field, value):
    service = server.service(fake, keys=1, kind="GENERIC", **more)
    assert server.ask("GET", service.prefix + "/echo").status == 200
    assert fake.last().all(field) == [value.format(service.values[0])]


def test_an_llm_services_placement_can_be_overridden(server, fake):
    service = server.service(fake, keys=1, api_key_location="header", api_key_name="X-Gateway-Key", api_key_prefix="K ", target_base_url=fake.url)
    assert server.ask("GET", service.prefix + "/echo").status == 200
    assert fake.last().all("x-gateway-key") == ["K " + service.values[0]] and not fake.last().all("authorization")


def test_extra_headers_are_sent_upstream(server, fake):
    service = server.service(fake, keys=1, kind="GENERIC", extra_headers={"X-Team": "blue", "X-Org": "42"})
    assert server.ask("GET", service.prefix + "/echo").status == 200
    assert fake.last().all("x-team") == ["blue"] and fake.last().all("x-org") == ["42"]


# --- Request fields -----------------------------------------------------------------------------------------------------------

FIELDS = [
    ("User-Agent", "curl/8.5.0"), ("ACCEPT", "*/*"), ("X-Dup", "one"), ("accept-encoding", "gzip, br;q=0.5"), ("x-dup", "two"), ("X-MiXeD", "Kept As Is"),
    ("X-Empty", ""), ("X-Latin", "caf\u00e9"), ("X-Dup", "one"), ("If-None-Match", 'W/"x"'), ("Range", "bytes=0-5"), ("Origin", "https://a.test"),
    ("X_Underscore", "is fine"), ("X-Quote", 'a "b" \\ c,d;e'), ("OpenAI-Organization", "org-1"), ("anthropic-beta", "a,b"), ("X-Tab", "a\tb"),
]  # fmt: skip


def test_fields_keep_their_order_case_and_repetition(server, fake, service):
    assert server.ask("GET", service.prefix + "/echo", FIELDS).status == 200
    ours = {"host", "x-upstream-key"}
    seen = [(name, value) for name, value in fake.last()["headers"] if name.lower() not in ours]
    assert seen == FIELDS


def test_host_names_the_upstream(server, fake, service):
    server.ask("GET", service.prefix + "/echo", [("Host", "rotator.test:1234")])
    assert fake.last().all("host") == [f"127.0.0.1:{fake.port}"]


@pytest.mark.parametrize(
    "name",
    [
        "Cookie", "Keep-Alive", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Connection", "TE", "Trailer", "Upgrade", "X-Forwarded-For",
        "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Anything", "Forwarded", "Via", "X_Forwarded_For", "X-Forwarded_For", "X_Proxy_Key", "x_upstream_key",
        "X-Upstream_Key", "Proxy_Authorization",
    ],
)  # fmt: skip
def test_what_is_not_end_to_end_is_removed(server, fake, service, name):
    assert server.ask("GET", service.prefix + "/echo", [("X-Before", "1"), (name, "secret-looking"), ("X-After", "2")]).status == 200
    seen = fake.last()
    assert name.lower() not in seen.names and b"secret-looking" not in seen.head
    assert seen.all("x-before") == ["1"] and seen.all("x-after") == ["2"]


def test_fields_that_connection_names_are_removed(server, fake, service):
    fields = [("Connection", "X-Drop, keep-alive"), ("X-Drop", "1"), ("x-drop", "2"), ("X-Keep", "3"), ("Connection", "X-Drop-Too"), ("X-Drop-Too", "4")]
    assert server.ask("GET", service.prefix + "/echo", fields).status == 200
    seen = fake.last()
    assert not {"x-drop", "x-drop-too"} & set(seen.names) and seen.all("x-keep") == ["3"]
    assert not any("drop" in value.lower() for value in seen.all("connection"))


def test_an_alias_of_a_removed_credential_is_removed(server, fake):
    service = server.service(fake, keys=1, api_format="anthropic_native", target_base_url=fake.url)
    assert server.ask("GET", service.prefix + "/echo", [("X_Api_Key", "smuggled"), ("x-api_key", "smuggled"), ("X-Other_Key", "fine")]).status == 200
    seen = fake.last()
    assert b"smuggled" not in seen.head and seen.all("x-other_key") == ["fine"]


def test_upgrade_is_not_forwarded(server, fake, service):
    answer = server.ask("GET", service.prefix + "/echo", [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")])
    assert answer.status == 200 and "upgrade" not in fake.last().names


# --- Request bodies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "encoding", "body"),
    [
        ("application/json", None, b'{ "model":"m", "unknown_member":[1.0,1e5,"\\u00e9"],\n"dup":1,"dup":2 }\n'),
        ("application/json", None, b"not json at all {"),
        ("application/json", None, b"\xef\xbb\xbf{}"),
        ("application/json", "gzip", gzip.compress(b'{"model":"m"}', mtime=0)),
        ("application/octet-stream", None, bytes(range(256)) * 100),
        ("text/plain", None, b""),
        (None, None, b"\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    ],
    ids=["odd JSON", "no JSON", "byte order mark", "gzip", "binary", "empty", "looks like framing"],
)
def test_a_request_body_passes_byte_for_byte(server, fake, kind, encoding, body):
    llm = server.service(fake, keys=1, target_base_url=fake.url)
    fields = [pair for pair in (("Content-Type", kind), ("Content-Encoding", encoding)) if pair[1]]
    assert server.ask("POST", llm.prefix + "/echo", fields, body).status == 200
    seen = fake.last()
    assert seen.body == body and [seen.get_field(name) for name, _ in fields] == [value for _, value in fields]
    assert seen["anomalies"] == []


def test_the_model_of_a_compressed_body_is_simply_not_read(server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "429", "retry_after": 20})
    body = gzip.compress(json.dumps({"model": "gpt-4o", "messages": []}).encode())
    assert server.ask("POST", service.prefix + "/chat/completions", [("Content-Encoding", "gzip"), ("Content-Type", "application/json")], body).status == 429
    key = service.state(0)
    assert (key["state"], key["cooling_models"]) in [("cooling", []), ("active", key["cooling_models"])]


def test_a_chunked_upload_arrives_whole(server, fake, service):
    body = bytes(range(256)) * 3000
    with server.raw() as raw:
        raw.send(request_text("POST", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY), ("Transfer-Encoding", "chunked")]))
        for at in range(0, len(body), 70001):
            piece = body[at : at + 70001]
            raw.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        raw.send(b"0\r\n\r\n")
        assert raw.response().status == 200
    seen = fake.last()
    assert seen["body_length"] == len(body) and seen["body_sha256"] == sha256(body) and seen["anomalies"] == []


def test_a_large_upload_is_streamed_not_gathered(launch, fake):
    server = launch(MAX_BODY_BYTES=str(512 * MIB))
    service = server.service(fake, keys=1, kind="GENERIC")
    server.ask("POST", service.prefix + "/echo", body=bytes(MIB))
    before, size = server.memory(), 400 * MIB
    with server.raw(30) as raw:
        raw.send(request_text("POST", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY), ("Content-Length", str(size))]))
        offset = 0
        while offset < size // 2:
            raw.send(piece := pattern(offset, min(1_000_003, size // 2 - offset)))
            offset += len(piece)
        assert eventually(lambda: fake.last()["body_length"] > size // 2 - 64 * MIB, 10), "the first half is upstream before the second is sent"
        while offset < size:
            raw.send(piece := pattern(offset, min(1_000_003, size - offset)))
            offset += len(piece)
        assert raw.response().status == 200
    assert fake.last()["body_length"] == size and fake.last()["body_sha256"] == pattern_sha256(size)
    assert server.memory("VmHWM") - before < 100 * MIB


def test_a_chunked_upload_of_any_size_is_held_to_the_limit(server, fake, service):
    limited = 64 * MIB
    with server.raw(20) as raw:
        raw.send(request_text("POST", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY), ("Transfer-Encoding", "chunked")]))
        piece, sent = b"100000\r\n" + bytes(MIB) + b"\r\n", 0
        try:
            while sent <= limited + 8 * MIB:
                raw.send(piece)
                sent += MIB
            answer = raw.response()
        except (ConnectionResetError, BrokenPipeError):
            answer = raw.response()
    assert answer.status == 413
    assert all(request["body_complete_at"] is None for request in fake.requests())


def test_an_announced_body_over_the_limit_is_413_at_once(server, fake, service):
    answer = server.ask("POST", service.prefix + "/echo", [("Content-Length", str(64 * MIB + 1))])
    assert (answer.status, answer.json["code"]) == (413, "body_too_large") and fake.total == 0


def test_a_body_of_exactly_the_limit_passes(launch, fake):
    server = launch(MAX_BODY_BYTES="100000")
    service = server.service(fake, keys=1, kind="GENERIC")
    assert server.ask("POST", service.prefix + "/echo", body=bytes(100000)).status == 200
    assert server.ask("POST", service.prefix + "/echo", body=bytes(100001)).status == 413


# --- Responses --------------------------------------------------------------------------------------------------------------------


def test_response_fields_keep_their_order_case_and_repetition(server, fake, service):
    answer = server.ask("GET", service.prefix + "/fields")
    wanted = [
        ("Content-Type", "application/json"), ("X-Dup", "one"), ("x-dup", "two"), ("X-MiXeD-CaSe", "kept As Is"), ("Vary", "Origin"), ("Vary", "Accept"),
        ("Link", "</a>; rel=next"), ("Link", "</b>; rel=prev"), ("X-Empty", ""), ("Server", "fake/1"), ("X-Latin", "caf\u00e9"),
    ]  # fmt: skip
    added = {"date", "content-length", "connection", "keep-alive", "x-rotator-request-id", "x-rotator-attempts", "x-rotator-key-id"}
    assert [(name, value) for name, value in answer.headers if name.lower() not in added] == wanted
    assert len(answer.all("date")) == 1


def test_a_compressed_response_passes_byte_for_byte(server, fake, service):
    answer = server.ask("GET", service.prefix + "/gzip/100000", [("Accept-Encoding", "gzip")])
    assert answer.get("content-encoding") == "gzip" and gzip.decompress(answer.body) == pattern(0, 100000)
    assert answer.body == gzip.compress(pattern(0, 100000), mtime=0)


@pytest.mark.parametrize("path", ["/bytes/0", "/bytes/1", "/bytes/65536", "/bytes/3000000", "/chunked/0", "/chunked/3000000", "/chunked/2000?size=1", "/closedelimited/1000000"])
def test_a_response_body_passes_byte_for_byte(server, fake, service, path):
    length = int(path.split("/")[2].split("?")[0])
    answer = server.ask("GET", service.prefix + path)
    assert answer.complete and answer.body == (pattern(0, length) if length <= 1_000_003 else answer.body) and sha256(answer.body) == pattern_sha256(length)


@pytest.mark.parametrize(("status", "location"), [(301, "/elsewhere"), (302, "http://other.test/x?key=1"), (307, "//h/p"), (308, "?q")])
def test_a_redirect_passes_to_the_client(server, fake, service, status, location):
    answer = server.ask("GET", service.prefix + f"/redirect?status={status}&to={location.replace('?', '%3F').replace('&', '%26')}")
    assert (answer.status, answer.get("location")) == (status, location) and fake.total == 1


def test_set_cookie_passes_on_proxy_and_never_on_llm(server, fake, service):
    answer = server.ask("GET", service.prefix + "/set-cookie")
    assert answer.all("set-cookie") == ["session=abc; Path=/; HttpOnly", "other=def"] and answer.get("x-after") == "kept"
    llm = server.service(fake, keys=1, target_base_url=fake.url)
    answer = server.ask("GET", llm.prefix + "/set-cookie")
    assert answer.status == 200 and answer.all("set-cookie") == [] and answer.get("x-after") == "kept"


def test_hop_by_hop_fields_of_a_response_do_not_pass(server, fake, service):
    fake.tell("*", {"do": "raw", "text": "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: x\r\nContent-Length: 2\r\nX-End: 2\r\n\r\nok"})
    answer = server.ask("GET", service.prefix + "/echo")
    assert answer.status == 200 and answer.body == b"ok" and answer.get("x-end") == "2"
    assert answer.get("x-hop") is None and answer.get("proxy-authenticate") is None and "timeout=9" not in str(answer.headers)


def test_forged_rotator_fields_of_an_upstream_do_not_stand_beside_ours(server, fake, service):
    fake.tell("*", {"do": "ok", "headers": {"X-Rotator-Attempts": "99", "x-rotator-key-id": "4711"}})
    answer = server.ask("GET", service.prefix + "/echo")
    assert answer.all("x-rotator-attempts") == ["1"] and len(answer.all("x-rotator-key-id")) == 1 and answer.get("x-rotator-key-id") != "4711"


@pytest.mark.parametrize("status", [103, 100, 102])
def test_informational_answers_do_not_disturb_the_final_one(server, fake, service, status):
    fake.tell("*", {"do": "informational", "status": status, "n": 3})
    answer = server.ask("GET", service.prefix + "/echo")
    assert answer.status == 200 and answer.complete and fake.total == 1


def test_trailers_are_dropped_and_the_body_stands(server, fake, service):
    with server.raw() as raw:
        raw.send(request_text("GET", service.prefix + "/trailers", [("X-Proxy-Key", PROXY_KEY), ("TE", "trailers")]))
        answer = raw.response()
        assert answer.body == b"hello world" and answer.complete
        assert b"X-Sum" not in raw.buffer
        raw.send(request_text("GET", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY)]))
        assert raw.response().status == 200, "the connection is in step"


def test_a_two_gigabyte_download_needs_bounded_memory(server, fake, service):
    size = 2 << 30
    server.ask("GET", service.prefix + "/bytes/1000000")
    before, peak, offset = server.memory(), 0, 0
    with server.raw(30) as raw:
        raw.send(request_text("GET", service.prefix + f"/bytes/{size}", [("X-Proxy-Key", PROXY_KEY)]))
        head = raw.head()
        assert head.status == 200 and head.get("content-length") == str(size)
        piece, raw.buffer = raw.buffer, b""
        room = bytearray(900_000)
        view, looks = memoryview(room), 0
        while True:
            if piece:
                assert piece == pattern(offset, len(piece)), f"differs somewhere after octet {offset}"
                offset += len(piece)
            if offset >= size:
                break
            count = raw.socket.recv_into(room)
            assert count, f"closed after {offset}"
            piece = view[:count]
            looks += 1
            if looks % 500 == 0:
                peak = max(peak, server.memory())
    assert offset == size and peak - before < 64 * MIB


# --- Each response carries ---------------------------------------------------------------------------------------------------------


def test_every_response_names_its_request_attempts_and_key(server, fake, service):
    answers = [server.ask("GET", service.prefix + "/echo") for _ in range(3)]
    assert len({answer.get("x-rotator-request-id") for answer in answers}) == 3
    for answer in answers:
        assert answer.get("x-rotator-attempts") == "1" and int(answer.get("x-rotator-key-id")) in [key.id for key in service.keys]


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("550e8400-e29b-41d4-a716-446655440000", True), ("x" * 5000, False), ("caf\u00e9", False), ("", False)])
def test_a_sane_request_id_of_the_clients_is_taken_over(server, service, given, kept):
    got = server.ask("GET", service.prefix + "/echo", [("X-Request-Id", given)]).get("x-rotator-request-id")
    assert got and (got == given) is kept


def test_an_upstream_connection_is_used_again(server, fake, service):
    for _ in range(20):
        assert server.ask("GET", service.prefix + "/echo").status == 200
    assert len({request["connection"] for request in fake.requests()}) <= 4, "at most one per worker, and a spare"


def test_a_connection_that_the_upstream_closed_meanwhile_is_not_used(server, fake, service):
    for _ in range(5):
        fake.tell("*", {"do": "ok", "then": "close"})
        assert server.ask("POST", service.prefix + "/echo", body=b"x").status == 200
        time.sleep(0.05)
    answer = server.ask("POST", service.prefix + "/echo", body=b"x")
    assert answer.status == 200 and answer.get("x-rotator-attempts") == "1" and fake.total == 6


def test_a_connection_that_is_closed_upon_its_second_request_is_not_repeated_silently(server, fake, service):
    assert server.ask("POST", service.prefix + "/echo", body=b"x").status == 200
    fake.tell("*", {"do": "cut"})
    answer = server.ask("POST", service.prefix + "/echo", body=b"pay once")
    assert answer.status == 502 and answer.get("x-rotator-attempts") == "1"
    assert [request.body for request in fake.requests()] == [b"x", b"pay once"], "exactly the attempts that are told reach the upstream"


def test_a_get_whose_reused_connection_died_is_an_attempt_like_any_other(server, fake, service):
    assert server.ask("GET", service.prefix + "/echo").status == 200
    fake.tell("*", {"do": "cut"})
    answer = server.ask("GET", service.prefix + "/echo")
    assert answer.status == 200 and answer.get("x-rotator-attempts") == "2" and fake.total == 3


def test_an_early_answer_reaches_the_client_before_its_upload_ends(launch, fake):
    server = launch(MAX_BODY_BYTES=str(512 * MIB))
    service = server.service(fake, keys=1, kind="GENERIC")
    fake.tell("*", {"do": "early", "status": 413, "read_rest": False})
    with server.raw(10) as raw:
        raw.send(request_text("POST", service.prefix + "/echo", [("X-Proxy-Key", PROXY_KEY), ("Content-Length", str(300 * MIB))]))
        try:
            for _ in range(20):
                raw.send(bytes(MIB))
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert raw.response().status == 413
    assert server.ask("GET", service.prefix + "/echo").status == 200


def test_restarts_do_not_change_what_passes(tmp_path, fake):
    """The same service, read back from its store, sends the same octets."""
    first = Rotator(tmp_path / "same")
    service = first.service(fake, keys=1, kind="GENERIC", extra_headers={"X-Team": "blue"}, api_key_name="X-Key", api_key_prefix="K ")
    assert first.ask("GET", service.prefix + "/echo?x=%20").status == 200
    first.stop()
    second = Rotator(tmp_path / "same")
    assert second.ask("GET", service.prefix + "/echo?x=%20").status == 200
    second.stop()
    one, two = fake.requests()
    assert one.head == two.head
