"""The inspector's pages in a real browser: what they show, by mouse, by keyboard, on a phone and without scripts."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

import palaver
from palaver import assistant, user
from palaver.apikeys import KeyFile, keys_path
from tests.e2e.serving import palaver_server
from tests.inspector.conftest import Site, Watched, serving, watched
from tests.inspector.material import turn
from tests.waiting import until

PAGES = (
    "",
    "?q=Lisbon",
    "usage",
    "doctor",
    "shortcuts",
    "travel",
    "travel/window?max_tokens=900",
    "support",
    "support/window?max_tokens=1200",
    "travel/lineage",
    "travel/manage",
    "travel/messages/13",
    "long",
)

LONG = 100_000
"""Messages of the session `long` (see the fixture `site`)."""

PAINTED = """new Promise(done => new PerformanceObserver(list => {
  const [paint] = list.getEntriesByName("first-contentful-paint");
  if (paint) done(paint.startTime);
}).observe({type: "paint", buffered: true}))"""
"""When something of the page was to be seen first, in milliseconds."""


def address(site: Site, name: str) -> str:
    """The address of one of PAGES."""
    first, slash, rest = name.partition("/")
    return site.path(first, slash + rest) if first in site.made else f"{site.base}/{name}"


def test_the_list_shows_what_is_worth_knowing(window: Watched, site: Site) -> None:
    """Newest first, with title, preview, origin, counts, tokens, cost and marks; archived ones are left out."""
    page = window.go(site.base)
    rows = page.locator(".sessions > li")
    titles = rows.locator("h2").all_inner_texts()
    assert titles.index("A weekend in Porto") < titles.index("A weekend in Lisbon")
    assert "Notes from the retreat" not in titles
    lisbon = rows.filter(has_text="A weekend in Lisbon")
    for said in ("Hi! I have three days", "telegram", "concierge", "14 messages", "tokens", "$0.10", "pinned", "vip"):
        expect(lisbon).to_contain_text(said)
    expect(rows.filter(has_text="A weekend in Porto")).to_contain_text("fork")
    assert page.title() == "Sessions · Palaver"


def test_filters_narrow_the_list(window: Watched, site: Site) -> None:
    """By platform and tag and state; the address says it; a filter that nothing meets says so."""
    page = window.go(site.base)
    page.get_by_label("Platform").fill("whatsapp")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".sessions > li")).to_have_count(3)
    assert "platform=whatsapp" in page.url
    page.get_by_label("State").select_option("archived")
    page.get_by_label("Platform").fill("")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".sessions h2")).to_have_text(["Notes from the retreat"])
    page.goto(f"{site.base}/")
    page.locator(".mark.tag", has_text="vip").click()
    expect(page.locator(".sessions h2")).to_have_text(["A weekend in Lisbon"])
    page.get_by_label("Agent").fill("nobody")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("heading", name="No session is like that")).to_be_visible()


def test_a_search_leads_to_the_message(window: Watched, site: Site) -> None:
    """Hits are highlighted; a click opens the conversation where the message stands, and marks it."""
    page = window.go(site.base)
    page.get_by_label("Search all messages").fill("Casa Rossio")
    page.keyboard.press("Enter")
    expect(page.locator(".results mark").first).to_have_text(re.compile("Casa|Rossio"))
    page.locator(".results a[data-row]", has_text="118 €").click()
    expect(page.locator("#m8")).to_have_class(re.compile("found"))
    expect(page.locator("#m8")).to_be_focused()
    expect(page.locator("#m8")).to_be_in_viewport()


def test_a_conversation_shows_who_said_what(window: Watched, site: Site) -> None:
    """Speakers, Markdown, calls with arguments and results and times, thinking, images, edits and what was rewound."""
    page = window.go(site.path("travel"))
    assert page.locator("#m2 .speaker").inner_text() == "Ana Ruiz"
    expect(page.locator("#m3 table tbody tr")).to_have_count(3)
    expect(page.locator("#m3 td.to-right").first).to_have_css("text-align", "right")
    thought = page.locator("#m3 details.thinking")
    expect(thought.locator(".prose")).not_to_be_visible()
    thought.locator("summary").click()
    expect(thought.locator(".prose")).to_contain_text("Offer the hotel")
    call = page.locator("#m5 details.call").first
    expect(call.locator("summary")).to_contain_text("find_hotels(")
    expect(call.locator(".took")).to_have_text(re.compile(r"^\d+(\.\d)? m?s$"))
    call.locator("summary").click()
    expect(call.locator("pre").first).to_contain_text('"max_price": 140')
    expect(call.locator("pre").nth(1)).to_contain_text("Casa do Rossio")
    expect(page.locator("#m14 .call.failed")).to_contain_text("card expired")
    picture = page.locator("#m9 img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    before = page.locator("#m13 details.before")
    before.locator("summary").click()
    expect(before.locator(".prose")).to_have_text("Sorry, I meant the 3rd of April. Book it, please.")
    undone = page.locator("details.undone")
    expect(undone.locator("> summary")).to_contain_text("2 messages rewound")
    expect(page.get_by_text("Booked for 3 May.")).not_to_be_visible()
    undone.locator("> summary").click()
    expect(page.get_by_text("Booked for 3 May.")).to_be_visible()


def test_what_the_model_sees(window: Watched, site: Site) -> None:
    """The page says of each message whether it is in the window and why not, and its figures are the window's."""
    page = window.go(site.path("support", "/window?max_tokens=1200"))
    seen = site.made["support"].history(max_tokens=1200)
    stored = [message.seq for message in seen.messages if message.seq]
    expect(page.locator(".headline")).to_contain_text(f"sees {len(stored)} of 102 messages and a summary")
    expect(page.locator(".headline")).to_contain_text(f"{seen.tokens:,} tokens of 1,200")
    assert page.locator(".seen li.in .seq").all_inner_texts() == [f"#{seq}" for seq in stored]
    expect(page.locator(".seen li.k-summary")).to_contain_text("Checkout p99 was 180")
    expect(page.locator("#w98 .why")).to_have_text("command")
    expect(page.locator("#w99 .why")).to_have_text("hidden")
    expect(page.locator(".seen li.run.s-compacted")).to_contain_text("48 messages summarised")
    expect(page.locator(".seen .s-budget").first).to_be_visible()
    expect(page.locator(".seen li.k-made")).to_contain_text("Interrupted")
    expect(page.locator(".repairs")).to_contain_text("has no result")
    page.get_by_label("For").select_option("anthropic")
    page.wait_for_url("**wire=anthropic**")
    page.get_by_label("Tokens at most").fill("100000")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".payload summary")).to_contain_text("Anthropic")
    expect(page.locator(".seen .s-budget")).to_have_count(0)


def test_the_payload_is_copied_whole(window: Watched, context: BrowserContext, site: Site) -> None:
    """What the button copies is what render gives for that provider and budget, by the provider's own names."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.go(site.path("support", "/window?wire=anthropic&max_tokens=1200"))
    page.locator(".payload summary").click()
    page.get_by_role("button", name="Copy all of it").click()
    expect(page.locator(".copied")).to_have_text("Copied")
    rendered = site.made["support"].history(max_tokens=1200).render("anthropic")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied == {"system": rendered.system, "messages": rendered.messages}


def test_messages_arrive_in_two_windows(context: BrowserContext, site: Site) -> None:
    """What is said, by a turn that begins, calls and ends, appears in every window that looks; unfolded stays so."""
    site.clock.now = datetime.now(UTC)  # the server's own: a lease of another time would be over for it
    one, two, lists = (watched(context, site.base) for _ in range(3))
    session = turn(site.sessions, palaver.Origin("sms", user_id="1"), user("First"), assistant("One"))
    first, second = (each.go(f"{site.base}/sessions/{session.id}") for each in (one, two))
    listed = lists.go(site.base)
    with session.begin_turn(user("Is it live?", sender="Eve")) as running:
        for page in (first, second):
            expect(page.locator("#m3")).to_contain_text("Is it live?")
            expect(page.locator(".session .mark.live")).to_have_text("running")
        running.append(assistant("Let me see.", palaver.ToolCall(name="look", call_id="x", arguments="{}")))
        for page in (first, second):
            expect(page.locator("#m4")).to_contain_text("waiting for its result")
        first.locator("#m4 details > summary").click()
        running.append(palaver.tool("x", "It is."))
        for page in (first, second):
            expect(page.locator("#m4 .answer")).to_have_text("It is.")
        expect(first.locator("#m4 details")).to_have_attribute("open", "")
        running.finish(assistant("Yes."))
    for page in (first, second):
        expect(page.locator("#m6")).to_contain_text("Yes.")
        expect(page.locator(".session .mark.live")).to_have_count(0)
    expect(listed.locator(".sessions > li").first).to_contain_text("6 messages")
    session.rewind()
    expect(second.locator("details.undone")).to_contain_text("4 messages rewound")
    assert not [*one.faults, *two.faults, *lists.faults]


LOOKED_AT = """hidden => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""What a page is told when it is put behind another one, or in front again."""

STREAMS = {
    "none": "delete window.EventSource",
    "refused": "const Real = EventSource; EventSource = class extends Real { constructor() { super('/nothing'); } }",
    "held back": "EventSource = class extends EventTarget { close() {} }",
}
"""What a browser, or somebody on the way to it, does to streams of events."""


@pytest.mark.parametrize("stream", STREAMS)
def test_pages_are_live_without_a_stream(context: BrowserContext, site: Site, stream: str) -> None:
    """Where no stream of events comes through they ask, and ask again, and show the same."""
    context.add_init_script(STREAMS[stream])
    session = turn(site.sessions, palaver.Origin("sms", user_id=f"9 {stream}"), user("First"), assistant("One"))
    window = watched(context, site.base)
    with window.page.expect_request(re.compile(r"/live\?.*seen=")) as asked:
        page = window.go(f"{site.base}/sessions/{session.id}")
    assert asked.value.resource_type == "fetch"
    for number in range(3, 5):
        session.append(user("Is it live?"))
        expect(page.locator(f"#m{number}")).to_contain_text("Is it live?")
    assert not [fault for fault in window.faults if "404" not in fault]


def test_pages_listen_to_a_stream(context: BrowserContext, site: Site) -> None:
    """One request, as long as the page is looked at; it begins anew when the page is looked at again."""
    window = watched(context, site.base)
    session = turn(site.sessions, palaver.Origin("sms", user_id="8"), user("First"), assistant("One"))
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.resource_type) if "/live" in request.url else None)
    page = window.go(f"{site.base}/sessions/{session.id}")
    for number in range(3, 6):
        session.append(user("Is it live?"))
        expect(page.locator(f"#m{number}")).to_contain_text("Is it live?")
    assert asked == ["eventsource"]
    page.evaluate(LOOKED_AT, True)
    session.append(user("While nobody looked"))
    page.evaluate(LOOKED_AT, False)
    expect(page.locator("#m6")).to_contain_text("While nobody looked")
    assert asked == ["eventsource"] * 2
    assert window.faults == []


def test_pages_come_back_to_the_stream(context: BrowserContext, tmp_path: Path) -> None:
    """While a server stops, and when the next one is up, pages show what happens, and then listen to a stream again.

    One window listened before the server was told to stop; the other is opened while it waits for a turn to end, and
    looked at again when nobody is there.
    """
    url = f"sqlite:///{tmp_path}/chat.db"
    streams: list[Page] = []

    def watch(page: Page) -> Page:
        def answered(response: Response) -> None:
            if response.request.resource_type == "eventsource" and response.ok:
                streams.append(page)

        page.on("response", answered)
        return page

    with palaver.open(url) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("First"), assistant("One"))
        with palaver_server(url) as server:
            path = f"{server.base}/sessions/{session.id}"
            listened, opened = (watch(context.new_page()) for _ in range(2))
            listened.goto(path)
            begun = context.request.post(f"{server.base}/v1/turns", data={"key": "k", "message": "Two"}).json()
            expect(listened.locator("#m3")).to_contain_text("Two")
            server.process.send_signal(signal.SIGTERM)
            until(lambda: context.request.get(f"{server.base}/readyz").status == 503, "the server to be told")
            opened.goto(path)
            asked = {"messages": [{"role": "assistant", "content": "Three"}]}
            assert context.request.post(f"{server.base}/v1/turns/{begun['id']}/messages", data=asked).ok
            for page in (listened, opened):
                expect(page.locator("#m4")).to_contain_text("Three")
            finished = context.request.post(f"{server.base}/v1/turns/{begun['id']}/finish", data={"message": "Four"})
            assert finished.ok
            assert server.process.wait(30) == 0
        for hidden in (True, False):
            opened.evaluate(LOOKED_AT, hidden)
        opened.wait_for_timeout(6_000)  # longer than a page waits for a stream that says nothing
        streams.clear()
        with palaver_server(url, f"{{'port': {server.base.rpartition(':')[2]}}}"):

            def listen_again() -> bool:
                opened.wait_for_timeout(50)
                return {listened, opened} <= {*streams}

            until(listen_again, "the pages to listen again")
            polled: list[str] = []
            for page in (listened, opened):
                page.on("request", lambda request: polled.append(request.url) if "seen=" in request.url else None)
            session.append(user("Five"))
            for page in (listened, opened):
                expect(page.locator("#m6")).to_contain_text("Five")
            assert polled == []


def test_the_first_session_appears_by_itself(context: BrowserContext, empty: Site) -> None:
    """An empty store says how to begin; what begins then is there without loading the page again."""
    window = watched(context, empty.base)
    page = window.go(empty.base)
    expect(page.get_by_role("heading", name="No conversations yet")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text(f"curl -s {empty.base}/v1/turns")
    turn(empty.sessions, palaver.Origin.local(), user("Hello there"), assistant("Hi!"))
    expect(page.locator(".sessions h2")).to_have_text(["Hello there"])
    assert window.faults == []


def test_in_with_a_key_and_out_again(context: BrowserContext, tmp_path: Path) -> None:
    """On a server with keys: the form, an owner's sessions and no others, live too, and out again."""
    url = f"sqlite:///{tmp_path}/chat.db"
    _, key = KeyFile(keys_path(url)).create("ana's", now=datetime.now(UTC), owner="ana")
    with palaver.open(url) as sessions, serving(url) as base:
        sessions.for_owner("bo").create(title="His").append(user("Not hers"))
        window = watched(context, base)
        page = window.go(f"{base}/usage?days=7")
        expect(page.get_by_label("Key", exact=True)).to_be_focused()
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        page.wait_for_url("**/usage?days=7")
        page.get_by_role("link", name="Sessions").click()
        expect(page.get_by_role("heading", name="No conversations yet")).to_be_visible()
        expect(page.locator("pre").first).to_contain_text("Authorization: Bearer KEY")
        hers = sessions.for_owner("ana").create(title="Hers")
        hers.append(user("Mine alone"))
        expect(page.locator(".sessions h2")).to_have_text(["Hers"])
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        assert key not in page.content()
        window.go(f"{base}/sessions/{hers.id}")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert window.faults == []


def test_an_open_page_is_left_when_its_key_is_revoked(context: BrowserContext, tmp_path: Path) -> None:
    """What it showed does not stay on the screen of one who may not look any more."""
    url = f"sqlite:///{tmp_path}/chat.db"
    keys = KeyFile(keys_path(url))
    _, key = keys.create("looks on", now=datetime.now(UTC))
    with palaver.open(url) as sessions, serving(url) as base:
        session = sessions.create(title="Shown")
        session.append(user("For who may look"))
        page = watched(context, base).go(f"{base}/sessions/{session.id}")
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        expect(page.get_by_text("For who may look")).to_be_visible()
        keys.revoke("looks on", now=datetime.now(UTC))
        session.append(user("Something new"))
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(page.get_by_text("For who may look")).not_to_be_attached()


def test_a_hundred_thousand_messages(
    window: Watched, site: Site, record_property: Callable[[str, object], None]
) -> None:
    """A long session's pages hold as much as a short one's, and any place in it is one step away."""
    page = window.go(site.path("long"))
    expect(page.locator(".line")).to_have_count(100)
    expect(page.locator("#m100000")).to_be_in_viewport()
    paint = page.evaluate(PAINTED)
    record_property("figure", f"inspector: the newest page of 100,000 messages is painted after {paint:.0f} ms")
    page.get_by_label("Go to #").fill("41234")
    page.keyboard.press("Enter")
    expect(page.locator("#m41234")).to_have_class(re.compile("found"))
    expect(page.locator(".line")).to_have_count(100)
    first = page.locator(".line").first.get_attribute("id")
    page.get_by_role("link", name=re.compile("Older messages")).click()
    expect(page.locator(".line").last).to_have_attribute("id", f"m{int(str(first)[1:]) - 1}")
    window.go(site.path("long", "/window?max_messages=60"))
    paint = page.evaluate(PAINTED)
    record_property("figure", f"inspector: what the model sees of them is painted after {paint:.0f} ms")
    expect(page.locator(".headline")).to_contain_text("60 of 100,000 messages")
    expect(page.locator(".seen li.in")).to_have_count(60)


def test_keys_alone_lead_everywhere(window: Watched, site: Site) -> None:
    """From the list into a session, its window, a message and out again, without a mouse."""
    page = window.go(f"{site.base}/?platform=telegram")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".sessions a[data-row]").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.path('travel')}*")
    page.keyboard.press("w")
    page.wait_for_url("**/window")
    page.keyboard.press("c")
    page.wait_for_url(site.path("travel"))
    for key in "kkk":
        page.keyboard.press(key)
    focused = page.locator(".line:focus")
    expect(focused).to_have_count(1)
    page.goto(site.path("travel", "?at=5#m5"))
    page.keyboard.press("Enter")
    expect(page.locator("#m5 details").first).to_have_attribute("open", "")
    page.keyboard.press("?")
    page.wait_for_url("**/shortcuts")
    page.keyboard.press("/")
    expect(page.get_by_label("Search all messages")).to_be_focused()
    page.keyboard.type("gs")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/usage")


def test_tab_reaches_what_a_page_offers(window: Watched, site: Site) -> None:
    """The first stop skips to the content; each stop after that can be seen to have the focus."""
    page = window.go(site.path("travel", "/manage"))
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    reached: set[str] = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.innerText || document.activeElement.getAttribute('aria-label')")
        )
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width != "0px"
    assert {"Rename", "Set tags", "Archive", "Fork", "Markdown", "Delete this session…"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(chromium: Browser, site: Site, scheme: Literal["light", "dark"]) -> None:
    """No page is wider than a phone, whatever is on it, and text stands out from what is behind it."""
    context = chromium.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    window = watched(context, site.base)
    for name in PAGES:
        page = window.go(address(site, name))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    dark, bright = sorted(sum(map(int, re.findall(r"\d+", color)[:3])) for color in (ink, paper))
    assert bright - dark > 450
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == (scheme == "dark")
    context.close()
    assert window.faults == []


def test_pages_work_without_scripts(chromium: Browser, site: Site) -> None:
    """Everything but the live updates is HTML: folds unfold, forms are sent, pages lead on."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.path("long"))
    page.get_by_role("link", name=re.compile("Older messages")).click()
    expect(page.locator(".line")).to_have_count(100)
    page.goto(site.path("travel", "/window?max_tokens=900"))
    expect(page.locator(".headline")).to_contain_text("of 900")
    page.locator(".payload summary").click()
    expect(page.locator(".payload pre")).to_contain_text('"messages"')
    expect(page.get_by_role("button", name="Copy all of it")).not_to_be_visible()
    page.goto(site.path("Priya", "/manage"))
    page.get_by_role("button", name="Pin").click()
    expect(page.locator(".flash")).to_contain_text("Pinned.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".flash")).to_contain_text("Not pinned any more.")
    context.close()


def test_every_page_has_its_landmarks(window: Watched, site: Site) -> None:
    """One main heading, one main part, a title; every field has a name, every picture a text."""
    for name in PAGES:
        page = window.go(address(site, name))
        assert page.locator("main h1").count() == 1, name
        assert page.locator("main").count() == page.locator("header.top").count() == 1
        nameless = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter(e => !e.labels.length && !e.ariaLabel).length"
        )
        assert nameless == 0, name
        assert page.locator("img:not([alt])").count() == 0
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)), name


def test_usage_and_lineage(window: Watched, site: Site) -> None:
    """Usage is by model, platform, owner and session; the tree shows a fork beneath what it was forked from."""
    page = window.go(f"{site.base}/usage?days=365")
    for heading in ("By model", "By platform", "By owner", "By session"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("claude-sonnet-4-5"))).to_contain_text("$0.4512")
    expect(page.get_by_role("row", name=re.compile("^slack"))).to_contain_text("24")
    assert page.locator("svg.columns g").count() == 365
    window.go(site.path("fork", "/lineage"))
    root = page.locator(".tree > li > .node")
    expect(root).to_contain_text("A weekend in Lisbon")
    expect(page.locator(".tree ul .node.here")).to_contain_text("A weekend in Porto")
    window.go(site.path("new", "/lineage"))
    expect(page.locator(".tree ul > li").first).to_contain_text("reset")


def test_the_doctor_says_that_all_is_well(window: Watched, site: Site) -> None:
    """The health page has the store's figures; the check runs when asked for."""
    page = window.go(f"{site.base}/doctor")
    expect(page.locator(".cards")).to_contain_text("Messages")
    expect(page.locator(".well")).to_have_count(0)
    page.get_by_role("link", name="Check now").click()
    expect(page.locator(".well")).to_contain_text("All is well")
