"""Which code may use which schema: one rule for all stores that have migrations.

A schema's version is how many migrations it has had. A migration that code of before goes on working with says so in a
line of its own, `-- oldest code: N`: code that knows N migrations or more may use the schema then. So the servers of a
service can be replaced one after the other. Without that line, older code is refused. It may be running, though, and
looks at the version only when it opens a store: such a migration takes away what every transaction of older code begins
with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from palaver.errors import SchemaMismatch

__all__ = ["oldest_code", "require_usable"]

_OLDEST = re.compile(r"^-- oldest code: (\d+)$", re.MULTILINE)


def oldest_code(scripts: Sequence[str]) -> int:
    """How many migrations code must know to use a schema that has had all of these."""
    oldest = 0
    for number, script in enumerate(scripts, 1):
        said = _OLDEST.search(script)
        # What an earlier one broke stays broken, whatever a later one says.
        oldest = max(oldest, int(said[1]) if said is not None else number)
    return oldest


def require_usable(name: str, version: int, oldest: int, known: int) -> None:
    """Raise SchemaMismatch for a schema that code with so many migrations must not use."""
    if version > known and oldest > known:
        msg = (
            f"{name} has schema {version}; this version of Palaver knows up to {known}: upgrade Palaver "
            "(the store was left as it is)"
        )
        raise SchemaMismatch(msg, found=version, supported=known)
