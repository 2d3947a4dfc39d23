# SPDX-License-Identifier: MIT
"""The console in a real Chromium, read and driven as a person does: by roles and visible texts.

`CONSOLE_FROM_SOURCE=1` shows the console's files as they stand in the working copy rather than those inside the binary, so that a change can be tried
without a build. `CONSOLE_SCREENSHOTS=DIR` keeps the pictures that tests take; without it none are taken.
"""

from __future__ import annotations

import contextlib
import mimetypes
import os
import pathlib
import re
import shutil
from typing import Any, Iterator
from urllib.parse import urlsplit

from harness import ADMIN_PASSWORD, REPOSITORY, Rotator
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Route, expect, sync_playwright

SOURCES = REPOSITORY / "Sources" / "ConsoleAssets" / "web"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# What WCAG 2.2 asks for at the levels A and AA, and axe's own good practice.
ACCESSIBILITY_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def chromium_binary() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("Chromium is not installed: apt-get install chromium")


@contextlib.contextmanager
def launched_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=chromium_binary(), args=arguments)
        yield browser
        browser.close()


class Console:
    """One person's window on the console of a server. What must never happen in it is written down, for `verify`."""

    def __init__(self, browser: Browser, server: Rotator, **context: Any):
        self.server = server
        self.origin = server.url
        self.faults: list[str] = []
        options: dict[str, Any] = {"locale": "en-US", "timezone_id": "Europe/Berlin", "viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | context
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("request", self._request)
        if os.environ.get("CONSOLE_FROM_SOURCE"):
            self.page.route(lambda url: urlsplit(url).path == "/" or urlsplit(url).path.startswith("/console/"), self._from_source)

    def _console(self, message: ConsoleMessage) -> None:
        # A refusal of the API is a line of the browser's own, not a fault of the page.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin + "/", "blob:", "data:")):
            self.faults.append(f"a request to another host: {request.url}")

    def _from_source(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        file = SOURCES / ("index.html" if path == "/" else path.removeprefix("/console/"))
        if not file.is_file():
            return route.fulfill(status=404)
        kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
        return route.fulfill(status=200, body=file.read_bytes(), headers={"Content-Type": f"{kind}; charset=utf-8", "Content-Security-Policy": CONTENT_SECURITY_POLICY})

    # --- Going about -----------------------------------------------------------------------------------------------------

    def open(self, place: str = "") -> "Console":
        """Opens the console at a place such as `services/1/keys`; logs in where it asks."""
        self.page.goto(f"{self.origin}/#/{place}")
        self.page.reload()  # A change of the fragment alone loads nothing.
        return self

    def log_in(self, place: str = "", password: str = ADMIN_PASSWORD) -> "Console":
        self.open(place)
        self.page.get_by_label(re.compile("User name|用户名")).fill("admin")
        self.page.get_by_label(re.compile("Password|密码")).fill(password)
        self.page.get_by_role("button", name=re.compile("^(Log in|登录)$")).click()
        expect(self.page.get_by_role("navigation", name=re.compile("^(Console|控制台)$"))).to_be_visible()
        return self

    def go(self, place: str) -> None:
        """Goes to another place without losing the session."""
        self.page.evaluate("place => { location.hash = '#/' + place }", place)

    def navigate(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Console").get_by_role("link", name=name).click()
        expect(self.main.get_by_role("heading", level=1)).to_be_visible()

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    @property
    def dialog(self) -> Locator:
        """The dialog in front."""
        return self.page.get_by_role("dialog").last

    def toast(self, text: str) -> Locator:
        return self.page.get_by_role("region", name="Messages").get_by_text(text)

    # --- Looking closely -------------------------------------------------------------------------------------------------

    def picture(self, name: str) -> None:
        """Keeps a picture of the page where pictures are wanted."""
        if directory := os.environ.get("CONSOLE_SCREENSHOTS"):
            pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=pathlib.Path(directory) / f"{name}.png")

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it is shown."""
        from axe_playwright_python.base import AXE_FILE_PATH

        # By the protocol, not by a script element: the page's policy takes none.
        self.page.evaluate(f"() => {{ {pathlib.Path(AXE_FILE_PATH).read_text()} }}")
        found = self.page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", ACCESSIBILITY_TAGS)
        return [f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in found["violations"]]

    def everything_kept(self) -> str:
        """All that the page holds where a secret must not be: the document, what was typed into it, storage, cookies and the address."""
        return self.page.evaluate(
            """() => [
                document.documentElement.outerHTML, ...[...document.querySelectorAll('input, textarea')].map(one => one.value),
                JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage}), document.cookie, location.href,
            ].join('\\n')"""
        )

    def verify(self) -> None:
        """Nothing happened that never may."""
        assert self.faults == []

    def close(self) -> None:
        self.context.close()
