"""What a session's row says that one of its messages said."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.operations.erasure_records import decoded
from palaver.rows import SessionRow

__all__ = ["quotes"]


def quotes(row: SessionRow, bodies: Iterable[bytes]) -> list[str]:
    """Which of its preview and its title say what one of these messages says."""
    texts = [text for body in bodies if (text := _plain(body))]
    found: list[str] = []
    if row.preview is not None and any(text.startswith(_squeezed(row.preview)) for text in texts):
        found.append("preview")
    title = _squeezed(row.title or "").rstrip("….")
    if title and any(title in text for text in texts):
        found.append("title")
    return found


def _plain(body: bytes) -> str:
    message = decoded(body)
    return _squeezed(message.text) if message is not None else ""


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold()
