# SPDX-License-Identifier: MIT
"""The console's door: logging in and out, languages, themes, the end of a session, and what the browser keeps."""

from __future__ import annotations

import httpx
import pytest
from browser import Console
from harness import ADMIN_PASSWORD, PROXY_KEY, Rotator
from playwright.sync_api import expect


def test_a_newcomer_logs_in_and_sees_how_things_stand(console: Console):
    expect(console.main.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    expect(console.page).to_have_title("Overview · API Key Rotator")
    expect(console.page.get_by_role("navigation", name="Console").get_by_text("Live")).to_be_visible()


def test_a_wrong_password_says_so_and_what_was_typed_stays(console_of, server: Rotator):
    console = console_of(server, None).open()
    console.page.get_by_label("User name").fill("admin")
    console.page.get_by_label("Password").fill("wrong")
    console.page.get_by_label("Password").press("Enter")
    expect(console.page.get_by_role("alert").filter(has_text="The user name or the password is wrong.")).to_be_visible()
    expect(console.page.get_by_label("User name")).to_have_value("admin")
    expect(console.page.get_by_label("Password")).to_be_focused()
    assert console.violations() == []


def test_an_empty_form_names_what_is_missing(console_of, server: Rotator):
    console = console_of(server, None).open()
    console.page.get_by_role("button", name="Log in", exact=True).click()
    expect(console.page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    expect(console.page.get_by_text("Must be filled in.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_door_is_readable_in_both_themes_and_on_a_phone(console_of, server: Rotator, scheme: str):
    console = console_of(server, None, color_scheme=scheme, viewport={"width": 390, "height": 844}).open()
    expect(console.page.get_by_role("heading", level=1, name="API Key Rotator")).to_be_visible()
    console.picture(f"login-{scheme}")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_language_is_the_browser_s_until_another_is_chosen_and_then_remembered(console_of, server: Rotator):
    console = console_of(server, None, locale="zh-CN").open()
    expect(console.page.get_by_role("button", name="登录", exact=True)).to_be_visible()
    expect(console.page.locator("html")).to_have_attribute("lang", "zh-CN")
    console.page.get_by_label("语言").select_option("English")
    expect(console.page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    console.open()
    expect(console.page.get_by_role("button", name="Log in", exact=True)).to_be_visible()


def test_the_theme_is_the_system_s_until_another_is_chosen(console: Console):
    def background() -> str:
        return console.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    light = background()
    console.page.get_by_label("Theme").select_option("Dark")
    dark = background()
    assert light != dark
    console.page.get_by_label("Theme").select_option("As the system")
    assert background() == light


def test_a_session_that_ends_keeps_what_was_typed_and_sends_it_after_the_next_login(launch, console_of, fake):
    server = launch(JWT_SECRET="a" * 64)
    console = console_of(server, "clients/new")
    console.dialog.get_by_label("Name").fill("typed before the end")
    # Tokens of before are nobody's from now on.
    server.kill()
    server.environment["JWT_SECRET"] = "b" * 64
    server.start()
    console.dialog.get_by_role("button", name="Make").click()
    again = console.page.get_by_role("dialog", name="Log in again")
    expect(again).to_be_visible()
    expect(again.get_by_role("combobox")).to_have_count(0)  # Another language would draw the page anew.
    assert console.violations() == []
    again.get_by_label("Password").fill(ADMIN_PASSWORD)
    again.get_by_role("button", name="Log in", exact=True).click()
    expect(again).to_be_hidden()
    # The request that had found its token ended was sent again.
    expect(console.dialog.get_by_text("typed before the end")).to_be_visible()
    assert [one["name"] for one in server.admin.get("/admin/client-keys")["items"]] == ["typed before the end"]


def test_logging_out_leaves_nothing_on_the_page(console: Console, server: Rotator):
    console.navigate("Services")
    console.page.get_by_role("button", name="Log out").click()
    expect(console.page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    expect(console.page.get_by_role("navigation")).to_have_count(0)


def test_the_page_outlives_its_server_without_a_flood_of_messages(launch, console_of):
    server = launch()
    made = server.admin.post("/admin/proxy-configs", json={"name": "Many", "slug": "many", "config_type": "GENERIC", "target_url": "http://127.0.0.1:9", "api_key_location": "header", "api_key_name": "X-Key"})
    server.admin.post(f"/admin/proxy-configs/{made['id']}/keys/batch", expect=200, json={"keys": [f"wk-flood-{number:05}" for number in range(3000)]})
    console = console_of(server, f"services/{made['id']}/keys")
    grid = console.main.get_by_role("grid")
    expect(grid.get_by_role("checkbox", name="Select #1", exact=True)).to_be_visible()
    server.kill()
    expect(console.page.get_by_role("navigation", name="Console").get_by_text("Not connected")).to_be_visible()
    # To where nothing is in memory yet: it cannot be had now, which is said once, and comes by itself later.
    grid.get_by_role("row").nth(3).focus()
    console.page.keyboard.press("End")
    told = console.page.get_by_role("region", name="Messages").get_by_text("The server cannot be reached.")
    expect(told).to_have_count(1)
    calls: list[str] = []
    console.page.on("request", lambda request: calls.append(request.url))
    console.page.wait_for_timeout(4_000)
    expect(told).to_have_count(1)
    assert len([url for url in calls if "/keys?" in url]) <= 6, "it is asked for now and then"
    server.start()
    expect(grid.get_by_role("checkbox", name="Select #3000")).to_be_visible(timeout=15_000)


def test_the_token_is_in_memory_alone(console: Console, server: Rotator):
    tokens: list[str] = []
    console.page.on("request", lambda request: tokens.append(request.headers.get("authorization", "")))
    console.navigate("Services")
    console.navigate("Settings")
    token = next(one for one in tokens if one).removeprefix("Bearer ")
    kept = console.everything_kept()
    assert token not in kept and ADMIN_PASSWORD not in kept and PROXY_KEY not in kept
    assert console.context.cookies() == []
    # Another site that makes the browser ask has nothing that would let it in.
    assert httpx.get(f"{server.url}/admin/proxy-configs", headers={"Origin": "http://evil.example"}, trust_env=False).status_code == 401


def test_no_page_elsewhere_can_hold_the_console_in_a_frame(console_of, server: Rotator, browser):
    context = browser.new_context()
    page = context.new_page()
    page.set_content(f'<iframe src="{server.url}/" title="framed"></iframe>')
    page.wait_for_timeout(500)
    assert all("Log in" not in (frame.content() if frame.url.startswith("http") else "") for frame in page.frames[1:])
    context.close()


def test_a_server_that_is_gone_is_told_and_found_again(launch, console_of):
    server = launch()
    console = console_of(server)
    navigation = console.page.get_by_role("navigation", name="Console")
    expect(navigation.get_by_text("Live")).to_be_visible()
    server.kill()
    expect(navigation.get_by_text("Not connected")).to_be_visible()
    server.start()
    expect(navigation.get_by_text("Live")).to_be_visible(timeout=20_000)
