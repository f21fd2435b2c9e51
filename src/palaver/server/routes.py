"""The table of routes."""

from __future__ import annotations

from palaver.server import compaction, keys, rewriting, search, service, sessions, turns, upkeep

__all__ = ["ENDPOINTS"]

ENDPOINTS = (
    *turns.ENDPOINTS,
    *sessions.ENDPOINTS,
    *compaction.ENDPOINTS,
    *rewriting.ENDPOINTS,
    *keys.ENDPOINTS,
    *search.ENDPOINTS,
    *upkeep.ENDPOINTS,
    *service.ENDPOINTS,
)
"""Every route of the API, in the order that they are shown in."""
