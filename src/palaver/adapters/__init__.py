"""Palaver as the session store of agent frameworks, one module each. Each needs the extra of its own name."""

from __future__ import annotations

__all__: list[str] = []
