"""The inspector: the web pages at `/`, where a person sees every conversation and what a model sees of it."""

from __future__ import annotations

from palaver.server.inspector.mounting import is_page, pages

__all__ = ["is_page", "pages"]
