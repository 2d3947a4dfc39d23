# SPDX-License-Identifier: MIT
"""The console's services: making one, the list, the page of one with its settings, its snippets, its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from harness import PROXY_KEY, eventually
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=alert(1)>"
KEYS = ["sk-console-one-0123456789", "sk-console-two-0123456789", "sk-console-three-0123456789"]


@pytest.fixture
def console(window):
    """Starts where a service is made, in the file's window."""
    window.go("services/new")
    return window


def row(console, name):
    """The service of that name in the list."""
    return console.main.get_by_role("listitem").filter(has=console.page.get_by_role("heading", name=name, exact=True))


def overflow(console) -> int:
    return console.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


# --- Making one -----------------------------------------------------------------------------------------------------------


def test_a_newcomer_makes_a_service_with_keys_and_is_told_what_comes_next(console_of, launch, fake):
    server = launch()
    console = console_of(server, "services", permissions=["clipboard-read", "clipboard-write"])
    expect(console.main.get_by_role("heading", name="No services yet")).to_be_visible()
    console.picture("services-empty")
    assert console.violations() == []
    console.main.get_by_role("link", name="New service").click()
    expect(console.main.get_by_role("heading", level=1, name="New service")).to_be_focused()
    assert console.violations() == []
    console.main.get_by_role("link", name="DeepSeek").click()
    expect(console.main.get_by_role("heading", level=1, name="New service: DeepSeek")).to_be_visible()
    expect(console.main.get_by_role("textbox", name="Name", exact=True)).to_have_value("DeepSeek")
    expect(console.main.get_by_label("Slug")).to_have_value("deepseek")
    expect(console.main.get_by_label("Base URL of the provider")).to_have_value("https://api.deepseek.com/v1")
    expect(console.main.get_by_label("Keys of the provider")).to_be_focused()
    console.main.get_by_label("Base URL of the provider").fill(fake.url + "/v1")
    console.main.get_by_label("Keys of the provider").fill("\n".join([KEYS[0], KEYS[1], KEYS[0], "not a key"]))
    expect(console.main.get_by_text("4 keys", exact=True)).to_be_visible()
    console.picture("services-new")
    assert console.violations() == []
    console.main.get_by_role("button", name="Create the service").click()

    expect(console.main.get_by_role("heading", level=1, name="DeepSeek")).to_be_focused()
    steps = console.main.get_by_role("region", name="DeepSeek is made")
    expect(steps).to_contain_text("2 keys were added")
    expect(steps).to_contain_text("1 stood there twice")
    expect(steps).to_contain_text("line 4")
    expect(steps.get_by_role("link", name="Make a client key")).to_have_attribute("href", "#/clients/new?service=deepseek")
    console.picture("services-next")
    assert console.violations() == []
    steps.get_by_role("button", name="Copy the address").click()
    expect(console.toast("Copied.")).to_be_visible()
    assert console.page.evaluate("navigator.clipboard.readText()") == "http://localhost:8000/llm/deepseek"
    steps.get_by_role("button", name="Close").click()
    expect(steps).to_have_count(0)

    kept = console.everything_kept()
    assert not any(key in kept for key in KEYS) and "not a key" not in kept
    made = server.admin.get("/admin/proxy-configs")["items"][0]
    assert (made["slug"], made["config_type"], made["api_format"], made["target_base_url"]) == ("deepseek", "LLM", "openai_compatible", fake.url + "/v1")
    assert len(server.admin.all_keys(made["id"])) == 2


def test_a_card_makes_a_service_of_its_provider(console, server):
    cards = {
        "OpenAI api.openai.com": ("LLM", "openai_compatible", "https://api.openai.com/v1"),
        "Anthropic": ("LLM", "anthropic_native", "https://api.anthropic.com"),
        "Gemini": ("LLM", "gemini_native", "https://generativelanguage.googleapis.com"),
        "Zhipu": ("LLM", "openai_compatible", "https://open.bigmodel.cn/api/paas/v4"),
    }
    for card, expected in cards.items():
        console.go("services/new")
        console.main.get_by_role("link", name=card).click()
        console.main.get_by_role("button", name="Create the service").click()
        expect(console.main.get_by_role("region", name="is made")).to_be_visible()
        made = server.admin.get("/admin/proxy-configs", params={"limit": 1000})["items"][-1]
        assert (made["config_type"], made["api_format"], made["target_base_url"]) == expected


def test_a_rest_api_is_made_with_its_own_place_for_the_key(console, server, fake):
    console.go("services/new?provider=rest")
    console.main.get_by_role("textbox", name="Name", exact=True).fill("Weather & Maps")
    expect(console.main.get_by_label("Slug")).to_have_value("weather-maps")
    console.main.get_by_label("Base URL of the provider").fill(fake.url)
    console.main.get_by_label("Where the key goes").select_option(label="In the query")
    console.main.get_by_label("Name of the header or parameter").fill("appid")
    expect(console.main.get_by_text("?appid=KEY")).to_be_visible()
    console.main.get_by_label("Keys of the provider").fill("weather-key-0123456789")
    console.main.get_by_role("button", name="Create the service").click()
    expect(console.main.get_by_role("region", name="is made")).to_contain_text("1 key was added")
    answer = server.http.get(f"{server.url}/proxy/weather-maps/weather?q=Hamburg", headers={"X-Proxy-Key": PROXY_KEY})
    assert answer.status_code == 200 and fake.last()["target"] == "/weather?q=Hamburg&appid=weather-key-0123456789"


def test_what_is_wrong_is_said_where_it_is_wrong_and_nothing_typed_is_lost(console, server, fake):
    taken = server.service(fake, keys=0)
    console.go("services/new?provider=azure")
    console.main.get_by_label("Slug").fill(taken.slug)
    console.main.get_by_role("button", name="Create the service").click()
    expect(console.main.get_by_text("Another service has this slug")).to_be_visible()
    expect(console.main.get_by_text("in the place of RESOURCE")).to_be_visible()
    expect(console.main.get_by_label("Slug")).to_be_focused()
    assert console.violations() == []
    console.main.get_by_label("Slug").fill("azure-again")
    console.main.get_by_label("Base URL of the provider").fill("https://me.openai.azure.com/%zz")
    console.main.get_by_label("Keys of the provider").fill(KEYS[2])
    console.main.get_by_role("button", name="Create the service").click()
    expect(console.main.get_by_text("has a malformed percent-encoding")).to_be_visible()
    expect(console.main.get_by_label("Base URL of the provider")).to_be_focused()
    # Away and back: what was typed is still there.
    console.navigate("Overview")
    expect(console.toast("kept until you come back")).to_be_visible()
    assert KEYS[2] not in console.everything_kept()
    console.go("services/new?provider=azure")
    expect(console.main.get_by_label("Slug")).to_have_value("azure-again")
    expect(console.main.get_by_label("Keys of the provider")).to_have_value(KEYS[2])
    console.main.get_by_role("link", name="Cancel").click()
    expect(console.main.get_by_role("heading", level=1, name="Services")).to_be_visible()
    console.go("services/new?provider=azure")
    expect(console.main.get_by_label("Keys of the provider")).to_have_value("")


def test_keys_that_could_not_be_sent_are_sent_again_without_making_the_service_twice(console, server, fake):
    console.page.route("**/keys/batch", lambda route: route.fulfill(status=503, content_type="application/problem+json", headers={"Retry-After": "2"}, body='{"code":"store_unavailable","detail":"away"}'))
    console.go("services/new?provider=compatible")
    console.main.get_by_role("textbox", name="Name", exact=True).fill("Twice")
    console.main.get_by_label("Base URL of the provider").fill(fake.url + "/v1")
    console.main.get_by_label("Keys of the provider").fill(KEYS[2])
    console.main.get_by_role("button", name="Create the service").click()
    expect(console.main.get_by_role("alert").filter(has_text="its keys were not added")).to_contain_text("The store is away")
    console.page.unroute("**/keys/batch")
    console.main.get_by_role("button", name="Add the keys").click()
    expect(console.main.get_by_role("region", name="Twice is made")).to_contain_text("1 key was added")
    assert [one["slug"] for one in server.admin.get("/admin/proxy-configs", params={"limit": 1000})["items"]].count("twice") == 1


# --- The list -------------------------------------------------------------------------------------------------------------


def test_the_list_tells_keys_traffic_and_trouble_and_follows_what_happens(console_of, launch, fake):
    server = launch()
    busy, empty = server.service(fake, keys=3, name="Busy"), server.service(fake, keys=0, name="Empty")
    for _ in range(4):
        assert busy.chat().status_code == 200
    console = console_of(server, "services")
    names = console.main.get_by_role("heading", level=2)
    expect(row(console, "Empty")).to_contain_text("no keys")
    expect(names.first).to_have_text(re.compile("Empty"))
    one = row(console, "Busy")
    expect(one).to_contain_text("3 keys")
    expect(one).to_contain_text("3 active")
    expect(one).to_contain_text("Requests, last hour4")
    expect(one).to_contain_text("100%")
    expect(one).to_contain_text("OpenAI format")
    expect(one).to_contain_text(f"127.0.0.1:{fake.port}")
    expect(one).to_contain_text(f"http://localhost:8000/llm/{busy.slug}")
    assert console.violations() == []
    fake.tell("*", "401")
    assert busy.chat().status_code == 200
    expect(one).to_contain_text("2 active · 1 cooling")
    console.main.get_by_label("Order").select_option(label="By name")
    expect(names.first).to_have_text(re.compile("Busy"))
    console.picture("services-list")


def test_a_service_is_switched_off_and_the_switching_is_undone(console, server, fake):
    service = server.service(fake, name="Switched")
    console.go("services")
    switch = row(console, "Switched").get_by_role("switch", name="Switched is switched on")
    switch.press("Space")
    expect(console.toast("Switched is switched off")).to_be_visible()
    expect(row(console, "Switched").get_by_text("switched off")).to_be_visible()
    expect(switch).to_be_focused()
    assert service.chat().status_code == 404
    console.page.get_by_role("region", name="Messages").get_by_role("button", name="Undo").click()
    expect(console.toast("Undone.")).to_be_visible()
    expect(row(console, "Switched").get_by_role("switch")).to_be_checked()
    assert service.chat().status_code == 200


def test_many_services_are_searched_and_the_search_stands_in_the_address(console_of, launch, fake):
    server = launch()
    for number in range(8):
        server.service(fake, keys=0, name=f"Number {number}", slug=f"no-{number}")
    server.service(fake, keys=0, name=MARKUP, slug="markup")
    console = console_of(server, "services")
    expect(console.main.get_by_role("heading", name=MARKUP)).to_be_visible()
    console.main.get_by_role("searchbox", name="Search").fill("no-3")
    expect(console.main.get_by_role("heading", level=2)).to_have_count(1)
    expect(console.main.get_by_role("heading", name="Number 3")).to_be_visible()
    assert "q=no-3" in console.page.url
    console.main.get_by_role("searchbox", name="Search").fill("nothing like it")
    expect(console.main.get_by_text("No service matches “nothing like it”.")).to_be_visible()
    assert console.violations() == []


# --- The page of one ------------------------------------------------------------------------------------------------------


def test_settings_are_changed_saved_and_taken_back(console, server, fake):
    service = server.service(fake, name="Before", extra_headers={"X-Team": "one"})
    console.go(f"services/{service.id}")
    console.main.get_by_role("link", name="Settings").click()
    expect(console.main.get_by_role("link", name="Settings")).to_be_focused()
    expect(console.main.get_by_text("Everything is saved.")).to_be_visible()
    for section in ("How the key is sent", "Which key comes next", "Trying again and waiting", "Streams", "Extra headers"):
        console.main.get_by_role("heading", name=section).click()
    assert console.violations() == []
    console.picture("services-settings")
    console.main.get_by_role("textbox", name="Name", exact=True).fill("After " + MARKUP)
    console.main.get_by_label("Same conversation, same key").check()
    console.main.get_by_label("Header that names the conversation").fill("x-thread")
    console.main.get_by_label("Keys tried for one request").fill("5")
    console.main.get_by_label("Only what was refused").check()
    console.main.get_by_label("Wait for a key").fill("2,500")
    console.main.get_by_label("Count the tokens of streams").check()
    console.main.get_by_label("Hold the beginning").fill("300")
    console.main.get_by_label("What stands before the key").select_option(label="This text")
    console.main.get_by_label("Text before the key").fill("Token ")
    console.main.get_by_label("Value").first.fill("two")
    console.main.get_by_role("button", name="Add a row").click()
    console.main.get_by_role("textbox", name="Header", exact=True).last.fill("X-Other")
    console.main.get_by_label("Value").last.fill("three")
    expect(console.main.get_by_text("10 changes are not saved.")).to_be_visible()
    assert console.violations() == []
    console.main.get_by_role("button", name="Save").click()
    expect(console.toast("was changed.")).to_be_visible()
    expect(console.main.get_by_role("heading", level=1, name="After " + MARKUP)).to_be_visible()
    now = server.admin.get(f"/admin/proxy-configs/{service.id}")
    expected = {
        "name": "After " + MARKUP, "rotation_strategy": "affinity", "affinity_header": "x-thread", "max_attempts": 5, "replay": "refused", "max_wait_ms": 2500,
        "stream_usage": True, "hold_startup_ms": 300, "api_key_prefix": "Token ", "extra_headers": {"X-Team": "two", "X-Other": "three"},
    }  # fmt: skip
    assert now == service.made | expected
    console.page.get_by_role("region", name="Messages").get_by_role("button", name="Undo").click()
    expect(console.main.get_by_role("heading", level=1, name="Before")).to_be_visible()
    expect(console.main.get_by_role("textbox", name="Name", exact=True)).to_have_value("Before")
    assert server.admin.get(f"/admin/proxy-configs/{service.id}") == service.made


def test_unsaved_settings_wait_for_whoever_typed_them(console, server, fake):
    service = server.service(fake, name="Drafted")
    console.go(f"services/{service.id}/settings")
    console.main.get_by_label("Slug").fill("moved-away")
    expect(console.main.get_by_text(f"Clients that use /llm/{service.slug} get 404")).to_be_visible()
    console.main.get_by_role("link", name="Try it").click()
    expect(console.toast("are not saved")).to_be_visible()
    console.main.get_by_role("link", name="Settings").click()
    expect(console.main.get_by_label("Slug")).to_have_value("moved-away")
    expect(console.main.get_by_text("These are your changes from before")).to_be_visible()
    assert console.violations() == []
    console.main.get_by_role("button", name="Discard").click()
    expect(console.main.get_by_label("Slug")).to_have_value(service.slug)
    expect(console.main.get_by_text("Everything is saved.")).to_be_visible()
    assert server.admin.get(f"/admin/proxy-configs/{service.id}") == service.made


def test_nothing_that_was_typed_outlives_a_log_out(console, server):
    console.go("services/new?provider=openai")
    console.main.get_by_label("Keys of the provider").fill(KEYS[0])
    console.page.get_by_role("button", name="Log out").click()
    expect(console.page.get_by_role("heading", name="API Key Rotator")).to_be_visible()
    assert KEYS[0] not in console.everything_kept()
    console.page.get_by_label("User name").fill("admin")
    console.page.get_by_label("Password").fill(server.environment["ADMIN_PASSWORD"])
    console.page.get_by_role("button", name="Log in", exact=True).click()
    expect(console.main.get_by_role("heading", name="New service: OpenAI")).to_be_visible()
    expect(console.main.get_by_label("Keys of the provider")).to_have_value("")


def test_another_kind_has_other_fields(console, server, fake):
    service = server.service(fake, name="Turned")
    console.go(f"services/{service.id}/settings")
    expect(console.main.get_by_label("Method")).to_be_hidden()
    console.main.get_by_label("Any REST API").check()
    expect(console.main.get_by_label("What the provider speaks")).to_have_value("generic")
    expect(console.main.get_by_role("heading", name="Streams")).to_be_hidden()
    console.main.get_by_label("Method").fill("post")
    console.main.get_by_role("button", name="Save").click()
    expect(console.toast("was changed.")).to_be_visible()
    now = server.admin.get(f"/admin/proxy-configs/{service.id}")
    assert (now["config_type"], now["api_format"], now["target_url"], now["target_base_url"], now["method"]) == ("GENERIC", "generic", fake.url + "/v1", None, "POST")


def test_deleting_says_what_is_lost_and_does_it(console, server, fake):
    service = server.service(fake, keys=3, name="Doomed")
    console.go(f"services/{service.id}/settings")
    console.main.get_by_role("button", name="Delete this service").click()
    expect(console.dialog).to_contain_text("Its 3 keys are deleted with it")
    expect(console.dialog).to_contain_text(f"/llm/{service.slug} get 404")
    expect(console.dialog).to_contain_text("cannot be undone")
    assert console.violations() == []
    console.dialog.get_by_role("button", name="Cancel").click()
    assert server.admin.call("GET", f"/admin/proxy-configs/{service.id}").status_code == 200
    console.main.get_by_role("button", name="Delete this service").click()
    console.dialog.get_by_role("button", name="Delete it and 3 keys").click()
    expect(console.toast("Doomed was deleted.")).to_be_visible()
    expect(console.main.get_by_role("heading", level=1, name="Services")).to_be_visible()
    assert server.admin.call("GET", f"/admin/proxy-configs/{service.id}").status_code == 404


def test_one_is_made_like_another(console, server, fake):
    service = server.service(fake, name="Pattern", slug="pattern", rotation_strategy="random", max_attempts=7)
    console.go("services?q=pattern")
    row(console, "Pattern").get_by_role("button", name="More about Pattern").click()
    console.page.get_by_role("menuitem", name="Make one like it").click()
    expect(console.main.get_by_label("Slug")).to_have_value("pattern-2")
    console.main.get_by_role("button", name="Create the service").click()
    expect(console.main.get_by_role("heading", level=1, name="Pattern 2")).to_be_visible()
    made = server.admin.get("/admin/proxy-configs", params={"limit": 1000})["items"][-1]
    assert made == service.made | {"id": made["id"], "name": "Pattern 2", "slug": "pattern-2"}


def test_a_service_that_is_gone_is_said_to_be(console):
    console.go("services/999999")
    expect(console.main.get_by_role("alert")).to_contain_text("999999")


# --- Use it ---------------------------------------------------------------------------------------------------------------

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def shown(console, service, tool):
    """The blocks of a tool's recipe as the page shows them, with this browser's address, and a real key in the place of the placeholder."""
    console.go(f"services/{service.id}/use")
    console.main.get_by_label("As this browser calls it").check()
    console.main.get_by_label(tool, exact=True).check()
    expect(console.main.get_by_role("heading", level=3, name=tool)).to_be_visible()
    blocks = console.main.get_by_role("region", name="Ready to paste").get_by_role("group").filter(has_not=console.page.get_by_role("radio"))
    texts = [text for text in blocks.all_inner_texts()]
    assert any("YOUR_PROXY_KEY" in text for text in texts) and PROXY_KEY not in "".join(texts)
    return [text.replace("YOUR_PROXY_KEY", PROXY_KEY) for text in texts]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


TARGETS = [
    ("openai_compatible", "/v1", "/v1/chat/completions"),
    ("openai_compatible", "", "/v1/chat/completions"),
    ("azure_openai", "", "/openai/v1/chat/completions"),
    ("azure_openai", "/openai/v1", "/openai/v1/chat/completions"),
    ("anthropic_native", "", "/v1/messages"),
    ("anthropic_native", "/v1", "/v1/messages"),
    ("gemini_native", "", "/v1beta/models/gemini-3.5-flash:generateContent"),
    ("gemini_native", "/v1", "/v1/models/gemini-3.5-flash:generateContent"),
]


def test_the_curl_that_is_shown_works_with_every_form_of_base_url(console, server, fake):
    for format, path, target in TARGETS:
        service = server.service(fake, keys=1, api_format=format, target_base_url=fake.url + path)
        command = shown(console, service, "curl")[0]
        assert "Hello from the fake provider" in run(["bash", "-c", command.replace("curl ", "curl -sS ", 1)])
        assert fake.last()["target"] == target and fake.last()["key"] == service.values[0], (format, path)
    rest = server.service(fake, kind="GENERIC", keys=1)
    console.go(f"services/{rest.id}/use")
    command = shown(console, rest, "curl")[0].replace("/'", "/weather?q=Hamburg'")
    assert "Hamburg" in run(["bash", "-c", command.replace("curl ", "curl -sS ", 1)])


@pytest.mark.parametrize(("format", "path"), [("openai_compatible", "/v1"), ("azure_openai", ""), ("anthropic_native", ""), ("gemini_native", "/v1beta")])
def test_the_python_that_is_shown_works_with_the_providers_own_sdk(console, server, fake, format, path):
    service = server.service(fake, keys=1, api_format=format, target_base_url=fake.url + path)
    install, program = shown(console, service, "Python")
    assert install.startswith("pip install ")
    assert "Hello from the fake provider. You said: Hello" in run([sys.executable, "-c", program])
    assert fake.last()["key"] == service.values[0]


def test_each_tool_has_its_recipe_and_says_where_it_does_not_fit(console, server, fake):
    openai = server.service(fake, keys=0, slug="recipes")
    blocks = shown(console, openai, "Codex CLI")
    assert 'wire_api = "responses"' in blocks[0] and f'base_url = "{server.url}/llm/recipes"' in blocks[0] and "export ROTATOR_API_KEY=" in blocks[1]
    expect(console.main.get_by_text("Claude Code needs a service in Anthropic format.")).to_be_visible()
    assert "with=codex" in console.page.url
    console.picture("services-use")
    assert console.violations() == []
    anthropic = server.service(fake, keys=0, api_format="anthropic_native", slug="claude")
    blocks = shown(console, anthropic, "Claude Code")
    assert f"ANTHROPIC_BASE_URL='{server.url}/llm/claude'" in blocks[0] and "ANTHROPIC_AUTH_TOKEN=" in blocks[0]
    console.main.get_by_label("Model").fill("it's; $(whoami) \"quoted\"")
    console.main.get_by_label("curl", exact=True).check()
    expect(console.main.get_by_text("it'\\''s; $(whoami)")).to_be_visible()
    gemini = server.service(fake, keys=0, api_format="gemini_native", slug="gem")
    assert f"GOOGLE_GEMINI_BASE_URL='{server.url}/llm/gem'" in shown(console, gemini, "Gemini CLI")[0]
    console.main.get_by_label("Cherry Studio").check()
    expect(console.main.get_by_role("definition").filter(has_text=f"{server.url}/llm/gem")).to_be_visible()
    expect(console.main.get_by_role("link", name="Make a client key")).to_have_attribute("href", "#/clients/new?service=gem")
    assert console.violations() == []


# --- In every dress -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dress", ["dark", "phone", "chinese"])
def test_every_page_reads_well_in_the_dark_on_a_phone_and_in_chinese(console_of, server, fake, dress):
    name = f"{MARKUP} {dress} {'W' * 120}"
    service = server.service(fake, keys=2, name=name, slug=f"{dress}-{'w' * 50}")
    context = {"dark": {"color_scheme": "dark"}, "phone": {"viewport": {"width": 390, "height": 844}}, "chinese": {"locale": "zh-CN"}}[dress]
    console = console_of(server, None, **context)
    console.open()
    if dress == "chinese":
        console.page.get_by_label("用户名").fill("admin")
        console.page.get_by_label("密码").fill(server.environment["ADMIN_PASSWORD"])
        console.page.get_by_role("button", name="登录", exact=True).click()
        expect(console.page.get_by_role("navigation", name="控制台")).to_be_visible()
    else:
        console.log_in()
    words = {"services": "接入", "services/new": "提供商", "services/new?provider=openai": "创建服务", f"services/{service.id}/use": "客户端密钥", f"services/{service.id}/settings": "重试与等待"}
    for place, word in words.items():
        console.go(place)
        expect(console.main.get_by_role("heading", level=1)).to_be_visible()
        if place == "services":
            expect(console.main.get_by_role("heading", name=name, exact=True)).to_be_visible()
        elif dress == "chinese":
            expect(console.main).to_contain_text(word)
        else:
            expect(console.main.get_by_role("heading", level=2).first).to_be_attached()
        console.picture(f"services-{dress}-{place.split('?')[0].replace('/', '-')}")
        assert overflow(console) <= 0, place
        assert console.violations() == [], place


def test_an_ended_session_loses_nothing_that_was_typed(console, server, fake):
    service = server.service(fake, name="Patient")
    console.go(f"services/{service.id}/settings")
    console.main.get_by_role("textbox", name="Name", exact=True).fill("Patient still")
    refused = []

    def refuse_once(route):
        if route.request.method != "PATCH" or refused:
            return route.fallback()
        refused.append(route.request.url)
        return route.fulfill(status=401, content_type="application/problem+json", body='{"code":"invalid_token","detail":"ended"}')

    console.page.route("**/admin/proxy-configs/*", refuse_once)
    console.main.get_by_role("button", name="Save").click()
    expect(console.dialog).to_contain_text("Your session has ended")
    console.dialog.get_by_label("User name").fill("admin")
    console.dialog.get_by_label("Password").fill(server.environment["ADMIN_PASSWORD"])
    console.dialog.get_by_role("button", name="Log in", exact=True).click()
    expect(console.toast("Patient still was changed.")).to_be_visible()
    assert eventually(lambda: server.admin.get(f"/admin/proxy-configs/{service.id}")["name"] == "Patient still")
