# SPDX-License-Identifier: MIT
"""The console's settings: how the server fares, the audit log, a whole catalogue out and in, alerts, jobs."""

from __future__ import annotations

import http.server
import json
import re
import threading

import pytest
from harness import ADMIN_PASSWORD
from playwright.sync_api import expect
from servers import PostgreSQL

MARKUP = "<img src=x onerror=alert(1)>"
PASSPHRASE = "correct horse battery 电池"


@pytest.fixture
def receiver():
    """A server that takes alerts; `status` is what it answers."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.taken.append((dict(self.headers), json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    one.taken, one.status = [], 204
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield one
    one.shutdown()


def card(console, name):
    return console.main.get_by_role("region", name=name)


def test_the_server_tells_what_it_is_and_how_it_fares(console_of, server):
    console = console_of(server, "settings")
    about = card(console, "This server")
    version = server.http.get(server.url + "/admin/app-config").json()["version"]
    expect(about).to_contain_text(version)
    expect(about).to_contain_text("http://localhost:8000")
    expect(about.get_by_role("definition").nth(2)).to_contain_text(re.compile(r"\d\d:\d\d|\d+:\d\d:\d\d"))
    expect(card(console, "Health").get_by_text("ready", exact=True)).to_be_visible()
    expect(card(console, "Health").get_by_text("Nothing")).to_be_visible()
    expect(console.main.get_by_role("link", name="/openapi.json")).to_have_attribute("href", "/openapi.json")
    console.picture("settings-general")
    assert console.violations() == []
    card(console, "Appearance").get_by_label("Theme").select_option("Dark")
    expect(console.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(card(console, "Appearance").get_by_label("Theme")).to_be_focused()
    expect(console.page.get_by_role("navigation", name="Console").get_by_label("Theme")).to_have_value("dark")
    console.picture("settings-general-dark")
    assert console.violations() == []
    card(console, "Appearance").get_by_label("Language").select_option("中文")
    expect(console.main.get_by_role("heading", level=1, name="设置")).to_be_visible()
    console.picture("settings-general-chinese")
    console.main.get_by_label("语言").select_option("English")
    expect(console.main.get_by_role("heading", level=1, name="Settings")).to_be_visible()


def test_a_store_that_is_away_is_told_everywhere_and_nothing_typed_is_lost(launch, console_of, fake):
    with PostgreSQL() as store:
        server = launch(DATABASE_URL=store.url(store.new_database()), ENCRYPTION_KEY="5ea1" * 16)
        server.service(fake, keys=2, name="Goes on")
        console = console_of(server, "settings")
        health = card(console, "Health")
        expect(health.get_by_text("ready", exact=True)).to_be_visible()
        expect(health.get_by_text("up", exact=True)).to_be_visible()
        store.stop()
        navigation = console.page.get_by_role("navigation", name="Console")
        expect(navigation.get_by_text("Store away")).to_be_visible()
        expect(health.get_by_text("away", exact=True)).to_be_visible()
        expect(health.get_by_text("not ready", exact=True)).to_be_visible(timeout=15_000)
        console.picture("settings-store-away")
        assert console.violations() == []
        console.go("overview")
        expect(console.main.get_by_text("The store is away. Requests go on; changes are refused until it is back.")).to_be_visible()
        console.go("clients/new")
        console.dialog.get_by_label("Name").fill("Made in hard times")
        console.dialog.get_by_role("button", name="Make the key").click()
        expect(console.dialog.get_by_role("alert")).to_contain_text("The store is away, so nothing was changed.")
        store.start()
        expect(navigation.get_by_text("Live")).to_be_visible(timeout=15_000)
        console.dialog.get_by_role("button", name="Make the key").click()
        expect(console.page.get_by_role("dialog", name="The key of “Made in hard times”")).to_be_visible()


def test_the_audit_log_begins_with_the_latest_and_can_be_searched(console_of, server, fake):
    service = server.service(fake, keys=1, name=MARKUP)
    client = server.admin.post("/admin/client-keys", json={"name": "Audited"})
    for number in range(120):
        server.admin.call("PATCH", f"/admin/client-keys/{client['id']}", expect=200, json={"requests_per_minute": number + 1})
    server.admin.call("PATCH", f"/admin/keys/{service.keys[0].id}", expect=200, json={"name": "renamed"})
    console = console_of(server, "settings/audit")
    rows = console.main.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Changed a key")
    expect(rows.nth(1)).to_contain_text(f"key {service.keys[0].id} of {MARKUP} ({service.id})")
    expect(rows.nth(2)).to_contain_text("Changed a client key")
    expect(console.page.locator("img[src=x]")).to_have_count(0)
    expect(rows).to_have_count(101)
    console.picture("settings-audit")
    assert console.violations() == []
    console.main.get_by_role("button", name="Show more").click()
    expect(rows.nth(110)).to_be_visible()
    console.main.get_by_label("Find an action or a subject").fill("added a key")
    expect(rows.nth(1)).to_contain_text("Added a key")
    expect(console.main.get_by_text(re.compile(r"^1 of \d+ entries$"))).to_be_visible()
    expect(console.page).to_have_url(re.compile(r"q=added"))
    console.main.get_by_label("Find an action or a subject").fill("")
    rows.nth(2).get_by_role("link", name="Audited").click()
    expect(console.main.get_by_role("heading", name="Audited")).to_be_focused()


def test_a_catalogue_goes_out_and_comes_in_after_a_look_at_what_would_change(console_of, launch, fake, tmp_path):
    source, target = launch(), launch()
    made = source.service(fake, keys=3, slug="openai", name="OpenAI")
    source.admin.post("/admin/client-keys", json={"name": "ci"})
    console = console_of(source, "settings/transfer")
    out = card(console, "Export")
    out.get_by_role("textbox", name="Passphrase", exact=True).fill("short")
    expect(out.get_by_text("Too short.")).to_be_visible()
    out.get_by_role("button", name="Export").click()
    expect(out.get_by_text("Must have 12 characters or more.")).to_be_visible()
    console.picture("settings-export-refused")
    out.get_by_role("textbox", name="Passphrase", exact=True).fill(PASSPHRASE)
    out.get_by_role("textbox", name="Passphrase once more").fill(PASSPHRASE)
    expect(out.get_by_text("Strong.")).to_be_visible()
    with console.page.expect_download() as download:
        out.get_by_role("button", name="Export").click()
    path = tmp_path / "catalogue.json"
    download.value.save_as(path)
    document = json.loads(path.read_text())
    assert len(document["services"][0]["keys"]) == 3 and all(value not in path.read_text() for value in made.values)
    expect(console.toast("was downloaded")).to_be_visible()
    assert PASSPHRASE not in console.everything_kept()
    assert source.admin.get("/admin/audit", params={"limit": 1000})["items"][-1]["action"] == "catalogue.export"

    other = target.service(fake, keys=2, slug="other")
    console = console_of(target, "settings/transfer")
    into = card(console, "Import")
    into.get_by_role("button", name="Show what would change").click()
    expect(into.get_by_text("Choose or paste a document first.")).to_be_visible()
    into.get_by_label("Document", exact=True).set_input_files(path)
    expect(into.get_by_text("Holds 1 service, 3 keys, and 1 client.")).to_be_visible()
    into.get_by_label("Passphrase").fill("a wrong passphrase")
    into.get_by_role("button", name="Show what would change").click()
    expect(into.get_by_text("This is not the passphrase")).to_be_visible()
    into.get_by_label("Passphrase").fill(PASSPHRASE)
    into.get_by_role("radio", name="is deleted").check(force=True)
    into.get_by_role("button", name="Show what would change").click()
    expect(into.get_by_role("heading", name="What would change")).to_be_visible()
    expect(into.get_by_role("row", name=re.compile("^Keys"))).to_contain_text("Keys3020")
    expect(into.get_by_text("Deleted: service other")).to_be_visible()
    expect(into.get_by_text("New: 3 keys of openai")).to_be_visible()
    console.picture("settings-import")
    assert console.violations() == []
    assert [one["slug"] for one in target.admin.get("/admin/proxy-configs")["items"]] == ["other"], "a dry run writes nothing"
    # Another mode is another question.
    into.get_by_role("radio", name="stays").check(force=True)
    expect(into.get_by_role("button", name="Import it")).to_be_hidden()
    into.get_by_role("radio", name="is deleted").check(force=True)
    into.get_by_role("button", name="Show what would change").click()
    into.get_by_role("button", name="Import it").click()
    expect(console.dialog).to_contain_text("Deleted for good, as the document does not have them: 1 service and 2 keys.")
    console.picture("settings-import-confirm")
    console.dialog.get_by_role("button", name="Import it").click()
    expect(into.get_by_role("heading", name="What was done")).to_be_visible()
    expect(console.toast("The document was imported.")).to_be_visible()
    assert [one["slug"] for one in target.admin.get("/admin/proxy-configs")["items"]] == ["openai"]
    target.admin.call("GET", f"/admin/proxy-configs/{other.id}", expect=404)
    assert PASSPHRASE not in console.everything_kept()


def test_what_is_no_document_is_refused_before_it_is_sent(console_of, server):
    console = console_of(server, "settings/transfer", color_scheme="dark")
    into = card(console, "Import")
    into.get_by_text("Paste a document").click()
    into.get_by_label("Document as text").fill('{"format": "something else"}')
    expect(into.get_by_text("This is no catalogue document.")).to_be_visible()
    into.get_by_label("Document as text").fill(json.dumps({"format": "api-key-rotator/catalogue", "version": 1, "services": [{"name": MARKUP, "slug": "x"}]}))
    expect(into.get_by_text("Nothing in it is sealed.")).to_be_visible()
    into.get_by_role("button", name="Show what would change").click()
    expect(into.get_by_role("alert").last).to_contain_text("/services/0: “config_type” is required")
    console.picture("settings-import-refused-dark")
    assert console.violations() == []


def test_a_webhook_is_made_tested_and_followed(console_of, server, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/alerts/very-secret-path"
    console = console_of(server, "settings/alerts")
    expect(console.main.get_by_role("heading", name="Nobody is told yet")).to_be_visible()
    console.main.get_by_role("button", name="New webhook").first.click()
    dialog = console.dialog
    dialog.get_by_label("Name").fill(MARKUP)
    expect(dialog.get_by_label("Chat")).to_be_hidden()
    dialog.get_by_label("Sent as").select_option("Telegram")
    expect(dialog.get_by_label("Chat")).to_be_visible()
    dialog.get_by_label("Sent as").select_option("JSON")
    dialog.get_by_label("URL").fill(url)
    dialog.get_by_label("Secret for the signature").fill("too short")
    dialog.get_by_label("The store is back").uncheck()
    dialog.get_by_label("Fewest active keys").fill("3")
    dialog.get_by_role("combobox", name="Services").fill("none-*")  # Of the services of other tests it is not to hear.
    dialog.get_by_role("button", name="Make the webhook").click()
    expect(dialog.get_by_text("Must have 16 to 256 visible ASCII characters.")).to_be_visible()
    dialog.get_by_label("Secret for the signature").fill("a-secret-long-enough")
    console.picture("settings-webhook")
    assert console.violations() == []
    dialog.get_by_role("button", name="Make the webhook").click()
    one = console.main.get_by_role("list", name="Alerts").get_by_role("listitem").filter(has=console.page.get_by_role("heading", name=MARKUP))
    expect(one.get_by_role("heading", level=2)).to_be_focused()
    expect(one).to_contain_text("A pool has fewer than 3 active keys")
    expect(one).not_to_contain_text("The store is back")
    expect(one).to_contain_text("Signed with a secret")
    assert "very-secret-path" not in console.everything_kept() and "a-secret-long-enough" not in console.everything_kept()

    one.get_by_role("button", name="Send a test").click()
    expect(one.get_by_text("The test was delivered: it answered 204.")).to_be_visible()
    headers, body = receiver.taken[-1]
    assert body["event"] == "test" and "X-Rotator-Signature" in headers
    receiver.status = 403
    one.get_by_role("button", name="Send a test").click()
    expect(one.get_by_text("The receiver refused the test: it answered 403.")).to_be_visible()
    console.picture("settings-alerts")
    assert console.violations() == []
    one.get_by_role("button", name="Deliveries").click()
    expect(console.dialog.get_by_role("row").nth(1)).to_contain_text("Testfailed1403")
    console.picture("settings-deliveries")
    assert console.violations() == []
    console.dialog.get_by_role("button", name="Close").last.click()

    made = server.admin.get("/admin/webhooks")["items"][0]
    one.get_by_role("switch").click()
    expect(console.toast("is switched off: it is told of nothing")).to_be_visible()
    assert not server.admin.get(f"/admin/webhooks/{made['id']}")["is_active"]
    console.page.get_by_role("button", name="Undo").last.click()
    expect(one.get_by_role("switch")).to_be_checked()
    one.get_by_role("button", name="Edit").click()
    expect(console.dialog.get_by_text("stays.").first).to_be_visible()
    console.dialog.get_by_label("Seconds between alerts").fill("0")
    console.dialog.get_by_role("button", name="Save").click()
    expect(one).to_contain_text("Each time")
    assert server.admin.get(f"/admin/webhooks/{made['id']}") == made | {"min_interval_seconds": 0, "is_active": True}
    one.get_by_role("button", name="Delete").click()
    expect(console.dialog).to_contain_text("Its URL cannot be shown again")
    console.dialog.get_by_role("button", name="Delete the webhook").click()
    expect(one).to_be_hidden()
    assert server.admin.get("/admin/webhooks")["items"] == []


def test_a_test_that_does_not_get_through_says_why(console_of, server):
    server.admin.post("/admin/webhooks", json={"name": "Nobody", "url": "http://127.0.0.1:1/", "shape": "slack"})
    console = console_of(server, "settings/alerts")
    console.main.get_by_role("button", name="Send a test to Nobody").click()
    expect(console.main.get_by_text("The test was not delivered: the connection was refused.")).to_be_visible()
    server.admin.call("DELETE", f"/admin/webhooks/{server.admin.get('/admin/webhooks')['items'][0]['id']}", expect=204)


def test_jobs_are_followed_and_lead_to_their_service(console_of, server, fake):
    service = server.service(fake, keys=2, name="Validated")
    server.admin.post(f"/admin/proxy-configs/{service.id}/keys/validate", expect=202)
    console = console_of(server, "settings/jobs")
    row = console.main.get_by_role("row").filter(has_text="Validated").first
    expect(row.get_by_text(re.compile("^(done|failed)$"))).to_be_visible(timeout=15_000)
    console.picture("settings-jobs")
    assert console.violations() == []
    row.get_by_role("link", name="Validated").click()
    expect(console.page).to_have_url(re.compile(rf"#/services/{service.id}/keys$"))


@pytest.mark.parametrize("tab", ["general", "audit", "transfer", "alerts", "jobs"])
def test_every_tab_in_chinese_in_the_dark_and_on_a_phone(console_of, server, fake, tab):
    if tab == "alerts":
        server.admin.post("/admin/webhooks", json={"name": MARKUP, "url": "https://hooks.slack.com/services/x", "shape": "slack", "services": ["a-*"], "pool_minimum": 5})
    if tab == "jobs":
        service = server.service(fake, keys=1)
        server.admin.post(f"/admin/proxy-configs/{service.id}/keys/validate", expect=202)
    console = console_of(server, None, locale="zh-CN", color_scheme="dark", viewport={"width": 390, "height": 844})
    console.open(f"settings/{tab}")
    console.page.get_by_label("用户名").fill("admin")
    console.page.get_by_label("密码").fill(ADMIN_PASSWORD)
    console.page.get_by_role("button", name="登录", exact=True).click()
    expect(console.main.get_by_role("heading", level=1, name="设置")).to_be_visible()
    names = {"general": "外观", "audit": "创建服务", "transfer": "密码短语", "alerts": "密钥池的可用密钥少于 5 个", "jobs": "个密钥"}
    expect(console.main.get_by_text(names[tab]).first).to_be_visible()
    console.picture(f"settings-{tab}-chinese-phone")
    assert console.violations() == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
