"""The files of an export, found by what a message says of them: `file-service://file-Ab12`, `sediment://file_00ff`."""

from __future__ import annotations

import base64
import mimetypes
import re
from pathlib import PurePosixPath
from typing import Any

from palaver.importers.exports import Export
from palaver.model import AudioPart, FilePart, ImagePart

__all__ = ["Media"]

_ID = re.compile(r"file[-_][A-Za-z0-9]+")
MOST = 256 * 1024 * 1024
"""What the media of one conversation may be together; the others are imported by name."""


class Media:
    """What an export has beside its conversations."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._names: dict[str, str] = {}
        self.taken = 0
        """Bytes that the current conversation brought along."""
        for name in export.others:
            found = _ID.match(PurePosixPath(name).name)
            if found is not None:
                self._names.setdefault(found.group(), name)

    def part(self, pointer: Any, made: type[ImagePart | AudioPart | FilePart], name: str | None = None) -> Any:
        """The part that a pointer means, with its content where the export has it."""
        found = _ID.search(pointer) if isinstance(pointer, str) else None
        inside = self._names.get(found.group()) if found is not None else None
        if inside is None:
            return made(name=name or (pointer if isinstance(pointer, str) else None), media_type=_type(name))
        shown = name or PurePosixPath(inside).name
        kind = _type(inside) or _type(name)
        data = self._export.media(inside) if self.taken < MOST else None
        if data is None:
            return made(name=shown, media_type=kind)
        self.taken += len(data)
        return made(name=shown, media_type=kind, data=base64.b64encode(data).decode("ascii"))


def _type(name: str | None) -> str | None:
    return mimetypes.guess_type(name, strict=False)[0] if name else None
