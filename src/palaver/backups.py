"""Backups as values: what one holds, and what a repair did after making one."""

from __future__ import annotations

from datetime import datetime

import msgspec

from palaver.findings import Finding, Repaired

__all__ = ["Backup", "RepairReport", "Restored", "file_name", "surplus"]


class Backup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A copy of a store, as it was at one moment."""

    path: str
    made_at: datetime
    cursor: str
    """Where the change feed stood: everything up to there is in it, and nothing after."""
    sessions: int
    messages: int
    size_bytes: int
    content_digest: str
    """sha256 over what the store held: in the store and in the copy it was the same."""
    file_digest: str = ""
    """sha256 of the file."""


class RepairReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a repair found, did and left."""

    found: tuple[Finding, ...] = ()
    backup: Backup | None = None
    """Made before anything was changed; None: there was nothing to mend."""
    repaired: tuple[Repaired, ...] = ()
    left: tuple[Finding, ...] = ()
    """What is still wrong."""


class Restored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A store that was brought back from a backup."""

    path: str
    backup: Backup | None
    """What the backup says of itself; None: it is a copy that another program made."""
    kept: str | None = None
    """Where the store is that stood there before."""


def file_name(stem: str, at: datetime) -> str:
    """The name of a backup of that time: names sort as times do."""
    return f"{stem}-{at:%Y%m%dT%H%M%S%fZ}.db"


def surplus(backups: list[Backup], keep: int) -> list[Backup]:
    """Which of the backups are more than the newest `keep`."""
    return sorted(backups, key=lambda b: b.made_at)[: max(0, len(backups) - keep)]
