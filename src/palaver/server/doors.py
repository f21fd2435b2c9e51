"""The server's keys, as its pages ask for them."""

from __future__ import annotations

from palaver.server.access import Keys
from palaver.server.inspector.access import Visitor

__all__ = ["KeyDoor"]


class KeyDoor:
    """See `palaver.server.inspector.access.Door`."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @property
    def required(self) -> bool:
        """Whether one has to have a key by now."""
        return self._keys.required

    def visitor(self, key: str) -> Visitor | None:
        """Who comes with a key; None where it opens nothing."""
        access = self._keys.find(key)
        if access is None:
            return None
        return Visitor(
            owner=access.owner,
            may_write=access.allows("write"),
            may_administer=access.allows("admin"),
            name=access.id,
        )
