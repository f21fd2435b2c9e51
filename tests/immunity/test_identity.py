"""Bugs that five agents' session layers had: whose conversation it is. One test each; docs/features.md lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

import palaver
from palaver import KeyPolicy, Origin, Session, SessionManager, assistant, user
from palaver.errors import ContentErased, InvalidKey, SessionEnded, SessionNotFound
from palaver.exporters import jsonl, read_whole, record_of
from palaver.importers import import_path
from tests.immunity.stores import texts

PHONE = Origin("telegram", chat_id="42", user_id="7")


def saved(sessions: SessionManager, session: Session) -> list[str]:
    """A lossless export of a session, as it is now."""
    record = record_of(sessions, session.id)
    return list(jsonl.lines(session.info(), read_whole(sessions, record), record=record))


def test_01_two_keys_never_share_a_name(sessions: SessionManager) -> None:
    """Keys that a file name would merge, or that no file name could hold, each have their own session and come back."""
    keys = ["a:b", "a_b", "a/b", "a\\b", "A:B", "a:b ", "..", "con", "é", "e\u0301", "x" * 1023, "x" * 1024]
    for key in keys:
        sessions.get_or_create(key).append(user(f"of {key}"))
    assert [texts(sessions.resolve(key)) for key in keys] == [[f"of {key}"] for key in keys]
    listed = {key for info in sessions.list(limit=100) for key in info.keys}
    assert listed == set(keys), "the key is stored, not guessed from a name"
    with pytest.raises(InvalidKey, match="more than 1024"):
        sessions.get_or_create("x" * 1025)


def test_02_a_delimiter_in_an_id_is_no_delimiter() -> None:
    """Ids that contain what keys are joined with do not meet; case counts except where the platform ignores it."""
    policy = KeyPolicy(fold_case=("email",))
    origins = [
        Origin("telegram", chat_type="group", chat_id="1:2", user_id="3"),
        Origin("telegram", chat_type="group", chat_id="1", user_id="2:3"),
        Origin("telegram", chat_type="group", chat_id="1%3A2", user_id="3"),
        Origin("matrix", chat_id="Room"),
        Origin("matrix", chat_id="room"),
    ]
    assert len({palaver.session_key(origin, policy) for origin in origins}) == len(origins)
    one, other = Origin("email", chat_id="Ada@Example.org"), Origin("email", chat_id="ada@example.org")
    assert palaver.session_key(one, policy) == palaver.session_key(other, policy)


def test_03_a_missing_id_never_merges_two_people() -> None:
    """A direct message without a chat id is told apart by its user; one without any id is refused."""
    keys = {palaver.session_key(Origin("signal", user_id=person)) for person in ("ada", "bob")}
    assert len(keys) == 2
    with pytest.raises(InvalidKey):
        palaver.session_key(Origin("signal"))


def test_04_aliases_of_one_person_are_one_session_and_nobody_elses(sessions: SessionManager) -> None:
    """Ids that are linked lead to one conversation; people who are not linked stay apart, also from the shared one."""
    policy = KeyPolicy(identities={"ada": ("telegram:7", "whatsapp:491")})
    telegram, whatsapp = Origin("telegram", chat_id="7", user_id="7"), Origin("whatsapp", chat_id="491", user_id="491")
    stranger = Origin("telegram", chat_id="8", user_id="8")
    assert palaver.session_key(telegram, policy) == palaver.session_key(whatsapp, policy)
    assert palaver.session_key(stranger, policy) != palaver.session_key(telegram, policy)
    main, other = sessions.get_or_create("unified:default"), sessions.get_or_create(stranger)
    main.append(user("ours"))
    other.append(user("mine"))
    assert main.id != other.id
    assert texts(sessions.resolve("unified:default")) == ["ours"]


def test_05_what_was_deleted_stays_deleted(sessions: SessionManager) -> None:
    """Not found by id, key, list or search; a handle or a turn from before cannot bring it back, nor can a message."""
    turn = sessions.begin_turn("k", user("a secret"))
    session = sessions.get(turn.session_id)
    session.delete()
    with pytest.raises((SessionNotFound, palaver.errors.TurnLost)):
        turn.append(assistant("late"))
    for late in (lambda: session.append(user("late")), session.info, lambda: sessions.get(session.id)):
        with pytest.raises(SessionNotFound):
            late()
    sessions.get_or_create("k").append(user("anew"))
    assert sessions.resolve("k").id != session.id
    assert texts(sessions.resolve("k")) == ["anew"]
    assert [info.preview for info in sessions.list()] == ["anew"]
    assert list(sessions.search("secret")) == []
    ended = sessions.resolve("k")
    sessions.reset("k")
    with pytest.raises(SessionEnded):
        ended.append(user("late"))


def test_05_what_was_purged_or_erased_stays_away(sessions: SessionManager, folder: Path) -> None:
    """No read, no old handle and no file of the store has it any more, and an old copy does not bring it back."""
    with sessions.begin_turn(PHONE, user("wyvern", id="m-1")) as turn:
        turn.finish(assistant("griffin"))
    session, purged = sessions.get(turn.session_id), sessions.create(title="basilisk")
    purged.append(user("manticore"))
    export = folder / "old.jsonl"
    export.write_text("".join(line for each in (session, purged) for line in saved(sessions, each)))
    purged.purge()
    assert sessions.erase(user="telegram:7").sessions == (session.id,)
    for gone in (session, purged):
        for late in (lambda gone=gone: gone.append(user("late")), gone.info, gone.messages):
            with pytest.raises(SessionNotFound):
                late()
    with pytest.raises(ContentErased):
        sessions.begin_turn(PHONE, user("wyvern", id="m-1"))
    kept_out = import_path(sessions, export)
    assert (kept_out.total("imported"), kept_out.total("skipped")) == (0, 3)
    assert list(sessions.search("wyvern")) == list(sessions.search("manticore")) == []
    store = b"".join(path.read_bytes() for path in folder.glob("chat.db*"))
    assert not [word for word in (b"wyvern", b"griffin", b"manticore", b"basilisk") if word in store]
