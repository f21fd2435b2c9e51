"""The table of routes."""

from __future__ import annotations

from palaver.server import keys, removal, rewriting, search, service, sessions, turns

__all__ = ["ENDPOINTS"]

ENDPOINTS = (
    *turns.ENDPOINTS,
    *sessions.ENDPOINTS,
    *rewriting.ENDPOINTS,
    *removal.ENDPOINTS,
    *keys.ENDPOINTS,
    *search.ENDPOINTS,
    *service.ENDPOINTS,
)
"""Every route of the API, in the order that they are shown in."""
