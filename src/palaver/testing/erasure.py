"""Conformance: what was erased is gone from every read, stays gone, and does not come back."""

from __future__ import annotations

from typing import Any

import pytest

from palaver import codec
from palaver.erasure import Erasure, Owner, Person, SessionTarget, Target, mark, marks_of
from palaver.errors import ContentErased, SessionConflict, SessionNotFound, TurnLost
from palaver.media import address_of, as_text
from palaver.model import ImagePart, Message, Sender, Usage, assistant, tool, user
from palaver.operations import (
    Append,
    Begin,
    BeginErasure,
    ClearErased,
    Compact,
    Create,
    Cut,
    Edit,
    ErasedMessages,
    EraseMessages,
    EraseSession,
    EraseSummaries,
    EraseTraces,
    Finish,
    FinishErasure,
    KeyMoved,
    PurgeSession,
    RecordUsage,
    Redo,
    Restore,
    Scrubbed,
    SetInfo,
)
from palaver.search import SearchQuery
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import (
    AT,
    DAY,
    DELETED,
    EVERYTHING,
    NOW,
    append,
    begin,
    create,
    do,
    drafts,
    drain,
    later,
    lease,
    live,
    new,
    refused,
    seqs,
    stored,
    texts,
)

__all__ = ["Erasures"]

SECRET = bytes(range(32))
ANA = Person("telegram", ("7", "uuid-7"))
ORIGIN = '{"platform":"telegram","chat_type":"group","chat_id":"-5","user_id":"7","user_name":"Ana"}'


def said(text: str, sender: str = "7", **fields: Any) -> Message:
    """A message of somebody in a group."""
    return user(text, sender=Sender(id=sender), **fields)


def start(store: Store, target: Target, erasure_id: str = "e") -> Erasure:
    """Put an erasure on record."""
    row: Erasure = do(store, BeginErasure(at=AT, erasure_id=erasure_id, target=target, secret=SECRET))
    return row


def finish(store: Store) -> None:
    """Put on record that everything is gone."""
    do(store, FinishErasure(at=AT, erasure_id="e"))


def erase_session(store: Store, session_id: str = "s", target: Target | None = None) -> None:
    """Erase one session as a flow does."""
    start(store, target or SessionTarget(session_id))
    last = do(store, EraseSession(at=AT, erasure_id="e", session_id=session_id))
    for first in range(1, last + 1, 2):
        do(store, EraseMessages(at=AT, erasure_id="e", session_id=session_id, from_seq=first, through_seq=first + 1))
    do(store, ClearErased(at=AT, erasure_id="e", session_id=session_id))
    finish(store)


def erase_person(store: Store, session_id: str = "s", step: int = 100, *, dry_run: bool = False) -> int:
    """Erase what ANA said in a session; gives how many messages went."""
    start(store, ANA)
    gone, state = 0, ErasedMessages(0)
    for first in range(1, 100, step):
        state = do(
            store,
            EraseMessages(
                at=AT,
                erasure_id="e",
                session_id=session_id,
                from_seq=first,
                through_seq=first + step - 1,
                person=ANA,
                following=state.following,
                turn=state.turn,
                dry_run=dry_run,
            ),
        )
        gone += state.gone
    finish(store)
    return gone


class Erasures(StoreCase):
    """BeginErasure and what follows it."""

    def test_an_erased_session_is_gone(self, store: Store) -> None:
        """Messages, versions, media, ids, names, keys, turns and summaries; its numbers and what it used stay."""
        picture = user(ImagePart(data=as_text(b"x" * 20_000)))
        create(store, "s", user("a", id="m1"), picture, "c", key="k", alias="mine", owner="ann")
        do(store, SetInfo(at=AT, session_id="s", title="plans", metadata='{"a":1}', tags=("t",)))
        do(store, Compact(at=AT, session_id="s", through_seq=1, text="so far"))
        do(store, Edit(at=AT, session_id="s", seq=3, message=drafts("C")[0]))
        begin(store, "d")
        do(store, RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=5)))
        erase_session(store)
        assert store.sessions(EVERYTHING, NOW) == []
        [row] = store.sessions(DELETED, NOW)
        told = (row.title, row.preview, row.metadata, row.tags, row.origin, row.keys, row.message_count, row.parent)
        assert told == (None, None, {}, (), None, (), 0, None)
        assert (row.last_seq, row.end_reason, row.owner) == (4, "erased", "ann")
        assert store.current("ann", "k", NOW) is None
        assert store.named("ann", "mine") is None
        assert store.open_turns(None, NOW) == []
        assert store.usage(None)[0].usage.input_tokens == 5
        assert list(store.search(SearchQuery(text="c"))) == []
        [record] = store.erasures()
        assert (record.target, record.ended_at) == (None, AT)
        assert record.counts == {
            "sessions": 1,
            "keys": 1,
            "aliases": 1,
            "messages": 4,
            "versions": 1,
            "media": 1,
            "summaries": 1,
        }

    def test_nobody_can_bring_it_back(self, store: Store) -> None:
        """Not by restoring, writing, taking its id, or going on with its turn."""
        create(store, "s", "a", key="k")
        begin(store, "b")
        start(store, SessionTarget("s"))
        do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
        refused(store, Restore(at=AT, session_id="s"), SessionNotFound)
        refused(store, PurgeSession(at=AT, session_id="s"), SessionNotFound)
        refused(store, Finish(at=AT, session_id="s", token="t1", messages=drafts("late")), SessionNotFound)  # noqa: S106
        refused(store, Append(at=AT, session_id="s", messages=drafts("late")), SessionNotFound)
        refused(store, Create(at=AT, new=new("s")), SessionConflict)
        finish(store)

    def test_an_owner_leaves_a_pseudonym(self, store: Store) -> None:
        """What an erased owner used still adds up, under a name that says nothing, the same for all of theirs."""
        for name in ("s", "t"):
            create(store, name, "a", owner="ann")
            do(store, RecordUsage(at=AT, session_id=name, usage=Usage(input_tokens=5)))
        start(store, Owner("ann"))
        for name in ("s", "t"):
            do(store, EraseSession(at=AT, erasure_id="e", session_id=name))
        owners = {line.owner for line in store.usage(None)}
        assert len(owners) == 1
        assert "ann" not in str(owners.pop())
        assert store.usage("ann") == []
        assert store.stats(None).usage.input_tokens == 10
        finish(store)

    def test_erasing_again_is_erasing_once(self, store: Store) -> None:
        """Every step may be repeated, as after a crash: nothing is counted twice."""
        create(store, "s", "a", "b", "c", key="k")
        erase_session(store)
        before = store.erasures()
        assert do(store, EraseSession(at=AT, erasure_id="e", session_id="s")) == 3
        again = EraseMessages(at=AT, erasure_id="e", session_id="s", from_seq=1, through_seq=3)
        assert do(store, again).gone == 0
        do(store, ClearErased(at=AT, erasure_id="e", session_id="s"))
        finish(store)
        assert store.erasures() == before
        do(store, Scrubbed(at=AT, erasure_ids=("e",)))
        assert store.erasures()[0].scrubbed_at == AT

    def test_steps_need_their_record(self, store: Store) -> None:
        """No session is erased that no erasure was begun for; what lives on is not removed without a person."""
        create(store, "s", "a")
        refused(store, EraseSession(at=AT, erasure_id="e", session_id="s"), SessionConflict)
        refused(store, FinishErasure(at=AT, erasure_id="e"), SessionConflict)
        start(store, SessionTarget("s"))
        refused(store, EraseSession(at=AT, erasure_id="e", session_id="nobody"), SessionNotFound)
        step = EraseMessages(at=AT, erasure_id="e", session_id="s", from_seq=1, through_seq=1)
        refused(store, step, SessionConflict)
        refused(store, ClearErased(at=AT, erasure_id="e", session_id="s"), SessionConflict)
        finish(store)

    # ------------------------------------------------------------------ one person of several
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

    # ------------------------------------------------------------------ copies
    def test_copies_go_too(self, store: Store) -> None:
        """Of an erased session, and of one erased message; the fork's own messages stay, and other copies do."""
        create(store, "s", said("hers"), said("his", "8"))
        copies = drafts(user("hers", copied_from="s~1"), user("his", copied_from="s~2"), user("x", copied_from="t~1"))
        do(store, Create(at=AT, new=new("f", parent="s", parent_kind="fork", carried=copies)))
        append(store, "f", "own")
        erase_person(store)
        step = EraseMessages(at=AT, erasure_id="e", session_id="f", from_seq=1, through_seq=2, copies=True)
        assert do(store, step) == ErasedMessages(1, copies=True, left=1)
        assert texts(live(store, "f")) == ["his", "x", "own"]
        do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
        assert do(store, step) == ErasedMessages(1, copies=True, earlier=True)
        assert texts(live(store, "f")) == ["x", "own"]

    def test_a_carried_summary_goes(self, store: Store) -> None:
        """And what went on from it; a session that began without one keeps its own."""
        create(store, "s", "a")
        do(store, Create(at=AT, new=new("t", parent="s", parent_kind="reset", summary="they met")))
        append(store, "t", "b")
        do(store, Compact(at=AT, session_id="t", through_seq=1, text="they met, and b", expected=1))
        create(store, "u", "c")
        do(store, Compact(at=AT, session_id="u", through_seq=1, text="c"))
        start(store, SessionTarget("s"))
        assert do(store, EraseSummaries(at=AT, erasure_id="e", session_id="t")) == 2
        assert do(store, EraseSummaries(at=AT, erasure_id="e", session_id="t")) == 0
        assert do(store, EraseSummaries(at=AT, erasure_id="e", session_id="u")) == 0
        assert store.tail("t", None, NOW, limit=9).summary is None
        assert store.tail("u", None, NOW, limit=9).summary is not None
        finish(store)

    def test_a_copy_made_before_arrives_too_late(self, store: Store) -> None:
        """Who read a message to copy it, and writes when it was erased, is refused and stores nothing."""
        create(store, "s", said("hers"))
        [message] = live(store)
        copy = drafts(message.replace(seq=0, id=None, copied_from="s~1"))
        create(store, "f", "own")
        erase_person(store)
        refused(store, Append(at=AT, session_id="f", messages=copy), ContentErased)
        refused(store, Create(at=AT, new=new("g", carried=copy)), KeyMoved)

    def test_media_goes_with_the_last_who_shows_it(self, store: Store) -> None:
        """What somebody else sent too stays theirs."""
        mine, both = (user(ImagePart(data=as_text(bytes([n]) * 20_000))) for n in (1, 2))
        create(store, "s", mine, both)
        create(store, "t", both, owner="bob")
        erase_session(store)
        [address] = [address_of(bytes([2]) * 20_000)]
        assert store.blobs("t", None, [address, address_of(bytes([1]) * 20_000)]) == {address: bytes([2]) * 20_000}

    # ------------------------------------------------------------------ what keeps it out
    def test_what_is_restored_is_held_against_it(self, store: Store) -> None:
        """An import of the same message is refused, under any session and owner; another message is taken."""
        first = user("a", created_at=later(-DAY))
        create(store, "s", first, user("b", id="m2"))
        kept = [user("b", created_at=later(-DAY)), user("a", created_at=later(-DAY + 1)), user("a"), user("c", id="m2")]
        erase_session(store)
        create(store, "t", owner="bob")
        for lost in (first, user("b", id="m2")):
            refused(store, Append(at=AT, session_id="t", messages=drafts("x", lost), restoring=True), ContentErased)
        do(store, Append(at=AT, session_id="t", messages=drafts(*kept), restoring=True))
        assert texts(live(store, "t")) == ["b", "a", "a", "c"]

    def test_a_store_that_erased_nothing_keeps_nothing_out(self, store: Store) -> None:
        """Restoring is appending there."""
        create(store)
        do(store, Append(at=AT, session_id="s", messages=drafts(user("a", id="m1")), restoring=True))
        assert store.erased([mark("session", "s")]) == {}

    def test_a_redelivery_is_refused_for_a_day(self, store: Store) -> None:
        """The platform sends an erased message again, under its key: it begins nothing. Others are taken at once."""
        hers = user("a", id="m1")
        create(store, "s", hers, key="k")
        create(store, "s2", key="other")
        erase_session(store)
        again = Begin(at=AT, key="k", create=new("t"), message=drafts(hers)[0], lease=lease("t1"))
        refused(store, again, ContentErased)
        begun = do(store, Begin(at=AT, key="k", create=new("t"), message=drafts("hello")[0], lease=lease("t1")))
        assert (begun.session_id, begun.seq, begun.first_contact) == ("t", 1, True)
        refused(store, Append(at=AT, session_id="t", messages=drafts(hers)), ContentErased)
        append(store, "t", user("other words", id="m1"))
        append(store, "s2", hers)
        append(store, "t", user("a", id="m3"), at=AT + DAY)
        do(store, Append(at=AT + DAY, session_id="t", messages=drafts(user("a", id="m4"))))

    def test_marks_answer_for_what_was_erased_alone(self, store: Store) -> None:
        """Of sessions, names, keys, owners and persons too; each erasure adds its own."""
        create(store, "s", user("a", id="m1"), key="k", alias="mine", owner="ann")
        message = codec.decode(drafts(user("a", id="m1"))[0].body)
        asked = [
            mark("session", "s"),
            mark("alias", "mine"),
            mark("key", "ann", "k"),
            mark("owner", "ann"),
            *marks_of(message, "m1", AT),
        ]
        others = [mark("session", "t"), mark("owner", "bob"), mark("key", "", "k"), *marks_of(message, "m2", AT + 1)]
        assert store.erased([*asked, *others]) == {}
        erase_session(store, target=Owner("ann"))
        assert set(store.erased([*asked, *others])) == {*asked}

    def test_it_outlives_a_restart(self, open_store: OpenStore) -> None:
        """The record of what is under way, its marks and counts; a scrubbed store says the same as before."""
        with open_store() as store:
            create(store, "s", user("a", id="m1"), "b")
            start(store, SessionTarget("s"))
            do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
            before = store.erasures()
            assert before[0].target == SessionTarget("s")
            assert [finding.kind for finding in store.check()] == ["erasure"]
            if not self.persistent:
                return
        with open_store() as store:
            assert store.erasures() == before
            step = EraseMessages(at=AT, erasure_id="e", session_id="s", from_seq=1, through_seq=2)
            assert do(store, step).gone == 2
            assert store.scrub().done
            do(store, FinishErasure(at=AT, erasure_id="e"))
            assert store.check() == []
            assert store.erased([mark("session", "s")]) == {mark("session", "s"): AT}

    def test_the_feed_says_so_without_content(self, store: Store) -> None:
        """A session and each range of messages is named as erased; nothing else is told."""
        create(store, "s", said("his", "8"), said("hers"), said("his", "8"), said("hers"))
        erase_person(store)
        do(store, EraseSession(at=AT, erasure_id="e", session_id="s"))
        told = [(c.kind, c.from_seq, c.through_seq) for c in drain(store) if c.kind == "erased"]
        assert told == [("erased", 2, 2), ("erased", 4, 4), ("erased", 1, 4)]
