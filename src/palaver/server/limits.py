"""What the server allows a request."""

from __future__ import annotations

import msgspec

__all__ = ["MAX_LEASE_SECONDS", "MAX_PAGE", "MAX_WAIT_SECONDS", "Limits"]

MAX_WAIT_SECONDS = 60.0
"""Longest wait for a session in which another turn runs: proxies give up on a silent request not much later."""

MAX_LEASE_SECONDS = 86_400.0
MAX_PAGE = 1000
"""Most entries of one answer that is a list."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the server allows a request. Raises ValueError for one that would let nothing through."""

    max_body_bytes: int = 16 * 1024 * 1024
    """Largest request body. Media travel inside messages as base64 text, a third larger than they are."""

    max_import_bytes: int = 256 * 1024 * 1024
    """Largest body of an import. It is kept in a file until it is imported, not in memory."""

    requests_per_second: float | None = None
    """How often a key, or where none is asked for an address, may ask, in the long run; None: as often as it will."""
    burst: int | None = None
    """How many requests may come at once; without it, as many as come in two seconds."""
    header_seconds: float = 15.0
    """How long the head of a request may take; only where `serve` runs the server."""
    body_seconds: float = 60.0
    """How long a body may take; that of an import may take any time, but so long at most until more of it comes.
    So long may a client take nothing of an answer, where `serve` runs the server."""

    def __post_init__(self) -> None:
        for name in ("max_body_bytes", "max_import_bytes"):
            value = getattr(self, name)
            if value < 1:
                msg = f"{name} is {value}; a request needs room, such as {16 * 1024 * 1024}"
                raise ValueError(msg)
        if self.requests_per_second is not None and not 0 < self.requests_per_second < 1e9:
            msg = f"requests_per_second is {self.requests_per_second}; give a number above 0, or None for no limit"
            raise ValueError(msg)
        if self.burst is not None and self.burst < 1:
            msg = f"burst is {self.burst}; at least one request has to be let through at once"
            raise ValueError(msg)
        for name in ("header_seconds", "body_seconds"):
            if not 0 < getattr(self, name) < 1e9:
                msg = f"{name} is {getattr(self, name)}; give seconds above 0, such as 15"
                raise ValueError(msg)
