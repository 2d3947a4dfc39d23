# SPDX-License-Identifier: MIT
"""The keys of a service in the console: ten of them, and a hundred thousand."""

from __future__ import annotations

import re

import pytest
from browser import Console
from harness import PROXY_KEY, FakeProvider, Rotator, eventually
from playwright.sync_api import Locator, expect

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def weather(server: Rotator, fake: FakeProvider):
    """A REST service with three keys: one 429 rests a whole key."""
    made = server.admin.post("/admin/proxy-configs", json={
        "name": f"Weather {MARKUP}", "slug": f"weather-{len(server.admin.get('/admin/proxy-configs')['items'])}", "config_type": "GENERIC", "target_url": fake.url,
        "api_key_location": "header", "api_key_name": "X-Key"})  # fmt: skip
    for number in (1, 2, 3):
        server.admin.post(f"/admin/proxy-configs/{made['id']}/keys", json={"key_value": f"wk-secret-value-number-{number}", "name": f"key {number}", "tags": ["first"] if number == 1 else []})
    return made


def open_keys(console_of, server: Rotator, service: dict, query: str = "", **context) -> Console:
    console = console_of(server, f"services/{service['id']}/keys{query}", **context)
    expect(console.main.get_by_role("grid", name=re.compile("Keys|密钥"))).to_be_visible()
    return console


def rows(console: Console) -> Locator:
    return console.main.get_by_role("grid").get_by_role("row").filter(has=console.page.get_by_role("checkbox"))


def test_the_pool_is_shown_in_numbers_and_by_its_keys(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    expect(console.main.get_by_text("3 keys, 0 quota groups")).to_be_visible()
    expect(rows(console)).to_have_count(3)
    expect(rows(console).first).to_contain_text("key 1")
    expect(rows(console).first).to_contain_text("active")
    console.picture("keys")
    assert "wk-secret-value" not in console.everything_kept()


def test_a_key_is_watched_while_it_cools_and_returns(console_of, server, fake, weather):
    fake.tell("wk-secret-value-number-2", {"do": "429", "retry_after": 6})
    console = open_keys(console_of, server, weather)
    for _ in range(3):
        assert server.http.get(f"{server.url}/proxy/{weather['slug']}/weather?q=x", headers={"X-Proxy-Key": PROXY_KEY}).status_code == 200
    second = rows(console).filter(has_text="key 2")
    expect(second).to_contain_text("cooling")
    expect(second).to_contain_text("rate limited")
    expect(second.get_by_role("time").first).to_contain_text(" s")
    # Closer, too: why, for how long, and that it is back.
    second.get_by_text("rate limited").click()
    expect(console.dialog.get_by_text("It would not be chosen now:")).to_be_visible()
    expect(console.dialog.get_by_text("cooling").first).to_be_visible()
    expect(console.dialog.get_by_text(re.compile("It may be chosen:|It would be chosen next:"))).to_be_visible(timeout=15_000)
    console.dialog.get_by_role("button", name="Close").click()
    expect(second).to_contain_text("active")


def test_filters_find_keys_and_stand_in_the_address(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    console.main.get_by_label("Search").fill("key 3")
    expect(rows(console)).to_have_count(1)
    expect(console.page).to_have_url(re.compile(r"q=key\+3"))
    console.main.get_by_label("Search").fill("")
    console.main.get_by_label("Tag").fill("first")
    expect(rows(console)).to_have_count(1)
    console.main.get_by_label("Tag").fill("nobody")
    expect(console.main.get_by_text("No key is like that. Change the filter.")).to_be_visible()


def test_several_are_switched_off_at_once_and_it_can_be_taken_back(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    for name in ("key 1", "key 3"):
        console.main.get_by_role("checkbox", name=f"Select {name}").check()
    expect(console.main.get_by_text("2 keys selected")).to_be_visible()
    console.main.get_by_role("button", name="Switch off").click()
    expect(console.toast("2 keys were changed.")).to_be_visible()
    expect(rows(console).filter(has_text="disabled")).to_have_count(2)
    console.page.get_by_role("region", name="Messages").get_by_role("button", name="Undo").click()
    expect(rows(console).filter(has_text="disabled")).to_have_count(0)
    expect(console.toast("Undone.")).to_be_visible()


def test_one_key_tells_all_about_itself_and_is_changed(console_of, server, fake, weather):
    server.http.get(f"{server.url}/proxy/{weather['slug']}/weather?q=x", headers={"X-Proxy-Key": PROXY_KEY})
    console = open_keys(console_of, server, weather)
    rows(console).first.focus()
    console.page.keyboard.press("Enter")
    dialog = console.dialog
    expect(dialog.get_by_role("heading", name="How it stands")).to_be_visible()
    expect(dialog.get_by_text("It may be chosen:").or_(dialog.get_by_text("It would be chosen next:"))).to_be_visible()
    expect(dialog.get_by_role("heading", name="What was asked of it")).to_be_visible()
    console.picture("key")
    assert console.violations() == []
    dialog.get_by_role("button", name="Edit").click()
    console.dialog.get_by_label("Name").fill(MARKUP)
    console.dialog.get_by_label("Requests per minute").fill("60")
    console.dialog.get_by_role("button", name="Save").click()
    expect(console.dialog.get_by_text(MARKUP)).to_be_visible()
    changed = server.admin.get(f"/admin/proxy-configs/{weather['id']}/keys?q=img")["items"][0]
    assert changed["name"] == MARKUP and changed["limits"]["requests_per_minute"] == 60 and changed["quota_group"] is None
    console.dialog.get_by_role("button", name="Close").click()
    expect(rows(console).filter(has_text=MARKUP)).to_have_count(1)


def test_one_key_is_added_and_its_value_is_gone_with_the_dialog(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    console.main.get_by_role("button", name="Add a key").click()
    console.dialog.get_by_label("Value of the key").fill("wk-added-by-hand-0123456789")
    console.dialog.get_by_label("Name").fill("by hand")
    console.dialog.get_by_role("button", name="Add a key").click()
    expect(rows(console).filter(has_text="by hand")).to_have_count(1)
    assert "added-by-hand" not in console.everything_kept()
    console.main.get_by_role("button", name="Add a key").click()
    console.dialog.get_by_label("Value of the key").fill("wk-added-by-hand-0123456789")
    console.dialog.get_by_role("button", name="Add a key").click()
    expect(console.dialog.get_by_role("alert").filter(has_text=re.compile("already|has this"))).to_be_visible()


def test_pasted_keys_are_looked_at_before_they_are_imported(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    console.main.get_by_role("button", name="Import keys").click()
    console.dialog.get_by_label("Paste keys, one a line").fill("wk-new-one-0123456789\n# a remark\n\nwk-secret-value-number-1\nwk-new-one-0123456789\nnot a key\nwk-new-two-0123456789\n")
    console.dialog.get_by_role("button", name="Look at them first").click()
    expect(console.dialog.get_by_text("Line 6: holds something other than visible ASCII characters")).to_be_visible()
    expect(console.dialog.get_by_text("2 keys", exact=True)).to_have_count(2)  # New, and duplicates.
    console.picture("keys-import")
    assert console.violations() == []
    # Another text is looked at again before it can be imported.
    console.dialog.get_by_label("Paste keys, one a line").press_sequentially("x")
    expect(console.dialog.get_by_role("button", name="Import 2 keys")).to_have_count(0)
    console.dialog.get_by_label("Paste keys, one a line").press("Backspace")
    console.dialog.get_by_role("button", name="Look at them first").click()
    console.dialog.get_by_role("button", name="Import 2 keys").click()
    expect(console.toast("2 keys were added.")).to_be_visible()
    expect(console.main.get_by_text("5 keys, 0 quota groups")).to_be_visible()
    assert "wk-new" not in console.everything_kept()


def test_a_store_that_is_away_in_mid_import_says_how_far_it_came_and_goes_on(console_of, server, weather, tmp_path):
    console = open_keys(console_of, server, weather)
    calls = []

    def second_fails(route):
        calls.append(route.request.url)
        if "dry_run" not in route.request.url and sum("dry_run" not in url for url in calls) == 2:
            return route.fulfill(status=503, json={"type": "about:blank", "title": "away", "status": 503, "detail": "away", "code": "store_unavailable"}, headers={"Retry-After": "2"})
        return route.continue_()

    console.page.route("**/keys/batch*", second_fails)
    console.main.get_by_role("button", name="Import keys").click()
    file = tmp_path / "many.txt"
    file.write_text("\r\n".join(f"wk-many-{number:07}" for number in range(12_000)))
    console.dialog.get_by_label("Or choose a file").set_input_files(file)
    console.dialog.get_by_role("button", name="Import 12,000 keys").click()
    expect(console.dialog.get_by_text("Stopped after 5,000 of 12,000 keys: The store is away")).to_be_visible()
    console.dialog.get_by_role("button", name="Go on from there").click()
    expect(console.main.get_by_text("12,003 keys")).to_be_visible(timeout=20_000)


def test_a_validation_is_followed_and_what_was_rejected_is_deleted(console_of, server, fake):
    made = server.admin.post("/admin/proxy-configs", json={"name": "V", "slug": "validated", "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": fake.url + "/v1"})
    for key in ("sk-good-0123456789abcdef", "sk-bad-0123456789abcdef0"):
        server.admin.post(f"/admin/proxy-configs/{made['id']}/keys", json={"key_value": key})
    fake.tell("*", {"do": "401", "times": -1})
    fake.tell("sk-good-0123456789abcdef", {"do": "ok", "times": -1})
    console = open_keys(console_of, server, made)
    console.main.get_by_role("button", name="Validate").click()
    console.dialog.get_by_role("button", name="Start").click()
    panel = console.main.get_by_role("region", name="Validation")
    expect(panel.get_by_role("heading", name="Validation is done")).to_be_visible(timeout=60_000)
    panel.get_by_role("button", name="Delete 1 rejected key").click()
    expect(console.dialog.get_by_text("cannot be brought back")).to_be_visible()
    console.dialog.get_by_role("button", name="Delete").click()
    expect(console.toast("1 key was deleted.")).to_be_visible()
    expect(rows(console)).to_have_count(1)


def test_a_validation_is_stopped_and_what_was_found_out_stays(console_of, server, fake):
    made = server.admin.post("/admin/proxy-configs", json={"name": "Long", "slug": "long-validation", "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": fake.url + "/v1"})
    keys = [f"sk-long-{number:04}-0123456789" for number in range(200)]
    server.admin.post(f"/admin/proxy-configs/{made['id']}/keys/batch", expect=200, json={"keys": keys})
    # A made-up key is tried first: it must be refused, or the good answers would prove nothing.
    fake.tell("*", {"do": "401", "times": -1})
    fake.tell_all(keys, {"do": "ok", "times": -1})
    console = open_keys(console_of, server, made)
    console.main.get_by_role("button", name="Validate").click()
    console.dialog.get_by_text("Advanced").click()
    console.dialog.get_by_label("Probes per second").fill("2")
    console.dialog.get_by_role("button", name="Start").click()
    panel = console.main.get_by_role("region", name="Validation")
    expect(panel.get_by_role("heading", name="Validation is running")).to_be_visible()
    # Whoever leaves and comes back finds it again.
    console.go("services")
    console.go(f"services/{made['id']}/keys")
    expect(panel.get_by_text(re.compile(r"^[1-9]\d* of 20[01]"))).to_be_visible(timeout=15_000)
    stop = panel.get_by_role("button", name="Stop")
    stop.focus()
    said = panel.get_by_role("status").inner_text()
    expect(panel.get_by_role("status")).not_to_have_text(said)
    expect(stop).to_be_focused()
    console.page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", name="Validation has ended early")).to_be_visible()
    expect(panel.get_by_text("It has failed")).to_have_count(0)
    expect(rows(console).first).to_contain_text("active")


def test_a_file_is_dropped_onto_the_import(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    console.main.get_by_role("button", name="Import keys").click()
    file = console.page.evaluate_handle("() => { const held = new DataTransfer(); held.items.add(new File(['wk-dropped-0123456789\\n'], 'keys.txt', {type: 'text/plain'})); return held; }")
    console.dialog.get_by_label("Paste keys, one a line").dispatch_event("drop", {"dataTransfer": file})
    console.dialog.get_by_role("button", name="Import 1 key").click()
    expect(console.toast("1 key was added.")).to_be_visible()
    assert "wk-dropped" not in console.everything_kept()


def test_an_export_says_what_it_does_and_leaves_no_value_on_the_page(console_of, server, weather):
    console = open_keys(console_of, server, weather)
    console.main.get_by_role("checkbox", name="Select key 2").check()
    console.main.get_by_role("button", name="More", exact=True).click()
    console.page.get_by_role("menuitem", name="Export").click()
    expect(console.dialog.get_by_text("stands in the audit log")).to_be_visible()
    with console.page.expect_download() as told:
        console.dialog.get_by_role("button", name="Export").click()
    assert told.value.path().read_text() == "wk-secret-value-number-2\n"
    assert "wk-secret" not in console.everything_kept()
    assert eventually(lambda: any(one["action"] == "keys.export" for one in server.admin.get("/admin/audit?order=desc&limit=5")["items"]))


@pytest.mark.parametrize("context", [{"color_scheme": "dark"}, {"locale": "zh-CN"}, {"viewport": {"width": 390, "height": 844}}], ids=["dark", "Chinese", "phone"])
def test_the_table_is_readable_everywhere(console_of, server, weather, context):
    console = open_keys(console_of, server, weather, **context)
    expect(rows(console)).to_have_count(3)
    console.picture("keys-" + next(iter(context)))
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_hundred_thousand_keys_are_imported_shown_and_tagged(launch, console_of, tmp_path):
    server = launch()
    made = server.admin.post("/admin/proxy-configs", json={"name": "Many", "slug": "many", "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": "http://127.0.0.1:9/v1"})
    file = tmp_path / "keys.txt"
    file.write_text("".join(f"sk-{number:08}-abcdefghijklmnop\n" for number in range(100_000)))
    console = open_keys(console_of, server, made)
    console.main.get_by_role("button", name="Import keys").first.click()
    console.dialog.get_by_label("Or choose a file").set_input_files(file)
    console.dialog.get_by_role("button", name="Import 100,000 keys").click(timeout=60_000)
    expect(console.main.get_by_text("100,000 keys, 0 quota groups")).to_be_visible(timeout=90_000)

    console.go("services")
    expect(console.main.get_by_role("heading", level=1, name="Services")).to_be_visible()
    opened = console.page.evaluate("""async place => {
        const began = performance.now();
        location.hash = '#/' + place;
        while (document.querySelectorAll('[role=row] input').length < 10) await new Promise(resolve => requestAnimationFrame(resolve));
        return performance.now() - began;
    }""", f"services/{made['id']}/keys")  # fmt: skip
    assert opened < 1000, f"the table opened in {opened:.0f} ms"
    # To the end, and half the way back, by keyboard: rows are there, none is empty.
    grid = console.main.get_by_role("grid")
    expect(rows(console).first).to_be_visible()
    rows(console).first.focus()
    console.page.keyboard.press("End")
    expect(grid.get_by_role("checkbox", name="Select #100000")).to_be_visible()
    expect(grid).to_have_attribute("aria-rowcount", "100001")
    console.page.evaluate("document.querySelector('.vt-viewport').scrollTop /= 2")
    expect(grid.get_by_role("checkbox", name=re.compile("Select #50[0-9]{3}|Select #49[0-9]{3}")).first).to_be_visible()
    console.main.get_by_label("Search").fill("sk-0")
    console.main.get_by_role("button", name=re.compile("Select all")).click()
    expect(console.main.get_by_text("100,000 keys selected")).to_be_visible()
    console.main.get_by_role("button", name="More", exact=True).click()
    console.page.get_by_role("menuitem", name="Add tags").click()
    console.dialog.get_by_label("Tags").fill("imported")
    console.dialog.get_by_role("button", name="Save").click()
    expect(console.toast("100,000 keys were changed.")).to_be_visible(timeout=30_000)
