# SPDX-License-Identifier: MIT
"""The console beside a pool in turmoil: a thousand changes of keys' states in every second cost the browser little, and the page can be used meanwhile."""

from __future__ import annotations

import re
import threading
import time
from typing import Iterator

import pytest
from browser import Console
from harness import Rotator
from playwright.sync_api import expect

KEYS = 2000
CHANGES_PER_SECOND = 1000
SECONDS = 8
# Of one core, by all threads of the page's process.
SHARE_MAX = 0.2


class Turmoil:
    """Switches keys of a service off and on again, so that a thousand of them change in every second."""

    def __init__(self, server: Rotator, service: int):
        self.changes = 0
        self._server, self._service, self._ends = server, service, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Turmoil":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        began, turn = time.monotonic(), 0
        while not self._ends.wait(max(0.0, began + turn * 0.25 - time.monotonic())):
            # A quarter of a second's worth: one of four groups off, or on again four turns later.
            action = "disable" if turn // 4 % 2 == 0 else "enable"
            done = self._server.admin.post(f"/admin/proxy-configs/{self._service}/keys/bulk", expect=200, json={"action": action, "filter": {"tag": f"group-{turn % 4}"}})
            self.changes += done["changed_count"]
            turn += 1


@pytest.fixture(scope="module")
def many(server: Rotator) -> dict:
    made = server.admin.post("/admin/proxy-configs", json={"name": "Turmoil", "slug": "turmoil", "config_type": "LLM", "api_format": "openai_compatible", "target_base_url": "http://127.0.0.1:9/v1"})
    path = f"/admin/proxy-configs/{made['id']}/keys"
    server.admin.post(f"{path}/batch", expect=200, json={"keys": [f"sk-turmoil-{number:05}-abcdefgh" for number in range(KEYS)]})
    ids = [key["key_id"] for key in server.admin.all_keys(made["id"])]
    for number in range(4):
        # Every other key changes, so that there are some of them wherever somebody looks.
        group = ids[2 * number :: 8]
        assert len(group) == CHANGES_PER_SECOND // 4
        server.admin.post(f"{path}/bulk", expect=200, json={"action": "tag", "ids": group, "tags": [f"group-{number}"]})
    return made


@pytest.fixture
def turmoil(server: Rotator, many: dict) -> Iterator[Turmoil]:
    with Turmoil(server, many["id"]) as running:
        yield running
    server.admin.post(f"/admin/proxy-configs/{many['id']}/keys/bulk", expect=200, json={"action": "enable", "filter": {"state": "disabled"}})


def page_seconds(console: Console) -> float:
    """CPU time of the processes that run pages; one page is open."""
    session = console.context.browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(one["cpuTime"] for one in processes if one["type"] == "renderer")


def share_of_a_core(console: Console, turmoil: Turmoil) -> tuple[float, float]:
    """What the page uses, and how many changes it is told of in a second."""
    console.page.wait_for_timeout(2000)
    before, changes, began = page_seconds(console), turmoil.changes, time.monotonic()
    console.page.wait_for_timeout(SECONDS * 1000)
    took = time.monotonic() - began
    return (page_seconds(console) - before) / took, (turmoil.changes - changes) / took


@pytest.mark.parametrize("place", ["overview", "keys"])
def test_a_thousand_changes_a_second_take_less_than_a_fifth_of_a_core(console_of, server, many, turmoil, place):
    console = console_of(server, "overview" if place == "overview" else f"services/{many['id']}/keys")
    shown = console.main.get_by_role("region", name="Keys by state") if place == "overview" else console.main.get_by_role("grid").get_by_text("disabled").first
    expect(shown).to_contain_text("disabled")
    share, changes = share_of_a_core(console, turmoil)
    print(f"{place}: {share:.1%} of a core at {changes:.0f} changes a second")
    assert changes > 0.9 * CHANGES_PER_SECOND, "the turmoil is as great as it is said to be"
    assert share < SHARE_MAX


def test_a_row_can_be_pressed_while_it_changes(console_of, server, many, turmoil):
    console = console_of(server, f"services/{many['id']}/keys")
    rows = console.main.get_by_role("grid").get_by_role("row").filter(has=console.page.get_by_role("checkbox"))
    expect(rows.first).to_be_visible()
    box = rows.nth(2).get_by_role("checkbox").bounding_box()
    console.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    console.page.mouse.down()
    # A slow finger: the row is drawn anew, by the changes of more than a second, before it leaves the button.
    before = rows.nth(0).inner_text()
    expect(rows.nth(0)).not_to_have_text(before, timeout=10_000, use_inner_text=True)
    console.page.mouse.up()
    expect(console.main.get_by_text("1 key selected")).to_be_visible()
    rows.nth(3).get_by_text(re.compile("^sk-")).click()
    expect(console.dialog.get_by_role("heading", name="How it stands")).to_be_visible()
