"""Files that a command writes: they appear whole, for this user alone, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from palaver.cli.failures import USAGE, Failure

__all__ = ["Draft"]


class Draft:
    """A file beside its place, moved there by `keep`; without that, nothing is left of it.

    Raises Failure for a file that exists, unless forced; OSError.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self._path = path
        self._force = force
        self._require_free()
        self._draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n")

    def write(self, text: str) -> None:
        """Add to the file."""
        self._file.write(text)

    def keep(self) -> None:
        """Put it into its place, once it is on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._require_free()
        self._draft.replace(self._path)

    def _require_free(self) -> None:
        if not self._force and self._path.exists():
            msg = f"{self._path} exists: name another file, or give --force to replace it"
            raise Failure(msg, USAGE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)
