"""Nothing that is stored runs in a page, styles it, leads it elsewhere, or makes it fetch anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from palaver import Session, user
from tests.inspector.attacks import ATTACKS, named_so, said_so
from tests.inspector.conftest import Site, serving, watched
from tests.inspector.material import Clock, opened

FOREIGN = """() => {
  const scripts = [...document.scripts].filter(e => !e.src.startsWith(location.origin + "/static/") || e.text);
  const parts = document.querySelectorAll(
    "style, iframe, object, embed, base, meta[http-equiv], [style], [srcdoc], link:not([href^='/static/'])");
  const handlers = [...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => /^on/i.test(a.name)));
  const forms = [...document.forms].filter(e => new URL(e.action).origin !== location.origin);
  const links = [...document.links].filter(e => !["http:", "https:", "mailto:"].includes(e.protocol));
  const named = [...document.querySelectorAll(".prose [id], .prose [name], .prose form")];
  return [...scripts, ...parts, ...handlers, ...forms, ...links, ...named].map(e => e.outerHTML.slice(0, 200));
}"""
"""What of a page's elements is not this server's own."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a session for each attack."""
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile')}/chat.db"
    clock = Clock()
    clock.now = datetime.now(UTC)
    with opened(url, clock) as sessions:
        made = {str(number): named_so(sessions, attack) for number, attack in enumerate(ATTACKS)}
        made["talk"] = said_so(sessions)
        with serving(url) as base:
            yield Site(base, sessions, clock, made)


def harmless(page: Page, address: str) -> None:
    """Load a page, unfold all of it, and look at what came of it."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate(FOREIGN) == []
    assert page.evaluate("window.pwned") is None
    expect(page.locator("header.top .brand")).to_be_visible()
    assert page.locator("main").count() == page.locator("main h1").count() == 1
    assert page.evaluate("location.origin") in address


def test_no_message_becomes_part_of_a_page(context: BrowserContext, site: Site) -> None:
    """Whoever says it, and wherever in a message: no script ran, nothing was blocked, nothing was fetched."""
    window = watched(context, site.base)
    session: Session = site.made["talk"]
    home = f"{site.base}/sessions/{session.id}"
    last = session.info().last_seq
    for begin in range(100, last + 100, 100):
        harmless(window.page, f"{home}?before={begin + 1}")
    for wire in ("openai_chat", "anthropic", "google"):
        harmless(window.page, f"{home}/window?wire={wire}")
    for rest in ("/lineage", *(f"/messages/{seq}" for seq in (1, 2, 4, 5, 6, 65))):
        harmless(window.page, f"{home}{rest}")
    assert window.faults == []


def test_no_name_becomes_part_of_a_page(context: BrowserContext, site: Site) -> None:
    """The same for titles, tags, metadata, keys, and names of chats and people."""
    window = watched(context, site.base)
    for number in range(len(ATTACKS)):
        harmless(window.page, f"{site.base}/sessions/{site.made[str(number)].id}/manage")
    for rest in ("", "/lineage", "/window"):
        harmless(window.page, f"{site.base}/sessions/{site.made['11'].id}{rest}")
    assert window.faults == []


def test_lists_and_searches_are_as_safe(context: BrowserContext, site: Site) -> None:
    """The list of all of them, a search that finds them, and a search for the attacks themselves."""
    window = watched(context, site.base)
    for query in ("", "?q=found", "?state=open&platform=evil", "usage", "doctor?check=yes&notes=yes"):
        harmless(window.page, f"{site.base}/{query}")
    for attack in ATTACKS[:8]:
        harmless(window.page, f"{site.base}/?{urlencode({'q': attack})}")
    assert window.faults == []


def test_what_arrives_live_is_as_safe(context: BrowserContext, site: Site) -> None:
    """Messages that come while the page is open go through the same."""
    window = watched(context, site.base)
    page = window.page
    session = site.made["0"]
    page.goto(f"{site.base}/sessions/{session.id}")
    for attack in ATTACKS:
        session.append(user(attack))
    last = session.info().last_seq
    expect(page.locator(f"#m{last}")).to_be_visible()
    assert page.evaluate(FOREIGN) == []
    assert page.evaluate("window.pwned") is None
    assert window.faults == []


def test_the_policy_would_stop_it_anyway(context: BrowserContext, site: Site) -> None:
    """A script, a handler and a style that were put into a page by force do nothing."""
    page = context.new_page()
    page.goto(f"{site.base}/")
    page.evaluate("""() => {
      document.body.insertAdjacentHTML("beforeend", "<p id=x style='color: red' onclick='window.pwned=1'>x</p>");
      const script = document.createElement("script");
      script.textContent = "window.pwned = 1";
      document.body.append(script);
    }""")
    page.locator("#x").click()
    assert page.evaluate("window.pwned") is None
    assert page.locator("#x").evaluate("e => getComputedStyle(e).color") != "rgb(255, 0, 0)"
