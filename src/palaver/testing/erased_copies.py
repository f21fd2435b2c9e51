"""Conformance: what was erased is gone from copies too, and no copy of it brings it back."""

from __future__ import annotations

from palaver import codec
from palaver.erasure import Owner, SessionTarget, mark, marks_of
from palaver.errors import ContentErased
from palaver.media import address_of, as_text
from palaver.model import ImagePart, user
from palaver.operations import (
    Append,
    Begin,
    Compact,
    Create,
    ErasedMessages,
    EraseMessages,
    EraseSession,
    EraseSummaries,
    KeyMoved,
)
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.erasure_material import erase_person, erase_session, finish, said, start
from palaver.testing.material import (
    AT,
    DAY,
    NOW,
    append,
    create,
    do,
    drafts,
    later,
    lease,
    live,
    new,
    refused,
    texts,
)

__all__ = ["ErasedCopies"]


class ErasedCopies(StoreCase):
    """Forks, carried summaries, shared media; then imports and redeliveries, held against the marks of an erasure."""

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
