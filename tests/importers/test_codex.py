"""Rollouts of Codex CLI: made here as it makes them, of both forms, then torn, bent and continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import palaver
from palaver.importers import import_path

SESSION = "019a0000-1111-7222-8333-444444444444"
OTHER = "019b0000-1111-7222-8333-444444444444"


def line(kind: str, payload: dict[str, Any], second: int = 0) -> dict[str, Any]:
    """One line of a rollout."""
    return {"timestamp": f"2026-02-03T04:{second // 60:02}:{second % 60:02}.500Z", "type": kind, "payload": payload}


def item(second: int, kind: str, **keys: Any) -> dict[str, Any]:
    """One item that was sent or received."""
    return line("response_item", {"type": kind, **keys}, second)


def says(second: int, role: str, text: str) -> dict[str, Any]:
    """A message."""
    kind = "output_text" if role == "assistant" else "input_text"
    return item(second, "message", role=role, content=[{"type": kind, "text": text}])


def meta(session: str = SESSION, **keys: Any) -> dict[str, Any]:
    """The first line."""
    about = {"id": session, "timestamp": "2026-02-03T04:00:00.000Z", "cwd": "/work/app", "cli_version": "0.65.0"}
    return line("session_meta", {**about, "source": "cli", **keys})


def used(second: int, total: int, output: int) -> dict[str, Any]:
    """What Codex says of tokens."""
    last = {"input_tokens": 90, "cached_input_tokens": 50, "output_tokens": output, "reasoning_output_tokens": 2}
    info = {"total_token_usage": {"total_tokens": total}, "last_token_usage": last}
    return line("event_msg", {"type": "token_count", "info": info}, second)


def talk() -> list[dict[str, Any]]:
    """A turn with reasoning, a call and its result, with what Codex notes beside."""
    thought = [{"type": "summary_text", "text": "Look first."}]
    return [
        meta(),
        says(10, "user", "<environment_context>\n<cwd>/work/app</cwd>\n</environment_context>"),
        line("turn_context", {"cwd": "/work/app", "model": "gpt-test"}, 11),
        says(11, "user", "List files"),
        line("event_msg", {"type": "user_message", "message": "List files"}, 11),
        item(12, "reasoning", summary=thought, content=None, encrypted_content="gAAA"),
        item(13, "function_call", name="shell", arguments='{"command":["ls"]}', call_id="call_1"),
        item(14, "function_call_output", call_id="call_1", output="a.py"),
        used(14, 140, 20),
        used(14, 140, 20),
        says(15, "assistant", "One file."),
        used(15, 300, 30),
    ]


def bare() -> list[dict[str, Any]]:
    """The same as files were before September 2025."""
    head = {"id": SESSION, "timestamp": "2026-02-03T04:00:00.000Z", "instructions": None}
    state = {"record_type": "state"}
    return [head, state, *(each["payload"] for each in talk() if each["type"] == "response_item")]


def write(home: Path, records: list[Any], session: str = SESSION, day: str = "sessions/2026/02/03") -> Path:
    """A home of Codex with a rollout; a record that is bytes stands there as it is."""
    folder = home / day
    folder.mkdir(parents=True, exist_ok=True)
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in records]
    (folder / f"rollout-2026-02-03T04-00-00-{session}.jsonl").write_bytes(b"".join(lines))
    return home


def texts(sessions: palaver.SessionManager, session: str = SESSION) -> list[str]:
    """What the live messages of an imported session say."""
    return [message.text for message in sessions.get(f"codex:{session}").messages()]


@pytest.mark.parametrize("records", [talk(), bare()], ids=["now", "before"])
def test_the_next_turn_goes_on(tmp_path: Path, records: list[Any]) -> None:
    """Both forms: what OpenAI gets in the next turn is what Codex would send, encrypted reasoning and all."""
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, records))
        assert (report.total("imported"), report.total("skipped")) == (5, 0)
        sessions.resume("local:me", f"codex:{SESSION}")
        with sessions.begin_turn("local:me", palaver.user("And dirs?")) as turn:
            payload = turn.window.render("openai_responses").messages
            assert palaver.formats.check("openai_responses", payload) == []
            sent = [each["payload"] for each in talk() if each["type"] == "response_item"]
            assert payload[:-1] == [{key: v for key, v in each.items() if v is not None} for each in sent]
            turn.finish(palaver.assistant("None."))


def test_what_is_known_of_a_session(tmp_path: Path) -> None:
    """Times, model, usage once each, directory, the title of Codex's index, and that it was archived."""
    write(tmp_path, talk(), day="archived_sessions")
    index = [{"id": SESSION, "thread_name": "Old"}, {"id": SESSION, "thread_name": "Files"}]
    (tmp_path / "sessions").mkdir()
    (tmp_path / "session_index.jsonl").write_text("".join(json.dumps(each) + "\n" for each in index))
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert [note.file for note in report.notes] == ["session_index.jsonl"]
        session = sessions.get(f"codex:{SESSION}")
        info = session.info()
        assert (info.title, info.archived, info.metadata["cwd"]) == ("Files", True, "/work/app")
        assert info.origin is not None
        assert info.origin.platform == "codex"
        stats = sessions.stats().usage
        assert (stats.input_tokens, stats.output_tokens, stats.cached_tokens) == (180, 50, 100)
        messages = session.messages()
        assert messages[0].flags == ("injected",)
        assert messages[-1].metadata == {"model": "gpt-test"}
        assert str(messages[1].created_at) == "2026-02-03 04:00:11.500000+00:00"
        assert import_path(sessions, tmp_path).total("imported") == 0
        assert sessions.stats().usage.output_tokens == 50


def test_parts_of_one_answer_go_together(tmp_path: Path) -> None:
    """Reasoning stands with the item it led to; one that nothing came of yet waits for a later import."""
    thought = item(20, "reasoning", summary=[], encrypted_content="gBBB")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, [*talk(), says(19, "user", "More"), thought]))
        assert report.total("imported") == 6
        assert any("a later import" in note.reason for note in report.every_note())
        import_path(
            sessions, write(tmp_path, [*talk(), says(19, "user", "More"), thought, says(21, "assistant", "Ok.")])
        )
        session = sessions.get(f"codex:{SESSION}")
        assert [type(part).__name__ for part in session.messages()[-1].parts] == ["ThinkingPart", "TextPart"]
        payload = session.history().render("openai_responses").messages
        assert payload[-2]["encrypted_content"] == "gBBB"


def test_turns_that_were_rolled_back(tmp_path: Path) -> None:
    """They are stored and taken back, also by a later import."""
    wrong = [says(20, "user", "Wrong"), says(21, "assistant", "Wrong.")]
    back = line("event_msg", {"type": "thread_rolled_back", "num_turns": 1}, 22)
    right = [says(23, "user", "Right"), says(24, "assistant", "Right.")]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, [*talk(), *wrong]))
        import_path(sessions, write(tmp_path, [*talk(), *wrong, back, *right]))
        assert texts(sessions)[-3:] == ["One file.", "Right", "Right."]
        stored = sessions.get(f"codex:{SESSION}").messages(live=False)
        assert [message.text for message in stored][-4:] == ["Wrong", "Wrong.", "Right", "Right."]


def test_compactions(tmp_path: Path) -> None:
    """A summary stands for what was before; one that OpenAI alone can read is told, and hides nothing."""
    compacted = line("compacted", {"message": "They listed files.", "replacement_history": []}, 20)
    sealed = line("compacted", {"message": "", "replacement_history": [{"type": "compaction"}]}, 20)
    write(tmp_path, [*talk(), compacted, says(21, "user", "Go on")])
    write(tmp_path, [meta(OTHER), *talk()[1:], sealed, says(21, "user", "Go on")], OTHER)
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        said = [m.text for m in sessions.get(f"codex:{SESSION}").history().messages]
        assert "They listed files." in said[0]
        assert said[1:] == ["Go on"]
        assert len(sessions.get(f"codex:{OTHER}").history().messages) == 6
        assert any("only OpenAI can read" in note.reason for note in report.every_note())


def test_forks_and_subagents_know_where_they_come_from(tmp_path: Path) -> None:
    """A fork has its first messages from the session before, which counts them; a subagent names its parent."""
    write(tmp_path, talk())
    copied = [{**each, "timestamp": "2026-02-03T05:00:01Z"} for each in talk()]
    head = {
        **meta(OTHER, forked_from_id=SESSION, timestamp="2026-02-03T05:00:00Z"),
        "timestamp": "2026-02-03T05:00:00Z",
    }
    own = {**says(0, "user", "Otherwise"), "timestamp": "2026-02-03T05:01:00Z"}
    write(tmp_path, [head, *copied, own], OTHER)
    third = OTHER.replace("019b", "019c")
    spawned = {"subagent": {"thread_spawn": {"parent_thread_id": SESSION, "depth": 1}}}
    write(tmp_path, [meta(third, source=spawned), says(1, "user", "Sub")], third)
    with palaver.open("memory://") as sessions:
        import_path(sessions, tmp_path)
        home = sessions.get(f"codex:{SESSION}").id
        fork = sessions.get(f"codex:{OTHER}")
        assert (fork.info().parent, fork.info().parent_kind) == (home, "fork")
        assert [m.copied_from is not None for m in fork.messages()] == [True] * 5 + [False]
        assert texts(sessions, OTHER)[-1] == "Otherwise"
        assert sessions.stats().usage.output_tokens == 50
        info = sessions.get(f"codex:{third}").info()
        assert (info.parent, info.parent_kind, info.hidden) == (home, "subagent", True)


@pytest.mark.parametrize("place", range(12))
@pytest.mark.parametrize(
    "damage", [b'{"timestamp":"2026-02-\n', b"\xff\xfe\x00garbage\n", b"[]\n", b'"text"\n', b"\x00\n"]
)
def test_a_damaged_record_costs_that_record(tmp_path: Path, place: int, damage: bytes) -> None:
    """Wherever a line is replaced by noise, all other items are there, and the window is legal."""
    records: list[Any] = [*talk()]
    records[place] = damage
    lost = talk()[place]
    messages = 5 - (lost["type"] == "response_item" and lost["payload"]["type"] != "reasoning")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, records))
        expected = messages + (place == 6)  # without its call, reasoning stands alone
        assert (report.total("imported"), report.total("skipped")) == (expected, 1)
        session = sessions.get(f"codex:{SESSION}")
        payload = session.history().render("openai_responses").messages
        assert palaver.formats.check("openai_responses", payload) == []
        assert import_path(sessions, tmp_path).total("imported") == 0


@pytest.mark.parametrize(
    ("payload", "skipped"),
    [
        ({"type": "message", "role": "user"}, 1),
        ({"type": "message", "role": ["user"], "content": "x"}, 1),
        ({"type": "message", "role": "wizard", "content": "x"}, 1),
        ({"type": 5}, 1),
        ({}, 1),
        ({"type": "function_call", "name": None, "arguments": {"a": 1}, "call_id": 7}, 0),
        ({"type": "function_call_output", "call_id": "call_1", "output": {"content": "again", "success": True}}, 0),
        ({"type": "local_shell_call", "call_id": "c", "action": {"type": "exec"}, "status": "completed"}, 0),
        ({"type": "something_new", "data": {"a": 1}}, 0),
        ({"type": "message", "role": "assistant", "content": [5, "x"]}, 0),
    ],
)
def test_wrong_and_unknown_items(tmp_path: Path, payload: dict[str, Any], skipped: int) -> None:
    """What is no item is skipped and told; what is new or bent is kept, and the window stays legal."""
    records = [*talk(), line("response_item", payload, 30), says(31, "user", "Go on")]
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, records))
        assert report.total("skipped") == skipped
        assert report.total("imported") == 7 - skipped
        assert texts(sessions)[-1] == "Go on"
        rendered = sessions.get(f"codex:{SESSION}").history().render("openai_responses").messages
        assert palaver.formats.check("openai_responses", rendered) == []


def test_other_files_of_codex(tmp_path: Path) -> None:
    """A compressed rollout is told with the remedy, unless it is there unpacked; a link is refused."""
    folder = write(tmp_path, talk()) / "sessions/2026/02/03"
    name = f"rollout-2026-02-03T04-00-00-{SESSION}.jsonl"
    (folder / f"{name}.zst").write_bytes(b"(\xb5/\xfd")
    (folder / "rollout-2026-02-02T04-00-00-x.jsonl.zst").write_bytes(b"(\xb5/\xfd")
    (folder / "rollout-link.jsonl").symlink_to(folder / name)
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert [each.source_id for each in report.sessions] == [SESSION]
        assert sorted((note.action, Path(note.file).name[:26]) for note in report.notes) == [
            ("skipped", "rollout-2026-02-02T04-00-0"),
            ("skipped", "rollout-link.jsonl"),
        ]


def test_without_a_first_line_the_name_tells_the_session(tmp_path: Path) -> None:
    """A lost head costs what it said; a dry run says the same as the import."""
    write(tmp_path, talk()[1:])
    with palaver.open("memory://") as sessions:
        assert import_path(sessions, tmp_path, dry_run=True).total("imported") == 5
        import_path(sessions, tmp_path)
        assert texts(sessions)[-1] == "One file."
