"""What the store machine found, as the shortest stories that show it: every store, and every process, says the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from palaver import codec
from palaver.errors import PalaverError
from palaver.model import Message, Usage, assistant, user
from palaver.operations import (
    Append,
    Begin,
    Begun,
    Bind,
    Create,
    Cut,
    Finish,
    Hold,
    Lease,
    NewSession,
    Operation,
    RecordUsage,
)
from palaver.stores import Store, open_store
from palaver.times import SECOND, from_micros
from tests.store_book import plain
from tests.store_operations import (
    LATER,
    START,
)


def answers_of(batches: list[list[Operation]], read: Callable[[Store], Any]) -> list[Any]:
    """What the memory store, the SQLite store that wrote, and another one on its file then read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with open_store("memory://") as memory, open_store(path) as writer:
            for batch in batches:
                expected = [plain(answer) for answer in memory.commit(batch)]
                assert [plain(answer) for answer in writer.commit(batch)] == expected
                read(writer)  # whatever it keeps of this must not be what it says later
            with open_store(path) as other:
                return [read(store) for store in (memory, writer, other)]


def create(at: int, name: str, key: str | None = None) -> Operation:
    """An empty session."""
    return Create(at=START + at, key=key, new=NewSession(id=name, explicit=True))


def say(at: int, *given: Message) -> Operation:
    """Messages at the end of session `s`."""
    return Append(at=START + at, session_id="s", messages=tuple(codec.draft(message) for message in given))


def begin(at: int, token: str, message: Message | None = None, **fields: Any) -> Operation:
    """A turn in session `s`."""
    given = codec.draft(message) if message is not None else None
    return Begin(at=START + at, session_id="s", message=given, lease=Lease(token, 600 * SECOND), **fields)


def finish(at: int, token: str, *given: Message, **fields: Any) -> Operation:
    """The end of that turn."""
    drafted = tuple(codec.draft(message) for message in given)
    return Finish(at=START + at, session_id="s", token=token, messages=drafted, **fields)


def test_keys_come_in_one_order_under_any_clock() -> None:
    """Keys that were bound at one instant, or under a clock that was set back, are listed alike by every store."""
    for at in (0, -5):
        bind: Operation = Bind(at=START + at, key="a", session_id="s")
        found = answers_of([[create(0, "s", "z")], [bind]], lambda s: s.info("s", None, from_micros(START)).keys)
        assert found[0] == found[1] == found[2]


def test_activity_is_the_same_for_every_process() -> None:
    """When a session was last active does not depend on who asks: not after a message with a time of its own.

    Nor after the clock was set back by less than a second.
    """
    for after in (say(300_000, user("b")), say(700_000, user("b", created_at=LATER))):
        batches = [[create(0, "s")], [say(0, user("a"))], [say(700_000, user("c"))], [after]]
        found = answers_of(batches, lambda s: s.info("s", None, from_micros(START)).last_active_at)
        assert found == [from_micros(START + 700_000)] * 3


def test_the_newest_of_two_usages_at_one_instant_is_one() -> None:
    """Which model a session used last is decided alike where two were charged at once."""
    charges: list[Operation] = [
        RecordUsage(at=START, session_id="s", usage=Usage(input_tokens=tokens, model=model))
        for model, tokens in (("n", 1), ("m", 2))
    ]
    found = answers_of([[create(0, "s")], charges], lambda s: s.info("s", None, from_micros(START)).usage)
    assert found[0] == found[1] == found[2]


def test_no_window_begins_inside_a_cut_on_the_second_read_either() -> None:
    """A kept tail gives up an anchor that a cut covers, as the one that was read from the rows did."""
    cut: Operation = Cut(at=START, session_id="s", from_seq=1, through_seq=1, kind="delete")
    batches = [
        [create(0, "s"), begin(0, "t", user("a")), finish(0, "t", assistant("b"), user("c"), anchor=1)],
        [cut],
        [say(1, user("d"))],
    ]

    def anchors(store: Store) -> list[int | None]:
        return [store.tail("s", None, from_micros(START), limit=9).anchor for _ in range(3)]

    assert answers_of(batches, anchors) == [[None] * 3] * 3


def test_a_message_that_a_turn_adopts_in_the_same_commit_is_stored() -> None:
    """One caller appends a message, another begins a turn with it, and both are committed together."""
    batch = [create(0, "s"), say(0, user("a", id="m1")), begin(0, "t", user("a", id="m1"))]
    found = answers_of([batch], lambda s: [(m.seq, m.text) for m in s.page("s", None)])
    assert found == [[(1, "a")]] * 3


def test_begin_tells_where_the_message_stands_that_it_was_given() -> None:
    """A turn that begins with one of several messages that waited says where that one stands."""
    waited = [user("b", id="m2"), user("c", id="m3")]
    batches = [
        [create(0, "s"), begin(0, "t", user("a"))],
        [begin(1, f"w{n}", message, on_busy="store") for n, message in enumerate(waited)],
        [finish(2, "t", assistant("well"))],
    ]
    with open_store("memory://") as store:
        for batch in batches:
            store.commit(batch)
        begun = store.commit([begin(3, "u", waited[1])])[0]
        assert isinstance(begun, Begun)
        assert (begun.kind, begun.seq, begun.queued) == ("begun", 3, (2,))


def test_no_turn_takes_the_place_of_another() -> None:
    """Each turn that was begun can be read by its first position afterwards, also one that stored nothing itself."""
    batches = [
        [create(0, "s"), begin(0, "t", user("a")), begin(0, "w", user("b"), on_busy="store")],
        [finish(1, "t", assistant("well"))],
        [begin(2, "u")],
        [finish(3, "u", state="interrupted")],
        [begin(4, "v", user("c")), finish(5, "v", assistant("done"))],
    ]

    def states(store: Store) -> list[str]:
        found = [store.turn("s", None, seq) for seq in range(1, 9)]
        return [f"{turn.token} {turn.state}" for turn in found if turn is not None]

    assert answers_of(batches, states) == [["t finished", "u interrupted", "v finished"]] * 3


UNFIT: dict[str, Operation] = {
    "a cost that is no number": RecordUsage(at=START, session_id="s", usage=Usage(cost=Decimal("NaN"))),
    "a cost without end": RecordUsage(at=START, session_id="s", usage=Usage(cost=Decimal("Infinity"))),
    "a title with half a character": Create(at=START, new=NewSession(id="t", explicit=True, title="\ud83d")),
    "a session id with half a character": Create(at=START, new=NewSession(id="\ud83d", explicit=True)),
    "a key with half a character": Bind(at=START, key="\ud83d", session_id="s"),
    "an owner with half a character": Create(at=START, owner="\ud83d", new=NewSession(id="t", explicit=True)),
    "a hold with half a character": Hold(at=START, session_id="s", name="\ud83d", until=START + 9),
    "a time beyond all calendars": say(2**62, user("b")),
}


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
@pytest.mark.parametrize("name", UNFIT)
def test_a_value_that_cannot_be_kept_fails_alone(tmp_path: Path, url: str, name: str) -> None:
    """One bad operation is refused, and neither the others of its commit nor the store suffer for it."""
    with open_store(tmp_path / "a.db" if url == "sqlite" else url) as store:
        answers = store.commit([create(0, "s"), say(0, user("a")), UNFIT[name], say(0, user("c"))])
        assert isinstance(answers[2], PalaverError)
        assert [m.text for m in store.page("s", None)] == ["a", "c"]
        assert not isinstance(store.commit([say(1, user("d"))])[0], Exception)
