"""Stored text made fit for a terminal: it shows what it holds, and commands the terminal to do nothing.

Whoever may write to a bot may write escape sequences to it. Raw, they could colour, move, hide or retitle what an
operator looks at, or answer in the operator's name; and reordering marks could make text read as what it is not.
"""

from __future__ import annotations

import re

__all__ = ["json_safe", "one_line", "printable"]

# C0, DEL and C1; soft line ends of Unicode; what reorders or hides text: bidi marks, byte order mark, interlinear
# annotations, tags. Joiners stay: Persian and Indic scripts and emoji need them. Lone surrogates cannot be encoded.
_UNSAFE = (
    "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_BLOCK = re.compile(f"(?![\\n\\t])[{_UNSAFE}]")
_JSON = re.compile(f"[{_UNSAFE}]")
_NOT_ASCII = re.compile(r"[^ -~]")
_SPACE = re.compile(r"\s+")


def printable(text: str) -> str:
    r"""Text of several lines. What is unsafe is shown as an escape (`\x1b`, `\u202e`); line ends and tabs stay."""
    return _BLOCK.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same on one line: every run of white space is one space."""
    return printable(_SPACE.sub(" ", text).strip())


def json_safe(text: str, *, ascii_only: bool = False) -> str:
    """JSON text whose unsafe characters are written as JSON escapes; it means the same. They occur in strings only.

    `ascii_only`: everything beyond ASCII is, for an output that is not Unicode.
    """
    return (_NOT_ASCII if ascii_only else _JSON).sub(_json_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
