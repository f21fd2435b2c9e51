"""Whether a store's tables are still those from which something is remembered.

A backup that is restored into a database under connections that live on may bring back sessions just as long and just
as often changed as what is remembered of them. But the tables are then other files, as nothing but restoring, emptying
and writing a table anew makes them: so what is remembered is held against the file of the table of sessions.
"""

from __future__ import annotations

from palaver.stores.postgres.statements import Statements

__all__ = ["Standing"]


class Standing:
    """The file that a store's table of sessions was in when it was last looked at. Used by all threads."""

    def __init__(self) -> None:
        self._file: int | None = None

    def known(self, sql: Statements) -> int:
        """What it was when that was last told; asked for once. Where it is another one by now, nobody is misled."""
        file = self._file
        if file is None:
            [(file,)] = sql.all("sessions_file")
            self._file = int(file)
        return int(file)

    def told(self, file: int) -> None:
        """What it is now."""
        self._file = file
