# SPDX-License-Identifier: MIT
"""The console's overview and its requests, with real traffic behind them."""

from __future__ import annotations

import re

import pytest
from browser import Console
from harness import PROXY_KEY, FakeProvider, Rotator
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def busy(server: Rotator, provider: FakeProvider):
    """A service with traffic: good answers, one that went on with another key, and one that the client's model name marks."""
    provider.reset()
    made = server.admin.post("/admin/proxy-configs", json={
        "name": f"Chat {MARKUP}", "slug": "chat", "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": provider.url + "/v1"})  # fmt: skip
    for number in (1, 2):
        server.admin.post(f"/admin/proxy-configs/{made['id']}/keys", json={"key_value": f"sk-traffic-secret-{number}", "name": f"key {number}", "quota_group": f"org-{number}"})
    provider.tell("sk-traffic-secret-1", {"do": "ok", "times": 1}, {"do": "429", "retry_after": 300})
    headers = {"X-Proxy-Key": PROXY_KEY}
    for model in ("gpt-4o", "gpt-4o", "gpt-4o", MARKUP):
        answer = server.http.post(f"{server.url}/llm/chat/chat/completions", headers=headers | {"x-request-id": f"r-{len(model)}"}, json={"model": model, "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code == 200
    return made


def test_the_overview_says_how_things_stand(console_of, server, busy):
    console = console_of(server, "overview")
    main = console.main
    expect(main.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    expect(main.get_by_text("Requests per second").first).to_be_visible()
    expect(main.get_by_role("link", name=re.compile(re.escape(f"Chat {MARKUP}"))).first).to_be_visible()
    console.picture("overview")
    assert console.violations() == []


def test_a_service_without_keys_needs_attention_and_its_button_leads_there(launch, console_of):
    server = launch()
    made = server.admin.post("/admin/proxy-configs", json={"name": "Empty", "slug": "empty", "config_type": "GENERIC", "target_url": "http://127.0.0.1:9", "api_key_location": "header", "api_key_name": "X-Key"})
    console = console_of(server, "overview")
    item = console.main.get_by_role("listitem").filter(has_text="Empty").first
    expect(item).to_be_visible()
    item.get_by_role("button").or_(item.get_by_role("link")).last.click()
    expect(console.page).to_have_url(re.compile(rf"#/services/{made['id']}/keys"))


def test_a_first_start_leads_through_its_steps(launch, console_of):
    console = console_of(launch(), "overview")
    expect(console.main.get_by_role("button", name=re.compile("service", re.I)).or_(console.main.get_by_role("link", name=re.compile("service", re.I))).first).to_be_visible()
    console.picture("overview-first")
    assert console.violations() == []


def test_requests_are_listed_and_each_tells_its_attempts(console_of, server, busy):
    console = console_of(server, "requests")
    main = console.main
    expect(main.get_by_text(MARKUP).locator("visible=true").first).to_be_visible()
    assert main.get_by_role("row").count() >= 4
    console.picture("requests")
    assert console.violations() == []
    # The one that went on with another key has two attempts.
    moved = next(one for one in server.admin.get("/admin/requests")["items"] if one["attempts"] == 2)
    console.go(f"requests?request_id={moved['request_id']}")
    main.get_by_role("row").filter(has_text="gpt-4o").first.click()
    expect(console.dialog).to_be_visible()
    expect(console.dialog.get_by_text(re.compile("429")).first).to_be_visible()
    expect(console.dialog.get_by_text(re.compile("rate.limited", re.I)).first).to_be_visible()
    console.picture("request")
    assert console.violations() == []
    assert "sk-traffic-secret" not in console.everything_kept()


@pytest.mark.parametrize("context", [{"color_scheme": "dark"}, {"locale": "zh-CN"}, {"viewport": {"width": 390, "height": 844}}], ids=["dark", "Chinese", "phone"])
@pytest.mark.parametrize("place", ["overview", "requests"])
def test_both_are_readable_everywhere(console_of, server, busy, place, context):
    console: Console = console_of(server, place, **context)
    expect(console.main.get_by_role("heading", level=1)).to_be_visible()
    expect(console.main.get_by_text(MARKUP).locator("visible=true").first).to_be_visible()
    console.picture(f"{place}-{next(iter(context))}")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
