"""A store with conversations, what somebody else does in it meanwhile, and what must hold of it afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import palaver
from palaver import (
    Origin,
    PalaverError,
    Sender,
    Session,
    SessionManager,
    Settings,
    SweepPolicy,
    ToolCall,
    Usage,
    assistant,
    codec,
    formats,
    tool,
    user,
)
from palaver.reach import core_of
from palaver.steps import Call, Flow, drive
from palaver.stores.memory import MemoryStore
from tests.moments import Between

__all__ = [
    "FEW",
    "GROUP",
    "HOME",
    "MAKERS",
    "MANY",
    "MEMBER",
    "THREAD",
    "WHOLE",
    "Halted",
    "Other",
    "World",
    "left",
    "wrong",
]

HOME = Origin("telegram", chat_id="7", user_id="7")
THREAD = Origin("telegram", chat_id="7", user_id="7", thread_id="5")
GROUP = Origin("telegram", chat_type="group", chat_id="g", user_id="8")
EIGHT, NINE = Sender(id="8"), Sender(id="9")
WHOLE = "abcds"
"""What messages of the conversation at home begin with, and those of its subagents."""
MEMBER = "g"
"""What those of one member of the group do, and of what answered that member."""


class Tick:
    """A clock that goes on by a millisecond each time it is looked at."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """A little later than before."""
        self.time += timedelta(milliseconds=1)
        return self.time


class World:
    """Conversations of one owner: at home, in a group, and beside. Two work with them: `mine`, and `theirs`.

    What `theirs` does as `other` happens before call number `at` of `mine`, of those after `begin`.
    """

    def __init__(self, at: int, other: Callable[[World], object], settings: Settings) -> None:
        self.clock = Tick()
        self._store = MemoryStore()
        self._settings = settings
        self._at, self._other = at, other
        self.operator = palaver.open(self._store, settings=settings, clock=self.clock)
        self.theirs = self.operator.for_owner("ann")
        home = self.theirs.get_or_create(HOME)
        home.append(user("a1"), assistant(None, ToolCall(call_id="c", name="f", arguments="{}")))
        home.append(tool("c", "a2"), assistant("a3"))
        home.compact("a-sum", through_seq=4)
        with home.begin_turn(user("b1", id="b1")) as turn:
            turn.finish(assistant("b2"), usage=Usage(input_tokens=3, output_tokens=4))
        home.append(user("c1"), assistant("c2"), user("d1"), assistant("d2"))
        home.rename("Trip")
        home.add_alias("trip")
        group = self.theirs.get_or_create(GROUP)
        group.append(user("g1", sender=NINE), assistant("g2"), user("h1", sender=EIGHT), assistant("h2"))
        group.compact("g-sum", through_seq=2)
        group.append(user("h3", sender=EIGHT), assistant("h4"))
        beside = self.theirs.create("beside", title="Beside")
        beside.append(user("x1"), assistant("x2"))
        self.id, self.group, self.beside = home.id, group.id, beside.id
        self.stored = {text for each in said(self).values() for text in each}
        """What is stored, and stays so unless somebody removes it for good."""
        self.given: Any = None

    def begin(self) -> None:
        """From here on the calls count."""
        self.between = Between(self._store, self._at, self.meanwhile)
        self.all = palaver.open(self.between, settings=self._settings, clock=self.clock)
        self.mine = self.all.for_owner("ann")

    def meanwhile(self) -> None:
        """Somebody else does it; that may be refused too."""
        with suppress(PalaverError):
            self._other(self)

    def session(self) -> Session:
        """The conversation at home, as somebody else has it."""
        return self.theirs.get(self.id)


class Halted:
    """A verb of somebody else's that has read what it needs, and stores it later."""

    def __init__(self, of: SessionManager, flow: Flow[object]) -> None:
        self._store = core_of(of).store
        self._flow = flow
        self._done = False
        step = next(flow)
        while isinstance(step, Call):
            step = flow.send(step.run())
        self._step = step

    def go_on(self) -> None:
        """Do the rest, unless it was done."""
        if not self._done:
            self._done = True
            drive(self._store, self._rest())

    def _rest(self) -> Flow[object]:
        outcome = yield self._step
        while True:
            try:
                step = self._flow.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = yield step


class Other(NamedTuple):
    """What somebody else does."""

    name: str
    act: Callable[[World], object]
    removes: bool = False
    """Whether messages go for good."""
    erases: str = ""
    """What texts begin with that are nowhere afterwards."""


MAKERS = [
    Other("append by key", lambda w: w.theirs.get_or_create("new").append(user("o1"))),
    Other("turn begun", lambda w: w.theirs.begin_turn(HOME, user("o1"), timeout=0)),
    Other("reset", lambda w: w.theirs.reset(HOME)),
    Other("reset group", lambda w: w.theirs.reset(GROUP)),
    Other("purge", lambda w: w.session().purge(), removes=True),
    Other("erase session", lambda w: w.theirs.erase(session=w.id), removes=True, erases=WHOLE),
    Other("erase member", lambda w: w.theirs.erase(user="telegram:9"), removes=True, erases=MEMBER),
    Other("fork", lambda w: w.session().fork()),
    Other("thread", lambda w: w.theirs.begin_turn(THREAD, user("o1"), timeout=0).finish()),
    Other("subagent", lambda w: w.session().subagent().append(user("o1"))),
]
FEW = [
    *MAKERS,
    Other("append", lambda w: w.session().append(user("o1"))),
    Other("same turn", lambda w: w.theirs.begin_turn(HOME, user("n1", id="n1"), timeout=0).finish(assistant("o2"))),
    Other("delete", lambda w: w.session().delete()),
    Other("purge messages", lambda w: w.session().purge(1, 100), removes=True),
    Other("rename", lambda w: w.theirs.get(w.beside).rename("New")),
    Other("rewind", lambda w: w.session().rewind(9)),
    Other("edit", lambda w: w.session().edit(5, "o1")),
    Other("compact", lambda w: w.session().compact("o-sum", through_seq=6)),
]
MANY = [
    Other("append to group", lambda w: w.theirs.get_or_create(GROUP).append(user("o1", sender=EIGHT))),
    Other("append to key", lambda w: w.theirs.get_or_create(HOME).append(user("n1", id="n1"))),
    Other("turn", lambda w: w.theirs.begin_turn(HOME, user("o1"), timeout=0).finish(assistant("o2"))),
    Other("queued", lambda w: w.theirs.begin_turn(HOME, user("o1"), on_busy="store")),
    Other("reset session", lambda w: w.session().reset()),
    Other("resume", lambda w: w.theirs.resume(HOME, w.beside)),
    Other("restore", lambda w: w.theirs.restore(w.id)),
    Other("purge some", lambda w: w.session().purge(5, 6), removes=True),
    Other("erase owner", lambda w: w.operator.erase(owner="ann"), removes=True, erases=f"{WHOLE}{MEMBER}hx"),
    Other("erase person", lambda w: w.theirs.erase(user="telegram:7"), removes=True, erases=WHOLE),
    Other("rename this", lambda w: w.session().rename("Mine")),
    Other("alias", lambda w: w.theirs.get(w.beside).add_alias("new")),
    Other("fork group", lambda w: w.theirs.get(w.group).fork()),
    Other("rewind one", lambda w: w.session().rewind()),
    Other("redo", lambda w: w.session().redo()),
    Other("retry", lambda w: w.session().retry(timeout=0)),
    Other("clear", lambda w: w.session().clear()),
    Other("replace", lambda w: w.session().replace(user("o1"), assistant("o2"))),
    Other("delete message", lambda w: w.session().delete_message(5)),
    Other("withdraw", lambda w: w.session().withdraw_summary()),
    Other("archive", lambda w: w.session().archive()),
    Other("sweep", lambda w: w.operator.sweep(SweepPolicy())),
]


def wrong(world: World, *, removed: bool, retried: bool, says: str) -> Iterator[str]:
    """What must not be, whatever happened: faults, messages lost or there twice, windows that no model may see.

    `removed`: messages may have gone for good; `retried`: one may have been said again; `says`: what messages
    begin with whose turns are over.
    """
    for finding in world.operator.check():
        yield str(finding)
    for info in world.operator.list(limit=100, include_hidden=True, include_archived=True):
        session = world.operator.get(info.id)
        seqs = [m.seq for m in session.messages(limit=500, live=False)]
        if seqs != sorted(set(seqs)):
            yield f"positions {seqs}"
        rendered = session.history().render("anthropic")
        for violation in formats.check("anthropic", rendered.messages, system=rendered.system):
            yield violation.says
    texts = Counter(text for each in said(world, copies=False).values() for text in each)
    if not retried:
        yield from (f"twice: {text}" for text, count in texts.items() if count > 1)
    if not removed:
        yield from (f"lost: {text}" for text in world.stored if not texts[text])
    for turn in world.operator.open_turns():
        first = world.operator.get(turn.session_id).messages(after=turn.first_seq - 1, limit=1)
        if not retried and any(m.text[:1] in says for m in first):
            yield f"left running: {first[0].text}"


def said(world: World, *, copies: bool = True) -> dict[str, list[str]]:
    """What the messages of each session say, and said before they were edited; those of deleted sessions too."""
    store = core_of(world.operator).store
    found: dict[str, list[str]] = {}
    for each in store.erasable(0, limit=1000):
        found[each.row.id] = []
        for record in store.chunk(each.row.id, None, after=0, limit=1000).messages:
            at, seq = record.row.at, record.row.seq
            texts: dict[str, None] = {}
            bodies = [(row.kind, row.body) for row in record.versions]
            for kind, body in (*bodies, (record.row.kind, record.row.body)):
                message = codec.restore(seq, kind, at, body)
                text = message.text or "".join(str(part.parts) for part in message.tool_results)
                if text and (copies or message.copied_from is None):
                    texts[text] = None
            found[each.row.id] += texts
    return found


def left(world: World, beginnings: str) -> Iterator[str]:
    """What there still is of what was erased: messages, copies, summaries; of home also titles, and subagents."""
    store = core_of(world.operator).store
    for session_id, texts in said(world).items():
        yield from (f"{text} in {session_id}" for text in texts if text[0] in beginnings)
    for each in store.erasable(0, limit=1000):
        record = store.record(each.row.id, None)
        told = [piece for c in record.compactions for piece in c.text.split("~")]
        yield from (f"{piece} in a summary of {each.row.id}" for piece in told if piece and piece[0] in beginnings)
        if beginnings != MEMBER:
            if str(each.row.title).startswith("Trip") and not each.keys:  # what a key leads to is in use, and stays
                yield f"title {each.row.title} of {each.row.id}"
            if each.row.parent_kind == "subagent" and each.row.end_reason not in ("erased", "purged"):
                yield f"subagent {each.row.id}"
