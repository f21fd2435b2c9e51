"""Checking, repairing and copying the store over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from palaver.backups import Backup, RepairReport
from palaver.findings import Finding
from palaver.server.messages import Body
from palaver.server.reach import found_in
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

MOST_KEPT = 10_000


class CheckQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to check."""

    session_id: str | None = None
    """A session's id or alias: only that one."""
    notes: bool = False
    """Also what is no fault, such as what windows mend."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; nothing was changed."""

    findings: tuple[Finding, ...]


class BackupBody(Body, frozen=True, kw_only=True):
    """How many backups stay. Where they lie is the store's own affair."""

    keep: Annotated[int, Meta(ge=1, le=MOST_KEPT)] | None = None
    """Of the store's own backups, the newest; older ones are removed. None: all of them stay."""


class Backups(msgspec.Struct, frozen=True, kw_only=True):
    """Backups that are still there, the oldest first."""

    backups: tuple[Backup, ...]


async def check(call: Call) -> Answer:
    """Everything that can be found wrong."""
    query: CheckQuery = call.query
    found = await found_in(call.sessions, query.session_id, notes=query.notes)
    return Answer(Findings(findings=tuple(found)))


async def repair(call: Call) -> Answer:
    """Mend what can be mended, after a backup beside the store."""
    return Answer(await call.sessions.repair())


async def backup(call: Call) -> Answer:
    """Copy the store into its own directory of backups: a request names no path."""
    body: BackupBody = call.body or BackupBody()
    return Answer(await call.sessions.backup(keep=body.keep), 201)


async def backups(call: Call) -> Answer:
    """Which backups there are."""
    return Answer(Backups(backups=tuple(await call.sessions.backups())))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/check",
        "check",
        "Everything that can be found wrong with what is stored; nothing is changed.",
        check,
        {200: "What was found, with what it means and what can be done."},
        Findings,
        query=CheckQuery,
        problems=("session-not-found", "store-unavailable"),
    ),
    Endpoint(
        "POST",
        "/v1/repair",
        "repair",
        "Mend what a check finds and can be mended, after a backup.",
        repair,
        {200: "What was found, what was done, and what is left."},
        RepairReport,
        problems=("store-unavailable", "store-full"),
        operator=True,
        asks="operator",
    ),
    Endpoint(
        "POST",
        "/v1/backup",
        "makeBackup",
        "Copy the store, as it is at one moment, into the directory of backups beside it.",
        backup,
        {201: "The backup: compared with the store, and synced."},
        Backup,
        bodies=(BackupBody,),
        body_required=False,
        problems=("store-unavailable", "store-full"),
        example={"keep": 7},
        operator=True,
        asks="operator",
    ),
    Endpoint(
        "GET",
        "/v1/backups",
        "listBackups",
        "The backups that were made of the store and are still there.",
        backups,
        {200: "Backups, the oldest first."},
        Backups,
        operator=True,
        asks="operator",
    ),
)
