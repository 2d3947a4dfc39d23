# SPDX-License-Identifier: MIT
"""One owner's first day with the console, from the first login on, in one window."""

from __future__ import annotations

import re

import openai
from browser import Console
from harness import ADMIN_PASSWORD, FakeProvider, eventually
from playwright.sync_api import Locator, expect

KEYS = [f"sk-journey-{number}-0123456789abcdef" for number in range(3)]
PASSPHRASE = "nine quiet herons at dawn"


def test_from_the_first_login_to_everyday_work(launch, console_of, fake: FakeProvider, tmp_path):
    server = launch()
    console: Console = console_of(server, None).open()

    # The first login, and what to do first.
    console.page.get_by_label("User name").fill("admin")
    console.page.get_by_label("Password").fill(ADMIN_PASSWORD)
    console.page.get_by_role("button", name="Log in", exact=True).click()
    expect(console.main.get_by_role("heading", name="Welcome")).to_be_visible()
    console.main.get_by_role("link", name="Create a service").click()

    # A service with three keys.
    console.main.get_by_role("link", name="OpenAI api.openai.com").click()
    console.main.get_by_label("Base URL of the provider").fill(fake.url + "/v1")
    console.main.get_by_label("Keys of the provider").fill(KEYS[0])
    console.main.get_by_role("button", name="Create the service").click()
    made = console.main.get_by_role("region", name="OpenAI is made")
    expect(made).to_contain_text("1 key was added")
    made.get_by_role("button", name="Close").click()
    console.main.get_by_role("link", name="Keys", exact=True).click()
    console.main.get_by_role("button", name="Import keys").click()
    console.dialog.get_by_label("Paste keys, one a line").fill("\n".join(KEYS))
    console.dialog.get_by_role("button", name="Look at them first").click()
    console.dialog.get_by_role("button", name="Import 2 keys").click()
    expect(console.main.get_by_text("3 keys, 0 quota groups")).to_be_visible()

    # A client's key, used by a program with the official SDK.
    console.navigate("Clients")
    console.main.get_by_role("button", name="New client key").first.click()
    console.dialog.get_by_label("Name").fill("My program")
    console.dialog.get_by_role("button", name="Make the key").click()
    shown = console.page.get_by_role("dialog", name="The key of “My program”")
    expect(shown).to_contain_text("/llm/openai")
    client_key = re.search(r"rk-[A-Za-z0-9]{30,}", shown.inner_text())[0]
    shown.get_by_role("button", name="I have stored the key").click()
    client = openai.OpenAI(base_url=f"{server.url}/llm/openai", api_key=client_key, max_retries=0)

    def ask() -> str:
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}]).choices[0].message.content

    assert "hello" in ask()
    streamed = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True)
    assert "hello" in "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)

    # The second key is of another organisation than the others.
    console.navigate("Services")
    console.main.get_by_role("link", name="OpenAI", exact=True).first.click()
    console.main.get_by_role("link", name="Keys", exact=True).click()
    row = key_row(console, 2)
    row.click()
    console.dialog.get_by_role("button", name="Edit").click()
    console.dialog.get_by_label("Quota group").fill("other-organisation")
    console.dialog.get_by_role("button", name="Save").click()
    console.dialog.get_by_role("button", name="Close").click()
    expect(row).to_contain_text("other-organisation")

    # It has enough for now: it rests before the owner's eyes and is back, and the program notices nothing.
    fake.tell(KEYS[1], {"do": "429", "retry_after": 7})
    expect(row).to_contain_text("active")
    for _ in range(4):
        assert "hello" in ask()
    # A 429 of OpenAI's is of one model: the key as a whole goes on.
    expect(row.get_by_text("1 model")).to_be_visible(timeout=20_000)
    expect(row.get_by_text("1 model")).to_have_count(0, timeout=30_000)

    # What happened, request by request.
    console.navigate("Requests")
    expect(console.main.get_by_role("row").filter(has_text="gpt-4o").first).to_be_visible()
    moved = eventually(lambda: next((one for one in server.admin.get("/admin/requests")["items"] if one["attempts"] == 2), None))
    console.go(f"requests?request_id={moved['request_id']}")
    console.main.get_by_role("row").filter(has_text="gpt-4o").first.click()
    expect(console.dialog.get_by_text(re.compile("429")).first).to_be_visible()
    expect(console.dialog).to_contain_text("My program")
    console.dialog.get_by_role("button", name="Close").click()

    # A rule of the owner's own: 418 rests the key, and the request goes on with another.
    console.navigate("Rules")
    console.main.get_by_role("link", name="OpenAI", exact=True).click()
    rules = console.main.get_by_role("region", name="Rules", exact=True)
    rules.get_by_role("button", name="Add a rule", exact=True).click()
    console.dialog.get_by_role("button", name="Remove 429").click()
    console.dialog.get_by_label("Status").fill("418")
    console.dialog.get_by_label("What it means").select_option("rate limited")
    console.dialog.get_by_label("Reason").fill("teapot")
    console.dialog.get_by_role("button", name="Use this rule").click()
    rules.get_by_role("button", name="Save the table").click()
    expect(console.toast("in force from the next request on")).to_be_visible()
    fake.tell(KEYS[1], {"do": "418", "times": 1})
    assert all("hello" in ask() for _ in range(3))
    assert any(one["status"] == 418 for one in fake.requests(KEYS[1])), "it was asked, and its answer did not come through"

    # Out with the catalogue, into another server, and the program goes on there with the same key.
    console.navigate("Settings")
    console.go("settings/transfer")
    out = console.main.get_by_role("region", name="Export")
    out.get_by_role("textbox", name="Passphrase", exact=True).fill(PASSPHRASE)
    out.get_by_role("textbox", name="Passphrase once more").fill(PASSPHRASE)
    with console.page.expect_download() as download:
        out.get_by_role("button", name="Export").click()
    catalogue = tmp_path / "catalogue.json"
    download.value.save_as(catalogue)
    elsewhere = launch()
    other: Console = console_of(elsewhere, "settings/transfer")
    into = other.main.get_by_role("region", name="Import")
    into.get_by_label("Document", exact=True).set_input_files(catalogue)
    into.get_by_label("Passphrase").fill(PASSPHRASE)
    into.get_by_role("button", name="Show what would change").click()
    expect(into.get_by_text("New: 3 keys of openai")).to_be_visible()
    into.get_by_role("button", name="Import it").click()
    confirmation = other.dialog.get_by_role("button", name="Import it")
    expect(confirmation.or_(into.get_by_role("heading", name="What was done")).first).to_be_visible()
    if confirmation.count():
        confirmation.click()
    expect(into.get_by_role("heading", name="What was done")).to_be_visible()
    client = openai.OpenAI(base_url=f"{elsewhere.url}/llm/openai", api_key=client_key, max_retries=0)
    assert "hello" in ask()

    # In the other language, in the dark, in the hand.
    other.page.get_by_role("navigation", name="Console").get_by_label("Language").select_option("中文")
    other.page.get_by_label("主题").first.select_option("深色")
    other.page.set_viewport_size({"width": 390, "height": 844})
    for place, heading in {"overview": "概览", "services": "服务", "clients": "客户端", "requests": "请求", "rules": "规则", "settings": "设置"}.items():
        other.go(place)
        expect(other.main.get_by_role("heading", level=1, name=heading)).to_be_visible()
        assert other.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
        assert other.violations() == [], place
    for one in (console, other):
        kept = one.everything_kept()
        assert not any(secret in kept for secret in [*KEYS, client_key, PASSPHRASE, ADMIN_PASSWORD])


def key_row(console: Console, number: int) -> Locator:
    return console.main.get_by_role("grid").get_by_role("row").filter(has=console.page.get_by_role("checkbox", name=f"Select #{number}", exact=True))
