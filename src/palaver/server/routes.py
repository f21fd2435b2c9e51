"""The table of routes."""

from __future__ import annotations

from palaver.server import (
    aliases,
    chains,
    compaction,
    conversations,
    exporting,
    feed,
    importing,
    keeping,
    keys,
    passthrough,
    removal,
    retrying,
    rewriting,
    search,
    service,
    sessions,
    subagents,
    turns,
    upkeep,
)

__all__ = ["ENDPOINTS"]

ENDPOINTS = (
    *turns.ENDPOINTS,
    *sessions.ENDPOINTS,
    *aliases.ENDPOINTS,
    *subagents.ENDPOINTS,
    *chains.ENDPOINTS,
    *compaction.ENDPOINTS,
    *rewriting.ENDPOINTS,
    *retrying.ENDPOINTS,
    *removal.ENDPOINTS,
    *keys.ENDPOINTS,
    *search.ENDPOINTS,
    *upkeep.ENDPOINTS,
    *keeping.ENDPOINTS,
    *exporting.ENDPOINTS,
    *importing.ENDPOINTS,
    *conversations.ENDPOINTS,
    *passthrough.ENDPOINTS,
    *feed.ENDPOINTS,
    *service.ENDPOINTS,
)
"""Every route of the API, in the order that they are shown in."""
