"""Conformance: binary content is kept once, served to those who have a message with it, and gone with the last one."""

from __future__ import annotations

import base64

import msgspec
import pytest

from palaver import codec
from palaver.errors import InvalidMessage, SessionNotFound
from palaver.media import address_of, as_text
from palaver.model import FilePart, ImagePart, Message, tool, user
from palaver.operations import Append, Cut, Operation, Purge, Rotate
from palaver.rows import Draft
from palaver.stores.base import Store
from palaver.testing.base import OpenStore, StoreCase
from palaver.testing.material import AT, append, batch, create, do, live, new, refused, stored

__all__ = ["Media"]

CAT = b"\x89PNG cat " * 4_000
DOG = b"\x89PNG dog " * 4_000
ADDRESS = address_of(CAT)


def _picture(data: bytes = CAT, **fields: str) -> Message:
    return user(["look", ImagePart(media_type="image/png", data=as_text(data), **fields)])


def _reference(data: bytes = CAT) -> Draft:
    """A draft that refers to content and does not bring it."""
    return msgspec.structs.replace(codec.draft(_picture(data)), blobs=())


def _blobs(store: Store, session_id: str = "s", owner: str | None = None) -> dict[str, bytes]:
    return store.blobs(session_id, owner, [ADDRESS, address_of(DOG)])


def _purge(session_id: str, seq: int) -> Operation:
    return Purge(at=AT, session_id=session_id, from_seq=seq, through_seq=seq)


class Media(StoreCase):
    """Content of more than 16 KiB."""

    def test_large_content_stands_out_of_line(self, store: Store) -> None:
        """The message holds its address, the store its bytes; the rest of the part is as it was."""
        create(store, "s", _picture(name="cat.png"))
        [message] = live(store)
        assert message.parts[1] == ImagePart(media_type="image/png", blob=ADDRESS, name="cat.png")
        assert _blobs(store) == {ADDRESS: CAT}

    def test_content_inside_a_result_too(self, store: Store) -> None:
        """What a tool answered with is kept the same way."""
        create(store, "s", tool("c1", ["here", FilePart(data=as_text(CAT))]))
        [message] = live(store)
        assert message.tool_results[0].parts[1] == FilePart(blob=ADDRESS)
        assert _blobs(store) == {ADDRESS: CAT}

    @pytest.mark.parametrize(
        "text",
        [
            as_text(CAT[:16_384]),
            base64.encodebytes(CAT).decode(),
            as_text(CAT).rstrip("="),
            as_text(b"A" * 20_002).replace("QQ==", "QR=="),
            as_text(CAT).replace("+", "-").replace("/", "_") + "_-_-",
            "x" * 50_000 + "!",
        ],
        ids=["small", "in lines", "without padding", "bits that nobody reads", "url alphabet", "no base64"],
    )
    def test_what_would_not_come_back_the_same_stays_where_it_is(self, store: Store, text: str) -> None:
        """Small content, and text that decoding and encoding would change, is kept in the message."""
        part = ImagePart(data=text)
        create(store, "s", user(part, wire="openai_chat"))  # of a caller's own, most of these would be refused
        [message] = live(store)
        [kept] = message.parts
        assert isinstance(kept, ImagePart)
        if kept.blob is not None:  # the very text comes back, or it is not taken out
            text_again = as_text(store.blobs("s", None, [kept.blob])[kept.blob])
            assert text_again == text
        else:
            assert kept == part

    def test_one_content_is_kept_once(self, store: Store) -> None:
        """A hundred messages with one image hold it once: the store grows by little."""
        create(store, "s", _picture())
        before = store.stats(None).size_bytes
        append(store, "s", *[_picture()] * 100)
        assert store.stats(None).size_bytes - before < 20 * len(CAT)
        assert _blobs(store) == {ADDRESS: CAT}

    def test_it_goes_with_the_last_message_that_refers_to_it(self, store: Store) -> None:
        """Purging one of two messages leaves it, purging the other takes it away, in that very commit."""
        create(store, "s", _picture(), _picture())
        create(store, "t", _picture())
        do(store, _purge("s", 1))
        assert _blobs(store) == {ADDRESS: CAT}
        do(store, _purge("s", 2))
        assert (_blobs(store), _blobs(store, "t")) == ({}, {ADDRESS: CAT})
        do(store, _purge("t", 1))
        create(store, "u", "only text")
        assert _blobs(store, "t") == {}
        refused(store, Append(at=AT, session_id="u", messages=(_reference(),)), InvalidMessage)

    def test_a_cut_takes_nothing_away(self, store: Store) -> None:
        """What is cut can come back, with what it showed."""
        create(store, "s", _picture(), "well")
        do(store, Cut(at=AT, session_id="s", from_seq=1, through_seq=1, kind="rewind"))
        assert _blobs(store) == {ADDRESS: CAT}

    def test_purged_and_shown_again_in_one_commit(self, store: Store) -> None:
        """The last reference goes and a new one comes: the content is there."""
        create(store, "s", _picture())
        batch(store, _purge("s", 1), Append(at=AT, session_id="s", messages=(codec.draft(_picture()),)))
        assert _blobs(store) == {ADDRESS: CAT}

    def test_shown_and_purged_in_one_commit(self, store: Store) -> None:
        """Nothing is left of what was never seen."""
        create(store, "s", "hi")
        batch(store, Append(at=AT, session_id="s", messages=(codec.draft(_picture()),)), _purge("s", 2))
        assert _blobs(store) == {}

    def test_a_reference_needs_content_of_the_same_owner(self, store: Store) -> None:
        """An address is no key: who has no message with the content is refused, whoever else has one."""
        create(store, "s", _picture(), owner="ann")
        create(store, "mine", owner="ann")
        create(store, "other", owner="bob")
        do(store, Append(at=AT, session_id="mine", messages=(_reference(),)))
        assert _blobs(store, "mine", "ann") == {ADDRESS: CAT}
        refused(store, Append(at=AT, session_id="other", messages=(_reference(),)), InvalidMessage)
        refused(store, Append(at=AT, session_id="mine", messages=(_reference(DOG),)), InvalidMessage)

    def test_a_purged_message_vouches_for_nothing(self, store: Store) -> None:
        """Also not in the commit that purges it, nor a message whose operation failed."""
        create(store, "s", _picture())
        answers = batch(store, _purge("s", 1), Append(at=AT, session_id="s", messages=(_reference(),)))
        assert isinstance(answers[1], InvalidMessage)
        bad = Append(at=AT, session_id="s", messages=(codec.draft(_picture()), _reference(DOG)))
        answers = batch(store, bad, Append(at=AT, session_id="s", messages=(_reference(),)))
        assert [type(answer) for answer in answers] == [InvalidMessage, InvalidMessage]
        assert _blobs(store) == {}

    def test_a_session_serves_what_its_own_messages_show(self, store: Store) -> None:
        """Neither another session of the owner, nor another owner, reads it by its address."""
        create(store, "s", _picture(), owner="ann")
        create(store, "t", "text", owner="ann")
        assert _blobs(store, "s", "ann") == {ADDRESS: CAT}
        assert _blobs(store, "t", "ann") == {}
        with pytest.raises(SessionNotFound):
            _blobs(store, "s", "bob")

    def test_copies_refer_to_the_same(self, store: Store) -> None:
        """A session that begins with copies keeps the content when the messages that it came from are purged."""
        create(store, "s", _picture(), key="k")
        do(store, Rotate(at=AT, key="k", session_id="s", new=new("next", carried=(_reference(),))))
        do(store, _purge("s", 1))
        assert _blobs(store, "next") == {ADDRESS: CAT}

    def test_the_same_id_with_the_same_image_is_the_same_message(self, store: Store) -> None:
        """Redelivered with its image, a message is stored once; with another image under its id it is a conflict."""
        first = user([ImagePart(data=as_text(CAT))], id="m1")
        create(store, "s", first)
        assert append(store, "s", first).seqs == (1,)
        assert len(stored(store)) == 1

    def test_content_survives_a_restart(self, open_store: OpenStore) -> None:
        """The content is as durable as its message, and `check` finds nothing wrong."""
        with open_store() as store:
            create(store, "s", _picture(), _picture(DOG))
            do(store, _purge("s", 2))
            persistent = self.persistent
            assert store.check() == []
        if persistent:
            with open_store() as store:
                assert _blobs(store) == {ADDRESS: CAT}
                assert store.check() == []
