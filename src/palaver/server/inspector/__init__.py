"""The inspector: the web pages at `/`, where a person sees every conversation and what a model sees of it."""

from __future__ import annotations

from palaver.server.inspector.access import Door, Visitor
from palaver.server.inspector.mounting import pages

__all__ = ["Door", "Visitor", "pages"]
