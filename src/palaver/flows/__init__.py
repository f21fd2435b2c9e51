"""What each verb of the managers does, once for the sync and the async API. See `palaver.steps`."""

from __future__ import annotations

__all__: list[str] = []
