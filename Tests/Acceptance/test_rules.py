# SPDX-License-Identifier: MIT
"""Provider rules as data: a service's own table decides, can be tried before it is saved, and survives a restart."""

from __future__ import annotations

import json
import time

import pytest
from harness import Rotator, Service, seconds_left

TEAPOT = {"statuses": [418], "conditions": [], "verdict": "rate_limited", "scope": "usual", "until": [{"field": "x-back"}], "reason": "teapot"}
FORMATS = ["openai_compatible", "anthropic_native", "gemini_native", "azure_openai", "generic"]


@pytest.fixture(scope="module")
def admin(server):
    return server.admin


def rules_path(service: Service) -> str:
    return f"/admin/proxy-configs/{service.id}/rules"


def teapot_first(admin, service: Service) -> list[dict]:
    """The service's default table, behind a rule that a 418 rests the key for as long as `x-back` says."""
    table = [TEAPOT] + admin.get(rules_path(service))["rules"]
    assert admin.call("PUT", rules_path(service), expect=200, json={"rules": table}).json() == {"is_default": False, "rules": table}
    return table


def explain(admin, expect: int = 200, **members):
    return admin.post("/admin/rules/explain", expect=expect, json=members)


# --- What a table does to requests -------------------------------------------------------------------------------------------


def test_a_rule_moves_the_request_on_and_rests_the_key_for_its_time(server, fake, admin):
    service = server.service(fake, keys=2, rotation_strategy="sequential")
    first, second = service.values
    fake.tell(first, {"do": "418", "times": 1, "headers": {"X-Back": "2s"}})
    assert service.chat().status_code == 418, "by default a 418 is the client's affair"

    fake.reset()
    teapot_first(admin, service)
    fake.tell(first, {"do": "418", "times": 1, "headers": {"X-Back": "2s"}})
    answer = service.chat()
    assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "2"
    assert fake.counts() == {first: 1, second: 1}
    (rest,) = service.state(0)["cooling_models"]
    assert rest["model"] == "gpt-4o" and rest["state_reason"] == "teapot" and 0 < seconds_left(rest["cooling_until"]) <= 2
    assert service.chat().headers["x-rotator-attempts"] == "1" and fake.counts()[first] == 1, "it rests"
    time.sleep(max(0.0, seconds_left(rest["cooling_until"])) + 0.1)
    assert service.chat().status_code == 200 and service.state(0)["cooling_models"] == []


def test_the_rest_of_the_defaults_still_decides(server, fake, admin):
    service = server.service(fake, keys=2, rotation_strategy="sequential")
    teapot_first(admin, service)
    fake.tell(service.values[0], "402")
    assert service.chat().status_code == 200 and service.state(0)["state"] == "exhausted"


def test_a_rule_may_pass_on_what_the_defaults_would_not(server, fake, admin):
    service = server.service(fake, keys=2)
    quiet = {"statuses": [429], "conditions": [{"json": ["/error/code"], "equals": ["quiet"]}], "verdict": "success", "reason": "quiet"}
    admin.call("PUT", rules_path(service), expect=200, json={"rules": [quiet] + admin.get(rules_path(service))["rules"]})
    fake.tell("*", {"do": "429", "code": "quiet"})
    answer = service.chat()
    assert answer.status_code == 429 and answer.headers["x-rotator-attempts"] == "1"
    assert [service.state(n)["cooling_models"] for n in range(2)] == [[], []]


def test_a_change_of_rules_is_in_force_for_the_next_request_on_every_thread(server, fake, admin):
    service = server.service(fake, keys=3, kind="GENERIC", max_attempts=1)
    fake.tell("*", {"do": "418", "times": -1, "headers": {"X-Back": "1ms"}})
    passed_on = {"statuses": ["400-499"], "verdict": "success", "reason": "mine"}
    for round_ in range(10):
        admin.call("PUT", rules_path(service), expect=200, json={"rules": [TEAPOT]})
        for _ in range(4):
            # A key refuses before there is an answer: the last one then goes to the client, which is told so.
            assert service.send("GET", "/echo").headers.get("x-should-retry") == "false", round_
            time.sleep(0.005)
        admin.call("PUT", rules_path(service), expect=200, json={"rules": [passed_on]})
        for _ in range(4):
            assert "x-should-retry" not in service.send("GET", "/echo").headers, round_


# --- Reading and changing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api_format", FORMATS)
def test_the_defaults_of_a_format_can_be_read_and_sent_back(server, fake, admin, api_format):
    defaults = admin.get(f"/admin/rules/{api_format}")
    assert defaults["api_format"] == api_format and len(defaults["rules"]) > 10
    kind = "GENERIC" if api_format == "generic" else "LLM"
    service = server.service(fake, keys=0, kind=kind, **({} if kind == "GENERIC" else {"api_format": api_format}))
    assert admin.get(rules_path(service)) == {"is_default": True, "rules": defaults["rules"]}
    sent = admin.call("PUT", rules_path(service), expect=200, json={"rules": defaults["rules"]}).json()
    assert sent == {"is_default": False, "rules": defaults["rules"]}
    assert admin.call("DELETE", rules_path(service), expect=204).content == b""
    assert admin.get(rules_path(service))["is_default"] is True


def described(server, name: str, value) -> bool:
    """Whether the OpenAPI document's schema of that name admits the value."""
    from jsonschema import Draft202012Validator

    components = server.http.get(server.url + "/openapi.json").json()["components"]
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components}).is_valid(value)


@pytest.mark.parametrize("api_format", FORMATS)
def test_openapi_admits_what_is_shown(server, admin, api_format):
    defaults = admin.get(f"/admin/rules/{api_format}")
    assert described(server, "FormatRules", defaults)
    for rule in defaults["rules"]:
        assert described(server, "Rule", rule), rule
    for status in (200, 400, 401, 402, 403, 404, 429, 500, 503):
        assert described(server, "RuleExplanation", explain(admin, api_format=api_format, status=status, headers={"Retry-After": "1"}, model="m"))


def test_what_is_not_there_is_404(admin):
    assert admin.call("GET", "/admin/rules/openai", expect=404).json()["code"] == "route_not_found"
    for method in ("GET", "PUT", "DELETE"):
        assert admin.call(method, "/admin/proxy-configs/999999/rules", expect=404, json={"rules": []}).json()["code"] == "service_not_found"
    assert explain(admin, expect=404, status=429, service_id=999999)["code"] == "service_not_found"


# Faults that a schema can tell, and their places.
FAULTS = [
    ({}, "/rules/1/statuses"),
    (TEAPOT | {"statuses": [418, "600-699"]}, "/rules/1/statuses/1"),
    (TEAPOT | {"statuses": [418.5]}, "/rules/1/statuses/0"),
    (TEAPOT | {"verdict": "tea"}, "/rules/1/verdict"),
    (TEAPOT | {"scope": "everyone"}, "/rules/1/scope"),
    (TEAPOT | {"until": ["retry_after", {"json": "error/back"}]}, "/rules/1/until/1/json"),
    (TEAPOT | {"reason": "Tea pot"}, "/rules/1/reason"),
    (TEAPOT | {"wehn": []}, "/rules/1/wehn"),
    (TEAPOT | {"conditions": [{"says": ["x"]}, {"json": ["/a~2"], "exists": True}]}, "/rules/1/conditions/1/json/0"),
    (TEAPOT | {"conditions": [{"header": "x", "is": "y"}]}, "/rules/1/conditions/0/is"),
]


def test_openapi_admits_no_fault(server):
    assert described(server, "Rule", TEAPOT)
    for rule, _ in FAULTS:
        assert not described(server, "Rule", rule), rule


@pytest.mark.parametrize(("rule", "pointer"), [*FAULTS, (TEAPOT | {"statuses": ["499-400"]}, "/rules/1/statuses/0")])
def test_a_fault_is_named_by_its_pointer_and_changes_nothing(server, fake, admin, rule, pointer):
    service = server.service(fake, keys=0)
    before = admin.get(rules_path(service))
    for answer in (
        admin.call("PUT", rules_path(service), expect=400, json={"rules": [TEAPOT, rule]}),
        admin.call("POST", "/admin/rules/explain", expect=400, json={"status": 418, "service_id": service.id, "rules": [TEAPOT, rule]}),
    ):
        assert answer.json()["code"] == "invalid_member" and f"“{pointer}”" in answer.json()["detail"]
    assert admin.get(rules_path(service)) == before


def test_a_table_has_its_bounds(server, fake, admin):
    service = server.service(fake, keys=0)
    admin.call("PUT", rules_path(service), expect=200, json={"rules": [{"statuses": [418], "verdict": "success", "reason": "r"}] * 500})
    admin.call("PUT", rules_path(service), expect=400, json={"rules": [{"statuses": [418], "verdict": "success", "reason": "r"}] * 501})
    wordy = TEAPOT | {"conditions": [{"says": ["x" * 1000] * 10}]}
    admin.call("PUT", rules_path(service), expect=400, json={"rules": [wordy] * 7})
    assert len(admin.get(rules_path(service))["rules"]) == 500


def test_rules_are_audited_and_no_member_of_the_service(server, fake, admin):
    service = server.service(fake, keys=0)
    teapot_first(admin, service)
    (last,) = [line for line in admin.get("/admin/audit", params={"limit": 1000})["items"] if line["subject"] == f"service {service.id}"][-1:]
    assert last["action"] == "service.rules" and last["actor"] == "admin"
    shown = admin.get(f"/admin/proxy-configs/{service.id}")
    assert "rules" not in shown
    admin.call("PUT", f"/admin/proxy-configs/{service.id}", expect=200, json={k: v for k, v in shown.items() if v is not None})
    admin.call("PATCH", f"/admin/proxy-configs/{service.id}", expect=200, json={"name": "Other"})
    assert admin.get(rules_path(service))["rules"][0] == TEAPOT, "a service's configuration is replaced without its rules"


def test_rules_survive_a_restart(tmp_path, fake):
    server = Rotator(tmp_path / "r")
    service = server.service(fake, keys=2, rotation_strategy="sequential")
    table = teapot_first(server.admin, service)
    assert server.stop() == 0
    server.start()
    assert server.admin.get(rules_path(service)) == {"is_default": False, "rules": table}
    fake.tell(service.values[0], {"do": "418", "headers": {"X-Back": "90s"}})
    answer = service.chat()
    assert answer.status_code == 200 and answer.headers["x-rotator-attempts"] == "2"
    server.stop()


# --- Explaining --------------------------------------------------------------------------------------------------------------


def test_an_explanation_says_what_then_happens(server, fake, admin):
    service = server.service(fake, keys=2, rotation_strategy="sequential")
    body = json.dumps({"error": {"message": "Rate limit reached", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}})
    told = explain(admin, service_id=service.id, status=429, headers={"Retry-After": "40"}, body=body, model="gpt-4o")
    assert (told["outcome"], told["reason"], told["scope"]) == ("rate_limited", "rate_limited", "usual")
    assert told["rule"] == admin.get(rules_path(service))["rules"][told["rule_index"]]
    assert 35 < seconds_left(told["until"]) <= 40
    assert "“gpt-4o” alone until " + told["until"] in told["key_effect"] and "next key" in told["request_effect"]
    fake.tell(service.values[0], {"do": "429", "retry_after": 40, "body": body})
    assert service.chat().headers["x-rotator-attempts"] == "2"
    (rest,) = service.state(0)["cooling_models"]
    assert rest["state_reason"] == told["reason"] and abs(seconds_left(rest["cooling_until"]) - seconds_left(told["until"])) < 5


def test_a_table_is_tried_before_it_is_saved(server, fake, admin):
    service = server.service(fake, keys=2, rotation_strategy="sequential")
    pasted = {"service_id": service.id, "status": 418, "headers": [{"name": "X-Back", "value": "2s"}]}
    assert explain(admin, **pasted)["rule"] is None
    tried = explain(admin, **pasted, rules=[TEAPOT])
    assert (tried["outcome"], tried["reason"], tried["rule"], tried["rule_index"]) == ("rate_limited", "teapot", TEAPOT, 0)
    fake.tell(service.values[0], "418")
    assert service.chat().status_code == 418 and admin.get(rules_path(service))["is_default"], "trying changes nothing"
    teapot_first(admin, service)
    assert explain(admin, **pasted)["reason"] == "teapot"


def test_a_format_explains_without_a_service(admin):
    gemini = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}
    told = explain(admin, api_format="gemini_native", status=400, body=json.dumps(gemini))
    assert told["outcome"] == "key_rejected" and told["until"] is None and "third in a row" in told["key_effect"]
    told = explain(admin, api_format="generic", status=503)
    assert told["outcome"] == "upstream_failed" and "GET, HEAD" in told["request_effect"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"status": 429}, "missing_member"),
        ({"api_format": "generic"}, "missing_member"),
        ({"status": 100, "api_format": "generic"}, "invalid_member"),
        ({"status": 429, "api_format": "generic", "service_id": 1}, "invalid_member"),
        ({"status": 429, "api_format": "generic", "headers": {"a": "b\r\nc: d"}}, "invalid_member"),
        ({"status": 429, "api_format": "generic", "body": "x" * 65537}, "invalid_member"),
        ({"status": 429, "api_format": "generic", "explain": True}, "unknown_member"),
    ],
)
def test_an_explanation_needs_an_answer_and_a_table(admin, body, code):
    assert explain(admin, expect=400, **body)["code"] == code
