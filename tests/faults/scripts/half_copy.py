"""Copy a store into another, and die when some of it is there. Arguments: the source, the target."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from palaver.moving import Copier
from palaver.operations import Operation
from palaver.stores import open_store

COMMITS = 5
with open_store(sys.argv[1]) as source, open_store(sys.argv[2]) as target:
    commit = target.commit
    count = 0

    def dies(operations: Sequence[Operation]) -> list[Any]:
        """`kill -9` in the place of the next commit."""
        global count  # noqa: PLW0603 - a script
        if count == COMMITS:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return commit(operations)

    target.commit = dies  # type: ignore[method-assign]
    Copier(source, target).copy()
