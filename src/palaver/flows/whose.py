"""Whose a session is, as far as its origin and its keys say: what erasing a person has to know."""

from __future__ import annotations

import msgspec

from palaver.core import Core
from palaver.erasure import Person
from palaver.errors import CorruptRecord, InvalidKey
from palaver.keys import Origin, is_shared, parse_key
from palaver.rows import SessionRow
from palaver.stores.base import Erasable

__all__ = ["erased_whole", "is_key_of", "origin_of"]

_origin = msgspec.json.Decoder(Origin)


def origin_of(row: SessionRow) -> Origin | None:
    """Where a session began. Raises CorruptRecord: nobody can say whose it is."""
    try:
        return _origin.decode(row.origin) if row.origin is not None else None
    except (msgspec.MsgspecError, InvalidKey) as exc:
        msg = (
            f"the origin of session {row.id!r} cannot be decoded, so nobody can say whose it is: "
            "`palaver check --repair` sets it aside; then erase again"
        )
        raise CorruptRecord(msg, location=f"session {row.id}", excerpt=str(exc)[:80]) from exc


def erased_whole(core: Core, each: Erasable, person: Person) -> bool | None:
    """Whether a session is this person's alone; False: others may take part; None: it is of another platform."""
    origin = origin_of(each.row)
    if origin is not None and origin.platform == person.platform and not is_shared(origin, core.settings.key_policy):
        ids = {origin.user_id, origin.user_id_alt} - {None}
        if not ids and origin.chat_type == "dm":
            ids = {origin.chat_id, origin.chat_id_alt}
        if ids & {*person.ids}:
            return True
    if origin is None and each.keys and all(is_key_of(core, key, person) for _, key in each.keys):
        return True
    platforms = {_platform(core, key) for _, key in each.keys}
    if origin is not None:
        platforms.add(origin.platform)
    return False if person.platform in platforms or core.settings.key_policy.unified is not None else None


def is_key_of(core: Core, key: str, person: Person) -> bool:
    """Whether a key is that of a conversation with this person alone, as far as it says."""
    try:
        parts = parse_key(key, core.settings.key_policy)
    except InvalidKey:
        return False
    if parts.platform != person.platform:
        return False
    ids = {parts.user_id, parts.user_id_alt} - {None}
    if not ids and parts.chat_type in ("dm", None):
        ids = {parts.chat_id, parts.chat_id_alt}
    return bool(ids & {*person.ids})


def _platform(core: Core, key: str) -> str | None:
    try:
        return parse_key(key, core.settings.key_policy).platform
    except InvalidKey:
        return None
