"""What a session's file is called: told apart on every file system, and never longer than one can hold."""

from __future__ import annotations

import hashlib
import re

__all__ = ["STORE", "SUFFIX", "file_name"]

SUFFIX = ".jsonl"
STORE = f"~store{SUFFIX}"
"""What is of no session: erasures, and marks of what was erased. No session's file is called so."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LONGEST = 120


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


def _characters(text: str) -> list[str | int]:
    """Plain characters as they are, the bytes of all others."""
    out: list[str | int] = []
    for c in text:
        if c.isascii() and (c.islower() or c.isdigit() or c in "_-"):
            out.append(c)
        else:
            out += list(c.encode())
    return out
