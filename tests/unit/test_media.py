"""Content that is kept out of line, as callers see it: put back into windows, newest first, and never leaked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import palaver
from palaver import Budget, ImagePart, InvalidMessage, MediaNotFound, SessionManager, ToolCall, assistant, tool, user
from palaver.media import as_text, size_of
from palaver.model import Message, TextPart

KB = 1024


def picture(letter: str, kilobytes: int = 20, **fields: str) -> ImagePart:
    """An image of one letter, so many kilobytes long."""
    return ImagePart(media_type="image/png", data=as_text(letter.encode() * kilobytes * KB), **fields)


@pytest.fixture(params=["sqlite", "memory"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionManager]:
    """A manager whose windows have room for 50 KiB of media."""
    url = f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else "memory://"
    with palaver.open(url, budget=Budget(max_media_bytes=50 * KB)) as opened:
        yield opened


def lines(messages: tuple[Message, ...]) -> list[str]:
    """The text that stands for images."""
    return [p.text for m in messages for p in m.parts if isinstance(p, TextPart) and "not shown" in p.text]


def test_a_window_shows_what_was_said(sessions: SessionManager) -> None:
    """The model gets the very image back, in the turn that stored it, in the next, and from a handle."""
    said = user(["what is this?", picture("a", name="a.png")])
    with sessions.begin_turn("k", said) as turn:
        assert turn.window.messages[0].parts == said.parts
        assert turn.message is not None
        assert turn.message.parts == said.parts
        turn.finish(assistant("the letter a"))
    with sessions.begin_turn("k", user("sure?")) as turn:
        assert turn.window.messages[0].parts == said.parts
        payload = turn.window.render("openai_chat").messages
        assert payload[0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,YWFh")
        session = sessions.get(turn.session_id)
        turn.finish(assistant("yes"))
    assert session.history().messages[0].parts == said.parts


def test_the_newest_images_fit_first(sessions: SessionManager) -> None:
    """Of three images two fit: the oldest becomes a line that names it, and the window lists that."""
    session = sessions.create()
    session.append(user(picture("a", name="old.png")), user(picture("b")), user(picture("c")))
    window = session.history()
    assert lines(window.messages) == ["[image not shown: old.png, image/png, 20 KiB]"]
    assert [(repair.kind, repair.seq) for repair in window.repairs] == [("media", 1)]
    assert [isinstance(message.parts[0], ImagePart) for message in window.messages] == [False, True, True]


def test_a_turn_shows_the_same_as_the_next_one(sessions: SessionManager) -> None:
    """What a running turn appends counts as what is read later: payloads share their beginning."""
    with sessions.begin_turn("k", user(picture("a"))) as turn:
        turn.append(assistant("look", ToolCall(call_id="c", name="snap")), tool("c", [picture("b")]))
        turn.append(assistant("again", ToolCall(call_id="d", name="snap")), tool("d", [picture("c")]))
        running = turn.window.render("openai_chat").messages
        turn.finish(assistant("done"))
    with sessions.begin_turn("k", user("and?")) as turn:
        assert turn.window.render("openai_chat").messages[: len(running)] == running


def test_a_transcript_names_the_content_and_the_session_serves_it(sessions: SessionManager) -> None:
    """A page is light: it holds the address, and `media` reads the bytes."""
    session = sessions.create()
    session.append(user(picture("a")))
    [part] = session.messages()[0].parts
    assert isinstance(part, ImagePart)
    assert part.data is None
    assert part.blob is not None
    assert size_of(part) == 20 * KB
    assert session.media(part.blob) == b"a" * 20 * KB
    with pytest.raises(MediaNotFound, match="no message of session"):
        sessions.create().media(part.blob)


def test_a_message_that_was_read_can_be_stored_again(sessions: SessionManager) -> None:
    """By its owner: the address is enough. In another owner's session it is refused."""
    mine, yours = sessions.for_owner("me"), sessions.for_owner("you")
    session = mine.create()
    session.append(user(picture("a")))
    [message] = session.messages()
    again = mine.create()
    again.append(user(message.parts))
    assert again.history().messages[0].parts == user(picture("a")).parts
    with pytest.raises(InvalidMessage, match="no message of this owner holds"):
        yours.create().append(user(message.parts))


@pytest.mark.parametrize("blob", ["", "x", "0" * 64, f"{'0' * 64}-0", f"{'0' * 64}-12x"])
def test_an_address_that_is_none_is_refused(sessions: SessionManager, blob: str) -> None:
    """At the door, before a store is asked."""
    with pytest.raises(InvalidMessage, match="is what a store calls content"):
        sessions.create().append(user(ImagePart(blob=blob)))


def test_resets_carry_images_over(tmp_path: Path) -> None:
    """Carried messages show what they showed, and keep it when the old session's messages are purged."""
    policy = palaver.ResetPolicy(carry_over=2)
    with palaver.open(tmp_path / "a.db", reset_policy=policy) as sessions:
        with sessions.begin_turn("k", user(picture("a"))) as turn:
            turn.finish(assistant("seen"))
        old = sessions.get(turn.session_id)
        new = sessions.reset("k")
        old.purge(1, 2)
        assert new.history().messages[0].parts == (picture("a"),)
        assert sessions.check() == []


def test_an_interrupted_turn_goes_on_with_its_images(sessions: SessionManager) -> None:
    """A turn that another process takes up by its id shows what was stored."""
    with sessions.begin_turn("k", user(picture("a"), id="m")) as turn:
        turn.append(assistant("hm", ToolCall(call_id="c", name="snap")), tool("c", [picture("b")]))
    with sessions.begin_turn("k", user(picture("a"), id="m")) as turn:
        assert turn.taken_over
        assert turn.window.messages[0].parts == (picture("a"),)
        assert turn.window.messages[2].tool_results[0].parts == (picture("b"),)
        turn.fail("enough")


def test_a_lost_image_is_a_line_and_not_an_error(tmp_path: Path) -> None:
    """Damaged content is found: the window says that it is not shown, and `check` names it."""
    import apsw

    path = tmp_path / "a.db"
    with palaver.open(path) as sessions:
        session = sessions.create()
        session.append(user(["this", picture("a")]))
        connection = apsw.Connection(str(path))
        list(connection.execute("UPDATE media SET data = zeroblob(20480)"))
        connection.close()
        assert lines(session.history().messages) == ["[image not shown: image/png, 20 KiB]"]
        assert [finding.kind for finding in sessions.check()] == ["media"]
