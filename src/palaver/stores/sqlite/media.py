"""Checking content that is kept out of line: whether it is what its address says, and whether anybody shows it."""

from __future__ import annotations

from palaver import media
from palaver.stores.sqlite.spots import Sink, Source, Spot

__all__ = ["check_media"]

_AT_ONCE = 8


def check_media(source: Source, sink: Sink) -> None:
    """Check all content, a few at a time."""
    after = 0
    while rows := source.sql.all("check_blobs", (after, _AT_ONCE)):
        after = rows[-1][0]
        for _, address, data, held in rows:
            where = f"content {address}"
            if media.address_of(data) != address:
                sink(Spot("media_damaged", None, None, where, "its bytes are others"))
            if not held:
                sink(Spot("media_unheld", None, None, where, "no message refers to it"))
