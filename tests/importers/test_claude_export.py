"""Data exports of Claude: made here as it makes them, zipped and not, then torn, bent and continued."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver.importers import import_path

CHAT = "11110000-aaaa-4bbb-8ccc-000000000001"
ROOT = "00000000-0000-4000-8000-000000000000"


def said(number: int, sender: str, *blocks: Any, **more: Any) -> dict[str, Any]:
    """A message, with all that Claude writes beside it; a block that is text is a block of text."""
    stamp = f"2026-03-04T05:00:{number:02}.123456Z"
    about = {"start_timestamp": stamp, "stop_timestamp": stamp, "flags": None}
    content = [about | ({"type": "text", "text": b, "citations": []} if isinstance(b, str) else b) for b in blocks]
    text = "".join(block for block in blocks if isinstance(block, str))
    message = {"uuid": f"m{number}", "text": text, "content": content, "sender": sender, "created_at": stamp}
    return message | {"updated_at": stamp, "attachments": [], "files": [], **more}


def talk() -> list[dict[str, Any]]:
    """A question, and an answer with a thought, a call and its result within one message."""
    return [
        said(1, "human", "Weather in Rome?"),
        said(
            2,
            "assistant",
            {"type": "thinking", "thinking": "Look it up.", "summaries": [], "cut_off": False},
            "Looking.",
            {"type": "tool_use", "id": "toolu_1", "name": "web_search", "input": {"query": "Rome"}, "message": "…"},
            {"type": "tool_result", "tool_use_id": "toolu_1", "name": "web_search", "is_error": False}
            | {"content": [{"type": "text", "text": "Sunny", "uuid": "r"}, {"type": "knowledge", "title": "T"}]},
            {"type": "token_budget"},
            "It is sunny.",
        ),
        said(3, "human", "Thanks"),
        said(4, "assistant", "You are welcome."),
    ]


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A conversation."""
    times = {"created_at": "2026-03-04T05:00:00Z", "updated_at": "2026-03-04T06:00:00Z"}
    about = {"uuid": CHAT, "name": "Rome", "summary": "", "account": {"uuid": "acc"}, **times}
    return about | {"chat_messages": list(messages)} | more


def write(folder: Path, *chats: Any) -> Path:
    """An unpacked export."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conversations.json").write_text(json.dumps(chats))
    return folder


def texts(sessions: palaver.SessionManager, name: str = CHAT, *, live: bool = True) -> list[str]:
    """What the messages of an imported session say."""
    return [message.text for message in sessions.get(f"claude:{name}").messages(live=live)]


WHOLE = ["Weather in Rome?", "Looking.", "SunnyT", "It is sunny.", "Thanks", "You are welcome."]


def test_the_next_turn_goes_on(tmp_path: Path) -> None:
    """Resumed by its alias, the next turn's window is the conversation, and legal for every provider."""
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, chat(*talk())))
        assert (report.total("imported"), report.total("skipped"), report.count("repaired")) == (6, 0, 0)
        assert texts(sessions) == WHOLE
        sessions.resume("local:me", f"claude:{CHAT}")
        with sessions.begin_turn("local:me", palaver.user("And Oslo?")) as turn:
            assert [message.text for message in turn.window.messages] == [*WHOLE, "And Oslo?"]
            for wire in palaver.formats.wires():
                payload = turn.window.render(wire)
                assert palaver.formats.check(wire, payload.messages, system=payload.system) == []
            turn.finish(palaver.assistant("Rain."))


def test_what_is_known_of_a_conversation(tmp_path: Path) -> None:
    """Name, times, origin; a later export brings what is new alone."""
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*talk()[:2])))
        report = import_path(sessions, write(tmp_path, chat(*talk(), is_starred=True, summary="On weather.")))
        assert (report.total("imported"), report.total("present")) == (2, 4)
        info = sessions.get(f"claude:{CHAT}").info()
        assert (info.title, info.pinned, info.metadata["summary"]) == ("Rome", True, "On weather.")
        assert info.created_at.isoformat() == "2026-03-04T05:00:00+00:00"
        assert info.origin is not None
        assert info.origin.platform == "claude"
        assert import_path(sessions, tmp_path).total("imported") == 0


def test_branches_that_were_given_up(tmp_path: Path) -> None:
    """A message that was changed leaves its branch taken back; the end is the named one, or the newest."""
    tree = talk()
    for each, parent in zip(tree, [ROOT, "m1", "m2", "m3"], strict=True):
        each["parent_message_uuid"] = parent
    other = said(5, "human", "Thank you", parent_message_uuid="m2")
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*tree, other)))
        assert texts(sessions) == [*WHOLE[:4], "Thank you"]
        assert texts(sessions, live=False) == [*WHOLE[:4], "Thanks", "You are welcome.", "Thank you"]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*tree, other, current_leaf_message_uuid="m4")))
        assert texts(sessions) == WHOLE


def test_what_came_with_a_message(tmp_path: Path) -> None:
    """Pasted text is text, a document has its text, a picture its name; a message may be nothing else."""
    pasted = {"file_name": "", "file_type": "txt", "extracted_content": "A long paste"}
    document = {"file_name": "notes.md", "file_type": "txt", "extracted_content": "Buy tea."}
    message = said(1, "human", attachments=[pasted, document], files=[{"file_name": "cat.png"}])
    message["files_v2"] = message["files"]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(message, said(2, "assistant", "Yes."))))
        session = sessions.get(f"claude:{CHAT}")
        paste, notes, cat = session.messages()[0].parts
        assert isinstance(paste, palaver.TextPart)
        assert isinstance(notes, palaver.FilePart)
        assert isinstance(cat, palaver.ImagePart)
        assert (paste.text, notes.name, cat.name) == ("A long paste", "notes.md", "cat.png")
        assert base64.b64decode(notes.data or "") == b"Buy tea."
        payload = session.history().render("anthropic")
        assert palaver.formats.check("anthropic", payload.messages) == []


def test_a_zip_and_what_is_beside(tmp_path: Path) -> None:
    """The archive is read as it is; what is no conversation in it is told."""
    with zipfile.ZipFile(tmp_path / "data-2026.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([chat(*talk())]))
        archive.writestr("users.json", "[]")
        archive.writestr("projects.json", "[]")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path / "data-2026.zip")
        assert texts(sessions) == WHOLE
        assert [note.reason.split()[2].rstrip(",") for note in report.notes] == ["users.json", "projects.json"]


@pytest.mark.parametrize(
    ("changes", "skipped"),
    [
        ({"content": None}, 0),
        ({"content": "text"}, 0),
        ({"content": [5, "Thanks", None]}, 0),
        ({"content": [{"type": "hologram", "beams": 3}]}, 0),
        ({"text": None, "content": []}, 0),
        ({"sender": "wizard"}, 1),
        ({"sender": None}, 1),
        ({"created_at": "soon"}, 0),
        ({"created_at": None}, 0),
        ({"uuid": None}, 0),
        ({"uuid": "m1"}, 0),
        ({"parent_message_uuid": "nowhere"}, 0),
        ({"parent_message_uuid": "m4"}, 0),
        ({"parent_message_uuid": 5}, 0),
        ({"attachments": "x", "files": [5]}, 0),
    ],
)
def test_wrong_types_cost_nothing_else(tmp_path: Path, changes: dict[str, Any], skipped: int) -> None:
    """A message with a key of a wrong type is mended or skipped; all others are live, and windows legal."""
    tree = talk()
    for each, parent in zip(tree, [ROOT, "m1", "m2", "m3"], strict=True):
        each["parent_message_uuid"] = parent
    tree[2] |= changes
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, chat(*tree)))
        assert report.total("skipped") == skipped
        live = texts(sessions)
        assert live[:4] == WHOLE[:4]
        assert live[-1] == WHOLE[-1]
        payload = sessions.get(f"claude:{CHAT}").history().render("anthropic")
        assert palaver.formats.check("anthropic", payload.messages) == []
        assert import_path(sessions, tmp_path).total("imported") == 0


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("damage", [None, 7, "text", []])
def test_a_message_that_is_none_costs_that_message(tmp_path: Path, place: int, damage: Any) -> None:
    """Wherever it stands, the others are live."""
    messages: list[Any] = talk()
    messages[place] = damage
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, chat(*messages)))
        assert report.total("skipped") == 1
        assert len(texts(sessions)) == (3 if place == 1 else 5)


@pytest.mark.parametrize("cut", range(5, 1500, 97))
def test_a_torn_file_costs_what_is_behind_the_tear(tmp_path: Path, cut: int) -> None:
    """A file that ends early: of the torn conversation all whole messages are there."""
    whole = json.dumps([chat(*talk())])
    (tmp_path / "conversations.json").write_text(whole[:-cut])
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert report.total("skipped") >= 1
        there = texts(sessions)
        assert there == WHOLE[: len(there)]
        assert len(there) >= 4 or '"m3"' not in whole[:-cut]


def test_calls_without_ids(tmp_path: Path) -> None:
    """Older exports have none: results answer the calls in their order."""
    blocks = [
        {"type": "tool_use", "id": None, "name": "search", "input": {"q": 1}},
        {"type": "tool_result", "name": "search", "content": [{"type": "text", "text": "one"}]},
        "Done.",
    ]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(said(1, "human", "Go"), said(2, "assistant", *blocks))))
        payload = sessions.get(f"claude:{CHAT}").history().render("anthropic")
        assert not payload.repairs
        assert palaver.formats.check("anthropic", payload.messages) == []


def test_a_dry_run_tells_the_same(tmp_path: Path) -> None:
    """It stores nothing, and says what the import then does."""
    write(tmp_path, chat(*talk()), chat(*talk(), uuid="other", name="Rome"))
    with palaver.open("memory://") as sessions:
        dry = import_path(sessions, tmp_path, dry_run=True)
        assert sessions.stats().sessions == 0
        wet = import_path(sessions, tmp_path)
        assert [(s.status, s.imported) for s in dry.sessions] == [(s.status, s.imported) for s in wet.sessions]
