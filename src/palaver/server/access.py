"""Who asks, and what they may do: keys are read from a request here, and held against what a route needs."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request

from palaver.aio import AsyncSessionManager
from palaver.apikeys import ApiKey, KeyFile, Permission, split_key
from palaver.clock import Clock, utc_now
from palaver.server.headers import all_of
from palaver.server.pacing import Guesses
from palaver.server.problems import problem

__all__ = ["OPERATOR", "OWNER_HEADER", "Access", "Keys", "Needs", "access_of", "key_in", "owned", "require"]

logger = logging.getLogger("palaver.server")

OWNER_HEADER = "Palaver-Owner"
_OWNER = OWNER_HEADER.lower().encode()
MAX_OWNER_BYTES = 256
LOOK_EVERY = 0.5
"""Seconds after which it is looked whether the file of keys was changed: so long does a revoked key live at most."""

Needs: TypeAlias = Literal["read", "write", "admin", "operator"]
"""What a route asks for: a permission; or `operator`, which is `admin` without an owner."""

_RANK: dict[str, int] = {"read": 0, "write": 1, "admin": 2, "operator": 2}


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What the one who asks may do."""

    id: str | None = None
    """Of the key; None where the server asks for none."""
    may: Permission = "admin"
    owner: str | None = None
    """Whose sessions alone; None: those of all."""

    def allows(self, needs: Needs) -> bool:
        """Whether a route that needs this is open."""
        return _RANK[self.may] >= _RANK[needs] and (needs != "operator" or self.owner is None)


OPERATOR = Access()
"""Where the server asks for no key."""


class Keys:
    """The keys of a server, looked up in a file that may change at any time.

    Without `required`, a server asks for keys as soon as there is one. A file that cannot be read opens nothing.
    """

    def __init__(self, file: KeyFile, *, required: bool, seconds: Callable[[], float], clock: Clock = utc_now) -> None:
        self._file = file
        self._required = required
        self._seconds = seconds
        self._clock = clock
        self._mark: object = ()
        self._looked = float("-inf")
        self._keys: dict[str, ApiKey] = {}
        self._guesses = Guesses(seconds)

    @property
    def required(self) -> bool:
        """Whether one has to have a key."""
        self._look()
        return self._required

    def find(self, text: str) -> Access | None:
        """What a key opens; None for one that is wrong, revoked or expired."""
        self._look()
        parts = split_key(text)
        found = self._keys.get(parts[0]) if parts is not None else None
        if parts is None or found is None or not found.opens(parts[1]) or found.state(self._clock()) != "valid":
            return None
        return Access(id=found.id, may=found.may, owner=found.owner)

    def admit(self, text: str, address: str) -> Access | None:
        """The same for who comes from an address, where a wrong key counts. Raises Slower where too many came."""
        found = self.find(text)
        if found is None:
            self._guesses.count(address)
        return found

    def still(self, access: Access) -> bool:
        """Whether what was opened is open yet: for answers that last."""
        self._look()
        found = self._keys.get(access.id) if access.id is not None else None
        if access.id is None:
            return not self._required
        return found is not None and found.state(self._clock()) == "valid"

    def _look(self) -> None:
        now = self._seconds()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        try:
            mark = self._file.mark()
            if mark == self._mark:
                return
            self._keys = {key.id: key for key in self._file.all()}
            self._mark = mark
        except (OSError, ValueError) as error:
            self._keys, self._mark, self._required = {}, (), True
            fields = {"path": str(self._file.path), "error": type(error).__name__}
            logger.error("keys.unreadable %s", fields, extra={"action": "keys.unreadable", **fields})  # noqa: TRY400 - a trace may quote it
            return
        self._required = self._required or bool(self._keys)


def key_in(headers: Headers) -> str | None:
    """The key that a request brings: as a bearer token, as `X-Api-Key`, or as the password of a browser's dialog."""
    said = headers.get("authorization")
    if said is None:
        return headers.get("x-api-key")
    scheme, _, value = said.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return value.strip() if scheme.lower() == "bearer" else ""


def access_of(request: Request) -> Access:
    """What the one who sent a request may do."""
    found: Access = request.scope.get("palaver.access", OPERATOR)
    return found


def require(access: Access, needs: Needs) -> None:
    """Refuse what the key does not allow. Raises ProblemError."""
    if access.allows(needs):
        return
    if needs == "operator":
        detail = (
            f"this is of the whole store: it takes a key with admin and without an owner, and key {access.id} is none"
        )
    else:
        detail = f"key {access.id} may {access.may}; this takes a key that may {needs}"
    raise problem("forbidden", detail)


def owned(request: Request, sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The sessions of the owner that the request's key is for, else of the one it names; of all where it names none.

    Raises ProblemError for a name that is none, or that is another than the key's.
    """
    access = access_of(request)
    given = all_of(request.scope, _OWNER)
    if not given:
        return sessions if access.owner is None else sessions.for_owner(access.owner)
    try:
        owner = given[0].encode("latin-1").decode()
    except UnicodeDecodeError as exc:
        raise problem("bad-request", f"{OWNER_HEADER} is not UTF-8", path=OWNER_HEADER) from exc
    if len(given) > 1 or not owner.isprintable() or not 0 < len(owner.encode()) <= MAX_OWNER_BYTES:
        detail = f"{OWNER_HEADER} is one name of 1 to {MAX_OWNER_BYTES} bytes without control characters"
        raise problem("bad-request", detail, path=OWNER_HEADER)
    if access.owner not in {None, owner}:
        raise problem("forbidden", f"key {access.id} is for another owner than {OWNER_HEADER} says", path=OWNER_HEADER)
    return sessions.for_owner(owner)
