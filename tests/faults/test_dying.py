"""Every flow that writes more than once, whose process dies before any of its operations.

The store is sound then, and who does the same again comes to the end that there would have been: nothing is there
twice, nothing is lost, nothing is charged twice. What cannot be done again is as it was before, or done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

import palaver
from palaver import (
    CompactionPolicy,
    Message,
    Origin,
    ResetPolicy,
    Sender,
    Session,
    SessionManager,
    SweepPolicy,
    ToolCall,
    Usage,
    assistant,
    tool,
    user,
)
from palaver.compactor import Compactor
from palaver.flows import erasing, forks, sweeping
from palaver.model import ImagePart
from palaver.moving import Copier, comparing, copying
from palaver.operations import Sweep
from palaver.reset import CarryOver
from palaver.stores.base import Store
from palaver.stores.memory import MemoryStore
from tests.dying import Clock, copied, survive, told

HOME = Origin("telegram", chat_id="7", user_id="7")
GROUP = Origin("telegram", chat_type="group", chat_id="g", user_id="8")
THREAD = Origin("telegram", chat_id="7", user_id="7", thread_id="5")
RESETS = ResetPolicy(idle=timedelta(days=1), carry_over=1)
PICTURE = "QUJD" * 8000


class Case(NamedTuple):
    """A flow, and the settings of who does it."""

    act: Callable[[SessionManager], object]
    settings: Mapping[str, Any] = MappingProxyType({})
    later: timedelta = timedelta(0)
    """How long after the store was filled."""


def filled(clock: Clock) -> MemoryStore:
    """Conversations of all kinds: of two owners, with tools, media, summaries, turns, what waits, and what is over."""
    store = MemoryStore()
    everybody = palaver.open(store, clock=clock, before_reset=True)
    sessions = everybody.for_owner("ann")
    home = sessions.get_or_create(HOME)
    home.append(user("a1"), assistant(None, ToolCall(call_id="c", name="f", arguments="{}")), tool("c", "a2"))
    home.append(assistant("a3"), user(ImagePart(data=PICTURE)), assistant("a4"))
    home.compact("a-sum", through_seq=4)
    with home.begin_turn(user("b1", id="b1")) as turn:
        turn.finish(assistant("b2"), usage=Usage(input_tokens=3, output_tokens=4))
    home.append(*(user(f"c{n}") if n % 2 else assistant(f"c{n}") for n in range(1, 9)))
    home.edit(10, "c2, edited")
    home.rename("Trip")
    home.add_alias("trip")
    home.fork(at=9)
    home.subagent().append(user("s1"), assistant("s2"))
    group = sessions.get_or_create(GROUP)
    group.append(user("g1", sender=Sender(id="9")), assistant("g2"), user("h1", sender=Sender(id="8")), assistant("h2"))
    group.compact("g-sum", through_seq=2)
    sessions.create("over").append(user("o1"), assistant("o2"))
    sessions.reset("over").append(user("o3"))
    sessions.create("gone").append(*(user(f"x{n}") for n in range(9)))
    sessions.resolve("gone").delete()
    sessions.create(title="nothing")
    everybody.for_owner("bob").get_or_create(HOME).append(user("z1"), assistant("z2"))
    return store


def turn(sessions: SessionManager, target: Origin = HOME) -> None:
    """A turn, with a call and what it used, as a bot takes it that is told the same message again and goes on."""
    with sessions.for_owner("ann").begin_turn(target, user("n1", id="n1")) as turn:
        if turn.replayed:
            return
        if len(turn.messages) == 1:
            turn.append(assistant(None, ToolCall(call_id="d", name="f", arguments="{}")), tool("d", "n2"))
        turn.finish(assistant("n3"), usage=Usage(input_tokens=5, model="m"))


def queue(sessions: SessionManager) -> None:
    """A message that comes while a turn runs, and is answered by the next one."""
    ann = sessions.for_owner("ann")
    with ann.begin_turn(HOME, user("n1", id="n1")) as turn:
        if not turn.replayed:
            ann.begin_turn(HOME, user("n2", id="n2"), on_busy="store")
            turn.finish(assistant("n3"))
    with ann.begin_turn(HOME, user("n2", id="n2")) as turn:
        if not turn.replayed:
            turn.finish(assistant("n4"))


def steered(sessions: SessionManager) -> None:
    """A message that comes while a turn runs, and is answered by that."""
    ann = sessions.for_owner("ann")
    with ann.begin_turn(HOME, user("n1", id="n1")) as turn:
        if turn.replayed:
            return
        ann.begin_turn(HOME, user("n2", id="n2"), on_busy="store")
        turn.inbox()
        turn.finish(assistant("n3"))


def todos(sessions: SessionManager) -> None:
    """What is to be done before a reset, done."""
    for todo in sessions.due():
        sessions.acknowledge(sessions.claim(todo))


def turn_and_todos(sessions: SessionManager) -> None:
    """A turn, and what it left to be done."""
    turn(sessions)
    todos(sessions)


def swept(policy: SweepPolicy) -> Callable[[SessionManager], None]:
    """Sweeps, until there is nothing to do."""

    def sweep(sessions: SessionManager) -> None:
        while sessions.sweep(policy, limit=2).more:
            pass
        todos(sessions)
        while sessions.sweep(policy, limit=2).more:
            pass

    return sweep


def erased(sessions: SessionManager, **target: Any) -> None:
    """An erasure; where one was begun, another one, which goes on with that."""
    if sessions.erasures():
        sessions.erase(session=sessions.create("later").id)
    else:
        sessions.erase(**target)


def summarised(messages: Sequence[Message], previous: str | None) -> str:
    """A summary that tells of each message."""
    return f"{previous or ''}{'|'.join(message.text for message in messages)}|"


def compacted(policy: CompactionPolicy, sessions: SessionManager) -> None:
    """Summaries of what is due, in several pieces."""
    compactor = Compactor(summarised, policy=policy, max_tokens=12)
    for done in compactor.run_all(sessions):
        assert done.outcome == "compacted", done


ALL = SweepPolicy(
    empty_after=timedelta(hours=1),
    purge_deleted_after=timedelta(days=1),
    archive_after=timedelta(days=1),
    keep_changes=3,
)
DAYS = timedelta(days=2)
DUE = {"reset_policy": RESETS, "before_reset": True}
AGAIN = {
    "sweep": Case(swept(ALL), {}, DAYS),
    "sweep that deletes": Case(swept(SweepPolicy(delete_after=timedelta(days=1))), {}, DAYS),
    "sweep that makes room": Case(swept(SweepPolicy(max_bytes=700)), {}, DAYS),
    "sweep that resets": Case(swept(ALL), {"reset_policy": RESETS}, DAYS),
    "sweep with to-dos": Case(swept(ALL), DUE, DAYS),
    "turn": Case(turn),
    "turn that resets": Case(turn, {"reset_policy": RESETS}, DAYS),
    "turn that resets, with to-dos": Case(turn_and_todos, DUE, DAYS),
    "turn in a new thread": Case(partial(turn, target=THREAD)),
    "turn under a new key": Case(partial(turn, target=Origin("telegram", chat_id="new", user_id="6"))),
    "queue": Case(queue),
    "queue that resets": Case(queue, {"reset_policy": RESETS}, DAYS),
    "steered": Case(steered),
    "erase owner": Case(partial(erased, owner="ann")),
    "erase person": Case(partial(erased, user="telegram:7")),
    "erase member": Case(partial(erased, user="telegram:9")),
    "erase session": Case(lambda s: erased(s, session=s.for_owner("ann").get("trip").id if not s.erasures() else "")),
}


@pytest.fixture
def clock() -> Clock:
    """A clock of the test's own."""
    return Clock()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small portions of everything."""
    monkeypatch.setattr(forks, "_CHUNK", 4)
    monkeypatch.setattr(erasing, "CHUNK", 3)
    monkeypatch.setattr(comparing, "CHUNK", 3)
    monkeypatch.setattr(copying, "CHUNK", 3)
    monkeypatch.setattr(sweeping, "Sweep", partial(Sweep, most=3))


def acting(case: Case, clock: Clock) -> Callable[[Store], object]:
    """What is done with a store."""
    return lambda store: case.act(palaver.open(store, clock=clock, **case.settings))


@pytest.mark.parametrize("name", AGAIN)
def test_who_does_it_again_comes_to_its_end(name: str, clock: Clock) -> None:
    """As if the process had not died."""
    case = AGAIN[name]
    before = filled(clock)
    clock.later(case.later)
    began = clock.time
    again = acting(case, clock)
    ended = copied(before)
    again(ended)
    clock.later()
    again(ended)
    expected = told(palaver.open(ended, clock=clock))
    assert expected != told(palaver.open(before, clock=clock))
    clock.time = began
    for survived, store in survive(partial(copied, before), again):
        everybody = palaver.open(store, clock=clock)
        clock.later()
        assert {finding.problem for finding in everybody.check()} <= {"erasure_unfinished"}, survived
        again(store)
        assert told(everybody) == expected, survived
        assert everybody.check() == [], survived
        clock.time = began


def test_a_compactor(clock: Clock) -> None:
    """The summaries that it came to stand for what they tell of; what is due by then is all that is left to do."""
    before = filled(clock)
    due = partial(compacted, CompactionPolicy(max_messages=4, keep_last=2))

    def summaries(store: Store) -> list[str]:
        sessions = palaver.open(store, clock=clock)
        [found] = [info for info in sessions.list(limit=100) if info.title == "Trip"]
        return [c.text for c in store.record(found.id, None).compactions if not c.stale]

    ended = copied(before)
    due(palaver.open(ended, clock=clock))
    whole = summaries(ended)
    assert len(whole) > 3
    for survived, store in survive(partial(copied, before), lambda store: due(palaver.open(store, clock=clock))):
        sessions = palaver.open(store, clock=clock)
        assert sessions.check() == [], survived
        assert summaries(store) == whole[: len(summaries(store))]
        compacted(CompactionPolicy(max_messages=3, keep_last=2), sessions)
        assert summaries(store)[-1] == whole[-1], survived
        assert sessions.check() == [], survived


def test_a_copy(clock: Clock) -> None:
    """Of a store that was erased from; done again, it ends with the same, and a third time it has nothing to do."""
    source = filled(clock)
    palaver.open(source, clock=clock).erase(user="telegram:9")
    expected = told(palaver.open(source, clock=clock))
    for survived, store in survive(MemoryStore, lambda store: Copier(source, store, clock=clock).copy()):
        assert palaver.open(store, clock=clock).check() == [], survived
        assert Copier(source, store, clock=clock).copy().is_equal, survived
        assert told(palaver.open(store, clock=clock)) == expected, survived
        assert Copier(source, store, clock=clock).copy().copied == 0, survived
    assert survived > 8


ONCE: dict[str, Callable[[SessionManager], object]] = {
    "fork": lambda s: home(s).fork(title="Forked"),
    "fork of a part": lambda s: home(s).fork(at=12),
    "purge": lambda s: home(s).purge(),
    "purge of messages": lambda s: home(s).purge(2, 12),
    "delete": lambda s: home(s).delete(),
    "reset": lambda s: s.for_owner("ann").reset(HOME),
    "reset of a session": lambda s: home(s).reset(),
    "resume": lambda s: s.for_owner("ann").resume(GROUP, home(s).id),
    "rewind": lambda s: home(s).rewind(3),
    "retain": lambda s: home(s).retain(last=3),
    "truncate": lambda s: home(s).truncate(after=8),
    "clear": lambda s: home(s).clear(),
    "replace": lambda s: home(s).replace(user("n1"), assistant("n2"), user("n3")),
    "edit": lambda s: home(s).edit(9, "n1"),
    "delete a message": lambda s: home(s).delete_message(9),
    "withdraw": lambda s: home(s).withdraw_summary(),
    "retry": lambda s: home(s).retry(timeout=0),
    "subagent": lambda s: home(s).subagent(alias="sub"),
    "append by key": lambda s: s.for_owner("ann").get_or_create("new").append(user("n1"), assistant("n2")),
    "rename": lambda s: home(s).rename("Trip", numbered=True),
    "restore": lambda s: [s.restore(i.id) for i in s.list(limit=100, include_deleted=True) if i.deleted_at],
}


def home(sessions: SessionManager) -> Session:
    """The conversation at home."""
    return sessions.for_owner("ann").get("trip")


@pytest.mark.parametrize("carry_over", [2, "summary"])
@pytest.mark.parametrize("name", ONCE)
def test_what_cannot_be_done_again_is_done_or_not(name: str, carry_over: CarryOver, clock: Clock) -> None:
    """What is left half made is seen by nobody, and the next sweep takes it away."""
    policy = ResetPolicy(carry_over=carry_over)
    before = filled(clock)
    began = clock.time

    def act(store: Store) -> None:
        ONCE[name](palaver.open(store, clock=clock, reset_policy=policy))

    def later(store: MemoryStore) -> list[str]:
        sessions = palaver.open(store, clock=clock)
        clock.time = began
        clock.later()
        sessions.sweep()
        assert sessions.check() == []
        clock.time = began
        return told(sessions)

    ended = copied(before)
    act(ended)
    ends = [later(copied(before)), later(ended)]
    seen = []
    for survived, store in survive(partial(copied, before), act):
        everybody = palaver.open(store, clock=clock)
        assert everybody.check() == [], survived
        seen.append(ends.index(later(store)))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == len({*map(tuple, ends)}) - 1
