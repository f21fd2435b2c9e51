"""A server on a store of its own, and one real browser for each module of tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

import palaver
from palaver import Session, SessionManager
from tests.conftest import CHROMIUM
from tests.inspector.material import Clock, long_one, opened, several
from tests.waiting import PATIENCE


@dataclass(frozen=True)
class Site:
    """A server that runs, and the store behind it."""

    base: str
    sessions: SessionManager
    clock: Clock
    made: dict[str, Session]

    def path(self, name: str, page: str = "") -> str:
        """The address of a page of one of the sessions."""
        return f"{self.base}/sessions/{self.made[name].id}{page}"


PROGRAM = "import sys; from palaver.server import serve; serve(sys.argv[1], port=0)"


@contextmanager
def serving(url: str) -> Iterator[str]:
    """A server on a store, in a process of its own, as people run it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(palaver.__file__).resolve().parents[1])},
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        yield said.partition(" on ")[2].partition(" (")[0]
    finally:
        process.terminate()
        status = process.wait(PATIENCE)
        process.stdout.close()
    assert status == 0


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with sessions of many kinds, for the tests of a module; with a long one where the module asks for it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('site')}/chat.db"
    clock = Clock()
    with opened(url, clock) as sessions:
        made = several(sessions, clock)
        if long := getattr(request.module, "LONG", 0):
            made["long"] = long_one(sessions, long)
        with serving(url) as base:
            yield Site(base, sessions, clock, made)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    """A server on an empty store."""
    url = f"sqlite:///{tmp_path}/chat.db"
    clock = Clock()
    with opened(url, clock) as sessions, serving(url) as base:
        yield Site(base, sessions, clock, {})


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser. Not for the whole run: while it is there, no other test could run an event loop in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A window, and what went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def go(self, address: str) -> Page:
        """Open a page that must be there."""
        answer = self.page.goto(address)
        assert answer is not None
        assert answer.ok, (address, answer.status)
        return self.page


def watched(context: BrowserContext, base: str) -> Watched:
    """A new window in which scripts may not fail, nothing is blocked, and nothing is fetched from elsewhere."""
    window = Watched(context.new_page())

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            window.faults.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith((base, "data:")):
            window.faults.append(f"fetched {request.url}")

    window.page.on("console", said)
    window.page.on("pageerror", lambda error: window.faults.append(str(error)))
    window.page.on("request", asked)
    window.page.on("dialog", lambda dialog: window.faults.append(f"dialog: {dialog.message}"))
    return window


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh visitor."""
    made = chromium.new_context(viewport={"width": 1180, "height": 900})
    made.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)
    yield made
    made.close()


@pytest.fixture
def window(context: BrowserContext, site: Site) -> Iterator[Watched]:
    """A window of a fresh visitor, in which nothing went wrong when the test is over."""
    made = watched(context, site.base)
    yield made
    assert made.faults == []


@pytest.fixture
def page(window: Watched) -> Page:
    """The page in it."""
    return window.page
