# SPDX-License-Identifier: MIT
"""The console's rules: what a provider's errors mean, to read as sentences, to change, and to try before a change is saved."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=alert(1)>"
TEAPOT = {"statuses": [418], "conditions": [], "verdict": "rate_limited", "scope": "usual", "until": ["retry_after"], "reason": "teapot"}
QUOTA = 'HTTP/2 429 \r\nretry-after: 20\r\ncontent-type: application/json\r\n\r\n{"error": {"message": "no", "code": "insufficient_quota"}}'


@pytest.fixture
def service(server, fake):
    """Of REST: its table is the shortest."""
    return server.service(fake, keys=0, kind="GENERIC", name="Main provider")


@pytest.fixture
def llm(server, fake):
    return server.service(fake, keys=0, name="Language models")


def rules_path(service):
    return f"/admin/proxy-configs/{service.id}/rules"


def table(console):
    return console.main.get_by_role("region", name="Rules", exact=True)


def rule(console, number):
    return table(console).get_by_role("list", name="Rules", exact=True).get_by_role("listitem").nth(number - 1)


def test_the_tables_of_formats_and_services_are_listed(console_of, server, service):
    server.admin.call("PUT", rules_path(service), expect=200, json={"rules": [TEAPOT]})
    console = console_of(server, "rules")
    row = console.main.get_by_role("row").filter(has_text=service.slug)
    expect(row.get_by_text("own table")).to_be_visible()
    expect(row.get_by_text("1 rule", exact=True)).to_be_visible()
    expect(console.main.get_by_role("link", name="Gemini format")).to_be_visible()
    console.picture("rules-overview")
    assert console.violations() == []
    console.main.get_by_role("link", name="Gemini format").click()
    expect(console.main.get_by_role("heading", level=1, name="Rules of Gemini format")).to_be_visible()
    expect(rule(console, 1)).to_contain_text("/error/details/*/reason in the body is “api_key_invalid”")
    expect(rule(console, 5)).to_contain_text("The key rests as a whole, with its quota group, until midnight in California.")
    assert console.violations() == []


def test_a_rule_is_added_tried_saved_and_taken_back(console_of, server, service):
    before = server.admin.get(rules_path(service))
    console = console_of(server, f"rules/{service.id}")
    expect(console.main.get_by_role("heading", level=1, name="Rules of Main provider")).to_be_visible()
    expect(rule(console, 1).get_by_text("format’s default")).to_be_visible()
    console.picture("rules-service")
    assert console.violations() == []

    table(console).get_by_role("button", name="Add a rule", exact=True).click()
    dialog = console.dialog
    dialog.get_by_role("button", name="Remove 429").click()
    dialog.get_by_label("Status").fill("418, 450-460")
    dialog.get_by_role("button", name="Add a condition").click()
    dialog.get_by_label("What is looked at").select_option("A value in the JSON body")
    dialog.get_by_label("JSON pointers").fill("/error/code\n/code")
    dialog.get_by_label("Texts").fill("teapot, short\nteapot")
    dialog.get_by_label("What it means").select_option("exhausted")
    dialog.get_by_label("What rests").select_option("The key alone, for every model")
    dialog.get_by_label("Reason").fill("teapot")
    expect(dialog.get_by_role("status")).to_contain_text("Status 418 or 450–460 and /error/code or /code in the body is “teapot, short” or “teapot”")
    console.picture("rules-edit")
    assert console.violations() == []
    dialog.get_by_role("button", name="Use this rule").click()
    expect(dialog).to_be_hidden()
    expect(rule(console, 1)).to_be_focused()
    expect(rule(console, 1).get_by_text("own", exact=True)).to_be_visible()
    assert server.admin.get(rules_path(service)) == before, "nothing is saved yet"

    explain = console.main.get_by_role("region", name="Try an answer")
    explain.get_by_label("Answer with its head").fill('HTTP/1.1 418 I\'m a teapot\nContent-Type: application/json\n\n{"code": "teapot"}')
    expect(explain.get_by_label("Status")).to_have_value("418")
    explain.get_by_role("button", name="Explain").click()
    expect(explain.get_by_role("button", name="Rule 1 decides")).to_be_visible()
    expect(explain).to_contain_text("The key counts as exhausted until")
    expect(rule(console, 1).get_by_text("decides")).to_be_visible()
    console.picture("rules-explained")
    assert console.violations() == []

    table(console).get_by_role("button", name="Save the table").click()
    expect(console.toast("The rules of “Main provider” are in force from the next request on.")).to_be_visible()
    saved = server.admin.get(rules_path(service))
    made = {"statuses": [418, "450-460"], "conditions": [{"json": ["/error/code", "/code"], "equals": ["teapot, short", "teapot"]}], "verdict": "exhausted", "scope": "key", "until": ["retry_after"], "reason": "teapot"}
    assert saved == {"is_default": False, "rules": [made] + before["rules"]}
    expect(table(console).get_by_role("button", name="Save the table")).to_be_hidden()
    console.page.get_by_role("button", name="Undo").click()
    expect(rule(console, 1).get_by_text("format’s default")).to_be_visible()
    assert server.admin.get(rules_path(service)) == before


def test_rules_are_moved_removed_and_reset_by_the_keyboard_alone(console_of, server, service):
    defaults = server.admin.get(rules_path(service))["rules"]
    server.admin.call("PUT", rules_path(service), expect=200, json={"rules": [TEAPOT, *defaults]})
    console = console_of(server, f"rules/{service.id}")
    down = rule(console, 1).get_by_role("button", name="Move rule 1 down")
    down.focus()
    console.page.keyboard.press("Enter")
    expect(rule(console, 2)).to_contain_text("teapot")
    expect(rule(console, 2).get_by_role("button", name="Move rule 2 down")).to_be_focused()
    rule(console, 2).get_by_role("button", name="More for rule 2").focus()
    console.page.keyboard.press("Enter")
    expect(console.page.get_by_role("menuitem", name="Move to the top")).to_be_focused()
    console.page.keyboard.press("Escape")
    rule(console, 3).get_by_role("button", name="More for rule 3").click()
    console.page.get_by_role("menuitem", name="Remove").click()
    expect(console.toast("Rule 3 was removed.")).to_be_visible()
    # Whoever looks elsewhere in between finds the change again.
    console.navigate("Clients")
    console.go(f"rules/{service.id}")
    expect(console.toast("Here are the changes that you have not saved.")).to_be_visible()
    table(console).get_by_role("button", name="Save the table").click()
    expect(console.toast("in force from the next request on")).to_be_visible()
    assert server.admin.get(rules_path(service))["rules"] == [defaults[0], TEAPOT, *defaults[2:]]

    # Nobody's change is overwritten without a word.
    server.admin.call("PUT", rules_path(service), expect=200, json={"rules": defaults})
    rule(console, 1).get_by_role("button", name="Move rule 1 down").click()
    table(console).get_by_role("button", name="Save the table").click()
    expect(console.dialog).to_contain_text("Somebody else has changed these rules since you opened them.")
    console.dialog.get_by_role("button", name="Cancel").click()
    assert server.admin.get(rules_path(service))["rules"] == defaults
    table(console).get_by_role("button", name="Discard").click()
    server.admin.call("PUT", rules_path(service), expect=200, json={"rules": [defaults[0], TEAPOT, *defaults[2:]]})

    table(console).get_by_role("button", name="Back to the defaults").click()
    expect(console.dialog).to_contain_text(f"The service’s own table goes: {len(defaults)} rules, 1 of them not among the defaults.")
    console.dialog.get_by_role("button", name="Back to the defaults").click()
    expect(console.toast("“Main provider” goes by the defaults of its format.")).to_be_visible()
    assert server.admin.get(rules_path(service))["is_default"]
    console.page.get_by_role("button", name="Undo").last.click()
    expect(rule(console, 2)).to_contain_text("teapot")
    assert server.admin.get(rules_path(service))["rules"][1] == TEAPOT


def test_json_that_is_wrong_is_shown_at_its_place(console_of, server, service):
    server.admin.call("PUT", rules_path(service), expect=200, json={"rules": [TEAPOT]})
    console = console_of(server, f"rules/{service.id}")
    console.main.get_by_role("radio", name="JSON").check(force=True)
    text = table(console).get_by_label("Rules as JSON")
    expect(text).to_have_value(re.compile("teapot"))
    whole = text.input_value()
    text.fill(whole.replace('"teapot"', '"teapot"]'))
    table(console).get_by_role("button", name="Check").click()
    expect(table(console).get_by_role("alert").last).to_contain_text("Line 5, column")
    expect(table(console).get_by_role("alert").last).to_contain_text("This is not JSON")
    text.fill(whole.replace("[418]", '[418, "600-699"]'))
    table(console).get_by_role("button", name="Save the table").click()
    expect(table(console).get_by_text("/0/statuses/1")).to_be_visible()
    expect(table(console)).to_contain_text("Line 3, column 23: /0/statuses/1 must be from 400 to 599")
    console.picture("rules-json")
    assert console.violations() == []
    table(console).get_by_role("button", name="Go there").click()
    assert text.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)") == '"600-699"'
    # A table that is wrong cannot be shown as sentences; what was typed stays.
    console.main.get_by_role("radio", name="Sentences").check(force=True)
    expect(text).to_have_value(re.compile("600-699"))
    text.fill(whole.replace("[418]", "[418, 419]"))
    table(console).get_by_role("button", name="Check").click()
    expect(table(console).get_by_text("The table is valid.")).to_be_visible()
    table(console).get_by_role("button", name="Save the table").click()
    expect(console.toast("in force from the next request on")).to_be_visible()
    assert server.admin.get(rules_path(service))["rules"][0]["statuses"] == [418, 419]


def test_a_rule_that_the_server_refuses_stays_in_its_form(console_of, server, service):
    console = console_of(server, f"rules/{service.id}")
    rule(console, 1).get_by_role("button", name="Edit rule 1", exact=True).click()
    console.dialog.get_by_label("JSON pointers").fill("/error/~x")
    console.dialog.get_by_role("button", name="Use this rule").click()
    expect(console.dialog.get_by_role("alert")).to_contain_text("The server does not take /conditions/0/json/0: is not a JSON pointer")
    expect(console.dialog.get_by_label("JSON pointers")).to_be_focused()
    console.picture("rules-edit-refused")
    assert console.violations() == []
    console.dialog.get_by_role("button", name="Cancel").click()
    expect(table(console).get_by_role("button", name="Save the table")).to_be_hidden()


def test_a_whole_answer_is_taken_apart_and_explained(console_of, server, llm):
    console = console_of(server, f"rules/{llm.id}")
    explain = console.main.get_by_role("region", name="Try an answer")
    explain.get_by_label("Answer with its head").fill(f"HTTP/1.1 200 Connection established\r\n\r\n{QUOTA}")
    expect(explain.get_by_label("Headers")).to_have_value("retry-after: 20\ncontent-type: application/json")
    expect(explain.get_by_label("Body")).to_have_value(re.compile("insufficient_quota"))
    explain.get_by_label("Model").fill("gpt-4o")
    explain.get_by_role("button", name="Explain").click()
    expect(explain.get_by_role("button", name="Rule 27 decides")).to_be_visible()
    explain.get_by_role("button", name="Rule 27 decides").click()
    expect(rule(console, 27)).to_be_focused()
    explain.get_by_label("Status").fill("404")
    explain.get_by_role("button", name="Explain").click()
    expect(explain.get_by_text("No rule holds")).to_be_visible()
    explain.get_by_role("button", name="Examples").click()
    console.page.get_by_role("menuitem", name="503 Service Unavailable").click()
    expect(explain).to_contain_text("The provider’s time")


def test_texts_that_hold_markup_are_shown_as_text_in_the_dark_and_on_a_phone(console_of, server, fake):
    service = server.service(fake, keys=0, name=MARKUP)
    marked = {"statuses": [429], "conditions": [{"body_contains": [MARKUP]}, {"json": [f"/{MARKUP}"], "exists": True}], "verdict": "success", "reason": "marked"}
    server.admin.call("PUT", rules_path(service), expect=200, json={"rules": [marked, TEAPOT]})
    console = console_of(server, f"rules/{service.id}", color_scheme="dark", viewport={"width": 390, "height": 844})
    expect(console.main.get_by_role("heading", level=1, name=f"Rules of {MARKUP}")).to_be_visible()
    expect(rule(console, 1)).to_contain_text(f"the body contains “{MARKUP}” and the body has a value at /{MARKUP}")
    expect(console.page.locator("img[src=x]")).to_have_count(0)
    console.picture("rules-phone-dark")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    rule(console, 1).get_by_role("button", name="Edit rule 1").click()
    console.picture("rules-phone-edit")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_in_chinese(console_of, server, llm):
    console = console_of(server, None, locale="zh-CN")
    console.open(f"rules/{llm.id}")
    console.page.get_by_label("用户名").fill("admin")
    console.page.get_by_label("密码").fill(server.environment["ADMIN_PASSWORD"])
    console.page.get_by_role("button", name="登录", exact=True).click()
    expect(console.main.get_by_role("heading", level=1, name="Language models 的规则")).to_be_visible()
    explain = console.main.get_by_role("region", name="试一试响应")
    for number, part in enumerate(["立即尝试下一个密钥", "整个密钥|密钥仅|已耗尽", "连续 3 次会熔断", "变为无效", "冷却"]):
        explain.get_by_role("button", name="示例").click()
        console.page.get_by_role("menu", name="示例").get_by_role("menuitem").nth(number).click()
        expect(explain.get_by_role("heading", name="结果")).to_be_visible()
        expect(explain).to_contain_text(re.compile(part))
        expect(explain.locator("[lang=en]")).to_have_count(0)
    console.picture("rules-chinese")
    assert console.violations() == []
    console.main.get_by_role("button", name="编辑规则 3", exact=True).click()
    console.picture("rules-chinese-edit")
