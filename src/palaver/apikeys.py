"""Keys to the server: who may ask it, for whose sessions, and what they may do. Kept in a file beside the store.

A key is `pal_<id>_<secret>`; the file has the id and a hash of the secret, which is 256 random bits: a plain SHA-256 of
those tells nothing, and needs no slow one. Every change replaces the file; servers look whether it was, each second.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from palaver.config import data_directory

try:
    import fcntl as _locks
except ImportError:  # Windows: two people who change keys in the same moment are on their own
    _locks = None  # type: ignore[assignment]

__all__ = ["KEYS_VARIABLE", "ApiKey", "KeyFile", "Permission", "keys_path", "split_key"]

KEYS_VARIABLE = "PALAVER_KEYS"
Permission: TypeAlias = Literal["read", "write", "admin"]
"""Each has the ones before it. `admin` removes for good; without an owner, it looks after the store as well."""

fcntl: Any = _locks
_KEY = re.compile(r"pal_([0-9a-z]{12})_([\w-]{43})")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key, without its secret."""

    id: str
    name: str
    hash: str
    """SHA-256 of the secret, in hex."""
    may: Permission
    owner: str | None = None
    """Whose sessions it is for; None: those of all."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Whether it opens anything now."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def opens(self, secret: str) -> bool:
        """Whether this is its secret; takes as long for a wrong one."""
        return hmac.compare_digest(_hash(secret), self.hash)


class _Kept(msgspec.Struct, frozen=True):
    version: Literal[1] = 1
    keys: tuple[ApiKey, ...] = ()


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key; None for what is no key."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found is not None else None


def keys_path(url: str, environ: Mapping[str, str] | None = None) -> Path:
    """The file of the keys to a store: what `PALAVER_KEYS` names, else `<store>.keys` beside a store that is a file.

    For other stores, `server.keys` in the user's data directory. Raises ValueError where there is no such directory.
    """
    env = os.environ if environ is None else environ
    named = env.get(KEYS_VARIABLE)
    if named:
        return Path(named)
    scheme, separator, _ = url.partition("://")
    path = url if not separator else unquote(urlsplit(url).path[1:]) if scheme in {"sqlite", "jsonl"} else ""
    if not path.strip("/"):
        return data_directory(env) / "server.keys"
    whole = Path(path).expanduser()
    return whole.with_name(f"{whole.name}.keys")


class KeyFile:
    """The keys in one file, which need not exist.

    Reading raises ValueError for a file that others may write, or that is no file of keys; OSError where it cannot be
    read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def mark(self) -> tuple[int, int, int] | None:
        """Changes when the file does; None: there is no file."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def all(self) -> tuple[ApiKey, ...]:
        """Every key that was made, also those that open nothing any more; oldest first."""
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                body = file.read()
        except FileNotFoundError:
            return ()
        if os.name == "posix" and mode & 0o022:
            msg = f"{self.path} may be written by others (mode {mode:04o}), who could make keys: chmod 600 it"
            raise ValueError(msg)
        try:
            return msgspec.json.decode(body, type=_Kept).keys
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            msg = f"{self.path} holds no keys that this version knows ({exc}): restore it, or remove it to begin anew"
            raise ValueError(msg) from exc

    def create(
        self,
        name: str,
        *,
        now: datetime,
        may: Permission = "write",
        owner: str | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; it is told this once. Raises ValueError for a name that is empty or that a valid key has."""
        if not name.strip() or not name.isprintable() or len(name) > 200:
            msg = f"{name!r} is no name for a key: say in a few words who has it, such as 'telegram bot'"
            raise ValueError(msg)
        if owner is not None and (not owner.isprintable() or not 0 < len(owner.encode()) <= 256):
            msg = f"{owner!r} is no owner: give a name of 1 to 256 bytes, without control characters"
            raise ValueError(msg)
        secret = secrets.token_urlsafe(32)
        made = ApiKey(
            id="".join(secrets.choice(_ALPHABET) for _ in range(12)),
            name=name,
            hash=_hash(secret),
            may=may,
            owner=owner,
            created_at=now,
            expires_at=expires_at,
        )
        with self._locked():
            kept = self.all()
            if any(each.name == name and each.state(now) == "valid" for each in kept):
                msg = f"there is a key {name!r} already: revoke it first, or take another name"
                raise ValueError(msg)
            self._write((*kept, made))
        return made, f"pal_{made.id}_{secret}"

    def revoke(self, reference: str, *, now: datetime) -> ApiKey:
        """Make a key open nothing any more, by its id or its name. Raises LookupError where no valid key has it."""
        with self._locked():
            kept = self.all()
            meant = [e for e in kept if reference in {e.id, e.name} and e.state(now) != "revoked"]
            if not meant:
                msg = f"no key has the id or name {reference!r}, or it is revoked already: `palaver keys list` has all"
                raise LookupError(msg)
            revoked = msgspec.structs.replace(meant[-1], revoked_at=now)
            self._write(revoked if each.id == revoked.id else each for each in kept)
        return revoked

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Alone among those who change the file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        with os.fdopen(os.open(lock, os.O_CREAT | os.O_RDWR, 0o600), "wb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, keys: Iterable[ApiKey]) -> None:
        """Replace the file: whoever reads it has all of the old or all of the new one."""
        body = msgspec.json.format(msgspec.json.encode(_Kept(keys=tuple(keys))), indent=1) + b"\n"
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a system that does not sync directories
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
