"""From an export to conversations, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from palaver.formats.wire import is_array, is_object
from palaver.importers import exports
from palaver.importers.claude_export.conversations import SYSTEM, read_conversation
from palaver.importers.folders import Folder, SourceFile
from palaver.importers.json_stream import elements
from palaver.importers.values import SourceSession

__all__ = ["SYSTEM", "find", "read"]


def find(folder: Folder) -> list[SourceFile]:
    """The exports in a folder."""
    return exports.find(folder, SYSTEM, b'"chat_messages"')


def read(file: SourceFile, zone: tzinfo | None) -> Iterator[SourceSession]:  # noqa: ARG001 - all its times have one
    """The conversations of an export. Raises OSError where it is gone, or cannot be read."""
    with exports.opened(file.path) as export:
        for name in export.conversations:
            shown = file.shown if name == file.path.name else f"{file.shown}/{name}"
            with export.open(name) as stream:
                for element in elements(stream, _is_conversation):
                    yield read_conversation(element, file=shown)


def _is_conversation(value: Any) -> bool:
    return is_object(value) and is_array(value.get("chat_messages"))
