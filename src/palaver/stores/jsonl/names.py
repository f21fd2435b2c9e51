"""What a session's file is called: told apart on every file system, and never longer than one can hold."""

from __future__ import annotations

import hashlib
import re

__all__ = ["STORE", "SUFFIX", "file_name", "line_name", "lost_name", "torn_name", "unreadable_name", "whose_aside"]

SUFFIX = ".jsonl"
STORE = f"~store{SUFFIX}"
"""What is of no session: erasures, and marks of what was erased. No session's file is called so."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LONGEST = 120
_ASIDE = (
    re.compile(r"(?P<stem>.*)-\d+-[0-9a-f]{8}\.(?:line|lost)"),
    re.compile(r"(?P<stem>.*)-\d+\.torn"),
    re.compile(r"(?P<stem>.*)\.jsonl\.unreadable"),
)
"""What is set aside of a session's file. A stem may end as these do: it is what stands before the last of them."""


def file_name(session_id: str) -> str:
    """The name of the file for a session: its id, where that is plain; two ids never have one name.

    Capital letters are written as %41: some file systems do not tell them from small ones.
    """
    name = session_id
    if not _PLAIN.fullmatch(session_id) or session_id.endswith("."):
        kept = (c if isinstance(c, str) else f"%{c:02x}" for c in _characters(session_id))
        name = "".join(kept) or "%"
    if len(name) > _LONGEST:
        digest = hashlib.sha256(session_id.encode()).hexdigest()
        name = f"{name[: _LONGEST - len(digest) - 1]}~{digest}"
    return name + SUFFIX


def line_name(file: str, offset: int, line: bytes) -> str:
    """What a damaged line of a file is called in quarantine."""
    return f"{file.removesuffix(SUFFIX)}-{offset}-{_digest(line)}.line"


def lost_name(file: str, kept: int, text: bytes) -> str:
    """What is called so that a file lacks which ends at a place."""
    return f"{file.removesuffix(SUFFIX)}-{kept}-{_digest(text)}.lost"


def torn_name(file: str, size: int) -> str:
    """What was cut off from a file at a place."""
    return f"{file.removesuffix(SUFFIX)}-{size}.torn"


def unreadable_name(file: str) -> str:
    """A file that nothing could be read of."""
    return f"{file}.unreadable"


def whose_aside(name: str) -> str | None:
    """The file that something in quarantine is of; None: that of no session."""
    found = next((match for each in _ASIDE if (match := each.fullmatch(name)) is not None), None)
    return found["stem"] + SUFFIX if found is not None else None


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:8]


def _characters(text: str) -> list[str | int]:
    """Plain characters as they are, the bytes of all others."""
    out: list[str | int] = []
    for c in text:
        if c.isascii() and (c.islower() or c.isdigit() or c in "_-"):
            out.append(c)
        else:
            out += list(c.encode())
    return out
