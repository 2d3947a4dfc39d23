# SPDX-License-Identifier: MIT
"""Fixtures: a fake provider and a server for each file, and a maker of further servers for tests that need their own."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from browser import Console, launched_browser
from harness import FakeProvider, Rotator, server_binary
from playwright.sync_api import Browser


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    try:
        server_binary()
    except FileNotFoundError as error:
        pytest.exit(str(error), returncode=4)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    made = FakeProvider()
    yield made
    made.stop()


@pytest.fixture
def fake(provider: FakeProvider) -> FakeProvider:
    """The file's fake provider, with everything forgotten."""
    provider.reset()
    return provider


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotator]:
    made = Rotator(tmp_path_factory.mktemp("server"))
    yield made
    crashed = made.process.poll()
    made.stop()
    assert crashed is None, f"the server ended by itself with {crashed}:\n{made.log[-4000:]}"


@pytest.fixture(autouse=True)
def nobody_crashed(request: pytest.FixtureRequest) -> Iterator[None]:
    """A server that died fails the test that killed it, and lives again for the next one."""
    yield
    for name in ("server", "wide", "hasty", "trusting"):
        one = request.node.funcargs.get(name)
        if isinstance(one, Rotator) and one.process.poll() not in (None, 0):
            end, log = one.process.poll(), one.log[-3000:]
            one.start()
            pytest.fail(f"the server ended by itself with {end}:\n{log}")


@pytest.fixture
def launch(tmp_path) -> Iterator[Callable[..., Rotator]]:
    """Starts a server of the test's own: `launch(LOG_LEVEL="trace")`."""
    made: list[Rotator] = []

    def start(*arguments: str, directory=None, wait: bool = True, keep_defaults: bool = True, **environment: str | None) -> Rotator:
        one = Rotator(directory or tmp_path / f"server{len(made)}", wait, arguments, keep_defaults, **environment)
        made.append(one)
        return one

    yield start
    for one in made:
        one.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for each file: while it is there an event loop runs, beside which the files of asynchronous SDKs could not run theirs."""
    with launched_browser() as made:
        yield made


@pytest.fixture
def console_of(browser: Browser) -> Iterator[Callable[..., Console]]:
    """Opens a window on a server's console, logged in: `console_of(server, "services", locale="zh-CN")`. At the end, nothing has happened in it that never may."""
    made: list[Console] = []

    def look(server: Rotator, place: str | None = "", **context) -> Console:
        one = Console(browser, server, **context)
        made.append(one)
        return one if place is None else one.log_in(place)

    yield look
    for one in made:
        try:
            one.verify()
        finally:
            one.close()


@pytest.fixture
def console(console_of: Callable[..., Console], server: Rotator) -> Console:
    return console_of(server)


@pytest.fixture(scope="module")
def kept_window(browser: Browser, server: Rotator) -> Iterator[Console]:
    made = Console(browser, server).log_in("services")
    yield made
    made.close()


@pytest.fixture
def window(kept_window: Console) -> Iterator[Console]:
    """One window for the whole file, since logging in takes longer than most tests: with no message left of the test before."""
    messages = kept_window.page.get_by_role("region", name="Messages").get_by_role("button", name="Close")
    while messages.count():
        messages.first.click()
    yield kept_window
    kept_window.page.unroute_all()
    kept_window.verify()
