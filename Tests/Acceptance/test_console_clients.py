# SPDX-License-Identifier: MIT
"""The console's clients: keys for programs, made once, limited, watched, switched off and taken away."""

from __future__ import annotations

import re

import httpx
import pytest
from harness import eventually
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=alert(1)>"


def make(server, name, **more):
    return server.admin.post("/admin/client-keys", json={"name": name} | more)


@pytest.fixture
def empty(server):
    """The file's server, without clients."""
    for one in server.admin.get("/admin/client-keys", params={"limit": 1000})["items"]:
        server.admin.call("DELETE", f"/admin/client-keys/{one['id']}", expect=204)
    return server


def client_card(console, name):
    return console.main.get_by_role("list", name="Clients").get_by_role("listitem").filter(has=console.page.get_by_role("heading", name=name, exact=True))


def test_a_key_is_made_shown_once_and_works(console_of, empty, fake):
    service = empty.service(fake, keys=1, slug="openai-main")
    empty.service(fake, keys=1, slug="other")
    console = console_of(empty, "clients")
    expect(console.main.get_by_role("heading", name="No client keys yet")).to_be_visible()
    console.picture("clients-empty")
    assert console.violations() == []

    console.main.get_by_role("button", name="New client key").first.click()
    dialog = console.dialog
    dialog.get_by_role("button", name="Make the key").click()
    expect(dialog.get_by_text("Must be filled in.")).to_be_visible()
    dialog.get_by_label("Name").fill("Build server")
    dialog.get_by_role("combobox", name="Services").fill("openai-*")
    dialog.get_by_role("combobox", name="Services").press("Enter")
    expect(dialog.get_by_role("button", name="Remove openai-*")).to_be_visible()
    dialog.get_by_label("Models").fill("gpt-4o, gpt-5*")
    dialog.get_by_label("Requests per minute").fill("60")
    dialog.get_by_label("Tokens per month").fill("1,000,000")
    dialog.get_by_label("Expires", exact=True).select_option("In 30 days")
    expect(dialog.get_by_text(re.compile(r"^On .*20\d\d at"))).to_be_visible()
    console.picture("clients-new")
    assert console.violations() == []
    dialog.get_by_role("button", name="Make the key").click()

    shown = console.page.get_by_role("dialog", name="The key of “Build server”")
    expect(shown.get_by_text("Copy the key now.")).to_be_visible()
    key = re.search(r"rk-[A-Za-z0-9]{30,}", shown.inner_text())[0]
    expect(shown.get_by_text(f"/llm/{service.slug}", exact=False).first).to_be_visible()
    expect(shown.get_by_role("region", name="A first call")).to_contain_text(f"Bearer {key}")
    console.picture("clients-key")
    assert console.violations() == []
    # It is not closed by accident.
    console.page.keyboard.press("Escape")
    expect(shown.get_by_text("You have not copied the key")).to_be_visible()
    shown.get_by_role("button", name="I have stored the key").click()
    expect(shown).to_be_hidden()
    assert eventually(lambda: key not in console.everything_kept())

    card = client_card(console, "Build server")
    expect(card.get_by_text("active", exact=True)).to_be_visible()
    expect(card.get_by_text("gpt-5*")).to_be_visible()
    expect(card.get_by_role("meter", name="Requests per minute")).to_have_attribute("aria-valuetext", "0 of 60 (0%)")
    answer = httpx.post(f"{service.url}/chat/completions", headers={"Authorization": f"Bearer {key}"}, json={"model": "gpt-4o", "messages": []}, trust_env=False)
    assert answer.status_code == 200
    expect(card.get_by_role("meter", name="Requests per minute")).to_have_attribute("aria-valuetext", "1 of 60 (1.7%)", timeout=10_000)
    console.picture("clients-list")
    made = empty.admin.get("/admin/client-keys")["items"][0]
    assert made["services"] == ["openai-*"] and made["models"] == ["gpt-4o", "gpt-5*"] and made["monthly_token_budget"] == 1_000_000


def test_a_name_that_is_taken_is_refused_and_nothing_typed_is_lost(console_of, empty):
    make(empty, "Taken")
    console = console_of(empty, "clients/new")
    dialog = console.page.get_by_role("dialog", name="New client key")
    dialog.get_by_label("Name").fill("Taken")
    dialog.get_by_label("Tokens per minute").fill("500")
    dialog.get_by_role("button", name="Make the key").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Another client key has the name “Taken”.")
    expect(dialog.get_by_label("Tokens per minute")).to_have_value("500")
    console.picture("clients-refused")
    dialog.get_by_role("button", name="Cancel").click()
    expect(client_card(console, "Taken")).to_be_visible()


def test_a_client_is_changed_and_switched_off_and_both_are_taken_back(console_of, empty):
    made = make(empty, "Reporting", requests_per_minute=10, expires_at="2031-05-01T10:00:00Z")
    path = f"/admin/client-keys/{made['id']}"
    console = console_of(empty, "clients")
    card = client_card(console, "Reporting")
    expect(card.get_by_text("May 1, 2031, 12:00 PM")).to_be_visible()
    card.get_by_role("button", name="Edit Reporting").click()
    expect(console.dialog.get_by_label("Expires at")).to_have_value("2031-05-01T12:00")
    console.dialog.get_by_label("Name").fill("Reports")
    console.dialog.get_by_label("Requests per minute").fill("")
    console.dialog.get_by_role("button", name="Save").click()
    expect(client_card(console, "Reports").get_by_text("Without limits.")).to_be_visible()
    after = empty.admin.get(path)
    assert after["name"] == "Reports" and after["requests_per_minute"] is None and after["expires_at"] == "2031-05-01T10:00:00.000Z"
    console.page.get_by_role("button", name="Undo").click()
    expect(client_card(console, "Reporting").get_by_role("meter", name="Requests per minute")).to_be_visible()

    switch = client_card(console, "Reporting").get_by_role("switch")
    expect(switch).to_be_checked()
    switch.click()
    expect(console.toast("“Reporting” is switched off")).to_be_visible()
    expect(client_card(console, "Reporting").get_by_text("switched off", exact=True)).to_be_visible()
    assert not empty.admin.get(path)["is_active"]
    console.page.get_by_role("button", name="Undo").last.click()
    expect(client_card(console, "Reporting").get_by_text("active", exact=True)).to_be_visible()
    assert empty.admin.get(path)["is_active"]


def test_deleting_says_what_is_lost_and_asks_once(console_of, empty):
    made = make(empty, "Old program")
    make(empty, "Other program")
    console = console_of(empty, "clients")
    client_card(console, "Old program").get_by_role("button", name="Delete Old program").click()
    expect(console.dialog).to_contain_text("get 401 from the next request on")
    assert console.violations() == []
    console.dialog.get_by_role("button", name="Cancel").click()
    expect(client_card(console, "Old program")).to_be_visible()
    client_card(console, "Old program").get_by_role("button", name="Delete Old program").click()
    console.dialog.get_by_role("button", name="Delete the key").click()
    expect(client_card(console, "Old program")).to_be_hidden()
    expect(client_card(console, "Other program")).to_be_visible()
    empty.admin.call("GET", f"/admin/client-keys/{made['id']}", expect=404)


def test_limits_near_their_end_stand_out_and_can_be_filtered(console_of, empty, fake):
    service = empty.service(fake, keys=1)
    made = make(empty, "Nearly there", requests_per_minute=5)
    make(empty, "Idle", requests_per_minute=500, monthly_token_budget=1000)
    make(empty, "Gone", expires_at="2020-01-01T00:00:00Z")
    make(empty, "Paused", is_active=False)
    for _ in range(4):
        httpx.post(f"{service.url}/chat/completions", headers={"Authorization": f"Bearer {made['key_value']}"}, json={"model": "m", "messages": []}, trust_env=False).raise_for_status()
    assert eventually(lambda: empty.admin.get(f"/admin/client-keys/{made['id']}")["usage"]["requests_last_minute"] == 4)
    console = console_of(empty, "clients")
    expect(client_card(console, "Gone").get_by_text("expired", exact=True)).to_be_visible()
    expect(client_card(console, "Nearly there").get_by_role("meter")).to_have_attribute("aria-valuetext", "4 of 5 (80%)")
    expect(client_card(console, "Nearly there")).to_contain_text("Last 24 hours: 4 requests, 100% good", timeout=10_000)
    console.picture("clients-light")
    assert console.violations() == []
    console.main.get_by_label("Which are shown").select_option("Near a limit")
    expect(console.main.get_by_text("1 of 4 client keys")).to_be_visible()
    expect(client_card(console, "Idle")).to_be_hidden()
    console.main.get_by_label("Which are shown").select_option("All")
    console.main.get_by_label("Search names").fill("pau")
    expect(client_card(console, "Paused")).to_be_visible()
    expect(client_card(console, "Idle")).to_be_hidden()
    client_card(console, "Paused").get_by_role("link", name="Requests of Paused").click()
    expect(console.page).to_have_url(re.compile(r"#/requests\?client=Paused$"))


def test_names_that_hold_markup_are_shown_as_text_in_the_dark_and_on_a_phone(console_of, empty):
    made = make(empty, MARKUP, services=[MARKUP], requests_per_minute=3, monthly_token_budget=5_000_000, expires_at="2031-01-01T00:00:00Z")
    console = console_of(empty, f"clients/{made['id']}", color_scheme="dark", viewport={"width": 390, "height": 844})
    card = client_card(console, MARKUP)
    expect(card.get_by_role("heading", name=MARKUP)).to_be_focused()
    expect(console.page.locator("img[src=x]")).to_have_count(0)
    console.picture("clients-phone-dark")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    card.get_by_role("button", name="Edit").click()
    console.picture("clients-phone-edit")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    console.dialog.get_by_role("button", name="Cancel").click()
    card.get_by_role("button", name="Delete").click()
    expect(console.dialog.get_by_role("heading", name=f"Delete “{MARKUP}”?")).to_be_visible()


def test_in_chinese(console_of, empty, fake):
    empty.service(fake, keys=1)
    make(empty, "构建服务器", services=["openai"], requests_per_minute=3, monthly_token_budget=5_000_000, expires_at="2031-01-01T00:00:00Z")
    console = console_of(empty, None, locale="zh-CN")
    console.open("clients")
    console.page.get_by_label("用户名").fill("admin")
    console.page.get_by_label("密码").fill(empty.environment["ADMIN_PASSWORD"])
    console.page.get_by_role("button", name="登录", exact=True).click()
    expect(console.main.get_by_role("heading", level=1, name="客户端")).to_be_visible()
    expect(console.main.get_by_role("meter", name="每分钟请求数")).to_be_visible()
    console.picture("clients-chinese")
    console.main.get_by_role("button", name="新建客户端密钥").click()
    console.dialog.get_by_label("名称").fill("测试")
    console.picture("clients-chinese-new")
    console.dialog.get_by_role("button", name="创建密钥").click()
    expect(console.dialog.get_by_text("请立即复制密钥")).to_be_visible()
    console.picture("clients-chinese-key")
    assert console.violations() == []
