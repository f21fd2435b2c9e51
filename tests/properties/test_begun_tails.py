"""What a turn starts from is what a fresh read finds, also where the store knew it without one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver import PalaverError, Session, SessionManager, ToolCall, assistant, tool, user
from palaver.operations import Begun
from palaver.stores.sqlite.reads import Reads
from palaver.stores.sqlite.store import SqliteStore
from palaver.window import Tail

STEPS = (
    *("turn", "turn", "turn with tools", "append", "waiting", "rewind", "edit", "delete", "failed", "rolled back"),
    *("hint", "taken along", "taken along elsewhere", "taken along, answered elsewhere", "added to elsewhere"),
)


class Comparing(SqliteStore):
    """A store that compares what it gives to a turn with what another one reads."""

    begun = reads = begun_reads = 0
    """Tails that turns were given, all reads, and those that were made for these tails."""

    @contextmanager
    def _reading(self) -> Generator[Reads]:
        self.reads += 1
        with super()._reading() as reads:
            yield reads

    def tail(
        self, session_id: str, owner: str | None, now: datetime, *, limit: int, begun: Begun | None = None
    ) -> Tail:
        """The tail, compared."""
        before = self.reads
        found = super().tail(session_id, owner, now, limit=limit, begun=begun)
        if begun is not None:
            self.begun += 1
            self.begun_reads += self.reads - before
            fresh = SqliteStore(self._opener.path, read_only=True)
            try:
                assert found == fresh.tail(session_id, owner, now, limit=limit)
            finally:
                fresh.close()
        return found


def act(session: Session, step: str, number: int, size: int, elsewhere: SessionManager | None = None) -> None:
    """One thing that somebody does to a session; a part of it may be done elsewhere."""
    name = f"{step} {number}"
    if step == "append":
        session.append(user(name), assistant("yes"))
    elif step == "hint":
        session.append(palaver.system(name))
    elif step == "rewind":
        session.rewind(turns=1)
    elif step in ("edit", "delete"):
        last = session.messages(limit=3)
        if last and step == "edit":
            session.edit(last[-1].seq, user(name) if last[-1].role == "user" else assistant(name))
        elif last:
            session.delete_message(last[-1].seq)
    else:
        run(session, step, number, size, elsewhere)


def run(session: Session, step: str, number: int, size: int, elsewhere: SessionManager | None) -> None:
    """One turn, to its end."""
    name = f"{step} {number}"
    with session.begin_turn(user(name), max_messages=size) as turn:
        if step == "waiting" or step.startswith("taken along"):
            session.begin_turn(user(f"{name} more"), on_busy="store", max_messages=size)
        there = elsewhere.turn(turn.id or "") if elsewhere is not None and "elsewhere" in step else turn
        if step.startswith("taken along"):
            assert [m.text for m in (there if step.endswith("along elsewhere") else turn).inbox()]
        if step == "added to elsewhere":
            there.append(assistant(f"{name}, let me see"))
        if step == "turn with tools":
            turn.append(assistant("", ToolCall(call_id=f"c{number}", name="look", arguments="{}")))
            turn.append(tool(f"c{number}", "seen"))
        if step == "failed":
            turn.fail("it did not work")
        elif step == "rolled back":
            turn.rollback()
        else:
            (there if step.endswith("answered elsewhere") else turn).finish(assistant(f"{name}!"))


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.booleans(), st.sampled_from((3, 6, 50))), min_size=2, max_size=14))
def test_it_is_what_is_stored(steps: list[tuple[str, bool, int]]) -> None:
    """Two processes' worth of connections take turns with one session, in any order."""
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "store.db")
        with palaver.open(Comparing(path)) as one, palaver.open(Comparing(path)) as other:
            session = one.get_or_create("k")
            session.append(palaver.system("Be brief."), user("hello"), assistant("hi"))
            for number, (step, mine, size) in enumerate(steps):
                at = session if mine else other.get(session.id)
                try:
                    act(at, step, number, size, other if mine else one)
                except PalaverError:
                    continue  # such as an edit of what an edit does not reach


def test_what_a_turn_took_hides_no_answer(tmp_path: Path) -> None:
    """A message that waited is stored, and stored again as the turn's; the answer comes by another process."""
    path = str(tmp_path / "store.db")
    with palaver.open(Comparing(path)) as one, palaver.open(SqliteStore(path)) as other:
        session = one.get_or_create("k")
        session.append(user("hello"), assistant("hi"))
        turn = session.begin_turn(user("where is my parcel?"))
        session.begin_turn(user("the blue one"), on_busy="store")
        assert [m.text for m in turn.inbox()] == ["the blue one"]
        other.turn(turn.id or "").finish(assistant("in Ghent"))
        after = session.begin_turn(user("thanks"))
        said = [m.text for m in after.window.messages]
    assert said == ["hello", "hi", "where is my parcel?", "the blue one", "in Ghent", "thanks"]


def test_ordinary_turns_are_known(tmp_path: Path) -> None:
    """From the second one on nothing is read between a turn's beginning and its window."""
    store = Comparing(str(tmp_path / "store.db"))
    with palaver.open(store) as sessions:
        session = sessions.get_or_create("k")
        session.append(user("hello"), assistant("hi"))
        act(session, "turn", 0, 50)
        store.begun_reads = 0
        for number in range(1, 9):
            act(session, "turn with tools" if number % 2 else "turn", number, 50)
    assert store.begun == 9
    assert store.begun_reads == 0
