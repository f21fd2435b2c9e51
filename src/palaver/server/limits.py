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
    """What the server allows a request. Raises ValueError for a limit below 1."""

    max_body_bytes: int = 16 * 1024 * 1024
    """Largest request body. Media travel inside messages as base64 text, a third larger than they are."""

    max_import_bytes: int = 256 * 1024 * 1024
    """Largest body of an import. It is kept in a file until it is imported, not in memory."""

    def __post_init__(self) -> None:
        for name in ("max_body_bytes", "max_import_bytes"):
            value = getattr(self, name)
            if value < 1:
                msg = f"{name} is {value}; a request needs room, such as {16 * 1024 * 1024}"
                raise ValueError(msg)
