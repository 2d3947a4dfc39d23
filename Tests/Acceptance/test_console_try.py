# SPDX-License-Identifier: MIT
"""The console's try-it box: a request through the proxy as a client would send it, the answer as it arrives, and what was tried for it."""

from __future__ import annotations

import datetime
import json
import re
import time

import pytest
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=alert(1)>"
HELLO = "Hello from the fake provider. You said: good morning"


@pytest.fixture
def console(window):
    """Starts where a service is made, in the file's window."""
    window.go("services/new")
    return window


class Box:
    """The try-it box of a service, as it is seen."""

    def __init__(self, console, service):
        self.console, self.service = console, service
        console.go(f"services/{service.id}/try")
        self.answer = console.main.get_by_role("region", name="Answer")
        self.status = self.answer.get_by_role("status").first
        self.text = self.answer.get_by_role("group", name="Text", exact=True).filter(has_not=console.page.get_by_role("radio"))
        self.raw = self.answer.get_by_role("group", name="Raw", exact=True).filter(has_not=console.page.get_by_role("radio"))
        self.attempts = self.answer.get_by_role("region", name="Attempts").get_by_role("row")
        expect(console.main.get_by_role("button", name="Send")).to_be_visible()

    def send(self, prompt: str | None = "good morning") -> "Box":
        if prompt is not None:
            self.console.main.get_by_label("Prompt").fill(prompt)
        self.console.main.get_by_role("button", name="Send").click()
        return self

    def fact(self, name):
        return self.answer.get_by_role("term").filter(has_text=re.compile(f"^{name}$")).locator("xpath=following-sibling::dd")


def until(console, condition, within: float = 5.0):
    """Waits for what is seen elsewhere than on the page, and lets the page go on meanwhile."""
    end = time.monotonic() + within
    while not (answer := condition()) and time.monotonic() < end:
        console.page.wait_for_timeout(20)
    return answer


def gone(fake) -> int:
    """How many requests the provider has seen given up."""
    return sum(one["gone_at"] is not None for one in fake.requests(slim=True))


def trial_keys(server):
    return [one["name"] for one in server.admin.get("/admin/client-keys", params={"limit": 1000})["items"] if one["name"].startswith("console try-it")]


@pytest.fixture
def nothing_left(console, server):
    """Whatever was tried: afterwards there is no client key left of it."""
    yield
    assert until(console, lambda: trial_keys(server) == []), trial_keys(server)


@pytest.mark.usefixtures("nothing_left")
def test_the_answer_is_shown_as_it_arrives_with_the_keys_that_were_tried(console, server, fake):
    service = server.service(fake, keys=["sk-try-one-0123456789", "sk-try-two-0123456789", "sk-try-three-0123456789"], name="Streaming")
    fake.tell("*", {"do": "429", "retry_after": 30}, {"do": "gate"})
    box = Box(console, service)
    expect(box.answer).to_contain_text("The answer appears here")
    assert console.violations() == []
    box.send()
    expect(console.main.get_by_role("button", name="Stop")).to_be_focused()
    assert until(console, lambda: fake.total == 2)
    fake.step(n=3)
    expect(box.text).to_have_text("Hello from")
    expect(box.status).to_have_text("200: the answer is arriving …")
    assert len(trial_keys(server)) == 1
    console.picture("try-arriving")
    fake.step(n=100)
    expect(box.text).to_have_text(HELLO)
    expect(box.status).to_contain_text("200: complete after")
    expect(console.main.get_by_role("button", name="Send")).to_be_focused()
    expect(box.attempts).to_have_count(3)  # With the head.
    first, second = [service.id_of(one["key"]) for one in fake.requests()]
    expect(box.attempts.nth(1)).to_contain_text(re.compile(f"#{first}\\s*429\\s*rate limited", re.I))
    expect(box.attempts.nth(2)).to_contain_text(re.compile(f"#{second}\\s*200\\s*success", re.I))
    expect(box.fact("Attempts")).to_have_text("2")
    expect(box.fact("Key")).to_have_text(f"#{second}")
    expect(box.fact("First byte")).to_have_text(re.compile(r"\d (µs|ms|s)$"))
    expect(box.fact("Request id")).to_have_text(re.compile("^[0-9a-f]{16}$"))
    console.picture("try-done")
    assert console.violations() == []
    box.answer.get_by_label("Raw").check()
    expect(box.raw).to_contain_text('data: {"id":')
    expect(box.raw).to_contain_text("data: [DONE]")
    box.answer.get_by_text("What was sent").click()
    expect(box.answer.get_by_role("group", name="What was sent")).to_contain_text(f"POST /llm/{service.slug}/chat/completions")
    kept = console.everything_kept()
    assert "rk-" not in kept and not any(value in kept for value in service.values)


@pytest.mark.usefixtures("nothing_left")
def test_every_dialect_is_understood_in_a_stream_and_in_one_piece(console, server, fake):
    for format, path in (("openai_compatible", "/v1"), ("anthropic_native", ""), ("gemini_native", "")):
        service = server.service(fake, keys=1, api_format=format, target_base_url=fake.url + path)
        box = Box(console, service)
        box.send()
        expect(box.text).to_have_text(HELLO)
        console.main.get_by_label("Stream the answer").uncheck()
        box.send("in one piece")
        expect(box.text).to_have_text(HELLO.replace("good morning", "in one piece"))
        if format == "openai_compatible":
            console.main.get_by_label("Responses").check()
            box.send("by responses")
            expect(box.text).to_have_text(HELLO.replace("good morning", "by responses"))
            console.main.get_by_label("Stream the answer").check()
            box.send("by events")
            expect(box.text).to_have_text(HELLO.replace("good morning", "by events"))
            assert fake.last()["target"] == "/v1/responses"
        expect(box.status).to_contain_text("200: complete")


def test_reasoning_and_odd_line_ends_are_read(console, server, fake):
    service = server.service(fake, keys=1)
    events = [{"choices": [{"delta": {"reasoning_content": "Let me think."}}]}, {"choices": [{"delta": {"content": "Two "}}]}, {"choices": [{"delta": {"content": MARKUP}}]}]
    body = "".join(f"data: {json.dumps(one)}\r\n\r\n" for one in events) + "data: [DONE]\r\n\r\n"
    console.page.route("**/llm/**", lambda route: route.fulfill(status=200, content_type="text/event-stream", body=body))
    box = Box(console, service).send()
    expect(box.text).to_have_text(f"Two {MARKUP}")
    box.answer.get_by_text("Reasoning").click()
    expect(box.answer.get_by_role("group", name="Reasoning")).to_have_text("Let me think.")
    assert console.violations() == []


@pytest.mark.usefixtures("nothing_left")
def test_stopping_stops_the_provider_too(console, server, fake):
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "ok", "hang_after": 3})
    box = Box(console, service).send()
    expect(box.text).to_contain_text("Hello")
    console.main.get_by_role("button", name="Stop").click()
    expect(box.status).to_contain_text("stopped by you after")
    expect(console.main.get_by_role("button", name="Send")).to_be_focused()
    assert until(console, lambda: gone(fake) == 1)
    expect(box.attempts.nth(1)).to_contain_text("200")


@pytest.mark.usefixtures("nothing_left")
def test_the_providers_refusal_is_shown_as_text_with_its_body(console, server, fake):
    service = server.service(fake, keys=2)
    fake.tell("*", {"do": "400", "message": f"No {MARKUP} please", "times": -1})
    box = Box(console, service).send()
    expect(box.status).to_contain_text("400: the provider refused")
    expect(box.text).to_contain_text(f"No {MARKUP} please")
    expect(box.attempts.nth(1)).to_contain_text("400")
    assert console.violations() == []
    fake.reset()
    fake.tell("*", {"do": "start_then_fail", "content": 2, "message": f"Failed {MARKUP} later"})
    box.send()
    expect(box.status).to_contain_text("reported an error inside its answer")
    expect(box.answer.get_by_role("alert")).to_have_text(f"Failed {MARKUP} later")


@pytest.mark.usefixtures("nothing_left")
def test_the_rotators_own_refusal_says_what_to_do(console, server, fake):
    empty = server.service(fake, keys=0)
    box = Box(console, empty).send()
    expect(box.status).to_contain_text("503: the rotator refused")
    expect(box.text).to_contain_text("no_keys")
    expect(box.answer).to_contain_text("add some under Keys")
    expect(box.fact("Key")).to_have_text("–")
    off = server.service(fake, keys=1, is_active=False)
    box = Box(console, off)
    expect(console.main.get_by_text("This service is switched off")).to_be_visible()
    console.main.get_by_role("button", name="Switch it on").click()
    expect(console.main.get_by_text("This service is switched off")).to_have_count(0)
    box.send()
    expect(box.text).to_have_text(HELLO)


@pytest.mark.usefixtures("nothing_left")
def test_any_request_can_be_put_together_for_a_rest_api(console, server, fake):
    service = server.service(fake, kind="GENERIC", keys=1)
    box = Box(console, service)
    console.main.get_by_label("Path").fill("weather")
    console.main.get_by_label("Query").fill("?q=Hamburg")
    box.send(None)
    expect(box.text).to_contain_text("Hamburg")
    assert fake.last()["target"] == "/weather?q=Hamburg"
    console.main.get_by_label("Method").fill("post")
    console.main.get_by_label("Path").fill("/echo")
    console.main.get_by_label("Body").fill('{"a": 1}')
    console.main.get_by_role("button", name="Add a row").click()
    console.main.get_by_role("textbox", name="Header", exact=True).fill("X-Extra")
    console.main.get_by_role("textbox", name="Value", exact=True).fill("yes")
    assert console.violations() == []
    box.send(None)
    expect(box.text).to_contain_text('"method": "POST"')
    seen = fake.last()
    assert (seen.body, seen.get_field("content-type"), seen.get_field("x-extra")) == (b'{"a": 1}', "application/json", "yes")
    console.main.get_by_label("Method").fill("GET")
    console.main.get_by_label("Path").fill("/bytes/2048")
    box.send(None)
    expect(box.answer).to_contain_text("Not text: 2 KiB.")
    console.main.get_by_label("Path").fill("/../../admin/stats")
    box.send(None)
    expect(console.main.get_by_text(f"Must stay below /proxy/{service.slug}.")).to_be_visible()
    console.main.get_by_label("Path").fill("/redirect")
    box.send(None)
    expect(box.status).to_contain_text("answered with a redirect")


@pytest.mark.usefixtures("nothing_left")
def test_the_provider_is_asked_for_its_models(console, server, fake):
    for format, model in (("openai_compatible", "gpt-4o-mini"), ("gemini_native", "gemini-2.5-pro")):
        service = server.service(fake, keys=1, api_format=format, target_base_url=fake.url + ("/v1" if format == "openai_compatible" else ""))
        Box(console, service)
        console.main.get_by_role("button", name="Ask the provider for its models").click()
        expect(console.toast("they are suggested as you type").last).to_be_visible()
        expect(console.page.locator(f'datalist option[value="{model}"]')).to_have_count(1)
    fake.tell("*", {"do": "401", "times": -1})
    console.main.get_by_role("button", name="Ask the provider for its models").click()
    expect(console.toast("The models cannot be listed: 401")).to_be_visible()


def test_leaving_ends_the_trial_and_takes_its_key_along(console_of, server, fake):
    console = console_of(server)
    service = server.service(fake, keys=1)
    fake.tell("*", {"do": "hang", "times": -1})
    Box(console, service).send()
    assert until(console, lambda: fake.total == 1) and len(trial_keys(server)) == 1
    console.navigate("Overview")
    assert until(console, lambda: gone(fake) == 1 and trial_keys(server) == [])
    Box(console, service).send()
    assert until(console, lambda: fake.total == 2) and len(trial_keys(server)) == 1
    console.page.goto("about:blank")
    assert until(console, lambda: gone(fake) == 2 and trial_keys(server) == [])


def test_keys_of_earlier_trials_are_swept_up_once_they_have_expired(console_of, server, fake):
    console = console_of(server)
    service = server.service(fake, keys=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    soon = (now + datetime.timedelta(seconds=1)).isoformat()
    later = (now + datetime.timedelta(minutes=9)).isoformat()
    server.admin.post("/admin/client-keys", json={"name": "console try-it 01:02:03.004", "expires_at": soon})
    server.admin.post("/admin/client-keys", json={"name": "console try-it of mine", "expires_at": soon})
    other = server.admin.post("/admin/client-keys", json={"name": "console try-it", "expires_at": later})
    assert until(console, lambda: datetime.datetime.now(datetime.timezone.utc) > datetime.datetime.fromisoformat(soon))
    box = Box(console, service).send()
    expect(box.text).to_have_text(HELLO)
    # One that another window may be using stays, as does what only looks like one.
    assert until(console, lambda: sorted(trial_keys(server)) == ["console try-it", "console try-it of mine"]), trial_keys(server)
    for one in server.admin.get("/admin/client-keys")["items"]:
        server.admin.call("DELETE", f"/admin/client-keys/{one['id']}", expect=204)
    assert other["id"]


@pytest.mark.parametrize("dress", ["dark", "phone", "chinese"])
def test_the_box_reads_well_in_the_dark_on_a_phone_and_in_chinese(console_of, server, fake, dress):
    service = server.service(fake, keys=2, name="Dressed")
    fake.tell("*", {"do": "429", "retry_after": 30})
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
    console.go(f"services/{service.id}/try")
    console.main.get_by_role("button", name={"chinese": "发送"}.get(dress, "Send")).click()
    expect(console.main.get_by_role("row")).to_have_count(3)
    expect(console.main.get_by_role("region", name={"chinese": "响应"}.get(dress, "Answer"))).to_contain_text("Hello from the fake provider")
    console.picture(f"try-{dress}")
    assert console.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert console.violations() == []
