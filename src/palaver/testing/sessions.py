"""Conformance: sessions are made, reset, and found by nobody whom they do not belong to."""

from __future__ import annotations

import msgspec
import pytest

from palaver.errors import InvalidKey, SessionConflict, SessionEnded, SessionNotFound, TurnLost
from palaver.keys import Origin
from palaver.model import Usage, assistant, system, user
from palaver.operations import (
    Alias,
    Append,
    Begin,
    Bind,
    Compact,
    Create,
    Cut,
    Finish,
    Hold,
    KeyMoved,
    Operation,
    Purge,
    RecordUsage,
    Renew,
    Rotate,
    Rotated,
    SetInfo,
    Take,
)
from palaver.stores.base import Store
from palaver.testing.base import StoreCase
from palaver.testing.material import (
    AT,
    EVERYTHING,
    HOUR,
    MINUTE,
    NOW,
    append,
    batch,
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
    texts,
)

__all__ = ["Creation", "Ownership", "Resets"]

TARGETED: list[Operation] = [
    Append(at=AT, session_id="s", messages=drafts("x")),
    RecordUsage(at=AT, session_id="s", usage=Usage(input_tokens=1)),
    Begin(at=AT, session_id="s", message=drafts("x")[0], lease=lease("t")),
    Renew(at=AT, session_id="s", token="t1", micros=1),  # noqa: S106
    Finish(at=AT, session_id="s", token="t1"),  # noqa: S106
    Take(at=AT, session_id="s", token="t1"),  # noqa: S106
    Rotate(at=AT, session_id="s", new=new("s2")),
    Bind(at=AT, key="k2", session_id="s"),
    SetInfo(at=AT, session_id="s", metadata='{"a":1}'),
    Alias(at=AT, session_id="s", alias="y"),
    Hold(at=AT, session_id="s", name="h", until=AT + HOUR),
    Cut(at=AT, session_id="s", from_seq=1, through_seq=1, kind="clear"),
    Purge(at=AT, session_id="s", from_seq=1, through_seq=1),
    Compact(at=AT, session_id="s", through_seq=1, text="x"),
]
"""Every operation that names a session, as it would be done to session s."""


def _named(operation: Operation) -> str:
    return type(operation).__name__


class Creation(StoreCase):
    """Create."""

    def test_a_session_made_on_purpose(self, store: Store) -> None:
        """It is stored at once with everything that was given, at rev 0 and without messages."""
        origin = Origin("telegram", chat_id="42")
        fields = {
            "explicit": True,
            "origin": msgspec.json.encode(origin).decode(),
            "title": "Plans",
            "metadata": '{"a":[1,null]}',
        }
        do(store, Create(at=AT, owner="ann", key="k", alias="mine", new=new("s", **fields)))
        info = store.info("s", "ann", NOW)
        assert (info.id, info.owner, info.keys, info.title) == ("s", "ann", ("k",), "Plans")
        assert (info.origin, info.metadata) == (origin, {"a": [1, None]})
        assert (info.rev, info.last_seq, info.message_count) == (0, 0, 0)
        assert info.created_at == info.last_active_at == NOW
        assert (info.ended_at, info.parent, info.preview, info.usage, info.turn_running) == (None,) * 4 + (False,)
        assert (store.named("ann", "mine"), info.aliases) == ("s", ("mine",))
        assert [(c.kind, c.session_id) for c in drain(store)] == [("created", "s")]

    def test_ids_are_unique_in_the_store(self, store: Store) -> None:
        """A session id is taken once, also across owners."""
        create(store, owner="ann")
        refused(store, Create(at=AT, owner="bob", new=new("s")), SessionConflict)

    def test_a_key_that_points_somewhere_makes_nothing(self, store: Store) -> None:
        """The conflict names the session that the key points at; another owner's key is free."""
        create(store, key="k", owner="ann")
        error = refused(store, Create(at=AT, owner="ann", key="k", new=new("s2")), SessionConflict)
        assert error.actual == "s"
        do(store, Create(at=AT, owner="bob", key="k", new=new("s2")))
        do(store, Create(at=AT, key="k", new=new("s3")))
        found = [store.current(owner, "k", NOW) for owner in ("ann", "bob", "", "eve")]
        assert [info.id if info is not None else None for info in found] == ["s", "s2", "s3", None]

    def test_an_alias_names_one_session_of_an_owner(self, store: Store) -> None:
        """A used alias is a conflict that names its session, and the session is not made."""
        create(store, alias="mine", owner="ann")
        error = refused(store, Create(at=AT, owner="ann", key="k", alias="mine", new=new("s2")), SessionConflict)
        assert error.actual == "s"
        do(store, Create(at=AT, owner="bob", alias="mine", new=new("s2")))
        assert (store.named("ann", "mine"), store.named("bob", "mine")) == ("s", "s2")
        assert (store.named(None, "mine"), store.named("ann", "other")) == (None, None)

    def test_a_session_has_several_aliases(self, store: Store) -> None:
        """A further name is another session's conflict and nobody else's; having it already changes nothing."""
        create(store, alias="mine", owner="ann")
        create(store, "s2", owner="ann")
        create(store, "s3", owner="bob")
        do(store, Alias(at=AT, owner="ann", session_id="s", alias="ours"))
        assert [store.named("ann", name) for name in ("mine", "ours")] == ["s", "s"]
        assert store.info("s", "ann", NOW).aliases == ("mine", "ours")
        assert store.info("s2", "ann", NOW).aliases == ()
        rev = store.info("s", "ann", NOW).rev
        do(store, Alias(at=AT, owner="ann", session_id="s", alias="ours"))
        assert store.info("s", "ann", NOW).rev == rev
        error = refused(store, Alias(at=AT, session_id="s2", alias="ours"), SessionConflict)
        assert error.actual == "s"
        do(store, Alias(at=AT, session_id="s3", alias="ours"))
        assert store.named("bob", "ours") == "s3"
        refused(store, Alias(at=AT, owner="ann", session_id="s2", alias="a\0"), InvalidKey)

    def test_an_alias_of_nobody_in_particular(self, store: Store) -> None:
        """An owner that is not given is the empty one."""
        create(store, alias="mine")
        assert store.named(None, "mine") == store.named("", "mine") == "s"

    def test_a_used_title_fails_alone(self, store: Store) -> None:
        """Titles are unique per owner: a conflict for who comes second, and for nobody else in that commit."""
        do(store, Create(at=AT, owner="ann", new=new("s", title="Plans")))
        answers = batch(
            store,
            Create(at=AT, owner="ann", key="k", new=new("s2", title="Plans")),
            Create(at=AT, owner="bob", new=new("s3", title="Plans")),
            Create(at=AT, owner="ann", new=new("s4", title="plans")),
            Create(at=AT, owner="ann", new=new("s5", title="New")),
            Create(at=AT, owner="ann", new=new("s6", title="New")),
            Append(at=AT, session_id="s", messages=drafts("a")),
        )
        assert [isinstance(a, SessionConflict) for a in answers] == [True, False, False, False, True, False]
        titles = {info.id: info.title for info in store.sessions(EVERYTHING, NOW)}
        assert titles == {"s": "Plans", "s3": "Plans", "s4": "plans", "s5": "New"}
        assert store.current("ann", "k", NOW) is None

    def test_a_used_title_resets_nothing(self, store: Store) -> None:
        """A reset to a session whose title is used is refused, and the key stays where it is."""
        create(store, "s", "a", key="k")
        do(store, Create(at=AT, new=new("other", title="Plans")))
        refused(store, Rotate(at=AT, key="k", session_id="s", new=new("s2", title="Plans")), SessionConflict)

    def test_what_is_carried_over_is_there_from_the_start(self, store: Store) -> None:
        """Carried messages come first in the new session; a carried summary stands before them and covers nothing."""
        carried = (user("old", copied_from="p~7"), assistant("reply", copied_from="p~8"))
        fields = {"carried": drafts(system("be brief"), *carried), "summary": "they met"}
        do(store, Create(at=AT, new=new("s", parent="p", parent_kind="fork", **fields)))
        do(store, Create(at=AT, new=new("p")))
        assert texts(live(store)) == ["be brief", "old", "reply"]
        assert [m.copied_from for m in live(store)] == [None, "p~7", "p~8"]
        tail = store.tail("s", None, NOW, limit=10)
        assert (texts(tail.head), texts(tail.messages)) == (["be brief"], ["old", "reply"])
        assert tail.summary is not None
        assert (tail.summary.text, tail.summary.through_seq) == ("they met", 0)
        info = store.info("s", None, NOW)
        assert (info.parent, info.parent_kind, info.last_seq) == ("p", "fork", 3)
        assert append(store, "s", "next").seqs == (4,)

    def test_names_may_be_any_text(self, store: Store) -> None:
        """Ids, owners, keys and aliases are compared exactly: case, spaces, quotes, and how a letter is composed."""
        names = [
            "a",
            "A",
            "a ",
            " a",
            "é",
            "e\N{COMBINING ACUTE ACCENT}",
            "'; --",
            "%",
            "_",
            "\N{GRINNING FACE}",
            "x" * 500,
        ]
        for n in names:
            do(store, Create(at=AT, owner=n, key=n, alias=n, new=new(n)))
        for n in names:
            current = store.current(n, n, NOW)
            assert current is not None
            assert current.id == store.named(n, n) == store.info(n, n, NOW).id == n
        assert len(store.sessions(EVERYTHING, NOW)) == len(names)


class Resets(StoreCase):
    """Rotate."""

    def test_a_reset_points_the_key_at_a_new_session(self, store: Store) -> None:
        """The old one ends, stays readable, and is the parent of the new one."""
        create(store, "s", "a", key="k", owner="ann")
        fields = {"parent": "s", "parent_kind": "reset", "reset_reason": "idle", "carried": drafts(user("a"))}
        operation = Rotate(at=AT + HOUR, owner="ann", key="k", session_id="s", new=new("s2", **fields))
        assert do(store, operation) == Rotated("s", "s2")
        old, fresh = store.info("s", None, NOW), store.info("s2", "ann", NOW)
        assert (old.ended_at, old.end_reason, old.keys) == (later(HOUR), "reset", ())
        assert (fresh.owner, fresh.keys, fresh.parent, fresh.parent_kind) == ("ann", ("k",), "s", "reset")
        assert (fresh.reset_reason, fresh.ended_at, fresh.created_at) == ("idle", None, later(HOUR))
        assert texts(live(store)) == texts(live(store, "s2")) == ["a"]
        feed = [(c.session_id, c.kind) for c in drain(store)]
        assert ("s", "ended") in feed
        assert feed.index(("s2", "created")) < feed.index(("s2", "reset"))

    def test_one_key_of_several(self, store: Store) -> None:
        """The session goes on under its other keys; it ends with its last."""
        create(store, "s", "a", key="k1")
        do(store, Bind(at=AT + 1, key="k2", session_id="s"))
        do(store, Rotate(at=AT + 2, key="k1", session_id="s", new=new("s2")))
        assert store.info("s", None, NOW).keys == ("k2",)
        assert store.info("s", None, NOW).ended_at is None
        assert append(store, "s", "b").seqs == (2,)
        do(store, Rotate(at=AT + 3, key="k2", session_id="s", new=new("s3")))
        assert store.info("s", None, NOW).ended_at == later(3)
        assert store.info("s2", None, NOW).keys == ("k1",)

    @pytest.mark.parametrize("by_key", [True, False])
    def test_all_keys_of_a_session(self, store: Store, by_key: bool) -> None:  # noqa: FBT001
        """With `all_keys`, or by the session's id, every key moves and the session ends at once."""
        create(store, "s", "a", key="k1", owner="ann")
        for n in (2, 3):
            do(store, Bind(at=AT + n, key=f"k{n}", session_id="s"))
        operation = Rotate(
            at=AT + HOUR,
            owner="ann",
            key="k2" if by_key else None,
            session_id="s",
            all_keys=by_key,
            new=new("s2"),
        )
        assert do(store, operation) == Rotated("s", "s2")
        assert sorted(store.info("s2", None, NOW).keys) == ["k1", "k2", "k3"]
        assert store.info("s", None, NOW).keys == ()
        assert store.info("s", None, NOW).ended_at == later(HOUR)

    def test_a_key_that_points_nowhere_yet(self, store: Store) -> None:
        """Where no session is expected and none is there, the reset makes the first."""
        assert do(store, Rotate(at=AT, key="k", session_id=None, new=new("s"))) == Rotated(None, "s")
        current = store.current("", "k", NOW)
        assert current is not None
        assert current.id == "s"

    def test_a_key_that_has_moved(self, store: Store) -> None:
        """KeyMoved tells where it points now; nothing was reset twice."""
        create(store, key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")))
        error = refused(store, Rotate(at=AT, key="k", session_id="s", new=new("s3")), KeyMoved)
        assert (error.expected, error.actual) == ("s", "s2")
        error = refused(store, Rotate(at=AT, key="k", session_id=None, new=new("s3")), KeyMoved)
        assert error.actual == "s2"
        error = refused(store, Rotate(at=AT, key="other", session_id="s", new=new("s3")), KeyMoved)
        assert error.actual is None

    def test_a_session_without_keys_has_nothing_to_reset(self, store: Store) -> None:
        """By its id: SessionConflict where no key points at it, SessionEnded where it has ended."""
        create(store, "s", "a")
        refused(store, Rotate(at=AT, session_id="s", new=new("s2")), SessionConflict)
        create(store, "s3", key="k")
        do(store, Rotate(at=AT, session_id="s3", new=new("s4")))
        refused(store, Rotate(at=AT, session_id="s3", new=new("s5")), SessionEnded)

    def test_a_taken_id_resets_nothing(self, store: Store) -> None:
        """The key stays where it was and the session goes on."""
        create(store, "s", "a", key="k")
        create(store, "s2")
        refused(store, Rotate(at=AT, key="k", session_id="s", new=new("s2")), SessionConflict)
        assert append(store, "s", "b").seqs == (2,)


class Ownership(StoreCase):
    """Whose sessions are whose, and what can be done to one that has ended."""

    @pytest.mark.parametrize("operation", TARGETED, ids=_named)
    def test_of_another_owner_or_of_nobody(self, store: Store, operation: Operation) -> None:
        """Every operation answers SessionNotFound, alike for a foreign session and for one that does not exist."""
        create(store, "s", "a", owner="ann", key="k")
        begin(store, "hi")
        foreign = msgspec.structs.replace(operation, owner="bob")
        unknown = msgspec.structs.replace(operation, session_id="t")
        messages = [str(refused(store, each, SessionNotFound)) for each in (foreign, unknown)]
        assert messages[0].replace("'s'", "'t'") == messages[1]

    def test_reads_of_another_owner_or_of_nobody(self, store: Store) -> None:
        """Every read of one session answers SessionNotFound for a foreign one; its owner and the operator see it."""
        create(store, "s", "a", owner="ann")
        for session, owner in (("s", "bob"), ("s", ""), ("t", "ann"), ("t", None), ("", None)):
            with pytest.raises(SessionNotFound):
                store.info(session, owner, NOW)
            with pytest.raises(SessionNotFound):
                store.tail(session, owner, NOW, limit=5)
            with pytest.raises(SessionNotFound):
                store.page(session, owner)
            with pytest.raises(SessionNotFound):
                store.turn(session, owner)
            with pytest.raises(SessionNotFound):
                store.turn(session, owner, 1)
            with pytest.raises(SessionNotFound):
                store.whole_turn(session, owner, 1, NOW)
            with pytest.raises(SessionNotFound):
                store.queued(session, owner)
        for owner in ("ann", None):
            assert store.info("s", owner, NOW).id == "s"
            assert texts(store.page("s", owner)) == texts(store.tail("s", owner, NOW, limit=5).messages) == ["a"]
        with pytest.raises(SessionNotFound):
            store.tail("s", "bob", NOW, limit=5)  # once more, after its owner has read it

    @pytest.mark.parametrize("operation", TARGETED, ids=_named)
    def test_of_an_ended_session(self, store: Store, operation: Operation) -> None:
        """What would write to its transcript is SessionEnded; its turn is lost; the rest can be done."""
        create(store, "s", "a", key="k")
        begin(store, "hi", key="k")
        do(store, Rotate(at=AT + MINUTE, key="k", session_id="s", new=new("s2")))
        operation = msgspec.structs.replace(operation, **({"new": new("s3")} if isinstance(operation, Rotate) else {}))
        if isinstance(operation, (Append, Begin, Cut, Compact, Rotate)):
            refused(store, operation, SessionEnded)
        elif isinstance(operation, (Renew, Finish, Take)):
            refused(store, operation, TurnLost)
        else:
            do(store, operation)
