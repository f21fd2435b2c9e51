"""The commands that make sessions, begin anew, and store or look up what is said: what they do, and say of it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver import Origin, SessionInfo, assistant, user
from palaver.cli import main
from palaver.media import as_text
from palaver.model import ImagePart

KEY = "telegram:dm:42"
ORIGIN = Origin("telegram", chat_id="42", user_id="7")
Run = Callable[..., str]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with one session of two turns."""
    url = f"sqlite:///{tmp_path}/chat.db"
    with palaver.open(url) as sessions:
        for number, (asked, answered) in enumerate((("one", "first"), ("two", "second")), 1):
            with sessions.begin_turn(ORIGIN, user(asked, id=f"tg-{number}")) as turn:
                turn.finish(assistant(answered))
    return url


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on that store; gives what it wrote, and fails for another exit code than `code`."""

    def call(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*arguments, "--store", url]) == code
        captured = capsys.readouterr()
        assert code == 0 or captured.err.count("\n") >= 1
        return captured.out if code == 0 else captured.err

    return call


def lines(text: str) -> list[Any]:
    """Lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]


def live(url: str, reference: str = KEY) -> list[str]:
    """What is live in a session."""
    with palaver.open(url) as sessions:
        found = sessions.resolve(ORIGIN) if reference == KEY else sessions.get(reference)
        return [message.text for message in found.messages()]


def test_a_session_is_made(run: Run, url: str) -> None:
    """Under a key, with an alias, a title and metadata; its id stands alone on its line."""
    made = run(
        "create", "--key", "local:rome", "--alias", "trip", "--title", "Rome", "--metadata", '{"mood": "sunny"}'
    ).strip()
    assert re.fullmatch(r"\w{22}", made)
    with palaver.open(url) as sessions:
        info = sessions.get("trip").info()
        assert (info.id, info.keys, info.title, info.metadata) == (made, ("local:rome",), "Rome", {"mood": "sunny"})
    [told] = lines(run("create", "--json"))
    assert told.keys() == set(SessionInfo.__struct_fields__)
    assert "points at session" in run("create", "--key", "local:rome", code=6)
    run("create", "--title", " ", code=2)
    run("create", "--metadata", "[1]", code=2)


def test_create_makes_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is how a store begins in a script; with an owner, the session is theirs."""
    path = tmp_path / "new.db"
    assert main(["create", "--title", "Rome", "--owner", "ana", "--store", str(path)]) == 0
    made = capsys.readouterr().out.strip()
    with palaver.open(str(path)) as sessions:
        assert sessions.get(made).info().owner == "ana"


def test_reset_moves_all_keys_or_one(run: Run, url: str) -> None:
    """With a session all that lead to it; with --key that alone, so that the old session goes on under the others."""
    with palaver.open(url) as sessions:
        old = sessions.resolve(ORIGIN).id
    run("resume", KEY, "local:desk")
    made = run("reset", "--key", "local:desk").strip()
    with palaver.open(url) as sessions:
        assert sessions.resolve("local:desk").id == made
        assert sessions.resolve(ORIGIN).id == old
    run("resume", KEY, "local:desk")
    [told] = lines(run("reset", KEY, "--json"))
    with palaver.open(url) as sessions:
        assert {sessions.resolve("local:desk").id, sessions.resolve(ORIGIN).id} == {told["id"]}
        assert (told["parent"], told["reset_reason"]) == (old, "manual")
        assert sessions.get(old).info().ended_at is not None
    run("reset", old, code=6)
    run("reset", "--key", "local:nowhere", code=3)
    run("reset", code=2)
    run("reset", KEY, "--key", KEY, code=2)


def test_retry_takes_the_answer_back(run: Run, url: str) -> None:
    """The message is written, and stands at the end; `redo` brings the answer back, and no turn stays open."""
    assert run("retry", KEY) == "two\n"
    assert live(url) == ["one", "first", "two"]
    assert run("turns") == ""
    run("redo", KEY)
    assert live(url) == ["one", "first", "two", "second"]
    [told] = lines(run("retry", KEY, "--json"))
    assert (told["type"], told["text"], told["role"]) == ("message", "two", "user")
    run("retry", run("create").strip(), code=6)


def test_who_gets_the_message_again_answers_it(run: Run, url: str) -> None:
    """After `palaver retry` the platform's redelivery is not a known message with an answer, but is answered."""
    run("retry", KEY)
    with palaver.open(url) as sessions, sessions.begin_turn(ORIGIN, user("two", id="tg-2")) as turn:
        assert turn.taken_over
        assert [m.text for m in turn.window.messages] == ["one", "first", "two"]
        turn.finish(assistant("another"))
    assert live(url) == ["one", "first", "two", "another"]


def test_retry_does_not_wait_for_a_turn(run: Run, url: str) -> None:
    """While an agent answers, it is refused, and nothing changes."""
    with palaver.open(url) as sessions, sessions.begin_turn(ORIGIN, user("three")) as turn:
        assert "turn" in run("retry", KEY, code=6)
        turn.finish(assistant("third"))
    assert live(url)[-1] == "third"


def test_open_turns_are_listed(run: Run, url: str) -> None:
    """Those that run, with what they began with."""
    with palaver.open(url) as sessions:
        turn = sessions.begin_turn(ORIGIN, user("three"))
        [told] = lines(run("turns", "--json"))
        assert (told["session_id"], told["first_seq"], told["alive"]) == (turn.session_id, 5, True)
        assert "from #5" in run("turns")
        assert run("turns", "--owner", "ana") == ""
        turn.fail()
    assert run("turns") == ""


def test_deleted_sessions_are_listed(run: Run, url: str) -> None:
    """What `undelete` can bring back is found, empty or not, and nothing else; others' are not."""
    deleted = run("delete", KEY).strip()
    empty = run("create", "--title", "Gone").strip()
    run("delete", empty)
    run("create", "--title", "Here")
    found = lines(run("ls", "--deleted", "--json"))
    assert {each["id"] for each in found} == {deleted, empty}
    assert all(each["deleted_at"] for each in found)
    assert "(deleted)" in run("ls", "--deleted")
    assert run("ls", "--deleted", "--owner", "ana") == ""
    assert len(lines(run("ls", "--deleted", "--json", "--limit", "1"))) == 1
    assert [each["id"] for each in lines(run("ls", "--deleted", "--title", "gone", "--json"))] == [empty]
    run("undelete", deleted)
    assert [each["id"] for each in lines(run("ls", "--deleted", "--json"))] == [empty]
    run("purge", empty, "--yes")
    assert run("ls", "--deleted") == ""
    with palaver.open(url) as sessions:
        assert sessions.get(deleted).info().message_count == 4


def test_deleted_sessions_are_looked_for_page_by_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they stand among the others."""
    monkeypatch.setattr("palaver.cli.listing.PAGE", 2)
    made = [run("create").strip() for _ in range(7)]
    for each in made[::2]:
        run("delete", each)
    assert {each["id"] for each in lines(run("ls", "--deleted", "--json"))} == set(made[::2])


def test_retain_and_delete_message(run: Run, url: str) -> None:
    """The newest stay; a message is taken out; `redo` brings back what either took."""
    assert "2 messages" in run("retain", KEY, "--last", "2")
    assert live(url) == ["two", "second"]
    run("redo", KEY)
    assert "#2 is taken out" in run("delete-message", KEY, "2")
    assert live(url) == ["one", "two", "second"]
    run("delete-message", KEY, "99", code=6)
    [told] = lines(run("retain", KEY, "--last", "1", "--json"))
    assert told["message_count"] == len(live(url))
    run("retain", KEY, "--last", "0", code=2)
    run("retain", KEY, code=2)
    run("delete-message", KEY, "nine", code=2)


def test_text_is_appended(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a person or in a role; with an id, once; from standard input."""
    assert "#5 stored" in run("append", KEY, "three", "--id", "m-3")
    assert "#5 it had already" in run("append", KEY, "three", "--id", "m-3")
    monkeypatch.setattr("sys.stdin", io.StringIO("third\nand last"))
    [told] = lines(run("append", KEY, "-", "--role", "assistant", "--json"))
    assert told["seqs"] == [6]
    assert live(url)[-2:] == ["three", "third\nand last"]
    run("append", KEY, "other", "--id", "m-3", code=6)
    for wrong in (["append", KEY], ["append", KEY, " "], ["append", KEY, "x", "--wire", "anthropic"]):
        run(*wrong, code=2)


def test_messages_are_appended_and_replaced(run: Run, url: str, tmp_path: Path) -> None:
    """In a provider's format: a list, lines, or the payload that an export wrote; what was there stays stored."""
    listed = tmp_path / "list.json"
    listed.write_text('[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]', encoding="utf-8")
    by_line = tmp_path / "lines.jsonl"
    by_line.write_text('{"role": "user", "content": "c"}\n\n{"role": "assistant", "content": "d"}\n', encoding="utf-8")
    assert "2 messages, #5 to #6 stored" in run("append", KEY, "--file", str(by_line))
    assert "stand in the place" in run("replace", KEY, str(listed))
    assert live(url) == ["a", "b"]
    exported = tmp_path / "payload.json"
    exported.write_text(run("export", KEY, "--format", "anthropic"), encoding="utf-8")
    run("redo", KEY, code=6)
    [told] = lines(run("replace", KEY, str(exported), "--json"))
    assert len(told["seqs"]) == 2
    assert live(url) == ["a", "b"]
    with palaver.open(url) as sessions:
        assert [m.wire for m in sessions.resolve(ORIGIN).messages()] == ["anthropic", "anthropic"]
        assert len(sessions.resolve(ORIGIN).messages(live=False)) == 10


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"nonsense", "neither JSON nor lines"),
        (b"[]", "no message"),
        (b'[{"role": "nobody"}]', "messages[0]"),
        (b"\xff", "UTF-8"),
        (None, "no file"),
    ],
)
def test_a_file_without_messages_changes_nothing(
    run: Run, url: str, tmp_path: Path, content: bytes | None, told: str
) -> None:
    """What is wrong is told in one line, and what was there stays."""
    file = tmp_path / "given.json"
    if content is not None:
        file.write_bytes(content)
    assert told in run("replace", KEY, str(file), code=2)
    assert live(url) == ["one", "first", "two", "second"]


def test_versions_and_media(run: Run, url: str, tmp_path: Path) -> None:
    """What a message said before, and the bytes of what one shows."""
    data = bytes(range(256)) * 100
    with palaver.open(url) as sessions:
        found = sessions.resolve(ORIGIN)
        found.append(user(ImagePart(data=as_text(data), media_type="image/png")))
        [part] = found.messages(newest=True, limit=1)[0].parts
        blob = part.blob  # type: ignore[union-attr]
    run("edit", KEY, "1", "One?")
    run("edit", KEY, "1", "One!")
    assert [each["text"] for each in lines(run("versions", KEY, "1", "--json"))] == ["one", "One?"]
    assert "version 2\n  One?" in run("versions", KEY, "1")
    assert run("versions", KEY, "2") == ""
    file = tmp_path / "picture.png"
    run("media", KEY, str(blob), "--output", str(file))
    assert file.read_bytes() == data
    run("media", KEY, str(blob), "--output", str(file), code=2)
    run("media", KEY, "0" * 64 + "-1", "--output", str(tmp_path / "x"), code=3)


def test_media_goes_into_a_pipe(url: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without --output, standard output has the bytes and nothing else."""
    data = bytes(range(256)) * 100
    with palaver.open(url) as sessions:
        found = sessions.resolve(ORIGIN)
        found.append(user(ImagePart(data=as_text(data))))
        [part] = found.messages(newest=True, limit=1)[0].parts
        blob = part.blob  # type: ignore[union-attr]
    assert main(["media", KEY, str(blob), "--store", url]) == 0
    assert capsysbinary.readouterr().out == data


def test_model_metadata_and_holds(run: Run, url: str) -> None:
    """Each is set, shown and taken away; what looks like a key is refused and not repeated."""
    asked = ["--wire", "openai_chat", "--credential", "TEAM_KEY", "--parameters", '{"temperature": 0.2}']
    assert "model gpt-5-mini" in run("model", KEY, "gpt-5-mini", *asked)
    assert "TEAM_KEY" in run("model", KEY)
    assert "sk-abcdefgh" not in run("model", KEY, "--credential", "sk-abcdefgh12345678", code=2)
    [told] = lines(run("model", KEY, "--none", "--json"))
    assert told["model"] is None
    run("model", KEY, "x", "--none", code=2)
    run("metadata", KEY, '{"mood": "curious", "n": 1}')
    assert json.loads(run("metadata", KEY, '{"n": null}')) == {"mood": "curious"}
    assert json.loads(run("metadata", KEY)) == {"mood": "curious"}
    run("metadata", KEY, "mood", code=2)
    run("hold", KEY, "export", "--for", "2h")
    with palaver.open(url) as sessions:
        [held] = sessions.resolve(ORIGIN).info().holds
        assert held.name == "export"
    run("hold", KEY, "export", "--release")
    with palaver.open(url) as sessions:
        assert not sessions.resolve(ORIGIN).info().holds
    run("hold", KEY, "export", "--for", "never", code=2)


def test_backups_erasures_and_the_index(run: Run, tmp_path: Path) -> None:
    """What was made and removed is listed; the index is built anew."""
    assert run("backups") == run("erasures") == ""
    copy = str(tmp_path / "copy.db")
    run("backup", copy)
    assert [each["path"] for each in lines(run("backups", "--json"))] == [copy]
    assert "everything" in run("index", "--anew")
    assert lines(run("search", "second", "--json"))[0]["seq"] == 4
    run("erase", "--user", "telegram:7", "--yes", "--no-scrub")
    [told] = lines(run("erasures", "--json"))
    assert told["counts"]["messages"] == 4
    assert "4 messages" in run("erasures")
    assert lines(run("erase", "--again", "--json", "--yes"))[0]["counts"].get("messages", 0) == 0
    run("erase", "--again", "--user", "telegram:7", code=2)


def test_todos_are_claimed_by_one_process_and_ended_by_another(run: Run, url: str) -> None:
    """A claim outlives the command that made it; done, failed and done again, as a worker in a script would."""
    with palaver.open(url, before_reset=True) as sessions:
        old = sessions.resolve(ORIGIN).id
        sessions.reset(ORIGIN)
        assert [todo.session_id for todo in sessions.due()] == [old]
    assert old in run("todos", "list")
    [claimed] = lines(run("todos", "claim", old, "--lease", "1h", "--json"))
    assert (claimed["state"], claimed["through_seq"]) == ("claimed", 4)
    assert run("todos", "list") == ""
    run("todos", "claim", old, code=6)
    token = claimed["token"]
    run("todos", "fail", old, " ", "--token", token, code=2)
    run("todos", "acknowledge", old, "--token", "other", "--through", "4", code=6)
    run("todos", "acknowledge", old, "--token", token, code=2)
    [done] = lines(run("todos", "acknowledge", old, "--token", token, "--through", "4", "--json"))
    assert done["state"] == "done"
    run("todos", "claim", old, code=6)


def test_a_todo_that_fails_is_due_again(run: Run, url: str) -> None:
    """With its reason; the text names what ends the claim."""
    with palaver.open(url, before_reset=True) as sessions:
        old = sessions.resolve(ORIGIN).id
        sessions.reset(ORIGIN)
    told = run("todos", "claim", old)
    found = re.search(r"--token (\S+) --through 4", told)
    assert found is not None
    assert "failed 1 times: no answer" in run("todos", "fail", old, "no answer", "--token", found[1])
    later = palaver.clock.utc_now() + timedelta(minutes=6)
    with palaver.open(url, clock=lambda: later) as sessions:
        assert [todo.failures for todo in sessions.due()] == [1]


def test_what_was_given_up_is_listed(run: Run, url: str) -> None:
    """After the third failure, until it is acknowledged; it is not among those that wait."""
    at = palaver.clock.utc_now()
    with palaver.open(url, before_reset=True, clock=lambda: at) as sessions:
        old = sessions.resolve(ORIGIN).id
        sessions.reset(ORIGIN)
        for _ in range(3):
            sessions.fail(sessions.claim(old), "no model")
            at += timedelta(minutes=6)
    assert lines(run("todos", "list", "--json")) == []
    [given_up] = lines(run("todos", "list", "--given-up", "--json"))
    assert (given_up["session_id"], given_up["failures"], given_up["state"]) == (old, 3, "given_up")
    run("todos", "acknowledge", old)
    assert lines(run("todos", "list", "--given-up", "--json")) == []


@pytest.mark.parametrize(
    "command",
    [
        ["reset", KEY],
        ["reset", "--key", KEY],
        ["retry", KEY],
        ["retain", KEY, "--last", "1"],
        ["delete-message", KEY, "1"],
        ["append", KEY, "three"],
        ["versions", KEY, "1"],
        ["media", KEY, "0" * 64 + "-1", "--output", "x"],
        ["model", KEY, "x"],
        ["metadata", KEY, "{}"],
        ["hold", KEY, "x"],
        ["todos", "claim", KEY],
        ["todos", "acknowledge", KEY],
        ["todos", "fail", KEY, "why", "--token", "t"],
    ],
    ids=" ".join,
)
def test_sessions_of_others_are_not_found(run: Run, url: str, command: list[str]) -> None:
    """With --owner, another owner's session is not found, and stays as it is."""
    with palaver.open(url) as sessions:
        before = sessions.resolve(ORIGIN).info()
    run(*command, "--owner", "acme", code=3)
    with palaver.open(url) as sessions:
        assert sessions.resolve(ORIGIN).info() == before
