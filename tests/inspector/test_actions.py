"""What a person does in the inspector: each change is made, said, seen in the store, and taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from palaver import Session, SessionNotFound, ToolCall, assistant, tool, user
from tests.inspector.conftest import Site, Watched, serving
from tests.inspector.material import Clock, opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with one session."""
    url = f"sqlite:///{tmp_path_factory.mktemp('actions')}/chat.db"
    clock = Clock()
    clock.now = datetime.now(UTC)
    with opened(url, clock) as sessions:
        other = sessions.create(title="Taken")
        other.append(user("Mine"))
        with serving(url) as base:
            yield Site(base, sessions, clock, {"other": other})


@pytest.fixture
def talk(site: Site) -> Session:
    """A session of six messages."""
    session = site.sessions.create(title="Plans")
    for number in (1, 2, 3):
        session.append(user(f"Question {number}"), assistant(f"Answer {number}"))
    return session


@pytest.fixture(autouse=True)
def _only_one(site: Site, talk: Session) -> Iterator[None]:
    yield
    for info in site.sessions.list(limit=100, title="Plans", include_archived=True):
        site.sessions.get(info.id).purge()


def texts(session: Session) -> list[str]:
    """What is live."""
    return [message.text for message in session.messages()]


def flash(page: Page) -> str:
    """What the page says was done."""
    return page.locator(".flash > span").inner_text()


def undo(page: Page) -> None:
    """Take back what was done last."""
    page.get_by_role("button", name="Undo").click()


def manage(window: Watched, site: Site, session: Session) -> Page:
    """The page of what can be done with a session."""
    return window.go(f"{site.base}/sessions/{session.id}/manage")


def test_rename(window: Watched, site: Site, talk: Session) -> None:
    """A new title, and the old one back."""
    page = manage(window, site, talk)
    page.get_by_label("Title", exact=True).fill("Plans for May")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator("h1")).to_have_text("Plans for May")
    assert (flash(page), talk.info().title) == ("It is called 'Plans for May' now.", "Plans for May")
    undo(page)
    expect(page.locator("h1")).to_have_text("Plans")
    assert talk.info().title == "Plans"
    page.reload()
    expect(page.locator(".flash")).to_have_count(0)


def test_a_call_stands_with_its_result_also_alone(window: Watched, site: Site, talk: Session) -> None:
    """The page of one message folds in what answered it, and of what came with the call no time is told."""
    calls = [ToolCall(name="look", call_id=f"c{n}", arguments="{}") for n in (1, 2)]
    talk.append(assistant(None, *calls), tool("c1", "the first"))
    page = window.go(f"{site.base}/sessions/{talk.id}/messages/7")
    told = page.locator("#m7 .call summary")
    expect(told.nth(0)).to_contain_text("the first")
    expect(told.nth(1)).to_contain_text("no result here")
    expect(page.locator(".took")).to_have_count(0)


def test_a_taken_title_is_refused(window: Watched, site: Site, talk: Session) -> None:
    """What the store refuses is said with its reason, and nothing changed."""
    page = manage(window, site, talk)
    page.get_by_label("Title", exact=True).fill("Taken")
    with page.expect_response(lambda answer: answer.request.method == "POST") as refused:
        page.get_by_role("button", name="Rename").click()
    assert refused.value.status == 409
    expect(page.locator("main")).to_contain_text("Taken")
    assert talk.info().title == "Plans"
    window.faults.clear()  # the browser says of its own that an answer was 409


def test_pin_archive_and_tags(window: Watched, site: Site, talk: Session) -> None:
    """Each is seen in the store at once, and goes back."""
    page = manage(window, site, talk)
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator(".session .mark")).to_have_text(["pinned"])
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator(".session .mark")).to_have_text(["pinned", "archived"])
    page.get_by_label("Tags, separated by commas").fill("spring, work , spring,")
    page.get_by_role("button", name="Set tags").click()
    expect(page.locator(".session .mark.tag")).to_have_text(["spring", "work"])
    info = talk.info()
    assert (info.pinned, info.archived, info.tags) == (True, True, ("spring", "work"))
    undo(page)
    expect(page.locator(".session .mark.tag")).to_have_count(0)
    page.get_by_role("button", name="Take it out of the archive").click()
    page.get_by_role("button", name="Take the pin out").click()
    expect(page.locator(".session .mark")).to_have_count(0)
    info = talk.info()
    assert (info.pinned, info.archived, info.tags) == (False, False, ())


def test_hide(window: Watched, site: Site, talk: Session) -> None:
    """A hidden session is out of the list, and found under its state, from where it comes back."""
    page = manage(window, site, talk)
    page.get_by_role("button", name="Hide", exact=True).click()
    expect(page.locator(".session .mark")).to_have_text(["hidden"])
    assert talk.info().hidden
    window.go(site.base)
    expect(page.locator(".sessions h2", has_text="Plans")).to_have_count(0)
    window.go(f"{site.base}/?state=hidden")
    page.get_by_role("link", name="Plans").click()
    page.get_by_role("link", name="Manage").click()
    page.get_by_role("button", name="Show again").click()
    expect(page.locator(".session .mark")).to_have_count(0)
    assert not talk.info().hidden


def test_fork_here(window: Watched, site: Site, talk: Session) -> None:
    """A fork at a message has what was said up to it; undoing it leaves the other as it was."""
    page = window.go(f"{site.base}/sessions/{talk.id}")
    page.get_by_role("link", name="Change message 4").click()
    page.get_by_role("button", name="Fork here").click()
    expect(page.locator(".session .mark")).to_have_text(["fork"])
    made = site.sessions.get(page.url.rpartition("/")[2])
    assert texts(made) == ["Question 1", "Answer 1", "Question 2", "Answer 2"]
    undo(page)
    expect(page.locator(".flash")).to_contain_text("deleted")
    with pytest.raises(SessionNotFound):
        made.info()
    assert len(texts(talk)) == 6


def test_rewind_here_and_redo(window: Watched, site: Site, talk: Session) -> None:
    """What comes after a message is taken back once that is confirmed, and comes back."""
    page = window.go(f"{site.base}/sessions/{talk.id}/messages/2")
    button = page.get_by_role("button", name="Rewind to here")
    expect(button).not_to_be_visible()
    page.get_by_text("Rewind to here…").click()
    expect(page.locator(".danger-zone")).to_contain_text("4 messages after this one are taken back")
    button.click()
    expect(page.locator("details.undone")).to_contain_text("4 messages cut off")
    assert texts(talk) == ["Question 1", "Answer 1"]
    undo(page)
    expect(page.locator("#m6")).to_be_visible()
    assert len(texts(talk)) == 6
    page.get_by_role("link", name="Change message 5").click()
    page.get_by_text("Rewind to here…").click()
    page.get_by_role("button", name="Take this one back too").click()
    assert texts(talk)[-1] == "Answer 2"
    page.get_by_role("button", name="Redo what was taken back").click()
    assert len(texts(talk)) == 6


def test_edit_and_delete_a_message(window: Watched, site: Site, talk: Session) -> None:
    """An edit keeps what was said before, and is taken back by another; a deleted message comes back."""
    page = window.go(f"{site.base}/sessions/{talk.id}/messages/3")
    page.get_by_label("New text").fill("Question two,\nin two lines")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#m3 .prose").first).to_contain_text("in two lines")
    assert [texts(talk)[2], talk.versions(3)[0].text] == ["Question two,\nin two lines", "Question 2"]
    undo(page)
    expect(page.locator("#m3 .prose").first).to_have_text("Question 2")
    assert (texts(talk)[2], len(talk.versions(3))) == ("Question 2", 2)
    page.get_by_role("link", name="Change message 3").click()
    page.get_by_text("Delete this message…").click()
    page.get_by_role("button", name="Delete this message").click()
    expect(page.locator("details.undone")).to_contain_text("1 message deleted")
    assert "Question 2" not in texts(talk)
    undo(page)
    assert "Question 2" in texts(talk)


def test_what_changed_meanwhile_is_not_overwritten(window: Watched, site: Site, talk: Session) -> None:
    """A form that is older than the session's last change is refused."""
    page = window.go(f"{site.base}/sessions/{talk.id}/messages/3")
    talk.edit(3, "Somebody else's")
    page.get_by_label("New text").fill("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main .code")).to_have_text("409")
    assert texts(talk)[2] == "Somebody else's"
    window.faults.clear()  # the browser says of its own that an answer was 409


def test_delete_and_bring_back(window: Watched, site: Site, talk: Session) -> None:
    """A deleted session is found under its state, and comes back."""
    page = manage(window, site, talk)
    page.get_by_text("Delete this session…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".flash")).to_contain_text("The session is deleted.")
    with pytest.raises(SessionNotFound):
        talk.info()
    page.get_by_label("State").select_option("deleted")
    page.get_by_role("button", name="Filter").click()
    page.locator(f"#s{talk.id}").get_by_role("button", name="Bring it back").click()
    expect(page.locator("h1")).to_have_text("Plans")
    assert len(texts(talk)) == 6


def test_erase_takes_the_id(window: Watched, site: Site, talk: Session) -> None:
    """Erasing asks for the id; then nothing is left, and nothing offers to bring it back."""
    page = manage(window, site, talk)
    page.get_by_text("Erase it for good…").click()
    page.get_by_label("Its id").fill("yes")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator("h1")).to_have_text("Not erased")
    assert len(texts(talk)) == 6
    window.faults.clear()  # the browser says of its own that an answer was 422
    page = manage(window, site, talk)
    page.get_by_text("Erase it for good…").click()
    page.get_by_label("Its id").fill(talk.id)
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator(".flash")).to_contain_text("Erased for good: 6 messages.")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    with pytest.raises(SessionNotFound):
        site.sessions.restore(talk.id)


def test_export(window: Watched, context: BrowserContext, site: Site, talk: Session) -> None:
    """Each format is a file of the session's name with what was said."""
    page = manage(window, site, talk)
    for name, suffix in (("Markdown", "md"), ("HTML page", "html"), ("JSONL", "jsonl")):
        with page.expect_download() as kept:
            page.get_by_role("link", name=name).click()
        assert kept.value.suggested_filename == f"{talk.id}.{suffix}"
        assert "Answer 3" in kept.value.path().read_text()
    assert re.match(r'\{"', kept.value.path().read_text())
