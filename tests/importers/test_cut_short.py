"""Imports whose process dies before any of the operations that they store: the next one ends as if it had not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import palaver
from palaver import Origin, ToolCall, Usage, assistant, tool, user
from palaver.exporters import Wanted, text_of
from palaver.exports import Format
from palaver.importers import commits, import_path
from palaver.model import ImagePart
from palaver.stores.base import Store
from palaver.stores.memory import MemoryStore
from tests.dying import Clock, copied, survive, told
from tests.importers import (
    odysseus_store,
    test_chatgpt,
    test_claude_code,
    test_claude_export,
    test_codex,
    test_openai_jsonl,
    test_picoclaw,
)
from tests.importers.hermes_home import SUMMARY, Home

Grow = Callable[[], object]


def nanobot(root: Path) -> Grow:
    """Conversations of nanobot's, one of which is partly consolidated; one grows, and more of it is consolidated."""
    (root / "sessions").mkdir()

    def write(name: str, count: int, consolidated: int) -> None:
        key = f"cli:{name}"
        head = {"_type": "metadata", "key": key, "created_at": "2026-03-01T09:00:00", "metadata": {"title": "Tea"}}
        said = [
            {"role": "assistant" if n % 2 else "user", "content": f"{name}{n}", "timestamp": f"2026-03-01T09:00:{n:02}"}
            for n in range(count)
        ]
        records = [head | {"last_consolidated": consolidated}, *said]
        (root / "sessions" / f"cli_{name}.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in records))

    write("a", 6, 2)
    write("b", 3, 0)
    return lambda: write("a", 10, 6)


def hermes(root: Path) -> Grow:
    """Sessions of hermes's that follow each other, with summaries, keys, and what they used."""
    home = Home(root)
    home.session("s1", "hi", "hello", ended_at=1_772_000_100.0, end_reason="compression", input_tokens=5, model="m")
    home.session("s2", SUMMARY + "they met", "and now?", "Yes?", parent_session_id="s1", title="Tea", input_tokens=9)
    home.index(**{"agent:main:telegram:dm:42": "s2"})

    def grow() -> None:
        home.db.execute("UPDATE messages SET active = 0 WHERE content = 'Yes?'")
        home.say("s2", "rather this")
        home.say("s2", "that", "assistant")
        home.db.execute("UPDATE sessions SET input_tokens = 20, output_tokens = 3, archived = 1 WHERE id = 's2'")
        home.session("s4", "more", "of it", parent_session_id="s2", title="Tea #2", input_tokens=1)
        home.index(**{"agent:main:telegram:dm:42": "s4"})

    return grow


def saved(root: Path) -> Grow:
    """An export of our own, and a later one of the same sessions."""
    sessions = palaver.open("memory://")
    session = sessions.get_or_create(Origin("telegram", chat_id="42"))

    def export() -> None:
        wanted = Wanted(format=Format.jsonl)
        (root / "saved.jsonl").write_text(
            "".join(
                line
                for info in sessions.list(limit=10, include_hidden=True, include_ended=True)
                for line in text_of(sessions, info, wanted, seen=set(), damaged=print)
            )
        )

    session.append(user("a"), assistant("b"), user(ImagePart(data="QUJD" * 8000)), assistant("d"))
    session.compact("ab", through_seq=2)
    session.rename("Letters")
    session.edit(1, "aa")
    with session.begin_turn(user("e", id="e")) as turn:
        turn.append(assistant(None, ToolCall(call_id="c", name="f", arguments="{}")), tool("c", "r"))
        turn.finish(assistant("f"), usage=Usage(input_tokens=3, model="m"))
    session.fork(title="Other")
    export()

    def grow() -> None:
        same = sessions.resume(Origin("telegram", chat_id="42"), session.id)
        same.rewind()
        same.append(user("g"), assistant("h"))
        same.compact("abg", through_seq=4)
        same.tag("x")
        same.record_usage(Usage(input_tokens=8, model="m"))
        same.reset().append(user("new"))
        export()

    return grow


def picoclaw(root: Path) -> Grow:
    """A conversation of picoclaw's, which it compacts."""
    pico = test_picoclaw
    said = b"".join(pico.line(pico.said(n)) for n in range(6))
    pico.put(root, {".jsonl": said, ".meta.json": pico.meta(summary="s", skip=2, aliases=["chat-x"])})

    def grow() -> None:
        more = said + b"".join(pico.line(pico.said(n)) for n in range(6, 10))
        meta = pico.meta(summary="longer", skip=6, count=10, aliases=["chat-x", "chat-y"])
        pico.put(root, {".jsonl": more, ".meta.json": meta})

    return grow


def odysseus(root: Path) -> Grow:
    """Conversations of odysseus's, with what they used."""
    ody = odysseus_store
    ody.talk(root, total_input_tokens=10, total_output_tokens=4, is_important=1)
    ody.database(root, [ody.chat("t", name="Chat s")], [ody.row(n, "t") for n in range(2)])

    def grow() -> None:
        ody.database(root, [], [ody.row(n) for n in range(6, 8)])
        with sqlite3.connect(root / "app.db") as connection:
            connection.execute(
                "UPDATE sessions SET total_input_tokens = 30, archived = 1, folder = 'work', name = 'New', "
                "updated_at = '2026-07-01 13:30:00.000000' WHERE id = 's'"
            )
            connection.execute("DELETE FROM chat_messages WHERE id = 's-1'")
        connection.close()

    return grow


def codex(root: Path) -> Grow:
    """A rollout of Codex's, of which a turn is rolled back."""
    cdx = test_codex
    cdx.write(root, cdx.talk())
    more = [
        cdx.says(20, "user", "And now?"),
        cdx.says(21, "assistant", "This."),
        cdx.used(22, 500, 40),
        cdx.line("event_msg", {"type": "thread_rolled_back", "num_turns": 1}, 23),
        cdx.says(24, "user", "Rather that"),
        cdx.says(25, "assistant", "That."),
        cdx.line("compacted", {"message": "the sum"}, 26),
        cdx.says(27, "user", "Go on"),
    ]
    return lambda: cdx.write(root, [*cdx.talk(), *more])


def claude_code(root: Path) -> Grow:
    """A transcript of Claude Code's, which goes back, is compacted, and is resumed as another."""
    cc = test_claude_code
    cc.write(root, cc.talk())

    def grow() -> None:
        more = [
            cc.record("u9", "a4", "user", "next", 20),
            cc.record("a9", "u9", "assistant", cc.says("ok"), 21),
            cc.record("u8", "a4", "user", "rather", 22),
            cc.record("a8", "u8", "assistant", cc.says("fine"), 23),
        ]
        cc.write(root, [*cc.talk(), *more])
        copied = [{**each, "sessionId": cc.OTHER} for each in cc.talk()]
        own = cc.record("u7", "a4", "user", "elsewhere", 30, sessionId=cc.OTHER)
        cc.write(root, [*copied, own], f"{cc.OTHER}.jsonl")

    return grow


def chatgpt(root: Path) -> Grow:
    """Conversations of ChatGPT, with a branch that was given up, and then another."""
    gpt = test_chatgpt
    first = [*gpt.talk(), gpt.node("n6", "n2", "assistant", "A lot."), gpt.node("n7", "n6", "user", "Thanks")]
    gpt.write(root, gpt.chat(*first, is_archived=True))
    more = [*first, gpt.node("n8", "n5", "user", "And 7 times 7?"), gpt.node("n9", "n8", "assistant", "49")]
    return lambda: gpt.write(root, gpt.chat(*more, title="Coffee", update_time=gpt.BEGUN + 999))


def claude_export(root: Path) -> Grow:
    """A conversation of Claude's, with two ends."""
    cl = test_claude_export
    parents = {"m1": cl.ROOT, "m2": "m1", "m3": "m2", "m4": "m3", "m5": "m2", "m6": "m5", "m7": "m4"}
    more = [cl.said(5, "human", "Else?"), cl.said(6, "assistant", "Else."), cl.said(7, "human", "So")]
    said = [each | {"parent_message_uuid": parents[each["uuid"]]} for each in [*cl.talk(), *more]]
    cl.write(root, cl.chat(*said[:6], is_starred=True, current_leaf_message_uuid="m6"))
    return lambda: cl.write(root, cl.chat(*said, name="Milan", updated_at="2026-03-05T06:00:00Z"))


def openai(root: Path) -> Grow:
    """Lines of messages."""
    lines = test_openai_jsonl
    path = root / "chat.jsonl"
    lines.put(path, *lines.TALK)
    more = [{"role": "user", "content": "Thanks"}, {"role": "assistant", "content": "Yes"}]
    return lambda: lines.put(path, *lines.TALK, *more)


MAKERS = [nanobot, hermes, saved, picoclaw, odysseus, codex, claude_code, chatgpt, claude_export, openai]


def imported(source: Path, clock: Clock, owner: str) -> Callable[[Store], object]:
    """An import into a store of somebody's."""
    return lambda store: import_path(palaver.open(store, clock=clock).for_owner(owner), source)


@pytest.mark.parametrize("chunk", [2, 500])
@pytest.mark.parametrize("make", MAKERS)
def test_the_next_one_goes_on(
    make: Callable[[Path], Grow], chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a source that is new to the store, and of one that has grown since; nothing is charged or said twice."""
    monkeypatch.setattr(commits, "CHUNK", chunk)
    grow = make(tmp_path)
    clock = Clock()
    again = imported(tmp_path, clock, "ann")
    before = MemoryStore()
    for grows in (lambda: None, grow):
        grows()
        ended = copied(before)
        again(ended)
        expected = told(palaver.open(ended))
        for survived, store in survive(partial(copied, before), again):
            with_it = palaver.open(store)
            assert with_it.check() == [], survived
            report = again(store)
            assert told(with_it) == expected, (survived, report)
            assert with_it.check() == [], survived
        assert survived >= 1
        before = ended
