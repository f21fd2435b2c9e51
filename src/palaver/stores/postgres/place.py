"""What the URL of a PostgreSQL store says."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

from palaver.stores.postgres.queries import require_schema

__all__ = ["Place"]

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "application_name": "palaver",
    # A server that is gone is noticed within seconds, and not when the system gives up after a quarter of an hour.
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_MOST_PARTITIONS = 256
"""More would need more locks than a server has for the transaction that makes them."""
_TORN = (
    "this postgresql:// URL cannot be read: in a user or password write %40 for @, %3A for :, %2F for /, %3F for ?, "
    "%23 for #, and %25 for %"
)
_YES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says."""

    conninfo: str
    name: str
    """The URL without user, password and options, for messages."""
    schema: str = "palaver"
    pooled: bool = False
    """Behind a pooler that gives each transaction any connection, such as PgBouncer in its transaction mode."""
    timeout: float = 30.0
    """Seconds to wait for a lock, or for a free connection."""
    connections: int = 10
    """To read by, at most; besides them there is one to write by."""
    clock: str = "store"
    """Whose clock judges leases: the server's, or the callers' ("caller"), where all of them are on one machine."""
    read_only: bool = False
    make: bool = True
    """Whether to make the schema where there is none."""
    partitions: int = 0
    """How many partitions a new store's tables get, those that grow with messages; 0: none, or as many as there are."""
    listen: str | None = field(default=None, repr=False)
    """Where to listen for changes, if it is not where statements go: a pooler cannot pass them on. Empty: nowhere."""

    @classmethod
    def of(cls, url: str) -> Place:
        """What a URL says. Options that are not the store's own are libpq's. Raises ValueError."""
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if _is_torn(parts, given):
            raise ValueError(_TORN)
        own: dict[str, Any] = {}
        try:
            if "schema" in given:
                own["schema"] = require_schema(given.pop("schema"))
            if "pooled" in given:
                own["pooled"] = _YES[given.pop("pooled")]
            if "timeout" in given:
                own["timeout"] = float(given.pop("timeout"))
            if "connections" in given:
                own["connections"] = max(1, int(given.pop("connections")))
            if "clock" in given:
                own["clock"] = {"store": "store", "caller": "caller"}[given.pop("clock")]
            if "mode" in given:
                own |= {"ro": {"read_only": True}, "rw": {"make": False}}[given.pop("mode")]
            if "partitions" in given:
                own["partitions"] = _partitions(given.pop("partitions"))
            if "listen" in given:
                own["listen"] = given.pop("listen")
        except (ValueError, KeyError) as exc:
            raise ValueError(f"{_named(url)}: an option has a value that it cannot have: {exc}") from exc
        rest = f"postgresql://{parts.netloc}{parts.path}?{urlencode(given, quote_via=quote)}"
        defaults = {name: value for name, value in _DEFAULTS.items() if name not in given}
        conninfo = _conninfo(rest, defaults, _named(url))
        schema = own.get("schema", "palaver")
        name = _named(url) if schema == "palaver" else f"{_named(url)}?schema={schema}"
        return cls(conninfo=conninfo, name=name, **own)

    def lock(self, kind: str, *what: str) -> int:
        """The advisory lock of something in this store that has a name: a negative number."""
        from hashlib import blake2b

        said = "\x00".join((self.schema, kind, *what)).encode("utf-8", "surrogatepass")
        return -1 - (int.from_bytes(blake2b(said, digest_size=8).digest(), "big") >> 1)

    def session_lock(self, number: int) -> int:
        """The advisory lock of a session: a positive number."""
        return (zlib.crc32(self.schema.encode()) & 0x7FFFFFFF) << 32 | number


def _partitions(said: str) -> int:
    number = int(said)
    if not 2 <= number <= _MOST_PARTITIONS:
        raise ValueError(f"partitions={number}: from 2 to {_MOST_PARTITIONS}")
    return number


def _conninfo(url: str, defaults: dict[str, Any], name: str) -> str:
    try:
        return make_conninfo(url, **defaults)
    except psycopg.Error as exc:
        if "percent-encoded" in str(exc):  # libpq quotes what is wrong, which may be the password
            raise ValueError(_TORN) from None
        raise ValueError(f"{name} is no URL of PostgreSQL: {exc}") from exc


def _is_torn(parts: SplitResult, options: dict[str, str]) -> bool:
    """Whether a user or password has a character that ends it: then its rest would be told as a host or an option."""
    if parts.fragment or parts.netloc.count("@") > 1 or (parts.netloc and "@" in parts.path):
        return True
    return "@" not in parts.netloc and any("@" in name for name in options)


def _named(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"postgresql://{host}{unquote(parts.path)}"
