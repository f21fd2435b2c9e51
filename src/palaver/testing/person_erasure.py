"""Conformance: of a session that others take part in, what one person said is erased, and what answered it."""

from __future__ import annotations

import pytest

from palaver.errors import SessionConflict, TurnLost
from palaver.model import assistant, tool, user
from palaver.operations import (
    Append,
    Begin,
    Compact,
    Create,
    Cut,
    Edit,
    EraseTraces,
    Finish,
    Redo,
    SetInfo,
)
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.erasure_material import ANA, ORIGIN, erase_person, finish, said, start
from palaver.testing.material import (
    AT,
    NOW,
    append,
    begin,
    create,
    do,
    drafts,
    drain,
    lease,
    live,
    new,
    refused,
    seqs,
    stored,
    texts,
)

__all__ = ["PersonErasures"]


class PersonErasures(StoreCase):
    """EraseMessages and EraseTraces for a person."""

    @pytest.mark.parametrize("step", [100, 3, 1])
    def test_of_a_shared_session_goes_one_person(self, store: Store, step: int) -> None:
        """What they said under any id, and what answered it until somebody else spoke; in steps of any size."""
        create(
            store,
            "s",
            said("hers"),
            assistant("to her"),
            tool("c1", "hers too"),
            said("his", "8"),
            assistant("to him"),
            said("hers again", "uuid-7"),
            assistant("to her again"),
            user("nobody's"),
        )
        assert erase_person(store, step=step) == 5
        assert texts(live(store)) == ["his", "to him", "nobody's"]
        assert seqs(stored(store)) == [4, 5, 8]
        assert store.info("s", None, NOW).message_count == 3
        counts = store.erasures()[0].counts
        assert (counts["messages"], counts["unattributed"]) == (5, 1)
        assert append(store, "s", "next").seqs == (9,)

    def test_a_turn_goes_with_who_began_it(self, store: Store) -> None:
        """The answer of a turn is hers although somebody spoke meanwhile, and his is not."""
        create(store)
        begin(store, said("hers"))
        queued = Begin(at=AT, session_id="s", message=drafts(said("his", "8"))[0], lease=lease("t2"), on_busy="store")
        do(store, queued)
        do(store, Finish(at=AT, session_id="s", token="t1", messages=drafts(assistant("to her"))))  # noqa: S106
        do(store, Begin(at=AT, session_id="s", lease=lease("t3")))
        do(store, Finish(at=AT, session_id="s", token="t3", messages=drafts(assistant("to him"))))  # noqa: S106
        assert erase_person(store, step=1) == 2
        assert texts(live(store)) == ["his", "to him"]

    def test_a_running_turn_ends(self, store: Store) -> None:
        """Its holder stores nothing more: the message that it answers is gone."""
        create(store)
        begin(store, said("hers"))
        erase_person(store)
        assert store.open_turns(None, NOW) == []
        late = Append(at=AT, session_id="s", messages=drafts(assistant("late")), token="t1")  # noqa: S106
        refused(store, late, TurnLost)
        assert stored(store) == []

    def test_a_dry_run_counts_and_changes_nothing(self, store: Store) -> None:
        """It says what would go."""
        create(store, "s", said("hers"), said("his", "8"), said("hers", "7"))
        start(store, ANA)
        before = drain(store)
        assert erase_person(store, dry_run=True) == 2
        assert (len(live(store)), drain(store), store.erasures()[0].counts) == (3, before, {})

    def test_what_quotes_her_goes(self, store: Store) -> None:
        """Summaries that reach her words, a preview and a title made of them, earlier versions; others stay."""
        create(store, "s", said("his", "8"), said("Rome by train, please"), said("more", "8"))
        do(store, Compact(at=AT, session_id="s", through_seq=1, text="he spoke"))
        do(store, Compact(at=AT, session_id="s", through_seq=2, text="she wants Rome", expected=1))
        do(store, SetInfo(at=AT, session_id="s", title="Rome by train"))
        do(store, Edit(at=AT, session_id="s", seq=2, message=drafts(said("Rome by bus"))[0]))
        erase_person(store)
        info = store.info("s", None, NOW)
        assert (info.title, info.preview) == (None, "his")
        summary = store.tail("s", None, NOW, limit=9).summary
        assert summary is not None
        assert summary.text == "he spoke"
        assert list(store.versions("s", None, 2)) == []
        assert store.erasures()[0].counts["summaries"] == 1

    def test_her_names_go(self, store: Store) -> None:
        """Out of the origin of a session that she began, and the keys that are hers."""
        made = Create(at=AT, key="telegram:dm:7", new=new("t", origin=ORIGIN))
        do(store, made)
        start(store, ANA)
        traces = EraseTraces(at=AT, erasure_id="e", session_id="t", person=ANA, keys=(("", "telegram:dm:7"),))
        do(store, traces)
        info = store.info("t", None, NOW)
        assert info.origin is not None
        assert (info.origin.chat_id, info.origin.user_id, info.origin.user_name, info.keys) == ("-5", None, None, ())
        assert info.ended_at is not None
        do(store, traces)
        finish(store)

    def test_redo_does_not_bring_it_back(self, store: Store) -> None:
        """What was taken back before it was erased stays gone; the rest comes back."""
        create(store, "s", said("his", "8"), said("hers"), said("his too", "8"))
        do(store, Cut(at=AT, session_id="s", from_seq=1, through_seq=3, kind="clear"))
        erase_person(store)
        refused(store, Redo(at=AT, session_id="s"), SessionConflict)
        assert texts(stored(store)) == ["his", "his too"]
        assert store.info("s", None, NOW).message_count == 0
