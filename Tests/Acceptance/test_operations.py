# SPDX-License-Identifier: MIT
"""Health, readiness, metrics and logs."""

from __future__ import annotations

import json
import re

import pytest
from harness import eventually

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)( \d+)?$')


def samples(text):
    """Prometheus text as {name: [(labels, value)]}; whatever is not in its grammar fails."""
    found: dict[str, list] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        labels = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"', match[3] or ""))
        found.setdefault(match[1], []).append((labels, float(match[4])))
    return found


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_and_readiness_are_200(server, path):
    assert server.http.get(server.url + path).status_code == 200
    assert server.ask("HEAD", path, key=None).status in (200, 405)


def test_the_metrics_tell_requests_attempts_keys_and_durations(server, fake):
    service = server.service(fake, keys=3, slug="measured")
    fake.tell("*", {"do": "402"}, {"do": "ok"}, {"do": "404"})
    service.chat()
    service.chat()
    service.chat()
    answer = server.http.get(server.url + "/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    found = samples(answer.text)

    def value(name, **labels):
        return sum(number for known, number in found.get(name, []) if labels.items() <= known.items())

    assert value("rotator_requests_total", service="measured", status="200") == 2
    assert value("rotator_requests_total", service="measured", status="404") == 1
    assert value("rotator_upstream_attempts_total", service="measured") == 4
    assert value("rotator_keys", service="measured", state="active") == 2
    assert value("rotator_keys", service="measured", state="exhausted") == 1
    assert value("rotator_request_duration_seconds_count", service="measured") == 3
    assert value("rotator_first_byte_seconds_count", service="measured") == 3
    assert value("rotator_store_up") == 1 and "rotator_open_streams" in found
    assert {"rotator_requests_total", "rotator_keys", "rotator_request_duration_seconds"} <= {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")}


def test_histograms_are_cumulative_and_end_at_infinity(server, fake):
    server.service(fake, keys=1, slug="histogram").chat()
    found = samples(server.http.get(server.url + "/metrics").text)
    for name in ("rotator_request_duration_seconds", "rotator_first_byte_seconds"):
        buckets = [(labels, number) for labels, number in found[name + "_bucket"] if labels.get("service") == "histogram"]
        assert buckets and buckets[-1][0]["le"] == "+Inf"
        numbers = [number for _, number in buckets]
        assert numbers == sorted(numbers)


def test_refused_requests_do_not_make_a_label_per_slug(server):
    for n in range(20):
        server.ask("GET", f"/llm/made-up-{n}/x")
    assert "made-up" not in server.http.get(server.url + "/metrics").text


def test_metrics_want_their_token_when_one_is_set(launch):
    server = launch(METRICS_TOKEN="metrics-token-0123456789")
    get = lambda **headers: server.http.get(server.url + "/metrics", headers=headers).status_code  # noqa: E731
    assert get() == 401 and get(Authorization="Bearer wrong") == 401
    assert get(Authorization="Bearer metrics-token-0123456789") == 200


def test_json_logs_are_one_object_a_line(launch, fake):
    server = launch(LOG_FORMAT="json", LOG_LEVEL="debug")
    service = server.service(fake, keys=2)
    fake.tell("*", "429")
    service.chat(headers={"X-Request-Id": "find-me-in-the-log"})
    server.ask("GET", "/llm/nowhere/\x01")
    server.stop()
    for line in server.lines:
        if line.startswith("listening on "):
            continue
        assert isinstance(json.loads(line), dict), line


def test_text_logs_say_what_happened_to_a_key_without_its_value(launch, fake):
    server = launch(LOG_LEVEL="info")
    service = server.service(fake, keys=2)
    fake.tell("*", "401")
    assert service.chat().status_code == 200
    identity = service.id_of(fake.requests()[0]["key"])
    assert eventually(lambda: any(re.search(rf"key\w*[=\" :]+{identity}\b", line) and "401" in line for line in server.lines)), server.log
    assert not any(value in server.log for value in service.values)


@pytest.mark.parametrize("level", ["trace", "debug", "info", "notice", "warning", "error", "critical"])
def test_every_log_level_is_accepted(launch, level):
    assert launch(LOG_LEVEL=level).http.get


def test_the_root_serves_something(server):
    assert server.http.get(server.url + "/").status_code < 500


def test_security_relevant_pages_are_not_cached(server):
    answer = server.admin.call("GET", "/admin/proxy-configs")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("application/json")
