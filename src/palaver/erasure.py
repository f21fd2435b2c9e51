"""Erasure: what is to go, what stands for it afterwards, and what was done.

Of what was erased a store keeps marks: hashes under a secret of its own, which say nothing to who has not the text.
They are what an import, a copy or a redelivery is held against, so that an old export or backup does not bring back
silently what was erased. A mark is made of what was said and when, or of a message's own id and what it said: so it
keeps out that message, and not the person, who may begin a new conversation at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from palaver.keys import Origin
from palaver.model import Message
from palaver.times import SECOND

__all__ = [
    "GUARD",
    "Again",
    "EraseReport",
    "Erasure",
    "Marks",
    "Owner",
    "Person",
    "ScrubReport",
    "SessionTarget",
    "Target",
    "keyed",
    "mark",
    "marks_of",
    "person_of",
    "pseudonym",
]

GUARD = 24 * 3600 * SECOND
"""How long after an erasure live messages of the same key or owner are held against what was erased, in microseconds:
platforms deliver again within hours."""
_KEY_BYTES = 16


class Owner(msgspec.Struct, frozen=True, tag_field="what", tag="owner"):
    """Everything that one owner has."""

    owner: str


class Person(msgspec.Struct, frozen=True, tag_field="what", tag="user"):
    """Everything that one person said on one platform, and what answered it."""

    platform: str
    ids: tuple[str, ...]
    """All ids by which the platform names this person."""


class SessionTarget(msgspec.Struct, frozen=True, tag_field="what", tag="session"):
    """One session."""

    session_id: str


class Again(msgspec.Struct, frozen=True, tag_field="what", tag="again"):
    """What was erased before, and came back with an old file."""


Target: TypeAlias = Owner | Person | SessionTarget | Again


class Erasure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An erasure, as the store keeps it: numbers alone, once it is done."""

    id: str
    began_at: int
    """Microseconds since 1970, as the other times here."""
    target: Target | None = None
    """While it is under way: what it goes on with after a crash. None once everything is gone."""
    scope: str | None = None
    """While it is under way: the only owner whose sessions it may touch."""
    ended_at: int | None = None
    scrubbed_at: int | None = None
    """When free pages, index and logs were cleaned too."""
    counts: dict[str, int] = {}  # msgspec gives every erasure its own copy


class Marks(msgspec.Struct, frozen=True):
    """A page of what a store keeps of all that was erased from it."""

    secret: bytes | None = None
    """What the marks are keyed with; None: nothing was ever erased there."""
    marks: tuple[tuple[bytes, int], ...] = ()
    """Each as it is kept (see `keyed`), in order, and when that was erased (microseconds)."""


class ScrubReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the room that removed things had taken up."""

    done: bool
    """Whether nothing that was removed is left in the store's files."""
    size_before: int = 0
    """Bytes of the store's files."""
    size_after: int = 0
    reason: str | None = None
    """Why it is not done, and what to do."""


class EraseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, or (`dry_run`) would be."""

    id: str | None
    dry_run: bool
    sessions: tuple[str, ...]
    """Sessions of which nothing is left."""
    parts: tuple[str, ...]
    """Sessions that others take part in, of which messages were erased."""
    counts: Mapping[str, int]
    """How much of what kind: messages, versions, media (references to content), summaries, keys, aliases, and
    `unattributed`: messages in shared sessions that name no sender, which stay."""
    scrub: ScrubReport | None = None
    """None: files were not scrubbed, and free pages may hold what was erased until they are."""
    backups: tuple[str, ...] = ()
    """Backups that the store knows of, and that may hold what was erased; one owner is told their names alone."""
    beyond: tuple[str, ...] = (
        "exports and copies of the store's files made outside of it, or kept when a backup was restored",
        "what was sent to model providers and to the platforms themselves, and their logs",
        "what others said of it in messages of their own",
    )
    """What no store can reach."""
    unfinished: int = 0
    """Earlier erasures that had been interrupted and were finished first."""


def person_of(user: Origin | str) -> Person:
    """A person by an Origin, or by text such as "telegram:7". ValueError where it names no person."""
    if isinstance(user, Origin):
        ids = tuple(i for i in dict.fromkeys((user.user_id, user.user_id_alt)) if i is not None)
        if not ids:
            raise ValueError(f"this origin on {user.platform} names no user: give user_id, or user_id_alt")
        return Person(user.platform, ids)
    platform, colon, user_id = user.partition(":")
    if not (platform and colon and user_id):
        raise ValueError(f"user is {user!r}; write it with its platform, such as 'telegram:7'")
    return Person(platform, (user_id,))


def mark(*what: str) -> bytes:
    """A mark that stands for these texts, before it is keyed."""
    return hashlib.sha256(msgspec.json.encode(what)).digest()


def marks_of(message: Message, message_id: str | None, at: int | None) -> tuple[bytes, ...]:
    """The marks of a message: of what it said at that time (microseconds), and of its own id with what it said."""
    said = msgspec.json.encode((message.role, message.name, message.parts))  # see codec.same_content
    out: list[bytes] = []
    if at is not None:
        out.append(hashlib.sha256(b"said\0%d\0" % at + said).digest())
    if message_id is not None:
        out.append(hashlib.sha256(b"id\0" + msgspec.json.encode(message_id) + said).digest())
    return tuple(out)


def keyed(secret: bytes, marked: bytes) -> bytes:
    """What a store keeps of a mark."""
    return hashlib.blake2b(marked, key=secret, digest_size=_KEY_BYTES).digest()


def pseudonym(secret: bytes, owner: str) -> str:
    """What stands in the place of an erased owner, so that their usage still adds up and names nobody."""
    return f"~{keyed(secret, mark('owner', owner)).hex()}"
