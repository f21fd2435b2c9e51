"""Every verb, where somebody else does something whole between any two looks of it at the store.

The verb then does what it says, or is refused by an error that its docstring names. Nothing is stored twice, nothing
is lost but what somebody removed, what was erased is nowhere, `check` finds nothing, and windows stay legal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest

import palaver
from palaver import (
    CompactionPolicy,
    Message,
    PalaverError,
    ResetPolicy,
    Session,
    SessionManager,
    Settings,
    SweepPolicy,
    ToolCall,
    Turn,
    Usage,
    assistant,
    errors,
    tool,
    user,
)
from palaver.compactor import Compactor
from palaver.exporters import Wanted, text_of
from palaver.exports import Format
from palaver.flows import forks, resetting
from palaver.moving import Copier
from palaver.reach import core_of
from palaver.stores.memory import MemoryStore
from tests.meanwhile import FEW, GROUP, HOME, MAKERS, MANY, MEMBER, THREAD, WHOLE, Halted, Other, World, left, wrong

PLAIN = Settings(
    reset_policy=ResetPolicy(carry_over=1), compaction_policy=CompactionPolicy(max_messages=4, keep_last=2)
)
IDLE = Settings(reset_policy=ResetPolicy(carry_over="summary", idle=timedelta(days=1)))
WORK = Settings(reset_policy=ResetPolicy(idle=timedelta(days=1)), before_reset=True)


class Verb(NamedTuple):
    """What one does after `before`, with the docstrings that say how it may be refused."""

    name: str
    act: Callable[[World, Any], object]
    documented: tuple[Callable[..., Any], ...]
    before: Callable[[World], Any] = lambda _: None
    settings: Settings = PLAIN
    removes: bool = False
    erases: str = ""
    """What texts begin with that are nowhere, once it was done."""
    beside: list[Other] = FEW


def home(world: World) -> Session:
    """The conversation at home, as one has it oneself."""
    return world.mine.get(world.id)


# ---------------------------------------------------------------------- turns
def begun(world: World) -> str:
    """Somebody's turn that runs; gives its id, by which it is gone on with."""
    turn = world.theirs.begin_turn(HOME, user("t1", id="t1"))
    assert turn.id is not None
    world.stored.add("t1")
    return turn.id


def goes_on(world: World, turn_id: str) -> None:
    """Go on with that turn: a call, its result, the reply."""
    turn = world.mine.turn(turn_id)
    if not turn.ended:
        turn.append(assistant(None, ToolCall(call_id="t", name="f", arguments="{}")))
        turn.append(tool("t", "t2"))
        turn.finish(assistant("t3"))
        world.stored |= {"t2", "t3"}


def fails(world: World, turn_id: str) -> None:
    """Go on with that turn, and fail."""
    turn = world.mine.turn(turn_id)
    if not turn.ended:
        turn.append(assistant("t2"))
        turn.inbox()
        turn.renew()
        turn.fail()


def rolls_back(world: World, turn_id: str) -> None:
    """Go on with that turn, and take all of it back."""
    turn = world.mine.turn(turn_id)
    if not turn.ended:
        turn.append(assistant("t2"))
        turn.rollback()


def waits(world: World) -> str:
    """The same, and a message that waits for it."""
    turn_id = begun(world)
    world.theirs.begin_turn(HOME, user("t4"), on_busy="store")
    world.stored.add("t4")
    return turn_id


def takes(world: World, turn_id: str) -> None:
    """Go on with that turn, with what waits."""
    turn = world.mine.turn(turn_id)
    if not turn.ended:
        turn.inbox()
        turn.finish(assistant("t3"))


def left_waiting(world: World) -> None:
    """A message that waits for a turn of its own."""
    world.theirs.turn(waits(world)).finish(assistant("t3"))


def answered(turn: Turn, world: World) -> None:
    """What is done with a turn that was begun."""
    if turn.queued:
        return
    with turn:
        if not turn.ended:
            turn.finish(assistant("n2"))
            world.stored.add("n2")


def turn_at(target: Any, world: World, _: object, *, on_busy: Any = "wait") -> None:
    """A whole turn under a key."""
    text = "n1" if target == HOME else "p1"
    answered(world.mine.begin_turn(target, user(text, id=text), on_busy=on_busy, timeout=0), world)


def handle_turn(world: World, _: object) -> None:
    """A whole turn by a handle whose session is not stored yet."""
    answered(world.mine.get_or_create("new").begin_turn(user("p1"), timeout=0), world)


def late(world: World) -> None:
    """What was said is older than the reset policy allows."""
    world.clock.time += timedelta(days=2)


# ---------------------------------------------------------------------- what takes several steps
def family(world: World) -> None:
    """A subagent, a fork, and a subagent of that."""
    world.session().subagent().append(user("s1"))
    world.session().fork().subagent().append(user("s2"))


def copying(world: World) -> list[Halted]:
    """Verbs of somebody else's that have read messages, and are about to store copies of them."""
    family(world)
    core = core_of(world.theirs)
    return [
        Halted(world.theirs, forks.fork(core, world.id, None, None)),
        Halted(world.theirs, forks.fork(core, world.group, None, None)),
        Halted(world.theirs, resetting.reset_key(core, HOME)),
        Halted(world.theirs, resetting.reset_key(core, GROUP)),
    ]


def go_on(world: World) -> None:
    """What they read is stored now."""
    for each in world.given:
        with suppress(PalaverError):
            each.go_on()


ERASERS = [*MAKERS, Other("copies", go_on)]


def two_answers(world: World) -> None:
    """An answer, and its continuation."""
    world.session().append(user("k1"), assistant("k2"), user("k4"), assistant("k3"))


def pages(world: World, _: object) -> None:
    """Every session, page by page."""
    page = world.mine.list(limit=1)
    while page:
        page = world.mine.list(limit=1, after=page[-1].id)


def chain(world: World, _: object) -> None:
    """What a new session goes on from, page by page."""
    part = home(world).reset().chain(limit=3)
    while part.before is not None:
        part = home(world).chain(limit=3, before=part.before)


def summary_of(messages: tuple[Message, ...], previous: str | None) -> str:
    """A summary that says what it tells of: nothing that was erased may stand in it."""
    return "~".join([previous or "n-sum", *(m.text for m in messages if m.text)])


def drafts(session_id: str, world: World, _: object) -> None:
    """Summarise one piece of what is due."""
    session = world.mine.get(session_id)
    due = session.compaction_due(CompactionPolicy(max_messages=2, keep_last=1))
    if due is not None:
        draft = session.compaction_draft(due, max_tokens=1)
        told = summary_of(draft.messages, due.previous.text if due.previous is not None else None)
        session.compact(told, through_seq=draft.through_seq, expected=due.expected, drafted_rev=draft.rev)


def compacted(world: World, _: object) -> None:
    """Summarise what is due anywhere."""
    Compactor(summary_of, policy=CompactionPolicy(max_messages=2, keep_last=1)).run_all(world.mine)


def todo(world: World) -> None:
    """Two to-dos that wait."""
    world.theirs.reset(HOME)
    world.theirs.reset(GROUP)


def worked(world: World, _: object) -> None:
    """Do one of them, and fail at the other."""
    for each in world.mine.due():
        claimed = world.mine.claim(each)
        if each.session_id == world.id:
            world.mine.fail(claimed, "no model")
        else:
            world.mine.acknowledge(claimed)


def untidy(world: World) -> None:
    """What a sweep has to do."""
    world.theirs.create("empty")
    gone = world.theirs.create("gone")
    gone.append(user("y1"))
    gone.delete()
    world.clock.time += timedelta(days=31)


SWEPT = SweepPolicy(archive_after=timedelta(days=1), max_bytes=100, keep_changes=1)


def copied(world: World, _: object) -> None:
    """A copy of the store, which is the same once it has caught up with what came meanwhile."""
    target = MemoryStore()
    copier = Copier(world.between, target, clock=world.clock)
    copier.copy()
    copier.catch_up()
    report = copier.report()
    assert report.is_equal, report.problems
    again = Copier(core_of(world.operator).store, target, verify=True, clock=world.clock).copy()
    assert again.is_equal, again.problems
    assert again.copied == 0, again
    assert palaver.open(target).check() == []


def raised(error: Exception) -> None:
    """Nothing is damaged here."""
    raise error


def exported(form: Format, world: World, _: object) -> None:
    """Every session in a form."""
    for info in world.mine.list(limit=100):
        text = "".join(text_of(world.mine, info, Wanted(format=form), seen=set(), damaged=raised))
        assert text or form.is_payload, info


VERBS = [
    Verb("turn", partial(turn_at, HOME), (SessionManager.begin_turn, Turn.finish)),
    Verb("turn raises", partial(turn_at, HOME, on_busy="raise"), (SessionManager.begin_turn, Turn.finish)),
    Verb("turn stores", partial(turn_at, HOME, on_busy="store"), (SessionManager.begin_turn, Turn.finish)),
    Verb("turn first", partial(turn_at, "new"), (SessionManager.begin_turn, Turn.finish)),
    Verb("turn in thread", partial(turn_at, THREAD), (SessionManager.begin_turn, Turn.finish)),
    Verb("turn resets", partial(turn_at, HOME), (SessionManager.begin_turn, Turn.finish), late, IDLE),
    Verb("turn resets group", partial(turn_at, GROUP), (SessionManager.begin_turn, Turn.finish), late, IDLE),
    Verb("turn of handle", handle_turn, (SessionManager.begin_turn, Turn.finish)),
    Verb(
        "turn of waiting",
        lambda w, _: answered(w.mine.begin_turn(HOME, timeout=0), w),
        (SessionManager.begin_turn, Turn.finish),
        left_waiting,
    ),
    Verb("turn goes on", goes_on, (SessionManager.turn, Turn.append, Turn.finish), begun),
    Verb("turn fails", fails, (SessionManager.turn, Turn.append, Turn.inbox, Turn.renew, Turn.fail), begun),
    Verb("turn rolls back", rolls_back, (SessionManager.turn, Turn.append, Turn.rollback), begun),
    Verb("turn takes", takes, (SessionManager.turn, Turn.inbox, Turn.finish), waits),
    Verb("retry", lambda w, _: home(w).retry(timeout=0).finish(assistant("n2")), (Session.retry, Turn.finish)),
    Verb("retry back", lambda w, _: home(w).retry(timeout=0).rollback(), (Session.retry, Turn.rollback)),
    Verb("append", lambda w, _: w.mine.get_or_create(HOME).append(user("p1")), (Session.append,)),
    Verb("append first", lambda w, _: w.mine.get_or_create("new").append(user("p1")), (Session.append,)),
    Verb("append id", lambda w, _: home(w).append(user("n1", id="n1"), expected_seq=10), (Session.append,)),
    Verb("create", lambda w, _: w.mine.create("new", alias="new", title="New"), (SessionManager.create,)),
    Verb("list", pages, (SessionManager.list,)),
    Verb("resolve", lambda w, _: w.mine.resolve(HOME).info(), (SessionManager.resolve, Session.info)),
    Verb("find", lambda w, _: w.mine.find("trip").info(), (SessionManager.find,)),
    Verb("find begun", lambda w, _: w.mine.find("tr").info(), (SessionManager.find,)),
    Verb("find near", lambda w, _: w.mine.find("tirp").info(), (SessionManager.find,)),
    Verb("search", lambda w, _: w.mine.search("c1", around=2), (SessionManager.search,)),
    Verb("search one", lambda w, _: w.mine.search("c1", session_id="trip", around=2), (SessionManager.search,)),
    Verb("history", lambda w, _: home(w).history(max_tokens=900).render("anthropic"), (Session.history,)),
    Verb("messages", lambda w, _: home(w).messages(limit=3), (Session.messages,)),
    Verb("chain", chain, (Session.chain, Session.reset)),
    Verb("versions", lambda w, _: home(w).versions(5), (Session.versions,)),
    Verb("events", lambda w, _: w.mine.events(wait=0), (SessionManager.events,)),
    Verb("reset key", lambda w, _: w.mine.reset(HOME), (SessionManager.reset,)),
    Verb("reset", lambda w, _: home(w).reset(), (Session.reset,)),
    Verb("reset group", lambda w, _: w.mine.get(w.group).reset(), (Session.reset,), settings=IDLE),
    Verb("resume", lambda w, _: w.mine.resume("other", "trip"), (SessionManager.resume,)),
    Verb(
        "resume ended", lambda w, _: w.mine.resume(HOME, w.id), (SessionManager.resume,), lambda w: w.theirs.reset(HOME)
    ),
    Verb("restore", lambda w, _: w.mine.restore(w.id), (SessionManager.restore,), lambda w: w.session().delete()),
    Verb("rename", lambda w, _: home(w).rename("Beside"), (Session.rename,)),
    Verb("rename numbered", lambda w, _: home(w).rename("Beside", numbered=True), (Session.rename,)),
    Verb("rename generated", lambda w, _: home(w).rename("Beside", generated=True), (Session.rename,)),
    Verb("alias", lambda w, _: home(w).add_alias("new"), (Session.add_alias,)),
    Verb("metadata", lambda w, _: home(w).set_metadata({"a": 1}), (Session.set_metadata,)),
    Verb("hold", lambda w, _: home(w).hold("h"), (Session.hold,)),
    Verb("usage", lambda w, _: home(w).record_usage(Usage(input_tokens=1)), (Session.record_usage,)),
    Verb("fork", lambda w, _: home(w).fork(), (Session.fork,)),
    Verb("fork at", lambda w, _: home(w).fork(at=3), (Session.fork,)),
    Verb("fork nothing", lambda w, _: home(w).fork(at=0), (Session.fork,)),
    Verb("fork group", lambda w, _: w.mine.get(w.group).fork(), (Session.fork,)),
    Verb("subagent", lambda w, _: home(w).subagent(title="Sub"), (Session.subagent,)),
    Verb("rewind", lambda w, _: home(w).rewind(), (Session.rewind,)),
    Verb("rewind more", lambda w, _: home(w).rewind(9), (Session.rewind,)),
    Verb("redo", lambda w, _: home(w).redo(), (Session.redo,), lambda w: w.session().rewind()),
    Verb("truncate", lambda w, _: home(w).truncate(after=6), (Session.truncate,)),
    Verb("retain", lambda w, _: home(w).retain(last=3), (Session.retain,)),
    Verb("clear", lambda w, _: home(w).clear(), (Session.clear,)),
    Verb("delete message", lambda w, _: home(w).delete_message(5), (Session.delete_message,)),
    Verb("replace", lambda w, _: home(w).replace(user("p1"), assistant("p2")), (Session.replace,)),
    Verb("edit", lambda w, _: home(w).edit(5, "p1"), (Session.edit,)),
    Verb("edit result", lambda w, _: home(w).edit(3, "p1"), (Session.edit,)),
    Verb("merge", lambda w, _: home(w).merge(12, 14), (Session.merge,), two_answers),
    Verb("delete", lambda w, _: home(w).delete(), (Session.delete,), family),
    Verb("purge messages", lambda w, _: home(w).purge(5, 6), (Session.purge,), removes=True),
    Verb("purge", lambda w, _: home(w).purge(), (Session.purge,), family, removes=True),
    Verb("compact", lambda w, _: home(w).compact("n-sum", through_seq=6), (Session.compact,)),
    Verb("compact draft", lambda w, _: drafts(w.id, w, _), (Session.compaction_draft, Session.compact)),
    Verb("compact group", lambda w, _: drafts(w.group, w, _), (Session.compaction_draft, Session.compact)),
    Verb("compactor", compacted, (Compactor.run_all,)),
    Verb("withdraw", lambda w, _: home(w).withdraw_summary(), (Session.withdraw_summary,)),
    Verb(
        "erase session",
        lambda w, _: w.mine.erase(session="trip"),
        (SessionManager.erase,),
        copying,
        erases=WHOLE,
        beside=ERASERS,
    ),
    Verb(
        "erase person",
        lambda w, _: w.mine.erase(user="telegram:7"),
        (SessionManager.erase,),
        copying,
        erases=WHOLE,
        beside=ERASERS,
    ),
    Verb(
        "erase member",
        lambda w, _: w.mine.erase(user="telegram:9"),
        (SessionManager.erase,),
        copying,
        erases=MEMBER,
        beside=ERASERS,
    ),
    Verb(
        "erase owner",
        lambda w, _: w.all.erase(owner="ann"),
        (SessionManager.erase,),
        copying,
        erases=f"{WHOLE}{MEMBER}hx",
        beside=ERASERS,
    ),
    Verb("erase again", lambda w, _: w.mine.erase_again(), (SessionManager.erase_again,), copying, beside=ERASERS),
    Verb("sweep", lambda w, _: w.all.sweep(SWEPT), (SessionManager.sweep,), untidy, IDLE, removes=True),
    Verb("sweep to-dos", lambda w, _: w.mine.sweep(), (SessionManager.sweep,), untidy, WORK, removes=True),
    Verb(
        "to-dos",
        worked,
        (SessionManager.due, SessionManager.claim, SessionManager.acknowledge, SessionManager.fail),
        todo,
        WORK,
    ),
    Verb("check", lambda w, _: w.mine.check("trip", notes=True), (SessionManager.check,)),
    Verb("check all", lambda w, _: w.all.check(notes=True), (SessionManager.check,)),
    Verb("copy", copied, (Copier.copy,), family),
    Verb("export", partial(exported, Format.jsonl), (text_of,)),
    Verb("export page", partial(exported, Format.html), (text_of,)),
    Verb("export payload", partial(exported, Format.openai_chat), (text_of,)),
]


def named(verb: Verb) -> tuple[type[PalaverError], ...]:
    """The errors that the docstrings of a verb name, and those of its class; `get` names SessionNotFound."""
    text = " ".join(each.__doc__ or "" for each in (*verb.documented, SessionManager.get))
    if any(each.__qualname__.startswith("Session.") for each in verb.documented):
        text += Session.__doc__ or ""
    return tuple(getattr(errors, name) for name in set(re.findall(r"\w+", text)) & set(errors.__all__) - {"Outcome"})


def run(verb: Verb, other: Other, at: int) -> tuple[int, list[str]]:
    """Do it once: how many calls it made of the store, and what is wrong."""
    world = World(at, other.act, verb.settings)
    world.given = given = verb.before(world)
    world.begin()
    found: list[str] = []
    try:
        verb.act(world, given)
    except named(verb) as refusal:
        refused: Exception | None = refusal
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with where it came
        refused = error
        found.append(f"{type(error).__name__}: {error}")
    else:
        refused = None
    removed = verb.removes or bool(verb.erases) or other.removes
    retried = "retry" in verb.name + other.name
    found += wrong(world, removed=removed, retried=retried, says="np")
    if verb.erases and refused is None:
        found += left(world, verb.erases)
    if other.erases and world.between.moment.came:
        found += left(world, other.erases)
    place = f"{other.name}, before call {at}"
    return world.between.moment.calls, [f"{place}: {each} (refused: {refused})" for each in found]


def everywhere(verb: Verb, others: list[Other]) -> None:
    """Do it with each of the others before each of its calls."""
    calls, found = run(verb, Other("nobody", lambda _: None), 0)
    for other in others:
        for at in range(1, calls + 1):
            found += run(verb, other, at)[1]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_beside_somebody_else(verb: Verb) -> None:
    """What others do most often."""
    everywhere(verb, verb.beside)


@pytest.mark.soak
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_beside_everybody_else(verb: Verb) -> None:
    """What others do besides."""
    everywhere(verb, MANY)
