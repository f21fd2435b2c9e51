"""What a sweep reads of a PostgreSQL store, where it differs from SQLite: positions of changes have gaps here."""

from __future__ import annotations

from palaver.stores.sqlite.upkeep import Upkeep

__all__ = ["PostgresUpkeep"]

_STEP = 5_000
"""Changes that are pruned in one commit."""


class PostgresUpkeep(Upkeep):
    """Reads for sweeps, inside a snapshot of the caller's."""

    def prunable(self, keep: int) -> tuple[int, int]:
        """Through which position a step prunes, and how many changes may go in all; the search index must know them."""
        indexed: int = self._sql.all("search_state")[0][0]
        kept = self._sql.one("newest_kept", (max(0, keep),))
        through = min(kept[0], indexed) if kept is not None else 0
        left: int = self._sql.all("changes_through", (through,))[0][0]
        if left > _STEP:
            [(through,)] = self._sql.all("oldest_step", (through, _STEP - 1))
        return through, left
