"""The commands that change a session: what they do, and what they say of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import Origin, SessionInfo, assistant, user
from palaver.cli import main

KEY = "telegram:dm:42"
ORIGIN = Origin("telegram", chat_id="42", user_id="7")
CHANGES = [
    ["rename", KEY, "Rome"],
    ["rename", KEY, "--none"],
    ["alias", KEY, "trip"],
    ["archive", KEY],
    ["archive", KEY, "--undo"],
    ["pin", KEY],
    ["pin", KEY, "--undo"],
    ["hide", KEY],
    ["hide", KEY, "--undo"],
    ["tag", KEY, "travel", "family"],
    ["tag", KEY, "--none"],
    ["fork", KEY],
    ["undo", KEY],
    ["redo", KEY],
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with one session of two turns."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        for asked, answered in (("one", "first"), ("two", "second")):
            with sessions.begin_turn(ORIGIN, user(asked)) as turn:
                turn.finish(assistant(answered))
    return url


def info(url: str) -> SessionInfo:
    """The session as it is stored."""
    with palaver.open(url) as sessions:
        return sessions.resolve(ORIGIN).info()


def live(url: str, reference: str = KEY) -> list[str]:
    """What is live in a session."""
    with palaver.open(url) as sessions:
        found = sessions.resolve(reference) if reference == KEY else sessions.get(reference)
        return [message.text for message in found.messages()]


def test_a_session_is_named_by_its_title(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a command takes a session; of several that it may mean, all are named."""
    assert main(["rename", KEY, "Trip to Rome", "--store", url]) == 0
    assert main(["fork", "trip to rome", "--store", url]) == 0
    for command in (["show", "Trip to Rome"], ["tag", "Trip to Rome #2", "x"], ["export", "TRIP TO ROME"]):
        assert main([*command, "--store", url]) == 0
    capsys.readouterr()
    assert main(["pin", "trip", "--store", url]) == 6
    told = capsys.readouterr().err
    assert "'trip' begins the names of 2 sessions: 'Trip to Rome' (" in told
    assert "'Trip to Rome #2' (" in told
    assert main(["rename", "Trip to Rome #2", "Trip to Rome", "--store", url]) == 6
    assert "such as 'Trip to Rome #2', which is free" in capsys.readouterr().err
    assert main(["rename", "Trip to Rome #2", "trip to Rome", "--numbered", "--store", url]) == 0
    assert main(["rename", KEY, "--suggest", "--store", url]) == 0
    assert "its title is Trip to Rome" in capsys.readouterr().out
    assert main(["rename", KEY, "--none", "--store", url]) == 0
    assert main(["rename", KEY, "--suggest", "--store", url]) == 0
    assert "its title is one" in capsys.readouterr().out
    assert main(["rename", KEY, "Oslo", "--suggest", "--store", url]) == 2


def test_several_are_pinned_and_archived_at_once(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, or none where one is not found."""
    with palaver.open(url) as sessions:
        for title in ("one", "two", "three"):
            sessions.create(title=title).append(user("hi"))
    assert main(["pin", "one", "two", "nobody", "--store", url]) == 3
    capsys.readouterr()
    assert main(["pin", "one", "two", "--store", url]) == 0
    assert capsys.readouterr().out.count("pinned") == 2
    assert main(["archive", "one", "three", "--store", url]) == 0
    with palaver.open(url) as sessions:
        assert {i.title for i in sessions.list(pinned=True, include_archived=True)} == {"one", "two"}
        assert {i.title for i in sessions.list(archived=True)} == {"one", "three"}


def test_a_session_has_several_aliases(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One more at a time; each leads to it, as to no other, and is said by `show`."""
    for name in ("trip", "rome", "trip"):
        assert main(["alias", KEY, name, "--store", url]) == 0
        assert f"it is found as {name} too" in capsys.readouterr().out
    assert info(url).aliases == ("rome", "trip")
    assert live(url, "rome") == live(url)
    with palaver.open(url) as sessions:
        sessions.create(alias="oslo")
    assert main(["alias", KEY, "oslo", "--store", url]) == 6
    assert "alias 'oslo' names session" in capsys.readouterr().err
    assert main(["alias", KEY, " ", "--store", url]) == 2
    assert info(url).aliases == ("rome", "trip")


def test_tags_are_folders(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`ls` lists what has a tag, a title, a platform or a mark, and nothing else."""
    with palaver.open(url) as sessions:
        other = sessions.create(Origin("slack", chat_id="1", agent="coder"), title="Taxes")
        other.append(user("hi"))
        other.tag("work")
    capsys.readouterr()
    for asked in (["--tag", "work"], ["--title", "tax"], ["--platform", "slack"], ["--agent", "coder"]):
        assert main(["ls", *asked, "--json", "--store", url]) == 0
        assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [other.id]
    assert main(["pin", "taxes", "--store", url]) == 0
    assert main(["archive", "taxes", "--store", url]) == 0
    capsys.readouterr()
    for asked, count in (
        (["--pinned", "--all"], 1),
        (["--archived"], 1),
        (["--tag", "work"], 0),
        (["--account", "x"], 0),
    ):
        assert main(["ls", *asked, "--json", "--store", url]) == 0
        assert len(capsys.readouterr().out.splitlines()) == count


def test_titles_and_tags(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A title and tags are set, said, and taken away on purpose only."""
    assert main(["rename", KEY, "Trip to Rome", "--store", url]) == 0
    assert "its title is Trip to Rome" in capsys.readouterr().out
    assert main(["tag", KEY, "travel", "family", "travel", "--store", url]) == 0
    assert (info(url).title, info(url).tags) == ("Trip to Rome", ("travel", "family"))
    assert main(["rename", KEY, "--none", "--store", url]) == 0
    assert main(["tag", KEY, "--none", "--store", url]) == 0
    assert (info(url).title, info(url).tags) == (None, ())


def test_archive_and_pin(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both hold until they are undone; an archived session is found by its key, and listed with --all only."""
    assert main(["archive", KEY, "--store", url]) == 0
    assert main(["pin", KEY, "--store", url]) == 0
    assert (info(url).archived, info(url).pinned) == (True, True)
    capsys.readouterr()
    assert main(["ls", "--json", "--store", url]) == 0
    assert not capsys.readouterr().out
    assert main(["archive", KEY, "--undo", "--store", url]) == 0
    assert main(["pin", KEY, "--undo", "--store", url]) == 0
    assert (info(url).archived, info(url).pinned) == (False, False)


def test_a_fork_is_written_as_its_id(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The new session's id stands alone on standard output, for scripts; it has copies through a message."""
    assert main(["fork", KEY, "--at", "2", "--title", "By train", "--store", url]) == 0
    captured = capsys.readouterr()
    made = captured.out.strip()
    assert re.fullmatch(r"\w{22}", made)
    assert "2 messages" in captured.err
    assert live(url, made) == ["one", "first"]
    assert live(url) == ["one", "first", "two", "second"]


def test_undo_and_redo(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Turns are taken back, one unless a number says more, and brought back; each says which messages."""
    assert main(["undo", KEY, "--store", url]) == 0
    assert "took back 2 messages, #3 to #4" in capsys.readouterr().out
    assert live(url) == ["one", "first"]
    assert main(["redo", KEY, "--store", url]) == 0
    assert "brought back #3 to #4" in capsys.readouterr().out
    assert main(["undo", KEY, "9", "--store", url]) == 0
    assert live(url) == []
    capsys.readouterr()
    assert main(["undo", KEY, "--store", url]) == 6
    captured = capsys.readouterr()
    assert not captured.out
    assert "no turn" in captured.err


def test_nothing_to_redo(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was taken back, redo fails on one line."""
    assert main(["redo", KEY, "--store", url]) == 6
    assert capsys.readouterr().err.count("\n") == 1


def test_a_running_turn_is_not_undone(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While an agent answers, undo fails and says why; nothing changes."""
    with palaver.open(url) as sessions, sessions.begin_turn(ORIGIN, user("three")) as turn:
        assert main(["undo", KEY, "--store", url]) == 6
        assert "turn" in capsys.readouterr().err
        turn.finish(assistant("third"))
    assert live(url)[-1] == "third"


def test_json_is_the_session_as_it_is_then(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each change writes lines of JSON and nothing else."""

    def said(*arguments: str) -> list[dict[str, Any]]:
        assert main([*arguments, "--json", "--store", url]) == 0
        captured = capsys.readouterr()
        assert not captured.err
        return [json.loads(line) for line in captured.out.splitlines()]

    fields = set(SessionInfo.__struct_fields__)
    for command in CHANGES[:12]:
        [session] = said(*command)
        assert session.keys() == fields
    assert session["parent_kind"] == "fork"
    taken = said("undo", KEY)
    assert [(line["type"], line["live"], line["text"]) for line in taken] == [
        ("message", False, "two"),
        ("message", False, "second"),
    ]
    assert said("redo", KEY) == [{"session_id": info(url).id, "from_seq": 3, "through_seq": 4, "count": 2}]


@pytest.mark.parametrize("command", CHANGES, ids=" ".join)
def test_sessions_of_others_are_not_found(url: str, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With --owner, another owner's session is not found by its key or its id, and stays as it is."""
    before = info(url)
    for reference in (KEY, before.id):
        assert main([command[0], reference, *command[2:], "--owner", "acme", "--store", url]) == 3
        assert capsys.readouterr().err.count("\n") == 1
    assert info(url) == before


@pytest.mark.parametrize("command", CHANGES, ids=" ".join)
def test_no_store_is_made(command: list[str], tmp_path: Path) -> None:
    """A command for a session makes no store to look for it in."""
    missing = tmp_path / "no" / "chat.db"
    assert main([*command, "--store", str(missing)]) == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", CHANGES[:13], ids=" ".join)
def test_a_store_for_reading_is_not_changed(url: str, command: list[str]) -> None:
    """A store that is opened for reading alone stays as it is."""
    before = info(url)
    assert main([*command, "--store", f"{url}?mode=ro"]) == 4
    assert info(url) == before


@pytest.mark.parametrize(
    "command",
    [
        ["rename", KEY],
        ["rename", KEY, "Rome", "--none"],
        ["rename", KEY, " "],
        ["tag", KEY],
        ["tag", KEY, "travel", "--none"],
        ["tag", KEY, ""],
        ["fork", KEY, "--at", "-1"],
        ["fork", KEY, "--title", ""],
        ["undo", KEY, "0"],
        ["undo", KEY, "all"],
        ["undo"],
    ],
)
def test_a_wrong_command_line(url: str, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant gives exit code 2 and changes nothing."""
    before = info(url)
    assert main([*command, "--store", url]) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out
    assert info(url) == before


def test_redo_says_how_much_came_back(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two turns that were taken back one after the other, each redo brings one: the numbers say which."""
    assert main(["undo", KEY, "--store", url]) == 0
    assert main(["undo", KEY, "--store", url]) == 0
    capsys.readouterr()
    assert main(["redo", KEY, "--store", url]) == 0
    assert live(url) == ["one", "first"]
    assert "brought back 2 messages of #1 to #4\n" in capsys.readouterr().out
    assert main(["redo", KEY, "--store", url]) == 0
    assert "brought back #3 to #4\n" in capsys.readouterr().out
    assert live(url) == ["one", "first", "two", "second"]


def test_resume_goes_on_under_a_key(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A session without a key gets one; one that had ended is open again, and the session it replaces ends."""
    with palaver.open(url) as sessions:
        sessions.create(title="Trip to Rome").append(user("By train?"))
        first = sessions.resolve(ORIGIN).id
    assert main(["resume", "trip to", "local:rome", "--store", url]) == 0
    assert "goes on under local:rome" in capsys.readouterr().out
    assert main(["resume", "Trip to Rome", KEY, "--json", "--store", url]) == 0
    assert set(json.loads(capsys.readouterr().out)["keys"]) == {"local:rome", KEY}
    assert live(url) == ["By train?"]
    assert main(["resume", first, KEY, "--store", url]) == 0
    assert info(url).ended_at is None
    assert live(url) == ["one", "first", "two", "second"]
    assert main(["resume", "nowhere", KEY, "--store", url]) == 3
    capsys.readouterr()
